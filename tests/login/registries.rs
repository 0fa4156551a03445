//! Purpose: logins to registries: proven, written down for docker, gone at the end of the job.

use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use base64::Engine as _;
use serde_json::{Value, json};

use super::{exported, with_keys};
use crate::support::Landfall;
use crate::world::{Skin, World};

const ECR: &str = "123456789012.dkr.ecr.eu-central-1.amazonaws.com";

fn config(folder: &str) -> Value {
    serde_json::from_slice(&std::fs::read(Path::new(folder).join("config.json")).unwrap()).unwrap()
}

fn auth(user: &str, password: &str) -> Value {
    json!({ "auth": base64::prelude::BASE64_STANDARD.encode(format!("{user}:{password}")) })
}

/// A variable that names a real part.
#[expect(clippy::disallowed_methods, reason = "a test reads its own environment")]
fn part(name: &str) -> String {
    std::env::var(name).unwrap_or_else(|_| panic!("{name} must be set: eval \"$(scripts/parts env)\""))
}

/// `login` to the real registry with a password.
fn to_real_registry() -> (String, Landfall) {
    let host = part("LANDFALL_TEST_AUTH_REGISTRY");
    let login = Landfall::new("login").inputs(&[
        ("registries", host.as_str()),
        ("registry_username", &part("LANDFALL_TEST_AUTH_REGISTRY_USERNAME")),
        ("registry_password", &part("LANDFALL_TEST_AUTH_REGISTRY_PASSWORD")),
    ]);
    (host, login)
}

#[tokio::test]
async fn ecr_s_token_is_written_down_and_goes_with_the_job() {
    let world = World::start().await;
    let other = "999999999999.dkr.ecr.eu-central-1.amazonaws.com";
    let login = with_keys(&world)
        .inputs(&[("registries", &format!("ecr, 999999999999, {ECR}, public.ecr.aws")), ("export", "true")]);
    let outcome = login.run();
    outcome.succeeded();
    assert_eq!(outcome.output("registry"), ECR);
    assert_eq!(outcome.output("registries"), format!("{ECR}\n{other}\npublic.ecr.aws"));
    assert_eq!(world.calls(Skin::Ecr), ["GetAuthorizationToken"], "one token serves all of a region");
    assert_eq!(world.calls(Skin::EcrPublic), ["GetAuthorizationToken"]);
    let folder = exported(&outcome, "DOCKER_CONFIG").unwrap().to_owned();
    assert_eq!(outcome.output("docker_config"), folder);
    assert!(Path::new(&folder).starts_with(outcome.temp()), "{folder}");
    let written = config(&folder);
    for host in [ECR, other, "public.ecr.aws"] {
        assert_eq!(written["auths"][host], auth("AWS", crate::world::ecr::PASSWORD), "{host}");
    }
    let mode = |path: &Path| std::fs::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!(mode(Path::new(&folder)), 0o700);
    outcome.keeps(crate::world::ecr::PASSWORD);
    let report =
        regex::Regex::new("landfall-docker-[0-9a-f]+").unwrap().replace_all(&outcome.report(), "<folder>").into_owned();
    insta::assert_snapshot!(report);
    let post = outcome.post().run();
    assert_eq!(post.code, Some(0));
    assert!(!PathBuf::from(&folder).exists(), "the logins are gone");
    // And once more: there is nothing left to do.
    assert_eq!(post.post().run().code, Some(0));
    world.finish();
}

#[tokio::test]
async fn a_real_registry_proves_the_login() {
    let (host, login) = to_real_registry();
    let outcome = login.run();
    outcome.succeeded();
    assert_eq!(outcome.output("registry"), host);
    assert!(!outcome.has_output("aws_account_id"), "no AWS is asked for a registry of another kind");
    let (user, password) = (part("LANDFALL_TEST_AUTH_REGISTRY_USERNAME"), part("LANDFALL_TEST_AUTH_REGISTRY_PASSWORD"));
    assert_eq!(config(outcome.output("docker_config"))["auths"][&host], auth(&user, &password));
    assert!(outcome.exported.is_empty());
    let (_, login) = to_real_registry();
    let wrong = login.input("registry_password", "not-the-password").run();
    wrong.failed(5, "registry-unauthenticated");
    assert!(wrong.annotations("error")[0].message.contains(&host), "{}", wrong.report());
    assert!(!wrong.has_output("docker_config"));
    wrong.keeps("not-the-password");
}

#[tokio::test]
async fn logins_of_others_stay() {
    let (host, login) = to_real_registry();
    let folder = tempfile::tempdir().unwrap();
    let before = json!({ "auths": { "quay.io": { "auth": "eDp5" } } });
    std::fs::write(folder.path().join("config.json"), before.to_string()).unwrap();
    let outcome = login.env("DOCKER_CONFIG", folder.path()).run();
    outcome.succeeded();
    let written = config(outcome.output("docker_config"));
    assert_eq!(written["auths"]["quay.io"]["auth"], "eDp5");
    assert!(written["auths"][&host].is_object());
    let kept: Value = serde_json::from_slice(&std::fs::read(folder.path().join("config.json")).unwrap()).unwrap();
    assert_eq!(kept, before, "the file of others is not touched");
}

#[tokio::test]
async fn a_registry_without_a_known_login_is_bad_input() {
    let outcome = Landfall::new("login").input("registries", "registry.example").run();
    outcome.failed(2, "registry-login-missing");
    assert!(outcome.annotations("error")[0].message.contains("registry.example"), "{}", outcome.report());
}

#[tokio::test]
async fn a_denied_ecr_names_the_action() {
    let world = World::start().await;
    world.state().aws.deny("ecr:GetAuthorizationToken");
    let outcome = with_keys(&world).inputs(&[("registries", "ecr"), ("export", "true")]).run();
    outcome.failed(5, "aws-forbidden");
    assert!(outcome.annotations("error")[0].message.contains("ecr:GetAuthorizationToken"), "{}", outcome.report());
    assert!(outcome.exported.is_empty(), "nothing is handed out by halves");
    world.finish();
}
