//! Purpose: a build's log, printed: groups and lines as they come, warnings as annotations of the Dockerfile.

use super::job::{Job, in_source};
use super::options::Context;
use super::plan::{Origin, Plan};
use crate::domain::build_event::{BuildEvent, BuildWarning};
use crate::domain::build_log::{BuildLog, BuildSummary, LogAction};
use crate::runner::Annotation;

/// Prints what the build's log says.
pub(super) struct Printer<'a> {
    log: BuildLog,
    job: &'a Job<'a>,
    /// Findings so far.
    pub(super) warnings: usize,
    told: Vec<BuildWarning>,
}

impl<'a> Printer<'a> {
    pub(super) fn new(job: &'a Job<'a>) -> Self {
        Self { log: BuildLog::default(), job, warnings: 0, told: Vec::new() }
    }

    pub(super) fn take(&mut self, event: &BuildEvent) {
        for action in self.log.event(event) {
            self.print(action);
        }
    }

    pub(super) fn idle(&mut self) {
        for action in self.log.idle() {
            self.print(action);
        }
    }

    /// What is left, and then the whole in short with the number of findings.
    pub(super) fn finish(mut self) -> (BuildSummary, usize) {
        for action in self.log.finish() {
            self.print(action);
        }
        (self.log.summary(), self.warnings)
    }

    fn print(&mut self, action: LogAction) {
        let log = &self.job.run.log;
        match action {
            LogAction::OpenGroup(title) => log.open_group(&title),
            LogAction::CloseGroup => log.end_group(),
            LogAction::Note(line) => log.info(line),
            LogAction::Foreign(line) => log.foreign(line),
            // Each platform has its Dockerfile checked; a finding is told once.
            LogAction::Warning(warning) if self.told.contains(&warning) => {}
            LogAction::Warning(warning) => {
                self.warnings += 1;
                self.told.push(warning.clone());
                log.warning(&annotation(warning, self.job.plan));
            }
        }
    }
}

fn annotation(warning: BuildWarning, plan: &Plan) -> Annotation {
    let mut message = warning.short;
    for line in &warning.detail {
        message.push('\n');
        message.push_str(line);
    }
    if let Some(url) = &warning.url {
        message.push('\n');
        message.push_str(url);
    }
    let here = matches!((&plan.origin, &plan.settings.context), (Origin::Workspace { .. }, Context::Folder(_)));
    let location = warning.location.filter(|_| here).map(|location| in_source(plan, &location));
    Annotation { title: "Dockerfile".to_owned(), message, location }
}
