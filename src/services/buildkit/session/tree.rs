//! Purpose: walks a folder in the order and with the metadata that fsutil expects.
//!
//! Order: each folder's names sorted by their bytes, a folder's content right behind it. A folder that is not wanted
//! itself is sent just before the first thing in it that is.

use std::collections::HashMap;
use std::ffi::OsString;
use std::fs::{self, Metadata};
use std::io;
use std::os::unix::ffi::{OsStrExt as _, OsStringExt as _};
use std::os::unix::fs::{FileTypeExt as _, MetadataExt as _};
use std::path::{Path, PathBuf};

use super::files::FileFault;
use super::packets::Stat;
use crate::domain::ignore::{Directory, Filter, Visit, follow};

/// What the walk hands on; an `Err` ends the walk quietly.
pub(super) type Sink<'a> = &'a mut dyn FnMut(Stat) -> Result<(), Gone>;

/// Whoever wanted the entries is gone.
#[derive(Debug, Clone, Copy)]
pub(super) struct Gone;

/// Why a walk ended early.
#[derive(Debug)]
pub(super) enum WalkError {
    /// Something could not be read.
    Unreadable(FileFault),
    /// Nobody wants the rest.
    Gone,
}

/// A folder that is being walked.
struct Level {
    /// Relative to the root; empty for the root.
    path: Vec<u8>,
    visit: Option<Visit>,
    /// Its names in reverse order, the next one last.
    names: Vec<(OsString, bool)>,
    sent: bool,
}

/// Walks everything below `root` that the filter wants.
pub(super) fn walk(root: &Path, filter: &Filter, sink: Sink<'_>) -> Result<(), WalkError> {
    let mut links = HashMap::new();
    let names = names(root).map_err(|source| unreadable(root, source))?;
    let mut levels = vec![Level { path: Vec::new(), visit: None, names, sent: true }];
    while let Some(level) = levels.last_mut() {
        let Some((name, is_folder)) = level.names.pop() else {
            levels.pop();
            continue;
        };
        let path = join(&level.path, name.as_bytes());
        let (wanted, visit) = if is_folder {
            match filter.directory(&path, level.visit.as_ref()) {
                Directory::Skip => continue,
                Directory::Walk(visit) => (false, Some(visit)),
                Directory::Send(visit) => (true, Some(visit)),
            }
        } else if filter.file(&path, level.visit.as_ref()) {
            (true, None)
        } else {
            continue;
        };
        if wanted {
            let Some(stat) = look(root, path.clone(), &mut links)? else {
                continue;
            };
            send_parents(root, &mut levels, &mut links, sink)?;
            sink(stat).map_err(|Gone| WalkError::Gone)?;
        }
        if let Some(visit) = visit {
            descend(root, path, visit, wanted, &mut levels)?;
        }
    }
    Ok(())
}

fn descend(root: &Path, path: Vec<u8>, visit: Visit, wanted: bool, levels: &mut Vec<Level>) -> Result<(), WalkError> {
    let full = full(root, &path);
    match names(&full) {
        Ok(names) => levels.push(Level { path, visit: Some(visit), names, sent: wanted }),
        Err(error) if error.kind() == io::ErrorKind::NotFound => {}
        // A folder that is only looked through for exceptions may be closed to us.
        Err(error) if error.kind() == io::ErrorKind::PermissionDenied && !wanted => {}
        Err(error) => return Err(unreadable(&full, error)),
    }
    Ok(())
}

/// Sends the folders on the way that were not wanted for themselves.
fn send_parents(
    root: &Path,
    levels: &mut [Level],
    links: &mut HashMap<(u64, u64), Vec<u8>>,
    sink: Sink<'_>,
) -> Result<(), WalkError> {
    for level in levels.iter_mut().filter(|level| !level.sent) {
        if let Some(stat) = look(root, level.path.clone(), links)? {
            sink(stat).map_err(|Gone| WalkError::Gone)?;
        }
        level.sent = true;
    }
    Ok(())
}

/// The names in a folder, in reverse order, each with whether it is a folder.
fn names(folder: &Path) -> io::Result<Vec<(OsString, bool)>> {
    let mut names = Vec::new();
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        names.push((entry.file_name(), entry.file_type()?.is_dir()));
    }
    names.sort_unstable_by(|(a, _), (b, _)| b.as_bytes().cmp(a.as_bytes()));
    Ok(names)
}

/// The metadata of one entry; `None` when it has vanished since it was listed.
fn look(root: &Path, path: Vec<u8>, links: &mut HashMap<(u64, u64), Vec<u8>>) -> Result<Option<Stat>, WalkError> {
    let full = full(root, &path);
    let read = || {
        let metadata = fs::symlink_metadata(&full)?;
        let link = if metadata.is_symlink() { fs::read_link(&full)?.into_os_string().into_vec() } else { Vec::new() };
        Ok((metadata, link))
    };
    match read() {
        Ok((metadata, link)) => Ok(Some(stat(path, &metadata, link, links))),
        Err(error) if io::Error::kind(&error) == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(unreadable(&full, error)),
    }
}

