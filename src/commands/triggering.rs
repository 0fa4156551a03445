//! Purpose: a `workflow_run` event, completed: which pull request the other run was about, and that its head is our own.
//!
//! Such a workflow runs with the rights of the default branch, on the word of a run that anybody's fork may have started.

use super::run::Run;
use super::upstream::Clients;
use crate::domain::event::{Event, EventKind, Origin};
use crate::domain::names::RepositoryName;
use crate::runner::{Failure, Kind};
use crate::services::github::PullRequest;

/// Whose commits the other run may have been about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Heads {
    /// This repository's alone.
    Own,
    /// A fork's, too: whoever calls says so knowingly.
    Any,
}

/// The event; of a `workflow_run` for a pull request with the number that the payload often lacks, found by its commit.
/// Every other event is given back as it is.
///
/// # Errors
/// Those of [`trusted`]; what GitHub refuses or does not answer.
pub(crate) async fn completed(event: Event, run: &Run) -> Result<Event, Failure> {
    trusted(&event, Heads::Own)?;
    let EventKind::WorkflowRun { triggered_by } = &event.kind else {
        return Ok(event);
    };
    let is_about_a_pull_request = triggered_by.as_deref().is_some_and(|name| name.starts_with("pull_request"));
    if !is_about_a_pull_request || event.pull_request.is_some() {
        return Ok(event);
    }
    let found = pull_request(&event, run, Heads::Own).await?;
    Ok(Event {
        pull_request: found.as_ref().map(|pull| pull.number),
        base_ref: event.base_ref.clone().or(found.map(|pull| pull.base.branch.to_string())),
        ..event
    })
}

/// Refuses a `workflow_run` whose head is not known to be one of these.
///
/// # Errors
/// Exit code 3 when the other run's head lies in another repository.
pub(crate) fn trusted(event: &Event, heads: Heads) -> Result<(), Failure> {
    let is_run = matches!(event.kind, EventKind::WorkflowRun { .. });
    if !is_run || heads == Heads::Any || event.origin == Origin::Own {
        return Ok(());
    }
    let message = "the run that triggered this one ran on a commit of another repository";
    Err(Failure::new(Kind::Gate, "foreign-head", "Foreign head", message)
        .hint("What a fork built is not trusted here: this workflow has the rights of the default branch.")
        .hint("Let it run only `if: github.event.workflow_run.head_repository.full_name == github.repository`."))
}

/// The pull request whose head is the commit under test: an open one before one that was closed meanwhile.
///
/// # Errors
/// What GitHub refuses or does not answer.
pub(crate) async fn pull_request(event: &Event, run: &Run, heads: Heads) -> Result<Option<PullRequest>, Failure> {
    let own = run.github.repository.as_deref().and_then(|name| name.parse::<RepositoryName>().ok());
    let (Some(sha), Some(own)) = (&event.sha, own) else {
        return Ok(None);
    };
    // A commit is listed for pull requests that merely contain it, too.
    let rank = |pull: &PullRequest| {
        let is_head = pull.head.sha == *sha && (heads == Heads::Any || pull.head.repository.as_ref() == Some(&own));
        is_head.then(|| pull.state == "open")
    };
    let found = Clients::new(run).github()?.pull_request_of(&own, sha, rank).await?;
    if let Some(pull) = &found {
        run.log.info(format!("pull request #{}, found by its head {}", pull.number, sha.short()));
    }
    Ok(found)
}
