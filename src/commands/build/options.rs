//! Purpose: the inputs of `build` that have a form of their own, read into what the builder takes.

use std::collections::BTreeMap;
use std::path::PathBuf;

use super::settings::Delivery;
use crate::commands::run::Run;
use crate::contract::values::{Lines, List, Map};
use crate::domain::builder::Wanted;
use crate::domain::names::{BranchName, CommitSha, RepositoryName};
use crate::domain::reference::{ImageName, ImageRef};
use crate::domain::shell;
use crate::domain::update::{Update, UpdateError};
use crate::runner::Problems;
use crate::services::buildkit::{AnnotationTarget, Attestation, BuildSecret, LocalSource, SecretValue, Source};

/// Where the files come from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum SourceChoice {
    /// The workspace.
    Workspace,
    /// A commit of a repository on GitHub.
    Repository {
        /// Which.
        repository: RepositoryName,
        /// Branch, tag or commit.
        reference: String,
    },
}

/// What the builder is given as its context.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Context {
    /// A folder of the source.
    Folder(PathBuf),
    /// A git repository or an archive that the builder fetches.
    Url(String),
}

/// Emulators for foreign platforms.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Qemu {
    /// Those that are missing, from the pinned image; without them the build goes on.
    Auto,
    /// None.
    Never,
    /// Those that are missing, from this image.
    Image(String),
}

pub(super) fn source(text: Option<&str>, problems: &mut Problems) -> SourceChoice {
    let Some(text) = text else {
        return SourceChoice::Workspace;
    };
    let parsed = text.split_once('@').and_then(|(repository, reference)| {
        let known = reference.parse::<CommitSha>().is_ok() || reference.parse::<BranchName>().is_ok();
        Some((repository.parse().ok()?, reference.to_owned())).filter(|_| known)
    });
    match parsed {
        Some((repository, reference)) => SourceChoice::Repository { repository, reference },
        None => {
            problems.add("source", format!("is '{text}', which is not owner/repo@ref"));
            SourceChoice::Workspace
        }
    }
}

pub(super) fn context(text: Option<&str>, problems: &mut Problems) -> Context {
    let text = text.unwrap_or(".");
    if is_remote(text) {
        return Context::Url(text.to_owned());
    }
    Context::Folder(inside("context", text, problems))
}

/// What BuildKit takes for an address and not for a folder (`frontend/dockerui`, `util/gitutil`).
fn is_remote(text: &str) -> bool {
    ["https://", "http://", "git://", "ssh://", "git@"].iter().any(|scheme| text.starts_with(scheme))
}

/// References with tags. When only repositories are wanted, one without a tag is one, too.
pub(super) fn tags(list: Option<&List>, delivery: Delivery, problems: &mut Problems) -> Vec<ImageRef> {
    let list = list.map(|list| list.0.as_slice()).unwrap_or_default();
    let mut tags: Vec<ImageRef> = Vec::new();
    for text in list {
        let repository = delivery == Delivery::Digest && text.parse::<ImageName>().is_ok();
        let text = if repository { &format!("{text}:latest") } else { text };
        match text.parse::<ImageRef>() {
            Ok(tag) if tag.digest().is_some() => {
                problems.add("tags", format!("has '{text}': a digest cannot be given, only found; leave it out"));
            }
            Ok(tag) if tags.contains(&tag) => {}
            Ok(tag) => tags.push(tag),
            Err(error) => {
                problems.add("tags", format!("has an entry that cannot be used: {error}"));
            }
        }
    }
    tags
}

/// A path that stays inside the folder that it is relative to.
pub(super) fn inside(input: &str, text: &str, problems: &mut Problems) -> PathBuf {
    let path = PathBuf::from(text);
    if path.components().any(|part| part == std::path::Component::ParentDir) {
        problems.add(input, format!("is '{text}', which leaves its folder; `..` is not allowed"));
    }
    path
}

pub(super) fn platforms(list: Option<&List>, problems: &mut Problems) -> Vec<String> {
    let list = list.map(|list| list.0.as_slice()).unwrap_or_default();
    let mut platforms = Vec::new();
    for text in list {
        let parts: Vec<&str> = text.split('/').collect();
        let plain =
            |part: &&str| !part.is_empty() && part.chars().all(|c| c.is_ascii_alphanumeric() || c == '.' || c == '-');
        if !(2..=3).contains(&parts.len()) || !parts.iter().all(plain) {
            problems.add("platforms", format!("has '{text}', which is not os/architecture, such as linux/arm64"));
        } else if !platforms.contains(text) {
            platforms.push(text.clone());
        }
    }
    platforms
}

pub(super) fn build_args(lines: Option<&Lines>, run: &Run, problems: &mut Problems) -> Vec<(String, String)> {
    let lines = lines.map(|lines| lines.0.as_slice()).unwrap_or_default();
    let mut arguments = Vec::new();
    for line in lines {
        match (line.split_once('='), run.variable(line)) {
            (Some((key, value)), _) => arguments.push((key.trim().to_owned(), value.to_owned())),
            (None, Some(value)) => arguments.push((line.clone(), value.to_owned())),
            (None, None) => {
                problems.add("build_args", format!("has '{line}' without a value, and no such variable is set"));
            }
        }
    }
    arguments
}

