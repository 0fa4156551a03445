//! Purpose: GitHub's REST API: repositories, refs, commits, contents, pull requests, comments, statuses.

use std::collections::BTreeMap;
use std::path::Path;

use ::http::Method;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::archive::object_id;
use super::clock::Moment;
use super::faults::matches;
use super::http::{Door, Reply, Request, Skin};
use super::state::State;

pub mod comments;
pub mod packages;
pub mod people;

pub use comments::{Comment, Delays, Status};
pub mod actions;
pub mod changes;

/// The token that stands for a job's own `GITHUB_TOKEN`: writes to `acme/app`, reads what is public.
pub const TOKEN: &str = "ghs_world";

/// Everything GitHub holds.
#[derive(Debug, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Github {
    /// Path before every route: empty, or `/api/v3` for an Enterprise Server.
    pub prefix: String,
    /// By `owner/name`.
    pub repositories: BTreeMap<String, Repository>,
    /// By token.
    pub tokens: BTreeMap<String, Token>,
    pub rate: Rate,
    /// Workflows and runs, by `owner/name`.
    pub actions: BTreeMap<String, actions::Actions>,
    /// Tickets for private archives, good for codeload only.
    pub tickets: Vec<String>,
    pub delays: Delays,
    pub packages: packages::Packages,
    pub(super) counter: u64,
}

/// Who a token is and where it may go.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Token {
    pub login: String,
    /// By glob over `owner/name`.
    pub repositories: BTreeMap<String, Access>,
    /// Permissions that it lacks all the same, as a workflow names them: `statuses`, `pull-requests`; with `:write` behind
    /// it may read.
    pub lacks: Vec<String>,
}

/// What a token may do with a repository.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Access {
    #[default]
    None,
    Read,
    Write,
    Admin,
}

/// The primary rate limit; shared by all tokens.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(default)]
pub struct Rate {
    pub limit: u32,
    pub remaining: u32,
    /// Seconds from now to the reset.
    pub reset_in: u32,
}

impl Default for Rate {
    fn default() -> Self {
        Self { limit: 1000, remaining: 1000, reset_in: 3600 }
    }
}

/// One repository.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Repository {
    pub private: bool,
    /// `main` when empty.
    pub default_branch: String,
    /// Branch to commit.
    pub branches: BTreeMap<String, String>,
    /// Tag to commit.
    pub tags: BTreeMap<String, String>,
    /// Old name to new name of renamed branches.
    pub renamed: BTreeMap<String, String>,
    pub commits: BTreeMap<String, Commit>,
    pub pulls: BTreeMap<u64, Pull>,
    pub comments: BTreeMap<u64, Comment>,
    pub statuses: Vec<Status>,
    pub past: comments::Past,
    /// Login to role.
    pub roles: BTreeMap<String, String>,
    /// Moves of branches, the oldest first.
    pub pushes: Vec<people::Push>,
    /// Commit to the moment when its checks began.
    pub suites: BTreeMap<String, Moment>,
    /// Seeds only: branch to the files of its one commit.
    pub trees: BTreeMap<String, BTreeMap<String, File>>,
    /// Seeds only: branch to a directory on disk whose files are its one commit.
    pub directories: BTreeMap<String, String>,
}

/// One commit with its whole tree.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Commit {
    pub message: String,
    pub date: Option<Moment>,
    pub parents: Vec<String>,
    pub files: BTreeMap<String, File>,
}

/// One file; a plain text in a seed.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(from = "FileSeed")]
pub struct File {
    pub text: String,
    /// The content when it is not text.
    pub base64: Option<String>,
    /// `100644`, `100755` or `120000` (the content is the link's target).
    pub mode: String,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum FileSeed {
    Text(String),
    Whole {
        #[serde(default)]
        text: String,
        base64: Option<String>,
        mode: Option<String>,
    },
}

impl From<FileSeed> for File {
    fn from(seed: FileSeed) -> Self {
        match seed {
            FileSeed::Text(text) => Self { text, base64: None, mode: "100644".into() },
            FileSeed::Whole { text, base64, mode } => Self { text, base64, mode: mode.unwrap_or("100644".into()) },
        }
    }
}

impl File {
    /// A file of these bytes.
    pub fn new(data: &[u8], mode: &str) -> Self {
        match std::str::from_utf8(data) {
            Ok(text) => Self { text: text.to_owned(), base64: None, mode: mode.to_owned() },
            Err(_) => Self { text: String::new(), base64: Some(STANDARD.encode(data)), mode: mode.to_owned() },
        }
    }

