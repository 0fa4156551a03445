//! Purpose: packages of GitHub: versions by the REST API, manifests and a second list of tags by the registry.

use futures_util::{StreamExt as _, stream};

use super::{Check, Content, Entry, HoldingsError, Outcome, Pass, compared, oci};
use crate::domain::names::Digest;
use crate::domain::reference::ImageName;
use crate::services::ErrorClass;
use crate::services::github::{
    GithubClient, GithubError, PackagePath, PackageVersion, VersionDeletion, VersionRestoration, VersionState,
};
use crate::services::governor::{Cost, Governor};
use crate::services::http::RetryPolicy;
use crate::services::registry::RegistryClient;

const PAGES: Cost = Cost::read("list versions");
const CHECKS: Cost = Cost::read("get version");
const DELETES: Cost = Cost::write("delete version");
const RESTORES: Cost = Cost::write("restore version");

/// One package.
#[derive(Clone)]
pub struct GhcrHoldings {
    github: GithubClient,
    registry: RegistryClient,
    governor: Governor,
    path: PackagePath,
    image: ImageName,
}

impl GhcrHoldings {
    /// A package and the image that it is. The governor, not the client, repeats.
    #[must_use]
    pub fn new(
        github: &GithubClient,
        registry: &RegistryClient,
        governor: &Governor,
        path: PackagePath,
        image: ImageName,
    ) -> Self {
        let once = RetryPolicy { attempts: 1, ..RetryPolicy::default() };
        let github = github.clone().with_policy(once);
        Self { github, registry: registry.clone(), governor: governor.clone(), path, image }
    }

    pub(super) async fn list(&self) -> Result<Pass, HoldingsError> {
        let package = self.governor.run(PAGES, || self.github.package(&self.path)).await?;
        let mut pass = Pass { counted: Some(package.version_count), pages: 1, ..Pass::default() };
        let pages = self.github.package_versions(&self.path, VersionState::Active);
        let pages = tokio::sync::Mutex::new(pages);
        loop {
            let next = || async { pages.lock().await.page().await };
            let Some(versions) = self.governor.run(PAGES, next).await? else { break };
            pass.pages += 1;
            pass.entries.extend(versions.iter().filter_map(entry_of));
        }
        Ok(pass)
    }

    pub(super) async fn newest(&self) -> Result<Vec<Entry>, HoldingsError> {
        let first = || async { self.github.package_versions(&self.path, VersionState::Active).page().await };
        let versions = self.governor.run(PAGES, first).await?.unwrap_or_default();
        Ok(versions.iter().filter_map(entry_of).collect())
    }

    pub(super) async fn tags(&self) -> Result<Vec<String>, HoldingsError> {
        oci::tags(&self.registry, &self.image).await
    }

    pub(super) async fn digest_of(&self, tag: &str) -> Result<Option<Digest>, HoldingsError> {
        oci::digest_of(&self.registry, &self.image, tag).await
    }

    pub(super) async fn read(&self, digests: &[Digest], concurrency: usize) -> Vec<Content> {
        oci::read(&self.registry, &self.image, digests, concurrency).await
    }

    pub(super) async fn delete(&self, entries: &[&Entry], concurrency: usize) -> Vec<(Check, Outcome)> {
        stream::iter(entries).map(|entry| self.delete_one(entry)).buffered(concurrency.max(1)).collect().await
    }

    async fn delete_one(&self, entry: &Entry) -> (Check, Outcome) {
        let Some(id) = entry.version else {
            return (Check::Same, Outcome::failure("GitHub gave no number for it".to_owned()));
        };
        let check = match self.check(id, entry).await {
            Ok(check) => check,
            Err(error) => return (Check::Same, Outcome::of(&error)),
        };
        match check {
            Check::Same => {}
            Check::Gone | Check::Changed(_) => return (check, Outcome::Already),
        }
        let deleted = self.governor.run(DELETES, || self.github.delete_package_version(&self.path, id)).await;
        let outcome = match deleted {
            Ok(VersionDeletion::Done) => Outcome::Done,
            Ok(VersionDeletion::Gone) => Outcome::Already,
            Ok(VersionDeletion::LastTagged(words) | VersionDeletion::TooPopular(words)) => Outcome::Retained(words),
            Ok(VersionDeletion::NotAdmin) => Outcome::Failed(
                ErrorClass::Forbidden,
                "GitHub does not let the token delete it: it needs the role Admin under the package's Actions access, or delete:packages"
                    .to_owned(),
            ),
            Ok(VersionDeletion::Refused(words)) => Outcome::failure(words),
            Err(error) => Outcome::of(&error),
        };
        (check, outcome)
    }

    async fn check(&self, id: u64, entry: &Entry) -> Result<Check, GithubError> {
        let now = self.governor.run(CHECKS, || self.github.package_version(&self.path, id)).await?;
        Ok(now.map_or(Check::Gone, |now| compared(entry, now.digest().as_ref(), now.tags())))
    }

    pub(super) async fn restore(&self, entry: &Entry) -> Outcome {
        let Some(id) = entry.version else {
            return Outcome::failure("the snapshot has no number for it".to_owned());
        };
        match self.governor.run(RESTORES, || self.github.restore_package_version(&self.path, id)).await {
            Ok(VersionRestoration::Done) => Outcome::Done,
            Ok(VersionRestoration::Present) => Outcome::Already,
            Ok(VersionRestoration::Gone) => Outcome::failure(
                "GitHub has nothing to restore: 30 days are over, or the token is no admin of the package".to_owned(),
            ),
            Ok(VersionRestoration::Refused(words)) => Outcome::failure(words),
            Err(error) => Outcome::of(&error),
        }
    }
}

/// A version that is a container's; others cannot be judged.
fn entry_of(version: &PackageVersion) -> Option<Entry> {
    Some(Entry {
        digest: version.digest()?,
        version: Some(version.id),
        tags: version.tags().to_vec(),
        created: Some(version.created_at.max(version.updated_at).as_second()),
        size: None,
    })
}
