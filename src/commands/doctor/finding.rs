//! Purpose: what a check found.

use serde::Serialize;

use crate::runner::{Failure, Kind};

/// How a finding is to be seen.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum State {
    /// As it should be.
    Good,
    /// It works, and could be better.
    Warning,
    /// A command would fail.
    Problem,
    /// It could not be found out.
    Unknown,
}

impl State {
    pub(super) fn sign(self) -> &'static str {
        match self {
            Self::Good => "✅",
            Self::Warning => "⚠️",
            Self::Problem => "❌",
            Self::Unknown => "❔",
        }
    }
}

/// What a check found.
#[derive(Debug, Clone, Serialize)]
pub(super) struct Finding {
    /// The check.
    pub(super) check: &'static str,
    /// What it is about.
    pub(super) subject: String,
    /// How it is to be seen.
    pub(super) state: State,
    /// What was found.
    pub(super) message: String,
    /// What to do.
    pub(super) fix: Option<String>,
    /// The commands that it matters to.
    pub(super) commands: Vec<String>,
}

impl Finding {
    /// A finding; [`Self::with_fix`] and [`Self::for_commands`] add the rest.
    pub(super) fn new(
        check: &'static str,
        subject: impl Into<String>,
        state: State,
        message: impl Into<String>,
    ) -> Self {
        Self { check, subject: subject.into(), state, message: message.into(), fix: None, commands: Vec::new() }
    }

    pub(super) fn with_fix(mut self, fix: impl Into<String>) -> Self {
        self.fix = Some(fix.into());
        self
    }

    pub(super) fn for_commands<S: Into<String>>(mut self, commands: impl IntoIterator<Item = S>) -> Self {
        self.commands = commands.into_iter().map(Into::into).collect();
        self
    }

    /// What a command would say if it failed here. An upstream that does not answer proves nothing.
    pub(super) fn of_failure(check: &'static str, subject: impl Into<String>, failure: &Failure) -> Self {
        let state = if failure.kind == Kind::Upstream { State::Unknown } else { State::Problem };
        let finding = Self::new(check, subject, state, failure.explained());
        if failure.hints.is_empty() { finding } else { finding.with_fix(failure.hints.join(" ")) }
    }

    /// One line for the log, and what to do below it.
    pub(super) fn line(&self) -> String {
        let fix = self.fix.as_deref().filter(|_| self.state != State::Good);
        let fix = fix.map(|fix| format!("\n     → {fix}")).unwrap_or_default();
        format!("{} {}: {} – {}{fix}", self.state.sign(), self.check, self.subject, self.message)
    }
}
