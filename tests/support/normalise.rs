//! Purpose: placeholders for what varies from run to run, so that snapshots hold still.

use std::sync::LazyLock;

use regex::{Captures, Regex};

/// Pattern and placeholder, applied in order.
static PATTERNS: LazyLock<Vec<(Regex, &str)>> = LazyLock::new(|| {
    let patterns = [
        (r"\d{4}-\d{2}-\d{2}T\d{2}:\d{2}:\d{2}(\.\d+)?(Z|[+-]\d{2}:\d{2})", "<time>"),
        (r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}", "<uuid>"),
        (r"\b(127\.0\.0\.1|localhost|\[::1\]):\d{2,5}\b", "<host>"),
        (r"\b\d+(\.\d+)? ?(ms|µs)\b", "<duration>"),
        (r"\b\d+\.\d+ ?s\b", "<duration>"),
    ];
    patterns.map(|(pattern, name)| (Regex::new(pattern).expect("a pattern"), name)).into()
});

/// Random delimiters and stop tokens: 32 hexadecimal digits that stand alone or behind `landfall_`.
static TOKEN: LazyLock<Regex> =
    LazyLock::new(|| Regex::new(r"(landfall_|::stop-commands::|^::)([0-9a-f]{32})").expect("a pattern"));

/// Replaces times, durations with a fraction, addresses, UUIDs and random tokens.
pub fn text(text: &str) -> String {
    let lines = text.lines().map(|line| {
        let line = TOKEN.replace_all(line, |found: &Captures<'_>| format!("{}<random>", &found[1])).into_owned();
        PATTERNS.iter().fold(line, |line, (pattern, name)| pattern.replace_all(&line, *name).into_owned())
    });
    let joined = lines.collect::<Vec<_>>().join("\n");
    if text.ends_with('\n') { joined + "\n" } else { joined }
}
