//! Purpose: container packages: the same images that the registry skin shows, as versions that are listed, deleted and
//! restored, with everything that makes GitHub's listings untrustworthy.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use ::http::Method;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::super::clock::Moment;
use super::super::http::{Reply, Request, Skin};
use super::super::images::Manifest;
use super::super::state::State;
use super::{error, not_found, paged};

/// All packages, by `owner/name`, which is the image's name as well.
#[derive(Debug, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Packages {
    /// Accounts that are people; all others are organizations.
    pub users: BTreeSet<String>,
    /// By `owner/name`.
    pub packages: BTreeMap<String, Package>,
    /// The limit in points; none when absent.
    pub points: Option<Points>,
}

/// One package.
#[derive(Debug, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Package {
    /// By digest.
    pub versions: BTreeMap<String, Version>,
    /// By number.
    pub deleted: BTreeMap<u64, Deleted>,
    /// Nobody is admin: deletions say 404.
    pub no_admin: bool,
    /// Deleted versions stay in the listing, tags and all.
    pub shows_ghosts: bool,
    /// Digests that the listing leaves out; the count has them.
    pub hidden: BTreeSet<String>,
    /// What happens before the n-th page is answered, counted from 1.
    pub shifts: BTreeMap<u32, Shift>,
    /// Pages answered.
    pub pages: u32,
}

/// One version.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Version {
    pub id: u64,
    pub created_at: Moment,
    pub downloads: u64,
}

/// A version that was deleted, with everything that a restoration brings back.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Deleted {
    pub digest: String,
    pub version: Version,
    pub manifest: Manifest,
    pub tags: Vec<String>,
}

/// Something that happens between two pages.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Shift {
    /// Somebody pushes an image under this tag.
    Push(String),
    /// Somebody pushes an index under this tag whose only child is this digest.
    PushIndexOver(String, String),
    /// Somebody deletes this digest.
    Delete(String),
    /// Somebody moves this tag to this digest.
    Tag(String, String),
}

/// GitHub's secondary limit (GitHub documentation, "about secondary rate limits"): a read is a point, a write five.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Points {
    pub most: u32,
    pub window: Duration,
    /// Whether all addresses share it; else each kind of address has its own.
    pub shared: bool,
    pub retry_after: u32,
    #[serde(skip)]
    pub spent: Vec<(i64, u32, String)>,
}

impl State {
    /// The package of an image, with a version for every manifest that it has.
    pub fn package(&mut self, name: &str) -> &mut Package {
        let now = self.clock.now();
        let there = self.images.repositories.get(name).map_or(0, |repository| repository.manifests.len());
        if self.github.packages.packages.get(name).is_some_and(|known| known.versions.len() == there) {
            return self.github.packages.packages.get_mut(name).expect("it is there");
        }
        let digests: Vec<(String, Moment)> = self
            .images
            .repositories
            .get(name)
            .into_iter()
            .flat_map(|repository| &repository.manifests)
            .map(|(digest, manifest)| (digest.clone(), manifest.pushed_at.unwrap_or(now)))
            .collect();
        for (digest, created_at) in digests {
            let known = self.github.packages.packages.entry(name.to_owned()).or_default();
            if !known.versions.contains_key(&digest) {
                let id = 5_000_000_000 + self.github.next();
                let version = Version { id, created_at, downloads: 0 };
                let package = self.github.packages.packages.entry(name.to_owned()).or_default();
                package.versions.insert(digest, version);
            }
        }
        self.github.packages.packages.entry(name.to_owned()).or_default()
    }

    /// Makes a manifest so many seconds old, for GitHub and for ECR.
    pub fn age(&mut self, name: &str, digest: &str, seconds: i64) {
        let at = Moment::from_second(self.clock.now().as_second() - seconds);
        if let Some(manifest) = self.images.repository(name).manifests.get_mut(digest) {
            manifest.pushed_at = Some(at);
        }
        if let Some(version) = self.package(name).versions.get_mut(digest) {
            version.created_at = at;
        }
    }

