//! Purpose: one-off tasks, their logs, and the small services beside ECS.

use aws_sdk_ecs::types::{
    AwsVpcConfiguration, Container, ContainerOverride, NetworkConfiguration, Task, TaskOverride, TaskStopCode,
};
use serde_json::{Value, json};

use crate::clients::{ecs, http};
use crate::world::ecs::{Cause, TaskScript};
use crate::world::{World, aws};

/// A cluster with a migration's task definition that logs to `/ecs/web`.
async fn prepared() -> (World, aws_sdk_ecs::Client) {
    let world = World::start().await;
    let logging =
        json!({ "logDriver": "awslogs", "options": { "awslogs-group": "/ecs/web", "awslogs-stream-prefix": "web" } });
    let containers = json!([
        { "name": "web", "image": "acme/web:1", "logConfiguration": logging },
        { "name": "sidecar", "image": "acme/sidecar:1", "essential": false },
    ]);
    let definition = json!({ "networkMode": "awsvpc", "containerDefinitions": containers });
    let arn = world.state().task_definition("web", &definition);
    world.state().service_of("prod", "web", &arn, 1);
    world.state().logs.group("/ecs/web");
    let client = ecs(&world);
    (world, client)
}

fn run(client: &aws_sdk_ecs::Client, token: &str) -> aws_sdk_ecs::operation::run_task::builders::RunTaskFluentBuilder {
    let network = AwsVpcConfiguration::builder().subnets("subnet-0a1b2c3d").build().unwrap();
    let command = ContainerOverride::builder().name("web").command("migrate").command("up").build();
    client
        .run_task()
        .cluster("prod")
        .task_definition("web")
        .client_token(token)
        .network_configuration(NetworkConfiguration::builder().awsvpc_configuration(network).build())
        .overrides(TaskOverride::builder().container_overrides(command).build())
}

async fn look(client: &aws_sdk_ecs::Client, task: &str) -> Task {
    client.describe_tasks().cluster("prod").tasks(task).send().await.unwrap().tasks()[0].clone()
}

#[tokio::test]
async fn a_task_runs_logs_and_exits() {
    let (world, client) = prepared().await;
    let script = TaskScript::exits(0).logging(&["one", "two", "three"]).other("sidecar", Some(137));
    world.state().ecs.task_script("migrate*", script);
    let started = run(&client, "a").send().await.unwrap();
    let arn = started.tasks()[0].task_arn().unwrap().to_owned();
    let mut statuses = Vec::new();
    for _ in 0..3 {
        statuses.push(look(&client, &arn).await.last_status().unwrap().to_owned());
    }
    assert_eq!(statuses, ["RUNNING", "RUNNING", "STOPPED"]);
    let end = look(&client, &arn).await;
    assert_eq!(end.stop_code(), Some(&TaskStopCode::EssentialContainerExited));
    let codes: Vec<_> = end.containers().iter().map(Container::exit_code).collect();
    assert_eq!(codes, [Some(0), Some(137)]);
    let id = arn.rsplit('/').next().unwrap();
    let lines = log_events(&world, &format!("web/web/{id}")).await;
    assert_eq!(lines, ["one", "two", "three"]);
    assert_eq!(world.take_writes(), ["ecs RunTask prod web:1"]);
    world.finish();
}

async fn aws_json(world: &World, service: &str, target: &str, body: Value) -> (u16, Value) {
    let scope = format!("Credential={}/20260101/eu-central-1/{service}/aws4_request", aws::STATIC_KEY_ID);
    let request = http()
        .post(world.aws_url())
        .header("x-amz-target", target)
        .header("authorization", format!("AWS4-HMAC-SHA256 {scope}, SignedHeaders=host, Signature=0"))
        .body(body.to_string());
    let answer = request.send().await.unwrap();
    (answer.status().as_u16(), answer.json().await.unwrap())
}

async fn log_events(world: &World, stream: &str) -> Vec<String> {
    let body = json!({ "logGroupName": "/ecs/web", "logStreamName": stream, "startFromHead": true });
    let (status, answer) = aws_json(world, "logs", "Logs_20140328.GetLogEvents", body).await;
    assert_eq!(status, 200, "{answer}");
    answer["events"].as_array().unwrap().iter().map(|event| event["message"].as_str().unwrap().to_owned()).collect()
}

#[tokio::test]
async fn the_same_client_token_starts_nothing_again() {
    let (world, client) = prepared().await;
    let first = run(&client, "same").send().await.unwrap();
    let second = run(&client, "same").send().await.unwrap();
    assert_eq!(first.tasks()[0].task_arn(), second.tasks()[0].task_arn());
    assert_eq!(world.take_writes().len(), 1);
    world.finish();
}

