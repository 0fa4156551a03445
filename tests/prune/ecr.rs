//! Purpose: repositories of ECR: batches with partial failures, tags taken off, ECS as evidence, lifecycle policies.

use serde_json::Value;

use super::{APP, DAY, image, index, planned, shelf, start, whole};
use crate::support::Landfall;
use crate::world::{Fault, Skin, World};

fn step(world: &World) -> Landfall {
    let (account, region) = {
        let state = world.state();
        (state.aws.account.clone(), state.aws.region.clone())
    };
    let image = format!("{account}.dkr.ecr.{region}.amazonaws.com/{APP}");
    Landfall::new("prune").envs(world.aws_env()).inputs(&[("image", &image), ("max_delete_fraction", "1")])
}

fn applying(world: &World) -> Landfall {
    step(world).inputs(&[("operation", "apply"), ("dry_run", "false")])
}

#[test]
fn images_go_by_the_hundred_and_tags_are_taken_off_what_stays() {
    let world = start();
    let kept = image(&world, "latest", 60 * DAY);
    world.state().images.repository(APP).tags.insert("abcdef0".into(), kept.clone());
    for number in 0..120 {
        image(&world, &format!("pr-{number}"), 90 * DAY);
    }
    let (_, parts) = index(&world, "pr-900", 90 * DAY);
    let outcome = applying(&world).run();
    outcome.succeeded();
    assert_eq!((outcome.output("deleted"), outcome.output("untagged")), ("123", "1"), "{}", outcome.report());
    assert_eq!(shelf(&world)[&kept], ["latest"]);
    assert!(parts.iter().all(|part| !shelf(&world).contains_key(part)));
    let batches = world.calls(Skin::Ecr).iter().filter(|call| call.contains("BatchDeleteImage")).count();
    assert!(batches <= 5, "{batches} batches");
    assert_eq!(applying(&world).run().succeeded().output("planned"), "0");
    world.explain_writes();
    world.finish();
}

#[test]
fn a_part_of_a_batch_that_fails_is_told_and_the_rest_is_done() {
    let world = start();
    image(&world, "latest", DAY);
    let doomed = image(&world, "pr-1", 30 * DAY);
    image(&world, "pr-2", 30 * DAY);
    let answer = serde_json::json!({ "imageIds": [], "failures": [{ "imageId": { "imageDigest": doomed },
        "failureCode": "KmsError", "failureReason": "the key is disabled" }] });
    world.fault(
        Fault::on(Skin::Ecr).target("BatchDeleteImage").nth(1).status(200).body(&answer.to_string()).after_effect(),
    );
    let outcome = applying(&world).run();
    outcome.failed(1, "partial-failure");
    assert_eq!((outcome.output("deleted"), outcome.output("failed")), ("1", "1"));
    assert!(outcome.report().contains("KmsError: the key is disabled"), "{}", outcome.report());
    world.explain_writes();
    world.finish();
}

#[test]
fn what_ecs_runs_or_could_run_again_stays() {
    let world = start();
    image(&world, "latest", DAY);
    image(&world, "sha-aaaaaaa", 90 * DAY);
    image(&world, "sha-bbbbbbb", 90 * DAY);
    let (account, region) = {
        let state = world.state();
        (state.aws.account.clone(), state.aws.region.clone())
    };
    let host = format!("{account}.dkr.ecr.{region}.amazonaws.com");
    world.state().service("prod", "web", &format!("{host}/{APP}:sha-aaaaaaa"));
    let outcome = step(&world).run();
    assert_eq!(planned(&outcome), ["sha-bbbbbbb"], "{}", outcome.report());
    assert!(outcome.report().contains("images of ECS"), "{}", outcome.report());
    world.state().aws.deny("ecs:ListServices");
    let outcome = applying(&world).run();
    outcome.failed(5, "aws-forbidden");
    assert!(outcome.report().contains("ecs:ListServices"), "{}", outcome.report());
    world.explain_writes();
    world.finish();
}

#[test]
fn throttling_is_outlasted_and_a_denial_told() {
    let world = start();
    image(&world, "latest", DAY);
    image(&world, "pr-1", 30 * DAY);
    world.fault(Fault::on(Skin::Ecr).target("BatchDeleteImage").nth(1).error("ThrottlingException", "Rate exceeded"));
    world.fault(Fault::on(Skin::Ecr).target("DescribeImages").nth(2).status(500));
    applying(&world).run().succeeded();
    image(&world, "pr-2", 30 * DAY);
    world.state().aws.deny("ecr:BatchDeleteImage");
    let outcome = applying(&world).run();
    outcome.failed(5, "deletion-forbidden");
    whole(&world);
    world.explain_writes();
    world.finish();
}

#[test]
fn the_lifecycle_policy_is_shown_previewed_and_put() {
    let world = start();
    image(&world, "latest", DAY);
    image(&world, "pr-1", 30 * DAY);
    let outcome = step(&world).input("operation", "lifecycle").run();
    assert_eq!(outcome.code, Some(0), "{}", outcome.report());
    assert_eq!(outcome.output("planned"), "1");
    insta::assert_snapshot!(outcome.report());
    assert!(world.take_writes().is_empty());
    let outcome = step(&world).inputs(&[("operation", "lifecycle"), ("dry_run", "false")]).run();
    outcome.succeeded();
    let put = world.state().images.repositories[APP].lifecycle.clone().unwrap();
    let put: Value = serde_json::from_str(&put).unwrap();
    assert_eq!(put["rules"].as_array().unwrap().len(), 9);
    world.explain_writes();
    world.finish();
}
