//! Purpose: the dashboard of one commit: a table of stages that many jobs write to at the same time.
//!
//! Every stage's state is a [`Record`] of its own, kept where nobody else writes it. The comment is only a picture of all
//! records. Who wrote the picture last and then sees no newer record is done; everybody else's record was written before
//! that, and is in it.
//!
//! The comment carries its [`Board`] with it, hidden and encoded: for jobs that may not write statuses it is the only
//! place there is, and the only one that knows titles.

mod board;
mod hidden;
mod render;
mod stage;

pub use board::{Board, Entry, LONGEST_HISTORY, MOST_STAGES, Record, is_link};
pub use hidden::{MOST_COMMANDS, hidden, read_hidden};
pub use render::{Picture, next_step};
pub use stage::{StageKey, StageStatus, Stages, default_stages};

#[cfg(test)]
mod tests;
