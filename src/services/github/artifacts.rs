//! Purpose: artifacts of any run, as GitHub's REST API lists them.

use serde::Deserialize;
use url::Url;

use super::route::Route;
use super::{Asked, GithubClient, GithubError, success, target};
use crate::domain::names::RepositoryName;
use crate::services::http::Repeat;

/// The most artifacts of one run that are listed; a run has at most 500 per job (GitHub documentation, "usage limits").
const MOST_PAGES: u32 = 50;
const PAGE: usize = 100;

/// An artifact in a listing.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct RunArtifact {
    /// Its id.
    pub id: u64,
    /// Its name.
    pub name: String,
    /// Bytes, as stored.
    #[serde(default)]
    pub size_in_bytes: u64,
    /// Whether its retention is over.
    #[serde(default)]
    pub expired: bool,
    /// `sha256:…` of its content; older ones have none.
    #[serde(default)]
    pub digest: Option<String>,
}

#[derive(Deserialize)]
struct Page {
    #[serde(default)]
    artifacts: Vec<RunArtifact>,
}

impl GithubClient {
    /// The artifacts of one run, of one name when given. The token needs `actions: read`.
    ///
    /// # Errors
    /// Class `NotFound` when there is no such run, or the token cannot see the repository.
    pub async fn run_artifacts(
        &self,
        repository: &RepositoryName,
        run: u64,
        name: Option<&str>,
    ) -> Result<Vec<RunArtifact>, GithubError> {
        let asked = Asked::new("artifacts", format!("of run {run} of {repository}")).needing("actions: read");
        let mut found = Vec::new();
        for page in 1..=MOST_PAGES {
            let mut route = Route::of(repository).words("/actions/runs").name(&run.to_string()).words("/artifacts");
            route = route.query("per_page", "100").query("page", &page.to_string());
            if let Some(name) = name {
                route = route.query("name", name);
            }
            let body: Page = self.read(&asked, &route).await?;
            let last = body.artifacts.len() < PAGE;
            found.extend(body.artifacts);
            if last {
                break;
            }
        }
        Ok(found)
    }

    /// Where the content of an artifact is stored: an address that is valid for a minute and needs no token.
    ///
    /// # Errors
    /// Class `NotFound` when it does not exist or has expired.
    pub async fn artifact_address(&self, repository: &RepositoryName, id: u64) -> Result<Url, GithubError> {
        let asked = Asked::new("artifact", format!("{id} of {repository}")).needing("actions: read");
        let route = Route::of(repository).words("/actions/artifacts").name(&id.to_string()).words("/zip");
        let url = route.below(&self.base);
        let attempt = || async {
            let response = self.send(&asked, &url).await?;
            if response.status().is_redirection() {
                return target(&asked, &response, &url);
            }
            success(&asked, response).await?;
            Err(GithubError::Malformed { asked: asked.clone(), expected: "a redirect to the content", source: None })
        };
        Box::pin(self.policy.run(Repeat::Always, attempt)).await
    }
}
