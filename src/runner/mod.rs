//! Purpose: the runner's protocol, and only it.
//!
//! The one door in (environment, event file, state) and the one door out (log, output files, summary). The only
//! place that touches environment, wall clock, randomness and standard output; everything else is handed them.

mod cancel;
mod clock;
mod environment;
mod failure;
mod files;
mod github;
mod inputs;
mod log;
mod mask;
mod nearest;
mod summary;
mod workflow_command;

pub use cancel::{CancelToken, listen_for_signals};
pub use clock::{Clock, Random};
pub use environment::{Environment, Stage};
pub use failure::{Failure, Kind, Problem, Problems};
pub use files::{Exports, FileCommandError, Outputs, State};
pub use github::{EventError, Github, OidcRequest, read_event};
pub use inputs::{InputPairs, input_pairs, normalised};
pub use log::{Annotation, Group, Level, Log};
pub use mask::{Form, Masks};
pub use nearest::nearest;
pub use summary::Summary;