    /// The content.
    pub fn bytes(&self) -> Vec<u8> {
        match &self.base64 {
            Some(coded) => STANDARD.decode(coded).expect("a file's base64"),
            None => self.text.clone().into_bytes(),
        }
    }
}

/// One pull request.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Pull {
    pub title: String,
    pub state: String,
    pub head_ref: String,
    pub head_sha: String,
    /// `None`: the fork is gone.
    pub head_repository: Option<String>,
    pub base_ref: String,
    pub draft: bool,
    pub merged: bool,
    /// The commit that merging would give; unknown when empty.
    pub merge_sha: String,
}

impl Default for Github {
    fn default() -> Self {
        let own = Token {
            login: "github-actions[bot]".into(),
            repositories: BTreeMap::from([("acme/app".to_owned(), Access::Write)]),
            lacks: Vec::new(),
        };
        Self {
            prefix: String::new(),
            repositories: BTreeMap::new(),
            tokens: BTreeMap::from([(TOKEN.to_owned(), own)]),
            rate: Rate::default(),
            actions: BTreeMap::new(),
            tickets: Vec::new(),
            delays: Delays::default(),
            packages: packages::Packages::default(),
            counter: 0,
        }
    }
}

impl Github {
    /// A repository, made (public, empty, default branch `main`) when it is new.
    pub fn repository(&mut self, name: &str) -> &mut Repository {
        self.repositories.entry(name.to_owned()).or_default()
    }

    /// What a repository's workflows are and did.
    pub fn actions(&mut self, name: &str) -> &mut actions::Actions {
        self.actions.entry(name.to_owned()).or_default()
    }

    /// Lets a token do something with the repositories of a glob; the token is made when it is new.
    pub fn grant(&mut self, token: &str, repositories: &str, access: Access) {
        let login = if token == TOKEN { "github-actions[bot]" } else { "octocat" };
        let token =
            self.tokens.entry(token.to_owned()).or_insert_with(|| Token { login: login.into(), ..Token::default() });
        token.repositories.insert(repositories.to_owned(), access);
    }

    /// Turns the seeds `trees` and `directories` into commits.
    pub fn plant(&mut self) -> std::io::Result<()> {
        for repository in self.repositories.values_mut() {
            for (branch, files) in std::mem::take(&mut repository.trees) {
                repository.commit_files(&branch, files);
            }
            for (branch, directory) in std::mem::take(&mut repository.directories) {
                let mut files = BTreeMap::new();
                read_directory(Path::new(&directory), Path::new(&directory), &mut files)?;
                repository.commit_files(&branch, files);
            }
        }
        Ok(())
    }

    fn access(&self, token: Option<&str>, name: &str) -> Access {
        let public = self.repositories.get(name).is_some_and(|repository| !repository.private);
        let granted = token.and_then(|token| self.tokens.get(token)).map(|token| {
            let fitting = token.repositories.iter().filter(|(glob, _)| matches(glob, name));
            fitting.map(|(_, access)| *access).max().unwrap_or_default()
        });
        granted.unwrap_or_default().max(if public { Access::Read } else { Access::None })
    }

    fn next(&mut self) -> u64 {
        self.counter += 1;
        1000 + self.counter
    }
}

fn read_directory(root: &Path, at: &Path, files: &mut BTreeMap<String, File>) -> std::io::Result<()> {
    use std::os::unix::fs::PermissionsExt as _;
    for entry in std::fs::read_dir(at)? {
        let entry = entry?;
        let (path, kind) = (entry.path(), entry.file_type()?);
        let name = path.strip_prefix(root).expect("a path below its root").to_string_lossy().into_owned();
        if name == ".git" {
            continue;
        }
        if kind.is_dir() {
            read_directory(root, &path, files)?;
        } else if kind.is_symlink() {
            let target = std::fs::read_link(&path)?;
            files.insert(name, File::new(target.as_os_str().as_encoded_bytes(), "120000"));
        } else {
            let mode = if entry.metadata()?.permissions().mode() & 0o111 == 0 { "100644" } else { "100755" };
            files.insert(name, File::new(&std::fs::read(&path)?, mode));
        }
    }
    Ok(())
}

