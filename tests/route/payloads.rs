//! Payloads that GitHub really sent, when there is a folder of them.
//!
//! `LANDFALL_PAYLOADS` names it: files of JSON, the event's name in the path below it (`push/1.json`) or at the start of
//! the file's name (`push.json`). Without it there is nothing to try, and the other tests stand for themselves.
#![allow(clippy::disallowed_methods, clippy::print_stdout, reason = "a test reads its own environment")]

use std::path::{Path, PathBuf};

use super::*;

const EVENTS: [&str; 10] = [
    "pull_request_target",
    "pull_request",
    "push",
    "issue_comment",
    "workflow_dispatch",
    "workflow_run",
    "repository_dispatch",
    "schedule",
    "merge_group",
    "release",
];

fn files(folder: &Path, found: &mut Vec<PathBuf>) {
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            files(&path, found);
        } else if path.extension().is_some_and(|extension| extension == "json") {
            found.push(path);
        }
    }
}

#[test]
fn every_payload_is_routed() {
    let Some(folder) = std::env::var_os("LANDFALL_PAYLOADS").map(PathBuf::from) else {
        return;
    };
    let mut found = Vec::new();
    files(&folder, &mut found);
    found.sort();
    for file in found {
        let below = file.strip_prefix(&folder).unwrap().to_string_lossy().into_owned();
        let part = |event: &&&str| {
            below.split('/').any(|part| {
                part == **event || part.starts_with(&format!("{event}.")) || part.starts_with(&format!("{event}_"))
            })
        };
        let Some(event) = EVENTS.iter().find(part) else {
            continue;
        };
        let payload: Value = serde_json::from_str(&std::fs::read_to_string(&file).unwrap()).unwrap();
        let repository = payload["repository"]["full_name"].as_str().unwrap_or("acme/app").to_owned();
        let outcome =
            Landfall::new("route").env("GITHUB_REPOSITORY", &repository).token(TOKEN).event(event, &payload).run();
        println!(
            "{below}: {} {} pr={} sha={} head={} fork={} actor={} reason={}",
            outcome.output("mode"),
            outcome.output("command"),
            outcome.output("pr_number"),
            outcome.output("sha"),
            outcome.output("head_ref"),
            outcome.output("fork"),
            outcome.output("actor"),
            outcome.output("reason")
        );
        assert_eq!(outcome.code, Some(0), "{below}:\n{}", outcome.report());
        outcome.proper();
    }
}
