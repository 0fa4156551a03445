//! Purpose: who we become in AWS, what later steps get of it, and what happens when AWS disagrees.

use super::{arn, exported, trusting, with_keys, with_token};
use crate::support::Landfall;
use crate::world::sts::Role;
use crate::world::{Fault, Skin, World};

/// The ARN of a role's session.
fn session(role: &str) -> String {
    format!("arn:aws:sts::123456789012:assumed-role/{role}/landfall")
}

#[tokio::test]
async fn a_role_is_assumed_with_the_jobs_token() {
    let world = World::start().await;
    let role = trusting(&world);
    world.state().aws.roles.insert(arn("deploy"), role);
    let outcome = with_token(&world).input("allowed_account_ids", "123456789012").run();
    outcome.succeeded();
    assert_eq!((outcome.output("aws_account_id"), outcome.output("aws_region")), ("123456789012", "eu-central-1"));
    assert_eq!(outcome.output("caller_arn"), session("deploy"));
    assert_eq!(outcome.output("registry"), "123456789012.dkr.ecr.eu-central-1.amazonaws.com");
    assert!(outcome.output("expiration").ends_with('Z'), "{}", outcome.output("expiration"));
    assert!(outcome.exported.is_empty(), "nothing is handed out unless it is asked for");
    assert_eq!(world.calls(Skin::Sts), ["AssumeRoleWithWebIdentity", "GetCallerIdentity"]);
    assert_eq!(world.calls(Skin::Oidc).len(), 1);
    let jwt = world.state().oidc.issued[0].jwt.clone();
    outcome.keeps(&jwt).keeps("world-session-token").keeps("world/session/secret");
    insta::assert_snapshot!(outcome.report());
    world.finish();
}

#[tokio::test]
async fn later_steps_get_the_credentials_until_the_end_of_the_job() {
    let world = World::start().await;
    let role = trusting(&world);
    world.state().aws.roles.insert(arn("deploy"), role);
    let outcome = with_token(&world).input("export", "true").run();
    outcome.succeeded();
    let value = |name| exported(&outcome, name).unwrap().to_owned();
    let (key, secret, token) = (value("AWS_ACCESS_KEY_ID"), value("AWS_SECRET_ACCESS_KEY"), value("AWS_SESSION_TOKEN"));
    assert_eq!((value("AWS_REGION").as_str(), value("AWS_DEFAULT_REGION").as_str()), ("eu-central-1", "eu-central-1"));
    for secret in [&key, &secret, &token] {
        outcome.keeps(secret);
        assert!(outcome.raw.contains(&format!("::add-mask::{secret}")), "a secret that is handed out is masked");
    }
    // A later step of the job works with them.
    let later =
        Landfall::new("login").env("AWS_ENDPOINT_URL", world.aws_url()).envs(outcome.exported.iter().cloned()).run();
    later.succeeded();
    assert_eq!(later.output("caller_arn"), session("deploy"));
    // And at the end of the job they are gone.
    let post = outcome.post().run();
    post.proper();
    assert_eq!(post.code, Some(0));
    for name in ["AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN"] {
        assert_eq!(exported(&post, name), Some(""), "{name}");
    }
    world.finish();
}

#[tokio::test]
async fn every_try_brings_a_fresh_token() {
    let world = World::start().await;
    let role = trusting(&world);
    {
        let mut state = world.state();
        state.aws.roles.insert(arn("deploy"), role);
        state.oidc.single_use = true;
    }
    // The first try is answered too late to be heard: its token is used up.
    world.fault(Fault::on(Skin::Sts).target("AssumeRoleWithWebIdentity").nth(1).after_effect().status(503));
    with_token(&world).run().succeeded();
    assert_eq!(world.calls(Skin::Oidc).len(), 2);
    assert!(world.state().oidc.issued.iter().all(|token| token.uses == 1));
    world.finish();
}

