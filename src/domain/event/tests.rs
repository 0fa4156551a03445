//! Purpose: events as runs meet them, in payloads cut down to what matters.

use proptest::prelude::*;
use serde_json::json;

use super::*;

const HEAD: &str = "1111111111111111111111111111111111111111";
const MERGE: &str = "2222222222222222222222222222222222222222";
const ZEROS: &str = "0000000000000000000000000000000000000000";

fn read(name: &str, reference: &str, payload: &Value) -> Event {
    let around = Surroundings {
        event_name: Some(name),
        sha: Some(MERGE),
        reference: Some(reference),
        repository: Some("acme/app"),
        ..Surroundings::default()
    };
    Event::of(&around, payload)
}

fn sha(event: &Event) -> Option<&str> {
    event.sha.as_ref().map(CommitSha::as_str)
}

fn pull_request(head_repository: &Value) -> Value {
    json!({
        "action": "synchronize",
        "number": 42,
        "pull_request": {
            "number": 42,
            "head": { "ref": "feature/x", "sha": HEAD, "repo": head_repository },
            "base": { "ref": "main", "sha": MERGE, "repo": { "full_name": "acme/app" } },
        },
        "repository": { "full_name": "acme/app", "default_branch": "main" },
    })
}

#[test]
fn a_pull_request_is_its_head_not_its_merge_commit() {
    for name in ["pull_request", "pull_request_target", "pull_request_review"] {
        let payload = pull_request(&json!({ "full_name": "Acme/App" }));
        let event = read(name, "refs/pull/42/merge", &payload);
        assert_eq!((sha(&event), event.pull_request), (Some(HEAD), Some(42)), "{name}");
        assert_eq!((event.branch(), event.target_branch()), (Some("feature/x"), Some("main")));
        assert_eq!((event.origin, event.git_ref), (Origin::Own, None));
        assert_eq!(event.default_branch.as_deref(), Some("main"));
        assert_eq!(event.action.as_deref(), Some("synchronize"));
    }
}

#[test]
fn forks_are_told_apart_even_when_they_are_gone() {
    for head in [json!({ "full_name": "eve/app" }), Value::Null] {
        assert_eq!(read("pull_request", "refs/pull/42/merge", &pull_request(&head)).origin, Origin::Fork);
    }
}

#[test]
fn a_pull_request_without_payload_has_a_number_but_no_commit() {
    let around = Surroundings {
        event_name: Some("pull_request"),
        sha: Some(MERGE),
        reference: Some("refs/pull/7/merge"),
        head_ref: Some("feature/x"),
        base_ref: Some("main"),
        repository: Some("acme/app"),
    };
    let event = Event::of(&around, &json!({}));
    assert_eq!((event.sha.clone(), event.pull_request), (None, Some(7)));
    assert_eq!((event.branch(), event.target_branch()), (Some("feature/x"), Some("main")));
    assert_eq!(event.origin, Origin::Unknown);
}

#[test]
fn pushes_of_branches_and_tags() {
    let payload = |reference: &str, after: &str| {
        json!({
            "ref": reference, "before": ZEROS, "after": after, "deleted": false,
            "head_commit": { "id": HEAD, "timestamp": "2025-03-01T10:00:00+02:00" },
            "repository": { "default_branch": "main" },
        })
    };
    let event = read("push", "refs/heads/feature/x", &payload("refs/heads/feature/x", HEAD));
    assert_eq!(event.git_ref, Some(GitRef::Branch("feature/x".into())));
    assert_eq!((event.branch(), event.target_branch()), (Some("feature/x"), Some("feature/x")));
    assert_eq!(event.committed_at, Some("2025-03-01T08:00:00Z".parse().unwrap()));
    assert_eq!((event.origin, event.change), (Origin::Own, RefChange::Present));

    let annotated = Surroundings { event_name: Some("push"), ..Surroundings::default() };
    let event = Event::of(&annotated, &payload("refs/tags/v1.0.0", MERGE));
    assert_eq!(event.git_ref, Some(GitRef::Tag("v1.0.0".into())));
    assert_eq!(sha(&event), Some(HEAD), "the commit, not the tag object");
}

#[test]
fn a_deleting_push_has_no_commit() {
    let payload = json!({ "ref": "refs/heads/gone", "after": ZEROS, "deleted": true, "head_commit": null });
    let event = read("push", "refs/heads/main", &payload);
    assert_eq!((event.sha.clone(), event.change), (None, RefChange::Deleted));
    assert_eq!(event.branch(), Some("gone"));
}

#[test]
fn a_comment_on_a_pull_request_does_not_name_its_commit() {
    let on = |pull_request: Value| {
        let payload = json!({ "action": "created", "issue": { "number": 5, "pull_request": pull_request } });
        read("issue_comment", "refs/heads/main", &payload)
    };
    let event = on(json!({ "url": "x" }));
    assert_eq!((event.sha.clone(), event.pull_request), (None, Some(5)));
    assert_eq!((event.origin, event.branch()), (Origin::Unknown, None));
    let event = on(Value::Null);
    assert_eq!((sha(&event), event.pull_request), (Some(MERGE), None));
}

fn workflow_run(triggered_by: &str, head_repository: &str, pulls: &Value) -> Event {
    let payload = json!({
        "workflow_run": {
            "event": triggered_by, "head_branch": "feature/x", "head_sha": HEAD, "pull_requests": pulls,
            "head_commit": { "timestamp": "2025-03-01T10:00:00Z" },
            "head_repository": { "full_name": head_repository },
        },
        "repository": { "full_name": "acme/app", "default_branch": "main" },
    });
    read("workflow_run", "refs/heads/main", &payload)
}

