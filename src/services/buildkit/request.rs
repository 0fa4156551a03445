//! Purpose: what a build is asked to do, and what it gives back.

use std::collections::BTreeMap;
use std::io;
use std::path::PathBuf;

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use bytes::Bytes;
use futures_util::Stream;
use secrecy::SecretString;
use tokio::sync::mpsc;

use crate::domain::cache_option::CacheEntry;
use crate::domain::names::Digest;
use crate::domain::ssh_key::PrivateKey;
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

/// Where the files of a build come from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Source {
    /// A folder on this machine.
    Local(LocalSource),
    /// What the builder fetches itself: a git repository (`https://…/app.git#main:folder`), an archive at a URL, or, as a
    /// named context only, an image (`docker-image://…`).
    Remote(String),
}

impl From<LocalSource> for Source {
    fn from(source: LocalSource) -> Self {
        Self::Local(source)
    }
}

/// An SSH agent that `RUN --mount=type=ssh` may use.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SshAgent {
    /// The id that the Dockerfile names; `default` when it names none.
    pub id: String,
    /// Who signs.
    pub source: SshSource,
}

/// Who signs for an SSH agent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SshSource {
    /// An agent of this machine, at its socket.
    Socket(PathBuf),
    /// We ourselves, with these keys, which the builder never sees.
    Keys(Vec<PrivateKey>),
}

/// A statement about the image that the builder attaches to it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Attestation {
    /// How it was built.
    Provenance,
    /// What is in it.
    Sbom,
}

/// What an annotation is attached to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum AnnotationTarget {
    /// The manifest of each platform.
    Manifest,
    /// The index.
    Index,
    /// The manifests' descriptors in the index.
    ManifestDescriptor,
}

/// Where the bytes of an archive go, piece by piece, while the builder makes it.
#[derive(Debug, Clone)]
pub struct ArchiveSink(pub(super) mpsc::Sender<io::Result<Bytes>>);

/// Pieces of an archive that may wait; each is at most 3 MiB long.
const WAITING_PIECES: usize = 4;

impl ArchiveSink {
    /// A sink, and what comes out of it. A stream that ends without an error is complete.
    #[must_use]
    pub fn new() -> (Self, mpsc::Receiver<io::Result<Bytes>>) {
        let (sender, receiver) = mpsc::channel(WAITING_PIECES);
        (Self(sender), receiver)
    }

    /// What comes out, as a stream that ends with an error when the archive is not complete: half an image must not pass
    /// for a whole one.
    pub fn whole(pieces: mpsc::Receiver<io::Result<Bytes>>) -> impl Stream<Item = io::Result<Bytes>> + Send + 'static {
        futures_util::stream::unfold(Some(pieces), |pieces| async {
            let mut pieces = pieces?;
            match pieces.recv().await {
                Some(Ok(piece)) if piece.is_empty() => None,
                Some(piece) => Some((piece, Some(pieces))),
                None => Some((Err(io::Error::new(io::ErrorKind::UnexpectedEof, "the builder broke off")), None)),
            }
        })
    }

    /// Says that the archive is complete: an empty piece.
    pub(super) async fn end(&self) {
        // Whoever does not listen any more does not wait for the end either.
        let _ = self.0.send(Ok(Bytes::new())).await;
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
    /// To registries, by the builder itself.
    Push {
        /// Full references (`ghcr.io/acme/app:v1`).
        tags: Vec<String>,
        /// How they are spoken to.
        scheme: Scheme,
    },
    /// To registries, by the builder itself, by digest alone.
    PushDigest {
        /// Repositories without tags (`ghcr.io/acme/app`).
        repositories: Vec<String>,
        /// How they are spoken to.
        scheme: Scheme,
    },
    /// To us, as an archive that `docker load` reads.
    Archive,
}

/// How a registry is spoken to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Scheme {
    /// Encrypted; loopback is plain all the same.
    #[default]
    Secure,
    /// Plain HTTP, or a certificate that nobody vouches for.
    Insecure,
}

/// A build of one Dockerfile.
#[derive(Debug, Clone)]
pub struct BuildRequest {
    /// The files that `COPY` and `ADD` may take; `.dockerignore` is honoured.
    pub context: Source,
    /// Further contexts, by the name that the Dockerfile knows.
    pub contexts: BTreeMap<String, Source>,
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
    /// `linux/arm64`; none is the builder's own, several are one index.
    pub platforms: Vec<String>,
    /// SSH agents that the Dockerfile may use.
    pub ssh: Vec<SshAgent>,
    /// Annotations of manifests and index.
    pub annotations: Vec<(AnnotationTarget, String, String)>,
    /// What is attached to the image, with the builder's settings for it (`mode=max`).
    pub attestations: BTreeMap<Attestation, String>,
    /// Where steps may be taken from.
    pub cache_from: Vec<CacheEntry>,
    /// Where steps are kept.
    pub cache_to: Vec<CacheEntry>,
    /// Full references (`ghcr.io/acme/app:v1`) under which the engine keeps the image.
    pub tags: Vec<String>,
    /// Where the result goes.
    pub output: Output,
}

impl BuildRequest {
    /// A build of `Dockerfile` in that folder with nothing special.
    #[must_use]
    pub fn new(context: impl Into<Source>) -> Self {
        Self {
            context: context.into(),
            contexts: BTreeMap::new(),
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
            platforms: Vec::new(),
            ssh: Vec::new(),
            annotations: Vec::new(),
            attestations: BTreeMap::new(),
            cache_from: Vec::new(),
            cache_to: Vec::new(),
            tags: Vec::new(),
            output: Output::default(),
        }
    }
}

impl BuildRequest {
    /// Folders that hold a cache, with the tag by which it is found there.
    pub(super) fn cache_folders(&self) -> impl Iterator<Item = (PathBuf, String)> {
        let place = |key: &'static str| {
            move |entry: &CacheEntry| {
                let folder = entry.attributes.get(key).filter(|_| entry.kind == "local")?;
                let tag = entry.attributes.get("tag").map_or("latest", String::as_str);
                Some((PathBuf::from(folder), tag.to_owned()))
            }
        };
        self.cache_to.iter().filter_map(place("dest")).chain(self.cache_from.iter().filter_map(place("src")))
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

impl Built {
    /// What the exporter said, as JSON; values that are encoded JSON themselves are opened.
    #[must_use]
    pub fn metadata(&self) -> serde_json::Value {
        let open = |text: &str| -> Option<serde_json::Value> {
            let decoded = BASE64_STANDARD.decode(text).ok()?;
            serde_json::from_slice(&decoded).ok().filter(serde_json::Value::is_object)
        };
        let entry = |(key, value): (&String, &String)| {
            (key.clone(), open(value).unwrap_or_else(|| serde_json::Value::String(value.clone())))
        };
        serde_json::Value::Object(self.response.iter().map(entry).collect())
    }
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
