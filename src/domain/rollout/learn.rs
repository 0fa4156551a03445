//! Purpose: what each answer of ECS means for the rollout.

use std::time::Duration;

use super::service::{self, Place};
use super::watch::{Rollout, Source, Stopping};
use super::{Goal, Listed, Progress, Question, Trouble, TroubleKind, Verdict};
use crate::domain::ecs::{DeploymentStatus, Service, ServiceDeployment, TaskCounts};

/// A reading can be older than the change: how long the service's answer may lack our deployment.
const STALE: Duration = Duration::from_secs(10);
/// How long the listing may lack our deployment, or the deployment stay unknown after it was listed, before the service is
/// watched instead.
const UNLISTED: Duration = Duration::from_secs(20);

impl Rollout {
    pub(super) fn learn_listing(&mut self, at: Duration, listed: Vec<Listed>) -> Vec<Progress> {
        self.listed = true;
        if let Some(stopped) = self.stopped.take() {
            self.conclude(self.why_stopped(&stopped, &listed));
            return Vec::new();
        }
        let ours = self.ours(listed);
        let Some(ours) = ours else {
            if at < UNLISTED {
                return Vec::new();
            }
            self.source = Source::Service { emulator: false };
            return vec![Progress::Degraded(
                "ECS does not list the deployment; the service is watched instead".to_owned(),
            )];
        };
        let arn = ours.deployment.arn.clone();
        self.target.arn = Some(arn.clone());
        let mut progress = vec![Progress::Found { arn }];
        progress.extend(self.learn_deployment(&ours.deployment));
        progress
    }

    /// Ours: the first one after the start that brings our task definition.
    fn ours(&self, listed: Vec<Listed>) -> Option<Listed> {
        let new = listed.into_iter().filter(|listed| !self.target.known.contains(&listed.deployment.arn));
        let ours = new.filter(|listed| {
            listed.task_definition.as_ref().is_none_or(|brought| *brought == self.target.task_definition)
        });
        ours.min_by_key(|listed| listed.deployment.created_at)
    }

    /// Stopped because of a newer one, or on its own.
    fn why_stopped(&self, stopped: &ServiceDeployment, listed: &[Listed]) -> Verdict {
        let newer = listed.iter().filter(|other| {
            other.deployment.arn != stopped.arn
                && !self.target.known.contains(&other.deployment.arn)
                && other.deployment.created_at >= stopped.created_at
        });
        match newer.max_by_key(|other| other.deployment.created_at) {
            Some(other) => Verdict::Superseded { by: other.task_definition.clone() },
            None => Verdict::Failed { reason: reason(stopped, "the deployment was stopped") },
        }
    }

    /// A reading can be older than the listing that the deployment was found in; what stays unknown is not to be had.
    pub(super) fn learn_absence(&mut self, at: Duration, question: &Question) -> Vec<Progress> {
        if at < self.last_of_deployment + UNLISTED {
            return Vec::new();
        }
        self.do_without(question, TroubleKind::Denied, "ECS lists the deployment and does not know it".to_owned())
    }

    pub(super) fn learn_deployment(&mut self, deployment: &ServiceDeployment) -> Vec<Progress> {
        let mut progress: Vec<Progress> = self.new_state(state(deployment)).into_iter().collect();
        self.alarms.clone_from(&deployment.alarms);
        // On the way back the tasks that matter are those of the revision before.
        if let (Some(counts), Goal::Completion) = (deployment.tasks, self.target.goal) {
            progress.extend(self.new_counts(counts));
        }
        let way_back = || Verdict::RolledBack { reason: reason(deployment, "ECS takes the deployment back") };
        let verdict = match (&deployment.status, self.target.goal) {
            (DeploymentStatus::Successful, Goal::Completion) | (DeploymentStatus::RollbackSuccessful, Goal::Return) => {
                Some(Verdict::Completed)
            }
            (
                DeploymentStatus::RollbackRequested
                | DeploymentStatus::RollbackInProgress
                | DeploymentStatus::RollbackSuccessful
                | DeploymentStatus::RollbackFailed,
                Goal::Completion,
            ) => Some(way_back()),
            (DeploymentStatus::Stopped, Goal::Completion) => {
                self.stopped = Some(deployment.clone());
                self.ask_at_once(Question::Deployments);
                None
            }
            (
                DeploymentStatus::RollbackFailed | DeploymentStatus::Stopped | DeploymentStatus::Successful,
                Goal::Return,
            ) => {
                Some(Verdict::Failed { reason: reason(deployment, "the way back did not end at the revision before") })
            }
            _ => None,
        };
        if let Some(verdict) = verdict {
            self.conclude(verdict);
        }
        progress
    }

