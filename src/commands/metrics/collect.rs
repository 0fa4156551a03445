//! Purpose: runs, page by page and several pages at a time, merged with what an earlier report knows.

use std::collections::BTreeMap;

use futures_util::stream::{self, StreamExt as _, TryStreamExt as _};

use super::plan::Collection;
use super::{images, jobs};
use crate::commands::run::Run;
use crate::domain::metrics::{Moment, Outcome, Record, Report};
use crate::runner::Failure;
use crate::services::github::{Conclusion, MOST_FILTERED, RunFilter, Workflow, WorkflowRun};

/// Requests at a time: enough to hide waiting, far below GitHub's own limit of 100.
pub(super) const AT_A_TIME: usize = 6;
/// Runs on a page.
const PAGE: u64 = 100;
/// How long before the earlier collection runs are asked for again: they may have been under way, or run again since.
const OVERLAP: i64 = 3 * 86_400;

/// Requests that are left, and what had to be left out for lack of them.
pub(super) struct Purse {
    pub(super) left: u64,
    pub(super) notes: Vec<String>,
}

impl Purse {
    /// Takes as many requests as are wanted and left.
    fn take(&mut self, wanted: u64) -> u64 {
        let taken = wanted.min(self.left);
        self.left -= taken;
        taken
    }
}

pub(super) async fn collect(collection: &Collection, run: &Run) -> Result<Report, Failure> {
    let group = run.log.group("Collect");
    let mut purse = Purse { left: collection.budget, notes: Vec::new() };
    let mut found = BTreeMap::new();
    take_known(collection, &mut found);
    for (workflow, first) in first_pages(collection, &mut purse).await? {
        let more = further_pages(collection, workflow, &first, &mut purse).await?;
        let before = found.len();
        keep(collection, workflow, first.runs, &mut found);
        let mut pages = stream::iter(more).map(|page| read(collection, workflow, page)).buffered(AT_A_TIME);
        while let Some(page) = pages.try_next().await? {
            keep(collection, workflow, page.runs, &mut found);
        }
        run.log.info(format!("{}: {} new runs", workflow.name, found.len().saturating_sub(before)));
    }
    let mut records = newest(found, collection.wanted.limit);
    jobs::read(collection, &mut records, &mut purse).await?;
    let mut report = Report::of(collection.repository.name.as_str(), collection.now, collection.since, records);
    images::count(collection, &mut report, &mut purse, run).await?;
    report.notes = purse.notes;
    drop(group);
    Ok(report)
}

/// One page of a workflow's runs.
struct Page {
    total: u64,
    runs: Vec<WorkflowRun>,
}

/// Which page: with the filter on time, or without one, which GitHub cuts at no number of runs.
#[derive(Clone, Copy)]
struct Wanted {
    number: u64,
    filtered: bool,
}

/// The first page of each workflow, several workflows at a time.
async fn first_pages<'a>(collection: &'a Collection, purse: &mut Purse) -> Result<Vec<(&'a Workflow, Page)>, Failure> {
    let asked = purse.take(collection.workflows.len() as u64);
    let left_out = collection.workflows.len() as u64 - asked;
    if left_out > 0 {
        purse.notes.push(format!("{left_out} workflows were left out: the requests were used up"));
    }
    let first = Wanted { number: 1, filtered: true };
    let asked = collection.workflows.iter().take(usize::try_from(asked).unwrap_or(usize::MAX));
    let pages =
        stream::iter(asked).map(|workflow| async move { Ok((workflow, read(collection, workflow, first).await?)) });
    pages.buffered(AT_A_TIME).try_collect().await
}

/// The pages after the first that hold runs which count. GitHub says how many runs there are, so that none is asked for
/// in vain; beyond what it gives to a filter, the same runs are at the same places without one.
async fn further_pages(
    collection: &Collection,
    workflow: &Workflow,
    first: &Page,
    purse: &mut Purse,
) -> Result<Vec<Wanted>, Failure> {
    let runs = first.total.min(collection.wanted.limit as u64);
    let needed = runs.div_ceil(PAGE).saturating_sub(1);
    let taken = purse.take(needed);
    if taken < needed {
        let read = (taken + 1) * PAGE;
        purse.notes.push(format!("{}: {read} of {runs} runs were read; the requests were used up", workflow.name));
    }
    let filtered = first.total <= MOST_FILTERED;
    Ok((2..2 + taken).map(|number| Wanted { number, filtered }).collect())
}

