//! Purpose: routes as people and events meet them: exact words, and no way around a rule.

use std::fmt::Write as _;

use proptest::prelude::*;
use serde_json::{Value, json};

use super::*;
use crate::domain::event::{Event, Surroundings};

const HEAD: &str = "abc1234def0123456789abcdef0123456789abcd";

fn event(name: &str, payload: &Value) -> Event {
    let around = Surroundings {
        event_name: Some(name),
        sha: Some("2222222222222222222222222222222222222222"),
        reference: Some("refs/heads/main"),
        repository: Some("acme/app"),
        ..Surroundings::default()
    };
    Event::of(&around, payload)
}

fn comment(body: &str, action: &str, author: &str, kind: &str) -> Value {
    json!({
        "action": action,
        "issue": { "number": 7, "pull_request": {} },
        "comment": { "id": 5, "body": body, "user": { "login": author, "type": kind },
            "created_at": "2026-01-01T12:00:00Z" },
        "sender": { "login": author, "type": kind },
        "repository": { "full_name": "acme/app", "default_branch": "main" },
    })
}

fn said(body: &str) -> Event {
    event("issue_comment", &comment(body, "created", "octocat", "User"))
}

fn read(body: &str) -> Intent {
    intent(&said(body), &Routes::default(), Openness::default())
}

fn asked(body: &str) -> Asked {
    match read(body) {
        Intent::Judge(asked) => asked,
        other => panic!("{body} is {other:?}"),
    }
}

#[test]
fn the_usual_commands_are_exact_words() {
    for (body, mode, command, layers) in [
        ("/plan", "digger", "plan", "all"),
        ("  /Plan  \r\nplease", "digger", "plan", "all"),
        ("\n\n/apply data-prod platform", "digger", "apply", "data-prod,platform"),
        ("digger plan", "digger", "plan", "all"),
        ("/bootstrap plan", "python", "bootstrap-plan", "all"),
        ("/bootstrap   apply", "python", "bootstrap-apply", "all"),
        ("/e2e", "python", "e2e", "all"),
        ("/verify", "python", "verify", "all"),
        ("/review", "python", "review", "all"),
        ("/help", "python", "help", "all"),
        ("/apply abc1234", "digger", "apply", "all"),
    ] {
        let job = asked(body).job();
        assert_eq!((job.mode.as_str(), job.command.as_str(), job.layers.as_str()), (mode, command, layers), "{body}");
    }
    for body in ["/plna", "/bootstrap-apply", "/apply-all", "/bootstrap", "/bootstrap destroy", "/planned"] {
        assert!(matches!(read(body), Intent::Unknown { .. }), "{body}: {:?}", read(body));
    }
    for body in [
        "",
        "plan",
        "please /plan",
        "> /plan",
        "`/plan`",
        "```\n/plan\n```",
        "    /plan",
        "\t/plan",
        "/etc/passwd is readable",
        "/",
        "//plan",
        "/рlan",
        "<!-- /plan -->",
        "looks good\n/apply",
    ] {
        assert_eq!(read(body), Intent::Ignore(Ignored::NoCommand), "{body}");
    }
}

#[test]
fn other_programs_words_are_left_alone() {
    let routes = Routes { ignore: vec!["lgtm".to_owned(), "/cc".to_owned()], ..Routes::default() };
    for body in ["/lgtm", "/CC @octocat"] {
        assert_eq!(intent(&said(body), &routes, Openness::default()), Intent::Ignore(Ignored::NoCommand), "{body}");
    }
}

#[test]
fn arguments_are_words_as_in_a_shell() {
    let args = |body: &str| asked(body).job().args;
    assert_eq!(args("/plan 'two words' --flag=\"a b\""), ["two words", "--flag=a b"]);
    assert_eq!(args("/plan it's"), ["it's"]);
    assert_eq!(args("/plan \u{1b}[31mred\u{202e}"), ["red"]);
    assert_eq!(args(&format!("/plan {}", "x ".repeat(2000))), vec!["x"; 50]);
}

fn facts() -> Facts {
    Facts {
        sender: Some("octocat".to_owned()),
        level: Level::Write,
        head: HEAD.parse().unwrap(),
        is_fork: false,
        evidence: Evidence { pushed: "2026-01-01T11:59:59Z".parse().ok(), checked: None },
    }
}

