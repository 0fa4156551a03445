//! Purpose: the content of an artifact where it is stored: its size, its files, its bytes from any place on.

use bytes::Bytes;
use futures_util::Stream;
use reqwest::header::{CONTENT_DISPOSITION, CONTENT_RANGE, CONTENT_TYPE, RANGE};
use reqwest::{Response, StatusCode};
use url::Url;

use super::service::{Entry, mask_signature};
use super::{ArtifactError, Artifacts};
use crate::domain::artifact::{ArtifactName, file_name};
use crate::domain::globs::Globs;
use crate::domain::names::RepositoryName;
use crate::domain::zip::{Tail, USUAL_TAIL, ZipEntry, ZipError, read_tail};
use crate::services::github::GithubClient;
use crate::services::http::{self, HttpError, Repeat, RetryPolicy};
use crate::services::{Classified as _, ErrorClass, SecretObserver};

/// An artifact that exists.
#[derive(Clone)]
pub struct Stored {
    /// Its name.
    pub name: String,
    /// Its id in GitHub's REST API.
    pub id: u64,
    /// `sha256:…` of its content, when the service says so.
    pub digest: Option<String>,
    /// Bytes, as listed.
    pub size: Option<u64>,
    place: Place,
    http: reqwest::Client,
    pub(super) policy: RetryPolicy,
    secrets: SecretObserver,
}

/// Who gives out addresses of the content.
#[derive(Clone)]
enum Place {
    Service { artifacts: Box<Artifacts>, entry: Box<Entry> },
    Rest { github: Box<GithubClient>, repository: RepositoryName },
}

impl Stored {
    pub(super) fn of_service(artifacts: &Artifacts, entry: Entry) -> Self {
        Self {
            name: entry.name.clone(),
            id: entry.id(),
            digest: entry.digest(),
            size: entry.size(),
            http: artifacts.http.clone(),
            policy: artifacts.policy,
            secrets: artifacts.secrets.clone(),
            place: Place::Service { artifacts: Box::new(artifacts.clone()), entry: Box::new(entry) },
        }
    }

    /// Any run's artifact of that name, by GitHub's REST API; the newest of several attempts. The token needs
    /// `actions: read`.
    ///
    /// # Errors
    /// [`ArtifactError::NotFound`] when the run definitely has none, [`ArtifactError::Expired`].
    pub async fn of_run(
        github: &GithubClient,
        repository: &RepositoryName,
        run: u64,
        name: &ArtifactName,
        secrets: &SecretObserver,
    ) -> Result<Self, ArtifactError> {
        let place = format!("run {run} of {repository}");
        let mut found = github.run_artifacts(repository, run, Some(name.as_str())).await?;
        found.retain(|artifact| artifact.name == name.as_str());
        found.sort_by_key(|artifact| (!artifact.expired, artifact.id));
        let Some(newest) = found.pop() else {
            let all = github.run_artifacts(repository, run, None).await?;
            let mut has: Vec<String> = all.into_iter().map(|artifact| artifact.name).collect();
            has.sort();
            has.dedup();
            return Err(ArtifactError::NotFound { name: name.to_string(), place, has });
        };
        if newest.expired {
            return Err(ArtifactError::Expired { name: name.to_string(), place });
        }
        let http = http::client().map_err(|source| ArtifactError::Http { action: "setting up".to_owned(), source })?;
        // Each attempt to read wants an address of its own; asked for several times in each, they would multiply.
        let once = github.clone().with_policy(RetryPolicy { attempts: 1, ..RetryPolicy::default() });
        Ok(Self {
            name: newest.name,
            id: newest.id,
            digest: newest.digest,
            size: Some(newest.size_in_bytes),
            http,
            policy: RetryPolicy::default(),
            secrets: secrets.clone(),
            place: Place::Rest { github: Box::new(once), repository: repository.clone() },
        })
    }

    /// Looks at the content: what it is, and which files it has. Only its end is read.
    ///
    /// # Errors
    /// [`ArtifactError::Zip`] for an archive that is damaged or hostile, and any failure to ask.
    pub async fn open(&self) -> Result<Content, ArtifactError> {
        let (tail, head) = self.tail(USUAL_TAIL).await?;
        if !head.is_zip(&tail) {
            let name = head.file.unwrap_or_else(|| self.name.clone());
            let file = FileInside { name, entry: None };
            return Ok(Content { stored: self.clone(), size: head.size, files: vec![file] });
        }
        let zip = |source| ArtifactError::Zip { name: self.name.clone(), source };
        let entries = match read_tail(&tail, head.size).map_err(zip)? {
            Tail::Files(entries) => entries,
            // Zip64's record may lie before the list's own beginning is known: twice is enough.
            Tail::From(offset) => {
                let (tail, _) = self.tail(head.size - offset).await?;
                match read_tail(&tail, head.size).map_err(zip)? {
                    Tail::Files(entries) => entries,
                    Tail::From(offset) => {
                        let (tail, _) = self.tail(head.size - offset).await?;
                        match read_tail(&tail, head.size).map_err(zip)? {
                            Tail::Files(entries) => entries,
                            Tail::From(_) => return Err(zip(ZipError::Damaged)),
                        }
                    }
                }
            }
        };
        let files = entries.into_iter().map(|entry| FileInside { name: entry.name.clone(), entry: Some(entry) });
        Ok(Content { stored: self.clone(), size: head.size, files: files.collect() })
    }