async fn read(collection: &Collection, workflow: &Workflow, page: Wanted) -> Result<Page, Failure> {
    let created = page.filtered.then(|| format!(">={}", asked_since(collection)));
    let filter = RunFilter { workflow: Some(workflow.id.to_string()), created, ..RunFilter::default() };
    let found = collection.github.workflow_runs_page(&collection.repository, &filter, page.number).await?;
    Ok(Page { total: found.total, runs: found.runs })
}

/// The earliest creation of a run that is asked for.
fn asked_since(collection: &Collection) -> Moment {
    let known = collection.previous.as_ref().map(|previous| previous.collected_at.seconds() - OVERLAP);
    let since = collection.since.seconds().max(known.unwrap_or(i64::MIN));
    jiff::Timestamp::from_second(since).map_or(collection.since, Moment::of)
}

/// Runs of the earlier report that still count.
fn take_known(collection: &Collection, found: &mut BTreeMap<u64, Record>) {
    let Some(previous) = &collection.previous else {
        return;
    };
    let measured = |name: &str| collection.workflows.iter().any(|workflow| workflow.name == name);
    for record in &previous.runs {
        let counts = record.started_at >= collection.since
            && measured(&record.workflow)
            && collection.wanted.takes_branch(record.branch.as_deref());
        if counts {
            found.insert(record.id, record.clone());
        }
    }
}

/// Keeps what figures need of a page's runs, and nothing else of it.
fn keep(collection: &Collection, workflow: &Workflow, runs: Vec<WorkflowRun>, found: &mut BTreeMap<u64, Record>) {
    for run in runs {
        let Some(record) = record(workflow, run) else {
            continue;
        };
        if record.started_at < collection.since || !collection.wanted.takes_branch(record.branch.as_deref()) {
            continue;
        }
        let known = found.get(&record.id).filter(|known| known.attempt == record.attempt);
        let jobs = known.and_then(|known| known.jobs);
        found.insert(record.id, Record { jobs, ..record });
    }
}

/// A run that has not ended says nothing yet.
fn record(workflow: &Workflow, run: WorkflowRun) -> Option<Record> {
    if !run.status.is_completed() {
        return None;
    }
    Some(Record {
        id: run.id,
        attempt: run.run_attempt,
        workflow: workflow.name.clone(),
        event: run.event,
        branch: run.head_branch,
        commit: run.head_sha.to_string(),
        outcome: outcome(run.conclusion),
        started_at: Moment::of(run.run_started_at.unwrap_or(run.created_at)),
        ended_at: Moment::of(run.updated_at),
        jobs: None,
    })
}

/// What an end says about the code and its CI.
pub(super) fn outcome(conclusion: Option<Conclusion>) -> Outcome {
    match conclusion {
        Some(Conclusion::Success) => Outcome::Success,
        Some(Conclusion::Failure | Conclusion::TimedOut | Conclusion::StartupFailure) => Outcome::Failure,
        Some(Conclusion::Cancelled) => Outcome::Cancelled,
        _ => Outcome::Skipped,
    }
}

/// The newest runs of each workflow, oldest first.
fn newest(found: BTreeMap<u64, Record>, limit: usize) -> Vec<Record> {
    let mut records: Vec<Record> = found.into_values().collect();
    records.sort_unstable_by_key(|record| std::cmp::Reverse((record.started_at, record.id)));
    let mut counts: BTreeMap<String, usize> = BTreeMap::new();
    records.retain(|record| {
        let count = counts.entry(record.workflow.clone()).or_default();
        *count += 1;
        *count <= limit
    });
    records.reverse();
    records
}
