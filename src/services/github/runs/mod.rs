//! Purpose: workflow runs and their jobs: listed, read, started by a dispatch, cancelled.
//!
//! ```ignore
//! let mut runs = github.workflow_runs(&repository, &RunFilter { branch: Some("main".into()), ..RunFilter::default() });
//! while let Some(run) = runs.next().await? { /* newest first */ }
//! let started = github.dispatch_workflow(&repository, "build.yml", "main", &inputs).await?;
//! if let Some(run) = started { /* the server said which run it made */ }
//! ```
//!
//! GitHub gives at most [`MOST_FILTERED`] runs to a question with a filter, and does not say when there are more:
//! compare [`Pages::total`] with it, and ask for shorter spans of `created` (GitHub documentation, "list workflow runs").

use std::collections::BTreeMap;

use http::Method;
use serde::Deserialize;
use serde_json::{Value, json};

use super::pages::Pages;
use super::route::Route;
use super::write::NOTHING;
use super::{Asked, GithubClient, GithubError, Repository};
use crate::domain::names::{CommitSha, RepositoryName};
use crate::services::http::Repeat;

mod page;
mod shapes;
#[cfg(test)]
mod tests;

pub use page::RunPage;
pub use shapes::{Conclusion, Job, JobStep, RunStatus, Workflow, WorkflowRun};

/// The most runs that a listing with a filter gives.
pub const MOST_FILTERED: u64 = 1000;

/// What reading runs needs.
const READ: &str = "actions: read";
/// What starting and ending them needs.
const WRITE: &str = "actions: write";

/// Which runs are listed; what is not set does not matter.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct RunFilter {
    /// The workflow, by file name (`build.yml`) or number.
    pub workflow: Option<String>,
    /// The branch that the run belongs to.
    pub branch: Option<String>,
    /// The event that started it: `push`, `workflow_dispatch`.
    pub event: Option<String>,
    /// A status (`queued`, `in_progress`, `completed`, …) or a conclusion (`success`, `failure`, …).
    pub status: Option<String>,
    /// When it was made: `>=2026-01-01`, `2026-01-01..2026-01-31T12:00:00Z` (GitHub's search syntax for dates).
    pub created: Option<String>,
    /// The commit it ran on.
    pub head_sha: Option<CommitSha>,
    /// The login of who started it.
    pub actor: Option<String>,
}

impl RunFilter {
    fn route(&self, repository: &RepositoryName) -> Route {
        let route = match &self.workflow {
            Some(workflow) => Route::of(repository).words("/actions/workflows").name(workflow).words("/runs"),
            None => Route::of(repository).words("/actions/runs"),
        };
        let parts = [
            ("branch", self.branch.as_deref()),
            ("event", self.event.as_deref()),
            ("status", self.status.as_deref()),
            ("created", self.created.as_deref()),
            ("head_sha", self.head_sha.as_ref().map(CommitSha::as_str)),
            ("actor", self.actor.as_deref()),
        ];
        let given = parts.into_iter().filter_map(|(key, value)| Some((key, value?)));
        given.fold(route, |route, (key, value)| route.query(key, value))
    }
}

/// Which attempts' jobs are listed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Attempts {
    /// The latest attempt of each job.
    Latest,
    /// Every attempt.
    All,
}

/// The run that a dispatch made, as the server said.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Dispatched {
    /// The run's number.
    pub run_id: u64,
    /// Its page, when the server said.
    pub html_url: Option<String>,
}

#[derive(Deserialize)]
struct DispatchBody {
    workflow_run_id: Option<u64>,
    html_url: Option<String>,
}

impl GithubClient {
    /// The runs that a filter lets through, the newest first.
    #[must_use]
    pub fn workflow_runs(&self, repository: &Repository, filter: &RunFilter) -> Pages<WorkflowRun> {
        let of = filter.workflow.as_ref().map(|workflow| format!("'{workflow}' of ")).unwrap_or_default();
        let asked = Asked::new("workflow runs of", format!("{of}{}", repository.name)).needing(READ);
        Pages::enveloped(self, asked, filter.route(&repository.name))
    }

    /// The workflows of a repository.
    #[must_use]
    pub fn workflows(&self, repository: &Repository) -> Pages<Workflow> {
        let asked = Asked::new("workflows of", repository.name.as_str()).needing(READ);
        Pages::enveloped(self, asked, Route::of(&repository.name).words("/actions/workflows"))
    }

