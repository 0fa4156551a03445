//! Purpose: which findings stop an image.

use jiff::civil::Date;
use serde::Serialize;

use super::{Finding, IgnoreList, Severity};

/// What stops an image.
#[derive(Debug, Clone)]
pub struct Gate {
    /// Severities that count.
    pub severities: Vec<Severity>,
    /// Whether a finding without a fix counts.
    pub unfixed: Unfixed,
    /// What is known and accepted.
    pub ignore: IgnoreList,
    /// The day on which it is judged.
    pub today: Date,
}

/// Whether a finding that nobody has fixed yet counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unfixed {
    /// It counts.
    Counts,
    /// It does not.
    Passes,
}

/// What a gate makes of a finding.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Verdict {
    /// It stops the image.
    Stops,
    /// It is below the severities that count.
    Below,
    /// There is no fix, and such findings do not count.
    Unfixed,
    /// It is accepted, for this reason.
    Accepted(String),
}

/// A finding and what the gate makes of it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Judged {
    /// The finding.
    #[serde(flatten)]
    pub finding: Finding,
    /// What the gate makes of it.
    pub verdict: Verdict,
}

impl Gate {
    /// Judges one finding.
    #[must_use]
    pub fn judge(&self, finding: &Finding) -> Verdict {
        if !self.severities.contains(&finding.severity) {
            return Verdict::Below;
        }
        if let Some(entry) = self.ignore.accepting(finding, self.today) {
            let reason = entry.reason.clone().unwrap_or_else(|| "no reason given".to_owned());
            return Verdict::Accepted(match &entry.until {
                Some(until) => format!("{reason} (until {until})"),
                None => reason,
            });
        }
        if self.unfixed == Unfixed::Passes && finding.fixed.is_none() {
            return Verdict::Unfixed;
        }
        Verdict::Stops
    }

    /// Judges all of them, in order.
    #[must_use]
    pub fn judge_all(&self, findings: &[Finding]) -> Vec<Judged> {
        let judged = |finding: &Finding| Judged { finding: finding.clone(), verdict: self.judge(finding) };
        findings.iter().map(judged).collect()
    }
}
