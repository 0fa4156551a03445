//! The rehearsal: every example, walked job by job as GitHub would, against the fake world and the real engine.
//!
//! Each step of ours is a `docker run` of the binary under test in an image of its own, with the mounts, the environment and
//! the file commands of a real runner ([`step`]). What else a workflow does (checkouts, the project's own scripts,
//! other people's actions) is played by stand-ins that each walk names; a step that nobody plays ends the walk.
//!
//! ```ignore
//! let stage = Stage::new();
//! stage.commit("main", "examples/broker", &[("Dockerfile", "FROM scratch\n")]);
//! let walk = stage.walk("examples/broker/.github/workflows/build.yml", Event::push("main", &sha));
//! let walked = walk.host("build", "actions/checkout", hosts::checkout).go();
//! walked.is("build", "success");
//! insta::assert_snapshot!(walked.told());
//! stage.finish();
//! ```
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::disallowed_methods,
    clippy::needless_pass_by_value,
    reason = "a test may end by panicking, in its helpers as well"
)]

#[path = "support/engine.rs"]
mod engine;
#[path = "support/expression.rs"]
mod expression;
mod support;
mod world;

#[path = "rehearsal/broker.rs"]
mod broker;
#[path = "rehearsal/build_once.rs"]
mod build_once;
#[path = "rehearsal/charon.rs"]
mod charon;
#[path = "rehearsal/chatbot.rs"]
mod chatbot;
#[path = "rehearsal/event.rs"]
mod event;
#[path = "rehearsal/hosts.rs"]
mod hosts;
#[path = "rehearsal/image.rs"]
mod image;
#[path = "rehearsal/infra.rs"]
mod infra;
#[path = "rehearsal/job.rs"]
mod job;
#[path = "rehearsal/ship.rs"]
mod ship;
#[path = "rehearsal/stage.rs"]
mod stage;
#[path = "rehearsal/step.rs"]
mod step;
#[path = "rehearsal/told.rs"]
mod told;
#[path = "rehearsal/tyk.rs"]
mod tyk;
#[path = "rehearsal/walk.rs"]
mod walk;
