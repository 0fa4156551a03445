//! Purpose: comments on issues and pull requests: ours are found again by author and marker, and there is one of each.
//!
//! ```ignore
//! let me = github.identity().await?;
//! let thread = Thread { repository: "acme/app".parse()?, number: 7 };
//! let marker = Marker::of_key("landfall-report".parse()?, "unit tests");
//! let body = Body::new(marker.clone()).section("## Tests").cut("…");
//! let published = github.publish_comment(&thread, &me, &marker, &body.text).await?; // created, updated or unchanged
//! ```
//!
//! Anybody can paste a marker into a comment of theirs, so only comments of our own account count. Jobs that run at the
//! same time may each create one: the lowest id stays, the others go once it has the content.

use http::Method;
use jiff::Timestamp;
use serde::Deserialize;
use serde_json::json;

use super::identity::{Account, Identity};
use super::pages::Pages;
use super::repository::timestamp;
use super::route::Route;
use super::write::NOTHING;
use super::{Asked, GithubClient, GithubError};
use crate::domain::comment::Marker;
use crate::domain::names::RepositoryName;
use crate::services::http::Repeat;
use crate::services::{Classified as _, ErrorClass};

/// What a job's own token needs to write comments.
const PERMISSION: &str = "pull-requests: write";
/// How often a comment is looked for and created again before an unknown effect is reported.
const CREATIONS: usize = 3;

/// The comments of one issue or pull request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Thread {
    /// The repository.
    pub repository: RepositoryName,
    /// Number of the issue or pull request.
    pub number: u64,
}

/// A comment.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct Comment {
    /// Its id; lower ids were created earlier.
    pub id: u64,
    /// Its text.
    #[serde(default, deserialize_with = "or_default")]
    pub body: String,
    /// Who wrote it; `None` when the account is gone.
    #[serde(rename = "user")]
    pub author: Option<Account>,
    /// When it was created, by GitHub's clock, to the second.
    #[serde(deserialize_with = "timestamp")]
    pub created_at: Timestamp,
    /// Its page.
    #[serde(rename = "html_url", default)]
    pub url: String,
}

fn or_default<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<String, D::Error> {
    Ok(Option::<String>::deserialize(deserializer)?.unwrap_or_default())
}

/// What publishing a comment did.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Change {
    /// There was none.
    Created,
    /// Its text was another one.
    Updated,
    /// It has this text already.
    Unchanged,
}

/// A comment that is now as it should be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Published {
    /// The comment.
    pub comment: Comment,
    /// What was done for it.
    pub change: Change,
    /// Further comments of ours with the same marker that were deleted.
    pub merged: usize,
}

impl GithubClient {
    /// All comments of a thread, the oldest first.
    #[must_use]
    pub fn comments(&self, thread: &Thread) -> Pages<Comment> {
        let asked = Asked::new("comments", on(thread)).needing("pull-requests: read");
        Pages::new(self, asked, route(thread))
    }

    /// Our own comments with a marker, the oldest first.
    ///
    /// # Errors
    /// [`GithubError`] of any page.
    pub async fn own_comments(
        &self,
        thread: &Thread,
        me: &Identity,
        marker: &Marker,
    ) -> Result<Vec<Comment>, GithubError> {
        let mut pages = self.comments(thread);
        let mut own = Vec::new();
        while let Some(comment) = pages.next().await? {
            if me.is(comment.author.as_ref()) && marker.is_in(&comment.body) {
                own.push(comment);
            }
        }
        own.sort_by_key(|comment| comment.id);
        Ok(own)
    }

