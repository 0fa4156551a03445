//! Purpose: what is refused before the service is touched.

use super::{definition, deregister, rollback, told, web};
use crate::support::Landfall;
use crate::world::{Fault, Skin};

#[tokio::test]
async fn several_problems_are_reported_at_once() {
    let outcome = Landfall::new("rollback")
        .inputs(&[
            ("to", "web"),
            ("count", "0"),
            ("health_url", "web.example"),
            ("health_status", "ok"),
            ("health_attempts", "0"),
            ("poll_interval", "1ms"),
            ("timeout", "0s"),
            ("confirm", "ROLLBACK"),
        ])
        .run();
    outcome.failed(2, "invalid-input");
    insta::assert_snapshot!(told(&outcome));
}

#[tokio::test]
async fn values_that_cannot_be_read_are_named() {
    for (input, value) in [("on_failure", "explode"), ("concurrency", "maybe"), ("wait", "yes"), ("timeout", "soon")] {
        let outcome = Landfall::new("rollback").inputs(&[("service", "web"), (input, value)]).run();
        outcome.failed(2, "invalid-input");
        assert!(outcome.annotations("error")[0].message.contains(input), "{}", outcome.report());
    }
}

#[tokio::test]
async fn a_revision_of_another_family_is_foreign() {
    let world = web().await;
    world.state().task_definition("api", &definition("acme/api:1"));
    for to in ["api:1", "arn:aws:ecs:eu-central-1:123456789012:task-definition/api:1"] {
        let outcome = rollback(&world).input("to", to).run();
        outcome.failed(2, "foreign-revision");
        assert!(outcome.annotations("error")[0].message.contains("runs web"), "{}", outcome.report());
    }
    world.finish();
}

#[tokio::test]
async fn an_inactive_revision_is_refused_with_those_that_are_not() {
    let world = web().await;
    deregister(&world, 2);
    for to in ["previous", "2"] {
        let outcome = rollback(&world).input("to", to).run();
        outcome.failed(2, "task-definition-inactive");
        let message = &outcome.annotations("error")[0].message;
        assert!(message.contains("web:2") && message.contains("ACTIVE are web:1"), "{message}");
    }
    world.finish();
}

#[tokio::test]
async fn what_does_not_exist_is_named() {
    let world = web().await;
    for (input, value, reason) in [
        ("to", "9", "task-definition-not-found"),
        ("service", "wbe", "service-not-found"),
        ("cluster", "prdo", "cluster-not-found"),
    ] {
        let outcome = rollback(&world).input(input, value).run();
        outcome.failed(2, reason);
        assert!(outcome.annotations("error")[0].message.contains(value), "{}", outcome.report());
    }
    world.finish();
}

#[tokio::test]
async fn an_image_that_was_cleaned_up_is_found_before() {
    let world = web().await;
    {
        let mut state = world.state();
        let image = format!("{}/web:old", crate::world::ecr::host(&state));
        state.images.image("web:3");
        let old = state.task_definition("web", &definition(&image));
        let new = state.task_definition("web", &definition("acme/web:5"));
        state.deployed("prod", "web", &old);
        state.deployed("prod", "web", &new);
    }
    let outcome = rollback(&world).run();
    outcome.failed(2, "image-not-found");
    world.finish();
}

#[tokio::test]
async fn a_service_that_never_ran_anything_else_has_no_previous_one() {
    let world = crate::world::World::start().await;
    world.state().service("prod", "web", "acme/web:1");
    let outcome = rollback(&world).run();
    outcome.failed(2, "no-previous-revision");
    world.finish();
}

#[tokio::test]
async fn could_not_ask_is_not_there_is_none() {
    let world = web().await;
    world.state().aws.deny("ecs:ListServiceDeployments");
    let outcome = rollback(&world).run();
    outcome.failed(5, "previous-unknown");
    assert!(outcome.annotations("error")[0].message.contains("Name one with `to`"), "{}", outcome.report());
    // Named, it needs no history.
    rollback(&world).input("to", "2").run().succeeded();
    world.explain_writes();
    let away = web().await;
    away.fault(Fault::on(Skin::Ecs).target("DescribeServiceRevisions").status(503));
    rollback(&away).run().failed(4, "aws-unavailable");
    away.finish();
    world.finish();
}

#[tokio::test]
async fn a_confirmation_that_is_not_given_is_a_gate() {
    let world = web().await;
    let run = || rollback(&world).input("confirm_with", "ROLLBACK");
    run().run().failed(3, "not-confirmed");
    run().input("confirm", "rollback").run().failed(3, "not-confirmed");
    assert!(world.calls(Skin::Ecs).is_empty());
    run().input("confirm", "ROLLBACK").run().succeeded();
    world.explain_writes();
    world.finish();
}

#[tokio::test]
async fn access_denied_at_the_update_changes_nothing() {
    let world = web().await;
    world.state().aws.deny("ecs:UpdateService");
    let outcome = rollback(&world).run();
    outcome.failed(5, "aws-forbidden");
    assert!(outcome.annotations("error")[0].message.contains("Allow `ecs:UpdateService`"), "{}", outcome.report());
    world.finish();
}
