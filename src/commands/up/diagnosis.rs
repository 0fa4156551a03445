//! Purpose: what a person needs to see of containers: state, health log, last lines; in the log and in the summary.

use super::stack::Stack;
use super::watch::shown;
use crate::domain::container::Container;
use crate::domain::health::verdict::meaning;
use crate::domain::markdown::{Markdown, code, escaped};
use crate::services::engine::LogLine;

/// How many lines of a container's log are shown.
const LINES: usize = 200;
/// How many of them the summary shows; the log has the rest.
const SUMMARY_LINES: usize = 50;

/// One container and what it wrote.
pub(super) struct Seen {
    pub(super) service: String,
    pub(super) container: Option<Container>,
    pub(super) lines: Vec<LogLine>,
}

/// Whether the containers' logs are read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Logs {
    Read,
    Leave,
}

impl Stack<'_> {
    /// Looks at every container once more. What cannot be seen is left out: this is shown beside another failure.
    pub(super) async fn seen(&self, logs: Logs) -> Vec<Seen> {
        let mut all = Vec::new();
        for name in &self.plan.order {
            let Some(started) = self.started.get(name) else {
                continue;
            };
            let container = self.engine.container(&started.id).await.ok().flatten();
            let lines = match logs {
                Logs::Read => self.engine.last_logs(&started.id, LINES).await.unwrap_or_default(),
                Logs::Leave => Vec::new(),
            };
            all.push(Seen { service: name.clone(), container, lines });
        }
        all
    }

    /// Shows every container in a group of its own, those that are well first, so that the trouble stands last.
    pub(super) fn show(&self, all: &[Seen]) {
        let troubled = |seen: &&Seen| self.started.get(&seen.service).is_some_and(|started| started.cause.is_some());
        let well = all.iter().filter(|seen| !troubled(seen));
        for seen in well.chain(all.iter().filter(troubled)) {
            let group = self.run.log.group(format!("Log of {} ({})", seen.service, seen.state()));
            for line in seen.details() {
                self.run.log.foreign(line);
            }
            if seen.lines.is_empty() {
                self.run.log.info("it wrote nothing");
            }
            for line in &seen.lines {
                self.run.log.foreign(&line.text);
            }
            drop(group);
        }
    }
}

impl Seen {
    pub(super) fn state(&self) -> String {
        self.container.as_ref().map_or_else(|| "gone".to_owned(), |container| shown(&container.state))
    }

    /// Exit code, memory, the engine's own words, and the runs of the health check.
    fn details(&self) -> Vec<String> {
        let Some(container) = &self.container else {
            return Vec::new();
        };
        let state = &container.state;
        let mut details = vec![format!("state: {}{}", shown(state), meaning(state.exit_code))];
        if state.out_of_memory {
            details.push("the kernel killed it for want of memory".to_owned());
        }
        if !state.error.is_empty() {
            details.push(format!("the engine says: {}", state.error));
        }
        for probe in &state.probes {
            let output = probe.output.split_whitespace().collect::<Vec<_>>().join(" ");
            let output = if output.is_empty() { "no output".to_owned() } else { output };
            details.push(format!("health check, exit code {}: {output}", probe.exit_code));
        }
        details
    }
}

/// The section of the summary.
pub(super) fn summary(heading: &str, all: &[Seen], failed: bool) -> Markdown {
    let rows = all.iter().map(|seen| {
        let container = seen.container.as_ref();
        let ports = container.map(|container| container.published.iter().map(ToString::to_string).collect::<Vec<_>>());
        vec![
            escaped(&seen.service),
            code(container.map_or("", |container| container.image.as_str())),
            escaped(&seen.state()),
            code(&ports.unwrap_or_default().join(" ")),
        ]
    });
    let mut markdown = Markdown::new().heading(3, heading);
    if !all.is_empty() {
        markdown = markdown.table(&["Service", "Image", "State", "Ports"], rows);
    }
    for seen in all.iter().filter(|seen| failed || !seen.lines.is_empty()) {
        let first = seen.lines.len().saturating_sub(SUMMARY_LINES);
        let lines: Vec<String> =
            seen.details().into_iter().chain(seen.lines[first..].iter().map(|line| line.text.clone())).collect();
        if !lines.is_empty() {
            let inside = Markdown::new().code_block("text", &lines.join("\n"));
            markdown = markdown.details(&format!("Log of {}", seen.service), &inside);
        }
    }
    markdown
}
