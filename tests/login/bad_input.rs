//! Purpose: what is wrong before anybody is asked: exit code, all at once, no request.

use super::{with_keys, with_token};
use crate::support::Landfall;
use crate::world::{Skin, World};

#[tokio::test]
async fn several_problems_are_reported_at_once() {
    let world = World::start().await;
    let outcome = with_token(&world)
        .inputs(&[
            ("aws_region", "Frankfurt"),
            ("role_to_assume", "arn:aws:iam::1:user/me"),
            ("role_session_name", "my session"),
            ("role_duration", "5m"),
            ("allowed_account_ids", "1234"),
            ("registries", "acme, https://ghcr.io"),
            ("chained_roles", "arn:aws:s3:::bucket"),
            ("role_external_id", "x"),
            ("inline_session_policy", "{"),
            ("managed_session_policies", "ReadOnlyAccess"),
            ("aws_access_key_id", "AKIA"),
            ("registry_password", "hunter2-and-more"),
        ])
        .run();
    outcome.failed(2, "invalid-input");
    outcome.keeps("hunter2-and-more");
    assert!(world.calls(Skin::Sts).is_empty() && world.calls(Skin::Oidc).is_empty());
    insta::assert_snapshot!(outcome.report());
    world.finish();
}

#[tokio::test]
async fn what_only_a_role_can_use_needs_one() {
    let world = World::start().await;
    for (input, value) in [
        ("role_chaining", "true"),
        ("chained_roles", "spoke"),
        ("role_external_id", "x"),
        ("inline_session_policy", "{}"),
        ("managed_session_policies", "arn:aws:iam::aws:policy/A"),
        ("audience", "a"),
    ] {
        let outcome = with_keys(&world).input(input, value).run();
        outcome.failed(2, "invalid-input");
        let message = &outcome.annotations("error")[0].message;
        assert!(message.contains(input) && message.contains("role_to_assume"), "{message}");
    }
    assert!(world.calls(Skin::Sts).is_empty());
    world.finish();
}

#[tokio::test]
async fn halves_of_a_login_are_refused() {
    for (input, missing) in [
        ("aws_access_key_id", "aws_secret_access_key"),
        ("aws_secret_access_key", "aws_access_key_id"),
        ("aws_session_token", "aws_access_key_id"),
    ] {
        let outcome = Landfall::new("login").inputs(&[("aws_region", "eu-central-1"), (input, "half")]).run();
        outcome.failed(2, "invalid-input");
        assert!(outcome.annotations("error")[0].message.contains(missing), "{}", outcome.report());
    }
}

#[tokio::test]
async fn one_password_is_not_told_to_several_registries() {
    let login = Landfall::new("login").inputs(&[
        ("registries", "quay.io, registry.example"),
        ("registry_username", "me"),
        ("registry_password", "hunter2-and-more"),
    ]);
    let outcome = login.run();
    outcome.failed(2, "invalid-input");
    assert!(outcome.annotations("error")[0].message.contains("quay.io, registry.example"), "{}", outcome.report());
}
