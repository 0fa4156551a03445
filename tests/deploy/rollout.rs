//! Purpose: rollouts that go wrong, each in its own way.

use serde_json::{Value, json};

use super::{REGISTRY, definition, deploy, told, web};
use crate::support::{Landfall, Outcome};
use crate::world::ecs::{Action, Cause, Script};
use crate::world::{After, Fault, Skin, World};

fn deploy_bad(world: &World) -> Landfall {
    deploy(world).input("image", "acme/web:bad")
}

/// Deploys `acme/web:bad`, which goes as the script says.
async fn with(script: Script) -> (World, Outcome) {
    let world = web().await;
    world.state().ecs.script("web", "acme/web:bad", script);
    let outcome = deploy_bad(&world).run();
    (world, outcome)
}

/// Makes the circuit breaker of service `web` act.
fn set_breaker(world: &World, rolls_back: bool) {
    let mut state = world.state();
    let settings = &mut state.ecs.find("prod", "web").settings;
    settings["deploymentConfiguration"]["deploymentCircuitBreaker"] = json!({ "enable": true, "rollback": rolls_back });
}

/// The image that the service serves after all.
fn serving(world: &World) -> String {
    let state = world.state();
    let service = &state.ecs.clusters["prod"].services["web"];
    let serving = service.serving().expect("something serves");
    state.ecs.images(&serving.task_definition)[0].1.clone()
}

#[tokio::test]
async fn a_crash_loop_is_ended_explained_and_taken_back() {
    let cause = Cause::exit(1).logging(&["starting", "fatal: no database"]);
    let (world, outcome) = with(Script::failing(cause)).await;
    outcome.failed(1, "crash-loop");
    assert_eq!(outcome.output("status"), "rolled-back");
    assert_eq!(serving(&world), "acme/web:1");
    let tasks: Value = serde_json::from_str(outcome.output("failed_tasks")).unwrap();
    assert_eq!(tasks[0]["containers"][0]["exit_code"], 1);
    assert_eq!(tasks[0]["class"], "application-exit");
    assert!(outcome.raw.contains("fatal: no database") && outcome.summary.contains("fatal: no database"));
    assert_eq!(
        world.take_writes(),
        [
            "ecs RegisterTaskDefinition web:2",
            "ecs UpdateService prod/web web:2",
            "ecs StopServiceDeployment prod/web ROLLBACK"
        ]
    );
    insta::assert_snapshot!(told(&outcome));
    world.finish();
}

#[tokio::test]
async fn each_class_of_failure_has_its_own_hint() {
    for (cause, class, hint) in [
        (Cause::image_pull("acme/web:bad"), "image-pull", "ecr:BatchGetImage"),
        (Cause::secret("db"), "secret", "secretsmanager:GetSecretValue"),
        (Cause::out_of_memory(), "out-of-memory", "Raise `memory`"),
        (Cause::container_unhealthy(), "health-check", "does not answer its health check"),
        (Cause::port_taken(80), "port", "dynamic host port"),
        (Cause::no_capacity(), "capacity", "Add capacity"),
    ] {
        let (world, outcome) = with(Script::failing(cause)).await;
        outcome.failed(1, "crash-loop");
        let tasks: Value = serde_json::from_str(outcome.output("failed_tasks")).unwrap();
        assert_eq!(tasks[0]["class"], class);
        assert!(outcome.annotations("error")[0].message.contains(hint), "{class}: {}", outcome.report());
        world.explain_writes();
        world.finish();
    }
}

#[tokio::test]
async fn the_circuit_breaker_that_rolls_back_is_awaited() {
    let world = web().await;
    set_breaker(&world, true);
    world.state().ecs.script("web", "acme/web:bad", Script::crash_loop(1));
    let outcome = deploy_bad(&world).input("crash_limit", "0").run();
    outcome.failed(1, "rolled-back-by-ecs");
    assert_eq!(outcome.output("status"), "rolled-back");
    assert!(outcome.output("failure_reason").contains("circuit breaker"), "{}", outcome.output("failure_reason"));
    assert_eq!(serving(&world), "acme/web:1");
    assert_eq!(world.take_writes(), ["ecs RegisterTaskDefinition web:2", "ecs UpdateService prod/web web:2"]);
    world.finish();
}

#[tokio::test]
async fn the_circuit_breaker_that_only_stops_is_followed_by_our_own_way_back() {
    let world = web().await;
    set_breaker(&world, false);
    world.state().ecs.script("web", "acme/web:bad", Script::crash_loop(1));
    let outcome = deploy_bad(&world).input("crash_limit", "0").run();
    outcome.failed(1, "deployment-failed");
    assert_eq!(outcome.output("status"), "rolled-back");
    assert_eq!(serving(&world), "acme/web:1");
    assert_eq!(
        world.take_writes(),
        ["ecs RegisterTaskDefinition web:2", "ecs UpdateService prod/web web:2", "ecs UpdateService prod/web web:1"]
    );
    world.finish();
}

