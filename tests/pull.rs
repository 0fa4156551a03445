//! `pull` against a real engine and a real registry, with the world's artifacts.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test may end by panicking")]

#[path = "support/engine.rs"]
mod engine;
mod support;
mod world;

#[path = "pull/big.rs"]
mod big;
#[path = "pull/images.rs"]
mod images;

use async_compression::tokio::bufread::{GzipEncoder, ZstdEncoder};
use engine::{dead_registry, registry, unique, variable};
use images::{image_tar, in_registry, present, remove};
use serde_json::{Value, json};
use support::{Landfall, Outcome, SHA};
use tokio::io::AsyncReadExt as _;
use world::artifacts::{Artifact, runtime_token};
use world::http::Door;
use world::{Fault, Skin, World};

const OTHER: &str = "fedcba9876543210fedcba9876543210fedcba98";

/// A step of run 1000 in a world with that repository.
fn pull(world: &World) -> Landfall {
    world.state().github.repository("acme/app");
    Landfall::new("pull")
        .token(world::github::TOKEN)
        .envs(world.github_env())
        .env("DOCKER_HOST", variable("DOCKER_HOST"))
        .env("ACTIONS_RESULTS_URL", world.base(Door::Results))
        .env("ACTIONS_RUNTIME_TOKEN", runtime_token())
        .input("wait", "1ms")
}

/// The payload of a `workflow_run` event for a pull request's run.
fn workflow_run(head_repository: &str, pull_requests: &Value) -> Value {
    json!({
        "action": "completed",
        "workflow_run": {
            "id": 7, "event": "pull_request", "head_branch": "feature", "head_sha": SHA,
            "head_repository": { "full_name": head_repository },
            "pull_requests": pull_requests,
        },
        "repository": { "full_name": "acme/app", "default_branch": "main" },
    })
}

fn shown(outcome: &Outcome, names: &[&str]) -> String {
    names.iter().fold(outcome.report(), |text, name| text.replace(name, "<name>"))
}

#[tokio::test]
async fn the_registry_is_first() {
    let world = World::start().await;
    let reference = format!("{}/{}:v1", registry(), unique("pull"));
    let (digest, id) = in_registry(&reference, Some(SHA)).await;
    let local = format!("{}:local", unique("pull"));
    let outcome = pull(&world)
        .inputs(&[("image", &reference), ("expected_sha", &SHA[..8]), ("local_tag", &local), ("artifact", "unused")])
        .run();
    outcome.succeeded();
    for (name, value) in [
        ("source", "registry"),
        ("image", local.as_str()),
        ("image_id", &id),
        ("digest", &digest),
        ("sha", SHA),
        ("fresh", "true"),
        ("attempts", "1"),
    ] {
        assert_eq!(outcome.output(name), value, "{name}");
    }
    assert!(present(&local).await);
    remove(&[&reference, &local]).await;
    world.finish();
}

#[tokio::test]
async fn a_registry_that_is_down_is_tried_again_and_then_the_artifact() {
    let world = World::start().await;
    let (dead, name) = (dead_registry(), unique("down"));
    let reference = format!("{dead}/{name}:v1");
    let tar = image_tar(&[&reference], Some(SHA), 10_000);
    world.state().artifacts.put(1000, "image.tar", Artifact::raw("image.tar", &tar));
    let outcome = pull(&world)
        .inputs(&[("image", &reference), ("artifact", "image.tar"), ("attempts", "2"), ("expected_sha", SHA)])
        .run();
    outcome.succeeded().keeps("down/secret");
    assert_eq!((outcome.output("source"), outcome.output("attempts")), ("artifact", "2"));
    assert_eq!((outcome.output("fresh"), outcome.output("image")), ("true", reference.as_str()));
    assert!(present(&reference).await);
    let digest = outcome.output("digest").to_owned();
    let id = outcome.output("image_id").to_owned();
    // Each age of engine has its own words for it.
    let words = regex::Regex::new("failed: [^\n]*: connection refused").unwrap();
    let shown = shown(&outcome, &[&name, &digest, &id]);
    insta::assert_snapshot!(words.replace_all(&shown, "failed: <the engine's words>: connection refused"));
    remove(&[&reference]).await;
    world.finish();
}

