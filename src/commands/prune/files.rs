//! Purpose: snapshot and plan as files: read whole, replaced at once, never half written.

use std::io::Write as _;
use std::path::{Path, PathBuf};

use serde::Serialize;

use crate::commands::run::Run;
use crate::domain::retention::{Snapshot, SnapshotError};
use crate::runner::{Failure, Kind};

/// Why a file cannot be used.
#[derive(Debug, thiserror::Error)]
enum FileError {
    #[error("{} cannot be read", .0.display())]
    Read(PathBuf, #[source] std::io::Error),
    #[error("{} cannot be used", .0.display())]
    Content(PathBuf, #[source] SnapshotError),
    #[error("{} cannot be written", .0.display())]
    Write(PathBuf, #[source] std::io::Error),
}

impl From<FileError> for Failure {
    fn from(error: FileError) -> Self {
        let failure = match &error {
            FileError::Read(..) => {
                Self::new(Kind::Input, "snapshot-unreadable", "Snapshot unreadable", error.to_string())
                    .hint("Check `snapshot`; it is relative to the workspace.")
            }
            FileError::Content(..) => {
                Self::new(Kind::Input, "snapshot-unusable", "Snapshot unusable", error.to_string())
                    .hint("Give the snapshot that an apply wrote, or move the file away to begin anew.")
            }
            FileError::Write(..) => Self::new(Kind::Work, "file-not-written", "File not written", error.to_string())
                .hint("Check the free space and rights of the workspace. Nothing was deleted without a snapshot."),
        };
        failure.caused_by(error)
    }
}

/// The snapshot at a path; `None` when there is none.
pub(super) fn snapshot(run: &Run, path: &Path) -> Result<Option<Snapshot>, Failure> {
    let whole = run.workspace().join(path);
    let text = match std::fs::read(&whole) {
        Ok(text) => text,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(FileError::Read(path.to_owned(), error).into()),
    };
    match Snapshot::read(&text) {
        Ok(snapshot) => Ok(Some(snapshot)),
        Err(error) => Err(FileError::Content(path.to_owned(), error).into()),
    }
}

/// Writes JSON to a path, below folders that are made when they are missing.
pub(super) fn write<T: Serialize>(run: &Run, path: &Path, content: &T) -> Result<(), Failure> {
    let whole = run.workspace().join(path);
    let failed = |error| Failure::from(FileError::Write(path.to_owned(), error));
    replace(&whole, content).map_err(failed)
}

/// A new file beside the old one takes its name when it is complete and on the disk.
fn replace<T: Serialize>(path: &Path, content: &T) -> std::io::Result<()> {
    if let Some(folder) = path.parent() {
        std::fs::create_dir_all(folder)?;
    }
    let mut name = path.file_name().unwrap_or_default().to_owned();
    name.push(".new");
    let beside = path.with_file_name(name);
    let mut file = std::io::BufWriter::new(std::fs::File::create(&beside)?);
    serde_json::to_writer(&mut file, content)?;
    file.write_all(b"\n")?;
    let file = file.into_inner().map_err(std::io::IntoInnerError::into_error)?;
    file.sync_all()?;
    std::fs::rename(&beside, path)
}
