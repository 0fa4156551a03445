//! Purpose: every rung of the built-in ladder, names that are easily taken for others, and ladders of the config.

use serde_json::json;

use super::world::Skin;
use super::{
    COMPANION, FEATURE, MERGE, SHA, branches, by_commit, decided, done, error, failing, image, named, pull,
    pull_request, pull_request_of, push, start, step,
};

#[test]
fn an_override_is_used_as_it_is_and_nobody_is_asked() {
    let world = start();
    for input in ["image_override", "dashboard_image"] {
        let outcome = done(pull_request_of(&world, FEATURE, "main").input(input, "other.example/x/y@sha256:odd"));
        assert_eq!([outcome.output("strategy"), outcome.output("needs_build")], ["override", "false"]);
        assert_eq!(outcome.output("image"), "other.example/x/y@sha256:odd");
        assert!(!outcome.has_output("exists"));
    }
    assert!(world.calls(Skin::Github).is_empty() && world.calls(Skin::Registry).is_empty());
    world.finish();
}

#[test]
fn a_forced_build_is_built_from_the_branch_asked_for_else_from_the_base() {
    let world = start();
    image(&world, &by_commit());
    let outcome = done(pull_request(&world).input("force_build", "true"));
    decided(&world, &outcome, "forced-build", &by_commit(), "true", "release-5");
    let outcome = done(pull_request(&world).input("strategy", "always-build").input("use_branch", "hotfix"));
    decided(&world, &outcome, "forced-build", &by_commit(), "true", "hotfix");
    world.finish();
}

#[test]
fn a_branch_with_an_image_is_used() {
    let world = start();
    branches(&world, &[FEATURE]);
    let digest = image(&world, "feature-add-new-feature");
    let outcome = done(pull_request(&world));
    decided(&world, &outcome, "existing-branch", "feature-add-new-feature", "false", FEATURE);
    assert_eq!([outcome.output("exists"), outcome.output("digest")], ["true", &digest]);
    insta::assert_snapshot!(outcome.report());
    world.finish();
}

#[test]
fn a_branch_without_an_image_is_built() {
    let world = start();
    branches(&world, &[FEATURE]);
    image(&world, &by_commit());
    let outcome = done(pull_request(&world));
    decided(&world, &outcome, "build-from-branch", &by_commit(), "true", FEATURE);
    world.finish();
}

#[test]
fn the_branch_asked_for_goes_before_the_branch_under_test() {
    let world = start();
    branches(&world, &[FEATURE, "hotfix"]);
    image(&world, "feature-add-new-feature");
    image(&world, "hotfix");
    let outcome = done(pull_request(&world).input("use_branch", "hotfix"));
    decided(&world, &outcome, "existing-branch", "hotfix", "false", "hotfix");
    world.finish();
}

#[test]
fn an_image_of_the_commit_is_used() {
    let world = start();
    let digest = image(&world, &by_commit());
    let outcome = done(pull_request(&world));
    decided(&world, &outcome, "existing-image", &by_commit(), "false", "");
    assert_eq!([outcome.output("exists"), outcome.output("digest")], ["true", &digest]);
    world.finish();
}

#[test]
fn else_it_is_built_from_the_base_when_the_companion_has_it() {
    let world = start();
    let outcome = done(pull_request(&world));
    decided(&world, &outcome, "build-required", &by_commit(), "true", "trunk");
    assert_eq!(outcome.output("exists"), "false");
    insta::assert_snapshot!(outcome.report());
    branches(&world, &["release-5"]);
    let outcome = done(pull_request(&world));
    decided(&world, &outcome, "build-required", &by_commit(), "true", "release-5");
    world.finish();
}

#[test]
fn a_pull_requests_head_counts_and_its_merge_commit_does_not() {
    let world = start();
    let merged = format!("sha-{MERGE}");
    image(&world, &merged);
    decided(&world, &done(pull_request(&world)), "build-required", &by_commit(), "true", "trunk");
    let outcome = done(pull_request(&world).input("commit_sha", MERGE));
    decided(&world, &outcome, "existing-image", &merged, "false", "");
    world.finish();
}