#[tokio::test]
async fn a_rollout_that_never_ends_is_ended_by_the_timeout() {
    let world = web().await;
    world.state().ecs.script("web", "acme/web:bad", Script::never_stable());
    let outcome = deploy_bad(&world).input("timeout", "1s").run();
    outcome.failed(1, "timeout");
    assert!(outcome.raw.contains(" of web runs"), "what runs without getting on is shown: {}", outcome.raw);
    assert_eq!(outcome.output("status"), "rolled-back");
    assert_eq!(serving(&world), "acme/web:1");
    world.explain_writes();
    world.finish();
}

#[tokio::test]
async fn another_deployment_that_takes_the_place_is_left_alone() {
    let world = web().await;
    {
        let mut state = world.state();
        state.task_definition("web", &definition("acme/web:theirs"));
        state.ecs.script("web", "acme/web:bad", Script::superseded("web:2"));
    }
    let outcome = deploy_bad(&world).run();
    outcome.failed(1, "superseded");
    assert_eq!(outcome.output("status"), "superseded");
    assert!(outcome.annotations("error")[0].message.contains("(web:2)"), "{}", outcome.report());
    assert_eq!(world.take_writes(), ["ecs RegisterTaskDefinition web:3", "ecs UpdateService prod/web web:3"]);
    world.finish();
}

#[tokio::test]
async fn a_failed_way_back_says_so() {
    let (world, outcome) = with(Script::crash_loop(1).rollback_fails()).await;
    outcome.failed(1, "crash-loop");
    assert_eq!(outcome.output("status"), "rollback-failed");
    assert!(
        outcome.annotations("error")[0].message.contains("could not be taken back to web:1"),
        "{}",
        outcome.report()
    );
    world.explain_writes();
    world.finish();
}

#[tokio::test]
async fn an_alarm_is_named() {
    let world = web().await;
    {
        let mut state = world.state();
        let settings = &mut state.ecs.find("prod", "web").settings;
        settings["deploymentConfiguration"]["alarms"] =
            json!({ "enable": true, "rollback": true, "alarmNames": ["errors"] });
        state.ecs.script("web", "acme/web:bad", Script::alarm("errors"));
        let reason = "Threshold Crossed: 3 datapoints were greater than the threshold (5.0)";
        state.alarms.0.insert("errors".into(), reason.into());
    }
    let outcome = deploy_bad(&world).run();
    outcome.failed(1, "rolled-back-by-ecs");
    assert!(outcome.output("failure_reason").contains("alarms: errors"), "{}", outcome.output("failure_reason"));
    assert!(outcome.raw.contains("alarm errors: Threshold Crossed"), "{}", outcome.raw);
    assert!(outcome.summary.contains("Threshold Crossed"), "{}", outcome.summary);
    world.explain_writes();
    world.finish();
}

const GROUP: &str = "arn:aws:elasticloadbalancing:eu-central-1:123456789012:targetgroup/web/0a1b2c3d";

/// Puts service `web` behind a load balancer, one of whose targets answers 503.
fn behind_a_balancer(world: &World) {
    let mut state = world.state();
    let settings = &mut state.ecs.find("prod", "web").settings;
    settings["loadBalancers"] = json!([{ "targetGroupArn": GROUP, "containerName": "web", "containerPort": 80 }]);
    let target = |id: &str, state: &str, reason: &str, description: &str| crate::world::elb::Target {
        id: id.into(),
        port: 80,
        state: state.into(),
        reason: reason.into(),
        description: description.into(),
    };
    let bad =
        target("10.0.0.8", "unhealthy", "Target.ResponseCodeMismatch", "Health checks failed with these codes: [503]");
    state.targets.0.insert(GROUP.into(), vec![target("10.0.0.7", "healthy", "", ""), bad]);
}

#[tokio::test]
async fn the_load_balancer_says_why_a_target_is_not_healthy() {
    let world = web().await;
    behind_a_balancer(&world);
    world.state().ecs.script("web", "acme/web:bad", Script::failing(Cause::target_unhealthy(GROUP)));
    let outcome = deploy_bad(&world).run();
    outcome.failed(1, "crash-loop");
    let message = &outcome.annotations("error")[0].message;
    assert!(message.contains("10.0.0.8") && message.contains("[503]"), "{message}");
    assert!(outcome.summary.contains("10.0.0.8:80") && !outcome.summary.contains("10.0.0.7"), "{}", outcome.summary);
    insta::assert_snapshot!(told(&outcome));
    world.explain_writes();
    // What may not be asked costs the evidence, not the verdict.
    world.state().aws.deny("elasticloadbalancing:*");
    let outcome = deploy_bad(&world).run();
    outcome.failed(1, "crash-loop");
    assert!(outcome.raw.contains("elasticloadbalancing:DescribeTargetHealth"), "{}", outcome.raw);
    assert!(outcome.annotations("warning").is_empty(), "{}", outcome.report());
    world.explain_writes();
    world.finish();
}