impl Repository {
    /// A commit of these files on top of a branch, which is made when it is new. Gives the commit's id.
    pub fn commit(&mut self, branch: &str, files: &[(&str, &str)]) -> String {
        let files = files.iter().map(|(path, text)| ((*path).to_owned(), File::new(text.as_bytes(), "100644")));
        self.commit_files(branch, files.collect())
    }

    /// The same with whole files.
    pub fn commit_files(&mut self, branch: &str, files: BTreeMap<String, File>) -> String {
        let parent = self.branches.get(branch).cloned();
        let mut all = parent.as_ref().map(|sha| self.commits[sha].files.clone()).unwrap_or_default();
        all.extend(files);
        let tree = serde_json::to_vec(&all).expect("files are JSON");
        let number = self.commits.len() + 1;
        let sha = object_id(&[parent.as_deref().unwrap_or_default().as_bytes(), &tree, branch.as_bytes()]);
        let commit = Commit {
            message: format!("Commit {number}"),
            date: Some(Moment::from_second(1_700_000_000 + i64::try_from(number).expect("few commits") * 60)),
            parents: parent.into_iter().collect(),
            files: all,
        };
        self.commits.insert(sha.clone(), commit);
        self.branches.insert(branch.to_owned(), sha.clone());
        sha
    }

    /// A branch at a commit that may be known or not.
    pub fn branch(&mut self, name: &str, sha: &str) -> &mut Self {
        self.branches.insert(name.to_owned(), sha.to_owned());
        self.commits.entry(sha.to_owned()).or_default();
        self
    }

    /// Renames a branch; the old name answers with a redirect from then on.
    pub fn rename(&mut self, old: &str, new: &str) {
        let sha = self.branches.remove(old).expect("a branch to rename");
        self.branches.insert(new.to_owned(), sha);
        self.renamed.insert(old.to_owned(), new.to_owned());
    }

    /// The default branch's name.
    pub fn default_branch(&self) -> &str {
        if self.default_branch.is_empty() { "main" } else { &self.default_branch }
    }

    /// The commit a branch, tag, qualified ref or (abbreviated) commit id names.
    pub fn resolve(&self, reference: &str) -> Option<String> {
        let branch = |name: &str| self.branches.get(name).cloned();
        let tag = |name: &str| self.tags.get(name).cloned();
        if reference.is_empty() || reference == "HEAD" {
            return branch(self.default_branch());
        }
        if let Some(name) = reference.strip_prefix("refs/heads/").or_else(|| reference.strip_prefix("heads/")) {
            return branch(name);
        }
        if let Some(name) = reference.strip_prefix("refs/tags/").or_else(|| reference.strip_prefix("tags/")) {
            return tag(name);
        }
        let pull = reference.strip_prefix("refs/pull/").and_then(|rest| rest.split_once('/'));
        if let Some((number, _)) = pull {
            return self.pulls.get(&number.parse().ok()?).map(|pull| pull.head_sha.clone());
        }
        let commit = || {
            let hex = reference.len() >= 7 && reference.bytes().all(|b| b.is_ascii_hexdigit());
            hex.then(|| self.commits.keys().find(|sha| sha.starts_with(reference)).cloned()).flatten()
        };
        branch(reference).or_else(|| tag(reference)).or_else(commit)
    }
}

/// What a route needs: the repository's name and what the asker may do there.
struct At<'a> {
    name: &'a str,
    access: Access,
}

/// One request.
pub fn handle(state: &mut State, request: &Request) -> Reply {
    let reply = route(state, request);
    let rate = &state.github.rate;
    let reset = state.clock.now().as_second() + i64::from(rate.reset_in);
    reply
        .header("x-ratelimit-limit", rate.limit.to_string())
        .header("x-ratelimit-remaining", rate.remaining.to_string())
        .header("x-ratelimit-used", rate.limit.saturating_sub(rate.remaining).to_string())
        .header("x-ratelimit-reset", reset.to_string())
        .header("x-ratelimit-resource", "core")
        .header("x-github-request-id", "0000:WORLD")
}

