//! Purpose: what a person and a workflow learn of a run that did not succeed.

use std::error::Error;
use std::fmt;

/// The kind of a failure, from which the exit code follows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Kind {
    /// The work itself failed.
    Work,
    /// Inputs or config are wrong; nothing was touched.
    Input,
    /// A gate said no: a scan, a threshold, a confirmation, a permission.
    Gate,
    /// An upstream stayed unavailable after retries.
    Upstream,
    /// Authentication or authorization was refused.
    Auth,
    /// The run was cancelled.
    Cancelled,
}

impl Kind {
    /// The exit code that the contract promises for this kind.
    #[must_use]
    pub fn exit_code(self) -> u8 {
        match self {
            Self::Work => 1,
            Self::Input => 2,
            Self::Gate => 3,
            Self::Upstream => 4,
            Self::Auth => 5,
            Self::Cancelled => 130,
        }
    }
}

/// A run that did not succeed: one annotation, hints for the log, a stable reason code.
#[derive(Debug)]
pub struct Failure {
    /// Decides the exit code.
    pub kind: Kind,
    /// Stable kebab-case code, written to the output `reason`.
    pub reason: &'static str,
    /// Title of the annotation: a few words.
    pub title: String,
    /// What failed, on which object. One sentence without a full stop.
    pub message: String,
    /// What to do, most likely first. Full sentences.
    pub hints: Vec<String>,
    /// File and line to attach the annotation to.
    pub location: Option<(String, u32)>,
    /// The cause.
    pub source: Option<Box<dyn Error + Send + Sync>>,
    /// Whether the command's own section of the summary tells it already.
    pub is_in_summary: bool,
}

impl Failure {
    /// A failure without hints and cause.
    pub fn new(kind: Kind, reason: &'static str, title: impl Into<String>, message: impl Into<String>) -> Self {
        Self {
            kind,
            reason,
            title: title.into(),
            message: message.into(),
            hints: Vec::new(),
            location: None,
            source: None,
            is_in_summary: false,
        }
    }

    /// A failure of one input or setting: exit code 2.
    pub fn input(message: impl Into<String>, hint: impl Into<String>) -> Self {
        Self::new(Kind::Input, "invalid-input", "Invalid input", message).hint(hint)
    }

    /// The run was cancelled.
    #[must_use]
    pub fn cancelled() -> Self {
        Self::new(Kind::Cancelled, "cancelled", "Cancelled", "the run was cancelled")
    }

    /// Adds what to do.
    #[must_use]
    pub fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hints.push(hint.into());
        self
    }

    /// Adds the cause.
    #[must_use]
    pub fn caused_by(mut self, source: impl Error + Send + Sync + 'static) -> Self {
        self.source = Some(Box::new(source));
        self
    }

    /// Attaches the annotation to a line of a file.
    #[must_use]
    pub fn at(mut self, file: impl Into<String>, line: u32) -> Self {
        self.location = Some((file.into(), line));
        self
    }

    /// The message with its chain of causes, each said once.
    #[must_use]
    pub fn explained(&self) -> String {
        let mut text = self.message.clone();
        let mut cause = self.source.as_deref().map(|source| source as &dyn Error);
        while let Some(error) = cause {
            let said = error.to_string();
            if !text.ends_with(&said) {
                text.push_str(": ");
                text.push_str(&said);
            }
            cause = error.source();
        }
        text
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.explained())
    }
}

/// One thing wrong with inputs or config.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    /// The input or the config key.
    pub subject: String,
    /// What is wrong and what would be right.
    pub message: String,
}

impl Problem {
    /// A problem of `subject`.
    pub fn new(subject: impl Into<String>, message: impl Into<String>) -> Self {
        Self { subject: subject.into(), message: message.into() }
    }
}

/// Everything found wrong before anything was touched; reported together.
#[derive(Debug, Default)]
pub struct Problems(Vec<Problem>);

impl Problems {
    /// Notes one problem.
    pub fn add(&mut self, subject: impl Into<String>, message: impl Into<String>) {
        self.0.push(Problem::new(subject, message));
    }

    /// Notes several. What is known already, because an input was read twice, is not said again.
    pub fn extend(&mut self, problems: impl IntoIterator<Item = Problem>) {
        for problem in problems {
            if !self.0.contains(&problem) {
                self.0.push(problem);
            }
        }
    }

    /// Notes that a required input is missing.
    pub fn missing(&mut self, input: &str) {
        self.add(input, "is required and not set");
    }

    /// Takes a value out of a checked conversion, noting the error.
    pub fn check<T, E: fmt::Display>(&mut self, subject: &str, result: Result<T, E>) -> Option<T> {
        result.map_err(|error| self.add(subject, error.to_string())).ok()
    }

    /// A required value, noting its absence.
    pub fn required<T>(&mut self, input: &str, value: Option<T>) -> Option<T> {
        if value.is_none() {
            self.missing(input);
        }
        value
    }

    /// Whether nothing was found.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The failure that reports all of them, if there is any.
    ///
    /// # Errors
    /// One [`Failure`] of [`Kind::Input`] naming every problem.
    pub fn into_result(self) -> Result<(), Failure> {
        if self.0.is_empty() {
            return Ok(());
        }
        let title =
            if self.0.len() == 1 { "Invalid input".to_owned() } else { format!("{} invalid inputs", self.0.len()) };
        let said: Vec<String> =
            self.0.iter().map(|problem| format!("{} {}", problem.subject, problem.message)).collect();
        Err(Failure::new(Kind::Input, "invalid-input", title, said.join("\n")))
    }
}
