//! Purpose: an OCI layout on disk: blobs are written beside their place and moved there when they are whole.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};

use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};
use tokio::fs::File;
use tokio::io::{AsyncReadExt as _, AsyncSeekExt as _, AsyncWriteExt as _};
use tonic::Status;

use super::messages::{Action, WriteRequest, WriteResponse};
use crate::domain::hex::hex;
use crate::domain::names::Digest;

/// How an index names its entries (OCI image specification, "annotations").
const REFERENCE: &str = "org.opencontainers.image.ref.name";

/// A folder with blobs.
#[derive(Debug, Clone)]
pub(super) struct Store {
    root: PathBuf,
}

/// A blob that is being read.
pub(super) struct Blob {
    file: File,
    left: u64,
}

/// A blob that is being written.
pub(super) struct Ingest {
    file: File,
    path: PathBuf,
    hash: Sha256,
    offset: i64,
    expected: String,
}

impl Drop for Ingest {
    fn drop(&mut self) {
        // Moved away when it was whole; else half a blob that nobody needs.
        let _ = std::fs::remove_file(&self.path);
    }
}

fn fault(path: &Path) -> impl FnOnce(io::Error) -> Status + '_ {
    move |error| match error.kind() {
        io::ErrorKind::NotFound => Status::not_found(format!("{} does not exist", path.display())),
        _ => Status::internal(format!("{}: {error}", path.display())),
    }
}

impl Store {
    pub(super) fn new(root: PathBuf) -> Self {
        Self { root }
    }

    /// A digest is checked before it becomes a path.
    fn path(&self, digest: &str) -> Result<PathBuf, Status> {
        let checked: Digest =
            digest.parse().map_err(|_| Status::invalid_argument(format!("{digest:?} is not a digest")))?;
        let (algorithm, hex) = checked.as_str().split_once(':').unwrap_or_default();
        Ok(self.root.join("blobs").join(algorithm).join(hex))
    }

    pub(super) async fn size(&self, digest: &str) -> Result<i64, Status> {
        let path = self.path(digest)?;
        let length = tokio::fs::metadata(&path).await.map_err(fault(&path))?.len();
        Ok(i64::try_from(length).unwrap_or(i64::MAX))
    }

    pub(super) async fn open(&self, digest: &str, offset: i64, size: i64) -> Result<Blob, Status> {
        let path = self.path(digest)?;
        let mut file = File::open(&path).await.map_err(fault(&path))?;
        let length = file.metadata().await.map_err(fault(&path))?.len();
        let offset = u64::try_from(offset).map_err(|_| Status::out_of_range("a negative offset"))?;
        file.seek(io::SeekFrom::Start(offset)).await.map_err(fault(&path))?;
        let rest = length.saturating_sub(offset);
        let left = if size > 0 { rest.min(size.unsigned_abs()) } else { rest };
        Ok(Blob { file, left })
    }

    /// One step of a write.
    pub(super) async fn step(&self, ingest: &mut Option<Ingest>, step: WriteRequest) -> Result<WriteResponse, Status> {
        let action = Action::try_from(step.action).map_err(|_| Status::invalid_argument("no such action"))?;
        if ingest.is_none() {
            *ingest = Some(self.begin(&step).await?);
        }
        let Some(open) = ingest.as_mut() else { return Err(Status::internal("no ingest")) };
        if !step.expected.is_empty() {
            open.expected.clone_from(&step.expected);
        }
        if !step.data.is_empty() {
            open.write(step.offset, &step.data).await?;
        }
        let mut answer =
            WriteResponse { action: step.action, offset: open.offset, total: step.total, ..WriteResponse::default() };
        if action == Action::Commit {
            answer.digest = self.commit(open, step.total).await?;
            *ingest = None;
        }
        Ok(answer)
    }

    async fn begin(&self, step: &WriteRequest) -> Result<Ingest, Status> {
        static NUMBER: AtomicU64 = AtomicU64::new(0);
        if !step.expected.is_empty() && self.path(&step.expected)?.exists() {
            return Err(Status::already_exists(format!("content {}: already exists", step.expected)));
        }
        let folder = self.root.join("ingest");
        tokio::fs::create_dir_all(&folder).await.map_err(fault(&folder))?;
        let path = folder.join(format!("{}-{}", std::process::id(), NUMBER.fetch_add(1, Ordering::Relaxed)));
        let file = File::create(&path).await.map_err(fault(&path))?;
        Ok(Ingest { file, path, hash: Sha256::new(), offset: 0, expected: String::new() })
    }

    async fn commit(&self, ingest: &mut Ingest, total: i64) -> Result<String, Status> {
        ingest.file.flush().await.map_err(fault(&ingest.path))?;
        if total > 0 && total != ingest.offset {
            return Err(Status::failed_precondition(format!("{} bytes came instead of {total}", ingest.offset)));
        }
        let digest = format!("sha256:{}", hex(&ingest.hash.clone().finalize()));
        if !ingest.expected.is_empty() && ingest.expected != digest {
            return Err(Status::failed_precondition(format!("{digest} came instead of {}", ingest.expected)));
        }
        let path = self.path(&digest)?;
        let folder = path.parent().unwrap_or(&self.root);
        tokio::fs::create_dir_all(folder).await.map_err(fault(folder))?;
        tokio::fs::rename(&ingest.path, &path).await.map_err(fault(&path))?;
        Ok(digest)
    }
}

