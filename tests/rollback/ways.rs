//! Purpose: ways back that are found, gone, awaited and told.

use serde_json::Value;

use super::{arn, definition, rollback, told, web};
use crate::world::Skin;
use crate::world::ecs::{Action, Cause, Script};
use crate::world::{After, Fault};

#[tokio::test]
async fn previous_is_the_last_other_one_that_worked() {
    let world = web().await;
    let outcome = rollback(&world).input("health_url", world.health_url("web")).run();
    outcome.succeeded();
    assert_eq!((outcome.output("status"), outcome.output("reason")), ("rolled-back", "rolled-back"));
    assert_eq!(outcome.output("task_definition_arn"), arn(2));
    assert_eq!(outcome.output("previous_task_definition_arn"), arn(3));
    let revisions: Value = serde_json::from_str(outcome.output("revisions")).unwrap();
    assert_eq!((&revisions[0]["revision"], &revisions[0]["image"]), (&2.into(), &"acme/web:2".into()));
    assert_eq!((&revisions[1]["revision"], &revisions[1]["current"]), (&3.into(), &true.into()));
    assert_eq!(world.take_writes(), ["ecs UpdateService prod/web web:2"]);
    insta::assert_snapshot!(told(&outcome));
    world.finish();
}

#[tokio::test]
async fn a_number_a_name_and_an_arn_are_ways_to_say_it() {
    for to in ["1", "web:1", &arn(1)] {
        let world = web().await;
        let outcome = rollback(&world).input("to", to).run();
        outcome.succeeded();
        assert_eq!(outcome.output("task_definition_arn"), arn(1), "{to}");
        assert_eq!(world.take_writes(), ["ecs UpdateService prod/web web:1"]);
        world.finish();
    }
}

#[tokio::test]
async fn a_deployment_that_failed_is_no_previous_one() {
    let world = web().await;
    {
        let mut state = world.state();
        let bad = state.task_definition("web", &definition("acme/web:bad"));
        assert_eq!(bad, arn(4));
        state.ecs.script("web", "acme/web:bad", Script::crash_loop(1));
    }
    // Somebody deploys web:4, which never works, and then web:5, which does.
    let deploy = |image: &str| {
        crate::support::Landfall::new("deploy").envs(world.aws_env()).inputs(&[
            ("cluster", "prod"),
            ("service", "web"),
            ("poll_interval", "50ms"),
            ("image", image),
        ])
    };
    deploy("acme/web:bad").run().failed(1, "crash-loop");
    deploy("acme/web:5").run().succeeded();
    world.explain_writes();
    let outcome = rollback(&world).run();
    outcome.succeeded();
    assert_eq!(outcome.output("task_definition_arn"), arn(3));
    world.explain_writes();
    world.finish();
}

#[tokio::test]
async fn a_bad_deployment_under_way_is_left_at_once() {
    let world = web().await;
    {
        let mut state = world.state();
        state.task_definition("web", &definition("acme/web:bad"));
        state.ecs.script("web", "acme/web:bad", Script::never_stable());
    }
    let deploy = crate::support::Landfall::new("deploy").envs(world.aws_env()).inputs(&[
        ("cluster", "prod"),
        ("service", "web"),
        ("image", "acme/web:bad"),
        ("wait", "false"),
    ]);
    deploy.run().succeeded();
    world.take_writes();
    let outcome = rollback(&world).run();
    outcome.succeeded();
    assert_eq!(outcome.output("task_definition_arn"), arn(3), "what ran before the bad one");
    assert!(outcome.raw.contains("takes its place"), "{}", outcome.raw);
    assert_eq!(world.take_writes(), ["ecs UpdateService prod/web web:3"]);
    world.finish();
}

#[tokio::test]
async fn going_forward_again_is_said() {
    let world = web().await;
    rollback(&world).run().succeeded();
    world.take_writes();
    let outcome = rollback(&world).run();
    outcome.succeeded();
    assert_eq!(outcome.output("task_definition_arn"), arn(3));
    assert!(outcome.annotations("warning")[0].message.contains("web:3 to web:2 already"), "{}", outcome.report());
    world.explain_writes();
    world.finish();
}