    /// Makes every manifest of a repository so many seconds old.
    pub fn age_all(&mut self, name: &str, seconds: i64) {
        let digests: Vec<String> = self.images.repository(name).manifests.keys().cloned().collect();
        digests.iter().for_each(|digest| self.age(name, digest, seconds));
    }
}

/// Whether a request is too much now; the refusal.
pub fn limited(state: &mut State, request: &Request) -> Option<Reply> {
    let now = state.clock.now().as_millisecond();
    let points = state.github.packages.points.as_mut()?;
    let kind = if points.shared { String::new() } else { format!("{} {}", request.method, kind_of(&request.path)) };
    let since = now - i64::try_from(points.window.as_millis()).expect("a short window");
    points.spent.retain(|(at, _, _)| *at > since);
    let cost = if request.method == Method::GET { 1 } else { 5 };
    let spent: u32 = points.spent.iter().filter(|(_, _, of)| *of == kind).map(|(_, points, _)| points).sum();
    if spent + cost > points.most {
        let reply =
            error(403, "You have exceeded a secondary rate limit. Please wait a few minutes before you try again.");
        return Some(reply.header("retry-after", points.retry_after.to_string()));
    }
    points.spent.push((now, cost, kind));
    None
}

/// A path with its numbers taken out.
fn kind_of(path: &str) -> String {
    path.split('/').map(|part| if part.bytes().all(|b| b.is_ascii_digit()) { "#" } else { part }).collect()
}

/// `GET /users/{login}`.
pub fn account(state: &State, login: &str) -> Reply {
    let kind = if state.github.packages.users.contains(login) { "User" } else { "Organization" };
    Reply::json(200, &json!({ "login": login, "type": kind, "id": 1 }))
}

/// Everything below `…/packages/container/{name}`. A wrong kind of owner is not found, as on GitHub.
pub fn handle(state: &mut State, request: &Request, owner: &str, wants_user: bool, rest: &[&str]) -> Reply {
    let [name, rest @ ..] = rest else {
        return Reply::unknown(request);
    };
    let full = format!("{owner}/{name}");
    if wants_user != state.github.packages.users.contains(owner) || !state.images.repositories.contains_key(&full) {
        return not_found();
    }
    state.package(&full);
    match (request.method.as_str(), rest) {
        ("GET", []) => package(state, &full),
        ("GET", ["versions"]) => versions(state, request, &full),
        ("GET", ["versions", id]) => version(state, &full, id),
        ("DELETE", ["versions", id]) => delete(state, &full, id),
        ("POST", ["versions", id, "restore"]) => restore(state, &full, id),
        _ => Reply::unknown(request),
    }
}

fn package(state: &State, name: &str) -> Reply {
    let package = &state.github.packages.packages[name];
    let short = name.split_once('/').map_or(name, |(_, rest)| rest);
    let live = state.images.repositories[name].manifests.len();
    let ghosts = if package.shows_ghosts { package.deleted.len() } else { 0 };
    Reply::json(
        200,
        &json!({ "id": 1, "name": short, "package_type": "container", "version_count": live + ghosts,
            "visibility": "public", "url": "u", "html_url": "h" }),
    )
}

fn version_json(digest: &str, version: &Version, tags: &[String]) -> Value {
    json!({
        "id": version.id, "name": digest, "url": "u", "package_html_url": "h",
        "created_at": version.created_at.to_string(), "updated_at": version.created_at.to_string(),
        "metadata": { "package_type": "container", "container": { "tags": tags } },
    })
}

