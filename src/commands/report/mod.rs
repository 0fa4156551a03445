//! Purpose: results where reviewers look: tests, coverage, plans and findings as one comment, a summary and annotations.

use std::fmt;
use std::sync::Arc;

use serde::Serialize;

use super::framework::{Command, Verdict};
use super::run::Run;
use super::sticky::{self, Published, Target};
use crate::domain::comment::{Marker, MarkerName};
use crate::domain::report::coverage::percent;
use crate::domain::report::render::{Origin, Reports};
use crate::domain::report::sarif::Level;
use crate::domain::report::shortened;
use crate::runner::{Annotation, Failure, Kind};

mod files;
mod inputs;
mod judge;
mod read;

use inputs::Settings;
pub use inputs::{IfMissing, Inputs, Outputs};

/// Name in the markers of its comments.
const MARKER: &str = "landfall-report";
/// Errors of a step that the runner shows (GitHub documentation, "problem matchers", limitations); one is the step's own.
const ERRORS_SHOWN: usize = 10;

/// `report`.
pub struct Report;

/// What was read, and where it will be told.
#[derive(Serialize)]
pub struct Plan {
    target: Target,
    key: String,
    title: String,
    #[serde(skip)]
    reports: Reports,
    #[serde(skip)]
    sections: Vec<String>,
    #[serde(skip)]
    settings: Arc<Settings>,
}

impl fmt::Display for Plan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.target {
            Target::PullRequest(number) => write!(f, "comment '{}' on #{number}, and the job summary:", self.key)?,
            Target::Nowhere(why) => write!(f, "the job summary alone, because {why}:")?,
        }
        self.sections.iter().try_for_each(|section| write!(f, "\n\n{}", section.trim_end()))
    }
}

impl Command for Report {
    const NAME: &'static str = "report";
    const TITLE: &'static str = "Report tests, coverage, plans and findings on the pull request";
    const BRANDING: (&'static str, &'static str) = ("clipboard", "blue");

    type Inputs = Inputs;
    type Plan = Plan;
    type Outputs = Outputs;

    async fn plan(inputs: Inputs, run: &Run, outputs: &mut Outputs) -> Result<Plan, Failure> {
        let settings = Arc::new(Settings::of(&inputs, run)?);
        let target = sticky::target(run, settings.comment, settings.pr_number).await?;
        let reports = read_all(run, &settings).await?;
        tell(&reports, outputs);
        outputs.passed = Some(judge::judge(&reports, &settings).is_ok());
        let sections = reports.sections(&settings.title, &origin(run)?);
        let (key, title) = (settings.key.clone(), settings.title.clone());
        Ok(Plan { target, key, title, reports, sections, settings })
    }

    async fn apply(plan: Plan, run: &Run, outputs: &mut Outputs) -> Result<Verdict, Failure> {
        say(&plan, run);
        let name: MarkerName = MARKER.parse().map_err(|error| {
            Failure::new(Kind::Work, "internal", "Internal error", "the marker cannot be used").caused_by(error)
        })?;
        let marker = Marker::of_key(name, &plan.key);
        let judged = judge::judge(&plan.reports, &plan.settings);
        annotate(&plan, run, judged.is_err());
        let published = sticky::publish(run, plan.settings.comment, &plan.target, &marker, &plan.sections).await;
        if let Ok(published) = &published {
            note(published, outputs);
        }
        // What was found matters more than where it could be told.
        judged?;
        published?;
        Ok(Verdict::Success("reported"))
    }
}

async fn read_all(run: &Run, settings: &Arc<Settings>) -> Result<Reports, Failure> {
    let (settings, cancel) = (Arc::clone(settings), run.cancel.clone());
    let (workspace, roots) = (run.workspace(), inputs::workspace_roots(run));
    let reading = tokio::task::spawn_blocking(move || read::read(&settings, &workspace, &roots, &cancel));
    reading.await.map_err(|error| {
        Failure::new(Kind::Work, "internal", "Internal error", "the reports could not be read").caused_by(error)
    })
}

fn origin(run: &Run) -> Result<Origin, Failure> {
    let sha = run.event()?.sha;
    let blob = run.github.repository.as_ref().zip(sha.as_ref());
    Ok(Origin {
        run_url: run.github.run_url(),
        blob_url: blob.map(|(repository, sha)| format!("{}/{repository}/blob/{sha}", run.github.server_url)),
        commit: sha.map(|sha| sha.short().to_owned()),
    })
}

