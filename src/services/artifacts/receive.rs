//! Purpose: one file out of an artifact, unpacked and checked on the way, in constant memory.
//!
//! The stages, each a reader over the one before: the stored bytes (hashed) → the file's part of them → inflated →
//! counted and summed → gunzipped or unzstd'ed → watched as an image tar → sent. The last mebibyte waits until everything
//! before it is proven.

use std::collections::VecDeque;
use std::io;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};

use async_compression::tokio::bufread::{DeflateDecoder, GzipDecoder, ZstdDecoder};
use bytes::{Bytes, BytesMut};
use futures_util::StreamExt as _;
use sha2::{Digest as _, Sha256};
use tokio::io::{AsyncBufRead, AsyncBufReadExt as _, AsyncRead, AsyncReadExt as _, BufReader, ReadBuf};
use tokio::sync::mpsc::Sender;
use tokio_util::io::StreamReader;

use super::{ArtifactError, Content, FileInside};
use crate::domain::hex::hex;
use crate::domain::image_tar::ImageTar;
use crate::domain::zip::{Method, ZipEntry, ZipError, local_header_length};

/// What waits until the digest is known.
const HELD_BACK: usize = 1024 * 1024;
/// One piece of what is sent.
const PIECE: usize = 64 * 1024;

/// What is done with a file's bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unpack {
    /// They are handed over as they are.
    Nothing,
    /// They are an image tar, plain or packed with gzip or zstd; the plain tar is handed over.
    Image,
}

/// What was handed over.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sent {
    /// Bytes.
    pub bytes: u64,
    /// `sha256:…` of the artifact as stored.
    pub digest: String,
    /// Whether the service said which digest is right.
    pub checked: Checked,
    /// Names of the images, as the tar itself lists them; empty for other files.
    pub images: Vec<String>,
}

/// Whether a digest was compared.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Checked {
    /// It is the one that the service stated.
    Yes,
    /// The service stated none.
    NothingToCompare,
}

impl Content {
    /// Sends a file to a channel, piece by piece; at most `limit` bytes of it. Ends with an error in the channel unless
    /// the artifact's digest and the file's own sums are right, so that whoever reads cannot take a damaged file for a
    /// whole one.
    ///
    /// # Errors
    /// [`ArtifactError::Corrupt`], [`ArtifactError::Damaged`], [`ArtifactError::TooLarge`], [`ArtifactError::Unwanted`]
    /// when the receiver is gone, and any failure to download.
    pub async fn send(
        &self,
        file: &FileInside,
        unpack: Unpack,
        limit: u64,
        to: Sender<io::Result<Bytes>>,
    ) -> Result<Sent, ArtifactError> {
        let sent = Box::pin(self.send_all(file, unpack, limit, &to)).await;
        if let Err(error) = &sent {
            // A receiver that went away needs no news.
            let _ = to.send(Err(io::Error::other(error.to_string()))).await;
        }
        sent
    }

    async fn send_all(
        &self,
        file: &FileInside,
        unpack: Unpack,
        limit: u64,
        to: &Sender<io::Result<Bytes>>,
    ) -> Result<Sent, ArtifactError> {
        let lost: Lost = Arc::default();
        let stored = Hashed::over(self, &lost);
        let mut reader = BufReader::with_capacity(PIECE, stored);
        let mut sender = Paced::new(self, to, limit, unpack);
        let done = self.pass(&mut reader, file, unpack, &mut sender).await;
        let lost = lost.lock().unwrap_or_else(PoisonError::into_inner).take();
        match (done, lost) {
            (_, Some(error)) => return Err(error),
            (Err(Stop::Error(error)), None) => return Err(error),
            (Err(Stop::Io(error)), None) => return Err(self.damaged(error.to_string())),
            (Ok(()), None) => {}
        }
        let digest = format!("sha256:{}", hex(&reader.into_inner().hasher.finalize()));
        let checked = self.compare(&digest)?;
        let (bytes, images) = sender.finish().await?;
        Ok(Sent { bytes, digest, checked, images })
    }

