//! Purpose: pull requests, and what a person may do in a repository.

use serde::Deserialize;

use super::pages::Pages;
use super::route::Route;
use super::{Asked, GithubClient, GithubError, Repository};
use crate::domain::names::{BranchName, CommitSha, RepositoryName};
use crate::domain::route::Level;

/// A pull request.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct PullRequest {
    /// Its number.
    pub number: u64,
    /// `open` or `closed`.
    pub state: String,
    /// Whether it is a draft.
    #[serde(default)]
    pub draft: bool,
    /// Whether it was merged; listings do not say.
    #[serde(default)]
    pub merged: bool,
    /// Where its commits are.
    pub head: PullRequestSide,
    /// Where they are to go.
    pub base: PullRequestSide,
}

/// One side of a pull request.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct PullRequestSide {
    /// The branch.
    #[serde(rename = "ref")]
    pub branch: BranchName,
    /// The commit.
    pub sha: CommitSha,
    /// The repository; `None` when the fork is gone.
    #[serde(rename = "repo", deserialize_with = "full_name")]
    pub repository: Option<RepositoryName>,
}

fn full_name<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<Option<RepositoryName>, D::Error> {
    #[derive(Deserialize)]
    struct Body {
        full_name: RepositoryName,
    }
    Ok(Option::<Body>::deserialize(deserializer)?.map(|body| body.full_name))
}

/// What a person may do in a repository, the highest of all their grants (GitHub's REST description, "get repository
/// permissions for a user": `maintain` counts as `write`, `triage` as `read`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Permission {
    /// Nothing, or only what everybody may.
    None,
    /// Read.
    Read,
    /// Push.
    Write,
    /// Everything.
    Admin,
}

impl GithubClient {
    /// A pull request by its number.
    ///
    /// # Errors
    /// Class `NotFound` when there is none of that number.
    pub async fn pull_request(
        &self,
        repository: impl AsRef<RepositoryName>,
        number: u64,
    ) -> Result<PullRequest, GithubError> {
        let repository = repository.as_ref();
        let asked = Asked::new("pull request", format!("#{number} of {repository}")).needing("pull-requests: read");
        let route = Route::of(repository).words("/pulls").name(&number.to_string());
        self.read(&asked, &route).await
    }

    /// The open pull requests whose head is `branch` of the account `owner`: for a fork, the fork's owner.
    #[must_use]
    pub fn open_pull_requests(&self, repository: &Repository, owner: &str, branch: &BranchName) -> Pages<PullRequest> {
        let asked = Asked::new("open pull requests", format!("from '{owner}:{branch}' to {}", repository.name));
        let route = Route::of(&repository.name)
            .words("/pulls")
            .query("state", "open")
            .query("head", &format!("{owner}:{branch}"));
        Pages::new(self, asked, route)
    }

    /// The pull requests that a commit belongs to, open ones and merged ones. Commits of forks may be missing.
    #[must_use]
    pub fn pull_requests_of(&self, repository: &RepositoryName, sha: &CommitSha) -> Pages<PullRequest> {
        let asked =
            Asked::new("pull requests", format!("of {} in {repository}", sha.short())).needing("pull-requests: read");
        Pages::new(self, asked, Route::of(repository).words("/commits").name(sha.as_str()).words("/pulls"))
    }

    /// Of the pull requests that a commit belongs to the one of the highest rank, and of equals the newest; one without a
    /// rank is left out.
    ///
    /// # Errors
    /// Those of the listing.
    pub async fn pull_request_of<R: Ord>(
        &self,
        repository: &RepositoryName,
        sha: &CommitSha,
        rank: impl Fn(&PullRequest) -> Option<R>,
    ) -> Result<Option<PullRequest>, GithubError> {
        let mut pages = self.pull_requests_of(repository, sha);
        let mut best: Option<((R, u64), PullRequest)> = None;
        while let Some(pull) = pages.next().await? {
            if let Some(rank) = rank(&pull).map(|rank| (rank, pull.number))
                && best.as_ref().is_none_or(|(best, _)| rank > *best)
            {
                best = Some((rank, pull));
            }
        }
        Ok(best.map(|(_, pull)| pull))
    }

    /// What `user` may do in a repository, roles such as `maintain` told apart.
    ///
    /// # Errors
    /// Those of [`Self::permission`].
    pub async fn access_level(&self, repository: &RepositoryName, user: &str) -> Result<Level, GithubError> {
        #[derive(Deserialize)]
        struct Body {
            permission: String,
            role_name: Option<String>,
        }
        let asked = Asked::new("permission", format!("of '{user}' in {repository}")).needing("metadata: read");
        let route = Route::of(repository).words("/collaborators").name(user).words("/permission");
        let body: Body = self.read(&asked, &route).await?;
        Ok(Level::of(&body.permission, body.role_name.as_deref()))
    }

    /// What `user` may do in a repository.
    ///
    /// # Errors
    /// Class `NotFound` when there is no such user. No error means "nothing": deny on every one.
    pub async fn permission(
        &self,
        repository: impl AsRef<RepositoryName>,
        user: &str,
    ) -> Result<Permission, GithubError> {
        #[derive(Deserialize)]
        struct Body {
            permission: Permission,
        }
        let repository = repository.as_ref();
        let asked = Asked::new("permission", format!("of '{user}' in {repository}")).needing("metadata: read");
        let route = Route::of(repository).words("/collaborators").name(user).words("/permission");
        let body: Body = self.read(&asked, &route).await?;
        Ok(body.permission)
    }
}