#[tokio::test]
async fn without_either_both_reasons_are_given() {
    let world = World::start().await;
    let name = unique("absent");
    let reference = format!("{}/{name}:v1", registry());
    world.state().artifacts.put(1000, "other", Artifact::raw("a.tar", b"a"));
    let outcome = pull(&world).inputs(&[("image", &reference), ("artifact", "image")]).run();
    outcome.failed(1, "image-unavailable");
    insta::assert_snapshot!(shown(&outcome, &[&name]));
    // Without a fallback the registry's own answer decides.
    let outcome = pull(&world).inputs(&[("image", &reference)]).run();
    outcome.failed(1, "image-not-found");
    let dead = format!("{}/{name}:v1", dead_registry());
    let outcome = pull(&world).inputs(&[("image", &dead), ("attempts", "1")]).run();
    outcome.failed(4, "registry-unavailable");
    world.finish();
}

#[tokio::test]
async fn a_damaged_artifact_never_becomes_an_image() {
    let world = World::start().await;
    let reference = format!("{}:v1", unique("damaged"));
    let tar = image_tar(&[&reference], None, 3_000_000);
    let mut lying = Artifact::raw("image.tar", &tar);
    lying.digest = format!("sha256:{}", "0".repeat(64));
    {
        let mut state = world.state();
        state.artifacts.put(1000, "flipped", Artifact::raw("image.tar", &tar).damaged());
        state.artifacts.put(1000, "lying", lying);
        state.artifacts.put(1000, "cut", Artifact::raw("image.tar", &tar[..2_000_000]));
        state.artifacts.put(
            1000,
            "text",
            Artifact::raw("image.tar", b"no tar at all, but long enough to be looked at"),
        );
    }
    for artifact in ["flipped", "lying", "cut", "text"] {
        let outcome = pull(&world).inputs(&[("artifact", artifact), ("artifact_file", "*")]).run();
        outcome.failed(1, "artifact-damaged");
        assert!(!present(&reference).await, "{artifact}");
    }
    world.finish();
}

#[tokio::test]
async fn every_packing_is_understood() {
    let world = World::start().await;
    let reference = format!("{}:v1", unique("packed"));
    let tar = image_tar(&[&reference], None, 2_000_000);
    let (mut gzip, mut zstd) = (Vec::new(), Vec::new());
    GzipEncoder::new(&tar[..]).read_to_end(&mut gzip).await.unwrap();
    ZstdEncoder::new(&tar[..]).read_to_end(&mut zstd).await.unwrap();
    {
        let mut state = world.state();
        state.artifacts.put(7, "a", Artifact::zip(&[("readme.md", b"x"), ("out/image.tar", &tar)]));
        state.artifacts.put(7, "b", Artifact::zip(&[("image.tar.gz", &gzip)]));
        state.artifacts.put(7, "c", Artifact::zip(&[("image.tar.zst", &zstd)]));
        state.artifacts.put(7, "d", Artifact::raw("image.tar.zst", &zstd));
        state.artifacts.put(1000, "e", Artifact::raw("image.tgz", &gzip));
    }
    for artifact in ["a", "b", "c", "d", "e"] {
        let run = if artifact == "e" { "1000" } else { "7" };
        let outcome = pull(&world).inputs(&[("artifact", artifact), ("run_id", run)]).run();
        outcome.succeeded();
        assert_eq!((outcome.output("image"), outcome.output("run_id")), (reference.as_str(), run));
        assert!(present(&reference).await, "{artifact}");
        remove(&[&reference]).await;
    }
    // More comes out than is allowed.
    let outcome = pull(&world).inputs(&[("artifact", "d"), ("run_id", "7"), ("max_size", "1MB")]).run();
    outcome.failed(1, "artifact-too-large");
    assert!(!present(&reference).await);
    world.finish();
}

