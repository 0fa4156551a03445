//! Purpose: what a repository of images holds, behind one face whatever the registry is: listed, read, checked, deleted,
//! put back.
//!
//! ```ignore
//! let holdings = Holdings::Ecr(EcrHoldings::new(repository));
//! let pass = holdings.list().await?;                 // one look; whoever deletes looks twice
//! let read = holdings.read(&digests).await;          // manifests, each with its own success or failure
//! ```

mod ecr;
mod ghcr;
mod oci;

use bytes::Bytes;

pub use ecr::EcrHoldings;
pub use ghcr::GhcrHoldings;
pub use oci::OciHoldings;

use super::aws::AwsError;
use super::github::GithubError;
use super::registry::RegistryError;
use super::{Classified, ErrorClass, with_causes};
use crate::domain::names::Digest;

/// One manifest as a listing shows it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// Its digest.
    pub digest: Digest,
    /// GitHub's own number for it.
    pub version: Option<u64>,
    /// Its tags, sorted.
    pub tags: Vec<String>,
    /// When it was pushed, in seconds since 1970; `None` when the registry does not tell.
    pub created: Option<i64>,
    /// Its size in bytes, when the registry tells.
    pub size: Option<u64>,
}

/// One look at a repository.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Pass {
    /// Everything that was listed; a digest once.
    pub entries: Vec<Entry>,
    /// How many the registry says there are, when it says so apart from the listing.
    pub counted: Option<u64>,
    /// Requests that it took.
    pub pages: u64,
}

/// What a manifest's content turned out to be.
#[derive(Debug)]
pub enum Content {
    /// Its type and bytes, verified.
    Found(String, Bytes),
    /// The registry says that it does not have it.
    Absent,
    /// Nobody knows: how the failure classes, and why.
    Unreadable(ErrorClass, String),
}

/// Whether an entry is still what it was.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Check {
    /// It is.
    Same,
    /// It is gone.
    Gone,
    /// It is another; how, in words.
    Changed(String),
}

/// What became of one deletion, untagging or restoration.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    /// It is done.
    Done,
    /// There was nothing to do.
    Already,
    /// The registry keeps it for a rule of its own, and always will; its words.
    Retained(String),
    /// It failed: how that classes, and why.
    Failed(ErrorClass, String),
}

impl Outcome {
    fn failure(why: impl Into<String>) -> Self {
        Self::Failed(ErrorClass::Failed, why.into())
    }

    fn of<E: Classified>(error: &E) -> Self {
        Self::Failed(error.class(), with_causes(error))
    }
}

