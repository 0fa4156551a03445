//! The command `dashboard`: one comment per commit, whoever writes, in whatever order.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test may end by panicking")]

mod support;
mod world;

#[path = "dashboard/hostile.rs"]
mod hostile;
#[path = "dashboard/permissions.rs"]
mod permissions;
#[path = "dashboard/storm.rs"]
mod storm;
#[path = "dashboard/straight.rs"]
mod straight;
#[path = "dashboard/trouble.rs"]
mod trouble;

use std::sync::LazyLock;

use regex::Regex;
use serde_json::{Value, json};

use support::{Landfall, Outcome};
use world::github::{Pull, TOKEN};
use world::{Skin, World};

/// The account of the job's own token.
const ME: &str = "github-actions[bot]";

/// A world with pull request 7, whose head is a commit of the branch `topic`; gives the commit.
fn a_pull_request(world: &World) -> String {
    let mut state = world.state();
    let repository = state.github.repository("acme/app");
    repository.commit("main", &[("a", "1")]);
    let sha = repository.commit("topic", &[("a", "2")]);
    let pull = Pull {
        head_ref: "topic".into(),
        head_sha: sha.clone(),
        head_repository: Some("acme/app".into()),
        base_ref: "main".into(),
        ..Pull::default()
    };
    repository.pulls.insert(7, pull);
    sha
}

/// The event of that pull request.
fn event(sha: &str) -> Value {
    json!({
        "action": "synchronize",
        "number": 7,
        "pull_request": {
            "number": 7,
            "head": { "ref": "topic", "sha": sha, "repo": { "full_name": "acme/app" } },
            "base": { "ref": "main", "repo": { "full_name": "acme/app" } },
        },
        "repository": { "full_name": "acme/app", "default_branch": "main" },
    })
}

fn dashboard(world: &World, sha: &str) -> Landfall {
    Landfall::new("dashboard").envs(world.github_env()).token(TOKEN).event("pull_request", &event(sha))
}

fn update(world: &World, sha: &str, stage: &str, status: &str) -> Landfall {
    dashboard(world, sha).inputs(&[("operation", "update"), ("stage", stage), ("status", status)])
}

/// Our only comment on pull request 7.
#[track_caller]
fn comment(world: &World) -> String {
    let said = world.state().github.repository("acme/app").said(7, ME);
    assert_eq!(said.len(), 1, "one comment remains: {said:#?}");
    said[0].clone()
}

static VARYING: LazyLock<Vec<(Regex, &str)>> = LazyLock::new(|| {
    let patterns = [
        (r"-state:1:[\w-]+ -->", "-state:1:<board> -->"),
        (r"\b(\d\d-\d\d )?\d\d:\d\d( UTC)? ", "<time> "),
        (r"\b(\d\d-\d\d )?\d\d:\d\d UTC", "<time>"),
    ];
    patterns.map(|(pattern, name)| (Regex::new(pattern).unwrap(), name)).into()
});

fn tidy(text: &str) -> String {
    VARYING.iter().fold(text.to_owned(), |text, (pattern, name)| pattern.replace_all(&text, *name).into_owned())
}

fn report(outcome: &Outcome) -> String {
    tidy(&outcome.report())
}

/// Status of each stage, by key, from the output.
fn stages(outcome: &Outcome) -> Vec<(String, String)> {
    let stages: Vec<Value> = serde_json::from_str(outcome.output("stages")).unwrap();
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    stages.iter().map(|stage| (text(&stage["key"]), text(&stage["status"]))).collect()
}

fn requests(world: &World) -> usize {
    world.requests(Skin::Github).len()
}
