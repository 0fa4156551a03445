//! Purpose: the order of `up`: images, surroundings, starts, checks; then what is shown and what is removed.

use serde_json::{Value, json};
use tokio::time::Instant;

use super::diagnosis::{Logs, Seen, summary};
use super::plan::{Keep, Plan};
use super::reach::{Place, reachable};
use super::stack::Stack;
use super::{Outputs, ShowLogs};
use crate::commands::framework::Verdict;
use crate::commands::run::Run;
use crate::commands::upstream::Clients;
use crate::contract::values::Count;
use crate::domain::container::{Container, HealthStatus, Protocol};
use crate::runner::{Failure, Kind};

pub(super) async fn apply(plan: &Plan, run: &Run, outputs: &mut Outputs) -> Result<Verdict, Failure> {
    let engine = Box::pin(Clients::new(run).engine()).await?;
    let mut stack = Stack::new(plan, run, engine).await?;
    let worked = run.unless_cancelled(work(&mut stack)).await.and_then(|worked| worked);
    if worked.as_ref().is_err_and(|failure| failure.kind == Kind::Cancelled) {
        return Err(cancelled(&mut stack, worked).await);
    }
    stack.leave().await;
    let show = match plan.logs {
        ShowLogs::Always => true,
        ShowLogs::Failure => worked.is_err(),
        ShowLogs::Never => false,
    };
    let all = stack.seen(if show { Logs::Read } else { Logs::Leave }).await;
    if show {
        stack.show(&all);
    }
    tell(&stack, &all, worked.as_ref().ok().copied(), outputs);
    let seconds = stack.began.elapsed().as_secs_f64();
    let heading = match &worked {
        Ok(healthy) => format!("✅ Healthy after {healthy:.1} s"),
        Err(_) => format!("❌ Not healthy, known after {seconds:.1} s"),
    };
    run.summary.section(summary(&heading, &all, worked.is_err()).into_string());
    if plan.keep == Keep::Step {
        let removed = stack.remove().await;
        if worked.is_ok() {
            removed?;
        }
    }
    worked.map(|_| Verdict::Success("healthy"))
}

/// The post stage removes everything; without one (on a laptop) nobody else would.
async fn cancelled(stack: &mut Stack<'_>, worked: Result<f64, Failure>) -> Failure {
    stack.leave().await;
    if stack.run.github.run_id.is_none() || stack.plan.keep == Keep::Step {
        let _ = stack.remove().await;
    }
    worked.err().unwrap_or_else(Failure::cancelled)
}

/// Seconds until everything was healthy, counted from the first start.
async fn work(stack: &mut Stack<'_>) -> Result<f64, Failure> {
    stack.fetch_images().await?;
    let group = stack.run.log.group("Start");
    stack.make_surroundings().await?;
    stack.began = Instant::now();
    let deadline = stack.began + stack.plan.health_timeout.0;
    stack.watch(deadline).await?;
    stack.check(deadline).await?;
    let seconds = stack.began.elapsed().as_secs_f64();
    stack.run.log.info(format!("everything is healthy after {seconds:.1} s"));
    drop(group);
    Ok(seconds)
}

fn tell(stack: &Stack<'_>, all: &[Seen], seconds: Option<f64>, outputs: &mut Outputs) {
    if all.is_empty() {
        return;
    }
    outputs.containers = Some(Value::Array(all.iter().map(described).collect()));
    let last = all.last().and_then(|seen| seen.container.as_ref());
    outputs.container_id = last.map(|container| container.id.clone());
    outputs.url = asked(stack, all).or_else(|| all.iter().rev().find_map(offered));
    // Whole seconds, and at least one: 0 would read as "not waited".
    outputs.health_seconds =
        seconds.map(|seconds| Count(std::time::Duration::from_secs_f64(seconds.ceil()).as_secs().max(1)));
}

/// The health address as a later step on the engine's host reaches it.
fn asked(stack: &Stack<'_>, all: &[Seen]) -> Option<String> {
    let url = stack.plan.health_url.as_ref()?;
    let named = all.iter().filter_map(|seen| Some((seen.service.as_str(), seen.container.as_ref()?)));
    Some(reachable(url, &Place::Host, &named.collect::<Vec<_>>()).to_string())
}

/// The first TCP port that the host offers.
fn offered(seen: &Seen) -> Option<String> {
    let container = seen.container.as_ref()?;
    let port = container.published.iter().find(|port| port.protocol == Protocol::Tcp)?;
    Some(format!("http://localhost:{}", port.host?))
}

fn described(seen: &Seen) -> Value {
    let Some(container) = &seen.container else {
        return json!({ "service": seen.service, "state": "gone" });
    };
    let ports: serde_json::Map<String, Value> = container
        .published
        .iter()
        .map(|port| (format!("{}/{}", port.container, port.protocol), json!(port.host)))
        .collect();
    json!({
        "service": seen.service,
        "name": container.name,
        "id": container.id,
        "image": container.image,
        "address": address(container),
        "ports": ports,
        "state": container.state.status,
        "health": (container.state.health != HealthStatus::None).then_some(container.state.health),
        "exit_code": container.state.exit_code,
    })
}

fn address(container: &Container) -> Option<&str> {
    container.networks.values().find_map(|attached| attached.address.as_deref())
}
