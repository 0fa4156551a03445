//! `doctor` as the runner runs it: what it finds, that it writes nothing, which policies it prints.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "tests are free to panic")]

mod support;
mod world;

use serde_json::{Value, json};

use support::{Landfall, Outcome};
use world::github::TOKEN;
use world::ssm::Parameter;
use world::sts::Role;
use world::{Fault, Skin, World};

const CONFIG: &str = "
environments:
  production:
    branches: [main]
    aws_account_id: '123456789012'
    aws_region: eu-central-1
    ecr_repository: web
    cluster: prod
    service: web
    role_to_assume: deploy
    db: ssm:/web/db
";

const WORKFLOW: &str = "
name: Deploy
on: {push: {branches: [main]}}
jobs:
  deploy:
    runs-on: ubuntu-latest
    steps:
      - uses: actions/checkout@v6
      - uses: landfall-ci/landfall/actions/config@v1
        id: config
      - uses: landfall-ci/landfall/actions/deploy@v1
        with: {environment: production, migrate: pnpm db:migrate}
";

/// A world in which everything that the config names exists.
fn start() -> World {
    let world = World::start_blocking();
    {
        let mut state = world.state();
        state.github.repository("acme/app").commit("main", &[("README", "app")]);
        state.service("prod", "web", "acme/web:1");
        state.images.image("web:1");
        let parameter = Parameter { value: "hunter22".into(), kind: "SecureString".into(), version: 1 };
        state.parameters.0.insert("/web/db".into(), parameter);
        let role = "arn:aws:iam::123456789012:role/deploy".to_owned();
        state.aws.roles.insert(role, Role::for_subject("repo:acme/app:*"));
    }
    world.explain_writes();
    world
}

fn step(world: &World) -> Landfall {
    Landfall::new("doctor")
        .token(TOKEN)
        .envs(world.github_env())
        .envs(world.oidc_env())
        .env("DOCKER_HOST", "unix:///nowhere/docker.sock")
        .file(".github/landfall.yml", CONFIG)
        .file(".github/workflows/deploy.yml", WORKFLOW)
}

fn problems(outcome: &Outcome) -> Vec<(String, String)> {
    let problems: Value = serde_json::from_str(outcome.output("problems")).unwrap();
    let text = |problem: &Value, key: &str| problem[key].as_str().unwrap().to_owned();
    problems.as_array().unwrap().iter().map(|p| (text(p, "check"), text(p, "subject"))).collect()
}

#[test]
fn a_healthy_repository_is_told_in_one_table() {
    let world = start();
    let outcome = step(&world).run();
    outcome.succeeded().keeps("hunter22");
    assert_eq!((outcome.output("passed"), outcome.output("commands")), ("true", "deploy\nconfig"));
    insta::assert_snapshot!(outcome.report());
    assert!(world.take_writes().is_empty(), "a doctor only looks");
    world.finish();
}

#[test]
fn everything_that_is_wrong_is_found_at_once() {
    let world = start();
    {
        let mut state = world.state();
        state.parameters.0.clear();
    }
    let config =
        CONFIG.replace("service: web", "service: nobody").replace("cluster: prod", "cluster: prod\n    clustr: x");
    let outcome = step(&world).file(".github/landfall.yml", config).file(".github/workflows/broken.yml", "a: [").run();
    outcome.failed(3, "problems-found");
    let found = problems(&outcome);
    let named: Vec<(&str, &str)> = found.iter().map(|(check, subject)| (check.as_str(), subject.as_str())).collect();
    assert_eq!(
        named,
        [("workflows", ".github/workflows/broken.yml"), ("ECS", "prod/nobody"), ("parameters", "/web/db")],
        "{}",
        outcome.report()
    );
    insta::assert_snapshot!(outcome.report());
    world.finish();
}

#[test]
fn an_image_of_terraform_without_a_digest_is_a_warning() {
    let world = start();
    let workflow = |with: &str| {
        format!("jobs: {{a: {{steps: [{{uses: landfall-ci/landfall/actions/terraform@v1, with: {with}}}]}}}}")
    };
    let look = |with: &str| step(&world).file(".github/workflows/deploy.yml", workflow(with)).run();
    for (with, image) in [
        ("{operation: check}", "hashicorp/terraform:1.13"),
        ("{terraform_image: 'ghcr.io/opentofu/opentofu:1.10'}", "ghcr.io/opentofu/opentofu:1.10"),
    ] {
        let outcome = look(with);
        let advice = format!("Set `terraform_image: {image}@sha256:…`; `docker buildx imagetools inspect {image}`");
        assert!(outcome.raw.contains(&advice), "{}", outcome.raw);
        // It is no problem: the engine, which is not there, is the only one.
        assert_eq!(problems(&outcome).len(), 1, "{}", outcome.report());
    }
    let pinned = format!("{{terraform_image: 'hashicorp/terraform:1.13@sha256:{}'}}", "a".repeat(64));
    assert!(!look(&pinned).raw.contains("is a tag"));
    world.finish();
}