    /// Everything but the last part of the file, then the rest of the artifact.
    async fn pass(
        &self,
        stored: &mut BufReader<Hashed>,
        file: &FileInside,
        unpack: Unpack,
        sender: &mut Paced<'_>,
    ) -> Result<(), Stop> {
        match &file.entry {
            None => unpacked(&mut *stored, unpack, sender).await?,
            Some(entry) => {
                self.seek(stored, entry).await?;
                let packed = stored.take(entry.packed);
                let plain: Box<dyn AsyncRead + Send + Unpin + '_> = match entry.method {
                    Method::Stored => Box::new(packed),
                    Method::Deflated => Box::new(DeflateDecoder::new(packed)),
                };
                let mut summed = Summed { inner: plain, crc: crc32fast::Hasher::new(), count: 0, limit: entry.size };
                unpacked(BufReader::with_capacity(PIECE, &mut summed), unpack, sender).await?;
                tokio::io::copy(&mut summed, &mut tokio::io::sink()).await?;
                if summed.count != entry.size || summed.crc.finalize() != entry.crc {
                    return Err(Stop::Error(self.damaged(format!("the check sum of {} is wrong", file.name))));
                }
            }
        }
        tokio::io::copy_buf(stored, &mut tokio::io::sink()).await?;
        Ok(())
    }

    /// To where the file's packed bytes begin.
    async fn seek(&self, stored: &mut BufReader<Hashed>, entry: &ZipEntry) -> Result<(), Stop> {
        let before = tokio::io::copy_buf(&mut (&mut *stored).take(entry.offset), &mut tokio::io::sink()).await?;
        let mut header = [0; 30];
        stored.read_exact(&mut header).await?;
        let zip = |source| Stop::Error(ArtifactError::Zip { name: self.stored.name.clone(), source });
        let length = local_header_length(&header).map_err(zip)?;
        let names = tokio::io::copy_buf(&mut (&mut *stored).take(length - 30), &mut tokio::io::sink()).await?;
        if before == entry.offset && names == length - 30 { Ok(()) } else { Err(zip(ZipError::Damaged)) }
    }

    fn compare(&self, found: &str) -> Result<Checked, ArtifactError> {
        match &self.stored.digest {
            None => Ok(Checked::NothingToCompare),
            Some(expected) if expected.eq_ignore_ascii_case(found) => Ok(Checked::Yes),
            Some(expected) => Err(ArtifactError::Corrupt {
                name: self.stored.name.clone(),
                expected: expected.clone(),
                found: found.to_owned(),
            }),
        }
    }

    fn damaged(&self, detail: String) -> ArtifactError {
        ArtifactError::Damaged { name: self.stored.name.clone(), detail }
    }
}

/// Why sending stopped.
enum Stop {
    Error(ArtifactError),
    Io(io::Error),
}

impl From<io::Error> for Stop {
    fn from(error: io::Error) -> Self {
        Self::Io(error)
    }
}

/// Takes an image's packing off, by its first bytes, and sends what is inside.
async fn unpacked<R: AsyncBufRead + Send + Unpin>(
    mut reader: R,
    unpack: Unpack,
    sender: &mut Paced<'_>,
) -> Result<(), Stop> {
    if unpack == Unpack::Nothing {
        return pump(reader, sender).await;
    }
    let start = reader.fill_buf().await?;
    match start {
        [0x1f, 0x8b, ..] => {
            let mut gzip = GzipDecoder::new(reader);
            // A parallel gzip writes several members.
            gzip.multiple_members(true);
            pump(gzip, sender).await
        }
        [0x28, 0xb5, 0x2f, 0xfd, ..] => {
            let mut zstd = ZstdDecoder::new(reader);
            zstd.multiple_members(true);
            pump(zstd, sender).await
        }
        _ => pump(reader, sender).await,
    }
}

