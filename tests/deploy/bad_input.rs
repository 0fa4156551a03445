//! Purpose: what is wrong before anything is touched: exit code, reason, one annotation, no write.

use super::{REGISTRY, definition, deploy, told, web};
use crate::world::{Fault, Skin};

#[tokio::test]
async fn a_task_definition_that_is_not_json_names_its_line() {
    let world = web().await;
    let outcome = deploy(&world).file("web.json", "{\n  \"family\": }").input("task_definition", "web.json").run();
    outcome.failed(2, "task-definition-invalid");
    assert!(world.calls(Skin::Ecs).is_empty(), "nothing is asked for what is wrong anyway");
    insta::assert_snapshot!(told(&outcome));
    world.finish();
}

#[tokio::test]
async fn an_unknown_container_is_answered_with_the_known_ones() {
    let world = web().await;
    let in_file = deploy(&world)
        .file("web.json", definition("acme/web:1").to_string())
        .inputs(&[("task_definition", "web.json"), ("image", "acme/web:2"), ("container", "wbe")])
        .run();
    in_file.failed(2, "unknown-container");
    insta::assert_snapshot!(told(&in_file));
    let in_service = deploy(&world).input("images", "wbe=acme/web:2").run();
    in_service.failed(2, "unknown-container");
    assert!(in_service.annotations("error")[0].message.contains("its containers are: web"));
    world.finish();
}

#[tokio::test]
async fn several_problems_are_reported_at_once() {
    let outcome = crate::support::Landfall::new("deploy")
        .inputs(&[
            ("task_definition", "absent.json"),
            ("image", "https://acme/web"),
            ("health_url", "web.example"),
            ("health_status", "ok"),
            ("migrate", "sh -c 'unclosed"),
            ("keep_revisions", "0"),
            ("ssm_parameters", "web/tag={tags}"),
            ("confirm", "DEPLOY"),
        ])
        .run();
    outcome.failed(2, "invalid-input");
    insta::assert_snapshot!(told(&outcome));
}

#[tokio::test]
async fn cluster_service_and_revision_must_exist() {
    let world = web().await;
    for (input, value, reason) in [
        ("cluster", "prdo", "cluster-not-found"),
        ("service", "wbe", "service-not-found"),
        ("task_definition_arn", "web:9", "task-definition-not-found"),
    ] {
        let outcome = deploy(&world).input(input, value).run();
        outcome.failed(2, reason);
        assert!(outcome.annotations("error")[0].message.contains(value), "{}", outcome.report());
    }
    world.finish();
}

#[tokio::test]
async fn an_inactive_service_or_revision_is_refused() {
    let world = web().await;
    let old = world.state().ecs.definition("web:1").unwrap().arn.clone();
    world.state().task_definition("web", &definition("acme/web:2"));
    for definition in world.state().ecs.task_definitions.get_mut("web").unwrap() {
        if definition.arn == old {
            definition.active = false;
            definition.body["status"] = "INACTIVE".into();
        }
    }
    deploy(&world).input("task_definition_arn", "web:1").run().failed(2, "task-definition-inactive");
    world.state().ecs.find("prod", "web").status = "INACTIVE".into();
    deploy(&world).input("image", "acme/web:3").run().failed(2, "service-inactive");
    world.finish();
}

#[tokio::test]
async fn an_image_a_secret_and_a_log_group_that_do_not_exist_are_found_before() {
    let world = web().await;
    world.state().images.image("web:1");
    deploy(&world).input("image", format!("{REGISTRY}/web:nope")).run().failed(2, "image-not-found");
    let secret = "arn:aws:secretsmanager:eu-central-1:123456789012:secret:db-a1b2c3";
    deploy(&world).input("secrets", format!("DB={secret}")).run().failed(2, "secret-not-found");
    let mut body = definition("acme/web:2");
    body["containerDefinitions"][0]["logConfiguration"]["options"]["awslogs-group"] = "/ecs/nope".into();
    let outcome = deploy(&world).file("web.json", body.to_string()).input("task_definition", "web.json").run();
    outcome.failed(2, "log-group-not-found");
    world.finish();
}

#[tokio::test]
async fn a_definition_that_ecs_refuses_is_bad_input() {
    let world = web().await;
    world.fault(
        Fault::on(Skin::Ecs)
            .target("RegisterTaskDefinition")
            .error("ClientException", "Container.image contains invalid characters."),
    );
    let outcome = deploy(&world).input("image", "acme/web:2").run();
    outcome.failed(2, "task-definition-refused");
    assert!(outcome.annotations("error")[0].message.contains("invalid characters"));
    world.finish();
}

#[tokio::test]
async fn a_confirmation_that_is_not_given_is_a_gate() {
    let world = web().await;
    let run = || deploy(&world).inputs(&[("image", "acme/web:1"), ("confirm_with", "DEPLOY")]);
    run().run().failed(3, "not-confirmed");
    run().input("confirm", "deploy").run().failed(3, "not-confirmed");
    assert!(world.calls(Skin::Ecs).is_empty());
    run().input("confirm", "DEPLOY").run().succeeded();
    world.finish();
}

#[tokio::test]
async fn an_upstream_that_stays_away_is_not_absent() {
    let world = web().await;
    world.fault(Fault::on(Skin::Ecs).target("DescribeServices").status(503));
    deploy(&world).input("image", "acme/web:2").run().failed(4, "aws-unavailable");
    world.finish();
}