    /// A comment by its id; `None` when GitHub says that there is none.
    ///
    /// # Errors
    /// Everything that is not a definite answer.
    pub async fn comment(&self, repository: &RepositoryName, id: u64) -> Result<Option<Comment>, GithubError> {
        let asked = Asked::new("comment", format!("{id} of {repository}")).needing("pull-requests: read");
        match self.read(&asked, &by_id(repository, id)).await {
            Ok(comment) => Ok(Some(comment)),
            Err(error) if error.class() == ErrorClass::NotFound => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Creates a comment. It is sent again only when the first try provably did nothing.
    ///
    /// # Errors
    /// [`GithubError`]; after an error of class `Unavailable` the comment may exist.
    pub async fn create_comment(&self, thread: &Thread, body: &str) -> Result<Comment, GithubError> {
        let asked = Asked::new("creation of a comment", on(thread)).needing(PERMISSION);
        let content = json!({ "body": body });
        let repeat = Repeat::IfWithoutEffect;
        self.write(&asked, Method::POST, &route(thread), Some(&content), repeat).await?.json()
    }

    /// Creates a comment with a marker. When the answer is lost it is looked for before it is sent again.
    ///
    /// # Errors
    /// [`GithubError`].
    pub async fn create_own_comment(
        &self,
        thread: &Thread,
        me: &Identity,
        marker: &Marker,
        body: &str,
    ) -> Result<Comment, GithubError> {
        let mut tries = 0;
        loop {
            tries += 1;
            match self.create_comment(thread, body).await {
                Err(error) if error.class() == ErrorClass::Unavailable && tries < CREATIONS => {
                    let own = self.own_comments(thread, me, marker).await?;
                    if let Some(found) = own.into_iter().find(|comment| comment.body == body) {
                        return Ok(found);
                    }
                    tokio::time::sleep(self.policy.first_wait).await;
                }
                done => return done,
            }
        }
    }

    /// Gives a comment another text; `None` when it is gone.
    ///
    /// # Errors
    /// [`GithubError`].
    pub async fn update_comment(
        &self,
        repository: &RepositoryName,
        id: u64,
        body: &str,
    ) -> Result<Option<Comment>, GithubError> {
        let asked = Asked::new("update of the comment", format!("{id} of {repository}")).needing(PERMISSION);
        let content = json!({ "body": body });
        let written = self.write(&asked, Method::PATCH, &by_id(repository, id), Some(&content), Repeat::Always).await;
        match written {
            Ok(written) => Ok(Some(written.json()?)),
            Err(error) if error.refusal().is_some_and(super::Refusal::is_definite_absence) => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Deletes a comment; one that is gone already is as good.
    ///
    /// # Errors
    /// [`GithubError`].
    pub async fn delete_comment(&self, repository: &RepositoryName, id: u64) -> Result<(), GithubError> {
        let asked = Asked::new("deletion of the comment", format!("{id} of {repository}")).needing(PERMISSION);
        match self.write(&asked, Method::DELETE, &by_id(repository, id), NOTHING, Repeat::Always).await {
            Err(error) if !error.refusal().is_some_and(super::Refusal::is_definite_absence) => Err(error),
            _ => Ok(()),
        }
    }

    /// Makes our comment with this marker have this text: created when there is none, untouched when it has the text
    /// already. Of several the lowest id stays. The last of several writers wins.
    ///
    /// # Errors
    /// [`GithubError`]; see [`GithubError::lacks_permission`] for tokens that may only read.
    pub async fn publish_comment(
        &self,
        thread: &Thread,
        me: &Identity,
        marker: &Marker,
        body: &str,
    ) -> Result<Published, GithubError> {
        let mut own = self.own_comments(thread, me, marker).await?;
        let mut created = None;
        if own.is_empty() {
            let comment = self.create_own_comment(thread, me, marker, body).await?;
            created = Some(comment.id);
            // Another job may have done the same since we looked; a listing may also be too old to show ours.
            own = self.own_comments(thread, me, marker).await?;
            if !own.iter().any(|known| known.id == comment.id) {
                own.push(comment);
                own.sort_by_key(|comment| comment.id);
            }
        }
        let mut own = own.into_iter();
        let (comment, change) = match own.next() {
            Some(first) if created == Some(first.id) => (first, Change::Created),
            Some(first) if first.body == body => (first, Change::Unchanged),
            Some(first) => match self.update_comment(&thread.repository, first.id, body).await? {
                Some(updated) => (updated, Change::Updated),
                None => (self.create_own_comment(thread, me, marker, body).await?, Change::Created),
            },
            None => (self.create_own_comment(thread, me, marker, body).await?, Change::Created),
        };
        let others: Vec<u64> = own.map(|other| other.id).filter(|id| *id != comment.id).collect();
        for id in &others {
            self.delete_comment(&thread.repository, *id).await?;
        }
        Ok(Published { comment, change, merged: others.len() })
    }
}

fn on(thread: &Thread) -> String {
    format!("on #{} of {}", thread.number, thread.repository)
}

fn route(thread: &Thread) -> Route {
    Route::of(&thread.repository).words("/issues").name(&thread.number.to_string()).words("/comments")
}

fn by_id(repository: &RepositoryName, id: u64) -> Route {
    Route::of(repository).words("/issues/comments").name(&id.to_string())
}

#[cfg(test)]
#[path = "comments_tests.rs"]
mod tests;