    /// The last bytes of the content, and what its storage says of it.
    async fn tail(&self, length: u64) -> Result<(Vec<u8>, Head), ArtifactError> {
        let attempt = || self.tail_once(length);
        Box::pin(self.policy.run(Repeat::Always, attempt)).await
    }

    async fn tail_once(&self, length: u64) -> Result<(Vec<u8>, Head), ArtifactError> {
        let mut response = match self.get(&format!("bytes=-{length}")).await {
            // Of nothing there is no end.
            Err(ArtifactError::Http { source: HttpError::Status { status: 416, .. }, .. }) => {
                return Ok((Vec::new(), Head::of_nothing()));
            }
            response => response?,
        };
        let total = total_of(&response);
        let mut head = Head::of(&response);
        let (mut tail, mut count) = (std::collections::VecDeque::new(), 0_u64);
        // A storage that knows no ranges sends everything; the end of it is kept.
        while let Some(bytes) = response.chunk().await.map_err(|error| self.broken(head.target.clone(), error))? {
            count += bytes.len() as u64;
            tail.extend(bytes);
            let surplus = (tail.len() as u64).saturating_sub(length);
            tail.drain(..usize::try_from(surplus).unwrap_or_default());
        }
        head.size = total.unwrap_or(count);
        Ok((tail.into(), head))
    }

    /// The content from `offset` on, taken up again where it breaks off, with a new address each time.
    pub(super) fn stream(&self, offset: u64) -> impl Stream<Item = Result<Bytes, ArtifactError>> + Send + use<> {
        let reading = Reading { stored: self.clone(), offset, response: None, surplus: None, failures: 0 };
        futures_util::stream::try_unfold(reading, |mut reading| async move {
            let bytes = reading.next().await?;
            Ok(bytes.map(|bytes| (bytes, reading)))
        })
    }

    /// One GET at a fresh address. The token goes to none of them.
    async fn get(&self, range: &str) -> Result<Response, ArtifactError> {
        let url = self.address().await?;
        let response = http::send(self.http.get(url).header(RANGE, range)).await;
        let response = response.map_err(|source| self.failed(source))?;
        if response.status().is_redirection() {
            let target = http::shown(response.url());
            return Err(self.failed(HttpError::Malformed { target, expected: "the artifact's content" }));
        }
        Ok(response)
    }

    async fn address(&self) -> Result<Url, ArtifactError> {
        match &self.place {
            Place::Service { artifacts, entry } => artifacts.signed_address(entry).await,
            Place::Rest { github, repository } => {
                let url = github.artifact_address(repository, self.id).await?;
                mask_signature(&url, &self.secrets);
                Ok(url)
            }
        }
    }

    fn failed(&self, source: HttpError) -> ArtifactError {
        ArtifactError::Http { action: format!("downloading the artifact '{}'", self.name), source }
    }

    fn broken(&self, target: String, error: reqwest::Error) -> ArtifactError {
        self.failed(HttpError::Transport { target, unconnected: false, source: error.without_url() })
    }
}

/// A download under way.
struct Reading {
    stored: Stored,
    offset: u64,
    response: Option<(Response, String)>,
    /// What came behind the bytes that were passed over.
    surplus: Option<Bytes>,
    failures: u32,
}

impl Reading {
    async fn next(&mut self) -> Result<Option<Bytes>, ArtifactError> {
        loop {
            let error = match self.piece().await {
                Ok(Some(bytes)) => {
                    self.offset += bytes.len() as u64;
                    self.failures = 0;
                    return Ok(Some(bytes));
                }
                Ok(None) => return Ok(None),
                Err(error) => error,
            };
            (self.response, self.surplus) = (None, None);
            self.failures += 1;
            let policy = self.stored.policy;
            // A signature that ran out while it was waited for is refused with 403.
            let again = error.class().is_transient() || error.class() == ErrorClass::Forbidden;
            if !again || self.failures as usize >= policy.attempts {
                return Err(error);
            }
            let wait = policy.first_wait * 2_u32.saturating_pow(self.failures - 1);
            tokio::time::sleep(error.retry_after().unwrap_or(wait).min(policy.longest_wait)).await;
        }
    }

