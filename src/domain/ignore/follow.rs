//! Purpose: turns "follow paths" (the sources of `COPY` and `ADD`) into include patterns: every symbolic link on the way
//! and what it points to (`FollowLinks` of `tonistiigi/fsutil`).

use std::collections::BTreeSet;

use super::{clean, name, parent};

/// The tree in which links are followed.
pub trait Tree {
    /// Why the tree could not be read.
    type Error;

    /// The target of a symbolic link; `None` for anything else, absent or not.
    ///
    /// # Errors
    /// Failures other than absence.
    fn link(&self, path: &[u8]) -> Result<Option<Vec<u8>>, Self::Error>;

    /// The names in a folder (empty path: the root); none when it is absent or no folder.
    ///
    /// # Errors
    /// Failures other than absence.
    fn names(&self, folder: &[u8]) -> Result<Vec<Vec<u8>>, Self::Error>;
}

/// The include patterns of a request: those given, and those that follow from the follow paths. Empty: everything is
/// included.
///
/// # Errors
/// Those of the tree.
pub fn includes<T: Tree>(tree: &T, given: Vec<Vec<u8>>, paths: &[Vec<u8>]) -> Result<Vec<Vec<u8>>, T::Error> {
    if paths.is_empty() {
        return Ok(given);
    }
    let mut seen = BTreeSet::new();
    let mut queue: Vec<Vec<u8>> = paths.iter().rev().cloned().collect();
    while let Some(path) = queue.pop() {
        let more = follow(tree, &path, &mut seen)?;
        queue.extend(more.into_iter().rev());
    }
    Ok(match without_covered(seen) {
        Some(followed) => without_covered(given.into_iter().chain(followed)).unwrap_or_default(),
        None => given,
    })
}

/// Walks one path to its end or to the first link on it, notes what must be included, and returns where to go on.
fn follow<T: Tree>(tree: &T, path: &[u8], seen: &mut BTreeSet<Vec<u8>>) -> Result<Vec<Vec<u8>>, T::Error> {
    let path = clean(&[b"./", path].concat());
    let parts: Vec<&[u8]> = path.split(|byte| *byte == b'/').collect();
    let mut current = Vec::new();
    for (index, part) in parts.iter().enumerate() {
        current = join(&current, part);
        let rest = parts[index + 1..].join(&b'/');
        if let Some(targets) = targets(tree, &current)? {
            if !seen.insert(current) {
                return Ok(Vec::new());
            }
            return Ok(targets.into_iter().map(|target| join(&target, &rest)).collect());
        }
    }
    seen.insert(current);
    Ok(Vec::new())
}

/// Where a path (whose last part may have wildcards) points to; `None` when nothing there is a link.
fn targets<T: Tree>(tree: &T, path: &[u8]) -> Result<Option<Vec<Vec<u8>>>, T::Error> {
    let folder = parent(path);
    let pattern = &path[if folder.is_empty() { 0 } else { folder.len() + 1 }..];
    if !has_wildcards(pattern) {
        return Ok(target(tree, path)?.map(|target| vec![target]));
    }
    let mut found = Vec::new();
    for name in tree.names(folder)? {
        if name::matches(pattern, &name) == Ok(true) {
            found.extend(target(tree, &join(folder, &name))?);
        }
    }
    Ok((!found.is_empty()).then_some(found))
}

/// Where a link points to, from the root of the tree; links cannot leave it.
fn target<T: Tree>(tree: &T, path: &[u8]) -> Result<Option<Vec<u8>>, T::Error> {
    if path == b"." {
        return Ok(None);
    }
    let Some(link) = tree.link(path)? else {
        return Ok(None);
    };
    let whole = if link.starts_with(b"/") { link } else { [b"/", parent(path), b"/", link.as_slice()].concat() };
    Ok(Some(clean(&whole)))
}

fn join(folder: &[u8], name: &[u8]) -> Vec<u8> {
    match (folder.is_empty(), name.is_empty()) {
        (true, _) => name.to_vec(),
        (_, true) => folder.to_vec(),
        _ => [folder, b"/", name].concat(),
    }
}

