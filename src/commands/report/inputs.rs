//! Purpose: what `report` takes and gives.

use std::fmt;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::files::Patterns;
use crate::commands::run::Run;
use crate::commands::sticky::CommentMode;
use crate::contract::values::{Count, List};
use crate::runner::{Failure, Problems};

/// Inputs of `report`.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(default)]
pub struct Inputs {
    /// JUnit test reports: globs below the workspace, `!` excludes.
    pub junit: Option<List>,
    /// Coverage reports (Cobertura, JaCoCo, Clover or LCOV, told apart by their content): globs below the workspace.
    /// Reports of several jobs are joined line by line.
    pub coverage: Option<List>,
    /// Plans of Terraform or OpenTofu as JSON (`terraform show -json tfplan > plan.json`): globs below the workspace.
    /// Sensitive values are never shown.
    pub plan: Option<List>,
    /// Findings of scanners in SARIF: globs below the workspace.
    pub sarif: Option<List>,
    /// Markdown files to be shown as they are, without comments and mentions: globs below the workspace.
    pub markdown: Option<List>,
    /// Heading. Default: by what is reported.
    pub title: Option<String>,
    /// Which comment is kept up to date: reports with the same key share one, and the last one wins. Default: workflow,
    /// job and title; set it in a matrix, where all jobs have the same name.
    pub key: Option<String>,
    /// Number of the pull request. Default: the event's, else the open one whose head is the commit of this run.
    pub pr_number: Option<Count>,
    /// Whether a comment is written: `auto` (where there is a pull request and the token may), `always` (a failure when
    /// it cannot be), `never`. The job summary has the same content in any case. Default: auto.
    pub comment: Option<CommentMode>,
    /// What makes the step fail with exit code 3: `failures` (tests that failed or broke), `findings` (any finding of
    /// level error), `changes` (a plan with changes or drift), `none`. Default: failures.
    pub fail_on: Option<List>,
    /// What a report that is missing or cannot be read does: `fail` or `warn`. Default: fail, unless `fail_on` is none.
    pub if_missing: Option<IfMissing>,
    /// Least share of covered lines in per cent, for example `80` or `82.5`; less fails with exit code 3.
    pub min_coverage: Option<String>,
    /// How many failed tests and findings become annotations; the runner shows ten errors and ten warnings of a step.
    /// Default: 10.
    pub annotate: Option<Count>,
}

/// What a missing report does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
#[schemars(inline)]
pub enum IfMissing {
    /// The step fails.
    Fail,
    /// A warning.
    Warn,
}

/// Outputs of `report`.
#[derive(Debug, Default, Serialize, JsonSchema)]
pub struct Outputs {
    /// Tests that are reported.
    pub tests: Option<u64>,
    /// Tests whose assertion failed.
    pub failures: Option<u64>,
    /// Tests that broke otherwise.
    pub errors: Option<u64>,
    /// Tests that did not run.
    pub skipped: Option<u64>,
    /// Tests that passed at a second try.
    pub flaky: Option<u64>,
    /// Covered lines in per cent, with two decimals.
    pub coverage: Option<String>,
    /// Covered branches in per cent, with two decimals.
    pub branch_coverage: Option<String>,
    /// Resources to add; a replacement is one of them.
    pub plan_adds: Option<u64>,
    /// Resources to change in place.
    pub plan_changes: Option<u64>,
    /// Resources to destroy; a replacement is one of them.
    pub plan_destroys: Option<u64>,
    /// Resources that changed outside of Terraform.
    pub plan_drift: Option<u64>,
    /// Findings of scanners, suppressed ones not counted.
    pub findings: Option<u64>,
    /// Id of the comment.
    pub comment_id: Option<u64>,
    /// Page of the comment.
    pub comment_url: Option<String>,
    /// Where the report is: `comment` (and the summary), or `summary` alone.
    pub published: Option<String>,
    /// `true` when nothing that `fail_on` and `min_coverage` name was found.
    pub passed: Option<bool>,
}

/// What a step may fail on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum FailOn {
    Failures,
    Findings,
    Changes,
}

/// Inputs that hold together.
#[derive(Debug)]
pub(super) struct Settings {
    pub(super) junit: Option<Patterns>,
    pub(super) coverage: Option<Patterns>,
    pub(super) plan: Option<Patterns>,
    pub(super) sarif: Option<Patterns>,
    pub(super) markdown: Option<Patterns>,
    pub(super) title: String,
    pub(super) key: String,
    pub(super) pr_number: Option<u64>,
    pub(super) comment: CommentMode,
    pub(super) fail_on: Vec<FailOn>,
    pub(super) if_missing: IfMissing,
    /// Hundredths of a per cent.
    pub(super) min_coverage: Option<u64>,
    pub(super) annotate: usize,
}

