//! Purpose: repositories of ECR: images by its API, deleted in batches, tags taken off by comparing.

use super::{Check, Content, Entry, HoldingsError, Outcome, Pass};
use crate::domain::names::Digest;
use crate::services::aws::AwsError;
use crate::services::aws::ecr::{BATCH, EcrId, EcrImage, EcrManifest, EcrRepository};
use crate::services::{Classified as _, ErrorClass, with_causes};

/// One repository.
#[derive(Clone)]
pub struct EcrHoldings {
    repository: EcrRepository,
}

impl EcrHoldings {
    /// A repository.
    #[must_use]
    pub fn new(repository: EcrRepository) -> Self {
        Self { repository }
    }

    /// ECR's own face of it.
    #[must_use]
    pub fn repository(&self) -> &EcrRepository {
        &self.repository
    }

    pub(super) async fn list(&self) -> Result<Pass, HoldingsError> {
        let mut pass = Pass::default();
        let mut token: Option<String> = None;
        loop {
            let (images, next) = self.repository.images(token.as_deref()).await?;
            pass.pages += 1;
            pass.entries.extend(images.into_iter().map(entry_of));
            token = next;
            if token.is_none() {
                return Ok(pass);
            }
        }
    }

    pub(super) async fn digest_of(&self, tag: &str) -> Result<Option<Digest>, HoldingsError> {
        Ok(self.repository.digest_of(tag).await?)
    }

    pub(super) async fn read(&self, digests: &[Digest], _concurrency: usize) -> Vec<Content> {
        let mut contents = Vec::with_capacity(digests.len());
        for batch in digests.chunks(BATCH) {
            match self.repository.manifests(batch).await {
                Ok((manifests, failures)) => {
                    contents.extend(batch.iter().map(|digest| content_of(digest, &manifests, &failures)));
                }
                Err(error) => {
                    contents.extend(batch.iter().map(|_| Content::Unreadable(error.class(), with_causes(&error))));
                }
            }
        }
        contents
    }

    pub(super) async fn delete(&self, entries: &[&Entry]) -> Vec<(Check, Outcome)> {
        let mut results = Vec::with_capacity(entries.len());
        for batch in entries.chunks(BATCH) {
            results.extend(self.delete_batch(batch).await);
        }
        results
    }

    async fn delete_batch(&self, entries: &[&Entry]) -> Vec<(Check, Outcome)> {
        let digests: Vec<Digest> = entries.iter().map(|entry| entry.digest.clone()).collect();
        let now = match self.repository.described(&digests).await {
            Ok(now) => now,
            Err(error) => return same_failure(entries.len(), &error),
        };
        let checks: Vec<Check> = entries.iter().map(|entry| check(entry, &now)).collect();
        let ids: Vec<EcrId> = entries
            .iter()
            .zip(&checks)
            .filter(|(_, check)| **check == Check::Same)
            .map(|(entry, _)| EcrId { digest: Some(entry.digest.clone()), tag: None })
            .collect();
        let failures = if ids.is_empty() { Ok(Vec::new()) } else { self.repository.delete(&ids).await };
        let failures = match failures {
            Ok(failures) => failures,
            Err(error) => return same_failure(entries.len(), &error),
        };
        let outcome = |entry: &Entry| {
            let failure = failures.iter().find(|failure| failure.digest.as_deref() == Some(entry.digest.as_str()));
            match failure {
                None => Outcome::Done,
                Some(failure) if failure.code == "ImageNotFound" => Outcome::Already,
                Some(failure) if failure.code == "ImageReferencedByManifestList" => {
                    Outcome::Retained(format!("{}: an index in the repository holds it", failure.code))
                }
                Some(failure) => Outcome::failure(format!("{}: {}", failure.code, failure.reason)),
            }
        };
        entries
            .iter()
            .zip(checks)
            .map(|(entry, check)| match check {
                Check::Same => (check, outcome(entry)),
                Check::Gone | Check::Changed(_) => (check, Outcome::Already),
            })
            .collect()
    }

    /// Digest and tag together: ECR takes the tag off only when it still is there.
    pub(super) async fn untag(&self, entry: &Entry, tag: &str) -> Outcome {
        let id = EcrId { digest: Some(entry.digest.clone()), tag: Some(tag.to_owned()) };
        match self.repository.delete(&[id]).await {
            Ok(failures) => match failures.first() {
                None => Outcome::Done,
                Some(failure) if failure.code == "ImageNotFound" => Outcome::Already,
                Some(failure) => Outcome::failure(format!("{}: {}", failure.code, failure.reason)),
            },
            Err(error) => Outcome::of(&error),
        }
    }

    pub(super) async fn restore(&self, entry: &Entry, content: Option<(&str, &str)>) -> Outcome {
        let Some((media_type, text)) = content else {
            return Outcome::failure("the snapshot does not have its content".to_owned());
        };
        let manifest =
            EcrManifest { digest: entry.digest.clone(), media_type: media_type.to_owned(), text: text.to_owned() };
        let tags: Vec<Option<&str>> = match entry.tags.as_slice() {
            [] => vec![None],
            tags => tags.iter().map(|tag| Some(tag.as_str())).collect(),
        };
        for tag in tags {
            if let Err(error) = self.repository.put(&manifest, tag).await {
                return Outcome::of(&error);
            }
        }
        Outcome::Done
    }
}

fn entry_of(image: EcrImage) -> Entry {
    Entry {
        digest: image.digest,
        version: None,
        tags: image.tags,
        created: image.pushed_at.map(jiff::Timestamp::as_second),
        size: Some(image.size),
    }
}

fn check(entry: &Entry, now: &[EcrImage]) -> Check {
    now.iter()
        .find(|image| image.digest == entry.digest)
        .map_or(Check::Gone, |image| super::compared(entry, Some(&image.digest), &image.tags))
}

fn content_of(
    digest: &Digest,
    manifests: &[EcrManifest],
    failures: &[crate::services::aws::ecr::EcrFailure],
) -> Content {
    if let Some(found) = manifests.iter().find(|manifest| manifest.digest == *digest) {
        // A registry may convert what it gives; only the content that the digest names counts.
        return match super::oci::verified(digest, &found.media_type, found.text.as_bytes()) {
            Some(content) => content,
            None => Content::Unreadable(ErrorClass::Failed, "ECR gave other content than the digest names".to_owned()),
        };
    }
    match failures.iter().find(|failure| failure.digest.as_deref() == Some(digest.as_str())) {
        Some(failure) if failure.code == "ImageNotFound" => Content::Absent,
        Some(failure) => Content::Unreadable(ErrorClass::Failed, format!("{}: {}", failure.code, failure.reason)),
        None => Content::Unreadable(ErrorClass::Failed, "ECR said nothing about it".to_owned()),
    }
}

fn same_failure(count: usize, error: &AwsError) -> Vec<(Check, Outcome)> {
    vec![(Check::Same, Outcome::of(error)); count]
}
