//! Commands in comments.

use super::*;
use crate::world::github::Access;

#[test]
fn a_command_is_taken_and_seen_at_once() {
    let world = World::start_blocking();
    let sha = a_pull_request(&world);
    let outcome = say(&world, "octocat", "/apply data-prod\nplease");
    outcome.succeeded();
    assert_outputs(
        &outcome,
        &[
            ("mode", "digger"),
            ("command", "apply"),
            ("args", r#"["data-prod"]"#),
            ("layers", "data-prod"),
            ("pr_number", "7"),
            ("should_run", "true"),
            ("sha", &sha),
            ("base_ref", "main"),
            ("head_ref", "feature/Add_x"),
            ("head_slug", "feature-add-x"),
            ("fork", "false"),
            ("actor", "octocat"),
            ("permission", "write"),
            ("first", "true"),
            ("reason", "routed"),
        ],
    );
    assert_eq!(reactions(&world), ["eyes"]);
    assert_eq!(world.calls(Skin::Github).len(), 4, "{:#?}", world.calls(Skin::Github));
    insta::assert_snapshot!("taken", outcome.report().replace(&sha, "<sha>"));
    world.explain_writes();
    world.finish();
}

#[test]
fn an_earlier_run_is_told() {
    let world = World::start_blocking();
    a_pull_request(&world);
    let (_, payload) = comment(&world, "octocat", "/plan");
    assert_eq!(route(&world, "issue_comment", &payload).run().succeeded().output("first"), "true");
    assert_eq!(route(&world, "issue_comment", &payload).run().succeeded().output("first"), "false");
    world.explain_writes();
    world.finish();
}

#[test]
fn an_unknown_command_has_exactly_one_reply() {
    let world = World::start_blocking();
    a_pull_request(&world);
    let (_, payload) = comment(&world, "octocat", "/plna now @everyone | <b>");
    for _ in 0..2 {
        let outcome = route(&world, "issue_comment", &payload).run();
        outcome.succeeded();
        assert_outputs(
            &outcome,
            &[("mode", "skip"), ("command", "unknown"), ("should_run", "false"), ("result", "skipped")],
        );
        assert_outputs(
            &outcome,
            &[("reason", "unknown-command"), ("args", "[]"), ("layers", "all"), ("pr_number", "7")],
        );
    }
    assert_eq!(replies(&world).len(), 1);
    insta::assert_snapshot!("unknown", replies(&world)[0]);
    let silent = route(&world, "issue_comment", &comment(&world, "octocat", "/nope").1).input("reply", "false").run();
    silent.succeeded();
    say(&world, "stranger", "/nope").succeeded();
    assert_eq!(replies(&world).len(), 1);
    world.explain_writes();
    world.finish();
}

#[test]
fn permission_is_asked_and_never_guessed() {
    let world = World::start_blocking();
    a_pull_request(&world);
    for (author, expected) in [("stranger", "read"), ("helper", "triage"), ("nobody", "none")] {
        let outcome = say(&world, author, "/apply");
        outcome.failed(3, "permission-denied");
        assert_outputs(
            &outcome,
            &[("mode", "skip"), ("should_run", "false"), ("permission", expected), ("actor", author)],
        );
    }
    assert_eq!(reactions(&world), ["-1", "-1", "-1"]);
    assert_eq!(replies(&world).len(), 1, "only those who belong here are told: {:#?}", replies(&world));
    let (_, payload) = comment(&world, "octocat", "/apply");
    route(&world, "issue_comment", &payload).input("require", "admin").run().failed(3, "permission-denied");
    let (_, payload) = comment(&world, "boss", "/apply");
    route(&world, "issue_comment", &payload).input("require", "admin").run().succeeded();
    world.explain_writes();
    world.finish();
}

#[test]
fn not_knowing_is_not_allowing() {
    let world = World::start_blocking();
    a_pull_request(&world);
    for (status, code, reason) in
        [(500, 4, "github-unavailable"), (403, 5, "github-forbidden"), (401, 5, "github-unauthenticated")]
    {
        world.fault(
            Fault::on(Skin::Github).path("*/collaborators/*").times(if status == 500 { 5 } else { 1 }).status(status),
        );
        let outcome = say(&world, "octocat", "/apply");
        outcome.failed(code, reason);
        assert_outputs(&outcome, &[("mode", "skip"), ("should_run", "false")]);
    }
    world.finish();
}

#[test]
fn only_its_own_author_gives_a_command_and_only_once() {
    let world = World::start_blocking();
    a_pull_request(&world);
    let (_, mut payload) = comment(&world, "boss", "/apply");
    payload["sender"]["login"] = json!("mallory");
    route(&world, "issue_comment", &payload).run().failed(3, "sender-mismatch");
    for (action, reason) in [("edited", "comment-edited"), ("deleted", "comment-deleted")] {
        let (_, mut payload) = comment(&world, "boss", "/apply");
        payload["action"] = json!(action);
        let outcome = route(&world, "issue_comment", &payload).run();
        assert_outputs(&outcome, &[("result", "skipped"), ("reason", reason), ("should_run", "false")]);
    }
    world.explain_writes();
    world.finish();
}

#[test]
fn programs_give_no_commands_unless_they_may_and_we_never() {
    let world = World::start_blocking();
    a_pull_request(&world);
    world.state().github.repository("acme/app").role("renovate[bot]", "write").role(ME, "write");
    assert_outputs(&say(&world, "renovate[bot]", "/plan"), &[("reason", "bot"), ("result", "skipped")]);
    let (_, payload) = comment(&world, "renovate[bot]", "/plan");
    route(&world, "issue_comment", &payload).input("allow_bots", "true").run().succeeded();
    let (_, payload) = comment(&world, ME, "/plan");
    let own = route(&world, "issue_comment", &payload).input("allow_bots", "true").run();
    assert_outputs(&own, &[("reason", "bot"), ("should_run", "false")]);
    world.explain_writes();
    world.finish();
}

#[test]
fn a_forks_head_is_not_worked_on() {
    let world = World::start_blocking();
    let sha = a_pull_request(&world);
    for head in [Some("eve/app".to_owned()), None] {
        world.state().github.repository("acme/app").pulls.get_mut(&7).unwrap().head_repository = head;
        let outcome = say(&world, "octocat", "/plan");
        outcome.failed(3, "fork");
        assert_outputs(&outcome, &[("fork", "true"), ("sha", &sha), ("mode", "skip")]);
    }
    assert!(replies(&world)[0].contains("comes from a fork"), "{:#?}", replies(&world));
    let (_, payload) = comment(&world, "octocat", &format!("/plan {}", &sha[..7]));
    let outcome = route(&world, "issue_comment", &payload).input("allow_forks", "true").run();
    assert_outputs(outcome.succeeded(), &[("fork", "true"), ("should_run", "true"), ("args", "[]")]);
    world.explain_writes();
    world.finish();
}

#[test]
fn a_commit_after_the_comment_is_not_worked_on() {
    let world = World::start_blocking();
    let sha = a_pull_request(&world);
    let newer = {
        let mut state = world.state();
        let repository = state.github.repository("acme/app");
        let newer = repository.commit("feature/Add_x", &[("a", "3")]);
        repository.pulls.get_mut(&7).unwrap().head_sha = newer.clone();
        repository.pushed("feature/Add_x", &newer, Moment::from_second(SAID + 1));
        newer
    };
    let outcome = say(&world, "octocat", "/apply");
    outcome.failed(3, "newer-commit");
    assert_outputs(&outcome, &[("sha", &newer), ("should_run", "false")]);
    insta::assert_snapshot!("newer", outcome.report().replace(&newer, "<newer>").replace(&newer[..7], "<newer7>"));
    insta::assert_snapshot!("newer_reply", replies(&world)[0].replace(&newer[..7], "<newer7>"));
    say(&world, "octocat", &format!("/apply {}", &sha[..7])).failed(3, "other-commit");
    let named = say(&world, "octocat", &format!("/apply {}", &newer[..9]));
    assert_outputs(named.succeeded(), &[("sha", &newer), ("layers", "all")]);
    let (_, payload) = comment(&world, "octocat", "/apply");
    route(&world, "issue_comment", &payload).input("allow_newer_commits", "true").run().succeeded();
    world.explain_writes();
    world.finish();
}

#[test]
fn without_evidence_a_commit_must_be_named() {
    let world = World::start_blocking();
    let sha = a_pull_request(&world);
    world.state().github.repository("acme/app").pushes.clear();
    say(&world, "octocat", "/apply").failed(3, "commit-age-unknown");
    world.state().github.repository("acme/app").suites.insert(sha.clone(), Moment::from_second(SAID - 1));
    say(&world, "octocat", "/apply").succeeded();
    world.fault(Fault::on(Skin::Github).path("*/activity").times(5).status(502));
    say(&world, "octocat", "/apply").failed(4, "github-unavailable");
    world.explain_writes();
    world.finish();
}

#[test]
fn a_word_confirms_and_a_list_answers() {
    let world = World::start_blocking();
    a_pull_request(&world);
    let config = "routes:\n  commands:\n    /ship: {mode: ship, confirm: PRODUCTION, require: maintain, help: 'Ship | it'}\n    /help: {answer: true, require: read}\n";
    let say = |author: &str, body: &str| {
        let (_, payload) = comment(&world, author, body);
        route(&world, "issue_comment", &payload).file(".github/landfall.yml", config).run()
    };
    say("boss", "/ship").failed(3, "not-confirmed");
    assert_outputs(
        say("boss", "/ship PRODUCTION").succeeded(),
        &[("mode", "ship"), ("command", "ship"), ("args", "[]")],
    );
    say("octocat", "/ship PRODUCTION").failed(3, "permission-denied");
    let answered = say("stranger", "/help");
    assert_outputs(answered.succeeded(), &[("reason", "answered"), ("result", "skipped"), ("should_run", "false")]);
    insta::assert_snapshot!("list", replies(&world).last().unwrap());
    world.explain_writes();
    world.finish();
}

#[test]
fn a_token_that_may_not_react_is_a_warning() {
    let world = World::start_blocking();
    a_pull_request(&world);
    world.state().github.grant(TOKEN, "acme/app", Access::Read);
    let outcome = say(&world, "octocat", "/plan");
    assert_outputs(outcome.succeeded(), &[("should_run", "true"), ("reaction_id", ""), ("first", "")]);
    assert!(outcome.annotations("warning")[0].message.contains("pull-requests: write"), "{}", outcome.report());
    world.finish();
}

#[test]
fn a_comment_of_a_million_characters_gives_no_orders() {
    let world = World::start_blocking();
    a_pull_request(&world);
    let hostile = format!("/plan ::add-mask::x ##[error] \u{1b}[31m --> <!-- 𝔘\n{}", "::error::x\n".repeat(100_000));
    let outcome = say(&world, "octocat", &hostile);
    outcome.succeeded();
    assert!(
        !outcome.raw.contains('\u{1b}') && !outcome.raw.lines().any(|line| line.starts_with("::error")),
        "{}",
        outcome.raw
    );
    assert_outputs(&outcome, &[("command", "plan"), ("args", r###"["::add-mask::x","##[error]","-->","<!--","𝔘"]"###)]);
    world.explain_writes();
    world.finish();
}

#[test]
fn a_dry_run_says_what_would_happen() {
    let world = World::start_blocking();
    let sha = a_pull_request(&world);
    let (_, payload) = comment(&world, "octocat", "/plan");
    let outcome = route(&world, "issue_comment", &payload).input("dry_run", "true").run();
    assert_eq!(outcome.code, Some(0));
    insta::assert_snapshot!("dry_run", outcome.report().replace(&sha, "<sha>"));
    world.finish();
}
