//! Purpose: reports as sections of Markdown, the most important first: for a comment and for the job summary alike.

use crate::domain::markdown::{Markdown, code, escaped, link};

use super::coverage::{Coverage, percent};
use super::passage::Passage;
use super::plan::Plan;
use super::sarif::{Findings, Level};
use super::{junit, shortened};

mod changes;
mod failures;

pub use changes::{attributes as plan_details, table as plan_table};

/// Files that are listed in a table.
const FILES_LISTED: usize = 40;
/// Findings that are listed.
const FINDINGS_LISTED: usize = 50;

/// Where the reports come from.
#[derive(Debug, Clone, Default)]
pub struct Origin {
    /// Page of the run.
    pub run_url: Option<String>,
    /// `https://github.com/acme/app/blob/<commit>`: what paths are appended to.
    pub blob_url: Option<String>,
    /// First digits of the commit.
    pub commit: Option<String>,
}

impl Origin {
    /// A place in the source, as a link when it is known to exist.
    fn place(&self, file: &str, line: u32) -> String {
        let text = format!("{file}:{line}");
        // What GitHub's own links leave as it is.
        const KEPT: &percent_encoding::AsciiSet =
            &percent_encoding::NON_ALPHANUMERIC.remove(b'-').remove(b'_').remove(b'.').remove(b'~');
        let encode = |part: &str| percent_encoding::utf8_percent_encode(part, KEPT).to_string();
        match &self.blob_url {
            Some(blob) => {
                let path: Vec<String> = file.split('/').map(encode).collect();
                link(&text, &format!("{blob}/{}#L{line}", path.join("/")))
            }
            None => code(&text),
        }
    }
}

/// How one kind of report is to be judged.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mark {
    /// Nothing is wrong.
    Good,
    /// Something is wrong.
    Bad,
    /// Something wants to be looked at.
    Look,
}

impl Mark {
    fn sign(self) -> &'static str {
        match self {
            Self::Good => "✅",
            Self::Bad => "❌",
            Self::Look => "⚠️",
        }
    }
}

/// One file's tests.
#[derive(Debug, Clone)]
pub struct FileTests {
    /// Path below the workspace.
    pub path: String,
    /// Its counts.
    pub totals: junit::Totals,
}

/// Everything that was read.
#[derive(Debug, Clone, Default)]
pub struct Reports {
    /// Tests, all files together.
    pub tests: Option<junit::Tests>,
    /// Tests per file.
    pub test_files: Vec<FileTests>,
    /// Coverage, all files together.
    pub coverage: Option<Coverage>,
    /// The least coverage that is enough, in hundredths of a per cent.
    pub min_coverage: Option<u64>,
    /// Plans by file.
    pub plans: Vec<(String, Plan)>,
    /// Findings, all files together.
    pub findings: Option<Findings>,
    /// Passages by file.
    pub passages: Vec<(String, Passage)>,
    /// Reports that are missing or cannot be read, a sentence each.
    pub problems: Vec<String>,
}

impl Reports {
    /// The worst of all marks.
    #[must_use]
    pub fn mark(&self) -> Mark {
        let marks = [
            if self.problems.is_empty() { Mark::Good } else { Mark::Bad },
            self.tests.as_ref().map_or(Mark::Good, |tests| tests_mark(&tests.totals)),
            self.coverage_mark(),
            if self.plans.iter().any(|(_, plan)| plan.errored) { Mark::Bad } else { Mark::Good },
            self.findings.as_ref().map_or(Mark::Good, findings_mark),
        ];
        let worst = |wanted| marks.contains(&wanted);
        if worst(Mark::Bad) {
            Mark::Bad
        } else if worst(Mark::Look) {
            Mark::Look
        } else {
            Mark::Good
        }
    }

    fn coverage_mark(&self) -> Mark {
        let (Some(coverage), Some(min)) = (&self.coverage, self.min_coverage) else {
            return Mark::Good;
        };
        if coverage.lines().basis_points().is_some_and(|covered| covered >= min) { Mark::Good } else { Mark::Bad }
    }

    /// The sections. Each stands alone, so that a text may end after any of them.
    #[must_use]
    pub fn sections(&self, title: &str, origin: &Origin) -> Vec<String> {
        let mut sections = vec![self.overview(title, origin)];
        if !self.problems.is_empty() {
            let problems = self.problems.iter().map(|problem| escaped(problem));
            sections.push(Markdown::new().heading(4, "Reports that could not be read").bullets(problems).into_string());
        }
        if let Some(tests) = &self.tests {
            failures::sections(tests, origin, &mut sections);
        }
        for (path, plan) in &self.plans {
            let name = if self.plans.len() > 1 { Some(path.as_str()) } else { None };
            changes::sections(plan, name, &mut sections);
        }
        if let Some(findings) = self.findings.as_ref().filter(|findings| findings.total() > 0) {
            sections.push(findings_table(findings, origin));
        }
        if let Some(coverage) = &self.coverage {
            sections.extend(coverage_table(coverage));
        }
        self.test_tables(&mut sections);
        for (path, passage) in &self.passages {
            let mut section = Markdown::new().raw(passage.text.trim_end());
            if passage.cut {
                section = section.raw(&format!("> The rest of {} is left out: it is longer than 48 KiB.", code(path)));
            }
            sections.push(section.into_string());
        }
        sections
    }

