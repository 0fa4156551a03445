//! Purpose: what a command gets beside its own inputs: the run it is part of.

use std::path::{Path, PathBuf};
use std::sync::OnceLock;

use secrecy::{ExposeSecret as _, SecretString};

use super::shared::{Cloud, Common, Engine, Registry};
use crate::config::Config;
use crate::domain::event::{Event, Surroundings};
use crate::runner::{
    CancelToken, Clock, Environment, Exports, Failure, Github, Kind, Log, OidcRequest, Random, State, Summary,
    read_event,
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
    /// Variables for later steps.
    pub exports: Exports,
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

    /// The runner's temporary folder, as this process reaches it; the runner empties it between jobs.
    #[must_use]
    pub fn temporary_folder(&self) -> PathBuf {
        self.environment.temporary()
    }

    /// The same folder as steps on the machine itself reach it. In a container the runner mounts it under another
    /// name (actions/runner, `ContainerActionHandler`); on the machine it stands beside the folder of the repository
    /// (`<work>/<repository>` and `<work>/_temp`), which alone keeps its name.
    #[must_use]
    pub fn temporary_folder_of_machine(&self) -> PathBuf {
        folder_of_machine(self.environment.temporary(), self.environment.get("RUNNER_WORKSPACE"))
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

/// A temporary folder under the machine's name for it; `repository` is `RUNNER_WORKSPACE`.
fn folder_of_machine(inside: PathBuf, repository: Option<&str>) -> PathBuf {
    if inside != Path::new("/github/runner_temp") {
        return inside;
    }
    let work = repository.and_then(|repository| Path::new(repository).parent());
    work.map_or(inside, |work| work.join("_temp"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_machine_knows_the_temporary_folder_by_another_name_than_a_container() {
        let of = |inside: &str, repository| folder_of_machine(inside.into(), repository);
        let mounted = "/github/runner_temp";
        assert_eq!(of(mounted, Some("/home/runner/work/app")), Path::new("/home/runner/work/_temp"));
        assert_eq!(of(mounted, None), Path::new(mounted));
        assert_eq!(of("/tmp", Some("/home/runner/work/app")), Path::new("/tmp"));
    }
}
