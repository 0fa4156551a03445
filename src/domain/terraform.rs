//! Purpose: what Terraform's and OpenTofu's own words mean: validation results, failures, the end of an apply; and the
//! record that binds a plan file to the commit that it was made for.

use serde::{Deserialize, Serialize};

/// What is known of a plan file when it is made, kept in a file beside it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PlanRecord {
    /// Version of this form.
    pub version: u32,
    /// The commit that the plan was made for.
    pub commit: String,
    /// Working directory below the workspace.
    pub directory: String,
    /// SHA-256 of the plan file, hexadecimal.
    pub sha256: String,
    /// Image of the tool.
    pub image: String,
    /// When it was made, RFC 3339.
    pub made_at: String,
}

/// Why a plan file is not applied. The message fits behind "the plan file <path> ".
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PlanRefusal {
    /// The record is of a form that is not known.
    #[error("has a record of version {0}, which this version does not know")]
    Version(u32),
    /// It was made for another commit.
    #[error("was made for commit {}, not for {}", short(.made), short(.wanted))]
    Commit {
        /// The plan's commit.
        made: String,
        /// The commit to be applied.
        wanted: String,
    },
    /// It was made in another directory.
    #[error("was made in '{made}', not in '{wanted}'")]
    Directory {
        /// The plan's directory.
        made: String,
        /// The directory to be applied in.
        wanted: String,
    },
    /// It is not the file that was recorded.
    #[error("is not the file that was recorded beside it: its checksum differs")]
    Altered,
}

fn short(commit: &str) -> &str {
    commit.get(..7).unwrap_or(commit)
}

impl PlanRecord {
    /// The version of the form.
    pub const VERSION: u32 = 1;

    /// Whether the plan may be applied for this commit, in this directory, with this content.
    ///
    /// # Errors
    /// [`PlanRefusal`].
    pub fn permits(&self, commit: &str, directory: &str, sha256: &str) -> Result<(), PlanRefusal> {
        if self.version != Self::VERSION {
            return Err(PlanRefusal::Version(self.version));
        }
        if !self.commit.eq_ignore_ascii_case(commit) || commit.is_empty() {
            return Err(PlanRefusal::Commit { made: self.commit.clone(), wanted: commit.to_owned() });
        }
        if self.directory != directory {
            return Err(PlanRefusal::Directory { made: self.directory.clone(), wanted: directory.to_owned() });
        }
        if self.sha256.eq_ignore_ascii_case(sha256) { Ok(()) } else { Err(PlanRefusal::Altered) }
    }
}

/// The result of `validate -json`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
pub struct Validation {
    /// Whether the configuration is valid.
    #[serde(default)]
    pub valid: bool,
    /// What was found.
    #[serde(default)]
    pub diagnostics: Vec<Diagnostic>,
}

/// One thing that validation found.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct Diagnostic {
    /// `error` or `warning`.
    #[serde(default)]
    pub severity: String,
    /// A few words.
    #[serde(default)]
    pub summary: String,
    /// More words.
    #[serde(default)]
    pub detail: String,
    /// Where.
    pub range: Option<Range>,
}

/// A place in a file.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct Range {
    /// File, relative to the working directory.
    pub filename: String,
    /// Where it begins.
    pub start: Position,
}

/// A line.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct Position {
    /// From 1.
    pub line: u32,
}

/// `Apply complete! Resources: 1 imported, 3 added, 1 changed, 2 destroyed.` as added, changed, destroyed.
#[must_use]
pub fn applied(line: &str) -> Option<(u64, u64, u64)> {
    let rest = line.split_once("Apply complete! Resources:")?.1;
    let count = |word: &str| {
        let before = rest.split(',').find(|part| part.trim().trim_end_matches('.').ends_with(word))?;
        before.split_whitespace().next()?.parse().ok()
    };
    Some((count("added")?, count("changed")?, count("destroyed")?))
}

