//! Every command against everything that can be wrong with those it asks, and with secrets in every place that takes one.
//!
//! The real binary, as the runner runs it. What must hold is a handful of rules (`faults/rules.rs`); what happened is
//! written to `docs/reliability.md`.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test may end by panicking")]

#[path = "support/engine.rs"]
mod engine;
#[path = "pull/images.rs"]
#[allow(dead_code, reason = "of the images of pull's tests one kind is enough")]
mod images;
#[path = "faults/matrix.rs"]
mod matrix;
#[path = "faults/rules.rs"]
mod rules;
#[path = "faults/scenes.rs"]
mod scenes;
#[path = "faults/secrets.rs"]
mod secrets;
mod support;
#[path = "faults/table.rs"]
mod table;
#[path = "faults/wire.rs"]
mod wire;
mod world;
