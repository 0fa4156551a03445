//! Bad input, and GitHub on a bad day.

use super::*;
use crate::world::Fault;

#[test]
fn everything_that_is_wrong_is_said_at_once() {
    let outcome = Landfall::new("dashboard")
        .event("issue_comment", &json!({ "issue": { "number": 7, "pull_request": {} } }))
        .token(TOKEN)
        .inputs(&[
            ("operation", "update"),
            ("marker", "a--b"),
            ("status", "great"),
            ("stage", "\u{200b}"),
            ("link", "javascript:alert(1)"),
        ])
        .run();
    outcome.failed(2, "invalid-input");
    insta::assert_snapshot!("wrong", report(&outcome));
}

#[test]
fn a_lost_answer_makes_no_second_comment() {
    let world = World::start_blocking();
    let sha = a_pull_request(&world);
    world.fault(Fault::on(Skin::Github).method("POST").path("*/issues/7/comments").nth(1).after_effect().reset());
    dashboard(&world, &sha).run().succeeded();
    let _ = comment(&world);
    world.fault(Fault::on(Skin::Github).method("POST").path("*/statuses/*").nth(1).after_effect().status(502));
    update(&world, &sha, "apply", "success").run().succeeded();
    assert_eq!(world.state().github.repository("acme/app").statuses.len(), 1);
    world.explain_writes();
    world.finish();
}

#[test]
fn a_comment_that_somebody_deletes_is_made_again() {
    let world = World::start_blocking();
    let sha = a_pull_request(&world);
    update(&world, &sha, "one", "success").run().succeeded();
    world.state().github.repository("acme/app").comments.clear();
    update(&world, &sha, "two", "success").run().succeeded();
    assert_eq!(comment(&world).matches("| ✅ |").count(), 2, "the statuses still know");
    world.explain_writes();
    world.finish();
}

#[test]
fn refusals_and_failures_are_told_apart() {
    let world = World::start_blocking();
    let sha = a_pull_request(&world);
    update(&world, &sha, "one", "success")
        .token("stale")
        .input("github_token", "stale")
        .run()
        .failed(5, "github-unauthenticated");
    world.fault(Fault::on(Skin::Github).path("*/issues/7/comments").times(5).status(503));
    update(&world, &sha, "one", "success").run().failed(4, "github-unavailable");
    let missing = update(&world, &sha, "one", "success").input("pr_number", "99").run();
    missing.succeeded();
    world.explain_writes();
    world.finish();
}

#[test]
fn a_state_that_somebody_broke_is_replaced() {
    let world = World::start_blocking();
    let sha = a_pull_request(&world);
    update(&world, &sha, "one", "success").run().succeeded();
    {
        let mut state = world.state();
        let comments = &mut state.github.repository("acme/app").comments;
        let comment = comments.values_mut().next().unwrap();
        comment.body =
            comment.body.lines().take(3).collect::<Vec<_>>().join("\n") + "\n<!-- infra-dashboard-state:1:AAAA -->";
    }
    update(&world, &sha, "two", "failure").run().succeeded();
    assert!(comment(&world).contains("| one | ✅ |") && comment(&world).contains("| two | ❌ |"));
    world.explain_writes();
    world.finish();
}