    pub(super) fn learn_service(&mut self, at: Duration, service: &Service) -> Vec<Progress> {
        let mut progress = self.new_events(service);
        let place = service::place(service, &self.target);
        if let (Place::Primary(ours), None) = (&place, &self.target.deployment_id) {
            self.target.deployment_id = Some(ours.id.clone());
        }
        let (is_absent, failed) = match place {
            Place::Primary(ours) | Place::Displaced(ours) => (false, ours.failed),
            Place::Absent => (true, 0),
        };
        if failed > std::mem::replace(&mut self.seen.failed, failed) {
            self.look_at_tasks();
        }
        if let Some(counts) = service::counts(service, &self.target) {
            progress.extend(self.new_counts(counts));
        }
        self.seen.service = true;
        if self.stopping == Stopping::Asked {
            self.stopping = Stopping::AskAgain;
        }
        let judged = service::judge(service, &self.target);
        let judged =
            if is_absent && judged.is_none() { self.judge_absence(at, service) } else { self.judge_presence(judged) };
        match (self.source, judged) {
            (Source::Service { .. }, Some(verdict)) => self.conclude(verdict),
            (Source::Deployments, judged) => self.hint(service, judged.is_some()),
            (Source::Service { .. }, None) => {}
        }
        progress
    }

    fn judge_presence(&mut self, judged: Option<Verdict>) -> Option<Verdict> {
        self.seen.ours = true;
        self.seen.absent = None;
        judged
    }

    /// Our deployment is not among the service's: a stale reading, displaced, or an emulator that keeps none.
    fn judge_absence(&mut self, at: Duration, service: &Service) -> Option<Verdict> {
        if self.source == (Source::Service { emulator: true }) && service::is_silent_change(service, &self.target) {
            self.seen.silent += 1;
            return (self.seen.silent >= 2).then_some(Verdict::Completed);
        }
        let (since, readings) = self.seen.absent.map_or((at, 1), |(since, readings)| (since, readings + 1));
        self.seen.absent = Some((since, readings));
        let sure = if self.seen.ours { readings >= 2 } else { at >= since + STALE };
        sure.then(|| service::displaced(service, None, &self.target))
    }

    /// The service suggests an end: the deployment, which knows, is asked at once, though not at every repetition.
    fn hint(&mut self, service: &Service, ending: bool) {
        if service.status != "ACTIVE" {
            self.conclude(Verdict::Failed { reason: format!("the service is {}", service.status) });
        }
        if ending && !std::mem::replace(&mut self.seen.ending, ending) {
            self.ask_at_once(self.about_deployment());
        }
        self.seen.ending = ending;
    }

    fn look_at_tasks(&mut self) {
        if !self.without_tasks {
            self.ask_at_once(Question::StoppedTasks);
        }
    }

    fn new_state(&mut self, state: String) -> Option<Progress> {
        if self.seen.state.as_ref() == Some(&state) {
            return None;
        }
        self.seen.state = Some(state.clone());
        Some(Progress::State(state))
    }

    fn new_counts(&mut self, counts: TaskCounts) -> Option<Progress> {
        let before = self.seen.counts.replace(counts);
        if before == Some(counts) {
            return None;
        }
        let gone = |before: TaskCounts| {
            before.running + before.pending > counts.running + counts.pending || before.running > counts.running
        };
        if before.is_some_and(gone) {
            self.look_at_tasks();
        }
        Some(Progress::Counts(counts))
    }

    /// Events since the start that were not told yet.
    fn new_events(&mut self, service: &Service) -> Vec<Progress> {
        let start = self.target.started_after;
        let first = !self.seen.service;
        let mut progress = Vec::new();
        for event in service.events.iter().rev() {
            if !self.seen.events.insert(event.id.clone()) {
                continue;
            }
            // Without a start, what the first reading has is taken as the past.
            let is_recent = match (event.at, start) {
                (Some(at), Some(start)) => at >= start,
                _ => !first,
            };
            if is_recent {
                progress.push(Progress::Event(event.message.clone()));
            }
        }
        if !first && !progress.is_empty() {
            self.look_at_tasks();
        }
        progress
    }