fn route(state: &mut State, request: &Request) -> Reply {
    if request.header("user-agent").is_none() {
        return error(
            403,
            "Request forbidden by administrative rules. Please make sure your request has a User-Agent header",
        );
    }
    // GraphQL lies beside `/api/v3`, not below it.
    let beside = request.path == "/api/graphql" && state.github.prefix == "/api/v3";
    let Some(path) = request.path.strip_prefix(&state.github.prefix.clone()).or_else(|| beside.then_some("/graphql"))
    else {
        return Reply::unknown(request);
    };
    let segments = Request { path: path.to_owned(), ..request.clone() }.segments();
    let segments: Vec<&str> = segments.iter().map(String::as_str).collect();
    if request.header("authorization").is_some() {
        let known = request.bearer().is_some_and(|token| state.github.tokens.contains_key(token));
        if !known {
            return error(401, "Bad credentials");
        }
    }
    if segments != ["rate_limit"] {
        if state.github.rate.remaining == 0 {
            return error(403, "API rate limit exceeded for installation ID 1.");
        }
        state.github.rate.remaining -= 1;
        if let Some(refusal) = packages::limited(state, request) {
            return refusal;
        }
    }
    match segments.as_slice() {
        ["rate_limit"] => rate_limit(state),
        ["user"] => user(state, request),
        ["users", login] => packages::account(state, login),
        ["orgs" | "users", _, "packages", ..] if lacks(state, request, "packages", request.method != Method::GET) => {
            error(403, "You need at least read:packages scope to list packages.")
        }
        ["orgs", owner, "packages", "container", rest @ ..] => packages::handle(state, request, owner, false, rest),
        ["users", owner, "packages", "container", rest @ ..] => packages::handle(state, request, owner, true, rest),
        ["graphql"] => comments::viewer(state, request),
        ["repos", owner, name, rest @ ..] => {
            let name = format!("{owner}/{name}");
            let access = state.github.access(request.bearer(), &name);
            if access == Access::None || !state.github.repositories.contains_key(&name) {
                return not_found();
            }
            let is_write = request.method != Method::GET && request.method != Method::HEAD;
            let lacks = |permission| lacks(state, request, permission, is_write);
            // Everybody reads what is public.
            let private = state.github.repositories[&name].private;
            let read = || (private && !is_write).then(|| read_permission(rest)).flatten().is_some_and(lacks);
            let asked = comments::permission(&request.method, rest);
            if is_write && access < Access::Write || asked.is_some_and(lacks) || read() {
                return error(403, "Resource not accessible by integration");
            }
            repository(state, request, &At { name: &name, access }, rest)
        }
        _ => Reply::unknown(request),
    }
}

/// Whether the asker's token lacks a permission.
fn lacks(state: &State, request: &Request, permission: &str, is_write: bool) -> bool {
    let token = request.bearer().and_then(|token| state.github.tokens.get(token));
    let names = |lacked: &String| lacked == permission || is_write && *lacked == format!("{permission}:write");
    token.is_some_and(|token| token.lacks.iter().any(names))
}

/// The permission without which something of a private repository cannot be read (GitHub documentation, "permissions
/// required for GitHub Apps"); none for what every token may.
fn read_permission(rest: &[&str]) -> Option<&'static str> {
    match rest {
        [] | ["collaborators", ..] => None,
        ["actions", ..] => Some("actions"),
        ["commits", .., "check-suites" | "check-runs"] => Some("checks"),
        ["commits", .., "status" | "statuses"] => Some("statuses"),
        ["issues" | "pulls", ..] | ["commits", .., "pulls"] => Some("pull-requests"),
        _ => Some("contents"),
    }
}

