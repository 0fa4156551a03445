//! Purpose: the promises about task definitions, on examples and on random documents.

use proptest::prelude::*;
use serde_json::{Value, json};

use super::*;

const WEB: &str = include_str!("testdata/web.json");

fn parse(text: &str) -> TaskDefinition {
    TaskDefinition::parse(text, Format::Json).unwrap().0
}

fn of(value: &Value) -> TaskDefinition {
    parse(&value.to_string())
}

fn minimal(extra: &Value) -> TaskDefinition {
    let mut container = json!({ "name": "web", "image": "acme/web:1" });
    merge(&mut container, extra);
    of(&json!({ "family": "web", "containerDefinitions": [container] }))
}

fn merge(into: &mut Value, extra: &Value) {
    for (key, value) in extra.as_object().unwrap().clone() {
        into[key] = value;
    }
}

#[test]
fn an_edited_document_differs_in_nothing_but_the_edits() {
    let (mut definition, notes) = TaskDefinition::parse(WEB, Format::Json).unwrap();
    definition.set_image("web", "acme/web@sha256:1").unwrap();
    definition.set_environment("web", "LOG_LEVEL", "debug").unwrap();
    let mut expected: Value = serde_json::from_str(WEB).unwrap();
    for key in READ_ONLY {
        expected.as_object_mut().unwrap().shift_remove(key);
    }
    expected["containerDefinitions"][0]["image"] = "acme/web@sha256:1".into();
    expected["containerDefinitions"][0]["environment"][0]["value"] = "debug".into();
    // Compared as text: order, empty values, nulls and unknown keys all survive.
    assert_eq!(definition.to_value().to_string(), expected.to_string());
    assert_eq!(notes.removed, ["taskDefinitionArn", "revision", "status"]);
    assert_eq!(notes.unknown_keys, ["containerDefinitions[web].enviroment", "futureField"]);
    assert!(siblings("containerDefinitions[web].enviroment").any(|key| key == "environment"));
}

#[test]
fn yaml_is_the_same_document() {
    let yaml = "
x: &log {logDriver: awslogs, options: {awslogs-group: /web}}
family: web
cpu: '256'
containerDefinitions:
- name: web
  image: acme/web:1
  logConfiguration: *log
  environment: [{name: EMPTY, value: ''}]
";
    let (definition, notes) = TaskDefinition::parse(yaml, Format::Yaml).unwrap();
    let value = definition.to_value();
    assert_eq!(value["containerDefinitions"][0]["logConfiguration"]["options"]["awslogs-group"], "/web");
    assert_eq!(value["cpu"], "256");
    assert_eq!(value["containerDefinitions"][0]["environment"][0]["value"], "");
    assert_eq!(notes.unknown_keys, ["x"]);
}

#[test]
fn an_answer_of_the_command_line_tool_is_unwrapped() {
    let answer = json!({ "taskDefinition": { "family": "web", "revision": 7, "containerDefinitions": [{ "name": "web" }] },
                         "tags": [{ "key": "team", "value": "shop" }] });
    let definition = TaskDefinition::of_answer(answer).unwrap().to_value();
    assert_eq!(
        definition,
        json!({ "family": "web", "containerDefinitions": [{ "name": "web" }], "tags": [{ "key": "team", "value": "shop" }] })
    );
}