async fn pump<R: AsyncRead + Send + Unpin>(mut reader: R, sender: &mut Paced<'_>) -> Result<(), Stop> {
    let mut buffer = BytesMut::with_capacity(PIECE);
    loop {
        buffer.reserve(PIECE);
        if reader.read_buf(&mut buffer).await? == 0 {
            return Ok(());
        }
        sender.send(buffer.split().freeze()).await.map_err(Stop::Error)?;
    }
}

/// Sends pieces, the last of them only when told that all is well.
struct Paced<'a> {
    content: &'a Content,
    to: &'a Sender<io::Result<Bytes>>,
    limit: u64,
    sent: u64,
    held: VecDeque<Bytes>,
    held_bytes: usize,
    tar: Option<ImageTar>,
}

impl<'a> Paced<'a> {
    fn new(content: &'a Content, to: &'a Sender<io::Result<Bytes>>, limit: u64, unpack: Unpack) -> Self {
        let tar = (unpack == Unpack::Image).then(ImageTar::new);
        Self { content, to, limit, sent: 0, held: VecDeque::new(), held_bytes: 0, tar }
    }

    async fn send(&mut self, bytes: Bytes) -> Result<(), ArtifactError> {
        self.sent += bytes.len() as u64;
        if self.sent > self.limit {
            return Err(ArtifactError::TooLarge { name: self.content.stored.name.clone(), limit: self.limit });
        }
        if let Some(tar) = &mut self.tar {
            tar.feed(&bytes).map_err(|error| self.content.damaged(error.to_string()))?;
        }
        self.held_bytes += bytes.len();
        self.held.push_back(bytes);
        while self.held_bytes > HELD_BACK {
            self.release().await?;
        }
        Ok(())
    }

    async fn release(&mut self) -> Result<(), ArtifactError> {
        if let Some(bytes) = self.held.pop_front() {
            self.held_bytes -= bytes.len();
            let gone = |_| ArtifactError::Unwanted { name: self.content.stored.name.clone() };
            self.to.send(Ok(bytes)).await.map_err(gone)?;
        }
        Ok(())
    }

    async fn finish(mut self) -> Result<(u64, Vec<String>), ArtifactError> {
        let images = match self.tar.take() {
            Some(tar) => tar.finish().map_err(|error| self.content.damaged(error.to_string()))?,
            None => Vec::new(),
        };
        while !self.held.is_empty() {
            self.release().await?;
        }
        Ok((self.sent, images))
    }
}

/// The download's own error; readers know only the kind of theirs.
type Lost = Arc<Mutex<Option<ArtifactError>>>;

type Pieces = Pin<Box<dyn futures_util::Stream<Item = io::Result<Bytes>> + Send>>;

/// The stored bytes, hashed as they pass.
struct Hashed {
    inner: StreamReader<Pieces, Bytes>,
    hasher: Sha256,
}

impl Hashed {
    fn over(content: &Content, lost: &Lost) -> Self {
        let lost = lost.clone();
        let pieces = content.stored.stream(0).map(move |piece| {
            piece.map_err(|error| {
                *lost.lock().unwrap_or_else(PoisonError::into_inner) = Some(error);
                io::Error::from(io::ErrorKind::BrokenPipe)
            })
        });
        Self { inner: StreamReader::new(Box::pin(pieces)), hasher: Sha256::new() }
    }
}

impl AsyncRead for Hashed {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let before = buffer.filled().len();
        let polled = Pin::new(&mut self.inner).poll_read(cx, buffer);
        self.hasher.update(&buffer.filled()[before..]);
        polled
    }
}

/// A file's unpacked bytes, counted and summed; one byte more than was promised ends it.
struct Summed<R> {
    inner: R,
    crc: crc32fast::Hasher,
    count: u64,
    limit: u64,
}

impl<R: AsyncRead + Unpin> AsyncRead for Summed<R> {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let before = buffer.filled().len();
        let polled = Pin::new(&mut self.inner).poll_read(cx, buffer);
        let new = &buffer.filled()[before..];
        self.crc.update(new);
        self.count += new.len() as u64;
        if self.count > self.limit {
            return Poll::Ready(Err(io::Error::other("more comes out of its archive than the archive says")));
        }
        polled
    }
}
