//! Purpose: which files of a build context count, exactly as Docker decides it.
//!
//! Docker's matching is neither gitignore's nor the shell's. Its reference is `github.com/moby/patternmatcher` (and the
//! filter of `github.com/tonistiigi/fsutil` above it), which turns a pattern into a regular expression of the Go
//! language; this module gives the same answers, oddities included:
//!
//! - the last pattern that matches a path, or one of its parents, wins; `!` makes it an exception;
//! - `*` and `?` stop at `/`, `**` does not; `**/` may also stand for nothing;
//! - a pattern is anchored at the root; a leading or trailing `/` means nothing;
//! - `\` escapes, `[a-z]` and `[^a-z]` are classes.
//!
//! Two deliberate differences. `|`, `{` and `}` are always themselves (the reference means to escape them, but its table
//! is too small). Escapes that a regular expression knows and nobody means in a path (`\b`, `\Q`, `\pL`, `\x41` …) are
//! refused with an error.
//!
//! [`parse`] reads a `.dockerignore`; [`Patterns`] matches paths; [`Filter`] is what BuildKit's file sync asks for
//! (includes, excludes and what of a tree need not be walked); [`follow::includes`] turns its "follow paths" into includes.
//! Paths and patterns are bytes: file names need not be UTF-8.

mod class;
mod filter;
pub mod follow;
mod glob;
mod name;
mod patterns;

pub use filter::{Directory, Filter, Visit};
pub use patterns::{Matched, PatternError, Patterns};

/// The patterns of a `.dockerignore`: byte order mark, comments and blank lines dropped, paths cleaned, leading slashes
/// removed, `!` kept in front. Source: `moby/patternmatcher/ignorefile`.
#[must_use]
pub fn parse(text: &[u8]) -> Vec<Vec<u8>> {
    let text = text.strip_prefix(b"\xEF\xBB\xBF").unwrap_or(text);
    text.split(|byte| *byte == b'\n').filter_map(parse_line).collect()
}

fn parse_line(line: &[u8]) -> Option<Vec<u8>> {
    let line = line.strip_suffix(b"\r").unwrap_or(line);
    if line.starts_with(b"#") {
        return None;
    }
    let line = trim(line);
    let (exception, path) = match line.strip_prefix(b"!") {
        Some(rest) => (true, trim(rest)),
        None => (false, line),
    };
    if path.is_empty() {
        return exception.then(|| b"!".to_vec());
    }
    let path = clean(path);
    let path = if path.len() > 1 { path.strip_prefix(b"/").unwrap_or(&path) } else { &path };
    let mark: &[u8] = if exception { b"!" } else { b"" };
    Some([mark, path].concat())
}

/// Without white space around it, as Unicode knows white space.
fn trim(text: &[u8]) -> &[u8] {
    std::str::from_utf8(text).map_or_else(|_| text.trim_ascii(), |text| text.trim().as_bytes())
}

/// The shortest path that means the same, without looking at any file system (Go's `path.Clean`).
pub(crate) fn clean(path: &[u8]) -> Vec<u8> {
    let rooted = path.starts_with(b"/");
    let mut parts: Vec<&[u8]> = Vec::new();
    for part in path.split(|byte| *byte == b'/') {
        match part {
            b"" | b"." => {}
            b".." if parts.last().is_some_and(|last| *last != b"..") => {
                parts.pop();
            }
            b".." if rooted => {}
            part => parts.push(part),
        }
    }
    let joined = parts.join(&b'/');
    match (rooted, joined.is_empty()) {
        (true, _) => [b"/", joined.as_slice()].concat(),
        (false, true) => b".".to_vec(),
        (false, false) => joined,
    }
}

/// Everything before the last `/`; empty when there is none.
pub(crate) fn parent(path: &[u8]) -> &[u8] {
    path.iter().rposition(|byte| *byte == b'/').map_or(&[], |at| &path[..at])
}

#[cfg(test)]
mod tests;
