//! `rollback` as the runner runs it: the real binary against the fake world, and against moto as a third opinion.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test may end by panicking")]

mod support;
mod world;

#[path = "rollback/moto.rs"]
mod moto;
#[path = "rollback/refusals.rs"]
mod refusals;
#[path = "rollback/ways.rs"]
mod ways;

use serde_json::{Value, json};
use support::{Landfall, Outcome};
use world::World;

/// A world with service `web` in cluster `prod`, deployed three times: `acme/web:1`, `:2`, `:3` as `web:1` to `web:3`.
async fn web() -> World {
    let world = World::start().await;
    {
        let mut state = world.state();
        state.logs.group("/ecs/web");
        for number in 1..=3 {
            let arn = state.task_definition("web", &definition(&format!("acme/web:{number}")));
            if number == 1 {
                state.service_of("prod", "web", &arn, 1);
            } else {
                state.deployed("prod", "web", &arn);
            }
        }
    }
    world
}

/// A definition of one container that logs to CloudWatch.
fn definition(image: &str) -> Value {
    json!({
        "containerDefinitions": [{
            "name": "web",
            "image": image,
            "logConfiguration": { "logDriver": "awslogs", "options": {
                "awslogs-group": "/ecs/web", "awslogs-region": "eu-central-1", "awslogs-stream-prefix": "web" } },
        }],
    })
}

fn rollback(world: &World) -> Landfall {
    Landfall::new("rollback").envs(world.aws_env()).inputs(&[
        ("cluster", "prod"),
        ("service", "web"),
        ("poll_interval", "50ms"),
    ])
}

fn arn(revision: u32) -> String {
    format!("arn:aws:ecs:eu-central-1:123456789012:task-definition/web:{revision}")
}

/// Makes a revision INACTIVE, as deregistering does.
fn deregister(world: &World, revision: u32) {
    let mut state = world.state();
    let found = &mut state.ecs.task_definitions.get_mut("web").unwrap()[revision as usize - 1];
    found.active = false;
    found.body["status"] = "INACTIVE".into();
}

/// The report of a run for a snapshot: what depends on the machine's speed is replaced.
fn told(outcome: &Outcome) -> String {
    let report = outcome.report();
    let lines: Vec<&str> = report.lines().filter(|line| !line.starts_with("phases = ")).collect();
    let chart = regex::Regex::new(r"\((<duration>|\d+ s)\) : \d+, \d+").unwrap();
    chart.replace_all(&lines.join("\n"), "(<duration>) : <start>, <end>").into_owned()
}
