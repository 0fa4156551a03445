//! Before and after.

use super::{DAY, ended, report, small, start, step};
use crate::support::Landfall;
use crate::world::World;

/// The report of the small repository.
fn before() -> Vec<u8> {
    let world = start();
    small(&world);
    let outcome = step(&world).run();
    outcome.succeeded();
    world.finish();
    serde_json::to_vec(&report(&outcome)).unwrap()
}

/// The report of a repository whose build takes as long as is said.
fn with_builds_of(minutes: i64) -> (World, Landfall) {
    let world = start();
    {
        let mut state = world.state();
        let actions = state.github.actions("acme/app");
        actions.workflow("docker-build.yml").name = "Docker Build".into();
        for day in 0..8 {
            actions.add(ended("docker-build.yml", u64::try_from(day).unwrap(), "success", day * DAY, minutes));
        }
    }
    let run =
        step(&world).file("before.json", before()).inputs(&[("operation", "compare"), ("baseline", "before.json")]);
    (world, run)
}

#[test]
fn a_migration_that_helped_is_told() {
    let (world, run) = with_builds_of(4);
    let outcome = run.run();
    outcome.succeeded();
    assert_eq!((outcome.output("reason"), outcome.output("passed")), ("compared", "true"));
    insta::assert_snapshot!(super::shown(&outcome));
    world.finish();
}

#[test]
fn a_regression_fails_the_step_when_that_is_wanted() {
    let (world, run) = with_builds_of(40);
    let outcome = run.inputs(&[("fail_on_breach", "true"), ("max_build_time", "1h")]).run();
    outcome.failed(3, "threshold-exceeded");
    let message = &outcome.annotations("error")[0].message;
    assert!(message.contains("Duration, mean went from"), "{message}");
    world.finish();
}

#[test]
fn two_files_are_compared_without_a_question() {
    let outcome = Landfall::new("metrics")
        .file("a.json", before())
        .file("b.json", before())
        .inputs(&[("operation", "compare"), ("baseline", "a.json"), ("current", "b.json")])
        .run();
    outcome.succeeded();
    assert!(!outcome.has_output("report"), "nothing is written");
    assert!(outcome.output("comparison").contains("\"same\""), "{}", outcome.output("comparison"));
}
