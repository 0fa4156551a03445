//! Purpose: whether our deployment, not "the service", has arrived: a state machine over what ECS answers.
//!
//! The machine says what to ask next, is told the answers with the time since the start, and says what happened and,
//! once it knows, how it ended. It asks nothing itself and has no clock, so tests run whole rollouts in no time.
//!
//! It alternates between two questions: the service deployment (ListServiceDeployments and
//! DescribeServiceDeployments, which tell the truth) and the service (events, task counts). A change in the latter
//! makes it look at stopped tasks and at the deployment at once. Where the former are denied or unknown it goes by
//! the service's `deployments` and their `rolloutState` alone.

use std::time::Duration;

use jiff::Timestamp;

use super::diagnosis::Diagnosis;
use super::ecs::{Service, ServiceDeployment, Task, TaskCounts};

mod crash;
mod learn;
mod service;
#[cfg(test)]
mod tests;
mod watch;

pub use watch::Rollout;

/// Which deployment is ours, and what would end it.
#[derive(Debug, Clone, Default)]
pub struct Target {
    /// ARN of the task definition that it brings.
    pub task_definition: String,
    /// ARN of the task definition that the service had before, if another.
    pub previous: Option<String>,
    /// Its id among the service's deployments, `ecs-svc/<number>`, as the update's answer has it.
    pub deployment_id: Option<String>,
    /// When it was created, by ECS's own clock.
    pub started_after: Option<Timestamp>,
    /// ARNs of service deployments that were there before it.
    pub known: Vec<String>,
    /// ARN of the service deployment, when it is known already.
    pub arn: Option<String>,
    /// What is waited for.
    pub goal: Goal,
    /// Number of tasks that must run, when only that number changes: ECS starts no deployment for it, so the one
    /// there is stays complete all the time.
    pub tasks: Option<i32>,
}

/// What is waited for.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Goal {
    /// That the deployment completes.
    #[default]
    Completion,
    /// That the deployment, which is on its way back, has arrived there.
    Return,
}

/// How long and how patiently.
#[derive(Debug, Clone, Copy)]
pub struct Limits {
    /// Longest time that the rollout may take.
    pub timeout: Duration,
    /// Stopped tasks with the same cause that make a crash loop.
    pub crash_limit: usize,
    /// Longest time without any usable answer.
    pub silence: Duration,
}

/// What to ask ECS.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Question {
    /// The service's deployments since the start, with the task definition of each one's target revision.
    Deployments,
    /// One service deployment, by its ARN.
    Deployment(String),
    /// The service.
    Service,
    /// Its stopped tasks.
    StoppedTasks,
}

/// When to ask it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Pace {
    /// At once: something has just changed.
    Now,
    /// After the poll interval.
    Steady,
}

/// A service deployment in a listing.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Listed {
    /// The deployment.
    pub deployment: ServiceDeployment,
    /// ARN of the task definition of its target revision, when that could be read.
    pub task_definition: Option<String>,
}

/// What ECS answered.
#[derive(Debug, Clone)]
pub enum Answer {
    /// To [`Question::Deployments`].
    Deployments(Vec<Listed>),
    /// To [`Question::Deployment`]; nothing when it is not there.
    Deployment(Option<Box<ServiceDeployment>>),
    /// To [`Question::Service`]; nothing when it is not there.
    Service(Option<Box<Service>>),
    /// To [`Question::StoppedTasks`]: those not told before.
    StoppedTasks(Vec<Task>),
    /// No usable answer.
    Trouble(Trouble),
}

/// Why there was no usable answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Trouble {
    /// The kind.
    pub kind: TroubleKind,
    /// In words.
    pub message: String,
}

/// Kinds of trouble.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TroubleKind {
    /// We are known and may not ask this.
    Denied,
    /// The endpoint does not know the question.
    UnknownQuestion,
    /// We are no longer known: expired or revoked credentials.
    Unauthenticated,
    /// No answer, an error on the other side, or too many requests.
    Unavailable,
}

/// What happened, for whoever watches.
#[derive(Debug, Clone, PartialEq)]
pub enum Progress {
    /// Our deployment is found.
    Found {
        /// ARN of the service deployment.
        arn: String,
    },
    /// It is in another state or stage.
    State(String),
    /// Task counts changed.
    Counts(TaskCounts),
    /// The service said something.
    Event(String),
    /// One of our tasks stopped although nobody wanted it to.
    TaskFailed {
        /// Id of the task.
        task: String,
        /// Why.
        diagnosis: Diagnosis,
    },
    /// A question is given up; said once.
    Degraded(String),
}

/// How it ended.
#[derive(Debug, Clone, PartialEq)]
pub enum Verdict {
    /// It arrived.
    Completed,
    /// It failed and stays where it is.
    Failed {
        /// Why, in ECS's words where it has any.
        reason: String,
    },
    /// ECS, or somebody through it, takes it back.
    RolledBack {
        /// Why.
        reason: String,
    },
    /// Another deployment took its place.
    Superseded {
        /// What the other one brings, if known.
        by: Option<String>,
    },
    /// Tasks of it keep stopping for the same cause.
    CrashLoop {
        /// The cause.
        diagnosis: Diagnosis,
        /// How many.
        tasks: usize,
    },
    /// The time is up.
    TimedOut,
    /// We may no longer look.
    LostPermission {
        /// What was refused.
        message: String,
    },
    /// ECS gave no usable answer for too long.
    LostContact {
        /// The last trouble.
        message: String,
    },
}
