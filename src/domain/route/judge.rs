//! Purpose: whether a command of a comment may be done, by what GitHub says of its author and its pull request.

use jiff::Timestamp;

use super::intent::Asked;
use super::permission::Level;
use crate::domain::names::CommitSha;

/// What a command is measured by.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rules {
    /// Permission that authors need, unless the route says otherwise.
    pub require: Level,
    /// Work on heads in forks, unless the route says otherwise.
    pub allow_forks: bool,
    /// Work on commits that came after the comment.
    pub allow_newer_commits: bool,
}

/// When GitHub itself saw the head commit. Times of a commit are its author's word and prove nothing.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Evidence {
    /// When it was pushed to the branch.
    pub pushed: Option<Timestamp>,
    /// When GitHub first began checks for it.
    pub checked: Option<Timestamp>,
}

/// What GitHub says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Facts {
    /// Who caused the event.
    pub sender: Option<String>,
    /// What the author may do.
    pub level: Level,
    /// The pull request's head.
    pub head: CommitSha,
    /// Whether the head is in another repository.
    pub is_fork: bool,
    /// When the head came.
    pub evidence: Evidence,
}

/// Why a command is not done.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Refusal {
    /// Somebody else caused the event than wrote the comment.
    SenderMismatch,
    /// The author may not.
    Permission {
        /// What they may.
        has: Level,
        /// What they need.
        needs: Level,
    },
    /// The head is in a fork.
    Fork,
    /// The word that makes sure is missing.
    NotConfirmed {
        /// The word.
        wanted: String,
    },
    /// The command names another commit than the head.
    OtherCommit,
    /// The head came after the comment.
    NewerCommit,
    /// Nothing proves that the head was there before the comment.
    AgeUnknown,
}

impl Refusal {
    /// The stable code.
    #[must_use]
    pub fn reason(&self) -> &'static str {
        match self {
            Self::SenderMismatch => "sender-mismatch",
            Self::Permission { .. } => "permission-denied",
            Self::Fork => "fork",
            Self::NotConfirmed { .. } => "not-confirmed",
            Self::OtherCommit => "other-commit",
            Self::NewerCommit => "newer-commit",
            Self::AgeUnknown => "commit-age-unknown",
        }
    }
}

/// Whether a command may be done. The first reason against it counts.
///
/// # Errors
/// The reason.
pub fn judge(asked: &Asked, facts: &Facts, rules: &Rules) -> Result<(), Refusal> {
    if !facts.sender.as_ref().is_some_and(|sender| sender.eq_ignore_ascii_case(&asked.comment.author.login)) {
        return Err(Refusal::SenderMismatch);
    }
    let needs = asked.route.require.unwrap_or(rules.require);
    if facts.level < needs {
        return Err(Refusal::Permission { has: facts.level, needs });
    }
    if asked.route.answer {
        return Ok(());
    }
    if facts.is_fork && !asked.route.allow_forks.unwrap_or(rules.allow_forks) {
        return Err(Refusal::Fork);
    }
    if !asked.is_confirmed() {
        return Err(Refusal::NotConfirmed { wanted: asked.route.confirm.clone().unwrap_or_default() });
    }
    match asked.names(&facts.head) {
        Some(true) => return Ok(()),
        Some(false) => return Err(Refusal::OtherCommit),
        None if rules.allow_newer_commits => return Ok(()),
        None => {}
    }
    // Times are cut to seconds: the same second proves nothing.
    let Evidence { pushed, checked } = facts.evidence;
    match (pushed, checked, asked.comment.created_at) {
        (_, _, None) | (None, None, _) => Err(Refusal::AgeUnknown),
        (Some(at), _, Some(said)) | (None, Some(at), Some(said)) if at.as_second() < said.as_second() => Ok(()),
        _ => Err(Refusal::NewerCommit),
    }
}
