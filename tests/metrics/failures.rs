//! What goes wrong: limits of all kinds, wrong inputs, files that are none.

use super::{small, start, step};
use crate::support::Landfall;
use crate::world::{Fault, Skin};

#[test]
fn wrong_inputs_are_all_said_before_anything_is_asked() {
    let world = start();
    let outcome = step(&world)
        .inputs(&[
            ("limit", "0"),
            ("max_failure_rate", "lots"),
            ("images", "UPPER/Case:tag"),
            ("branches", "["),
            ("operation", "compare"),
        ])
        .run();
    outcome.failed(2, "invalid-input");
    let message = &outcome.annotations("error")[0].message;
    assert!(message.contains("max_failure_rate"), "{message}");
    assert!(world.calls(Skin::Github).is_empty());
    let outcome = step(&world).inputs(&[("limit", "0"), ("branches", "["), ("operation", "compare")]).run();
    outcome.failed(2, "invalid-input");
    let message = &outcome.annotations("error")[0].message;
    for input in ["limit", "branches", "baseline"] {
        assert!(message.contains(input), "{input} is not in: {message}");
    }
    assert!(world.calls(Skin::Github).is_empty());
    world.finish();
}

#[test]
fn refusals_and_silence_are_told_apart() {
    type Spoil = fn(Fault) -> Fault;
    let cases: [(&str, Spoil, i32, &str); 4] = [
        ("403", |fault| fault.status(403), 5, "github-forbidden"),
        ("401", |fault| fault.status(401), 5, "github-unauthenticated"),
        ("500", |fault| fault.status(500), 4, "github-unavailable"),
        ("429", |fault| fault.status(429).retry_after(3600), 4, "github-rate-limited"),
    ];
    for (name, spoil, code, reason) in cases {
        let world = start();
        small(&world);
        world.fault(spoil(Fault::on(Skin::Github).path("*/actions/workflows/*/runs")));
        let outcome = step(&world).run();
        outcome.failed(code, reason);
        assert!(!outcome.workspace().join("ci-metrics.json").exists(), "{name}: no half report");
        if code == 5 && name == "403" {
            let hints = outcome.report();
            assert!(hints.contains("actions: read"), "{hints}");
        }
        world.finish();
    }
}

#[test]
fn a_run_that_is_deleted_meanwhile_is_no_failure() {
    let world = start();
    small(&world);
    world.fault(Fault::on(Skin::Github).path("*/jobs").times(1).status(404).body(r#"{"message":"Not Found"}"#));
    step(&world).run().succeeded();
    world.finish();
}

#[test]
fn a_previous_report_that_cannot_be_used_costs_requests_only() {
    let world = start();
    small(&world);
    let outcome = step(&world).file("p.json", "{").input("previous", "p.json").run();
    outcome.succeeded();
    assert!(
        outcome.annotations("warning").iter().any(|warning| warning.message.contains("p.json")),
        "{}",
        outcome.report()
    );
    let outcome = step(&world).input("previous", "never-there.json").run();
    outcome.succeeded();
    assert!(outcome.raw.contains("there is no previous report"), "{}", outcome.raw);
    world.finish();
}

#[test]
fn limits_fail_the_step_when_that_is_wanted() {
    let world = start();
    small(&world);
    let outcome = step(&world).inputs(&[("fail_on_breach", "true"), ("max_build_time", "12m")]).run();
    outcome.failed(3, "threshold-exceeded");
    assert!(outcome.has_output("report") && outcome.output("passed") == "false", "{}", outcome.report());
    insta::assert_snapshot!(outcome.annotations("error")[0].message);
    world.finish();
}

#[test]
fn a_report_of_another_time_is_named() {
    let read = |text: &str| {
        let outcome = Landfall::new("metrics")
            .file("b.json", text)
            .inputs(&[("operation", "compare"), ("baseline", "b.json"), ("current", "b.json")])
            .run();
        outcome.failed(2, "invalid-input");
        outcome.annotations("error")[0].message.clone()
    };
    assert!(read("{\"version\": 7}").contains("version 7"), "{}", read("{\"version\": 7}"));
    assert!(read("nonsense").contains("not a report"), "{}", read("nonsense"));
}
