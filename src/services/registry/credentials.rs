//! Purpose: which login belongs to which registry, found when it is first needed.
//!
//! In this order: the login that was given, for the registries it was given for; ECR's own token; the job's actor and
//! token on ghcr.io; docker's configuration file; none. A login never goes to a registry it was not found for.

use std::collections::HashMap;
use std::path::PathBuf;

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use secrecy::{ExposeSecret as _, SecretString};
use tokio::sync::{Mutex, OnceCell};

use super::docker_config::DockerConfig;
use super::{RegistryError, ecr};
use crate::domain::names::Digest;
use crate::domain::reference::{ImageName, ImageRef, RegistryKind};
use crate::services::SecretObserver;
use crate::services::aws::{Session, SessionOptions};
use crate::services::engine::Login;

/// Where logins come from.
#[derive(Clone)]
pub struct LoginSources {
    /// The login that was given, and the hosts of the registries it was given for.
    pub given: Option<(Login, Vec<String>)>,
    /// The login for ghcr.io: the job's actor and token.
    pub ghcr: Option<Login>,
    /// What an AWS session is made of, for ECR.
    pub aws: Option<SessionOptions>,
    /// Folder of docker's configuration.
    pub docker_config: Option<PathBuf>,
    /// Told every password and token before its first use.
    pub secrets: SecretObserver,
}

/// The logins of one run.
pub(super) struct Logins {
    sources: LoginSources,
    found: Mutex<HashMap<String, Option<Login>>>,
    session: OnceCell<Session>,
}

impl Logins {
    pub(super) fn new(sources: LoginSources) -> Self {
        Self { sources, found: Mutex::default(), session: OnceCell::new() }
    }

    pub(super) fn secrets(&self) -> &SecretObserver {
        &self.sources.secrets
    }

    /// The login for a registry's host; `None` means anonymous.
    pub(super) async fn login(&self, host: &str) -> Result<Option<Login>, RegistryError> {
        let mut found = self.found.lock().await;
        if let Some(login) = found.get(host) {
            return Ok(login.clone());
        }
        let login = Box::pin(self.find(host)).await?;
        if let Some(login) = &login {
            (self.sources.secrets)(&login.password);
            // What a `Basic` header carries, in case an error of somebody else's shows one.
            (self.sources.secrets)(&encoded(login));
        }
        found.insert(host.to_owned(), login.clone());
        Ok(login)
    }

    /// The hosts whose logins are at hand without asking anyone.
    pub(super) fn hosts_at_hand(&self) -> Result<Vec<String>, RegistryError> {
        let given = self.sources.given.iter().flat_map(|(_, hosts)| hosts.clone());
        let ghcr = self.sources.ghcr.iter().map(|_| "ghcr.io".to_owned());
        let mut hosts: Vec<String> = given.chain(ghcr).collect();
        if let Some(folder) = &self.sources.docker_config {
            hosts.extend(DockerConfig::read(folder)?.hosts());
        }
        Ok(hosts)
    }

    async fn find(&self, host: &str) -> Result<Option<Login>, RegistryError> {
        if let Some((login, hosts)) = &self.sources.given
            && hosts.iter().any(|given| given == host)
        {
            return Ok(Some(login.clone()));
        }
        match RegistryKind::of(host) {
            RegistryKind::Ecr { region, .. } if self.sources.aws.is_some() => {
                let session = self.session(Some(&region)).await?;
                return ecr::login(session, &region, &self.sources.secrets).await.map(Some);
            }
            RegistryKind::Ghcr if self.sources.ghcr.is_some() => {
                return Ok(self.sources.ghcr.clone());
            }
            _ => {}
        }
        match &self.sources.docker_config {
            Some(folder) => DockerConfig::read(folder)?.login(host),
            None => Ok(None),
        }
    }

    /// The digest of an image by ECR's own API.
    pub(super) async fn ecr_digest(&self, image: &ImageRef) -> Result<Option<Digest>, RegistryError> {
        let (account, region) = account_and_region(image.name());
        let session = self.session(region.as_deref()).await?;
        Box::pin(ecr::digest(session, account, region, image)).await
    }

    /// The AWS session; the region of the first ECR host serves when no other is set.
    async fn session(&self, region: Option<&str>) -> Result<&Session, RegistryError> {
        let connect = || async {
            let options = self.sources.aws.clone().ok_or(crate::services::aws::AwsError::NoCredentials)?;
            let region = options.region.clone().or_else(|| region.map(str::to_owned));
            Box::pin(Session::connect(SessionOptions { region, ..options })).await
        };
        Ok(self.session.get_or_try_init(connect).await?)
    }
}

fn account_and_region(name: &ImageName) -> (Option<String>, Option<String>) {
    match name.kind() {
        RegistryKind::Ecr { account, region } => (Some(account), Some(region)),
        _ => (None, None),
    }
}

/// User name and password as a `Basic` header has them (RFC 7617).
pub(super) fn encoded(login: &Login) -> SecretString {
    BASE64_STANDARD.encode(format!("{}:{}", login.username, login.password.expose_secret())).into()
}
