//! Purpose: files of this machine as a tar stream into a container, and streams of unknown length onto the disk.

use std::io;
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use bytes::Bytes;
use futures_util::{Stream, StreamExt as _};
use tokio::io::{AsyncWrite, AsyncWriteExt as _};
use tokio_tar::{Builder, EntryType, Header};
use tokio_util::io::ReaderStream;

use super::{Content, ToolError, Upload, UploadAccess};
use crate::services::engine::Engine;

/// Bytes between the one who packs and the engine.
const PIPE: usize = 256 * 1024;

/// Puts one upload into a container.
pub(super) async fn upload(engine: &Engine, id: &str, upload: &Upload) -> Result<(), ToolError> {
    let (writer, reader) = tokio::io::duplex(PIPE);
    let failure: Arc<Mutex<Option<io::Error>>> = Arc::default();
    let noted = failure.clone();
    let (content, owner) = (upload.content.clone(), upload.owner);
    let mode = if upload.access == UploadAccess::Owner { 0o600 } else { 0o644 };
    let name = PathBuf::from(upload.to.trim_start_matches('/'));
    let packing = tokio::spawn(async move {
        if let Err(error) = pack(writer, &name, &content, owner, mode).await {
            *noted.lock().unwrap_or_else(PoisonError::into_inner) = Some(error);
        }
    });
    // A tar that breaks off without an end is refused by the engine; the cause is the packer's.
    let copied = engine.copy_in(id, "/", ReaderStream::new(reader)).await;
    if copied.is_err() {
        packing.abort();
    }
    drop(packing.await);
    let failed = failure.lock().unwrap_or_else(PoisonError::into_inner).take();
    match (failed, copied) {
        (Some(source), _) if source.kind() != io::ErrorKind::BrokenPipe => {
            let path = match &upload.content {
                Content::Path { path, .. } => path.clone(),
                _ => PathBuf::from(&upload.to),
            };
            Err(ToolError::Upload { path, source })
        }
        (_, copied) => Ok(copied?),
    }
}

async fn pack(
    writer: impl AsyncWrite + Unpin + Send + 'static,
    name: &Path,
    content: &Content,
    owner: (u32, u32),
    mode: u32,
) -> io::Result<()> {
    let mut builder = Builder::new(writer);
    match content {
        Content::Bytes(bytes) => {
            let mut header = header(EntryType::Regular, mode, owner, bytes.len() as u64);
            builder.append_data(&mut header, name, bytes.as_slice()).await?;
        }
        Content::Folder => folder(&mut builder, name, 0o755, owner).await?,
        Content::Path { path, without } => tree(&mut builder, name, path, without, owner).await?,
    }
    builder.into_inner().await?.shutdown().await
}

fn header(kind: EntryType, mode: u32, (user, group): (u32, u32), size: u64) -> Header {
    let mut header = Header::new_gnu();
    header.set_entry_type(kind);
    header.set_mode(mode);
    header.set_uid(user.into());
    header.set_gid(group.into());
    header.set_size(size);
    header.set_mtime(0);
    header
}

async fn folder<W: AsyncWrite + Unpin + Send>(
    builder: &mut Builder<W>,
    name: &Path,
    mode: u32,
    owner: (u32, u32),
) -> io::Result<()> {
    let mut header = header(EntryType::Directory, mode, owner, 0);
    builder.append_data(&mut header, name, io_empty()).await
}

/// A target that no header has room for goes in front, as GNU tar does it.
async fn link<W: AsyncWrite + Unpin + Send>(
    builder: &mut Builder<W>,
    name: &Path,
    target: &Path,
    owner: (u32, u32),
) -> io::Result<()> {
    let mut entry = header(EntryType::Symlink, 0o777, owner, 0);
    if entry.set_link_name(target).is_err() {
        let bytes = [target.as_os_str().as_bytes(), b"\0"].concat();
        let mut long = header(EntryType::GNULongLink, 0o644, (0, 0), bytes.len() as u64);
        long.set_path("././@LongLink")?;
        long.set_cksum();
        builder.append(&long, bytes.as_slice()).await?;
    }
    builder.append_data(&mut entry, name, io_empty()).await
}

fn io_empty() -> &'static [u8] {
    &[]
}

/// A file, a link or a folder with everything in it but the names in `without`.
async fn tree<W: AsyncWrite + Unpin + Send>(
    builder: &mut Builder<W>,
    name: &Path,
    path: &Path,
    without: &[String],
    owner: (u32, u32),
) -> io::Result<()> {
    let mut left = vec![(name.to_owned(), path.to_owned())];
    // What was asked for by name may be a link to it; what lies in it stays what it is.
    let mut metadata = tokio::fs::metadata(path).await?;
    while let Some((name, path)) = left.pop() {
        if metadata.is_dir() {
            folder(builder, &name, metadata.mode() & 0o7777, owner).await?;
            let mut entries = tokio::fs::read_dir(&path).await?;
            while let Some(entry) = entries.next_entry().await? {
                if !without.iter().any(|left_out| entry.file_name() == left_out.as_str()) {
                    left.push((name.join(entry.file_name()), entry.path()));
                }
            }
        } else if metadata.is_file() {
            let file = tokio::fs::File::open(&path).await?;
            let size = file.metadata().await?.len();
            let mut header = header(EntryType::Regular, metadata.mode() & 0o7777, owner, size);
            // A file that grows meanwhile is cut where its header says that it ends.
            let file = tokio::io::AsyncReadExt::take(file, size);
            builder.append_data(&mut header, &name, file).await?;
        } else if metadata.is_symlink() {
            let target = tokio::fs::read_link(&path).await?;
            link(builder, &name, &target, owner).await?;
        }
        if let Some((_, next)) = left.last() {
            metadata = tokio::fs::symlink_metadata(next).await?;
        }
    }
    Ok(())
}

/// Writes a stream to a file, for whoever has to know its length first: a tar does, and an image's does not say.
///
/// # Errors
/// The stream's own error, or that of the disk through `disk`.
pub async fn spool<E>(
    stream: impl Stream<Item = Result<Bytes, E>>,
    path: &Path,
    disk: impl Fn(io::Error) -> E,
) -> Result<u64, E> {
    let mut stream = std::pin::pin!(stream);
    let file = tokio::fs::File::create(path).await.map_err(&disk)?;
    let mut file = tokio::io::BufWriter::with_capacity(PIPE, file);
    let mut written = 0;
    while let Some(piece) = stream.next().await {
        let piece = piece?;
        written += piece.len() as u64;
        file.write_all(&piece).await.map_err(&disk)?;
    }
    file.flush().await.map_err(&disk)?;
    Ok(written)
}
