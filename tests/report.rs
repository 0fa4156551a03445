//! `report` as the runner runs it: files in a workspace, a pull request in the fake world, a comment, a summary.
#![allow(clippy::unwrap_used, reason = "a test may end by panicking, in its helpers as well")]

mod support;
mod world;

use std::fmt::Write as _;

use serde_json::{Value, json};
use support::{Landfall, Outcome, SHA};
use world::github::{Access, Pull};
use world::{Fault, Skin, World};

const ME: &str = "github-actions[bot]";

const JUNIT: &str = r#"<?xml version="1.0" encoding="utf-8"?><testsuites><testsuite name="pytest" errors="0" failures="1" skipped="1" tests="3">
<testcase classname="tests.unit.test_pool" name="test_claim" time="0.5"/>
<testcase classname="tests.unit.test_pool" name="test_release" time="0.25"><failure message="AssertionError: assert 1 == 2">def test_release():
&gt;   assert 1 == 2

/home/runner/work/app/app/tests/unit/test_pool.py:12: AssertionError</failure></testcase>
<testcase classname="tests.unit.test_pool" name="test_later" time="0"><skipped message="not yet"/></testcase></testsuite></testsuites>"#;

const PASSING: &str = "<testsuite><testcase name='a' time='0.1'/><testcase name='b' time='0.2'/></testsuite>";

const COBERTURA: &str = r#"<coverage><packages><package><classes><class filename="app/pool.py"><lines>
<line number="1" hits="1"/><line number="2" hits="1"/><line number="3" hits="1"/><line number="4" hits="0"/></lines></class></classes></package></packages></coverage>"#;

fn world() -> World {
    let world = World::start_blocking();
    let mut state = world.state();
    let repository = state.github.repository("acme/app");
    repository.commit("main", &[("README.md", "x")]);
    repository.pulls.insert(42, pull());
    drop(state);
    world
}

fn pull() -> Pull {
    Pull {
        state: "open".into(),
        head_ref: "feature".into(),
        head_sha: SHA.into(),
        head_repository: Some("acme/app".into()),
        base_ref: "main".into(),
        ..Pull::default()
    }
}

fn payload() -> Value {
    let side = |branch: &str| json!({ "ref": branch, "sha": SHA, "repo": { "full_name": "acme/app" } });
    json!({
        "action": "synchronize", "number": 42,
        "pull_request": { "number": 42, "head": side("feature"), "base": side("main") },
        "repository": { "full_name": "acme/app", "default_branch": "main" },
    })
}

/// A step in a run of pull request 42.
fn step(world: &World) -> Landfall {
    Landfall::new("report").envs(world.github_env()).token(world::github::TOKEN).event("pull_request", &payload())
}

fn comments(world: &World) -> Vec<String> {
    world.state().github.repository("acme/app").said(42, ME)
}

fn normal(world: &World, text: &str) -> String {
    let host = world.base(world::Door::Github);
    text.replace(&host, "https://github.example")
}

#[track_caller]
fn gated(outcome: &Outcome, code: i32, reason: &str) {
    assert_eq!(outcome.code, Some(code), "{}", outcome.report());
    assert_eq!((outcome.output("result"), outcome.output("reason")), ("failure", reason), "{}", outcome.report());
    outcome.proper();
}

#[test]
fn failed_tests_are_told_in_comment_summary_annotations_and_outputs() {
    let world = world();
    let outcome = step(&world)
        .file("results/unit/junit.xml", JUNIT)
        .file("results/e2e/junit.xml", PASSING)
        .file("tests/unit/test_pool.py", "x")
        .file("coverage.xml", COBERTURA)
        .env("RUNNER_WORKSPACE", "/home/runner/work/app")
        .input("junit", "results/**/junit.xml")
        .input("coverage", "coverage.xml")
        .run();
    gated(&outcome, 3, "tests-failed");
    let errors = outcome.annotations("error");
    assert_eq!(errors.len(), 2);
    assert_eq!(errors[0].place["file"], "tests/unit/test_pool.py");
    assert_eq!(errors[0].place["line"], "12");
    assert_eq!(world.take_writes().len(), 1);
    assert!(outcome.has_output("comment_id") && outcome.output("published") == "comment");
    let said = comments(&world);
    assert_eq!(said.len(), 1);
    // The comment and the summary say the same.
    for section in said[0].split("\n\n").skip(1) {
        assert!(outcome.summary.contains(section.trim()), "{section}");
    }
    insta::assert_snapshot!("failed_tests", normal(&world, &outcome.report()));
    insta::assert_snapshot!("failed_tests_comment", normal(&world, &said[0]));
    world.finish();
}

