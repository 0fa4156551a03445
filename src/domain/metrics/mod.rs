//! Purpose: what a CI's runs, steps and images say about it: figures, thresholds, comparison, charts.
//!
//! Definitions, which `docs/metrics.md` repeats for people:
//! - A run's *duration* is that of its latest attempt, from its start to its end. Durations are taken of runs that
//!   succeeded: a run that fails early would make a CI look fast.
//! - Its *queue time* is the part of the duration in which none of its jobs ran: waiting for runners, approvals,
//!   concurrency. The rest is its *execution*. Both are known only of runs whose jobs were read.
//! - The *failure rate* is failed runs among failed and succeeded ones, in percent. Cancelled and skipped runs say
//!   nothing about the code and are counted apart.
//! - A percentile is the smallest value that at least that share of all values does not exceed (nearest rank).
//! - The *trend* is the change from the median duration of the older half of the runs to that of the newer half.

mod builds;
mod chart;
mod classes;
mod compare;
mod figures;
mod moment;
mod patterns;
mod record;
mod report;
mod svg;
#[cfg(test)]
mod tests;
mod thresholds;

pub use builds::{BuildFigures, builds_per_commit};
pub use chart::{duration_chart, image_chart};
pub use classes::{ClassFigures, Classes, ImageFigures, ImageSize, Layer, StoredImage};
pub use compare::{Change, Comparison, Regressions, Verdict, compare};
pub use figures::{Day, Figures, Spread, StepFigures};
pub use moment::Moment;
pub use patterns::{NamePatterns, StepPatterns};
pub use record::{JobFacts, JobSpan, Outcome, Record, StepFact, Tally, job_facts};
pub use report::{Report, VERSION, WorkflowFigures};
pub use svg::durations_svg;
pub use thresholds::{Breach, Thresholds};
