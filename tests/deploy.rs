//! `deploy` as the runner runs it: the real binary against the fake world, and against moto as a third opinion.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test may end by panicking")]

mod support;
mod world;

#[path = "deploy/bad_input.rs"]
mod bad_input;
#[path = "deploy/credentials.rs"]
mod credentials;
#[path = "deploy/killed.rs"]
mod killed;
#[path = "deploy/migration.rs"]
mod migration;
#[path = "deploy/moto.rs"]
mod moto;
#[path = "deploy/rollout.rs"]
mod rollout;
#[path = "deploy/straight.rs"]
mod straight;
#[path = "deploy/table.rs"]
mod table;
#[path = "deploy/tidy.rs"]
mod tidy;
#[path = "deploy/unanswered.rs"]
mod unanswered;
#[path = "deploy/wrong.rs"]
mod wrong;

use serde_json::{Value, json};
use support::{Landfall, Outcome};
use world::World;

/// Account and region of the world, as image names have them.
const REGISTRY: &str = "123456789012.dkr.ecr.eu-central-1.amazonaws.com";

/// A world with service `web` in cluster `prod`, running `acme/web:1` from a definition with a log group.
async fn web() -> World {
    let world = World::start().await;
    {
        let mut state = world.state();
        state.logs.group("/ecs/web");
        let arn = state.task_definition("web", &definition("acme/web:1"));
        state.service_of("prod", "web", &arn, 1);
    }
    world
}

/// A definition of one container that logs to CloudWatch.
fn definition(image: &str) -> Value {
    json!({
        "family": "web",
        "networkMode": "awsvpc",
        "requiresCompatibilities": ["FARGATE"],
        "cpu": "256",
        "memory": "512",
        "containerDefinitions": [{
            "name": "web",
            "image": image,
            "environment": [{ "name": "LOG_LEVEL", "value": "info" }],
            "logConfiguration": { "logDriver": "awslogs", "options": {
                "awslogs-group": "/ecs/web", "awslogs-region": "eu-central-1", "awslogs-stream-prefix": "web" } },
        }],
    })
}

/// `deploy` of service `web` in cluster `prod` against a world, polling fast.
fn deploy(world: &World) -> Landfall {
    Landfall::new("deploy").envs(world.aws_env()).inputs(&[
        ("cluster", "prod"),
        ("service", "web"),
        ("poll_interval", "50ms"),
    ])
}

/// The report of a run for a snapshot: what depends on the machine's speed is replaced.
fn told(outcome: &Outcome) -> String {
    let lines =
        outcome.report().lines().filter(|line| !line.starts_with("phases = ")).map(str::to_owned).collect::<Vec<_>>();
    let chart = regex::Regex::new(r"\((<duration>|\d+ s)\) : \d+, \d+").unwrap();
    chart.replace_all(&lines.join("\n"), "(<duration>) : <start>, <end>").into_owned()
}
