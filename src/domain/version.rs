//! Purpose: version numbers as projects write them, read just far enough to name images.
//!
//! Semantic versions, Python's (PEP 440) and plain dotted numbers all occur in version files and git tags; a parser
//! of one of these grammars would refuse the others.

use std::fmt;
use std::str::FromStr;

/// A version number without a leading `v`.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
#[serde(into = "String")]
pub struct Version {
    text: String,
    major: u64,
    minor: Option<u64>,
    maturity: Maturity,
}

/// Whether a version is meant for everyone.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Maturity {
    /// A release.
    Release,
    /// Comes before its release: `1.2.3-rc.1`, `1.2.3rc1`, `1.2.3.dev4`.
    Prerelease,
}

/// A text is not a version. The message fits behind "the version …".
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("'{0}' is not a version number such as 1.2.3, v1.2.3 or 1.2.3-rc.1")]
pub struct VersionError(pub String);

impl Version {
    /// The version named by a git tag: `v1.2.3`, `1.2.3`, or behind a package's name, `app/v1.2.3`, `@scope/app@1.2.3`.
    ///
    /// # Errors
    /// [`VersionError`] when the tag names none.
    pub fn of_tag(tag: &str) -> Result<Self, VersionError> {
        let last = tag.rsplit(['/', '@']).next().unwrap_or(tag);
        last.parse().map_err(|_| VersionError(tag.to_owned()))
    }

    /// The first number.
    #[must_use]
    pub fn major(&self) -> u64 {
        self.major
    }

    /// The second number, when there is one.
    #[must_use]
    pub fn minor(&self) -> Option<u64> {
        self.minor
    }

    /// Release or prerelease.
    #[must_use]
    pub fn maturity(&self) -> Maturity {
        self.maturity
    }

    /// The version as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.text
    }
}

impl FromStr for Version {
    type Err = VersionError;

    fn from_str(text: &str) -> Result<Self, VersionError> {
        let wrong = || VersionError(text.to_owned());
        let trimmed = text.trim();
        let number = trimmed.strip_prefix(['v', 'V']).unwrap_or(trimmed);
        let allowed = |c: char| c.is_ascii_alphanumeric() || "._+-!".contains(c);
        if !number.chars().all(allowed) {
            return Err(wrong());
        }
        let public = number.split('+').next().unwrap_or(number);
        let end = public.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(public.len());
        let (release, rest) = public.split_at(end);
        let mut numbers = release.trim_end_matches('.').split('.').map(str::parse::<u64>);
        let major = numbers.next().and_then(Result::ok).ok_or_else(wrong)?;
        let minor = numbers.next().transpose().map_err(|_| wrong())?;
        numbers.try_for_each(|part| part.map(drop)).map_err(|_| wrong())?;
        let maturity =
            if rest.is_empty() || rest.starts_with("post") { Maturity::Release } else { Maturity::Prerelease };
        Ok(Self { text: number.to_owned(), major, minor, maturity })
    }
}

impl fmt::Display for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl From<Version> for String {
    fn from(version: Version) -> Self {
        version.text
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_what_projects_write() {
        let parts = |text: &str| text.parse::<Version>().map(|v| (v.major, v.minor, v.maturity)).unwrap();
        assert_eq!(parts("v1.2.3"), (1, Some(2), Maturity::Release));
        assert_eq!(parts("2024.01.15\n"), (2024, Some(1), Maturity::Release));
        assert_eq!(parts("7"), (7, None, Maturity::Release));
        assert_eq!(parts("1.2.3+build.5"), (1, Some(2), Maturity::Release));
        assert_eq!(parts("1.2.3.post1"), (1, Some(2), Maturity::Release));
        for prerelease in ["1.2.3-rc.1", "1.2.3rc1", "1.2.3.dev4", "1.2.3-alpha+5"] {
            assert_eq!(parts(prerelease), (1, Some(2), Maturity::Prerelease), "{prerelease}");
        }
        assert_eq!("v1.2.3-rc.1".parse::<Version>().unwrap().as_str(), "1.2.3-rc.1");
    }

    #[test]
    fn refuses_what_is_no_version() {
        for text in ["", "v", "latest", "release-2024", "1..2", "1.2 3", ".1", "99999999999999999999999"] {
            assert_eq!(text.parse::<Version>(), Err(VersionError(text.to_owned())));
        }
    }

    #[test]
    fn finds_the_version_in_a_tag() {
        for tag in ["v1.2.3", "1.2.3", "app/v1.2.3", "@acme/app@1.2.3"] {
            assert_eq!(Version::of_tag(tag).unwrap().as_str(), "1.2.3", "{tag}");
        }
        assert_eq!(Version::of_tag("nightly"), Err(VersionError("nightly".into())));
    }
}
