//! Purpose: starting services when their conditions are met, and waiting until all are as they should be.

use std::time::Duration;

use tokio::time::Instant;

use super::stack::Stack;
use crate::domain::compose::Condition;
use crate::domain::container::{Container, ContainerState, HealthStatus, Status};
use crate::domain::health::verdict::{Cause, Verdict, Want, judge};
use crate::runner::{Failure, Kind};

/// Time between two looks.
pub(super) const LOOK: Duration = Duration::from_millis(200);

impl Stack<'_> {
    /// Until every service is as wanted. The first that cannot come to be ends it.
    pub(super) async fn watch(&mut self, deadline: Instant) -> Result<(), Failure> {
        loop {
            let waiting = self.look().await?;
            if waiting.is_empty() {
                return Ok(());
            }
            if Instant::now() >= deadline {
                return Err(self.too_late(&waiting));
            }
            tokio::time::sleep(LOOK).await;
        }
    }

    /// Looks at every service once and starts those whose time has come; what is still waited for.
    pub(super) async fn look(&mut self) -> Result<Vec<String>, Failure> {
        let mut waiting = Vec::new();
        for name in &self.plan.order {
            if !self.started.contains_key(name) {
                match self.hindrance(name).await? {
                    Some(hindrance) => {
                        waiting.push(format!("{name} waits until {hindrance}"));
                        continue;
                    }
                    None => self.start(name).await?,
                }
            }
            let container = self.observe(name).await?;
            let want = self.want(name);
            match self.verdict(name, want, container.as_ref().map(|container| &container.state)) {
                Verdict::Ready => self.say(name, container.as_ref()),
                Verdict::Waiting => {
                    self.say(name, container.as_ref());
                    waiting.push(format!("{name} {}", lacking(want, container.as_ref())));
                }
                Verdict::Failed(cause) => return Err(self.failed(name, cause).await),
            }
        }
        Ok(waiting)
    }

    fn want(&self, name: &str) -> Want {
        if self.plan.project.is_to_complete(name) { Want::Completed } else { Want::Running }
    }

    pub(super) async fn observe(&mut self, name: &str) -> Result<Option<Container>, Failure> {
        let Some(started) = self.started.get_mut(name) else {
            return Ok(None);
        };
        let container = self.engine.container(&started.id).await?;
        let runs = container.as_ref().is_some_and(|container| container.state.status == Status::Running);
        started.running_since = if runs { started.running_since.or_else(|| Some(Instant::now())) } else { None };
        Ok(container)
    }

    fn verdict(&self, name: &str, want: Want, state: Option<&ContainerState>) -> Verdict {
        let since = self.started.get(name).and_then(|started| started.running_since);
        judge(want, state, since.map(|since| since.elapsed()).unwrap_or_default())
    }

    /// The first condition that is not met yet.
    async fn hindrance(&mut self, name: &str) -> Result<Option<String>, Failure> {
        let conditions = self.plan.project.services[name].depends_on.clone();
        for (other, condition) in conditions {
            if !self.started.contains_key(&other) {
                return Ok(Some(format!("{other} is started")));
            }
            let (want, said) = match condition {
                Condition::Started => (Want::Started, "is started"),
                Condition::Healthy => (Want::Healthy, "is healthy"),
                Condition::Completed => (Want::Completed, "has ended well"),
            };
            let container = self.observe(&other).await?;
            match self.verdict(&other, want, container.as_ref().map(|container| &container.state)) {
                Verdict::Ready => {}
                Verdict::Waiting => return Ok(Some(format!("{other} {said}"))),
                Verdict::Failed(cause) => return Err(self.failed(&other, cause).await),
            }
        }
        Ok(None)
    }

    fn say(&mut self, name: &str, container: Option<&Container>) {
        let Some((started, container)) = self.started.get_mut(name).zip(container) else {
            return;
        };
        let said = shown(&container.state);
        if started.said != said {
            let seconds = started.at.elapsed().as_secs_f64();
            self.run.log.info(format!("{name}: {said} after {seconds:.1} s"));
            started.said = said;
        }
    }

    /// The failure of a service, with its last words.
    pub(super) async fn failed(&mut self, name: &str, cause: Cause) -> Failure {
        let mut last = None;
        if let Some(started) = self.started.get_mut(name) {
            started.cause = Some(cause);
            let lines = self.engine.last_logs(&started.id, 20).await.unwrap_or_default();
            last = lines.into_iter().rev().map(|line| line.text).find(|line| !line.trim().is_empty());
        }
        let waits = self.plan.project.services.iter().filter(|(_, service)| service.depends_on.contains_key(name));
        let waits: Vec<&str> =
            waits.map(|(other, _)| other.as_str()).filter(|other| !self.started.contains_key(*other)).collect();
        let waits =
            if waits.is_empty() { String::new() } else { format!(", and {} not started because of it", are(&waits)) };
        let last: Option<String> = last.map(|line| line.trim().chars().take(200).collect());
        let last = last.map(|line| format!("; its last line: {line}")).unwrap_or_default();
        let (reason, title, hint) = match cause {
            Cause::Exited(_) => (
                "container-exited",
                "Container ended",
                "Its log is above; run the image by hand with the same environment to see it fail.",
            ),
            Cause::OutOfMemory => (
                "container-out-of-memory",
                "Container out of memory",
                "Raise the limit, or use a runner with more memory.",
            ),
            Cause::Unhealthy => (
                "container-unhealthy",
                "Container unhealthy",
                "What its health check said is above; a check of a slow start needs a `start_period`.",
            ),
            Cause::NoHealthCheck => (
                "no-health-check",
                "No health check",
                "Give the service a `healthcheck`, or depend on it with service_started.",
            ),
            Cause::Gone => ("container-gone", "Container gone", "Something else on this engine removed it."),
        };
        Failure::new(Kind::Work, reason, title, format!("{name} {cause}{waits}{last}")).hint(hint)
    }

    pub(super) fn too_late(&self, waiting: &[String]) -> Failure {
        let message = format!("not everything is healthy within {}: {}", self.plan.health_timeout, waiting.join("; "));
        Failure::new(Kind::Work, "health-timeout", "Not healthy in time", message)
            .hint("Raise `health_timeout` if the start may take longer.")
    }
}

