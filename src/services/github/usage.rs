//! Purpose: every open pull request of a repository, with both of its commits: images are named after either.

use serde::Deserialize;

use super::pages::Pages;
use super::route::Route;
use super::{Asked, GithubClient, Repository};

/// An open pull request.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct OpenPull {
    /// Its number.
    pub number: u64,
    /// The commit that merging it into its base gives, which `github.sha` is in its runs.
    #[serde(default)]
    pub merge_commit_sha: Option<String>,
    /// Where its commits are.
    pub head: OpenHead,
}

/// The head of an open pull request.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct OpenHead {
    /// The branch.
    #[serde(rename = "ref")]
    pub branch: String,
    /// The commit.
    pub sha: String,
}

impl GithubClient {
    /// Every open pull request of a repository.
    #[must_use]
    pub fn all_open_pulls(&self, repository: &Repository) -> Pages<OpenPull> {
        let asked = Asked::new("open pull requests", format!("of {}", repository.name)).needing("pull-requests: read");
        Pages::new(self, asked, Route::of(&repository.name).words("/pulls").query("state", "open"))
    }
}
