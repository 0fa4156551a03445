//! `metrics` as the runner runs it: figures against a computation of the test's own, requests counted, memory measured.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "tests are free to panic")]

#[path = "metrics/compare.rs"]
mod compare;
#[path = "metrics/failures.rs"]
mod failures;
#[path = "metrics/images.rs"]
mod images;
#[path = "metrics/many.rs"]
mod many;
mod support;
mod world;

use std::time::Duration;

use serde_json::Value;

use support::{Landfall, Outcome};
use world::clock::Moment;
use world::github::TOKEN;
use world::github::actions::{Job, Run, Step};
use world::{Skin, World};

/// A Monday.
const START: i64 = 1_750_032_000;
const MINUTE: i64 = 60;
const DAY: i64 = 86_400;

fn at(seconds: i64) -> Moment {
    Moment::from_second(START + seconds)
}

fn sha(number: u64) -> String {
    format!("{number:040x}")
}

/// A world with the repository and nothing in it yet.
fn start() -> World {
    let world = World::start_blocking();
    world.state().github.repository("acme/app").commit("main", &[("README", "app")]);
    world
}

/// A step that measures; old runs count as well.
fn step(world: &World) -> Landfall {
    Landfall::new("metrics")
        .token(TOKEN)
        .envs(world.github_env())
        .env("DOCKER_HOST", "unix:///nowhere/docker.sock")
        .input("since", "36500d")
}

/// A run that ended.
fn ended(workflow: &str, number: u64, conclusion: &str, start: i64, minutes: i64) -> Run {
    let took = Duration::from_secs(u64::try_from(minutes * MINUTE).unwrap());
    let run = Run::ended("push", "main", &sha(number), conclusion, at(start), took);
    Run { workflow: workflow.into(), ..run }
}

/// A job with steps, each a name and a conclusion.
fn job(name: &str, start: i64, minutes: i64, steps: &[(&str, &str)]) -> Job {
    let step = |(name, conclusion): &(&str, &str)| Step {
        name: (*name).into(),
        status: "completed".into(),
        conclusion: Some((*conclusion).into()),
        ..Step::default()
    };
    Job {
        name: name.into(),
        status: "completed".into(),
        conclusion: Some("success".into()),
        created_at: Some(at(start)),
        started_at: Some(at(start)),
        completed_at: Some(at(start + minutes * MINUTE)),
        steps: steps.iter().map(step).collect(),
        ..Job::default()
    }
}

/// Two weeks of a small repository: a build that gets slower, tests that build the image again.
fn small(world: &World) {
    let mut state = world.state();
    let actions = state.github.actions("acme/app");
    actions.workflow("docker-build.yml").name = "Docker Build".into();
    actions.workflow("tests.yml").name = "Integration Tests".into();
    actions.workflow("docs.yml").name = "Docs".into();
    for day in 0..10 {
        let (number, begin) = (u64::try_from(day).unwrap(), day * DAY);
        let minutes = 10 + day;
        let mut build = ended("docker-build.yml", number, if day == 4 { "failure" } else { "success" }, begin, minutes);
        build.jobs = vec![job("build", begin + 2 * MINUTE, minutes - 2, &[("Build Docker image", "success")])];
        actions.add(build);
        let mut tests =
            ended("tests.yml", number, if day % 5 == 0 { "cancelled" } else { "success" }, begin + 3600, 30);
        let pull = if day == 7 { "failure" } else { "success" };
        let steps = [
            ("Pull image", pull),
            ("Build Docker image", if day < 3 { "success" } else { "skipped" }),
            ("Prune old images", "success"),
        ];
        tests.jobs = vec![job("tests", begin + 3600 + MINUTE, 29, &steps)];
        tests.attempt = if day == 9 { 2 } else { 1 };
        for job in &mut tests.jobs {
            job.attempt = tests.attempt;
        }
        actions.add(tests);
    }
    let mut running = ended("docker-build.yml", 99, "success", 10 * DAY, 1);
    (running.status, running.conclusion) = ("in_progress".into(), None);
    actions.add(running);
}

fn report(outcome: &Outcome) -> Value {
    let text = std::fs::read_to_string(outcome.workspace().join(outcome.output("report"))).unwrap();
    serde_json::from_str(&text).unwrap()
}

/// Without the date that depends on today.
fn shown(outcome: &Outcome) -> String {
    let report = outcome.report();
    let line = |line: &str| {
        line.split_once(" runs since ")
            .map_or_else(|| line.to_owned(), |(runs, _)| format!("{runs} runs since <then>. …"))
    };
    report.lines().map(line).collect::<Vec<_>>().join("\n")
}

#[test]
fn a_small_repository_is_told_in_tables_and_charts() {
    let world = start();
    small(&world);
    let outcome = step(&world).input("workflows", "docker-build.yml, integration *").run();
    outcome.succeeded();
    insta::assert_snapshot!(shown(&outcome));
    assert!(outcome.workspace().join("ci-metrics.svg").is_file());
    world.finish();
}

#[test]
fn the_figures_are_those_that_the_test_computes_itself() {
    let world = start();
    small(&world);
    let outcome = step(&world).input("workflows", "Docker*").run();
    outcome.succeeded();
    // Nine successes of 10..=19 minutes without 14; one failure; the running one says nothing.
    let minutes = [10.0, 11.0, 12.0, 13.0, 15.0, 16.0, 17.0, 18.0, 19.0];
    assert_eq!(outcome.output("avg_build_time"), format!("{:.2}", minutes.iter().sum::<f64>() / 9.0));
    assert_eq!((outcome.output("p50"), outcome.output("p95")), ("15.00", "19.00"));
    assert_eq!((outcome.output("total"), outcome.output("failure_rate")), ("10", "10.00"));
    assert_eq!(outcome.output("queue_time"), "2.00");
    let report = report(&outcome);
    // Older half 10 11 12 13 (median 11), newer half 16 17 18 19 (median 17), by nearest rank.
    let trend = report["total"]["trend"].as_f64().unwrap();
    assert!((trend - 6.0 / 11.0 * 100.0).abs() < 1e-9, "{trend}");
    assert_eq!(report["total"]["execution"]["p50"], 13 * 60);
    world.finish();
}

