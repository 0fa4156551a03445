//! Purpose: the rollout's machine at work: asks ECS what it wants to know and prints what it says.

use std::collections::{BTreeMap, HashSet};
use std::time::Duration;

use tokio::time::Instant;

use crate::commands::run::Run;
use crate::domain::ecs::Service;
use crate::domain::rollout::{Answer, Listed, Pace, Progress, Question, Rollout, Trouble, TroubleKind, Verdict};
use crate::services::aws::AwsError;
use crate::services::aws::ecs::{DesiredStatus, Ecs};
use crate::services::{Classified as _, ErrorClass};

/// Longest time for one answer, retries included: what takes longer counts as no answer, and the next question comes.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(20);

/// One service's rollout under watch.
pub(super) struct Watch<'a> {
    run: &'a Run,
    ecs: &'a Ecs,
    /// ARN of the service.
    service: String,
    /// Before every line, when several services are watched at once.
    prefix: String,
    interval: Duration,
    since: Option<jiff::Timestamp>,
    pub(super) rollout: Rollout,
    /// The service as last seen.
    pub(super) last: Option<Service>,
    revisions: BTreeMap<String, String>,
    told: HashSet<String>,
}

impl<'a> Watch<'a> {
    pub(super) fn new(
        run: &'a Run,
        ecs: &'a Ecs,
        service: &str,
        prefix: &str,
        interval: Duration,
        rollout: Rollout,
    ) -> Self {
        Self {
            run,
            ecs,
            service: service.to_owned(),
            prefix: prefix.to_owned(),
            interval,
            since: None,
            rollout,
            last: None,
            revisions: BTreeMap::new(),
            told: HashSet::new(),
        }
    }

    /// Lists deployments created after this time only.
    pub(super) fn since(mut self, since: Option<jiff::Timestamp>) -> Self {
        self.since = since;
        self
    }

    /// Watches until the rollout has ended. Dropped at any point, `self` still knows what was found.
    pub(super) async fn until_ended(&mut self) -> Verdict {
        let start = Instant::now();
        let mut last_steady: Option<Instant> = None;
        loop {
            let (question, pace) = self.rollout.next();
            if pace == Pace::Steady {
                // From start to start, so that slow answers do not slow the pace.
                let wait = last_steady.map_or(Duration::ZERO, |last| self.interval.saturating_sub(last.elapsed()));
                tokio::time::sleep(wait).await;
            }
            if pace == Pace::Steady || last_steady.is_none() {
                last_steady = Some(Instant::now());
            }
            self.rollout.tick(start.elapsed());
            if self.rollout.verdict().is_none() {
                let answer = self.answer(&question).await;
                let progress = self.rollout.learn(start.elapsed(), &question, answer);
                progress.iter().for_each(|progress| self.show(progress));
            }
            if let Some(verdict) = self.rollout.verdict() {
                return verdict.clone();
            }
        }
    }

    /// Looks once more at stopped tasks: the last ones may have stopped after the last look.
    pub(super) async fn last_look(&mut self) {
        let answer = self.answer(&Question::StoppedTasks).await;
        let progress = self.rollout.learn(Duration::ZERO, &Question::StoppedTasks, answer);
        progress.iter().for_each(|progress| self.show(progress));
    }

    async fn answer(&mut self, question: &Question) -> Answer {
        match tokio::time::timeout(ANSWER_TIMEOUT, self.ask(question)).await {
            Ok(Ok(answer)) => answer,
            Ok(Err(error)) => trouble(question, &error),
            Err(_) => {
                let message = format!("no answer within {} s", ANSWER_TIMEOUT.as_secs());
                Answer::Trouble(Trouble { kind: TroubleKind::Unavailable, message })
            }
        }
    }

