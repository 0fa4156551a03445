//! Purpose: whether an image exists, asked in the way that fits: ECR's API, the registry itself, or an engine.

use tokio::sync::OnceCell;

use super::{RegistryClient, RegistryError};
use crate::domain::names::Digest;
use crate::domain::reference::{ImageRef, RegistryKind};
use crate::services::buildkit::Logins;
use crate::services::engine::{Engine, Login};

/// How existence is asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Provider {
    /// ECR's API for ECR's hosts, else the registry itself.
    #[default]
    Auto,
    /// ECR's API, whatever the host is called.
    Ecr,
    /// The registry itself.
    Oci,
}

/// The engine that may be asked instead of us.
#[derive(Clone)]
pub enum EngineAccess {
    /// None.
    Never,
    /// One at this endpoint, connected to when it is needed.
    At(String),
    /// One that is connected already.
    Connected(Box<Engine>),
}

/// The way in which an answer was found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Way {
    /// ECR's `DescribeImages`.
    Ecr,
    /// The registry itself.
    Registry,
    /// The engine: inside of a container, `localhost` is not the machine whose registry is meant.
    Engine,
}

/// An answer about an image.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Found {
    /// The image's digest; `None` when it definitely does not exist.
    pub digest: Option<Digest>,
    /// Who was asked.
    pub way: Way,
}

/// Answers whether images exist.
pub struct Existence {
    registry: RegistryClient,
    provider: Provider,
    engine: EngineAccess,
    connected: OnceCell<Option<Engine>>,
}

impl Existence {
    /// Puts the ways to ask together; nothing is asked yet.
    #[must_use]
    pub fn new(registry: RegistryClient, provider: Provider, engine: EngineAccess) -> Self {
        Self { registry, provider, engine, connected: OnceCell::new() }
    }

    /// The client for registries themselves.
    #[must_use]
    pub fn registry(&self) -> &RegistryClient {
        &self.registry
    }

    /// The digest of an image; `None` only when it definitely does not exist.
    ///
    /// # Errors
    /// Everything that is not a definite answer.
    pub async fn image_digest(&self, image: &ImageRef) -> Result<Option<Digest>, RegistryError> {
        Ok(self.find(image).await?.digest)
    }

    /// The same, and who was asked.
    ///
    /// # Errors
    /// Everything that is not a definite answer.
    pub async fn find(&self, image: &ImageRef) -> Result<Found, RegistryError> {
        let is_ecr = matches!(image.kind(), RegistryKind::Ecr { .. });
        match self.provider {
            Provider::Auto if is_ecr => self.by_ecr(image).await,
            Provider::Ecr => self.by_ecr(image).await,
            Provider::Auto | Provider::Oci if image.is_loopback() => self.on_loopback(image).await,
            Provider::Auto | Provider::Oci => self.by_registry(image).await,
        }
    }

    /// The login for a registry's host, for whoever else speaks to it on our behalf; `None` means anonymous.
    ///
    /// # Errors
    /// When a login is kept where it cannot be had, or ECR refuses one.
    pub async fn login(&self, host: &str) -> Result<Option<Login>, RegistryError> {
        self.registry.login(host).await
    }

    /// The logins for these hosts, and all others that are at hand: what a builder needs, which reads base images from
    /// registries that nobody foresees.
    ///
    /// # Errors
    /// Those of [`Self::login`].
    pub async fn logins(&self, hosts: &[&str]) -> Result<Logins, RegistryError> {
        let at_hand = self.registry.0.logins.hosts_at_hand()?;
        let mut logins = Logins::none();
        for host in at_hand.iter().map(String::as_str).chain(hosts.iter().copied()) {
            if let Some(login) = self.login(host).await? {
                logins = logins.with(host, login);
            }
        }
        Ok(logins)
    }

    async fn by_ecr(&self, image: &ImageRef) -> Result<Found, RegistryError> {
        let digest = self.registry.0.logins.ecr_digest(image).await?;
        Ok(Found { digest, way: Way::Ecr })
    }

    async fn by_registry(&self, image: &ImageRef) -> Result<Found, RegistryError> {
        let digest = self.registry.manifest_digest(image).await?;
        Ok(Found { digest, way: Way::Registry })
    }

    /// When nobody listens, the registry may be one that the engine's machine has, and we run in a container.
    async fn on_loopback(&self, image: &ImageRef) -> Result<Found, RegistryError> {
        if nobody_listens(image.registry()).await
            && let Some(engine) = self.engine().await
        {
            let login = self.login(image.registry()).await?;
            let digest = engine.distribution(&image.to_string(), login.as_ref()).await?;
            return Ok(Found { digest, way: Way::Engine });
        }
        self.by_registry(image).await
    }

    /// The engine, when there is one that answers.
    async fn engine(&self) -> Option<&Engine> {
        let connect = || async {
            match &self.engine {
                EngineAccess::Never => None,
                EngineAccess::At(endpoint) => Box::pin(Engine::connect(endpoint)).await.ok(),
                EngineAccess::Connected(engine) => Some(engine.as_ref().clone()),
            }
        };
        self.connected.get_or_init(connect).await.as_ref()
    }
}

/// Whether a connection to a registry on this machine is refused at once.
async fn nobody_listens(registry: &str) -> bool {
    let address = if registry.contains(':') { registry.to_owned() } else { format!("{registry}:80") };
    match tokio::net::TcpStream::connect(address).await {
        Ok(_) => false,
        Err(error) => error.kind() == std::io::ErrorKind::ConnectionRefused,
    }
}
