//! Purpose: why a tool could not be run, or what it left could not be taken.

use std::io;
use std::path::PathBuf;
use std::time::Duration;

use crate::services::engine::EngineError;
use crate::services::{Classified, ErrorClass};

/// A tool did not run to its end, or its files could not be moved.
#[derive(Debug, thiserror::Error)]
pub enum ToolError {
    /// The engine neither has the image nor can get it.
    #[error("the tool image {image} cannot be provided")]
    Image {
        /// The image.
        image: String,
        /// The cause.
        #[source]
        source: EngineError,
    },
    /// The engine failed.
    #[error(transparent)]
    Engine(#[from] EngineError),
    /// A file of this machine could not be read while it was put into the container.
    #[error("{} cannot be put into the tool's container", .path.display())]
    Upload {
        /// The file or folder.
        path: PathBuf,
        /// The cause.
        #[source]
        source: io::Error,
    },
    /// Something that the tool left cannot be taken.
    #[error("{from} cannot be taken out of the tool's container")]
    Fetch {
        /// Its path in the container.
        from: String,
        /// The cause.
        #[source]
        source: FetchError,
    },
    /// The tool ended without leaving what it must leave.
    #[error("the tool ended with exit code {code} and left no {from}")]
    Missing {
        /// The path in the container.
        from: String,
        /// The tool's exit code.
        code: i64,
        /// Its last lines.
        tail: Vec<String>,
    },
    /// The tool took too long and was removed.
    #[error("the tool {image} did not end within {} s", .limit.as_secs())]
    TimedOut {
        /// Its image.
        image: String,
        /// The time that it had.
        limit: Duration,
        /// Its last lines.
        tail: Vec<String>,
    },
    /// The tool was no longer wanted and was removed.
    #[error("the tool was cancelled")]
    Cancelled,
    /// The tool was no longer wanted, was interrupted, and ended by itself.
    #[error("the tool was interrupted and has ended")]
    Interrupted,
    /// The tool was no longer wanted, was interrupted, and still puts things in order.
    #[error("the tool was interrupted and is still ending")]
    StillEnding,
}

/// What a tool left is not what may be taken.
#[derive(Debug, thiserror::Error)]
pub enum FetchError {
    /// A link, device or pipe where a file or folder was wanted.
    #[error("'{0}' is neither a file nor a folder")]
    Kind(String),
    /// An entry whose path leads out of its folder.
    #[error("the entry '{0}' lies outside of what was asked for")]
    Escape(String),
    /// More than was allowed.
    #[error("it has more than {0} bytes")]
    TooLarge(u64),
    /// A folder in the place of the new one.
    #[error("{} exists already", .0.display())]
    Exists(PathBuf),
    /// This machine cannot store it, or the transfer broke.
    #[error("it cannot be stored in {}", .path.display())]
    Disk {
        /// Where.
        path: PathBuf,
        /// The cause.
        #[source]
        source: io::Error,
    },
}

impl ToolError {
    /// The tool's last lines, when it had begun.
    #[must_use]
    pub fn tail(&self) -> &[String] {
        match self {
            Self::Missing { tail, .. } | Self::TimedOut { tail, .. } => tail,
            _ => &[],
        }
    }
}

impl Classified for ToolError {
    fn class(&self) -> ErrorClass {
        match self {
            Self::Image { source, .. } | Self::Engine(source) => source.class(),
            Self::Upload { .. }
            | Self::Fetch { .. }
            | Self::Missing { .. }
            | Self::TimedOut { .. }
            | Self::Cancelled
            | Self::Interrupted
            | Self::StillEnding => ErrorClass::Failed,
        }
    }
}
