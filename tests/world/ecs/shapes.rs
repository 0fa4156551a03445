//! Purpose: ECS objects as the API writes them.

use serde_json::{Value, json};

use super::super::clock::{Moment, seconds};
use super::super::state::State;
use super::tasks::Task;
use super::{Rollout, Service};

fn time(at: Option<Moment>) -> Value {
    at.map_or(Value::Null, |at| json!(seconds(at)))
}

/// Leaves out the members that are null: the API never sends null.
pub fn present(mut value: Value) -> Value {
    match &mut value {
        Value::Object(members) => {
            members.retain(|_, member| !member.is_null());
            for member in members.values_mut() {
                *member = present(member.take());
            }
        }
        Value::Array(items) => items.iter_mut().for_each(|item| *item = present(item.take())),
        _ => {}
    }
    value
}

/// A task.
pub fn task_json(task: &Task) -> Value {
    let containers = task.containers.iter().enumerate().map(|(index, container)| {
        json!({
            "containerArn": format!("{}/{index}", task.arn.replacen(":task/", ":container/", 1)),
            "taskArn": task.arn,
            "name": container.name,
            "image": container.image,
            "imageDigest": container.digest,
            "runtimeId": format!("{}-{index}", task.id),
            "lastStatus": task.last_status,
            "exitCode": container.exit_code,
            "reason": container.reason,
            "healthStatus": container.health.clone().unwrap_or("UNKNOWN".into()),
            "networkInterfaces": [],
        })
    });
    let health = task.containers.iter().find(|container| container.essential).and_then(|c| c.health.clone());
    present(json!({
        "taskArn": task.arn,
        "clusterArn": cluster_arn(&task.arn, &task.cluster),
        "group": task.group,
        "startedBy": if task.started_by.is_empty() { Value::Null } else { json!(task.started_by) },
        "taskDefinitionArn": task.task_definition,
        "lastStatus": task.last_status,
        "desiredStatus": task.desired_status,
        "healthStatus": health.unwrap_or("UNKNOWN".into()),
        "stopCode": task.cause.as_ref().map(|cause| cause.code.clone()),
        "stoppedReason": task.cause.as_ref().map(|cause| cause.reason.clone()),
        "containers": containers.collect::<Vec<_>>(),
        "createdAt": seconds(task.created_at),
        "startedAt": time(task.started_at),
        "stoppingAt": time(task.stopped_at),
        "stoppedAt": time(task.stopped_at),
        "launchType": "FARGATE",
        "platformVersion": "1.4.0",
        "platformFamily": "Linux",
        "cpu": "256",
        "memory": "512",
        "connectivity": "CONNECTED",
        "availabilityZone": "eu-central-1a",
        "overrides": task.request.get("overrides").cloned().unwrap_or(json!({ "containerOverrides": [] })),
        "attachments": [],
        "tags": [],
        "version": 3,
    }))
}

/// The cluster's ARN from the ARN of something in it.
pub fn cluster_arn(inside: &str, cluster: &str) -> String {
    let head: Vec<&str> = inside.splitn(6, ':').take(5).collect();
    format!("{}:cluster/{cluster}", head.join(":"))
}

/// A service.
pub fn service_json(state: &State, service: &Service, with_tags: bool) -> Value {
    let cluster = &state.ecs.clusters[&service.cluster];
    let group = format!("service:{}", service.name);
    let count = |status: &str| cluster.tasks.values().filter(|t| t.group == group && t.last_status == status).count();
    let listed = service.rollouts.iter().rev().filter(|rollout| rollout.status != "INACTIVE");
    let mut body = json!({
        "serviceArn": service.arn,
        "serviceName": service.name,
        "clusterArn": cluster_arn(&service.arn, &service.cluster),
        "status": service.status,
        "desiredCount": service.desired,
        "runningCount": count("RUNNING"),
        "pendingCount": count("PENDING"),
        "taskDefinition": service.task_definition,
        "deployments": listed.map(|rollout| deployment_json(state, service, rollout)).collect::<Vec<_>>(),
        "events": service.events.iter().take(100)
            .map(|event| json!({ "id": event.id, "createdAt": seconds(event.at), "message": event.message }))
            .collect::<Vec<_>>(),
        "createdAt": seconds(service.created_at),
        "createdBy": "arn:aws:iam::123456789012:role/world",
        "currentServiceDeployment": service.rollouts.iter().rev().find_map(|rollout| rollout.service_deployment.clone()),
        "currentServiceRevisions": service.serving().map(|rollout| json!([{ "arn": rollout.revision,
            "requestedTaskCount": service.desired, "runningTaskCount": count("RUNNING"), "pendingTaskCount": 0 }])),
        "tags": if with_tags { service.tags.clone() } else { Value::Null },
    });
    for (name, value) in &service.settings {
        body[name] = value.clone();
    }
    present(body)
}

