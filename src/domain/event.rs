//! Purpose: one typed view of whatever event started the run.
//!
//! Payloads differ by event, by GitHub version and by fork; some fields are missing when the documentation shows them
//! (`head.repo` of a deleted fork, almost everything of `schedule`). Reading is therefore lenient: what is absent or
//! strange is `None`, and whoever needs it says so.

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde_json::Value;

use super::names::CommitSha;

mod facts;

pub use facts::{Actor, CommentFacts};

/// What the runner says beside the payload, as given in `GITHUB_*` variables.
#[derive(Debug, Clone, Copy, Default)]
pub struct Surroundings<'a> {
    /// `GITHUB_EVENT_NAME`.
    pub event_name: Option<&'a str>,
    /// `GITHUB_SHA`.
    pub sha: Option<&'a str>,
    /// `GITHUB_REF`, a full ref.
    pub reference: Option<&'a str>,
    /// `GITHUB_HEAD_REF`, set for pull requests.
    pub head_ref: Option<&'a str>,
    /// `GITHUB_BASE_REF`, set for pull requests.
    pub base_ref: Option<&'a str>,
    /// `GITHUB_REPOSITORY`.
    pub repository: Option<&'a str>,
}

/// The kind of an event, by the name of its workflow trigger.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum EventKind {
    /// `pull_request`.
    PullRequest,
    /// `pull_request_target`.
    PullRequestTarget,
    /// `push`.
    Push,
    /// `issue_comment`, on a pull request or on an issue.
    IssueComment,
    /// `workflow_dispatch`.
    WorkflowDispatch,
    /// `workflow_run`; the event that started that other run is beside it.
    WorkflowRun {
        /// Name of the other run's event.
        triggered_by: Option<String>,
    },
    /// `repository_dispatch`.
    RepositoryDispatch,
    /// `schedule`.
    Schedule,
    /// `merge_group`.
    MergeGroup,
    /// `release`.
    Release,
    /// Any other event.
    Other(String),
    /// No event: a run outside of Actions.
    None,
}

/// A branch or a tag.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum GitRef {
    /// A branch, without `refs/heads/`.
    Branch(String),
    /// A tag, without `refs/tags/`.
    Tag(String),
}

impl GitRef {
    /// Reads a full ref; `None` for other refs such as `refs/pull/1/merge`.
    #[must_use]
    pub fn of(reference: &str) -> Option<Self> {
        let branch = reference.strip_prefix("refs/heads/").map(str::to_owned).map(Self::Branch);
        branch.or_else(|| reference.strip_prefix("refs/tags/").map(str::to_owned).map(Self::Tag))
    }

    /// The branch, when it is one.
    #[must_use]
    pub fn branch(&self) -> Option<&str> {
        match self {
            Self::Branch(name) => Some(name),
            Self::Tag(_) => None,
        }
    }
}

/// Where the commit under test comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Origin {
    /// The repository that the workflow runs in.
    Own,
    /// Another repository, or one that no longer exists.
    Fork,
    /// The event does not say (a comment on a pull request, for example).
    Unknown,
}

/// What a push did to its ref.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RefChange {
    /// The ref exists after the event; true of every event but a deleting push.
    Present,
    /// The ref is gone; there is no commit to speak of.
    Deleted,
}

/// The event that started the run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Event {
    /// Its kind.
    pub kind: EventKind,
    /// The payload's `action`, for example `synchronize`.
    pub action: Option<String>,
    /// The commit under test: the head of a pull request, not its merge commit; else the run's commit. `None` when the
    /// event does not name it: a deleted ref, a comment on a pull request.
    pub sha: Option<CommitSha>,
    /// The branch or tag; of a pull request none, see [`Event::head_ref`].
    pub git_ref: Option<GitRef>,
    /// Head branch of the pull request; in a fork it is not a branch of this repository.
    pub head_ref: Option<String>,
    /// Branch that the pull request or merge group wants to change.
    pub base_ref: Option<String>,
    /// Number of the pull request.
    pub pull_request: Option<u64>,
    /// Where the commit comes from.
    pub origin: Origin,
    /// The repository's default branch.
    pub default_branch: Option<String>,
    /// Time of the commit under test, when the payload has it.
    pub committed_at: Option<Timestamp>,
    /// What became of the ref.
    pub change: RefChange,
    /// Who caused it.
    pub sender: Option<Actor>,
    /// The comment that it is about.
    pub comment: Option<CommentFacts>,
    /// Inputs of a dispatch by hand; texts, numbers and booleans of a dispatched payload.
    pub inputs: BTreeMap<String, String>,
    /// Name of the other run's workflow, for `workflow_run`.
    pub workflow: Option<String>,
    /// How the other run ended.
    pub conclusion: Option<String>,
}