#[test]
fn without_the_permission_no_role_is_assumed() {
    let world = start();
    let outcome = step(&world).without("ACTIONS_ID_TOKEN_REQUEST_URL").without("ACTIONS_ID_TOKEN_REQUEST_TOKEN").run();
    outcome.failed(3, "problems-found");
    assert!(outcome.annotations("error")[0].message.contains("id-token: write"), "{}", outcome.report());
    world.finish();
}

#[test]
fn a_refused_role_shows_the_claims_and_a_foreign_account_is_named() {
    let world = start();
    world.state().aws.roles.clear();
    let outcome = step(&world).run();
    outcome.failed(3, "problems-found");
    assert!(outcome.report().contains("repo:acme/app:ref:refs/heads/main"), "{}", outcome.report());
    let other = start();
    let outcome = step(&other)
        .envs(other.aws_env())
        .file(
            ".github/landfall.yml",
            CONFIG.replace("123456789012", "999999999999").replace("    role_to_assume: deploy\n", ""),
        )
        .run();
    outcome.failed(3, "problems-found");
    assert!(problems(&outcome).contains(&("AWS".into(), "account".into())), "{}", outcome.report());
    world.finish();
    other.finish();
}

#[test]
fn an_upstream_that_does_not_answer_proves_nothing() {
    let world = start();
    world.fault(Fault::on(Skin::Ecs).status(503));
    let outcome = step(&world).run();
    outcome.succeeded();
    assert_eq!((outcome.output("passed"), outcome.output("reason")), ("true", "partly-unknown"));
    assert!(outcome.summary.contains("❔"), "{}", outcome.summary);
    world.finish();
}

#[test]
fn a_token_that_may_not_read_is_a_problem_of_the_commands_that_need_it() {
    let world = start();
    world.fault(Fault::on(Skin::Github).path("*/actions/runs*").status(403));
    let outcome = step(&world).input("for", "metrics").run();
    outcome.failed(3, "problems-found");
    assert_eq!(problems(&outcome), [("token".to_owned(), "actions".to_owned())]);
    assert!(outcome.annotations("error")[0].message.contains("actions: read"), "{}", outcome.report());
    world.finish();
}

#[test]
fn an_engine_that_is_not_there_is_a_problem_of_build() {
    let world = start();
    let outcome = step(&world).input("for", "build").file(".github/landfall.yml", "environments: {}\n").run();
    outcome.failed(3, "problems-found");
    assert_eq!(problems(&outcome), [("engine".to_owned(), "unix:///nowhere/docker.sock".to_owned())]);
    world.finish();
}

#[test]
fn a_repository_of_ecr_that_is_not_there_is_a_problem() {
    let world = start();
    let subject = "123456789012.dkr.ecr.eu-central-1.amazonaws.com/web".to_owned();
    let outcome = step(&world).input("for", "resolve").run();
    outcome.succeeded();
    assert!(outcome.raw.contains(&format!("ECR: {subject}")), "{}", outcome.raw);
    world.state().images.repositories.clear();
    let outcome = step(&world).input("for", "resolve").run();
    outcome.failed(3, "problems-found");
    assert_eq!(problems(&outcome), [("ECR".to_owned(), subject)]);
    world.finish();
}

#[test]
fn the_policies_are_those_of_the_workflow_and_the_config() {
    let world = start();
    let outcome = step(&world).input("print_policy", "true").run();
    outcome.succeeded();
    let policy: Value = serde_json::from_str(outcome.output("policy")).unwrap();
    let statements = policy["Statement"].as_array().unwrap();
    let resources = |action: &str| {
        let holds = |statement: &&Value| statement["Action"].as_array().unwrap().iter().any(|a| a == action);
        statements.iter().find(holds).map(|statement| statement["Resource"].clone())
    };
    assert_eq!(resources("ecs:UpdateService"), Some(json!(["arn:aws:ecs:eu-central-1:123456789012:service/prod/web"])));
    assert_eq!(resources("ssm:GetParameters"), Some(json!(["arn:aws:ssm:eu-central-1:123456789012:parameter/web/db"])));
    assert!(resources("ecs:RunTask").is_some(), "the workflow migrates");
    assert!(resources("ecs:DeregisterTaskDefinition").is_none(), "no revision is removed");
    assert!(resources("ecr:PutImage").is_none(), "nothing is built");
    assert!(outcome.output("trust_policy").contains("repo:acme/app:ref:refs/heads/main"));
    assert_eq!(outcome.output("permissions"), "permissions:\n  id-token: write\n");
    insta::assert_snapshot!(outcome.output("policy"));
    world.finish();
}

#[test]
fn an_unknown_command_is_named_with_the_nearest() {
    let world = start();
    let outcome = step(&world).input("for", "deploi").run();
    outcome.failed(2, "invalid-input");
    assert!(outcome.annotations("error")[0].message.contains("did you mean 'deploy'?"), "{}", outcome.report());
    world.finish();
}
