//! Purpose: what a command gets beside its own inputs: the run it is part of.

use std::path::PathBuf;
use std::sync::OnceLock;

use secrecy::{ExposeSecret as _, SecretString};

use super::shared::{Cloud, Common, Engine, Registry};
use crate::config::Config;
use crate::domain::event::{Event, Surroundings};
use crate::runner::{
    CancelToken, Clock, Environment, Failure, Github, Kind, Log, OidcRequest, Random, State, Summary, read_event,
};
use crate::services::SecretObserver;

/// The run of one command.
pub struct Run {
    /// Where lines, groups and annotations go.
    pub log: Log,
    /// What the runner says about the run.
    pub github: Github,
    /// The config file; empty when there is none.
    pub config: Config,
    /// Inputs that every command has.
    pub common: Common,
    /// Inputs for AWS; empty unless the command takes them.
    pub cloud: Cloud,
    /// Inputs for registries; empty unless the command takes them.
    pub registry: Registry,
    /// Inputs for the engine; empty unless the command takes them.
    pub engine: Engine,
    /// Tells whether the run was cancelled.
    pub cancel: CancelToken,
    /// The wall clock.
    pub clock: Clock,
    /// Unguessable tokens.
    pub random: Random,
    /// The job summary.
    pub summary: Summary,
    /// What the post stage needs.
    pub state: State,
    /// Where an OIDC token can be asked for.
    pub oidc: Option<OidcRequest>,
    pub(super) environment: Environment,
    pub(super) payload: OnceLock<serde_json::Value>,
}

impl Run {
    /// A variable of the environment that is no input: docker's and AWS's own settings.
    #[must_use]
    pub fn variable(&self, name: &str) -> Option<&str> {
        self.environment.get(name)
    }

    /// Whether nothing may be written anywhere.
    #[must_use]
    pub fn is_dry(&self) -> bool {
        self.common.dry_run.is_some_and(|flag| flag.0)
    }

    /// The event's payload, read once; an empty object on a laptop.
    ///
    /// # Errors
    /// Exit code 2 when the runner names a file that cannot be used.
    pub fn payload(&self) -> Result<&serde_json::Value, Failure> {
        if let Some(payload) = self.payload.get() {
            return Ok(payload);
        }
        let payload = read_event(self.github.event_path.as_deref()).map_err(|error| {
            Failure::new(Kind::Input, "event-unreadable", "Event file unreadable", "the event's payload cannot be used")
                .hint("GITHUB_EVENT_PATH must name the JSON file that the runner wrote; steps must not change it.")
                .caused_by(error)
        })?;
        Ok(self.payload.get_or_init(|| payload))
    }

    /// The event that started the run.
    ///
    /// # Errors
    /// Those of [`Self::payload`].
    pub fn event(&self) -> Result<Event, Failure> {
        let surroundings = Surroundings {
            event_name: self.github.event_name.as_deref(),
            sha: self.github.sha.as_deref(),
            reference: self.github.reference.as_deref(),
            head_ref: self.github.head_ref.as_deref(),
            base_ref: self.github.base_ref.as_deref(),
            repository: self.github.repository.as_deref(),
        };
        Ok(Event::of(&surroundings, self.payload()?))
    }

    /// The token for GitHub's API: the input, else `GITHUB_TOKEN` for use on a laptop.
    #[must_use]
    pub fn github_token(&self) -> Option<SecretString> {
        match &self.common.github_token {
            Some(token) => Some(token.0.clone()),
            None => self.environment.get("GITHUB_TOKEN").map(SecretString::from),
        }
    }

    /// The engine's endpoint.
    #[must_use]
    pub fn engine_endpoint(&self) -> String {
        let configured = self.engine.engine.as_deref().or_else(|| self.environment.get("DOCKER_HOST"));
        configured.unwrap_or("unix:///var/run/docker.sock").to_owned()
    }

    /// The workspace.
    #[must_use]
    pub fn workspace(&self) -> PathBuf {
        self.environment.workspace()
    }

    /// A new name below the runner's temporary folder; nothing is created.
    #[must_use]
    pub fn temporary_path(&self, purpose: &str) -> PathBuf {
        self.environment.temporary().join(format!("landfall-{purpose}-{}", self.random.token()))
    }

    /// The runner's temporary folder, which it empties between jobs.
    #[must_use]
    pub fn temporary_folder(&self) -> PathBuf {
        self.environment.temporary()
    }

    /// Hides a secret from log and summary.
    pub fn mask(&self, secret: &SecretString) {
        self.log.mask(secret.expose_secret());
    }

    /// What services tell their secrets to.
    #[must_use]
    pub fn secret_observer(&self) -> SecretObserver {
        let log = self.log.clone();
        std::sync::Arc::new(move |secret: &SecretString| log.mask(secret.expose_secret()))
    }

    /// Runs `work` unless the run is cancelled first; then `work` is dropped where it stands.
    ///
    /// # Errors
    /// [`Failure::cancelled`].
    pub async fn unless_cancelled<T>(&self, work: impl Future<Output = T>) -> Result<T, Failure> {
        tokio::select! {
            done = work => Ok(done),
            () = self.cancel.cancelled() => Err(Failure::cancelled()),
        }
    }
}
