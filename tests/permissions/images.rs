//! Images and registries: once by ECR's own names, which lead nowhere here, and once by the protocol behind them.

use std::time::Duration;

use serde_json::json;

use super::engine::{base, unique, variable};
use super::support::{Landfall, SHA};
use super::world::World;
use super::world::github::TOKEN;
use super::world::http::Door;
use super::world::scans::Scan;
use super::{HOST, Registry, Scenario, hold};

/// The base image, which has a shell.
const BASE: &str = "landfall-test/base:1";
const HOUR: i64 = 3600;

fn world() -> World {
    let world = World::start_blocking();
    {
        let mut state = world.state();
        state.github.repository("acme/app").commit("main", &[("README", "app")]);
        state.images.image("web:1");
        state.images.repository("made");
    }
    world.explain_writes();
    world
}

fn scenario(with: Vec<&'static str>, world: World) -> Scenario {
    Scenario { with, registries: vec![Registry::Ecr], world }
}

/// A step on the engine under test, run on a thread of its own.
async fn ran(world: &World, command: &'static str, inputs: &[(&str, &str)]) -> super::support::Outcome {
    base(&super::engine::engine().await).await;
    let step = Landfall::new(command)
        .token(TOKEN)
        .envs(world.env())
        .env("DOCKER_HOST", variable("DOCKER_HOST"))
        .env("ACTIONS_RESULTS_URL", world.base(Door::Results))
        .env("ACTIONS_RUNTIME_TOKEN", super::world::artifacts::runtime_token())
        .file("Dockerfile", format!("FROM {BASE}\nRUN echo {} > /made\n", unique("made")))
        .inputs(inputs);
    tokio::task::spawn_blocking(|| step.run()).await.unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn build_does_what_the_table_says() {
    let (named, pushed, asked) = (world(), world(), world());
    // The engine finds no registry of that name, after it was given the login.
    ran(&named, "build", &[("tags", &format!("{HOST}/made:1")), ("push", "true")]).await;
    let tag = format!("{}/made:1", pushed.registry_host());
    ran(&pushed, "build", &[("tags", &tag), ("push", "true")]).await.succeeded();
    ran(&asked, "build", &[("tags", &format!("{HOST}/web:1")), ("skip_if_exists", "true")]).await.succeeded();
    let sourced = world();
    ran(&sourced, "build", &[("source", "acme/app@main"), ("tags", "landfall-test/permissions:1")]).await;
    hold("build", [named, pushed, asked, sourced].into_iter().map(|world| scenario(vec![], world)).collect());
}

#[tokio::test(flavor = "multi_thread")]
async fn merge_does_what_the_table_says() {
    let (named, merged) = (world(), world());
    let digest = named.state().images.image("web:2");
    ran(&named, "merge", &[("image", &format!("{HOST}/web")), ("tags", "3"), ("digests", &digest)]).await;
    let digest = merged.state().images.image("web:2");
    let image = format!("{}/web", merged.registry_host());
    ran(&merged, "merge", &[("image", &image), ("tags", "3"), ("digests", &digest)]).await.succeeded();
    hold("merge", vec![scenario(vec![], named), scenario(vec![], merged)]);
}

/// Puts an image that the engine can run into the world's registry.
async fn in_registry(world: &World) -> String {
    let tag = format!("{}/{}:1", world.registry_host(), unique("image"));
    ran(world, "build", &[("tags", &tag), ("push", "true"), ("load", "false")]).await.succeeded();
    let engine = super::engine::engine().await;
    drop(engine.untag(&tag).await);
    world.state().requests.clear();
    tag
}

#[tokio::test(flavor = "multi_thread")]
async fn pull_does_what_the_table_says() {
    let (named, pulled, fallen, after) = (world(), world(), world(), world());
    let once = ("attempts", "1");
    ran(&named, "pull", &[("image", &format!("{HOST}/web:1")), once]).await;
    let tag = in_registry(&pulled).await;
    ran(&pulled, "pull", &[("image", &tag), once]).await.succeeded();
    ran(&fallen, "pull", &[("artifact", "image"), ("run_id", "7"), once]).await;
    after.state().github.repository("acme/app");
    let payload = json!({
        "workflow_run": { "id": 7, "event": "pull_request", "head_sha": SHA, "head_branch": "topic", "pull_requests": [],
            "head_repository": { "full_name": "acme/app" }, "repository": { "full_name": "acme/app" } },
        "repository": { "full_name": "acme/app", "default_branch": "main" },
    });
    let step = Landfall::new("pull").token(TOKEN).envs(after.env()).event("workflow_run", &payload);
    step.inputs(&[("image", &format!("{HOST}/web:pr-{{number}}")), once]).run().failed(2, "invalid-input");
    hold(
        "pull",
        vec![
            scenario(vec![], named),
            scenario(vec![], pulled),
            scenario(vec!["artifact"], fallen),
            scenario(vec!["workflow_run"], after),
        ],
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn up_does_what_the_table_says() {
    let (named, started) = (world(), world());
    ran(&named, "up", &[("image", &format!("{HOST}/web:1"))]).await;
    let tag = in_registry(&started).await;
    let outcome = ran(&started, "up", &[("image", &tag), ("command", "sleep 60"), ("keep", "false")]).await;
    outcome.succeeded();
    hold("up", vec![scenario(vec![], named), scenario(vec![], started)]);
}

#[tokio::test(flavor = "multi_thread")]
async fn scan_does_what_the_table_says() {
    let (done, new, named, engines) = (world(), world(), world(), world());
    let scan = Scan { statuses: vec!["COMPLETE".into()], completed_at: 4_000_000_000.0, ..Scan::default() };
    done.state().scans.insert("web:1".into(), scan);
    let image = format!("{HOST}/web:1");
    for world in [&done, &new] {
        let inputs = [("provider", "ecr"), ("poll_interval", "50ms"), ("image", &image)];
        ran(world, "scan", &inputs).await.succeeded();
    }
    // Stands in for Trivy, as far as it comes.
    let scanner = ("scanner_image", BASE);
    ran(&named, "scan", &[("image", &image), ("source", "registry"), scanner]).await;
    let tag = in_registry(&engines).await;
    ran(&engines, "scan", &[("image", &tag), scanner]).await;
    hold("scan", [done, new, named, engines].into_iter().map(|world| scenario(vec![], world)).collect());
}

#[test]
fn login_does_what_the_table_says() {
    let logging_in = |with: Vec<&'static str>, registries: &str| {
        let world = world();
        Landfall::new("login").envs(world.aws_env()).input("registries", registries).run().succeeded();
        scenario(with, world)
    };
    hold("login", vec![logging_in(vec![], HOST), logging_in(vec!["registries"], "public.ecr.aws")]);
}

/// A repository of ECR with something to delete, and something that runs.
fn pruned(with: Vec<&'static str>, inputs: &[&[(&str, &str)]]) -> Scenario {
    let world = world();
    {
        let mut state = world.state();
        for (tag, hours) in [("latest", 1), ("pr-1", 24 * 90), ("pr-2", 24 * 90)] {
            let digest = state.images.image(&format!("web:{tag}"));
            state.age("web", &digest, hours * HOUR);
        }
        let index = state.images.index("web:pr-3");
        state.age("web", &index, 24 * 90 * HOUR);
        state.service("prod", "web", &format!("{HOST}/web:pr-2"));
        let start = super::world::clock::Moment::from_second(1_750_000_000);
        let run = super::Run::ended("push", "main", SHA, "success", start, Duration::from_secs(60));
        state.github.actions("acme/app").add(run);
    }
    world.explain_writes();
    let mut snapshot = None;
    for inputs in inputs {
        let mut step = Landfall::new("prune").token(TOKEN).envs(world.env()).inputs(&[
            ("image", &format!("{HOST}/web")),
            ("dry_run", "false"),
            ("max_delete_fraction", "1"),
        ]);
        if let Some(snapshot) = snapshot.take() {
            step = step.file("landfall-prune-snapshot.json", snapshot);
        }
        let outcome = step.inputs(inputs).run();
        snapshot = std::fs::read(outcome.workspace().join("landfall-prune-snapshot.json")).ok();
    }
    scenario(with, world)
}

#[test]
fn prune_does_what_the_table_says() {
    let apply: &[(&str, &str)] = &[("operation", "apply"), ("in_use", "pull_requests,workflow_runs,ecs")];
    hold(
        "prune",
        vec![
            pruned(vec![], &[apply]),
            pruned(vec!["restore"], &[apply, &[("operation", "restore")]]),
            pruned(vec!["lifecycle"], &[&[("operation", "lifecycle")]]),
        ],
    );
}

#[test]
fn the_protocol_s_requests_are_told_apart() {
    let calls = [("HEAD", "/v2/a/blobs/sha256:x"), ("POST", "/v2/a/blobs/uploads/"), ("PUT", "/v2/a/blobs/uploads/u")];
    let named = calls.map(|(method, path)| super::of_protocol(method, path).unwrap());
    assert_eq!(named, ["ecr:BatchCheckLayerAvailability", "ecr:InitiateLayerUpload", "ecr:CompleteLayerUpload"]);
}