fn stat(path: Vec<u8>, metadata: &Metadata, target: Vec<u8>, links: &mut HashMap<(u64, u64), Vec<u8>>) -> Stat {
    let kind = metadata.file_type();
    let mut link = target;
    if metadata.nlink() > 1 && !kind.is_dir() && !kind.is_symlink() {
        match links.entry((metadata.dev(), metadata.ino())) {
            std::collections::hash_map::Entry::Occupied(first) => link.clone_from(first.get()),
            std::collections::hash_map::Entry::Vacant(first) => drop(first.insert(path.clone())),
        }
    }
    let is_device = kind.is_block_device() || kind.is_char_device();
    let device = if is_device { metadata.rdev() } else { 0 };
    let size = if kind.is_dir() { 0 } else { i64::try_from(metadata.size()).unwrap_or(i64::MAX) };
    Stat {
        path,
        mode: go_mode(metadata.mode()),
        // Owners on this machine mean nothing to an image; Docker sends root, too.
        uid: 0,
        gid: 0,
        size,
        modified: metadata.mtime().saturating_mul(1_000_000_000).saturating_add(metadata.mtime_nsec()),
        link,
        device_major: i64::try_from((device >> 8) & 0xfff).unwrap_or_default(),
        device_minor: i64::try_from((device & 0xff) | ((device >> 12) & 0xf_ff00)).unwrap_or_default(),
    }
}

/// Bits of Go's `os.FileMode` (`io/fs`).
mod go {
    pub(super) const DIR: u32 = 1 << 31;
    pub(super) const SYMLINK: u32 = 1 << 27;
    pub(super) const DEVICE: u32 = 1 << 26;
    pub(super) const NAMED_PIPE: u32 = 1 << 25;
    pub(super) const SOCKET: u32 = 1 << 24;
    pub(super) const SETUID: u32 = 1 << 23;
    pub(super) const SETGID: u32 = 1 << 22;
    pub(super) const CHAR_DEVICE: u32 = 1 << 21;
    pub(super) const STICKY: u32 = 1 << 20;
    pub(super) const IRREGULAR: u32 = 1 << 19;
}

/// Go's file mode for a mode of Unix (`st_mode`). A socket's bit is not set: fsutil treats it as an empty file.
pub(super) fn go_mode(mode: u32) -> u32 {
    let kind = match mode & 0o170_000 {
        0o040_000 => go::DIR,
        0o120_000 => go::SYMLINK,
        0o060_000 => go::DEVICE,
        0o020_000 => go::DEVICE | go::CHAR_DEVICE,
        0o010_000 => go::NAMED_PIPE,
        _ => 0,
    };
    let special = [(0o4000, go::SETUID), (0o2000, go::SETGID), (0o1000, go::STICKY)];
    let special = special.iter().filter(|(unix, _)| mode & unix != 0).fold(0, |bits, (_, go)| bits | go);
    (mode & 0o777) | kind | special
}

/// Whether the builder may ask for the content of such an entry.
pub(super) fn has_content(mode: u32) -> bool {
    let kinds = go::DIR | go::SYMLINK | go::DEVICE | go::NAMED_PIPE | go::SOCKET | go::CHAR_DEVICE | go::IRREGULAR;
    mode & kinds == 0
}

/// A folder on disk, in which follow paths are followed.
pub(super) struct Disk<'a>(pub(super) &'a Path);

impl follow::Tree for Disk<'_> {
    type Error = FileFault;

    fn link(&self, path: &[u8]) -> Result<Option<Vec<u8>>, FileFault> {
        if leaves(path) {
            return Ok(None);
        }
        let full = full(self.0, path);
        match fs::read_link(&full) {
            Ok(target) => Ok(Some(target.into_os_string().into_vec())),
            Err(error) if is_absence(&error) || error.kind() == io::ErrorKind::InvalidInput => Ok(None),
            Err(source) => Err(FileFault { path: full, source }),
        }
    }

    fn names(&self, folder: &[u8]) -> Result<Vec<Vec<u8>>, FileFault> {
        if leaves(folder) {
            return Ok(Vec::new());
        }
        let full = full(self.0, folder);
        match names(&full) {
            Ok(names) => Ok(names.into_iter().rev().map(|(name, _)| name.into_vec()).collect()),
            Err(error) if is_absence(&error) => Ok(Vec::new()),
            Err(source) => Err(FileFault { path: full, source }),
        }
    }
}

