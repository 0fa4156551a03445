//! Purpose: the tags of a repository, page by page.

use std::collections::VecDeque;

use serde::Deserialize;
use url::Url;

use super::request::Call;
use super::{RegistryClient, RegistryError};
use crate::domain::reference::ImageName;
use crate::services::link;

/// Tags that are read as far as somebody asks.
pub struct Tags {
    registry: RegistryClient,
    name: ImageName,
    next: Next,
    ready: VecDeque<String>,
}

enum Next {
    First,
    Page(Url),
    Nothing,
}

#[derive(Deserialize)]
struct Body {
    /// Some registries say null for none.
    tags: Option<VecDeque<String>>,
}

impl RegistryClient {
    /// The tags of a repository, in the registry's order.
    #[must_use]
    pub fn tags(&self, name: &ImageName) -> Tags {
        Tags { registry: self.clone(), name: name.clone(), next: Next::First, ready: VecDeque::new() }
    }
}

impl Tags {
    /// The next tag; `None` after the last.
    ///
    /// # Errors
    /// Class `NotFound` when there is no such repository; asking again tries the same page again.
    pub async fn next(&mut self) -> Result<Option<String>, RegistryError> {
        while self.ready.is_empty() {
            let call = Call::get(&self.name, "/tags/list?n=100".to_owned(), format!("the tags of {}", self.name));
            let answer = match &self.next {
                Next::First => self.registry.call(&call).await?,
                Next::Page(url) => self.registry.call_at(&call, url).await?,
                Next::Nothing => return Ok(None),
            };
            let body: Body = serde_json::from_slice(&answer.body).map_err(|_| call.malformed("a list of tags"))?;
            // Our credentials go with the next page, so it must be of the same registry.
            let next = link::next(&answer.headers, &answer.url).filter(|next| next.origin() == answer.url.origin());
            self.next = next.map_or(Next::Nothing, Next::Page);
            self.ready = body.tags.unwrap_or_default();
        }
        Ok(self.ready.pop_front())
    }
}
