//! Purpose: what can go wrong with an engine, and how it classes.

use std::time::Duration;

use super::endpoint::EndpointError;
use crate::services::{Classified, ErrorClass};

/// A request to a Docker Engine that failed.
#[derive(Debug, thiserror::Error)]
pub enum EngineError {
    /// The address itself is not usable.
    #[error(transparent)]
    Endpoint(#[from] EndpointError),
    /// Nothing answers at the endpoint: no socket, no permission, no daemon.
    #[error("no Docker Engine answers at {endpoint}")]
    NotAnswering {
        /// Where it was looked for.
        endpoint: String,
        /// The cause.
        #[source]
        source: Box<bollard::errors::Error>,
    },
    /// The engine answers and is older than what we need.
    #[error("the Docker Engine at {endpoint} is {found}; {needed} or newer is needed")]
    TooOld {
        /// Where it was found.
        endpoint: String,
        /// Its version.
        found: String,
        /// The oldest version that will do.
        needed: &'static str,
    },
    /// The engine says definitely that the image or container does not exist.
    #[error("the engine has no {object}")]
    NotFound {
        /// The image or container.
        object: String,
    },
    /// The engine itself does not allow it (an authorization plugin, a read-only socket proxy).
    #[error("the engine does not allow {action}: {message}")]
    Denied {
        /// What was asked, as a gerund phrase: "pushing ghcr.io/acme/app:v1".
        action: String,
        /// The engine's own words, one line.
        message: String,
    },
    /// It is there already, in use, or in a state in which this cannot be done.
    #[error("{action} failed: {message}")]
    Conflict {
        /// What was asked, as a gerund phrase.
        action: String,
        /// The engine's own words, one line.
        message: String,
    },
    /// The container was made and could not be started.
    #[error("the container {container} could not be started: {message}")]
    Start {
        /// Its id or name.
        container: String,
        /// What stood in the way.
        cause: StartCause,
        /// The engine's own words, one line.
        message: String,
    },
    /// The registry, as the engine sees it, refused or did not answer.
    #[error("{action} failed: {message}")]
    Registry {
        /// What was asked, as a gerund phrase: "pushing ghcr.io/acme/app:v1".
        action: String,
        /// What the registry meant.
        class: ErrorClass,
        /// The engine's account of it, one line.
        message: String,
    },
    /// Any other refusal of the engine.
    #[error("{action} failed: {message}")]
    Failed {
        /// What was asked, as a gerund phrase.
        action: String,
        /// How it classes.
        class: ErrorClass,
        /// The engine's own words, one line.
        message: String,
    },
    /// The conversation broke: an I/O error, a timeout, an answer that cannot be understood.
    #[error("{action} failed: the engine's answer broke off")]
    Broken {
        /// What was asked, as a gerund phrase.
        action: String,
        /// The cause.
        #[source]
        source: Box<bollard::errors::Error>,
    },
    /// The engine reported success without saying which digest it pushed.
    #[error("{action} ended without naming a digest")]
    NoDigest {
        /// What was asked, as a gerund phrase.
        action: String,
    },
}

/// What stood in the way of a start.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StartCause {
    /// A port of the host that something else listens on.
    PortTaken,
    /// The entry point or command is not in the image, or not executable.
    Command,
    /// Something to be mounted is not there, or of the wrong kind.
    Mount,
    /// Anything else; the message says what.
    Other,
}

impl Classified for EngineError {
    fn class(&self) -> ErrorClass {
        match self {
            Self::Endpoint(_) | Self::TooOld { .. } => ErrorClass::Invalid,
            Self::NotAnswering { .. } | Self::Broken { .. } | Self::NoDigest { .. } => ErrorClass::Unavailable,
            Self::NotFound { .. } => ErrorClass::NotFound,
            Self::Denied { .. } => ErrorClass::Forbidden,
            Self::Conflict { .. } => ErrorClass::Invalid,
            Self::Start { .. } => ErrorClass::Failed,
            Self::Registry { class, .. } | Self::Failed { class, .. } => *class,
        }
    }

    fn retry_after(&self) -> Option<Duration> {
        None
    }
}
