//! Purpose: what can go wrong with a question to a registry, and how it classes.

use std::path::PathBuf;
use std::time::Duration;

use http::HeaderMap;
use serde::Deserialize;

use crate::domain::names::Digest;
use crate::services::aws::AwsError;
use crate::services::engine::EngineError;
use crate::services::http::{HttpError, wait_asked};
use crate::services::{Classified, ErrorClass};

/// Codes by which a registry says that it has no such tag, digest or repository (distribution specification, "error
/// codes"; `NOT_FOUND` is Harbor's).
const ABSENT: [&str; 3] = ["MANIFEST_UNKNOWN", "NAME_UNKNOWN", "NOT_FOUND"];
/// How much of a registry's own words is kept, in characters.
const LONGEST_MESSAGE: usize = 300;

/// An answer that refuses.
#[derive(Debug, Clone)]
pub struct Refused {
    /// What was asked, as a noun phrase: `the manifest of ghcr.io/acme/app:v1`.
    pub asked: String,
    /// Host of the registry.
    pub registry: String,
    /// HTTP status.
    pub status: u16,
    /// The registry's own code, `MANIFEST_UNKNOWN` for example. Without one it may not be a registry that answered.
    pub code: Option<String>,
    /// The registry's own words, one line.
    pub message: String,
    /// Wait asked for by `Retry-After`.
    pub retry_after: Option<Duration>,
    /// Whether the answer could say why.
    pub words: Words,
}

/// Whether an answer has a body at all.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Words {
    /// It has.
    Spoken,
    /// It was an answer to HEAD, which has none.
    Silent,
}

#[derive(Deserialize)]
struct Body {
    errors: Vec<Entry>,
}

#[derive(Deserialize)]
struct Entry {
    code: String,
    #[serde(default)]
    message: Option<String>,
}

impl Refused {
    pub(super) fn of(
        asked: &str,
        registry: &str,
        words: Words,
        (status, headers, body): (u16, &HeaderMap, &[u8]),
    ) -> Self {
        let entry = serde_json::from_slice::<Body>(body).ok().and_then(|body| body.errors.into_iter().next());
        let (code, message) = match entry {
            Some(entry) => (Some(entry.code), entry.message.unwrap_or_default()),
            None => (None, String::from_utf8_lossy(body).into_owned()),
        };
        Self {
            asked: asked.to_owned(),
            registry: registry.to_owned(),
            status,
            code,
            message: one_line(&message),
            retry_after: wait_asked(headers),
            words,
        }
    }

    /// Whether the registry itself said that there is no such thing.
    #[must_use]
    pub fn is_definite_absence(&self) -> bool {
        self.status == 404 && self.code.as_deref().is_some_and(|code| ABSENT.contains(&code))
    }

    fn class(&self) -> ErrorClass {
        match (self.status, self.code.as_deref()) {
            (_, Some("TOOMANYREQUESTS")) => ErrorClass::RateLimited,
            // A page that is not a registry's: somebody in between answered.
            (404, None) if self.words == Words::Spoken => ErrorClass::Unavailable,
            (status, _) => ErrorClass::of_status(status),
        }
    }

    fn said(&self) -> String {
        let code = self.code.as_deref().map(|code| format!(" {code}")).unwrap_or_default();
        let message = if self.message.is_empty() { String::new() } else { format!(": {}", self.message) };
        format!("{}{code}{message}", self.status)
    }
}

fn one_line(text: &str) -> String {
    let line = text.lines().map(str::trim).find(|line| !line.is_empty()).unwrap_or_default();
    line.chars().filter(|c| !c.is_control()).take(LONGEST_MESSAGE).collect()
}

