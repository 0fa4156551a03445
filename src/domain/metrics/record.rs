//! Purpose: one run, reduced to what figures are made of.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::moment::Moment;
use super::patterns::StepPatterns;

/// How a run ended, as far as figures go.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
#[schemars(inline)]
pub enum Outcome {
    /// It succeeded.
    Success,
    /// It failed, timed out or could not start.
    Failure,
    /// Somebody or something cancelled it.
    Cancelled,
    /// It had nothing to do, or never came to a verdict.
    Skipped,
}

/// One run that ended, its latest attempt.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Record {
    /// Number of the run.
    pub id: u64,
    /// The attempt that is described, from 1 on.
    pub attempt: u64,
    /// Name of the workflow.
    pub workflow: String,
    /// The event that started it.
    pub event: String,
    /// The branch it belongs to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub branch: Option<String>,
    /// The commit it ran on.
    pub commit: String,
    /// How it ended.
    pub outcome: Outcome,
    /// When the attempt started.
    pub started_at: Moment,
    /// When it ended.
    pub ended_at: Moment,
    /// What its jobs said, when they were read.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub jobs: Option<JobFacts>,
}

impl Record {
    /// Seconds from the attempt's start to its end.
    #[must_use]
    pub fn duration(&self) -> u64 {
        self.ended_at.since(self.started_at)
    }

    /// Seconds in which none of its jobs ran.
    #[must_use]
    pub fn queue(&self) -> Option<u64> {
        self.jobs.as_ref().map(|jobs| self.duration().saturating_sub(jobs.execution_seconds))
    }
}

/// What the jobs of one run say.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub struct JobFacts {
    /// Seconds in which at least one job ran.
    pub execution_seconds: u64,
    /// Steps that built an image.
    pub builds: u64,
    /// Steps that pulled an image.
    pub pull: Tally,
    /// Steps that cleaned up.
    pub cleanup: Tally,
}

/// Successes and failures; what was skipped or cancelled is neither.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub struct Tally {
    /// How many succeeded.
    pub success: u64,
    /// How many failed.
    pub failure: u64,
}

impl Tally {
    /// Counts one end.
    pub fn add(&mut self, outcome: Outcome) {
        match outcome {
            Outcome::Success => self.success += 1,
            Outcome::Failure => self.failure += 1,
            Outcome::Cancelled | Outcome::Skipped => {}
        }
    }

    /// Both together.
    #[must_use]
    pub fn total(self) -> u64 {
        self.success + self.failure
    }
}

/// A job of a run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct JobSpan {
    /// Its name.
    pub name: String,
    /// When a runner took it; `None` for a skipped one.
    pub started_at: Option<Moment>,
    /// When it ended.
    pub ended_at: Option<Moment>,
    /// How it ended.
    pub outcome: Outcome,
    /// Its steps.
    pub steps: Vec<StepFact>,
}

/// A step of a job.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StepFact {
    /// Its name.
    pub name: String,
    /// How it ended.
    pub outcome: Outcome,
}

/// Reduces the jobs of a run.
#[must_use]
pub fn job_facts(jobs: &[JobSpan], patterns: &StepPatterns) -> JobFacts {
    let mut facts = JobFacts { execution_seconds: covered(jobs), ..JobFacts::default() };
    for job in jobs.iter().filter(|job| job.outcome != Outcome::Skipped) {
        let of = |wanted: fn(&StepPatterns) -> &super::NamePatterns| named(job, wanted(patterns));
        facts.builds += of(|p| &p.build).iter().filter(|outcome| **outcome == Outcome::Success).count() as u64;
        of(|p| &p.pull).into_iter().for_each(|outcome| facts.pull.add(outcome));
        of(|p| &p.cleanup).into_iter().for_each(|outcome| facts.cleanup.add(outcome));
    }
    facts
}

/// The ends of the steps that a pattern names; of the job itself when it names the job and none of its steps.
fn named(job: &JobSpan, patterns: &super::NamePatterns) -> Vec<Outcome> {
    // The post stage of a step is called after it and is not that step.
    let own = |step: &&StepFact| !step.name.starts_with("Post ") && patterns.matches(&step.name);
    let steps: Vec<Outcome> = job.steps.iter().filter(own).map(|step| step.outcome).collect();
    if steps.is_empty() && patterns.matches(&job.name) { vec![job.outcome] } else { steps }
}

/// Seconds that lie within at least one job.
fn covered(jobs: &[JobSpan]) -> u64 {
    let mut spans: Vec<(Moment, Moment)> = jobs
        .iter()
        .filter_map(|job| Some((job.started_at?, job.ended_at?)))
        .filter(|(start, end)| end > start)
        .collect();
    spans.sort_unstable();
    let mut seconds = 0;
    let mut until: Option<Moment> = None;
    for (start, end) in spans {
        let from = until.map_or(start, |until| until.max(start));
        seconds += end.since(from);
        until = Some(until.map_or(end, |until| until.max(end)));
    }
    seconds
}
