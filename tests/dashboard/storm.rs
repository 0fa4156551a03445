//! Many jobs at the same time, on a GitHub that is slow and shows writes late.
//!
//! `LANDFALL_STORM_ROUNDS` (3) is how often; 50 is for whoever changes how the comment is written.
#![allow(clippy::disallowed_methods, clippy::print_stdout, reason = "a test reads its own environment")]

use super::*;
use crate::world::github::Delays;

const STAGES: usize = 16;

fn rounds() -> usize {
    std::env::var("LANDFALL_STORM_ROUNDS").ok().and_then(|text| text.parse().ok()).unwrap_or(3)
}

/// Starts every run before it waits for any; gives the requests that each of them took on average.
fn storm(world: &World, runs: Vec<Landfall>) -> f64 {
    let before = requests(world);
    let count = runs.len();
    let running: Vec<_> = runs.into_iter().map(Landfall::start).collect();
    for run in running {
        run.wait().succeeded();
    }
    #[allow(clippy::cast_precision_loss, reason = "a few hundred requests")]
    let average = (requests(world) - before) as f64 / count as f64;
    average
}

/// Every stage has a row, with the link of its newest status when there are statuses.
#[track_caller]
fn assert_all_there(world: &World, round: usize) {
    let body = comment(world);
    let statuses = world.state().github.repository("acme/app").statuses.clone();
    for stage in 0..STAGES {
        let newest = statuses.iter().rfind(|status| status.context == format!("infra-dashboard/stage-{stage:02}"));
        let link = newest.and_then(|status| status.target_url.clone()).map(|url| format!("[View]({url})"));
        let row = format!("| stage-{stage:02} | ✅ | {} |", link.unwrap_or_default());
        assert!(body.contains(row.trim_end_matches(" |")), "round {round} lost '{row}':\n{body}");
    }
}

/// 64 processes: each of 16 stages is set by four jobs, each with a link of its own.
#[test]
fn with_statuses_no_update_is_lost() {
    for round in 0..rounds() {
        let world = World::start_blocking();
        world.state().github.rate.limit = 100_000;
        world.state().github.rate.remaining = 100_000;
        world.state().github.delays = Delays { latency: 100, lag: 300 };
        let sha = a_pull_request(&world);
        let runs = (0..64).map(|number| {
            let link = format!("https://ci.example/{number}");
            update(&world, &sha, &format!("stage-{:02}", number % STAGES), "success").input("link", link)
        });
        let average = storm(&world, runs.collect());
        assert_all_there(&world, round);
        assert_eq!(world.state().github.repository("acme/app").statuses.len(), 64);
        println!("round {round}: {average:.1} requests per update on average");
        assert!(average <= 20.0, "round {round}: {average} requests per update");
        world.explain_writes();
        world.finish();
    }
}

/// The comment alone: a job that only knows the comment repairs what others overwrite.
#[test]
fn in_the_comment_alone_lost_rows_are_repaired() {
    for round in 0..rounds() {
        let world = World::start_blocking();
        world.state().github.rate.limit = 100_000;
        world.state().github.rate.remaining = 100_000;
        world.state().github.delays = Delays { latency: 100, lag: 300 };
        let sha = a_pull_request(&world);
        let runs = (0..STAGES)
            .map(|number| update(&world, &sha, &format!("stage-{number:02}"), "success").input("records", "comment"));
        let average = storm(&world, runs.collect());
        println!("round {round}: {average:.1} requests per update on average");
        assert_all_there(&world, round);
        world.explain_writes();
        world.finish();
    }
}
