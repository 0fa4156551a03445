//! Purpose: logins out of docker's own configuration file, as `docker login` leaves them.

use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use secrecy::SecretString;
use serde::Deserialize;

use super::RegistryError;
use crate::services::engine::Login;

/// Under this name docker keeps Docker Hub's login.
const DOCKER_HUB: &str = "index.docker.io";

#[derive(Default, Deserialize)]
#[serde(default)]
struct File {
    auths: BTreeMap<String, Auth>,
    #[serde(rename = "credHelpers")]
    helpers: BTreeMap<String, String>,
    #[serde(rename = "credsStore")]
    store: Option<String>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Auth {
    auth: Option<SecretString>,
    username: Option<String>,
    password: Option<SecretString>,
    #[serde(rename = "identitytoken")]
    identity_token: Option<SecretString>,
}

/// Docker's configuration file; one that does not exist knows no logins.
pub(super) struct DockerConfig {
    path: PathBuf,
    file: File,
}

impl DockerConfig {
    /// Reads `config.json` in a folder.
    pub(super) fn read(folder: &Path) -> Result<Self, RegistryError> {
        let path = folder.join("config.json");
        let unusable = |source| RegistryError::DockerConfig { path: path.clone(), source };
        let file = match std::fs::read(&path) {
            Ok(text) => serde_json::from_slice(&text).map_err(|error| unusable(error.into()))?,
            Err(error) if error.kind() == io::ErrorKind::NotFound => File::default(),
            Err(error) => return Err(unusable(error)),
        };
        Ok(Self { path, file })
    }

    /// The login for a registry's host.
    pub(super) fn login(&self, host: &str) -> Result<Option<Login>, RegistryError> {
        let wanted = if host == "docker.io" { DOCKER_HUB } else { host };
        let elsewhere = |place: String| RegistryError::Unreachable { registry: host.to_owned(), place };
        let named = |(name, _): &(&String, &String)| host_of(name) == wanted;
        if let Some((_, helper)) = self.file.helpers.iter().find(named) {
            return Err(elsewhere(format!("the credential helper docker-credential-{helper}")));
        }
        let Some((_, auth)) = self.file.auths.iter().find(|(name, _)| host_of(name) == wanted) else {
            return Ok(None);
        };
        if let (Some(username), Some(password)) = (&auth.username, &auth.password) {
            return Ok(Some(Login { username: username.clone(), password: password.clone() }));
        }
        if let Some(encoded) = &auth.auth {
            return self.decoded(encoded).map(Some);
        }
        if auth.identity_token.is_some() {
            return Err(elsewhere("an identity token".to_owned()));
        }
        match &self.file.store {
            Some(store) => Err(elsewhere(format!("the credential store docker-credential-{store}"))),
            None => Ok(None),
        }
    }

    /// The hosts whose logins are in the file itself.
    pub(super) fn hosts(&self) -> Vec<String> {
        let names = self.file.auths.keys().map(|name| match host_of(name) {
            DOCKER_HUB => "docker.io".to_owned(),
            host => host.to_owned(),
        });
        names.filter(|host| matches!(self.login(host), Ok(Some(_)))).collect()
    }

    fn decoded(&self, encoded: &SecretString) -> Result<Login, RegistryError> {
        use secrecy::ExposeSecret as _;
        let bytes = BASE64_STANDARD.decode(encoded.expose_secret().trim()).ok();
        let text = bytes.and_then(|bytes| String::from_utf8(bytes).ok());
        let pair = text.as_deref().and_then(|text| text.split_once(':'));
        let (username, password) = pair.ok_or_else(|| RegistryError::DockerConfig {
            path: self.path.clone(),
            source: io::Error::new(io::ErrorKind::InvalidData, "an `auth` is not base64 of user:password"),
        })?;
        Ok(Login { username: username.to_owned(), password: password.into() })
    }
}

/// Names are hosts, or addresses of old with scheme and path.
fn host_of(name: &str) -> &str {
    let name = name.split_once("://").map_or(name, |(_, rest)| rest);
    name.split_once('/').map_or(name, |(host, _)| host)
}

#[cfg(test)]
mod tests {
    use super::*;
    use secrecy::ExposeSecret as _;

    fn login(config: &str, host: &str) -> Result<Option<(String, String)>, RegistryError> {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("config.json"), config).unwrap();
        let login = DockerConfig::read(folder.path())?.login(host)?;
        Ok(login.map(|login| (login.username, login.password.expose_secret().to_owned())))
    }

    fn pair(user: &str, password: &str) -> Option<(String, String)> {
        Some((user.into(), password.into()))
    }

    #[test]
    fn reads_logins_as_docker_writes_them() {
        let config = r#"{"auths":{"https://index.docker.io/v1/":{"auth":"bWU6cGE6c3M="},"ghcr.io":{"username":"u","password":"p"},"local:5000":{}}}"#;
        assert_eq!(login(config, "docker.io").unwrap(), pair("me", "pa:ss"));
        assert_eq!(login(config, "ghcr.io").unwrap(), pair("u", "p"));
        for none in ["local:5000", "local", "quay.io"] {
            assert_eq!(login(config, none).unwrap(), None, "{none}");
        }
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("config.json"), config).unwrap();
        let hosts = DockerConfig::read(folder.path()).unwrap().hosts();
        assert_eq!(hosts, ["ghcr.io", "docker.io"]);
        let nowhere = tempfile::tempdir().unwrap();
        assert!(DockerConfig::read(nowhere.path()).unwrap().login("ghcr.io").unwrap().is_none());
    }

    #[test]
    fn says_where_a_login_is_that_cannot_be_reached() {
        let said = |config: &str| login(config, "gcr.io").unwrap_err().to_string();
        let helper = said(r#"{"credHelpers":{"gcr.io":"gcloud"}}"#);
        assert!(helper.contains("docker-credential-gcloud") && helper.contains("gcr.io"), "{helper}");
        assert!(said(r#"{"credsStore":"desktop","auths":{"gcr.io":{}}}"#).contains("docker-credential-desktop"));
        assert!(said(r#"{"auths":{"gcr.io":{"identitytoken":"x"}}}"#).contains("identity token"));
        assert!(said(r#"{"auths":{"gcr.io":{"auth":"!!"}}}"#).contains("config.json"));
        assert!(said("{").contains("config.json"));
        assert_eq!(login(r#"{"credsStore":"desktop"}"#, "gcr.io").unwrap(), None);
    }
}
