//! Purpose: how much the pure engines do in a second, on one core; the end of `make bench`.
//!
//! Every line is the fastest of five runs over input that is made up here, large enough to leave the caches.
#![allow(
    clippy::unwrap_used,
    clippy::print_stdout,
    clippy::disallowed_methods,
    reason = "a development tool that measures and prints"
)]

use std::fmt::Write as _;
use std::time::{Duration, Instant};

use landfall::domain::ignore::{self, Directory, Filter};
use landfall::domain::names::Digest;
use landfall::domain::report::{coverage, junit};
use landfall::domain::retention::{
    Content, Evidence, Facts, Listing, Node, PolicyBlock, Registry, Repository, Untagging, plan,
};
use landfall::domain::slug::{Keep, Slug};
use landfall::runner::{Level, Log, Masks, Random};

fn main() {
    println!("{:28} {:>10}   work", "engine", "speed");
    slugs();
    log();
    patterns();
    reports();
    retention();
}

/// The fastest of five runs.
fn fastest(mut work: impl FnMut()) -> Duration {
    let runs = (0..5).map(|_| {
        let began = Instant::now();
        work();
        began.elapsed()
    });
    runs.min().unwrap()
}

fn show(engine: &str, amount: f64, unit: &str, took: Duration, work: &str) {
    println!("{engine:28} {:>10}   {work}", format!("{:.1} {unit}/s", amount / took.as_secs_f64()));
}

fn slugs() {
    let names: Vec<String> = (0..100_000).map(|n| format!("Feature/JIRA-{n}_Add  new rate-limits (v{n})")).collect();
    let keep = Keep::default();
    let took =
        fastest(|| drop(std::hint::black_box(names.iter().map(|name| Slug::of(name, &keep)).collect::<Vec<_>>())));
    show("slug of a branch", 0.1, "M", took, "100,000 names of 45 characters");
}

fn log() {
    let line = "#12 3.456 \u{1b}[32m   Compiling\u{1b}[0m serde v1.0.228 (registry+https://github.com/rust-lang/crates.io-index)";
    let took = fastest(|| {
        let log = Log::new(Box::new(std::io::sink()), true, Level::Info, Random::System, Masks::default());
        log.mask("a-secret-of-the-step");
        for _ in 0..200_000 {
            log.foreign(line);
        }
    });
    show(
        "foreign text to the log",
        200_000.0 * line.len() as f64 / 1e6,
        "MB",
        took,
        "200,000 lines of a build, one secret masked",
    );
}

fn patterns() {
    let patterns =
        ignore::parse(b"*\n!src/**\n!Cargo.*\n**/*.o\n**/node_modules\nsrc/**/testdata\n.git\n*.md\n!README.md\n");
    let filter = Filter::new(Vec::new(), patterns).unwrap();
    let paths: Vec<String> =
        (0..500).flat_map(|a| (0..100).map(move |b| format!("src/module{a}/part{b}.rs"))).collect();
    let took = fastest(|| {
        let (Directory::Walk(top) | Directory::Send(top)) = filter.directory(b"src", None) else { return };
        for path in &paths {
            std::hint::black_box(filter.file(path.as_bytes(), Some(&top)));
        }
    });
    show(".dockerignore", paths.len() as f64 / 1e6, "M", took, "50,000 paths, nine patterns");
}

fn reports() {
    let mut text = String::from("<testsuites><testsuite name='all'>\n");
    let mut lcov = String::new();
    for n in 0..200_000 {
        let _ = writeln!(
            text,
            "<testcase classname='tests.unit.test_pool' name='test_claim_{n}' time='0.5'><system-out>some output</system-out></testcase>"
        );
    }
    for file in 0..2000 {
        let _ = writeln!(lcov, "SF:src/file{file}.js");
        for line in 1..=500 {
            let _ = writeln!(lcov, "DA:{line},{}", line % 3);
        }
        lcov.push_str("end_of_record\n");
    }
    text.push_str("</testsuite></testsuites>");
    let took = fastest(|| junit::read(text.as_bytes(), &mut junit::Tests::default()).unwrap());
    show("JUnit", text.len() as f64 / 1e6, "MB", took, "200,000 tests");
    let took = fastest(|| coverage::read(lcov.as_bytes(), &[], &mut coverage::Coverage::default()).unwrap());
    show("LCOV", lcov.len() as f64 / 1e6, "MB", took, "a million lines of 2,000 files");
}

/// A third of the manifests are indexes over the other two thirds.
fn retention() {
    const NOW: i64 = 1_800_000_000;
    let digest = |number: usize| format!("sha256:{number:064x}").parse::<Digest>().unwrap();
    let mut registry = Registry::default();
    let (untagging, listing) = (Untagging::Impossible, Listing::Complete);
    registry.add_repository(Repository { name: "ghcr.io/acme/app".into(), untagging, listing, is_pruned: true });
    for number in 0..100_000_usize {
        let is_index = number % 3 == 2;
        let facts = Facts {
            children: if is_index { vec![digest(number - 1), digest(number - 2)] } else { Vec::new() },
            ..Facts::default()
        };
        let tag = (format!("pr-{number}-{number:07x}"), None);
        registry.add(Node {
            repository: 0,
            digest: digest(number),
            version: Some(number as u64),
            tags: if is_index { vec![tag] } else { Vec::new() },
            created: Some(NOW - 90 * 86_400 + number as i64),
            content: Content::Read(Box::new(facts)),
            is_listed: true,
            is_certain: true,
            size: None,
        });
    }
    let policy = PolicyBlock::default().policy().unwrap();
    let took = fastest(|| drop(std::hint::black_box(plan(&registry, &policy, &Evidence::default(), NOW))));
    show("retention plan", 0.1, "M", took, "100,000 manifests, a third of them indexes");
}
