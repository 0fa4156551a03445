//! Purpose: the way back: to the task definition that a service had before, awaited and told.

use super::plan::{ServicePlan, short};
use super::watch::Watch;
use crate::commands::run::Run;
use crate::domain::rollout::{Goal, Limits, Rollout, Target, TroubleKind, Verdict};
use crate::services::aws::ecs::{Ecs, Observer, ServiceUpdate, trouble_kind};

/// How the way back of one service ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Way {
    /// The service runs what it ran before.
    Restored,
    /// The way back failed.
    Failed(String),
    /// There is no way back, or it is not ours to go.
    None(String),
    /// It was started, and nobody waited for its end.
    Started,
}

/// Whether the way back is awaited.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Patience {
    /// To its end.
    Await,
    /// Only until it has begun: the run was cancelled.
    Start,
}

/// What the way back starts from.
pub(crate) struct Back<'a> {
    pub(crate) run: &'a Run,
    pub(crate) ecs: &'a Ecs,
    pub(crate) service: &'a ServicePlan,
    /// ARN of the task definition that failed.
    pub(crate) from: &'a str,
    /// Number of tasks to restore, when the deployment changed it.
    pub(crate) desired: Option<i32>,
    pub(crate) limits: Limits,
    pub(crate) interval: std::time::Duration,
    pub(crate) prefix: String,
    pub(crate) patience: Patience,
}

/// Where the deployment stands.
#[derive(Debug, Clone)]
pub(crate) struct Standing {
    /// How its watch ended, if it did.
    pub(crate) verdict: Option<Verdict>,
    /// ARN of its service deployment, where that is known.
    pub(crate) arn: Option<String>,
}

impl Back<'_> {
    /// Goes back.
    pub(crate) async fn go(&self, standing: &Standing) -> Way {
        match &standing.verdict {
            Some(Verdict::Superseded { .. }) => {
                return Way::None("the other deployment is left alone".to_owned());
            }
            Some(Verdict::LostPermission { .. }) => {
                return Way::None("AWS no longer admits us; the deployment is left as it is".to_owned());
            }
            Some(Verdict::LostContact { .. }) => {
                return Way::None("ECS cannot be reached; the deployment is left as it is".to_owned());
            }
            // ECS is on the way already.
            Some(Verdict::RolledBack { .. }) => {
                return self.returned(standing.arn.as_deref()).await;
            }
            _ => {}
        }
        let previous = &self.service.current;
        if previous == self.from || previous.is_empty() {
            return Way::None(
                "the service had the same task definition before; there is nothing to go back to".to_owned(),
            );
        }
        if let (Some(arn), true) = (&standing.arn, is_in_flight(standing.verdict.as_ref())) {
            match self.ecs.roll_back_deployment(arn).await {
                Ok(()) => {
                    self.run.log.info(format!("{}ECS was asked to take the deployment back", self.prefix));
                    return self.returned(Some(arn)).await;
                }
                Err(error) if trouble_kind(&error) == TroubleKind::Unauthenticated => {
                    return Way::Failed(error.to_string());
                }
                // Not allowed, or too late: the deployment may have ended just now.
                Err(error) => self.run.log.info(format!(
                    "{}the deployment cannot be stopped ({error}); restoring what was there before",
                    self.prefix
                )),
            }
        }
        self.restored().await
    }

    /// Awaits the end of the way back that ECS itself goes.
    async fn returned(&self, arn: Option<&str>) -> Way {
        if self.patience == Patience::Start {
            return Way::Started;
        }
        let previous = &self.service.current;
        let target = Target {
            task_definition: previous.clone(),
            arn: arn.map(str::to_owned),
            goal: if arn.is_some() { Goal::Return } else { Goal::Completion },
            ..Target::default()
        };
        let rollout = Rollout::new(target, self.limits);
        let rollout = if arn.is_some() { rollout } else { rollout.by_service(TroubleKind::Denied) };
        self.awaited(rollout, None).await
    }

    /// Sets the service back to what it had before.
    async fn restored(&self) -> Way {
        let previous = &self.service.current;
        let update = ServiceUpdate {
            service: &self.service.found.arn,
            task_definition: previous,
            desired: self.desired,
            force: false,
        };
        let answer = match self.ecs.update(&update).await {
            Ok(answer) => answer,
            Err(error) => return Way::Failed(error.to_string()),
        };
        self.run.log.info(format!("{}service {} is set back to {}", self.prefix, self.service.name, short(previous)));
        if self.patience == Patience::Start {
            return Way::Started;
        }
        let primary = answer.primary().filter(|primary| primary.task_definition == *previous);
        let since = primary.and_then(|primary| primary.created_at);
        let target = Target {
            task_definition: previous.clone(),
            deployment_id: primary.map(|primary| primary.id.clone()),
            started_after: since,
            known: self.service.known.clone().unwrap_or_default(),
            ..Target::default()
        };
        let rollout = Rollout::new(target, self.limits);
        let rollout = match self.service.known {
            Ok(_) => rollout,
            Err(kind) => rollout.by_service(kind),
        };
        self.awaited(rollout, since).await
    }

    async fn awaited(&self, rollout: Rollout, since: Option<jiff::Timestamp>) -> Way {
        let observer = Observer::new(self.ecs, &self.service.found.arn, since);
        let mut watch = Watch::new(self.run, observer, &self.prefix, self.interval, rollout);
        match watch.until_ended().await {
            Verdict::Completed => Way::Restored,
            Verdict::Failed { reason } | Verdict::RolledBack { reason } => Way::Failed(reason),
            Verdict::Superseded { .. } => Way::Failed("another deployment took the place of the way back".to_owned()),
            Verdict::CrashLoop { diagnosis, .. } => {
                Way::Failed(format!("tasks of the previous revision fail too: {}", diagnosis.cause))
            }
            Verdict::TimedOut => Way::Failed("the way back did not end in time".to_owned()),
            Verdict::LostPermission { message } | Verdict::LostContact { message } => Way::Failed(message),
        }
    }
}

/// Whether the deployment is still under way, so that ECS can take it back itself.
fn is_in_flight(verdict: Option<&Verdict>) -> bool {
    matches!(verdict, None | Some(Verdict::CrashLoop { .. } | Verdict::TimedOut))
}
