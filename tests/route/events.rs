//! Everything but comments.

use super::*;

fn repository() -> Value {
    json!({ "full_name": "acme/app", "default_branch": "main" })
}

#[test]
fn the_usual_events_ask_for_the_usual_work() {
    let world = World::start_blocking();
    let sha = a_pull_request(&world);
    let pull = json!({ "action": "opened", "number": 7, "repository": repository(), "sender": { "login": "octocat", "type": "User" },
        "pull_request": { "number": 7, "head": { "ref": "x", "sha": sha, "repo": { "full_name": "acme/app" } },
            "base": { "ref": "main", "repo": { "full_name": "acme/app" } } } });
    let outcome = route(&world, "pull_request", &pull).run();
    assert_outputs(outcome.succeeded(), &[("mode", "digger"), ("command", "plan"), ("pr_number", "7"), ("sha", &sha)]);
    let push = json!({ "ref": "refs/heads/main", "after": sha, "repository": repository() });
    let outcome = route(&world, "push", &push).run();
    assert_outputs(
        outcome.succeeded(),
        &[("mode", "post-merge"), ("command", "apply"), ("pr_number", ""), ("fork", "false")],
    );
    let outcome =
        route(&world, "push", &json!({ "ref": "refs/heads/dev", "after": sha, "repository": repository() })).run();
    assert_outputs(
        &outcome,
        &[("mode", "skip"), ("command", "unknown"), ("should_run", "false"), ("reason", "no-route")],
    );
    let outcome = route(&world, "schedule", &json!({ "schedule": "0 3 * * *" })).run();
    assert_outputs(&outcome, &[("mode", "skip"), ("reason", "no-route"), ("result", "skipped")]);
    assert!(world.calls(Skin::Github).is_empty(), "nothing was asked");
    world.finish();
}

#[test]
fn a_dispatch_names_command_layers_and_pull_request() {
    let world = World::start_blocking();
    let sha = a_pull_request(&world);
    let dispatch = |inputs: Value| json!({ "ref": "refs/heads/main", "inputs": inputs, "repository": repository() });
    let payload =
        dispatch(json!({ "command": "bootstrap", "action": "apply", "layers": "platform", "pr_number": "7" }));
    let outcome = route(&world, "workflow_dispatch", &payload).run();
    assert_outputs(
        outcome.succeeded(),
        &[
            ("mode", "python"),
            ("command", "bootstrap-apply"),
            ("layers", "platform"),
            ("pr_number", "7"),
            ("sha", &sha),
        ],
    );
    let refused = |confirm: &str| {
        route(&world, "workflow_dispatch", &dispatch(json!({ "command": "apply" })))
            .inputs(&[("confirm", confirm), ("confirm_with", "DEPLOY")])
            .run()
    };
    refused("deploy").failed(3, "not-confirmed");
    refused("").failed(3, "not-confirmed");
    refused("DEPLOY").succeeded();
    let (_, comment) = comment(&world, "octocat", "/plan");
    route(&world, "issue_comment", &comment).input("confirm_with", "DEPLOY").run().succeeded();
    world.explain_writes();
    world.finish();
}

#[test]
fn another_run_is_trusted_as_far_as_it_is_ours() {
    let world = World::start_blocking();
    let sha = a_pull_request(&world);
    let config = "events: {workflow_run: {mode: deploy, workflows: [CI]}}";
    let run = |head: &str, conclusion: &str| {
        let payload = json!({ "action": "completed", "repository": repository(), "workflow": { "name": "CI" }, "workflow_run": {
            "event": "pull_request", "conclusion": conclusion, "head_sha": sha, "head_branch": "feature/Add_x",
            "pull_requests": [], "head_repository": { "full_name": head }, "repository": { "full_name": "acme/app" } } });
        route(&world, "workflow_run", &payload).input("routes", config).run()
    };
    let outcome = run("acme/app", "success");
    assert_outputs(outcome.succeeded(), &[("mode", "deploy"), ("pr_number", "7"), ("sha", &sha), ("base_ref", "main")]);
    assert_eq!(outcome.output("trusted_sha"), support::SHA);
    let foreign = run("eve/app", "success");
    assert_outputs(&foreign, &[("reason", "untrusted-upstream-repository"), ("should_run", "false"), ("fork", "true")]);
    assert_outputs(&run("acme/app", "failure"), &[("reason", "upstream-not-successful"), ("should_run", "false")]);
    world.finish();
}

#[test]
fn a_queue_names_its_pull_request() {
    let world = World::start_blocking();
    let sha = a_pull_request(&world);
    let payload = json!({ "action": "checks_requested", "repository": repository(), "merge_group": {
        "head_ref": format!("refs/heads/gh-readonly-queue/release/1/pr-7-{sha}"), "head_sha": sha,
        "base_ref": "refs/heads/release/1" } });
    let outcome = route(&world, "merge_group", &payload).input("routes", "events: {merge_group: {mode: test}}").run();
    assert_outputs(outcome.succeeded(), &[("mode", "test"), ("pr_number", "7"), ("base_ref", "release/1")]);
    world.finish();
}

#[test]
fn everything_that_is_wrong_is_said_at_once() {
    let outcome = Landfall::new("route")
        .inputs(&[
            ("routes", "commands:\n  /a: {moed: x}\n"),
            ("require", "owner"),
            ("reaction", "thumbs"),
            ("allow_forks", "maybe"),
        ])
        .run();
    outcome.failed(2, "invalid-input");
    assert_eq!(outcome.output("mode"), "", "nothing is decided when the inputs cannot be read");
    insta::assert_snapshot!("wrong", outcome.report());
    let outcome = Landfall::new("route")
        .file(
            ".github/landfall.yml",
            "routes: {commands: {/a: {}, /A: {}}, events: {pul_request: {}, push: {branches: ['[']}}}",
        )
        .run();
    outcome.failed(2, "invalid-input");
    insta::assert_snapshot!("wrong_config", outcome.report());
}
