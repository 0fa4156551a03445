//! Purpose: uploading a stream as one artifact: blocks in parallel, the digest on the way.

use std::error::Error;
use std::pin::pin;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::{Bytes, BytesMut};
use futures_util::{Stream, StreamExt as _};
use reqwest::header::CONTENT_TYPE;
use serde::Deserialize;
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};
use tokio::task::JoinSet;
use url::Url;

use super::service::{Done, number};
use super::{ArtifactError, Artifacts};
use crate::domain::artifact::{ArtifactName, mime_of};
use crate::domain::hex::hex;
use crate::services::http::{self, HttpError, Repeat};

/// Bytes of one block; 50,000 of them are the storage's limit, which is 390 GiB.
const BLOCK: usize = 8 * 1024 * 1024;
/// Blocks under way at the same time; with the one being filled they are all the memory that an upload takes.
const PARALLEL: usize = 4;
/// The protocol's version with uploads that are no zip archive.
const VERSION: u32 = 7;

/// What happens when the run has an artifact of that name.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Existing {
    /// The upload fails.
    #[default]
    Refuse,
    /// The old one is removed first.
    Replace,
}

/// How to upload.
#[derive(Debug, Clone, Default)]
pub struct Upload {
    /// The type; by the name's extension when absent.
    pub mime: Option<String>,
    /// When it may be deleted, RFC 3339; the repository's own retention when absent.
    pub expires_at: Option<String>,
    /// What happens to an older one.
    pub existing: Existing,
}

/// An artifact that is complete.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Uploaded {
    /// Its name.
    pub name: String,
    /// Its id in GitHub's REST API.
    pub id: u64,
    /// Its bytes.
    pub size: u64,
    /// `sha256:…` of its bytes.
    pub digest: String,
}

#[derive(Deserialize)]
struct Created {
    #[serde(default)]
    ok: bool,
    #[serde(default, alias = "signedUploadUrl")]
    signed_upload_url: String,
}

impl Artifacts {
    /// Uploads a stream as it is, not as a zip archive: the artifact is one file of that name. Memory is bounded
    /// whatever the size. On failure no artifact is left that anybody could see.
    ///
    /// # Errors
    /// [`ArtifactError::Conflict`], [`ArtifactError::Quota`], [`ArtifactError::Source`] when the stream itself fails.
    pub async fn upload<S, E>(&self, name: &ArtifactName, stream: S, how: &Upload) -> Result<Uploaded, ArtifactError>
    where
        S: Stream<Item = Result<Bytes, E>>,
        E: Into<Box<dyn Error + Send + Sync>>,
    {
        let mime = how.mime.clone().unwrap_or_else(|| mime_of(name.as_str()).to_owned());
        if how.existing == Existing::Replace {
            self.delete(name).await?;
        }
        let url = self.reserve(name, &mime, how).await?;
        let stored = match self.store(name, stream, &url, &mime).await {
            Ok(stored) => stored,
            Err(error) => {
                // The name is free again for another try; that the artifact is unfinished is the worst that can remain.
                let _ = self.delete(name).await;
                return Err(error);
            }
        };
        self.finalize(name, stored).await
    }

    async fn reserve(&self, name: &ArtifactName, mime: &str, how: &Upload) -> Result<Url, ArtifactError> {
        let action = format!("creating the artifact '{name}'");
        let mut request = json!({ "name": name.as_str(), "version": VERSION, "mime_type": mime });
        if let Some(time) = &how.expires_at {
            request["expires_at"] = json!(time);
        }
        let create = || async {
            let created = self.call::<Created>(&action, "CreateArtifact", request.clone()).await;
            created.map_err(|error| refusal(name, error))
        };
        let created = match create().await {
            // One that nobody can see is the leftover of a try whose answer was lost, or that broke off.
            Err(ArtifactError::Conflict { .. }) if !self.names().await?.contains(&name.to_string()) => {
                self.delete(name).await?;
                create().await?
            }
            created => created?,
        };
        if !created.ok {
            return Err(ArtifactError::Refused { action });
        }
        self.signed(&action, &created.signed_upload_url)
    }

