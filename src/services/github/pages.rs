//! Purpose: listings of GitHub, page by page, so that no listing is ever held whole.

use std::collections::VecDeque;

use serde::de::DeserializeOwned;
use url::Url;

use super::route::Route;
use super::{Asked, GithubClient, GithubError};
use crate::services::http::Repeat;

/// A listing that is read as far as somebody asks.
pub struct Pages<T> {
    github: GithubClient,
    asked: Asked,
    next: Option<Url>,
    ready: VecDeque<T>,
}

impl<T: DeserializeOwned> Pages<T> {
    pub(super) fn new(github: &GithubClient, asked: Asked, route: Route) -> Self {
        let first = route.query("per_page", "100").below(&github.base);
        Self { github: github.clone(), asked, next: Some(first), ready: VecDeque::new() }
    }

    /// The next entry; `None` after the last.
    ///
    /// # Errors
    /// [`GithubError`] of the page that could not be read; asking again tries that page again.
    pub async fn next(&mut self) -> Result<Option<T>, GithubError> {
        while self.ready.is_empty() {
            let Some(url) = self.next.clone() else {
                return Ok(None);
            };
            let attempt = || self.github.read_once::<VecDeque<T>>(&self.asked, url.clone());
            let (entries, next) = self.github.policy.run(Repeat::Always, attempt).await?;
            (self.ready, self.next) = (entries, next);
        }
        Ok(self.ready.pop_front())
    }
}