#[tokio::test]
async fn tasks_fail_to_start_hang_and_are_refused() {
    let (world, client) = prepared().await;
    world.state().ecs.task_script("web:1", TaskScript::fails_to_start(Cause::secret("db-password")));
    let arn = run(&client, "a").send().await.unwrap().tasks()[0].task_arn().unwrap().to_owned();
    let end = look(&client, &arn).await;
    assert_eq!(end.stop_code(), Some(&TaskStopCode::TaskFailedToStart));
    assert_eq!(end.containers()[0].exit_code(), None);
    world.state().ecs.task_script("web:1", TaskScript::hangs());
    let arn = run(&client, "b").send().await.unwrap().tasks()[0].task_arn().unwrap().to_owned();
    assert_eq!(look(&client, &arn).await.last_status(), Some("RUNNING"));
    client.stop_task().cluster("prod").task(&arn).reason("enough").send().await.unwrap();
    assert_eq!(look(&client, &arn).await.stopped_reason(), Some("enough"));
    world.state().ecs.task_script("web:1", TaskScript::refused("RESOURCE:MEMORY"));
    let refused = run(&client, "c").send().await.unwrap();
    assert_eq!(refused.failures()[0].reason(), Some("RESOURCE:MEMORY"));
    world.explain_writes();
    world.finish();
}

#[tokio::test]
async fn a_task_without_a_network_or_with_a_foreign_container_is_refused() {
    let (world, client) = prepared().await;
    let bare = client.run_task().cluster("prod").task_definition("web").send().await.unwrap_err();
    assert!(bare.into_service_error().is_invalid_parameter_exception());
    let foreign = ContainerOverride::builder().name("nobody").build();
    let foreign = run(&client, "a").overrides(TaskOverride::builder().container_overrides(foreign).build());
    assert!(foreign.send().await.unwrap_err().into_service_error().is_invalid_parameter_exception());
    world.finish();
}

#[tokio::test]
async fn parameters_are_written_and_secrets_are_only_described() {
    let (world, _) = prepared().await;
    let put = json!({ "Name": "/web/image", "Value": "acme/web:2", "Type": "String" });
    assert_eq!(aws_json(&world, "ssm", "AmazonSSM.PutParameter", put.clone()).await.0, 200);
    let (status, refused) = aws_json(&world, "ssm", "AmazonSSM.PutParameter", put).await;
    assert_eq!((status, &refused["__type"]), (400, &json!("ParameterAlreadyExists")));
    let names = json!({ "Names": ["/web/image", "/web/none"] });
    let (_, found) = aws_json(&world, "ssm", "AmazonSSM.GetParameters", names).await;
    assert_eq!(found["Parameters"][0]["Value"], "acme/web:2");
    assert_eq!(found["InvalidParameters"], json!(["/web/none"]));
    world.state().secrets.0.insert("web/db".into());
    let arn = "arn:aws:secretsmanager:eu-central-1:123456789012:secret:web/db-AbCdEf";
    let asked = aws_json(&world, "secretsmanager", "secretsmanager.DescribeSecret", json!({ "SecretId": arn })).await;
    assert_eq!((asked.0, &asked.1["Name"]), (200, &json!("web/db")));
    assert_eq!(world.take_writes(), ["ssm PutParameter /web/image=acme/web:2"]);
    world.finish();
}

#[tokio::test]
async fn target_health_comes_as_xml() {
    let (world, _) = prepared().await;
    let target = crate::world::elb::Target {
        id: "10.0.0.1".into(),
        port: 80,
        state: "unhealthy".into(),
        reason: "Target.FailedHealthChecks".into(),
        description: "Health checks failed".into(),
    };
    world.state().targets.0.insert("arn:tg/web".into(), vec![target]);
    let scope = format!("Credential={}/20260101/eu-central-1/elasticloadbalancing/aws4_request", aws::STATIC_KEY_ID);
    let request = http()
        .post(world.aws_url())
        .header("authorization", format!("AWS4-HMAC-SHA256 {scope}, SignedHeaders=host, Signature=0"))
        .header("content-type", "application/x-www-form-urlencoded")
        .body("Action=DescribeTargetHealth&Version=2015-12-01&TargetGroupArn=arn%3Atg%2Fweb");
    let body = request.send().await.unwrap().text().await.unwrap();
    assert!(body.contains("<Reason>Target.FailedHealthChecks</Reason>"), "{body}");
    world.finish();
}
