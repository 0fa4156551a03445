//! Purpose: `tags` after another run: whose pull request it was, and that a fork's run is not trusted.

use serde_json::{Value, json};

use super::support::{Landfall, Outcome};
use super::world::github::{Pull, TOKEN};
use super::world::{Fault, Skin, World};
use super::{MERGE, SHA};

fn pull(sha: &str, head: Option<&str>, state: &str) -> Pull {
    Pull {
        state: state.into(),
        head_ref: "topic".into(),
        head_sha: sha.into(),
        head_repository: head.map(str::to_owned),
        base_ref: "main".into(),
        ..Pull::default()
    }
}

/// The event of a run that `event` started, whose head lies in `head`.
fn payload(event: &str, head: &str, pulls: &Value) -> Value {
    json!({
        "action": "completed",
        "workflow_run": { "event": event, "head_sha": SHA, "head_branch": "topic", "pull_requests": pulls,
            "head_repository": { "full_name": head } },
        "repository": { "full_name": "acme/app", "default_branch": "main" },
    })
}

fn step(world: &World, payload: &Value) -> Landfall {
    Landfall::new("tags")
        .token(TOKEN)
        .envs(world.github_env())
        .env("GITHUB_REF", "refs/heads/main")
        .env("GITHUB_SHA", MERGE)
        .event("workflow_run", payload)
}

fn tag(outcome: &Outcome) -> &str {
    outcome.succeeded();
    outcome.output("tag")
}

fn world() -> World {
    let world = World::start_blocking();
    {
        let mut state = world.state();
        let own = state.github.repository("acme/app");
        own.branch("main", MERGE).branch("topic", SHA);
        own.pulls.insert(3, pull(SHA, Some("acme/app"), "closed"));
        own.pulls.insert(7, pull(SHA, Some("acme/app"), "open"));
        own.pulls.insert(8, pull(SHA, Some("mallory/app"), "open"));
        own.pulls.insert(9, pull(MERGE, Some("acme/app"), "open"));
    }
    world
}

#[test]
fn the_number_comes_from_the_event_else_from_the_commit() {
    let world = world();
    let listed = json!([{ "number": 42, "head": { "sha": SHA }, "base": { "ref": "main" } }]);
    assert_eq!(tag(&step(&world, &payload("pull_request", "acme/app", &listed)).run()), "pr-42-abc1234");
    assert!(world.calls(Skin::Github).is_empty());
    assert_eq!(tag(&step(&world, &payload("pull_request", "acme/app", &json!([]))).run()), "pr-7-abc1234");
    // A push is about its branch, whatever pull requests contain the commit.
    assert_eq!(tag(&step(&world, &payload("push", "acme/app", &listed)).run()), "topic-abc1234");
    world.finish();
}

#[test]
fn a_foreign_head_is_refused() {
    let world = world();
    for event in ["pull_request", "push"] {
        let outcome = step(&world, &payload(event, "mallory/app", &json!([]))).run();
        outcome.failed(3, "foreign-head");
        assert!(!outcome.has_output("tag"));
    }
    assert!(world.calls(Skin::Github).is_empty());
    let named = step(&world, &payload("push", "mallory/app", &json!([])));
    tag(&named.inputs(&[("sha", SHA), ("ref", "refs/heads/main")]).run());
    world.finish();
}

#[test]
fn a_number_that_cannot_be_asked_for_is_no_number() {
    let world = world();
    let step = || step(&world, &payload("pull_request", "acme/app", &json!([])));
    world.fault(Fault::on(Skin::Github).path("*/pulls").status(403).times(1));
    step().run().failed(5, "github-forbidden");
    world.state().github.repository("acme/app").pulls.clear();
    step().run().failed(2, "invalid-input");
    world.finish();
}
