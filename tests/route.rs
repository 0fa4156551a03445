//! The command `route`: events and commands in comments, as people and programs give them.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test may end by panicking")]

mod support;
mod world;

#[path = "route/comments.rs"]
mod comments;
#[path = "route/events.rs"]
mod events;
#[path = "route/payloads.rs"]
mod payloads;

use serde_json::{Value, json};

use support::{Landfall, Outcome};
use world::clock::Moment;
use world::github::{Pull, TOKEN};
use world::{Fault, Skin, World};

const ME: &str = "github-actions[bot]";

/// When the comment of these tests was written.
const SAID: i64 = 1_767_268_800;

/// A world with pull request 7 by people of the repository, whose head was pushed a minute before the comment; gives the
/// head.
fn a_pull_request(world: &World) -> String {
    let mut state = world.state();
    let repository = state.github.repository("acme/app");
    repository.commit("main", &[("a", "1")]);
    let sha = repository.commit("feature/Add_x", &[("a", "2")]);
    let pull = Pull {
        head_ref: "feature/Add_x".into(),
        head_sha: sha.clone(),
        head_repository: Some("acme/app".into()),
        base_ref: "main".into(),
        ..Pull::default()
    };
    repository.pulls.insert(7, pull);
    repository.pushed("feature/Add_x", &sha, Moment::from_second(SAID - 60));
    repository.role("octocat", "write").role("boss", "admin").role("helper", "triage");
    sha
}

/// A comment as the world has it, and the event that it causes.
fn comment(world: &World, author: &str, body: &str) -> (u64, Value) {
    let id = world.state().github.repository("acme/app").comment(7, author, body);
    let user = json!({ "login": author, "type": if author.ends_with("[bot]") { "Bot" } else { "User" } });
    let payload = json!({
        "action": "created",
        "issue": { "number": 7, "pull_request": { "url": "https://api.github.com/repos/acme/app/pulls/7" } },
        "comment": { "id": id, "body": body, "user": user, "created_at": Moment::from_second(SAID).to_string() },
        "sender": user,
        "repository": { "full_name": "acme/app", "default_branch": "main" },
    });
    (id, payload)
}

fn route(world: &World, event: &str, payload: &Value) -> Landfall {
    Landfall::new("route").envs(world.github_env()).token(TOKEN).event(event, payload)
}

/// A comment by somebody, routed.
fn say(world: &World, author: &str, body: &str) -> Outcome {
    let (_, payload) = comment(world, author, body);
    route(world, "issue_comment", &payload).run()
}

fn reactions(world: &World) -> Vec<String> {
    let mut state = world.state();
    let comments = &state.github.repository("acme/app").comments;
    comments.values().flat_map(|comment| comment.reactions.iter().map(|reaction| reaction.content.clone())).collect()
}

fn replies(world: &World) -> Vec<String> {
    world.state().github.repository("acme/app").said(7, ME)
}

#[track_caller]
fn assert_outputs(outcome: &Outcome, expected: &[(&str, &str)]) {
    for (name, value) in expected {
        assert_eq!(outcome.output(name), *value, "{name}:\n{}", outcome.report());
    }
}
