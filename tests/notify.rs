//! `notify` as the runner runs it, against chat services of the fake world.
#![allow(clippy::unwrap_used, reason = "a test may end by panicking, in its helpers as well")]

mod support;
mod world;

use serde_json::{Value, json};
use support::{Landfall, SHA};
use world::{Fault, Skin, World};

fn step(world: &World, service: &str) -> Landfall {
    let push = json!({ "ref": "refs/heads/main", "after": SHA, "head_commit": { "id": SHA } });
    Landfall::new("notify").event("push", &push).input("webhook_url", world.webhook_url(service))
}

fn sent(world: &World) -> Vec<Value> {
    world.state().webhooks.messages.iter().map(|message| message.body.clone()).collect()
}

#[test]
fn every_service_takes_its_form() {
    let world = World::start_blocking();
    for service in ["slack", "discord", "teams", "json"] {
        let outcome = step(&world, service)
            .inputs(&[
                ("format", service),
                ("status", "failure"),
                ("text", "2 tests failed"),
                ("fields", "Stage=e2e\nEvent="),
            ])
            .run();
        outcome.succeeded();
        assert_eq!((outcome.output("sent"), outcome.output("reason")), ("true", "sent"));
        for secret in
            ["s3cretslackwebhook", "s3cretdiscordwebhook", "s3cretteamsworkflow", "s3cretsignature", "s3cretplain"]
        {
            outcome.keeps(secret);
        }
        assert_eq!(world.take_writes(), [format!("webhook {service}")]);
    }
    let time = |value: &Value| serde_json::to_string_pretty(value).unwrap();
    let messages: Vec<String> = sent(&world).iter().map(time).collect();
    insta::assert_snapshot!(support::normalise::text(&messages.join("\n")));
    world.finish();
}

#[test]
fn the_status_of_the_job_decides() {
    let world = World::start_blocking();
    let outcome = step(&world, "json").input("when", "failure").run();
    assert_eq!((outcome.code, outcome.output("sent"), outcome.output("reason")), (Some(0), "false", "not-wanted"));
    step(&world, "json").inputs(&[("when", "failure"), ("status", "failure")]).run().succeeded();
    step(&world, "json").input("when", "success").run().succeeded();
    assert_eq!(world.take_writes().len(), 2);
    assert_eq!(sent(&world)[1]["status"], "success");
    world.finish();
}

#[test]
fn a_message_that_is_not_taken_is_a_warning_unless_asked() {
    let world = World::start_blocking();
    world.state().webhooks.revoked = true;
    let outcome = step(&world, "slack").run();
    assert_eq!((outcome.code, outcome.output("sent"), outcome.output("reason")), (Some(0), "false", "not-sent"));
    assert_eq!(outcome.annotations("warning").len(), 1);
    assert!(outcome.annotations("error").is_empty());
    outcome.keeps("s3cretslackwebhook");
    insta::assert_snapshot!("revoked", outcome.report());
    let outcome = step(&world, "slack").input("fail_on_error", "true").run();
    outcome.failed(5, "webhook-refused").keeps("s3cretslackwebhook");
    world.finish();
}

#[test]
fn secrets_of_forks_are_empty_and_that_is_no_failure() {
    let world = World::start_blocking();
    let outcome = Landfall::new("notify").run();
    assert_eq!((outcome.code, outcome.output("reason")), (Some(0), "not-sent"), "{}", outcome.report());
    let outcome = Landfall::new("notify").input("fail_on_error", "true").run();
    outcome.failed(2, "no-webhook");
    let outcome =
        Landfall::new("notify").inputs(&[("webhook_url", "s3cret-but-no-url"), ("fail_on_error", "true")]).run();
    outcome.failed(2, "invalid-input").keeps("s3cret-but-no-url");
    world.finish();
}

#[test]
fn limits_are_waited_for_and_redirects_are_not_followed() {
    let world = World::start_blocking();
    world.fault(Fault::on(Skin::Webhook).times(1).status(429).retry_after(0));
    step(&world, "discord").run().succeeded();
    assert_eq!(world.calls(Skin::Webhook).len(), 2);
    world.explain_writes();
    world.fault(Fault::on(Skin::Webhook).status(302).header("location", "http://127.0.0.1:1/steal"));
    let outcome = step(&world, "slack").input("fail_on_error", "true").run();
    outcome.failed(1, "webhook-redirected").keeps("s3cretslackwebhook");
    world.finish();
}

#[test]
fn a_dry_run_shows_the_message_and_sends_nothing() {
    let world = World::start_blocking();
    let outcome = step(&world, "slack").input("dry_run", "true").run();
    assert_eq!((outcome.code, outcome.output("reason")), (Some(0), "dry-run"));
    outcome.keeps("s3cretslackwebhook");
    assert!(world.calls(Skin::Webhook).is_empty());
    world.finish();
}