fn repository(state: &mut State, request: &Request, at: &At<'_>, rest: &[&str]) -> Reply {
    let reads = request.method == Method::GET || request.method == Method::HEAD;
    if let Some(reply) = super::artifacts::rest(state, request, rest) {
        return reply;
    }
    match rest {
        ["actions", rest @ ..] => return actions::handle(state, request, at.name, rest),
        ["dispatches"] if !reads => return actions::repository_dispatch(state, request, at.name),
        _ => {}
    }
    let found = state.github.repositories[at.name].clone();
    if reads {
        let others = comments::read(state, request, &found, rest).or_else(|| people::read(request, &found, rest));
        if let Some(reply) = others {
            return reply;
        }
        return match rest {
            [] => repository_json(at, &found),
            ["git", "ref", reference @ ..] => git_ref(at, &found, &reference.join("/")),
            ["git", "matching-refs", reference @ ..] => matching_refs(at, &found, &reference.join("/")),
            ["branches"] => paged(request, found.branches.keys().map(|name| branch_json(&found, name)).collect()),
            ["branches", name @ ..] => branch(state, request, at, &found, &name.join("/")),
            ["commits", sha, "pulls"] => pulls_of(request, at, &found, sha),
            ["commits", reference @ ..] => commit(request, &found, &reference.join("/")),
            ["tarball", reference @ ..] => tarball(state, request, at, &found, &reference.join("/")),
            ["contents", path @ ..] => contents(request, &found, &path.join("/")),
            ["pulls"] => pulls(request, at, &found),
            ["pulls", number] => pull(at, &found, number),
            ["pulls", number, "files"] => changes::files(request, &found, number),
            ["compare", range @ ..] => changes::compare(&found, &range.join("/")),
            ["git", "trees", sha] => changes::tree(&found, sha),
            _ => Reply::unknown(request),
        };
    }
    comments::write(state, request, at, rest).unwrap_or_else(|| Reply::unknown(request))
}

/// An error as GitHub writes it.
pub fn error(status: u16, message: &str) -> Reply {
    let body = json!({ "message": message, "documentation_url": "https://docs.github.com/rest", "status": status.to_string() });
    Reply::json(status, &body)
}

fn not_found() -> Reply {
    error(404, "Not Found")
}

fn empty_repository() -> Reply {
    error(409, "Git Repository is empty.")
}

fn rate_limit(state: &State) -> Reply {
    let rate = &state.github.rate;
    let core = json!({ "limit": rate.limit, "remaining": rate.remaining, "used": rate.limit - rate.remaining,
        "reset": state.clock.now().as_second() + i64::from(rate.reset_in) });
    Reply::json(200, &json!({ "resources": { "core": core, "search": core, "graphql": core }, "rate": core }))
}

fn user(state: &State, request: &Request) -> Reply {
    match request.bearer().and_then(|token| state.github.tokens.get(token)) {
        Some(token) if token.login.ends_with("[bot]") => error(403, "Resource not accessible by integration"),
        Some(token) => Reply::json(200, &json!({ "login": token.login, "type": "User" })),
        None => error(401, "Requires authentication"),
    }
}

fn repository_json(at: &At<'_>, found: &Repository) -> Reply {
    let (owner, name) = at.name.split_once('/').expect("owner/name");
    let body = json!({
        "id": object_number(at.name),
        "node_id": "R_world",
        "name": name,
        "full_name": at.name,
        "owner": { "login": owner, "type": "Organization" },
        "private": found.private,
        "visibility": if found.private { "private" } else { "public" },
        "html_url": format!("https://github.com/{}", at.name),
        "url": format!("https://api.github.com/repos/{}", at.name),
        "default_branch": found.default_branch(),
        "permissions": {
            "admin": at.access >= Access::Admin, "push": at.access >= Access::Write, "pull": true,
        },
    });
    Reply::json(200, &body)
}

/// A small stable number for a name.
fn object_number(name: &str) -> u64 {
    name.bytes().fold(7, |sum, byte| sum * 31 % 1_000_000_007 + u64::from(byte))
}

fn ref_json(at: &At<'_>, name: &str, sha: &str) -> Value {
    json!({ "ref": name, "node_id": "REF_world", "url": format!("https://api.github.com/repos/{}/git/{name}", at.name),
        "object": { "type": "commit", "sha": sha, "url": format!("https://api.github.com/repos/{}/git/commits/{sha}", at.name) } })
}

fn git_ref(at: &At<'_>, found: &Repository, reference: &str) -> Reply {
    if found.branches.is_empty() {
        return empty_repository();
    }
    let sha = match reference.split_once('/') {
        Some(("heads", name)) => found.branches.get(name),
        Some(("tags", name)) => found.tags.get(name),
        _ => None,
    };
    sha.map_or_else(not_found, |sha| Reply::json(200, &ref_json(at, &format!("refs/{reference}"), sha)))
}

