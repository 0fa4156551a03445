//! Purpose: what service errors mean to a person and to a workflow; one file per service.
//!
//! A service says how its error classes; here the class becomes the exit code, and the situation becomes a title, a
//! reason code and hints.

mod artifacts;
mod build;
mod engine;
mod github;
mod holdings;
mod registry;
mod tailscale;
mod toolbox;

use crate::runner::Kind;
use crate::services::ErrorClass;

/// The exit code's kind for a class of error.
#[must_use]
pub(super) fn kind_of(class: ErrorClass) -> Kind {
    match class {
        ErrorClass::Unauthenticated | ErrorClass::Forbidden => Kind::Auth,
        ErrorClass::RateLimited | ErrorClass::Unavailable => Kind::Upstream,
        ErrorClass::NotFound | ErrorClass::Invalid | ErrorClass::Failed => Kind::Work,
    }
}

/// The reason code for a class of error of the upstream called `$upstream`, for example `github-forbidden`.
macro_rules! reason {
    ($upstream:literal, $class:expr) => {
        match $class {
            $crate::services::ErrorClass::NotFound => concat!($upstream, "-not-found"),
            $crate::services::ErrorClass::Unauthenticated => concat!($upstream, "-unauthenticated"),
            $crate::services::ErrorClass::Forbidden => concat!($upstream, "-forbidden"),
            $crate::services::ErrorClass::Invalid => concat!($upstream, "-refused"),
            $crate::services::ErrorClass::RateLimited => concat!($upstream, "-rate-limited"),
            $crate::services::ErrorClass::Unavailable => concat!($upstream, "-unavailable"),
            $crate::services::ErrorClass::Failed => concat!($upstream, "-failed"),
        }
    };
}
pub(super) use reason;

mod aws;
