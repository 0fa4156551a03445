//! Purpose: the straight path against moto, a third party's opinion of ECS.
//!
//! Needs a moto server whose address is in LANDFALL_TEST_MOTO, started with MOTO_ECS_SERVICE_RUNNING=1 so that a
//! service of one task counts as stable; `make test` starts one.

use serde_json::{Value, json};

use crate::support::Landfall;

/// The server's address.
#[expect(clippy::disallowed_methods, reason = "a test reads its own environment")]
fn moto() -> String {
    std::env::var("LANDFALL_TEST_MOTO").expect(
        "LANDFALL_TEST_MOTO must name a moto server: run `make test`, or `pip install 'moto[server,ecs,ecr]'`, \
         `MOTO_ECS_SERVICE_RUNNING=1 moto_server -p 5005` and set LANDFALL_TEST_MOTO=http://127.0.0.1:5005",
    )
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

/// A cluster with service `web` of one task; gives the names of cluster and family.
async fn service(moto: &str) -> (String, String) {
    let (cluster, family) = (format!("prod-{}", std::process::id()), format!("web-{}", std::process::id()));
    let container =
        json!({ "name": "web", "image": "acme/web:1", "memory": 128, "environment": [{ "name": "A", "value": "1" }] });
    let definition = json!({ "family": family, "containerDefinitions": [container] });
    call(moto, "CreateCluster", &json!({ "clusterName": cluster })).await;
    call(moto, "RegisterTaskDefinition", &definition).await;
    let service = json!({ "cluster": cluster, "serviceName": "web", "taskDefinition": family, "desiredCount": 1 });
    call(moto, "CreateService", &service).await;
    (cluster, family)
}

fn deploy(moto: &str, cluster: &str) -> Landfall {
    let environment = [
        ("AWS_ENDPOINT_URL", moto),
        ("AWS_REGION", "eu-central-1"),
        ("AWS_ACCESS_KEY_ID", "testing"),
        ("AWS_SECRET_ACCESS_KEY", "testing"),
    ];
    let run = environment.iter().fold(Landfall::new("deploy"), |run, (name, value)| run.env(name, value));
    run.inputs(&[("cluster", cluster), ("service", "web"), ("image", "acme/web:2"), ("poll_interval", "100ms")])
}

#[tokio::test]
async fn the_straight_path() {
    let moto = moto();
    let (cluster, family) = service(&moto).await;
    let outcome = deploy(&moto, &cluster).run();
    outcome.succeeded();
    assert_eq!(outcome.output("status"), "deployed");
    assert!(outcome.output("task_definition_arn").ends_with(&format!("task-definition/{family}:2")));
    let answer = call(&moto, "DescribeServices", &json!({ "cluster": cluster, "services": ["web"] })).await;
    assert_eq!(answer["services"][0]["taskDefinition"], outcome.output("task_definition_arn"));
    let answer = call(&moto, "DescribeTaskDefinition", &json!({ "taskDefinition": family })).await;
    let container = &answer["taskDefinition"]["containerDefinitions"][0];
    assert_eq!(container["image"], "acme/web:2");
    assert_eq!(container["environment"][0]["value"], "1");
    // And again: nothing to register, nothing to deploy.
    let outcome = deploy(&moto, &cluster).run();
    outcome.succeeded();
    assert_eq!(outcome.output("status"), "unchanged");
    let answer = call(&moto, "ListTaskDefinitions", &json!({ "familyPrefix": family })).await;
    assert_eq!(answer["taskDefinitionArns"].as_array().map(Vec::len), Some(2));
}
