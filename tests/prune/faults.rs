//! Purpose: each call of an apply with every failure there is: the exit code is honest, nothing that stays is harmed, and
//! the next run comes to the end.

use super::{APP, DAY, applying, image, index, shelf, start, step, whole, with_snapshot};
use crate::support::Outcome;
use crate::world::{Fault, Skin, World};

/// A call, and how a request to it is recognised.
struct Call {
    name: &'static str,
    fault: fn() -> Fault,
    /// Which of the requests is struck.
    nth: u32,
}

const CALLS: [Call; 6] = [
    Call { name: "account", fault: || Fault::on(Skin::Github).method("GET").path("/users/acme"), nth: 1 },
    Call { name: "listing", fault: || Fault::on(Skin::Github).method("GET").path("*/versions"), nth: 2 },
    Call { name: "manifest", fault: || Fault::on(Skin::Registry).method("GET").path("*/manifests/sha256*"), nth: 3 },
    Call { name: "second list of tags", fault: || Fault::on(Skin::Registry).path("*/tags/list"), nth: 1 },
    Call { name: "check", fault: || Fault::on(Skin::Github).method("GET").path("*/versions/*"), nth: 2 },
    Call { name: "deletion", fault: || Fault::on(Skin::Github).method("DELETE"), nth: 2 },
];

/// What makes a fault out of a rule.
type Failing = fn(Fault) -> Fault;

/// A failure that passes when it is tried again.
const PASSING: [(&str, Failing); 5] = [
    ("429", |fault| fault.status(429).retry_after(0)),
    ("secondary limit", |fault| {
        fault.status(403).error("", "You have exceeded a secondary rate limit.").retry_after(0)
    }),
    ("503", |fault| fault.status(503)),
    ("reset", Fault::reset),
    ("reset after it was done", |fault| fault.after_effect().reset()),
];

/// GitHub's API has this limit; its registry does not.
fn applies(call: &Call, name: &str) -> bool {
    name != "secondary limit" || !matches!(call.name, "manifest" | "second list of tags")
}

/// A failure that stays, and the exit codes that are honest about it.
const LASTING: [(&str, Failing, &[i32]); 3] = [
    ("500 for ever", |fault| fault.status(500), &[1, 4]),
    ("a limit of two hours", |fault| fault.status(429).retry_after(7200), &[4]),
    ("403", |fault| fault.status(403).error("DENIED", "Resource not accessible by integration"), &[5]),
];

fn shop() -> World {
    let world = start();
    index(&world, "latest", DAY);
    index(&world, "v1", 90 * DAY);
    index(&world, "pr-1", 30 * DAY);
    image(&world, "pr-2", 30 * DAY);
    world
}

fn intact(world: &World, name: &str) {
    whole(world);
    let left = shelf(world);
    for tag in ["latest", "v1"] {
        assert!(left.values().flatten().any(|known| known == tag), "{name}: {tag} is gone");
    }
}

/// A run without faults comes to the end, whatever was before.
fn converges(world: &World, earlier: Option<&Outcome>, name: &str) {
    world.state().faults.clear();
    let step = match earlier {
        Some(earlier) if earlier.workspace().join("landfall-prune-snapshot.json").exists() => {
            with_snapshot(applying(world), earlier)
        }
        _ => applying(world),
    };
    let outcome = step.run();
    assert_eq!(outcome.code, Some(0), "{name}: {}", outcome.report());
    assert_eq!(whole(world), 6, "{name}: {}", outcome.report());
    world.explain_writes();
}

#[test]
fn what_passes_is_outlasted() {
    std::thread::scope(|scope| {
        for call in &CALLS {
            scope.spawn(move || {
                for (name, fault) in PASSING.into_iter().filter(|(name, _)| applies(call, name)) {
                    let name = format!("{} × {name}", call.name);
                    let world = shop();
                    world.fault(fault((call.fault)()).nth(call.nth));
                    let outcome = applying(&world).run();
                    assert_eq!(outcome.code, Some(0), "{name}: {}", outcome.report());
                    assert_eq!(outcome.output("deleted"), "4", "{name}: {}", outcome.report());
                    assert_eq!(whole(&world), 6, "{name}");
                    world.explain_writes();
                    world.finish();
                }
            });
        }
    });
}

#[test]
fn what_lasts_is_told_and_harms_nothing() {
    std::thread::scope(|scope| {
        for call in &CALLS {
            scope.spawn(move || {
                for (name, fault, codes) in LASTING {
                    let name = format!("{} × {name}", call.name);
                    let world = shop();
                    world.fault(fault((call.fault)()).from(call.nth));
                    let outcome = applying(&world).run();
                    let code = outcome.code.unwrap_or(-1);
                    assert!(codes.contains(&code), "{name}: exit {code}\n{}", outcome.report());
                    assert_eq!(outcome.annotations("error").len(), 1, "{name}");
                    assert_ne!(outcome.output("passed"), "true", "{name}");
                    intact(&world, &name);
                    converges(&world, Some(&outcome), &name);
                    world.finish();
                }
            });
        }
    });
}