impl Event {
    /// Reads an event; an empty payload gives what the surroundings say.
    #[must_use]
    pub fn of(around: &Surroundings<'_>, payload: &Value) -> Self {
        let kind = kind(around.event_name, payload);
        let event = Self {
            action: text(payload, "/action"),
            sha: around.sha.and_then(commit),
            git_ref: around.reference.and_then(GitRef::of),
            head_ref: None,
            base_ref: None,
            pull_request: None,
            origin: Origin::Own,
            default_branch: text(payload, "/repository/default_branch"),
            committed_at: None,
            change: RefChange::Present,
            sender: Actor::at(payload, "/sender"),
            comment: None,
            inputs: BTreeMap::new(),
            workflow: None,
            conclusion: None,
            kind,
        };
        match event.kind {
            _ if payload.pointer("/pull_request/head").is_some() => event.pull_request(around, payload),
            EventKind::PullRequest | EventKind::PullRequestTarget => event.pull_request(around, payload),
            EventKind::Push => event.push(payload),
            EventKind::IssueComment => event.comment(payload),
            EventKind::WorkflowRun { .. } => event.workflow_run(payload),
            EventKind::Schedule => event.schedule(),
            EventKind::MergeGroup => event.merge_group(payload),
            EventKind::Release => event.release(payload),
            EventKind::WorkflowDispatch | EventKind::RepositoryDispatch => {
                Self { inputs: facts::inputs(payload), ..event }
            }
            _ => event,
        }
    }

    /// The branch under test: a pull request's head, else the branch of the run.
    #[must_use]
    pub fn branch(&self) -> Option<&str> {
        self.head_ref.as_deref().or_else(|| self.git_ref.as_ref().and_then(GitRef::branch))
    }

    /// The branch that the work is meant for: a pull request's base, else the branch of the run.
    #[must_use]
    pub fn target_branch(&self) -> Option<&str> {
        self.base_ref.as_deref().or_else(|| self.git_ref.as_ref().and_then(GitRef::branch))
    }

    fn pull_request(self, around: &Surroundings<'_>, payload: &Value) -> Self {
        let given = |value: Option<&str>| value.filter(|value| !value.is_empty()).map(str::to_owned);
        let head = text(payload, "/pull_request/head/repo/full_name");
        let base = text(payload, "/pull_request/base/repo/full_name")
            .or_else(|| text(payload, "/repository/full_name"))
            .or_else(|| given(around.repository));
        Self {
            // Without the payload the merge commit must not pass for the head.
            sha: text(payload, "/pull_request/head/sha").as_deref().and_then(commit),
            git_ref: None,
            head_ref: text(payload, "/pull_request/head/ref").or_else(|| given(around.head_ref)),
            base_ref: text(payload, "/pull_request/base/ref").or_else(|| given(around.base_ref)),
            pull_request: number(payload, "/pull_request/number")
                .or_else(|| number(payload, "/number"))
                .or_else(|| around.reference.and_then(number_of_ref)),
            origin: match payload.pointer("/pull_request/head") {
                Some(_) => origin(head.as_deref(), base.as_deref()),
                None => Origin::Unknown,
            },
            ..self
        }
    }

    fn push(self, payload: &Value) -> Self {
        let reference = text(payload, "/ref");
        let git_ref = reference.as_deref().and_then(GitRef::of).or_else(|| self.git_ref.clone());
        let zeros = text(payload, "/after").is_some_and(|after| after.bytes().all(|byte| byte == b'0'));
        if zeros || payload.pointer("/deleted") == Some(&Value::Bool(true)) {
            return Self { sha: None, git_ref, change: RefChange::Deleted, ..self };
        }
        let named = |pointer| text(payload, pointer).as_deref().and_then(commit);
        // For an annotated tag `after` is the tag object, not the commit; it comes last.
        let sha = self.sha.clone().or_else(|| named("/head_commit/id")).or_else(|| named("/after"));
        Self { committed_at: time(payload, "/head_commit/timestamp"), sha, git_ref, ..self }
    }

    fn comment(self, payload: &Value) -> Self {
        let comment = CommentFacts::of(payload);
        if !payload.pointer("/issue/pull_request").is_some_and(Value::is_object) {
            return Self { comment, ..self };
        }
        // The run's commit and ref are the default branch's: they say nothing about the pull request.
        Self {
            sha: None,
            git_ref: None,
            pull_request: number(payload, "/issue/number"),
            origin: Origin::Unknown,
            comment,
            ..self
        }
    }

