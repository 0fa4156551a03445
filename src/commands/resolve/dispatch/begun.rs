//! Purpose: what was started, kept in the state so that the post step can take back the run that a killed step left.

use std::time::Duration;

use secrecy::SecretString;
use serde::{Deserialize, Serialize};

use super::{Start, Trigger};
use crate::commands::run::Run;
use crate::commands::upstream::Clients;
use crate::domain::names::RepositoryName;
use crate::runner::{Failure, Kind, input_pairs};
use crate::services::github::{GithubClient, GithubError, Repository, RunFilter};

/// Where the post step finds it.
const STATE: &str = "dispatched";
/// Time for taking a run back when we are cancelled.
const FAREWELL: Duration = Duration::from_secs(4);

/// In the post step: takes back a run that a killed step left.
pub(in super::super) async fn take_back_later(run: &Run) -> Result<(), Failure> {
    let Some(begun) = run.state.get(STATE).and_then(|text| serde_json::from_str::<Begun>(text).ok()) else {
        return Ok(());
    };
    // Secrets are no state: the post step has the inputs again.
    let (inputs, _) = input_pairs(&run.environment);
    let token = ["companion_token", "org_gh_token"].iter().find_map(|name| inputs.get(*name));
    let token = token.map(|token| SecretString::from(token.as_str()));
    token.iter().for_each(|token| run.mask(token));
    let companion: RepositoryName = begun.companion.parse().map_err(|error| {
        Failure::new(Kind::Work, "internal", "Internal error", "the state names no repository").caused_by(error)
    })?;
    let github = Clients::new(run).github_with(token)?;
    let repository = github.repository(&companion).await?;
    begun.take_back(&github, &repository, run).await;
    Ok(())
}

/// What was started, as far as it is needed to find it and take it back.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Begun {
    companion: String,
    trigger: Trigger,
    nonce: String,
    /// Nothing that began earlier is it.
    since: jiff::Timestamp,
    /// The run's number, once it is known.
    pub(super) run: Option<u64>,
}

impl Begun {
    pub(super) fn of(start: &Start, since: jiff::Timestamp) -> Self {
        let (trigger, nonce) = (start.trigger.clone(), start.nonce.clone());
        Self { companion: start.companion.to_string(), trigger, nonce, since, run: None }
    }

    /// Leaves it for the post step.
    pub(super) fn save(&self, run: &Run) -> Result<(), Failure> {
        let begun = serde_json::to_string(self).unwrap_or_default();
        run.state.save(STATE, &begun).map_err(|source| {
            let message = "the clean-up of this step cannot be prepared";
            Failure::new(Kind::Work, "state-unwritable", "State not saved", message).caused_by(source)
        })
    }

    /// Looks for the run whose title holds the nonce.
    pub(super) async fn listed(
        &self,
        github: &GithubClient,
        repository: &Repository,
    ) -> Result<Option<u64>, GithubError> {
        let (workflow, event) = match &self.trigger {
            Trigger::Workflow { workflow, .. } => (Some(workflow.clone()), "workflow_dispatch"),
            Trigger::Event(_) => (None, "repository_dispatch"),
        };
        let filter = RunFilter {
            workflow,
            event: Some(event.to_owned()),
            created: Some(format!(">={}", self.since.strftime("%Y-%m-%dT%H:%M:%SZ"))),
            ..RunFilter::default()
        };
        let mut runs = github.workflow_runs(repository, &filter);
        while let Some(run) = runs.next().await? {
            if run.display_title.contains(&self.nonce) {
                return Ok(Some(run.id));
            }
        }
        Ok(None)
    }

    /// Takes the run back as far as it is known and time allows; its number when it was taken back.
    pub(super) async fn take_back(&self, github: &GithubClient, repository: &Repository, run: &Run) -> Option<u64> {
        let taking = async {
            let id = match self.run {
                Some(id) => Some(id),
                None => self.listed(github, repository).await?,
            };
            match id {
                Some(id) => github.cancel_run(repository, id).await.map(|()| Some(id)),
                None => Ok(None),
            }
        };
        let (log, what) = (&run.log, self.trigger.of(&self.companion));
        let taken = tokio::time::timeout(FAREWELL, taking).await;
        match &taken {
            Ok(Ok(Some(id))) => log.info(format!("the run {id} of {} was cancelled", self.companion)),
            Ok(Ok(None)) => log.warn("Run left", format!("the run of {what} was not found and goes on")),
            Ok(Err(error)) => log.warn("Run left", format!("the run of {what} goes on: {error}")),
            Err(_) => log.warn("Run left", format!("the run of {what} may go on: no answer in time")),
        }
        taken.ok().and_then(Result::ok).flatten()
    }
}

/// There is nothing to take back any more.
pub(super) fn forget(run: &Run) {
    if let Err(error) = run.state.save(STATE, "") {
        run.log.debug(format!("the post step will look once more: {error}"));
    }
}
