//! Purpose: the step's log: groups, levels, annotations, masks, and foreign text that cannot give orders.
//!
//! Everything goes to one stream: the runner reads standard output and standard error as two independent pipes, so a
//! mask on one would not be ordered before text on the other.

use std::io::Write;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::clock::Random;
use super::mask::Masks;
use super::workflow_command::{WorkflowCommand, could_be_command};

/// Longest annotation text that the runner keeps, in characters.
const ANNOTATION_LIMIT: usize = 4096;

/// How important a line is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Level {
    /// For whoever debugs Landfall itself.
    Debug,
    /// What happens.
    Info,
    /// Worth an annotation.
    Warning,
    /// Only failures.
    Error,
}

/// A message that the runner shows beside the run, and beside a file when it names one.
#[derive(Debug, Clone, Default)]
pub struct Annotation {
    /// A few words.
    pub title: String,
    /// One or more sentences.
    pub message: String,
    /// File and first line, when the message is about one.
    pub location: Option<(String, u32)>,
}

impl Annotation {
    /// An annotation without a place.
    pub fn new(title: impl Into<String>, message: impl Into<String>) -> Self {
        Self { title: title.into(), message: message.into(), location: None }
    }
}

/// How the log looks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Style {
    /// Workflow commands for the runner.
    Runner,
    /// Plain text for a person at a terminal.
    Plain,
}

struct Inner {
    out: Box<dyn Write + Send>,
    style: Style,
    level: Level,
    random: Random,
    masks: Masks,
    /// The token that resumes commands, while foreign text has them stopped.
    stopped: Option<String>,
    /// Whether a group is open; the runner knows no nesting.
    grouped: bool,
}

/// The log; clones write to the same one.
#[derive(Clone)]
pub struct Log(Arc<Mutex<Inner>>);

/// An open group; ends when dropped.
#[must_use = "the group ends when this is dropped"]
pub struct Group(Log);

impl Drop for Group {
    fn drop(&mut self) {
        self.0.end_group();
    }
}

impl Log {
    /// A log to `out`: workflow commands when a runner reads it, plain text otherwise.
    /// `masks` are the secrets that it hides.
    pub fn new(out: Box<dyn Write + Send>, for_runner: bool, level: Level, random: Random, masks: Masks) -> Self {
        let style = if for_runner { Style::Runner } else { Style::Plain };
        Self(Arc::new(Mutex::new(Inner { out, style, level, random, masks, stopped: None, grouped: false })))
    }

    /// Sets the least important level that is printed.
    pub fn set_level(&self, level: Level) {
        self.inner().level = level;
    }

    /// The secrets that this log hides.
    #[must_use]
    pub fn masks(&self) -> Masks {
        self.inner().masks.clone()
    }

    /// Hides a secret from now on, here and in the runner.
    pub fn mask(&self, secret: &str) {
        let mut inner = self.inner();
        let new = inner.masks.add(secret);
        if inner.style == Style::Runner {
            for value in new {
                inner.raw_command(&WorkflowCommand::new("add-mask", &value).to_string());
            }
        }
    }

    /// Hides a secret in our own text only: one that the runner registered itself, as it does with job tokens.
    pub fn masks_quietly(&self, secret: &str) {
        self.inner().masks.add(secret);
    }

    /// Opens a group; one that is open already ends first.
    pub fn group(&self, title: impl AsRef<str>) -> Group {
        self.open_group(title.as_ref());
        Group(self.clone())
    }

    /// Opens a group that the caller ends with [`Self::end_group`] or by opening the next.
    pub fn open_group(&self, title: &str) {
        let mut inner = self.inner();
        inner.end_group();
        inner.command(WorkflowCommand::new("group", title), &format!("▸ {title}"));
        inner.grouped = true;
    }

    /// Ends the open group, if there is one.
    pub fn end_group(&self) {
        self.inner().end_group();
    }

    /// Prints a line of our own.
    pub fn info(&self, text: impl AsRef<str>) {
        let mut inner = self.inner();
        if inner.level <= Level::Info {
            inner.own(text.as_ref());
        }
    }

    /// Prints a line that only people who debug want to see.
    pub fn debug(&self, text: impl AsRef<str>) {
        let mut inner = self.inner();
        if inner.level <= Level::Debug {
            let plain = format!("debug: {}", text.as_ref());
            inner.command(WorkflowCommand::new("debug", text.as_ref()), &plain);
        }
    }

    /// Prints text from outside: build logs, container logs, API bodies. It can start no workflow command.
    pub fn foreign(&self, text: impl AsRef<str>) {
        let mut inner = self.inner();
        if inner.level <= Level::Info {
            inner.foreign(text.as_ref());
        }
    }

