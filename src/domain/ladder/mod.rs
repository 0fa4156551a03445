//! Purpose: which image of a companion repository the tests use, decided from rules and as few questions as possible.
//!
//! A [`Walk`] goes down the rules. Whenever the next decision needs something that only the network knows, it asks one
//! [`Question`]; the caller finds out, [`Walk::learn`]s the answer, and the walk goes on. Nothing is asked that could
//! not change the outcome.

use super::event::EventKind;
use super::names::CommitSha;
use super::reference::{ImageName, ImageRef};
use super::slug::Keep;

mod built_in;
mod rules;
mod text;
mod walk;

pub use built_in::{built_in, override_rule};
pub use rules::{Branches, Condition, Ladder, Patterns, Rule};
pub use text::{Placeholder, Text, TextError};
pub use walk::Walk;

/// What is known before anything is asked.
#[derive(Debug, Clone)]
pub struct Facts {
    /// The event.
    pub event: EventKind,
    /// Repository of the image.
    pub image: Option<ImageName>,
    /// Whether there is a companion repository to ask about.
    pub companion: Presence,
    /// The commit under test.
    pub commit_sha: Option<CommitSha>,
    /// The commit that merges the pull request for a test: what `github.sha` is in its workflows.
    pub merge_sha: Option<CommitSha>,
    /// The branch under test.
    pub head_ref: Option<String>,
    /// The branch that the work is meant for.
    pub base_ref: Option<String>,
    /// Number of the pull request.
    pub pull_request: Option<u64>,
    /// The companion's branch that was asked for.
    pub use_branch: Option<String>,
    /// The image that was given to be used as it is.
    pub image_override: Option<String>,
    /// Whether a build was asked for, whatever exists.
    pub forced: bool,
    /// Characters that slugs keep.
    pub keep: Keep,
}

/// Whether something is there. There is no third value: a failure to find out is the caller's error.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Presence {
    /// It is there.
    Present,
    /// It is definitely not there.
    Absent,
}

/// What the walk needs to know next.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Question {
    /// Does the companion have this branch, by its exact full name?
    Branch(String),
    /// Does this image exist?
    Image(ImageRef),
    /// What is the companion's default branch?
    DefaultBranch,
    /// Which open pull request of the companion has this head branch?
    CompanionPullRequest(String),
    /// Which paths does the pull request change, compared with its base?
    ChangedPaths,
}

/// An answer to a [`Question`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Answer {
    /// To [`Question::Branch`].
    Branch(String, Presence),
    /// To [`Question::Image`].
    Image(ImageRef, Presence),
    /// To [`Question::DefaultBranch`].
    DefaultBranch(String),
    /// To [`Question::CompanionPullRequest`]; `None` when it has none.
    CompanionPullRequest(String, Option<u64>),
    /// To [`Question::ChangedPaths`].
    ChangedPaths(Vec<String>),
}

/// Where the walk stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Step {
    /// It needs an answer.
    Ask(Question),
    /// It is done.
    Done(Resolution),
}

/// The image to use.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct Resolution {
    /// Place of the rule that decided, from 1 on.
    #[serde(skip)]
    pub rule: usize,
    /// Name of the rule that decided.
    pub strategy: String,
    /// The image, when the rule names one.
    pub image: Option<String>,
    /// Whether it has to be built first.
    pub needs_build: bool,
    /// The companion's branch to build from or to test with.
    pub branch: Option<String>,
}

/// Why a ladder gives no answer.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum LadderError {
    /// No rule applies.
    #[error("no rule of the ladder applies; end it with a rule without `if`")]
    NoRule,
    /// The rule that applies needs a value that this run does not have.
    #[error("the rule '{strategy}' needs {placeholder}, which this run does not have")]
    Missing {
        /// Name of the rule.
        strategy: String,
        /// The placeholder.
        placeholder: Placeholder,
    },
    /// A tag where no repository is known.
    #[error("the rule '{strategy}' names the tag '{tag}', but registry and repository of the image are not set")]
    NoRepository {
        /// Name of the rule.
        strategy: String,
        /// The tag with its colon.
        tag: String,
    },
    /// The rule that applies gives a tag that no image can have.
    #[error("the rule '{strategy}' gives the tag '{tag}', which is not an image tag")]
    Tag {
        /// Name of the rule.
        strategy: String,
        /// The tag with its colon.
        tag: String,
    },
}

#[cfg(test)]
mod tests;