#[test]
fn builds_of_one_commit_are_counted_over_workflows() {
    let world = start();
    small(&world);
    let outcome = step(&world).inputs(&[("max_redundant_builds", "0"), ("min_pull_success", "95%")]).run();
    outcome.succeeded();
    let report = report(&outcome);
    // Ten builds; of the tests' own, those of days 1 and 2: the run of day 0 was cancelled, so that its jobs are not read.
    assert_eq!(report["builds"]["builds"], 12);
    assert_eq!((report["builds"]["commits"].as_u64(), report["builds"]["redundant"].as_u64()), (Some(10), Some(2)));
    assert_eq!(outcome.output("builds_per_commit"), "1.20");
    // Eight runs were judged, one pull failed.
    assert_eq!((outcome.output("pull_success_rate"), outcome.output("cleanup_success_rate")), ("87.50", "100.00"));
    let breaches: Value = serde_json::from_str(outcome.output("breaches")).unwrap();
    let named: Vec<&str> = breaches.as_array().unwrap().iter().map(|b| b["threshold"].as_str().unwrap()).collect();
    assert_eq!(named, ["max_build_time", "max_failure_rate", "max_redundant_builds", "min_pull_success"]);
    assert_eq!(outcome.output("passed"), "false");
    assert_eq!(outcome.annotations("warning").len(), 1, "told once, and no failure unless that is wanted");
    world.finish();
}

#[test]
fn branches_and_age_limit_what_counts() {
    let world = start();
    {
        let mut state = world.state();
        let now = state.clock.now();
        let actions = state.github.actions("acme/app");
        for (branch, age) in [("main", 1), ("release/1", 2), ("release/1/x", 2), ("dev", 3), ("main", 40)] {
            let begin = Moment::from_second(now.as_second() - age * DAY);
            let run = Run::ended("push", branch, &sha(1), "success", begin, Duration::from_secs(60));
            actions.add(Run { workflow: "ci.yml".into(), ..run });
        }
    }
    let total = |run: Landfall| run.run().succeeded().output("total").to_owned();
    let plain = || step(&world).input("since", "30d");
    assert_eq!(total(plain()), "4");
    assert_eq!(total(plain().input("branches", "main, release/*")), "2");
    assert_eq!(total(plain().input("since", "60d").input("branches", "main")), "2");
    world.finish();
}

#[test]
fn a_second_collection_asks_only_for_what_is_new() {
    let world = start();
    {
        let mut state = world.state();
        let now = state.clock.now().as_second();
        let actions = state.github.actions("acme/app");
        for number in 0..250_u32 {
            let begin = Moment::from_second(now - i64::from(number + 1) * 3600 - 5 * DAY);
            let run = Run::ended("push", "main", &sha(u64::from(number)), "success", begin, Duration::from_secs(600));
            actions.add(Run { workflow: "ci.yml".into(), ..run });
        }
    }
    let plain = || step(&world).inputs(&[("since", "60d"), ("limit", "1000"), ("jobs", "20")]);
    let first = plain().run();
    first.succeeded();
    let asked = world.calls(Skin::Github).len();
    // The repository, its workflows, the limit, three pages, twenty jobs.
    assert_eq!(asked, 1 + 1 + 1 + 3 + 20);
    let text = std::fs::read(first.workspace().join("ci-metrics.json")).unwrap();
    {
        let mut state = world.state();
        let begin = Moment::from_second(state.clock.now().as_second() - 1200);
        let run = Run::ended("push", "main", &sha(7), "failure", begin, Duration::from_secs(600));
        state.github.actions("acme/app").add(Run { workflow: "ci.yml".into(), ..run });
    }
    let second = plain().file("before.json", text).input("previous", "before.json").run();
    second.succeeded();
    assert_eq!((second.output("total"), first.output("total")), ("251", "250"));
    // One page, and the jobs of the one new run: of the twenty newest, nineteen are known.
    assert_eq!(world.calls(Skin::Github).len() - asked, 1 + 1 + 1 + 1 + 1);
    world.finish();
}

#[test]
fn the_report_has_exactly_the_fields_of_its_schema() {
    let world = start();
    small(&world);
    let outcome = step(&world).run();
    outcome.succeeded();
    let schema = std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/schema/metrics.schema.json")).unwrap();
    let schema: Value = serde_json::from_str(&schema).unwrap();
    let names = |value: &Value| value.as_object().unwrap().keys().cloned().collect::<std::collections::BTreeSet<_>>();
    assert_eq!(names(&report(&outcome)), names(&schema["properties"]));
    world.finish();
}

#[test]
fn a_dry_run_reads_no_runs_and_writes_nothing() {
    let world = start();
    small(&world);
    let outcome = step(&world).inputs(&[("dry_run", "true"), ("images", "ghcr.io/acme/app")]).run();
    outcome.succeeded();
    assert!(
        outcome.raw.contains("read runs of acme/app") && outcome.raw.contains("count the images of ghcr.io/acme/app")
    );
    assert!(!outcome.workspace().join("ci-metrics.json").exists());
    assert!(world.calls(Skin::Github).iter().all(|call| !call.ends_with("/runs")), "{:?}", world.calls(Skin::Github));
    world.finish();
}
