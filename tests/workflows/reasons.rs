//! Troubleshooting: every reason that a run can end with is explained.

use std::collections::BTreeSet;

use super::{files, text};

const PAGE: &str = "docs/troubleshooting.md";
/// The classes of errors that `reason!` puts behind an upstream's name.
const CLASSES: [&str; 7] =
    ["not-found", "unauthenticated", "forbidden", "refused", "rate-limited", "unavailable", "failed"];

/// A code: lower-case words with hyphens.
fn is_code(text: &str) -> bool {
    let word = |word: &str| !word.is_empty() && word.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit());
    !text.is_empty() && text.split('-').all(word)
}

/// The code without its tests: those come last in a file.
fn code(path: &str) -> String {
    let text = text(path);
    text.split("#[cfg(test)]\nmod ").next().unwrap_or_default().to_owned()
}

/// The string literals that stand right behind a marker, after blanks and an opening quote.
fn literals_after<'a>(source: &'a str, marker: &'a str) -> impl Iterator<Item = &'a str> {
    source.match_indices(marker).filter_map(move |(at, _)| {
        let rest = source.get(at + marker.len()..)?.trim_start();
        rest.strip_prefix('"')?.split('"').next()
    })
}

/// Reasons of failures, from the places where they are made: behind a `Kind`, in `reason!`, and in front of a title or a
/// hint.
fn reasons() -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    for path in files("src", &[".rs"]) {
        if path.ends_with("/tests.rs") || path.ends_with("_tests.rs") {
            continue;
        }
        let source = code(&path);
        for kind in ["Work", "Input", "Gate", "Upstream", "Auth", "Cancelled"] {
            let marker = format!("Kind::{kind},");
            found.extend(literals_after(&source, &marker).filter(|text| is_code(text)).map(str::to_owned));
        }
        for upstream in literals_after(&source, "reason!(").filter(|text| is_code(text)) {
            found.extend(CLASSES.iter().map(|class| format!("{upstream}-{class}")));
        }
        if path.starts_with("src/commands/") || path.starts_with("src/runner/") {
            found.extend(pairs(&source));
        }
    }
    found
}

/// `("no-rule", "Add a rule for it.")`, `work("artifact-file", "Which file?")`: a code, and text for people behind it.
fn pairs(source: &str) -> BTreeSet<String> {
    let first = literals_after(source, "(").filter(|text| is_code(text) && text.contains('-'));
    let with_words = first.filter(|text| {
        let marker = format!("\"{text}\",");
        source.match_indices(&marker).any(|(at, _)| {
            let rest = source.get(at + marker.len()..).unwrap_or_default().trim_start();
            rest.strip_prefix('"').is_some_and(|said| said.starts_with(|c: char| c.is_ascii_uppercase()))
        })
    });
    with_words.map(str::to_owned).collect()
}

/// Reasons that the tests have seen: `.failed(1, "reason")`.
fn reasons_seen() -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    for path in files("tests", &[".rs"]).into_iter().filter(|path| !path.starts_with("tests/workflows")) {
        let source = text(&path);
        for (at, marker) in source.match_indices(".failed(") {
            let rest = source.get(at + marker.len()..).unwrap_or_default();
            let second = rest.split_once(',').map(|(_, rest)| rest.trim_start()).unwrap_or_default();
            let literal = second.strip_prefix('"').and_then(|rest| rest.split('"').next());
            found.extend(literal.filter(|text| is_code(text)).map(str::to_owned));
        }
    }
    found
}

/// Codes that the page explains: the first cell of a row, in code marks, several divided by commas.
fn explained() -> BTreeSet<String> {
    let page = text(PAGE);
    let rows = page.lines().filter_map(|line| line.strip_prefix("| `")).filter_map(|row| row.split(" | ").next());
    rows.flat_map(|cell| {
        cell.split(['`', ',', ' ']).filter(|text| is_code(text)).map(str::to_owned).collect::<Vec<_>>()
    })
    .collect()
}

#[test]
fn every_reason_is_explained() {
    let known = explained();
    let missing: Vec<String> =
        reasons().union(&reasons_seen()).filter(|reason| !known.contains(*reason)).cloned().collect();
    assert!(missing.is_empty(), "{PAGE} does not explain: {}", missing.join(", "));
}

#[test]
fn reasons_are_found_wherever_they_are_made() {
    let found = reasons();
    for reason in ["invalid-input", "aws-forbidden", "no-rule", "smoke-failed", "cancelled", "threshold-exceeded"] {
        assert!(found.contains(reason), "{reason}");
    }
    assert_eq!(pairs(r#"work("a-b", "Title") ("c-d", "Do it.") ("e-f", "lower") x("g-h", other)"#).len(), 2);
}

#[test]
fn rows_say_symptom_cause_and_fix() {
    for line in text(PAGE).lines().filter(|line| line.starts_with("| `")) {
        assert_eq!(line.matches(" | ").count(), 3, "four cells, not: {line}");
        assert!(line.split(" | ").all(|cell| !cell.trim_matches(['|', ' ']).is_empty()), "an empty cell: {line}");
    }
}
