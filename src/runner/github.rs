//! Purpose: what the runner says about the run: repository, commit, event, addresses.

use std::path::{Path, PathBuf};

use secrecy::SecretString;

use super::environment::Environment;

/// The `GITHUB_*` variables, by meaning. Absent ones are `None`, so that a laptop run can tell.
#[derive(Debug, Clone, Default)]
pub struct Github {
    /// REST address, for example `https://api.github.com`, without a slash at the end.
    pub api_url: String,
    /// Web address, for example `https://github.com`, without a slash at the end.
    pub server_url: String,
    /// `owner/name`.
    pub repository: Option<String>,
    /// Commit that triggered the run; for a pull request the merge commit, not the head.
    pub sha: Option<String>,
    /// Full ref, for example `refs/heads/main`.
    pub reference: Option<String>,
    /// Head branch of a pull request.
    pub head_ref: Option<String>,
    /// Base branch of a pull request.
    pub base_ref: Option<String>,
    /// Name of the event.
    pub event_name: Option<String>,
    /// Who started the run.
    pub actor: Option<String>,
    /// Id of the run.
    pub run_id: Option<String>,
    /// Attempt of the run, starting at 1.
    pub run_attempt: Option<String>,
    /// Name of the workflow.
    pub workflow: Option<String>,
    /// File with the event's payload.
    pub event_path: Option<PathBuf>,
}

impl Github {
    /// Reads the variables.
    #[must_use]
    pub fn of(environment: &Environment) -> Self {
        let get = |name: &str| environment.get(name).map(str::to_owned);
        let url = |name: &str, default: &str| environment.get(name).unwrap_or(default).trim_end_matches('/').to_owned();
        Self {
            api_url: url("GITHUB_API_URL", "https://api.github.com"),
            server_url: url("GITHUB_SERVER_URL", "https://github.com"),
            repository: get("GITHUB_REPOSITORY"),
            sha: get("GITHUB_SHA"),
            reference: get("GITHUB_REF"),
            head_ref: get("GITHUB_HEAD_REF"),
            base_ref: get("GITHUB_BASE_REF"),
            event_name: get("GITHUB_EVENT_NAME"),
            actor: get("GITHUB_ACTOR"),
            run_id: get("GITHUB_RUN_ID"),
            run_attempt: get("GITHUB_RUN_ATTEMPT"),
            workflow: get("GITHUB_WORKFLOW"),
            event_path: get("GITHUB_EVENT_PATH").map(PathBuf::from),
        }
    }

    /// The web page of this run.
    #[must_use]
    pub fn run_url(&self) -> Option<String> {
        let (repository, run) = (self.repository.as_deref()?, self.run_id.as_deref()?);
        Some(format!("{}/{repository}/actions/runs/{run}", self.server_url))
    }
}

/// Where and with what an OIDC token of this job can be asked for; present only with `id-token: write`.
#[derive(Debug, Clone)]
pub struct OidcRequest {
    /// Address, with a query string already in it.
    pub url: String,
    /// Bearer token for that address.
    pub token: SecretString,
}

impl OidcRequest {
    /// Reads `ACTIONS_ID_TOKEN_REQUEST_URL` and `…_TOKEN`.
    #[must_use]
    pub fn of(environment: &Environment) -> Option<Self> {
        Some(Self {
            url: environment.get("ACTIONS_ID_TOKEN_REQUEST_URL")?.to_owned(),
            token: environment.get("ACTIONS_ID_TOKEN_REQUEST_TOKEN")?.into(),
        })
    }
}

/// The event's payload could not be used.
#[derive(Debug, thiserror::Error)]
pub enum EventError {
    /// The file is missing or unreadable.
    #[error("the event file {} cannot be read", .path.display())]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// The cause.
        #[source]
        source: std::io::Error,
    },
    /// The file is not JSON.
    #[error("the event file {} is not JSON", .path.display())]
    NotJson {
        /// The file.
        path: PathBuf,
        /// The cause.
        #[source]
        source: serde_json::Error,
    },
}

/// The event's payload; an empty object when there is no event, as on a laptop.
///
/// # Errors
/// [`EventError`] when the file is named but cannot be used.
pub fn read_event(path: Option<&Path>) -> Result<serde_json::Value, EventError> {
    let Some(path) = path else {
        return Ok(serde_json::Value::Object(serde_json::Map::new()));
    };
    let text = std::fs::read(path).map_err(|source| EventError::Unreadable { path: path.to_owned(), source })?;
    serde_json::from_slice(&text).map_err(|source| EventError::NotJson { path: path.to_owned(), source })
}