#[tokio::test]
async fn a_refused_trust_policy_shows_what_would_admit_the_token() {
    let world = World::start().await;
    world.state().aws.roles.insert(arn("deploy"), Role::for_subject("repo:acme/other:*"));
    let outcome = with_token(&world).input("export", "true").run();
    outcome.failed(5, "aws-role-refused");
    let said = outcome.raw.clone();
    assert!(said.contains("sub=repo:acme/app:ref:refs/heads/main") && said.contains("aud=sts.amazonaws.com"), "{said}");
    assert!(said.contains("token.actions.githubusercontent.com:sub"), "the condition that would admit it: {said}");
    assert_eq!(world.calls(Skin::Sts).len(), 1, "a refusal is not tried again");
    assert!(outcome.exported.is_empty());
    insta::assert_snapshot!(outcome.report());
    world.finish();
}

#[tokio::test]
async fn a_job_without_the_permission_is_told_so() {
    let world = World::start().await;
    world.fault(Fault::on(Skin::Oidc).status(403));
    let outcome = with_token(&world).run();
    outcome.failed(5, "aws-role-refused");
    assert!(outcome.annotations("error")[0].message.contains("id-token: write"), "{}", outcome.report());
    let outcome = Landfall::new("login")
        .env("AWS_ENDPOINT_URL", world.aws_url())
        .inputs(&[("aws_region", "eu-central-1"), ("role_to_assume", &arn("deploy"))])
        .run();
    outcome.failed(5, "aws-role-refused");
    assert!(outcome.raw.contains("id-token: write"), "{}", outcome.report());
    world.finish();
}

#[tokio::test]
async fn another_audience_is_asked_for_and_a_wrong_one_explained() {
    let world = World::start().await;
    let role = trusting(&world);
    world.state().aws.roles.insert(arn("deploy"), Role { audiences: vec!["sts.eu".into()], ..role });
    with_token(&world).input("audience", "sts.eu").run().succeeded();
    let outcome = with_token(&world).run();
    outcome.failed(5, "aws-role-refused");
    assert!(outcome.raw.contains("`audience`"), "{}", outcome.report());
    world.finish();
}

#[tokio::test]
async fn credentials_of_another_account_are_never_handed_out() {
    let world = World::start().await;
    let outcome = with_keys(&world).inputs(&[("allowed_account_ids", "999999999999"), ("export", "true")]).run();
    outcome.failed(5, "aws-account-refused");
    assert!(outcome.exported.is_empty());
    world.finish();
}

#[tokio::test]
async fn keys_of_the_environment_and_given_ones() {
    let world = World::start().await;
    let outcome = with_keys(&world).run();
    outcome.succeeded();
    assert!(!outcome.has_output("expiration"), "static keys do not end");
    let given = Landfall::new("login")
        .env("AWS_ENDPOINT_URL", world.aws_url())
        .inputs(&[
            ("aws_region", "eu-central-1"),
            ("aws_access_key_id", crate::world::aws::STATIC_KEY_ID),
            ("aws_secret_access_key", crate::world::aws::STATIC_SECRET),
            ("export", "true"),
        ])
        .run();
    given.succeeded();
    assert_eq!(exported(&given, "AWS_ACCESS_KEY_ID"), Some(crate::world::aws::STATIC_KEY_ID));
    assert_eq!(exported(&given, "AWS_SESSION_TOKEN"), Some(""), "no token of other keys stays beside them");
    given.keeps(crate::world::aws::STATIC_SECRET);
    let wrong = with_keys(&world).env("AWS_ACCESS_KEY_ID", "AKIAUNKNOWN").run();
    wrong.failed(5, "aws-unauthenticated");
    world.finish();
}