#[test]
fn a_workflow_run_is_about_the_other_runs_commit() {
    let pulls = json!([
        { "number": 8, "head": { "sha": MERGE }, "base": { "ref": "dev" } },
        { "number": 9, "head": { "sha": HEAD }, "base": { "ref": "main" } },
    ]);
    let event = workflow_run("pull_request", "acme/app", &pulls);
    assert_eq!((sha(&event), event.pull_request, event.origin), (Some(HEAD), Some(9), Origin::Own));
    assert_eq!((event.branch(), event.target_branch()), (Some("feature/x"), Some("main")));
    assert!(event.committed_at.is_some());

    let fork = workflow_run("pull_request", "eve/app", &json!([]));
    assert_eq!((fork.pull_request, fork.origin), (None, Origin::Fork));

    let pushed = workflow_run("push", "acme/app", &pulls);
    assert_eq!(pushed.pull_request, None, "it merely contains the commit");
    assert_eq!(pushed.git_ref, Some(GitRef::Branch("feature/x".into())));
}

#[test]
fn a_schedule_runs_on_the_default_branch() {
    let event = read("schedule", "refs/heads/trunk", &json!({ "schedule": "0 3 * * *" }));
    assert_eq!(event.default_branch.as_deref(), Some("trunk"));
    assert_eq!((sha(&event), event.branch()), (Some(MERGE), Some("trunk")));
}

#[test]
fn a_merge_group_knows_its_pull_request_by_its_branch() {
    let payload = json!({ "merge_group": {
        "head_sha": HEAD, "head_ref": format!("refs/heads/gh-readonly-queue/release/1.x/pr-104-{MERGE}"),
        "base_ref": "refs/heads/release/1.x", "head_commit": { "timestamp": "2025-03-01T10:00:00Z" },
    } });
    let event = read("merge_group", "refs/heads/x", &payload);
    assert_eq!((sha(&event), event.pull_request), (Some(HEAD), Some(104)));
    assert_eq!(event.target_branch(), Some("release/1.x"));
    assert!(event.committed_at.is_some());
}

#[test]
fn releases_dispatches_and_laptops() {
    let release = read("release", "refs/tags/v1.0.0", &json!({ "release": { "tag_name": "v1.0.0" } }));
    assert_eq!(release.git_ref, Some(GitRef::Tag("v1.0.0".into())));
    for name in ["workflow_dispatch", "repository_dispatch", "deployment"] {
        let event = read(name, "refs/heads/main", &json!({}));
        assert_eq!((sha(&event), event.branch()), (Some(MERGE), Some("main")), "{name}");
        assert_eq!(event.kind.name(), name);
    }
    let laptop = Event::of(&Surroundings::default(), &json!({}));
    assert_eq!((laptop.kind.clone(), laptop.sha.clone(), laptop.branch()), (EventKind::None, None, None));
}

/// JSON of any shape, with the keys that we look for in it.
fn payloads() -> impl Strategy<Value = Value> {
    let key = prop_oneof!["pull_request|head|repo|sha|ref|number|after|issue|workflow_run|merge_group", "[a-z]{1,3}"];
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        "\\PC{0,12}".prop_map(Value::from),
        Just(Value::from(ZEROS)),
    ];
    leaf.prop_recursive(4, 32, 5, move |inner| {
        prop_oneof![
            proptest::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
            proptest::collection::hash_map(key.clone(), inner, 0..5)
                .prop_map(|map| Value::Object(map.into_iter().collect())),
        ]
    })
}

proptest! {
    #[test]
    fn any_payload_is_read(name in "push|pull_request|issue_comment|workflow_run|merge_group|release|schedule", payload in payloads()) {
        let event = read(&name, "refs/heads/main", &payload);
        prop_assert!(event.sha.is_none_or(|sha| sha.as_str() != ZEROS));
    }
}

#[test]
fn a_comment_has_an_author_and_a_time_and_an_event_a_sender() {
    let payload = json!({
        "action": "created",
        "issue": { "number": 7, "pull_request": {} },
        "comment": { "id": 5, "body": "/plan", "user": { "login": "renovate[bot]", "type": "Bot" },
            "created_at": "2026-01-01T12:00:00Z" },
        "sender": { "login": "octocat", "type": "User" },
    });
    let event = read("issue_comment", "refs/heads/main", &payload);
    let comment = event.comment.unwrap();
    assert_eq!((comment.id, comment.body.as_str(), comment.author.is_bot), (5, "/plan", true));
    assert_eq!(comment.created_at, "2026-01-01T12:00:00Z".parse().ok());
    assert_eq!(event.sender, Some(Actor { login: "octocat".to_owned(), is_bot: false }));
    for broken in [json!({ "id": 5 }), json!({ "id": 5, "user": null }), json!({ "user": { "login": "x" } })] {
        let payload = json!({ "issue": { "number": 7, "pull_request": {} }, "comment": broken });
        assert_eq!(read("issue_comment", "refs/heads/main", &payload).comment, None);
    }
}

#[test]
fn inputs_are_texts_whoever_dispatched() {
    let by_hand = json!({ "inputs": { "command": "plan", "force": true, "count": 3, "nothing": null } });
    let inputs = read("workflow_dispatch", "refs/heads/main", &by_hand).inputs;
    let text = |name: &str| inputs.get(name).map(String::as_str);
    assert_eq!(
        (text("command"), text("force"), text("count"), text("nothing")),
        (Some("plan"), Some("true"), Some("3"), None)
    );
    let by_api = json!({ "action": "sync", "client_payload": { "command": "e2e", "deep": { "a": 1 } } });
    let event = read("repository_dispatch", "refs/heads/main", &by_api);
    assert_eq!(event.inputs.into_iter().collect::<Vec<_>>(), [("command".to_owned(), "e2e".to_owned())]);
}