fn tell(reports: &Reports, outputs: &mut Outputs) {
    if let Some(tests) = &reports.tests {
        outputs.tests = Some(tests.totals.tests);
        outputs.failures = Some(tests.totals.failures);
        outputs.errors = Some(tests.totals.errors);
        outputs.skipped = Some(tests.totals.skipped);
        outputs.flaky = Some(tests.totals.flaky);
    }
    if let Some(coverage) = &reports.coverage {
        outputs.coverage = coverage.lines().basis_points().map(percent);
        outputs.branch_coverage = coverage.branches().basis_points().map(percent);
    }
    if !reports.plans.is_empty() {
        let mut counts = crate::domain::report::plan::Counts::default();
        reports.plans.iter().for_each(|(_, plan)| counts.add(&plan.counts));
        outputs.plan_adds = Some(counts.adds);
        outputs.plan_changes = Some(counts.changes);
        outputs.plan_destroys = Some(counts.destroys);
        outputs.plan_drift = Some(counts.drifted);
    }
    outputs.findings = reports.findings.as_ref().map(crate::domain::report::sarif::Findings::total);
}

fn note(published: &Published, outputs: &mut Outputs) {
    outputs.published = Some(published.word().to_owned());
    if let Some(comment) = published.comment() {
        outputs.comment_id = Some(comment.id);
        outputs.comment_url = Some(comment.url.clone()).filter(|url| !url.is_empty());
    }
}

/// The log: what was read, and each failed test by name.
fn say(plan: &Plan, run: &Run) {
    let group = run.log.group(&plan.title);
    for file in &plan.reports.test_files {
        let totals = &file.totals;
        run.log.info(format!(
            "{}: {} tests, {} passed, {} failed, {} skipped",
            file.path,
            totals.tests,
            totals.passed(),
            totals.bad(),
            totals.skipped
        ));
    }
    if let Some(tests) = &plan.reports.tests {
        for failed in &tests.failed.kept {
            run.log.foreign(format!("  {}: {}", failed.title(), shortened(&failed.message, 200)));
        }
    }
    if let Some(coverage) = plan.reports.coverage.as_ref().and_then(|coverage| coverage.lines().basis_points()) {
        run.log.info(format!("{} % of lines are covered", percent(coverage)));
    }
    for (path, read) in &plan.reports.plans {
        run.log.info(format!("{path}: {}", read.counts));
    }
    if let Some(findings) = &plan.reports.findings {
        run.log.info(format!("{} findings", findings.total()));
    }
    drop(group);
    if plan.settings.if_missing == IfMissing::Warn {
        for problem in &plan.reports.problems {
            run.log.warn("Report missing", problem.clone());
        }
    }
    if plan.reports.tests.as_ref().is_some_and(|tests| tests.totals.tests == 0) && plan.reports.problems.is_empty() {
        run.log.warn("No tests", "the test reports hold no test");
    }
}

/// Annotations beside the code, the failed tests first. The last of the errors that the runner shows is kept for the
/// step's own.
fn annotate(plan: &Plan, run: &Run, fails: bool) {
    let limit = plan.settings.annotate;
    let mut errors = limit.min(ERRORS_SHOWN - usize::from(fails));
    let mut left = limit;
    let failed = plan.reports.tests.iter().flat_map(|tests| &tests.failed.kept);
    for test in failed.take(errors) {
        let location = test.place.as_ref().map(|place| (place.file.clone(), place.line));
        run.log.error(&Annotation { title: test.title(), message: test.message.clone(), location });
        errors -= 1;
        left -= 1;
    }
    for finding in plan.reports.findings.iter().flat_map(crate::domain::report::sarif::Findings::iter).take(left) {
        let location = finding.file.clone().zip(finding.line);
        let title = format!("{} {}", finding.tool, finding.rule);
        let annotation = Annotation { title, message: finding.message.clone(), location };
        match finding.level {
            Level::Error if errors > 0 => {
                errors -= 1;
                run.log.error(&annotation);
            }
            Level::Error | Level::Warning => run.log.warning(&annotation),
            Level::Note => run.log.notice(&annotation),
        }
    }
}
