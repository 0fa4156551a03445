//! Purpose: repositories, their branches and commits.

use jiff::Timestamp;
use serde::Deserialize;

use super::route::Route;
use super::{Asked, GithubClient, GithubError};
use crate::domain::names::{BranchName, CommitSha, RepositoryName};

/// Who can see a repository.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Visibility {
    /// Everybody.
    Public,
    /// People with access.
    Private,
    /// Members of the enterprise.
    Internal,
}

/// A repository that the token can see. Questions about what is in it take one of these, so that "there is no such
/// branch" can never mean "the repository cannot be seen".
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Repository {
    /// Its name, as GitHub writes it today; a renamed repository answers under its old name too.
    pub name: RepositoryName,
    /// The default branch.
    pub default_branch: BranchName,
    /// Who can see it.
    pub visibility: Visibility,
}

impl AsRef<RepositoryName> for Repository {
    fn as_ref(&self) -> &RepositoryName {
        &self.name
    }
}

/// A commit.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Commit {
    /// Its id.
    pub sha: CommitSha,
    /// When it was committed, as its committer's clock said.
    pub committed_at: Timestamp,
    /// First line of its message.
    pub subject: String,
}

#[derive(Deserialize)]
struct RepositoryBody {
    full_name: RepositoryName,
    default_branch: BranchName,
    private: bool,
    visibility: Option<Visibility>,
}

#[derive(Deserialize)]
struct RefBody {
    #[serde(rename = "ref")]
    reference: String,
    object: ObjectBody,
}

#[derive(Deserialize)]
struct ObjectBody {
    sha: CommitSha,
}

#[derive(Deserialize)]
struct CommitBody {
    sha: CommitSha,
    commit: CommitDetail,
}

#[derive(Deserialize)]
struct CommitDetail {
    message: String,
    committer: CommitterBody,
}

#[derive(Deserialize)]
struct CommitterBody {
    #[serde(deserialize_with = "timestamp")]
    date: Timestamp,
}

pub(super) fn timestamp<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<Timestamp, D::Error> {
    String::deserialize(deserializer)?.parse().map_err(serde::de::Error::custom)
}

impl GithubClient {
    /// A repository.
    ///
    /// # Errors
    /// Class `NotFound` when it does not exist or the token cannot see it: GitHub does not tell which.
    pub async fn repository(&self, name: &RepositoryName) -> Result<Repository, GithubError> {
        let asked = Asked::new("repository", name.as_str());
        let body: RepositoryBody = self.read(&asked, &Route::of(name)).await?;
        let unsaid = if body.private { Visibility::Private } else { Visibility::Public };
        Ok(Repository {
            name: body.full_name,
            default_branch: body.default_branch,
            visibility: body.visibility.unwrap_or(unsaid),
        })
    }

    /// The commit that a branch points to; `None` only when GitHub itself says that the repository has no branch of
    /// exactly this name (an empty repository has none at all).
    ///
    /// # Errors
    /// Everything that is not a definite answer.
    pub async fn branch_head(
        &self,
        repository: &Repository,
        branch: &BranchName,
    ) -> Result<Option<CommitSha>, GithubError> {
        self.head(&repository.name, branch).await
    }

    /// A repository and the head of one of its branches, asked for at the same time. A repository that cannot be seen
    /// is an error here too, whatever was said about the branch.
    ///
    /// # Errors
    /// Those of [`Self::repository`], then those of [`Self::branch_head`].
    pub async fn repository_and_head(
        &self,
        name: &RepositoryName,
        branch: &BranchName,
    ) -> Result<(Repository, Option<CommitSha>), GithubError> {
        let (repository, head) = tokio::join!(self.repository(name), self.head(name, branch));
        Ok((repository?, head?))
    }

    async fn head(&self, repository: &RepositoryName, branch: &BranchName) -> Result<Option<CommitSha>, GithubError> {
        let asked = Asked::new("branch", format!("'{branch}' of {repository}"));
        let route = Route::of(repository).words("/git/ref/heads").git_ref(branch.as_str());
        match self.read::<RefBody>(&asked, &route).await {
            Ok(body) if body.reference == format!("refs/heads/{branch}") => Ok(Some(body.object.sha)),
            Ok(_) => Err(GithubError::Malformed { asked, expected: "about exactly this branch", source: None }),
            Err(error) if is_absence(&error) => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// The commit that a branch, a tag or an abbreviated id stands for.
    ///
    /// # Errors
    /// Class `NotFound` or `Invalid` when the repository has nothing of that name.
    pub async fn commit(&self, repository: &Repository, reference: &str) -> Result<Commit, GithubError> {
        let asked = Asked::new("commit", format!("'{reference}' of {}", repository.name));
        // A page of one keeps the list of changed files, which nobody here reads, out of the answer.
        let route = Route::of(&repository.name).words("/commits").git_ref(reference).query("per_page", "1");
        let body: CommitBody = self.read(&asked, &route).await?;
        let subject = body.commit.message.lines().next().unwrap_or_default().to_owned();
        Ok(Commit { sha: body.sha, committed_at: body.commit.committer.date, subject })
    }
}

fn is_absence(error: &GithubError) -> bool {
    error.refusal().is_some_and(|refusal| {
        let is_empty = refusal.status == 409 && refusal.message.to_ascii_lowercase().contains("repository is empty");
        refusal.is_definite_absence() || is_empty
    })
}
