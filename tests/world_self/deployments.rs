//! Purpose: how deployments go in the fake ECS, seen through the real client.

use std::time::Duration;

use aws_sdk_ecs::types::{
    ContainerDefinition, DeploymentRolloutState, DesiredStatus, ServiceDeployment, ServiceDeploymentStatus as Status,
    StopServiceDeploymentStopType as StopType, TaskStopCode,
};
use serde_json::json;

use crate::clients::ecs;
use crate::world::ecs::{Action, Cause, Script};
use crate::world::{After, Fault, Skin, World};

/// A world with `prod/web` on `acme/web:1`, and a client.
async fn running() -> (World, aws_sdk_ecs::Client) {
    let world = World::start().await;
    world.state().service("prod", "web", "acme/web:1");
    let client = ecs(&world);
    (world, client)
}

/// Deploys `acme/web:2`. Gives the service deployment's ARN as the update names it.
async fn deploy(client: &aws_sdk_ecs::Client) -> String {
    let container = ContainerDefinition::builder().name("web").image("acme/web:2").build();
    let made = client.register_task_definition().family("web").container_definitions(container).send().await.unwrap();
    let arn = made.task_definition().unwrap().task_definition_arn().unwrap();
    let updated = client.update_service().cluster("prod").service("web").task_definition(arn).send().await.unwrap();
    updated.service().unwrap().current_service_deployment().unwrap().to_owned()
}

async fn look(client: &aws_sdk_ecs::Client, deployment: &str) -> ServiceDeployment {
    let answer = client.describe_service_deployments().service_deployment_arns(deployment).send().await.unwrap();
    answer.service_deployments()[0].clone()
}

async fn statuses(client: &aws_sdk_ecs::Client, deployment: &str, looks: usize) -> Vec<Status> {
    let mut seen = Vec::new();
    for _ in 0..looks {
        seen.push(look(client, deployment).await.status().unwrap().clone());
    }
    seen
}

async fn service(client: &aws_sdk_ecs::Client) -> aws_sdk_ecs::types::Service {
    client.describe_services().cluster("prod").services("web").send().await.unwrap().services()[0].clone()
}

fn breaker(world: &World, rollback: bool) {
    let set = json!({ "deploymentCircuitBreaker": { "enable": true, "rollback": rollback } });
    world.state().ecs.find("prod", "web").settings.insert("deploymentConfiguration".into(), set);
}

#[tokio::test]
async fn a_service_moves_to_a_new_revision() {
    let (world, client) = running().await;
    let deployment = deploy(&client).await;
    let before = super::clients::http().get(world.health_url("web")).send().await.unwrap().text().await.unwrap();
    assert!(before.contains("acme/web:1"), "the old revision serves until the new one is complete: {before}");
    assert_eq!(statuses(&client, &deployment, 3).await, [Status::InProgress, Status::Successful, Status::Successful]);
    let after = super::clients::http().get(world.health_url("web")).send().await.unwrap().text().await.unwrap();
    assert!(after.contains("acme/web:2"), "{after}");
    let now = service(&client).await;
    assert_eq!((now.deployments().len(), now.running_count(), now.pending_count()), (1, 1, 0));
    assert_eq!(now.deployments()[0].rollout_state(), Some(&DeploymentRolloutState::Completed));
    assert_eq!(world.take_writes(), ["ecs RegisterTaskDefinition web:2", "ecs UpdateService prod/web web:2"]);
    world.finish();
}

#[tokio::test]
async fn timelines_follow_the_worlds_clock_as_well() {
    let (world, client) = running().await;
    world.state().ecs.script("web", "acme/web:2", Script::healthy(After::Millis(60_000)));
    let deployment = deploy(&client).await;
    assert_eq!(statuses(&client, &deployment, 2).await, [Status::InProgress, Status::InProgress]);
    world.advance(Duration::from_secs(60));
    assert_eq!(statuses(&client, &deployment, 1).await, [Status::Successful]);
    world.explain_writes();
    world.finish();
}

