//! Purpose: who a token is on GitHub, so that a program can tell its own comments from others'.
//!
//! A person's token answers `GET /user`. An installation's token (`ghs_…`: a job's own, or an App's) may not ask that;
//! for it GraphQL's `viewer` gives the App's account.

use http::header::{AUTHORIZATION, HeaderValue};
use serde::Deserialize;
use serde_json::json;
use url::Url;

use super::route::Route;
use super::{Asked, GithubClient, GithubError, body, broken, success};
use crate::services::asking::asking;
use crate::services::http::Repeat;
use crate::services::{Classified as _, ErrorClass};

/// The account of a job's own token.
const ACTIONS: &str = "github-actions[bot]";

/// An account as answers show it.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct Account {
    /// Login; an App's ends with `[bot]`.
    pub login: String,
    /// `User`, `Bot`, `Organization`, `Mannequin`.
    #[serde(rename = "type", default)]
    pub kind: String,
}

/// Who our token is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Identity {
    login: String,
}

impl Identity {
    /// An account by its login, `[bot]` included for an App.
    pub fn new(login: impl Into<String>) -> Self {
        Self { login: login.into() }
    }

    /// The login.
    #[must_use]
    pub fn login(&self) -> &str {
        &self.login
    }

    /// Whether an account is ours. A person can have the login that an App has without its `[bot]`, so the kind of
    /// account is compared, too.
    #[must_use]
    pub fn is(&self, account: Option<&Account>) -> bool {
        account.is_some_and(|account| {
            account.login.eq_ignore_ascii_case(&self.login) && (account.kind == "Bot") == self.login.ends_with("[bot]")
        })
    }
}

#[derive(Deserialize)]
struct ViewerAnswer {
    data: Option<ViewerData>,
}

#[derive(Deserialize)]
struct ViewerData {
    viewer: ViewerBody,
}

#[derive(Deserialize)]
struct ViewerBody {
    login: String,
}

impl GithubClient {
    /// Who the token is.
    ///
    /// # Errors
    /// [`GithubError`]; class `Unauthenticated` when the token is refused.
    pub async fn identity(&self) -> Result<Identity, GithubError> {
        if !self.is_installation() {
            let asked = Asked::new("account", "of the token");
            match self.read::<Account>(&asked, &Route::root("/user")).await {
                Ok(account) => return Ok(Identity { login: account.login }),
                Err(error) if error.class() != ErrorClass::Forbidden => return Err(error),
                Err(_) => {}
            }
        }
        match self.viewer().await {
            Ok(login) => Ok(Identity { login }),
            // GraphQL switched off or out of reach for this token: then it is not an App of its own making.
            Err(error) if matches!(error.class(), ErrorClass::Forbidden | ErrorClass::NotFound) => {
                Ok(Identity::new(ACTIONS))
            }
            Err(error) => Err(error),
        }
    }

    /// Whether the token is an installation's, by GitHub's documented prefix.
    fn is_installation(&self) -> bool {
        let value = self.authorization.as_ref().map(HeaderValue::as_bytes).unwrap_or_default();
        value.strip_prefix(b"Bearer ").is_some_and(|token| token.starts_with(b"ghs_"))
    }

    async fn viewer(&self) -> Result<String, GithubError> {
        let asked = Asked::new("account", "of the token");
        let attempt = || async {
            let _asking = asking(format_args!("GitHub, asked for {asked}"));
            let answer = self.viewer_once(&asked);
            let timed_out = |_| GithubError::TimedOut { asked: asked.clone() };
            tokio::time::timeout(self.timeout, answer).await.map_err(timed_out)?
        };
        let login = Box::pin(self.policy.run(Repeat::Always, attempt)).await?;
        // Some versions of GitHub show an App's login here without what REST adds to it.
        let is_bot = login.ends_with("[bot]") || !self.is_installation();
        Ok(if is_bot { login } else { format!("{login}[bot]") })
    }

    async fn viewer_once(&self, asked: &Asked) -> Result<String, GithubError> {
        let mut request = self.http.post(graphql(&self.base)).json(&json!({ "query": "query { viewer { login } }" }));
        if let Some(authorization) = &self.authorization {
            request = request.header(AUTHORIZATION, authorization.clone());
        }
        let response = request.send().await.map_err(|error| broken(asked, error))?;
        let bytes = body(asked, success(asked, response).await?).await?;
        let malformed = |source| GithubError::Malformed { asked: asked.clone(), expected: "an account", source };
        let answer: ViewerAnswer = serde_json::from_slice(&bytes).map_err(|source| malformed(Some(source)))?;
        answer.data.map(|data| data.viewer.login).ok_or_else(|| malformed(None))
    }
}

/// GraphQL's address: beside `/api/v3` on an Enterprise Server, below the REST address elsewhere (GitHub
/// documentation, "default environment variables").
fn graphql(base: &Url) -> Url {
    let mut url = base.clone();
    let path = base.path().trim_end_matches('/');
    url.set_path(&format!("{}/graphql", path.strip_suffix("/v3").unwrap_or(path)));
    url
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn graphql_is_beside_the_rest_api() {
        for (rest, expected) in [
            ("https://api.github.com", "https://api.github.com/graphql"),
            ("https://api.acme.ghe.com/", "https://api.acme.ghe.com/graphql"),
            ("https://ghe.example/api/v3", "https://ghe.example/api/graphql"),
        ] {
            assert_eq!(graphql(&rest.parse().unwrap()).as_str(), expected);
        }
    }

    #[test]
    fn a_person_is_no_bot_of_the_same_name() {
        let account = |login: &str, kind: &str| Account { login: login.to_owned(), kind: kind.to_owned() };
        let me = Identity::new("github-actions[bot]");
        assert!(me.is(Some(&account("GitHub-Actions[bot]", "Bot"))));
        assert!(!me.is(Some(&account("github-actions[bot]", "User"))));
        assert!(!me.is(Some(&account("github-actions", "User"))));
        assert!(!me.is(None));
        assert!(Identity::new("octocat").is(Some(&account("octocat", "User"))));
    }
}
