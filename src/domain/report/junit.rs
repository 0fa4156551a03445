//! Purpose: test results in the JUnit form, whichever tool wrote it.
//!
//! The form has no standard. Read here is what Ant's schema, Surefire, Gradle, pytest, Jest, Go's and Rust's tools,
//! PHPUnit, Playwright and googletest write: suites nest, a suite's own counts may be wrong or missing, a test that
//! passed at a second try carries `flakyFailure`, one that never passed carries `rerunFailure` beside `failure`.

use std::io::Read;

use super::place::Place;
use super::text::{append, clean, shortened};
use super::xml::{Element, Node, Xml, micros};
use super::{Bounded, ReadError};

/// Failed tests that are kept in full.
pub const FAILED_KEPT: usize = 200;
/// Names of flaky and of slow tests that are kept.
const NAMES_KEPT: usize = 50;
/// Longest name, message and kind that is kept, in characters.
const LONGEST_NAME: usize = 300;
/// Longest failure text that is kept, in bytes.
const LONGEST_TEXT: usize = 8 * 1024;
/// Longest end of a test's output that is kept, in bytes.
const LONGEST_OUTPUT: usize = 2 * 1024;
/// How many slow tests are of interest.
const SLOWEST: usize = 5;

/// Counts of tests. A flaky test is among the passed ones.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Totals {
    /// All tests.
    pub tests: u64,
    /// Tests whose assertion failed.
    pub failures: u64,
    /// Tests that broke otherwise.
    pub errors: u64,
    /// Tests that did not run.
    pub skipped: u64,
    /// Tests that passed at a second try.
    pub flaky: u64,
    /// Time of all tests together, in microseconds.
    pub micros: u64,
}

impl Totals {
    /// Tests that passed.
    #[must_use]
    pub fn passed(&self) -> u64 {
        self.tests.saturating_sub(self.failures + self.errors + self.skipped)
    }

    /// Failures and errors.
    #[must_use]
    pub fn bad(&self) -> u64 {
        self.failures + self.errors
    }

    /// Adds others.
    pub fn add(&mut self, other: &Self) {
        self.tests += other.tests;
        self.failures += other.failures;
        self.errors += other.errors;
        self.skipped += other.skipped;
        self.flaky += other.flaky;
        self.micros = self.micros.saturating_add(other.micros);
    }
}

/// How a test went wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Wrong {
    /// An assertion failed.
    Failure,
    /// It broke otherwise.
    Error,
}

/// A test that went wrong.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Failed {
    /// Class or module; empty when the file names none.
    pub class: String,
    /// Its name.
    pub name: String,
    /// How it went wrong.
    pub wrong: Wrong,
    /// The message, the kind of exception before it when that says more.
    pub message: String,
    /// Stack trace or the like.
    pub text: String,
    /// The end of its output.
    pub output: String,
    /// File as the report names it.
    pub file: Option<String>,
    /// Line in that file.
    pub line: Option<u32>,
    /// Further tries that failed as well.
    pub reruns: u64,
    /// The place in the workspace, once somebody has looked; readers do not.
    pub place: Option<Place>,
}

impl Failed {
    /// Class and name as one.
    #[must_use]
    pub fn title(&self) -> String {
        match self.class.as_str() {
            "" => self.name.clone(),
            class if self.name.starts_with(class) => self.name.clone(),
            class => format!("{class} › {}", self.name),
        }
    }
}

/// What one or several files say.
#[derive(Debug, Clone)]
pub struct Tests {
    /// Counts.
    pub totals: Totals,
    /// Tests that went wrong.
    pub failed: Bounded<Failed>,
    /// Names of flaky tests.
    pub flaky: Bounded<String>,
    /// Names and microseconds of the slowest tests, slowest first.
    pub slowest: Vec<(String, u64)>,
}

impl Default for Tests {
    fn default() -> Self {
        Self {
            totals: Totals::default(),
            failed: Bounded::new(FAILED_KEPT),
            flaky: Bounded::new(NAMES_KEPT),
            slowest: Vec::new(),
        }
    }
}

impl Tests {
    /// Adds what another file says.
    pub fn absorb(&mut self, other: Self) {
        self.totals.add(&other.totals);
        self.failed.absorb(other.failed);
        self.flaky.absorb(other.flaky);
        for (name, micros) in other.slowest {
            self.note_time(name, micros);
        }
    }

