//! Purpose: one page of runs by its number, for whoever reads several pages at a time.

use serde::Deserialize;

use super::{READ, RunFilter, WorkflowRun};
use crate::services::github::{Asked, GithubClient, GithubError, Repository};

/// A page of runs.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct RunPage {
    /// How many runs the filter lets through, over all pages; GitHub may count no further than it gives.
    #[serde(rename = "total_count")]
    pub total: u64,
    /// The page's runs, at most 100, the newest first.
    #[serde(rename = "workflow_runs")]
    pub runs: Vec<WorkflowRun>,
}

impl GithubClient {
    /// A page of the runs that a filter lets through, from 1 on.
    ///
    /// # Errors
    /// Class `NotFound` when there is no such workflow.
    pub async fn workflow_runs_page(
        &self,
        repository: &Repository,
        filter: &RunFilter,
        page: u64,
    ) -> Result<RunPage, GithubError> {
        let of = filter.workflow.as_ref().map(|workflow| format!("'{workflow}' of ")).unwrap_or_default();
        let asked = Asked::new("workflow runs of", format!("{of}{}", repository.name)).needing(READ);
        let route = filter.route(&repository.name).query("per_page", "100").query("page", &page.to_string());
        self.read(&asked, &route).await
    }
}
