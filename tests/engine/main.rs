//! Purpose: the engine and its builder, as the library shows them, against a real engine and real registries.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::disallowed_methods,
    reason = "a test may end by panicking and reads its own environment"
)]

mod builds;
mod containers;
mod context;
mod images;
#[path = "../support/engine.rs"]
mod support;
mod toolbox;
