//! Purpose: whether an image was made from the commit that is expected.

use std::fmt;

use serde::Serialize;

/// The label that names the commit (OCI image specification, annotations).
pub const REVISION: &str = "org.opencontainers.image.revision";
/// Fewer digits than this name no commit.
const FEWEST_DIGITS: usize = 7;

/// What the label says.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Freshness {
    /// It is the expected commit.
    True,
    /// It is another one.
    False,
    /// There is nothing to compare: no label, or nothing expected.
    Unknown,
}

impl fmt::Display for Freshness {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::True => "true",
            Self::False => "false",
            Self::Unknown => "unknown",
        })
    }
}

impl Freshness {
    /// Compares; either may be abbreviated, to seven digits at least.
    #[must_use]
    pub fn of(label: Option<&str>, expected: Option<&str>) -> Self {
        let (Some(label), Some(expected)) = (label.and_then(commit), expected.and_then(commit)) else {
            return Self::Unknown;
        };
        if label.starts_with(&expected) || expected.starts_with(&label) { Self::True } else { Self::False }
    }
}

/// A commit id, possibly abbreviated, in lower case.
fn commit(text: &str) -> Option<String> {
    let text = text.trim();
    let is_id = text.len() >= FEWEST_DIGITS && text.len() <= 64 && text.bytes().all(|byte| byte.is_ascii_hexdigit());
    is_id.then(|| text.to_ascii_lowercase())
}

/// Whether a text can be an expected commit.
#[must_use]
pub fn is_commit(text: &str) -> bool {
    commit(text).is_some()
}

#[cfg(test)]
mod tests {
    use super::*;

    const SHA: &str = "0123456789abcdef0123456789abcdef01234567";

    #[test]
    fn either_may_be_short() {
        assert_eq!(Freshness::of(Some(SHA), Some(&SHA[..7])), Freshness::True);
        assert_eq!(Freshness::of(Some(&SHA[..12]), Some(SHA)), Freshness::True);
        assert_eq!(Freshness::of(Some("0123456789ABCDEF"), Some(SHA)), Freshness::True);
        assert_eq!(Freshness::of(Some("fedcba9"), Some(SHA)), Freshness::False);
    }

    #[test]
    fn without_two_commits_nothing_is_known() {
        for (label, expected) in
            [(None, Some(SHA)), (Some(SHA), None), (Some("012345"), Some(SHA)), (Some("v1.2.3-rc"), Some(SHA))]
        {
            assert_eq!(Freshness::of(label, expected), Freshness::Unknown, "{label:?} {expected:?}");
        }
    }

    proptest::proptest! {
        #[test]
        fn it_is_symmetric(a in "[0-9a-f]{0,40}", b in "[0-9a-f]{0,40}") {
            proptest::prop_assert_eq!(Freshness::of(Some(&a), Some(&b)), Freshness::of(Some(&b), Some(&a)));
        }

        #[test]
        fn every_prefix_is_fresh(sha in "[0-9a-f]{40}", length in 7..=40_usize) {
            proptest::prop_assert_eq!(Freshness::of(Some(&sha), Some(&sha[..length])), Freshness::True);
        }
    }
}
