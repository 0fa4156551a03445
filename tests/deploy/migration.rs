//! Purpose: the one-off task before the update.

use super::{deploy, told, web};
use crate::support::Landfall;
use crate::world::World;
use crate::world::ecs::{Cause, TaskScript};

fn migrating(world: &World) -> Landfall {
    deploy(world).inputs(&[("image", "acme/web:2"), ("migrate", "pnpm db:migrate --yes")])
}

#[tokio::test]
async fn the_migration_runs_first_and_its_log_is_shown() {
    let world = web().await;
    world.state().ecs.task_script("*migrate*", TaskScript::exits(0).logging(&["applying 0042", "done"]));
    let outcome = migrating(&world).run();
    outcome.succeeded();
    assert_eq!(outcome.output("migration_exit_code"), "0");
    assert!(outcome.raw.contains("applying 0042") && outcome.raw.contains("done"), "{}", outcome.raw);
    let writes = world.take_writes();
    assert!(writes[1].contains("RunTask") && writes[2].contains("UpdateService"), "{writes:?}");
    world.finish();
}

#[tokio::test]
async fn a_failed_migration_stops_before_the_service_is_touched() {
    let world = web().await;
    let script = TaskScript::exits(3).logging(&["relation users does not exist"]);
    world.state().ecs.task_script("*migrate*", script);
    let outcome = migrating(&world).run();
    outcome.failed(1, "migration-failed");
    assert_eq!(outcome.output("migration_exit_code"), "3");
    assert!(outcome.raw.contains("relation users does not exist"));
    assert!(!world.take_writes().iter().any(|write| write.contains("UpdateService")));
    insta::assert_snapshot!(told(&outcome));
    world.finish();
}

#[tokio::test]
async fn a_migration_that_cannot_start_says_why() {
    let world = web().await;
    world.state().ecs.task_script("*migrate*", TaskScript::fails_to_start(Cause::image_pull("acme/web:2")));
    let outcome = migrating(&world).run();
    outcome.failed(1, "migration-failed");
    assert!(!outcome.has_output("migration_exit_code"));
    assert!(outcome.annotations("error")[0].message.contains("CannotPullContainerError"), "{}", outcome.report());
    world.explain_writes();
    let refused = web().await;
    refused.state().ecs.task_script("*migrate*", TaskScript::refused("RESOURCE:MEMORY"));
    let outcome = migrating(&refused).run();
    assert_eq!(outcome.code, Some(1), "{}", outcome.report());
    assert!(outcome.annotations("error")[0].message.contains("RESOURCE:MEMORY"), "{}", outcome.report());
    refused.explain_writes();
    refused.finish();
    world.finish();
}

#[tokio::test]
async fn a_killed_run_does_not_migrate_twice() {
    let world = web().await;
    world.state().ecs.task_script("*migrate*", TaskScript::hangs());
    let mut running = migrating(&world).start();
    running.wait_for_log(" started");
    running.signal("KILL");
    drop(running);
    let mut again = migrating(&world).start();
    again.wait_for_log("following that one");
    for task in world.state().ecs.clusters.get_mut("prod").unwrap().tasks.values_mut() {
        if task.script.is_some() {
            task.script = Some(TaskScript::exits(0));
        }
    }
    let outcome = again.wait();
    outcome.succeeded();
    let writes = world.take_writes();
    assert_eq!(writes.iter().filter(|write| write.contains("RunTask")).count(), 1, "{writes:?}");
    assert_eq!(writes.iter().filter(|write| write.contains("RegisterTaskDefinition")).count(), 1, "{writes:?}");
    // And one that is done is done.
    let outcome = migrating(&world).input("force_new_deployment", "true").run();
    outcome.succeeded();
    assert!(!world.take_writes().iter().any(|write| write.contains("RunTask")));
    world.finish();
}

#[tokio::test]
async fn a_cancelled_migration_is_stopped() {
    let world = web().await;
    world.state().ecs.task_script("*migrate*", TaskScript::hangs());
    let mut running = migrating(&world).start();
    running.wait_for_log(" started");
    running.signal("TERM");
    let outcome = running.wait();
    outcome.failed(130, "cancelled");
    assert!(world.take_writes().last().unwrap().contains("StopTask"));
    world.finish();
}

#[tokio::test]
async fn a_migration_out_of_time_is_stopped() {
    let world = web().await;
    world.state().ecs.task_script("*migrate*", TaskScript::hangs());
    let outcome = migrating(&world).input("migrate_timeout", "1s").run();
    outcome.failed(1, "migration-timeout");
    assert!(world.take_writes().last().unwrap().contains("StopTask"));
    world.finish();
}
