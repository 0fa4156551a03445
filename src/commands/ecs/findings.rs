//! Purpose: what is wrong before anything is touched, collected and reported at once.

use crate::domain::task_definition::TaskDefinitionError;
use crate::runner::{Failure, Kind, Problems};
use crate::services::with_causes;

/// One thing that is wrong, with what a report of it alone would say.
pub(crate) struct Finding {
    pub(crate) subject: &'static str,
    pub(crate) message: String,
    pub(crate) reason: &'static str,
    pub(crate) title: &'static str,
    pub(crate) location: Option<(String, u32)>,
    pub(crate) hint: Option<String>,
}

impl Finding {
    pub(crate) fn new(subject: &'static str, message: impl Into<String>) -> Self {
        let message = message.into();
        Self { subject, message, reason: "invalid-input", title: "Invalid input", location: None, hint: None }
    }

    pub(crate) fn reason(mut self, reason: &'static str, title: &'static str) -> Self {
        (self.reason, self.title) = (reason, title);
        self
    }

    pub(crate) fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }
}

/// Everything that was found wrong.
#[derive(Default)]
pub(crate) struct Findings(Vec<Finding>);

impl Findings {
    pub(crate) fn add(&mut self, finding: Finding) {
        self.0.push(finding);
    }

    pub(crate) fn check<T, E: std::error::Error>(&mut self, subject: &'static str, result: Result<T, E>) -> Option<T> {
        result.map_err(|error| self.add(Finding::new(subject, with_causes(&error)))).ok()
    }

    /// One finding is reported with its own reason and place, several together.
    pub(crate) fn into_result(self) -> Result<(), Failure> {
        let mut found = self.0;
        if found.len() == 1
            && let Some(only) = found.pop()
        {
            let message = format!("{} {}", only.subject, only.message);
            let mut failure = Failure::new(Kind::Input, only.reason, only.title, message);
            failure.hints.extend(only.hint);
            return Err(match only.location {
                Some((file, line)) => failure.at(file, line),
                None => failure,
            });
        }
        let mut problems = Problems::default();
        for finding in found {
            problems.add(finding.subject, finding.message);
        }
        problems.into_result()
    }
}

/// What is wrong with setting something in a definition.
pub(crate) fn unusable(subject: &'static str, name: &str, error: &TaskDefinitionError) -> Finding {
    let finding = Finding::new(subject, format!("{name} {}", with_causes(error)));
    match error {
        TaskDefinitionError::UnknownContainer { .. } => finding.reason("unknown-container", "Unknown container"),
        TaskDefinitionError::AmbiguousContainer { .. } => finding.hint("Name it with `container`, or use `images`."),
        _ => finding.reason("task-definition-invalid", "Invalid task definition"),
    }
}
