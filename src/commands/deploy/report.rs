//! Purpose: the deployment's section of the job summary.

use super::apply::Work;
use super::phases::tenths;
use super::plan::{ServicePlan, short};
use super::trouble::{FailedContainer, FailedTask};
use crate::commands::framework;
use crate::domain::markdown::{Markdown, code, escaped};
use crate::runner::Failure;

/// What the summary needs beside plan, phases and outputs.
#[derive(Default)]
pub(super) struct Report {
    pub(super) ending: Option<Ending>,
    pub(super) tasks: Vec<FailedTask>,
    /// How the way back of each service went, one sentence each.
    pub(super) ways: Vec<String>,
    /// What each service has after a failure, by its index.
    pub(super) now: Vec<(usize, String)>,
    /// The newest service events.
    pub(super) events: Vec<String>,
}

/// How the deployment ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Ending {
    Deployed,
    Unchanged,
    Started,
    Failed,
}

impl Report {
    /// Writes the section.
    pub(super) fn write(&self, work: &Work<'_>, result: &Result<framework::Verdict, Failure>) {
        let names: Vec<&str> = work.plan.services.iter().map(|service| service.name.as_str()).collect();
        let names = names.join(", ");
        let heading = match self.ending {
            Some(Ending::Deployed) => format!("✅ Deployed {names}"),
            Some(Ending::Unchanged) => format!("✅ {names}: nothing to deploy"),
            Some(Ending::Started) => format!("🚀 Started the deployment of {names}"),
            Some(Ending::Failed) | None => format!("❌ Deployment of {names} failed"),
        };
        let mut markdown = Markdown::new().heading(3, &heading);
        markdown = markdown.table(&["Service", "Cluster", "Before", "Now"], self.rows(work, result));
        for task in &self.tasks {
            markdown = shown(markdown, task);
        }
        markdown = changes(markdown, work);
        if !self.events.is_empty() {
            let events = Markdown::new().code_block("text", &self.events.join("\n"));
            markdown = markdown.details("Service events", &events);
        }
        work.run.summary.section(timeline(markdown, work).into_string());
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
}

fn shown(markdown: Markdown, task: &FailedTask) -> Markdown {
    let title = format!("Task {} of {}: {}", task.task, task.service, task.diagnosis.cause);
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
        inside = match &container.log {
            Ok(lines) if lines.is_empty() => inside,
            Ok(lines) => inside
                .paragraph(&format!("Last log lines of {}:", container.name))
                .code_block("text", &lines.join("\n")),
            Err(why) => inside.paragraph(&format!("The log of {} cannot be read: {why}", container.name)),
        };
    }
    markdown.details(&title, &inside)
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

/// Phases as a Mermaid chart; their names are our own words.
fn timeline(markdown: Markdown, work: &Work<'_>) -> Markdown {
    let phases = work.phases.timed();
    if phases.is_empty() {
        return markdown;
    }
    // Milliseconds: of `dateFormat X` Mermaid takes ends as seconds and starts as milliseconds, so that all bars begin at 0.
    let mut chart = "gantt\n    dateFormat x\n    axisFormat %M:%S".to_owned();
    for phase in &phases {
        let millis = |seconds: f64| (seconds * 1000.0).round();
        let (start, end) = (millis(phase.start), millis(phase.end).max(millis(phase.start) + 1.0));
        chart.push_str(&format!("\n    {} ({} s) : {start}, {end}", phase.name, tenths(phase.end - phase.start)));
    }
    markdown.mermaid(&chart)
}