fn is_absence(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory)
}

fn leaves(path: &[u8]) -> bool {
    path.split(|byte| *byte == b'/').any(|part| part == b"..")
}

pub(super) fn full(root: &Path, path: &[u8]) -> PathBuf {
    root.join(std::ffi::OsStr::from_bytes(path))
}

fn join(folder: &[u8], name: &[u8]) -> Vec<u8> {
    if folder.is_empty() { name.to_vec() } else { [folder, b"/", name].concat() }
}

fn unreadable(path: &Path, source: io::Error) -> WalkError {
    WalkError::Unreadable(FileFault { path: path.to_owned(), source })
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use super::*;

    fn walked(root: &Path, includes: &[&str], excludes: &[&str]) -> Vec<String> {
        let mut seen = Vec::new();
        let filter = Filter::new(includes.to_vec(), excludes.to_vec()).unwrap();
        walk(root, &filter, &mut |stat| {
            let link = String::from_utf8(stat.link).unwrap();
            let arrow = if link.is_empty() { "" } else { " -> " };
            seen.push(format!("{}{arrow}{link}", String::from_utf8(stat.path).unwrap()));
            Ok(())
        })
        .unwrap();
        seen
    }

    fn tree(files: &[&str]) -> tempfile::TempDir {
        let folder = tempfile::tempdir().unwrap();
        for file in files {
            let path = folder.path().join(file);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, file).unwrap();
        }
        folder
    }

    #[test]
    fn names_are_ordered_by_bytes_and_folders_come_with_their_content() {
        let tree = tree(&["a/z", "a/y/x", "a.b", "a b", "B", "é"]);
        assert_eq!(walked(tree.path(), &[], &[]), ["B", "a", "a/y", "a/y/x", "a/z", "a b", "a.b", "é"]);
    }

    #[test]
    fn folders_on_the_way_are_sent_only_when_something_in_them_is() {
        let tree = tree(&["a/b/wanted", "a/b/other", "a/c/other", "d/other"]);
        assert_eq!(walked(tree.path(), &["**/wanted"], &[]), ["a", "a/b", "a/b/wanted"]);
        assert_eq!(walked(tree.path(), &[], &["*", "!a/b/wanted"]), ["a", "a/b", "a/b/wanted"]);
        assert_eq!(walked(tree.path(), &["none"], &[]), [""; 0]);
    }

    #[test]
    fn the_first_name_that_is_sent_is_what_hard_links_point_to() {
        let tree = tree(&["a", "x"]);
        let root = tree.path();
        fs::hard_link(root.join("a"), root.join("b")).unwrap();
        fs::hard_link(root.join("a"), root.join("c")).unwrap();
        symlink("/etc/x", root.join("s")).unwrap();
        assert_eq!(walked(root, &[], &[]), ["a", "b -> a", "c -> a", "s -> /etc/x", "x"]);
        assert_eq!(walked(root, &[], &["a"]), ["b", "c -> b", "s -> /etc/x", "x"]);
    }

    #[test]
    fn a_walk_ends_when_nobody_wants_the_rest() {
        let tree = tree(&["a", "b", "c"]);
        let mut seen = 0;
        let filter = Filter::new([""; 0], [""; 0]).unwrap();
        let ended = walk(tree.path(), &filter, &mut |_| {
            seen += 1;
            if seen == 2 { Err(Gone) } else { Ok(()) }
        });
        assert!(matches!(ended, Err(WalkError::Gone)));
        assert_eq!(seen, 2);
    }

    #[test]
    fn a_root_that_is_not_there_is_named() {
        let tree = tree(&[]);
        let filter = Filter::new([""; 0], [""; 0]).unwrap();
        let root = tree.path().join("none");
        let Err(WalkError::Unreadable(fault)) = walk(&root, &filter, &mut |_| Ok(())) else { panic!() };
        assert_eq!(fault.path, root);
    }

    #[test]
    fn modes_are_gos() {
        for (unix, go) in [
            (0o100_644, 0o644),
            (0o104_755, 0o755 | 1 << 23),
            (0o041_777, 0o777 | 1 << 31 | 1 << 20),
            (0o120_777, 0o777 | 1 << 27),
            (0o020_666, 0o666 | 1 << 26 | 1 << 21),
            (0o060_660, 0o660 | 1 << 26),
            (0o010_600, 0o600 | 1 << 25),
            (0o140_755, 0o755),
            (0o102_755, 0o755 | 1 << 22),
        ] {
            assert_eq!(go_mode(unix), go, "{unix:o}");
        }
        assert!(has_content(go_mode(0o104_755)) && has_content(go_mode(0o140_755)));
        assert!(!has_content(go_mode(0o120_777)) && !has_content(go_mode(0o041_777)));
    }
}
