//! Purpose: the ignore file: which findings are known and accepted, for how long, and why.
//!
//! Two forms, as Trivy reads them. Lines: `CVE-2024-1234 exp:2026-12-31 pkg:openssl # reason`. YAML: a map
//! `vulnerabilities` of entries with `id`, `paths`, `expired_at` and `statement`.

use jiff::civil::Date;
use serde::{Deserialize, Serialize};

use super::Finding;
use crate::domain::globs::Globs;

/// One accepted finding.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Ignored {
    /// `CVE-2024-1234`.
    pub id: String,
    /// The only package that it is accepted in.
    pub package: Option<String>,
    /// The only places in the image that it is accepted in, as globs.
    pub places: Vec<String>,
    /// The last day on which it is accepted.
    pub until: Option<String>,
    /// Why it is accepted.
    pub reason: Option<String>,
    /// Line of the file, from 1 on; 0 when the form does not tell.
    pub line: usize,
}

impl Ignored {
    fn covers(&self, finding: &Finding) -> bool {
        self.id == finding.id
            && self.package.as_ref().is_none_or(|package| *package == finding.package)
            && (self.places.is_empty() || self.places.iter().any(|place| matches(place, &finding.place)))
    }

    fn has_expired(&self, today: Date) -> bool {
        self.until.as_ref().and_then(|until| until.parse::<Date>().ok()).is_some_and(|until| until < today)
    }
}

fn matches(glob: &str, place: &str) -> bool {
    glob == place || glob.parse::<Globs>().is_ok_and(|globs| globs.matches(place))
}

/// An ignore file.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct IgnoreList(Vec<Ignored>);

/// An ignore file cannot be read. The message begins with the line.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum IgnoreError {
    /// A word of a line means nothing.
    #[error("line {line}: '{word}' is neither exp:YYYY-MM-DD, pkg:<name>, path:<glob> nor a # reason")]
    Word {
        /// The line.
        line: usize,
        /// The word.
        word: String,
    },
    /// A date is none.
    #[error("line {line}: '{date}' is not a date; write YYYY-MM-DD")]
    Date {
        /// The line, 0 in YAML.
        line: usize,
        /// What stands there.
        date: String,
    },
    /// The YAML form cannot be read.
    #[error("{0}")]
    Yaml(String),
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct YamlFile {
    #[serde(default)]
    vulnerabilities: Vec<YamlEntry>,
    /// Trivy's other kinds of findings, which are not ours.
    #[serde(default, rename = "misconfigurations")]
    _misconfigurations: serde::de::IgnoredAny,
    #[serde(default, rename = "secrets")]
    _secrets: serde::de::IgnoredAny,
    #[serde(default, rename = "licenses")]
    _licenses: serde::de::IgnoredAny,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct YamlEntry {
    id: String,
    #[serde(default)]
    paths: Vec<String>,
    #[serde(default)]
    package: Option<String>,
    #[serde(default, rename = "purls")]
    _purls: serde::de::IgnoredAny,
    #[serde(default)]
    expired_at: Option<String>,
    #[serde(default)]
    statement: Option<String>,
}

impl IgnoreList {
    /// Reads the form of lines.
    ///
    /// # Errors
    /// Every line that cannot be read.
    pub fn lines(text: &str) -> Result<Self, Vec<IgnoreError>> {
        let (mut entries, mut errors) = (Vec::new(), Vec::new());
        for (line, content) in (1..).zip(text.lines()) {
            let (words, reason) = match content.split_once('#') {
                Some((words, reason)) => (words, Some(reason.trim().to_owned())),
                None => (content, None),
            };
            let mut words = words.split_whitespace();
            let Some(id) = words.next() else { continue };
            let reason = reason.filter(|reason| !reason.is_empty());
            let mut entry = Ignored { id: id.to_owned(), package: None, places: Vec::new(), until: None, reason, line };
            for word in words {
                match word.split_once(':') {
                    Some(("exp", date)) => match date.parse::<Date>() {
                        Ok(date) => entry.until = Some(date.to_string()),
                        Err(_) => errors.push(IgnoreError::Date { line, date: date.to_owned() }),
                    },
                    Some(("pkg", package)) if !package.is_empty() => entry.package = Some(package.to_owned()),
                    Some(("path", place)) if !place.is_empty() => entry.places.push(place.to_owned()),
                    _ => errors.push(IgnoreError::Word { line, word: word.to_owned() }),
                }
            }
            entries.push(entry);
        }
        if errors.is_empty() { Ok(Self(entries)) } else { Err(errors) }
    }

    /// Reads the YAML form.
    ///
    /// # Errors
    /// What the parser says, or each date that is none.
    pub fn yaml(text: &str) -> Result<Self, Vec<IgnoreError>> {
        let file: YamlFile = serde_yaml::from_str(text).map_err(|error| vec![IgnoreError::Yaml(error.to_string())])?;
        let mut errors = Vec::new();
        let entries = file.vulnerabilities.into_iter().map(|entry| {
            // Trivy takes a date or a moment; its day counts.
            let until = entry.expired_at.map(|text| {
                let day = text.get(..10).unwrap_or(&text).to_owned();
                if day.parse::<Date>().is_err() {
                    errors.push(IgnoreError::Date { line: 0, date: text });
                }
                day
            });
            Ignored {
                id: entry.id,
                package: entry.package,
                places: entry.paths,
                until,
                reason: entry.statement,
                line: 0,
            }
        });
        let entries = entries.collect();
        if errors.is_empty() { Ok(Self(entries)) } else { Err(errors) }
    }

    /// The entry that accepts a finding today.
    #[must_use]
    pub fn accepting(&self, finding: &Finding, today: Date) -> Option<&Ignored> {
        self.0.iter().find(|entry| entry.covers(finding) && !entry.has_expired(today))
    }

    /// Entries that accepted one of these findings and have expired.
    #[must_use]
    pub fn expired<'a>(&'a self, findings: &[Finding], today: Date) -> Vec<&'a Ignored> {
        let covers = |entry: &&Ignored| findings.iter().any(|finding| entry.covers(finding));
        self.0.iter().filter(|entry| entry.has_expired(today)).filter(covers).collect()
    }

    /// Entries that cover none of these findings: they can go.
    #[must_use]
    pub fn unused<'a>(&'a self, findings: &[Finding]) -> Vec<&'a Ignored> {
        self.0.iter().filter(|entry| !findings.iter().any(|finding| entry.covers(finding))).collect()
    }
}