    fn note_time(&mut self, name: String, micros: u64) {
        if micros > 0 && (self.slowest.len() < SLOWEST || self.slowest.iter().any(|(_, slow)| *slow < micros)) {
            self.slowest.push((name, micros));
            self.slowest.sort_by(|a, b| b.1.cmp(&a.1).then_with(|| a.0.cmp(&b.0)));
            self.slowest.truncate(SLOWEST);
        }
    }
}

/// Reads one file and adds what it says, as far as it can be read.
///
/// # Errors
/// [`ReadError`]; what was read before it is kept.
pub fn read(source: impl Read, tests: &mut Tests) -> Result<(), ReadError> {
    let mut xml = Xml::new(source);
    let root = xml.root()?;
    if !matches!(root.name(), "testsuites" | "testsuite") {
        let found = shortened(root.name(), 60);
        return Err(ReadError::Kind { found, expected: "the <testsuites> or <testsuite> of a JUnit report" });
    }
    let mut reader = Reader { tests, suites: vec![Suite::of(&root)], case: None, inside: Inside::Nothing };
    loop {
        match xml.next()? {
            Node::Start(element) => reader.start(&element),
            Node::Text(text) => reader.text(&text),
            Node::End(name) => reader.end(&name),
            Node::Eof => return Ok(()),
        }
    }
}

/// An open suite, with what it says of itself and what was found in it.
struct Suite {
    name: String,
    file: Option<String>,
    said_bad: u64,
    found_bad: u64,
}

impl Suite {
    fn of(element: &Element) -> Self {
        Self {
            name: name_of(element.get("name").unwrap_or_default()),
            file: element.get("file").map(name_of),
            said_bad: element.count("failures").unwrap_or(0) + element.count("errors").unwrap_or(0),
            found_bad: 0,
        }
    }
}

/// An open test.
struct Case {
    class: String,
    name: String,
    file: Option<String>,
    line: Option<u32>,
    micros: u64,
    outcome: Option<Wrong>,
    skipped: bool,
    flaky: u64,
    reruns: u64,
    message: String,
    text: String,
    output: String,
}

/// What the text belongs to that is read at present.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Inside {
    Nothing,
    Failure,
    Output,
}

struct Reader<'a> {
    tests: &'a mut Tests,
    suites: Vec<Suite>,
    case: Option<Box<Case>>,
    inside: Inside,
}

impl Reader<'_> {
    fn start(&mut self, element: &Element) {
        match (element.name(), &mut self.case) {
            ("testsuite", None) => self.suites.push(Suite::of(element)),
            ("testcase", None) => self.case = Some(Box::new(case(element, self.suites.last()))),
            ("failure", Some(case)) => self.inside = case.wrong(Wrong::Failure, element),
            ("error", Some(case)) => self.inside = case.wrong(Wrong::Error, element),
            ("skipped" | "disabled", Some(case)) => case.skipped = true,
            ("flakyFailure" | "flakyError", Some(case)) => case.flaky += 1,
            ("rerunFailure" | "rerunError", Some(case)) => case.reruns += 1,
            ("system-out" | "system-err", Some(_)) if self.inside == Inside::Nothing => self.inside = Inside::Output,
            _ => {}
        }
    }

    fn text(&mut self, text: &str) {
        let Some(case) = &mut self.case else {
            return;
        };
        match self.inside {
            Inside::Failure => append(&mut case.text, text, LONGEST_TEXT),
            Inside::Output => append_end(&mut case.output, text),
            Inside::Nothing => {}
        }
    }

    fn end(&mut self, name: &str) {
        match name {
            "testcase" => {
                self.inside = Inside::Nothing;
                if let Some(case) = self.case.take() {
                    self.close(*case);
                }
            }
            "testsuite" | "testsuites" if self.case.is_none() => self.close_suite(),
            "failure" | "error" | "system-out" | "system-err" => self.inside = Inside::Nothing,
            _ => {}
        }
    }

    fn close(&mut self, case: Case) {
        let totals = &mut self.tests.totals;
        totals.tests += 1;
        totals.micros = totals.micros.saturating_add(case.micros);
        let title = if case.class.is_empty() { case.name.clone() } else { format!("{} › {}", case.class, case.name) };
        self.tests.note_time(title.clone(), case.micros);
        let totals = &mut self.tests.totals;
        match case.outcome {
            Some(wrong) => {
                match wrong {
                    Wrong::Failure => totals.failures += 1,
                    Wrong::Error => totals.errors += 1,
                }
                if let Some(suite) = self.suites.last_mut() {
                    suite.found_bad += 1;
                }
                self.tests.failed.push(case.into_failed(wrong));
            }
            None if case.skipped => totals.skipped += 1,
            None if case.flaky > 0 => {
                totals.flaky += 1;
                self.tests.flaky.push(title);
            }
            None => {}
        }
    }

    /// A suite that says more failures than its tests show broke outside of them: in its set-up, or before any test.
    fn close_suite(&mut self) {
        let Some(suite) = self.suites.pop() else {
            return;
        };
        let hidden = suite.said_bad.saturating_sub(suite.found_bad);
        if hidden > 0 {
            self.tests.totals.tests += hidden;
            self.tests.totals.errors += hidden;
            let what = if hidden == 1 { "one failure".to_owned() } else { format!("{hidden} failures") };
            self.tests.failed.push(Failed {
                class: String::new(),
                name: if suite.name.is_empty() { "(a suite without a name)".to_owned() } else { suite.name },
                wrong: Wrong::Error,
                message: format!("the suite counts {what} that no test of it shows"),
                text: String::new(),
                output: String::new(),
                file: suite.file,
                line: None,
                reruns: 0,
                place: None,
            });
        }
        if let Some(parent) = self.suites.last_mut() {
            parent.found_bad += suite.found_bad + hidden;
        }
    }
}

