//! Tokens that may not do everything, and comments that are not ours.

use super::*;
use crate::world::github::Access;

fn lack(world: &World, permissions: &[&str]) {
    let mut state = world.state();
    state.github.tokens.get_mut(TOKEN).unwrap().lacks = permissions.iter().map(|&name| name.to_owned()).collect();
}

#[test]
fn without_statuses_the_comment_keeps_everything() {
    let world = World::start_blocking();
    let sha = a_pull_request(&world);
    lack(&world, &["statuses"]);
    dashboard(&world, &sha).run().succeeded();
    let before = requests(&world);
    let outcome = update(&world, &sha, "apply", "running").run();
    assert_eq!(outcome.succeeded().output("records"), "comment");
    assert!(requests(&world) - before <= 8, "{:#?}", &world.calls(Skin::Github)[before..]);
    let outcome = update(&world, &sha, "apply", "success").run();
    assert!(stages(&outcome).contains(&("apply".to_owned(), "success".to_owned())));
    assert!(comment(&world).contains("| Apply | ✅ |") && comment(&world).contains("| Apply 🔄 |"));
    world.explain_writes();
    world.finish();
}

#[test]
fn a_job_without_statuses_and_one_with_them_share_a_table() {
    let world = World::start_blocking();
    let sha = a_pull_request(&world);
    update(&world, &sha, "one", "success").input("records", "comment").run().succeeded();
    update(&world, &sha, "two", "success").run().succeeded();
    let outcome = update(&world, &sha, "three", "failure").input("records", "comment").run();
    assert_eq!(stages(outcome.succeeded()).len(), 3);
    assert_eq!(comment(&world).matches("| ✅ |").count(), 2);
    world.explain_writes();
    world.finish();
}

#[test]
fn statuses_that_are_demanded_must_be_allowed() {
    let world = World::start_blocking();
    let sha = a_pull_request(&world);
    lack(&world, &["statuses"]);
    let outcome = update(&world, &sha, "apply", "running").input("records", "statuses").run();
    outcome.failed(5, "github-forbidden");
    assert!(outcome.annotations("error")[0].message.contains("statuses: write"), "{}", outcome.report());
    world.finish();
}

#[test]
fn a_token_that_may_only_read_writes_the_summary() {
    let world = World::start_blocking();
    let sha = a_pull_request(&world);
    dashboard(&world, &sha).run().succeeded();
    let written = update(&world, &sha, "apply", "failure").run();
    written.succeeded();
    world.explain_writes();
    world.state().github.grant(TOKEN, "acme/app", Access::Read);
    let outcome = update(&world, &sha, "e2e", "success").run();
    assert_eq!((outcome.succeeded().output("published"), outcome.output("comment_id")), ("summary", ""));
    assert!(outcome.summary.contains("| E2E Tests | ✅ |") && outcome.summary.contains("| Apply | ❌ |"));
    insta::assert_snapshot!("read_only", report(&outcome).replace(&sha[..7], "<sha7>"));
    let required = update(&world, &sha, "e2e", "success").input("require_comment", "true").run();
    required.failed(5, "read-only-token");
    insta::assert_snapshot!("comment_required", report(&required).replace(&sha[..7], "<sha7>"));
    world.finish();
}

#[test]
fn a_commit_without_a_pull_request_has_a_summary() {
    let world = World::start_blocking();
    let sha = world.state().github.repository("acme/app").commit("main", &[("a", "1")]);
    let push = json!({ "ref": "refs/heads/main", "after": sha, "repository": { "full_name": "acme/app" } });
    let run = || {
        Landfall::new("dashboard")
            .envs(world.github_env())
            .env("GITHUB_SHA", &sha)
            .token(TOKEN)
            .event("push", &push)
            .inputs(&[("stage", "e2e"), ("status", "success")])
    };
    let outcome = run().run();
    assert_eq!((outcome.succeeded().output("published"), outcome.output("reason")), ("summary", "no-pull-request"));
    assert!(outcome.summary.contains("| e2e | ✅ |"));
    world.explain_writes();
    run().input("require_comment", "true").run().failed(2, "no-pull-request");
    world.explain_writes();
    world.finish();
}

#[test]
fn only_our_own_comment_counts_and_duplicates_are_merged() {
    let world = World::start_blocking();
    let sha = a_pull_request(&world);
    update(&world, &sha, "one", "success").input("records", "comment").run().succeeded();
    let ours = comment(&world);
    {
        let mut state = world.state();
        let repository = state.github.repository("acme/app");
        let forged = ours.replace("| one | ✅ |", "| one | ❌ |");
        repository.comment(7, "mallory", &forged);
        repository.comment(7, "other-app[bot]", &forged);
        // A second one of ours, as a race leaves it: with an older text.
        let (text, moment) = (ours.clone(), repository.comments.values().next().unwrap().created_at);
        repository.comment(7, ME, &text);
        let _ = moment;
    }
    update(&world, &sha, "two", "failure").input("records", "comment").run().succeeded();
    let body = comment(&world);
    assert!(body.contains("| one | ✅ |") && body.contains("| two | ❌ |"), "{body}");
    let mut state = world.state();
    let repository = state.github.repository("acme/app");
    assert_eq!(repository.said(7, "mallory"), [ours.replace("| one | ✅ |", "| one | ❌ |")]);
    drop(state);
    world.explain_writes();
    world.finish();
}

#[test]
fn an_app_and_a_person_have_comments_of_their_own() {
    let world = World::start_blocking();
    let sha = a_pull_request(&world);
    for (token, login) in [("ghs_flash", "infra-flash[bot]"), ("ghp_octo", "octocat")] {
        world.state().github.grant(token, "acme/app", Access::Write);
        world.state().github.tokens.get_mut(token).unwrap().login = login.into();
        update(&world, &sha, "one", "success").token(token).input("github_token", token).run().succeeded();
        update(&world, &sha, "two", "failure").token(token).input("github_token", token).run().succeeded();
        let said = world.state().github.repository("acme/app").said(7, login);
        assert_eq!(said.len(), 1, "{login}: {said:#?}");
        assert!(said[0].contains("| one | ✅ |") && said[0].contains("| two | ❌ |"));
    }
    world.explain_writes();
    world.finish();
}
