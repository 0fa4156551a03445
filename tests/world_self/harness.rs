//! Purpose: the harness runs the real binary and reads what it leaves.

use serde_json::json;

use crate::support::Landfall;

#[test]
fn an_unknown_command_is_refused_with_one_annotation() {
    let outcome = Landfall::new("deplyo").run();
    assert_eq!(outcome.code, Some(2), "{}", outcome.report());
    assert_eq!(outcome.annotations("error").len(), 1, "{}", outcome.report());
    outcome.proper();
}

#[test]
fn outputs_come_back_through_the_runners_grammar() {
    let outcome =
        Landfall::new("tags").input("image", "acme/app").event("push", &json!({ "ref": "refs/heads/main" })).run();
    outcome.succeeded();
    assert_eq!(outcome.output("result"), "success");
    assert_eq!(outcome.output("short_sha"), "0123456");
    assert!(!outcome.has_output("no-such-output"));
}

#[test]
fn the_environment_is_scrubbed() {
    let outcome = Landfall::new("config").input("environment", "staging").env("SECRET_OF_THE_TEST", "x").run();
    assert!(!outcome.raw.contains("CARGO_MANIFEST_DIR"));
    outcome.proper();
}

#[test]
fn a_laptop_run_has_no_runner() {
    let outcome = Landfall::new("config").laptop(&["--help"]).run();
    assert_eq!(outcome.code, Some(0), "{}", outcome.raw);
    assert!(outcome.raw.contains("config"), "{}", outcome.raw);
}
