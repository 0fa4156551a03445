//! Purpose: limits, and which figures exceed them.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::report::Report;

/// Limits; one that is not set is not checked.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Thresholds {
    /// Longest mean duration of a workflow's successful runs, in seconds.
    pub max_build_time: Option<u64>,
    /// Highest failure rate of a workflow, in percent.
    pub max_failure_rate: Option<f64>,
    /// Most bytes of images, over all repositories.
    pub max_storage: Option<u64>,
    /// Most builds of one commit beyond the first.
    pub max_redundant_builds: Option<u64>,
    /// Lowest success rate of steps that pull images, in percent.
    pub min_pull_success: Option<f64>,
    /// Lowest success rate of steps that clean up, in percent.
    pub min_cleanup_success: Option<f64>,
}

/// A figure beyond its limit.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[schemars(inline)]
pub struct Breach {
    /// The threshold's name.
    pub threshold: String,
    /// What it is about: a workflow, a commit, a repository's images.
    pub subject: String,
    /// What was measured, in the threshold's unit.
    pub value: f64,
    /// The limit.
    pub limit: f64,
    /// `seconds`, `percent`, `bytes`, `builds`.
    pub unit: String,
}

impl Thresholds {
    /// What a report breaks, in the order of the thresholds. A value equal to its limit breaks nothing.
    #[must_use]
    pub fn breaches(&self, report: &Report) -> Vec<Breach> {
        let mut breaches = Vec::new();
        for workflow in &report.workflows {
            let mean = workflow.figures.duration.map(|duration| duration.mean);
            let limit = self.max_build_time.map(|limit| limit as f64);
            breaches.extend(above("max_build_time", &workflow.name, "seconds", mean, limit));
        }
        for workflow in &report.workflows {
            let rate = workflow.figures.failure_rate;
            breaches.extend(above("max_failure_rate", &workflow.name, "percent", rate, self.max_failure_rate));
        }
        let bytes = report.storage_bytes().map(|bytes| bytes as f64);
        let limit = self.max_storage.map(|limit| limit as f64);
        breaches.extend(above("max_storage", "all images", "bytes", bytes, limit));
        let redundant = (report.builds.commits > 0).then_some(report.builds.most_redundant as f64);
        let commit = report.builds.worst_commit.as_deref().unwrap_or("every commit");
        let limit = self.max_redundant_builds.map(|limit| limit as f64);
        breaches.extend(above("max_redundant_builds", commit, "builds", redundant, limit));
        for (name, subject, figures, limit) in [
            ("min_pull_success", "pulls of images", report.pull, self.min_pull_success),
            ("min_cleanup_success", "clean-ups", report.cleanup, self.min_cleanup_success),
        ] {
            breaches.extend(below(name, subject, "percent", figures.success_rate, limit));
        }
        breaches
    }
}

fn above(threshold: &str, subject: &str, unit: &str, value: Option<f64>, limit: Option<f64>) -> Option<Breach> {
    let (value, limit) = (value?, limit?);
    (value > limit).then(|| breach(threshold, subject, unit, value, limit))
}

fn below(threshold: &str, subject: &str, unit: &str, value: Option<f64>, limit: Option<f64>) -> Option<Breach> {
    let (value, limit) = (value?, limit?);
    (value < limit).then(|| breach(threshold, subject, unit, value, limit))
}

fn breach(threshold: &str, subject: &str, unit: &str, value: f64, limit: f64) -> Breach {
    Breach { threshold: threshold.to_owned(), subject: subject.to_owned(), value, limit, unit: unit.to_owned() }
}