#[tokio::test]
async fn what_runs_already_is_left_alone() {
    let world = web().await;
    let outcome = rollback(&world).input("to", "3").run();
    outcome.succeeded();
    assert_eq!((outcome.output("status"), outcome.output("reason")), ("unchanged", "unchanged"));
    world.finish();
}

#[tokio::test]
async fn a_way_back_that_fails_leaves_what_was_there() {
    let world = web().await;
    let cause = Cause::exit(1).logging(&["fatal: the schema is newer than this program"]);
    world.state().ecs.script("web", "acme/web:2", Script::failing(cause));
    let outcome = rollback(&world).run();
    outcome.failed(1, "crash-loop");
    assert_eq!(outcome.output("status"), "failed");
    let message = &outcome.annotations("error")[0].message;
    assert!(message.contains("schema is newer") && message.contains("runs web:3 again"), "{message}");
    insta::assert_snapshot!(told(&outcome));
    world.explain_writes();
    world.finish();
}

#[tokio::test]
async fn an_unhealthy_page_takes_the_rollback_back_too() {
    let world = web().await;
    world.state().health.answer("acme/web:2", 500);
    let outcome = rollback(&world).inputs(&[("health_url", &world.health_url("web")), ("health_timeout", "1s")]).run();
    outcome.failed(1, "health-check-failed");
    assert_eq!(outcome.output("status"), "failed");
    assert_eq!(world.take_writes(), ["ecs UpdateService prod/web web:2", "ecs UpdateService prod/web web:3"]);
    world.finish();
}

#[tokio::test]
async fn several_services_go_back_together() {
    let world = web().await;
    {
        let mut state = world.state();
        let first = state.task_definition("worker", &definition("acme/worker:1"));
        state.service_of("prod", "worker", &first, 1);
        let second = state.task_definition("worker", &definition("acme/worker:2"));
        state.deployed("prod", "worker", &second);
    }
    let outcome = rollback(&world).input("service", "web, worker").run();
    outcome.succeeded();
    assert_eq!(world.take_writes(), ["ecs UpdateService prod/web web:2", "ecs UpdateService prod/worker worker:1"]);
    world.finish();
}

#[tokio::test]
async fn the_list_shows_what_there_is_and_touches_nothing() {
    let world = web().await;
    world.state().task_definition("web", &definition("acme/web:4"));
    super::deregister(&world, 1);
    // A confirmation is for going back, not for looking.
    let outcome = rollback(&world).inputs(&[("list", "true"), ("count", "4"), ("confirm_with", "ROLLBACK")]).run();
    outcome.succeeded();
    assert_eq!(outcome.output("status"), "listed");
    let revisions: Value = serde_json::from_str(outcome.output("revisions")).unwrap();
    let seen: Vec<_> = revisions
        .as_array()
        .unwrap()
        .iter()
        .map(|one| {
            (
                one["revision"].as_u64().unwrap(),
                one["status"].as_str().unwrap(),
                one["deployed_at"].is_string(),
                one["running"].as_i64().unwrap(),
            )
        })
        .collect();
    assert_eq!(
        seen,
        [(4, "ACTIVE", false, 0), (3, "ACTIVE", true, 1), (2, "ACTIVE", true, 0), (1, "INACTIVE", true, 0)]
    );
    assert!(revisions[0]["registered_at"].as_str().unwrap().ends_with('Z'));
    insta::assert_snapshot!(told(&outcome));
    let outcome = rollback(&world).inputs(&[("list", "true"), ("count", "1")]).run();
    let revisions: Value = serde_json::from_str(outcome.output("revisions")).unwrap();
    assert_eq!(revisions.as_array().unwrap().len(), 1);
    world.finish();
}