impl Settings {
    /// Checks the inputs, all at once.
    pub(super) fn of(inputs: &Inputs, run: &Run) -> Result<Self, Failure> {
        let mut problems = Problems::default();
        let roots = workspace_roots(run);
        let mut patterns = |name: &str, list: &Option<List>| {
            let list = list.as_ref().filter(|list| !list.0.is_empty())?;
            problems.check(name, Patterns::of(&list.0, &roots))
        };
        let junit = patterns("junit", &inputs.junit);
        let coverage = patterns("coverage", &inputs.coverage);
        let plan = patterns("plan", &inputs.plan);
        let sarif = patterns("sarif", &inputs.sarif);
        let markdown = patterns("markdown", &inputs.markdown);
        let given = [&inputs.junit, &inputs.coverage, &inputs.plan, &inputs.sarif, &inputs.markdown];
        if given.iter().all(|list| list.as_ref().is_none_or(|list| list.0.is_empty())) {
            problems.add("junit", "is not set, nor is coverage, plan, sarif or markdown: there is nothing to report");
        }
        let fail_on = fail_on(inputs.fail_on.as_ref(), &mut problems);
        let min_coverage = inputs.min_coverage.as_deref().map(basis_points);
        let min_coverage = min_coverage.and_then(|min| problems.check("min_coverage", min));
        if min_coverage.is_some() && inputs.coverage.is_none() {
            problems.add("min_coverage", "is set, but coverage names no report to measure it by");
        }
        problems.into_result()?;
        let title = inputs.title.clone().unwrap_or_else(|| default_title(inputs));
        let key = inputs.key.clone().unwrap_or_else(|| default_key(run, &title));
        let default = if fail_on.is_empty() { IfMissing::Warn } else { IfMissing::Fail };
        Ok(Self {
            junit,
            coverage,
            plan,
            sarif,
            markdown,
            title,
            key,
            pr_number: inputs.pr_number.map(|Count(number)| number),
            comment: inputs.comment.unwrap_or_default(),
            if_missing: inputs.if_missing.unwrap_or(default),
            fail_on,
            min_coverage,
            annotate: inputs.annotate.map_or(10, |Count(count)| usize::try_from(count).unwrap_or(usize::MAX)),
        })
    }
}

/// The workspace's path here, and on the host, where expressions such as `github.workspace` are evaluated.
pub(super) fn workspace_roots(run: &Run) -> Vec<String> {
    let here = run.workspace().to_string_lossy().into_owned();
    let name = run.github.repository.as_deref().and_then(|repository| repository.rsplit('/').next());
    let host = run.variable("RUNNER_WORKSPACE").zip(name).map(|(parent, name)| format!("{parent}/{name}"));
    std::iter::once(here).chain(host).collect()
}

fn fail_on(list: Option<&List>, problems: &mut Problems) -> Vec<FailOn> {
    let Some(List(entries)) = list else {
        return vec![FailOn::Failures];
    };
    let mut found = Vec::new();
    for entry in entries {
        match entry.as_str() {
            "failures" => found.push(FailOn::Failures),
            "findings" => found.push(FailOn::Findings),
            "changes" => found.push(FailOn::Changes),
            "none" => {}
            other => problems.add("fail_on", format!("has '{other}'; use failures, findings, changes or none")),
        }
    }
    if entries.iter().any(|entry| entry == "none") && !found.is_empty() {
        problems.add("fail_on", "has none beside something else");
    }
    found
}

/// `80`, `82.5` or `80%` as hundredths of a per cent.
fn basis_points(text: &str) -> Result<u64, Wrong> {
    let number = text.trim().trim_end_matches('%').trim_end();
    let (whole, part) = number.split_once('.').unwrap_or((number, ""));
    let digits = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
    if whole.is_empty() || whole.len() > 3 || part.len() > 2 || !digits(whole) || !digits(part) {
        return Err(Wrong(text.to_owned()));
    }
    let points: u64 = format!("{whole}{part:0<2}").parse().map_err(|_| Wrong(text.to_owned()))?;
    if points > 10_000 { Err(Wrong(text.to_owned())) } else { Ok(points) }
}

struct Wrong(String);

impl fmt::Display for Wrong {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "is '{}', which is no percentage; use for example 80 or 82.5", self.0)
    }
}

fn default_title(inputs: &Inputs) -> String {
    let kinds = [
        (inputs.junit.is_some(), "Test results"),
        (inputs.coverage.is_some(), "Coverage"),
        (inputs.plan.is_some(), "Infrastructure plan"),
        (inputs.sarif.is_some(), "Scan results"),
    ];
    kinds.iter().find(|(given, _)| *given).map_or("Report", |(_, title)| title).to_owned()
}

fn default_key(run: &Run, title: &str) -> String {
    let workflow = run.github.workflow.as_deref().unwrap_or_default();
    let job = run.variable("GITHUB_JOB").unwrap_or_default();
    format!("{workflow}/{job}/{title}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percentages() {
        for (text, points) in [("80", 8000), ("82.5", 8250), ("100%", 10_000), ("0.05", 5), ("7.", 700)] {
            assert_eq!(basis_points(text).ok(), Some(points), "{text}");
        }
        for wrong in ["", "x", "101", "-1", "80.123", "1e2", "%"] {
            assert!(basis_points(wrong).is_err(), "{wrong}");
        }
    }
}