fn matching_refs(at: &At<'_>, found: &Repository, prefix: &str) -> Reply {
    let heads = found.branches.iter().map(|(name, sha)| (format!("heads/{name}"), sha));
    let tags = found.tags.iter().map(|(name, sha)| (format!("tags/{name}"), sha));
    let fitting = heads.chain(tags).filter(|(name, _)| name.starts_with(prefix));
    Reply::json(200, &fitting.map(|(name, sha)| ref_json(at, &format!("refs/{name}"), sha)).collect())
}

fn branch_json(found: &Repository, name: &str) -> Value {
    json!({ "name": name, "commit": { "sha": found.branches[name] }, "protected": false })
}

fn branch(state: &State, request: &Request, at: &At<'_>, found: &Repository, name: &str) -> Reply {
    if found.branches.contains_key(name) {
        return Reply::json(200, &branch_json(found, name));
    }
    let Some(new) = found.renamed.get(name) else {
        return error(404, "Branch not found");
    };
    let base = state.door_seen_from(request.host(), Door::Github);
    let encoded = url::form_urlencoded::byte_serialize(new.as_bytes()).collect::<String>();
    let url = format!("{base}{}/repos/{}/branches/{encoded}", state.github.prefix, at.name);
    Reply::json(301, &json!({ "message": "Moved Permanently", "url": url })).header("location", url)
}

fn commit(request: &Request, found: &Repository, reference: &str) -> Reply {
    if found.branches.is_empty() {
        return empty_repository();
    }
    let Some(sha) = found.resolve(reference) else {
        return error(422, &format!("No commit found for SHA: {reference}"));
    };
    if request.header("accept").is_some_and(|accept| accept.contains("application/vnd.github.sha")) {
        return Reply::bytes(200, "application/vnd.github.sha; charset=utf-8", sha);
    }
    Reply::json(200, &commit_json(found, &sha))
}

fn commit_json(found: &Repository, sha: &str) -> Value {
    let commit = found.commits.get(sha).cloned().unwrap_or_default();
    let date = commit.date.unwrap_or(Moment::EPOCH).to_string();
    let person = json!({ "name": "World", "email": "world@example.com", "date": date });
    json!({
        "sha": sha,
        "node_id": "C_world",
        "commit": { "message": commit.message, "author": person, "committer": person,
            "tree": { "sha": object_id(&[sha.as_bytes(), b"tree"]) } },
        "author": { "login": "octocat" },
        "committer": { "login": "octocat" },
        "parents": commit.parents.iter().map(|sha| json!({ "sha": sha })).collect::<Vec<_>>(),
    })
}

fn tarball(state: &mut State, request: &Request, at: &At<'_>, found: &Repository, reference: &str) -> Reply {
    let Some(sha) = found.resolve(reference) else {
        return not_found();
    };
    let base = state.door_seen_from(request.host(), Door::Codeload);
    let mut url = format!("{base}/{}/legacy.tar.gz/{sha}", at.name);
    if found.private {
        let ticket = format!("ticket-{}", state.github.next());
        url = format!("{url}?token={ticket}");
        state.github.tickets.push(ticket);
    }
    Reply::empty(302).header("location", url)
}

fn contents(request: &Request, found: &Repository, path: &str) -> Reply {
    if found.branches.is_empty() {
        return error(404, "This repository is empty.");
    }
    let Some(sha) = found.resolve(request.query("ref").unwrap_or_default()) else {
        return error(404, &format!("No commit found for the ref {}", request.query("ref").unwrap_or_default()));
    };
    let files = &found.commits[&sha].files;
    let Some(file) = files.get(path) else {
        return directory(files, path);
    };
    let data = file.bytes();
    if request.header("accept").is_some_and(|accept| accept.contains("raw")) {
        return Reply::bytes(200, "application/vnd.github.raw; charset=utf-8", data);
    }
    let mut body = entry_json("file", path);
    body["size"] = json!(data.len());
    body["sha"] = json!(object_id(&[&data]));
    body["encoding"] = json!("base64");
    body["content"] = json!(folded(&STANDARD.encode(&data)));
    Reply::json(200, &body)
}

/// Base64 in lines of 60, as GitHub sends it.
fn folded(text: &str) -> String {
    text.as_bytes().chunks(60).fold(String::new(), |all, line| all + &String::from_utf8_lossy(line) + "\n")
}