#[tokio::test]
async fn a_dry_run_prints_the_way_and_goes_nowhere() {
    let world = web().await;
    let outcome = rollback(&world).input("dry_run", "true").run();
    outcome.succeeded();
    assert_eq!(outcome.output("result"), "skipped");
    insta::assert_snapshot!(told(&outcome));
    world.finish();
}

#[tokio::test]
async fn a_killed_rollback_is_taken_up_where_it_was() {
    let world = web().await;
    world.state().ecs.script("web", "acme/web:2", Script::of(&[(After::Polls(0), Action::Run)]));
    let mut running = rollback(&world).input("to", "2").start();
    running.wait_for_log("following arn:");
    running.signal("KILL");
    drop(running);
    assert_eq!(world.take_writes(), ["ecs UpdateService prod/web web:2"]);
    let mut second = rollback(&world).input("to", "2").start();
    second.wait_for_log("is on its way to web:2 already");
    world.state().ecs.find("prod", "web").rollouts.last_mut().unwrap().script = Script::healthy(After::Polls(0));
    let outcome = second.wait();
    outcome.succeeded();
    assert!(world.take_writes().is_empty(), "no second deployment");
    world.finish();
}

#[tokio::test]
async fn a_cancelled_rollback_leaves_what_was_there() {
    let world = web().await;
    world.state().ecs.script("web", "acme/web:2", Script::never_stable());
    let mut running = rollback(&world).start();
    running.wait_for_log("following arn:");
    running.signal("TERM");
    let outcome = running.wait();
    outcome.failed(130, "cancelled");
    assert!(outcome.annotations("error")[0].message.contains("on its way back to web:3"), "{}", outcome.report());
    assert_eq!(
        world.take_writes(),
        ["ecs UpdateService prod/web web:2", "ecs StopServiceDeployment prod/web ROLLBACK"]
    );
    world.finish();
}

#[tokio::test]
async fn without_a_history_a_deployment_under_way_still_shows_what_was_before() {
    let world = web().await;
    {
        let mut state = world.state();
        state.task_definition("web", &definition("acme/web:bad"));
        state.ecs.script("web", "acme/web:bad", Script::never_stable());
        for call in ["ecs:ListServiceDeployments", "ecs:DescribeServiceDeployments", "ecs:DescribeServiceRevisions"] {
            state.aws.deny(call);
        }
    }
    let deploy = crate::support::Landfall::new("deploy").envs(world.aws_env()).inputs(&[
        ("cluster", "prod"),
        ("service", "web"),
        ("image", "acme/web:bad"),
        ("wait", "false"),
    ]);
    deploy.run().succeeded();
    world.take_writes();
    let outcome = rollback(&world).run();
    outcome.succeeded();
    assert_eq!(outcome.output("task_definition_arn"), arn(3));
    world.explain_writes();
    world.finish();
}

/// The number of requests when all goes well, polls aside. A change of it is a decision, not an accident.
#[tokio::test]
async fn no_more_requests_than_needed() {
    let world = web().await;
    world.state().ecs.script("web", "*", Script::healthy(After::Polls(0)));
    rollback(&world).run().succeeded();
    assert_eq!(
        world.calls(Skin::Ecs),
        [
            "DescribeServices",
            "ListServiceDeployments",
            "ListServiceDeployments",
            "DescribeServiceRevisions",
            "DescribeTaskDefinition",
            "DescribeTaskDefinition",
            "UpdateService",
            "ListServiceDeployments",
            "DescribeServiceRevisions",
            "ListTasks",
            "DescribeTasks",
        ]
    );
    world.explain_writes();
    world.finish();
}

#[tokio::test]
async fn throttling_is_waited_out() {
    let world = web().await;
    let throttled = Fault::on(Skin::Ecs).target("DescribeTaskDefinition");
    world.fault(throttled.nth(1).error("ThrottlingException", "Rate exceeded"));
    rollback(&world).run().succeeded();
    world.explain_writes();
    world.finish();
}
