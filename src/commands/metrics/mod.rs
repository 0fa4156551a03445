//! Purpose: is CI getting better? Figures of runs, steps and images; limits; before and after.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::json;

use super::framework::{Command, Limit, Verdict};
use super::run::Run;
use super::shared::Group;
use crate::contract::values::{Count, Flag, List, Percent, Size, Span};
use crate::domain::metrics::{Comparison, Report, Verdict as Seen};
use crate::runner::{Failure, Kind};

mod collect;
mod files;
mod images;
mod jobs;
mod plan;
mod settings;
mod summary;

use plan::{After, Plan};

/// `metrics`.
pub struct Measure;

/// What is done.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
#[schemars(inline)]
pub enum Operation {
    /// Collect figures.
    #[default]
    Collect,
    /// Compare with an earlier report.
    Compare,
}

/// Inputs of `metrics`.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(default)]
pub struct Inputs {
    /// `collect` figures, or `compare` them with `baseline`. Default: collect.
    pub operation: Operation,
    /// Workflows that are measured, by name or file name; `*` matches anything. Default: `metrics.workflows` of the
    /// config, else all.
    pub workflows: Option<List>,
    /// Age of the oldest run that counts. Default: 30d.
    pub since: Option<Span>,
    /// Most runs of each workflow that count, the newest first. Default: 100.
    pub limit: Option<Count>,
    /// Branches whose runs count, as globs. Default: all.
    pub branches: Option<List>,
    /// Images that are counted by class: repositories without tag, on ghcr.io or ECR. Default: `metrics.images` of the
    /// config, else none.
    pub images: Option<List>,
    /// File for the report, relative to the workspace; a chart is written beside it with the ending `.svg`. Default:
    /// `ci-metrics.json`.
    pub output: Option<String>,
    /// Report of an earlier collection: what it knows is not asked for again. It may be absent.
    pub previous: Option<String>,
    /// Report from before, to compare with.
    pub baseline: Option<String>,
    /// With `compare`: the report from after. Default: figures are collected now.
    pub current: Option<String>,
    /// Most runs whose jobs are read, one request each, the newest first: queue time and steps are known only of them.
    /// Default: 100.
    pub jobs: Option<Count>,
    /// Most manifests that are read to measure images on ghcr.io, where each reading counts as a download. 0 measures
    /// nothing there. Default: 200.
    pub manifests: Option<Count>,
    /// Most requests to GitHub's API. A tenth of the token's hourly limit is left to others in any case. Default: 500.
    pub max_requests: Option<Count>,
    /// Longest mean duration of a workflow's successful runs. Default: 20m.
    pub max_build_time: Option<Span>,
    /// Highest failure rate of a workflow. Default: 5%.
    pub max_failure_rate: Option<Percent>,
    /// Most bytes of images, for example `50GB`. Default: no limit.
    pub max_storage: Option<Size>,
    /// Most builds of one commit beyond the first. Default: no limit.
    pub max_redundant_builds: Option<Count>,
    /// Lowest success rate of steps that pull images. Default: no limit.
    pub min_pull_success: Option<Percent>,
    /// Lowest success rate of steps that clean up. Default: no limit.
    pub min_cleanup_success: Option<Percent>,
    /// With `baseline`: growth of the mean duration above which it is a regression. Default: 20%.
    pub max_build_time_increase: Option<Percent>,
    /// With `baseline`: growth of the failure rate, in points, above which it is a regression. Default: 3.
    pub max_failure_rate_increase: Option<Percent>,
    /// Fail with exit code 3 when a limit is exceeded or something regressed. Default: false.
    pub fail_on_breach: Option<Flag>,
}

/// Outputs of `metrics`.
#[derive(Debug, Default, Serialize, JsonSchema)]
pub struct Outputs {
    /// Mean duration of successful runs, in minutes.
    pub avg_build_time: Option<String>,
    /// Median duration of successful runs, in minutes.
    pub p50: Option<String>,
    /// 95th percentile of the duration of successful runs, in minutes.
    pub p95: Option<String>,
    /// Mean time in which a run waited and none of its jobs ran, in minutes.
    pub queue_time: Option<String>,
    /// Failed runs among failed and succeeded ones, in percent.
    pub failure_rate: Option<String>,
    /// Runs that ended.
    pub total: Option<u64>,
    /// Builds per commit.
    pub builds_per_commit: Option<String>,
    /// Images whose most lasting tag is a pull request's.
    pub pr_images: Option<u64>,
    /// Images whose most lasting tag is a feature branch's.
    pub feature_images: Option<u64>,
    /// Images whose most lasting tag is a commit's.
    pub sha_images: Option<u64>,
    /// Images, those without a tag included.
    pub total_images: Option<u64>,
    /// Bytes of images, as far as they were measured.
    pub storage_bytes: Option<u64>,
    /// Steps that pulled an image and succeeded, in percent.
    pub pull_success_rate: Option<String>,
    /// Steps that cleaned up and succeeded, in percent.
    pub cleanup_success_rate: Option<String>,
    /// Limits that were exceeded, as JSON: `threshold`, `subject`, `value`, `limit`, `unit`.
    pub breaches: Option<String>,
    /// Metrics before and after, as JSON; with a `baseline`.
    pub comparison: Option<String>,
    /// Whether no limit was exceeded and nothing regressed.
    pub passed: Option<bool>,
    /// The report's file.
    pub report: Option<String>,
    /// The chart's file.
    pub chart: Option<String>,
}

