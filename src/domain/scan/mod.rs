//! Purpose: what scanners find in an image, in one form, and whether a gate lets it through.

use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;

use serde::Serialize;

mod ecr;
mod gate;
mod ignore;
mod sarif;
mod trivy;

pub use ecr::{EcrScan, EcrState};
pub use gate::{Gate, Judged, Unfixed, Verdict};
pub use ignore::{IgnoreError, IgnoreList, Ignored};
pub use sarif::sarif;
pub use trivy::TrivyReport;

/// The most findings that are kept of one scan.
pub const MOST_FINDINGS: usize = 100_000;

/// How bad a finding is; the order is from the worst on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "UPPERCASE")]
pub enum Severity {
    /// Critical.
    Critical,
    /// High.
    High,
    /// Medium.
    Medium,
    /// Low.
    Low,
    /// Unknown, undefined, or for information.
    Unknown,
}

impl Severity {
    /// All, the worst first.
    pub const ALL: [Self; 5] = [Self::Critical, Self::High, Self::Medium, Self::Low, Self::Unknown];

    /// The word as scanners write it.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Critical => "CRITICAL",
            Self::High => "HIGH",
            Self::Medium => "MEDIUM",
            Self::Low => "LOW",
            Self::Unknown => "UNKNOWN",
        }
    }

    /// Reads a scanner's word. One that is not known is [`Severity::Unknown`]: it is shown and counted, never dropped.
    #[must_use]
    pub fn of_scanner(word: &str) -> Self {
        word.parse().unwrap_or(Self::Unknown)
    }
}

impl fmt::Display for Severity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.word())
    }
}

/// A word is no severity.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("'{0}' is no severity; known are CRITICAL, HIGH, MEDIUM, LOW and UNKNOWN")]
pub struct SeverityError(String);

impl FromStr for Severity {
    type Err = SeverityError;

    fn from_str(word: &str) -> Result<Self, SeverityError> {
        let upper = word.trim().to_ascii_uppercase();
        let found = Self::ALL.into_iter().find(|severity| severity.word() == upper);
        found.ok_or_else(|| SeverityError(word.to_owned()))
    }
}

/// One vulnerability of one package.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct Finding {
    /// How bad it is.
    pub severity: Severity,
    /// `CVE-2024-1234`, `GHSA-…`.
    pub id: String,
    /// The package.
    pub package: String,
    /// The version that is in the image.
    pub installed: String,
    /// The versions in which it is fixed, as the scanner writes them; `None` when there is none.
    pub fixed: Option<String>,
    /// Where the package is: a file in the image, or the kind of packages.
    pub place: String,
    /// A few words about it.
    pub title: String,
    /// A page about it.
    pub url: Option<String>,
}

/// What a scanner says about an image.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Scan {
    /// The findings, the worst first, each once.
    pub findings: Vec<Finding>,
    /// The operating system of the image, when it was recognized.
    pub system: Option<String>,
    /// Whether that system gets no more security updates: what is not known any more is not found.
    pub end_of_life: bool,
    /// Whether anything was looked into at all: packages of a system or of a language.
    pub examined: bool,
}

impl Scan {
    /// Sorts and drops what is there twice.
    fn tidy(mut self) -> Self {
        self.findings.sort();
        self.findings.dedup();
        self
    }
}

/// How many findings there are of each severity.
#[must_use]
pub fn counts<'a>(findings: impl IntoIterator<Item = &'a Finding>) -> BTreeMap<Severity, usize> {
    let mut counts = Severity::ALL.map(|severity| (severity, 0)).into_iter().collect::<BTreeMap<_, _>>();
    for finding in findings {
        *counts.entry(finding.severity).or_default() += 1;
    }
    counts
}

#[cfg(test)]
mod tests;
