//! Purpose: what the service itself says of our deployment: its place among the others, counts, events.

use super::{Goal, Target, Verdict};
use crate::domain::ecs::{Deployment, Service, TaskCounts};

/// Where our deployment is among the service's.
pub(super) enum Place<'a> {
    /// It is the one that the service is going to.
    Primary(&'a Deployment),
    /// It is there, and another one is the primary.
    Displaced(&'a Deployment),
    /// It is not listed.
    Absent,
}

/// Finds our deployment: by its id; without one, by what it brings.
pub(super) fn place<'a>(service: &'a Service, target: &Target) -> Place<'a> {
    let by_id = |id: &String| service.deployments.iter().find(|deployment| deployment.id == *id);
    let ours = match &target.deployment_id {
        Some(id) => by_id(id),
        None => {
            let mut bringing = service.deployments.iter().filter(|deployment| brings(deployment, target));
            service.primary().filter(|primary| brings(primary, target)).or_else(|| bringing.next())
        }
    };
    match ours {
        Some(deployment) if deployment.status == "PRIMARY" => Place::Primary(deployment),
        Some(deployment) => Place::Displaced(deployment),
        None => Place::Absent,
    }
}

fn brings(deployment: &Deployment, target: &Target) -> bool {
    deployment.task_definition == target.task_definition
        && match (deployment.created_at, target.started_after) {
            (Some(created), Some(start)) => created >= start,
            _ => true,
        }
}

/// How our deployment ended, if it did, going by the service alone.
pub(super) fn judge(service: &Service, target: &Target) -> Option<Verdict> {
    if service.status != "ACTIVE" {
        return Some(Verdict::Failed { reason: format!("the service is {}", service.status) });
    }
    match place(service, target) {
        Place::Primary(ours) => judge_primary(service, ours, target),
        Place::Displaced(ours) => Some(displaced(service, Some(ours), target)),
        Place::Absent => None,
    }
}

fn judge_primary(service: &Service, ours: &Deployment, target: &Target) -> Option<Verdict> {
    match ours.rollout_state.as_deref() {
        Some("COMPLETED") => {
            let scaled = target.tasks.is_none_or(|tasks| ours.desired == tasks && is_full(ours));
            scaled.then_some(Verdict::Completed)
        }
        Some("FAILED") => Some(Verdict::Failed { reason: words(ours) }),
        Some(_) => None,
        // Without a rollout state there is only the old measure of a stable service.
        None => (service.deployments.len() == 1 && is_full(ours)).then_some(Verdict::Completed),
    }
}

/// Another deployment is the primary: the way back, if it brings what was there before and ECS says so.
pub(super) fn displaced(service: &Service, ours: Option<&Deployment>, target: &Target) -> Verdict {
    let primary = service.primary();
    let brings_previous = primary.is_some_and(|primary| Some(&primary.task_definition) == target.previous.as_ref());
    let failed = ours.is_some_and(|ours| ours.rollout_state.as_deref() == Some("FAILED"));
    let said = events_since(service, target).find(|message| is_rollback(message)).map(str::to_owned);
    if brings_previous && (failed || said.is_some()) {
        let reason = ours.map(words).filter(|_| failed).or(said).unwrap_or_default();
        return Verdict::RolledBack { reason };
    }
    Verdict::Superseded { by: primary.map(|primary| primary.task_definition.clone()) }
}

fn words(deployment: &Deployment) -> String {
    let reason = deployment.rollout_reason.clone().filter(|reason| !reason.is_empty());
    reason.unwrap_or_else(|| format!("deployment {} failed", deployment.id))
}

fn is_rollback(message: &str) -> bool {
    let message = message.to_ascii_lowercase();
    message.contains("rolling back") || message.contains("deployment failed") || message.contains("circuit breaker")
}

/// Whether all tasks run and none is on its way.
pub(super) fn is_full(deployment: &Deployment) -> bool {
    deployment.running == deployment.desired && deployment.pending == 0
}

/// Events since the start, the oldest first.
pub(super) fn events_since<'a>(service: &'a Service, target: &Target) -> impl Iterator<Item = &'a str> {
    let start = target.started_after;
    let recent = service.events.iter().rev().filter(move |event| match (event.at, start) {
        (Some(at), Some(start)) => at >= start,
        _ => false,
    });
    recent.map(|event| event.message.as_str())
}

/// The counts of our deployment; on the way back, of all.
pub(super) fn counts(service: &Service, target: &Target) -> Option<TaskCounts> {
    if target.goal == Goal::Return {
        let Service { desired, running, pending, .. } = *service;
        return Some(TaskCounts { desired, running, pending });
    }
    match place(service, target) {
        Place::Primary(ours) | Place::Displaced(ours) => {
            Some(TaskCounts { desired: ours.desired, running: ours.running, pending: ours.pending })
        }
        Place::Absent => None,
    }
}

/// Whether an emulator that keeps no deployments has made the change: the service names our task definition, its only
/// deployment is complete and full, and was never renewed (moto 5.2).
pub(super) fn is_silent_change(service: &Service, target: &Target) -> bool {
    let [only] = service.deployments.as_slice() else {
        return false;
    };
    ends_with_same_revision(&service.task_definition, &target.task_definition)
        && only.rollout_state.as_deref() == Some("COMPLETED")
        && is_full(only)
}

/// An emulator may keep the short form `family:revision`.
fn ends_with_same_revision(one: &str, other: &str) -> bool {
    let short = |name: &str| name.rsplit('/').next().unwrap_or_default().to_owned();
    short(one) == short(other)
}
