//! Purpose: what is wrong is said before anything is asked; what a policy cannot mean is said before anything goes.

use super::{APP, DAY, applying, image, planned, shelf, start, step};
use crate::support::Landfall;

#[test]
fn everything_wrong_is_said_at_once() {
    let outcome = Landfall::new("prune")
        .inputs(&[
            ("image", "ghcr.io/acme/app:latest, https://ghcr.io/x"),
            ("policy", "nightly"),
            ("max_delete_fraction", "150%"),
            ("in_use", "pull_request"),
        ])
        .file(".github/landfall.yml", "retention:\n  nightlies: {}\n")
        .run();
    outcome.failed(2, "invalid-input");
    insta::assert_snapshot!(outcome.report());
}

#[test]
fn a_policy_that_cannot_be_used_is_shown_by_its_place() {
    let config = "retention:\n  default:\n    protect: ['v1 .0']\n    rules:\n      - { match: 'pr-*' }\n      - { keep_for: 3d }\n      - { match: '<sha>', keep_for: 1d }\n";
    let outcome = Landfall::new("prune").input("image", "ghcr.io/acme/app").file(".github/landfall.yml", config).run();
    outcome.failed(2, "invalid-input");
    insta::assert_snapshot!(outcome.annotations("error")[0].message);
    let unknown = "retention:\n  default:\n    rules:\n      - { match: 'pr-*', keep: 3d }\n";
    let outcome = Landfall::new("prune").input("image", "ghcr.io/acme/app").file(".github/landfall.yml", unknown).run();
    assert!(
        outcome.report().contains("unknown key 'keep'; known here: match, keep_for, keep_newest"),
        "{}",
        outcome.report()
    );
}

#[test]
fn a_policy_of_the_config_decides_and_what_it_cannot_mean_is_warned_about() {
    let world = start();
    for (tag, age) in
        [("latest", DAY), ("v2", 9 * DAY), ("build-1", 9 * DAY), ("build-2", 8 * DAY), ("build-3", 7 * DAY)]
    {
        image(&world, tag, age);
    }
    let config = "retention:\n  default:\n    protect: [latest]\n    min_age: 1h\n    rules:\n      - { match: 'build-*', keep_newest: 1 }\n      - { match: ['build-1*', '/v[0-9]+/'], keep_for: 3d }\n";
    let outcome = step(&world).file(".github/landfall.yml", config).input("max_delete_fraction", "0.6").run();
    assert_eq!(planned(&outcome), ["build-1", "build-2", "v2"], "{}", outcome.report());
    let warned: Vec<&str> = outcome.annotations("warning").iter().map(|warning| warning.message.as_str()).collect();
    assert_eq!(
        warned,
        [
            "rule 'build-1*' never applies: 'build-*' before it matches the same tags",
            "'v2' looks like a release and is not protected; add '<semver>' to `protect`",
        ]
    );
    world.finish();
}

#[test]
fn a_plan_that_deletes_too_much_is_refused_with_nothing_done() {
    let world = start();
    image(&world, "latest", DAY);
    for number in 0..9 {
        image(&world, &format!("pr-{number}"), 30 * DAY);
    }
    let before = shelf(&world);
    let outcome = applying(&world).input("max_delete_fraction", "0.5").run();
    outcome.failed(3, "plan-too-large");
    assert_eq!((outcome.output("planned"), outcome.output("passed")), ("9", "false"));
    assert_eq!(planned(&outcome).len(), 9);
    assert!(outcome.report().contains("9 of 10 manifests"), "{}", outcome.report());
    let outcome = applying(&world).input("max_deletes", "3").run();
    outcome.failed(3, "plan-too-large");
    assert_eq!(shelf(&world), before);
    assert!(world.take_writes().is_empty());
    world.finish();
}

#[test]
fn a_package_out_of_sight_says_which_right_is_missing() {
    let world = start();
    let image = format!("{}/acme/other", world.registry_host());
    let outcome = step(&world).input("image", &image).run();
    outcome.failed(5, "package-not-visible");
    assert!(outcome.report().contains("Manage Actions access"), "{}", outcome.report());
    world.finish();
}

#[test]
fn a_restore_without_a_snapshot_says_where_one_comes_from() {
    let world = start();
    image(&world, "latest", DAY);
    let outcome = step(&world).input("operation", "restore").run();
    outcome.failed(2, "snapshot-missing");
    let outcome = step(&world).input("operation", "restore").file("landfall-prune-snapshot.json", "{}").run();
    outcome.failed(2, "snapshot-unusable");
    let newer = r#"{"schema": 9}"#;
    let outcome = step(&world).input("operation", "restore").file("landfall-prune-snapshot.json", newer).run();
    outcome.failed(2, "snapshot-unusable");
    assert_eq!(world.state().images.repositories[APP].manifests.len(), 1);
    world.finish();
}
