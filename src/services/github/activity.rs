//! Purpose: when GitHub itself saw a commit, whatever times the commit claims to have.

use jiff::Timestamp;
use serde::Deserialize;

use super::pages::Pages;
use super::repository::timestamp;
use super::route::Route;
use super::{Asked, GithubClient, GithubError};
use crate::domain::names::{BranchName, CommitSha, RepositoryName};

/// The most pushes that are looked through.
const MOST_PUSHES: usize = 300;

#[derive(Deserialize)]
struct ActivityBody {
    after: String,
    #[serde(rename = "ref")]
    reference: String,
    #[serde(deserialize_with = "timestamp")]
    timestamp: Timestamp,
}

#[derive(Deserialize)]
struct SuitesBody {
    check_suites: Vec<SuiteBody>,
}

#[derive(Deserialize)]
struct SuiteBody {
    created_at: Option<String>,
}

impl GithubClient {
    /// When a branch was last moved to a commit; `None` when GitHub does not tell, or will not tell this token.
    ///
    /// # Errors
    /// [`GithubError`] when GitHub could not be asked.
    pub async fn pushed_at(
        &self,
        repository: &RepositoryName,
        branch: &BranchName,
        sha: &CommitSha,
    ) -> Result<Option<Timestamp>, GithubError> {
        let asked = Asked::new("activity", format!("on '{branch}' of {repository}"));
        let reference = format!("refs/heads/{branch}");
        let route = Route::of(repository).words("/activity").query("ref", &reference);
        let mut pages: Pages<ActivityBody> = Pages::new(self, asked, route);
        for _ in 0..MOST_PUSHES {
            match pages.next().await {
                Ok(Some(push)) if push.after == sha.as_str() && push.reference == reference => {
                    return Ok(Some(push.timestamp));
                }
                Ok(Some(_)) => {}
                Ok(None) => return Ok(None),
                Err(error) => return untold(error),
            }
        }
        Ok(None)
    }

    /// When GitHub first began checks for a commit; `None` when it did not, or will not tell this token.
    ///
    /// # Errors
    /// [`GithubError`] when GitHub could not be asked.
    pub async fn checked_at(
        &self,
        repository: &RepositoryName,
        sha: &CommitSha,
    ) -> Result<Option<Timestamp>, GithubError> {
        let asked = Asked::new("checks", format!("of {} in {repository}", sha.short())).needing("checks: read");
        let route = Route::of(repository).words("/commits").name(sha.as_str()).words("/check-suites");
        match self.read::<SuitesBody>(&asked, &route.query("per_page", "100")).await {
            Ok(body) => {
                let times = body.check_suites.iter().filter_map(|suite| suite.created_at.as_ref()?.parse().ok());
                Ok(times.min())
            }
            Err(error) => untold(error),
        }
    }
}

/// What this token may not know, and what an older Enterprise Server does not have, is no evidence. It is no failure
/// either: whoever needs evidence refuses without.
fn untold<T>(error: GithubError) -> Result<Option<T>, GithubError> {
    let is_answer =
        error.refusal().is_some_and(|refusal| matches!(refusal.status, 403 | 404) && refusal.limit.is_none());
    if is_answer { Ok(None) } else { Err(error) }
}
