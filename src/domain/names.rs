//! Purpose: names that must not be mixed up, each with its own type and its own grammar.

use std::fmt;
use std::str::FromStr;

/// Why a text is not the name it claims to be. The message fits behind "… is not usable: ".
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("'{value}' is not {expected}")]
pub struct NameError {
    /// The text as given.
    pub value: String,
    /// What would have been accepted, as a noun phrase.
    pub expected: &'static str,
}

impl NameError {
    fn new(value: &str, expected: &'static str) -> Self {
        Self { value: value.to_owned(), expected }
    }
}

/// Declares a text newtype whose only constructor is its checked `FromStr`.
macro_rules! name {
    ($(#[$doc:meta])* $type:ident, $expected:literal, $valid:expr) => {
        $(#[$doc])*
        #[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, serde::Serialize)]
        #[serde(transparent)]
        pub struct $type(String);

        impl $type {
            /// The name as text.
            #[must_use]
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl FromStr for $type {
            type Err = NameError;

            fn from_str(value: &str) -> Result<Self, NameError> {
                let valid: fn(&str) -> bool = $valid;
                if valid(value) { Ok(Self(value.to_owned())) } else { Err(NameError::new(value, $expected)) }
            }
        }

        impl fmt::Display for $type {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }

        impl AsRef<str> for $type {
            fn as_ref(&self) -> &str {
                &self.0
            }
        }

        impl<'de> serde::Deserialize<'de> for $type {
            fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                let text = <std::borrow::Cow<'de, str> as serde::Deserialize>::deserialize(deserializer)?;
                text.parse().map_err(serde::de::Error::custom)
            }
        }
    };
}

name!(
    /// A full commit id: 40 (SHA-1) or 64 (SHA-256) lower-case hexadecimal digits.
    CommitSha,
    "a full commit id (40 or 64 lower-case hexadecimal digits)",
    |value| matches!(value.len(), 40 | 64) && value.bytes().all(is_lower_hex)
);

impl CommitSha {
    /// The first seven digits, as people write it.
    #[must_use]
    pub fn short(&self) -> &str {
        &self.0[..7]
    }
}

name!(
    /// A branch name without `refs/heads/`, by git's own rules (`git check-ref-format`).
    BranchName,
    "a branch name that git allows",
    is_branch_name
);

name!(
    /// A tag of an OCI image: a word character, then up to 127 word characters, dots or hyphens
    /// (OCI distribution specification, "pulling manifests").
    TagName,
    "an image tag ([A-Za-z0-9_][A-Za-z0-9._-]{0,127})",
    is_tag_name
);

name!(
    /// A content digest, `sha256:<64 hex>` or `sha512:<128 hex>` (OCI image specification, "digests").
    Digest,
    "a digest (sha256: and 64, or sha512: and 128 lower-case hexadecimal digits)",
    |value| match value.split_once(':') {
        Some(("sha256", hex)) => hex.len() == 64 && hex.bytes().all(is_lower_hex),
        Some(("sha512", hex)) => hex.len() == 128 && hex.bytes().all(is_lower_hex),
        _ => false,
    }
);

name!(
    /// A GitHub repository, `owner/name`.
    RepositoryName,
    "a repository (owner/name)",
    |value| value.split_once('/').is_some_and(|(owner, name)| {
        let word = |text: &str| {
            !text.is_empty()
                && text != "."
                && text != ".."
                && text.bytes().all(|b| b.is_ascii_alphanumeric() || b"-_.".contains(&b))
        };
        word(owner) && word(name)
    })
);

impl AsRef<Self> for RepositoryName {
    fn as_ref(&self) -> &Self {
        self
    }
}

impl RepositoryName {
    /// The account before the slash.
    #[must_use]
    pub fn owner(&self) -> &str {
        self.0.split_once('/').map_or("", |(owner, _)| owner)
    }

    /// The repository's own name, after the slash.
    #[must_use]
    pub fn name(&self) -> &str {
        self.0.split_once('/').map_or("", |(_, name)| name)
    }
}

name!(
    /// The ARN of one revision of an ECS task definition.
    TaskDefinitionArn,
    "a task definition ARN (arn:aws:ecs:<region>:<account>:task-definition/<family>:<revision>)",
    |value| {
        let parts: Vec<&str> = value.splitn(6, ':').collect();
        matches!(parts.as_slice(), ["arn", partition, "ecs", _, _, resource]
            if partition.starts_with("aws") && family_and_revision(resource).is_some())
    }
);

impl TaskDefinitionArn {
    /// The family, without path and revision.
    #[must_use]
    pub fn family(&self) -> &str {
        self.resource().0
    }

    /// The revision, starting at 1.
    #[must_use]
    pub fn revision(&self) -> u32 {
        self.resource().1
    }

    fn resource(&self) -> (&str, u32) {
        self.0.splitn(6, ':').nth(5).and_then(family_and_revision).unwrap_or(("", 0))
    }
}

fn family_and_revision(resource: &str) -> Option<(&str, u32)> {
    let (family, revision) = resource.strip_prefix("task-definition/")?.rsplit_once(':')?;
    let revision = revision.parse().ok()?;
    (!family.is_empty()).then_some((family, revision))
}

fn is_lower_hex(byte: u8) -> bool {
    byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte)
}

fn is_tag_name(value: &str) -> bool {
    let word = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_';
    value.len() <= 128
        && value.bytes().next().is_some_and(word)
        && value.bytes().all(|byte| word(byte) || byte == b'.' || byte == b'-')
}

fn is_branch_name(value: &str) -> bool {
    let forbidden = |c: char| c.is_ascii_control() || " ~^:?*[\\".contains(c);
    !value.is_empty()
        && value != "@"
        && !value.starts_with('-')
        && !value.ends_with('.')
        && !value.contains("..")
        && !value.contains("@{")
        && !value.contains(forbidden)
        && value.split('/').all(|part| !part.is_empty() && !part.starts_with('.') && !part.ends_with(".lock"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn accepts_what_the_grammars_allow() {
        assert!("feature/Add_New#1".parse::<BranchName>().is_ok());
        assert!("v1.2.3".parse::<TagName>().is_ok());
        let arn: TaskDefinitionArn = "arn:aws-cn:ecs:eu-central-1:123456789012:task-definition/web:7".parse().unwrap();
        assert_eq!((arn.family(), arn.revision()), ("web", 7));
        assert_eq!("0123456789012345678901234567890123456789".parse::<CommitSha>().unwrap().short(), "0123456");
        assert_eq!("acme/gate.way".parse::<RepositoryName>().unwrap().name(), "gate.way");
    }

    #[test]
    fn refuses_what_they_do_not() {
        for branch in ["", "a..b", "a b", "x.lock", "/a", "a/", "@", "a@{0}", "-x", "a/.b"] {
            assert!(branch.parse::<BranchName>().is_err(), "{branch}");
        }
        for tag in ["", ".a", "-a", "a/b", &"a".repeat(129)] {
            assert!(tag.parse::<TagName>().is_err(), "{tag}");
        }
        for digest in ["sha256:12", "md5:00", "sha256:ABC"] {
            assert!(digest.parse::<Digest>().is_err(), "{digest}");
        }
        for repository in ["acme", "acme/", "a/b/c", "a/..", "a b/c"] {
            assert!(repository.parse::<RepositoryName>().is_err(), "{repository}");
        }
        assert!("arn:aws:ecs:eu-central-1:1:task-definition/web".parse::<TaskDefinitionArn>().is_err());
    }
}
