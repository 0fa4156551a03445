//! `prune` as the runner runs it, against the fake world's packages, ECR and registry, and against a real registry.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "tests are free to panic")]

#[path = "prune/ecr.rs"]
mod ecr;
#[path = "prune/faults.rs"]
mod faults;
#[path = "prune/ghcr.rs"]
mod ghcr;
#[path = "prune/inputs.rs"]
mod inputs;
#[path = "prune/oci.rs"]
mod oci;
#[path = "prune/scale.rs"]
mod scale;
mod support;
mod world;

use std::collections::BTreeMap;

use serde_json::Value;

use support::{Landfall, Outcome};
use world::World;
use world::github::TOKEN;

const APP: &str = "acme/app";
const HOUR: i64 = 3600;
const DAY: i64 = 24 * HOUR;

/// Digest to tags: all that matters of a repository.
type Shelf = BTreeMap<String, Vec<String>>;

/// A world in which GitHub's registry has the package `acme/app`, as empty as the repository behind it.
fn start() -> World {
    let world = World::start_blocking();
    {
        let mut state = world.state();
        state.github.repository(APP).commit("main", &[("README.md", "app\n")]);
        state.images.repository(APP);
        state.images.no_delete = true;
        state.images.no_referrers = true;
    }
    world
}

/// An image with an age; gives its digest.
fn image(world: &World, tag: &str, age: i64) -> String {
    let mut state = world.state();
    let digest = state.images.image(&format!("{APP}:{tag}"));
    state.age(APP, &digest, age);
    digest
}

/// An index of two platforms with an age; gives its digest and those of its parts.
fn index(world: &World, tag: &str, age: i64) -> (String, Vec<String>) {
    let mut state = world.state();
    let digest = state.images.index(&format!("{APP}:{tag}"));
    let text = state.images.repositories[APP].manifests[&digest].text.clone();
    let body: Value = serde_json::from_str(&text).unwrap();
    let parts: Vec<String> =
        body["manifests"].as_array().unwrap().iter().map(|part| part["digest"].as_str().unwrap().to_owned()).collect();
    for digest in parts.iter().chain([&digest]) {
        state.age(APP, digest, age);
    }
    (digest, parts)
}

/// A manifest of any text; gives its digest.
fn manifest(world: &World, media_type: &str, body: &Value, tag: Option<&str>, age: i64) -> String {
    let mut state = world.state();
    let digest = state.images.repository(APP).push(media_type, &body.to_string(), tag);
    state.age(APP, &digest, age);
    digest
}

fn shelf(world: &World) -> Shelf {
    let state = world.state();
    let repository = &state.images.repositories[APP];
    repository.manifests.keys().map(|digest| (digest.clone(), repository.tags_of(digest))).collect()
}

/// The step, for a package of GitHub's registry; fast, because the world is no limit.
fn step(world: &World) -> Landfall {
    let image = format!("{}/{APP}", world.registry_host());
    Landfall::new("prune").envs(world.github_env()).token(TOKEN).inputs(&[
        ("image", &image),
        ("provider", "ghcr"),
        ("points_per_minute", "1000000"),
    ])
}

/// The step that deletes.
fn applying(world: &World) -> Landfall {
    step(world).inputs(&[("operation", "apply"), ("dry_run", "false"), ("max_delete_fraction", "1")])
}

/// The same step with the snapshot that another left behind.
fn with_snapshot(step: Landfall, earlier: &Outcome) -> Landfall {
    let snapshot = std::fs::read(earlier.workspace().join("landfall-prune-snapshot.json")).unwrap();
    step.file("landfall-prune-snapshot.json", snapshot)
}

fn plan_of(outcome: &Outcome) -> Value {
    let path = outcome.workspace().join(outcome.output("plan"));
    serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap()
}

/// Tags, or digests of what has none, that the plan deletes.
fn planned(outcome: &Outcome) -> Vec<String> {
    let plan = plan_of(outcome);
    let mut names: Vec<String> = plan["deletions"]
        .as_array()
        .unwrap()
        .iter()
        .map(|row| match row["tags"].as_array().and_then(|tags| tags.first()) {
            Some(tag) => tag["tag"].as_str().unwrap().to_owned(),
            None => row["digest"].as_str().unwrap().to_owned(),
        })
        .collect();
    names.sort();
    names
}

/// Every manifest that is there has its parts; gives how many manifests there are.
fn whole(world: &World) -> usize {
    let state = world.state();
    let repository = &state.images.repositories[APP];
    for (digest, manifest) in &repository.manifests {
        let body: Value = serde_json::from_str(&manifest.text).unwrap();
        for part in body["manifests"].as_array().into_iter().flatten() {
            let part = part["digest"].as_str().unwrap();
            assert!(repository.manifests.contains_key(part), "{digest} lost {part}");
        }
    }
    repository.manifests.len()
}
