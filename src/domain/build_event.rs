//! Purpose: what happens during a build, as plain values.
//!
//! A builder reports these while it works; [`super::build_log`] turns them into log lines and a summary.

use std::fmt;
use std::time::Duration;

/// Identifies one vertex of the build graph within one build (BuildKit's vertex digest).
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct VertexId(String);

impl VertexId {
    /// Takes the identifier that the builder gave.
    #[must_use]
    pub fn new(id: impl Into<String>) -> Self {
        Self(id.into())
    }

    /// The identifier as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for VertexId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Which of its two streams a step wrote to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LogStream {
    /// Standard output.
    Output,
    /// Standard error.
    Error,
}

/// How far one transfer or sub-task of a vertex is (a layer download, the context upload, an export phase).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Transfer {
    /// The vertex it belongs to.
    pub vertex: VertexId,
    /// What is transferred or done, in the builder's words.
    pub name: String,
    /// Bytes (or units) done.
    pub current: u64,
    /// Bytes (or units) in all; 0 when unknown.
    pub total: u64,
    /// Time from its start to its end; `None` while it runs.
    pub finished: Option<Duration>,
}

/// Something the builder's checks found in the Dockerfile.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BuildWarning {
    /// One line, for a title.
    pub short: String,
    /// More lines; may be empty.
    pub detail: Vec<String>,
    /// Documentation of the check.
    pub url: Option<String>,
    /// Where, when the builder says so.
    pub location: Option<SourceLocation>,
}

/// A range of lines in a file of the build context, usually the Dockerfile.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SourceLocation {
    /// Path as the builder knows it: relative to the Dockerfile's folder.
    pub file: String,
    /// First line, starting at 1.
    pub first_line: u32,
    /// Last line, inclusive.
    pub last_line: u32,
}

/// One thing that happened. Events of one vertex arrive in order; vertices run in parallel and interleave.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum BuildEvent {
    /// The vertex runs now. A vertex may start again after it was done (a second platform, a retried export).
    Started {
        /// Which.
        vertex: VertexId,
        /// As people know it: `[build 2/5] RUN make`.
        name: String,
    },
    /// The vertex did not have to run.
    Cached {
        /// Which.
        vertex: VertexId,
        /// As people know it.
        name: String,
    },
    /// The vertex ran to its end.
    Done {
        /// Which.
        vertex: VertexId,
        /// As people know it.
        name: String,
        /// From its last start.
        took: Duration,
    },
    /// The vertex failed, or was given up because another one failed.
    Failed {
        /// Which.
        vertex: VertexId,
        /// As people know it.
        name: String,
        /// From its last start.
        took: Duration,
        /// The builder's words.
        error: String,
        /// True when it was only given up (`context canceled`), and so is no cause.
        given_up: bool,
    },
    /// A piece of what the vertex wrote; not cut at line ends.
    Log {
        /// Which.
        vertex: VertexId,
        /// To which stream.
        stream: LogStream,
        /// The bytes as they came.
        data: Vec<u8>,
    },
    /// A check found something.
    Warning(BuildWarning),
    /// A transfer or sub-task started, moved or ended.
    Transfer(Transfer),
}

impl BuildEvent {
    /// The same event of a build that is one of several, each for a platform: its vertices are told apart from the others'
    /// and named after their platform, as BuildKit names them when it builds several at once.
    #[must_use]
    pub fn of_platform(self, platform: &str) -> Self {
        let id = |vertex: VertexId| VertexId(format!("{platform} {vertex}"));
        let named = |name: String| match name.strip_prefix('[') {
            Some(rest) if !name.starts_with("[internal]") && !name.starts_with("[auth]") => {
                format!("[{platform} {rest}")
            }
            _ => name,
        };
        match self {
            Self::Started { vertex, name } => Self::Started { vertex: id(vertex), name: named(name) },
            Self::Cached { vertex, name } => Self::Cached { vertex: id(vertex), name: named(name) },
            Self::Done { vertex, name, took } => Self::Done { vertex: id(vertex), name: named(name), took },
            Self::Failed { vertex, name, took, error, given_up } => {
                Self::Failed { vertex: id(vertex), name: named(name), took, error, given_up }
            }
            Self::Log { vertex, stream, data } => Self::Log { vertex: id(vertex), stream, data },
            Self::Transfer(transfer) => Self::Transfer(Transfer { vertex: id(transfer.vertex), ..transfer }),
            Self::Warning(warning) => Self::Warning(warning),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn steps_are_named_after_their_platform_and_housekeeping_is_not() {
        for (name, expected) in [
            ("[2/5] RUN make", "[linux/arm64 2/5] RUN make"),
            ("[build 2/5] RUN make", "[linux/arm64 build 2/5] RUN make"),
            ("[internal] load metadata", "[internal] load metadata"),
            ("exporting to image", "exporting to image"),
        ] {
            let event = BuildEvent::Started { vertex: VertexId::new("a"), name: name.to_owned() };
            let expected = BuildEvent::Started { vertex: VertexId::new("linux/arm64 a"), name: expected.to_owned() };
            assert_eq!(event.of_platform("linux/arm64"), expected);
        }
    }
}
