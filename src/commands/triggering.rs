//! Purpose: a `workflow_run` event, completed: which pull request the other run was about, and that its head is our own.
//!
//! Such a workflow runs with the rights of the default branch, on the word of a run that anybody's fork may have started.

use super::run::Run;
use super::upstream::Clients;
use crate::domain::event::{Event, EventKind, Origin};
use crate::domain::names::RepositoryName;
use crate::runner::{Failure, Kind};

/// The event; of a `workflow_run` for a pull request with the number that the payload often lacks, found by its commit.
/// Every other event is given back as it is.
///
/// # Errors
/// Exit code 3 when the other run's head lies in another repository; what GitHub refuses or does not answer.
pub(crate) async fn completed(event: Event, run: &Run) -> Result<Event, Failure> {
    let EventKind::WorkflowRun { triggered_by } = &event.kind else {
        return Ok(event);
    };
    if event.origin != Origin::Own {
        return Err(foreign());
    }
    let is_about_a_pull_request = triggered_by.as_deref().is_some_and(|name| name.starts_with("pull_request"));
    let own: Option<RepositoryName> = run.github.repository.as_deref().and_then(|name| name.parse().ok());
    let (true, None, Some(sha), Some(own)) = (is_about_a_pull_request, event.pull_request, event.sha.clone(), own)
    else {
        return Ok(event);
    };
    let github = Clients::new(run).github()?;
    let mut pages = github.pull_requests_of(&own, &sha);
    let mut newest = None;
    while let Some(pull) = pages.next().await? {
        // A commit is listed for pull requests that merely contain it, too.
        let is_head = pull.head.sha == sha && pull.head.repository.as_ref() == Some(&own) && pull.state == "open";
        if is_head && newest.as_ref().is_none_or(|(number, _)| pull.number > *number) {
            newest = Some((pull.number, pull.base.branch.to_string()));
        }
    }
    if let Some((number, _)) = &newest {
        run.log.info(format!("pull request #{number}, found by its head {}", sha.short()));
    }
    Ok(Event {
        pull_request: newest.as_ref().map(|(number, _)| *number),
        base_ref: event.base_ref.clone().or(newest.map(|(_, base)| base)),
        ..event
    })
}

fn foreign() -> Failure {
    let message = "the run that triggered this one ran on a commit of another repository";
    Failure::new(Kind::Gate, "foreign-head", "Foreign head", message)
        .hint("What a fork built is not trusted here: this workflow has the rights of the default branch.")
        .hint("Let it run only `if: github.event.workflow_run.head_repository.full_name == github.repository`.")
}
