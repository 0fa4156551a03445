//! Purpose: the rollout's section of the job summary.

use tokio::time::Instant;

use super::apply::Work;
use super::evidence::{Evidence, FailedContainer, FailedTask, RunningTask, said_of, target_group};
use super::plan::{Purpose, ServicePlan, short};
use super::timeline;
use crate::commands::framework;
use crate::domain::markdown::{Markdown, code, escaped};
use crate::runner::Failure;

/// What the summary needs beside plan, phases and outputs.
#[derive(Default)]
pub(crate) struct Report {
    pub(crate) ending: Option<Ending>,
    pub(crate) evidence: Evidence,
    /// How the way back of each service went, one sentence each.
    pub(crate) ways: Vec<String>,
    /// What each service has after a failure, by its index.
    pub(crate) now: Vec<(usize, String)>,
    /// The newest service events.
    pub(crate) events: Vec<String>,
    /// The states and stages of each service's deployment, with the times when they were seen.
    pub(crate) states: Vec<(String, Vec<(Instant, String)>)>,
    /// The last lines of a migration that failed.
    pub(crate) migration: Vec<String>,
}

/// How the deployment ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Ending {
    Deployed,
    Unchanged,
    Started,
    Failed,
}

impl Report {
    /// Writes the section. What failed comes first, then what shows why, then what happened when.
    pub(crate) fn write(&self, work: &Work<'_>, result: &mut Result<framework::Verdict, Failure>) {
        let mut markdown = Markdown::new().heading(3, &self.heading(work, result));
        if let Err(failure) = result {
            failure.is_in_summary = true;
            markdown = markdown.paragraph(&failure.explained());
            if !failure.hints.is_empty() {
                markdown = markdown.bullets(failure.hints.iter().map(|hint| escaped(hint)));
            }
        }
        markdown = markdown.table(&["Service", "Cluster", "Before", "Now"], self.rows(work, result));
        markdown = self.why(markdown);
        markdown = changes(markdown, work);
        if !self.events.is_empty() {
            let events = Markdown::new().code_block("text", &self.events.join("\n"));
            markdown = markdown.details("Service events", &events);
        }
        let chart = timeline::chart(&work.phases, &self.states);
        let markdown = chart.iter().fold(markdown, |markdown, chart| markdown.mermaid(chart));
        work.run.summary.section(markdown.into_string());
    }

    fn heading(&self, work: &Work<'_>, result: &Result<framework::Verdict, Failure>) -> String {
        let names: Vec<&str> = work.plan.services.iter().map(|service| service.name.as_str()).collect();
        let names = names.join(", ");
        let title = || result.as_ref().err().map(|failure| failure.title.to_lowercase()).unwrap_or_default();
        match (self.ending, work.plan.purpose) {
            (Some(Ending::Deployed), Purpose::Deployment) => format!("✅ Deployed {names}"),
            (Some(Ending::Deployed), Purpose::Rollback) => format!("↩️ Rolled {names} back"),
            (Some(Ending::Unchanged), Purpose::Deployment) => format!("✅ {names}: nothing to deploy"),
            (Some(Ending::Unchanged), Purpose::Rollback) => format!("✅ {names}: there already"),
            (Some(Ending::Started), Purpose::Deployment) => format!("🚀 Started the deployment of {names}"),
            (Some(Ending::Started), Purpose::Rollback) => format!("🚀 Started the rollback of {names}"),
            (Some(Ending::Failed) | None, Purpose::Deployment) => format!("❌ Deployment of {names}: {}", title()),
            (Some(Ending::Failed) | None, Purpose::Rollback) => format!("❌ Rollback of {names}: {}", title()),
        }
    }

    fn rows(&self, work: &Work<'_>, result: &Result<framework::Verdict, Failure>) -> Vec<Vec<String>> {
        let after_failure = |index: usize| {
            let known = self.now.iter().find(|(service, _)| *service == index);
            known.map_or_else(|| "untouched".to_owned(), |(_, now)| escaped(now))
        };
        let row = |(index, service): (usize, &ServicePlan)| {
            let now = match result {
                Ok(_) => code(&short(&work.wanted(service))),
                Err(_) => after_failure(index),
            };
            vec![code(&service.name), code(&work.plan.cluster), code(&short(&service.current)), now]
        };
        work.plan.services.iter().enumerate().map(row).collect()
    }

