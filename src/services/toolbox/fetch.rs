//! Purpose: files out of a container, which may have been written by anybody: no path leaves its folder, links and
//! devices are refused, and nothing grows beyond its limit.

use std::io;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Component, Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use futures_util::StreamExt as _;
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWriteExt as _};
use tokio_tar::{Archive, Entry};
use tokio_util::io::StreamReader;

use super::{Download, FetchError, ToolError};
use crate::services::engine::{Engine, EngineError};

/// Whether something was there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Taken {
    /// It is here now.
    Here,
    /// The container has none.
    Missing,
}

/// Takes one thing out of a container.
pub(super) async fn download(engine: &Engine, id: &str, download: &Download) -> Result<Taken, ToolError> {
    let failure: Arc<Mutex<Option<EngineError>>> = Arc::default();
    let noted = failure.clone();
    let pieces = engine.copy_out(id, &download.from).map(move |piece| {
        piece.map_err(|error| {
            *noted.lock().unwrap_or_else(PoisonError::into_inner) = Some(error);
            io::Error::from(io::ErrorKind::BrokenPipe)
        })
    });
    let reader = StreamReader::new(Box::pin(pieces));
    let taken = unpack(reader, &download.to, download.limit).await;
    match (taken, failure.lock().unwrap_or_else(PoisonError::into_inner).take()) {
        (_, Some(EngineError::NotFound { .. })) => Ok(Taken::Missing),
        (_, Some(error)) => Err(error.into()),
        (Ok(()), None) => Ok(Taken::Here),
        (Err(source), None) => Err(ToolError::Fetch { from: download.from.clone(), source }),
    }
}

/// Writes a tar of one file or folder to `to`, at most `limit` bytes of content; on failure nothing is left there.
///
/// # Errors
/// [`FetchError`]: an entry that leads out, is no file and no folder, or is more than the limit allows.
pub async fn unpack(reader: impl AsyncRead + Unpin, to: &Path, limit: u64) -> Result<(), FetchError> {
    let partial = partial_of(to);
    let disk = |source| FetchError::Disk { path: to.to_owned(), source };
    clear(&partial).await.map_err(disk)?;
    let unpacked = entries(reader, &partial, limit).await;
    let moved = match unpacked {
        Ok(()) if partial.is_dir() && to.exists() => Err(FetchError::Exists(to.to_owned())),
        Ok(()) => tokio::fs::rename(&partial, to).await.map_err(disk),
        Err(error) => Err(error),
    };
    if moved.is_err() {
        clear(&partial).await.map_err(disk)?;
    }
    moved
}

/// Where something goes until it is complete: beside its place, so that moving it is one step.
fn partial_of(to: &Path) -> PathBuf {
    let mut name = to.file_name().unwrap_or_default().to_owned();
    name.push(".partial");
    to.with_file_name(name)
}

async fn clear(path: &Path) -> io::Result<()> {
    let removed = match tokio::fs::symlink_metadata(path).await {
        Ok(metadata) if metadata.is_dir() => tokio::fs::remove_dir_all(path).await,
        Ok(_) => tokio::fs::remove_file(path).await,
        Err(error) => Err(error),
    };
    match removed {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}

async fn entries(reader: impl AsyncRead + Unpin, root: &Path, limit: u64) -> Result<(), FetchError> {
    let disk = |source| FetchError::Disk { path: root.to_owned(), source };
    let mut archive = Archive::new(reader);
    let mut entries = archive.entries().map_err(disk)?;
    let (mut left, mut is_first) = (limit, true);
    while let Some(entry) = entries.next().await {
        let mut entry = entry.map_err(disk)?;
        let name = entry.path().map_err(disk)?.into_owned();
        let below = below(&name).ok_or_else(|| FetchError::Escape(name.display().to_string()))?;
        // The first entry is what was asked for itself; the rest lies in it.
        if is_first != below.as_os_str().is_empty() {
            return Err(FetchError::Escape(name.display().to_string()));
        }
        is_first = false;
        let kind = entry.header().entry_type();
        let to = if below.as_os_str().is_empty() { root.to_owned() } else { root.join(below) };
        if kind.is_dir() {
            tokio::fs::create_dir(&to).await.map_err(disk)?;
        } else if kind.is_file() {
            left = file(&mut entry, &to, left, limit).await?;
        } else {
            return Err(FetchError::Kind(name.display().to_string()));
        }
    }
    Ok(())
}

/// Writes a new file; what may still come after it.
async fn file<R: AsyncRead + Unpin>(entry: &mut Entry<R>, to: &Path, left: u64, limit: u64) -> Result<u64, FetchError> {
    let disk = |source| FetchError::Disk { path: to.to_owned(), source };
    let executable = entry.header().mode().is_ok_and(|mode| mode & 0o100 != 0);
    // New, so that nothing that is there, least of all a link, is written through.
    let file = tokio::fs::OpenOptions::new().write(true).create_new(true).open(to).await.map_err(disk)?;
    let mut file = tokio::io::BufWriter::new(file);
    let copied = tokio::io::copy(&mut entry.take(left.saturating_add(1)), &mut file).await.map_err(disk)?;
    file.flush().await.map_err(disk)?;
    let left = left.checked_sub(copied).ok_or(FetchError::TooLarge(limit))?;
    if executable {
        let mode = std::fs::Permissions::from_mode(0o755);
        tokio::fs::set_permissions(to, mode).await.map_err(disk)?;
    }
    Ok(left)
}

/// The path below its first name; `None` when it does not only go down.
fn below(name: &Path) -> Option<PathBuf> {
    let mut parts = name.components().filter(|part| !matches!(part, Component::CurDir));
    let Component::Normal(_) = parts.next()? else {
        return None;
    };
    parts.map(|part| if let Component::Normal(name) = part { Some(name) } else { None }).collect()
}
