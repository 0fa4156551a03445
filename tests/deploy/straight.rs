//! Purpose: the straight path, and what it leaves.

use serde_json::json;

use super::{REGISTRY, definition, deploy, told, web};
use crate::world::After;
use crate::world::Skin;
use crate::world::ecs::{Action, Script};

#[tokio::test]
async fn an_image_is_registered_deployed_and_proven() {
    let world = web().await;
    let digest = world.state().images.image("web:2");
    let image = format!("{REGISTRY}/web@{digest}");
    world.state().ecs.script("web", "*", Script::healthy(After::Polls(3)));
    let outcome = deploy(&world)
        .file("ecs/web.json", definition("placeholder").to_string())
        .inputs(&[
            ("task_definition", "ecs/web.json"),
            ("image", &image),
            ("container", "web"),
            ("environment_variables", "LOG_LEVEL=debug\nDB_PASSWORD=hunter2-and-more"),
            ("health_url", &world.health_url("web")),
        ])
        .run();
    outcome.succeeded();
    let arn = |revision| format!("arn:aws:ecs:eu-central-1:123456789012:task-definition/web:{revision}");
    assert_eq!(outcome.output("task_definition_arn"), arn(2));
    assert_eq!(outcome.output("previous_task_definition_arn"), arn(1));
    assert_eq!((outcome.output("status"), outcome.output("reason")), ("deployed", "deployed"));
    assert_eq!(outcome.output("running_digest"), digest);
    assert!(outcome.output("deployment_id").contains(":service-deployment/prod/web/"));
    assert!(outcome.output("phases").contains("\"watch\""), "{}", outcome.output("phases"));
    outcome.keeps("hunter2-and-more");
    assert_eq!(world.take_writes(), ["ecs RegisterTaskDefinition web:2", "ecs UpdateService prod/web web:2"]);
    let held = world.state().ecs.definition("web:2").unwrap().body.clone();
    assert_eq!(held["containerDefinitions"][0]["image"], json!(image));
    let variables = held["containerDefinitions"][0]["environment"].as_array().unwrap();
    assert!(variables.contains(&json!({ "name": "DB_PASSWORD", "value": "hunter2-and-more" })), "{variables:?}");
    insta::assert_snapshot!(told(&outcome));
    world.finish();
}

#[tokio::test]
async fn a_dry_run_prints_the_plan_and_writes_nothing() {
    let world = web().await;
    let outcome = deploy(&world)
        .inputs(&[
            ("dry_run", "true"),
            ("image", "acme/web:2"),
            ("environment_variables", "LOG_LEVEL=debug\nAPI_TOKEN=hunter2-and-more"),
            ("desired_count", "3"),
            ("migrate", "pnpm db:migrate"),
            ("health_url", &world.health_url("web")),
            ("ssm_parameters", "/web/image={image}"),
        ])
        .run();
    outcome.succeeded();
    assert_eq!(outcome.output("result"), "skipped");
    outcome.keeps("hunter2-and-more");
    insta::assert_snapshot!(told(&outcome));
    world.finish();
}

#[tokio::test]
async fn what_runs_already_is_left_alone() {
    let world = web().await;
    let outcome = deploy(&world).input("image", "acme/web:1").run();
    outcome.succeeded();
    assert_eq!((outcome.output("status"), outcome.output("reason")), ("unchanged", "unchanged"));
    world.finish();
}

#[tokio::test]
async fn an_equal_revision_is_not_registered_again() {
    let world = web().await;
    world.state().task_definition("web", &definition("acme/web:2"));
    let outcome = deploy(&world).input("image", "acme/web:2").run();
    outcome.succeeded();
    assert_eq!(world.take_writes(), ["ecs UpdateService prod/web web:2"]);
    world.finish();
}

#[tokio::test]
async fn an_existing_revision_is_deployed_as_it_is() {
    let world = web().await;
    world.state().task_definition("web", &definition("acme/web:2"));
    world.state().task_definition("web", &definition("acme/web:3"));
    let outcome = deploy(&world).input("task_definition_arn", "web:2").run();
    outcome.succeeded();
    assert_eq!(world.take_writes(), ["ecs UpdateService prod/web web:2"]);
    world.finish();
}

