//! Purpose: the way back against moto, a third party's opinion of ECS.
//!
//! Needs a moto server whose address is in LANDFALL_TEST_MOTO; `make test` starts one. moto knows no service
//! deployments, so the revision is named.

use serde_json::{Value, json};

use crate::support::Landfall;

/// The server's address.
#[expect(clippy::disallowed_methods, reason = "a test reads its own environment")]
fn moto() -> String {
    std::env::var("LANDFALL_TEST_MOTO")
        .expect("LANDFALL_TEST_MOTO must name a moto server: run `make test`, or see tests/deploy/moto.rs")
}

/// One call, as the AWS command line tool would make it.
async fn call(moto: &str, operation: &str, body: &Value) -> Value {
    let request = landfall::services::http::client().unwrap()
        .post(moto)
        .header("x-amz-target", format!("AmazonEC2ContainerServiceV20141113.{operation}"))
        .header("content-type", "application/x-amz-json-1.1")
        .header("authorization", "AWS4-HMAC-SHA256 Credential=testing/20260101/eu-central-1/ecs/aws4_request, SignedHeaders=host, Signature=0")
        .body(body.to_string());
    let answer = request.send().await.expect("moto answers");
    assert!(answer.status().is_success(), "{operation}: {}", answer.status());
    answer.json().await.expect("moto answers JSON")
}

fn rollback(moto: &str, cluster: &str) -> Landfall {
    let environment = [
        ("AWS_ENDPOINT_URL", moto),
        ("AWS_REGION", "eu-central-1"),
        ("AWS_ACCESS_KEY_ID", "testing"),
        ("AWS_SECRET_ACCESS_KEY", "testing"),
    ];
    let run = environment.iter().fold(Landfall::new("rollback"), |run, (name, value)| run.env(name, value));
    run.inputs(&[("cluster", cluster), ("service", "web"), ("poll_interval", "100ms")])
}

#[tokio::test]
async fn the_straight_path() {
    let moto = moto();
    let (cluster, family) = (format!("back-{}", std::process::id()), format!("back-{}", std::process::id()));
    call(&moto, "CreateCluster", &json!({ "clusterName": cluster })).await;
    for image in ["acme/web:1", "acme/web:2"] {
        let container = json!({ "name": "web", "image": image, "memory": 128 });
        let definition = json!({ "family": family, "containerDefinitions": [container] });
        call(&moto, "RegisterTaskDefinition", &definition).await;
    }
    let service =
        json!({ "cluster": cluster, "serviceName": "web", "taskDefinition": format!("{family}:2"), "desiredCount": 1 });
    call(&moto, "CreateService", &service).await;
    let listed = rollback(&moto, &cluster).input("list", "true").run();
    listed.succeeded();
    let revisions: Value = serde_json::from_str(listed.output("revisions")).unwrap();
    assert_eq!((&revisions[0]["image"], &revisions[1]["image"]), (&"acme/web:2".into(), &"acme/web:1".into()));
    let outcome = rollback(&moto, &cluster).input("to", "1").run();
    outcome.succeeded();
    assert_eq!(outcome.output("status"), "rolled-back");
    let answer = call(&moto, "DescribeServices", &json!({ "cluster": cluster, "services": ["web"] })).await;
    assert_eq!(answer["services"][0]["taskDefinition"], outcome.output("task_definition_arn"));
    assert!(outcome.output("task_definition_arn").ends_with(":1"));
    // And again: there already.
    let outcome = rollback(&moto, &cluster).input("to", "1").run();
    outcome.succeeded();
    assert_eq!(outcome.output("status"), "unchanged");
}