#[test]
fn refusals_of_a_single_deletion_do_not_stop_the_rest() {
    let last = "You cannot delete the last tagged version of a package. You must delete the package instead.";
    let popular = "Publicly visible package versions with more than 5000 downloads cannot be deleted.";
    let cases: [(&str, u16, &str, i32, &str); 3] = [
        ("last tagged", 400, last, 0, "retained"),
        ("downloads", 400, popular, 0, "retained"),
        ("unknown", 422, "Validation Failed", 1, "failed"),
    ];
    for (name, status, words, code, counted) in cases {
        let world = shop();
        world.fault(Fault::on(Skin::Github).method("DELETE").nth(1).status(status).error("", words));
        let outcome = applying(&world).run();
        assert_eq!(outcome.code, Some(code), "{name}: {}", outcome.report());
        assert_eq!(outcome.output(counted), "1", "{name}: {}", outcome.report());
        // Whichever it was: an index that stays keeps its two parts, and the rest goes.
        let deleted: usize = outcome.output("deleted").parse().unwrap();
        assert!(matches!(deleted, 1 | 3), "{name}: {deleted}");
        intact(&world, name);
        converges(&world, Some(&outcome), name);
        world.finish();
    }
}

#[test]
fn a_ghost_that_is_gone_before_its_turn_is_nothing_to_worry_about() {
    let world = shop();
    world.fault(Fault::on(Skin::Github).method("DELETE").nth(1).status(404).error("", "Not Found").after_effect());
    let outcome = applying(&world).run();
    assert_eq!(outcome.code, Some(0), "{}", outcome.report());
    assert_eq!(whole(&world), 6);
    world.explain_writes();
    world.finish();
}

#[test]
fn killed_at_any_deletion_leaves_everything_whole_and_can_be_undone_or_finished() {
    for nth in 1..=4 {
        for restores in [true, false] {
            let world = shop();
            let before = shelf(&world);
            world.fault(Fault::on(Skin::Github).method("DELETE").nth(nth).after_effect().hold_answer("answer"));
            let running = applying(&world).input("concurrency", "1").start();
            while world.take_deletes() < nth as usize {
                std::thread::yield_now();
            }
            running.signal("KILL");
            let outcome = running.wait();
            assert_eq!(outcome.code, None);
            world.release("answer");
            intact(&world, &format!("killed at {nth}"));
            if restores {
                let restore = step(&world).inputs(&[("operation", "restore"), ("dry_run", "false")]);
                let restored = with_snapshot(restore, &outcome).run();
                restored.succeeded();
                assert_eq!(restored.output("deleted"), nth.to_string(), "{}", restored.report());
                assert_eq!(shelf(&world), before, "killed at {nth}");
            } else {
                world.state().faults.clear();
                let next = with_snapshot(applying(&world).input("max_delete_fraction", "1"), &outcome).run();
                next.succeeded();
                whole(&world);
                // Parts whose index is gone are orphans now, and old ones: they go as well.
                assert_eq!(shelf(&world).len(), 6, "killed at {nth}: {}", next.report());
            }
            world.explain_writes();
            world.finish();
        }
    }
}

impl World {
    /// Deletions that happened so far.
    fn take_deletes(&self) -> usize {
        self.state().writes.iter().filter(|write| write.contains("delete version")).count()
    }
}

#[test]
fn cancelled_means_finished_in_order_with_a_snapshot() {
    let world = shop();
    world.fault(Fault::on(Skin::Github).method("DELETE").nth(1).hold("gate").optional());
    let mut running = applying(&world).input("concurrency", "1").start();
    running.wait_for_log("Deleting");
    while !world.calls(Skin::Github).iter().any(|call| call.starts_with("DELETE")) {
        std::thread::yield_now();
    }
    running.signal("TERM");
    let outcome = running.wait();
    outcome.failed(130, "cancelled");
    world.release("gate");
    assert!(outcome.workspace().join("landfall-prune-snapshot.json").exists());
    intact(&world, "cancelled");
    world.explain_writes();
    world.close();
}

#[test]
fn a_snapshot_that_cannot_be_written_stops_everything_before_the_first_deletion() {
    let world = shop();
    let before = shelf(&world);
    let outcome = applying(&world).file("there", "a file").input("snapshot", "there/snapshot.json").run();
    assert_ne!(outcome.code, Some(0), "{}", outcome.report());
    assert_eq!(shelf(&world), before);
    assert_eq!(world.state().images.repositories[APP].manifests.len(), 10);
    world.finish();
}