#[tokio::test]
async fn a_stale_image_falls_through_to_the_artifact() {
    let world = World::start().await;
    let reference = format!("{}/{}:v1", registry(), unique("stale"));
    in_registry(&reference, Some(OTHER)).await;
    let fresh = image_tar(&[&reference], Some(SHA), 1000);
    world.state().artifacts.put(1000, "fresh", Artifact::raw("image.tar", &fresh));
    world.state().artifacts.put(
        1000,
        "stale",
        Artifact::raw("image.tar", &image_tar(&[&reference], Some(OTHER), 1001)),
    );
    let base = [("image", reference.as_str()), ("expected_sha", SHA)];
    let warned = pull(&world).inputs(&base).run();
    warned.succeeded();
    assert_eq!((warned.output("source"), warned.output("fresh")), ("registry", "false"));
    assert!(warned.annotations("warning")[0].message.contains(OTHER), "{}", warned.report());
    let off = pull(&world).inputs(&base).input("freshness", "off").run();
    off.succeeded();
    assert!(off.annotations("warning").is_empty());
    let failing = pull(&world).inputs(&base).input("freshness", "fail");
    let taken = failing.input("artifact", "fresh").run();
    taken.succeeded();
    assert_eq!((taken.output("source"), taken.output("sha"), taken.output("fresh")), ("artifact", SHA, "true"));
    let neither = pull(&world).inputs(&base).inputs(&[("freshness", "fail"), ("artifact", "stale")]).run();
    neither.failed(1, "image-unavailable");
    let alone = pull(&world).inputs(&base).input("freshness", "fail").run();
    alone.failed(1, "image-stale");
    remove(&[&reference]).await;
    world.finish();
}

#[tokio::test]
async fn a_workflow_run_knows_its_pull_request_and_refuses_forks() {
    let world = World::start().await;
    let reference = format!("{}:pr-12", unique("run"));
    world.state().artifacts.put(7, "pr-image-12", Artifact::raw("image.tar", &image_tar(&[&reference], None, 100)));
    let listed = json!([{ "number": 12, "head": { "sha": SHA, "ref": "feature" }, "base": { "ref": "main" } }]);
    let step = |event: &Value| pull(&world).event("workflow_run", event).input("artifact", "pr-image-{number}");
    let outcome = step(&workflow_run("acme/app", &listed)).run();
    outcome.succeeded();
    assert_eq!((outcome.output("run_id"), outcome.output("image")), ("7", reference.as_str()));
    // The event lists none: GitHub knows by the commit.
    world.state().github.repository("acme/app").branch("feature", SHA).pulls.insert(
        12,
        world::github::Pull {
            state: "open".into(),
            head_ref: "feature".into(),
            head_sha: SHA.into(),
            head_repository: Some("acme/app".into()),
            base_ref: "main".into(),
            ..world::github::Pull::default()
        },
    );
    step(&workflow_run("acme/app", &json!([]))).run().succeeded();
    let outcome = step(&workflow_run("mallory/app", &listed)).run();
    outcome.failed(3, "foreign-head");
    step(&workflow_run("mallory/app", &listed)).input("allow_forks", "true").run().succeeded();
    remove(&[&reference]).await;
    world.finish();
}

#[tokio::test]
async fn bad_input_is_reported_whole_before_anything_is_asked() {
    let world = World::start().await;
    let outcome = pull(&world)
        .env("DOCKER_HOST", "unix:///no/such/socket")
        .inputs(&[
            ("image", "UPPER/case"),
            ("expected_sha", "v1"),
            ("attempts", "0"),
            ("artifact", "a/b"),
            ("artifact_file", "["),
            ("platform", "arm64"),
            ("local_tag", "a b"),
        ])
        .run();
    outcome.failed(2, "invalid-input");
    insta::assert_snapshot!(outcome.report());
    let outcome = pull(&world).inputs(&[("image", "acme/app:pr-{number}")]).run();
    outcome.failed(2, "invalid-input");
    let outcome = pull(&world).run();
    outcome.failed(2, "invalid-input");
    world.finish();
}

#[tokio::test]
async fn a_dry_run_says_what_would_be_tried() {
    let world = World::start().await;
    let outcome = pull(&world)
        .env("DOCKER_HOST", "unix:///no/such/socket")
        .inputs(&[
            ("image", "ghcr.io/acme/app:sha-{sha7}"),
            ("expected_sha", SHA),
            ("freshness", "fail"),
            ("artifact", "image"),
            ("run_id", "7"),
            ("local_tag", "app:test"),
            ("dry_run", "true"),
            ("wait", "10s"),
        ])
        .run();
    outcome.succeeded();
    insta::assert_snapshot!(outcome.report());
    world.finish();
}

#[tokio::test]
async fn what_cannot_be_asked_is_not_absent() {
    let world = World::start().await;
    world.fault(Fault::on(Skin::Results).path("*ListArtifacts").from(1).status(503));
    let outcome = pull(&world).inputs(&[("artifact", "image")]).run();
    outcome.failed(4, "artifacts-unavailable");
    world.state().github.tokens.clear();
    let outcome = pull(&world).inputs(&[("artifact", "image"), ("run_id", "7")]).run();
    outcome.failed(5, "github-unauthenticated");
    world.finish();
}
