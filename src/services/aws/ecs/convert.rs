//! Purpose: from the SDK's answers to plain data.

use aws_sdk_ecs::types as sdk;
use aws_smithy_types::DateTime;
use jiff::Timestamp;

use crate::domain::ecs::{
    Breaker, Deployment, DeploymentStatus, Event, Service, ServiceDeployment, Task, TaskContainer, TaskCounts,
};

/// A time, with nanoseconds; nothing when it is out of any calendar's range.
pub(super) fn time(at: Option<DateTime>) -> Option<Timestamp> {
    let at = at?;
    Timestamp::new(at.secs(), i32::try_from(at.subsec_nanos()).ok()?).ok()
}

/// And back.
pub(super) fn date_time(at: Timestamp) -> DateTime {
    DateTime::from_secs_and_nanos(at.as_second(), u32::try_from(at.subsec_nanosecond()).unwrap_or_default())
}

pub(super) fn service(found: sdk::Service) -> Service {
    let configuration = found.deployment_configuration.as_ref();
    let breaker = configuration.and_then(|configuration| configuration.deployment_circuit_breaker.as_ref());
    let breaker = breaker.filter(|breaker| breaker.enable);
    let balancers = found.load_balancers.into_iter().flatten();
    Service {
        arn: found.service_arn.unwrap_or_default(),
        name: found.service_name.unwrap_or_default(),
        status: found.status.unwrap_or_default(),
        task_definition: found.task_definition.unwrap_or_default(),
        desired: found.desired_count,
        running: found.running_count,
        pending: found.pending_count,
        controller: found
            .deployment_controller
            .map_or_else(|| "ECS".to_owned(), |controller| controller.r#type.to_string()),
        deployments: found.deployments.into_iter().flatten().map(deployment).collect(),
        events: found.events.into_iter().flatten().map(event).collect(),
        breaker: breaker.map(|breaker| if breaker.rollback { Breaker::RollsBack } else { Breaker::StopsOnly }),
        target_groups: balancers.filter_map(|balancer| balancer.target_group_arn).collect(),
    }
}

fn deployment(found: sdk::Deployment) -> Deployment {
    Deployment {
        id: found.id.unwrap_or_default(),
        status: found.status.unwrap_or_default(),
        task_definition: found.task_definition.unwrap_or_default(),
        rollout_state: found.rollout_state.map(|state| state.to_string()),
        rollout_reason: found.rollout_state_reason,
        desired: found.desired_count,
        running: found.running_count,
        pending: found.pending_count,
        failed: found.failed_tasks,
        created_at: time(found.created_at),
    }
}

fn event(found: sdk::ServiceEvent) -> Event {
    Event { id: found.id.unwrap_or_default(), at: time(found.created_at), message: found.message.unwrap_or_default() }
}

pub(super) fn brief(found: sdk::ServiceDeploymentBrief) -> ServiceDeployment {
    ServiceDeployment {
        arn: found.service_deployment_arn.unwrap_or_default(),
        status: status(found.status.as_ref()),
        reason: found.status_reason,
        target_revision: found.target_service_revision_arn,
        created_at: time(found.created_at),
        finished_at: time(found.finished_at),
        ..ServiceDeployment::default()
    }
}

pub(super) fn service_deployment(found: sdk::ServiceDeployment) -> ServiceDeployment {
    let alarms = found.alarms.and_then(|alarms| alarms.triggered_alarm_names);
    ServiceDeployment {
        arn: found.service_deployment_arn.unwrap_or_default(),
        status: status(found.status.as_ref()),
        reason: found.status_reason,
        tasks: found.target_service_revision.as_ref().map(|revision| TaskCounts {
            desired: revision.requested_task_count,
            running: revision.running_task_count,
            pending: revision.pending_task_count,
        }),
        target_revision: found.target_service_revision.and_then(|revision| revision.arn),
        created_at: time(found.created_at),
        finished_at: time(found.finished_at),
        stage: found.lifecycle_stage.map(|stage| stage.to_string()),
        rollback_reason: found.rollback.and_then(|rollback| rollback.reason),
        breaker: found.deployment_circuit_breaker.map(|breaker| (breaker.failure_count, breaker.threshold)),
        alarms: alarms.unwrap_or_default(),
    }
}

fn status(status: Option<&sdk::ServiceDeploymentStatus>) -> DeploymentStatus {
    status.map(|status| DeploymentStatus::of(status.as_str())).unwrap_or_default()
}

pub(super) fn task(found: sdk::Task) -> Task {
    Task {
        arn: found.task_arn.unwrap_or_default(),
        started_by: found.started_by,
        task_definition: found.task_definition_arn.unwrap_or_default(),
        last_status: found.last_status.unwrap_or_default(),
        created_at: time(found.created_at),
        stop_code: found.stop_code.map(|code| code.to_string()),
        stopped_reason: found.stopped_reason,
        containers: found.containers.into_iter().flatten().map(container).collect(),
    }
}

fn container(found: sdk::Container) -> TaskContainer {
    TaskContainer {
        name: found.name.unwrap_or_default(),
        exit_code: found.exit_code,
        reason: found.reason,
        health: found.health_status.map(|health| health.to_string()),
        image: found.image,
        image_digest: found.image_digest,
    }
}
