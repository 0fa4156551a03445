//! `resolve` as the runner runs it, against the fake world: the ladder row by row, and every way in which an existence
//! question can fail to be answered.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "tests are free to panic")]

#[path = "resolve/changed.rs"]
mod changed;
#[path = "resolve/dispatch.rs"]
mod dispatch;
#[path = "resolve/failures.rs"]
mod failures;
#[path = "resolve/inputs.rs"]
mod inputs;
#[path = "resolve/ladder.rs"]
mod ladder;
#[path = "resolve/registries.rs"]
mod registries;
mod support;
#[path = "resolve/tyk.rs"]
mod tyk;
mod world;

use serde_json::{Value, json};

use support::{Landfall, Outcome};
use world::World;
use world::github::{Pull, TOKEN};

/// The repository that images are built from.
const COMPANION: &str = "acme/dashboard";
/// The branch under test.
const FEATURE: &str = "feature/Add_New-Feature";
/// The commit under test: a pull request's head.
const SHA: &str = "abc1234567890abcdef1234567890abcdef12345";
/// What `GITHUB_SHA` is in a pull request: the merge commit.
const MERGE: &str = "2222222222222222222222222222222222222222";

/// A world with a companion whose default branch is `trunk`, and an empty repository for its images.
fn start() -> World {
    let world = World::start_blocking();
    {
        let mut state = world.state();
        let companion = state.github.repository(COMPANION);
        companion.default_branch = "trunk".into();
        companion.commit("trunk", &[("go.mod", "module dashboard\n")]);
        state.images.repository("dashboard");
    }
    world
}

/// Gives the companion branches.
fn branches(world: &World, names: &[&str]) {
    let mut state = world.state();
    for name in names {
        state.github.repository(COMPANION).commit(name, &[("README", name)]);
    }
}

/// Gives the registry an image; its digest.
fn image(world: &World, tag: &str) -> String {
    let digest = world.state().images.image(&format!("dashboard:{tag}"));
    world.explain_writes();
    digest
}

/// An open pull request of a repository's own branch.
fn pull(repository: &str, head: &str, base: &str) -> Pull {
    Pull {
        state: "open".into(),
        head_ref: head.into(),
        head_sha: SHA.into(),
        head_repository: Some(repository.into()),
        base_ref: base.into(),
        ..Pull::default()
    }
}

/// A step in a world, for an event.
fn step(world: &World, event: &str, payload: &Value) -> Landfall {
    Landfall::new("resolve")
        .token(TOKEN)
        .envs(world.github_env())
        // Nobody's engine: a test that needs one says so.
        .env("DOCKER_HOST", "unix:///nowhere/docker.sock")
        .event(event, payload)
}

/// The inputs that name registry, repository and companion.
fn named(world: &World, step: Landfall) -> Landfall {
    let registry = world.registry_host();
    step.inputs(&[("registry", &registry), ("repository", "dashboard"), ("companion", COMPANION)])
}

/// Pull request 42 from `head` into `base`, both of the own repository.
fn pull_request_of(world: &World, head: &str, base: &str) -> Landfall {
    let side = |branch: &str, sha: &str| json!({ "ref": branch, "sha": sha, "repo": { "full_name": "acme/app" } });
    let payload = json!({
        "action": "synchronize", "number": 42,
        "pull_request": { "number": 42, "head": side(head, SHA), "base": side(base, MERGE) },
        "repository": { "full_name": "acme/app", "default_branch": "main" },
    });
    step(world, "pull_request", &payload).env("GITHUB_REF", "refs/pull/42/merge").env("GITHUB_SHA", MERGE)
}

/// Pull request 42 from [`FEATURE`] into `release-5`, with all inputs that are required.
fn pull_request(world: &World) -> Landfall {
    named(world, pull_request_of(world, FEATURE, "release-5"))
}

/// A push of a branch, with all inputs that are required.
fn push(world: &World, branch: &str) -> Landfall {
    let reference = format!("refs/heads/{branch}");
    let payload = json!({ "ref": reference, "after": SHA, "head_commit": { "id": SHA } });
    named(world, step(world, "push", &payload)).env("GITHUB_REF", &reference).env("GITHUB_SHA", SHA)
}

/// Runs, asserts success, hands the outcome on.
#[track_caller]
fn done(step: Landfall) -> Outcome {
    let outcome = step.run();
    outcome.succeeded();
    outcome
}

/// Runs, asserts one way of failing, hands the outcome on.
#[track_caller]
fn failing(step: Landfall, code: i32, reason: &str) -> Outcome {
    let outcome = step.run();
    outcome.failed(code, reason);
    outcome
}

/// The only error annotation, title and message.
fn error(outcome: &Outcome) -> String {
    let annotation = outcome.annotations("error")[0];
    format!("{}: {}", annotation.title, annotation.message)
}

/// The tag of an image of the commit under test.
fn by_commit() -> String {
    format!("sha-{SHA}")
}

/// Asserts the decision; the image by its tag.
#[track_caller]
fn decided(world: &World, outcome: &Outcome, strategy: &str, tag: &str, needs_build: &str, branch: &str) {
    let image = format!("{}/dashboard:{tag}", world.registry_host());
    let found = ["strategy", "image", "needs_build", "branch"].map(|name| outcome.output(name));
    assert_eq!(found, [strategy, &image, needs_build, branch], "{}", outcome.report());
    assert_eq!(outcome.output("dashboard_image"), image);
    assert_eq!(outcome.output("dashboard_branch"), branch);
    assert_eq!(outcome.output("tag"), tag);
}
