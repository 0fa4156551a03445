//! Purpose: an engine's archive of an image, put into repositories by digest, without a tag on the way.
//!
//! An engine with graph drivers pushes tags only. Here the archive is read as it comes: each layer is packed into a file
//! without a name, sent to every repository, and gone; the manifest follows.

use std::io;
use std::path::PathBuf;
use std::sync::Arc;

use async_compression::tokio::bufread::GzipEncoder;
use bytes::Bytes;
use futures_util::Stream;
use sha2::{Digest as _, Sha256};
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWriteExt as _, BufReader};
use tokio_stream::StreamExt as _;
use tokio_util::io::StreamReader;

use super::blobs::{Blob, Put};
use super::manifest::sha256;
use super::{Manifest, RegistryClient, RegistryError};
use crate::domain::hex::hex;
use crate::domain::image_archive::{Archive, ArchiveError, Entry, Image, PackedLayer, entry};
use crate::domain::names::Digest;
use crate::domain::reference::ImageName;
use crate::services::{Classified, ErrorClass};

/// Bytes of one piece between archive, compression and file.
const PIECE: usize = 256 * 1024;
/// The largest file of an archive that is no layer: lists and configurations.
const LARGEST_SMALL: u64 = 8 * 1024 * 1024;

/// An archive that was not pushed.
#[derive(Debug, thiserror::Error)]
pub enum ArchivePushError {
    /// A registry refused, or did not answer.
    #[error(transparent)]
    Registry(#[from] RegistryError),
    /// The archive is not what it should be.
    #[error(transparent)]
    Archive(#[from] ArchiveError),
    /// The archive broke off.
    #[error("the engine's archive of the image cannot be read")]
    Read(#[source] io::Error),
    /// There is no room for a packed layer.
    #[error("a packed layer cannot be kept in {folder} until it is pushed")]
    Spool {
        /// Where.
        folder: PathBuf,
        /// The cause.
        #[source]
        source: io::Error,
    },
}

impl Classified for ArchivePushError {
    fn class(&self) -> ErrorClass {
        match self {
            Self::Registry(error) => error.class(),
            Self::Archive(_) | Self::Spool { .. } => ErrorClass::Failed,
            Self::Read(_) => ErrorClass::Unavailable,
        }
    }

    fn had_no_effect(&self) -> bool {
        false
    }
}

/// Where an archive goes.
#[derive(Debug, Clone)]
pub struct Destination {
    /// The repositories.
    pub names: Vec<ImageName>,
    /// A folder of this machine with room for the largest packed layer.
    pub folder: PathBuf,
    /// Annotations of the manifest.
    pub annotations: Vec<(String, String)>,
}

/// What was pushed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ArchivePushed {
    /// The image's manifest, which every repository now has.
    pub manifest: Manifest,
    /// Layers that were sent, over all repositories.
    pub sent: usize,
    /// Layers that were there.
    pub present: usize,
}

impl RegistryClient {
    /// Pushes the one image of a `docker save` archive by its digest. `contents` are the digests of its unpacked layers, as
    /// the engine names them. Memory stays constant whatever the image's size; on disk lies one packed layer at a time.
    ///
    /// # Errors
    /// [`ArchivePushError`].
    pub async fn push_archive<S>(
        &self,
        archive: S,
        contents: &[String],
        destination: &Destination,
    ) -> Result<ArchivePushed, ArchivePushError>
    where
        S: Stream<Item = io::Result<Bytes>> + Send + Unpin,
    {
        let mut tar = tokio_tar::Archive::new(StreamReader::new(archive));
        let mut entries = tar.entries().map_err(ArchivePushError::Read)?;
        let mut found = Archive::default();
        let (mut sent, mut present) = (0, 0);
        while let Some(file) = entries.next().await {
            let mut file = file.map_err(ArchivePushError::Read)?;
            let path = file.path().map_err(ArchivePushError::Read)?.to_string_lossy().into_owned();
            let kind = file.header().entry_type();
            if kind.is_symlink() {
                let target = file.link_name().map_err(ArchivePushError::Read)?;
                let target = target.map(|target| target.to_string_lossy().into_owned()).unwrap_or_default();
                found.links.insert(path, target);
            } else if kind.is_file() && entry(&path, contents) == Entry::Layer {
                let (layer, blob) = pack(&mut file, destination).await?;
                for name in &destination.names {
                    match self.put_blob(name, &blob).await? {
                        Put::Sent => sent += 1,
                        Put::Present => present += 1,
                    }
                }
                found.layers.insert(path, layer);
            } else if kind.is_file() && file.effective_size() <= LARGEST_SMALL {
                let mut content = Vec::new();
                file.read_to_end(&mut content).await.map_err(ArchivePushError::Read)?;
                found.small.insert(path, content);
            }
        }
        let digest_of = |content: &[u8]| sha256(content).map(|digest| digest.to_string()).unwrap_or_default();
        let image = found.image(&destination.annotations, digest_of)?;
        let manifest = self.put_image(&image, destination).await?;
        Ok(ArchivePushed { manifest, sent, present })
    }

    /// Configuration and manifest, behind their layers.
    async fn put_image(&self, image: &Image, destination: &Destination) -> Result<Manifest, ArchivePushError> {
        let config = spool_bytes(&image.config, destination).await?;
        let manifest = Manifest::new(image.media_type, image.manifest.clone().into()).ok_or(ArchiveError::NoList)?;
        for name in &destination.names {
            self.put_blob(name, &config).await?;
            self.put_manifest(&name.with_digest(manifest.digest.clone()), &manifest).await?;
        }
        Ok(manifest)
    }
}

/// A file that vanishes with its last handle, even when this process is killed.
fn nameless(destination: &Destination) -> Result<std::fs::File, ArchivePushError> {
    let failed = |source| ArchivePushError::Spool { folder: destination.folder.clone(), source };
    let unique = std::hash::BuildHasher::hash_one(&std::hash::RandomState::new(), std::process::id());
    let path = destination.folder.join(format!("landfall-layer-{unique:016x}"));
    let file = std::fs::OpenOptions::new().read(true).write(true).create_new(true).open(&path).map_err(failed)?;
    std::fs::remove_file(&path).map_err(failed)?;
    Ok(file)
}

/// Packs a layer into a file. The same content always becomes the same blob.
async fn pack(
    layer: impl AsyncRead + Unpin + Send,
    destination: &Destination,
) -> Result<(PackedLayer, Blob), ArchivePushError> {
    let failed = |source| ArchivePushError::Spool { folder: destination.folder.clone(), source };
    let file = Arc::new(nameless(destination)?);
    let mut out = tokio::fs::File::from_std(file.try_clone().map_err(failed)?);
    let mut packed = GzipEncoder::new(BufReader::with_capacity(PIECE, Hashed { inner: layer, hash: Sha256::new() }));
    let (mut hash, mut size) = (Sha256::new(), 0_u64);
    let mut piece = vec![0; PIECE];
    loop {
        let read = packed.read(&mut piece).await.map_err(ArchivePushError::Read)?;
        if read == 0 {
            break;
        }
        hash.update(&piece[..read]);
        size += read as u64;
        out.write_all(&piece[..read]).await.map_err(failed)?;
    }
    out.flush().await.map_err(failed)?;
    let content = digest(packed.into_inner().into_inner().hash)?;
    let packed = digest(hash)?;
    Ok((PackedLayer { content, packed: packed.clone(), size }, Blob { digest: packed, size, file }))
}

async fn spool_bytes(bytes: &[u8], destination: &Destination) -> Result<Blob, ArchivePushError> {
    let failed = |source| ArchivePushError::Spool { folder: destination.folder.clone(), source };
    let file = Arc::new(nameless(destination)?);
    let mut out = tokio::fs::File::from_std(file.try_clone().map_err(failed)?);
    out.write_all(bytes).await.map_err(failed)?;
    out.flush().await.map_err(failed)?;
    let digest = sha256(bytes).ok_or(ArchiveError::NoList)?;
    Ok(Blob { digest, size: bytes.len() as u64, file })
}

fn digest(hash: Sha256) -> Result<Digest, ArchiveError> {
    format!("sha256:{}", hex(&hash.finalize())).parse().map_err(|_| ArchiveError::NoList)
}

/// What is read goes into the hash as well.
struct Hashed<R> {
    inner: R,
    hash: Sha256,
}

impl<R: AsyncRead + Unpin> AsyncRead for Hashed<R> {
    fn poll_read(
        mut self: std::pin::Pin<&mut Self>,
        context: &mut std::task::Context<'_>,
        buffer: &mut tokio::io::ReadBuf<'_>,
    ) -> std::task::Poll<io::Result<()>> {
        let before = buffer.filled().len();
        let polled = std::pin::Pin::new(&mut self.inner).poll_read(context, buffer);
        self.hash.update(&buffer.filled()[before..]);
        polled
    }
}
