//! Purpose: old revisions go only where that is wanted, and only those that nobody can want back.

use super::{definition, deploy, web};
use crate::support::Landfall;
use crate::world::ecs::Script;
use crate::world::{After, Fault, Skin, World};

/// A world whose service `web` was deployed as `web:1` and runs `web:6`; `web:2` to `web:5` were registered only.
async fn grown() -> World {
    let world = web().await;
    {
        let mut state = world.state();
        for number in 2..=6 {
            state.task_definition("web", &definition(&format!("acme/web:{number}")));
        }
        let newest = state.ecs.definition("web:6").unwrap().arn.clone();
        state.deployed("prod", "web", &newest);
    }
    world
}

fn keeping(world: &World, count: &str) -> Landfall {
    deploy(world).inputs(&[("image", "acme/web:7"), ("keep_revisions", count)])
}

/// Numbers of the ACTIVE revisions.
fn active(world: &World) -> Vec<usize> {
    let state = world.state();
    let all = state.ecs.task_definitions["web"].iter().enumerate();
    all.filter(|(_, definition)| definition.active).map(|(index, _)| index + 1).collect()
}

#[tokio::test]
async fn what_nobody_uses_goes_and_what_was_deployed_stays() {
    let world = grown().await;
    let outcome = keeping(&world, "2").run();
    outcome.succeeded();
    assert_eq!(active(&world), [1, 6, 7], "1 was deployed, 6 and 7 are the newest");
    assert_eq!(outcome.output("revisions_deregistered"), "4");
    world.explain_writes();
    world.finish();
}

#[tokio::test]
async fn what_another_service_or_a_task_of_its_own_runs_stays() {
    let world = grown().await;
    {
        let mut state = world.state();
        let third = state.ecs.definition("web:3").unwrap().arn.clone();
        state.service_of("staging", "preview", &third, 1);
    }
    // A one-off task of web:4 still runs.
    let started = landfall::services::http::client().unwrap()
        .post(world.aws_url())
        .header("x-amz-target", "AmazonEC2ContainerServiceV20141113.RunTask")
        .header("authorization", format!("AWS4-HMAC-SHA256 Credential={}/20260101/eu-central-1/ecs/aws4_request, SignedHeaders=host, Signature=0", crate::world::aws::STATIC_KEY_ID))
        .body(serde_json::json!({ "cluster": "prod", "taskDefinition": "web:4",
            "networkConfiguration": { "awsvpcConfiguration": { "subnets": ["subnet-1"] } } }).to_string())
        .send()
        .await
        .unwrap();
    assert!(started.status().is_success(), "{}", started.text().await.unwrap());
    world.state().ecs.task_script("web:4", crate::world::ecs::TaskScript::hangs());
    keeping(&world, "1").run().succeeded();
    assert_eq!(active(&world), [1, 3, 4, 6, 7]);
    world.explain_writes();
    world.finish();
}

#[tokio::test]
async fn what_cannot_be_asked_may_be_in_use() {
    let world = grown().await;
    world.state().aws.deny("ecs:ListClusters");
    let outcome = keeping(&world, "1").run();
    outcome.succeeded();
    assert_eq!(active(&world).len(), 7, "nothing went");
    assert!(outcome.annotations("warning")[0].message.contains("ecs:ListClusters"), "{}", outcome.report());
    world.explain_writes();
    world.finish();
}

#[tokio::test]
async fn other_branches_and_failures_leave_everything() {
    let world = grown().await;
    keeping(&world, "1").env("GITHUB_REF", "refs/heads/feature/x").run().succeeded();
    assert_eq!(active(&world).len(), 7);
    keeping(&world, "1").env("GITHUB_REF", "refs/pull/7/merge").input("keep_revisions_on", "*").run().succeeded();
    assert_eq!(active(&world).len(), 7, "a pull request's reference is no branch");
    world.state().ecs.script("web", "acme/web:bad", Script::crash_loop(1));
    keeping(&world, "1").input("image", "acme/web:bad").run().failed(1, "crash-loop");
    assert_eq!(active(&world).len(), 8);
    keeping(&world, "1")
        .inputs(&[("image", "acme/web:8"), ("keep_revisions_on", "release/*")])
        .env("GITHUB_REF", "refs/heads/release/8")
        .run()
        .succeeded();
    assert!(active(&world).len() < 8, "where it is wanted they go");
    world.explain_writes();
    world.finish();
}