/// A question to a registry that failed as a whole.
#[derive(Debug, thiserror::Error)]
pub enum HoldingsError {
    /// GitHub's API.
    #[error(transparent)]
    Github(#[from] GithubError),
    /// The registry itself.
    #[error(transparent)]
    Registry(#[from] RegistryError),
    /// AWS.
    #[error(transparent)]
    Aws(#[from] AwsError),
}

impl Classified for HoldingsError {
    fn class(&self) -> ErrorClass {
        match self {
            Self::Github(error) => error.class(),
            Self::Registry(error) => error.class(),
            Self::Aws(error) => error.class(),
        }
    }

    fn retry_after(&self) -> Option<std::time::Duration> {
        match self {
            Self::Github(error) => error.retry_after(),
            Self::Registry(error) => error.retry_after(),
            Self::Aws(error) => error.retry_after(),
        }
    }
}

/// A repository of images.
#[derive(Clone)]
pub enum Holdings {
    /// A package of GitHub's container registry.
    Ghcr(Box<GhcrHoldings>),
    /// A repository of Amazon ECR.
    Ecr(EcrHoldings),
    /// A repository of any other registry of the distribution specification.
    Oci(OciHoldings),
}

impl Holdings {
    /// Everything, once.
    ///
    /// # Errors
    /// When any page could not be had.
    pub async fn list(&self) -> Result<Pass, HoldingsError> {
        let mut pass = match self {
            Self::Ghcr(holdings) => holdings.list().await?,
            Self::Ecr(holdings) => holdings.list().await?,
            Self::Oci(holdings) => holdings.list().await?,
        };
        merge(&mut pass.entries);
        Ok(pass)
    }

    /// Tags by a second source beside the listing, with the digests of those that are asked for; `None` where there is
    /// only one source.
    ///
    /// # Errors
    /// When they could not be had.
    pub async fn second_tags(&self) -> Result<Option<Vec<String>>, HoldingsError> {
        match self {
            Self::Ghcr(holdings) => holdings.tags().await.map(Some),
            Self::Ecr(_) | Self::Oci(_) => Ok(None),
        }
    }

    /// The digest that a tag has now; `None` when there is definitely no such tag.
    ///
    /// # Errors
    /// Everything that is not a definite answer.
    pub async fn digest_of(&self, tag: &str) -> Result<Option<Digest>, HoldingsError> {
        match self {
            Self::Ghcr(holdings) => holdings.digest_of(tag).await,
            Self::Ecr(holdings) => holdings.digest_of(tag).await,
            Self::Oci(holdings) => holdings.digest_of(tag).await,
        }
    }

    /// Manifests by digest, in the same order.
    pub async fn read(&self, digests: &[Digest], concurrency: usize) -> Vec<Content> {
        match self {
            Self::Ghcr(holdings) => holdings.read(digests, concurrency).await,
            Self::Ecr(holdings) => holdings.read(digests, concurrency).await,
            Self::Oci(holdings) => holdings.read(digests, concurrency).await,
        }
    }

    /// The newest entries, with one request: what came in since the last look. `None` where nothing is sorted by time.
    ///
    /// # Errors
    /// When it could not be had.
    pub async fn newest(&self) -> Result<Option<Vec<Entry>>, HoldingsError> {
        match self {
            Self::Ghcr(holdings) => holdings.newest().await.map(Some),
            // ECR itself refuses to delete what an index holds.
            Self::Ecr(_) => Ok(None),
            Self::Oci(holdings) => holdings.list().await.map(|pass| Some(pass.entries)),
        }
    }

    /// Compares an entry with what is there now, and deletes it when it is the same. On ECR a hundred go at once.
    pub async fn delete(&self, entries: &[&Entry], concurrency: usize) -> Vec<(Check, Outcome)> {
        match self {
            Self::Ghcr(holdings) => holdings.delete(entries, concurrency).await,
            Self::Ecr(holdings) => holdings.delete(entries).await,
            Self::Oci(holdings) => holdings.delete(entries, concurrency).await,
        }
    }

    /// Takes a tag off a manifest that stays.
    pub async fn untag(&self, entry: &Entry, tag: &str) -> Outcome {
        match self {
            Self::Ghcr(_) => Outcome::Retained("GitHub deletes a version with all of its tags only".to_owned()),
            Self::Ecr(holdings) => holdings.untag(entry, tag).await,
            Self::Oci(holdings) => holdings.untag(entry, tag).await,
        }
    }

    /// Puts back what was deleted: on GitHub by its number, elsewhere by its content, which must be given then.
    pub async fn restore(&self, entry: &Entry, content: Option<(&str, &str)>) -> Outcome {
        match self {
            Self::Ghcr(holdings) => holdings.restore(entry).await,
            Self::Ecr(holdings) => holdings.restore(entry, content).await,
            Self::Oci(holdings) => holdings.restore(entry, content).await,
        }
    }

    /// The most entries that one call of [`Self::delete`] should get.
    #[must_use]
    pub fn batch(&self) -> usize {
        100
    }

    /// Whether undoing a deletion needs the manifest's content.
    #[must_use]
    pub fn restores_by_content(&self) -> bool {
        !matches!(self, Self::Ghcr(_))
    }
}

/// A digest once, with the union of its tags: pages that shift repeat entries.
fn merge(entries: &mut Vec<Entry>) {
    let mut places: std::collections::HashMap<Digest, usize> = std::collections::HashMap::new();
    let mut merged: Vec<Entry> = Vec::with_capacity(entries.len());
    for mut entry in entries.drain(..) {
        entry.tags.sort_unstable();
        match places.get(&entry.digest) {
            Some(&place) => {
                for tag in entry.tags {
                    if let Err(at) = merged[place].tags.binary_search(&tag) {
                        merged[place].tags.insert(at, tag);
                    }
                }
            }
            None => {
                places.insert(entry.digest.clone(), merged.len());
                merged.push(entry);
            }
        }
    }
    *entries = merged;
}

/// How the tags of an entry differ from what is there now.
fn compared(entry: &Entry, digest: Option<&Digest>, tags: &[String]) -> Check {
    if digest != Some(&entry.digest) {
        return Check::Changed("it is another manifest now".to_owned());
    }
    let mut now = tags.to_vec();
    now.sort_unstable();
    if now == entry.tags {
        return Check::Same;
    }
    let new: Vec<&str> = now.iter().filter(|tag| !entry.tags.contains(tag)).map(String::as_str).collect();
    let lost: Vec<&str> = entry.tags.iter().filter(|tag| !now.contains(tag)).map(String::as_str).collect();
    let part = |word: &str, tags: &[&str]| {
        if tags.is_empty() { String::new() } else { format!(" {word} {}", tags.join(", ")) }
    };
    Check::Changed(format!("its tags changed:{}{}", part("now also", &new), part("no longer", &lost)))
}
