//! Purpose: before and after, metric by metric.

use serde::Serialize;

use super::report::Report;

/// How a change is to be seen.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Verdict {
    /// Better than before.
    Better,
    /// As before.
    Same,
    /// Worse than before.
    Worse,
    /// Worse than before by more than is allowed.
    Regression,
    /// Not known of one side.
    Unknown,
}

/// One metric before and after.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Change {
    /// The metric.
    pub metric: &'static str,
    /// `seconds`, `percent`, `bytes`, `images`, `builds`, `attempts`.
    pub unit: &'static str,
    /// Before.
    pub before: Option<f64>,
    /// After.
    pub after: Option<f64>,
    /// Change in percent of before; of rates the difference in points.
    pub change: Option<f64>,
    /// How it is to be seen.
    pub verdict: Verdict,
}

/// A comparison of two reports.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Comparison {
    /// The metrics of all workflows together.
    pub changes: Vec<Change>,
    /// Mean duration of each workflow that either report has.
    pub workflows: Vec<(String, Change)>,
}

impl Comparison {
    /// The metrics that got worse by more than is allowed.
    pub fn regressions(&self) -> impl Iterator<Item = &Change> {
        self.changes.iter().filter(|change| change.verdict == Verdict::Regression)
    }
}

/// How much worse is too much.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Regressions {
    /// Growth of the mean duration, in percent.
    pub build_time: f64,
    /// Growth of the failure rate, in points.
    pub failure_rate: f64,
    /// Loss of the success rate of pulls, in points.
    pub pull_success: f64,
}

impl Default for Regressions {
    fn default() -> Self {
        Self { build_time: 20.0, failure_rate: 3.0, pull_success: 10.0 }
    }
}

/// Which way is good.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Good {
    Less,
    More,
}

/// How a metric's change is told.
#[derive(Clone, Copy)]
enum As {
    /// In percent of before.
    Percent,
    /// As a difference.
    Points,
}

struct Metric {
    name: &'static str,
    unit: &'static str,
    good: Good,
    told: As,
    allowed: Option<f64>,
    of: fn(&Report) -> Option<f64>,
}

fn metrics(allowed: &Regressions) -> Vec<Metric> {
    let less = |name, unit, of| Metric { name, unit, good: Good::Less, told: As::Percent, allowed: None, of };
    vec![
        Metric {
            allowed: Some(allowed.build_time),
            ..less("Duration, mean", "seconds", |r| r.total.duration.map(|d| d.mean))
        },
        less("Duration, median", "seconds", |r| r.total.duration.map(|d| d.p50 as f64)),
        less("Duration, 95th percentile", "seconds", |r| r.total.duration.map(|d| d.p95 as f64)),
        less("Queue time, mean", "seconds", |r| r.total.queue.map(|d| d.mean)),
        Metric {
            told: As::Points,
            allowed: Some(allowed.failure_rate),
            ..less("Failure rate", "percent", |r| r.total.failure_rate)
        },
        less("Attempts per run", "attempts", |r| r.total.attempts),
        less("Builds per commit", "builds", |r| r.builds.per_commit),
        less("Images", "images", |r| r.total_images().map(|n| n as f64)),
        less("Registry storage", "bytes", |r| r.storage_bytes().map(|n| n as f64)),
        Metric {
            good: Good::More,
            told: As::Points,
            allowed: Some(allowed.pull_success),
            ..less("Image pulls that succeeded", "percent", |r| r.pull.success_rate)
        },
        Metric {
            good: Good::More,
            told: As::Points,
            ..less("Clean-ups that succeeded", "percent", |r| r.cleanup.success_rate)
        },
    ]
}

/// Compares two reports.
#[must_use]
pub fn compare(before: &Report, after: &Report, allowed: &Regressions) -> Comparison {
    let metrics = metrics(allowed);
    let changes = metrics.iter().map(|metric| change(metric, (metric.of)(before), (metric.of)(after))).collect();
    let mut names: Vec<&str> =
        before.workflows.iter().chain(&after.workflows).map(|workflow| workflow.name.as_str()).collect();
    names.sort_unstable();
    names.dedup();
    let mean = |report: &Report, name: &str| {
        let found = report.workflows.iter().find(|workflow| workflow.name == name)?;
        found.figures.duration.map(|duration| duration.mean)
    };
    let of_workflow = |name: &str| {
        let metric = metrics.first()?;
        Some((name.to_owned(), change(metric, mean(before, name), mean(after, name))))
    };
    Comparison { changes, workflows: names.into_iter().filter_map(of_workflow).collect() }
}

fn change(metric: &Metric, before: Option<f64>, after: Option<f64>) -> Change {
    let change = before.zip(after).and_then(|(before, after)| match metric.told {
        As::Points => Some(after - before),
        As::Percent if before == 0.0 => (after == 0.0).then_some(0.0),
        As::Percent => Some((after - before) * 100.0 / before),
    });
    let worse = before.zip(after).map(|(before, after)| match metric.good {
        Good::Less => after - before,
        Good::More => before - after,
    });
    let verdict = match worse {
        None => Verdict::Unknown,
        Some(0.0) => Verdict::Same,
        Some(worse) if worse < 0.0 => Verdict::Better,
        // Growth from nothing has no percentage and is beyond every limit.
        Some(_) if metric.allowed.is_some_and(|limit| change.is_none_or(|change| change.abs() > limit)) => {
            Verdict::Regression
        }
        Some(_) => Verdict::Worse,
    };
    Change { metric: metric.name, unit: metric.unit, before, after, change, verdict }
}
