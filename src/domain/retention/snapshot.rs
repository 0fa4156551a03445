//! Purpose: the snapshot: what a repository held, since when, and everything that was deleted: the undo and the memory.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::Seconds;
use super::ledger::Ledger;
use super::manifest::Facts;
use crate::domain::names::Digest;

/// The form of a snapshot. A later one is refused, not guessed at.
pub const SCHEMA: u32 = 1;
/// How long GitHub can restore a version (GitHub documentation, "deleting and restoring a package"), in seconds.
const RESTORABLE: Seconds = 30 * 86_400;

/// A snapshot.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Snapshot {
    /// [`SCHEMA`].
    pub schema: u32,
    /// When it was taken, in seconds since 1970.
    pub taken_at: Seconds,
    /// The repositories.
    pub repositories: Vec<SnapshotRepository>,
    /// Deletions of this run and of earlier ones that can still be undone, in their order.
    pub deletions: Vec<Deleted>,
    /// What manifests say, by digest: none is asked for twice.
    pub manifests: BTreeMap<Digest, Facts>,
}

/// One repository.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct SnapshotRepository {
    /// Its name, registry included.
    pub image: String,
    /// Since when its tags are where they are.
    pub ledger: Ledger,
}

/// One deletion.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Deleted {
    /// The run that deleted it, by its moment in seconds since 1970.
    pub run: Seconds,
    /// The repository.
    pub image: String,
    /// The manifest.
    pub digest: Digest,
    /// GitHub's number for it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub version: Option<u64>,
    /// Its tags.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub tags: Vec<String>,
    /// When it had been pushed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub created: Option<Seconds>,
    /// Type and text of the manifest, where undoing needs them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub content: Option<(String, String)>,
    /// How far it came.
    pub state: DeletionState,
}

/// How far a deletion came.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum DeletionState {
    /// It was about to be deleted; a run that was killed may have done it.
    Planned,
    /// It was deleted.
    Deleted,
    /// It stayed after all.
    Kept,
    /// It was restored.
    Restored,
}

/// A snapshot that cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum SnapshotError {
    /// Not a snapshot.
    #[error("it is not a snapshot of prune")]
    Malformed(#[source] serde_json::Error),
    /// Of a later Landfall.
    #[error("it has the form {0}, and this version knows up to {SCHEMA}")]
    TooNew(u32),
}

impl Snapshot {
    /// Reads a snapshot.
    ///
    /// # Errors
    /// [`SnapshotError`].
    pub fn read(text: &[u8]) -> Result<Self, SnapshotError> {
        let snapshot: Self = serde_json::from_slice(text).map_err(SnapshotError::Malformed)?;
        if snapshot.schema == 0 {
            return Err(SnapshotError::Malformed(serde::de::Error::missing_field("schema")));
        }
        if snapshot.schema > SCHEMA {
            return Err(SnapshotError::TooNew(snapshot.schema));
        }
        Ok(snapshot)
    }

    /// The ledger of a repository; an empty one when it was never seen.
    #[must_use]
    pub fn ledger(&self, image: &str) -> Ledger {
        let known = self.repositories.iter().find(|repository| repository.image == image);
        known.map(|repository| repository.ledger.clone()).unwrap_or_default()
    }

    /// Forgets deletions that nothing can undo any more.
    pub fn forget_old(&mut self, now: Seconds) {
        self.deletions.retain(|deleted| now - deleted.run < RESTORABLE && deleted.state != DeletionState::Kept);
    }

    /// The last run that deleted something.
    #[must_use]
    pub fn last_run(&self) -> Option<Seconds> {
        self.undoable().map(|deleted| deleted.run).max()
    }

    /// What can be undone, the last deletion first: parts come back before what holds them.
    pub fn undoable(&self) -> impl Iterator<Item = &Deleted> {
        let done = |deleted: &&Deleted| matches!(deleted.state, DeletionState::Planned | DeletionState::Deleted);
        self.deletions.iter().rev().filter(done)
    }
}
