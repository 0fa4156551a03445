//! Purpose: glob patterns on names of branches and events.

use std::fmt;
use std::str::FromStr;

use globset::{GlobBuilder, GlobMatcher};

/// A pattern is not a glob. The message fits behind "the pattern …".
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("'{0}' is not a glob")]
pub struct GlobError(pub String);

/// One or several globs, separated by `|`. As in GitHub's own filters `*` stops at `/` and `**` does not.
#[derive(Debug, Clone)]
pub struct Globs {
    written: String,
    matchers: Vec<GlobMatcher>,
}

impl Globs {
    /// Whether the whole name matches one of the globs.
    #[must_use]
    pub fn matches(&self, name: &str) -> bool {
        self.matchers.iter().any(|matcher| matcher.is_match(name))
    }
}

impl FromStr for Globs {
    type Err = GlobError;

    fn from_str(text: &str) -> Result<Self, GlobError> {
        let matcher = |pattern: &str| {
            let pattern = pattern.trim();
            let glob = GlobBuilder::new(pattern).literal_separator(true).backslash_escape(true).build();
            glob.ok()
                .filter(|_| !pattern.is_empty())
                .map(|glob| glob.compile_matcher())
                .ok_or_else(|| GlobError(pattern.to_owned()))
        };
        let matchers = text.split('|').map(matcher).collect::<Result<_, _>>()?;
        Ok(Self { written: text.to_owned(), matchers })
    }
}

impl fmt::Display for Globs {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.written)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn match_whole_names_and_stop_at_slashes() {
        let globs: Globs = "release/*|dev".parse().unwrap();
        assert!(globs.matches("release/1.2") && globs.matches("dev"));
        assert!(!globs.matches("release/1/2") && !globs.matches("develop") && !globs.matches("my/dev"));
        let deep: Globs = "release/**".parse().unwrap();
        assert!(deep.matches("release/1/2"));
    }

    #[test]
    fn refuse_what_is_no_glob() {
        for text in ["", "a|", "[", "{a"] {
            assert!(text.parse::<Globs>().is_err(), "{text}");
        }
    }
}
