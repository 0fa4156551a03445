//! Commands that speak to GitHub alone.

use serde_json::{Value, json};

use super::support::{Landfall, SHA};
use super::world::World;
use super::world::github::{Pull, TOKEN};
use super::{Scenario, hold};

/// A world with pull request 7 of this repository; gives its head.
fn world() -> (World, String) {
    let world = World::start_blocking();
    let mut state = world.state();
    let repository = state.github.repository("acme/app");
    repository.commit("main", &[("a", "1")]);
    let sha = repository.commit("topic", &[("a", "2")]);
    let pull = Pull {
        state: "open".into(),
        head_ref: "topic".into(),
        head_sha: sha.clone(),
        head_repository: Some("acme/app".into()),
        base_ref: "main".into(),
        ..Pull::default()
    };
    repository.pulls.insert(7, pull);
    repository.role("octocat", "write");
    drop(state);
    (world, sha)
}

fn repository() -> Value {
    json!({ "full_name": "acme/app", "default_branch": "main" })
}

fn after_a_run(sha: &str) -> Value {
    json!({
        "workflow_run": { "id": 7, "event": "pull_request", "head_sha": sha, "head_branch": "topic", "pull_requests": [],
            "conclusion": "success", "name": "CI",
            "head_repository": { "full_name": "acme/app" }, "repository": { "full_name": "acme/app" } },
        "repository": repository(),
    })
}

fn step(command: &'static str, world: &World) -> Landfall {
    Landfall::new(command).token(TOKEN).envs(world.github_env())
}

fn scenario(with: Vec<&'static str>, world: World) -> Scenario {
    Scenario { with, registries: vec![], world }
}

#[test]
fn tags_does_what_the_table_says() {
    let (plain, _) = world();
    let push = json!({ "ref": "refs/heads/main", "after": SHA, "repository": repository() });
    step("tags", &plain).event("push", &push).run().succeeded();
    let (after, sha) = world();
    step("tags", &after).event("workflow_run", &after_a_run(&sha)).run().succeeded();
    hold("tags", vec![scenario(vec![], plain), scenario(vec!["workflow_run"], after)]);
}

#[test]
fn route_does_what_the_table_says() {
    let (said, _) = world();
    let id = said.state().github.repository("acme/app").comment(7, "octocat", "/nonsense");
    let user = json!({ "login": "octocat", "type": "User" });
    let comment = json!({
        "action": "created", "issue": { "number": 7, "pull_request": { "url": "x" } },
        "comment": { "id": id, "body": "/plan", "user": user, "created_at": "2026-01-01T12:00:00Z" },
        "sender": user, "repository": repository(),
    });
    step("route", &said).event("issue_comment", &comment).run();
    let (after, sha) = world();
    step("route", &after).event("workflow_run", &after_a_run(&sha)).run();
    hold("route", vec![scenario(vec![], said), scenario(vec![], after)]);
}

#[test]
fn dashboard_does_what_the_table_says() {
    let (world, sha) = world();
    let side = |name: &str| json!({ "ref": name, "sha": sha, "repo": { "full_name": "acme/app" } });
    let pull = json!({ "number": 7, "head": side("topic"), "base": side("main") });
    let event = json!({ "action": "synchronize", "number": 7, "pull_request": pull, "repository": repository() });
    step("dashboard", &world).event("pull_request", &event).run().succeeded();
    let update = [("operation", "update"), ("stage", "apply"), ("status", "success")];
    step("dashboard", &world).event("pull_request", &event).inputs(&update).run().succeeded();
    // By hand, on the first digits of a commit.
    let by_hand = json!({ "ref": "refs/heads/main", "inputs": {}, "repository": repository() });
    let short = [("commit_sha", &sha[..9])];
    step("dashboard", &world).event("workflow_dispatch", &by_hand).inputs(&update).inputs(&short).run().succeeded();
    hold("dashboard", vec![scenario(vec![], world)]);
}

#[test]
fn report_does_what_the_table_says() {
    let (world, sha) = world();
    let push = json!({ "ref": "refs/heads/topic", "after": sha, "repository": repository() });
    let junit = "<testsuite><testcase name='a' time='0.1'/></testsuite>";
    let step = step("report", &world).env("GITHUB_SHA", &sha).env("GITHUB_REF", "refs/heads/topic");
    let outcome = step.event("push", &push).file("a.xml", junit).input("junit", "*.xml").run();
    outcome.succeeded();
    assert_eq!(outcome.output("published"), "comment", "{}", outcome.report());
    assert_eq!(world.state().github.repository("acme/app").said(7, "github-actions[bot]").len(), 1);
    hold("report", vec![scenario(vec![], world)]);
}

#[test]
fn doctor_does_what_the_table_says() {
    let (world, _) = world();
    step("doctor", &world).input("for", "tags").run().succeeded();
    hold("doctor", vec![scenario(vec![], world)]);
}
