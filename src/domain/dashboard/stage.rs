//! Purpose: stages: how they are called, and what can be said of one.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use super::board::MOST_STAGES;
use crate::domain::comment::clean;
use crate::domain::names::NameError;

/// The longest key, in characters.
const LONGEST_KEY: usize = 64;
/// The longest title, in characters.
const LONGEST_TITLE: usize = 80;

/// The stages of an infrastructure pipeline, for a dashboard that names none of its own.
const DEFAULT: [(&str, &str); 7] = [
    ("plan-bootstrap", "Plan: bootstrap"),
    ("plan-platform", "Plan: platform"),
    ("plan-data-staging", "Plan: data-staging"),
    ("plan-data-prod", "Plan: data-prod"),
    ("apply", "Apply"),
    ("e2e", "E2E Tests"),
    ("review", "AI Review"),
];

/// What a stage is called where programs read it: one line without control characters, at most 64 characters.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(transparent)]
pub struct StageKey(String);

impl StageKey {
    /// The key as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for StageKey {
    type Err = NameError;

    fn from_str(text: &str) -> Result<Self, NameError> {
        // What nobody can see goes; what then is too long is not cut, because two keys could become one.
        let cleaned = clean(text, LONGEST_KEY + 1);
        if cleaned.is_empty() || cleaned.chars().count() > LONGEST_KEY {
            let value = clean(text, LONGEST_KEY);
            return Err(NameError { value, expected: "a stage (visible characters, at most 64 of them)" });
        }
        Ok(Self(cleaned))
    }
}

impl fmt::Display for StageKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl<'de> Deserialize<'de> for StageKey {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(serde::de::Error::custom)
    }
}

/// How a stage stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum StageStatus {
    /// It has not begun.
    Pending,
    /// It is under way.
    Running,
    /// It passed.
    Success,
    /// It failed.
    Failure,
    /// It was left out or cancelled.
    Skipped,
}

impl StageStatus {
    /// Every status.
    pub const ALL: [Self; 5] = [Self::Pending, Self::Running, Self::Success, Self::Failure, Self::Skipped];

    /// The name, in lower case.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Pending => "pending",
            Self::Running => "running",
            Self::Success => "success",
            Self::Failure => "failure",
            Self::Skipped => "skipped",
        }
    }

    /// The sign in the table.
    #[must_use]
    pub fn sign(self) -> &'static str {
        match self {
            Self::Pending => "⏳",
            Self::Running => "🔄",
            Self::Success => "✅",
            Self::Failure => "❌",
            Self::Skipped => "⏭️",
        }
    }

    /// The name as a word of its own.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Pending => "Pending",
            Self::Running => "Running",
            Self::Success => "Success",
            Self::Failure => "Failure",
            Self::Skipped => "Skipped",
        }
    }
}

impl FromStr for StageStatus {
    type Err = NameError;

    /// The five names, and what GitHub calls the outcome of a step, a job or a check.
    fn from_str(text: &str) -> Result<Self, NameError> {
        match text.trim().to_ascii_lowercase().as_str() {
            "pending" | "queued" | "waiting" | "requested" => Ok(Self::Pending),
            "running" | "in_progress" => Ok(Self::Running),
            "success" => Ok(Self::Success),
            "failure" | "error" | "timed_out" | "startup_failure" | "action_required" => Ok(Self::Failure),
            "skipped" | "cancelled" | "canceled" | "neutral" | "stale" => Ok(Self::Skipped),
            _ => Err(NameError {
                value: clean(text, 40),
                expected: "a status (pending, running, success, failure, skipped or cancelled)",
            }),
        }
    }
}

/// Stages with their titles, in the order of the table.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Stages(Vec<(StageKey, String)>);

impl Stages {
    /// Adds a stage, or gives it another title. An empty title is the key itself; beyond [`MOST_STAGES`] nothing is added.
    pub fn set(&mut self, key: StageKey, title: &str) {
        let title = Some(clean(title, LONGEST_TITLE)).filter(|title| !title.is_empty());
        let title = title.unwrap_or_else(|| key.to_string());
        let is_room = self.0.len() < MOST_STAGES;
        match self.0.iter_mut().find(|(known, _)| *known == key) {
            Some((_, known)) => *known = title,
            None if is_room => self.0.push((key, title)),
            None => {}
        }
    }

    /// The title of a stage.
    #[must_use]
    pub fn title(&self, key: &StageKey) -> Option<&str> {
        self.0.iter().find(|(known, _)| known == key).map(|(_, title)| title.as_str())
    }

    /// Keys and titles in order.
    pub fn iter(&self) -> impl Iterator<Item = (&StageKey, &str)> {
        self.0.iter().map(|(key, title)| (key, title.as_str()))
    }

    /// Whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Whether a stage is among them.
    #[must_use]
    pub fn contains(&self, key: &StageKey) -> bool {
        self.title(key).is_some()
    }

    /// These stages, and behind them those of `other` that are not among them.
    #[must_use]
    pub fn then(mut self, other: &Self) -> Self {
        for (key, title) in &other.0 {
            if !self.contains(key) && self.0.len() < MOST_STAGES {
                self.0.push((key.clone(), title.clone()));
            }
        }
        self
    }

    /// What a name stands for: the stage of that name; else every stage whose key begins with it and a hyphen (`plan` is
    /// all of `plan-…`); else a new stage.
    #[must_use]
    pub fn named(&self, name: &StageKey) -> Vec<StageKey> {
        if self.contains(name) {
            return vec![name.clone()];
        }
        let prefix = format!("{name}-");
        let group: Vec<StageKey> =
            self.0.iter().map(|(key, _)| key).filter(|key| key.as_str().starts_with(&prefix)).cloned().collect();
        if group.is_empty() { vec![name.clone()] } else { group }
    }
}

/// The stages of a dashboard that names none of its own.
#[must_use]
pub fn default_stages() -> Stages {
    let named = DEFAULT.iter().map(|(key, title)| (StageKey((*key).to_owned()), (*title).to_owned()));
    Stages(named.collect())
}
