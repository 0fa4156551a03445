//! Purpose: inputs that are missing or wrong, secrets that must stay so, names that would like to be commands.

use serde_json::json;

use super::world::Skin;
use super::world::github::{Access, TOKEN};
use super::{COMPANION, FEATURE, branches, done, error, failing, pull_request, push, start, step};

#[test]
fn everything_missing_or_wrong_is_named_at_once() {
    let world = start();
    let dispatch = || step(&world, "workflow_dispatch", &json!({})).env("GITHUB_SHA", "");
    let ladder = "resolve: {ladders: {dashboard: {rules: [{strategy: x}]}}}";
    let step = dispatch()
        .inputs(&[("use_branch", "a..b"), ("ladder", "dashbord"), ("force_build", "false")])
        .file(".github/landfall.yml", ladder);
    insta::assert_snapshot!("missing", failing(step, 2, "invalid-input").report());
    let step = dispatch().inputs(&[
        ("commit_sha", "abc1234"),
        ("strategy", "dispatch"),
        ("companion", "dashboard"),
        ("registry", "https://registry.example"),
        ("repository", "Dash"),
    ]);
    insta::assert_snapshot!("wrong", failing(step, 2, "invalid-input").report());
    let step = dispatch().inputs(&[("pull_request", "forty-two"), ("force_build", "yes"), ("strategy", "sometimes")]);
    insta::assert_snapshot!("unreadable", failing(step, 2, "invalid-input").report());
    assert!(world.calls(Skin::Github).is_empty() && world.calls(Skin::Registry).is_empty());
    world.finish();
}

#[test]
fn a_companion_out_of_sight_is_an_error_that_names_the_token() {
    let world = start();
    branches(&world, &[FEATURE]);
    world.state().github.repository(COMPANION).private = true;
    let outcome = failing(pull_request(&world), 5, "repository-not-visible");
    assert!(error(&outcome).contains("`companion_token`") && error(&outcome).contains(COMPANION));
    assert!(!outcome.raw.contains("absent"), "{}", outcome.raw);
    assert!(!outcome.has_output("strategy"));
    insta::assert_snapshot!(outcome.report());
    let secret = "ghp_companion_reader";
    world.state().github.grant(secret, COMPANION, Access::Read);
    for input in ["companion_token", "org_gh_token"] {
        let outcome = done(pull_request(&world).input(input, secret));
        assert_eq!(outcome.output("strategy"), "build-from-branch");
        outcome.keeps(secret);
        assert!(outcome.raw.contains("::add-mask::"), "{}", outcome.raw);
    }
    let outcome = failing(pull_request(&world).input("companion_token", "ghp_expired"), 5, "github-unauthenticated");
    assert!(error(&outcome).contains("`companion_token`"), "{}", error(&outcome));
    world.finish();
}

#[test]
fn the_jobs_token_is_unseen_and_goes_to_github_only() {
    let world = start();
    done(pull_request(&world)).keeps(TOKEN);
    let authorized = |skin| {
        let requests = world.requests(skin);
        requests.iter().filter(|request| request.headers.contains_key("authorization")).count()
    };
    assert_eq!(authorized(Skin::Github), world.requests(Skin::Github).len());
    assert_eq!((authorized(Skin::Registry), world.requests(Skin::Registry).is_empty()), (0, false));
    world.finish();
}

#[test]
fn a_token_with_a_line_break_is_named_and_not_sent() {
    let world = start();
    let outcome = failing(pull_request(&world).input("companion_token", "ghp_first\nghp_second"), 2, "invalid-input");
    outcome.keeps("ghp_second");
    assert!(world.calls(Skin::Github).is_empty());
    world.finish();
}

#[test]
fn a_dry_run_shows_the_decision() {
    let world = start();
    let outcome = pull_request(&world).input("dry_run", "true").run();
    outcome.proper();
    assert_eq!((outcome.code, outcome.output("result"), outcome.output("reason")), (Some(0), "skipped", "dry-run"));
    assert!(outcome.raw.contains("strategy: build-required"), "{}", outcome.raw);
    assert!(!outcome.has_output("image"));
    world.finish();
}

#[test]
fn hostile_names_give_no_orders_and_no_markup() {
    let world = start();
    let name = "x|<b>`%0A`|@team";
    branches(&world, &[name]);
    let outcome = done(push(&world, name));
    assert_eq!(outcome.output("branch"), name);
    insta::assert_snapshot!(outcome.report());
    world.finish();
}
