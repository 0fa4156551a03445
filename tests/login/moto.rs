//! Purpose: a login against moto, a third party's opinion of STS and ECR.

use crate::support::Landfall;

/// The server's address.
#[expect(clippy::disallowed_methods, reason = "a test reads its own environment")]
fn moto() -> String {
    std::env::var("LANDFALL_TEST_MOTO")
        .expect("LANDFALL_TEST_MOTO must name a moto server: run `make test`, or see tests/deploy/moto.rs")
}

#[tokio::test]
async fn a_role_is_assumed_and_ecr_logged_in_to() {
    let outcome = Landfall::new("login")
        .env("AWS_ENDPOINT_URL", moto())
        .env("AWS_REGION", "eu-central-1")
        .env("AWS_ACCESS_KEY_ID", "testing")
        .env("AWS_SECRET_ACCESS_KEY", "testing")
        .inputs(&[
            ("role_to_assume", "arn:aws:iam::123456789012:role/deploy"),
            ("inline_session_policy", r#"{"Version":"2012-10-17","Statement":[]}"#),
            ("registries", "ecr"),
            ("export", "true"),
        ])
        .run();
    outcome.succeeded();
    assert_eq!(outcome.output("aws_account_id"), "123456789012");
    assert!(outcome.output("caller_arn").contains("assumed-role/deploy/landfall"), "{}", outcome.output("caller_arn"));
    assert_eq!(outcome.output("registry"), "123456789012.dkr.ecr.eu-central-1.amazonaws.com");
    assert!(outcome.has_output("expiration") && outcome.has_output("docker_config"));
}
