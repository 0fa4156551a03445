//! Purpose: how many requests a token has left.

use jiff::Timestamp;
use serde::Deserialize;

use super::route::Route;
use super::{Asked, GithubClient, GithubError};
use crate::services::{Classified as _, ErrorClass};

/// The token's primary limit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rate {
    /// Requests in an hour.
    pub limit: u64,
    /// Requests that are left.
    pub remaining: u64,
    /// When the limit is whole again.
    pub resets: Option<Timestamp>,
}

impl GithubClient {
    /// The limit of the token, which asking does not touch; `None` where there is none, as on Enterprise Servers that do
    /// not limit (they answer 404).
    ///
    /// # Errors
    /// Everything but that answer.
    pub async fn rate(&self) -> Result<Option<Rate>, GithubError> {
        #[derive(Deserialize)]
        struct Body {
            resources: Resources,
        }
        #[derive(Deserialize)]
        struct Resources {
            core: Core,
        }
        #[derive(Deserialize)]
        struct Core {
            limit: u64,
            remaining: u64,
            reset: i64,
        }
        let asked = Asked::new("rate limit", "of the token");
        match self.read::<Body>(&asked, &Route::root("/rate_limit")).await {
            Ok(Body { resources: Resources { core } }) => Ok(Some(Rate {
                limit: core.limit,
                remaining: core.remaining,
                resets: Timestamp::from_second(core.reset).ok(),
            })),
            Err(error) if error.class() == ErrorClass::NotFound => Ok(None),
            Err(error) => Err(error),
        }
    }
}