#[tokio::test]
async fn a_crash_loop_goes_on_and_leaves_stopped_tasks() {
    let (world, client) = running().await;
    world.state().ecs.script("web", "*:2", Script::crash_loop(3));
    let deployment = deploy(&client).await;
    let mine = service(&client).await.deployments()[0].id().unwrap().to_owned();
    assert_eq!(statuses(&client, &deployment, 5).await, vec![Status::InProgress; 5]);
    let stopped = client.list_tasks().cluster("prod").service_name("web").desired_status(DesiredStatus::Stopped);
    let stopped = stopped.send().await.unwrap();
    let tasks = client.describe_tasks().cluster("prod").set_tasks(stopped.task_arns).send().await.unwrap();
    let task = &tasks.tasks()[0];
    assert_eq!(task.stop_code(), Some(&TaskStopCode::EssentialContainerExited));
    assert_eq!((task.containers()[0].exit_code(), task.started_by()), (Some(3), Some(mine.as_str())));
    assert!(tasks.tasks().len() >= 5);
    assert!(service(&client).await.deployments()[0].failed_tasks() >= 5);
    world.explain_writes();
    world.finish();
}

#[tokio::test]
async fn the_circuit_breaker_rolls_back() {
    let (world, client) = running().await;
    breaker(&world, true);
    world.state().ecs.script("web", "acme/web:2", Script::image_pull_failure("acme/web:2"));
    let deployment = deploy(&client).await;
    use Status::{InProgress, RollbackInProgress, RollbackSuccessful};
    let seen = statuses(&client, &deployment, 5).await;
    assert_eq!(seen, [InProgress, InProgress, RollbackInProgress, RollbackInProgress, RollbackSuccessful]);
    let end = look(&client, &deployment).await;
    assert!(end.rollback().unwrap().reason().unwrap().contains("circuit breaker"));
    assert_eq!(end.deployment_circuit_breaker().unwrap().failure_count(), 3);
    let now = service(&client).await;
    assert!(now.task_definition().unwrap().ends_with("web:1"));
    assert_eq!((now.deployments().len(), now.running_count()), (1, 1), "{now:?}");
    assert!(now.events().iter().any(|event| { event.message().unwrap().contains("rolling back to deployment") }));
    world.explain_writes();
    world.finish();
}

#[tokio::test]
async fn the_circuit_breaker_without_rollback_leaves_the_failed_deployment() {
    let (world, client) = running().await;
    breaker(&world, false);
    world.state().ecs.script("web", "acme/web:2", Script::out_of_memory());
    let deployment = deploy(&client).await;
    let seen = statuses(&client, &deployment, 4).await;
    assert_eq!(seen, [Status::InProgress, Status::InProgress, Status::Stopped, Status::Stopped]);
    let now = service(&client).await;
    assert_eq!(now.deployments()[0].rollout_state(), Some(&DeploymentRolloutState::Failed));
    assert!(now.task_definition().unwrap().ends_with("web:2"));
    let page = super::clients::http().get(world.health_url("web")).send().await.unwrap().text().await.unwrap();
    assert!(page.contains("acme/web:1"), "the old tasks still serve: {page}");
    world.explain_writes();
    world.finish();
}

#[tokio::test]
async fn a_rollback_may_fail() {
    let (world, client) = running().await;
    breaker(&world, true);
    let script = Script::crash_loop(1).rollback_takes(After::Polls(1)).rollback_fails();
    world.state().ecs.script("web", "acme/web:2", script);
    let deployment = deploy(&client).await;
    let seen = statuses(&client, &deployment, 5).await;
    assert_eq!(seen.last(), Some(&Status::RollbackFailed), "{seen:?}");
    world.explain_writes();
    world.finish();
}

#[tokio::test]
async fn a_deployment_can_be_stopped_with_and_without_a_way_back() {
    for (kind, end) in [(StopType::Rollback, Status::RollbackSuccessful), (StopType::Abort, Status::Stopped)] {
        let (world, client) = running().await;
        world.state().ecs.script("web", "acme/web:2", Script::never_stable());
        let deployment = deploy(&client).await;
        assert_eq!(statuses(&client, &deployment, 1).await, [Status::InProgress]);
        let stop =
            || client.stop_service_deployment().service_deployment_arn(&deployment).stop_type(kind.clone()).send();
        stop().await.unwrap();
        let mut seen = statuses(&client, &deployment, 5).await;
        assert_eq!(seen.pop(), Some(end));
        assert!(stop().await.unwrap_err().into_service_error().is_conflict_exception());
        world.explain_writes();
        world.finish();
    }
}

#[tokio::test]
async fn another_deployment_supersedes_ours() {
    let (world, client) = running().await;
    world.state().ecs.script("web", "acme/web:2", Script::superseded("acme/web:theirs"));
    let deployment = deploy(&client).await;
    let seen = statuses(&client, &deployment, 3).await;
    assert_eq!(seen, [Status::InProgress, Status::Stopped, Status::Stopped]);
    let now = service(&client).await;
    assert!(now.task_definition().unwrap().ends_with("web:3"));
    assert_ne!(now.current_service_deployment(), Some(deployment.as_str()));
    assert_eq!(world.take_writes().len(), 2, "what others do is no write of ours");
    world.finish();
}

