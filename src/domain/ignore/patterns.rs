//! Purpose: an ordered list of patterns with exceptions, and whether a path matches it.

use super::glob::Glob;
use super::{clean, parent, trim};

/// A pattern that is malformed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("'{pattern}' is not a pattern that Docker understands")]
pub struct PatternError {
    /// The pattern as given.
    pub pattern: String,
}

#[derive(Debug, Clone)]
pub(super) struct Pattern {
    pub(super) exception: bool,
    pub(super) glob: Glob,
}

/// Which patterns matched a folder; what is in the folder inherits it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Matched(Box<[bool]>);

/// An ordered list of patterns. The last one that matches a path or one of its parents decides.
#[derive(Debug, Clone, Default)]
pub struct Patterns {
    list: Vec<Pattern>,
}

impl Patterns {
    /// Compiles patterns as [`super::parse`] returns them; blank ones are dropped.
    ///
    /// # Errors
    /// The first malformed pattern.
    pub fn new<P: AsRef<[u8]>>(patterns: impl IntoIterator<Item = P>) -> Result<Self, PatternError> {
        let list = patterns.into_iter().filter_map(|pattern| compile(pattern.as_ref()).transpose());
        Ok(Self { list: list.collect::<Result<_, _>>()? })
    }

    /// Whether there is no pattern at all.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.list.is_empty()
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = &Pattern> {
        self.list.iter()
    }

    /// Whether the path (relative, without a leading or trailing `/`) matches, by itself or through a parent.
    #[must_use]
    pub fn matches(&self, path: &[u8]) -> bool {
        let mut matched = false;
        for pattern in &self.list {
            if pattern.exception == matched && with_parents(&pattern.glob, path) {
                matched = !pattern.exception;
            }
        }
        matched
    }

    /// Whether a path matches whose folder's result is known; `None` for what lies at the root.
    #[must_use]
    pub fn matches_in(&self, path: &[u8], folder: Option<&Matched>) -> bool {
        self.walk(path, folder, |_, _| ())
    }

    /// The same for a folder, with the result that its content inherits.
    #[must_use]
    pub fn matches_folder(&self, path: &[u8], folder: Option<&Matched>) -> (bool, Matched) {
        let mut each = vec![false; self.list.len()].into_boxed_slice();
        let matched = self.walk(path, folder, |index, matched| each[index] = matched);
        (matched, Matched(each))
    }

    /// `MatchesUsingParentResults` of the reference: a pattern that cannot change the outcome is not tried, and then
    /// counts as unmatched for the content of the folder, too.
    fn walk(&self, path: &[u8], folder: Option<&Matched>, mut note: impl FnMut(usize, bool)) -> bool {
        let mut matched = false;
        for (index, pattern) in self.list.iter().enumerate() {
            let inherited = folder.is_some_and(|folder| folder.0.get(index).copied().unwrap_or_default());
            if !inherited && pattern.exception != matched {
                continue;
            }
            if inherited || pattern.glob.matches(path) {
                note(index, true);
                matched = !pattern.exception;
            }
        }
        matched
    }
}

fn compile(given: &[u8]) -> Result<Option<Pattern>, PatternError> {
    let wrong = || PatternError { pattern: String::from_utf8_lossy(given).into_owned() };
    let text = trim(given);
    if text.is_empty() {
        return Ok(None);
    }
    let text = clean(text);
    let (exception, text) = match text.strip_prefix(b"!") {
        Some([]) => return Err(wrong()),
        Some(rest) => (true, rest.to_vec()),
        None => (false, text),
    };
    Ok(Some(Pattern { exception, glob: Glob::new(text).ok_or_else(wrong)? }))
}

fn with_parents(glob: &Glob, path: &[u8]) -> bool {
    let mut path = path;
    while !path.is_empty() {
        if glob.matches(path) {
            return true;
        }
        path = parent(path);
    }
    false
}