#[test]
fn what_is_no_task_definition_says_why() {
    let said = |text: &str, format| TaskDefinition::parse(text, format).unwrap_err().to_string();
    assert_eq!(said("{\n  \"family\": }", Format::Json), "is not JSON (line 2, column 13)");
    assert_eq!(said("a: [", Format::Yaml), "is not YAML");
    assert!(said("[]", Format::Json).starts_with("has no usable document"));
    assert!(said("{}", Format::Json).starts_with("has no usable family"));
    assert!(
        said(r#"{"family":"a","containerDefinitions":[]}"#, Format::Json)
            .contains("containerDefinitions: expected a list")
    );
    assert!(
        said(r#"{"family":"a","containerDefinitions":[{}]}"#, Format::Json).contains("containerDefinitions[0].name")
    );
    let mut two = of(&json!({ "family": "f", "containerDefinitions": [{ "name": "web" }, { "name": "log" }] }));
    assert_eq!(
        two.set_image("wev", "x").unwrap_err().to_string(),
        "has no container 'wev'; its containers are: web, log"
    );
    assert!(two.select(&[]).unwrap_err().to_string().contains("web, log"));
    assert_eq!(two.select(&["log".into()]).unwrap(), ["log"]);
}

#[test]
fn a_name_is_never_both_variable_and_secret() {
    let mut definition = minimal(
        &json!({ "secrets": [{ "name": "DB", "valueFrom": "arn:1" }, { "name": "KEEP", "valueFrom": "arn:2" }] }),
    );
    definition.set_environment("web", "DB", "plain").unwrap();
    let container = &definition.to_value()["containerDefinitions"][0];
    assert_eq!(container["secrets"], json!([{ "name": "KEEP", "valueFrom": "arn:2" }]));
    definition.set_secret("web", "DB", "arn:3").unwrap();
    let container = &definition.to_value()["containerDefinitions"][0];
    assert_eq!(container["environment"], json!([]));
    assert_eq!(container["secrets"][1], json!({ "name": "DB", "valueFrom": "arn:3" }));
    assert_eq!(definition.unset_environment("web", "DB").unwrap(), Presence::Present);
    assert_eq!(definition.unset_environment("web", "DB").unwrap(), Presence::Absent);
    definition.set_label("web", "team", "shop").unwrap();
    assert_eq!(definition.to_value()["containerDefinitions"][0]["dockerLabels"], json!({ "team": "shop" }));
}

#[test]
fn what_ecs_fills_in_makes_no_difference() {
    let written = of(&json!({
        "family": "web", "networkMode": "awsvpc", "cpu": "1 vCPU", "memory": "2 GB", "requiresCompatibilities": ["FARGATE", "EC2"],
        "containerDefinitions": [{ "name": "web", "image": "a", "portMappings": [{ "containerPort": 80 }],
            "environment": [{ "name": "B", "value": "2" }, { "name": "A", "value": "" }],
            "healthCheck": { "command": ["CMD", "true"] } }],
        "tags": [{ "key": "b", "value": "2" }, { "key": "a", "value": "1" }],
    }));
    let held = TaskDefinition::of_answer(json!({
        "taskDefinition": {
            "taskDefinitionArn": "arn:aws:ecs:eu-central-1:1:task-definition/web:3", "revision": 3, "status": "ACTIVE",
            "compatibilities": ["EC2", "FARGATE"], "requiresAttributes": [{ "name": "x" }], "registeredAt": 1.5, "registeredBy": "me",
            "family": "web", "networkMode": "awsvpc", "cpu": "1024", "memory": "2048", "requiresCompatibilities": ["EC2", "FARGATE"],
            "volumes": [], "placementConstraints": [],
            "containerDefinitions": [{ "name": "web", "image": "a", "cpu": 0, "essential": true, "mountPoints": [], "volumesFrom": [],
                "portMappings": [{ "containerPort": 80, "hostPort": 80, "protocol": "tcp" }], "systemControls": [],
                "environment": [{ "name": "A", "value": "" }, { "name": "B", "value": "2" }],
                "healthCheck": { "command": ["CMD", "true"], "interval": 30, "timeout": 5, "retries": 3 } }],
        },
        "tags": [{ "key": "aws:x", "value": "y" }, { "key": "a", "value": "1" }, { "key": "b", "value": "2" }],
    }))
    .unwrap();
    assert_eq!(written.changes_to(&held), []);
    assert!(written.is_same_as(&held));
}

#[test]
fn what_a_user_means_does_make_a_difference() {
    let base = minimal(&json!({ "command": ["a", "b"], "environment": [{ "name": "A", "value": "" }] }));
    for other in [
        json!({ "command": ["b", "a"], "environment": [{ "name": "A", "value": "" }] }),
        json!({ "command": ["a", "b"] }),
        json!({ "command": ["a", "b"], "environment": [{ "name": "A", "value": " " }] }),
        json!({ "command": ["a", "b"], "environment": [{ "name": "A", "value": "" }], "essential": false }),
        json!({ "command": ["a", "b"], "environment": [{ "name": "A", "value": "" }], "portMappings": [{ "containerPort": 1, "hostPort": 1 }] }),
        json!({ "command": ["a", "b"], "environment": [{ "name": "A", "value": "" }], "unheardOf": 1 }),
    ] {
        let other = minimal(&other);
        assert!(!base.is_same_as(&other), "{}", other.to_value());
        assert_ne!(base.changes_to(&other), []);
    }
}

#[test]
fn the_diff_is_readable_and_keeps_secrets() {
    let before = minimal(&json!({
        "environment": [
            { "name": "LOG_LEVEL", "value": "info" }, { "name": "DB_PASSWORD", "value": "hunter2" }, { "name": "GONE", "value": "x" },
            { "name": "spring.profiles.active", "value": "dev" },
        ],
        "secrets": [{ "name": "API_TOKEN", "valueFrom": "arn:aws:ssm:eu-central-1:1:parameter/a" }],
        "command": ["serve", "--port", "80"],
    }));
    let mut after = before.clone();
    after.set_image("web", "acme/web:2").unwrap();
    for (name, value) in [
        ("LOG_LEVEL", "debug"),
        ("DB_PASSWORD", "correct-horse"),
        ("BROKER", "amqp://user:swordfish@mq/x"),
        ("COMMIT", "0123456789abcdef0123456789abcdef01234567"),
        ("SESSION", "a8Fk39sLm2Qp0zXv7Tn4Yb6Wc1Rd5EgH"),
        ("spring.profiles.active", "prod"),
    ] {
        after.set_environment("web", name, value).unwrap();
    }
    after.unset_environment("web", "GONE").unwrap();
    after.set_secret("web", "API_TOKEN", "arn:aws:ssm:eu-central-1:1:parameter/b").unwrap();
    let lines: Vec<String> = before.changes_to(&after).iter().map(ToString::to_string).collect();
    insta::assert_snapshot!(lines.join("\n"), @r"
    + web: environment.BROKER: (hidden)
    + web: environment.COMMIT: 0123456789abcdef0123456789abcdef01234567
    ~ web: environment.DB_PASSWORD: (hidden) → (hidden)
    - web: environment.GONE: x
    ~ web: environment.LOG_LEVEL: info → debug
    + web: environment.SESSION: (hidden)
    ~ web: environment.spring.profiles.active: dev → prod
    ~ web: image: acme/web:1 → acme/web:2
    ~ web: secrets.API_TOKEN: arn:aws:ssm:eu-central-1:1:parameter/a → arn:aws:ssm:eu-central-1:1:parameter/b
    ");
    let all = lines.join("\n");
    for secret in ["hunter2", "correct-horse", "swordfish", "a8Fk39"] {
        assert!(!all.contains(secret), "{secret} shown");
    }
}

#[test]
fn the_log_stream_is_where_the_driver_writes() {
    let definition = parse(WEB);
    let target = definition.containers().next().unwrap().awslogs().unwrap();
    assert_eq!((target.group.as_str(), target.region.as_deref()), ("/ecs/web", Some("eu-central-1")));
    assert_eq!(target.stream("web", "0123").as_deref(), Some("web/web/0123"));
    assert_eq!(definition.containers().nth(1).unwrap().awslogs(), None);
}

/// Environment lists: names may repeat, values may be anything.
fn environment() -> impl Strategy<Value = Vec<(String, String)>> {
    prop::collection::vec(("[A-C_.]{1,3}", ".{0,6}"), 0..6)
}

fn entries(pairs: &[(String, String)]) -> Value {
    pairs.iter().map(|(name, value)| json!({ "name": name, "value": value })).collect()
}

proptest! {
    #[test]
    fn equality_ignores_the_order_of_unique_names_and_nothing_else(pairs in environment(), other in environment()) {
        let unique = |pairs: &[(String, String)]| pairs.iter().cloned().collect::<std::collections::BTreeMap<_, _>>();
        let (one, two) = (unique(&pairs), unique(&other));
        let list = |map: &std::collections::BTreeMap<String, String>| map.clone().into_iter().collect::<Vec<_>>();
        let mut reversed = list(&one);
        reversed.reverse();
        let definition = |pairs: &[(String, String)]| minimal(&json!({ "environment": entries(pairs) }));
        prop_assert!(definition(&list(&one)).is_same_as(&definition(&reversed)));
        prop_assert_eq!(definition(&list(&one)).is_same_as(&definition(&list(&two))), one == two);
    }

    #[test]
    fn a_diff_is_empty_exactly_when_the_definitions_are_the_same(one in environment(), two in environment()) {
        let definition = |pairs: &[(String, String)]| minimal(&json!({ "environment": entries(pairs) }));
        let (one, two) = (definition(&one), definition(&two));
        prop_assert_eq!(one.is_same_as(&two), one.changes_to(&two).is_empty());
    }

    #[test]
    fn setting_is_idempotent_and_leaves_one_entry(pairs in environment(), name in "[A-C_.]{1,3}", value in ".{0,6}") {
        let mut definition = minimal(&json!({ "environment": entries(&pairs) }));
        definition.set_environment("web", &name, &value).unwrap();
        let once = definition.clone();
        definition.set_environment("web", &name, &value).unwrap();
        prop_assert_eq!(&once, &definition);
        let container = &definition.to_value()["containerDefinitions"][0];
        let found: Vec<&Value> = container["environment"].as_array().unwrap().iter().filter(|entry| entry["name"] == name.as_str()).collect();
        prop_assert_eq!(found.len(), 1);
        prop_assert_eq!(&found[0]["value"], &json!(value));
    }

    #[test]
    fn no_text_makes_the_parser_fall_over(text in ".{0,60}") {
        let _ = TaskDefinition::parse(&text, Format::Json);
        let _ = TaskDefinition::parse(&text, Format::Yaml);
    }
}