#[tokio::test]
async fn a_stale_answer_names_the_deployment_before() {
    let (world, client) = running().await;
    world.state().ecs.find("prod", "web").stale_answers = true;
    let before = service(&client).await.current_service_deployment().unwrap().to_owned();
    assert_eq!(deploy(&client).await, before);
    let listed = client.list_service_deployments().cluster("prod").service("web").send().await.unwrap();
    assert_ne!(listed.service_deployments()[0].service_deployment_arn(), Some(before.as_str()));
    world.explain_writes();
    world.finish();
}

#[tokio::test]
async fn deployments_are_listed_by_status_and_time() {
    let (world, client) = running().await;
    world.state().ecs.script("web", "acme/web:2", Script::never_stable());
    world.advance(Duration::from_secs(10));
    let middle = aws_sdk_ecs::primitives::DateTime::from_secs_f64(world.state().clock.seconds());
    world.advance(Duration::from_secs(10));
    let deployment = deploy(&client).await;
    let after = aws_sdk_ecs::types::CreatedAt::builder().after(middle).build();
    let listed =
        client.list_service_deployments().cluster("prod").service("web").created_at(after).send().await.unwrap();
    assert_eq!(listed.service_deployments().len(), 1);
    assert_eq!(listed.service_deployments()[0].service_deployment_arn(), Some(deployment.as_str()));
    let good = client.list_service_deployments().cluster("prod").service("web").status(Status::Successful);
    assert_eq!(good.send().await.unwrap().service_deployments().len(), 1);
    world.explain_writes();
    world.finish();
}

#[tokio::test]
async fn stages_alarms_and_notes_can_be_seen() {
    let (world, client) = running().await;
    let steps = [
        (After::Polls(1), Action::Run),
        (After::Polls(1), Action::Stage("BAKE_TIME".into())),
        (
            After::Polls(0),
            Action::Note(
                "was unable to place a task because no container instance met all of its requirements.".into(),
            ),
        ),
        (After::Polls(1), Action::Alarm("errors-high".into())),
    ];
    world.state().ecs.script("web", "acme/web:2", Script::of(&steps));
    let deployment = deploy(&client).await;
    statuses(&client, &deployment, 1).await;
    assert_eq!(look(&client, &deployment).await.lifecycle_stage().unwrap().as_str(), "BAKE_TIME");
    let end = look(&client, &deployment).await;
    assert_eq!(end.status(), Some(&Status::Stopped));
    assert_eq!(end.alarms().unwrap().triggered_alarm_names(), ["errors-high"]);
    assert!(service(&client).await.events().iter().any(|event| event.message().unwrap().contains("unable to place")));
    world.explain_writes();
    world.finish();
}

#[tokio::test]
async fn revisions_show_images_and_digests() {
    let (world, client) = running().await;
    let digest = world.state().images.image("acme/web:2");
    let deployment = deploy(&client).await;
    let target = look(&client, &deployment).await.target_service_revision().unwrap().arn().unwrap().to_owned();
    let answer = client.describe_service_revisions().service_revision_arns(target).send().await.unwrap();
    assert_eq!(answer.service_revisions()[0].container_images()[0].image_digest(), Some(digest.as_str()));
    world.explain_writes();
    world.finish();
}

#[tokio::test]
async fn an_equal_update_starts_nothing_and_a_forced_one_does() {
    let (world, client) = running().await;
    let update = || client.update_service().cluster("prod").service("web");
    let before = service(&client).await.current_service_deployment().unwrap().to_owned();
    let same = update().task_definition("web:1").send().await.unwrap();
    assert_eq!(same.service().unwrap().current_service_deployment(), Some(before.as_str()));
    let forced = update().force_new_deployment(true).send().await.unwrap();
    assert_ne!(forced.service().unwrap().current_service_deployment(), Some(before.as_str()));
    let scaled = update().desired_count(3).send().await.unwrap();
    assert_eq!(scaled.service().unwrap().desired_count(), 3);
    let writes = [
        "ecs UpdateService prod/web web:1",
        "ecs UpdateService prod/web web:1 forced",
        "ecs UpdateService prod/web web:1 desired=3",
    ];
    assert_eq!(world.take_writes(), writes);
    world.finish();
}

