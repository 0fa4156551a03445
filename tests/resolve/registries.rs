//! Purpose: the ways to ask a registry: ECR's API, logins of every kind, a real registry.

use std::sync::Arc;

use landfall::domain::reference::ImageRef;
use landfall::services::registry::{LoginSources, Manifest, RegistryClient, RegistryOptions};

use super::support::Landfall;
use super::world::images::Auth;
use super::world::{Skin, World};
use super::{
    COMPANION, FEATURE, by_commit, decided, done, error, failing, image, pull_request, pull_request_of, start,
};

fn by_ecr(world: &World) -> Landfall {
    pull_request(world).envs(world.aws_env()).input("provider", "ecr")
}

#[test]
fn ecr_is_asked_by_its_own_api() {
    let world = start();
    decided(&world, &done(by_ecr(&world)), "build-required", &by_commit(), "true", "trunk");
    let digest = image(&world, &by_commit());
    let outcome = done(by_ecr(&world));
    decided(&world, &outcome, "existing-image", &by_commit(), "false", "");
    assert_eq!(outcome.output("digest"), digest);
    assert!(world.calls(Skin::Registry).is_empty());
    let outcome = failing(by_ecr(&world).input("repository", "elsewhere"), 1, "aws-not-found");
    assert!(error(&outcome).contains("RepositoryNotFoundException"), "{}", error(&outcome));
    world.finish();
}

#[test]
fn an_ecr_host_brings_account_and_region() {
    let world = start();
    let (account, region) = {
        let state = world.state();
        (state.aws.account.clone(), state.aws.region.clone())
    };
    image(&world, &by_commit());
    let host = format!("{account}.dkr.ecr.{region}.amazonaws.com");
    let step = pull_request_of(&world, FEATURE, "main").envs(world.aws_env()).without("AWS_REGION").inputs(&[
        ("ecr_registry", &host),
        ("repository", "dashboard"),
        ("companion", COMPANION),
    ]);
    let outcome = done(step);
    assert_eq!(outcome.output("image"), format!("{host}/dashboard:{}", by_commit()));
    assert_eq!(outcome.output("strategy"), "existing-image");
    world.finish();
}

#[test]
fn without_aws_credentials_ecr_is_an_error() {
    let world = start();
    let step = by_ecr(&world).without("AWS_ACCESS_KEY_ID").without("AWS_SECRET_ACCESS_KEY");
    let outcome = failing(step, 5, "aws-unauthenticated");
    assert!(error(&outcome).contains("role_to_assume"), "{}", error(&outcome));
    world.finish();
}

#[test]
fn a_registry_login_is_used_and_never_shown() {
    let world = start();
    image(&world, &by_commit());
    let (user, secret) = ("robot", "hunter2-hunter2");
    let (username, password) = (user.to_owned(), secret.to_owned());
    let basic = Auth::Basic { username: username.clone(), password: password.clone() };
    for auth in [basic, Auth::Bearer { username, password }] {
        world.state().images.auth = auth;
        world.state().images.repository("dashboard").private = true;
        let step = || pull_request(&world);
        let outcome = failing(step(), 5, "registry-unauthenticated");
        assert!(error(&outcome).contains("registry_username"), "{}", error(&outcome));
        let login = [("registry_username", user), ("registry_password", secret)];
        let outcome = done(step().inputs(&login));
        assert_eq!(outcome.output("strategy"), "existing-image");
        outcome.keeps(secret);
        let wrong = [("registry_username", user), ("registry_password", "wrong-password")];
        let outcome = step().inputs(&wrong).run();
        // GHCR and its like refuse a wrong login with 403.
        assert_eq!(outcome.code, Some(5), "{}", outcome.report());
        outcome.keeps("wrong-password");
        // `robot:hunter2-hunter2`
        let config =
            format!(r#"{{"auths":{{"{}":{{"auth":"cm9ib3Q6aHVudGVyMi1odW50ZXIy"}}}}}}"#, world.registry_host());
        let step = step().file("docker/config.json", config);
        let folder = step.workspace().join("docker");
        done(step.env("DOCKER_CONFIG", folder)).keeps(secret);
    }
    let outcome = failing(pull_request(&world).input("registry_username", user), 2, "invalid-input");
    assert!(error(&outcome).contains("registry_password"), "{}", error(&outcome));
    world.finish();
}

/// What `make test` sets.
#[expect(clippy::disallowed_methods, reason = "tests read what `make test` sets")]
fn variable(name: &str) -> String {
    std::env::var(name).unwrap_or_else(|_| panic!("{name} is not set: `make test` starts what this test needs"))
}

#[tokio::test]
async fn a_real_registry_gives_the_same_answers() {
    let host = variable("LANDFALL_TEST_REGISTRY");
    let repository = format!("resolve-{}", std::process::id());
    let world = start();
    let step = || {
        let names = [("registry", host.as_str()), ("repository", &repository), ("companion", COMPANION)];
        pull_request_of(&world, FEATURE, "main").inputs(&names)
    };
    assert_eq!(done(step()).output("strategy"), "build-required");
    let registry = anonymous();
    let manifest = empty_index();
    let image: ImageRef = format!("{host}/{repository}:{}", by_commit()).parse().unwrap();
    registry.put_manifest(&image, &manifest).await.unwrap();
    let outcome = done(step());
    assert_eq!([outcome.output("strategy"), outcome.output("digest")], ["existing-image", manifest.digest.as_str()]);
    let mut tags = registry.tags(image.name());
    assert_eq!(tags.next().await.unwrap(), Some(by_commit()));
    assert_eq!(tags.next().await.unwrap(), None);
    registry.delete_manifest(image.name(), &manifest.digest).await.unwrap();
    assert_eq!(done(step()).output("strategy"), "build-required");
    world.finish();
}

fn anonymous() -> RegistryClient {
    let logins = LoginSources { given: None, ghcr: None, aws: None, docker_config: None, secrets: Arc::new(|_| {}) };
    RegistryClient::new(RegistryOptions { logins, insecure: Vec::new() }).unwrap()
}

fn empty_index() -> Manifest {
    let kind = "application/vnd.oci.image.index.v1+json";
    let body = format!(r#"{{"schemaVersion":2,"mediaType":"{kind}","manifests":[]}}"#);
    Manifest::new(kind, body.into()).unwrap()
}
