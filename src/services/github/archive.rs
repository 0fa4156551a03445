//! Purpose: a repository's files at one commit, streamed from GitHub's source archive into a folder.
//!
//! The archive is never held in memory or stored itself. Writing goes through the archive library's hardened path
//! (parents are resolved and must lie inside, links are replaced and never written through); what it would skip
//! silently is an error here. Links are kept as they are, wherever they point: whoever reads the folder must not
//! follow them out of it.

use std::fs::Permissions;
use std::io;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Component, Path, PathBuf};
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};

use async_compression::tokio::bufread::GzipDecoder;
use futures_util::{StreamExt as _, TryStreamExt as _};
use http::header::AUTHORIZATION;
use tokio::io::{AsyncRead, BufReader, ReadBuf};
use tokio_util::io::StreamReader;

use super::route::Route;
use super::{Asked, GithubClient, GithubError, REDIRECTS, Repository, broken, success, target};
use crate::domain::names::CommitSha;
use crate::services::http::Repeat;

/// What was unpacked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Extracted {
    /// Files and links.
    pub files: u64,
    /// Bytes of the archive, decompressed.
    pub bytes: u64,
}

impl GithubClient {
    /// Unpacks the files of one commit into `folder`, which must not exist yet; the archive's own top folder is
    /// stripped. Files get 644 or 755, as in a checkout. On failure nothing is left behind.
    ///
    /// # Errors
    /// [`GithubError`]; [`GithubError::TooLarge`] when more than `limit` bytes come out.
    pub async fn unpack_source(
        &self,
        repository: &Repository,
        commit: &CommitSha,
        folder: &Path,
        limit: u64,
    ) -> Result<Extracted, GithubError> {
        let asked = Asked::new("source archive", format!("of {} at {commit}", repository.name));
        let attempt = || self.unpack_once(&asked, repository, commit, folder, limit);
        Box::pin(self.policy.run(Repeat::Always, attempt)).await
    }

    async fn unpack_once(
        &self,
        asked: &Asked,
        repository: &Repository,
        commit: &CommitSha,
        folder: &Path,
        limit: u64,
    ) -> Result<Extracted, GithubError> {
        let response = self.download(asked, repository, commit).await?;
        let partial = partial_of(folder);
        let disk = |source| GithubError::Disk { asked: asked.clone(), folder: folder.to_owned(), source };
        clear(&partial).await.map_err(disk)?;
        tokio::fs::create_dir_all(&partial).await.map_err(disk)?;
        let unpacked = unpack(asked, response, &partial, limit).await;
        let done = match unpacked {
            Ok((extracted, top)) => {
                tokio::fs::rename(partial.join(top), folder).await.map(|()| extracted).map_err(disk)
            }
            Err(error) => Err(error),
        };
        clear(&partial).await.map_err(disk)?;
        done
    }

    /// Opens the archive. GitHub redirects to another host, with a short-lived token in the address: no credentials
    /// go there.
    async fn download(
        &self,
        asked: &Asked,
        repository: &Repository,
        commit: &CommitSha,
    ) -> Result<reqwest::Response, GithubError> {
        let mut url = Route::of(&repository.name).words("/tarball").name(commit.as_str()).below(&self.base);
        let mut response = self.send(asked, &url).await?;
        for _ in 0..REDIRECTS {
            if !response.status().is_redirection() {
                return success(asked, response).await;
            }
            url = target(asked, &response, &url)?;
            let mut request = self.http.get(url.clone());
            if url.origin() == self.base.origin()
                && let Some(authorization) = &self.authorization
            {
                request = request.header(AUTHORIZATION, authorization.clone());
            }
            response = request.send().await.map_err(|error| broken(asked, error))?;
        }
        Err(GithubError::Malformed { asked: asked.clone(), expected: "an archive but redirects", source: None })
    }
}

/// Where the archive goes until it is complete: beside the folder, so that moving it is one step.
fn partial_of(folder: &Path) -> PathBuf {
    let mut name = folder.file_name().unwrap_or_default().to_owned();
    name.push(".partial");
    folder.with_file_name(name)
}