/// What to do about a failure, by the tool's own words.
#[must_use]
pub fn hint(output: &str) -> Option<&'static str> {
    const HINTS: [(&str, &str); 14] = [
        (
            "acquiring the state lock",
            "Another run holds the state's lock: wait for it (`lock_timeout` waits longer). When its run is gone, `terraform force-unlock` with the lock's ID frees it.",
        ),
        ("Saved plan is stale", "The state changed after the plan was made: make a new plan."),
        ("Inconsistent dependency lock file", "Run `init` on a laptop and commit .terraform.lock.hcl."),
        (
            "does not match any of the checksums",
            "Run `terraform providers lock -platform=linux_amd64` and commit .terraform.lock.hcl.",
        ),
        (
            "No valid credential sources",
            "Give credentials: `role_to_assume` with `permissions: id-token: write`, or the provider's variables in the step's `env`.",
        ),
        (
            "failed to refresh cached credentials",
            "Give credentials: `role_to_assume` with `permissions: id-token: write`, or the provider's variables in the step's `env`.",
        ),
        ("ExpiredToken", "The credentials expired: raise `role_duration`."),
        ("AccessDenied", "The credentials may not do this; the lines above name the action."),
        ("Unsupported Terraform Core version", "Set `terraform_image` to a version that `required_version` allows."),
        ("Unsupported OpenTofu Core version", "Set `terraform_image` to a version that `required_version` allows."),
        (
            "Failed to query available provider packages",
            "The provider registry was not reached, or has no such version; check the network of the engine and the provider's constraints.",
        ),
        ("Failed to install provider", "The provider was not downloaded; check the network of the engine."),
        ("Backend configuration changed", "The backend changed since the last run: migrate the state by hand first."),
        ("No value for required variable", "Give the variable in `vars`, `secret_vars` or a `var_file`."),
    ];
    let output = output.split_whitespace().collect::<Vec<_>>().join(" ");
    HINTS.iter().find(|(words, _)| output.contains(words)).map(|(_, hint)| *hint)
}

/// The arguments with which a known scanner writes SARIF to its output; the directory comes last.
#[must_use]
pub fn scanner_arguments(image: &str) -> &'static [&'static str] {
    let name = image.rsplit('/').next().unwrap_or(image);
    if name.starts_with("tfsec") {
        &["--format", "sarif", "--no-colour", "--soft-fail"]
    } else {
        &["config", "--quiet", "--format", "sarif", "--exit-code", "0"]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn record() -> PlanRecord {
        PlanRecord {
            version: 1,
            commit: "0123456789abcdef0123456789abcdef01234567".into(),
            directory: "infra".into(),
            sha256: "ab".repeat(32),
            image: "hashicorp/terraform:1.13".into(),
            made_at: "2026-01-01T00:00:00Z".into(),
        }
    }

    #[test]
    fn only_the_same_plan_for_the_same_commit_is_applied() {
        let record = record();
        let (commit, sha) = (record.commit.clone(), record.sha256.clone());
        assert_eq!(record.permits(&commit, "infra", &sha.to_uppercase()), Ok(()));
        let refused =
            |commit: &str, directory: &str, sha: &str| record.permits(commit, directory, sha).unwrap_err().to_string();
        assert_eq!(refused(&"f".repeat(40), "infra", &sha), "was made for commit 0123456, not for fffffff");
        assert_eq!(refused(&commit[..7], "infra", &sha), "was made for commit 0123456, not for 0123456");
        assert_eq!(refused(&commit, "other", &sha), "was made in 'infra', not in 'other'");
        assert_eq!(refused(&commit, "infra", "00"), PlanRefusal::Altered.to_string());
        assert_eq!(
            PlanRecord { version: 2, ..record.clone() }.permits(&commit, "infra", &sha),
            Err(PlanRefusal::Version(2))
        );
        let empty = PlanRecord { commit: String::new(), ..record };
        assert!(empty.permits("", "infra", &sha).is_err());
    }

    #[test]
    fn the_tools_words_are_understood() {
        assert_eq!(applied("Apply complete! Resources: 1 imported, 3 added, 1 changed, 2 destroyed."), Some((3, 1, 2)));
        assert_eq!(applied("Apply complete! Resources: 0 added, 0 changed, 0 destroyed."), Some((0, 0, 0)));
        assert_eq!(applied("Plan: 1 to add"), None);
        assert!(hint("│ Error: Error acquiring the state\n│ lock").is_none());
        assert!(hint("Error: Error acquiring the state lock").unwrap().contains("force-unlock"));
        assert_eq!(hint("Error: something else"), None);
        assert_eq!(scanner_arguments("aquasec/tfsec:v1")[0], "--format");
        assert_eq!(scanner_arguments("ghcr.io/aquasecurity/trivy@sha256:00")[0], "config");
    }
}
