//! Purpose: what a run leaves behind: outputs, summary, annotation, exit code.

use std::process::ExitCode;

use super::Session;
use crate::commands::framework::{Finished, Verdict};
use crate::commands::help;
use crate::commands::run::Run;
use crate::runner::{Annotation, Failure, Kind, Log, Outputs, Summary};

impl Session {
    /// Outputs, summary, annotation, exit code: in this order, so that a failure to write one still shows the rest.
    pub(super) fn finish(
        &self,
        outputs: &Outputs,
        run: Option<&Run>,
        finished: Finished,
        wants_summary: bool,
    ) -> ExitCode {
        let (result, reason) = match &finished.result {
            Ok(Verdict::Success(reason)) => ("success", *reason),
            Ok(Verdict::Skipped(reason)) => ("skipped", *reason),
            Err(failure) => ("failure", failure.reason),
        };
        let mut values: Vec<(&str, &str)> =
            finished.outputs.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
        values.extend([("result", result), ("reason", reason)]);
        let written = outputs.write(values.iter().copied());
        if !outputs.has_reader() {
            self.show_outputs(&values);
        }
        let summary = run.map_or_else(|| Summary::of(&self.environment), |run| run.summary.clone());
        if let Err(failure) = &finished.result
            && !failure.is_in_summary
        {
            summary.section(help::failure_section(failure));
        }
        let wants_summary = run.and_then(|run| run.common.summary).map_or(wants_summary, |wanted| wanted.0);
        if wants_summary && let Err(error) = summary.write(&self.log.masks()) {
            self.log.warn("No job summary", format!("the job summary cannot be written: {error}"));
        }
        match (finished.result, written) {
            (Err(failure), Ok(())) => conclude(&self.log, &failure),
            (Err(failure), Err(error)) => {
                self.log.warn("Outputs lost", chain(&error));
                conclude(&self.log, &failure)
            }
            (Ok(_), Ok(())) => ExitCode::SUCCESS,
            (Ok(_), Err(error)) => {
                let failure =
                    Failure::new(Kind::Work, "outputs-unwritable", "Outputs lost", "the outputs were not written");
                conclude(&self.log, &failure.caused_by(error))
            }
        }
    }

    fn show_outputs(&self, values: &[(&str, &str)]) {
        let group = self.log.group("Outputs");
        for (name, value) in values {
            self.log.info(format!("{name}={value}"));
        }
        drop(group);
    }
}

pub(super) fn chain(error: &dyn std::error::Error) -> String {
    match error.source() {
        Some(source) => format!("{error}: {}", chain(source)),
        None => error.to_string(),
    }
}

/// The one annotation of a failed run, its hints, and the exit code.
pub(super) fn conclude(log: &Log, failure: &Failure) -> ExitCode {
    let mut message = failure.explained();
    if let Some(hint) = failure.hints.first() {
        message = format!("{}. {hint}", message.trim_end_matches('.'));
    }
    log.error(&Annotation { title: failure.title.clone(), message, location: failure.location.clone() });
    for hint in failure.hints.iter().skip(1) {
        log.info(format!("hint: {hint}"));
    }
    ExitCode::from(failure.kind.exit_code())
}
