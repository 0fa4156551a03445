//! Purpose: what a walk over a tree sends, and where it need not go (the filter of `tonistiigi/fsutil`).

use super::patterns::{Matched, PatternError, Patterns};

/// Includes and excludes of one request of BuildKit's file sync.
#[derive(Debug, Clone)]
pub struct Filter {
    include: Option<Patterns>,
    exclude: Option<Patterns>,
    /// All includes are plain paths, so that a folder that is a prefix of none can be skipped.
    plain_includes: bool,
    /// The same for the exceptions among the excludes.
    plain_exceptions: bool,
}

/// What is known about a folder that is being walked.
#[derive(Debug, Clone, Default)]
pub struct Visit {
    include: Option<Matched>,
    exclude: Option<Matched>,
}

/// What to do with a folder.
#[derive(Debug, Clone)]
pub enum Directory {
    /// Neither the folder nor anything in it is wanted.
    Skip,
    /// The folder is wanted only if something in it is.
    Walk(Visit),
    /// The folder is wanted.
    Send(Visit),
}

impl Filter {
    /// Compiles a filter. No includes: everything is included that no exclude matches.
    ///
    /// # Errors
    /// The first malformed pattern.
    pub fn new<P: AsRef<[u8]>>(
        includes: impl IntoIterator<Item = P>,
        excludes: impl IntoIterator<Item = P>,
    ) -> Result<Self, PatternError> {
        let some = |patterns: Patterns| (!patterns.is_empty()).then_some(patterns);
        let include = some(Patterns::new(includes)?);
        let exclude = some(Patterns::new(excludes)?);
        let plain = |patterns: &Option<Patterns>, exception: bool| {
            let mut all = patterns.iter().flat_map(Patterns::iter);
            all.all(|pattern| pattern.exception != exception || is_plain(without_trailing_glob(pattern.glob.text())))
        };
        let (plain_includes, plain_exceptions) = (plain(&include, false), plain(&exclude, true));
        Ok(Self { include, exclude, plain_includes, plain_exceptions })
    }

    /// Whether a file (anything that is not a folder) is wanted; `folder` is `None` at the root.
    #[must_use]
    pub fn file(&self, path: &[u8], folder: Option<&Visit>) -> bool {
        let included = |patterns: &Patterns| patterns.matches_in(path, folder.and_then(|f| f.include.as_ref()));
        let excluded = |patterns: &Patterns| patterns.matches_in(path, folder.and_then(|f| f.exclude.as_ref()));
        self.include.as_ref().is_none_or(included) && !self.exclude.as_ref().is_some_and(excluded)
    }

    /// What to do with a folder; `folder` is the one that it lies in, `None` at the root.
    #[must_use]
    pub fn directory(&self, path: &[u8], folder: Option<&Visit>) -> Directory {
        let mut visit = Visit::default();
        let mut send = true;
        if let Some(patterns) = &self.include {
            let (matched, results) = patterns.matches_folder(path, folder.and_then(|f| f.include.as_ref()));
            visit.include = Some(results);
            if !matched {
                if self.plain_includes && !leads_to(patterns, false, path) {
                    return Directory::Skip;
                }
                send = false;
            }
        }
        if let Some(patterns) = &self.exclude {
            let (matched, results) = patterns.matches_folder(path, folder.and_then(|f| f.exclude.as_ref()));
            visit.exclude = Some(results);
            if matched {
                if self.plain_exceptions && !leads_to(patterns, true, path) {
                    return Directory::Skip;
                }
                send = false;
            }
        }
        if send { Directory::Send(visit) } else { Directory::Walk(visit) }
    }
}

/// Whether one of the (plain) patterns names something in that folder.
fn leads_to(patterns: &Patterns, exceptions: bool, folder: &[u8]) -> bool {
    patterns.iter().filter(|pattern| pattern.exception == exceptions).any(|pattern| {
        let text = without_trailing_glob(pattern.glob.text());
        text.strip_prefix(folder).is_some_and(|rest| rest.is_empty() || rest.starts_with(b"/"))
    })
}

fn without_trailing_glob(text: &[u8]) -> &[u8] {
    let text = text.strip_suffix(b"/**").unwrap_or(text);
    text.strip_suffix(b"/*").unwrap_or(text)
}

fn is_plain(text: &[u8]) -> bool {
    !text.iter().any(|byte| b"*[]?^\\".contains(byte))
}
