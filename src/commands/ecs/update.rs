//! Purpose: the services are given what they are to run; and what is known when ECS does not answer.

use std::time::Duration;

use super::apply::Work;
use super::plan::{ServicePlan, ServiceStep, short};
use super::trouble::Trouble;
use super::watch::Watch;
use crate::domain::ecs::Service;
use crate::domain::rollout::Target;
use crate::runner::Failure;
use crate::services::aws::AwsError;
use crate::services::aws::ecs::ServiceUpdate;
use crate::services::{Classified as _, ErrorClass};

/// Time that an answer under way has when the run is cancelled; asking and going back must fit into the rest.
const LAST_ANSWER: Duration = Duration::from_millis(700);
/// Time for asking what came of it then.
const LAST_QUESTION: Duration = Duration::from_secs(1);
/// The same when nobody is in a hurry.
const QUESTION: Duration = Duration::from_secs(20);

/// What came of the update of one service.
enum Updated {
    /// It is done, or there was nothing to do.
    Done(Target),
    /// It is done, or may be, and the run cannot go on.
    Touched(Target, Trouble),
    /// The service is as it was.
    Untouched(Failure),
}

impl<'a> Work<'a> {
    /// Updates the services in order; when one refuses, those before it go back.
    pub(super) async fn update(&mut self) -> Result<Vec<Watch<'a>>, Failure> {
        let plan = self.plan;
        let _phase = self.phases.begin("update");
        let _group = self.run.log.group("Update");
        let mut watches: Vec<Watch<'a>> = Vec::new();
        for service in &plan.services {
            let (target, trouble) = match self.update_one(service).await {
                Updated::Done(target) => (Some(target), None),
                Updated::Touched(target, trouble) => (Some(target), Some(trouble)),
                Updated::Untouched(failure) => {
                    if !plan.services[..watches.len()].iter().any(|service| service.step.is_update()) {
                        return Err(failure.hint("No service was touched."));
                    }
                    (None, Some(Trouble::of_failure(failure)))
                }
            };
            watches.extend(target.map(|target| self.watch_of(service, target)));
            if let Some(trouble) = trouble {
                drop((_phase, _group));
                return Err(self.fail(trouble, watches).await);
            }
        }
        let ids: Vec<&str> =
            watches.iter().filter_map(|watch| watch.rollout.arn().or(watch.rollout.deployment_id())).collect();
        self.outputs.deployment_id = Some(ids.join("\n")).filter(|ids| !ids.is_empty());
        Ok(watches)
    }

    async fn update_one(&self, service: &ServicePlan) -> Updated {
        let wanted = self.wanted(service);
        let force = match &service.step {
            ServiceStep::Nothing => return Updated::Done(unchanged(service, wanted)),
            ServiceStep::Attach { deployment } => {
                self.run.log.info(format!("service {} is on its way to {} already", service.name, short(&wanted)));
                return Updated::Done(Target { arn: deployment.clone(), ..unchanged(service, wanted) });
            }
            ServiceStep::Scale => false,
            ServiceStep::Update { force } => *force,
        };
        let desired = self.plan.settings.desired;
        let update = ServiceUpdate { service: &service.found.arn, task_definition: &wanted, desired, force };
        let mut asking = Box::pin(self.plan.ecs.update(&update));
        let answer = tokio::select! {
            answer = &mut asking => answer,
            () = self.run.cancel.cancelled() => match tokio::time::timeout(LAST_ANSWER, &mut asking).await {
                Ok(answer) => answer,
                Err(_) => return self.unanswered(service, &wanted, None).await,
            },
        };
        drop(asking);
        match answer {
            Ok(now) => {
                self.run.log.info(format!(
                    "service {}: {} → {}",
                    service.name,
                    short(&service.current),
                    short(&wanted)
                ));
                let target = self.target(service, wanted.clone(), Some(&now));
                if self.run.cancel.is_cancelled() {
                    Updated::Touched(target, Trouble::cancelled())
                } else {
                    Updated::Done(target)
                }
            }
            // An answer that never came says nothing about what was done.
            Err(error) if error.class() == ErrorClass::Unavailable => {
                self.unanswered(service, &wanted, Some(error)).await
            }
            Err(error) => Updated::Untouched(error.into()),
        }
    }

    /// Asks what came of an update whose answer was not heard; without an error the run was cancelled. Where even that
    /// cannot be known the service counts as touched: setting it back to what it has does nothing.
    async fn unanswered(&self, service: &ServicePlan, wanted: &str, error: Option<AwsError>) -> Updated {
        let patience = if error.is_some() { QUESTION } else { LAST_QUESTION };
        let now = tokio::time::timeout(patience, self.plan.ecs.service(&service.found.arn)).await;
        let now = now.ok().and_then(Result::ok).flatten().map(|found| found.service);
        let name = &service.name;
        match &now {
            Some(now) if !is_changed(&service.found, now) => {
                let failure = error.map_or_else(Failure::cancelled, Failure::from);
                Updated::Untouched(failure.hint(format!(
                    "Its update of service {name} was not answered; ECS shows the service as it was. If the update \
                     arrives late, the next run finds it and follows it."
                )))
            }
            _ => {
                self.run.log.info(match &now {
                    Some(_) => format!("the update of service {name} was not answered, and took effect"),
                    None => {
                        format!("the update of service {name} was not answered, and ECS does not say what came of it")
                    }
                });
                let target = self.target(service, wanted.to_owned(), now.as_ref());
                Updated::Touched(
                    target,
                    error.map_or_else(Trouble::cancelled, |error| Trouble::of_failure(error.into())),
                )
            }
        }
    }

    /// What is to be watched after an update, from the service as it is then.
    fn target(&self, service: &ServicePlan, wanted: String, now: Option<&Service>) -> Target {
        if service.step == ServiceStep::Scale {
            return Target { tasks: self.plan.settings.desired, ..unchanged(service, wanted) };
        }
        // The deployment that is named there is ours when it is a new one that brings what we set.
        let is_new = |id: &str| service.found.primary().is_none_or(|primary| primary.id != id);
        let primary = now.and_then(Service::primary);
        let ours = primary.filter(|ours| ours.task_definition == wanted && is_new(&ours.id));
        Target {
            task_definition: wanted,
            previous: Some(service.current.clone()).filter(|current| !current.is_empty()),
            deployment_id: ours.map(|ours| ours.id.clone()),
            started_after: ours.and_then(|ours| ours.created_at),
            known: service.known.clone().unwrap_or_default(),
            ..Target::default()
        }
    }
}

/// The service as it was found, for whom there is nothing to do.
fn unchanged(service: &ServicePlan, wanted: String) -> Target {
    let primary = service.found.primary();
    Target {
        task_definition: wanted,
        deployment_id: primary.map(|primary| primary.id.clone()),
        started_after: primary.and_then(|primary| primary.created_at),
        known: service.known.clone().unwrap_or_default(),
        ..Target::default()
    }
}

fn is_changed(before: &Service, now: &Service) -> bool {
    let id = |service: &Service| service.primary().map(|primary| primary.id.clone());
    (&before.task_definition, before.desired, id(before)) != (&now.task_definition, now.desired, id(now))
}
