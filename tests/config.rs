//! `config` as the runner runs it: which environment a branch belongs to, what becomes an output, what stays secret.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "tests are free to panic")]

mod support;
mod world;

use serde_json::{Value, json};

use support::Landfall;
use world::ssm::Parameter;
use world::sts::Role;
use world::{Skin, World};

const CONFIG: &str = "
environments:
  production:
    branches: [main, 'refs/tags/v*']
    aws_account_id: '123456789012'
    aws_region: eu-central-1
    ecr_repository: better-chatbot
    cluster: production-cluster
    service: better-chatbot
    role_to_assume: github-action-deploy-app
    team: core
    platforms: [linux/amd64, linux/arm64]
  development:
    branches: [dev, 'feature/**']
    aws_account_id: '210987654321'
    aws_region: cn-north-1
    role_to_assume: arn:aws-cn:iam::210987654321:role/dev
";

fn step(config: &str) -> Landfall {
    Landfall::new("config").file(".github/landfall.yml", config)
}

/// A config whose one environment has these settings.
fn with_settings(settings: &str) -> String {
    format!("environments:\n  production:\n    branches: [main]\n    aws_region: eu-central-1\n{settings}")
}

fn parameter(world: &World, name: &str, value: &str) {
    let parameter = Parameter { value: value.into(), kind: "SecureString".into(), version: 1 };
    world.state().parameters.0.insert(name.into(), parameter);
}

#[test]
fn the_environment_of_the_branch_becomes_outputs() {
    let outcome = step(CONFIG).run();
    outcome.succeeded();
    insta::assert_snapshot!(outcome.report());
}

#[test]
fn a_word_that_is_not_the_right_one_ends_the_job_here() {
    let asked = |typed: &str| step(CONFIG).inputs(&[("confirm", typed), ("confirm_with", "DEPLOY")]).run();
    asked("deploy").failed(3, "not-confirmed");
    let outcome = asked("");
    outcome.failed(3, "not-confirmed");
    assert!(!outcome.has_output("cluster"), "{}", outcome.report());
    asked("DEPLOY").succeeded();
    step(CONFIG).input("confirm", "DEPLOY").run().failed(2, "invalid-input");
}

#[test]
fn each_event_names_the_branch_that_the_work_is_meant_for() {
    let chosen = |run: Landfall| run.run().succeeded().output("environment").to_owned();
    let pull = json!({ "pull_request": { "number": 1, "head": { "ref": "feature/a", "sha": "a".repeat(40), "repo": { "full_name": "acme/app" } },
        "base": { "ref": "main", "repo": { "full_name": "acme/app" } } } });
    assert_eq!(chosen(step(CONFIG).event("pull_request", &pull)), "production");
    let feature = step(CONFIG).env("GITHUB_REF", "refs/heads/feature/a/b").event("push", &json!({}));
    assert_eq!(chosen(feature), "development");
    let tag = step(CONFIG).env("GITHUB_REF", "refs/tags/v1.2.3").event("push", &json!({}));
    assert_eq!(chosen(tag), "production");
    // The runner says the default branch here; the run that this one follows was for another.
    let run = json!({ "workflow_run": { "event": "push", "head_branch": "dev", "head_sha": "a".repeat(40) } });
    assert_eq!(chosen(step(CONFIG).event("workflow_run", &run)), "development");
    assert_eq!(chosen(step(CONFIG).input("environment", "development")), "development");
}

#[test]
fn no_environment_or_several_are_errors_that_name_the_branch() {
    let outcome = step(CONFIG).env("GITHUB_REF", "refs/heads/hotfix").event("push", &json!({})).run();
    outcome.failed(2, "no-environment");
    assert!(outcome.annotations("error")[0].message.contains("lists 'hotfix'"), "{}", outcome.report());

    let twice = CONFIG.replace("branches: [dev,", "branches: [main, dev,");
    let outcome = step(&twice).run();
    outcome.failed(2, "invalid-config");
    let message = &outcome.annotations("error")[0].message;
    assert!(
        message.contains("'main' belongs to several environments of the config: development, production"),
        "{message}"
    );

    // A pull request from a fork's run does not say where it goes: nothing is guessed.
    let run = json!({ "workflow_run": { "event": "pull_request", "head_branch": "main", "head_sha": "a".repeat(40), "pull_requests": [] } });
    step(CONFIG).event("workflow_run", &run).run().failed(2, "no-environment");
}

