//! Purpose: every input that cannot be right ends with exit code 2, names the input, and writes nothing.

use serde_json::json;

use super::{definition, deploy, web};
use crate::world::{Skin, World};

/// Inputs beyond cluster and service, the reason, and what the message must name.
type Row = (&'static [(&'static str, &'static str)], &'static str, &'static str);

/// What the inputs alone show: nobody is asked.
const BY_THEMSELVES: &[Row] = &[
    (&[("wait", "maybe")], "invalid-input", "wait"),
    (&[("desired_count", "-1")], "invalid-input", "desired_count"),
    (&[("desired_count", "99999999999")], "invalid-input", "desired_count"),
    (&[("timeout", "soon")], "invalid-input", "timeout"),
    (&[("timeout", "0s")], "invalid-input", "timeout"),
    (&[("poll_interval", "1ms")], "invalid-input", "poll_interval"),
    (&[("crash_limit", "few")], "invalid-input", "crash_limit"),
    (&[("on_failure", "explode")], "invalid-input", "on_failure"),
    (&[("concurrency", "maybe")], "invalid-input", "concurrency"),
    (&[("service", "web, web")], "invalid-input", "names web twice"),
    (&[("service", "a,b,c,d,e,f,g,h,i,j,k")], "invalid-input", "more than 10"),
    (&[("image", "https://acme/web:2")], "invalid-input", "image"),
    (&[("image", "acme/WEB:2")], "invalid-input", "image"),
    (&[("images", "web")], "invalid-input", "images"),
    (&[("images", "web=acme/web:2"), ("image", "acme/web:3"), ("container", "web")], "invalid-input", "images"),
    (&[("container", "web")], "invalid-input", "container"),
    (&[("environment_variables", "NOVALUE")], "invalid-input", "environment_variables"),
    (
        &[("environment_variables", "A=1"), ("secrets", "A=arn:aws:ssm:eu-central-1:1:parameter/a")],
        "invalid-input",
        "secrets",
    ),
    (&[("task_definition", "absent.json")], "task-definition-unreadable", "absent.json"),
    (&[("task_definition", "broken.json")], "task-definition-invalid", "broken.json"),
    (&[("task_definition", "nameless.json")], "task-definition-invalid", "family"),
    (&[("task_definition", "empty.yml")], "task-definition-invalid", "containerDefinitions"),
    (&[("task_definition", "web.json"), ("task_definition_arn", "web:1")], "invalid-input", "choose one"),
    (&[("task_definition", "web.json"), ("image", "acme/web:2"), ("container", "wbe")], "unknown-container", "wbe"),
    (&[("task_definition", "two.json"), ("image", "acme/web:2")], "invalid-input", "two.json"),
    (&[("migrate", "sh -c 'unclosed")], "invalid-input", "migrate"),
    (&[("migrate_container", "web")], "invalid-input", "migrate_container"),
    (&[("migrate_task_definition", "web:1")], "invalid-input", "migrate_task_definition"),
    (&[("migrate", "x"), ("migrate_task_definition", "absent.yml")], "task-definition-unreadable", "absent.yml"),
    (&[("health_url", "web.example")], "invalid-input", "health_url"),
    (&[("health_url", "ftp://web.example")], "invalid-input", "health_url"),
    (&[("health_url", "http://web.example"), ("health_status", "2xx")], "invalid-input", "health_status"),
    (&[("health_url", "http://web.example"), ("health_attempts", "0")], "invalid-input", "health_attempts"),
    (&[("health_timeout", "1m")], "invalid-input", "health_url"),
    (&[("keep_revisions", "0")], "invalid-input", "keep_revisions"),
    (&[("keep_revisions", "3"), ("keep_revisions_on", "[")], "invalid-input", "keep_revisions_on"),
    (&[("ssm_parameters", "web/tag={tag}")], "invalid-input", "web/tag"),
    (&[("ssm_parameters", "/web/tag={tags}")], "invalid-input", "{tags}"),
    (&[("confirm", "DEPLOY")], "invalid-input", "confirm_with"),
    (&[("aws_region", "Frankfurt")], "invalid-input", "aws_region"),
    (&[("role_to_assume", "arn:aws:iam::1:user/me")], "invalid-input", "role_to_assume"),
    (&[("role_duration", "1m")], "invalid-input", "role_duration"),
    (&[("allowed_account_ids", "1234")], "invalid-input", "allowed_account_ids"),
];

/// What ECS has to be asked for.
const BY_ECS: &[Row] = &[
    (&[("cluster", "prdo")], "cluster-not-found", "prdo"),
    (&[("service", "wbe")], "service-not-found", "wbe"),
    (&[("service", "web, wbe")], "service-not-found", "wbe"),
    (&[("service", "external")], "deployment-controller", "CODE_DEPLOY"),
    (&[("service", "leaving")], "service-inactive", "DRAINING"),
    (&[("task_definition_arn", "web:9")], "task-definition-not-found", "web:9"),
    (&[("images", "wbe=acme/web:2")], "unknown-container", "wbe"),
    (&[("image", "acme/web:2"), ("container", "wbe")], "unknown-container", "wbe"),
    (&[("migrate", "x"), ("migrate_container", "wbe")], "unknown-container", "migrate_container"),
    (&[("migrate", "x"), ("migrate_task_definition", "migrate:9")], "task-definition-not-found", "migrate:9"),
    (&[("image", "123456789012.dkr.ecr.eu-central-1.amazonaws.com/web:nope")], "image-not-found", "web:nope"),
    (
        &[("secrets", "DB=arn:aws:secretsmanager:eu-central-1:123456789012:secret:db-a1b2c3")],
        "secret-not-found",
        "db-a1b2c3",
    ),
    (&[("secrets", "DB=arn:aws:ssm:eu-central-1:123456789012:parameter/db")], "secret-not-found", "db"),
];

async fn refused(world: &World, rows: &[Row]) {
    let two = json!({ "family": "web", "containerDefinitions": [
        { "name": "web", "image": "acme/web:1" }, { "name": "log", "image": "acme/log:1" }] });
    for (inputs, reason, named) in rows {
        let outcome = deploy(world)
            .file("web.json", definition("acme/web:1").to_string())
            .file("two.json", two.to_string())
            .file("broken.json", "{")
            .file("nameless.json", json!({ "containerDefinitions": [{ "name": "web" }] }).to_string())
            .file("empty.yml", "family: web\ncontainerDefinitions: []\n")
            .inputs(inputs)
            .run();
        outcome.failed(2, reason);
        let message = &outcome.annotations("error")[0].message;
        assert!(message.contains(named), "{inputs:?}: {message}");
        assert!(world.take_writes().is_empty(), "{inputs:?} wrote something");
    }
}

#[tokio::test]
async fn what_the_inputs_alone_show_is_refused_without_asking() {
    let world = web().await;
    refused(&world, BY_THEMSELVES).await;
    assert!(world.calls(Skin::Ecs).is_empty() && world.calls(Skin::Sts).is_empty(), "nobody is asked");
    world.finish();
}

#[tokio::test]
async fn what_ecs_shows_is_refused_before_any_write() {
    let world = web().await;
    {
        let mut state = world.state();
        state.images.image("web:1");
        let arn = state.ecs.definition("web").unwrap().arn.clone();
        let external = state.service_of("prod", "external", &arn, 1);
        external.settings["deploymentController"] = json!({ "type": "CODE_DEPLOY" });
        state.service_of("prod", "leaving", &arn, 1).status = "DRAINING".into();
    }
    refused(&world, BY_ECS).await;
    world.finish();
}