    fn overview(&self, title: &str, origin: &Origin) -> String {
        let mut lines = Vec::new();
        if let Some(tests) = &self.tests {
            lines.push(format!("{} **Tests:** {}", tests_mark(&tests.totals).sign(), tests_line(&tests.totals)));
        }
        if let Some(coverage) = &self.coverage {
            lines.push(format!("{} **Coverage:** {}", self.coverage_mark().sign(), self.coverage_line(coverage)));
        }
        for (path, plan) in &self.plans {
            let of = if self.plans.len() > 1 { format!("{}: ", code(path)) } else { String::new() };
            let sign = if plan.errored { Mark::Bad.sign() } else { changes::sign(&plan.counts) };
            lines.push(format!("{sign} **Plan:** {of}{}", changes::line(plan)));
        }
        if let Some(findings) = &self.findings {
            lines.push(format!("{} **Findings:** {}", findings_mark(findings).sign(), findings_line(findings)));
        }
        let mut from = Vec::new();
        from.extend(origin.commit.as_ref().map(|commit| format!("Commit {}", code(commit))));
        from.extend(origin.run_url.as_ref().map(|url| link("run", url)));
        let mut section = Markdown::new().heading(3, &format!("{} {title}", self.mark().sign()));
        if !lines.is_empty() {
            section = section.bullets(lines);
        }
        if !from.is_empty() {
            section = section.raw(&format!("<sub>{}</sub>", from.join(" · ")));
        }
        section.into_string()
    }

    fn coverage_line(&self, coverage: &Coverage) -> String {
        let lines = coverage.lines();
        let mut text = match lines.basis_points() {
            Some(covered) => format!("{} % of lines ({} of {})", percent(covered), lines.covered, lines.all),
            None => "no lines were measured".to_owned(),
        };
        if let Some(branches) = coverage.branches().basis_points() {
            text.push_str(&format!(", {} % of branches", percent(branches)));
        }
        if let Some(min) = self.min_coverage {
            let min = percent(min);
            let min = min.trim_end_matches('0').trim_end_matches('.');
            text.push_str(&format!("; at least {min} % are wanted"));
        }
        text
    }

    fn test_tables(&self, sections: &mut Vec<String>) {
        if self.test_files.len() > 1 {
            let mut files: Vec<&FileTests> = self.test_files.iter().collect();
            files.sort_by_key(|file| std::cmp::Reverse(file.totals.bad()));
            let row = |file: &&FileTests| {
                let totals = &file.totals;
                let counts = [totals.tests, totals.passed(), totals.bad(), totals.skipped, totals.flaky];
                let mut row = vec![code(&file.path)];
                row.extend(counts.iter().map(ToString::to_string));
                row.push(duration(totals.micros));
                row
            };
            let head = ["File", "Tests", "Passed", "Failed", "Skipped", "Flaky", "Time"];
            let mut table = Markdown::new().table(&head, files.iter().take(FILES_LISTED).map(row));
            table = more(table, files.len().saturating_sub(FILES_LISTED), "files");
            sections.push(Markdown::new().details(&format!("{} test reports", files.len()), &table).into_string());
        }
        let Some(tests) = &self.tests else {
            return;
        };
        if !tests.flaky.kept.is_empty() {
            let list = Markdown::new().bullets(tests.flaky.kept.iter().map(|name| code(name)));
            let list = more(list, usize::try_from(tests.flaky.left_out).unwrap_or(usize::MAX), "flaky tests");
            let title = format!("{} flaky: passed at a second try", counted(tests.totals.flaky, "test"));
            sections.push(Markdown::new().details(&title, &list).into_string());
        }
        if tests.slowest.first().is_some_and(|(_, micros)| *micros >= 1_000_000) {
            let rows = tests.slowest.iter().map(|(name, micros)| vec![code(name), duration(*micros)]);
            let table = Markdown::new().table(&["Test", "Time"], rows);
            sections.push(Markdown::new().details("Slowest tests", &table).into_string());
        }
    }
}

/// One plan as a line of an overview.
#[must_use]
pub fn plan_line(plan: &Plan) -> String {
    let sign = if plan.errored { Mark::Bad.sign() } else { changes::sign(&plan.counts) };
    format!("{sign} **Plan:** {}", changes::line(plan))
}

fn tests_mark(totals: &junit::Totals) -> Mark {
    match totals {
        totals if totals.bad() > 0 => Mark::Bad,
        totals if totals.flaky > 0 || totals.tests == 0 => Mark::Look,
        _ => Mark::Good,
    }
}

