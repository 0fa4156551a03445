//! Purpose: files of the workspace by glob; no path and no link leads out of it.

use std::fs;
use std::path::{Component, Path, PathBuf};

use globset::{GlobBuilder, GlobSet, GlobSetBuilder};

/// Files that one input may match.
const MOST_FILES: usize = 10_000;
/// Entries of folders that are looked at for one input.
const MOST_ENTRIES: usize = 2_000_000;
/// Deepest folder that is looked into.
const DEEPEST: usize = 64;

/// A file that was found.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Found {
    /// Path below the workspace, with `/`.
    pub(super) name: String,
    /// Where it is.
    pub(super) path: PathBuf,
}

/// The patterns of one input.
#[derive(Debug, Clone)]
pub(super) struct Patterns {
    wanted: GlobSet,
    excluded: GlobSet,
    /// Folders below which the patterns can match.
    starts: Vec<String>,
    written: Vec<String>,
}

/// A pattern cannot be used. The message fits behind the input's name.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum PatternError {
    /// It is no glob.
    #[error("has '{0}', which is not a glob")]
    Glob(String),
    /// It leads out of the workspace.
    #[error("has '{0}', which is not below the workspace; reports must be files of the workspace")]
    Outside(String),
    /// It has nothing but exclusions.
    #[error("has only exclusions; name the files to read, too")]
    Nothing,
}

/// Looking for files failed. The message fits behind "the files of <input> ".
#[derive(Debug, thiserror::Error)]
pub(super) enum SearchError {
    /// A folder cannot be read.
    #[error("cannot be looked for in {folder}")]
    Folder {
        /// The folder.
        folder: String,
        /// The cause.
        #[source]
        source: std::io::Error,
    },
    /// There are too many.
    #[error("are too many: {0}; use a narrower pattern")]
    TooMany(&'static str),
}

impl Patterns {
    /// Reads patterns; `!` begins an exclusion. `roots` are the absolute paths of the workspace, here and on the host.
    pub(super) fn of(patterns: &[String], roots: &[String]) -> Result<Self, PatternError> {
        let (mut wanted, mut excluded) = (GlobSetBuilder::new(), GlobSetBuilder::new());
        let mut starts = Vec::new();
        for pattern in patterns {
            let (set, text) = match pattern.strip_prefix('!') {
                Some(rest) => (&mut excluded, rest.trim()),
                None => (&mut wanted, pattern.as_str()),
            };
            let text = relative(text, roots).ok_or_else(|| PatternError::Outside(pattern.clone()))?;
            let glob = GlobBuilder::new(&text).literal_separator(true).backslash_escape(true).build();
            set.add(glob.map_err(|_| PatternError::Glob(pattern.clone()))?);
            if !pattern.starts_with('!') {
                starts.push(literal_start(&text));
            }
        }
        if starts.is_empty() {
            return Err(PatternError::Nothing);
        }
        starts.sort();
        // A folder covers those below it.
        let all = std::mem::take(&mut starts);
        for start in all {
            let covered =
                |before: &String| before.is_empty() || start == *before || start.starts_with(&format!("{before}/"));
            if !starts.iter().any(covered) {
                starts.push(start);
            }
        }
        let build = |builder: GlobSetBuilder| builder.build().map_err(|error| PatternError::Glob(error.to_string()));
        Ok(Self { wanted: build(wanted)?, excluded: build(excluded)?, starts, written: patterns.to_vec() })
    }

    /// The patterns as they were written.
    pub(super) fn written(&self) -> String {
        self.written.join(", ")
    }

    /// The files below `workspace`, in order, and what was passed over because it leads out of it.
    pub(super) fn find(&self, workspace: &Path) -> Result<(Vec<Found>, Vec<String>), SearchError> {
        let real = workspace
            .canonicalize()
            .map_err(|source| SearchError::Folder { folder: workspace.display().to_string(), source })?;
        let mut walk = Walk { patterns: self, root: &real, found: Vec::new(), outside: Vec::new(), entries: 0 };
        for start in &self.starts {
            walk.visit(start, 0)?;
        }
        walk.found.sort();
        walk.found.dedup();
        Ok((walk.found, walk.outside))
    }

    fn matches(&self, name: &str) -> bool {
        self.wanted.is_match(name) && !self.excluded.is_match(name)
    }
}

struct Walk<'a> {
    patterns: &'a Patterns,
    root: &'a Path,
    found: Vec<Found>,
    outside: Vec<String>,
    entries: usize,
}

