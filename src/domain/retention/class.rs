//! Purpose: kinds of tags, for counting: pull requests, features, commits, nightly builds, releases.

use serde::Serialize;

use super::pattern::{is_commit, is_semver};

/// What an image was made for, by the name it was given.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Class {
    /// A release: `1.2.3`, `v1.2.3`, `1.2`.
    Release,
    /// A name that moves: `latest`, `dev`, `main`.
    Moving,
    /// A pull request: `pr-12`, `pr-12-abc1234`.
    PullRequest,
    /// A feature branch: `feature-x-abc1234`.
    Feature,
    /// A nightly build.
    Nightly,
    /// A commit: `sha-abc1234`, `abc1234`, `main-abc1234`.
    Commit,
    /// Signatures, attestations and other things beside an image: `sha256-…`.
    Companion,
    /// Any other tag.
    Other,
    /// No tag: children of indexes, and what tags moved away from.
    Untagged,
}

impl Class {
    /// The class of a tag.
    #[must_use]
    pub fn of_tag(tag: &str) -> Self {
        let commit_at_end = || tag.rsplit_once('-').is_some_and(|(_, word)| is_commit(word));
        match tag {
            _ if super::graph::companion_of(tag).is_some() => Self::Companion,
            "latest" | "dev" | "develop" | "development" | "main" | "master" | "edge" | "stable" => Self::Moving,
            _ if tag.starts_with("pr-") => Self::PullRequest,
            _ if tag.starts_with("feature-") => Self::Feature,
            _ if tag.starts_with("nightly") => Self::Nightly,
            _ if is_semver(tag) => Self::Release,
            _ if tag.starts_with("sha-") || is_commit(tag) || commit_at_end() => Self::Commit,
            _ => Self::Other,
        }
    }

    /// The class of a manifest: that of its most lasting tag.
    #[must_use]
    pub fn of_tags<'a>(tags: impl IntoIterator<Item = &'a str>) -> Self {
        tags.into_iter().map(Self::of_tag).min().unwrap_or(Self::Untagged)
    }

    /// In words, for tables.
    #[must_use]
    pub fn title(self) -> &'static str {
        match self {
            Self::Release => "releases",
            Self::Moving => "moving tags",
            Self::PullRequest => "pull requests",
            Self::Feature => "feature branches",
            Self::Nightly => "nightly builds",
            Self::Commit => "commits",
            Self::Companion => "signatures and attestations",
            Self::Other => "other tags",
            Self::Untagged => "without tags",
        }
    }
}