fn rules() -> Rules {
    Rules { require: Level::Write, allow_forks: false, allow_newer_commits: false }
}

#[test]
fn a_commit_must_have_been_there_before_the_comment() {
    let verdict = |body: &str, pushed: Option<&str>, checked: Option<&str>| {
        let time = |text: Option<&str>| text.map(|text| text.parse().unwrap());
        let evidence = Evidence { pushed: time(pushed), checked: time(checked) };
        judge(&asked(body), &Facts { evidence, ..facts() }, &rules())
    };
    let (before, same, after) = ("2026-01-01T11:59:59Z", "2026-01-01T12:00:00Z", "2026-01-01T12:00:01Z");
    assert_eq!(verdict("/apply", Some(before), None), Ok(()));
    assert_eq!(verdict("/apply", Some(same), None), Err(Refusal::NewerCommit));
    assert_eq!(verdict("/apply", Some(after), Some(before)), Err(Refusal::NewerCommit));
    assert_eq!(verdict("/apply", None, Some(before)), Ok(()));
    assert_eq!(verdict("/apply", None, Some(after)), Err(Refusal::NewerCommit));
    assert_eq!(verdict("/apply", None, None), Err(Refusal::AgeUnknown));
    assert_eq!(verdict("/apply ABC1234", Some(after), None), Ok(()));
    assert_eq!(verdict("/apply abc1235", Some(before), None), Err(Refusal::OtherCommit));
    assert_eq!(verdict("/apply feedbee", Some(before), None), Ok(()), "a word without a digit is a word");
}

#[test]
fn a_word_that_makes_sure_stands_at_the_end() {
    let route = CommandRoute { confirm: Some("PRODUCTION".to_owned()), ..CommandRoute::default() };
    let routes = Routes { commands: Some(vec![("/ship".to_owned(), route)]), ..Routes::default() };
    let verdict = |body: &str| match intent(&said(body), &routes, Openness::default()) {
        Intent::Judge(asked) => judge(&asked, &facts(), &rules()).map(|()| asked.job()),
        other => panic!("{other:?}"),
    };
    let wanted = "PRODUCTION".to_owned();
    assert_eq!(verdict("/ship web"), Err(Refusal::NotConfirmed { wanted: wanted.clone() }));
    assert_eq!(verdict("/ship web production"), Err(Refusal::NotConfirmed { wanted: wanted.clone() }));
    assert_eq!(verdict("/ship PRODUCTION web"), Err(Refusal::NotConfirmed { wanted }));
    for body in ["/ship web PRODUCTION", "/ship web PRODUCTION abc1234"] {
        let job = verdict(body).unwrap();
        assert_eq!((job.layers.as_str(), job.mode.as_str(), job.command.as_str()), ("web", "run", "ship"), "{body}");
    }
}

#[test]
fn levels_have_an_order() {
    for (permission, role, level) in [
        ("admin", None, Level::Admin),
        ("write", Some("maintain"), Level::Maintain),
        ("write", Some("release-manager"), Level::Write),
        ("read", Some("triage"), Level::Triage),
        ("read", Some("maintain"), Level::Read),
        ("none", Some("admin"), Level::None),
        ("owner", None, Level::None),
    ] {
        assert_eq!(Level::of(permission, role), level, "{permission} {role:?}");
    }
    assert!(Level::Admin > Level::Maintain && Level::Triage > Level::Read && Level::Read > Level::None);
}

#[test]
fn routes_that_contradict_themselves_are_named() {
    let routes: Routes = serde_yaml::from_str(
        "commands: {/a: {}, ' ': {}, /b: {aliases: [/A]}, '/ü': {}}\nevents: {push x: {branches: ['[']}, pull: {}}\n",
    )
    .unwrap();
    let said: Vec<String> = routes.problems().iter().map(ToString::to_string).collect();
    insta::assert_snapshot!(said.join("\n"));
}