    pub(super) fn learn_trouble(&mut self, at: Duration, question: &Question, trouble: Trouble) -> Vec<Progress> {
        let Trouble { kind, message } = trouble;
        let about_deployment = matches!(question, Question::Deployments | Question::Deployment(_));
        // Never answered so far: an emulator may fail in its own way instead of saying that it does not know.
        let never_answered = about_deployment && !self.listed && self.target.arn.is_none();
        match kind {
            TroubleKind::Unauthenticated => {
                self.conclude(Verdict::LostPermission { message });
                Vec::new()
            }
            TroubleKind::Unavailable if !never_answered => {
                if at >= self.last_answer + self.limits.silence {
                    self.conclude(Verdict::LostContact { message });
                } else if about_deployment && at >= self.last_of_deployment + self.limits.silence {
                    // The rest of ECS answers: what the service says itself is better than waiting for the timeout.
                    return self.do_without(question, TroubleKind::Denied, message);
                }
                Vec::new()
            }
            _ => self.do_without(question, kind, message),
        }
    }

    /// Goes on without the answers to a question that is refused for good.
    fn do_without(&mut self, question: &Question, kind: TroubleKind, message: String) -> Vec<Progress> {
        self.urgent.retain(|other| std::mem::discriminant(other) != std::mem::discriminant(question));
        let lost = match question {
            Question::Deployments | Question::Deployment(_) => {
                self.urgent.retain(|other| !matches!(other, Question::Deployments | Question::Deployment(_)));
                self.source = Source::Service { emulator: kind != TroubleKind::Denied };
                "service deployments cannot be read, the service's own rollout state decides instead"
            }
            Question::Service => {
                self.without_service = true;
                "the service cannot be read, its events are not shown"
            }
            Question::StoppedTasks => {
                self.without_tasks = true;
                "stopped tasks cannot be read, a crash loop ends only when ECS or the timeout ends it"
            }
        };
        if self.without_service && self.source != Source::Deployments {
            self.conclude(Verdict::LostPermission { message });
            return Vec::new();
        }
        vec![Progress::Degraded(format!("{lost}: {message}"))]
    }
}

/// Status and stage, as one text.
fn state(deployment: &ServiceDeployment) -> String {
    let status = match &deployment.status {
        DeploymentStatus::Pending => "pending",
        DeploymentStatus::InProgress => "in progress",
        DeploymentStatus::Successful => "successful",
        DeploymentStatus::StopRequested => "stop requested",
        DeploymentStatus::Stopped => "stopped",
        DeploymentStatus::RollbackRequested => "rollback requested",
        DeploymentStatus::RollbackInProgress => "rolling back",
        DeploymentStatus::RollbackSuccessful => "rolled back",
        DeploymentStatus::RollbackFailed => "rollback failed",
        DeploymentStatus::Other(other) => other,
    };
    match &deployment.stage {
        Some(stage) => format!("{status}, stage {stage}"),
        None => status.to_owned(),
    }
}

/// All that ECS says of why, else `otherwise`.
fn reason(deployment: &ServiceDeployment, otherwise: &str) -> String {
    let mut parts: Vec<String> = Vec::new();
    parts.extend(deployment.rollback_reason.clone());
    parts.extend(deployment.reason.clone().filter(|reason| Some(reason) != deployment.rollback_reason.as_ref()));
    if let Some((failures, threshold)) = deployment.breaker.filter(|(failures, _)| *failures > 0) {
        parts.push(format!("{failures} failed tasks (the circuit breaker acts at {threshold})"));
    }
    if !deployment.alarms.is_empty() {
        parts.push(format!("alarms: {}", deployment.alarms.join(", ")));
    }
    parts.iter_mut().for_each(|part| part.truncate(part.trim_end_matches(['.', ' ']).len()));
    parts.retain(|part| !part.is_empty());
    if parts.is_empty() { otherwise.to_owned() } else { parts.join("; ") }
}