#[test]
fn keys_that_cannot_be_outputs_are_all_named() {
    let outcome = step(&with_settings("    result: x\n    'two words': y\n")).run();
    outcome.failed(2, "invalid-input");
    let message = &outcome.annotations("error")[0].message;
    assert!(message.contains("environments.production.result") && message.contains("two words"), "{message}");
}

#[test]
fn parameters_are_read_in_batches_and_masked() {
    let world = World::start_blocking();
    let mut settings = String::new();
    for number in 1..=12 {
        parameter(&world, &format!("/app/p{number}"), &format!("hunter-{number}-x"));
        settings += &format!("    p{number}: ssm:/app/p{number}\n");
    }
    settings += "    again: ssm:/app/p1\n    plain: open\n";
    let outcome = step(&with_settings(&settings)).envs(world.env()).run();
    outcome.succeeded();
    let requests = world.requests(Skin::Ssm);
    assert_eq!(requests.len(), 2, "ten names a request");
    assert!(requests.iter().all(|request| request.json()["WithDecryption"] == json!(true)));
    assert_eq!((outcome.output("p12"), outcome.output("again")), ("hunter-12-x", "hunter-1-x"));
    for number in 1..=12 {
        assert!(outcome.log.masks.contains(&format!("hunter-{number}-x")), "{}", outcome.raw);
    }
    assert!(!outcome.summary.contains("hunter"), "{}", outcome.summary);
    assert!(!outcome.raw.lines().any(|line| line.contains("hunter") && !line.starts_with("::add-mask::")));
    let json: Value = serde_json::from_str(outcome.output("json")).unwrap();
    assert_eq!(json, json!({ "aws_region": "eu-central-1", "plain": "open" }), "no secret crosses jobs by `json`");
    world.finish();
}

#[test]
fn region_and_role_of_the_branchs_environment_are_used() {
    let world = World::start_blocking();
    parameter(&world, "/db", "hunter22");
    let role = "arn:aws:iam::123456789012:role/reader".to_owned();
    world.state().aws.roles.insert(role.clone(), Role::for_subject("repo:acme/app:*"));
    let config = with_settings("    aws_account_id: '123456789012'\n    role_to_assume: reader\n    db: ssm:/db\n");
    let outcome = step(&config).envs(world.oidc_env()).without("AWS_REGION").run();
    outcome.succeeded();
    assert_eq!((outcome.output("db"), outcome.output("role_arn")), ("hunter22", role.as_str()));
    assert_eq!(world.calls(Skin::Sts), ["AssumeRoleWithWebIdentity"]);
    world.finish();
}

#[test]
fn what_the_store_lacks_or_denies_fails_before_any_output() {
    let world = World::start_blocking();
    let config = with_settings("    a: ssm:/none\n    b: ssm:/nothing\n");
    let outcome = step(&config).envs(world.env()).run();
    outcome.failed(1, "parameter-not-found");
    assert!(outcome.annotations("error")[0].message.contains("/none, /nothing"), "{}", outcome.report());
    assert_eq!((outcome.output("environment"), outcome.has_output("a")), ("production", false));
    world.state().aws.deny("ssm:*");
    let outcome = step(&config).envs(world.env()).run();
    outcome.failed(5, "aws-forbidden");
    assert!(outcome.annotations("error")[0].message.contains("Allow `ssm:GetParameters`"), "{}", outcome.report());
    world.finish();
}

#[test]
fn a_dry_run_shows_all_but_secrets_and_writes_nothing() {
    let world = World::start_blocking();
    parameter(&world, "/db", "hunter22");
    let outcome = step(&with_settings("    db: ssm:/db\n")).envs(world.env()).input("dry_run", "true").run();
    outcome.succeeded().keeps("hunter22");
    assert!(outcome.raw.contains("db=***") && !outcome.has_output("db"), "{}", outcome.report());
    world.finish();
}
