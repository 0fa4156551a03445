//! Purpose: what test, coverage, scan and plan files say, read as streams: memory follows what is shown, not the file.
//!
//! The readers take any [`std::io::Read`]; whoever has files opens them. Every text that a file can make long is cut
//! where it is read, every list has a limit and counts what it leaves out, and a file that ends early is an error
//! beside the results read so far: a report that a killed tool left behind must not look complete.

use std::io;

pub mod coverage;
mod encoding;
mod json;
pub mod junit;
pub mod passage;
pub mod place;
pub mod plan;
pub mod render;
pub mod sarif;
mod tame;
mod text;
mod xml;

pub use text::{clean, shortened};

/// Largest file that is read, in bytes.
pub const LARGEST_FILE: u64 = 1 << 30;

/// A report cannot be read. The message fits behind "the report <path> ".
#[derive(Debug, thiserror::Error)]
pub enum ReadError {
    /// The file cannot be read.
    #[error("cannot be read")]
    Io(#[source] io::Error),
    /// Nothing is in it.
    #[error("is empty: the tool that writes it probably did not finish")]
    Empty,
    /// It stops inside an element.
    #[error("ends inside <{element}>: the tool that writes it was probably killed")]
    Unfinished {
        /// The innermost open element.
        element: String,
    },
    /// It is no well-formed XML.
    #[error("is not well-formed XML{}: {message}", inside(.element))]
    NotXml {
        /// The innermost open element; empty at the top.
        element: String,
        /// What the parser says.
        message: String,
    },
    /// It is no JSON of the expected form.
    #[error("is not {expected}")]
    NotJson {
        /// The expected form.
        expected: &'static str,
        /// What the parser says, with line and column.
        #[source]
        source: serde_json::Error,
    },
    /// It is a report of another kind.
    #[error("holds <{found}>, not {expected}")]
    Kind {
        /// The root element.
        found: String,
        /// What was expected.
        expected: &'static str,
    },
    /// It is a text of no known kind.
    #[error("is not {0}")]
    Unknown(&'static str),
    /// Something in it is larger than any tool writes.
    #[error("has {what}, above the limit of {limit}")]
    TooLarge {
        /// What is large.
        what: &'static str,
        /// The limit, with its unit.
        limit: &'static str,
    },
    /// A version of the format that is not known.
    #[error("has the format version '{0}', which is not known")]
    Version(String),
}

fn inside(element: &str) -> String {
    if element.is_empty() { String::new() } else { format!(" (inside <{element}>)") }
}

/// The start of a list, and how much it leaves out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Bounded<T> {
    /// What is kept.
    pub kept: Vec<T>,
    /// How many more there were.
    pub left_out: u64,
    limit: usize,
}

impl<T> Bounded<T> {
    /// An empty list that keeps at most `limit` entries.
    #[must_use]
    pub fn new(limit: usize) -> Self {
        Self { kept: Vec::new(), left_out: 0, limit }
    }

    /// Adds an entry, or counts it.
    pub fn push(&mut self, entry: T) {
        if self.kept.len() < self.limit {
            self.kept.push(entry);
        } else {
            self.left_out += 1;
        }
    }

    /// Adds the entries of another list.
    pub fn absorb(&mut self, other: Self) {
        self.left_out += other.left_out;
        for entry in other.kept {
            self.push(entry);
        }
    }

    /// How many there were.
    #[must_use]
    pub fn count(&self) -> u64 {
        self.left_out + u64::try_from(self.kept.len()).unwrap_or(u64::MAX)
    }
}