    /// Annotates the run with a notice.
    pub fn notice(&self, annotation: &Annotation) {
        self.inner().annotate("notice", annotation);
    }

    /// Annotates the run with a warning.
    pub fn warning(&self, annotation: &Annotation) {
        if self.inner().level <= Level::Warning {
            self.inner().annotate("warning", annotation);
        }
    }

    /// A warning without a place.
    pub fn warn(&self, title: impl Into<String>, message: impl Into<String>) {
        self.warning(&Annotation::new(title, message));
    }

    /// Annotates the run with an error.
    pub fn error(&self, annotation: &Annotation) {
        self.inner().annotate("error", annotation);
    }

    fn inner(&self) -> MutexGuard<'_, Inner> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Inner {
    /// Prints a workflow command, or its plain counterpart.
    fn command(&mut self, command: WorkflowCommand<'_>, plain: &str) {
        match self.style {
            Style::Runner => {
                let text = command.without_secrets(&self.masks).to_string();
                self.raw_command(&text);
            }
            Style::Plain => self.lines(plain),
        }
    }

    fn raw_command(&mut self, text: &str) {
        self.resume();
        self.line(text);
    }

    fn end_group(&mut self) {
        if std::mem::take(&mut self.grouped) && self.style == Style::Runner {
            self.raw_command("::endgroup::");
        }
    }

    fn own(&mut self, text: &str) {
        if self.style == Style::Runner && text.split(['\n', '\r']).any(could_be_command) {
            self.stop();
        }
        self.lines(text);
    }

    fn foreign(&mut self, text: &str) {
        if self.style == Style::Runner {
            self.stop();
        }
        self.lines(&without_controls(text));
    }

    fn annotate(&mut self, name: &'static str, annotation: &Annotation) {
        self.end_group();
        // Hidden before it is cut: the first half of a secret would not be known as one.
        let message: String = self.masks.redact(&annotation.message).chars().take(ANNOTATION_LIMIT).collect();
        let mut command = WorkflowCommand::new(name, &message);
        let mut place = String::new();
        if let Some((file, line)) = &annotation.location {
            command = command.with("file", file).with("line", line.to_string());
            place = format!(" ({file}:{line})");
        }
        let command = command.with("title", &annotation.title);
        self.command(command, &format!("{name}: {}{place}: {message}", annotation.title));
    }

    /// Makes the runner deaf to commands until [`Self::resume`]. Stays in force over many lines: two marker lines per
    /// line of a build log would treble it.
    fn stop(&mut self) {
        if self.stopped.is_none() {
            let token = self.random.token();
            self.line(&format!("::stop-commands::{token}"));
            self.stopped = Some(token);
        }
    }

    fn resume(&mut self) {
        if let Some(token) = self.stopped.take() {
            self.line(&format!("::{token}::"));
        }
    }

    fn lines(&mut self, text: &str) {
        let text = self.masks.redact(text);
        for line in text.split('\n') {
            self.line(line.trim_end_matches('\r'));
        }
    }

    /// A log that cannot be written has no one to complain to.
    fn line(&mut self, line: &str) {
        let _ = writeln!(self.out, "{line}");
        let _ = self.out.flush();
    }
}

impl Drop for Inner {
    fn drop(&mut self) {
        self.resume();
    }
}

/// Foreign text without control characters: a carriage return becomes a line break, colours stay, the rest goes.
fn without_controls(text: &str) -> String {
    let text = text.replace("\r\n", "\n").replace('\r', "\n");
    let text = text.strip_suffix('\n').unwrap_or(&text);
    let mut clean = String::with_capacity(text.len());
    let mut rest = text.chars().peekable();
    while let Some(c) = rest.next() {
        match c {
            '\u{1b}' if rest.peek() == Some(&'[') => copy_colour(&mut rest, &mut clean),
            '\n' | '\t' => clean.push(c),
            c if c.is_control() => {}
            c => clean.push(c),
        }
    }
    clean
}

/// Copies `ESC [ … m`; swallows any other control sequence.
fn copy_colour(rest: &mut std::iter::Peekable<std::str::Chars<'_>>, clean: &mut String) {
    let mut sequence = String::from("\u{1b}");
    while let Some(&c) = rest.peek() {
        if sequence.len() > 32 || c.is_control() {
            return;
        }
        sequence.push(c);
        rest.next();
        if sequence.len() > 2 && ('@'..='~').contains(&c) {
            if c == 'm' {
                clean.push_str(&sequence);
            }
            return;
        }
    }
}

#[cfg(test)]
#[path = "log_tests.rs"]
mod tests;
