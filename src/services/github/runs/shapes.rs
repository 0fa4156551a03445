//! Purpose: runs, jobs, steps and workflows as GitHub's API shows them.

use jiff::Timestamp;
use serde::{Deserialize, Deserializer, Serialize};

use crate::domain::names::{CommitSha, RepositoryName};

/// Where a run, a job or a step stands. GitHub adds words now and then, so that unknown ones are no error.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RunStatus {
    /// Waits for a runner.
    Queued,
    /// Runs.
    InProgress,
    /// Ended; the conclusion says how.
    Completed,
    /// Was asked for and is not yet queued.
    Requested,
    /// Waits for an approval or a timer.
    Waiting,
    /// Waits for another run of its concurrency group.
    Pending,
    /// A word of GitHub's that this program does not know.
    #[serde(other)]
    Other,
}

impl RunStatus {
    /// Whether it ended.
    #[must_use]
    pub fn is_completed(self) -> bool {
        self == Self::Completed
    }

    /// The word for people.
    #[must_use]
    pub fn words(self) -> &'static str {
        match self {
            Self::Queued => "queued",
            Self::InProgress => "in progress",
            Self::Completed => "completed",
            Self::Requested => "requested",
            Self::Waiting => "waiting for approval",
            Self::Pending => "waiting for another run",
            Self::Other => "in a state of GitHub's own",
        }
    }
}

/// How a run, a job or a step ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Conclusion {
    /// Everything went well.
    Success,
    /// Something failed.
    Failure,
    /// Neither good nor bad.
    Neutral,
    /// Somebody cancelled it.
    Cancelled,
    /// Its condition did not hold.
    Skipped,
    /// It took too long.
    TimedOut,
    /// It waits for somebody to act.
    ActionRequired,
    /// GitHub gave it up.
    Stale,
    /// The workflow file could not be used.
    StartupFailure,
    /// A word of GitHub's that this program does not know.
    #[serde(other)]
    Other,
}

impl Conclusion {
    /// The word for people.
    #[must_use]
    pub fn words(self) -> &'static str {
        match self {
            Self::Success => "success",
            Self::Failure => "failure",
            Self::Neutral => "neutral",
            Self::Cancelled => "cancelled",
            Self::Skipped => "skipped",
            Self::TimedOut => "timed out",
            Self::ActionRequired => "action required",
            Self::Stale => "stale",
            Self::StartupFailure => "startup failure",
            Self::Other => "an end of GitHub's own",
        }
    }
}

/// A run of a workflow.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct WorkflowRun {
    /// Its number over all of GitHub.
    pub id: u64,
    /// Name of the workflow, or the file's path when it has none.
    #[serde(default)]
    pub name: Option<String>,
    /// What `run-name` gave, else GitHub's own title.
    #[serde(default)]
    pub display_title: String,
    /// Path of the workflow's file; with `@ref` for one of another repository.
    #[serde(default)]
    pub path: String,
    /// Number of the workflow.
    #[serde(default)]
    pub workflow_id: u64,
    /// Number of the run within its workflow.
    #[serde(default)]
    pub run_number: u64,
    /// Attempt, from 1 on.
    #[serde(default = "first")]
    pub run_attempt: u64,
    /// The event that started it.
    pub event: String,
    /// Where it stands.
    pub status: RunStatus,
    /// How it ended, when it did.
    #[serde(default)]
    pub conclusion: Option<Conclusion>,
    /// The branch (or tag) it belongs to.
    #[serde(default)]
    pub head_branch: Option<String>,
    /// The commit it ran on: of a pull request the head, not the merge commit.
    pub head_sha: CommitSha,
    /// The repository that the commit comes from; `None` when the fork is gone.
    #[serde(default, deserialize_with = "full_name")]
    pub head_repository: Option<RepositoryName>,
    /// Open pull requests of that head; empty for forks.
    #[serde(default, deserialize_with = "numbers")]
    pub pull_requests: Vec<u64>,
    /// Who started it.
    #[serde(default, deserialize_with = "login")]
    pub actor: Option<String>,
    /// Its page.
    #[serde(default)]
    pub html_url: String,
    /// When it was made; stays the same for later attempts.
    #[serde(deserialize_with = "timestamp")]
    pub created_at: Timestamp,
    /// When this attempt started.
    #[serde(default, deserialize_with = "maybe_timestamp")]
    pub run_started_at: Option<Timestamp>,
    /// When it changed last: for an ended run, its end.
    #[serde(deserialize_with = "timestamp")]
    pub updated_at: Timestamp,
}

