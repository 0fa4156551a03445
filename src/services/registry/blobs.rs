//! Purpose: blobs put into a registry, from a file, as often as it takes.

use std::io;
use std::os::unix::fs::FileExt as _;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures_util::Stream;
use http::header::{AUTHORIZATION, CONTENT_LENGTH, CONTENT_TYPE, HeaderValue, LOCATION};
use http::{Method, StatusCode};
use reqwest::{Body, Response};
use url::Url;

use super::request::{Actions, Call, read};
use super::{Refused, RegistryClient, RegistryError};
use crate::domain::names::Digest;
use crate::domain::reference::ImageName;
use crate::services::http::Repeat;

/// Bytes of one piece on the way.
const PIECE: usize = 256 * 1024;
/// The slowest transfer that is still waited for, in bytes a second, beside the usual time for an answer.
const SLOWEST: u64 = 100_000;

/// A blob in a file of this machine. The file may have no name any more.
#[derive(Debug, Clone)]
pub struct Blob {
    /// The digest of its content.
    pub digest: Digest,
    /// Its bytes.
    pub size: u64,
    /// Where its content begins at byte 0.
    pub file: Arc<std::fs::File>,
}

/// How a blob came to be in a repository.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Put {
    /// It was sent.
    Sent,
    /// It was there.
    Present,
}

impl RegistryClient {
    /// Puts a blob into a repository, unless it is there. A failure on the way begins anew: whatever a broken upload left
    /// is no blob, because only the last request names its digest.
    ///
    /// # Errors
    /// Class `Forbidden` without the right to push, `Invalid` when the registry refuses the content.
    pub async fn put_blob(&self, name: &ImageName, blob: &Blob) -> Result<Put, RegistryError> {
        if self.has_blob(name, &blob.digest).await? {
            return Ok(Put::Present);
        }
        let asked = format!("an upload of the blob {} to {name}", blob.digest);
        let begin = Call {
            method: Method::POST,
            actions: Actions::Push,
            ..Call::get(name, "/blobs/uploads/".to_owned(), asked.clone())
        };
        let begin = &begin;
        let patience = self.0.timeout + Duration::from_secs(blob.size / SLOWEST);
        let attempt = || async move {
            let timed_out = |_| RegistryError::TimedOut { asked: begin.asked.clone(), registry: begin.registry() };
            tokio::time::timeout(patience, self.upload(begin, blob)).await.map_err(timed_out)?
        };
        Box::pin(self.0.policy.run(Repeat::Always, attempt)).await?;
        Ok(Put::Sent)
    }

    /// Whether a repository has a blob. A 404 to HEAD has no words, and costs at most an upload too many.
    async fn has_blob(&self, name: &ImageName, digest: &Digest) -> Result<bool, RegistryError> {
        let path = format!("/blobs/{digest}");
        let call = Call {
            method: Method::HEAD,
            actions: Actions::Push,
            ..Call::get(name, path, format!("the blob {digest} of {name}"))
        };
        match self.call(&call).await {
            Ok(_) => Ok(true),
            Err(error) if error.refused().is_some_and(|refused: &Refused| refused.status == 404) => Ok(false),
            Err(error) => Err(error),
        }
    }

    /// One try: a place for it, then the whole of it (distribution specification, "POST then PUT").
    async fn upload(&self, begin: &Call<'_>, blob: &Blob) -> Result<(), RegistryError> {
        let begun = self.once(begin, &self.url(begin)?).await?;
        let place = begun.headers.get(LOCATION).and_then(|value| value.to_str().ok());
        let place = place.and_then(|place| begun.url.join(place).ok());
        let mut place = place.ok_or_else(|| begin.malformed("a place for an upload"))?;
        self.check_encrypted(begin, &begun.url, &place)?;
        place.query_pairs_mut().append_pair("digest", blob.digest.as_str());
        let put = Call { method: Method::PUT, ..begin.clone() };
        // The registry's own storage may be elsewhere; its address carries its own permission.
        let authorization = match place.origin() == begun.url.origin() {
            true => self.known_authorization(&put).await,
            false => None,
        };
        let mut response = self.send(&put, &place, authorization.as_ref(), blob).await?;
        if response.status() == StatusCode::UNAUTHORIZED
            && let Some(fresh) = self.authorize(&put, response.headers()).await?
            && Some(&fresh) != authorization.as_ref()
        {
            response = self.send(&put, &place, Some(&fresh), blob).await?;
        }
        read(&put, response, &place).await.map(drop)
    }

    async fn send(
        &self,
        put: &Call<'_>,
        place: &Url,
        authorization: Option<&HeaderValue>,
        blob: &Blob,
    ) -> Result<Response, RegistryError> {
        let mut request = self.0.http.request(put.method.clone(), place.clone());
        if let Some(authorization) = authorization {
            request = request.header(AUTHORIZATION, authorization.clone());
        }
        // A length beforehand: storage behind registries refuses uploads without one.
        let request = request.header(CONTENT_LENGTH, blob.size).header(CONTENT_TYPE, "application/octet-stream");
        let request = request.body(Body::wrap_stream(pieces(Arc::clone(&blob.file), blob.size)));
        request.send().await.map_err(|error| put.unanswered(error))
    }
}

/// The content from its beginning. Read by position, so that tries do not disturb each other.
fn pieces(file: Arc<std::fs::File>, size: u64) -> impl Stream<Item = io::Result<Bytes>> + Send + 'static {
    futures_util::stream::try_unfold((file, 0_u64), move |(file, at)| async move {
        let left = usize::try_from(size - at).unwrap_or(PIECE).min(PIECE);
        if left == 0 {
            return Ok(None);
        }
        let reader = Arc::clone(&file);
        let read = tokio::task::spawn_blocking(move || {
            let mut piece = vec![0; left];
            reader.read_exact_at(&mut piece, at).map(|()| Bytes::from(piece))
        });
        let piece = read.await.map_err(io::Error::other)??;
        let at = at + piece.len() as u64;
        Ok(Some((piece, (file, at))))
    })
}
