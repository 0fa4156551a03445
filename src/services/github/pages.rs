//! Purpose: listings of GitHub, page by page, so that no listing is ever held whole.

use std::collections::VecDeque;

use serde::Deserialize;
use serde::de::DeserializeOwned;
use url::Url;

use super::route::Route;
use super::{Asked, GithubClient, GithubError};
use crate::services::http::Repeat;

/// A listing that is read as far as somebody asks.
pub struct Pages<T> {
    github: GithubClient,
    asked: Asked,
    shape: Shape,
    next: Option<Url>,
    ready: VecDeque<T>,
    total: Option<u64>,
}

/// How a page holds its entries.
#[derive(Debug, Clone, Copy)]
enum Shape {
    /// The page is the list.
    Bare,
    /// The list lies in an object, beside the number of all entries.
    Enveloped,
}

/// An object around a list; the list's name is that of its entries.
#[derive(Deserialize)]
#[serde(bound = "T: DeserializeOwned")]
struct Envelope<T> {
    total_count: Option<u64>,
    #[serde(
        rename = "workflow_runs",
        alias = "jobs",
        alias = "workflows",
        alias = "artifacts",
        alias = "check_runs",
        alias = "check_suites",
        alias = "repositories"
    )]
    entries: VecDeque<T>,
}

/// One page.
struct Page<T> {
    entries: VecDeque<T>,
    total: Option<u64>,
    next: Option<Url>,
}

impl<T: DeserializeOwned> Pages<T> {
    pub(super) fn new(github: &GithubClient, asked: Asked, route: Route) -> Self {
        Self::shaped(github, asked, route, Shape::Bare)
    }

    /// A listing whose pages are objects with `total_count` and the list under its own name.
    pub(super) fn enveloped(github: &GithubClient, asked: Asked, route: Route) -> Self {
        Self::shaped(github, asked, route, Shape::Enveloped)
    }

    fn shaped(github: &GithubClient, asked: Asked, route: Route, shape: Shape) -> Self {
        let first = route.query("per_page", "100").below(&github.base);
        Self { github: github.clone(), asked, shape, next: Some(first), ready: VecDeque::new(), total: None }
    }

    /// The next entry; `None` after the last.
    ///
    /// # Errors
    /// [`GithubError`] of the page that could not be read; asking again tries that page again.
    pub async fn next(&mut self) -> Result<Option<T>, GithubError> {
        while self.ready.is_empty() {
            let Some(page) = self.read().await? else {
                return Ok(None);
            };
            self.ready = page;
        }
        Ok(self.ready.pop_front())
    }

    /// How many entries there are in all, as the last page that was read said; `None` before the first page and for
    /// listings that do not say.
    #[must_use]
    pub fn total(&self) -> Option<u64> {
        self.total
    }

    async fn page_at(&self, url: Url) -> Result<Page<T>, GithubError> {
        Ok(match self.shape {
            Shape::Bare => {
                let (entries, next) = self.github.read_once::<VecDeque<T>>(&self.asked, url).await?;
                Page { entries, total: None, next }
            }
            Shape::Enveloped => {
                let (envelope, next) = self.github.read_once::<Envelope<T>>(&self.asked, url).await?;
                Page { entries: envelope.entries, total: envelope.total_count, next }
            }
        })
    }

    /// The rest of the page under way, else the next page with one request; `None` after the last.
    ///
    /// # Errors
    /// As [`Self::next`].
    pub async fn page(&mut self) -> Result<Option<Vec<T>>, GithubError> {
        if !self.ready.is_empty() {
            return Ok(Some(std::mem::take(&mut self.ready).into()));
        }
        Ok(self.read().await?.map(Vec::from))
    }

    async fn read(&mut self) -> Result<Option<VecDeque<T>>, GithubError> {
        let Some(url) = self.next.clone() else {
            return Ok(None);
        };
        let page = self.github.policy.run(Repeat::Always, || self.page_at(url.clone())).await?;
        (self.next, self.total) = (page.next, page.total.or(self.total));
        Ok(Some(page.entries))
    }
}
