//! Purpose: logins as a job's later steps use them: proven, and written down as docker reads them.

use std::io::Write as _;
use std::path::{Path, PathBuf};

use secrecy::ExposeSecret as _;
use serde_json::{Map, Value, json};

use super::credentials::encoded;
use super::request::Call;
use super::{RegistryClient, RegistryError};
use crate::domain::reference::ImageName;
use crate::services::engine::Login;
use crate::services::http::is_page;

/// Under this name docker keeps Docker Hub's login.
const DOCKER_HUB: &str = "https://index.docker.io/v1/";

impl RegistryClient {
    /// Proves the login for a registry's host, as `docker login` does: by asking for the API's root.
    ///
    /// # Errors
    /// The registry's refusal of the login, and whatever asking raises.
    pub async fn prove_login(&self, host: &str) -> Result<(), RegistryError> {
        // No repository is asked for; the name only says which registry is meant and what a token is for.
        let name: ImageName = format!("{host}/landfall/login")
            .parse()
            .map_err(|_| RegistryError::BadLogin { registry: host.to_owned() })?;
        let call = Call::get(&name, String::new(), format!("the login for {host}"));
        let root = format!("{}/v2/", self.origin(&name)).parse().map_err(|_| call.malformed("at an address"))?;
        let answer = self.call_at(&call, &root).await?;
        // The specification promises a status only; a web page is a proxy that wants a login itself.
        match is_page(&answer.headers) {
            true => Err(call.malformed("a registry's but a web page")),
            false => Ok(()),
        }
    }
}

/// Docker's configuration file under construction.
#[derive(Debug, Clone, Default)]
pub struct DockerFile(Map<String, Value>);

/// Docker's configuration could not be written.
#[derive(Debug, thiserror::Error)]
#[error("docker's configuration {} cannot be written", .path.display())]
pub struct DockerFileError {
    /// The file or folder.
    pub path: PathBuf,
    /// The cause.
    #[source]
    pub source: std::io::Error,
}

impl DockerFile {
    /// Begins with what a folder's `config.json` has, so that logins of others stay; with nothing when there is none
    /// or it cannot be read. A credential store is left out: docker would ask it instead of the file.
    #[must_use]
    pub fn over(folder: Option<&Path>) -> Self {
        let text = folder.and_then(|folder| std::fs::read(folder.join("config.json")).ok());
        let mut held: Map<String, Value> = text.and_then(|text| serde_json::from_slice(&text).ok()).unwrap_or_default();
        held.remove("credsStore");
        Self(held)
    }

    /// Sets the login for a registry's host.
    pub fn set(&mut self, host: &str, login: &Login) {
        if let Some(Value::Object(helpers)) = self.0.get_mut("credHelpers") {
            helpers.remove(host);
        }
        let name = if host == "docker.io" { DOCKER_HUB } else { host };
        let auths = self.0.entry("auths").or_insert_with(|| json!({}));
        if !auths.is_object() {
            *auths = json!({});
        }
        auths[name] = json!({ "auth": encoded(login).expose_secret() });
    }

    /// Writes `config.json` into a new folder that only its owner can enter.
    ///
    /// # Errors
    /// [`DockerFileError`].
    pub fn write(&self, folder: &Path) -> Result<(), DockerFileError> {
        use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
        let failed = |path: &Path, source| DockerFileError { path: path.to_owned(), source };
        std::fs::DirBuilder::new().mode(0o700).create(folder).map_err(|source| failed(folder, source))?;
        let path = folder.join("config.json");
        let options = std::fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(&path);
        let mut file = options.map_err(|source| failed(&path, source))?;
        let text = Value::Object(self.0.clone()).to_string();
        file.write_all(text.as_bytes()).map_err(|source| failed(&path, source))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn other_logins_stay_and_stores_go() {
        let folder = tempfile::tempdir().unwrap();
        let before = json!({
            "auths": { "quay.io": { "auth": "eDp5" } },
            "credsStore": "desktop",
            "credHelpers": { "ghcr.io": "gh", "gcr.io": "gcloud" },
            "proxies": {},
        });
        std::fs::write(folder.path().join("config.json"), before.to_string()).unwrap();
        let mut file = DockerFile::over(Some(folder.path()));
        let login = Login { username: "me".into(), password: "pa:ss".into() };
        file.set("ghcr.io", &login);
        file.set("docker.io", &login);
        let place = folder.path().join("new");
        file.write(&place).unwrap();
        let written: Value = serde_json::from_slice(&std::fs::read(place.join("config.json")).unwrap()).unwrap();
        assert_eq!(
            written,
            json!({
                "auths": {
                    "quay.io": { "auth": "eDp5" },
                    "ghcr.io": { "auth": "bWU6cGE6c3M=" },
                    "https://index.docker.io/v1/": { "auth": "bWU6cGE6c3M=" },
                },
                "credHelpers": { "gcr.io": "gcloud" },
                "proxies": {},
            })
        );
        use std::os::unix::fs::PermissionsExt as _;
        let mode = |path: &Path| std::fs::metadata(path).unwrap().permissions().mode() & 0o777;
        assert_eq!((mode(&place), mode(&place.join("config.json"))), (0o700, 0o600));
        assert!(file.write(&place).is_err(), "never into a folder that somebody else made");
        assert!(DockerFile::over(None).0.is_empty());
    }
}