    fn why(&self, mut markdown: Markdown) -> Markdown {
        let Evidence { tasks, running, targets, alarms } = &self.evidence;
        for task in tasks.iter().filter(|task| !task.repeats) {
            let same = |other: &&FailedTask| {
                other.repeats && other.service == task.service && other.diagnosis.key == task.diagnosis.key
            };
            let others: Vec<&str> = tasks.iter().filter(same).map(|other| other.task.as_str()).collect();
            markdown = failed(markdown, task, &others);
        }
        markdown = running.iter().fold(markdown, shown_running);
        if !targets.is_empty() {
            let row = |(group, target): &(String, _)| {
                let place = |target: &crate::services::aws::TargetHealth| format!("{}:{}", target.id, target.port);
                vec![code(&place(target)), code(target_group(group)), escaped(&said_of(target))]
            };
            markdown = markdown.table(&["Target", "Target group", "The load balancer says"], targets.iter().map(row));
        }
        if !alarms.is_empty() {
            let rows = alarms.iter().map(|(name, reason)| vec![code(name), escaped(reason)]);
            markdown = markdown.table(&["Alarm", "Why it fired"], rows);
        }
        if !self.migration.is_empty() {
            let lines = Markdown::new().code_block("text", &self.migration.join("\n"));
            markdown = markdown.details("Last log lines of the migration", &lines);
        }
        markdown
    }
}

fn failed(markdown: Markdown, task: &FailedTask, others: &[&str]) -> Markdown {
    let more = match others.len() {
        0 => String::new(),
        1 => " (and 1 more task)".to_owned(),
        more => format!(" (and {more} more tasks)"),
    };
    let title = format!("Task {} of {}: {}{more}", task.task, task.service, task.diagnosis.cause);
    let cell = |value: &Option<String>| value.as_deref().map(escaped).unwrap_or_default();
    let row = |container: &FailedContainer| {
        let exit_code = container.exit_code.map_or_else(|| "–".to_owned(), |code| code.to_string());
        vec![code(&container.name), exit_code, cell(&container.health), cell(&container.reason)]
    };
    let stop = format!(
        "{} — {}",
        task.stop_code.as_deref().unwrap_or("no stop code"),
        task.reason.as_deref().unwrap_or("no reason")
    );
    let mut inside = Markdown::new().paragraph(&stop);
    if !task.diagnosis.hint.is_empty() {
        inside = inside.paragraph(task.diagnosis.hint);
    }
    inside = inside.table(&["Container", "Exit code", "Health", "Reason"], task.containers.iter().map(row));
    for container in &task.containers {
        inside = with_log(inside, &container.name, &container.log);
    }
    if !others.is_empty() {
        inside = inside.paragraph(&format!("Stopped for the same cause: {}", others.join(", ")));
    }
    markdown.details(&title, &inside)
}

fn shown_running(markdown: Markdown, task: &RunningTask) -> Markdown {
    let logs = task.logs.iter().fold(Markdown::new(), |inside, (container, log)| with_log(inside, container, log));
    markdown.details(&format!("Task {} of {} runs", task.task, task.service), &logs)
}

fn with_log(markdown: Markdown, container: &str, log: &Result<Vec<String>, String>) -> Markdown {
    match log {
        Ok(lines) if lines.is_empty() => markdown,
        Ok(lines) => {
            markdown.paragraph(&format!("Last log lines of {container}:")).code_block("text", &lines.join("\n"))
        }
        Err(why) => markdown.paragraph(&format!("The log of {container} cannot be read: {why}")),
    }
}

fn changes(markdown: Markdown, work: &Work<'_>) -> Markdown {
    work.plan.definitions.iter().filter(|definition| !definition.changes.is_empty()).fold(
        markdown,
        |markdown, definition| {
            let lines: Vec<String> = definition.changes.iter().map(ToString::to_string).collect();
            let title = format!("Changes of {} ({})", definition.family, lines.len());
            markdown.details(&title, &Markdown::new().code_block("diff", &lines.join("\n")))
        },
    )
}