fn are(names: &[&str]) -> String {
    match names {
        [one] => format!("{one} was"),
        several => format!("{} were", several.join(", ")),
    }
}

/// What is missing, in words that fit behind the service's name.
fn lacking(want: Want, container: Option<&Container>) -> String {
    let Some(state) = container.map(|container| &container.state) else {
        return "is not there yet".to_owned();
    };
    match (want, state.status, state.health) {
        (Want::Completed, ..) => "has not ended yet".to_owned(),
        (_, Status::Running, HealthStatus::Starting) => {
            let last = state.probes.last().map(|probe| probe.output.trim().chars().take(200).collect::<String>());
            let last = last.filter(|text| !text.is_empty()).map(|text| format!(" ({text})")).unwrap_or_default();
            format!("is not healthy yet{last}")
        }
        (_, status, _) => format!("is {status}"),
    }
}

/// A state in a word or two.
pub(super) fn shown(state: &ContainerState) -> String {
    match (state.status, state.health) {
        (Status::Running, HealthStatus::None) => "running".to_owned(),
        (Status::Running, HealthStatus::Starting) => "running, not healthy yet".to_owned(),
        (Status::Running, HealthStatus::Healthy) => "healthy".to_owned(),
        (Status::Running, HealthStatus::Unhealthy) => "unhealthy".to_owned(),
        (Status::Exited, _) if state.out_of_memory => "killed for want of memory".to_owned(),
        (Status::Exited, _) => format!("ended with exit code {}", state.exit_code),
        (status, _) => status.to_string(),
    }
}
