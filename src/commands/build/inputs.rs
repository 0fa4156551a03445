//! Purpose: the inputs of `build`, and what they ask for once they are valid.

use std::path::PathBuf;

use schemars::JsonSchema;
use serde::Deserialize;

use crate::commands::run::Run;
use crate::contract::values::{Count, Flag, Lines, List, Map, Secret, Size};
use crate::domain::builder::Need;
use crate::domain::names::{BranchName, CommitSha, RepositoryName};
use crate::domain::reference::ImageRef;
use crate::domain::shell;
use crate::domain::update::{Update, UpdateError};
use crate::runner::{Failure, Problems};
use crate::services::buildkit::{BuildSecret, CacheUse, Pull, RunNetwork, SecretValue};

/// Inputs of `build`.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(default)]
pub struct Inputs {
    /// Build context, relative to the workspace, or to the root of `source`. Default: the workspace.
    pub context: Option<String>,
    /// Build this instead of the workspace: `owner/repo@ref`, where ref is a branch, tag or commit.
    pub source: Option<String>,
    /// Token that can read `source`. Default: `github_token`.
    pub source_token: Option<Secret>,
    /// Dockerfile, relative to the context. Default: `Dockerfile`.
    pub file: Option<String>,
    /// Stage to build. Default: the last.
    pub target: Option<String>,
    /// Platforms to build for, such as `linux/arm64`. Default: the builder's own.
    pub platforms: Option<List>,
    /// Full references that the image gets, such as `ghcr.io/acme/app:v1`.
    pub tags: Option<List>,
    /// Labels of the image, `key=value`. `org.opencontainers.image.{revision,source,created}` are always set; yours win.
    pub labels: Option<Map>,
    /// Annotations of the manifest, `key=value`.
    pub annotations: Option<Map>,
    /// Values of `ARG`, `key=value`; a name alone takes its value from the environment.
    pub build_args: Option<Lines>,
    /// Secrets for `RUN --mount=type=secret`: `id=value`, `id=@file` or `id=$VARIABLE`.
    #[schemars(extend("x-secret" = true))]
    pub secrets: Option<Map>,
    /// SSH agent sockets or keys for `RUN --mount=type=ssh`.
    pub ssh: Option<Lines>,
    /// Further contexts by name, `name=path or reference`.
    pub build_contexts: Option<Map>,
    /// Where cached steps are imported from.
    pub cache_from: Option<Lines>,
    /// Where cached steps are exported to.
    pub cache_to: Option<Lines>,
    /// Push every tag. Default: false.
    pub push: Option<Flag>,
    /// Keep the image in the engine under its tags. Default: true unless `push`.
    pub load: Option<Flag>,
    /// Take no step from the cache. Default: false.
    pub no_cache: Option<Flag>,
    /// Look base images up in their registry even when the engine has them. Default: false.
    pub pull: Option<Flag>,
    /// Network of `RUN`: `default`, `host` or `none`. Default: default.
    pub network: Option<Network>,
    /// Lines of `/etc/hosts` for `RUN`: `name:address` or `name=address`.
    pub add_hosts: Option<List>,
    /// Size of `/dev/shm` for `RUN`. Default: the builder's, 64 MiB.
    pub shm_size: Option<Size>,
    /// Attach a provenance attestation. Default: none.
    pub provenance: Option<String>,
    /// Attach a bill of materials. Default: none.
    pub sbom: Option<String>,
    /// Push by digest only, without tags.
    pub digest_only: Option<Flag>,
    /// Do nothing when the registry has all tags already. Default: false.
    pub skip_if_exists: Option<Flag>,
    /// Which BuildKit builds: `auto`, `engine`, `container`, `unix://…` or `tcp://…`. Default: auto.
    pub builder: Option<String>,
    /// Image of the builder container.
    pub builder_image: Option<String>,
    /// Install emulators for foreign platforms. Default: auto.
    pub qemu: Option<String>,
    /// Point the source at another commit before the build: `go-module: <module>@<commit>` or
    /// `replace: <file>:<regex>=<text>`, one per line.
    pub update_reference: Option<Lines>,
    /// Also upload the image as a workflow artifact of this name.
    pub artifact: Option<String>,
    /// Command that is run in the built image; when it ends other than with 0 nothing is pushed.
    pub smoke: Option<String>,
    /// Largest size of the image in the engine, such as `500MB`; when it is larger nothing is pushed.
    pub max_size: Option<Size>,
    /// Treat the Dockerfile checks' warnings as failures. Default: false.
    pub lint: Option<Flag>,
    /// Pushes and existence questions are tried this often. Default: 5.
    pub attempts: Option<Count>,
}

