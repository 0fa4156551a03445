//! `scan`: a stand-in for Trivy on the real engine, and ECR's scanner in the fake world. No result is never "clean".
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test may end by panicking")]

#[path = "scan/ecr.rs"]
mod ecr;
#[path = "support/engine.rs"]
mod engine;
mod support;
#[path = "scan/trivy.rs"]
mod trivy;
mod world;

use support::{Landfall, Outcome};

/// Runs and asserts one way of failing.
#[track_caller]
fn failing(step: Landfall, code: i32, reason: &str) -> Outcome {
    let outcome = step.run();
    outcome.failed(code, reason);
    outcome
}

/// Runs and asserts success.
#[track_caller]
fn done(step: Landfall) -> Outcome {
    let outcome = step.run();
    outcome.succeeded();
    outcome
}

/// The only error annotation.
fn error(outcome: &Outcome) -> String {
    let annotation = outcome.annotations("error")[0];
    format!("{}: {}", annotation.title, annotation.message)
}