fn entry_json(kind: &str, path: &str) -> Value {
    json!({ "type": kind, "name": path.rsplit('/').next(), "path": path })
}

fn directory(files: &BTreeMap<String, File>, path: &str) -> Reply {
    let prefix = if path.is_empty() { String::new() } else { format!("{path}/") };
    let mut names = BTreeMap::new();
    for below in files.keys().filter_map(|file| file.strip_prefix(&prefix)) {
        let (name, kind) = below.split_once('/').map_or((below, "file"), |(name, _)| (name, "dir"));
        names.insert(format!("{prefix}{name}"), kind);
    }
    if names.is_empty() {
        return not_found();
    }
    Reply::json(200, &names.iter().map(|(path, kind)| entry_json(kind, path)).collect())
}

fn pull_json(at: &At<'_>, found: &Repository, number: u64, pull: &Pull) -> Value {
    let unknown = "0".repeat(40);
    let base_sha = found.branches.get(&pull.base_ref).unwrap_or(&unknown);
    let head_repository =
        pull.head_repository.as_ref().map(|name| json!({ "full_name": name, "fork": name != at.name }));
    json!({
        "number": number,
        "title": pull.title,
        "state": if pull.state.is_empty() { "open" } else { &pull.state },
        "draft": pull.draft,
        "merge_commit_sha": Some(&pull.merge_sha).filter(|sha| !sha.is_empty()),
        "merged": pull.merged,
        "head": { "ref": pull.head_ref, "sha": pull.head_sha, "repo": head_repository },
        "base": { "ref": pull.base_ref, "sha": base_sha, "repo": { "full_name": at.name } },
    })
}

fn pull(at: &At<'_>, found: &Repository, number: &str) -> Reply {
    let known = number.parse().ok().and_then(|number| Some((number, found.pulls.get(&number)?)));
    known.map_or_else(not_found, |(number, pull)| {
        let mut body = pull_json(at, found, number, pull);
        body["changed_files"] = json!(changes::of_pull(found, pull).len());
        Reply::json(200, &body)
    })
}

/// Pull requests by state and `owner:branch` of the head, the newest first.
fn pulls(request: &Request, at: &At<'_>, found: &Repository) -> Reply {
    let state = request.query("state").unwrap_or("open");
    let head = request.query("head");
    let fits = |pull: &Pull| {
        let is = if pull.state.is_empty() { "open" } else { &pull.state };
        let owner = pull.head_repository.as_deref().and_then(|name| name.split('/').next());
        let label = format!("{}:{}", owner.unwrap_or_default(), pull.head_ref);
        (state == "all" || state == is) && head.is_none_or(|head| head == label)
    };
    let fitting = found.pulls.iter().rev().filter(|(_, pull)| fits(pull));
    let all = fitting.map(|(number, pull)| pull_json(at, found, *number, pull));
    paged(request, all.collect())
}

fn pulls_of(request: &Request, at: &At<'_>, found: &Repository, sha: &str) -> Reply {
    let fitting = found.pulls.iter().filter(|(_, pull)| pull.head_sha == sha);
    paged(request, fitting.map(|(number, pull)| pull_json(at, found, *number, pull)).collect())
}

/// One page of a listing, with `Link` as GitHub gives it.
fn paged(request: &Request, all: Vec<Value>) -> Reply {
    let number = |name: &str, default: usize| request.query(name).and_then(|text| text.parse().ok()).unwrap_or(default);
    let (size, page) = (number("per_page", 30).clamp(1, 100), number("page", 1).max(1));
    let last = all.len().div_ceil(size).max(1);
    let items: Vec<Value> = all.into_iter().skip((page - 1) * size).take(size).collect();
    let url = |page: usize| format!("<http://{}{}?per_page={size}&page={page}>", request.host(), request.path);
    let mut links = Vec::new();
    if page < last {
        links = vec![format!("{}; rel=\"next\"", url(page + 1)), format!("{}; rel=\"last\"", url(last))];
    }
    if page > 1 {
        links.push(format!("{}; rel=\"prev\"", url(page - 1)));
        links.push(format!("{}; rel=\"first\"", url(1)));
    }
    let reply = Reply::json(200, &Value::Array(items));
    if links.is_empty() { reply } else { reply.header("link", links.join(", ")) }
}