fn counts(state: &State, service: &Service, rollout: &Rollout) -> (usize, usize) {
    let tasks = &state.ecs.clusters[&service.cluster].tasks;
    let count = |status: &str| tasks.values().filter(|t| t.started_by == rollout.id && t.last_status == status).count();
    (count("RUNNING"), count("PENDING"))
}

fn deployment_json(state: &State, service: &Service, rollout: &Rollout) -> Value {
    let (running, pending) = counts(state, service, rollout);
    let desired = if rollout.status == "PRIMARY" { service.desired } else { 0 };
    let mut body = json!({
        "id": rollout.id,
        "status": rollout.status,
        "taskDefinition": rollout.task_definition,
        "desiredCount": desired,
        "pendingCount": pending,
        "runningCount": running,
        "failedTasks": rollout.failed_tasks,
        "createdAt": seconds(rollout.created_at),
        "updatedAt": seconds(rollout.updated_at),
        "rolloutState": rollout.rollout_state,
        "rolloutStateReason": rollout.rollout_reason,
    });
    for name in ["launchType", "platformVersion", "platformFamily", "networkConfiguration", "capacityProviderStrategy"]
    {
        body[name] = service.settings.get(name).cloned().unwrap_or(Value::Null);
    }
    present(body)
}

/// A service deployment in a listing.
pub fn brief_json(service: &Service, rollout: &Rollout) -> Value {
    present(json!({
        "serviceDeploymentArn": rollout.service_deployment,
        "serviceArn": service.arn,
        "clusterArn": cluster_arn(&service.arn, &service.cluster),
        "createdAt": seconds(rollout.created_at),
        "startedAt": if rollout.state == "PENDING" { Value::Null } else { json!(seconds(rollout.created_at)) },
        "finishedAt": time(rollout.finished_at),
        "targetServiceRevisionArn": rollout.revision,
        "status": rollout.state,
        "statusReason": rollout.state_reason,
    }))
}

/// A service deployment in full.
pub fn service_deployment_json(state: &State, service: &Service, rollout: &Rollout, threshold: u32) -> Value {
    let (running, pending) = counts(state, service, rollout);
    let configuration = service.settings.get("deploymentConfiguration").cloned().unwrap_or(json!({}));
    let breaker = configuration["deploymentCircuitBreaker"]["enable"] == json!(true);
    let tripped = breaker && rollout.rollout_state == "FAILED" && rollout.alarm.is_none();
    let monitoring = if rollout.is_final() { "MONITORING_COMPLETE" } else { "MONITORING" };
    let mut body = brief_json(service, rollout);
    let members = body.as_object_mut().expect("an object");
    members.remove("targetServiceRevisionArn");
    let more = present(json!({
        "updatedAt": seconds(rollout.updated_at),
        "stoppedAt": if rollout.state == "STOPPED" { time(rollout.finished_at) } else { Value::Null },
        "sourceServiceRevisions": rollout.source_revision.iter()
            .map(|arn| json!({ "arn": arn, "requestedTaskCount": 0, "runningTaskCount": 0, "pendingTaskCount": 0 }))
            .collect::<Vec<_>>(),
        "targetServiceRevision": { "arn": rollout.revision, "requestedTaskCount": service.desired,
            "runningTaskCount": running, "pendingTaskCount": pending },
        "lifecycleStage": rollout.stage,
        "deploymentConfiguration": configuration,
        "rollback": rollout.rollback.as_ref().map(|back| json!({ "reason": back.reason,
            "startedAt": seconds(back.started_at), "serviceRevisionArn": back.revision })),
        "deploymentCircuitBreaker": {
            "status": if !breaker { "DISABLED" } else if tripped { "TRIGGERED" } else { monitoring },
            "failureCount": rollout.failed_tasks,
            "threshold": threshold,
        },
        "alarms": {
            "status": if rollout.alarm.is_some() { "TRIGGERED" } else { "DISABLED" },
            "alarmNames": rollout.alarm.iter().collect::<Vec<_>>(),
            "triggeredAlarmNames": rollout.alarm.iter().collect::<Vec<_>>(),
        },
    }));
    members.extend(more.as_object().cloned().unwrap_or_default());
    body
}

/// A service revision.
pub fn revision_json(state: &State, service: &Service, rollout: &Rollout) -> Value {
    let images = state.ecs.images(&rollout.task_definition);
    present(json!({
        "serviceRevisionArn": rollout.revision,
        "serviceArn": service.arn,
        "clusterArn": cluster_arn(&service.arn, &service.cluster),
        "taskDefinition": rollout.task_definition,
        "launchType": service.settings.get("launchType"),
        "platformVersion": "1.4.0",
        "platformFamily": "Linux",
        "networkConfiguration": service.settings.get("networkConfiguration"),
        "loadBalancers": service.settings.get("loadBalancers"),
        "containerImages": images.iter().map(|(name, image)| json!({ "containerName": name, "image": image,
            "imageDigest": state.images.digest_of_reference(image) })).collect::<Vec<_>>(),
        "guardDutyEnabled": false,
        "createdAt": seconds(rollout.created_at),
    }))
}
