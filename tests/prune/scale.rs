//! Purpose: two thousand deletions at the limit's own speed, with every request counted.

use std::time::Duration;

use super::{APP, DAY, applying, image, start};
use crate::world::github::packages::Points;
use crate::world::{Skin, World};

fn filled(count: usize) -> World {
    let world = start();
    image(&world, "latest", DAY);
    {
        let mut state = world.state();
        for number in 0..count {
            state.images.image(&format!("{APP}:pr-{number}"));
        }
        state.age_all(APP, 30 * DAY);
        let latest = state.images.repositories[APP].tags["latest"].clone();
        state.age(APP, &latest, DAY);
        state.github.rate.limit = 100_000;
        state.github.rate.remaining = 100_000;
    }
    world
}

#[test]
fn two_thousand_deletions_ask_no_more_than_they_must() {
    let count = 2000;
    let world = filled(count);
    let outcome = applying(&world).run();
    outcome.succeeded();
    assert_eq!(outcome.output("deleted"), count.to_string(), "{}", outcome.report());
    let github = world.calls(Skin::Github);
    let with =
        |start: &str, part: &str| github.iter().filter(|call| call.starts_with(start) && call.contains(part)).count();
    let deletes = with("DELETE", "/versions/");
    let checks = with("GET", "/versions/");
    let pages = with("GET", "/versions") - checks;
    assert_eq!((deletes, checks), (count, count));
    // Two looks at 21 pages, and one look at the newest before each fifty deletions.
    assert!(pages <= 2 * 21 + count.div_ceil(50), "{pages} pages");
    let registry = world.calls(Skin::Registry);
    let manifests = registry.iter().filter(|call| call.contains("/manifests/")).count();
    assert_eq!(manifests, count + 1, "each distinct manifest is read once");
    world.explain_writes();
    world.finish();
}

#[test]
fn a_limit_is_kept_to_and_outlasted() {
    // The limit of a minute in one and a half seconds: the same rules, forty times as fast.
    for shared in [false, true] {
        let world = filled(300);
        world.state().github.packages.points =
            Some(Points { most: 900, window: Duration::from_millis(1500), shared, retry_after: 1, spent: Vec::new() });
        let outcome = applying(&world).input("points_per_minute", "36000").run();
        outcome.succeeded();
        assert_eq!(outcome.output("deleted"), "300", "{}", outcome.report());
        let refused = world.requests(Skin::Github).iter().filter(|request| request.status == 403).count();
        // What was under way together is refused together.
        assert!(refused <= if shared { 40 } else { 16 }, "shared: {shared}, {refused} refused");
        world.explain_writes();
        world.finish();
    }
}