impl Command for Measure {
    const NAME: &'static str = "metrics";
    const TITLE: &'static str = "Is CI getting better? Durations, failures, images, limits, before and after";
    const BRANDING: (&'static str, &'static str) = ("bar-chart-2", "purple");
    const GROUPS: &'static [Group] = &[Group::Cloud, Group::Registry, Group::Engine];
    const LIMIT: Limit = Limit::Whole(std::time::Duration::from_secs(15 * 60));

    type Inputs = Inputs;
    type Plan = Plan;
    type Outputs = Outputs;

    async fn plan(inputs: Inputs, run: &Run, _outputs: &mut Outputs) -> Result<Plan, Failure> {
        plan::plan(inputs, run).await
    }

    async fn apply(plan: Plan, run: &Run, outputs: &mut Outputs) -> Result<Verdict, Failure> {
        let mut report = match plan.after {
            After::Known(ref report) => Report::clone(report),
            After::Collected(ref wanted) => collect::collect(wanted, run).await?,
        };
        report.breaches = plan.thresholds.breaches(&report);
        let comparison = plan.compared_with(&report);
        *outputs = outputs_of(&report, comparison.as_ref());
        if let After::Collected(_) = plan.after {
            let written = files::write(&report, &plan.output, run).await?;
            (outputs.report, outputs.chart) = (Some(written.report), Some(written.chart));
        }
        run.summary.section(summary::section(&report, comparison.as_ref(), run));
        summary::log(&report, comparison.as_ref(), run);
        judge(&plan, &report, comparison.as_ref(), run)
    }
}

/// Breaches and regressions end the run only when the user wants that; they are always told.
fn judge(plan: &Plan, report: &Report, comparison: Option<&Comparison>, run: &Run) -> Result<Verdict, Failure> {
    let mut said: Vec<String> = report.breaches.iter().map(summary::breach_line).collect();
    said.extend(comparison.into_iter().flat_map(Comparison::regressions).map(summary::regression_line));
    let done = if plan.operation == Operation::Compare { "compared" } else { "collected" };
    if said.is_empty() {
        return Ok(Verdict::Success(done));
    }
    if plan.fail_on_breach {
        let failure = Failure::new(Kind::Gate, "threshold-exceeded", "CI beyond its limits", said.join("\n"));
        return Err(failure.hint("The summary shows which runs; raise the limit only if it was wrong."));
    }
    run.log.warn("CI beyond its limits", said.join("\n"));
    Ok(Verdict::Success(done))
}

fn outputs_of(report: &Report, comparison: Option<&Comparison>) -> Outputs {
    let decimal = |value: f64| format!("{value:.2}");
    let minutes = |seconds: f64| decimal(seconds / 60.0);
    let duration = report.total.duration;
    let regressed = comparison.is_some_and(|comparison| comparison.regressions().next().is_some());
    Outputs {
        avg_build_time: duration.map(|duration| minutes(duration.mean)),
        p50: duration.map(|duration| minutes(duration.p50 as f64)),
        p95: duration.map(|duration| minutes(duration.p95 as f64)),
        queue_time: report.total.queue.map(|queue| minutes(queue.mean)),
        failure_rate: report.total.failure_rate.map(decimal),
        total: Some(report.total.runs),
        builds_per_commit: report.builds.per_commit.map(decimal),
        pr_images: report.images_of("pr"),
        feature_images: report.images_of("feature"),
        sha_images: report.images_of("sha"),
        total_images: report.total_images(),
        storage_bytes: report.storage_bytes(),
        pull_success_rate: report.pull.success_rate.map(decimal),
        cleanup_success_rate: report.cleanup.success_rate.map(decimal),
        breaches: Some(json!(report.breaches).to_string()),
        comparison: comparison.map(|comparison| json!(comparison).to_string()),
        passed: Some(report.breaches.is_empty() && !regressed),
        report: None,
        chart: None,
    }
}

/// How a change is shown.
fn sign(verdict: Seen) -> &'static str {
    match verdict {
        Seen::Better => "better",
        Seen::Same => "same",
        Seen::Worse => "worse",
        Seen::Regression => "**regression**",
        Seen::Unknown => "unknown",
    }
}
