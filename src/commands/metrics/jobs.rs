//! Purpose: jobs of the newest runs: how long they waited, and how their steps ended.

use futures_util::stream::{self, StreamExt as _, TryStreamExt as _};

use super::collect::{AT_A_TIME, Purse, outcome};
use super::plan::Collection;
use crate::domain::metrics::{JobFacts, JobSpan, Moment, Outcome, Record, StepFact, job_facts};
use crate::runner::Failure;
use crate::services::github::{Attempts, Job};
use crate::services::{Classified as _, ErrorClass};

/// Reads the jobs of the newest runs that came to a verdict and whose jobs are not known yet.
pub(super) async fn read(collection: &Collection, records: &mut [Record], purse: &mut Purse) -> Result<(), Failure> {
    let judged = |record: &Record| matches!(record.outcome, Outcome::Success | Outcome::Failure);
    let newest = records.iter().enumerate().rev().filter(|(_, record)| judged(record)).take(collection.wanted.jobs);
    let unknown: Vec<(usize, u64, Moment)> = newest
        .filter(|(_, record)| record.jobs.is_none())
        .map(|(index, record)| (index, record.id, record.started_at))
        .collect();
    // A run of more than a hundred jobs takes a second request; the budget is for the usual ones.
    let affordable = usize::try_from(purse.left).unwrap_or(usize::MAX).min(unknown.len());
    if affordable < unknown.len() {
        let left_out = unknown.len() - affordable;
        purse.notes.push(format!("the jobs of {left_out} runs were not read: the requests were used up"));
    }
    let wanted = unknown.into_iter().take(affordable);
    let mut read = stream::iter(wanted)
        .map(|(index, id, start)| async move {
            facts(collection, id, start).await.map(|(facts, requests)| (index, facts, requests))
        })
        .buffered(AT_A_TIME);
    while let Some((index, facts, requests)) = read.try_next().await? {
        purse.left = purse.left.saturating_sub(requests);
        if let Some(record) = records.get_mut(index) {
            record.jobs = facts;
        }
    }
    Ok(())
}

/// What the jobs of a run say, and how many requests that took; nothing when the run was deleted meanwhile.
async fn facts(collection: &Collection, id: u64, start: Moment) -> Result<(Option<JobFacts>, u64), Failure> {
    let mut listed = collection.github.run_jobs(&collection.repository, id, Attempts::Latest);
    let mut jobs = Vec::new();
    loop {
        match listed.next().await {
            Ok(Some(job)) => jobs.push(span(job, start)),
            Ok(None) => break,
            Err(error) if error.class() == ErrorClass::NotFound => return Ok((None, 1)),
            Err(error) => return Err(error.into()),
        }
    }
    let requests = (jobs.len() as u64).div_ceil(100).max(1);
    Ok((Some(job_facts(&jobs, &collection.wanted.steps)), requests))
}

/// A later attempt lists the jobs that it did not repeat with the times of the earlier one: those are not part of it.
fn span(job: Job, start: Moment) -> JobSpan {
    let steps = job.steps.into_iter().map(|step| StepFact { name: step.name, outcome: outcome(step.conclusion) });
    JobSpan {
        name: job.name,
        started_at: job.started_at.map(|at| Moment::of(at).max(start)),
        ended_at: job.completed_at.map(Moment::of),
        outcome: outcome(job.conclusion),
        steps: steps.collect(),
    }
}
