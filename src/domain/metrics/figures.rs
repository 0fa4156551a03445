//! Purpose: counts, rates, spreads and trend of runs.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::record::{Outcome, Record, Tally};

/// Fewest successful runs of which a trend is told.
const FEWEST_FOR_TREND: usize = 8;

/// Figures of some runs.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub struct Figures {
    /// Runs that ended.
    pub runs: u64,
    /// Runs that succeeded.
    pub success: u64,
    /// Runs that failed, timed out or could not start.
    pub failure: u64,
    /// Runs that were cancelled.
    pub cancelled: u64,
    /// Runs that were skipped or came to no verdict.
    pub skipped: u64,
    /// Failed runs among failed and succeeded ones, in percent; absent when there are none.
    pub failure_rate: Option<f64>,
    /// Runs that needed more than one attempt.
    pub rerun: u64,
    /// Mean number of attempts.
    pub attempts: Option<f64>,
    /// Duration of successful runs, in seconds.
    pub duration: Option<Spread>,
    /// Execution of successful runs whose jobs were read, in seconds.
    pub execution: Option<Spread>,
    /// Queue time of successful runs whose jobs were read, in seconds.
    pub queue: Option<Spread>,
    /// Change of the median duration from the older to the newer half of the successful runs, in percent.
    pub trend: Option<f64>,
    /// By day, the oldest first.
    pub days: Vec<Day>,
}

/// How values are spread.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Spread {
    /// How many values.
    pub count: u64,
    /// Arithmetic mean.
    pub mean: f64,
    /// Median, by nearest rank.
    pub p50: u64,
    /// 95th percentile, by nearest rank.
    pub p95: u64,
    /// Smallest.
    pub min: u64,
    /// Largest.
    pub max: u64,
}

/// Runs that started on one day.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Day {
    /// The day in UTC, `YYYY-MM-DD`.
    pub date: String,
    /// Runs that succeeded.
    pub success: u64,
    /// Runs that failed.
    pub failure: u64,
    /// Median duration of the successful ones, in seconds.
    pub p50: Option<u64>,
}

/// How often steps of one kind succeeded.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub struct StepFigures {
    /// Steps that succeeded.
    pub success: u64,
    /// Steps that failed.
    pub failure: u64,
    /// Succeeded among both, in percent; absent when there are none.
    pub success_rate: Option<f64>,
}

impl StepFigures {
    /// Sums the tallies of runs.
    #[must_use]
    pub fn of(tallies: impl IntoIterator<Item = Tally>) -> Self {
        let (success, failure) =
            tallies.into_iter().fold((0, 0), |(s, f), tally| (s + tally.success, f + tally.failure));
        Self { success, failure, success_rate: percent(success, success + failure) }
    }
}

impl Spread {
    /// The spread of values; `None` when there are none.
    #[must_use]
    pub fn of(values: impl IntoIterator<Item = u64>) -> Option<Self> {
        let mut values: Vec<u64> = values.into_iter().collect();
        values.sort_unstable();
        let (min, max) = (*values.first()?, *values.last()?);
        let sum: u128 = values.iter().map(|value| u128::from(*value)).sum();
        Some(Self {
            count: values.len() as u64,
            mean: sum as f64 / values.len() as f64,
            p50: rank(&values, 50),
            p95: rank(&values, 95),
            min,
            max,
        })
    }
}

/// The value of nearest rank in sorted values that are not empty.
fn rank(sorted: &[u64], percent: usize) -> u64 {
    let rank = (sorted.len() * percent).div_ceil(100).max(1);
    sorted.get(rank - 1).copied().unwrap_or_default()
}

/// A share in percent; `None` of nothing.
pub(super) fn percent(part: u64, whole: u64) -> Option<f64> {
    (whole > 0).then(|| part as f64 * 100.0 / whole as f64)
}

impl Figures {
    /// Figures of records in any order.
    #[must_use]
    pub fn of<'a>(records: impl IntoIterator<Item = &'a Record>) -> Self {
        let mut records: Vec<&Record> = records.into_iter().collect();
        records.sort_unstable_by_key(|record| (record.started_at, record.id));
        let count = |outcome| records.iter().filter(|record| record.outcome == outcome).count() as u64;
        let (success, failure) = (count(Outcome::Success), count(Outcome::Failure));
        let good: Vec<&Record> = records.iter().copied().filter(|r| r.outcome == Outcome::Success).collect();
        let attempts: u64 = records.iter().map(|record| record.attempt).sum();
        Self {
            runs: records.len() as u64,
            success,
            failure,
            cancelled: count(Outcome::Cancelled),
            skipped: count(Outcome::Skipped),
            failure_rate: percent(failure, success + failure),
            rerun: records.iter().filter(|record| record.attempt > 1).count() as u64,
            attempts: (!records.is_empty()).then(|| attempts as f64 / records.len() as f64),
            duration: Spread::of(good.iter().map(|record| record.duration())),
            execution: Spread::of(good.iter().filter_map(|record| Some(record.duration() - record.queue()?))),
            queue: Spread::of(good.iter().filter_map(|record| record.queue())),
            trend: trend(&good),
            days: days(&records),
        }
    }
}

/// The middle one of an odd number belongs to neither half.
fn trend(good: &[&Record]) -> Option<f64> {
    if good.len() < FEWEST_FOR_TREND {
        return None;
    }
    let half = good.len() / 2;
    let median = |records: &[&Record]| Spread::of(records.iter().map(|record| record.duration())).map(|s| s.p50);
    let (older, newer) = (median(&good[..half])?, median(&good[good.len() - half..])?);
    (older > 0).then(|| (newer as f64 - older as f64) * 100.0 / older as f64)
}

fn days(records: &[&Record]) -> Vec<Day> {
    let mut by_day: BTreeMap<String, (Tally, Vec<u64>)> = BTreeMap::new();
    for record in records {
        let (tally, durations) = by_day.entry(record.started_at.day()).or_default();
        tally.add(record.outcome);
        if record.outcome == Outcome::Success {
            durations.push(record.duration());
        }
    }
    let day = |(date, (tally, durations)): (String, (Tally, Vec<u64>))| Day {
        date,
        success: tally.success,
        failure: tally.failure,
        p50: Spread::of(durations).map(|spread| spread.p50),
    };
    by_day.into_iter().map(day).collect()
}
