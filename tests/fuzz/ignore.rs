//! `.dockerignore` files and the paths that they are asked about.

use landfall::domain::ignore::{self, Directory, Filter};

/// Patterns before the first zero byte, a path behind it: every walk down that path ends, and says the same twice.
pub(crate) fn run(data: &[u8]) {
    let split = data.iter().position(|byte| *byte == 0);
    let (patterns, path) = split.map_or((data, &b"a/b/c"[..]), |at| (&data[..at], &data[at + 1..]));
    let patterns = ignore::parse(patterns);
    let Ok(filter) = Filter::new(Vec::new(), patterns.clone()) else { return };
    let again = Filter::new(Vec::new(), patterns).unwrap();
    assert_eq!(walk(&filter, path), walk(&again, path));
    let includes = Filter::new(ignore::parse(path), Vec::new());
    drop(includes.map(|filter| walk(&filter, path)));
}

/// How deep the walk gets, and whether the file at its end is wanted.
fn walk(filter: &Filter, path: &[u8]) -> (usize, bool) {
    let parts: Vec<&[u8]> = path.split(|byte| *byte == b'/').filter(|part| !part.is_empty()).take(12).collect();
    let mut visit = None;
    for depth in 1..parts.len() {
        match filter.directory(&parts[..depth].join(&b'/'), visit.as_ref()) {
            Directory::Skip => return (depth, false),
            Directory::Walk(seen) | Directory::Send(seen) => visit = Some(seen),
        }
    }
    (parts.len(), filter.file(&parts.join(&b'/'), visit.as_ref()))
}