    fn workflow_run(self, payload: &Value) -> Self {
        let run = |field: &str| text(payload, &format!("/workflow_run/{field}"));
        let by_pull_request = matches!(&self.kind, EventKind::WorkflowRun { triggered_by: Some(event) }
            if event.starts_with("pull_request"));
        let head_sha = run("head_sha");
        let listed = payload.pointer("/workflow_run/pull_requests").and_then(Value::as_array);
        // A run for a branch lists pull requests that merely contain its commit; those are not what it was about.
        let pull = listed.filter(|_| by_pull_request).and_then(|pulls| {
            let same = |pull: &&Value| text(pull, "/head/sha") == head_sha;
            pulls.iter().find(same).or_else(|| pulls.first())
        });
        let branch = run("head_branch");
        let repository = text(payload, "/repository/full_name").or_else(|| run("repository/full_name"));
        Self {
            sha: head_sha.as_deref().and_then(commit),
            git_ref: branch.clone().filter(|_| !by_pull_request).map(GitRef::Branch),
            head_ref: branch.filter(|_| by_pull_request),
            base_ref: pull.and_then(|pull| text(pull, "/base/ref")),
            pull_request: pull.and_then(|pull| number(pull, "/number")),
            origin: origin(run("head_repository/full_name").as_deref(), repository.as_deref()),
            committed_at: time(payload, "/workflow_run/head_commit/timestamp"),
            workflow: text(payload, "/workflow/name").or_else(|| run("name")),
            conclusion: run("conclusion"),
            ..self
        }
    }

    fn schedule(self) -> Self {
        // Scheduled workflows run on the default branch only (GitHub documentation, "events that trigger workflows").
        let branch = self.git_ref.as_ref().and_then(GitRef::branch).map(str::to_owned);
        Self { default_branch: self.default_branch.or(branch), ..self }
    }

    fn merge_group(self, payload: &Value) -> Self {
        let head = text(payload, "/merge_group/head_ref");
        let git_ref = head.as_deref().and_then(GitRef::of).or(self.git_ref);
        let base = text(payload, "/merge_group/base_ref");
        let sha = text(payload, "/merge_group/head_sha").as_deref().and_then(commit);
        Self {
            sha: sha.or(self.sha),
            pull_request: git_ref.as_ref().and_then(GitRef::branch).and_then(number_of_queue),
            base_ref: base.map(|base| base.trim_start_matches("refs/heads/").to_owned()),
            committed_at: time(payload, "/merge_group/head_commit/timestamp"),
            git_ref,
            ..self
        }
    }

    fn release(self, payload: &Value) -> Self {
        let tag = text(payload, "/release/tag_name").map(GitRef::Tag);
        Self { git_ref: tag.or(self.git_ref), ..self }
    }
}

fn kind(name: Option<&str>, payload: &Value) -> EventKind {
    match name.unwrap_or_default() {
        "" => EventKind::None,
        "pull_request" => EventKind::PullRequest,
        "pull_request_target" => EventKind::PullRequestTarget,
        "push" => EventKind::Push,
        "issue_comment" => EventKind::IssueComment,
        "workflow_dispatch" => EventKind::WorkflowDispatch,
        "workflow_run" => EventKind::WorkflowRun { triggered_by: text(payload, "/workflow_run/event") },
        "repository_dispatch" => EventKind::RepositoryDispatch,
        "schedule" => EventKind::Schedule,
        "merge_group" => EventKind::MergeGroup,
        "release" => EventKind::Release,
        other => EventKind::Other(other.to_owned()),
    }
}

impl EventKind {
    /// The name of its workflow trigger; empty outside of Actions.
    #[must_use]
    pub fn name(&self) -> &str {
        match self {
            Self::PullRequest => "pull_request",
            Self::PullRequestTarget => "pull_request_target",
            Self::Push => "push",
            Self::IssueComment => "issue_comment",
            Self::WorkflowDispatch => "workflow_dispatch",
            Self::WorkflowRun { .. } => "workflow_run",
            Self::RepositoryDispatch => "repository_dispatch",
            Self::Schedule => "schedule",
            Self::MergeGroup => "merge_group",
            Self::Release => "release",
            Self::Other(name) => name,
            Self::None => "",
        }
    }
}

fn origin(head: Option<&str>, own: Option<&str>) -> Origin {
    match (head, own) {
        (Some(head), Some(own)) if head.eq_ignore_ascii_case(own) => Origin::Own,
        // A head repository that is gone was a fork: our own exists, or we would not run.
        _ => Origin::Fork,
    }
}

fn text(value: &Value, pointer: &str) -> Option<String> {
    value.pointer(pointer)?.as_str().filter(|text| !text.is_empty()).map(str::to_owned)
}

fn number(value: &Value, pointer: &str) -> Option<u64> {
    value.pointer(pointer)?.as_u64()
}

fn time(value: &Value, pointer: &str) -> Option<Timestamp> {
    value.pointer(pointer)?.as_str()?.parse().ok()
}

fn commit(text: &str) -> Option<CommitSha> {
    text.parse().ok().filter(|_| text.bytes().any(|byte| byte != b'0'))
}

/// The number in `refs/pull/<number>/merge`.
fn number_of_ref(reference: &str) -> Option<u64> {
    reference.strip_prefix("refs/pull/")?.split('/').next()?.parse().ok()
}

/// The number in `gh-readonly-queue/<base>/pr-<number>-<commit>`; the base may hold slashes.
fn number_of_queue(branch: &str) -> Option<u64> {
    let entry = branch.strip_prefix("gh-readonly-queue/")?.rsplit('/').next()?;
    entry.strip_prefix("pr-")?.split('-').next()?.parse().ok()
}

#[cfg(test)]
mod tests;
