//! Words from outside stay words.

use super::*;

const HOSTILE: &str =
    "a|b <!-- x --> --> <script> ![i](https://e.org/i) @octocat #1 `c` \u{1b}[31m::error::x 𝔘\u{202e}";

#[test]
fn no_word_becomes_markup_or_an_order() {
    let world = World::start_blocking();
    let sha = a_pull_request(&world);
    let outcome = update(&world, &sha, &HOSTILE[..40], "failure")
        .inputs(&[("title", HOSTILE), ("stages", &format!("k={HOSTILE}"))])
        .env("GITHUB_ACTOR", "mallory](https://e.org)|--><b>")
        .run();
    outcome.succeeded();
    let body = comment(&world);
    assert_eq!((body.matches("<!--").count(), body.matches("-->").count()), (4, 4), "{body}");
    let shown = tidy(&body).replace(&sha[..7], "<sha7>");
    insta::assert_snapshot!("hostile", format!("{shown}\n=====\n{}", report(&outcome).replace(&sha[..7], "<sha7>")));
    world.explain_writes();
    world.finish();
}

#[test]
fn a_workflow_command_in_a_stage_is_text() {
    let world = World::start_blocking();
    let sha = a_pull_request(&world);
    let outcome = update(&world, &sha, "x", "success").input("stages", "x=::add-mask::plan\ny=##[error]no").run();
    outcome.succeeded();
    assert!(outcome.raw.contains("::add-mask::plan"), "{}", outcome.raw);
    assert!(!outcome.raw.lines().any(|line| line.starts_with("::add-mask::plan")), "{}", outcome.raw);
    world.explain_writes();
    world.finish();
}

#[test]
fn a_hundred_thousand_characters_are_cut() {
    let world = World::start_blocking();
    let sha = a_pull_request(&world);
    let long = "🦀".repeat(25_000);
    let outcome =
        update(&world, &sha, "x", "success").inputs(&[("title", &long), ("stages", &format!("x={long}"))]).run();
    outcome.succeeded();
    assert!(comment(&world).len() < 5000, "{}", comment(&world).len());
    let too_long = update(&world, &sha, &long, "success").run();
    too_long.failed(2, "invalid-input");
    world.explain_writes();
    world.finish();
}