    async fn ask(&mut self, question: &Question) -> Result<Answer, AwsError> {
        Ok(match question {
            Question::Deployments => Answer::Deployments(self.listing().await?),
            Question::Deployment(arn) => {
                let found = self.ecs.describe_deployments(std::slice::from_ref(arn)).await?;
                Answer::Deployment(found.into_iter().next().map(Box::new))
            }
            Question::Service => {
                let found = self.ecs.service(&self.service).await?.map(|found| found.service);
                self.last.clone_from(&found);
                Answer::Service(found.map(Box::new))
            }
            Question::StoppedTasks => {
                let mut arns = self.ecs.tasks(&self.service, DesiredStatus::Stopped).await?;
                arns.retain(|arn| !self.told.contains(arn));
                let tasks = self.ecs.describe_tasks(&arns).await?;
                // One on its way to its end is looked at again: its last words may be missing.
                let ended = tasks.iter().filter(|task| task.is_stopped());
                self.told.extend(ended.map(|task| task.arn.clone()));
                Answer::StoppedTasks(tasks)
            }
        })
    }

    async fn listing(&mut self) -> Result<Vec<Listed>, AwsError> {
        let deployments = self.ecs.deployments(&self.service, self.since).await?;
        let targets = deployments.iter().filter_map(|deployment| deployment.target_revision.clone());
        let mut unread: Vec<String> = targets.filter(|revision| !self.revisions.contains_key(revision)).collect();
        unread.dedup();
        if !unread.is_empty() {
            self.revisions.extend(self.ecs.task_definitions_of(&unread).await?);
        }
        let listed = deployments.into_iter().map(|deployment| {
            let task_definition =
                deployment.target_revision.as_ref().and_then(|revision| self.revisions.get(revision)).cloned();
            Listed { deployment, task_definition }
        });
        Ok(listed.collect())
    }

    fn show(&self, progress: &Progress) {
        let (log, prefix) = (&self.run.log, &self.prefix);
        match progress {
            Progress::Found { arn } => log.info(format!("{prefix}following {arn}")),
            Progress::State(state) => log.info(format!("{prefix}deployment: {state}")),
            Progress::Counts(counts) => {
                let pending =
                    if counts.pending > 0 { format!(", {} on their way", counts.pending) } else { String::new() };
                log.info(format!("{prefix}{} of {} tasks run{pending}", counts.running, counts.desired));
            }
            Progress::Event(message) => log.foreign(format!("{prefix}{message}")),
            Progress::TaskFailed { task, diagnosis } => {
                log.foreign(format!("{prefix}task {task} failed: {}", diagnosis.cause));
            }
            Progress::Degraded(message) => {
                log.warn("Watching with less", format!("{prefix}{message}"));
            }
        }
    }
}

fn trouble(question: &Question, error: &AwsError) -> Answer {
    let kind = trouble_kind(error);
    let gone = error.class() == ErrorClass::NotFound && !error.is_unknown_operation();
    match question {
        Question::Service if gone => Answer::Service(None),
        Question::Deployment(_) if gone => Answer::Deployment(None),
        _ => Answer::Trouble(Trouble { kind, message: said(error) }),
    }
}

/// An error with its causes, for a line of the log.
fn said(error: &AwsError) -> String {
    let mut text = error.to_string();
    let mut cause = std::error::Error::source(error);
    while let Some(error) = cause {
        text.push_str(&format!(": {error}"));
        cause = error.source();
    }
    text
}

/// What an error means for the question that raised it.
pub(super) fn trouble_kind(error: &AwsError) -> TroubleKind {
    match (error, error.class()) {
        (_, ErrorClass::RateLimited | ErrorClass::Unavailable) if !error.is_unknown_operation() => {
            TroubleKind::Unavailable
        }
        // Whatever is wrong with the credentials themselves is wrong for every question.
        (AwsError::Role(_) | AwsError::NoCredentials | AwsError::BadCredentials(_), _)
        | (_, ErrorClass::Unauthenticated) => TroubleKind::Unauthenticated,
        (_, ErrorClass::Forbidden) => TroubleKind::Denied,
        _ => TroubleKind::UnknownQuestion,
    }
}
