//! Purpose: repositories of any registry of the distribution specification: what tags lead to, since nothing else is
//! listed there.

use bytes::Bytes;
use futures_util::{StreamExt as _, stream};

use super::{Check, Content, Entry, HoldingsError, Outcome, Pass};
use crate::domain::names::{Digest, TagName};
use crate::domain::reference::ImageName;
use crate::services::registry::{Deleted, Manifest, RegistryClient, RegistryError};
use crate::services::{Classified as _, ErrorClass, with_causes};

/// Questions at a time while tags are looked up.
const CONCURRENCY: usize = 8;

/// One repository.
#[derive(Clone)]
pub struct OciHoldings {
    registry: RegistryClient,
    image: ImageName,
}

impl OciHoldings {
    /// A repository.
    #[must_use]
    pub fn new(registry: &RegistryClient, image: ImageName) -> Self {
        Self { registry: registry.clone(), image }
    }

    /// Every tag with its digest. A registry tells no times: the ledger does.
    pub(super) async fn list(&self) -> Result<Pass, HoldingsError> {
        let tags = match tags(&self.registry, &self.image).await {
            Ok(tags) => tags,
            Err(error) => return Err(error),
        };
        let pages = tags.len().div_ceil(100).max(1) as u64;
        let found = stream::iter(tags)
            .map(|tag| async move { Ok::<_, HoldingsError>((self.digest_of(&tag).await?, tag)) })
            .buffered(CONCURRENCY)
            .collect::<Vec<_>>()
            .await;
        let mut entries = Vec::new();
        for found in found {
            // A tag that went away meanwhile is no error.
            if let (Some(digest), tag) = found? {
                entries.push(Entry { digest, version: None, tags: vec![tag], created: None, size: None });
            }
        }
        Ok(Pass { entries, counted: None, pages })
    }

    pub(super) async fn digest_of(&self, tag: &str) -> Result<Option<Digest>, HoldingsError> {
        digest_of(&self.registry, &self.image, tag).await
    }

    pub(super) async fn read(&self, digests: &[Digest], concurrency: usize) -> Vec<Content> {
        read(&self.registry, &self.image, digests, concurrency).await
    }

    pub(super) async fn delete(&self, entries: &[&Entry], concurrency: usize) -> Vec<(Check, Outcome)> {
        stream::iter(entries).map(|entry| self.delete_one(entry)).buffered(concurrency.max(1)).collect().await
    }

    async fn delete_one(&self, entry: &Entry) -> (Check, Outcome) {
        for tag in &entry.tags {
            match self.digest_of(tag).await {
                Ok(Some(digest)) if digest == entry.digest => {}
                Ok(Some(_)) => return (Check::Changed(format!("the tag {tag} moved on")), Outcome::Already),
                Ok(None) => return (Check::Changed(format!("the tag {tag} is gone")), Outcome::Already),
                Err(error) => return (Check::Same, Outcome::of(&error)),
            }
        }
        let outcome = match self.registry.delete_manifest(&self.image, &entry.digest).await {
            Ok(Deleted::Now) => Outcome::Done,
            Ok(Deleted::Before) => Outcome::Already,
            Err(error) if is_unsupported(&error) => {
                Outcome::failure(format!("the registry does not allow deletion: {}", with_causes(&error)))
            }
            Err(error) => Outcome::of(&error),
        };
        (Check::Same, outcome)
    }

    /// Takes a tag off as the specification says. Registries that are older than that delete the manifest instead:
    /// so its content is at hand before, and put back when it is gone after.
    pub(super) async fn untag(&self, entry: &Entry, tag: &str) -> Outcome {
        let by_digest = self.image.with_digest(entry.digest.clone());
        match self.digest_of(tag).await {
            Ok(Some(digest)) if digest == entry.digest => {}
            Ok(_) => return Outcome::Already,
            Err(error) => return Outcome::of(&error),
        }
        let manifest = match self.registry.manifest(&by_digest).await {
            Ok(Some(manifest)) => manifest,
            Ok(None) => return Outcome::Already,
            Err(error) => return Outcome::of(&error),
        };
        let Ok(name) = tag.parse::<TagName>() else {
            return Outcome::failure("it is not a tag's name".to_owned());
        };
        match self.registry.delete_tag(&self.image, &name).await {
            Ok(_) => {}
            Err(error) if is_unsupported(&error) => {
                return Outcome::Retained("the registry cannot take off a tag alone".to_owned());
            }
            Err(error) => return Outcome::of(&error),
        }
        match self.registry.manifest_digest(&by_digest).await {
            Ok(Some(_)) => Outcome::Done,
            Ok(None) => self.put_back(entry, &manifest, tag).await,
            Err(error) => Outcome::of(&error),
        }
    }

