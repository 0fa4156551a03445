//! Purpose: comments that a program keeps up to date: how it finds its own, what may stand in them, how long they are.
//!
//! A comment of ours begins with a [`Marker`], has sections, and is cut at a boundary of sections or blocks when it
//! would be too long ([`Body`]). Values from outside pass through [`clean`] and then through the escaping of
//! [`crate::domain::markdown`].

mod blocks;
mod body;
mod clean;
mod marker;
mod reaction;

pub use body::{Body, Cut, LONGEST_BYTES, LONGEST_UNITS};
pub use clean::clean;
pub use marker::{Marker, MarkerName};
pub use reaction::Reaction;
