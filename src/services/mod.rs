//! Purpose: the outside world behind narrow types.
//!
//! A service knows `domain` types and `http`, never `runner` or `commands`: it reports progress through
//! channels or callbacks, is cancelled by being dropped, and returns typed errors that say how they class.

use std::sync::Arc;

pub mod artifacts;
pub mod asking;
pub mod aws;
pub mod buildkit;
pub mod engine;
pub mod github;
pub mod governor;
pub mod holdings;
pub mod http;
mod link;
pub mod registry;
pub mod tailscale;
#[cfg(test)]
mod testing;
pub mod toolbox;
pub mod webhook;

/// Called with every secret a service obtains (tokens, passwords), before the secret is used for the first time,
/// so that the edge can mask it.
pub type SecretObserver = Arc<dyn Fn(&secrecy::SecretString) + Send + Sync>;

/// What went wrong with a request, as far as the caller's next step and the exit code depend on it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ErrorClass {
    /// The other side said definitely that the object does not exist.
    NotFound,
    /// Who we are was not accepted (401, expired or missing credentials).
    Unauthenticated,
    /// We are known and not allowed (403, access denied).
    Forbidden,
    /// The request itself was refused as wrong (400, 409, 422, validation).
    Invalid,
    /// Asked to slow down (429, throttling, secondary rate limit).
    RateLimited,
    /// No usable answer: transport error, timeout, 5xx, an answer that cannot be understood.
    Unavailable,
    /// The work itself was done by the other side and failed (a build that does not compile, a task that crashed).
    Failed,
}

impl ErrorClass {
    /// The class of an HTTP status that is not a success.
    #[must_use]
    pub fn of_status(status: u16) -> Self {
        match status {
            401 => Self::Unauthenticated,
            403 => Self::Forbidden,
            404 | 410 => Self::NotFound,
            408 | 425 => Self::Unavailable,
            429 => Self::RateLimited,
            400..=499 => Self::Invalid,
            _ => Self::Unavailable,
        }
    }

    /// Whether asking again later can help.
    #[must_use]
    pub fn is_transient(self) -> bool {
        matches!(self, Self::RateLimited | Self::Unavailable)
    }
}

/// An error that says how it classes; implemented by the error type of every service.
pub trait Classified: std::error::Error + Send + Sync + 'static {
    /// The class, from which retry and exit code follow.
    fn class(&self) -> ErrorClass;

    /// How long the other side asked us to wait before the next try.
    fn retry_after(&self) -> Option<std::time::Duration> {
        None
    }

    /// Whether the request provably did not take effect (connection refused, name not resolved, 429 before work).
    fn had_no_effect(&self) -> bool {
        self.class() == ErrorClass::RateLimited
    }
}

/// An error with its causes as one line, each said once.
#[must_use]
pub fn with_causes(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        let words = error.to_string();
        if !text.ends_with(&words) {
            text.push_str(": ");
            text.push_str(&words);
        }
        cause = error.source();
    }
    text
}
