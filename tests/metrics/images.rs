//! Images by class, on GitHub and on ECR.

use serde_json::{Value, json};

use super::{report, small, start, step};
use crate::support::Outcome;
use crate::world::{Fault, Skin, World};

const HOST: &str = "123456789012.dkr.ecr.eu-central-1.amazonaws.com";

const TAGS: [&str; 8] =
    ["v1.2.3", "latest", "pr-7-abc1234", "pr-8-abc1234", "feature-x-abc1234", "sha-abc1234", "abc1234", "nightly"];

/// The world's images are those of the registry and of GitHub's packages.
fn push(world: &World, name: &str) {
    let mut state = world.state();
    for tag in TAGS {
        state.images.image(&format!("{name}:{tag}"));
    }
    drop(state);
    world.explain_writes();
}

fn counted(outcome: &Outcome) -> Value {
    report(outcome)["images"][0].clone()
}

fn classes(figures: &Value) -> Vec<(String, u64)> {
    let classes = figures["classes"].as_object().unwrap().iter();
    classes.map(|(name, class)| (name.clone(), class["images"].as_u64().unwrap())).collect()
}

#[test]
fn packages_of_github_are_counted_and_measured_once() {
    let world = start();
    small(&world);
    push(&world, "acme/app");
    let image = format!("{}/acme/app", world.registry_host());
    let outcome = step(&world).inputs(&[("images", image.as_str()), ("jobs", "0")]).run();
    outcome.succeeded();
    let figures = counted(&outcome);
    let of = |name: &str| classes(&figures).into_iter().find(|(known, _)| known == name).map(|(_, count)| count);
    assert_eq!((of("pr"), of("feature"), of("sha"), of("nightly")), (Some(2), Some(1), Some(2), Some(1)), "{figures}");
    assert_eq!((outcome.output("pr_images"), outcome.output("sha_images")), ("2", "2"));
    assert_eq!(outcome.output("total_images"), "8");
    assert_eq!(figures["unmeasured"], json!(0), "{figures}");
    assert_eq!(outcome.output("storage_bytes"), expected_bytes(&world, "acme/app").to_string());

    // What the first report knows is not read again: a reading is a download.
    let text = std::fs::read(outcome.workspace().join("ci-metrics.json")).unwrap();
    let manifests =
        |world: &World| world.calls(Skin::Registry).iter().filter(|call| call.contains("/manifests/")).count();
    let before = manifests(&world);
    let again = step(&world)
        .file("p.json", text)
        .inputs(&[("images", image.as_str()), ("jobs", "0"), ("previous", "p.json")])
        .run();
    again.succeeded();
    assert_eq!(manifests(&world), before);
    assert_eq!(again.output("storage_bytes"), outcome.output("storage_bytes"));
    world.finish();
}

/// The same sum by another way: every blob of every manifest once, and the manifests.
fn expected_bytes(world: &World, name: &str) -> u64 {
    let state = world.state();
    let repository = &state.images.repositories[name];
    let mut blobs = std::collections::BTreeMap::new();
    for (digest, manifest) in &repository.manifests {
        blobs.insert(digest.clone(), manifest.text.len() as u64);
        let body: Value = serde_json::from_str(&manifest.text).unwrap();
        let layers = body["layers"].as_array().cloned().unwrap_or_default();
        for blob in layers.iter().chain([&body["config"]]).filter(|blob| blob.is_object()) {
            blobs.insert(blob["digest"].as_str().unwrap().to_owned(), blob["size"].as_u64().unwrap());
        }
    }
    blobs.values().sum()
}

#[test]
fn images_of_ecr_are_listed_page_by_page() {
    let world = start();
    push(&world, "web");
    {
        let mut state = world.state();
        for number in 0..150 {
            state.images.image(&format!("web:pr-{number}-0000000"));
        }
    }
    world.explain_writes();
    let outcome = step(&world).envs(world.aws_env()).inputs(&[("images", &format!("{HOST}/web")), ("jobs", "0")]).run();
    outcome.succeeded();
    assert_eq!(outcome.output("total_images"), (150 + TAGS.len()).to_string());
    assert_eq!(outcome.output("pr_images"), "152");
    assert!(outcome.output("storage_bytes").parse::<u64>().unwrap() > 0);
    assert!(world.calls(Skin::Ecr).iter().all(|call| call == "DescribeImages"));
    world.finish();
}

#[test]
fn a_registry_that_refuses_leaves_the_count() {
    let world = start();
    push(&world, "acme/app");
    world.fault(Fault::on(Skin::Registry).path("*/manifests/*").status(403));
    let image = format!("{}/acme/app", world.registry_host());
    let outcome = step(&world).input("images", &image).run();
    outcome.succeeded();
    assert_eq!(outcome.output("total_images"), "8");
    assert!(!outcome.has_output("storage_bytes"), "what was not measured is not 0");
    assert!(outcome.summary.contains("sizes are incomplete"), "{}", outcome.summary);
    world.finish();
}

#[test]
fn an_image_elsewhere_is_refused_before_anything_is_asked() {
    let world = start();
    let outcome = step(&world).input("images", "quay.io/acme/app").run();
    outcome.failed(2, "invalid-input");
    assert!(world.calls(Skin::Github).is_empty());
    world.finish();
}
