//! Purpose: what went wrong with a deployment, in words, and the tasks that show why.

use serde::Serialize;

use super::apply::Work;
use super::logs::Stream;
use super::plan::{Plan, short};
use super::report::Report;
use super::watch::Watch;
use crate::contract::values::Span;
use crate::domain::diagnosis::Diagnosis;
use crate::domain::ecs::Task;
use crate::domain::rollout::Verdict;
use crate::runner::{Failure, Kind};

/// Most failed tasks that are shown.
const TASKS_SHOWN: usize = 5;
/// Most containers whose log is fetched.
const LOGS_SHOWN: usize = 3;
/// Lines of each.
const LOG_LINES: u32 = 50;

/// What went wrong.
pub(super) struct Trouble {
    kind: Kind,
    reason: &'static str,
    title: String,
    pub(super) message: String,
    hints: Vec<String>,
    source: Option<Box<dyn std::error::Error + Send + Sync>>,
}

/// A task that failed, with what ECS and its log say of it.
#[derive(Debug, Clone, Serialize)]
pub(super) struct FailedTask {
    pub(super) service: String,
    pub(super) task: String,
    pub(super) stop_code: Option<String>,
    pub(super) reason: Option<String>,
    #[serde(flatten)]
    pub(super) diagnosis: Diagnosis,
    pub(super) containers: Vec<FailedContainer>,
}

/// A container of such a task.
#[derive(Debug, Clone, Serialize)]
pub(super) struct FailedContainer {
    pub(super) name: String,
    pub(super) exit_code: Option<i32>,
    pub(super) reason: Option<String>,
    pub(super) health: Option<String>,
    /// Its last log lines; not among the outputs, which are no place for foreign text of any length.
    #[serde(skip)]
    pub(super) log: Result<Vec<String>, String>,
}

impl Trouble {
    fn new(kind: Kind, reason: &'static str, title: &str, message: String) -> Self {
        Self { kind, reason, title: title.to_owned(), message, hints: Vec::new(), source: None }
    }

    fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hints.push(hint.into());
        self
    }

    pub(super) fn cancelled() -> Self {
        Self::new(Kind::Cancelled, "cancelled", "Cancelled", "the run was cancelled during the deployment".to_owned())
    }

    pub(super) fn unhealthy(message: String) -> Self {
        Self::new(Kind::Work, "health-check-failed", "Health check failed", message)
            .hint("The deployment itself completed: look at the application's log, and whether `health_url` reaches the new tasks.")
    }

    pub(super) fn other_digest(service: &str, message: &str) -> Self {
        Self::new(Kind::Work, "digest-mismatch", "Another image runs", format!("service {service}: {message}"))
            .hint("The tag was moved between the check and the start of the task. Deploy the image by its digest.")
    }

    pub(super) fn of_failure(failure: Failure) -> Self {
        let message = failure.message.clone();
        Self {
            kind: failure.kind,
            reason: failure.reason,
            title: failure.title,
            message,
            hints: failure.hints,
            source: failure.source,
        }
    }

    #[expect(clippy::too_many_lines, reason = "one arm per verdict, each a sentence; apart they could not be compared")]
    pub(super) fn of_verdict(plan: &Plan, service: usize, verdict: Verdict, watch: &Watch<'_>) -> Self {
        let planned = &plan.services[service];
        let name = &planned.name;
        let what = watch.rollout.task_definition();
        let what = short(what);
        let work = |reason, title, message| Self::new(Kind::Work, reason, title, message);
        match verdict {
            // Not a trouble; said for completeness' sake.
            Verdict::Completed => work(
                "deployment-failed",
                "Deployment failed",
                format!("service {name}: the deployment of {what} is complete"),
            ),
            Verdict::Failed { reason } => work(
                "deployment-failed",
                "Deployment failed",
                format!("service {name}: the deployment of {what} failed: {reason}"),
            ),
            Verdict::RolledBack { reason } => work(
                "rolled-back-by-ecs",
                "Rolled back by ECS",
                format!("service {name}: ECS takes the deployment of {what} back: {reason}"),
            ),
            Verdict::Superseded { by } => {
                let by = by.map(|by| format!(" ({})", short(&by))).unwrap_or_default();
                work(
                    "superseded",
                    "Superseded",
                    format!("service {name}: another deployment{by} took the place of that of {what}"),
                )
                .hint(
                    "Somebody else deploys this service. The workflow's own `concurrency` keeps two of its runs apart.",
                )
            }
            Verdict::CrashLoop { diagnosis, tasks } => work(
                "crash-loop",
                "Crash loop",
                format!("service {name}: {tasks} tasks of {what} failed for the same cause: {}", diagnosis.cause),
            )
            .hint(diagnosis.hint),
            Verdict::TimedOut => {
                let counts = watch
                    .rollout
                    .counts()
                    .map(|counts| format!(" ({} of {} tasks run)", counts.running, counts.desired));
                let timeout = Span(plan.settings.timeout);
                work(
                    "timeout",
                    "Deployment out of time",
                    format!(
                        "service {name}: the deployment of {what} did not end within {timeout}{}",
                        counts.unwrap_or_default()
                    ),
                )
                .hint("Raise `timeout` if the rollout may take longer; the service's events are in the summary.")
            }
            Verdict::LostPermission { message } => Self::new(
                Kind::Auth,
                "permission-lost",
                "Permission lost",
                format!("service {name}: the deployment of {what} can no longer be watched: {message}"),
            )
            .hint("The deployment goes on without us. With `role_to_assume` Landfall renews its session by itself."),
            Verdict::LostContact { message } => Self::new(
                Kind::Upstream,
                "contact-lost",
                "ECS unavailable",
                format!("service {name}: the deployment of {what} can no longer be watched: {message}"),
            )
            .hint("The deployment goes on without us."),
        }
    }

    pub(super) fn is_cancellation(&self) -> bool {
        self.kind == Kind::Cancelled
    }

    pub(super) fn is_superseded(&self) -> bool {
        self.reason == "superseded"
    }

    /// The failure, with how things stand after it.
    pub(super) fn into_failure(self, report: &Report) -> Failure {
        let mut message = self.message;
        for way in &report.ways {
            message.push_str("; ");
            message.push_str(way);
        }
        let mut failure = Failure::new(self.kind, self.reason, self.title, message);
        failure.hints = self.hints;
        failure.source = self.source;
        let told: Vec<&str> =
            report.tasks.iter().map(|task| task.diagnosis.hint).filter(|hint| !hint.is_empty()).collect();
        for hint in told {
            if !failure.hints.iter().any(|known| known == hint) {
                failure.hints.push(hint.to_owned());
            }
        }
        failure.hints.retain(|hint| !hint.is_empty());
        failure
    }
}

