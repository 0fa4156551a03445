//! Purpose: ended at any point, the next run of the same command arrives where the first one would have: nothing is
//! registered twice, migrated twice or deployed twice.
//!
//! A run without disturbance says how many requests there are. Then, for each of them, a run is stopped just before the
//! request has an effect, or just after it had one and before the answer comes; another run follows.

use super::{definition, deploy, web};
use crate::support::{Landfall, Outcome};
use crate::world::ecs::{Script, TaskScript};
use crate::world::{After, Fault, Skin, World};

/// Where a request stands when the run is ended.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Caught {
    /// It has had no effect, and never will.
    Before,
    /// It has had its effect; the answer is never heard.
    After,
}

/// A world in which everything goes well and soon.
async fn swift() -> World {
    let world = web().await;
    {
        let mut state = world.state();
        state.ecs.script("web", "*", Script::healthy(After::Polls(1)));
        state.ecs.task_script("*migrate*", TaskScript { stop: Some(After::Polls(1)), ..TaskScript::exits(0) });
    }
    world
}

/// The command that is ended and run again.
fn command(world: &World) -> Landfall {
    let body = definition("acme/web:1").to_string();
    deploy(world).file("web.json", body).inputs(&[
        ("task_definition", "web.json"),
        ("image", "acme/web:2"),
        ("migrate", "pnpm db:migrate"),
    ])
}

/// Number of requests to ECS of a run that nobody disturbs.
async fn undisturbed() -> u32 {
    let world = swift().await;
    command(&world).run().succeeded();
    world.explain_writes();
    let requests = u32::try_from(world.calls(Skin::Ecs).len()).unwrap();
    world.finish();
    requests
}

/// Runs until the n-th request to ECS is where it is to be caught, and ends the run there. Nothing when the run is over
/// before.
fn end_at(world: &World, nth: u32, caught: Caught, signal: &str) -> Option<()> {
    let fault = Fault::on(Skin::Ecs).nth(nth).optional();
    world.fault(match caught {
        Caught::Before => fault.hold("never"),
        Caught::After => fault.hold_answer("never"),
    });
    let mut running = command(world).start();
    let is_there = || {
        let requests = world.requests(Skin::Ecs);
        let request = requests.get(nth as usize - 1)?;
        (caught == Caught::Before || request.status != 0).then_some(())
    };
    while is_there().is_none() {
        if running.has_ended() {
            return None;
        }
        std::thread::yield_now();
    }
    running.signal(signal);
    let outcome = running.end();
    assert!(signal == "KILL" || outcome == Some(130), "request {nth}, {caught:?}: {outcome:?}");
    Some(())
}

/// Tasks of the migration: how many were started, and how many of them did it.
fn migrations(world: &World) -> (usize, usize) {
    let state = world.state();
    let tasks = state.ecs.clusters["prod"].tasks.values().filter(|task| task.group == "family:web");
    let done = tasks.clone().filter(|task| task.containers[0].exit_code == Some(0));
    (tasks.clone().count(), done.count())
}

/// Asserts that the world is as after one undisturbed run. `rollouts` is how often the revision may have been begun.
fn arrived(world: &World, outcome: &Outcome, what: &str, most: usize) {
    assert_eq!(outcome.code, Some(0), "{what}: {}", outcome.report());
    let (started, done) = migrations(world);
    let state = world.state();
    assert_eq!(state.ecs.task_definitions["web"].len(), 2, "{what}: one revision and no second one");
    let service = &state.ecs.clusters["prod"].services["web"];
    assert_eq!(state.ecs.images(&service.serving().unwrap().task_definition)[0].1, "acme/web:2", "{what}");
    let ours = service.rollouts.iter().filter(|rollout| rollout.task_definition.ends_with("web:2"));
    assert!((1..=most).contains(&ours.clone().count()), "{what}: {} deployments of it", ours.count());
    assert_eq!(done, 1, "{what}: the migration was done once");
    assert!(started <= most, "{what}: {started} migrations were started");
}

/// Runs that are ended at the same time, each in a world of its own: most of their time they wait.
const AT_ONCE: u32 = 4;

async fn each_point(caught: Caught, signal: &str, most: usize) {
    let requests = undisturbed().await;
    assert!(requests > 12, "{requests} requests are too few to be the whole of it");
    std::thread::scope(|scope| {
        for first in 1..=AT_ONCE {
            scope.spawn(move || {
                for nth in (first..=requests).step_by(AT_ONCE as usize) {
                    point(nth, requests, caught, signal, most);
                }
            });
        }
    });
}

fn point(nth: u32, requests: u32, caught: Caught, signal: &str, most: usize) {
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    let world = runtime.block_on(swift());
    let ended = end_at(&world, nth, caught, signal);
    let outcome = command(&world).run();
    arrived(&world, &outcome, &format!("{signal} at request {nth} of {requests}, {caught:?}, {ended:?}"), most);
    world.explain_writes();
    world.finish();
}

#[tokio::test]
async fn killed_before_any_request_the_next_run_arrives() {
    each_point(Caught::Before, "KILL", 1).await;
}

#[tokio::test]
async fn killed_after_any_request_the_next_run_arrives() {
    each_point(Caught::After, "KILL", 1).await;
}

/// A run that is cancelled takes back what it began: the migration is stopped, the deployment goes back. The next run
/// begins them anew.
#[tokio::test]
async fn cancelled_at_any_request_the_next_run_arrives() {
    each_point(Caught::After, "TERM", 2).await;
}