/// A question to a registry that was not answered, or a login for it that was not found.
#[derive(Debug, thiserror::Error)]
pub enum RegistryError {
    /// The HTTP client could not be made.
    #[error("registries cannot be spoken to")]
    Setup(#[source] HttpError),
    /// The registry, or its token endpoint, answered and said no.
    #[error("{} answered {} when asked for {}", .0.registry, .0.said(), .0.asked)]
    Refused(Box<Refused>),
    /// The connection failed or broke.
    #[error("{registry} gave no answer when asked for {asked}")]
    Unanswered {
        /// What was asked.
        asked: String,
        /// Host of the registry.
        registry: String,
        /// Whether the connection was never established.
        unconnected: bool,
        /// The cause.
        #[source]
        source: reqwest::Error,
    },
    /// The total timeout passed.
    #[error("{registry} gave no answer in time when asked for {asked}")]
    TimedOut {
        /// What was asked.
        asked: String,
        /// Host of the registry.
        registry: String,
    },
    /// The answer is not what the distribution specification says.
    #[error("the answer of {registry} about {asked} is not {expected}")]
    Malformed {
        /// What was asked.
        asked: String,
        /// Host of the registry.
        registry: String,
        /// What the specification says.
        expected: &'static str,
    },
    /// Content that is not what its digest says.
    #[error("{asked} was to have the digest {expected}, but has {found}")]
    WrongDigest {
        /// What was asked.
        asked: String,
        /// The digest that was asked for or announced.
        expected: Digest,
        /// The digest of what came.
        found: Digest,
    },
    /// The registry wants to send us, or our credentials, from an encrypted address to one that is not.
    #[error("{registry} sends on to {address}, which is not encrypted")]
    Downgrade {
        /// Host of the registry.
        registry: String,
        /// Scheme and host of the address.
        address: String,
    },
    /// A name or password that no header can carry.
    #[error("the login for {registry} has characters that cannot be sent")]
    BadLogin {
        /// Host of the registry.
        registry: String,
    },
    /// Docker's configuration file exists and cannot be used.
    #[error("docker's configuration {} cannot be used", .path.display())]
    DockerConfig {
        /// The file.
        path: PathBuf,
        /// The cause.
        #[source]
        source: std::io::Error,
    },
    /// Docker's configuration names a place for the login that only other programs can open.
    #[error("docker's configuration keeps the login for {registry} in {place}, which cannot be opened here")]
    Unreachable {
        /// Host of the registry.
        registry: String,
        /// `the credential helper docker-credential-x`.
        place: String,
    },
    /// ECR, or the way to credentials for it.
    #[error(transparent)]
    Aws(#[from] AwsError),
    /// An engine that was asked on our behalf.
    #[error(transparent)]
    Engine(#[from] EngineError),
}

impl RegistryError {
    /// The refusal, when the registry answered.
    #[must_use]
    pub fn refused(&self) -> Option<&Refused> {
        match self {
            Self::Refused(refused) => Some(refused),
            _ => None,
        }
    }
}

impl Classified for RegistryError {
    fn class(&self) -> ErrorClass {
        match self {
            Self::Refused(refused) => refused.class(),
            Self::Setup(_)
            | Self::Unanswered { .. }
            | Self::TimedOut { .. }
            | Self::Malformed { .. }
            | Self::WrongDigest { .. } => ErrorClass::Unavailable,
            Self::Downgrade { .. } | Self::BadLogin { .. } | Self::DockerConfig { .. } => ErrorClass::Invalid,
            Self::Unreachable { .. } => ErrorClass::Unauthenticated,
            Self::Aws(error) => error.class(),
            Self::Engine(error) => error.class(),
        }
    }

    fn retry_after(&self) -> Option<Duration> {
        match self {
            Self::Refused(refused) => refused.retry_after,
            Self::Aws(error) => error.retry_after(),
            Self::Engine(error) => error.retry_after(),
            _ => None,
        }
    }

    fn had_no_effect(&self) -> bool {
        match self {
            Self::Unanswered { unconnected, .. } => *unconnected,
            Self::Refused(refused) => refused.class() == ErrorClass::RateLimited,
            _ => false,
        }
    }
}
