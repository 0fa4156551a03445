//! Purpose: the shipped example config, `examples/tyk`: one test per row of its table, in the words of its workflow.

use super::support::{Landfall, Outcome};
use super::world::World;
use super::world::github::{Access, Pull, TOKEN};
use super::{MERGE, SHA, done, error, failing, pull_request_of, step};
use serde_json::json;

const CONFIG: &str = include_str!("../../examples/tyk/.github/landfall.yml");
const ANALYTICS: &str = "TykTechnologies/tyk-analytics";

/// A gateway whose pull request 42 changes `changed`, and a dashboard with these branches and images.
fn start(changed: &str, branches: &[&str], images: &[&str]) -> World {
    let world = World::start_blocking();
    {
        let mut state = world.state();
        let analytics = state.github.repository(ANALYTICS);
        analytics.private = true;
        analytics.commit("master", &[("go.mod", "module analytics\n")]);
        for branch in branches {
            analytics.commit(branch, &[("README", branch)]);
        }
        state.github.grant("ghp_org", ANALYTICS, Access::Read);
        let gateway = state.github.repository("acme/app");
        let base = gateway.commit("master", &[("README.md", "gateway\n")]);
        gateway.branches.insert("TT-1/fix".into(), base);
        let built = gateway.commit("TT-1/fix", &[(changed, "changed\n")]);
        // The payload of the event names this commit.
        let commit = gateway.commits.remove(&built).unwrap();
        gateway.commits.insert(SHA.into(), commit);
        gateway.branches.insert("TT-1/fix".into(), SHA.into());
        gateway.pulls.insert(42, pull("acme/app", SHA));
        state.images.repository("tyk-analytics");
        for tag in images {
            state.images.image(&format!("tyk-analytics:{tag}"));
        }
    }
    world
}

fn pull(repository: &str, sha: &str) -> Pull {
    Pull {
        state: "open".into(),
        head_ref: "TT-1/fix".into(),
        head_sha: sha.into(),
        head_repository: Some(repository.into()),
        base_ref: "master".into(),
        ..Pull::default()
    }
}

/// The dashboard's own pull request of the same branch.
fn companion_pull(world: &World, number: u64) {
    world.state().github.repository(ANALYTICS).pulls.insert(number, pull(ANALYTICS, MERGE));
}

fn with_ladder(world: &World, step: Landfall) -> Landfall {
    step.input("registry", world.registry_host())
        .input("companion_token", "ghp_org")
        .input("ladder", "dashboard")
        .file(".github/landfall.yml", CONFIG)
}

/// Pull request 42 of the gateway into a branch.
fn into(world: &World, base: &str) -> Landfall {
    with_ladder(world, pull_request_of(world, "TT-1/fix", base))
}

fn pushed(world: &World, branch: &str) -> Landfall {
    let reference = format!("refs/heads/{branch}");
    let payload = json!({ "ref": reference, "after": SHA, "head_commit": { "id": SHA } });
    with_ladder(world, step(world, "push", &payload)).env("GITHUB_REF", &reference).env("GITHUB_SHA", SHA)
}

/// Strategy, tag, needs_build and branch of a row, and its place in the table.
#[track_caller]
fn row(outcome: &Outcome, place: u8, expected: [&str; 4]) {
    let found = ["strategy", "tag", "needs_build", "dashboard_branch"].map(|name| outcome.output(name));
    assert_eq!(found, expected, "{}", outcome.report());
    let rule = format!("(rule {place} of 9,");
    assert!(outcome.report().contains(&rule), "{rule} {}", outcome.report());
}

#[test]
fn row_1_a_base_that_the_dashboard_does_not_have() {
    let world = start("pkg/a.go", &[], &["release-5.3"]);
    row(&done(into(&world, "release-5.3")), 1, ["gromit-default", "", "false", ""]);
    world.finish();
}

#[test]
fn row_2_a_release_branch_with_an_image() {
    let world = start("pkg/a.go", &["release-5.3"], &["release-5.3"]);
    row(&done(into(&world, "release-5.3")), 2, ["release-branch-match", "release-5.3", "false", "release-5.3"]);
    world.finish();
}

#[test]
fn row_3_a_release_branch_without_one() {
    let world = start("README.md", &["release-5.3"], &["release-5-3"]);
    row(&done(into(&world, "release-5.3")), 3, ["build-from-base-branch", "tyk-42", "true", "release-5.3"]);
    world.finish();
}

#[test]
fn row_4_a_push_to_a_release_branch_without_one() {
    let world = start("README.md", &["release-5.3"], &[]);
    row(&done(pushed(&world, "release-5.3")), 4, ["gromit-default", "", "false", ""]);
    world.finish();
}

#[test]
fn row_5_the_same_branch_with_the_image_of_its_pull_request() {
    let world = start("pkg/a.go", &["TT-1/fix"], &["pr-7", "tyk-42"]);
    companion_pull(&world, 7);
    row(&done(into(&world, "master")), 5, ["analytics-pr-image", "pr-7", "false", "TT-1/fix"]);
    world.finish();
}

#[test]
fn row_6_the_same_branch_without_such_an_image() {
    let world = start("README.md", &["TT-1/fix"], &["pr-6", "tyk-42"]);
    row(&done(into(&world, "master")), 6, ["build-from-branch", "tyk-42", "true", "TT-1/fix"]);
    companion_pull(&world, 7);
    row(&done(into(&world, "master")), 6, ["build-from-branch", "tyk-42", "true", "TT-1/fix"]);
    world.finish();
}

#[test]
fn row_7_a_change_that_the_dashboard_compiles_in() {
    // `fix` is what remains of the branch's name for whoever cuts it at the slash.
    let world = start("pkg/deep/a.go", &["fix"], &["tyk-42"]);
    let outcome = done(into(&world, "master"));
    row(&outcome, 7, ["build-required", "tyk-42", "true", "master"]);
    insta::assert_snapshot!(outcome.report());
    world.finish();
}

#[test]
fn row_8_no_such_change_and_the_image_of_an_earlier_one() {
    let world = start("pkgs/a.go", &[], &["tyk-42"]);
    row(&done(into(&world, "master")), 8, ["reuse-pr-image", "tyk-42", "false", ""]);
    world.finish();
}

#[test]
fn row_9_everything_else() {
    let world = start("README.md", &[], &["pr-42", "tyk-4"]);
    row(&done(into(&world, "master")), 9, ["gromit-default", "", "false", ""]);
    row(&done(pushed(&world, "master")), 9, ["gromit-default", "", "false", ""]);
    world.finish();
}

#[test]
fn an_override_goes_before_the_table() {
    let world = start("pkg/a.go", &[], &[]);
    let outcome = done(into(&world, "master").input("dashboard_image", "acme/x:1"));
    assert_eq!([outcome.output("strategy"), outcome.output("image")], ["override", "acme/x:1"]);
    world.finish();
}

#[test]
fn a_build_that_the_table_does_not_know_cannot_be_forced() {
    let world = start("pkg/a.go", &[], &[]);
    let outcome = failing(into(&world, "master").input("force_build", "true"), 2, "invalid-input");
    assert!(
        error(&outcome).contains("force_build is set, but no rule of the ladder 'dashboard'"),
        "{}",
        error(&outcome)
    );
    world.finish();
}

#[test]
fn a_token_that_cannot_see_the_dashboard_is_an_error_and_not_row_1() {
    let world = start("pkg/a.go", &[], &[]);
    failing(into(&world, "release-5.3").input("companion_token", TOKEN), 5, "repository-not-visible");
    world.finish();
}