#[tokio::test]
async fn several_containers_are_set_in_one_revision() {
    let world = web().await;
    {
        let mut state = world.state();
        let mut body = definition("acme/web:1");
        body["containerDefinitions"].as_array_mut().unwrap().push(serde_json::json!({
            "name": "proxy", "image": "acme/proxy:1", "environment": [{ "name": "OLD", "value": "1" }] }));
        let arn = state.task_definition("web", &body);
        state.deployed("prod", "web", &arn);
    }
    let outcome = deploy(&world)
        .inputs(&[
            ("images", "web=acme/web:2\nproxy=acme/proxy:2"),
            ("container", "proxy"),
            ("environment_variables", "NEW=a=b"),
            ("unset_environment_variables", "OLD"),
            ("labels", "com.acme.release=2"),
        ])
        .run();
    outcome.succeeded();
    let held = world.state().ecs.definition("web:3").unwrap().body.clone();
    let containers = held["containerDefinitions"].as_array().unwrap();
    assert_eq!((&containers[0]["image"], &containers[1]["image"]), (&"acme/web:2".into(), &"acme/proxy:2".into()));
    let proxy = containers[1].to_string();
    assert!(proxy.contains(r#"{"name":"NEW","value":"a=b"}"#) && !proxy.contains("OLD"), "{proxy}");
    assert!(proxy.contains("com.acme.release"), "{proxy}");
    assert_eq!(world.take_writes(), ["ecs RegisterTaskDefinition web:3", "ecs UpdateService prod/web web:3"]);
    world.finish();
}

#[tokio::test]
async fn a_service_that_refuses_takes_those_before_it_back() {
    let world = web().await;
    {
        let mut state = world.state();
        let arn = state.ecs.definition("web").unwrap().arn.clone();
        state.service_of("prod", "worker", &arn, 1);
        state.ecs.script("web", "acme/web:2", Script::healthy(After::Polls(1)));
    }
    world.fault(
        Fault::on(Skin::Ecs)
            .target("UpdateService")
            .body_contains("worker")
            .error("InvalidParameterException", "The target group is not associated with a load balancer."),
    );
    let outcome = deploy(&world).inputs(&[("service", "web, worker"), ("image", "acme/web:2")]).run();
    assert_eq!(outcome.code, Some(1), "{}", outcome.report());
    assert_eq!(outcome.output("status"), "rolled-back");
    let message = &outcome.annotations("error")[0].message;
    assert!(message.contains("target group") && message.contains("web:1 again"), "{message}");
    {
        let state = world.state();
        for service in ["web", "worker"] {
            let serving = state.ecs.clusters["prod"].services[service].serving().unwrap();
            assert_eq!(state.ecs.images(&serving.task_definition)[0].1, "acme/web:1", "{service}");
        }
    }
    world.explain_writes();
    world.finish();
}

#[tokio::test]
async fn only_the_number_of_tasks_changes() {
    let world = web().await;
    let outcome = deploy(&world).inputs(&[("image", "acme/web:1"), ("desired_count", "3")]).run();
    outcome.succeeded();
    assert_eq!(world.take_writes(), ["ecs UpdateService prod/web web:1 desired=3"]);
    let outcome = deploy(&world).inputs(&[("image", "acme/web:1"), ("force_new_deployment", "true")]).run();
    outcome.succeeded();
    assert_eq!(outcome.output("status"), "deployed");
    assert_eq!(world.take_writes(), ["ecs UpdateService prod/web web:1 forced"]);
    world.finish();
}
