//! Purpose: what in a policy cannot mean what it says: found before anything is deleted.

use std::fmt;

use super::age::Age;
use super::graph::companion_of;
use super::pattern::{Pattern, is_plain};
use super::policy::{Policy, Rule};

/// Something that looks wrong in a policy. None of them makes a plan unsafe; they make it other than meant.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Finding {
    /// An earlier rule takes every tag that this one would.
    Shadowed {
        /// The pattern.
        pattern: String,
        /// The pattern before it.
        by: String,
    },
    /// A protected pattern takes every tag that a rule would.
    AlwaysProtected {
        /// The rule's pattern.
        pattern: String,
        /// The protected pattern.
        by: String,
    },
    /// A pattern that no tag can match.
    Never {
        /// The pattern.
        pattern: String,
        /// Why not.
        why: &'static str,
    },
    /// A protected pattern that no tag of the repository matches.
    MatchesNothing {
        /// The pattern.
        pattern: String,
        /// A tag that was probably meant.
        near: Option<String>,
    },
    /// Releases with and without `v`: one of the two kinds is not protected.
    UnprotectedRelease {
        /// A tag that looks like a release and would go.
        tag: String,
    },
    /// The floor is longer than what a rule says.
    Floor {
        /// The rule.
        rule: String,
        /// What it says.
        keep_for: Age,
        /// The floor.
        min_age: Age,
    },
}

impl Finding {
    /// Whether it only says which of two settings holds, and is no mistake.
    #[must_use]
    pub fn is_by_design(&self) -> bool {
        matches!(self, Self::Floor { .. })
    }
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Shadowed { pattern, by } => {
                write!(f, "rule '{pattern}' never applies: '{by}' before it matches the same tags")
            }
            Self::AlwaysProtected { pattern, by } => {
                write!(f, "rule '{pattern}' never applies: '{by}' protects the same tags")
            }
            Self::Never { pattern, why } => write!(f, "'{pattern}' never matches: {why}"),
            Self::MatchesNothing { pattern, near: Some(near) } => {
                write!(f, "'{pattern}' protects nothing here; there is a tag '{near}'")
            }
            Self::MatchesNothing { pattern, near: None } => write!(f, "'{pattern}' protects nothing here"),
            Self::UnprotectedRelease { tag } => {
                write!(f, "'{tag}' looks like a release and is not protected; add '<semver>' to `protect`")
            }
            Self::Floor { rule, keep_for, min_age } => {
                write!(f, "rule '{rule}' keeps for {keep_for}, min_age for {min_age}: the longer holds")
            }
        }
    }
}

/// Everything that looks wrong, as far as the tags of the repositories show it.
#[must_use]
pub fn lint(policy: &Policy, tags: &[&str]) -> Vec<Finding> {
    let mut findings = Vec::new();
    let protected: Vec<&Pattern> = policy.protect.iter().collect();
    let mut before: Vec<&Pattern> = Vec::new();
    for rule in &policy.rules {
        for pattern in &rule.matches {
            never(pattern, &mut findings);
            let by =
                |earlier: &[&Pattern]| earlier.iter().find(|earlier| covers(earlier, pattern)).map(ToString::to_string);
            if let Some(by) = by(&protected) {
                findings.push(Finding::AlwaysProtected { pattern: pattern.to_string(), by });
            } else if let Some(by) = by(&before) {
                findings.push(Finding::Shadowed { pattern: pattern.to_string(), by });
            }
        }
        before.extend(&rule.matches);
        floor(rule, policy.min_age, &mut findings);
    }
    for pattern in &policy.protect {
        never(pattern, &mut findings);
        if !tags.is_empty() && !tags.iter().any(|tag| pattern.matches(tag)) {
            let near = near_to(pattern, tags);
            // The default protects names that most repositories lack; only what was nearly meant is worth a line.
            if near.is_some() {
                findings.push(Finding::MatchesNothing { pattern: pattern.to_string(), near });
            }
        }
    }
    let is_kept = |tag: &str| policy.protect.iter().any(|pattern| pattern.matches(tag));
    let goes = |tag: &str| policy.rules.iter().any(|rule| rule.matches(tag));
    let release = tags.iter().find(|tag| super::pattern::is_semver(tag) && !is_kept(tag) && goes(tag));
    findings.extend(release.map(|tag| Finding::UnprotectedRelease { tag: (*tag).to_owned() }));
    findings
}