/// A job of a run.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct Job {
    /// Its number over all of GitHub.
    pub id: u64,
    /// The run it belongs to.
    #[serde(default)]
    pub run_id: u64,
    /// The attempt it belongs to.
    #[serde(default = "first")]
    pub run_attempt: u64,
    /// Its name, matrix values included.
    pub name: String,
    /// Where it stands.
    pub status: RunStatus,
    /// How it ended, when it did.
    #[serde(default)]
    pub conclusion: Option<Conclusion>,
    /// When it was queued; older Enterprise Servers do not say.
    #[serde(default, deserialize_with = "maybe_timestamp")]
    pub created_at: Option<Timestamp>,
    /// When a runner took it.
    #[serde(default, deserialize_with = "maybe_timestamp")]
    pub started_at: Option<Timestamp>,
    /// When it ended.
    #[serde(default, deserialize_with = "maybe_timestamp")]
    pub completed_at: Option<Timestamp>,
    /// Its page.
    #[serde(default)]
    pub html_url: Option<String>,
    /// What it asked of its runner.
    #[serde(default)]
    pub labels: Vec<String>,
    /// Its steps, in order; empty before it starts.
    #[serde(default)]
    pub steps: Vec<JobStep>,
}

/// A step of a job.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct JobStep {
    /// Place in the job, from 1 on.
    pub number: u64,
    /// Its name.
    pub name: String,
    /// Where it stands.
    pub status: RunStatus,
    /// How it ended, when it did.
    #[serde(default)]
    pub conclusion: Option<Conclusion>,
    /// When it started.
    #[serde(default, deserialize_with = "maybe_timestamp")]
    pub started_at: Option<Timestamp>,
    /// When it ended.
    #[serde(default, deserialize_with = "maybe_timestamp")]
    pub completed_at: Option<Timestamp>,
}

/// A workflow of a repository.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct Workflow {
    /// Its number.
    pub id: u64,
    /// Its name.
    pub name: String,
    /// Path of its file.
    pub path: String,
    /// `active`, `disabled_manually`, `disabled_inactivity` …
    pub state: String,
}

fn first() -> u64 {
    1
}

fn timestamp<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Timestamp, D::Error> {
    String::deserialize(deserializer)?.parse().map_err(serde::de::Error::custom)
}

fn maybe_timestamp<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Timestamp>, D::Error> {
    let text = Option::<String>::deserialize(deserializer)?;
    text.map(|text| text.parse()).transpose().map_err(serde::de::Error::custom)
}

fn full_name<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<RepositoryName>, D::Error> {
    #[derive(Deserialize)]
    struct Body {
        full_name: RepositoryName,
    }
    Ok(Option::<Body>::deserialize(deserializer)?.map(|body| body.full_name))
}

fn numbers<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<u64>, D::Error> {
    #[derive(Deserialize)]
    struct Body {
        number: u64,
    }
    let bodies = Option::<Vec<Body>>::deserialize(deserializer)?.unwrap_or_default();
    Ok(bodies.into_iter().map(|body| body.number).collect())
}

fn login<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<String>, D::Error> {
    #[derive(Deserialize)]
    struct Body {
        login: String,
    }
    Ok(Option::<Body>::deserialize(deserializer)?.map(|body| body.login))
}
