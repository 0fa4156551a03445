//! Purpose: what went wrong with a deployment, in words, and the tasks that show why.

use super::evidence::Evidence;
use super::plan::{Plan, short};
use super::report::Report;
use super::watch::Watch;
use crate::contract::values::Span;
use crate::domain::rollout::Verdict;
use crate::runner::{Failure, Kind};

/// What went wrong.
pub(crate) struct Trouble {
    kind: Kind,
    reason: &'static str,
    title: String,
    pub(crate) message: String,
    hints: Vec<String>,
    source: Option<Box<dyn std::error::Error + Send + Sync>>,
}

impl Trouble {
    fn new(kind: Kind, reason: &'static str, title: &str, message: String) -> Self {
        Self { kind, reason, title: title.to_owned(), message, hints: Vec::new(), source: None }
    }

    fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hints.push(hint.into());
        self
    }

    /// Puts what to do before everything else.
    pub(crate) fn comes_first(&mut self, hint: &str) {
        self.hints.insert(0, hint.to_owned());
    }

    pub(crate) fn cancelled() -> Self {
        Self::new(Kind::Cancelled, "cancelled", "Cancelled", "the run was cancelled during the deployment".to_owned())
    }

    pub(crate) fn unhealthy(message: String) -> Self {
        Self::new(Kind::Work, "health-check-failed", "Health check failed", message)
            .hint("The deployment itself completed: look at the application's log, and whether `health_url` reaches the new tasks.")
    }

    pub(crate) fn other_digest(service: &str, message: &str) -> Self {
        Self::new(Kind::Work, "digest-mismatch", "Another image runs", format!("service {service}: {message}"))
            .hint("The tag was moved between the check and the start of the task. Deploy the image by its digest.")
    }

    pub(crate) fn of_failure(failure: Failure) -> Self {
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
    pub(crate) fn of_verdict(plan: &Plan, service: usize, verdict: Verdict, watch: &Watch<'_>) -> Self {
        let planned = &plan.services[service];
        let name = &planned.name;
        let what = short(watch.rollout.task_definition());
        let rollout = plan.purpose.of(&what);
        let work = |reason, title, message| Self::new(Kind::Work, reason, title, message);
        match verdict {
            // Not a trouble; said for completeness' sake.
            Verdict::Completed => {
                work("deployment-failed", "Deployment failed", format!("service {name}: the {rollout} is complete"))
            }
            Verdict::Failed { reason } => work(
                "deployment-failed",
                "Deployment failed",
                format!("service {name}: the {rollout} failed: {reason}"),
            ),
            Verdict::RolledBack { reason } => work(
                "rolled-back-by-ecs",
                "Rolled back by ECS",
                format!("service {name}: ECS takes the {rollout} back: {reason}"),
            ),
            Verdict::Superseded { by } => {
                let by = by.map(|by| format!(" ({})", short(&by))).unwrap_or_default();
                work(
                    "superseded",
                    "Superseded",
                    format!("service {name}: another deployment{by} took the place of the {rollout}"),
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
                    format!("service {name}: the {rollout} did not end within {timeout}{}", counts.unwrap_or_default()),
                )
                .hint("Raise `timeout` if the rollout may take longer; the service's events are in the summary.")
            }
            Verdict::LostPermission { message } => Self::new(
                Kind::Auth,
                "permission-lost",
                "Permission lost",
                format!("service {name}: the {rollout} can no longer be watched: {message}"),
            )
            .hint("The deployment goes on without us. With `role_to_assume` Landfall renews its session by itself."),
            Verdict::LostContact { message } => Self::new(
                Kind::Upstream,
                "contact-lost",
                "ECS unavailable",
                format!("service {name}: the {rollout} can no longer be watched: {message}"),
            )
            .hint("The deployment goes on without us."),
        }
    }

    pub(crate) fn is_cancellation(&self) -> bool {
        self.kind == Kind::Cancelled
    }

    pub(crate) fn is_superseded(&self) -> bool {
        self.reason == "superseded"
    }

    /// Whether ECS can tell more about it.
    pub(crate) fn wants_evidence(&self) -> bool {
        self.kind == Kind::Work && !self.is_superseded() && self.reason != "digest-mismatch"
    }

    /// Whether it may be about tasks that run and do not what they should.
    pub(crate) fn is_about_running_tasks(&self) -> bool {
        matches!(self.reason, "health-check-failed" | "timeout")
    }

    /// Adds what the evidence says in a few words, so that the first line says why.
    pub(crate) fn with_words_of(&mut self, evidence: &Evidence) {
        if let Some(words) = evidence.last_words() {
            self.message.push_str(&format!("; its log ends with: {words}"));
        }
        if let Some(words) = evidence.target_words() {
            self.message.push_str(&format!("; {words}"));
        }
    }

    /// The failure, with how things stand after it.
    pub(crate) fn into_failure(self, report: &Report) -> Failure {
        let mut message = self.message;
        for way in &report.ways {
            message.push_str("; ");
            message.push_str(way);
        }
        let mut failure = Failure::new(self.kind, self.reason, self.title, message);
        failure.hints = self.hints;
        failure.source = self.source;
        let told = report.evidence.tasks.iter().map(|task| task.diagnosis.hint).filter(|hint| !hint.is_empty());
        for hint in told {
            if !failure.hints.iter().any(|known| known == hint) {
                failure.hints.push(hint.to_owned());
            }
        }
        failure.hints.retain(|hint| !hint.is_empty());
        failure
    }
}