#[test]
fn a_second_report_updates_the_same_comment_and_another_key_has_its_own() {
    let world = world();
    let run = |junit: &str, key: &str| {
        step(&world).file("junit.xml", junit).input("junit", "junit.xml").input("key", key).run()
    };
    let first = run(JUNIT, "a");
    let second = run(PASSING, "a");
    second.succeeded();
    assert_eq!((second.output("passed"), second.output("published")), ("true", "comment"));
    let third = run(PASSING, "b");
    third.succeeded();
    assert_ne!(second.output("comment_id"), third.output("comment_id"));
    // The same once more: nothing is written.
    world.explain_writes();
    run(PASSING, "b").succeeded();
    assert!(world.take_writes().is_empty());
    let said = comments(&world);
    assert_eq!(said.len(), 2);
    assert!(said[0].contains("2 passed") && !said[0].contains("test_release"), "{}", said[0]);
    assert_eq!(first.output("tests"), "3");
    world.finish();
}

#[test]
fn a_token_that_only_reads_leaves_the_summary() {
    let world = world();
    world.state().github.grant("ghs_fork", "acme/app", Access::Read);
    let outcome = step(&world).token("ghs_fork").file("junit.xml", PASSING).input("junit", "junit.xml").run();
    outcome.succeeded();
    assert_eq!((outcome.output("published"), outcome.output("comment_id")), ("summary", ""));
    assert!(outcome.summary.contains("2 passed"));
    assert!(outcome.annotations("warning").is_empty());
    assert!(comments(&world).is_empty());
    let outcome = step(&world)
        .token("ghs_fork")
        .file("junit.xml", PASSING)
        .inputs(&[("junit", "junit.xml"), ("comment", "always")])
        .run();
    outcome.failed(5, "github-forbidden");
    assert!(outcome.summary.contains("2 passed"));
    world.finish();
}

#[test]
fn an_outage_is_a_warning_unless_the_comment_is_wanted() {
    let world = world();
    world.fault(Fault::on(Skin::Github).path("*/comments*").status(500));
    let outcome = step(&world).file("junit.xml", PASSING).input("junit", "junit.xml").run();
    outcome.succeeded();
    assert_eq!(outcome.output("published"), "summary");
    assert_eq!(outcome.annotations("warning").len(), 1);
    world.finish();
}

#[test]
fn the_pull_request_is_found_by_commit() {
    let world = world();
    let push = json!({ "ref": "refs/heads/feature", "after": SHA, "head_commit": { "id": SHA }, "repository": { "default_branch": "main" } });
    let run = |reference: &str| {
        step(&world)
            .event("push", &push)
            .env("GITHUB_REF", reference)
            .file("junit.xml", PASSING)
            .input("junit", "junit.xml")
            .run()
    };
    let outcome = run("refs/heads/feature");
    outcome.succeeded();
    assert_eq!(outcome.output("published"), "comment", "{}", outcome.report());
    world.explain_writes();
    // A pull request that moved on is another commit's.
    world.state().github.repository("acme/app").pulls.get_mut(&42).unwrap().head_sha = "f".repeat(40);
    let outcome = run("refs/heads/feature");
    outcome.succeeded();
    assert_eq!(outcome.output("published"), "summary");
    world.finish();
}

#[test]
fn gates_say_no_with_exit_code_three() {
    let world = world();
    let run = |inputs: &[(&str, &str)]| {
        step(&world)
            .file("coverage.xml", COBERTURA)
            .file("junit.xml", JUNIT)
            .file("scan.sarif", json!({ "runs": [{ "tool": { "driver": { "name": "tfsec" } }, "results": [{ "ruleId": "A1", "level": "error", "message": { "text": "open" } }] }] }).to_string())
            .file("plan.json", json!({ "format_version": "1.2", "resource_changes": [{ "address": "a.b", "mode": "managed", "change": { "actions": ["create"] } }] }).to_string())
            .input("comment", "never")
            .inputs(inputs)
            .run()
    };
    let outcome = run(&[("coverage", "coverage.xml"), ("min_coverage", "80")]);
    gated(&outcome, 3, "coverage-too-low");
    assert_eq!(outcome.output("coverage"), "75.00");
    run(&[("coverage", "coverage.xml"), ("min_coverage", "75%")]).succeeded();
    gated(&run(&[("sarif", "*.sarif"), ("fail_on", "findings")]), 3, "findings");
    run(&[("sarif", "*.sarif")]).proper();
    let outcome = run(&[("plan", "plan.json"), ("fail_on", "changes")]);
    gated(&outcome, 3, "plan-has-changes");
    assert_eq!(outcome.output("plan_adds"), "1");
    let outcome = run(&[("junit", "junit.xml"), ("fail_on", "none")]);
    assert_eq!((outcome.code, outcome.output("passed"), outcome.output("failures")), (Some(0), "true", "1"));
    world.finish();
}

