//! Purpose: whether what was reported lets the step pass, in one failure that names all of it.

use super::inputs::{FailOn, IfMissing, Settings};
use crate::domain::report::coverage::percent;
use crate::domain::report::render::{Reports, counted};
use crate::domain::report::sarif::Level;
use crate::runner::{Failure, Kind};

/// A reason not to pass.
struct Objection {
    kind: Kind,
    reason: &'static str,
    title: &'static str,
    message: String,
    hint: String,
}

/// The failure of the step, when there is a reason. Reports that are missing come first: without them nothing is known.
pub(super) fn judge(reports: &Reports, settings: &Settings) -> Result<(), Failure> {
    let objections: Vec<Objection> = [
        missing(reports, settings),
        failures(reports, settings),
        coverage(reports, settings),
        findings(reports, settings),
        changes(reports, settings),
    ]
    .into_iter()
    .flatten()
    .collect();
    let Some(first) = objections.first() else {
        return Ok(());
    };
    let said: Vec<&str> = objections.iter().map(|objection| objection.message.as_str()).collect();
    let failure = Failure::new(first.kind, first.reason, first.title, said.join("; "));
    Err(objections.iter().fold(failure, |failure, objection| failure.hint(objection.hint.clone())))
}

fn missing(reports: &Reports, settings: &Settings) -> Option<Objection> {
    let first = reports.problems.first().filter(|_| settings.if_missing == IfMissing::Fail)?;
    let more = reports.problems.len() - 1;
    let more = if more > 0 { format!(", and {more} more") } else { String::new() };
    Some(Objection {
        kind: Kind::Work,
        reason: "report-missing",
        title: "Report missing",
        message: format!("{first}{more}"),
        hint: "Check that the step that writes it ran to its end, and that the path is relative to the workspace; `if_missing: warn` goes on without it.".to_owned(),
    })
}

fn failures(reports: &Reports, settings: &Settings) -> Option<Objection> {
    let tests = reports.tests.as_ref().filter(|_| settings.fail_on.contains(&FailOn::Failures))?;
    let bad = tests.totals.bad();
    let first = tests.failed.kept.first().filter(|_| bad > 0)?;
    let which = if bad == 1 { format!(": {}", first.title()) } else { format!(", the first is {}", first.title()) };
    Some(Objection {
        kind: Kind::Gate,
        reason: "tests-failed",
        title: "Tests failed",
        message: format!("{} of {} failed{which}", bad, counted(tests.totals.tests, "test")),
        hint: "The job summary shows each failed test with its message.".to_owned(),
    })
}

fn coverage(reports: &Reports, settings: &Settings) -> Option<Objection> {
    let (min, coverage) = (settings.min_coverage?, reports.coverage.as_ref()?);
    let objection = |kind, reason, title, message| Objection {
        kind,
        reason,
        title,
        message,
        hint: "The job summary lists the files in which most lines are missed.".to_owned(),
    };
    match coverage.lines().basis_points() {
        Some(covered) if covered >= min => None,
        Some(covered) => Some(objection(
            Kind::Gate,
            "coverage-too-low",
            "Coverage too low",
            format!("{} % of lines are covered, below the {} % of min_coverage", percent(covered), percent(min)),
        )),
        // Not to be measured is not the same as enough.
        None => Some(objection(
            Kind::Work,
            "coverage-unknown",
            "Coverage unknown",
            "no line was measured, so that min_coverage cannot be judged".to_owned(),
        )),
    }
}

fn findings(reports: &Reports, settings: &Settings) -> Option<Objection> {
    let findings = reports.findings.as_ref().filter(|_| settings.fail_on.contains(&FailOn::Findings))?;
    let errors = findings.count(Level::Error);
    let first = findings.iter().next().filter(|_| errors > 0)?;
    Some(Objection {
        kind: Kind::Gate,
        reason: "findings",
        title: "Findings",
        message: format!(
            "{} of level error, the first is {} of {}",
            counted(errors, "finding"),
            first.rule,
            first.tool
        ),
        hint: "Mend it, or suppress it where the scanner reads suppressions.".to_owned(),
    })
}

fn changes(reports: &Reports, settings: &Settings) -> Option<Objection> {
    if !settings.fail_on.contains(&FailOn::Changes) {
        return None;
    }
    let changed = |counts: &crate::domain::report::plan::Counts| !counts.is_empty() || counts.drifted > 0;
    let (path, plan) = reports.plans.iter().find(|(_, plan)| changed(&plan.counts))?;
    Some(Objection {
        kind: Kind::Gate,
        reason: "plan-has-changes",
        title: "Plan has changes",
        message: format!("the plan {path} is not empty: {}", plan.counts),
        hint: "Apply the plan, or bring the configuration in line with the world.".to_owned(),
    })
}
