//! Ten thousand runs: no request too many, no memory that grows with them.

use std::time::Duration;

use super::{DAY, TOKEN, at, sha, step};
use crate::support::Landfall;
use crate::world::github::actions::{Actions, Run};
use crate::world::{Skin, World};

const WORKFLOWS: [(&str, i64); 3] = [("build.yml", 6000), ("tests.yml", 3950), ("e2e.yml", 50)];

/// Runs of three workflows, over a year, with a length and an end that follow from their number.
fn fill(actions: &mut Actions, share: i64) {
    for (file, count) in WORKFLOWS {
        for number in 0..count / share {
            let conclusion = match number % 10 {
                3 => "failure",
                5 => "cancelled",
                7 => "skipped",
                _ => "success",
            };
            let took = Duration::from_secs(u64::try_from(60 + number * 37 % 1801).unwrap());
            let run = Run::ended(
                "push",
                "main",
                &sha(u64::try_from(number % 997).unwrap()),
                conclusion,
                at(number * 300),
                took,
            );
            let number = u64::try_from(number + 1).unwrap();
            actions.add(Run { workflow: file.into(), title: "x".repeat(2000), number, ..run });
        }
    }
}

fn measured(world: &World) -> Landfall {
    world.state().github.rate.remaining = 1000;
    step(world).token(TOKEN).inputs(&[("limit", "10000"), ("jobs", "0")])
}

/// Runs to the end while its memory is read; the most that it had, in kB.
fn peak(run: Landfall) -> (crate::support::Outcome, u64) {
    let running = run.start();
    let status = format!("/proc/{}/status", running.id());
    let watcher = std::thread::spawn(move || {
        let mut peak = 0;
        // The high-water mark never falls; the file loses it when the process ends.
        while let Ok(text) = std::fs::read_to_string(&status) {
            let line = text.lines().find_map(|line| line.strip_prefix("VmHWM:"));
            let Some(value) = line.and_then(|line| line.trim().split(' ').next()?.parse::<u64>().ok()) else {
                break;
            };
            peak = peak.max(value);
            std::thread::sleep(Duration::from_millis(2));
        }
        peak
    });
    let outcome = running.wait();
    (outcome, watcher.join().unwrap())
}

#[test]
fn ten_thousand_runs_take_as_many_requests_as_pages() {
    let world = super::start();
    fill(world.state().github.actions("acme/app"), 1);
    let outcome = measured(&world).run();
    outcome.succeeded();
    assert_eq!(outcome.output("total"), "10000");
    let pages: i64 = WORKFLOWS.iter().map(|(_, count)| (count + 99) / 100).sum();
    let calls = world.calls(Skin::Github);
    let listed = calls.iter().filter(|call| call.ends_with("/runs")).count();
    assert_eq!(listed, usize::try_from(pages).unwrap(), "a page is asked for once, and none in vain");
    assert_eq!(calls.len(), listed + 3, "beside the pages: the repository, its workflows, the limit");

    // The same figures by another way: from the numbers that made the runs.
    let mut lengths = Vec::new();
    let mut failed = 0;
    for (_, count) in WORKFLOWS {
        for number in 0..count {
            match number % 10 {
                3 => failed += 1,
                5 | 7 => {}
                _ => lengths.push(60 + number * 37 % 1801),
            }
        }
    }
    lengths.sort_unstable();
    let mean = lengths.iter().sum::<i64>() as f64 / lengths.len() as f64 / 60.0;
    let at_share = |share: f64| lengths[(share * lengths.len() as f64).ceil() as usize - 1] as f64 / 60.0;
    assert_eq!(outcome.output("avg_build_time"), format!("{mean:.2}"));
    assert_eq!(outcome.output("p50"), format!("{:.2}", at_share(0.5)));
    assert_eq!(outcome.output("p95"), format!("{:.2}", at_share(0.95)));
    let rate = f64::from(failed) * 100.0 / (f64::from(failed) + lengths.len() as f64);
    assert_eq!(outcome.output("failure_rate"), format!("{rate:.2}"));
    world.finish();
}

#[test]
fn ten_times_the_runs_do_not_take_much_more_memory() {
    let world = super::start();
    fill(world.state().github.actions("acme/app"), 10);
    let (few, small) = peak(measured(&world));
    few.succeeded();
    world.finish();
    let world = super::start();
    fill(world.state().github.actions("acme/app"), 1);
    let (many, large) = peak(measured(&world));
    many.succeeded();
    assert_eq!((few.output("total"), many.output("total")), ("1000", "10000"));
    // The bodies alone are above 30 MB; what stays of a run is some hundred bytes.
    assert!(large < small + 24 * 1024, "1,000 runs took {small} kB, 10,000 took {large} kB");
    world.finish();
}

#[test]
fn the_budget_bounds_what_is_read_and_the_report_says_so() {
    let world = super::start();
    fill(world.state().github.actions("acme/app"), 1);
    let outcome = measured(&world).input("max_requests", "12").run();
    outcome.succeeded();
    let listed = world.calls(Skin::Github).iter().filter(|call| call.ends_with("/runs")).count();
    assert_eq!(listed, 12);
    assert!(outcome.summary.contains("the requests were used up"), "{}", outcome.summary);
    world.finish();
}

#[test]
fn a_tenth_of_the_tokens_limit_stays_with_others() {
    let world = super::start();
    fill(world.state().github.actions("acme/app"), 1);
    let run = measured(&world);
    // 1000 an hour; repository and workflows take two of them.
    world.state().github.rate.remaining = 107;
    let outcome = run.run();
    outcome.succeeded();
    assert_eq!(world.state().github.rate.remaining, 100);
    assert!(outcome.output("total").parse::<u64>().unwrap() <= 500, "{}", outcome.output("total"));
    let _ = DAY;
    world.finish();
}
