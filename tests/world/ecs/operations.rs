//! Purpose: ECS operations on clusters, services and their deployments.

use serde_json::{Map, Value, json};

use super::super::aws::{Answer, AwsError, page, text, texts};
use super::super::clock::{Since, seconds};
use super::super::http::Skin;
use super::super::state::State;
use super::shapes::{brief_json, present, revision_json, service_deployment_json, service_json};
use super::{Rollout, Service, short_name, task_definitions, tasks};

/// One operation; none when it is not known.
pub fn handle(state: &mut State, operation: &str, body: &Value) -> Option<Answer> {
    Some(match operation {
        "RegisterTaskDefinition" => task_definitions::register_operation(state, body),
        "DescribeTaskDefinition" => task_definitions::describe(state, body),
        "ListTaskDefinitions" => task_definitions::list(state, body),
        "DeregisterTaskDefinition" => task_definitions::deregister(state, body),
        "DescribeClusters" => Ok(describe_clusters(state, body)),
        "ListClusters" => list_clusters(state, body),
        "ListServices" => list_services(state, body),
        "DescribeServices" => describe_services(state, body),
        "UpdateService" => update_service(state, body),
        "ListServiceDeployments" => list_service_deployments(state, body),
        "DescribeServiceDeployments" => Ok(describe_service_deployments(state, body)),
        "DescribeServiceRevisions" => Ok(describe_service_revisions(state, body)),
        "StopServiceDeployment" => stop_service_deployment(state, body),
        "RunTask" => tasks::run_task(state, body),
        "StopTask" => tasks::stop_task(state, body),
        "ListTasks" => tasks::list_tasks(state, body),
        "DescribeTasks" => tasks::describe_tasks(state, body),
        _ => return None,
    })
}

/// The last part of an ARN, or the name itself.
pub(super) fn cluster_name(name_or_arn: &str) -> String {
    name_or_arn.rsplit('/').next().unwrap_or(name_or_arn).to_owned()
}

/// The cluster that a request names, `default` when it names none.
pub(super) fn known_cluster(state: &State, body: &Value) -> Result<String, AwsError> {
    let name = cluster_name(text(body, "cluster").unwrap_or("default"));
    if state.ecs.clusters.contains_key(&name) {
        Ok(name)
    } else {
        Err(AwsError::new("ClusterNotFoundException", "Cluster not found."))
    }
}

fn known_service(state: &State, body: &Value) -> Result<(String, String), AwsError> {
    let cluster = known_cluster(state, body)?;
    let service = cluster_name(text(body, "service").unwrap_or_default());
    if state.ecs.clusters[&cluster].services.contains_key(&service) {
        Ok((cluster, service))
    } else {
        Err(AwsError::new("ServiceNotFoundException", "Service not found."))
    }
}

fn missing(name: &str) -> Value {
    json!({ "arn": name, "reason": "MISSING" })
}

fn describe_clusters(state: &State, body: &Value) -> Value {
    let mut names = texts(body, "clusters");
    if names.is_empty() {
        names.push("default".into());
    }
    let (mut clusters, mut failures) = (Vec::new(), Vec::new());
    for name in names {
        match state.ecs.clusters.get(&cluster_name(&name)) {
            Some(cluster) => clusters.push(json!({ "clusterName": cluster_name(&name), "status": "ACTIVE",
                "clusterArn": state.aws.arn("ecs", &format!("cluster/{}", cluster_name(&name))),
                "activeServicesCount": cluster.services.len() })),
            None => failures.push(missing(&name)),
        }
    }
    json!({ "clusters": clusters, "failures": failures })
}

fn list_clusters(state: &State, body: &Value) -> Answer {
    let arns: Vec<String> =
        state.ecs.clusters.keys().map(|name| state.aws.arn("ecs", &format!("cluster/{name}"))).collect();
    let (arns, next) = page(&arns, body, 100);
    Ok(present(json!({ "clusterArns": arns, "nextToken": next })))
}

fn list_services(state: &State, body: &Value) -> Answer {
    let cluster = known_cluster(state, body)?;
    let arns: Vec<String> = state.ecs.clusters[&cluster].services.values().map(|service| service.arn.clone()).collect();
    let (arns, next) = page(&arns, body, 10);
    Ok(present(json!({ "serviceArns": arns, "nextToken": next })))
}

