//! Purpose: which lines tests reached: Cobertura, JaCoCo, Clover and LCOV, told apart by their content.
//!
//! Reports of several jobs are joined line by line: a line is covered when any of them reached it. Adding up totals
//! instead would count a file twice that two jobs measured.

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Read};

use super::{ReadError, shortened};

mod lcov;
mod markup;

/// The highest line number that is believed; beyond it no editor shows a file.
const LAST_LINE: u64 = 10_000_000;
/// Blocks of 64 lines that all files together may have: some sixty million lines of dense code.
const MOST_BLOCKS: usize = 1_000_000;
/// Files that are told apart.
const MOST_FILES: usize = 200_000;
/// Longest path, in characters.
const LONGEST_PATH: usize = 500;

/// Covered and all, of lines or of branches.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Ratio {
    /// How many were reached.
    pub covered: u64,
    /// How many there are.
    pub all: u64,
}

impl Ratio {
    /// In hundredths of a per cent, rounded down so that 100 % means all; none when there is nothing to cover.
    #[must_use]
    pub fn basis_points(self) -> Option<u64> {
        (self.all > 0).then(|| self.covered.saturating_mul(10_000) / self.all)
    }

    fn add(&mut self, other: Self) {
        self.covered += other.covered;
        self.all += other.all;
    }
}

/// Hundredths of a per cent as text: `81.25`.
#[must_use]
pub fn percent(basis_points: u64) -> String {
    format!("{}.{:02}", basis_points / 100, basis_points % 100)
}

/// What one or several reports say.
#[derive(Debug, Clone, Default)]
pub struct Coverage {
    files: BTreeMap<String, File>,
    /// Totals of reports that name no lines.
    plain: Ratio,
    blocks: usize,
}

/// One source file.
#[derive(Debug, Clone, Default)]
struct File {
    /// Per 64 lines: which lines count, and which of them were reached.
    lines: BTreeMap<u32, (u64, u64)>,
    branches: BTreeMap<u32, Ratio>,
    /// What the report says of the whole file, when it names no lines.
    said: Ratio,
}

impl File {
    fn line_ratio(&self) -> Ratio {
        if self.lines.is_empty() {
            return self.said;
        }
        let mut ratio = Ratio::default();
        for (all, covered) in self.lines.values() {
            ratio.add(Ratio { covered: covered.count_ones().into(), all: all.count_ones().into() });
        }
        ratio
    }
}

/// One file's coverage, to be shown.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FileCoverage {
    /// Path as the report names it, without the workspace's own path.
    pub path: String,
    /// Lines.
    pub lines: Ratio,
}

impl Coverage {
    /// Lines of all files.
    #[must_use]
    pub fn lines(&self) -> Ratio {
        let mut total = self.plain;
        self.files.values().for_each(|file| total.add(file.line_ratio()));
        total
    }

    /// Branches of all files.
    #[must_use]
    pub fn branches(&self) -> Ratio {
        let mut total = Ratio::default();
        self.files.values().flat_map(|file| file.branches.values()).for_each(|ratio| total.add(*ratio));
        total
    }

    /// How many files there are.
    #[must_use]
    pub fn file_count(&self) -> usize {
        self.files.len()
    }

    /// The files with the most lines that nothing reached, at most `limit`.
    #[must_use]
    pub fn least_covered(&self, limit: usize) -> Vec<FileCoverage> {
        let files = self.files.iter().map(|(path, file)| FileCoverage { path: path.clone(), lines: file.line_ratio() });
        let mut files: Vec<FileCoverage> = files.filter(|file| file.lines.covered < file.lines.all).collect();
        files.sort_by_key(|file| std::cmp::Reverse(file.lines.all - file.lines.covered));
        files.truncate(limit);
        files
    }

    /// Joins what another report says.
    ///
    /// # Errors
    /// [`ReadError::TooLarge`].
    pub fn absorb(&mut self, other: Self) -> Result<(), ReadError> {
        self.plain.add(other.plain);
        for (path, file) in other.files {
            let mine = self.file(path)?;
            let mut added = 0;
            for (block, (all, covered)) in file.lines {
                let entry = mine.lines.entry(block).or_insert_with(|| {
                    added += 1;
                    (0, 0)
                });
                *entry = (entry.0 | all, entry.1 | covered);
            }
            for (line, ratio) in file.branches {
                join(mine.branches.entry(line).or_default(), ratio);
            }
            join(&mut mine.said, file.said);
            self.grow(added)?;
        }
        Ok(())
    }

