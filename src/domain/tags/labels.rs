//! Purpose: the OCI labels that say where an image comes from.

use std::fmt;

use crate::domain::names::CommitSha;

/// Prefix of the pre-defined keys (OCI image specification, "annotations").
const PREFIX: &str = "org.opencontainers.image.";

/// What is known of the source.
#[derive(Debug, Clone, Default)]
pub struct LabelSource<'a> {
    /// The commit.
    pub revision: Option<&'a CommitSha>,
    /// Web address of the repository.
    pub source: Option<&'a str>,
    /// Time of the commit.
    pub created: Option<jiff::Timestamp>,
    /// Version, or the tag when there is none.
    pub version: Option<&'a str>,
    /// A few words for people.
    pub title: Option<&'a str>,
}

/// Labels in order, each key once.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Labels(Vec<(String, String)>);

impl Labels {
    /// The standard labels for what is known.
    #[must_use]
    pub fn of(source: &LabelSource<'_>) -> Self {
        let created = source.created.map(|time| {
            // Whole seconds: commits have no finer time, and the text stays the form that Docker shows.
            jiff::Timestamp::from_second(time.as_second()).unwrap_or(time).to_string()
        });
        let known = [
            ("revision", source.revision.map(CommitSha::to_string)),
            ("source", source.source.map(str::to_owned)),
            ("created", created),
            ("version", source.version.map(str::to_owned)),
            ("title", source.title.map(str::to_owned)),
            ("url", source.source.map(str::to_owned)),
        ];
        let present = known.into_iter().filter_map(|(key, value)| Some((format!("{PREFIX}{key}"), value?)));
        Self(present.collect())
    }

    /// Sets a label; an earlier value of the key gives way.
    pub fn set(&mut self, key: impl Into<String>, value: impl Into<String>) {
        let (key, value) = (key.into(), value.into());
        match self.0.iter_mut().find(|(known, _)| *known == key) {
            Some((_, old)) => *old = value,
            None => self.0.push((key, value)),
        }
    }

    /// The value of a key.
    #[must_use]
    pub fn get(&self, key: &str) -> Option<&str> {
        self.0.iter().find(|(known, _)| known == key).map(|(_, value)| value.as_str())
    }

    /// Keys and values in order.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        self.0.iter().map(|(key, value)| (key.as_str(), value.as_str()))
    }
}

/// One `key=value` per line, as inputs take them. A line break within a value becomes a space: it would start
/// another label.
impl fmt::Display for Labels {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let line = |(key, value): (&str, &str)| format!("{key}={}", value.replace(['\n', '\r'], " "));
        f.write_str(&self.iter().map(line).collect::<Vec<_>>().join("\n"))
    }
}

impl serde::Serialize for Labels {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_map(self.iter())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn gives_what_is_known_and_lets_the_user_win() {
        let sha: CommitSha = "0123456789abcdef0123456789abcdef01234567".parse().unwrap();
        let mut labels = Labels::of(&LabelSource {
            revision: Some(&sha),
            source: Some("https://github.com/acme/app"),
            created: Some("2025-03-01T10:00:00.5+01:00".parse().unwrap()),
            version: Some("1.2.3"),
            title: None,
        });
        labels.set("org.opencontainers.image.version", "mine\nall mine");
        labels.set("com.acme.team", "a=b");
        insta::assert_snapshot!(labels);
    }
}