fn case(element: &Element, suite: Option<&Suite>) -> Case {
    let class = element.get("classname").map(name_of);
    let status = |name: &str| element.get(name).unwrap_or_default().to_ascii_lowercase();
    let not_run = matches!(status("status").as_str(), "skipped" | "disabled" | "notrun" | "ignored" | "pending")
        || matches!(status("result").as_str(), "skipped" | "suppressed");
    let line = element.get("line").or_else(|| element.get("lineno")).and_then(|line| line.parse().ok());
    Case {
        // A suite's name stands in for the class that some tools leave out.
        class: class.or_else(|| suite.map(|suite| suite.name.clone())).unwrap_or_default(),
        name: name_of(element.get("name").unwrap_or("(a test without a name)")),
        file: element.get("file").map(name_of).or_else(|| suite.and_then(|suite| suite.file.clone())),
        line: line.filter(|line| *line > 0),
        micros: micros(element.get("time")),
        outcome: None,
        skipped: not_run,
        flaky: 0,
        reruns: 0,
        message: String::new(),
        text: String::new(),
        output: String::new(),
    }
}

impl Case {
    /// Notes a failure; the first one gives the message. What a test broke with weighs more than what it failed with.
    fn wrong(&mut self, wrong: Wrong, element: &Element) -> Inside {
        if self.outcome.is_none() || wrong == Wrong::Error {
            self.outcome = Some(wrong);
        }
        if self.message.is_empty() {
            let message = element.get("message").unwrap_or_default();
            let kind = element.get("type").unwrap_or_default();
            self.message = name_of(if message.trim().is_empty() { kind } else { message });
        }
        if !self.text.is_empty() {
            append(&mut self.text, "\n\n", LONGEST_TEXT);
        }
        Inside::Failure
    }

    fn into_failed(self, wrong: Wrong) -> Failed {
        let text = clean(self.text.trim_matches('\n'));
        let first = || text.lines().map(str::trim).find(|line| !line.is_empty()).unwrap_or_default();
        let message = if self.message.is_empty() { shortened(first(), LONGEST_NAME) } else { self.message };
        Failed {
            class: self.class,
            name: self.name,
            wrong,
            message,
            output: clean(self.output.trim_matches('\n')),
            file: self.file,
            line: self.line,
            reruns: self.reruns,
            place: None,
            text,
        }
    }
}

/// One line, cleaned and cut.
fn name_of(text: &str) -> String {
    let clean = clean(text);
    let line: Vec<&str> = clean.split_whitespace().collect();
    shortened(&line.join(" "), LONGEST_NAME)
}

/// Keeps the end: what a test wrote last is nearest to its failure.
fn append_end(output: &mut String, more: &str) {
    output.push_str(more);
    if output.len() > LONGEST_OUTPUT {
        let start = output.ceil_char_boundary(output.len() - LONGEST_OUTPUT);
        output.drain(..start);
    }
}

#[cfg(test)]
#[path = "junit_tests.rs"]
mod tests;