fn versions(state: &mut State, request: &Request, name: &str) -> Reply {
    let package = state.package(name);
    package.pages += 1;
    let number = package.pages;
    if let Some(shift) = package.shifts.remove(&number) {
        happen(state, name, &shift);
    }
    state.package(name);
    let package = &state.github.packages.packages[name];
    let repository = &state.images.repositories[name];
    let gone = package.deleted.values().map(|gone| (gone.digest.as_str(), &gone.version, gone.tags.clone()));
    let live = package
        .versions
        .iter()
        .filter(|(digest, _)| repository.manifests.contains_key(*digest) && !package.hidden.contains(*digest))
        .map(|(digest, version)| (digest.as_str(), version, repository.tags_of(digest)));
    let mut all: Vec<(&str, &Version, Vec<String>)> = match request.query("state") {
        Some("deleted") => gone.collect(),
        _ if package.shows_ghosts => live.chain(gone).collect(),
        _ => live.collect(),
    };
    all.sort_by_key(|(_, version, _)| std::cmp::Reverse((version.created_at, version.id)));
    let items = all.iter().map(|(digest, version, tags)| version_json(digest, version, tags)).collect();
    paged(request, items)
}

fn happen(state: &mut State, name: &str, shift: &Shift) {
    match shift {
        Shift::Push(tag) => drop(state.images.image(&format!("{name}:{tag}"))),
        Shift::PushIndexOver(tag, child) => {
            let repository = state.images.repository(name);
            let size = repository.manifests[child].text.len();
            let media = super::super::images::MANIFEST;
            let part = json!({ "mediaType": media, "digest": child, "size": size });
            let index = json!({ "schemaVersion": 2, "mediaType": super::super::images::INDEX, "manifests": [part] });
            repository.push(super::super::images::INDEX, &index.to_string(), Some(tag));
        }
        Shift::Delete(digest) => {
            let repository = state.images.repository(name);
            repository.manifests.remove(digest);
            repository.tags.retain(|_, target| target != digest);
        }
        Shift::Tag(tag, digest) => {
            state.images.repository(name).tags.insert(tag.clone(), digest.clone());
        }
    }
}

/// The digest of a version that exists.
fn found(state: &State, name: &str, id: &str) -> Option<(String, Version)> {
    let id: u64 = id.parse().ok()?;
    let package = state.github.packages.packages.get(name)?;
    let (digest, version) = package.versions.iter().find(|(_, version)| version.id == id)?;
    let is_there = state.images.repositories[name].manifests.contains_key(digest);
    is_there.then(|| (digest.clone(), version.clone()))
}

fn version(state: &State, name: &str, id: &str) -> Reply {
    found(state, name, id).map_or_else(not_found, |(digest, version)| {
        Reply::json(200, &version_json(&digest, &version, &state.images.repositories[name].tags_of(&digest)))
    })
}

fn delete(state: &mut State, name: &str, id: &str) -> Reply {
    let Some((digest, version)) = found(state, name, id).filter(|_| !state.github.packages.packages[name].no_admin)
    else {
        return not_found();
    };
    if version.downloads > 5000 {
        let why = "Publicly visible package versions with more than 5000 downloads cannot be deleted. Contact GitHub support for further assistance.";
        return error(400, why);
    }
    let repository = &state.images.repositories[name];
    let tags = repository.tags_of(&digest);
    if !tags.is_empty() && repository.tags.values().all(|target| *target == digest) {
        return error(
            400,
            "You cannot delete the last tagged version of a package. You must delete the package instead.",
        );
    }
    let repository = state.images.repository(name);
    let manifest = repository.manifests.remove(&digest).expect("a version's manifest");
    repository.tags.retain(|_, target| *target != digest);
    let package = state.package(name);
    package.versions.remove(&digest);
    package.deleted.insert(version.id, Deleted { digest: digest.clone(), version, manifest, tags });
    state.wrote(Skin::Github, &format!("delete version {name} {digest}"));
    Reply::empty(204)
}

fn restore(state: &mut State, name: &str, id: &str) -> Reply {
    let gone = id.parse().ok().and_then(|id: u64| state.package(name).deleted.remove(&id));
    let Some(gone) = gone else {
        return not_found();
    };
    let repository = state.images.repository(name);
    repository.manifests.insert(gone.digest.clone(), gone.manifest);
    for tag in gone.tags {
        repository.tags.entry(tag).or_insert_with(|| gone.digest.clone());
    }
    state.package(name).versions.insert(gone.digest.clone(), gone.version);
    state.wrote(Skin::Github, &format!("restore version {name} {}", gone.digest));
    Reply::empty(204)
}
