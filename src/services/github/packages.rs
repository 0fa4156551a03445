//! Purpose: container packages of GitHub: their versions listed, deleted and restored.
//!
//! GitHub has three sets of addresses for packages, by whose they are; [`GithubClient::package_owner`] finds out. A
//! package's name may hold slashes and is one segment of the address all the same. What a refusal means stands only in
//! its words; [`VersionDeletion`] and [`VersionRestoration`] give the meanings that GitHub documents, and keep the words.

use http::Method;
use jiff::Timestamp;
use serde::Deserialize;

use super::pages::Pages;
use super::route::Route;
use super::write::NOTHING;
use super::{Asked, GithubClient, GithubError, Refusal};
use crate::domain::names::Digest;
use crate::services::http::Repeat;
use crate::services::{Classified as _, ErrorClass};

/// Whose packages they are, from which their addresses follow.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum PackageOwner {
    /// An organization's.
    Organization(String),
    /// Those of the account that the token belongs to.
    Oneself(String),
    /// Another person's.
    User(String),
}

impl PackageOwner {
    /// The account's name.
    #[must_use]
    pub fn login(&self) -> &str {
        match self {
            Self::Organization(login) | Self::Oneself(login) | Self::User(login) => login,
        }
    }
}

/// One container package.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PackagePath {
    /// Whose it is.
    pub owner: PackageOwner,
    /// Its name below the owner; may hold slashes.
    pub name: String,
}

impl PackagePath {
    fn route(&self) -> Route {
        let account = match &self.owner {
            PackageOwner::Organization(login) => Route::root("/orgs").name(login),
            PackageOwner::Oneself(_) => Route::root("/user"),
            PackageOwner::User(login) => Route::root("/users").name(login),
        };
        account.words("/packages/container").name(&self.name)
    }

    fn shown(&self) -> String {
        format!("{}/{}", self.owner.login(), self.name)
    }

    fn asked(&self, permission: &'static str) -> Asked {
        Asked::new("package", self.shown()).needing(permission)
    }

    fn asked_version(&self, id: u64, permission: &'static str) -> Asked {
        Asked::new("version", format!("{id} of the package {}", self.shown())).needing(permission)
    }
}

/// What GitHub says of a package.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct Package {
    /// Its name.
    pub name: String,
    /// How many versions it has, deleted ones apart; lags behind like every listing.
    #[serde(default)]
    pub version_count: u64,
    /// `public`, `private` or `internal`.
    #[serde(default)]
    pub visibility: String,
}

/// One version of a container package: a manifest with all of its tags.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct PackageVersion {
    /// Its number; of 64 bits.
    pub id: u64,
    /// Of a container, the manifest's digest.
    pub name: String,
    /// First push of the manifest. Neither this nor [`Self::updated_at`] moves when a tag does.
    pub created_at: Timestamp,
    /// Last change that GitHub counts as one.
    pub updated_at: Timestamp,
    /// When it was deleted; listings of deleted versions say so.
    #[serde(default)]
    pub deleted_at: Option<Timestamp>,
    #[serde(default)]
    metadata: Metadata,
}

#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
struct Metadata {
    #[serde(default)]
    container: Container,
}

#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
struct Container {
    #[serde(default)]
    tags: Vec<String>,
}

impl PackageVersion {
    /// The manifest's digest; `None` when the package does not hold containers.
    #[must_use]
    pub fn digest(&self) -> Option<Digest> {
        self.name.parse().ok()
    }

    /// The tags.
    #[must_use]
    pub fn tags(&self) -> &[String] {
        &self.metadata.container.tags
    }
}

/// Which versions a listing has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum VersionState {
    /// Those that can be pulled.
    Active,
    /// Those deleted within the last 30 days.
    Deleted,
}

/// What became of a deletion.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum VersionDeletion {
    /// It is deleted.
    Done,
    /// It was not there any more.
    Gone,
    /// The last tagged version of a package stays; only the whole package can be deleted. GitHub's words.
    LastTagged(String),
    /// A public version that was downloaded more than 5,000 times stays. GitHub's words.
    TooPopular(String),
    /// GitHub hides what a token may not delete: the version exists, and this token is no admin of the package.
    NotAdmin,
    /// Refused for another reason, in GitHub's words.
    Refused(String),
}

/// What became of a restoration.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum VersionRestoration {
    /// It is back, with the tags it had.
    Done,
    /// It had not been deleted.
    Present,
    /// There is nothing to restore: 30 days are over, or the token is no admin of the package.
    Gone,
    /// Refused, in GitHub's words.
    Refused(String),
}