#[tokio::test]
async fn stages_of_a_blue_green_deployment_are_shown() {
    let (world, outcome) = with(Script::staged(&["SCALE_UP", "TEST_TRAFFIC_SHIFT", "BAKE_TIME"])).await;
    outcome.succeeded();
    assert!(outcome.raw.contains("stage TEST_TRAFFIC_SHIFT"), "{}", outcome.raw);
    assert!(outcome.summary.contains("in progress  stage TEST_TRAFFIC_SHIFT ("), "{}", outcome.summary);
    world.explain_writes();
    world.finish();
}

#[tokio::test]
async fn an_unhealthy_page_takes_a_complete_deployment_back() {
    let world = web().await;
    world.state().health.answer("acme/web:bad", 503);
    let outcome =
        deploy_bad(&world).inputs(&[("health_url", &world.health_url("web")), ("health_timeout", "1s")]).run();
    outcome.failed(1, "health-check-failed");
    assert_eq!(outcome.output("status"), "rolled-back");
    assert!(outcome.output("failure_reason").contains("it answered 503"), "{}", outcome.output("failure_reason"));
    assert_eq!(serving(&world), "acme/web:1");
    assert_eq!(
        world.take_writes(),
        ["ecs RegisterTaskDefinition web:2", "ecs UpdateService prod/web web:2", "ecs UpdateService prod/web web:1"]
    );
    world.finish();
}

#[tokio::test]
async fn on_failure_none_leaves_everything() {
    let world = web().await;
    world.state().ecs.script("web", "acme/web:bad", Script::crash_loop(1));
    let outcome = deploy_bad(&world).input("on_failure", "none").run();
    outcome.failed(1, "crash-loop");
    assert_eq!(outcome.output("status"), "failed");
    assert_eq!(world.take_writes(), ["ecs RegisterTaskDefinition web:2", "ecs UpdateService prod/web web:2"]);
    world.finish();
}

#[tokio::test]
async fn on_failure_stop_ends_the_deployment_and_leaves_the_service() {
    let world = web().await;
    world.state().ecs.script("web", "acme/web:bad", Script::crash_loop(1));
    let outcome = deploy_bad(&world).input("on_failure", "stop").run();
    outcome.failed(1, "crash-loop");
    assert_eq!(outcome.output("status"), "failed");
    assert_eq!(world.take_writes().last().unwrap(), "ecs StopServiceDeployment prod/web ABORT");
    world.finish();
}

#[tokio::test]
async fn a_cancelled_run_starts_the_way_back_and_says_what_it_left() {
    let world = web().await;
    world.state().ecs.script("web", "acme/web:bad", Script::never_stable());
    let mut running = deploy_bad(&world).start();
    running.wait_for_log("following arn:");
    running.signal("INT");
    let outcome = running.wait();
    outcome.failed(130, "cancelled");
    assert!(outcome.elapsed.as_secs() < 7, "the runner kills soon: {:?}", outcome.elapsed);
    assert_eq!(world.take_writes().last().unwrap(), "ecs StopServiceDeployment prod/web ROLLBACK");
    assert!(outcome.annotations("error")[0].message.contains("on its way back to web:1"), "{}", outcome.report());
    world.finish();
}

#[tokio::test]
async fn permission_lost_during_the_watch_ends_it_at_once() {
    let world = web().await;
    world.state().ecs.script("web", "acme/web:bad", Script::never_stable());
    world.fault(
        Fault::on(Skin::Ecs)
            .target("Describe*")
            .from(6)
            .error("ExpiredTokenException", "The security token included in the request is expired"),
    );
    let outcome = deploy_bad(&world).run();
    outcome.failed(5, "permission-lost");
    assert_eq!(outcome.output("status"), "failed");
    assert!(outcome.annotations("error")[0].message.contains("goes on without us"), "{}", outcome.report());
    assert_eq!(world.take_writes(), ["ecs RegisterTaskDefinition web:2", "ecs UpdateService prod/web web:2"]);
    world.finish();
}