/// `118 passed, 2 failed, 1 skipped in 1m 12s`.
fn tests_line(totals: &junit::Totals) -> String {
    if totals.tests == 0 {
        return "no test ran".to_owned();
    }
    let parts = [
        (totals.failures, "failed"),
        (totals.errors, "broke"),
        (totals.passed(), "passed"),
        (totals.skipped, "skipped"),
        (totals.flaky, "flaky"),
    ];
    let parts = parts.iter().filter(|(count, _)| *count > 0).map(|(count, word)| format!("{count} {word}"));
    let parts: Vec<String> = parts.collect();
    let time = if totals.micros > 0 { format!(" in {}", duration(totals.micros)) } else { String::new() };
    format!("{}{time}", parts.join(", "))
}

fn findings_mark(findings: &Findings) -> Mark {
    if findings.count(Level::Error) > 0 || !findings.failed_tools.is_empty() {
        Mark::Bad
    } else if findings.count(Level::Warning) > 0 {
        Mark::Look
    } else {
        Mark::Good
    }
}

fn findings_line(findings: &Findings) -> String {
    let levels = [(Level::Error, "error"), (Level::Warning, "warning"), (Level::Note, "note")];
    let levels = levels.into_iter().filter(|(level, _)| findings.count(*level) > 0);
    let mut parts: Vec<String> = levels.map(|(level, word)| counted(findings.count(level), word)).collect();
    if parts.is_empty() {
        parts.push("none".to_owned());
    }
    if findings.suppressed > 0 {
        parts.push(format!("{} suppressed", findings.suppressed));
    }
    let mut text = parts.join(", ");
    if !findings.tools.is_empty() {
        let tools: Vec<String> = findings.tools.iter().map(|tool| escaped(tool)).collect();
        text.push_str(&format!(" ({})", tools.join(", ")));
    }
    if !findings.failed_tools.is_empty() {
        let tools: Vec<String> = findings.failed_tools.iter().map(|tool| escaped(tool)).collect();
        text.push_str(&format!("; did not finish: {}", tools.join(", ")));
    }
    text
}

fn findings_table(findings: &Findings, origin: &Origin) -> String {
    let sign = |level: Level| match level {
        Level::Error => "🔴 error",
        Level::Warning => "🟡 warning",
        Level::Note => "🔵 note",
    };
    let rows = findings.iter().take(FINDINGS_LISTED).map(|finding| {
        let place = match (&finding.file, finding.line) {
            (Some(file), Some(line)) => origin.place(file.trim_start_matches('/'), line),
            (Some(file), None) => code(file),
            (None, _) => String::new(),
        };
        let severity =
            finding.severity.map(|severity| format!(" {}.{}", severity / 10, severity % 10)).unwrap_or_default();
        let level = format!("{}{severity}", sign(finding.level));
        vec![level, code(&finding.rule), place, escaped(&shortened(&finding.message, 200))]
    });
    let table = Markdown::new().heading(4, "Findings").table(&["Level", "Rule", "Where", "What"], rows);
    let total = usize::try_from(findings.total()).unwrap_or(usize::MAX);
    more(table, total.saturating_sub(FINDINGS_LISTED), "findings").into_string()
}

fn coverage_table(coverage: &Coverage) -> Option<String> {
    let files = coverage.least_covered(FILES_LISTED);
    if files.is_empty() {
        return None;
    }
    let rows = files.iter().map(|file| {
        let covered = file.lines.basis_points().unwrap_or_default();
        let missing = file.lines.all - file.lines.covered;
        vec![code(&file.path), format!("{} %", percent(covered)), missing.to_string(), file.lines.all.to_string()]
    });
    let table = Markdown::new().table(&["File", "Covered", "Lines missed", "Lines"], rows);
    let title =
        format!("Coverage by file: where most lines are missed, of {}", counted_usize(coverage.file_count(), "file"));
    Some(Markdown::new().details(&title, &table).into_string())
}

/// Says how much a list leaves out.
fn more(markdown: Markdown, count: usize, what: &str) -> Markdown {
    if count == 0 { markdown } else { markdown.paragraph(&format!("… and {count} more {what}.")) }
}

fn counted_usize(count: usize, word: &str) -> String {
    counted(u64::try_from(count).unwrap_or(u64::MAX), word)
}

/// `1 test`, `2 tests`.
#[must_use]
pub fn counted(count: u64, word: &str) -> String {
    if count == 1 { format!("1 {word}") } else { format!("{count} {word}s") }
}

/// `0.06s`, `12.3s`, `1m 12s`, `2h 5m`.
fn duration(micros: u64) -> String {
    let seconds = micros / 1_000_000;
    match seconds {
        0 => format!("{}.{:02}s", seconds, micros / 10_000),
        1..60 => format!("{seconds}.{}s", micros % 1_000_000 / 100_000),
        60..3600 => format!("{}m {}s", seconds / 60, seconds % 60),
        _ => format!("{}h {}m", seconds / 3600, seconds % 3600 / 60),
    }
}

#[cfg(test)]
mod tests;