impl Walk<'_> {
    /// Looks at a path below the workspace: a file, or a folder with all that is in it.
    fn visit(&mut self, name: &str, depth: usize) -> Result<(), SearchError> {
        self.entries += 1;
        if self.entries > MOST_ENTRIES {
            return Err(SearchError::TooMany("more than 2,000,000 files and folders lie below the pattern's start"));
        }
        let path = self.root.join(name);
        let Ok(kind) = fs::symlink_metadata(&path).map(|metadata| metadata.file_type()) else {
            return Ok(());
        };
        if kind.is_dir() {
            return if depth < DEEPEST { self.folder(name, &path, depth) } else { Ok(()) };
        }
        if !self.patterns.matches(name) {
            return Ok(());
        }
        let path = if kind.is_symlink() { path.canonicalize().ok() } else { Some(path) };
        // The start of a pattern may itself lie behind a link.
        let path = path.and_then(|path| path.canonicalize().ok());
        match path {
            Some(path) if path.starts_with(self.root) && path.is_file() => {
                if self.found.len() == MOST_FILES {
                    return Err(SearchError::TooMany("more than 10,000 files match"));
                }
                self.found.push(Found { name: name.to_owned(), path });
            }
            Some(path) if !path.starts_with(self.root) => self.outside.push(name.to_owned()),
            _ => {}
        }
        Ok(())
    }

    /// Links to folders are not followed: they could lead out, or in circles.
    fn folder(&mut self, name: &str, path: &Path, depth: usize) -> Result<(), SearchError> {
        let failed = |source| SearchError::Folder { folder: name.to_owned(), source };
        let entries = match fs::read_dir(path) {
            Ok(entries) => entries,
            // Somebody else's folder in the middle of a wide pattern.
            Err(error) if depth > 0 && error.kind() == std::io::ErrorKind::PermissionDenied => return Ok(()),
            Err(error) => return Err(failed(error)),
        };
        for entry in entries {
            let entry = entry.map_err(failed)?;
            let Ok(child) = entry.file_name().into_string() else {
                continue;
            };
            if child == ".git" {
                continue;
            }
            let child = if name.is_empty() { child } else { format!("{name}/{child}") };
            self.visit(&child, depth + 1)?;
        }
        Ok(())
    }
}

/// The pattern relative to the workspace; `None` when it leads out.
fn relative(pattern: &str, roots: &[String]) -> Option<String> {
    let below = roots.iter().find_map(|root| pattern.strip_prefix(root.trim_end_matches('/'))?.strip_prefix('/'));
    let pattern = below.unwrap_or(pattern);
    if pattern.starts_with('/') {
        return None;
    }
    let mut parts = Vec::new();
    for component in Path::new(pattern).components() {
        match component {
            Component::Normal(part) => parts.push(part.to_str()?),
            Component::CurDir => {}
            Component::ParentDir | Component::RootDir | Component::Prefix(_) => return None,
        }
    }
    Some(parts.join("/"))
}

/// The folders that stand before the first part with a wildcard; the whole path when there is none.
fn literal_start(pattern: &str) -> String {
    let literal = |part: &&str| !part.contains(['*', '?', '[', '{', '\\']);
    let parts: Vec<&str> = pattern.split('/').take_while(literal).collect();
    parts.join("/")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn patterns(patterns: &[&str]) -> Result<Patterns, PatternError> {
        let patterns: Vec<String> = patterns.iter().map(|&pattern| pattern.to_owned()).collect();
        Patterns::of(&patterns, &["/github/workspace".to_owned(), "/home/runner/work/app/app".to_owned()])
    }

    fn found(wanted: &[&str], root: &Path) -> (Vec<String>, Vec<String>) {
        let (found, outside) = patterns(wanted).unwrap().find(root).unwrap();
        (found.into_iter().map(|found| found.name).collect(), outside)
    }

    #[test]
    fn no_path_and_no_link_leads_out() {
        let folder = tempfile::tempdir().unwrap();
        let root = folder.path().join("work");
        for path in ["a/junit.xml", "b/deep/junit.xml", ".git/junit.xml", "skip/junit.xml", "x.txt"] {
            fs::create_dir_all(root.join(path).parent().unwrap()).unwrap();
            fs::write(root.join(path), "x").unwrap();
        }
        fs::write(folder.path().join("secret.xml"), "s").unwrap();
        fs::create_dir(folder.path().join("other")).unwrap();
        fs::write(folder.path().join("other/junit.xml"), "s").unwrap();
        let link = |to: &str, from: &str| std::os::unix::fs::symlink(to, root.join(from)).unwrap();
        link("../secret.xml", "out.xml");
        link("a/junit.xml", "in.xml");
        link("../other", "linked");
        link(".", "loop");
        let names = |names: &[&str]| names.iter().map(|&name| name.to_owned()).collect::<Vec<_>>();
        assert_eq!(
            found(&["**/*.xml", "!skip/**"], &root),
            (names(&["a/junit.xml", "b/deep/junit.xml", "in.xml"]), names(&["out.xml"]))
        );
        assert_eq!(found(&["a/junit.xml", "./a/*.xml"], &root).0, names(&["a/junit.xml"]));
        assert_eq!(found(&["linked/junit.xml"], &root), (vec![], names(&["linked/junit.xml"])));
        assert_eq!(found(&["none/**"], &root).0, names(&[]));
        assert_eq!(found(&["/home/runner/work/app/app/a/*.xml"], &root).0, names(&["a/junit.xml"]));
    }

    #[test]
    fn patterns_that_lead_out_are_refused() {
        for wrong in ["../x.xml", "a/../../x", "/etc/passwd", "/github/workspacex/a"] {
            assert_eq!(patterns(&[wrong]).unwrap_err(), PatternError::Outside(wrong.to_owned()));
        }
        assert_eq!(patterns(&["!a"]).unwrap_err(), PatternError::Nothing);
        assert_eq!(patterns(&["[a"]).unwrap_err(), PatternError::Glob("[a".to_owned()));
    }
}