    async fn put_back(&self, entry: &Entry, manifest: &Manifest, without: &str) -> Outcome {
        let by_digest = self.image.with_digest(entry.digest.clone());
        if let Err(error) = self.registry.put_manifest(&by_digest, manifest).await {
            return Outcome::failure(format!(
                "the registry deleted the manifest with its tag: {}",
                with_causes(&error)
            ));
        }
        for tag in entry.tags.iter().filter(|tag| *tag != without).filter_map(|tag| tag.parse::<TagName>().ok()) {
            if let Err(error) = self.registry.put_manifest(&self.image.with_tag(tag), manifest).await {
                return Outcome::failure(format!(
                    "the registry deleted the manifest with its tag: {}",
                    with_causes(&error)
                ));
            }
        }
        Outcome::Done
    }

    pub(super) async fn restore(&self, entry: &Entry, content: Option<(&str, &str)>) -> Outcome {
        let content = content.and_then(|(media_type, text)| {
            Manifest::new(media_type, Bytes::copy_from_slice(text.as_bytes())).filter(|m| m.digest == entry.digest)
        });
        let Some(manifest) = content else {
            return Outcome::failure("the snapshot does not have its content".to_owned());
        };
        let by_digest = self.image.with_digest(entry.digest.clone());
        let tags = entry.tags.iter().filter_map(|tag| tag.parse().ok()).map(|tag| self.image.with_tag(tag));
        for target in std::iter::once(by_digest).chain(tags) {
            if let Err(error) = self.registry.put_manifest(&target, &manifest).await {
                return Outcome::of(&error);
            }
        }
        Outcome::Done
    }
}

fn is_unsupported(error: &RegistryError) -> bool {
    let refused = error.refused();
    error.class() == ErrorClass::Invalid
        && refused.is_some_and(|refused| {
            matches!(refused.status, 400 | 405)
                || matches!(refused.code.as_deref(), Some("UNSUPPORTED" | "DIGEST_INVALID"))
        })
}

pub(super) async fn tags(registry: &RegistryClient, image: &ImageName) -> Result<Vec<String>, HoldingsError> {
    let (mut pages, mut tags) = (registry.tags(image), Vec::new());
    while let Some(tag) = pages.next().await? {
        tags.push(tag);
    }
    Ok(tags)
}

pub(super) async fn digest_of(
    registry: &RegistryClient,
    image: &ImageName,
    tag: &str,
) -> Result<Option<Digest>, HoldingsError> {
    let Ok(name) = tag.parse::<TagName>() else {
        return Ok(None);
    };
    Ok(registry.manifest_digest(&image.with_tag(name)).await?)
}

pub(super) async fn read(
    registry: &RegistryClient,
    image: &ImageName,
    digests: &[Digest],
    concurrency: usize,
) -> Vec<Content> {
    let one = |digest: &Digest| {
        let reference = image.with_digest(digest.clone());
        async move {
            match registry.manifest(&reference).await {
                Ok(Some(manifest)) => Content::Found(manifest.media_type, manifest.body),
                Ok(None) => Content::Absent,
                Err(error) => Content::Unreadable(error.class(), with_causes(&error)),
            }
        }
    };
    stream::iter(digests.iter().map(one)).buffered(concurrency.max(1)).collect().await
}

/// Content that is what its digest says.
pub(super) fn verified(digest: &Digest, media_type: &str, body: &[u8]) -> Option<Content> {
    let manifest = Manifest::new(media_type, Bytes::copy_from_slice(body))?;
    let is_short = digest.as_str().starts_with("sha256:");
    (!is_short || manifest.digest == *digest).then(|| Content::Found(manifest.media_type, manifest.body))
}
