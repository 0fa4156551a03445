//! Purpose: a BuildKit client: builds a Dockerfile with an engine's embedded BuildKit or with a BuildKit daemon.
//!
//! ```ignore
//! let engine = Engine::connect("/var/run/docker.sock").await?;
//! let builder = Builder::for_engine(&engine);
//! let (events, mut progress) = tokio::sync::mpsc::channel(256);
//! let request = BuildRequest { tags: vec!["ghcr.io/acme/app:v1".into()], ..BuildRequest::new(LocalSource::new("/src")) };
//! let logins = Logins::none().with("ghcr.io", login);
//! let mut log = BuildLog::default();
//! let build = builder.build(&request, &logins, events);
//! tokio::pin!(build);
//! let built = loop {
//!     tokio::select! {
//!         result = &mut build => break result,
//!         Some(event) = progress.recv() => for action in log.event(&event) { print(action) },
//!     }
//! };
//! while let Ok(event) = progress.try_recv() { for action in log.event(&event) { print(action) } }
//! ```
//!
//! - Dropping the future of [`Builder::build`] cancels the build on the daemon.
//! - Events are sent with back-pressure: whoever stops receiving without closing the channel never gets the result;
//!   closing the receiver is fine.
//! - Nothing is tried twice here: a build is not idempotent in time. Registry failures inside it are BuildKit's to retry.

mod connection;
mod container;
mod error;
mod failure;
mod progress;
mod request;
mod session;
mod solve;
mod sources;
mod tls;

pub use container::{BUILDER_IMAGE, BuilderContainer, SharedFolder};
pub use error::{BuildError, FailedVertex};
/// The messages of fsutil's file transfer, as they go over the wire.
pub mod wire {
    pub use super::session::{Kind, Packet, Stat};
}

pub use request::{
    AnnotationTarget, ArchiveSink, Attestation, BuildRequest, BuildSecret, Built, CacheUse, Dockerfile, LocalSource,
    Logins, Output, Pull, RunNetwork, Scheme, SecretValue, Source, SshAgent, SshSource,
};

use std::path::Path;

use bollard_buildkit_proto::moby::buildkit::v1::{InfoRequest, ListWorkersRequest};
use tokio::sync::mpsc;

use self::tls::Tls;
use crate::domain::build_event::BuildEvent;
use crate::domain::builder::{Abilities, Home};
use crate::services::engine::{Endpoint, Engine, Store};

/// The way to a BuildKit.
#[derive(Debug, Clone)]
enum Transport {
    /// Inside an engine, behind its socket.
    Engine {
        /// The engine's own endpoint.
        endpoint: Endpoint,
        /// Its newest API version.
        api: (u32, u32),
        /// How it stores images.
        store: Store,
    },
    /// A daemon of its own that speaks gRPC.
    BuildKit(Endpoint, Option<Tls>),
    /// A daemon in a container, through a program that the engine runs there.
    Container {
        /// The container's engine.
        engine: Box<Engine>,
        /// The container.
        name: String,
        /// Where the daemon listens, as the container knows it.
        address: String,
    },
}

impl Transport {
    /// Where it is, for people.
    fn place(&self) -> String {
        match self {
            Self::Engine { endpoint, .. } | Self::BuildKit(endpoint, _) => endpoint.to_string(),
            Self::Container { name, .. } => format!("container {name}"),
        }
    }

    fn is_engine(&self) -> bool {
        matches!(self, Self::Engine { .. })
    }

    fn store(&self) -> Option<Store> {
        match self {
            Self::Engine { store, .. } => Some(*store),
            Self::BuildKit(..) | Self::Container { .. } => None,
        }
    }
}

/// A BuildKit that can be asked to build.
#[derive(Debug, Clone)]
pub struct Builder {
    transport: Transport,
}

impl Builder {
    /// The BuildKit inside an engine.
    #[must_use]
    pub fn for_engine(engine: &Engine) -> Self {
        let info = engine.info();
        let endpoint = engine.endpoint().clone();
        Self { transport: Transport::Engine { endpoint, api: info.api(), store: info.store } }
    }

    /// A BuildKit daemon at `unix:///path` or `tcp://host:port`.
    ///
    /// # Errors
    /// [`BuildError::Endpoint`].
    pub fn at(endpoint: &str) -> Result<Self, BuildError> {
        Ok(Self { transport: Transport::BuildKit(endpoint.parse()?, None) })
    }

