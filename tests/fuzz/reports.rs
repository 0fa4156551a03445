//! Reports of tests, coverage, scanners and plans, and the comment that is made of them.

use landfall::domain::markdown;
use landfall::domain::report::{coverage, junit, passage, plan, sarif};

/// Any bytes end: as a report, or as an error that says what is wrong.
pub(crate) fn run(data: &[u8]) {
    let Some((choice, data)) = data.split_first() else { return };
    match choice % 5 {
        0 => {
            let mut tests = junit::Tests::default();
            let _ = junit::read(data, &mut tests);
        }
        1 => {
            let mut found = coverage::Coverage::default();
            let _ = coverage::read(data, &["/github/workspace"], &mut found);
            assert!(found.lines().covered <= found.lines().all);
            assert!(found.branches().covered <= found.branches().all);
        }
        2 => {
            let mut findings = sarif::Findings::default();
            let _ = sarif::read(data, &mut findings);
        }
        3 => drop(plan::read(data)),
        _ => {
            let text = String::from_utf8_lossy(data);
            let passage = passage::passage(&text);
            assert!(!passage.text.contains("<!--"), "{}", passage.text);
            let escaped = markdown::escaped(&text);
            assert!(!escaped.contains("<!--") && !escaped.contains('\n'), "{escaped}");
        }
    }
}