fn describe_services(state: &mut State, body: &Value) -> Answer {
    let cluster = known_cluster(state, body)?;
    let names = texts(body, "services");
    if names.is_empty() || names.len() > 10 {
        return Err(AwsError::new("InvalidParameterException", "services must have between 1 and 10 elements"));
    }
    let with_tags = body["include"].as_array().is_some_and(|list| list.contains(&json!("TAGS")));
    let (mut services, mut failures) = (Vec::new(), Vec::new());
    for name in names {
        let service = cluster_name(&name);
        if state.ecs.clusters[&cluster].services.contains_key(&service) {
            state.tick(&cluster, &service, Some("DescribeServices"));
            services.push(service_json(state, &state.ecs.clusters[&cluster].services[&service], with_tags));
        } else {
            failures.push(missing(&state.aws.arn("ecs", &format!("service/{cluster}/{service}"))));
        }
    }
    Ok(json!({ "services": services, "failures": failures }))
}

/// Members of UpdateService that become members of the service.
const CARRIED: [&str; 12] = [
    "networkConfiguration",
    "platformVersion",
    "capacityProviderStrategy",
    "healthCheckGracePeriodSeconds",
    "enableExecuteCommand",
    "enableECSManagedTags",
    "loadBalancers",
    "propagateTags",
    "serviceRegistries",
    "placementConstraints",
    "placementStrategy",
    "availabilityZoneRebalancing",
];

fn update_service(state: &mut State, body: &Value) -> Answer {
    let (cluster, service) = known_service(state, body)?;
    let found = state.ecs.find(&cluster, &service);
    if found.status != "ACTIVE" {
        return Err(AwsError::new("ServiceNotActiveException", "Service was not ACTIVE."));
    }
    let before = found.rollouts.iter().rev().find_map(|rollout| rollout.service_deployment.clone());
    let current = found.task_definition.clone();
    let wanted = match text(body, "taskDefinition") {
        None => current.clone(),
        Some(name) => match state.ecs.definition(name) {
            None => {
                return Err(AwsError::new("ClientException", "TaskDefinition not found."));
            }
            Some(found) if !found.active => {
                return Err(AwsError::new("ClientException", "TaskDefinition is inactive"));
            }
            Some(found) => found.arn.clone(),
        },
    };
    let changed = carry(&mut state.ecs.find(&cluster, &service).settings, body);
    let mut what = format!("UpdateService {cluster}/{service} {}", short_name(&wanted));
    if let Some(desired) = body["desiredCount"].as_u64() {
        let desired = u32::try_from(desired).unwrap_or(u32::MAX);
        if desired != state.ecs.find(&cluster, &service).desired {
            what += &format!(" desired={desired}");
            state.scale(&cluster, &service, desired);
        }
    }
    let forced = body["forceNewDeployment"] == json!(true);
    if forced {
        what += " forced";
    }
    state.wrote(Skin::Ecs, &what);
    if forced || changed || wanted != current {
        state.begin_rollout(&cluster, &service, &wanted, None);
        state.tick(&cluster, &service, None);
    }
    let found = &state.ecs.clusters[&cluster].services[&service];
    let mut answer = service_json(state, found, false);
    if let (true, Some(before)) = (found.stale_answers, before) {
        answer["currentServiceDeployment"] = json!(before);
    }
    Ok(json!({ "service": answer }))
}

/// Takes over settings; true when one changed that needs a new deployment.
fn carry(settings: &mut Map<String, Value>, body: &Value) -> bool {
    let mut changed = false;
    for name in CARRIED {
        let Some(value) = body.get(name) else {
            continue;
        };
        if settings.get(name) != Some(value) {
            changed |= ["networkConfiguration", "platformVersion", "loadBalancers", "capacityProviderStrategy"]
                .contains(&name);
            settings.insert(name.to_owned(), value.clone());
        }
    }
    let wanted = body.get("deploymentConfiguration").and_then(Value::as_object);
    for (name, value) in wanted.into_iter().flatten() {
        settings.entry("deploymentConfiguration").or_insert(json!({}))[name] = value.clone();
    }
    changed
}

fn list_service_deployments(state: &mut State, body: &Value) -> Answer {
    let (cluster, service) = known_service(state, body)?;
    state.tick(&cluster, &service, Some("ListServiceDeployments"));
    let statuses = texts(body, "status");
    let bound = |name: &str| body["createdAt"][name].as_f64();
    let (after, before) = (bound("after"), bound("before"));
    let found = &state.ecs.clusters[&cluster].services[&service];
    let fits = |rollout: &&Rollout| {
        let created = seconds(rollout.created_at);
        rollout.service_deployment.is_some()
            && (statuses.is_empty() || statuses.contains(&rollout.state))
            && after.is_none_or(|after| created >= after)
            && before.is_none_or(|before| created <= before)
    };
    let all: Vec<Value> = found.rollouts.iter().rev().filter(fits).map(|rollout| brief_json(found, rollout)).collect();
    let (items, next) = page(&all, body, 100);
    Ok(present(json!({ "serviceDeployments": items, "nextToken": next })))
}

