//! Purpose: what can go wrong with an artifact, and how it classes.

use std::error::Error;
use std::time::Duration;

use crate::domain::artifact::TokenError;
use crate::domain::zip::ZipError;
use crate::services::github::GithubError;
use crate::services::http::HttpError;
use crate::services::{Classified, ErrorClass};

/// A step with an artifact that failed.
#[derive(Debug, thiserror::Error)]
pub enum ArtifactError {
    /// The runner told of no artifact service: a laptop, or an Enterprise Server, which has none of this generation.
    #[error("the runner offers no artifact service (ACTIONS_RESULTS_URL and ACTIONS_RUNTIME_TOKEN are not both set)")]
    NoService,
    /// The service's address is none.
    #[error("ACTIONS_RESULTS_URL is not an http or https address")]
    Address,
    /// The runtime token does not say who we are.
    #[error(transparent)]
    Token(#[from] TokenError),
    /// The service or the storage behind it refused, or did not answer.
    #[error("{action} failed")]
    Http {
        /// What was done, as a gerund phrase: "uploading the artifact 'image'".
        action: String,
        /// The cause.
        #[source]
        source: HttpError,
    },
    /// The service answered that it did not do it.
    #[error("{action} failed: the artifact service says no")]
    Refused {
        /// What was done, as a gerund phrase.
        action: String,
    },
    /// The run has an artifact of that name already.
    #[error("this run has an artifact '{name}' already")]
    Conflict {
        /// The artifact.
        name: String,
    },
    /// The account's artifact storage is full.
    #[error("the artifact '{name}' cannot be stored: the account's artifact storage is used up")]
    Quota {
        /// The artifact.
        name: String,
    },
    /// The run has no such artifact.
    #[error("{place} has no artifact '{name}'{}", others(.has))]
    NotFound {
        /// The artifact.
        name: String,
        /// `this run`, `run 123 of acme/app`.
        place: String,
        /// Artifacts that it has.
        has: Vec<String>,
    },
    /// It was there and its retention is over.
    #[error("the artifact '{name}' of {place} has expired")]
    Expired {
        /// The artifact.
        name: String,
        /// Whose it was.
        place: String,
    },
    /// GitHub's own API refused or did not answer.
    #[error(transparent)]
    Github(#[from] GithubError),
    /// What was downloaded is not what was uploaded.
    #[error("the artifact '{name}' is damaged: its digest is {found} and should be {expected}")]
    Corrupt {
        /// The artifact.
        name: String,
        /// What the service says.
        expected: String,
        /// What came.
        found: String,
    },
    /// What was downloaded contradicts itself.
    #[error("the artifact '{name}' is damaged: {detail}")]
    Damaged {
        /// The artifact.
        name: String,
        /// What does not fit.
        detail: String,
    },
    /// Its zip archive cannot be used.
    #[error("the artifact '{name}' cannot be unpacked")]
    Zip {
        /// The artifact.
        name: String,
        /// The cause.
        #[source]
        source: ZipError,
    },
    /// No file in it, or not exactly one, has a fitting name.
    #[error("the artifact '{name}' has {} files that match '{wanted}'{}", count(.fitting.len()), files(.fitting, .has))]
    Files {
        /// The artifact.
        name: String,
        /// The glob.
        wanted: String,
        /// Files that match.
        fitting: Vec<String>,
        /// All files.
        has: Vec<String>,
    },
    /// More comes out than is allowed.
    #[error("the artifact '{name}' holds more than {limit} bytes")]
    TooLarge {
        /// The artifact.
        name: String,
        /// The limit.
        limit: u64,
    },
    /// Whoever wanted the bytes went away; its own error says why.
    #[error("the artifact '{name}' was not taken to its end")]
    Unwanted {
        /// The artifact.
        name: String,
    },
    /// What was to be uploaded could not be read.
    #[error("what was to become the artifact '{name}' could not be read")]
    Source {
        /// The artifact.
        name: String,
        /// The cause.
        #[source]
        source: Box<dyn Error + Send + Sync>,
    },
}

fn count(number: usize) -> String {
    if number == 0 { "no".to_owned() } else { number.to_string() }
}

/// The most names that a message lists.
const MOST_NAMES: usize = 10;

fn listed(names: &[String]) -> String {
    let more = names.len().saturating_sub(MOST_NAMES);
    let shown = names.iter().take(MOST_NAMES).cloned().collect::<Vec<_>>().join(", ");
    if more == 0 { shown } else { format!("{shown} and {more} more") }
}

fn others(has: &[String]) -> String {
    if has.is_empty() { String::new() } else { format!("; it has {}", listed(has)) }
}

fn files(fitting: &[String], has: &[String]) -> String {
    match (fitting.is_empty(), has.is_empty()) {
        (false, _) => format!(": {}", listed(fitting)),
        (true, false) => format!("; it has {}", listed(has)),
        (true, true) => "; it is empty".to_owned(),
    }
}

impl Classified for ArtifactError {
    fn class(&self) -> ErrorClass {
        match self {
            Self::Http { source, .. } => source.class(),
            Self::Github(error) => error.class(),
            Self::NotFound { .. } | Self::Expired { .. } => ErrorClass::NotFound,
            Self::NoService | Self::Address | Self::Token(_) | Self::Conflict { .. } | Self::Refused { .. } => {
                ErrorClass::Invalid
            }
            Self::Quota { .. }
            | Self::Corrupt { .. }
            | Self::Damaged { .. }
            | Self::Zip { .. }
            | Self::Files { .. }
            | Self::TooLarge { .. }
            | Self::Unwanted { .. }
            | Self::Source { .. } => ErrorClass::Failed,
        }
    }

    fn retry_after(&self) -> Option<Duration> {
        match self {
            Self::Http { source, .. } => source.retry_after(),
            Self::Github(error) => error.retry_after(),
            _ => None,
        }
    }

    fn had_no_effect(&self) -> bool {
        match self {
            Self::Http { source, .. } => source.had_no_effect(),
            Self::Github(error) => error.had_no_effect(),
            _ => false,
        }
    }
}