    /// A run by its number.
    ///
    /// # Errors
    /// Class `NotFound` when there is none.
    pub async fn workflow_run(&self, repository: &Repository, id: u64) -> Result<WorkflowRun, GithubError> {
        let asked = Asked::new("workflow run", format!("{id} of {}", repository.name)).needing(READ);
        self.read(&asked, &run_route(repository, id)).await
    }

    /// The jobs of a run, with their steps.
    #[must_use]
    pub fn run_jobs(&self, repository: &Repository, id: u64, attempts: Attempts) -> Pages<Job> {
        let asked = Asked::new("jobs of the workflow run", format!("{id} of {}", repository.name)).needing(READ);
        let filter = match attempts {
            Attempts::Latest => "latest",
            Attempts::All => "all",
        };
        Pages::enveloped(self, asked, run_route(repository, id).words("/jobs").query("filter", filter))
    }

    /// Starts a workflow that listens to `workflow_dispatch`, by file name or number, at a branch or tag. Gives the run
    /// when the server says which it is; older Enterprise Servers do not.
    ///
    /// # Errors
    /// Class `NotFound` when there is no such workflow or the token may not start it, `Invalid` when the branch, the
    /// inputs or the trigger are wrong. Not repeated unless it provably had no effect.
    pub async fn dispatch_workflow(
        &self,
        repository: &Repository,
        workflow: &str,
        reference: &str,
        inputs: &BTreeMap<String, String>,
    ) -> Result<Option<Dispatched>, GithubError> {
        let asked = Asked::new("start of the workflow", format!("'{workflow}' of {}", repository.name)).needing(WRITE);
        let route = Route::of(&repository.name).words("/actions/workflows").name(workflow).words("/dispatches");
        let plain = json!({ "ref": reference, "inputs": inputs });
        let mut telling = plain.clone();
        telling["return_run_details"] = Value::Bool(true);
        let send = |body| self.write(&asked, Method::POST, &route, Some(body), Repeat::IfWithoutEffect);
        let written = match send(&telling).await {
            Err(error) if is_unknown_key(&error) => send(&plain).await?,
            answer => answer?,
        };
        if written.is_empty() {
            return Ok(None);
        }
        let body: DispatchBody = written.json()?;
        Ok(body.workflow_run_id.map(|run_id| Dispatched { run_id, html_url: body.html_url }))
    }

    /// Sends a `repository_dispatch` event. GitHub says nothing about the runs that it starts.
    ///
    /// # Errors
    /// Class `NotFound` when the token may not send it. Not repeated unless it provably had no effect.
    pub async fn repository_dispatch(
        &self,
        repository: &Repository,
        event_type: &str,
        payload: &Value,
    ) -> Result<(), GithubError> {
        let asked = Asked::new("repository_dispatch event", format!("'{event_type}' to {}", repository.name))
            .needing("contents: write");
        let route = Route::of(&repository.name).words("/dispatches");
        let body = json!({ "event_type": event_type, "client_payload": payload });
        self.write(&asked, Method::POST, &route, Some(&body), Repeat::IfWithoutEffect).await.map(drop)
    }

    /// Asks for the end of a run. One that has ended already is a success.
    ///
    /// # Errors
    /// Class `NotFound`, `Forbidden`. Asking twice changes nothing, so that it is repeated like a read.
    pub async fn cancel_run(&self, repository: &Repository, id: u64) -> Result<(), GithubError> {
        let asked = Asked::new("end of the workflow run", format!("{id} of {}", repository.name)).needing(WRITE);
        let route = run_route(repository, id).words("/cancel");
        match self.write(&asked, Method::POST, &route, NOTHING, Repeat::Always).await {
            Err(GithubError::Refused(refusal)) if refusal.status == 409 => Ok(()),
            answer => answer.map(drop),
        }
    }
}

fn run_route(repository: &Repository, id: u64) -> Route {
    Route::of(&repository.name).words("/actions/runs").name(&id.to_string())
}

/// A server that checks bodies against its schema refuses the whole request for a key that it does not know (`Invalid
/// request.`, then which key): nothing was started.
fn is_unknown_key(error: &GithubError) -> bool {
    error.refusal().is_some_and(|refusal| refusal.status == 422 && refusal.message.starts_with("Invalid request"))
}