async fn clear(folder: &Path) -> io::Result<()> {
    match tokio::fs::remove_dir_all(folder).await {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}

/// Unpacks a stream below `root`; gives the name of the archive's only top folder.
async fn unpack(
    asked: &Asked,
    response: reqwest::Response,
    root: &Path,
    limit: u64,
) -> Result<(Extracted, PathBuf), GithubError> {
    let disk = |source| GithubError::Disk { asked: asked.clone(), folder: root.to_owned(), source };
    let root = tokio::fs::canonicalize(root).await.map_err(disk)?;
    let transport: Arc<Mutex<Option<reqwest::Error>>> = Arc::default();
    let noted = transport.clone();
    let bytes = response.bytes_stream().map_err(move |error| {
        *noted.lock().unwrap_or_else(PoisonError::into_inner) = Some(error);
        io::Error::from(io::ErrorKind::BrokenPipe)
    });
    let plain = GzipDecoder::new(BufReader::new(StreamReader::new(bytes)));
    let mut meter = Meter { inner: plain, count: 0, limit };
    let result = entries(&mut meter, &root).await;
    let lost = transport.lock().unwrap_or_else(PoisonError::into_inner).take();
    match (result, lost) {
        (Ok((files, top)), _) => Ok((Extracted { files, bytes: meter.count }, top)),
        (Err(_), Some(error)) => Err(broken(asked, error)),
        (Err(Stop::Escape(entry)), None) => Err(GithubError::Escape { asked: asked.clone(), entry }),
        (Err(Stop::Io(_)), None) if meter.count > limit => Err(GithubError::TooLarge { asked: asked.clone(), limit }),
        (Err(Stop::Io(source)), None) if is_archives_fault(&source) => {
            Err(GithubError::BadArchive { asked: asked.clone(), source })
        }
        (Err(Stop::Io(source)), None) => Err(disk(source)),
    }
}

/// Why unpacking stopped.
enum Stop {
    Escape(String),
    Io(io::Error),
}

impl From<io::Error> for Stop {
    fn from(error: io::Error) -> Self {
        Self::Io(error)
    }
}

/// The decompressor and the archive library report damage with these kinds; the file system has its own.
fn is_archives_fault(error: &io::Error) -> bool {
    use io::ErrorKind::{InvalidData, InvalidInput, Other, UnexpectedEof};
    matches!(error.kind(), InvalidData | InvalidInput | Other | UnexpectedEof)
}

/// Writes every entry below `root`; gives the number of files and links, and the only top folder.
async fn entries<R: AsyncRead + Unpin>(reader: &mut R, root: &Path) -> Result<(u64, PathBuf), Stop> {
    let mut top: Option<PathBuf> = None;
    let mut files = 0;
    let mut validated = Default::default();
    let mut archive = tokio_tar::Archive::new(&mut *reader);
    let mut entries = archive.entries()?;
    while let Some(entry) = entries.next().await {
        let mut entry = entry?;
        let kind = entry.header().entry_type();
        // `git archive` begins with one that holds the commit id.
        if kind.is_pax_global_extensions() {
            continue;
        }
        let first = top_of(&entry.path()?)?;
        if *top.get_or_insert_with(|| first.clone()) != first {
            return Err(io::Error::other("it has more than one top folder").into());
        }
        let executable = entry.header().mode().is_ok_and(|mode| mode & 0o100 != 0);
        let written = entry.unpack_in_raw(root, &mut validated).await?;
        if let Some(file) = written.filter(|_| kind.is_file()) {
            let mode = if executable { 0o755 } else { 0o644 };
            tokio::fs::set_permissions(&file, Permissions::from_mode(mode)).await?;
        }
        files += u64::from(!kind.is_dir());
    }
    drop((entries, archive));
    // The decompressor checks its sums at the very end, behind the archive's last entry.
    tokio::io::copy(reader, &mut tokio::io::sink()).await?;
    let top = top.ok_or_else(|| io::Error::other("it is empty"))?;
    // A link in the place of the top folder would make the whole folder a link.
    if !tokio::fs::symlink_metadata(root.join(&top)).await?.is_dir() {
        return Err(io::Error::other("its top is not a folder").into());
    }
    Ok((files, top))
}

/// The top folder of an entry's path, which may only go down.
fn top_of(path: &Path) -> Result<PathBuf, Stop> {
    let mut parts = path.components().filter(|part| !matches!(part, Component::CurDir));
    let escape = || Stop::Escape(path.display().to_string());
    match parts.next() {
        Some(Component::Normal(top)) if parts.all(|part| matches!(part, Component::Normal(_))) => Ok(top.into()),
        _ => Err(escape()),
    }
}

/// Counts what is read and fails beyond the limit.
struct Meter<R> {
    inner: R,
    count: u64,
    limit: u64,
}

impl<R: AsyncRead + Unpin> AsyncRead for Meter<R> {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let before = buffer.filled().len();
        let polled = Pin::new(&mut self.inner).poll_read(cx, buffer);
        self.count += (buffer.filled().len() - before) as u64;
        if self.count > self.limit {
            return Poll::Ready(Err(io::Error::other("it is larger than allowed")));
        }
        polled
    }
}
