//! Purpose: how often the same commit was built.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::record::{Outcome, Record};

/// Builds per commit.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub struct BuildFigures {
    /// What was counted.
    pub counted: Counted,
    /// Commits that were built at least once.
    pub commits: u64,
    /// Builds of these commits.
    pub builds: u64,
    /// Builds per commit; absent without a commit.
    pub per_commit: Option<f64>,
    /// Builds beyond the first of each commit.
    pub redundant: u64,
    /// Most builds beyond the first of one commit.
    pub most_redundant: u64,
    /// The commit that was built most often, when one was built more than once.
    pub worst_commit: Option<String>,
}

/// What counts as a build.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
#[schemars(inline)]
pub enum Counted {
    /// Steps that build an image, in the runs whose jobs were read.
    Steps,
    /// Runs of the workflows, because no step that builds an image is known.
    #[default]
    Runs,
}

/// Counts builds per commit: build steps when any is known, else runs. Only runs whose jobs were read say something about
/// steps; the others are left out then.
#[must_use]
pub fn builds_per_commit<'a>(records: impl IntoIterator<Item = &'a Record> + Clone) -> BuildFigures {
    let steps = by_commit(records.clone(), |record| record.jobs.map_or(0, |jobs| jobs.builds));
    if !steps.is_empty() {
        return figures(Counted::Steps, &steps);
    }
    let run = |record: &Record| u64::from(matches!(record.outcome, Outcome::Success | Outcome::Failure));
    figures(Counted::Runs, &by_commit(records, run))
}

fn by_commit<'a>(
    records: impl IntoIterator<Item = &'a Record>,
    builds: impl Fn(&Record) -> u64,
) -> BTreeMap<&'a str, u64> {
    let mut counts = BTreeMap::new();
    for record in records {
        let found = builds(record);
        if found > 0 {
            *counts.entry(record.commit.as_str()).or_default() += found;
        }
    }
    counts
}

fn figures(counted: Counted, counts: &BTreeMap<&str, u64>) -> BuildFigures {
    let (commits, builds) = (counts.len() as u64, counts.values().sum::<u64>());
    let worst = counts.iter().max_by_key(|(_, count)| **count).filter(|(_, count)| **count > 1);
    BuildFigures {
        counted,
        commits,
        builds,
        per_commit: (commits > 0).then(|| builds as f64 / commits as f64),
        redundant: builds - commits,
        most_redundant: worst.map_or(0, |(_, count)| count - 1),
        worst_commit: worst.map(|(commit, _)| (*commit).to_owned()),
    }
}
