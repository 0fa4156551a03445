//! Purpose: the files of the inputs, opened one after the other and read into one set of reports.

use std::fs::File;
use std::io::Read as _;
use std::path::Path;

use super::files::{Found, Patterns};
use super::inputs::Settings;
use crate::domain::report::coverage::{self, Coverage};
use crate::domain::report::junit::{self, Tests};
use crate::domain::report::passage::{self, passage};
use crate::domain::report::place::{self, Place};
use crate::domain::report::render::{FileTests, Reports};
use crate::domain::report::sarif::{self, Findings};
use crate::domain::report::{ReadError, plan};
use crate::runner::CancelToken;

/// Plans that are shown; each has a section of its own.
const MOST_PLANS: usize = 50;

/// Reads everything. Blocking: it belongs on a thread of its own.
pub(super) fn read(settings: &Settings, workspace: &Path, roots: &[String], cancel: &CancelToken) -> Reports {
    let reports = Reports { min_coverage: settings.min_coverage, ..Reports::default() };
    let mut reader = Reader { workspace, roots, cancel, reports };
    if let Some(patterns) = &settings.junit {
        reader.junit(patterns);
    }
    if let Some(patterns) = &settings.coverage {
        reader.coverage(patterns);
    }
    if let Some(patterns) = &settings.plan {
        reader.plans(patterns);
    }
    if let Some(patterns) = &settings.sarif {
        reader.sarif(patterns);
    }
    if let Some(patterns) = &settings.markdown {
        reader.markdown(patterns);
    }
    reader.reports
}

struct Reader<'a> {
    workspace: &'a Path,
    roots: &'a [String],
    cancel: &'a CancelToken,
    reports: Reports,
}

impl Reader<'_> {
    /// The files of an input; that there are none is a problem, because a tool that crashed leaves none.
    fn files(&mut self, input: &str, patterns: &Patterns) -> Vec<Found> {
        match patterns.find(self.workspace) {
            Ok((found, outside)) => {
                for name in outside {
                    self.problem(format!(
                        "{input}: {name} is a link that leads out of the workspace, and was not read"
                    ));
                }
                if found.is_empty() {
                    self.problem(format!("{input}: no file matches {}", patterns.written()));
                }
                found
            }
            Err(error) => {
                self.problem(format!("the files of {input} {}", chain(&error)));
                Vec::new()
            }
        }
    }

    fn problem(&mut self, text: String) {
        self.reports.problems.push(text);
    }

    /// Reads one file after the other; what cannot be read is a problem and does not keep the rest from being read.
    fn each(
        &mut self,
        input: &str,
        patterns: &Patterns,
        mut take: impl FnMut(&mut Self, &Found) -> Result<(), ReadError>,
    ) {
        for found in self.files(input, patterns) {
            if self.cancel.is_cancelled() {
                return;
            }
            if let Err(error) = take(self, &found) {
                self.problem(format!("the report {} {}", found.name, chain(&error)));
            }
        }
    }

    fn junit(&mut self, patterns: &Patterns) {
        let mut all = Tests::default();
        self.each("junit", patterns, |reader, found| {
            let mut tests = Tests::default();
            let result = junit::read(open(found)?, &mut tests);
            reader.reports.test_files.push(FileTests { path: found.name.clone(), totals: tests.totals });
            all.absorb(tests);
            result
        });
        for failed in &mut all.failed.kept {
            failed.place = self.place(failed);
        }
        self.reports.tests = Some(all);
    }

    fn coverage(&mut self, patterns: &Patterns) {
        let mut all = Coverage::default();
        self.each("coverage", patterns, |reader, found| {
            let roots: Vec<&str> = reader.roots.iter().map(String::as_str).collect();
            coverage::read(open(found)?, &roots, &mut all)
        });
        self.reports.coverage = Some(all);
    }

    fn plans(&mut self, patterns: &Patterns) {
        self.each("plan", patterns, |reader, found| {
            if reader.reports.plans.len() == MOST_PLANS {
                return Err(ReadError::TooLarge { what: "one plan too many beside it", limit: "50 plans" });
            }
            reader.reports.plans.push((found.name.clone(), plan::read(open(found)?)?));
            Ok(())
        });
    }

    fn sarif(&mut self, patterns: &Patterns) {
        let mut all = Findings::default();
        self.each("sarif", patterns, |_, found| sarif::read(open(found)?, &mut all));
        let tools: Vec<String> = all.failed_tools.clone();
        for tool in tools {
            self.problem(format!("the scanner {tool} says that it did not finish"));
        }
        self.reports.findings = Some(all);
    }

    fn markdown(&mut self, patterns: &Patterns) {
        self.each("markdown", patterns, |reader, found| {
            let mut bytes = Vec::new();
            let limit = u64::try_from(passage::LONGEST).unwrap_or(u64::MAX) * 2;
            open(found)?.take(limit).read_to_end(&mut bytes).map_err(ReadError::Io)?;
            let text = passage(&String::from_utf8_lossy(&bytes));
            reader.reports.passages.push((found.name.clone(), text));
            Ok(())
        });
    }

    /// The first place of a failed test that is a file of the workspace: what the report names, then its text.
    fn place(&self, failed: &junit::Failed) -> Option<Place> {
        let roots: Vec<&str> = self.roots.iter().map(String::as_str).collect();
        let said = failed.file.iter().zip(failed.line).map(|(file, line)| Place { file: file.clone(), line });
        let told = place::places(&failed.text).into_iter().chain(place::places(&failed.message));
        let file_alone = failed.file.iter().map(|file| Place { file: file.clone(), line: 1 });
        // A text's line is the assertion; a report's is where the test begins.
        let all = told.chain(said).chain(file_alone);
        let exists = |name: &String| self.workspace.join(name).is_file() && !name.contains("..");
        let mut found = all.filter_map(|place| {
            let file = place::candidates(&place.file, &failed.class, &roots).into_iter().find(exists)?;
            Some(Place { file, line: place.line })
        });
        found.next()
    }
}

fn open(found: &Found) -> Result<File, ReadError> {
    File::open(&found.path).map_err(ReadError::Io)
}

fn chain(error: &dyn std::error::Error) -> String {
    match error.source() {
        Some(source) => format!("{error}: {}", chain(source)),
        None => error.to_string(),
    }
}