#[tokio::test]
async fn roles_are_chained() {
    let world = World::start().await;
    let role = trusting(&world);
    {
        let mut state = world.state();
        state.aws.roles.insert(arn("hub"), role);
        let trusts = |principal: String| Role { principals: vec![principal], ..Role::default() };
        state.aws.roles.insert(arn("spoke"), trusts(session("hub")));
        state.aws.roles.insert(arn("leaf"), trusts(session("spoke")));
    }
    let policy = r#"{"Version":"2012-10-17","Statement":[]}"#;
    let outcome = with_token(&world)
        .inputs(&[
            ("role_to_assume", &arn("hub")),
            ("chained_roles", &format!("{}\n{}", arn("spoke"), arn("leaf"))),
            ("inline_session_policy", policy),
            ("managed_session_policies", "arn:aws:iam::aws:policy/ReadOnlyAccess"),
        ])
        .run();
    outcome.succeeded();
    assert_eq!(outcome.output("caller_arn"), session("leaf"));
    assert_eq!(world.calls(Skin::Sts), ["AssumeRoleWithWebIdentity", "AssumeRole", "AssumeRole", "GetCallerIdentity"]);
    let limited: Vec<bool> = world.requests(Skin::Sts).iter().map(|request| request.body.contains("Policy=")).collect();
    assert_eq!(limited, [false, false, true, false], "the session that is handed out is the limited one");
    world.finish();
}

#[tokio::test]
async fn a_role_is_chained_on_what_an_earlier_step_left() {
    let world = World::start().await;
    let role = trusting(&world);
    {
        let mut state = world.state();
        state.aws.roles.insert(arn("deploy"), role.clone());
        let spoke = Role {
            principals: vec!["arn:aws:iam::123456789012:user/world".into()],
            external_id: Some("acme-42".into()),
            ..role
        };
        state.aws.roles.insert(arn("spoke"), spoke);
    }
    let both = || with_token(&world).envs(world.aws_env()).input("role_to_assume", arn("spoke"));
    let outcome = both().input("role_external_id", "acme-42").run();
    outcome.succeeded();
    assert_eq!(world.calls(Skin::Sts)[0], "AssumeRole");
    let wrong = both().input("role_external_id", "other").run();
    wrong.failed(5, "aws-role-refused");
    // Unless the token is asked for.
    with_token(&world).envs(world.aws_env()).input("role_chaining", "false").run().succeeded();
    assert_eq!(world.calls(Skin::Oidc).len(), 1);
    world.finish();
}

#[tokio::test]
async fn session_policies_travel_with_the_token() {
    let world = World::start().await;
    let role = trusting(&world);
    world.state().aws.roles.insert(arn("deploy"), role);
    let outcome = with_token(&world)
        .inputs(&[
            ("inline_session_policy", r#"{"Version":"2012-10-17"}"#),
            ("managed_session_policies", "arn:aws:iam::aws:policy/A, arn:aws:iam::123456789012:policy/B"),
        ])
        .run();
    outcome.succeeded();
    let sent = world.requests(Skin::Sts)[0].body.clone();
    for part in ["Policy=%7B", "PolicyArns.member.1.arn=", "PolicyArns.member.2.arn="] {
        assert!(sent.contains(part), "{part} in {sent}");
    }
    world.finish();
}

#[tokio::test]
async fn a_life_longer_than_the_role_allows_is_explained() {
    let world = World::start().await;
    let role = trusting(&world);
    world.state().aws.roles.insert(arn("deploy"), role);
    let outcome = with_token(&world).input("role_duration", "2h").run();
    outcome.failed(5, "aws-role-refused");
    assert!(outcome.annotations("error")[0].message.contains("`role_duration`"), "{}", outcome.report());
    world.state().aws.roles.get_mut(&arn("deploy")).unwrap().longest_session = 7200;
    with_token(&world).input("role_duration", "2h").run().succeeded();
    world.finish();
}

#[tokio::test]
async fn a_dry_run_says_what_it_would_do_and_asks_nobody() {
    let world = World::start().await;
    let outcome = with_token(&world)
        .inputs(&[("dry_run", "true"), ("registries", "ecr, ghcr.io"), ("export", "true"), ("chained_roles", "spoke")])
        .run();
    outcome.succeeded();
    assert!(world.calls(Skin::Sts).is_empty() && world.calls(Skin::Oidc).is_empty());
    insta::assert_snapshot!(outcome.report());
    world.finish();
}