/// Every event × who × permission × fork × edit, and what becomes of it.
#[test]
fn the_whole_table() {
    let mut text = String::new();
    let shown = |intent: Intent, level: Level, is_fork: bool| match intent {
        Intent::Run(job) => format!("run {} {} {}", job.mode, job.command, job.layers),
        Intent::Ignore(why) => format!("skip: {}", why.reason()),
        Intent::Unknown { word, .. } => format!("skip: unknown-command {word}"),
        Intent::Judge(asked) => match judge(&asked, &Facts { level, is_fork, ..facts() }, &rules()) {
            Ok(()) => {
                let job = asked.job();
                format!("run {} {} {}", job.mode, job.command, job.layers)
            }
            Err(refusal) => format!("refuse: {}", refusal.reason()),
        },
    };
    for body in ["/plan", "/bootstrap apply", "/deploy", "thanks"] {
        for action in ["created", "edited", "deleted"] {
            for (who, kind) in [("octocat", "User"), ("renovate[bot]", "Bot")] {
                for level in [Level::Admin, Level::Write, Level::Triage, Level::None] {
                    for is_fork in [false, true] {
                        let event = event("issue_comment", &comment(body, action, who, kind));
                        let mut found = intent(&event, &Routes::default(), Openness::default());
                        if let Intent::Judge(asked) = &mut found {
                            asked.comment.author.login = "octocat".to_owned();
                        }
                        let fork = if is_fork { "fork" } else { "own" };
                        let outcome = shown(found, level, is_fork);
                        let _ = writeln!(text, "{body:17}{action:9}{kind:5}{:9}{fork:5}{outcome}", level.as_str());
                    }
                }
            }
        }
    }
    for (name, payload) in events() {
        let event = event(name.split(' ').next().unwrap(), &payload);
        let usual = intent(&event, &Routes::default(), Openness::default());
        let own = intent(&event, &own_routes(), Openness::default());
        let _ = writeln!(
            text,
            "{name:28}{:36}own routes: {}",
            shown(usual, Level::None, false),
            shown(own, Level::None, false)
        );
    }
    insta::assert_snapshot!(text);
}

fn own_routes() -> Routes {
    serde_yaml::from_str(
        "events:\n  pull_request_target: {mode: label}\n  push: {mode: ship, branches: ['release/*']}\n  push tag: {mode: publish, tags: ['v*']}\n  \
         workflow_run: {mode: deploy, workflows: [CI], triggered_by: [pull_request, push]}\n  repository_dispatch: {mode: sync, actions: [sync]}\n  \
         schedule: {mode: nightly}\n  merge_group: {mode: test}\n  release: {mode: publish, actions: [published]}\n  workflow_dispatch: {mode: manual}\n",
    )
    .unwrap()
}