impl GithubClient {
    /// Whose packages those of `login` are, as seen with this token.
    ///
    /// # Errors
    /// Class `NotFound` when there is no such account.
    pub async fn package_owner(&self, login: &str) -> Result<PackageOwner, GithubError> {
        #[derive(Deserialize)]
        struct Account {
            login: String,
            #[serde(rename = "type", default)]
            kind: String,
        }
        let asked = Asked::new("account", login).needing("packages: read");
        let account: Account = self.read(&asked, &Route::root("/users").name(login)).await?;
        if account.kind == "Organization" {
            return Ok(PackageOwner::Organization(account.login));
        }
        let asked = Asked::new("account", "of the token").needing("packages: read");
        match self.read::<Account>(&asked, &Route::root("/user")).await {
            Ok(own) if own.login.eq_ignore_ascii_case(&account.login) => Ok(PackageOwner::Oneself(account.login)),
            Ok(_) => Ok(PackageOwner::User(account.login)),
            // A job's own token belongs to no person, and GitHub says so by one of these.
            Err(error) if matches!(error.class(), ErrorClass::Forbidden | ErrorClass::NotFound) => {
                Ok(PackageOwner::User(account.login))
            }
            Err(error) => Err(error),
        }
    }

    /// A package.
    ///
    /// # Errors
    /// Class `NotFound` when there is none of that name, or the token may not see it.
    pub async fn package(&self, path: &PackagePath) -> Result<Package, GithubError> {
        self.read(&path.asked("packages: read"), &path.route()).await
    }

    /// The versions of a package, the newest first. The listing follows changes late, by days at worst.
    #[must_use]
    pub fn package_versions(&self, path: &PackagePath, state: VersionState) -> Pages<PackageVersion> {
        let asked = Asked::new("versions of the package", path.shown()).needing("packages: read");
        let route = path.route().words("/versions");
        let route = match (state, &path.owner) {
            (VersionState::Deleted, _) => route.query("state", "deleted"),
            // GitHub does not document the parameter here, and active ones are the default.
            (VersionState::Active, PackageOwner::User(_)) => route,
            (VersionState::Active, _) => route.query("state", "active"),
        };
        Pages::new(self, asked, route)
    }

    /// A version as it is now; `None` when GitHub says that there is none.
    ///
    /// # Errors
    /// [`GithubError`]; a 404 that is not GitHub's own is one, too.
    pub async fn package_version(&self, path: &PackagePath, id: u64) -> Result<Option<PackageVersion>, GithubError> {
        let asked = path.asked_version(id, "packages: read");
        let route = path.route().words("/versions").name(&id.to_string());
        match self.read(&asked, &route).await {
            Ok(version) => Ok(Some(version)),
            Err(error) if error.refusal().is_some_and(Refusal::is_definite_absence) => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Deletes a version with all of its tags. After a 404 the version is asked for: what is still there may not be
    /// deleted with this token.
    ///
    /// # Errors
    /// Limits, denials that are said plainly, and everything that is not an answer.
    pub async fn delete_package_version(&self, path: &PackagePath, id: u64) -> Result<VersionDeletion, GithubError> {
        let asked = path.asked_version(id, "packages: write");
        let route = path.route().words("/versions").name(&id.to_string());
        let Err(error) = self.write(&asked, Method::DELETE, &route, NOTHING, Repeat::Always).await else {
            return Ok(VersionDeletion::Done);
        };
        match error.refusal() {
            Some(refusal) if refusal.is_definite_absence() => match self.package_version(path, id).await? {
                Some(_) => Ok(VersionDeletion::NotAdmin),
                None => Ok(VersionDeletion::Gone),
            },
            Some(refusal) if matches!(refusal.status, 400 | 422) && refusal.limit.is_none() => {
                Ok(refused_deletion(&refusal.message))
            }
            _ => Err(error),
        }
    }

    /// Restores a version that was deleted within the last 30 days.
    ///
    /// # Errors
    /// As [`Self::delete_package_version`].
    pub async fn restore_package_version(
        &self,
        path: &PackagePath,
        id: u64,
    ) -> Result<VersionRestoration, GithubError> {
        let asked = path.asked_version(id, "packages: write");
        let route = path.route().words("/versions").name(&id.to_string()).words("/restore");
        let Err(error) = self.write(&asked, Method::POST, &route, NOTHING, Repeat::Always).await else {
            return Ok(VersionRestoration::Done);
        };
        match error.refusal() {
            Some(refusal) if refusal.is_definite_absence() => match self.package_version(path, id).await? {
                Some(_) => Ok(VersionRestoration::Present),
                None => Ok(VersionRestoration::Gone),
            },
            Some(refusal) if matches!(refusal.status, 400 | 422) && refusal.limit.is_none() => {
                Ok(VersionRestoration::Refused(refusal.message.clone()))
            }
            _ => Err(error),
        }
    }
}

/// GitHub says why only in words, and has changed them before: the distinctive ones decide.
fn refused_deletion(message: &str) -> VersionDeletion {
    let words = message.to_ascii_lowercase();
    if words.contains("downloads") || words.contains("5000") || words.contains("5,000") {
        VersionDeletion::TooPopular(message.to_owned())
    } else if words.contains("last") && words.contains("version") {
        VersionDeletion::LastTagged(message.to_owned())
    } else {
        VersionDeletion::Refused(message.to_owned())
    }
}

#[cfg(test)]
mod tests;
