//! Purpose: a Docker Engine's REST side: what it is, its images, moving them to and from registries, its containers.
//!
//! ```ignore
//! let engine = Engine::connect("unix:///var/run/docker.sock").await?;
//! if engine.info().store == Store::Graph { /* one platform per image */ }
//! engine.tag("sha256:…", "ghcr.io/acme/app:v1").await?;
//! let digest = engine.push("ghcr.io/acme/app:v1", Some(&login), |step| log(step)).await?;
//! assert_eq!(engine.distribution("ghcr.io/acme/app:v1", Some(&login)).await?, Some(digest));
//! let loaded = engine.load(tar_stream).await?;                            // constant memory; `save` is the reverse
//!
//! let exit = engine.run(&OneShot { .. }, |stream, bytes| log(bytes)).await?; // one command, removed in every case
//! let id = engine.create(&ContainerSpec { ports, ..ContainerSpec::new("nginx:1.27") }).await?;
//! engine.copy_in(&id, "/etc/nginx", tar).await?;                          // before the start, as a stream
//! engine.start(&id).await?;                                               // `EngineError::Start` says what stood in the way
//! let state = engine.container(&id).await?.map(|found| found.state);      // exit code, out of memory, health and its log
//! let code = engine.exec(&id, &Exec { command, ..Exec::default() }, |stream, bytes| log(bytes)).await?;
//! let lines = engine.last_logs(&id, 200).await?;
//! engine.remove(&id).await?;                                              // gone already is a success
//! let ourselves = engine.own_container().await?;                          // `join` its networks to reach the others
//! ```
//!
//! Dropping a future gives the request up; [`Engine::run`] removes its container even then.

mod answer;
mod client;
mod container;
mod dial;
mod endpoint;
mod error;
mod exec;
mod files;
mod lifecycle;
mod logs;
mod networks;
mod spec;
mod transfer;

pub(crate) use answer::class_of_words;
pub use endpoint::{Endpoint, EndpointError};
pub use error::{EngineError, StartCause};
pub use exec::Exec;
pub use files::Loaded;
pub use logs::LogLine;
pub use spec::{Access, ContainerSpec, Init, Mount, Network, Privilege};

use std::collections::BTreeMap;

use bollard::Docker;
use bollard::models::ImageInspect;
use bollard::query_parameters::{RemoveImageOptions, TagImageOptions};
use secrecy::SecretString;

use crate::domain::names::Digest;
use crate::services::http::{Repeat, RetryPolicy};

/// The oldest engine that is supported: the first with an embedded BuildKit that has what we need.
pub const OLDEST_ENGINE: &str = "20.10";

/// A user and password (or token) for one registry.
#[derive(Debug, Clone)]
pub struct Login {
    /// User name.
    pub username: String,
    /// Password or token.
    pub password: SecretString,
}

/// How an engine stores images; it decides what its builder can export.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Store {
    /// Graph drivers: one platform per image, no attestations, the image id is the config's digest.
    Graph,
    /// containerd's content store: indexes, attestations, the image id is the manifest's or index's digest.
    Containerd,
}

/// What an engine says about itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EngineInfo {
    /// The engine's version, `28.0.4`.
    pub version: String,
    /// The newest API version that it speaks, `1.48`.
    pub api_version: String,
    /// How it stores images.
    pub store: Store,
    /// Its own platform, `linux/amd64`.
    pub platform: String,
}

/// An image of the engine.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Image {
    /// What the engine calls it: the config's digest (graph store) or the manifest's or index's (containerd store).
    pub id: String,
    /// Names with tags.
    pub tags: Vec<String>,
    /// Names with digests, known after a push or pull.
    pub digests: Vec<String>,
    /// Bytes, unpacked (graph store) or as the containerd store counts them.
    pub size: u64,
    /// `linux/arm64/v8`.
    pub platform: String,
    /// Labels of its config.
    pub labels: BTreeMap<String, String>,
    /// When it was made, RFC 3339, if it says so.
    pub created: Option<String>,
    /// `sha256:…` of each layer's unpacked content, the lowest first.
    pub layers: Vec<String>,
}

/// A step of a push or pull, as the engine tells it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TransferStep {
    /// Layer or reference; empty when the step is about the whole.
    pub id: String,
    /// `Pushing`, `Layer already exists`, `Retrying in 2 seconds` …
    pub status: String,
    /// Bytes done, when the engine counts.
    pub current: u64,
    /// Bytes in all; 0 when unknown.
    pub total: u64,
}

/// A container that runs one command to its end.
#[derive(Debug, Clone, Default)]
pub struct OneShot {
    /// The image, by id or reference; must be in the engine.
    pub image: String,
    /// The command; empty keeps the image's own.
    pub command: Vec<String>,
    /// Replaces the image's entry point when given.
    pub entrypoint: Option<Vec<String>>,
    /// Environment variables.
    pub environment: BTreeMap<String, String>,
    /// The network to join; `None` is the engine's default.
    pub network: Option<String>,
}

/// How a one-shot container ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Exit {
    /// The exit code; 137 after a kill.
    pub code: i64,
    /// Whether the kernel killed it for want of memory.
    pub out_of_memory: bool,
}

/// A Docker Engine that answered.
#[derive(Debug, Clone)]
pub struct Engine {
    docker: Docker,
    endpoint: Endpoint,
    info: EngineInfo,
    policy: RetryPolicy,
}

