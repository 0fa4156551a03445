//! Purpose: registries of the OCI distribution specification, and ECR where its own API knows better.
//!
//! The client is our own: `oci-client` 0.18 drops `Retry-After`, has no delete, and does not tell a registry's 404 from
//! that of a proxy. Manifest and configuration types are `oci_spec`'s. What commands ask most, whether an image exists,
//! goes through [`Existence`], which picks the right way to ask.
//!
//! ```ignore
//! let existence = Existence::new(RegistryClient::new(options)?, Provider::Auto, EngineAccess::At(endpoint));
//! let digest = existence.image_digest(&"ghcr.io/acme/app:v1".parse()?).await?; // `None` only when definitely absent
//! ```

mod archive;
mod authorization;
mod blobs;
mod challenge;
mod credentials;
mod docker_config;
mod ecr;
mod error;
mod existence;
mod image;
mod login;
mod manifest;
mod parts;
mod request;
mod tags;
#[cfg(test)]
mod tests;

use std::sync::Arc;
use std::time::Duration;

use authorization::Tokens;
use credentials::Logins;

use super::engine::Login;
use super::http::{self, RetryPolicy, TOTAL_TIMEOUT};
use crate::domain::reference::ImageName;

pub use archive::{ArchivePushError, ArchivePushed, Destination};
pub use blobs::{Blob, Put};
pub use credentials::LoginSources;
pub use ecr::{login as ecr_login, public_login as ecr_public_login};
pub use error::{Refused, RegistryError, Words};
pub use existence::{EngineAccess, Existence, Found, Provider, Way};
pub use login::{DockerFile, DockerFileError};
pub use manifest::{Deleted, Manifest, Parsed};
pub use tags::Tags;

/// The host behind the name `docker.io`.
const DOCKER_HUB: &str = "registry-1.docker.io";

/// What a client is made of.
pub struct RegistryOptions {
    /// Where logins come from.
    pub logins: LoginSources,
    /// Hosts, with or without port, that are spoken to over plain HTTP; loopback always is.
    pub insecure: Vec<String>,
}

/// A client for any number of registries. Clones share connections, logins and tokens.
#[derive(Clone)]
pub struct RegistryClient(Arc<Inner>);

struct Inner {
    http: reqwest::Client,
    logins: Logins,
    insecure: Vec<String>,
    tokens: Tokens,
    policy: RetryPolicy,
    timeout: Duration,
}

impl RegistryClient {
    /// Makes a client; nothing is asked yet.
    ///
    /// # Errors
    /// [`RegistryError::Setup`].
    pub fn new(options: RegistryOptions) -> Result<Self, RegistryError> {
        Self::with_policy(options, RetryPolicy::default(), TOTAL_TIMEOUT)
    }

    fn with_policy(options: RegistryOptions, policy: RetryPolicy, timeout: Duration) -> Result<Self, RegistryError> {
        Ok(Self(Arc::new(Inner {
            http: http::client().map_err(RegistryError::Setup)?,
            logins: Logins::new(options.logins),
            insecure: options.insecure,
            tokens: Tokens::default(),
            policy,
            timeout,
        })))
    }

    /// The login for a registry's host, found when first asked for; `None` means anonymous.
    ///
    /// # Errors
    /// When a login is kept where it cannot be had, or ECR refuses one.
    pub async fn login(&self, host: &str) -> Result<Option<Login>, RegistryError> {
        self.0.logins.login(host).await
    }

    /// Scheme and host of a repository's registry.
    fn origin(&self, name: &ImageName) -> String {
        let registry = name.registry();
        let host = registry.split_once(':').map_or(registry, |(host, _)| host);
        let insecure = self.0.insecure.iter().any(|listed| listed == registry || listed == host);
        match registry {
            "docker.io" => format!("https://{DOCKER_HUB}"),
            _ if insecure || name.is_loopback() => format!("http://{registry}"),
            _ => format!("https://{registry}"),
        }
    }
}
