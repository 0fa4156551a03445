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

/// An example that nobody walks is one that nobody knows to work.
#[test]
fn every_workflow_of_every_example_is_walked() {
    let root = std::path::Path::new(env!("CARGO_MANIFEST_DIR"));
    let walks =
        |folder: &str| std::fs::read_to_string(root.join(format!("tests/rehearsal/{}.rs", folder.replace('-', "_"))));
    let mut missing = Vec::new();
    for example in std::fs::read_dir(root.join("examples")).unwrap().flatten().filter(|entry| entry.path().is_dir()) {
        let folder = example.file_name().to_string_lossy().into_owned();
        let source = walks(&folder).unwrap_or_default();
        for workflow in std::fs::read_dir(example.path().join(".github/workflows")).unwrap().flatten() {
            let file = workflow.file_name().to_string_lossy().into_owned();
            // Four that differ by a name are walked in a loop over it.
            let name = file.strip_suffix("-integration.yml").map(|name| format!("\"{name}\""));
            let looped = name.is_some_and(|name| source.contains("{name}-integration.yml") && source.contains(&name));
            if !looped && !source.contains(&file) {
                missing.push(format!("{folder}/{file}"));
            }
        }
    }
    assert!(missing.is_empty(), "no walk through {}", missing.join(", "));
}