    fn file(&mut self, path: String) -> Result<&mut File, ReadError> {
        if self.files.len() >= MOST_FILES && !self.files.contains_key(&path) {
            return Err(ReadError::TooLarge { what: "more source files", limit: "200000" });
        }
        Ok(self.files.entry(path).or_default())
    }

    fn grow(&mut self, blocks: usize) -> Result<(), ReadError> {
        self.blocks += blocks;
        if self.blocks > MOST_BLOCKS {
            return Err(ReadError::TooLarge { what: "more lines", limit: "64 million" });
        }
        Ok(())
    }
}

/// The better of two measurements of the same thing.
fn join(mine: &mut Ratio, other: Ratio) {
    *mine = Ratio { covered: mine.covered.max(other.covered), all: mine.all.max(other.all) };
}

/// Puts what a reader finds where it belongs.
struct Builder<'a> {
    coverage: &'a mut Coverage,
    roots: &'a [&'a str],
    path: String,
}

impl Builder<'_> {
    /// The lines that follow are of this file. An absolute path loses the workspace's own part.
    fn enter(&mut self, path: &str) {
        let path = super::clean(path.trim()).replace(['\n', '\t'], " ").replace('\\', "/");
        let below = self.roots.iter().find_map(|root| path.strip_prefix(root.trim_end_matches('/'))?.strip_prefix('/'));
        let path = below.unwrap_or(&path).trim_start_matches("./");
        self.path = shortened(path, LONGEST_PATH);
    }

    fn line(&mut self, number: u64, covered: bool) -> Result<(), ReadError> {
        let Some((block, bit)) = place(number) else {
            return Ok(());
        };
        let file = self.coverage.file(self.path.clone())?;
        let before = file.lines.len();
        let entry = file.lines.entry(block).or_default();
        entry.0 |= bit;
        entry.1 |= if covered { bit } else { 0 };
        let added = file.lines.len() - before;
        self.coverage.grow(added)
    }

    fn branches(&mut self, number: u64, ratio: Ratio) -> Result<(), ReadError> {
        let Ok(line) = u32::try_from(number.min(LAST_LINE)) else {
            return Ok(());
        };
        if ratio.all > 0 {
            let file = self.coverage.file(self.path.clone())?;
            join(file.branches.entry(line).or_default(), ratio);
        }
        Ok(())
    }

    fn said(&mut self, ratio: Ratio) -> Result<(), ReadError> {
        join(&mut self.coverage.file(self.path.clone())?.said, ratio);
        Ok(())
    }
}

fn place(number: u64) -> Option<(u32, u64)> {
    let number = u32::try_from(number).ok().filter(|number| u64::from(*number) <= LAST_LINE && *number > 0)?;
    Some((number / 64, 1 << (number % 64)))
}

/// Reads one report of any known form and joins what it says. `roots` are absolute paths of the workspace.
///
/// # Errors
/// [`ReadError`]; a report without a single line to cover is an error too, because it is what a tool leaves that
/// measured nothing.
pub fn read(source: impl Read, roots: &[&str], coverage: &mut Coverage) -> Result<(), ReadError> {
    let mut source = BufReader::new(source);
    let start = source.fill_buf().map_err(ReadError::Io)?;
    let first =
        start.iter().find(|byte| !byte.is_ascii_whitespace() && !matches!(byte, 0xef | 0xbb | 0xbf | 0xfe | 0xff | 0));
    let is_xml = match first {
        None => return Err(ReadError::Empty),
        Some(byte) => *byte == b'<',
    };
    let mut found = Coverage::default();
    let mut builder = Builder { coverage: &mut found, roots, path: String::new() };
    if is_xml { markup::read(source, &mut builder) } else { lcov::read(source, &mut builder) }?;
    if found.lines().all == 0 {
        return Err(ReadError::Unknown("a report of any line: nothing was measured"));
    }
    coverage.absorb(found)
}

#[cfg(test)]
mod tests;
