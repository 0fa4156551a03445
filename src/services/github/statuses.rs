//! Purpose: statuses of a commit, of which the newest of each context counts.

use http::Method;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::identity::Account;
use super::pages::Pages;
use super::repository::timestamp;
use super::route::Route;
use super::{Asked, GithubClient, GithubError};
use crate::domain::names::{CommitSha, RepositoryName};
use crate::services::http::Repeat;
use crate::services::{Classified as _, ErrorClass};

/// The longest description that GitHub takes, in characters.
pub const LONGEST_DESCRIPTION: usize = 140;

/// What a status says of the commit.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum StatusState {
    /// Something broke.
    Error,
    /// It failed.
    Failure,
    /// It is not decided.
    Pending,
    /// It passed.
    Success,
}

/// A status to be made.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct NewStatus {
    /// What it says.
    pub state: StatusState,
    /// Which of the commit's statuses it is.
    pub context: String,
    /// A few words, at most [`LONGEST_DESCRIPTION`] characters.
    pub description: String,
    /// Where to read more; http or https.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub target_url: Option<String>,
}

/// A status as GitHub has it.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct CommitStatus {
    /// Its id; higher ones are newer.
    #[serde(default)]
    pub id: u64,
    /// What it says.
    pub state: StatusState,
    /// Which of the commit's statuses it is.
    pub context: String,
    /// A few words.
    pub description: Option<String>,
    /// Where to read more.
    pub target_url: Option<String>,
    /// When it was made, by GitHub's clock, to the second.
    #[serde(deserialize_with = "timestamp")]
    pub created_at: Timestamp,
    /// Who made it.
    #[serde(default)]
    pub creator: Option<Account>,
}

impl GithubClient {
    /// Every status of a commit, the newest first; older ones of a context follow.
    #[must_use]
    pub fn statuses(&self, repository: &RepositoryName, sha: &CommitSha) -> Pages<CommitStatus> {
        let asked = Asked::new("statuses", format!("of {} in {repository}", sha.short())).needing("statuses: read");
        let route = Route::of(repository).words("/commits").name(sha.as_str()).words("/statuses");
        Pages::new(self, asked, route)
    }

    /// Makes a status. When the answer is lost it is looked for before it is sent again.
    ///
    /// # Errors
    /// [`GithubError`]; class `Invalid` when the repository has no such commit.
    pub async fn create_status(
        &self,
        repository: &RepositoryName,
        sha: &CommitSha,
        status: &NewStatus,
    ) -> Result<CommitStatus, GithubError> {
        let asked = Asked::new("creation of the status", format!("'{}' of {repository}", status.context))
            .needing("statuses: write");
        let route = Route::of(repository).words("/statuses").name(sha.as_str());
        let create = || self.write(&asked, Method::POST, &route, Some(status), Repeat::IfWithoutEffect);
        match create().await {
            Err(error) if error.class() == ErrorClass::Unavailable => {
                match self.newest_status(repository, sha, &status.context).await? {
                    Some(found) if status.is(&found) => Ok(found),
                    _ => create().await?.json(),
                }
            }
            done => done?.json(),
        }
    }

    async fn newest_status(
        &self,
        repository: &RepositoryName,
        sha: &CommitSha,
        context: &str,
    ) -> Result<Option<CommitStatus>, GithubError> {
        let mut pages = self.statuses(repository, sha);
        while let Some(status) = pages.next().await? {
            if status.context == context {
                return Ok(Some(status));
            }
        }
        Ok(None)
    }
}

impl NewStatus {
    fn is(&self, found: &CommitStatus) -> bool {
        found.state == self.state
            && found.description.as_deref() == Some(&self.description)
            && found.target_url == self.target_url
    }
}