/// `(cluster, service)` of an ARN that ends in `…/<cluster>/<service>/<id>`.
fn place_of(arn: &str) -> Option<(String, String)> {
    let mut parts = arn.rsplit('/').skip(1);
    let (service, cluster) = (parts.next()?, parts.next()?);
    Some((cluster.to_owned(), service.to_owned()))
}

fn holder<'a>(state: &'a State, arn: &str) -> Option<&'a Service> {
    let (cluster, service) = place_of(arn)?;
    state.ecs.clusters.get(&cluster)?.services.get(&service)
}

fn describe_service_deployments(state: &mut State, body: &Value) -> Value {
    let arns = texts(body, "serviceDeploymentArns");
    let mut seen = std::collections::BTreeSet::new();
    for (cluster, service) in
        arns.iter().filter(|arn| holder(state, arn).is_some()).filter_map(|arn| place_of(arn)).collect::<Vec<_>>()
    {
        if seen.insert((cluster.clone(), service.clone())) {
            state.tick(&cluster, &service, Some("DescribeServiceDeployments"));
        }
    }
    let (mut found, mut failures) = (Vec::new(), Vec::new());
    for arn in &arns {
        let Some((cluster, name)) = place_of(arn).filter(|_| holder(state, arn).is_some()) else {
            failures.push(missing(arn));
            continue;
        };
        let threshold = state.breaker_threshold(&cluster, &name);
        let service = &state.ecs.clusters[&cluster].services[&name];
        match service.rollouts.iter().find(|rollout| rollout.service_deployment.as_ref() == Some(arn)) {
            Some(rollout) => {
                found.push(service_deployment_json(state, service, rollout, threshold));
            }
            None => failures.push(missing(arn)),
        }
    }
    json!({ "serviceDeployments": found, "failures": failures })
}

fn describe_service_revisions(state: &State, body: &Value) -> Value {
    let (mut found, mut failures) = (Vec::new(), Vec::new());
    for arn in texts(body, "serviceRevisionArns") {
        let service = holder(state, &arn);
        let rollout = service.and_then(|service| service.rollouts.iter().find(|rollout| rollout.revision == arn));
        match (service, rollout) {
            (Some(service), Some(rollout)) => found.push(revision_json(state, service, rollout)),
            _ => failures.push(missing(&arn)),
        }
    }
    json!({ "serviceRevisions": found, "failures": failures })
}

fn stop_service_deployment(state: &mut State, body: &Value) -> Answer {
    let arn = text(body, "serviceDeploymentArn").unwrap_or_default().to_owned();
    let unknown = || AwsError::new("ServiceDeploymentNotFoundException", "Service deployment not found.");
    let (cluster, service) = place_of(&arn).filter(|_| holder(state, &arn).is_some()).ok_or_else(unknown)?;
    let kind = text(body, "stopType").unwrap_or("ROLLBACK").to_owned();
    let now = state.clock.now();
    let found = state.ecs.find(&cluster, &service);
    let way_back = found.serving().is_some();
    let mut rollouts = found.rollouts.iter_mut();
    let rollout = rollouts.find(|rollout| rollout.service_deployment.as_ref() == Some(&arn)).ok_or_else(unknown)?;
    if !matches!(rollout.state.as_str(), "PENDING" | "IN_PROGRESS") {
        let message = format!("Service deployment is in {} state and cannot be stopped.", rollout.state);
        return Err(AwsError::new("ConflictException", message));
    }
    if kind == "ROLLBACK" && !way_back {
        return Err(AwsError::new("InvalidParameterException", "There is no service revision to roll back to."));
    }
    rollout.state = if kind == "ROLLBACK" { "ROLLBACK_REQUESTED" } else { "STOP_REQUESTED" }.into();
    rollout.since = Since { polls: rollout.polls(), at: now };
    rollout.updated_at = now;
    state.wrote(Skin::Ecs, &format!("StopServiceDeployment {cluster}/{service} {kind}"));
    Ok(json!({ "serviceDeploymentArn": arn }))
}
