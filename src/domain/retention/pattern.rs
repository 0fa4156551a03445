//! Purpose: what a policy calls a kind of tag: a glob, a regular expression between slashes, `<semver>` or `<commit>`.

use std::fmt;
use std::str::FromStr;

use globset::{Glob, GlobMatcher};
use regex::Regex;

/// A pattern over whole tags, upper and lower case kept apart.
#[derive(Debug, Clone)]
pub struct Pattern {
    text: String,
    kind: Kind,
}

#[derive(Debug, Clone)]
enum Kind {
    /// Exactly this tag: most patterns, and much cheaper than a glob.
    Exact,
    /// What stands before a star at the end, as in `pr-*`.
    Prefix(String),
    Glob(GlobMatcher),
    Regex(Regex),
    Semver,
    Commit,
}

/// A pattern that cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PatternError {
    /// Nothing.
    #[error("a pattern is empty")]
    Empty,
    /// A tag never has spaces, so that the pattern would silently match nothing.
    #[error("'{0}' has a space in it, and a tag never has")]
    Space(String),
    /// Not a glob.
    #[error("'{0}' is not a glob: {1}")]
    Glob(String, String),
    /// Not a regular expression.
    #[error("'{0}' is not a regular expression: {1}")]
    Regex(String, String),
    /// An unknown name in angle brackets.
    #[error("'{0}' is not known; there are <semver> and <commit>")]
    Unknown(String),
}

impl Pattern {
    /// Whether a tag is meant.
    #[must_use]
    pub fn matches(&self, tag: &str) -> bool {
        match &self.kind {
            Kind::Exact => self.text == tag,
            Kind::Prefix(prefix) => tag.starts_with(prefix.as_str()),
            Kind::Glob(glob) => glob.is_match(tag),
            Kind::Regex(regex) => regex.is_match(tag),
            Kind::Semver => is_semver(tag),
            Kind::Commit => is_commit(tag),
        }
    }

    /// As it was written.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// The text of a glob; regular expressions and names in angle brackets are none.
    #[must_use]
    pub fn glob(&self) -> Option<&str> {
        matches!(self.kind, Kind::Exact | Kind::Prefix(_) | Kind::Glob(_)).then_some(self.text.as_str())
    }
}

impl FromStr for Pattern {
    type Err = PatternError;

    fn from_str(text: &str) -> Result<Self, PatternError> {
        if text.is_empty() {
            return Err(PatternError::Empty);
        }
        let kind = if let Some(regex) = text.strip_prefix('/').and_then(|rest| rest.strip_suffix('/')) {
            let whole = Regex::new(&format!("^(?:{regex})$"));
            Kind::Regex(whole.map_err(|error| PatternError::Regex(text.to_owned(), last_line(&error)))?)
        } else if text.contains(char::is_whitespace) {
            return Err(PatternError::Space(text.to_owned()));
        } else if text.starts_with('<') {
            match text {
                "<semver>" => Kind::Semver,
                "<commit>" => Kind::Commit,
                _ => return Err(PatternError::Unknown(text.to_owned())),
            }
        } else if let Some(prefix) = text.strip_suffix('*').filter(|prefix| is_plain(prefix)) {
            Kind::Prefix(prefix.to_owned())
        } else if !is_plain(text) {
            let glob = Glob::new(text).map_err(|error| PatternError::Glob(text.to_owned(), last_line(&error)))?;
            Kind::Glob(glob.compile_matcher())
        } else {
            Kind::Exact
        };
        Ok(Self { text: text.to_owned(), kind })
    }
}

/// Whether no character means anything but itself.
pub(super) fn is_plain(text: &str) -> bool {
    !text.contains(['*', '?', '[', ']', '{', '}', '\\'])
}

fn last_line(error: &impl fmt::Display) -> String {
    error.to_string().lines().last().unwrap_or_default().trim_start_matches("error: ").to_owned()
}

impl fmt::Display for Pattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl PartialEq for Pattern {
    fn eq(&self, other: &Self) -> bool {
        self.text == other.text
    }
}

/// `1.2.3`, `v1.2.3`, `1.2.3-rc.1`, and the shorter `1.2`, `v1.2` that releases move along. A lone number is none: it
/// could be anything.
pub(super) fn is_semver(tag: &str) -> bool {
    let version = tag.strip_prefix('v').unwrap_or(tag);
    let core_end = version.find(['-', '+']).unwrap_or(version.len());
    let (core, rest) = version.split_at(core_end);
    let parts: Vec<&str> = core.split('.').collect();
    let numbers =
        parts.iter().all(|part| !part.is_empty() && part.len() <= 9 && part.bytes().all(|b| b.is_ascii_digit()));
    let bare = parts.len() == 1 && tag.starts_with('v') && rest.is_empty();
    numbers && (parts.len() == 3 || (parts.len() == 2 && rest.is_empty()) || bare)
}

/// 7 to 40 lower-case hexadecimal digits.
pub(super) fn is_commit(tag: &str) -> bool {
    (7..=40).contains(&tag.len()) && tag.bytes().all(|b| b.is_ascii_digit() || (b'a'..=b'f').contains(&b))
}
