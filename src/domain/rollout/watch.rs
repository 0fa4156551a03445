//! Purpose: the machine: which question comes next, and what each answer means.

use std::collections::{HashSet, VecDeque};
use std::time::Duration;

use super::crash::{self, Crashes};
use super::{Answer, Limits, Pace, Progress, Question, Target, TroubleKind, Verdict};
use crate::domain::diagnosis::Diagnosis;
use crate::domain::ecs::{ServiceDeployment, Task, TaskCounts};

/// Every so many turns of the service, stopped tasks are looked at although nothing seems to have changed.
const TASKS_EVERY: u32 = 8;

/// What the verdict rests on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Source {
    /// The service deployment.
    Deployments,
    /// The service.
    Service {
        /// Whether the endpoint does not know service deployments at all.
        emulator: bool,
    },
}

/// What was seen last, to tell changes from repetitions.
#[derive(Debug, Default)]
pub(super) struct Seen {
    pub(super) state: Option<String>,
    pub(super) counts: Option<TaskCounts>,
    pub(super) failed: i32,
    pub(super) events: HashSet<String>,
    /// Whether the service was read at all, and whether it listed our deployment.
    pub(super) service: bool,
    pub(super) ours: bool,
    /// Since when, and for how many readings, the service lacks our deployment.
    pub(super) absent: Option<(Duration, u32)>,
    /// Readings in a row in which an emulator's service shows the change without a deployment.
    pub(super) silent: u32,
    /// Whether the service's last reading suggested that the rollout had ended.
    pub(super) ending: bool,
}

/// One rollout under watch.
#[derive(Debug)]
pub struct Rollout {
    pub(super) target: Target,
    pub(super) limits: Limits,
    pub(super) source: Source,
    pub(super) turn: u32,
    pub(super) urgent: VecDeque<Question>,
    pub(super) crashes: Crashes,
    pub(super) seen: Seen,
    pub(super) listed: bool,
    pub(super) stopped: Option<ServiceDeployment>,
    pub(super) stopping: Stopping,
    pub(super) without_tasks: bool,
    pub(super) without_service: bool,
    pub(super) last_answer: Duration,
    /// The same, of the deployment alone.
    pub(super) last_of_deployment: Duration,
    pub(super) alarms: Vec<String>,
    pub(super) verdict: Option<Verdict>,
}

/// Whether tasks of ours are on their way to their end, which have no exit code yet.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Stopping {
    /// None.
    None,
    /// Some, as was seen just now: the service has its turn first.
    Asked,
    /// Some: the next turn is theirs.
    AskAgain,
}

impl Rollout {
    /// Starts watching.
    #[must_use]
    pub fn new(target: Target, limits: Limits) -> Self {
        Self {
            target,
            limits,
            source: Source::Deployments,
            turn: 0,
            urgent: VecDeque::new(),
            crashes: Crashes::default(),
            seen: Seen::default(),
            listed: false,
            stopped: None,
            stopping: Stopping::None,
            without_tasks: false,
            without_service: false,
            last_answer: Duration::ZERO,
            last_of_deployment: Duration::ZERO,
            alarms: Vec::new(),
            verdict: None,
        }
    }

    /// Goes by the service alone from the start: the endpoint is known not to answer for service deployments.
    #[must_use]
    pub fn by_service(mut self, kind: TroubleKind) -> Self {
        self.source = Source::Service { emulator: kind != TroubleKind::Denied };
        self
    }

    /// How it ended, once that is known.
    #[must_use]
    pub fn verdict(&self) -> Option<&Verdict> {
        self.verdict.as_ref()
    }

    /// ARN of the service deployment, once it is found.
    #[must_use]
    pub fn arn(&self) -> Option<&str> {
        self.target.arn.as_deref()
    }

    /// Our deployment's id among the service's, once it is known.
    #[must_use]
    pub fn deployment_id(&self) -> Option<&str> {
        self.target.deployment_id.as_deref()
    }

    /// ARN of the task definition that our deployment brings.
    #[must_use]
    pub fn task_definition(&self) -> &str {
        &self.target.task_definition
    }

    /// Our tasks that failed, the first first.
    #[must_use]
    pub fn failed_tasks(&self) -> &[(Task, Diagnosis)] {
        self.crashes.failed()
    }

    /// Names of the alarms that ended it.
    #[must_use]
    pub fn alarms(&self) -> &[String] {
        &self.alarms
    }

    /// Task counts as last seen.
    #[must_use]
    pub fn counts(&self) -> Option<TaskCounts> {
        self.seen.counts
    }

    /// What to ask next, and when.
    #[must_use]
    pub fn next(&self) -> (Question, Pace) {
        if let Some(question) = self.urgent.front() {
            return (question.clone(), Pace::Now);
        }
        let pace = if self.turn == 0 { Pace::Now } else { Pace::Steady };
        let (round, deployments_turn) = match self.source {
            Source::Deployments => (self.turn / 2, self.turn.is_multiple_of(2) || self.without_service),
            Source::Service { .. } => (self.turn, false),
        };
        if deployments_turn {
            return (self.about_deployment(), pace);
        }
        let due = round % TASKS_EVERY == TASKS_EVERY - 1 || self.stopping == Stopping::AskAgain;
        let tasks_turn = due && !self.without_tasks;
        (if tasks_turn { Question::StoppedTasks } else { Question::Service }, pace)
    }

    pub(super) fn about_deployment(&self) -> Question {
        self.target.arn.clone().map_or(Question::Deployments, Question::Deployment)
    }

    /// Notes that time has passed: `at` is the time since the start.
    pub fn tick(&mut self, at: Duration) {
        if at >= self.limits.timeout {
            self.conclude(Verdict::TimedOut);
        }
    }

    /// Takes in the answer to `question`, which came `at` this time since the start.
    pub fn learn(&mut self, at: Duration, question: &Question, answer: Answer) -> Vec<Progress> {
        match self.urgent.front() == Some(question) {
            true => drop(self.urgent.pop_front()),
            false => self.turn += 1,
        }
        if !matches!(answer, Answer::Trouble(_)) {
            self.last_answer = at;
            let is_there = !matches!(answer, Answer::Deployment(None));
            if is_there && matches!(question, Question::Deployments | Question::Deployment(_)) {
                self.last_of_deployment = at;
            }
        }
        match answer {
            Answer::Deployments(listed) => self.learn_listing(at, listed),
            Answer::Deployment(Some(deployment)) => self.learn_deployment(&deployment),
            Answer::Deployment(None) => self.learn_absence(at, question),
            Answer::Service(Some(service)) => self.learn_service(at, &service),
            Answer::Service(None) => {
                self.conclude(Verdict::Failed { reason: "the service does not exist any more".to_owned() });
                Vec::new()
            }
            Answer::StoppedTasks(tasks) => {
                let stopping = tasks.iter().any(|task| crash::is_ours(task, &self.target) && !task.is_explained());
                self.stopping = if stopping { Stopping::Asked } else { Stopping::None };
                let progress = self.crashes.take(tasks, &self.target);
                if let Some(verdict) = self.crashes.verdict(self.limits.crash_limit) {
                    self.conclude(verdict);
                }
                progress
            }
            Answer::Trouble(trouble) => self.learn_trouble(at, question, trouble),
        }
    }

    pub(super) fn conclude(&mut self, verdict: Verdict) {
        self.verdict.get_or_insert(verdict);
    }

    pub(super) fn ask_at_once(&mut self, question: Question) {
        if !self.urgent.contains(&question) {
            self.urgent.push_back(question);
        }
    }
}