fn events() -> Vec<(&'static str, Value)> {
    let repository = json!({ "full_name": "acme/app", "default_branch": "main" });
    let pull = |head: &str| {
        json!({ "action": "opened", "number": 7, "repository": repository, "pull_request": { "number": 7,
            "head": { "ref": "x", "sha": HEAD, "repo": { "full_name": head } },
            "base": { "ref": "main", "repo": { "full_name": "acme/app" } } } })
    };
    let push = |reference: &str| json!({ "ref": reference, "after": HEAD, "repository": repository });
    let run = |name: &str, head: &str, by: &str, conclusion: &str| {
        json!({ "action": "completed", "repository": repository, "workflow": { "name": name }, "workflow_run": {
            "event": by, "conclusion": conclusion, "head_sha": HEAD, "head_branch": "x", "pull_requests": [],
            "head_repository": { "full_name": head }, "repository": { "full_name": "acme/app" } } })
    };
    let dispatch = |inputs: Value| json!({ "ref": "refs/heads/main", "inputs": inputs, "repository": repository });
    vec![
        ("pull_request own", pull("acme/app")),
        ("pull_request fork", pull("eve/app")),
        ("pull_request_target own", pull("acme/app")),
        ("pull_request_target fork", pull("eve/app")),
        ("push main", push("refs/heads/main")),
        ("push release/1", push("refs/heads/release/1")),
        ("push tag v1", push("refs/tags/v1")),
        ("push deleted", json!({ "ref": "refs/heads/main", "after": "0".repeat(40), "deleted": true })),
        ("workflow_dispatch plan", dispatch(json!({ "command": "plan", "layers": "platform" }))),
        ("workflow_dispatch bootstrap", dispatch(json!({ "command": "bootstrap", "action": "apply" }))),
        ("workflow_dispatch e2e", dispatch(json!({ "command": "e2e" }))),
        ("workflow_dispatch rm", dispatch(json!({ "command": "rm -rf" }))),
        ("workflow_dispatch empty", dispatch(Value::Null)),
        ("workflow_run CI", run("CI", "acme/app", "push", "success")),
        ("workflow_run fork", run("CI", "eve/app", "pull_request", "success")),
        ("workflow_run failed", run("CI", "acme/app", "push", "failure")),
        ("workflow_run other", run("Docs", "acme/app", "push", "success")),
        ("workflow_run by schedule", run("CI", "acme/app", "schedule", "success")),
        (
            "repository_dispatch sync",
            json!({ "action": "sync", "client_payload": { "a": 1 }, "repository": repository }),
        ),
        ("repository_dispatch other", json!({ "action": "other", "repository": repository })),
        ("schedule", json!({ "schedule": "0 3 * * *" })),
        (
            "merge_group",
            json!({ "action": "checks_requested", "repository": repository, "merge_group": {
            "head_ref": "refs/heads/gh-readonly-queue/main/pr-7-abc", "head_sha": HEAD, "base_ref": "refs/heads/main" } }),
        ),
        (
            "release published",
            json!({ "action": "published", "release": { "tag_name": "v1" }, "repository": repository }),
        ),
        ("release edited", json!({ "action": "edited", "release": { "tag_name": "v1" }, "repository": repository })),
        (
            "issue_comment on an issue",
            json!({ "action": "created", "issue": { "number": 7 },
            "comment": { "id": 5, "body": "/plan", "user": { "login": "octocat" } }, "repository": repository }),
        ),
        ("watch", json!({ "action": "started", "repository": repository })),
    ]
}

fn level() -> impl Strategy<Value = Level> {
    prop::sample::select(vec![Level::None, Level::Read, Level::Triage, Level::Write, Level::Maintain, Level::Admin])
}

proptest! {
    #[test]
    fn nothing_runs_without_permission_or_for_somebody_else(
        has in level(), needs in level(), same in any::<bool>(), is_fork in any::<bool>(), second in 0_i64..120,
    ) {
        let at = jiff::Timestamp::from_second(1_767_268_740 + second).unwrap();
        let facts = Facts {
            sender: Some(if same { "OctoCat" } else { "mallory" }.to_owned()),
            level: has,
            is_fork,
            evidence: Evidence { pushed: Some(at), checked: None },
            ..facts()
        };
        let verdict = judge(&asked("/apply"), &facts, &Rules { require: needs, ..rules() });
        let may = same && has >= needs && !is_fork && second < 60;
        prop_assert_eq!(verdict.is_ok(), may, "{:?}", verdict);
    }

    #[test]
    fn no_text_is_misread(body in "(\n| |/|`|>)?.{0,40}(\n.*)?") {
        // Whatever it is, reading it ends, and only exact words of the first line are a command.
        match read(&body) {
            Intent::Judge(asked) => {
                let line = first_line(&body).unwrap().to_ascii_lowercase();
                let words: Vec<&str> = line.split_ascii_whitespace().collect();
                let spelled: Vec<&str> = asked.words.split(' ').collect();
                prop_assert!(words.starts_with(&spelled) || words[0] == "digger", "{} {:?}", line, asked.words);
            }
            Intent::Unknown { word, .. } => prop_assert!(word.starts_with('/') && !word.contains('\n')),
            other => prop_assert_eq!(other, Intent::Ignore(Ignored::NoCommand)),
        }
    }

    #[test]
    fn an_edited_comment_never_counts(body in "/(plan|apply|help|x)", action in "edited|deleted|pinned|") {
        let event = event("issue_comment", &comment(&body, &action, "octocat", "User"));
        let found = intent(&event, &Routes::default(), Openness { forks: true, bots: true });
        prop_assert!(matches!(found, Intent::Ignore(_)));
    }
}
