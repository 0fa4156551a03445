//! The event that starts a run, which anybody who may comment can shape, and what is made of it.

use landfall::domain::event::{Event, EventKind, Origin, Surroundings};
use landfall::domain::route::{Intent, Openness, Routes, intent};

const NAMES: [&str; 10] = [
    "pull_request",
    "pull_request_target",
    "push",
    "issue_comment",
    "workflow_dispatch",
    "workflow_run",
    "repository_dispatch",
    "schedule",
    "merge_group",
    "release",
];

/// The first byte chooses the event's name, the rest is its payload.
pub(crate) fn run(data: &[u8]) {
    let Some((choice, payload)) = data.split_first() else { return };
    let Ok(payload) = serde_json::from_slice(payload) else { return };
    let around = Surroundings {
        event_name: NAMES.get(usize::from(*choice) % (NAMES.len() + 1)).copied(),
        sha: Some("0123456789abcdef0123456789abcdef01234567"),
        reference: Some("refs/heads/main"),
        repository: Some("acme/app"),
        ..Surroundings::default()
    };
    let event = Event::of(&around, &payload);
    let asked = intent(&event, &Routes::default(), Openness { forks: choice & 0x80 != 0, bots: choice & 0x40 != 0 });
    if let (Intent::Run(asked), Origin::Fork) = (&asked, event.origin) {
        // GitHub gives such a run no secrets and a token that can only read.
        let is_harmless = event.kind == EventKind::PullRequest;
        assert!(choice & 0x80 != 0 || is_harmless, "a fork's head is worked on: {asked:?}");
    }
}
