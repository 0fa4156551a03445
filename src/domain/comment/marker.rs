//! Purpose: the hidden line by which a program finds its own comment again.
//!
//! `<!-- {name}:{subject} -->`, alone on the first line. A marker further down is text that somebody quoted.

use std::fmt;

use crate::domain::names::{CommitSha, NameError};

/// Digits of a commit id in a marker; older markers hold up to all of them.
const SHORTEST_COMMIT: usize = 7;

/// The name of a marker: whose comment it is. Letters, digits, `.`, `_`, `-` and `/`, at most 64 characters and never
/// two hyphens in a row, which could end an HTML comment.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, serde::Serialize)]
#[serde(transparent)]
pub struct MarkerName(String);

impl std::str::FromStr for MarkerName {
    type Err = NameError;

    fn from_str(value: &str) -> Result<Self, NameError> {
        let fits = (1..=64).contains(&value.len())
            && value.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"._-/".contains(&byte))
            && value.starts_with(|c: char| c.is_ascii_alphanumeric())
            && !value.ends_with('-')
            && !value.contains("--");
        let expected =
            "the name of a marker (letters, digits, '.', '_', '/' and single hyphens, at most 64 characters)";
        if fits { Ok(Self(value.to_owned())) } else { Err(NameError { value: value.to_owned(), expected }) }
    }
}

impl MarkerName {
    /// The name as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for MarkerName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// What a comment is about.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Subject {
    /// One commit.
    Commit(CommitSha),
    /// A key that its author chose, encoded.
    Key(String),
}

/// The marker of one comment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Marker {
    name: MarkerName,
    subject: Subject,
}

impl Marker {
    /// The marker of a comment about one commit; it shows the first seven digits of the id.
    #[must_use]
    pub fn of_commit(name: MarkerName, sha: CommitSha) -> Self {
        Self { name, subject: Subject::Commit(sha) }
    }

    /// The marker of a comment with a key of any text; two keys never give the same marker.
    #[must_use]
    pub fn of_key(name: MarkerName, key: &str) -> Self {
        let mut encoded = String::with_capacity(key.len());
        for byte in key.bytes() {
            if byte.is_ascii_alphanumeric() || b"._".contains(&byte) {
                encoded.push(char::from(byte));
            } else {
                encoded.push_str(&format!("%{byte:02X}"));
            }
        }
        Self { name, subject: Subject::Key(encoded) }
    }

    /// Whether a comment with this body is one of ours: the marker is its whole first line. Of a commit any
    /// abbreviation of 7 digits and more counts, so that comments of older programs are found.
    #[must_use]
    pub fn is_in(&self, body: &str) -> bool {
        let Some(line) = body.lines().next() else {
            return false;
        };
        let inside = line.trim().strip_prefix("<!--").and_then(|line| line.strip_suffix("-->")).map(str::trim);
        let subject = inside.and_then(|inside| inside.strip_prefix(self.name.as_str())?.strip_prefix(':'));
        subject.is_some_and(|subject| match &self.subject {
            Subject::Commit(sha) => subject.len() >= SHORTEST_COMMIT && sha.as_str().starts_with(subject),
            Subject::Key(key) => subject == key,
        })
    }
}

impl fmt::Display for Marker {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.subject {
            Subject::Commit(sha) => write!(f, "<!-- {}:{} -->", self.name, sha.short()),
            Subject::Key(key) => write!(f, "<!-- {}:{key} -->", self.name),
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn name(text: &str) -> MarkerName {
        text.parse().unwrap()
    }

    fn commit() -> Marker {
        Marker::of_commit(name("infra-dashboard"), "abc1234def0123456789abcdef0123456789abcd".parse().unwrap())
    }

    #[test]
    fn a_commits_marker_is_found_in_every_spelling() {
        assert_eq!(commit().to_string(), "<!-- infra-dashboard:abc1234 -->");
        for body in [
            "<!-- infra-dashboard:abc1234 -->\n## x",
            "<!-- infra-dashboard:abc1234 -->\r\n## x",
            "<!--infra-dashboard:abc1234def-->",
            "<!-- infra-dashboard:abc1234def0123456789abcdef0123456789abcd -->",
        ] {
            assert!(commit().is_in(body), "{body}");
        }
        for body in [
            "",
            "<!-- infra-dashboard:abc123 -->",
            "<!-- infra-dashboard:abc1235 -->",
            "<!-- infra-dashboard:abc1234def0123456789abcdef0123456789abcde -->",
            "<!-- other:abc1234 -->",
            "> <!-- infra-dashboard:abc1234 -->",
            "look:\n<!-- infra-dashboard:abc1234 -->",
            "<!-- infra-dashboard:abc1234 --> and more",
        ] {
            assert!(!commit().is_in(body), "{body}");
        }
    }

    #[test]
    fn a_name_cannot_end_the_comment() {
        for wrong in ["", "-a", "a-", "a--b", "a b", "a>b", "a:b", &"a".repeat(65)] {
            assert!(wrong.parse::<MarkerName>().is_err(), "{wrong}");
        }
    }

    proptest! {
        #[test]
        fn every_key_has_a_marker_of_its_own_that_stays_a_comment(key in ".*", other in ".*") {
            let marker = Marker::of_key(name("report"), &key);
            let text = marker.to_string();
            let body = format!("{text}\nbody");
            prop_assert!(marker.is_in(&body));
            prop_assert_eq!(text.matches("--").count(), 2);
            prop_assert_eq!(text.lines().count(), 1);
            prop_assert_eq!(Marker::of_key(name("report"), &other).is_in(&text), key == other);
        }
    }
}