/// The failed tasks of all services, the newest of each cause first, with the log of their failed containers.
pub(super) async fn failed_tasks(work: &Work<'_>, trouble: &Trouble, watches: &mut [Watch<'_>]) -> Vec<FailedTask> {
    if trouble.is_cancellation() || matches!(trouble.kind, Kind::Auth | Kind::Upstream) {
        return Vec::new();
    }
    let _group = work.run.log.group("Failed tasks");
    let mut found = Vec::new();
    for (index, watch) in watches.iter_mut().enumerate() {
        watch.last_look().await;
        let shown = watch.rollout.failed_tasks().iter().rev().take(TASKS_SHOWN);
        found.extend(shown.map(|(task, diagnosis)| (index, task.clone(), diagnosis.clone())));
    }
    let mut told = Vec::new();
    let mut logs = LOGS_SHOWN;
    for (index, task, diagnosis) in found {
        told.push(explained(work, index, &task, diagnosis, &mut logs).await);
    }
    told.iter().for_each(|task| print(work, task));
    told
}

async fn explained(work: &Work<'_>, service: usize, task: &Task, diagnosis: Diagnosis, logs: &mut usize) -> FailedTask {
    let planned = &work.plan.services[service];
    let definition = &work.plan.definitions[planned.definition].definition;
    let mut containers = Vec::new();
    for container in &task.containers {
        let stream = Stream::of(definition, &container.name, task.id());
        let ran_badly = container.exit_code.is_some_and(|code| code != 0) || task.containers.len() == 1;
        let log = match stream.filter(|_| ran_badly && container.exit_code.is_some()) {
            Some(stream) if *logs > 0 => {
                *logs -= 1;
                stream.tail(&work.plan.session, LOG_LINES).await.map_err(|error| error.to_string())
            }
            _ => Ok(Vec::new()),
        };
        containers.push(FailedContainer {
            name: container.name.clone(),
            exit_code: container.exit_code,
            reason: container.reason.clone(),
            health: container.health.clone().filter(|health| health != "UNKNOWN"),
            log,
        });
    }
    FailedTask {
        service: planned.name.clone(),
        task: task.id().to_owned(),
        stop_code: task.stop_code.clone(),
        reason: task.stopped_reason.clone(),
        diagnosis,
        containers,
    }
}

fn print(work: &Work<'_>, task: &FailedTask) {
    let log = &work.run.log;
    let code = task.stop_code.as_deref().unwrap_or("no stop code");
    let reason = task.reason.as_deref().unwrap_or("no reason");
    log.foreign(format!("task {} of {}: {code}: {reason}\n  {}", task.task, task.service, task.diagnosis.cause));
    for container in &task.containers {
        match &container.log {
            Ok(lines) if lines.is_empty() => {}
            Ok(lines) => {
                log.foreign(format!("  last log lines of container {}:", container.name));
                lines.iter().for_each(|line| log.foreign(format!("  | {line}")));
            }
            Err(why) => log.foreign(format!("  the log of container {} cannot be read: {why}", container.name)),
        }
    }
}
