//! Purpose: reactions on comments: the fastest answer a person gets.

use http::Method;
use serde::Deserialize;
use serde_json::json;

use super::route::Route;
use super::write::NOTHING;
use super::{Asked, GithubClient, GithubError};
use crate::domain::comment::Reaction;
use crate::domain::names::RepositoryName;
use crate::services::http::Repeat;
use crate::services::{Classified as _, ErrorClass};

/// Whether somebody with our account reacted so before.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Earlier {
    /// This reaction is new.
    No,
    /// It was there.
    Yes,
    /// It is there now, but an answer was lost.
    Unknown,
}

/// A reaction that is there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Reacted {
    /// Its id.
    pub id: u64,
    /// Whether it was there before.
    pub earlier: Earlier,
}

#[derive(Deserialize)]
struct ReactionBody {
    id: u64,
}

impl GithubClient {
    /// Reacts to a comment. GitHub answers 200 when we did before and 201 when we did not.
    ///
    /// # Errors
    /// [`GithubError`].
    pub async fn react(
        &self,
        repository: &RepositoryName,
        comment: u64,
        reaction: Reaction,
    ) -> Result<Reacted, GithubError> {
        let asked =
            Asked::new("reaction", format!("to comment {comment} of {repository}")).needing("pull-requests: write");
        let route = Route::of(repository).words("/issues/comments").name(&comment.to_string()).words("/reactions");
        let content = json!({ "content": reaction.as_str() });
        let send = |repeat| self.write(&asked, Method::POST, &route, Some(&content), repeat);
        let (written, is_repeated) = match send(Repeat::IfWithoutEffect).await {
            Err(error) if error.class() == ErrorClass::Unavailable => (send(Repeat::Always).await?, true),
            done => (done?, false),
        };
        let earlier = match written.status {
            201 => Earlier::No,
            _ if is_repeated => Earlier::Unknown,
            _ => Earlier::Yes,
        };
        Ok(Reacted { id: written.json::<ReactionBody>()?.id, earlier })
    }

    /// Takes a reaction back; one that is gone already is as good.
    ///
    /// # Errors
    /// [`GithubError`].
    pub async fn take_back(&self, repository: &RepositoryName, comment: u64, reaction: u64) -> Result<(), GithubError> {
        let asked = Asked::new("reaction", format!("{reaction} to comment {comment} of {repository}"))
            .needing("pull-requests: write");
        let route = Route::of(repository).words("/issues/comments").name(&comment.to_string()).words("/reactions");
        match self.write(&asked, Method::DELETE, &route.name(&reaction.to_string()), NOTHING, Repeat::Always).await {
            Err(error) if !error.refusal().is_some_and(super::Refusal::is_definite_absence) => Err(error),
            _ => Ok(()),
        }
    }
}
