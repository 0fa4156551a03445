//! Purpose: what it means that a tool container did not do its work.

use super::kind_of;
use crate::runner::{Failure, Kind};
use crate::services::Classified as _;
use crate::services::toolbox::ToolError;

impl From<ToolError> for Failure {
    fn from(error: ToolError) -> Self {
        let class = error.class();
        let last = error.tail().iter().rev().find(|line| !line.trim().is_empty()).cloned();
        let message = error.to_string();
        let failure = match &error {
            ToolError::Cancelled => return Self::cancelled(),
            ToolError::Interrupted => {
                return Self::cancelled()
                    .hint("The tool was interrupted and has ended by itself, so that its lock is free.");
            }
            ToolError::StillEnding => {
                return Self::cancelled()
                    .hint("The tool was interrupted and is still ending; the post step waits for it.");
            }
            ToolError::Engine(_) => {
                let ToolError::Engine(error) = error else { return Self::cancelled() };
                return error.into();
            }
            ToolError::Image { .. } => Self::new(kind_of(class), "tool-image-unavailable", "No tool image", message)
                .hint("The engine pulls it: check the name, the network and the login, or load it beforehand."),
            ToolError::Upload { .. } => Self::new(Kind::Work, "tool-files", "Tool not started", message)
                .hint("Check that the file exists and may be read."),
            ToolError::Fetch { .. } => Self::new(Kind::Work, "tool-files", "Tool's files refused", message)
                .hint("What a tool leaves must be plain files and folders of a reasonable size."),
            ToolError::Missing { .. } => Self::new(Kind::Work, "tool-failed", "Tool failed", message),
            ToolError::TimedOut { .. } => {
                Self::new(Kind::Work, "timeout", "Out of time", message).hint("Raise `timeout` if it may take longer.")
            }
        };
        let failure = match last {
            Some(line) => failure.hint(format!("Its last words: {}", line.trim())),
            None => failure,
        };
        failure.caused_by(error)
    }
}
