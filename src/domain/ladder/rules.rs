//! Purpose: ladders as data, the way a config file holds them.

use std::borrow::Cow;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::de::Error as _;
use serde::{Deserialize, Deserializer};

use super::text::Text;
use crate::domain::globs::Globs;

/// A ladder of the config: where its images are, and its rules.
#[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Ladder {
    /// Registry of the image, host and port. Default: the input `registry`.
    pub registry: Option<String>,
    /// Repository of the image within the registry. Default: the input `repository`.
    pub repository: Option<String>,
    /// The repository that the image is built from, `owner/name`. Default: the input `companion`.
    pub companion: Option<String>,
    /// The rules, tried from the first to the last. Default: the built-in ladder.
    pub rules: Vec<Rule>,
}

/// One rule of a ladder: when its condition holds, its image is the answer.
#[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Rule {
    /// Name of the outcome, for the output `strategy`.
    pub strategy: String,
    /// When the rule applies. Default: always.
    #[serde(default, rename = "if")]
    pub condition: Condition,
    /// The image: `:tag` in the ladder's repository, or a whole reference. Default: none.
    #[serde(default)]
    pub image: Option<Text>,
    /// Whether the image has to be built first.
    #[serde(default)]
    pub needs_build: bool,
    /// The companion's branch: the first of these whose placeholders have a value; one that ends with `?` must also
    /// exist in the companion. Default: none.
    #[serde(default)]
    pub branch: Branches,
}

/// A condition; all of its keys must hold. What can be decided without asking anyone is decided first.
#[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Condition {
    /// Names or globs of events.
    pub event: Option<Patterns>,
    /// Names or globs of the base branch.
    pub base: Option<Patterns>,
    /// Names or globs of the branch under test.
    pub head: Option<Patterns>,
    /// Whether a pull request's number is known.
    pub pull_request: Option<bool>,
    /// Whether an image was given to be used as it is (`image_override`).
    pub overridden: Option<bool>,
    /// Whether a build was asked for (`force_build`, or the strategy `always-build`).
    pub forced: Option<bool>,
    /// Whether the companion has a branch named like the branch under test.
    pub head_exists: Option<bool>,
    /// Whether the companion has a branch named like the base branch.
    pub base_exists: Option<bool>,
    /// A branch that the companion must have.
    pub branch_exists: Option<Text>,
    /// An image that must exist: `:tag` in the ladder's repository, or a whole reference.
    pub image_exists: Option<Text>,
    /// Paths or globs of which the pull request must change at least one; a folder stands for all below it.
    pub changed: Option<Patterns>,
    /// A condition that must not hold.
    pub not: Option<Box<Condition>>,
    /// Conditions that must all hold.
    pub all: Vec<Condition>,
    /// Conditions of which one must hold, unless there are none.
    pub any: Vec<Condition>,
}

impl Condition {
    /// Whether this condition, or one within it, fulfils `test`.
    #[must_use]
    pub fn speaks_of(&self, test: &dyn Fn(&Self) -> bool) -> bool {
        let inner = self.not.iter().map(AsRef::as_ref).chain(&self.all).chain(&self.any);
        test(self) || inner.into_iter().any(|inner| inner.speaks_of(test))
    }
}

/// One pattern or a list of patterns.
#[derive(Debug, Clone)]
pub struct Patterns(Vec<(String, Globs)>);

impl Patterns {
    /// Whether a whole name matches one of them.
    #[must_use]
    pub fn match_name(&self, name: &str) -> bool {
        self.0.iter().any(|(_, globs)| globs.matches(name))
    }

    /// Whether a path matches one of them or lies below a folder of that name.
    #[must_use]
    pub fn match_path(&self, path: &str) -> bool {
        let below =
            |folder: &str| path.strip_prefix(folder.trim_end_matches('/')).is_some_and(|rest| rest.starts_with('/'));
        self.0.iter().any(|(written, globs)| globs.matches(path) || below(written))
    }
}

/// One branch or a list of candidates.
#[derive(Debug, Clone, Default)]
pub struct Branches(pub(super) Vec<Candidate>);

/// A branch that may be the answer.
#[derive(Debug, Clone)]
pub(super) struct Candidate {
    pub(super) name: Text,
    pub(super) requirement: Requirement,
}

/// What a candidate must fulfil.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Requirement {
    /// Its placeholders have values.
    Known,
    /// The companion has such a branch, too.
    Exists,
}

/// A text or a list of texts.
#[derive(Deserialize)]
#[serde(untagged, expecting = "expected a text or a list of texts")]
enum OneOrMany {
    One(String),
    Many(Vec<String>),
}

fn texts<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<String>, D::Error> {
    Ok(match OneOrMany::deserialize(deserializer)? {
        OneOrMany::One(text) => vec![text],
        OneOrMany::Many(texts) => texts,
    })
}

impl<'de> Deserialize<'de> for Patterns {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let read = |text: String| {
            let globs = text.parse().map_err(D::Error::custom)?;
            Ok((text, globs))
        };
        texts(deserializer)?.into_iter().map(read).collect::<Result<_, _>>().map(Self)
    }
}

impl<'de> Deserialize<'de> for Branches {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let read = |text: String| {
            // No branch name can hold a question mark (git-check-ref-format).
            let (name, requirement) = match text.strip_suffix('?') {
                Some(name) => (name, Requirement::Exists),
                None => (text.as_str(), Requirement::Known),
            };
            Ok(Candidate { name: name.parse().map_err(D::Error::custom)?, requirement })
        };
        texts(deserializer)?.into_iter().map(read).collect::<Result<_, _>>().map(Self)
    }
}

impl<'de> Deserialize<'de> for Text {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Cow::<str>::deserialize(deserializer)?.parse().map_err(D::Error::custom)
    }
}

/// Implements `JsonSchema` for a type that is a text, or a list of texts, to whoever writes the config.
macro_rules! schema {
    ($type:ty, $name:literal, $schema:tt) => {
        impl JsonSchema for $type {
            fn inline_schema() -> bool {
                true
            }

            fn schema_name() -> Cow<'static, str> {
                $name.into()
            }

            fn json_schema(_: &mut SchemaGenerator) -> Schema {
                json_schema!($schema)
            }
        }
    };
}

schema!(Text, "Text", { "type": "string" });
schema!(Patterns, "Patterns", { "type": ["string", "array"], "items": { "type": "string" } });
schema!(Branches, "Branches", { "type": ["string", "array"], "items": { "type": "string" } });