    /// The same, encrypted: `folder` has `ca.pem`, and `cert.pem` and `key.pem` when the daemon wants to know us.
    ///
    /// # Errors
    /// [`BuildError::Endpoint`], [`BuildError::Invalid`] when the folder's content cannot be used.
    pub fn with_tls(endpoint: &str, folder: &Path) -> Result<Self, BuildError> {
        Ok(Self { transport: Transport::BuildKit(endpoint.parse()?, Some(Tls::read(folder)?)) })
    }

    /// What it can do.
    ///
    /// # Errors
    /// [`BuildError::Unreachable`].
    pub async fn abilities(&self) -> Result<Abilities, BuildError> {
        match &self.transport {
            Transport::Engine { api, store: Store::Graph, .. } => Ok(Abilities::of_engine(*api, Home::GraphEngine)),
            Transport::Engine { api, store: Store::Containerd, .. } => {
                Ok(Abilities::of_engine(*api, Home::ContainerdEngine))
            }
            Transport::BuildKit(..) | Transport::Container { .. } => {
                // Those that do not tell are older than 0.11; of what 0.10 can do most is at hand.
                let version = self.version().await?.as_deref().and_then(version_of).unwrap_or((0, 10));
                Ok(Abilities { home: Home::Daemon, version })
            }
        }
    }

    /// The version of BuildKit, when it tells (0.11 and newer do).
    ///
    /// # Errors
    /// [`BuildError::Unreachable`].
    pub async fn version(&self) -> Result<Option<String>, BuildError> {
        let mut control = connection::control(connection::connect(&self.transport).await?);
        match control.info(InfoRequest {}).await {
            Ok(info) => Ok(info.into_inner().buildkit_version.map(|version| version.version)),
            Err(status) if status.code() == tonic::Code::Unimplemented => Ok(None),
            Err(status) => Err(failure::of_call(status, &self.transport, "does not answer")),
        }
    }

    /// The platforms whose programs it can run, emulated ones included.
    ///
    /// # Errors
    /// [`BuildError::Unreachable`].
    pub async fn platforms(&self) -> Result<Vec<String>, BuildError> {
        let mut control = connection::control(connection::connect(&self.transport).await?);
        let workers = control.list_workers(ListWorkersRequest { filter: Vec::new() }).await;
        let workers =
            workers.map_err(|status| failure::of_call(status, &self.transport, "does not tell its workers"))?;
        let platforms = workers.into_inner().record.into_iter().flat_map(|worker| worker.platforms);
        let text = |platform: bollard_buildkit_proto::pb::Platform| {
            let parts = [platform.os, platform.architecture, platform.variant];
            parts.into_iter().filter(|part| !part.is_empty()).collect::<Vec<_>>().join("/")
        };
        Ok(platforms.map(text).collect())
    }

    /// Builds, reporting what happens through `events`, until the result is where `request.output` wants it.
    ///
    /// # Errors
    /// [`BuildError::Failed`] when the work failed, anything else when it could not be done.
    pub async fn build(
        &self,
        request: &BuildRequest,
        logins: &Logins,
        events: mpsc::Sender<BuildEvent>,
    ) -> Result<Built, BuildError> {
        Box::pin(solve::build(&self.transport, request, logins, None, events)).await
    }

    /// The same with [`Output::Archive`], whose bytes go to `sink` as they come.
    ///
    /// # Errors
    /// Those of [`Self::build`].
    pub async fn build_archive(
        &self,
        request: &BuildRequest,
        logins: &Logins,
        sink: ArchiveSink,
        events: mpsc::Sender<BuildEvent>,
    ) -> Result<Built, BuildError> {
        Box::pin(solve::build(&self.transport, request, logins, Some(sink), events)).await
    }
}

/// Major and minor of `v0.31.2`.
fn version_of(text: &str) -> Option<(u32, u32)> {
    let mut parts = text.trim_start_matches('v').split(['.', '-', '+']);
    Some((parts.next()?.parse().ok()?, parts.next()?.parse().ok()?))
}

#[cfg(test)]
mod tests {
    #[test]
    fn versions_are_read_with_and_without_their_letter() {
        for (text, expected) in
            [("v0.31.2", Some((0, 31))), ("0.8", Some((0, 8))), ("v0.33.0-rc1", Some((0, 33))), ("master", None)]
        {
            assert_eq!(super::version_of(text), expected, "{text}");
        }
    }
}