#[test]
fn a_comment_on_a_pull_request_is_about_its_head() {
    let world = start();
    branches(&world, &["topic"]);
    {
        let mut state = world.state();
        let own = state.github.repository("acme/app");
        own.branch("main", MERGE).branch("topic", SHA);
        own.pulls.insert(7, pull("acme/app", "topic", "main"));
    }
    let comment = json!({ "action": "created", "issue": { "number": 7, "pull_request": { "url": "x" } } });
    let outcome = done(named(&world, step(&world, "issue_comment", &comment)));
    decided(&world, &outcome, "build-from-branch", &by_commit(), "true", "topic");
    world.finish();
}

#[test]
fn branch_names_are_taken_whole() {
    // What each name would be taken for by who cuts, decodes or prefixes it.
    let decoys = ["fix", "100", "a", "a/b", "b/c", "x/y", "semi", "grüße"];
    for name in ["fix/#12", "100%", "a/b/c", "grüße/日本-1", "x%2Fy", "semi;$(id)&'"] {
        let world = start();
        branches(&world, &decoys);
        assert_eq!(done(push(&world, name)).output("strategy"), "build-required", "{name}");
        branches(&world, &[name]);
        let outcome = done(push(&world, name));
        assert_eq!([outcome.output("strategy"), outcome.output("branch")], ["build-from-branch", name]);
        world.finish();
    }
}

#[test]
fn a_renamed_branch_does_not_answer_to_its_old_name() {
    let world = start();
    branches(&world, &[FEATURE]);
    world.state().github.repository(COMPANION).rename(FEATURE, "feature/new");
    assert_eq!(done(pull_request(&world)).output("strategy"), "build-required");
    world.finish();
}

#[test]
fn an_enterprise_server_is_asked_below_its_prefix() {
    let world = start();
    world.state().github.prefix = "/api/v3".into();
    branches(&world, &[FEATURE]);
    assert_eq!(done(pull_request(&world)).output("strategy"), "build-from-branch");
    let requests = world.requests(Skin::Github);
    assert!(requests.iter().all(|request| request.path.starts_with("/api/v3/repos/")));
    world.finish();
}

const LADDER: &str = r"
resolve:
  ladders:
    dashboard:
      repository: dashboard
      companion: acme/dashboard
      rules:
        - {strategy: none, if: {not: {base: master}, base_exists: false}}
        - strategy: companion-pr
          if: {head_exists: true, image_exists: ':pr-{companion_pull_request}'}
          image: ':pr-{companion_pull_request}'
          branch: '{head_ref}'
        - {strategy: build, image: ':tyk-{pull_request}', needs_build: true, branch: ['{head_ref}?', '{default_branch}']}
";

#[test]
fn a_ladder_of_the_config_decides() {
    let world = start();
    let step = |base: &str| {
        pull_request_of(&world, "topic", base)
            .input("registry", world.registry_host())
            .input("ladder", "dashboard")
            .file(".github/landfall.yml", LADDER)
    };
    let outcome = done(step("release-5"));
    assert_eq!(["strategy", "image", "needs_build"].map(|name| outcome.output(name)), ["none", "", "false"]);
    decided(&world, &done(step("master")), "build", "tyk-42", "true", "trunk");
    branches(&world, &["topic"]);
    for number in [3, 9] {
        let pull = pull(COMPANION, "topic", "trunk");
        world.state().github.repository(COMPANION).pulls.insert(number, pull);
    }
    decided(&world, &done(step("master")), "build", "tyk-42", "true", "topic");
    image(&world, "pr-9");
    let outcome = done(step("master"));
    decided(&world, &outcome, "companion-pr", "pr-9", "false", "topic");
    insta::assert_snapshot!(outcome.report());
    world.finish();
}

#[test]
fn a_ladder_without_an_answer_says_why() {
    let world = start();
    let step = |rules: &str| {
        let config = format!("resolve: {{ladders: {{own: {{rules: {rules}}}}}}}");
        pull_request_of(&world, "topic", "main").input("ladder", "own").file(".github/landfall.yml", config)
    };
    failing(step("[{strategy: x, if: {event: push}}]"), 2, "no-rule");
    failing(step("[{strategy: x, image: 'a/b:{use_branch}'}]"), 2, "no-value");
    let outcome = failing(step("[{strategy: x, image: ':v1'}]"), 2, "invalid-input");
    assert!(error(&outcome).contains("`registry` and `repository`"), "{}", error(&outcome));
    world.finish();
}