impl Engine {
    /// Connects to `unix:///path`, a bare path, `tcp://host:port` or `http://host:port`, and asks what is there.
    ///
    /// # Errors
    /// [`EngineError::Endpoint`], [`EngineError::NotAnswering`], [`EngineError::TooOld`].
    pub async fn connect(endpoint: &str) -> Result<Self, EngineError> {
        let endpoint: Endpoint = endpoint.parse()?;
        let (docker, info) = client::connect(&endpoint).await?;
        Ok(Self { docker, endpoint, info, policy: RetryPolicy::default() })
    }

    /// The same engine, asked with another patience.
    #[must_use]
    pub fn with_retry(self, policy: RetryPolicy) -> Self {
        Self { policy, ..self }
    }

    /// Where the engine listens.
    #[must_use]
    pub fn endpoint(&self) -> &Endpoint {
        &self.endpoint
    }

    /// What the engine said about itself.
    #[must_use]
    pub fn info(&self) -> &EngineInfo {
        &self.info
    }

    /// The image of that id or reference; `None` when the engine says it has none.
    ///
    /// # Errors
    /// Anything but a definite answer.
    pub async fn image(&self, reference: &str) -> Result<Option<Image>, EngineError> {
        let action = || format!("looking for the image {reference}");
        match self.docker.inspect_image(reference).await {
            Ok(found) => Ok(Some(image(found))),
            Err(error) => match answer::failed(action(), reference, error) {
                EngineError::NotFound { .. } => Ok(None),
                error => Err(error),
            },
        }
    }

    /// Gives the image another name.
    ///
    /// # Errors
    /// [`EngineError::NotFound`] when there is no such image.
    pub async fn tag(&self, image: &str, reference: &str) -> Result<(), EngineError> {
        let (repository, tag) = split_tag(reference);
        let options = TagImageOptions { repo: Some(repository.to_owned()), tag: tag.map(str::to_owned) };
        let action = || format!("naming the image {reference}");
        self.docker.tag_image(image, Some(options)).await.map_err(|error| answer::failed(action(), image, error))
    }

    /// Removes a name (and the image, when it was its last name). Removing what is not there is a success.
    ///
    /// # Errors
    /// Any other failure.
    pub async fn untag(&self, reference: &str) -> Result<(), EngineError> {
        let removed = self.docker.remove_image(reference, None::<RemoveImageOptions>, None).await;
        match removed.map_err(|error| answer::failed(format!("removing the name {reference}"), reference, error)) {
            Ok(_) | Err(EngineError::NotFound { .. }) => Ok(()),
            Err(error) => Err(error),
        }
    }

    /// Removes an image that has no name. One that has, that is in use, or that is not there, stays as it is.
    ///
    /// # Errors
    /// Any other failure.
    pub async fn remove_nameless(&self, id: &str) -> Result<(), EngineError> {
        let nameless = self.image(id).await?.is_some_and(|image| image.tags.is_empty());
        match if nameless { self.untag(id).await } else { Ok(()) } {
            Err(EngineError::Conflict { .. }) => Ok(()),
            removed => removed,
        }
    }

    /// The digest that the registry has for a reference, as the engine sees the registry (its mirrors, its network, its
    /// insecure registries). `None` only when the registry definitely has no such tag or repository.
    ///
    /// # Errors
    /// [`EngineError::Registry`] for everything that is no answer.
    pub async fn distribution(&self, reference: &str, login: Option<&Login>) -> Result<Option<Digest>, EngineError> {
        let asked = self.policy.run(Repeat::Always, || async move {
            let answered = self.docker.inspect_registry_image(reference, credentials(login)).await;
            answered.map_err(|error| answer::of_registry(format!("looking up {reference}"), error))
        });
        match asked.await {
            Ok(found) => answer::digest(reference, found.descriptor.digest.as_deref()).map(Some),
            Err(error) if answer::is_definite_absence(&error) => Ok(None),
            Err(error) => Err(error),
        }
    }
}

/// A reference without digest as repository and tag; a colon before a slash belongs to the registry's port.
fn split_tag(reference: &str) -> (&str, Option<&str>) {
    match reference.rsplit_once(':') {
        Some((repository, tag)) if !tag.contains('/') => (repository, Some(tag)),
        _ => (reference, None),
    }
}

impl EngineInfo {
    /// The newest API version as numbers.
    pub(crate) fn api(&self) -> (u32, u32) {
        client::parse_version(&self.api_version).unwrap_or_default()
    }
}

fn credentials(login: Option<&Login>) -> Option<bollard::auth::DockerCredentials> {
    use secrecy::ExposeSecret as _;
    login.map(|login| bollard::auth::DockerCredentials {
        username: Some(login.username.clone()),
        password: Some(login.password.expose_secret().to_owned()),
        ..bollard::auth::DockerCredentials::default()
    })
}

fn image(found: ImageInspect) -> Image {
    let parts = [found.os, found.architecture, found.variant];
    let platform: Vec<String> = parts.into_iter().flatten().filter(|part| !part.is_empty()).collect();
    Image {
        id: found.id.unwrap_or_default(),
        tags: found.repo_tags.unwrap_or_default(),
        digests: found.repo_digests.unwrap_or_default(),
        size: found.size.and_then(|size| u64::try_from(size).ok()).unwrap_or_default(),
        platform: platform.join("/"),
        labels: found.config.and_then(|config| config.labels).unwrap_or_default().into_iter().collect(),
        created: found.created,
        layers: found.root_fs.and_then(|root| root.layers).unwrap_or_default(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_port_is_no_tag() {
        assert_eq!(split_tag("localhost:5000/a/b"), ("localhost:5000/a/b", None));
        assert_eq!(split_tag("localhost:5000/a/b:v1"), ("localhost:5000/a/b", Some("v1")));
    }
}