#[tokio::test]
async fn unknown_keys_travel_with_a_warning_and_read_only_ones_do_not() {
    let world = web().await;
    let mut body = definition("acme/web:2");
    body["revision"] = json!(7);
    body["containerDefinitions"][0]["enviroment"] = json!([{ "name": "TYPO", "value": "1" }]);
    let outcome = deploy(&world).file("web.json", body.to_string()).input("task_definition", "web.json").run();
    outcome.succeeded();
    let warnings = outcome.annotations("warning");
    assert!(warnings[0].message.contains("did you mean environment?"), "{}", outcome.report());
    let sent =
        world.requests(Skin::Ecs).into_iter().find(|request| request.call() == "RegisterTaskDefinition").unwrap();
    let sent: serde_json::Value = serde_json::from_str(&sent.body).unwrap();
    assert_eq!(sent["containerDefinitions"][0]["enviroment"][0]["name"], "TYPO");
    assert_eq!(sent.get("revision"), None);
    world.explain_writes();
    world.finish();
}

#[tokio::test]
async fn a_killed_run_is_taken_up_where_it_was() {
    let world = web().await;
    world.state().ecs.script("web", "acme/web:2", Script::of(&[(After::Polls(0), Action::Run)]));
    let mut running = deploy(&world).input("image", "acme/web:2").start();
    running.wait_for_log("following arn:");
    running.signal("KILL");
    drop(running);
    assert_eq!(world.take_writes(), ["ecs RegisterTaskDefinition web:2", "ecs UpdateService prod/web web:2"]);
    let mut second = deploy(&world).input("image", "acme/web:2").start();
    second.wait_for_log("is on its way to web:2 already");
    // What ECS was doing goes on and completes.
    let healthy = Script::healthy(After::Polls(0));
    world.state().ecs.find("prod", "web").rollouts.last_mut().unwrap().script = healthy;
    let outcome = second.wait();
    outcome.succeeded();
    assert_eq!(outcome.output("status"), "deployed");
    assert!(world.take_writes().is_empty(), "no second revision and no second deployment");
    world.finish();
}

#[tokio::test]
async fn without_waiting_the_deployment_is_only_started() {
    let world = web().await;
    world.state().ecs.script("web", "acme/web:2", Script::never_stable());
    let outcome = deploy(&world).inputs(&[("image", "acme/web:2"), ("wait", "false")]).run();
    outcome.succeeded();
    assert_eq!((outcome.output("status"), outcome.output("reason")), ("started", "started"));
    world.explain_writes();
    world.finish();
}

#[tokio::test]
async fn parameters_are_written_after_success() {
    let world = web().await;
    let outcome = deploy(&world)
        .inputs(&[("image", "acme/web:2"), ("ssm_parameters", "/web/tag={tag}\n/web/revision={revision}")])
        .run();
    outcome.succeeded();
    assert_eq!(world.state().parameters.0["/web/tag"].value, "2");
    assert_eq!(world.state().parameters.0["/web/revision"].value, "2");
    world.explain_writes();
    world.finish();
}

/// The requests on the straight path, in order, as docs/deploy.md has them. A change of it is a decision, not an accident.
#[tokio::test]
async fn no_more_requests_than_needed() {
    let world = web().await;
    world.state().ecs.script("web", "*", Script::healthy(After::Polls(0)));
    let outcome = deploy(&world).input("image", "acme/web:2").run();
    outcome.succeeded();
    let calls = world.calls(Skin::Ecs);
    assert!(calls.len() <= 10, "{calls:?}");
    let mut table = "| # | Request | For |\n| --- | --- | --- |\n".to_owned();
    let purposes = [
        ("DescribeServices", "the service as it is"),
        ("ListServiceDeployments", "whose turn it is"),
        ("DescribeTaskDefinition", "what it runs"),
        ("DescribeTaskDefinition", "the family's latest revision: is it the same already?"),
        ("RegisterTaskDefinition", "the new revision"),
        ("UpdateService", "the deployment"),
        ("ListServiceDeployments", "which one is ours, and how it is"),
        ("DescribeServiceRevisions", "what it brings"),
        ("ListTasks", "the digest proof"),
        ("DescribeTasks", "the digest proof"),
    ];
    assert_eq!(calls, purposes.map(|(call, _)| call));
    for (number, (call, purpose)) in purposes.iter().enumerate() {
        table.push_str(&format!("| {} | `{call}` | {purpose} |\n", number + 1));
    }
    super::table::generated("requests", "straight", &table);
    world.explain_writes();
    world.finish();
}
