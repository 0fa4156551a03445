//! Purpose: task definitions and their revisions.

use serde_json::{Map, Value, json};

use super::super::aws::{Answer, AwsError, page, text};
use super::super::clock::seconds;
use super::super::http::Skin;
use super::super::state::State;
use super::{TaskDefinition, short_name};

/// Members that the API makes up itself and refuses to take back.
pub(super) const READ_ONLY: [&str; 9] = [
    "taskDefinitionArn",
    "revision",
    "status",
    "requiresAttributes",
    "compatibilities",
    "registeredAt",
    "registeredBy",
    "deregisteredAt",
    "deleteRequestedAt",
];

/// Makes a revision. Gives its ARN.
pub fn register(state: &mut State, body: &Value) -> Result<String, AwsError> {
    let (family, containers) = checked(body)?;
    if let Some(name) = READ_ONLY.iter().find(|name| body.get(**name).is_some()) {
        state.violation(format!("RegisterTaskDefinition was sent the read-only member {name}"));
    }
    let awsvpc = body["networkMode"] == "awsvpc";
    let mut stored: Map<String, Value> = body.as_object().cloned().unwrap_or_default();
    let tags = stored.remove("tags").unwrap_or(json!([]));
    let filled = containers.into_iter().map(|container| with_defaults(container, awsvpc)).collect();
    stored.insert("containerDefinitions".into(), Value::Array(filled));
    for name in ["volumes", "placementConstraints"] {
        stored.entry(name).or_insert(json!([]));
    }
    let revision = state.ecs.task_definitions.get(&family).map_or(0, Vec::len) + 1;
    let arn = state.aws.arn("ecs", &format!("task-definition/{family}:{revision}"));
    let made = [
        ("taskDefinitionArn", json!(arn)),
        ("revision", json!(revision)),
        ("status", json!("ACTIVE")),
        ("requiresAttributes", json!([{ "name": "com.amazonaws.ecs.capability.docker-remote-api.1.18" }])),
        ("compatibilities", json!(["EC2", "FARGATE"])),
        ("registeredAt", json!(state.clock.seconds())),
        ("registeredBy", json!("arn:aws:iam::123456789012:user/world")),
    ];
    stored.extend(made.map(|(name, value)| (name.to_owned(), value)));
    let definition = TaskDefinition { arn: arn.clone(), body: stored, tags, active: true };
    state.ecs.task_definitions.entry(family).or_default().push(definition);
    Ok(arn)
}

/// Family and containers, if they are what the API takes.
fn checked(body: &Value) -> Result<(String, Vec<Value>), AwsError> {
    let client = |message: &str| AwsError::new("ClientException", message);
    let family = text(body, "family").ok_or_else(|| client("Family should not be null or empty."))?;
    let allowed = |c: char| c.is_ascii_alphanumeric() || "-_".contains(c);
    if family.len() > 255 || !family.chars().all(allowed) {
        let rule = "Family names must only contain letters, numbers, hyphens and underscores.";
        return Err(client(&format!("Invalid family name. {rule}")));
    }
    let containers = body["containerDefinitions"].as_array().cloned().unwrap_or_default();
    if containers.is_empty() {
        return Err(client("Container list cannot be empty."));
    }
    let incomplete = |c: &&Value| text(c, "image").is_none() || text(c, "name").is_none();
    if let Some(container) = containers.iter().find(incomplete) {
        let name = container["name"].as_str().unwrap_or_default();
        return Err(client(&format!("Container.image should not be null or empty ('{name}').")));
    }
    Ok((family.to_owned(), containers))
}

/// What the API adds to a container when it is not said.
fn with_defaults(mut container: Value, awsvpc: bool) -> Value {
    let members = container.as_object_mut().expect("a container is an object");
    let defaults = [
        ("cpu", json!(0)),
        ("portMappings", json!([])),
        ("essential", json!(true)),
        ("environment", json!([])),
        ("mountPoints", json!([])),
        ("volumesFrom", json!([])),
        ("systemControls", json!([])),
    ];
    for (name, value) in defaults {
        members.entry(name).or_insert(value);
    }
    for mapping in members["portMappings"].as_array_mut().into_iter().flatten() {
        let port = if awsvpc { mapping["containerPort"].clone() } else { json!(0) };
        let mapping = mapping.as_object_mut().expect("a port mapping is an object");
        mapping.entry("hostPort").or_insert(port);
        mapping.entry("protocol").or_insert(json!("tcp"));
    }
    // The service keeps environment variables in an order of its own.
    if let Some(environment) = members.get_mut("environment").and_then(Value::as_array_mut) {
        environment.sort_by_key(|entry| entry["name"].as_str().unwrap_or_default().to_owned());
    }
    container
}

/// `RegisterTaskDefinition`.
pub(super) fn register_operation(state: &mut State, body: &Value) -> Answer {
    let arn = register(state, body)?;
    state.wrote(Skin::Ecs, &format!("RegisterTaskDefinition {}", short_name(&arn)));
    let definition = state.ecs.definition(&arn).expect("just registered");
    Ok(json!({ "taskDefinition": definition.body, "tags": definition.tags }))
}

/// `DescribeTaskDefinition`.
pub(super) fn describe(state: &State, body: &Value) -> Answer {
    let name = text(body, "taskDefinition").unwrap_or_default();
    let Some(definition) = state.ecs.definition(name) else {
        return Err(AwsError::new("ClientException", "Unable to describe task definition."));
    };
    let tags = body["include"].as_array().is_some_and(|list| list.contains(&json!("TAGS")));
    let mut answer = json!({ "taskDefinition": definition.body });
    if tags {
        answer["tags"] = definition.tags.clone();
    }
    Ok(answer)
}

/// `ListTaskDefinitions`.
pub(super) fn list(state: &State, body: &Value) -> Answer {
    let prefix = text(body, "familyPrefix");
    let active = text(body, "status").unwrap_or("ACTIVE") == "ACTIVE";
    let families =
        state.ecs.task_definitions.iter().filter(|(family, _)| prefix.is_none_or(|prefix| *family == prefix));
    let mut arns: Vec<String> =
        families.flat_map(|(_, revisions)| revisions).filter(|d| d.active == active).map(|d| d.arn.clone()).collect();
    if text(body, "sort") == Some("DESC") {
        arns.reverse();
    }
    let (arns, next) = page(&arns, body, 100);
    Ok(super::shapes::present(json!({ "taskDefinitionArns": arns, "nextToken": next })))
}

/// `DeregisterTaskDefinition`.
pub(super) fn deregister(state: &mut State, body: &Value) -> Answer {
    let name = text(body, "taskDefinition").unwrap_or_default().to_owned();
    let Some(arn) = state.ecs.definition(&name).map(|definition| definition.arn.clone()) else {
        return Err(AwsError::new("ClientException", "The specified task definition does not exist."));
    };
    let now = seconds(state.clock.now());
    let (family, revision) = short_name(&arn).split_once(':').expect("family:revision");
    let place: usize = revision.parse().expect("a revision");
    let definition = &mut state.ecs.task_definitions.get_mut(family).expect("a family")[place - 1];
    definition.active = false;
    definition.body.insert("status".into(), json!("INACTIVE"));
    definition.body.insert("deregisteredAt".into(), json!(now));
    let answer = json!({ "taskDefinition": definition.body });
    state.wrote(Skin::Ecs, &format!("DeregisterTaskDefinition {}", short_name(&arn)));
    Ok(answer)
}
