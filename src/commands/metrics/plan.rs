//! Purpose: what is going to be read and written, before it is.

use std::fmt;

use serde::Serialize;

use super::files;
use super::settings::{Settings, Wanted, settings};
use super::{Inputs, Operation};
use crate::commands::run::Run;
use crate::commands::upstream::Clients;
use crate::contract::values::Span;
use crate::domain::metrics::{Comparison, Moment, Regressions, Report, Thresholds, compare};
use crate::runner::Failure;
use crate::services::github::{GithubClient, Repository, Workflow};

/// What `metrics` is going to do.
#[derive(Serialize)]
pub struct Plan {
    pub(super) operation: Operation,
    #[serde(skip)]
    pub(super) after: After,
    #[serde(skip)]
    before: Option<Box<Report>>,
    pub(super) output: String,
    #[serde(skip)]
    pub(super) thresholds: Thresholds,
    #[serde(skip)]
    regressions: Regressions,
    pub(super) fail_on_breach: bool,
}

/// Where the figures come from.
pub(super) enum After {
    /// A file.
    Known(Box<Report>),
    /// They are collected.
    Collected(Box<Collection>),
}

/// What is collected.
pub(super) struct Collection {
    pub(super) github: GithubClient,
    pub(super) repository: Repository,
    pub(super) workflows: Vec<Workflow>,
    pub(super) wanted: Wanted,
    /// Start of the earliest run that counts.
    pub(super) since: Moment,
    pub(super) now: Moment,
    pub(super) previous: Option<Report>,
    /// Requests that are left.
    pub(super) budget: u64,
}

pub(super) async fn plan(inputs: Inputs, run: &Run) -> Result<Plan, Failure> {
    let Settings { wanted, output, previous, baseline, current, thresholds, regressions, fail_on_breach } =
        settings(&inputs, run)?;
    let workspace = run.workspace();
    let before = baseline.map(|path| files::read(&workspace, &path, "baseline")).transpose()?.map(Box::new);
    let after = match current {
        Some(path) => After::Known(Box::new(files::read(&workspace, &path, "current")?)),
        None => {
            let previous = previous.and_then(|path| files::read_previous(run, &path, &wanted.repository));
            After::Collected(Box::new(collection(wanted, previous, run).await?))
        }
    };
    Ok(Plan { operation: inputs.operation, after, before, output, thresholds, regressions, fail_on_breach })
}

async fn collection(wanted: Wanted, previous: Option<Report>, run: &Run) -> Result<Collection, Failure> {
    let github = Clients::new(run).github()?;
    let repository = github.repository(&wanted.repository).await?;
    let mut workflows = Vec::new();
    let mut listed = github.workflows(&repository);
    while let Some(workflow) = listed.next().await? {
        let file = workflow.path.rsplit('/').next().unwrap_or_default();
        let takes = |patterns: &crate::domain::metrics::NamePatterns| {
            patterns.matches(&workflow.name) || patterns.matches(file)
        };
        if wanted.workflows.as_ref().is_none_or(takes) {
            workflows.push(workflow);
        }
    }
    if workflows.is_empty() {
        run.log.warn("No workflow", format!("no workflow of {} is one of those to be measured", repository.name));
    }
    let now = run.clock.now();
    let since = now.checked_sub(jiff::SignedDuration::try_from(wanted.since).unwrap_or_default()).unwrap_or(now);
    Ok(Collection {
        budget: budget(&github, &wanted, run).await?,
        repository,
        workflows,
        since: Moment::of(since),
        now: Moment::of(now),
        previous,
        github,
        wanted,
    })
}

/// Other jobs use the same limit: a tenth of it stays theirs.
async fn budget(github: &GithubClient, wanted: &Wanted, run: &Run) -> Result<u64, Failure> {
    let Some(rate) = github.rate().await? else {
        return Ok(wanted.requests);
    };
    let budget = wanted.requests.min(rate.remaining.saturating_sub(rate.limit / 10));
    run.log.debug(format!("{} of {} requests are left this hour; {budget} may be used", rate.remaining, rate.limit));
    Ok(budget)
}

impl Plan {
    /// The comparison with the baseline, when there is one.
    pub(super) fn compared_with(&self, after: &Report) -> Option<Comparison> {
        self.before.as_ref().map(|before| compare(before, after, &self.regressions))
    }
}

impl fmt::Display for Plan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.after {
            After::Known(report) => write!(f, "use the figures of {} from {}", report.repository, report.collected_at)?,
            After::Collected(collection) => write!(f, "{collection}\nwrite {} and its chart", self.output)?,
        }
        if let Some(before) = &self.before {
            write!(f, "\ncompare with the figures of {} from {}", before.repository, before.collected_at)?;
        }
        Ok(())
    }
}

impl fmt::Display for Collection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Wanted { limit, jobs, since, images, .. } = &self.wanted;
        write!(f, "read runs of {} within {}, {limit} of each workflow at most:", self.repository.name, Span(*since))?;
        self.workflows.iter().try_for_each(|workflow| write!(f, "\n  {}", workflow.name))?;
        write!(f, "\nread the jobs of {jobs} runs at most, with {} requests in all at most", self.budget)?;
        images.iter().try_for_each(|image| write!(f, "\ncount the images of {image}"))?;
        if let Some(previous) = &self.previous {
            write!(f, "\ntake {} runs from the report of {}", previous.runs.len(), previous.collected_at)?;
        }
        Ok(())
    }
}
