//! Purpose: who we are to AWS, and what happens when AWS disagrees.

use super::{deploy, told, web};
use crate::support::Landfall;
use crate::world::sts::Role;
use crate::world::{Fault, Skin, World};

fn with_role(world: &World, role: &str) -> Landfall {
    Landfall::new("deploy").envs(world.oidc_env()).inputs(&[
        ("cluster", "prod"),
        ("service", "web"),
        ("poll_interval", "50ms"),
        ("image", "acme/web:2"),
        ("role_to_assume", role),
    ])
}

fn arn(name: &str) -> String {
    format!("arn:aws:iam::123456789012:role/{name}")
}

#[tokio::test]
async fn access_denied_changes_nothing_and_names_the_action() {
    let world = web().await;
    world.state().aws.deny("ecs:RegisterTaskDefinition");
    let outcome = deploy(&world).input("image", "acme/web:2").run();
    outcome.failed(5, "aws-forbidden");
    assert!(
        outcome.annotations("error")[0].message.contains("Allow `ecs:RegisterTaskDefinition`"),
        "{}",
        outcome.report()
    );
    world.finish();
}

#[tokio::test]
async fn denied_at_the_update_the_service_is_as_it_was() {
    let world = web().await;
    world.state().aws.deny("ecs:UpdateService");
    let outcome = deploy(&world).input("image", "acme/web:2").run();
    outcome.failed(5, "aws-forbidden");
    assert_eq!(world.take_writes(), ["ecs RegisterTaskDefinition web:2"]);
    world.finish();
}

#[tokio::test]
async fn expired_credentials_end_the_run_at_once() {
    let world = web().await;
    world.fault(
        Fault::on(Skin::Ecs).error("ExpiredTokenException", "The security token included in the request is expired"),
    );
    let outcome = deploy(&world).input("image", "acme/web:2").run();
    outcome.failed(5, "aws-unauthenticated");
    assert_eq!(world.calls(Skin::Ecs).len(), 1, "a refusal is not tried again");
    world.finish();
}

#[tokio::test]
async fn no_credentials_at_all_says_how_to_get_some() {
    let world = web().await;
    let run = deploy(&world).input("image", "acme/web:2").without("AWS_ACCESS_KEY_ID").without("AWS_SECRET_ACCESS_KEY");
    let outcome = run.run();
    outcome.failed(5, "aws-unauthenticated");
    assert!(outcome.annotations("error")[0].message.contains("id-token: write"), "{}", outcome.report());
    world.finish();
}

#[tokio::test]
async fn a_missing_region_is_bad_input() {
    let world = web().await;
    let outcome = deploy(&world).input("image", "acme/web:2").without("AWS_REGION").run();
    outcome.failed(2, "aws-region-missing");
    world.finish();
}

#[tokio::test]
async fn a_role_is_assumed_with_the_jobs_token_and_no_secret_shows() {
    let world = web().await;
    let subject = world.state().oidc.subject.clone();
    world.state().aws.roles.insert(arn("deploy"), Role::for_subject(&subject));
    let outcome = with_role(&world, &arn("deploy")).input("allowed_account_ids", "123456789012").run();
    outcome.succeeded();
    assert_eq!(outcome.output("status"), "deployed");
    let jwt = world.state().oidc.issued[0].jwt.clone();
    outcome.keeps(&jwt);
    world.explain_writes();
    world.finish();
}

#[tokio::test]
async fn a_refused_trust_policy_shows_what_would_admit_the_token() {
    let world = web().await;
    world.state().aws.roles.insert(arn("deploy"), Role::for_subject("repo:acme/other:*"));
    let outcome = with_role(&world, &arn("deploy")).run();
    outcome.failed(5, "aws-role-refused");
    assert_eq!(world.calls(Skin::Oidc).len(), 1, "a refusal is not tried again");
    insta::assert_snapshot!(told(&outcome));
    world.finish();
}

#[tokio::test]
async fn credentials_of_another_account_are_refused() {
    let world = web().await;
    let outcome = deploy(&world).inputs(&[("image", "acme/web:2"), ("allowed_account_ids", "999999999999")]).run();
    outcome.failed(5, "aws-account-refused");
    assert!(world.calls(Skin::Ecs).is_empty());
    world.finish();
}

#[tokio::test]
async fn a_session_that_ends_early_is_renewed() {
    let world = web().await;
    let subject = world.state().oidc.subject.clone();
    {
        let mut state = world.state();
        state.aws.roles.insert(arn("deploy"), Role::for_subject(&subject));
        // Nobody is told that a session serves no longer than this.
        state.aws.session_uses = Some(4);
    }
    let outcome = with_role(&world, &arn("deploy")).run();
    outcome.succeeded();
    assert_eq!(outcome.output("status"), "deployed");
    assert!(world.calls(Skin::Sts).len() > 2, "assumed anew: {:?}", world.calls(Skin::Sts));
    assert_eq!(world.take_writes(), ["ecs RegisterTaskDefinition web:2", "ecs UpdateService prod/web web:2"]);
    world.finish();
}