#[tokio::test]
async fn what_is_not_there_is_named_as_the_real_service_names_it() {
    let (world, client) = running().await;
    let update = |cluster: &str, service: &str, definition: &str| {
        client.update_service().cluster(cluster).service(service).task_definition(definition).send()
    };
    assert!(update("none", "web", "web:1").await.unwrap_err().into_service_error().is_cluster_not_found_exception());
    assert!(update("prod", "none", "web:1").await.unwrap_err().into_service_error().is_service_not_found_exception());
    assert!(update("prod", "web", "web:9").await.unwrap_err().into_service_error().is_client_exception());
    let described = client.describe_services().cluster("prod").services("none").send().await.unwrap();
    assert_eq!(described.failures()[0].reason(), Some("MISSING"));
    client.deregister_task_definition().task_definition("web:1").send().await.unwrap();
    assert!(update("prod", "web", "web:1").await.unwrap_err().into_service_error().is_client_exception());
    assert_eq!(world.take_writes(), ["ecs DeregisterTaskDefinition web:1"]);
    world.finish();
}

#[tokio::test]
async fn denials_and_gaps_are_switched_by_state() {
    let (world, client) = running().await;
    world.state().aws.deny("ecs:ListServiceDeployments");
    world.state().aws.lacks("ecs:DescribeServiceDeployments");
    let listed = client.list_service_deployments().cluster("prod").service("web").send().await.unwrap_err();
    assert!(listed.into_service_error().is_access_denied_exception());
    let looked = client.describe_service_deployments().service_deployment_arns("x").send().await.unwrap_err();
    assert_eq!(looked.into_service_error().meta().code(), Some("UnknownOperationException"));
    world.state().aws.allow_all();
    assert!(client.list_service_deployments().cluster("prod").service("web").send().await.is_ok());
    world.finish();
}

#[tokio::test]
async fn task_definitions_come_back_with_the_services_own_additions() {
    let (world, client) = running().await;
    let tag = aws_sdk_ecs::types::Tag::builder().key("team").value("web").build();
    let container = ContainerDefinition::builder().name("web").image("acme/web:2").build();
    let register = client.register_task_definition().family("web").container_definitions(container).tags(tag);
    register.send().await.unwrap();
    let tags = aws_sdk_ecs::types::TaskDefinitionField::Tags;
    let found = client.describe_task_definition().task_definition("web").include(tags).send().await.unwrap();
    let definition = found.task_definition().unwrap();
    assert_eq!((definition.revision(), found.tags()[0].key()), (2, Some("team")));
    assert_eq!(definition.container_definitions()[0].essential(), Some(true));
    client.deregister_task_definition().task_definition("web:2").send().await.unwrap();
    let left = client.list_task_definitions().family_prefix("web").send().await.unwrap();
    assert_eq!(left.task_definition_arns().len(), 1);
    let newest = client.describe_task_definition().task_definition("web").send().await.unwrap();
    assert_eq!(newest.task_definition().unwrap().revision(), 1);
    world.explain_writes();
    world.finish();
}

#[tokio::test]
async fn throttling_comes_in_bursts() {
    let (world, client) = running().await;
    let burst = Fault::on(Skin::Ecs).target("DescribeServices").nth(2).times(2);
    world.fault(burst.error("ThrottlingException", "Rate exceeded"));
    let mut seen = Vec::new();
    for _ in 0..4 {
        let answer = client.describe_services().cluster("prod").services("web").send().await;
        seen.push(answer.map_err(|error| error.into_service_error().meta().code().map(str::to_owned)).map(|_| ()));
    }
    let throttled = Err(Some("ThrottlingException".to_owned()));
    assert_eq!(seen, [Ok(()), throttled.clone(), throttled, Ok(())]);
    world.finish();
}

#[tokio::test]
async fn health_checks_fail_with_their_own_reason() {
    let (world, client) = running().await;
    world.state().ecs.script("web", "acme/web:2", Script::failing(Cause::target_unhealthy("arn:tg/web")));
    let deployment = deploy(&client).await;
    statuses(&client, &deployment, 2).await;
    let stopped = client.list_tasks().cluster("prod").service_name("web").desired_status(DesiredStatus::Stopped);
    let tasks = client
        .describe_tasks()
        .cluster("prod")
        .set_tasks(stopped.send().await.unwrap().task_arns)
        .send()
        .await
        .unwrap();
    assert!(tasks.tasks()[0].stopped_reason().unwrap().contains("ELB health checks"));
    world.explain_writes();
    world.finish();
}