#[test]
fn a_report_that_is_missing_or_broken_does_not_pass() {
    let world = world();
    let run = |junit: &str, inputs: &[(&str, &str)]| {
        step(&world).file("a/junit.xml", junit).input("junit", "a/*.xml").input("comment", "never").inputs(inputs).run()
    };
    let killed = &JUNIT[..JUNIT.len() - 40];
    let outcome = run(killed, &[]);
    gated(&outcome, 1, "report-missing");
    // What was read before the end is told all the same.
    assert_eq!((outcome.output("tests"), outcome.output("failures")), ("2", "1"));
    insta::assert_snapshot!("a_killed_tool", outcome.report());
    let outcome = run(PASSING, &[("junit", "b/*.xml")]);
    gated(&outcome, 1, "report-missing");
    let outcome = run(PASSING, &[("junit", "b/*.xml"), ("if_missing", "warn")]);
    outcome.succeeded();
    assert!(!outcome.annotations("warning").is_empty());
    world.finish();
}

#[test]
fn everything_wrong_with_the_inputs_is_said_at_once() {
    let world = world();
    let outcome = step(&world)
        .inputs(&[("junit", "../x.xml"), ("min_coverage", "eighty"), ("fail_on", "tests, none, failures")])
        .run();
    outcome.failed(2, "invalid-input");
    insta::assert_snapshot!("invalid_inputs", outcome.report());
    let outcome = step(&world).run();
    outcome.failed(2, "invalid-input");
    assert!(world.calls(Skin::Github).is_empty());
    world.finish();
}

#[test]
fn hostile_names_stay_names() {
    let world = world();
    let hostile = "x--&gt; &lt;!-- landfall-report:a --&gt; @everyone ::error::pwned ```` | &lt;/details&gt; &#27;[31m 𝔘𝔫𝔦 &#10;::set-output name=x::y";
    let cases = format!(
        "<testcase classname=\"{hostile}\" name=\"{hostile}\"><failure message=\"{hostile}\">{hostile}\n::add-mask::x\n</failure></testcase>"
    );
    let outcome = step(&world)
        .file("junit.xml", format!("<testsuite>{}</testsuite>", cases.repeat(3)))
        .input("junit", "junit.xml")
        .run();
    gated(&outcome, 3, "tests-failed");
    world.explain_writes();
    let said = comments(&world).remove(0);
    let open: String = said.split("`````").step_by(2).collect();
    assert_eq!((open.matches("<!--").count(), open.matches('@').count()), (1, 0), "{open}");
    insta::assert_snapshot!("hostile_names", normal(&world, &said));
    world.finish();
}

#[test]
fn a_million_characters_are_cut_between_sections() {
    let world = world();
    let mut cases = String::new();
    for number in 0..300 {
        let long = format!("line of {number}\n").repeat(400);
        let _ =
            write!(cases, "<testcase classname='c' name='t{number}'><failure message='m'>{long}</failure></testcase>");
    }
    let outcome =
        step(&world).file("junit.xml", format!("<testsuite>{cases}</testsuite>")).input("junit", "junit.xml").run();
    gated(&outcome, 3, "tests-failed");
    world.explain_writes();
    let said = comments(&world).remove(0);
    assert!(said.encode_utf16().count() <= 65_536, "{}", said.len());
    assert_eq!(said.matches("```").count() % 2, 0);
    assert_eq!(said.matches("<details>").count(), said.matches("</details>").count());
    assert!(said.contains("300 failed"));
    assert_eq!(outcome.annotations("error").len(), 10);
    world.finish();
}

#[test]
fn a_dry_run_prints_the_report_and_writes_nothing() {
    let world = world();
    let outcome = step(&world).file("junit.xml", PASSING).inputs(&[("junit", "junit.xml"), ("dry_run", "true")]).run();
    assert_eq!((outcome.code, outcome.output("reason")), (Some(0), "dry-run"), "{}", outcome.report());
    assert!(outcome.raw.contains("on #42"), "{}", outcome.raw);
    world.finish();
}
