//! Purpose: how a build fails, and how that classes.

use std::fmt;
use std::path::PathBuf;
use std::time::Duration;

use crate::domain::build_event::SourceLocation;
use crate::services::engine::{EndpointError, EngineError};
use crate::services::{Classified, ErrorClass};

/// The vertex that made a build fail.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FailedVertex {
    /// As people know it: `[build 2/5] RUN make`.
    pub name: String,
    /// What ran, when it was a command: `make`.
    pub command: Option<String>,
    /// The command's exit code, when it ended.
    pub exit_code: Option<i32>,
    /// The last lines that it wrote, at most 40.
    pub last_lines: Vec<String>,
}

/// A build that did not produce its result.
#[derive(Debug, thiserror::Error)]
pub enum BuildError {
    /// The address of the builder is not usable.
    #[error(transparent)]
    Endpoint(#[from] EndpointError),
    /// The builder does not answer, or the conversation broke off.
    #[error("the builder at {endpoint} {what}")]
    Unreachable {
        /// Where it was.
        endpoint: String,
        /// "does not answer", "went away during the build".
        what: &'static str,
        /// The cause.
        #[source]
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// A builder's container cannot be had.
    #[error("the builder's container {what}")]
    Container {
        /// "cannot be pulled", "cannot be started".
        what: &'static str,
        /// The engine's account of it.
        #[source]
        source: Box<EngineError>,
    },
    /// A builder's container ended instead of building.
    #[error("the builder's container ended by itself: {}", .lines.last().map_or("it wrote nothing", String::as_str))]
    ContainerEnded {
        /// The last lines that it wrote.
        lines: Vec<String>,
    },
    /// A file or folder of the context cannot be read.
    #[error("cannot read {path} of the build context")]
    Context {
        /// Which.
        path: PathBuf,
        /// The cause.
        #[source]
        source: std::io::Error,
    },
    /// The request asks for what does not fit together; nothing was sent.
    #[error("{0}")]
    Invalid(String),
    /// The work failed: a command in the Dockerfile, the Dockerfile itself, a base image that does not exist.
    #[error("{}", summary(.vertex.as_deref(), .message))]
    Failed {
        /// The vertex that failed, when one did (a syntax error has none).
        vertex: Option<Box<FailedVertex>>,
        /// The builder's words, one line.
        message: String,
        /// The place in the Dockerfile, when the builder says so.
        location: Option<SourceLocation>,
        /// What it was: [`ErrorClass::Failed`], or a registry's refusal seen by the builder.
        class: ErrorClass,
    },
}

fn summary(vertex: Option<&FailedVertex>, message: &str) -> String {
    match vertex {
        Some(FailedVertex { command: Some(command), exit_code: Some(code), .. }) => {
            format!("`{command}` ended with exit code {code}")
        }
        Some(FailedVertex { name, .. }) => format!("{name}: {message}"),
        None => message.to_owned(),
    }
}

impl BuildError {
    /// The vertex that failed, when one did.
    #[must_use]
    pub fn vertex(&self) -> Option<&FailedVertex> {
        match self {
            Self::Failed { vertex, .. } => vertex.as_deref(),
            _ => None,
        }
    }

    /// The place in the Dockerfile, when the builder says so.
    #[must_use]
    pub fn location(&self) -> Option<&SourceLocation> {
        match self {
            Self::Failed { location, .. } => location.as_ref(),
            _ => None,
        }
    }
}

impl Classified for BuildError {
    fn class(&self) -> ErrorClass {
        match self {
            Self::Endpoint(_) | Self::Invalid(_) => ErrorClass::Invalid,
            Self::Context { source, .. } if source.kind() == std::io::ErrorKind::NotFound => ErrorClass::NotFound,
            Self::Context { source, .. } if source.kind() == std::io::ErrorKind::PermissionDenied => {
                ErrorClass::Forbidden
            }
            Self::Context { .. } => ErrorClass::Invalid,
            Self::Unreachable { .. } => ErrorClass::Unavailable,
            Self::Container { source, .. } => source.class(),
            Self::ContainerEnded { .. } => ErrorClass::Failed,
            Self::Failed { class, .. } => *class,
        }
    }

    fn retry_after(&self) -> Option<Duration> {
        None
    }

    fn had_no_effect(&self) -> bool {
        matches!(self, Self::Endpoint(_) | Self::Invalid(_) | Self::Context { .. })
    }
}

impl fmt::Display for FailedVertex {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.name)
    }
}