pub(super) fn secrets(map: Option<Map>, run: &Run, problems: &mut Problems) -> Vec<BuildSecret> {
    let mut secrets = Vec::new();
    for (id, text) in map.unwrap_or_default().0 {
        let value = if let Some(path) = text.strip_prefix('@') {
            let path = run.workspace().join(path);
            if !path.is_file() {
                // What stands behind the sign may be a secret that happens to begin with it: it is not quoted.
                problems.add("secrets", format!("{id} begins with @ and so names a file, which does not exist"));
            } else if let Ok(content) = std::fs::read_to_string(&path) {
                run.mask(&content.into());
            }
            SecretValue::File(path)
        } else if let Some(name) = text.strip_prefix('$') {
            let Some(value) = run.variable(name) else {
                problems.add("secrets", format!("{id} begins with $ and so names a variable, which is not set"));
                continue;
            };
            let secret: secrecy::SecretString = value.into();
            run.mask(&secret);
            SecretValue::Text(secret)
        } else {
            SecretValue::Text(text.into())
        };
        secrets.push(BuildSecret { id, value });
    }
    secrets
}

pub(super) fn contexts(map: Option<Map>, run: &Run, problems: &mut Problems) -> BTreeMap<String, Source> {
    let mut contexts = BTreeMap::new();
    for (name, place) in map.unwrap_or_default().0 {
        let known = ["docker-image://", "target:", "input:"];
        let source = if is_remote(&place) || known.iter().any(|scheme| place.starts_with(scheme)) {
            Source::Remote(place)
        } else {
            let folder = run.workspace().join(&place);
            if !folder.is_dir() {
                problems.add(
                    "build_contexts",
                    format!(
                        "{name} is '{place}', which is neither a folder nor an address (docker-image://…, https://…)"
                    ),
                );
                continue;
            }
            Source::Local(LocalSource::new(folder))
        };
        // The frontend compares names in this form (`frontend/dockerui`, named contexts).
        contexts.insert(name.to_lowercase(), source);
    }
    contexts
}

/// `key=value` for manifests; `index:`, `manifest:` and `manifest-descriptor:` before the key choose, also several.
pub(super) fn annotations(map: Option<Map>, problems: &mut Problems) -> Vec<(AnnotationTarget, String, String)> {
    let mut annotations = Vec::new();
    for (key, value) in map.unwrap_or_default().0 {
        let (targets, key) = key.split_once(':').unwrap_or(("manifest", &key));
        for target in targets.split(',') {
            let target = match target.trim() {
                "manifest" => AnnotationTarget::Manifest,
                "index" => AnnotationTarget::Index,
                "manifest-descriptor" => AnnotationTarget::ManifestDescriptor,
                other => {
                    problems.add(
                        "annotations",
                        format!("has the target '{other}'; targets are manifest, index and manifest-descriptor"),
                    );
                    continue;
                }
            };
            annotations.push((target, key.trim().to_owned(), value.clone()));
        }
    }
    annotations
}

/// `provenance` and `sbom`: off unless asked for, so that nobody meets `unknown/unknown` in an index.
pub(super) fn attestations(provenance: Option<&str>, sbom: Option<&str>) -> BTreeMap<Attestation, String> {
    /// What BuildKit's documentation names as its own.
    const SCANNER: &str = "generator=docker/buildkit-syft-scanner:stable-1";
    let mut attestations = BTreeMap::new();
    let asked = |value: &&str| !matches!(value.to_lowercase().as_str(), "false" | "none" | "");
    if let Some(value) = provenance.filter(asked) {
        let settings = match value.to_lowercase().as_str() {
            "true" | "max" => "mode=max".to_owned(),
            "min" => "mode=min".to_owned(),
            _ => value.to_owned(),
        };
        attestations.insert(Attestation::Provenance, settings);
    }
    if let Some(value) = sbom.filter(asked) {
        let settings = match value {
            value if value.eq_ignore_ascii_case("true") => SCANNER.to_owned(),
            value if value.contains('=') => value.to_owned(),
            image => format!("generator={image}"),
        };
        attestations.insert(Attestation::Sbom, settings);
    }
    attestations
}

pub(super) fn add_hosts(list: Option<&List>, problems: &mut Problems) -> Vec<(String, String)> {
    let list = list.map(|list| list.0.as_slice()).unwrap_or_default();
    let mut hosts = Vec::new();
    for entry in list {
        // The address may itself hold colons (IPv6), the name cannot.
        match entry.split_once(['=', ':']).filter(|(name, address)| !name.is_empty() && !address.is_empty()) {
            Some((name, address)) => hosts.push((name.to_owned(), address.to_owned())),
            None => problems.add("add_hosts", format!("has '{entry}', which is not name:address")),
        }
    }
    hosts
}

pub(super) fn updates(lines: Option<&Lines>, problems: &mut Problems) -> Vec<Update> {
    let lines = lines.map(|lines| lines.0.as_slice()).unwrap_or_default();
    let parsed = lines.iter().filter_map(|line| {
        let update: Result<Update, UpdateError> = line.parse();
        problems.check("update_reference", update)
    });
    parsed.collect()
}

pub(super) fn words(command: &str, problems: &mut Problems) -> Option<Vec<String>> {
    let words = problems.check("smoke", shell::words(command))?;
    if words.is_empty() {
        problems.add("smoke", "has no command");
    }
    Some(words)
}

pub(super) fn builder(text: Option<&str>, problems: &mut Problems) -> Wanted {
    match text {
        None | Some("auto") => Wanted::Auto,
        Some("engine") => Wanted::Engine,
        Some("container") => Wanted::Container,
        Some(address) if address.starts_with("unix://") || address.starts_with("tcp://") => {
            Wanted::At(address.to_owned())
        }
        Some(other) => {
            problems
                .add("builder", format!("is '{other}'; use auto, engine, container, unix:///path or tcp://host:port"));
            Wanted::Auto
        }
    }
}

pub(super) fn qemu(text: Option<&str>) -> Qemu {
    match text {
        None | Some("auto" | "true") => Qemu::Auto,
        Some("never" | "none" | "false") => Qemu::Never,
        Some(image) => Qemu::Image(image.to_owned()),
    }
}