    async fn store<S, E>(
        &self,
        name: &ArtifactName,
        stream: S,
        url: &Url,
        mime: &str,
    ) -> Result<(u64, String), ArtifactError>
    where
        S: Stream<Item = Result<Bytes, E>>,
        E: Into<Box<dyn Error + Send + Sync>>,
    {
        let mut stream = pin!(stream);
        // Tasks, so that blocks go up while the next one comes in; dropping the set ends them.
        let mut under_way: JoinSet<Result<(), ArtifactError>> = JoinSet::new();
        let (mut hasher, mut size, mut blocks) = (Sha256::new(), 0_u64, Vec::new());
        let mut block = BytesMut::new();
        let mut ended = false;
        while !ended {
            match stream.next().await {
                Some(Ok(bytes)) => {
                    hasher.update(&bytes);
                    size += bytes.len() as u64;
                    block.extend_from_slice(&bytes);
                }
                Some(Err(source)) => {
                    return Err(ArtifactError::Source { name: name.to_string(), source: source.into() });
                }
                None => ended = true,
            }
            while block.len() >= BLOCK || (ended && !block.is_empty()) {
                while under_way.len() >= PARALLEL {
                    joined(name, under_way.join_next().await)?;
                }
                let full = block.split_to(block.len().min(BLOCK)).freeze();
                let id = STANDARD.encode(format!("{:010}", blocks.len()));
                let (client, name, url, block_id) = (self.clone(), name.clone(), url.clone(), id.clone());
                under_way.spawn(async move { client.put_block(&name, &url, &block_id, full).await });
                blocks.push(id);
            }
        }
        while !under_way.is_empty() {
            joined(name, under_way.join_next().await)?;
        }
        self.put_list(name, url, &blocks, mime).await?;
        Ok((size, format!("sha256:{}", hex(&hasher.finalize()))))
    }

    async fn put_block(&self, name: &ArtifactName, url: &Url, id: &str, bytes: Bytes) -> Result<(), ArtifactError> {
        let mut target = url.clone();
        target.query_pairs_mut().append_pair("comp", "block").append_pair("blockid", id);
        let request = || self.http.put(target.clone()).body(bytes.clone());
        self.put(name, request).await
    }

    async fn put_list(&self, name: &ArtifactName, url: &Url, ids: &[String], mime: &str) -> Result<(), ArtifactError> {
        let mut target = url.clone();
        target.query_pairs_mut().append_pair("comp", "blocklist");
        let blocks: String = ids.iter().map(|id| format!("<Latest>{id}</Latest>")).collect();
        let body = format!("<?xml version=\"1.0\" encoding=\"utf-8\"?><BlockList>{blocks}</BlockList>");
        let request = || {
            let request = self.http.put(target.clone()).header("x-ms-blob-content-type", mime);
            request.header(CONTENT_TYPE, "text/plain; charset=UTF-8").body(body.clone())
        };
        self.put(name, request).await
    }

    /// Blocks and lists may be put twice.
    async fn put(
        &self,
        name: &ArtifactName,
        request: impl Fn() -> reqwest::RequestBuilder,
    ) -> Result<(), ArtifactError> {
        let attempt = || async {
            let sent = http::send(request()).await.map(drop);
            sent.map_err(|source| ArtifactError::Http { action: format!("uploading the artifact '{name}'"), source })
        };
        self.policy.run(Repeat::Always, attempt).await
    }

    async fn finalize(&self, name: &ArtifactName, stored: (u64, String)) -> Result<Uploaded, ArtifactError> {
        let (size, digest) = stored;
        let action = format!("completing the artifact '{name}'");
        let request = json!({ "name": name.as_str(), "size": size.to_string(), "hash": digest });
        let done: Done = self.call(&action, "FinalizeArtifact", request).await.map_err(|error| refusal(name, error))?;
        let id: Option<u64> = number(&Value::clone(&done.artifact_id));
        match (done.ok, id) {
            (true, Some(id)) => Ok(Uploaded { name: name.to_string(), id, size, digest }),
            _ => Err(ArtifactError::Refused { action }),
        }
    }
}

/// The end of one block's task.
fn joined(
    name: &ArtifactName,
    ended: Option<Result<Result<(), ArtifactError>, tokio::task::JoinError>>,
) -> Result<(), ArtifactError> {
    match ended {
        Some(Ok(done)) => done,
        Some(Err(error)) => Err(ArtifactError::Source { name: name.to_string(), source: Box::new(error) }),
        None => Ok(()),
    }
}

/// What a refusal means for an upload.
fn refusal(name: &ArtifactName, error: ArtifactError) -> ArtifactError {
    match &error {
        ArtifactError::Http { source: HttpError::Status { status: 409, .. }, .. } => {
            ArtifactError::Conflict { name: name.to_string() }
        }
        ArtifactError::Http { source: HttpError::Status { message, .. }, .. }
            if message.to_lowercase().contains("insufficient usage") =>
        {
            ArtifactError::Quota { name: name.to_string() }
        }
        _ => error,
    }
}
