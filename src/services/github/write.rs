//! Purpose: requests that change something on GitHub, repeated only as far as that is safe.

use http::Method;
use serde::Serialize;
use serde::de::DeserializeOwned;
use url::Url;

use super::route::Route;
use super::{Asked, GithubClient, GithubError, REDIRECTS, body, success, target, unanswered};
use crate::services::asking::asking;
use crate::services::http::Repeat;

/// GitHub's answer to a write that it did.
#[derive(Debug, Clone)]
pub(super) struct Written {
    /// HTTP status: some writes tell by it whether anything changed (200 and 201 of a reaction).
    pub(super) status: u16,
    asked: Asked,
    body: Vec<u8>,
}

impl Written {
    /// The object that GitHub answers with.
    ///
    /// # Errors
    /// [`GithubError::Malformed`] when it is not what GitHub's API promises.
    pub(super) fn json<T: DeserializeOwned>(&self) -> Result<T, GithubError> {
        serde_json::from_slice(&self.body).map_err(|source| GithubError::Malformed {
            asked: self.asked.clone(),
            expected: "what GitHub's API promises",
            source: Some(source),
        })
    }

    /// Whether the answer has no body, as 204 and some 202 have.
    pub(super) fn is_empty(&self) -> bool {
        self.body.is_empty()
    }
}

/// A body for requests that have none.
pub(super) const NOTHING: Option<&()> = None;

impl GithubClient {
    /// Sends a write. With [`Repeat::IfWithoutEffect`] it is tried again only when the first try provably did nothing:
    /// whoever creates something must, after an error, look for it before creating it again.
    ///
    /// # Errors
    /// [`GithubError`]; a refusal that is no success as [`GithubError::Refused`].
    pub(super) async fn write<B: Serialize + Sync>(
        &self,
        asked: &Asked,
        method: Method,
        route: &Route,
        content: Option<&B>,
        repeat: Repeat,
    ) -> Result<Written, GithubError> {
        let url = route.below(&self.base);
        let content = content.map(serde_json::to_value).transpose().map_err(|source| GithubError::Malformed {
            asked: asked.clone(),
            expected: "something that can be sent",
            source: Some(source),
        })?;
        let attempt = || self.write_once(asked, &method, url.clone(), content.as_ref());
        Box::pin(self.policy.run(repeat, attempt)).await
    }

    async fn write_once(
        &self,
        asked: &Asked,
        method: &Method,
        url: Url,
        content: Option<&serde_json::Value>,
    ) -> Result<Written, GithubError> {
        let _asking = asking(format_args!("GitHub, asked for {asked}"));
        let answer = async {
            let response = success(asked, self.send_write(asked, method, url, content).await?).await?;
            let status = response.status().as_u16();
            let body = body(asked, response).await?;
            // GitHub answers a deletion with 204 alone; words come from somebody in between, and nothing is deleted.
            if *method == Method::DELETE && !body.is_empty() {
                let expected = "empty, as GitHub's to a deletion is";
                return Err(GithubError::Malformed { asked: asked.clone(), expected, source: None });
            }
            Ok(Written { status, asked: asked.clone(), body })
        };
        let timed_out = |_| GithubError::TimedOut { asked: asked.clone() };
        tokio::time::timeout(self.timeout, answer).await.map_err(timed_out)?
    }

    /// A renamed repository redirects writes, too: 307 and 308 keep method and body (GitHub documentation, "best
    /// practices for using the REST API"). Elsewhere than to GitHub's own origin nothing is sent.
    async fn send_write(
        &self,
        asked: &Asked,
        method: &Method,
        url: Url,
        content: Option<&serde_json::Value>,
    ) -> Result<reqwest::Response, GithubError> {
        let mut url = url;
        for _ in 0..REDIRECTS {
            let request = http::Request::builder().method(method.clone()).uri(url.as_str());
            let request = self.octocrab.build_request(request, content).map_err(|error| unanswered(asked, error))?;
            let answer = self.octocrab.execute(request).await.map_err(|error| unanswered(asked, error))?;
            let response = reqwest::Response::from(answer.map(reqwest::Body::wrap));
            if !matches!(response.status().as_u16(), 307 | 308) {
                return Ok(response);
            }
            url = target(asked, &response, &url)?;
            if url.origin() != self.base.origin() {
                break;
            }
        }
        Err(GithubError::Malformed {
            asked: asked.clone(),
            expected: "an answer but a redirect elsewhere",
            source: None,
        })
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use serde_json::json;

    use super::*;
    use crate::services::github::GithubOptions;
    use crate::services::testing::{HASTY, Server};
    use crate::services::{Classified as _, ErrorClass};

    fn client(server: &Server) -> GithubClient {
        let options =
            GithubOptions { api_url: server.address.clone(), token: Some("s3cret".into()), secrets: Arc::new(|_| {}) };
        GithubClient::new(&options).unwrap().with_policy(HASTY)
    }

    fn comments(name: &str) -> Route {
        Route::of(&name.parse().unwrap()).words("/issues/1/comments")
    }

    fn asked() -> Asked {
        Asked::new("creation of the comment", "on #1 of acme/app").needing("issues: write")
    }

    #[tokio::test]
    async fn a_creation_with_an_unknown_effect_is_not_repeated() {
        let server = Server::start().await;
        server.answer("POST /repos/acme/app/issues/1/comments", 502, "");
        let body = json!({ "body": "hello" });
        let write = |repeat| {
            let github = client(&server);
            let body = &body;
            async move { github.write(&asked(), Method::POST, &comments("acme/app"), Some(body), repeat).await }
        };
        let error = write(Repeat::IfWithoutEffect).await.unwrap_err();
        assert_eq!((error.class(), server.asked().len()), (ErrorClass::Unavailable, 1));
        write(Repeat::Always).await.unwrap_err();
        assert_eq!(server.asked().len(), 1 + HASTY.attempts);
    }

    #[tokio::test]
    async fn a_limited_creation_is_repeated_and_tells_its_status() {
        let server = Server::start().await;
        let path = "POST /repos/acme/app/issues/1/comments";
        server.answer_with(path, 429, &[("retry-after", "0")], br#"{"message":"slow down"}"#);
        server.answer(path, 201, r#"{"id":7}"#);
        let written = client(&server)
            .write(&asked(), Method::POST, &comments("acme/app"), Some(&json!({})), Repeat::IfWithoutEffect)
            .await
            .unwrap();
        let object: serde_json::Value = written.json().unwrap();
        assert_eq!((written.status, object["id"].as_u64(), written.is_empty()), (201, Some(7), false));
    }

    #[tokio::test]
    async fn a_renamed_repository_is_followed_with_the_same_method_and_never_elsewhere() {
        let server = Server::start().await;
        let new = "/repositories/1/issues/1/comments";
        let old = "POST /repos/acme/app/issues/1/comments";
        server.answer_with(old, 307, &[("location", &format!("{}{new}", server.address))], b"");
        server.answer_with(old, 307, &[("location", "http://127.0.0.1:1/steal")], b"");
        server.answer(&format!("POST {new}"), 204, "");
        let write = || {
            let github = client(&server);
            async move {
                github.write(&asked(), Method::POST, &comments("acme/app"), NOTHING, Repeat::IfWithoutEffect).await
            }
        };
        assert_eq!(write().await.unwrap().status, 204);
        let error = write().await.unwrap_err();
        assert!(matches!(error, GithubError::Malformed { .. }), "{error}");
    }
}