/// The network of `RUN`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
#[schemars(inline)]
pub enum Network {
    /// The builder's own.
    Default,
    /// The builder's host's.
    Host,
    /// None.
    None,
}

impl Network {
    fn of_run(self) -> RunNetwork {
        match self {
            Self::Default => RunNetwork::Sandbox,
            Self::Host => RunNetwork::Host,
            Self::None => RunNetwork::None,
        }
    }
}

/// Where the files come from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Source {
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

/// What the inputs ask for, valid.
#[derive(Debug)]
pub(super) struct Settings {
    pub(super) source: Source,
    pub(super) context: PathBuf,
    pub(super) file: PathBuf,
    pub(super) target: Option<String>,
    pub(super) platform: Option<String>,
    pub(super) tags: Vec<ImageRef>,
    pub(super) labels: Vec<(String, String)>,
    pub(super) build_args: Vec<(String, String)>,
    pub(super) secrets: Vec<BuildSecret>,
    pub(super) push: bool,
    pub(super) load: bool,
    pub(super) cache: CacheUse,
    pub(super) pull: Pull,
    pub(super) network: RunNetwork,
    pub(super) add_hosts: Vec<(String, String)>,
    pub(super) shm_size: Option<u64>,
    pub(super) skip_if_exists: bool,
    pub(super) updates: Vec<Update>,
    pub(super) smoke: Option<Vec<String>>,
    pub(super) max_size: Option<u64>,
    pub(super) lint: bool,
    pub(super) source_token: Option<secrecy::SecretString>,
}

impl Settings {
    /// Checks everything and reports all that is wrong.
    pub(super) fn from_inputs(inputs: Inputs, run: &Run) -> Result<Self, Failure> {
        let mut problems = Problems::default();
        refuse_what_is_missing(&inputs, &mut problems);
        let on = |flag: Option<Flag>| flag.is_some_and(|flag| flag.0);
        let push = on(inputs.push);
        let tags = tags(inputs.tags.as_ref(), &mut problems);
        if push && tags.is_empty() {
            problems
                .add("tags", "is required with push: name at least one full reference, such as ghcr.io/acme/app:v1");
        }
        if on(inputs.skip_if_exists) && tags.is_empty() {
            problems.add("tags", "is required with skip_if_exists: without one nothing can be looked up");
        }
        let settings = Self {
            source: source(inputs.source.as_deref(), &mut problems),
            context: inside("context", inputs.context.as_deref().unwrap_or("."), &mut problems),
            file: inside("file", inputs.file.as_deref().unwrap_or("Dockerfile"), &mut problems),
            target: inputs.target,
            platform: inputs.platforms.and_then(|list| list.0.into_iter().next()),
            tags,
            labels: inputs.labels.unwrap_or_default().0,
            build_args: build_args(inputs.build_args.as_ref(), run, &mut problems),
            secrets: secrets(inputs.secrets, run, &mut problems),
            push,
            load: inputs.load.map_or(!push, |flag| flag.0),
            cache: if on(inputs.no_cache) { CacheUse::Nothing } else { CacheUse::All },
            pull: if on(inputs.pull) { Pull::Always } else { Pull::IfMissing },
            network: inputs.network.map_or(RunNetwork::Sandbox, Network::of_run),
            add_hosts: add_hosts(inputs.add_hosts.as_ref(), &mut problems),
            shm_size: inputs.shm_size.map(|size| size.0),
            skip_if_exists: on(inputs.skip_if_exists),
            updates: updates(inputs.update_reference.as_ref(), &mut problems),
            smoke: inputs.smoke.as_deref().and_then(|command| words(command, &mut problems)),
            max_size: inputs.max_size.map(|size| size.0),
            lint: on(inputs.lint),
            source_token: inputs.source_token.map(|token| token.0),
        };
        problems.into_result()?;
        Ok(settings)
    }