/// The floor in words, where it is longer than the rule: `pr-*` for 24 h under a floor of 48 h.
fn floor(rule: &Rule, min_age: Age, findings: &mut Vec<Finding>) {
    if let Some(keep_for) = rule.keep_for.filter(|keep_for| *keep_for < min_age) {
        findings.push(Finding::Floor { rule: rule.name(), keep_for, min_age });
    }
}

fn never(pattern: &Pattern, findings: &mut Vec<Finding>) {
    let Some(glob) = pattern.glob() else { return };
    let mut why = None;
    if glob.starts_with("sha256:") || glob.contains('@') {
        why = Some("it is a digest; patterns are over tags");
    } else if glob.contains('/') || glob.contains(':') {
        why = Some("a tag has no '/' and no ':'; leave the repository out");
    } else if glob.starts_with(['.', '-']) {
        why = Some("a tag begins with a letter, a digit or '_'");
    } else if companion_of(glob).is_some() {
        why = Some("tags like this follow the image that they name");
    }
    findings.extend(why.map(|why| Finding::Never { pattern: pattern.to_string(), why }));
}

/// Whether one pattern surely matches everything that another does.
fn covers(wide: &Pattern, narrow: &Pattern) -> bool {
    if wide == narrow {
        return true;
    }
    let (Some(wide_glob), Some(narrow_glob)) = (wide.glob(), narrow.glob()) else {
        return false;
    };
    match wide_glob.strip_suffix('*').filter(|prefix| is_plain(prefix)) {
        // The narrow one begins with the wide one's whole prefix, literally.
        Some(prefix) => narrow_glob.starts_with(prefix),
        None => is_plain(narrow_glob) && wide.matches(narrow_glob),
    }
}

/// A tag that a pattern would match if its `v` or its case were another.
fn near_to(pattern: &Pattern, tags: &[&str]) -> Option<String> {
    let glob = pattern.glob()?;
    let other = match glob.strip_prefix('v') {
        Some("*") => "<semver>".to_owned(),
        Some(rest) => rest.to_owned(),
        None => format!("v{glob}"),
    };
    let candidates = [other, glob.to_lowercase(), glob.to_uppercase()];
    let parsed = candidates.iter().filter(|text| *text != glob).filter_map(|text| text.parse::<Pattern>().ok());
    parsed.into_iter().find_map(|near| tags.iter().find(|tag| near.matches(tag))).map(|tag| (*tag).to_owned())
}

#[cfg(test)]
mod tests {
    use super::super::policy::PolicyBlock;
    use super::*;

    fn found(protect: &[&str], rules: &[&str], tags: &[&str]) -> Vec<String> {
        let block = PolicyBlock {
            protect: Some(protect.iter().map(|text| (*text).to_owned()).collect()),
            rules: Some(
                rules
                    .iter()
                    .map(|pattern| super::super::policy::RuleBlock {
                        matches: super::super::policy::OneOrMany::One((*pattern).to_owned()),
                        keep_for: Some(Age::days(30)),
                        keep_newest: None,
                    })
                    .collect(),
            ),
            ..PolicyBlock::default()
        };
        lint(&block.policy().unwrap(), tags).iter().map(ToString::to_string).collect()
    }

    #[test]
    fn what_cannot_be_meant_is_named() {
        assert_eq!(
            found(&["v*"], &["*"], &["1.2.3", "v1"]),
            ["'1.2.3' looks like a release and is not protected; add '<semver>' to `protect`"]
        );
        assert_eq!(found(&["v*"], &["pr-*"], &["1.2.3"]), ["'v*' protects nothing here; there is a tag '1.2.3'"]);
        assert_eq!(
            found(&[], &["pr-*", "pr-1-*"], &[]),
            ["rule 'pr-1-*' never applies: 'pr-*' before it matches the same tags"]
        );
        assert_eq!(found(&["pr-*"], &["pr-*"], &[]), ["rule 'pr-*' never applies: 'pr-*' protects the same tags"]);
        assert_eq!(
            found(&["ghcr.io/acme/app:latest"], &[], &[]),
            ["'ghcr.io/acme/app:latest' never matches: a tag has no '/' and no ':'; leave the repository out"]
        );
    }

    #[test]
    fn the_default_says_only_that_the_floor_is_longer() {
        let policy = PolicyBlock::default().policy().unwrap();
        let tags = ["latest", "1.2.3", "v1.2.4", "pr-1-abcdef0", "nightly", "nightly-2026-01-01", "abcdef0", "dev"];
        let found: Vec<String> = lint(&policy, &tags).iter().map(ToString::to_string).collect();
        assert_eq!(found, ["rule 'pr-*' keeps for 24h, min_age for 48h: the longer holds"]);
    }
}
