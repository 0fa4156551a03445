//! Purpose: the policy: which tags are protected, and how long the others stay.

use schemars::JsonSchema;
use serde::Deserialize;

use super::age::Age;
use super::pattern::{Pattern, PatternError};

/// A block below `retention:` of the config; what is absent is the default's.
#[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct PolicyBlock {
    /// Patterns of tags that always stay: globs, `/regular expressions/`, `<semver>`, `<commit>`.
    pub protect: Option<Vec<String>>,
    /// Rules in order; a tag follows the first that matches it, and stays when none does.
    pub rules: Option<Vec<RuleBlock>>,
    /// How long a manifest without tags stays that nothing refers to. Default: 7d.
    pub untagged: Option<Age>,
    /// The shortest life of everything, whatever a rule says. Default: 48h.
    pub min_age: Option<Age>,
    /// The largest part of a repository's manifests that one run may delete, from 0 to 1. Default: 0.5.
    pub max_delete_fraction: Option<f64>,
    /// The most manifests that one run may delete. Default: no limit.
    pub max_deletes: Option<u64>,
    /// Further repositories that are read and never pruned: what they refer to stays.
    pub references: Vec<String>,
}

/// One rule.
#[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct RuleBlock {
    /// Patterns, any of which a tag has to match.
    #[serde(rename = "match")]
    pub matches: OneOrMany,
    /// How long a tag stays. Without it: only as long as `min_age`, or as `keep_newest` says.
    pub keep_for: Option<Age>,
    /// So many of the newest tags of this rule stay, however old.
    pub keep_newest: Option<u32>,
}

/// One pattern, or several.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(untagged)]
#[schemars(inline)]
pub enum OneOrMany {
    /// One.
    One(String),
    /// Several.
    Many(Vec<String>),
}

impl Default for OneOrMany {
    fn default() -> Self {
        Self::Many(Vec::new())
    }
}

impl OneOrMany {
    fn entries(&self) -> &[String] {
        match self {
            Self::One(entry) => std::slice::from_ref(entry),
            Self::Many(entries) => entries,
        }
    }
}

/// A policy, ready to decide.
#[derive(Debug, Clone)]
pub struct Policy {
    /// Tags that always stay.
    pub protect: Vec<Pattern>,
    /// In order.
    pub rules: Vec<Rule>,
    /// How long an orphan stays.
    pub untagged: Age,
    /// The floor.
    pub min_age: Age,
    /// The largest part that one run may delete.
    pub max_delete_fraction: f64,
    /// The most that one run may delete.
    pub max_deletes: Option<u64>,
}

/// One rule, ready to decide.
#[derive(Debug, Clone)]
pub struct Rule {
    /// Patterns.
    pub matches: Vec<Pattern>,
    /// How long a tag stays.
    pub keep_for: Option<Age>,
    /// How many of the newest stay.
    pub keep_newest: Option<u32>,
}

impl Rule {
    /// How it is called in plans: its patterns.
    #[must_use]
    pub fn name(&self) -> String {
        self.matches.iter().map(Pattern::as_str).collect::<Vec<_>>().join(", ")
    }

    /// Whether a tag follows it.
    #[must_use]
    pub fn matches(&self, tag: &str) -> bool {
        self.matches.iter().any(|pattern| pattern.matches(tag))
    }
}

/// What is wrong with a policy.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum PolicyError {
    /// A pattern.
    #[error("{place}: {source}")]
    Pattern {
        /// Where it stands, as a path below the policy.
        place: String,
        /// What is wrong with it.
        source: PatternError,
    },
    /// A rule that names no tag.
    #[error("rules[{0}]: has no `match`")]
    NoMatch(usize),
    /// A rule that says nothing.
    #[error("rules[{0}]: has neither `keep_for` nor `keep_newest`; say how long its tags stay")]
    NoLimit(usize),
    /// Not a fraction.
    #[error("max_delete_fraction: {0} is not between 0 and 1")]
    Fraction(f64),
}

/// Which block is used when the config has none: the matrix that Charon's plan asks for.
fn default_rules() -> Vec<(&'static [&'static str], Age)> {
    vec![
        (&["pr-*"], Age::hours(24)),
        (&["feature-*"], Age::days(7)),
        (&["nightly*"], Age::days(7)),
        (&["sha-*", "<commit>"], Age::days(30)),
    ]
}

/// Tags that stay when the config does not say: moving ones and releases, with `v` and without.
const PROTECTED: [&str; 4] = ["latest", "dev", "v*", "<semver>"];

impl PolicyBlock {
    /// The policy that it describes.
    ///
    /// # Errors
    /// Everything that is wrong, at once.
    pub fn policy(&self) -> Result<Policy, Vec<PolicyError>> {
        let mut errors = Vec::new();
        let protect = match &self.protect {
            Some(patterns) => patterns_of(patterns, "protect", &mut errors),
            None => patterns_of(&PROTECTED.map(str::to_owned), "protect", &mut errors),
        };
        let rules = match &self.rules {
            Some(blocks) => {
                blocks.iter().enumerate().map(|(place, block)| rule_of(block, place, &mut errors)).collect()
            }
            None => default_rules().into_iter().map(|(matches, keep)| default_rule(matches, keep)).collect(),
        };
        let fraction = self.max_delete_fraction.unwrap_or(0.5);
        if !(0.0..=1.0).contains(&fraction) {
            errors.push(PolicyError::Fraction(fraction));
        }
        if !errors.is_empty() {
            return Err(errors);
        }
        Ok(Policy {
            protect,
            rules,
            untagged: self.untagged.unwrap_or(Age::days(7)),
            min_age: self.min_age.unwrap_or(Age::hours(48)),
            max_delete_fraction: fraction,
            max_deletes: self.max_deletes,
        })
    }
}

fn default_rule(matches: &[&str], keep: Age) -> Rule {
    let matches = matches.iter().filter_map(|pattern| pattern.parse().ok()).collect();
    Rule { matches, keep_for: Some(keep), keep_newest: None }
}

fn rule_of(block: &RuleBlock, place: usize, errors: &mut Vec<PolicyError>) -> Rule {
    let matches = block.matches.entries();
    if matches.is_empty() {
        errors.push(PolicyError::NoMatch(place));
    }
    if block.keep_for.is_none() && block.keep_newest.is_none() {
        errors.push(PolicyError::NoLimit(place));
    }
    Rule {
        matches: patterns_of(matches, &format!("rules[{place}].match"), errors),
        keep_for: block.keep_for,
        keep_newest: block.keep_newest,
    }
}

fn patterns_of(texts: &[String], place: &str, errors: &mut Vec<PolicyError>) -> Vec<Pattern> {
    let mut patterns = Vec::new();
    for text in texts {
        match text.parse() {
            Ok(pattern) => patterns.push(pattern),
            Err(source) => errors.push(PolicyError::Pattern { place: place.to_owned(), source }),
        }
    }
    patterns
}
