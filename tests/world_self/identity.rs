//! Purpose: OIDC tokens, roles that trust some of them, sessions that end.

use std::time::Duration;

use aws_sdk_ecs::config::Credentials;
use serde_json::Value;

use crate::clients::{ecs_as, http, sts};
use crate::world::World;
use crate::world::sts::Role;

const ROLE: &str = "arn:aws:iam::123456789012:role/deploy";

async fn token(world: &World) -> String {
    let url = format!("{}&audience=sts.amazonaws.com", world.oidc_url());
    let bearer = world.state().oidc.bearer.clone();
    let answer: Value = http().get(url).bearer_auth(bearer).send().await.unwrap().json().await.unwrap();
    answer["value"].as_str().unwrap().to_owned()
}

async fn assume(world: &World, jwt: &str) -> Result<Credentials, String> {
    let request = sts(world).assume_role_with_web_identity().role_arn(ROLE).role_session_name("landfall");
    let answer = request.web_identity_token(jwt).send().await;
    let answer = answer.map_err(|error| error.into_service_error().meta().code().unwrap_or_default().to_owned())?;
    let keys = answer.credentials().unwrap();
    Ok(Credentials::new(
        keys.access_key_id(),
        keys.secret_access_key(),
        Some(keys.session_token().into()),
        None,
        "test",
    ))
}

#[tokio::test]
async fn a_token_becomes_a_session_that_ends() {
    let world = World::start().await;
    world.state().aws.roles.insert(ROLE.into(), Role::for_subject("repo:acme/app:*"));
    let keys = assume(&world, &token(&world).await).await.unwrap();
    let client = ecs_as(&world, keys);
    client.describe_clusters().send().await.unwrap();
    world.advance(Duration::from_secs(3601));
    let late = client.describe_clusters().send().await.unwrap_err().into_service_error();
    assert_eq!(late.meta().code(), Some("ExpiredTokenException"));
    assert_eq!(world.state().oidc.issued.len(), 1);
    world.finish();
}

#[tokio::test]
async fn trust_is_refused_by_subject_role_age_and_use() {
    let world = World::start().await;
    let jwt = token(&world).await;
    assert_eq!(assume(&world, &jwt).await.unwrap_err(), "AccessDenied");
    world.state().aws.roles.insert(ROLE.into(), Role::for_subject("repo:other/app:*"));
    assert_eq!(assume(&world, &jwt).await.unwrap_err(), "AccessDenied");
    world.state().aws.roles.insert(ROLE.into(), Role::for_subject("repo:acme/app:*"));
    world.state().oidc.single_use = true;
    assert_eq!(assume(&world, &jwt).await.unwrap_err(), "InvalidIdentityToken");
    let fresh = token(&world).await;
    world.advance(Duration::from_secs(301));
    assert_eq!(assume(&world, &fresh).await.unwrap_err(), "ExpiredTokenException");
    assert_eq!(assume(&world, "made.up.token").await.unwrap_err(), "InvalidIdentityToken");
    assert!(assume(&world, &token(&world).await).await.is_ok());
    world.finish();
}

#[tokio::test]
async fn sessions_can_be_used_up() {
    let world = World::start().await;
    world.state().aws.roles.insert(ROLE.into(), Role::for_subject("*"));
    world.state().aws.session_uses = Some(2);
    let client = ecs_as(&world, assume(&world, &token(&world).await).await.unwrap());
    let mut seen = Vec::new();
    for _ in 0..3 {
        seen.push(client.describe_clusters().send().await.is_ok());
    }
    assert_eq!(seen, [true, true, false]);
    world.finish();
}

#[tokio::test]
async fn roles_are_chained_and_callers_named() {
    let world = World::start().await;
    let principals = vec!["arn:aws:iam::123456789012:user/*".to_owned()];
    let role = Role { principals, external_id: Some("42".into()), ..Role::default() };
    world.state().aws.roles.insert(ROLE.into(), role);
    let client = sts(&world);
    let me = client.get_caller_identity().send().await.unwrap();
    assert_eq!(me.account(), Some("123456789012"));
    let ask = |id: &str| client.assume_role().role_arn(ROLE).role_session_name("x1").external_id(id).send();
    assert!(ask("41").await.is_err());
    let session = ask("42").await.unwrap();
    assert!(session.assumed_role_user().unwrap().arn().ends_with("assumed-role/deploy/x1"));
    world.finish();
}

#[tokio::test]
async fn strangers_get_nothing() {
    let world = World::start().await;
    let client = ecs_as(&world, Credentials::new("AKIASTRANGER", "x", None, None, "test"));
    let refused = client.describe_clusters().send().await.unwrap_err().into_service_error();
    assert_eq!(refused.meta().code(), Some("UnrecognizedClientException"));
    let answer = http().get(world.oidc_url()).bearer_auth("wrong").send().await.unwrap();
    assert_eq!(answer.status(), 401);
    world.finish();
}

#[tokio::test]
async fn a_credential_at_another_host_is_a_violation_however_it_is_dressed() {
    let world = World::start().await;
    let jwt = token(&world).await;
    let basic = http().get(world.health_url("web")).basic_auth("octocat", Some(crate::world::github::TOKEN));
    let query = http().get(format!("{}?a=x%67hs_world", world.health_url("web")));
    let body = http().post(world.webhook_url("slack")).json(&serde_json::json!({ "text": jwt }));
    for (number, request) in [basic, query, body].into_iter().enumerate() {
        request.send().await.unwrap();
        let problems = world.state().problems.clone();
        let strays = problems.iter().filter(|problem| problem.starts_with("the credential")).count();
        assert_eq!(strays, number + 1, "{problems:?}");
    }
    world.close();
}