#[tokio::test]
async fn without_the_new_calls_the_service_is_watched_with_one_warning() {
    for deny in [true, false] {
        let world = web().await;
        for call in ["ecs:ListServiceDeployments", "ecs:DescribeServiceDeployments", "ecs:DescribeServiceRevisions"] {
            if deny {
                world.state().aws.deny(call);
            } else {
                world.state().aws.lacks(call);
            }
        }
        let outcome = deploy(&world).input("image", "acme/web:2").run();
        outcome.succeeded();
        assert_eq!(outcome.output("status"), "deployed");
        assert_eq!(outcome.annotations("warning").len(), 1, "{}", outcome.report());
        world.explain_writes();
        world.state().ecs.script("web", "acme/web:bad", Script::crash_loop(1));
        let outcome = deploy_bad(&world).run();
        outcome.failed(1, "crash-loop");
        assert_eq!(outcome.output("status"), "rolled-back", "{}", outcome.report());
        assert_eq!(world.take_writes().last().unwrap(), "ecs UpdateService prod/web web:2", "restored by hand");
        world.finish();
    }
}

#[tokio::test]
async fn throttling_and_a_stale_answer_do_not_confuse_the_watch() {
    let world = web().await;
    world.state().ecs.find("prod", "web").stale_answers = true;
    world.fault(Fault::on(Skin::Ecs).target("DescribeServices").nth(2).error("ThrottlingException", "Rate exceeded"));
    let outcome = deploy(&world).input("image", "acme/web:2").run();
    outcome.succeeded();
    assert_eq!(outcome.output("status"), "deployed");
    world.explain_writes();
    world.finish();
}

#[tokio::test]
async fn a_deployment_under_way_is_awaited_refused_or_replaced() {
    for (concurrency, exit) in [("wait", 0), ("supersede", 0), ("refuse", 3)] {
        let world = web().await;
        {
            let mut state = world.state();
            let script = Script::of(&[(After::Polls(0), Action::Run), (After::Polls(4), Action::Complete)]);
            state.ecs.script("web", "acme/web:other", script);
        }
        deploy(&world).inputs(&[("image", "acme/web:other"), ("wait", "false")]).run().succeeded();
        world.take_writes();
        let outcome = deploy(&world).inputs(&[("image", "acme/web:3"), ("concurrency", concurrency)]).run();
        if exit == 0 {
            outcome.succeeded();
            assert_eq!(world.take_writes(), ["ecs RegisterTaskDefinition web:3", "ecs UpdateService prod/web web:3"]);
            let waited = outcome.raw.contains("waiting for its end");
            assert_eq!(waited, concurrency == "wait", "{}", outcome.raw);
        } else {
            outcome.failed(exit, "deployment-under-way");
        }
        world.finish();
    }
}

#[tokio::test]
async fn another_digest_than_the_pinned_one_is_a_failure() {
    let world = web().await;
    let digest = world.state().images.image("web:2");
    let image = format!("{REGISTRY}/web@{digest}");
    world.state().ecs.script("web", "*web@*", Script::healthy(After::Polls(8)));
    let mut running = deploy(&world).input("image", &image).start();
    running.wait_for_log("following arn:");
    // As if the tag had been moved: the tasks come up with something else.
    for task in world.state().ecs.clusters.get_mut("prod").unwrap().tasks.values_mut() {
        for container in &mut task.containers {
            container.digest = Some(format!("sha256:{}", "0".repeat(64)));
        }
    }
    let outcome = running.wait();
    outcome.failed(1, "digest-mismatch");
    assert_eq!(outcome.output("status"), "rolled-back");
    world.explain_writes();
    world.finish();
}

#[tokio::test]
async fn several_services_go_forward_and_back_together() {
    let world = web().await;
    {
        let mut state = world.state();
        let arn = state.ecs.definition("web").unwrap().arn.clone();
        state.service_of("prod", "worker", &arn, 1);
        state.ecs.script("worker", "acme/web:bad", Script::crash_loop(3));
        state.ecs.script("web", "acme/web:bad", Script::healthy(After::Polls(1)));
    }
    let outcome = deploy_bad(&world).input("service", "web, worker").run();
    outcome.failed(1, "crash-loop");
    assert_eq!(outcome.output("status"), "rolled-back");
    let writes = world.take_writes();
    assert_eq!(
        writes[..3],
        ["ecs RegisterTaskDefinition web:2", "ecs UpdateService prod/web web:2", "ecs UpdateService prod/worker web:2"]
    );
    for service in ["web", "worker"] {
        let state = world.state();
        let definition = state.ecs.clusters["prod"].services[service].serving().unwrap().task_definition.clone();
        assert_eq!(state.ecs.images(&definition)[0].1, "acme/web:1", "{service}");
    }
    world.finish();
}
