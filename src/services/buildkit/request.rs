//! Purpose: what a build is asked to do, and what it gives back.

use std::collections::BTreeMap;
use std::path::PathBuf;

use secrecy::SecretString;

use crate::domain::names::Digest;
use crate::services::engine::Login;

/// A folder on this machine whose files the builder may ask for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LocalSource {
    /// The folder.
    pub root: PathBuf,
    /// Names the content across runs (`owner/repo`), so that a builder that lives on need not be sent unchanged files
    /// again; `None` takes the path.
    pub identity: Option<String>,
}

impl LocalSource {
    /// The folder at that path.
    #[must_use]
    pub fn new(root: impl Into<PathBuf>) -> Self {
        Self { root: root.into(), identity: None }
    }
}

/// Which Dockerfile is built.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Dockerfile {
    /// A path relative to the context's root; `Dockerfile` is the usual one.
    InContext(PathBuf),
    /// A file anywhere on this machine.
    At(PathBuf),
    /// The text itself.
    Inline(String),
}

impl Default for Dockerfile {
    fn default() -> Self {
        Self::InContext("Dockerfile".into())
    }
}

/// A secret that `RUN --mount=type=secret,id=…` may read. It never becomes part of an image, its history or a cache key.
#[derive(Debug, Clone)]
pub struct BuildSecret {
    /// The id that the Dockerfile names.
    pub id: String,
    /// Where its value comes from.
    pub value: SecretValue,
}

/// Where the value of a build secret comes from.
#[derive(Debug, Clone)]
pub enum SecretValue {
    /// The value itself.
    Text(SecretString),
    /// A file on this machine, read when the build asks for it.
    File(PathBuf),
}

/// The network of `RUN` commands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum RunNetwork {
    /// The builder's own sandbox network.
    #[default]
    Sandbox,
    /// The builder's host network; the builder must allow it.
    Host,
    /// No network.
    None,
}

/// Which steps may be taken from the cache.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum CacheUse {
    /// All.
    #[default]
    All,
    /// None.
    Nothing,
    /// All but those of the named stages.
    NotForStages(Vec<String>),
}

/// When base images are looked up in their registry.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Pull {
    /// When the builder has no image of that name.
    #[default]
    IfMissing,
    /// Always.
    Always,
}

/// Where the result goes.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum Output {
    /// Into the engine's image store, under the request's tags.
    #[default]
    EngineStore,
    /// Nowhere: the build only has to succeed.
    Nothing,
}

/// A build of one Dockerfile for one platform.
#[derive(Debug, Clone)]
pub struct BuildRequest {
    /// The files that `COPY` and `ADD` may take; `.dockerignore` is honoured.
    pub context: LocalSource,
    /// What to build.
    pub dockerfile: Dockerfile,
    /// The stage to build; `None` is the last.
    pub target: Option<String>,
    /// `ARG` values, in order.
    pub build_args: BTreeMap<String, String>,
    /// Labels of the image.
    pub labels: BTreeMap<String, String>,
    /// Secrets that the Dockerfile may mount.
    pub secrets: Vec<BuildSecret>,
    /// Lines of `/etc/hosts` for `RUN` commands: name and address (`host-gateway` is the engine's host).
    pub add_hosts: Vec<(String, String)>,
    /// The network of `RUN` commands.
    pub network: RunNetwork,
    /// Bytes of `/dev/shm` for `RUN` commands; `None` is the builder's default (64 MiB).
    pub shm_size: Option<u64>,
    /// Which steps may come from the cache.
    pub cache: CacheUse,
    /// When base images are looked up.
    pub pull: Pull,
    /// `linux/arm64`; `None` is the builder's own.
    pub platform: Option<String>,
    /// Full references (`ghcr.io/acme/app:v1`) under which the engine keeps the image.
    pub tags: Vec<String>,
    /// Where the result goes.
    pub output: Output,
}

impl BuildRequest {
    /// A build of `Dockerfile` in that folder with nothing special.
    #[must_use]
    pub fn new(context: LocalSource) -> Self {
        Self {
            context,
            dockerfile: Dockerfile::default(),
            target: None,
            build_args: BTreeMap::new(),
            labels: BTreeMap::new(),
            secrets: Vec::new(),
            add_hosts: Vec::new(),
            network: RunNetwork::default(),
            shm_size: None,
            cache: CacheUse::default(),
            pull: Pull::default(),
            platform: None,
            tags: Vec::new(),
            output: Output::default(),
        }
    }
}

/// Logins by registry host, for base images and for what the build pushes itself.
#[derive(Debug, Clone, Default)]
pub struct Logins(BTreeMap<String, Login>);

impl Logins {
    /// No login: every registry is asked anonymously.
    #[must_use]
    pub fn none() -> Self {
        Self::default()
    }

    /// Adds the login for a registry host (`ghcr.io`, `localhost:5000`, `docker.io`).
    #[must_use]
    pub fn with(mut self, host: &str, login: Login) -> Self {
        self.0.insert(canonical_host(host).to_owned(), login);
        self
    }

    /// The login for a host. Docker Hub is one registry under all its names.
    #[must_use]
    pub fn for_host(&self, host: &str) -> Option<&Login> {
        self.0.get(canonical_host(host))
    }
}

/// Docker Hub answers to several names (the API host that BuildKit asks for, the legacy index of docker's config files).
fn canonical_host(host: &str) -> &str {
    let bare = host.strip_prefix("https://").or_else(|| host.strip_prefix("http://")).unwrap_or(host);
    let bare = bare.split('/').next().unwrap_or(bare);
    match bare {
        "registry-1.docker.io" | "index.docker.io" | "auth.docker.io" => "docker.io",
        other => other,
    }
}

/// What a build gave.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Built {
    /// What the engine calls the image; usable wherever an image is named. `None` without an image.
    pub image_id: Option<String>,
    /// Digest of the image's configuration, where known.
    pub config_digest: Option<Digest>,
    /// Digest of its manifest, where known (containerd store; with the graph store only a push tells).
    pub manifest_digest: Option<Digest>,
    /// Everything that the exporter said.
    pub response: BTreeMap<String, String>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn docker_hub_is_one_registry() {
        let login = Login { username: "me".into(), password: "x".to_owned().into() };
        let logins = Logins::none().with("https://index.docker.io/v1/", login);
        assert!(logins.for_host("registry-1.docker.io").is_some());
        assert!(logins.for_host("docker.io").is_some());
        assert!(logins.for_host("ghcr.io").is_none());
    }
}