    /// What the build cannot do without.
    pub(super) fn needs(&self) -> Vec<Need> {
        let needs = [(self.lint, Need::Checks)];
        needs.into_iter().filter(|(needed, _)| *needed).map(|(_, need)| need).collect()
    }
}

/// Inputs whose work is not built yet are refused; to ignore them would be to lie about the image.
fn refuse_what_is_missing(inputs: &Inputs, problems: &mut Problems) {
    let off = |value: &Option<String>| value.as_deref().is_none_or(|value| matches!(value, "false" | "none" | "never"));
    let asked = [
        ("annotations", inputs.annotations.is_some()),
        ("ssh", inputs.ssh.is_some()),
        ("build_contexts", inputs.build_contexts.is_some()),
        ("cache_from", inputs.cache_from.is_some()),
        ("cache_to", inputs.cache_to.is_some()),
        ("provenance", !off(&inputs.provenance)),
        ("sbom", !off(&inputs.sbom)),
        ("digest_only", inputs.digest_only.is_some_and(|flag| flag.0)),
        ("builder_image", inputs.builder_image.is_some()),
        ("qemu", !off(&inputs.qemu) && inputs.qemu.as_deref() != Some("auto")),
        ("artifact", inputs.artifact.is_some()),
    ];
    for (name, _) in asked.into_iter().filter(|(_, asked)| *asked) {
        problems.add(name, "is not supported by this version; leave it out");
    }
    if inputs.platforms.as_ref().is_some_and(|platforms| platforms.0.len() > 1) {
        problems.add("platforms", "names several platforms, which this version cannot build at once; name one");
    }
    if let Some(builder) = inputs.builder.as_deref().filter(|builder| !matches!(*builder, "auto" | "engine")) {
        problems.add("builder", format!("is '{builder}', which this version does not support; use auto or engine"));
    }
}

fn source(text: Option<&str>, problems: &mut Problems) -> Source {
    let Some(text) = text else {
        return Source::Workspace;
    };
    let parsed = text.split_once('@').and_then(|(repository, reference)| {
        let known = reference.parse::<CommitSha>().is_ok() || reference.parse::<BranchName>().is_ok();
        Some((repository.parse().ok()?, reference.to_owned())).filter(|_| known)
    });
    match parsed {
        Some((repository, reference)) => Source::Repository { repository, reference },
        None => {
            problems.add("source", format!("is '{text}', which is not owner/repo@ref"));
            Source::Workspace
        }
    }
}

fn tags(list: Option<&List>, problems: &mut Problems) -> Vec<ImageRef> {
    let list = list.map(|list| list.0.as_slice()).unwrap_or_default();
    let mut tags: Vec<ImageRef> = Vec::new();
    for text in list {
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
fn inside(input: &str, text: &str, problems: &mut Problems) -> PathBuf {
    let path = PathBuf::from(text);
    if path.components().any(|part| part == std::path::Component::ParentDir) {
        problems.add(input, format!("is '{text}', which leaves its folder; `..` is not allowed"));
    }
    path
}

fn build_args(lines: Option<&Lines>, run: &Run, problems: &mut Problems) -> Vec<(String, String)> {
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

fn secrets(map: Option<Map>, run: &Run, problems: &mut Problems) -> Vec<BuildSecret> {
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

fn add_hosts(list: Option<&List>, problems: &mut Problems) -> Vec<(String, String)> {
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

fn updates(lines: Option<&Lines>, problems: &mut Problems) -> Vec<Update> {
    let lines = lines.map(|lines| lines.0.as_slice()).unwrap_or_default();
    let parsed = lines.iter().filter_map(|line| {
        let update: Result<Update, UpdateError> = line.parse();
        problems.check("update_reference", update)
    });
    parsed.collect()
}

fn words(command: &str, problems: &mut Problems) -> Option<Vec<String>> {
    let words = problems.check("smoke", shell::words(command))?;
    if words.is_empty() {
        problems.add("smoke", "has no command");
    }
    Some(words)
}
