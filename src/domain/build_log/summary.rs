//! Purpose: the data of a build's summary.

use std::time::Duration;

/// How a step ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StepEnd {
    /// It ran.
    Ran,
    /// It was in the cache.
    Cached,
    /// It failed.
    Failed,
    /// It was given up because another step failed, or it never ended.
    GivenUp,
}

/// One step of a finished build.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StepSummary {
    /// As people know it.
    pub name: String,
    /// How it ended.
    pub end: StepEnd,
    /// How long it ran, over all its runs.
    pub took: Duration,
}

/// What a summary says about a build.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct BuildSummary {
    /// The steps of the Dockerfile and the export, in the order in which they began.
    pub steps: Vec<StepSummary>,
    /// Steps of the Dockerfile that were in the cache; base images do not count.
    pub cached: usize,
    /// Steps of the Dockerfile in all; base images do not count.
    pub counted: usize,
}

impl BuildSummary {
    /// Leaves the builder's own housekeeping out, and counts.
    pub(super) fn of(vertices: impl Iterator<Item = StepSummary>) -> Self {
        let steps: Vec<StepSummary> = vertices.filter(|step| !is_housekeeping(&step.name)).collect();
        let counted = steps.iter().filter(|step| is_step(&step.name));
        let cached = counted.clone().filter(|step| step.end == StepEnd::Cached).count();
        Self { cached, counted: counted.count(), steps }
    }
}

/// The builder's own work: reading the Dockerfile, asking a registry, authenticating.
pub(super) fn is_housekeeping(name: &str) -> bool {
    ["[internal]", "[auth]"].iter().any(|mark| name.starts_with(mark))
}

/// An instruction of the Dockerfile other than `FROM`: `[build 2/5] RUN make`.
fn is_step(name: &str) -> bool {
    let instruction = name.strip_prefix('[').and_then(|rest| rest.split_once("] ")).map(|(_, instruction)| instruction);
    !is_housekeeping(name) && instruction.is_some_and(|instruction| !instruction.starts_with("FROM "))
}
