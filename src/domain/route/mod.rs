//! Purpose: what an event asks for: which work, on which commit, and whether it may be done.
//!
//! Deciding has two steps, so that only what matters is asked of GitHub: [`intent`] reads the event and the routes;
//! a command in a comment is then [`judge`]d by what GitHub says of its author and of the pull request.

mod command_line;
mod intent;
mod judge;
mod ordered;
mod permission;
mod reply;
mod table;

pub use command_line::{CommandLine, first_line};
pub use intent::{Asked, Ignored, Intent, Job, Openness, intent};
pub use judge::{Evidence, Facts, Refusal, Rules, judge};
pub use permission::Level;
pub use reply::{list, refused, unknown};
pub use table::{CommandRoute, EventRoute, Routes, TableError};

#[cfg(test)]
mod tests;