impl Ingest {
    async fn write(&mut self, offset: i64, data: &[u8]) -> Result<(), Status> {
        if offset != self.offset && offset != 0 {
            return Err(Status::out_of_range(format!("offset {offset}, but {} bytes are here", self.offset)));
        }
        self.file.write_all(data).await.map_err(fault(&self.path))?;
        self.hash.update(data);
        self.offset += i64::try_from(data.len()).unwrap_or_default();
        Ok(())
    }
}

impl Blob {
    /// The next bytes, at most so many; none at the end.
    pub(super) async fn piece(&mut self, most: usize) -> Result<Vec<u8>, Status> {
        let wanted = usize::try_from(self.left).unwrap_or(most).min(most);
        let mut data = vec![0; wanted];
        self.file.read_exact(&mut data).await.map_err(|error| Status::internal(format!("a blob: {error}")))?;
        self.left -= wanted as u64;
        Ok(data)
    }
}

/// The digest of the manifest that a folder's index names by this tag; `None` when there is none.
pub(in super::super::super) async fn latest(folder: &Path, tag: &str) -> Option<String> {
    let index: Value = serde_json::from_slice(&tokio::fs::read(folder.join("index.json")).await.ok()?).ok()?;
    let entry = index["manifests"].as_array()?.iter().find(|entry| entry["annotations"][REFERENCE] == tag)?;
    entry["digest"].as_str().map(str::to_owned)
}

/// Names a manifest in a folder's index by a tag, in place of what the tag named before.
pub(in super::super::super) async fn note_latest(folder: &Path, tag: &str, descriptor: &str) -> io::Result<()> {
    let mut descriptor: Value = serde_json::from_str(descriptor).map_err(io::Error::other)?;
    descriptor["annotations"][REFERENCE] = json!(tag);
    let path = folder.join("index.json");
    let read = tokio::fs::read(&path).await.ok().and_then(|text| serde_json::from_slice::<Value>(&text).ok());
    let mut entries = read.and_then(|index| index["manifests"].as_array().cloned()).unwrap_or_default();
    entries.retain(|entry| entry["annotations"][REFERENCE] != tag);
    entries.push(descriptor);
    let index =
        json!({"schemaVersion": 2, "mediaType": "application/vnd.oci.image.index.v1+json", "manifests": entries});
    tokio::fs::write(folder.join("oci-layout"), r#"{"imageLayoutVersion": "1.0.0"}"#).await?;
    let fresh = folder.join("index.json.new");
    tokio::fs::write(&fresh, index.to_string()).await?;
    tokio::fs::rename(&fresh, &path).await
}

#[cfg(test)]
mod tests {
    use super::*;

    fn step(action: Action, offset: i64, data: &[u8], expected: &str) -> WriteRequest {
        let expected = expected.to_owned();
        WriteRequest { action: action.into(), offset, data: data.to_vec(), expected, ..WriteRequest::default() }
    }

    #[tokio::test]
    async fn what_is_written_whole_can_be_read_and_the_rest_leaves_nothing() {
        let folder = tempfile::tempdir().unwrap();
        let store = Store::new(folder.path().to_owned());
        let digest = "sha256:2cf24dba5fb0a30e26e83b2ac5b9e29e1b161e5c1fa7425e73043362938b9824";
        let mut ingest = None;
        store.step(&mut ingest, step(Action::Stat, 0, b"", digest)).await.unwrap();
        store.step(&mut ingest, step(Action::Write, 0, b"hel", "")).await.unwrap();
        let answer = store.step(&mut ingest, step(Action::Write, 3, b"lo", "")).await.unwrap();
        assert_eq!(answer.offset, 5);
        assert_eq!(store.step(&mut ingest, step(Action::Commit, 5, b"", digest)).await.unwrap().digest, digest);
        assert_eq!(store.size(digest).await.unwrap(), 5);
        let mut blob = store.open(digest, 1, 3).await.unwrap();
        assert_eq!(
            (blob.piece(2).await.unwrap(), blob.piece(9).await.unwrap(), blob.piece(9).await.unwrap()),
            (b"el".to_vec(), b"l".to_vec(), Vec::new())
        );
        let again = store.step(&mut None, step(Action::Stat, 0, b"", digest)).await.unwrap_err();
        assert_eq!(again.code(), tonic::Code::AlreadyExists);

        let mut other = None;
        store.step(&mut other, step(Action::Write, 0, b"other", "")).await.unwrap();
        let wrong = store.step(&mut other, step(Action::Commit, 5, b"", digest)).await.unwrap_err();
        assert_eq!(wrong.code(), tonic::Code::FailedPrecondition);
        drop(other);
        assert_eq!(std::fs::read_dir(folder.path().join("ingest")).unwrap().count(), 0);
    }

    #[tokio::test]
    async fn no_digest_leads_out_of_the_folder() {
        let store = Store::new("/tmp".into());
        for digest in ["sha256:../../etc/passwd", "../x:ab", "", "sha256:zz"] {
            assert_eq!(store.size(digest).await.unwrap_err().code(), tonic::Code::InvalidArgument, "{digest}");
        }
    }

    #[tokio::test]
    async fn an_index_names_the_latest() {
        let folder = tempfile::tempdir().unwrap();
        assert_eq!(latest(folder.path(), "latest").await, None);
        for digest in ["sha256:aa", "sha256:bb"] {
            let descriptor = json!({"mediaType": "x", "digest": digest, "size": 1}).to_string();
            note_latest(folder.path(), "latest", &descriptor).await.unwrap();
        }
        note_latest(folder.path(), "other", r#"{"digest":"sha256:cc"}"#).await.unwrap();
        assert_eq!(latest(folder.path(), "latest").await.as_deref(), Some("sha256:bb"));
        assert_eq!(latest(folder.path(), "other").await.as_deref(), Some("sha256:cc"));
    }
}