    /// The next bytes; an end that comes too early is an error of the connection in hyper already.
    async fn piece(&mut self) -> Result<Option<Bytes>, ArtifactError> {
        let (response, target) = match &mut self.response {
            Some(open) => open,
            none => {
                let response = self.stored.get(&format!("bytes={}-", self.offset)).await;
                let mut response = match response {
                    // Nothing is left.
                    Err(ArtifactError::Http { source: HttpError::Status { status: 416, .. }, .. }) => return Ok(None),
                    response => response?,
                };
                let target = http::shown(response.url());
                if response.status() != StatusCode::PARTIAL_CONTENT {
                    let skipped = skip(&mut response, self.offset).await;
                    self.surplus = skipped.map_err(|error| self.stored.broken(target.clone(), error))?;
                }
                none.insert((response, target))
            }
        };
        if let Some(surplus) = self.surplus.take() {
            return Ok(Some(surplus));
        }
        let piece = response.chunk().await;
        piece.map_err(|error| self.stored.broken(target.clone(), error))
    }
}

/// Passes over what is known already; what came with it and is new.
async fn skip(response: &mut Response, mut count: u64) -> Result<Option<Bytes>, reqwest::Error> {
    while count > 0 {
        let Some(mut bytes) = response.chunk().await? else {
            return Ok(None);
        };
        let known = bytes.len().min(usize::try_from(count).unwrap_or(usize::MAX));
        count -= known as u64;
        let new = bytes.split_off(known);
        if !new.is_empty() {
            return Ok(Some(new));
        }
    }
    Ok(None)
}

/// What the storage says of a content.
struct Head {
    size: u64,
    content_type: String,
    file: Option<String>,
    target: String,
    by_path: bool,
}

impl Head {
    fn of_nothing() -> Self {
        Self { size: 0, content_type: String::new(), file: None, target: String::new(), by_path: false }
    }

    fn of(response: &Response) -> Self {
        let header = |name| response.headers().get(name).and_then(|value| value.to_str().ok()).unwrap_or_default();
        let file = file_name(header(CONTENT_DISPOSITION));
        let ends_with_zip = |name: &str| name.to_ascii_lowercase().ends_with(".zip");
        Self {
            size: 0,
            content_type: header(CONTENT_TYPE).to_ascii_lowercase(),
            by_path: ends_with_zip(response.url().path()) || file.as_deref().is_some_and(ends_with_zip),
            file,
            target: http::shown(response.url()),
        }
    }

    /// By type or name, else by how it ends.
    fn is_zip(&self, tail: &[u8]) -> bool {
        let said = self.by_path
            || ["application/zip", "application/x-zip-compressed", "zip"].contains(&self.content_type.as_str());
        let unsaid = matches!(self.content_type.as_str(), "" | "application/octet-stream" | "binary/octet-stream");
        said || (unsaid && self.file.is_none() && read_tail(tail, self.size).is_ok())
    }
}

/// The whole size out of `Content-Range: bytes 5-9/10`.
fn total_of(response: &Response) -> Option<u64> {
    let range = response.headers().get(CONTENT_RANGE)?.to_str().ok()?;
    range.rsplit_once('/')?.1.parse().ok()
}

/// An artifact whose files are known.
#[derive(Clone)]
pub struct Content {
    /// The artifact.
    pub stored: Stored,
    /// Bytes, as stored.
    pub size: u64,
    /// Its files: those of its zip archive, or itself.
    pub files: Vec<FileInside>,
}

/// A file of an artifact.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FileInside {
    /// Its path.
    pub name: String,
    pub(super) entry: Option<ZipEntry>,
}

impl FileInside {
    /// Bytes, when its archive says so.
    #[must_use]
    pub fn size(&self) -> Option<u64> {
        self.entry.as_ref().map(|entry| entry.size)
    }
}

impl Content {
    /// Whether it is one file, not an archive.
    #[must_use]
    pub fn is_raw(&self) -> bool {
        self.files.iter().all(|file| file.entry.is_none())
    }

    /// The files whose last name, or whole path, matches.
    #[must_use]
    pub fn matching(&self, glob: &Globs) -> Vec<&FileInside> {
        let last = |name: &str| name.rsplit('/').next().unwrap_or_default().to_owned();
        self.files.iter().filter(|file| glob.matches(&file.name) || glob.matches(&last(&file.name))).collect()
    }

    /// The one file that matches. An artifact that is one raw file is that file, whatever its name.
    ///
    /// # Errors
    /// [`ArtifactError::Files`] when none or several match.
    pub fn one_matching(&self, glob: &Globs) -> Result<&FileInside, ArtifactError> {
        if self.is_raw()
            && let [file] = self.files.as_slice()
        {
            return Ok(file);
        }
        match self.matching(glob).as_slice() {
            [file] => Ok(file),
            fitting => Err(ArtifactError::Files {
                name: self.stored.name.clone(),
                wanted: glob.to_string(),
                fitting: fitting.iter().map(|file| file.name.clone()).collect(),
                has: self.files.iter().map(|file| file.name.clone()).collect(),
            }),
        }
    }
}