fn has_wildcards(name: &[u8]) -> bool {
    let mut bytes = name.iter();
    while let Some(byte) = bytes.next() {
        match byte {
            b'\\' => drop(bytes.next()),
            b'*' | b'?' | b'[' => return true,
            _ => {}
        }
    }
    false
}

/// The paths without those that lie below the one before them; `None` when the root itself is among them.
fn without_covered(paths: impl IntoIterator<Item = Vec<u8>>) -> Option<Vec<Vec<u8>>> {
    let below =
        |path: &[u8], last: &Vec<u8>| path.strip_prefix(last.as_slice()).is_some_and(|rest| rest.starts_with(b"/"));
    let mut out: Vec<Vec<u8>> = Vec::new();
    for path in paths {
        if path == b"." {
            return None;
        }
        if !out.last().is_some_and(|last| below(&path, last)) {
            out.push(path);
        }
    }
    Some(out)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;
    use std::convert::Infallible;

    use super::*;

    /// Paths of links with their targets; anything else is a file.
    struct Links(BTreeMap<&'static str, &'static str>);

    impl Tree for Links {
        type Error = Infallible;

        fn link(&self, path: &[u8]) -> Result<Option<Vec<u8>>, Infallible> {
            Ok(self.0.get(std::str::from_utf8(path).unwrap()).map(|target| target.as_bytes().to_vec()))
        }

        fn names(&self, folder: &[u8]) -> Result<Vec<Vec<u8>>, Infallible> {
            let within = |path: &&&str| parent(path.as_bytes()) == folder;
            let name = |path: &&str| path.rsplit('/').next().unwrap().as_bytes().to_vec();
            Ok(self.0.keys().filter(within).map(name).collect())
        }
    }

    fn resolved(links: &[(&'static str, &'static str)], given: &[&str], paths: &[&str]) -> Vec<String> {
        let bytes = |texts: &[&str]| texts.iter().map(|text| text.as_bytes().to_vec()).collect::<Vec<_>>();
        let Ok(found) = includes(&Links(links.iter().copied().collect()), bytes(given), &bytes(paths));
        found.into_iter().map(|path| String::from_utf8(path).unwrap()).collect()
    }

    #[test]
    fn plain_paths_stay_and_covered_ones_go() {
        assert_eq!(resolved(&[], &[], &["/src", "src/main.rs", "./go.mod"]), ["go.mod", "src"]);
        assert_eq!(resolved(&[], &["a"], &["b", "c/*"]), ["a", "b", "c/*"]);
    }

    #[test]
    fn the_root_means_everything() {
        assert!(resolved(&[], &[], &["src", "/"]).is_empty());
        assert_eq!(resolved(&[], &["kept"], &["."]), ["kept"]);
    }

    #[test]
    fn links_on_the_way_are_followed() {
        let links = [("current", "releases/2"), ("releases/2", "v2"), ("abs", "/etc/x"), ("up/out", "../../../lib")];
        assert_eq!(resolved(&links, &[], &["current/bin"]), ["current", "releases/2", "releases/v2/bin"]);
        assert_eq!(resolved(&links, &[], &["abs"]), ["abs", "etc/x"]);
        assert_eq!(resolved(&links, &[], &["up/out/a"]), ["lib/a", "up/out"]);
    }

    #[test]
    fn links_behind_wildcards_are_followed() {
        let links = [("conf-a", "real/a"), ("conf-b", "real/b")];
        assert_eq!(resolved(&links, &[], &["conf-*"]), ["conf-*", "real/a", "real/b"]);
        assert_eq!(resolved(&links, &[], &["none-*"]), ["none-*"]);
    }

    #[test]
    fn a_circle_of_links_ends() {
        assert_eq!(resolved(&[("a", "b"), ("b", "a")], &[], &["a/x"]), ["a", "b"]);
    }
}
