//! Purpose: GitHub's REST API, over octocrab, for the questions that commands ask.
//!
//! Nothing outside of this folder sees octocrab. Three of its habits are replaced on purpose:
//! - its typed routes put names into paths as they are, so that a branch `a#b` asks about `a`: [`Route`] encodes them;
//! - its default retry repeats writes at once and for ever the same way: there is none, and the house's own policy
//!   repeats reads with growing waits;
//! - it follows redirects: ours are followed within GitHub's own address only, and archives without credentials.
//!
//! ```ignore
//! let github = GithubClient::new(&options)?;
//! let repository = github.repository(&"acme/app".parse()?).await?;       // fails when the token cannot see it
//! let head = github.branch_head(&repository, &"feature/x".parse()?).await?; // `None` only when it is absent
//! ```

use std::sync::Arc;
use std::time::Duration;

use http::header::{ACCEPT, HeaderValue, LOCATION, USER_AGENT};
use octocrab::service::middleware::auth_header::AuthHeaderLayer;
use octocrab::service::middleware::base_uri::BaseUriLayer;
use octocrab::service::middleware::extra_headers::ExtraHeadersLayer;
use octocrab::service::middleware::reqwest_connector::ReqwestConnector;
use octocrab::{AuthState, Octocrab, OctocrabBuilder};
use secrecy::{ExposeSecret as _, SecretString};
use serde::de::DeserializeOwned;
use url::Url;

use super::SecretObserver;
use super::asking::asking;
use super::http::{self as policy, Repeat, RetryPolicy, TOTAL_TIMEOUT};

mod activity;
mod archive;
mod artifacts;
mod changes;
mod comments;
mod error;
mod identity;
mod packages;
mod pages;
mod pull_request;
mod rate;
mod reactions;
mod repository;
mod route;
mod runs;
mod statuses;
#[cfg(test)]
mod tests;
mod usage;
mod write;

pub use archive::Extracted;
pub use artifacts::RunArtifact;
pub use comments::{Change, Comment, Published, Thread};
pub use error::{Asked, GithubError, RateLimit, Refusal};
pub use identity::{Account, Identity};
pub use packages::{
    Package, PackageOwner, PackagePath, PackageVersion, VersionDeletion, VersionRestoration, VersionState,
};
pub use pages::Pages;
pub use pull_request::{Permission, PullRequest, PullRequestSide};
pub use rate::Rate;
pub use reactions::{Earlier, Reacted};
pub use repository::{Commit, Repository, Visibility};
use route::Route;
pub use runs::{
    Attempts, Conclusion, Dispatched, Job, JobStep, MOST_FILTERED, RunFilter, RunPage, RunStatus, Workflow, WorkflowRun,
};
pub use statuses::{CommitStatus, LONGEST_DESCRIPTION, NewStatus, StatusState};
pub use usage::{OpenHead, OpenPull};

/// The most that is read of one JSON answer, in bytes.
const LARGEST_ANSWER: usize = 16 * 1024 * 1024;
/// Redirects that one question follows (a renamed repository has one).
const REDIRECTS: usize = 5;

/// What a client is made of.
#[derive(Clone)]
pub struct GithubOptions {
    /// Address of the REST API, a path prefix included (`https://ghe.example/api/v3`).
    pub api_url: String,
    /// The token; without one only public repositories are seen.
    pub token: Option<SecretString>,
    /// Told the token before its first use.
    pub secrets: SecretObserver,
}

/// A client for one address and one token. Clones share connections.
#[derive(Clone)]
pub struct GithubClient {
    octocrab: Octocrab,
    http: reqwest::Client,
    base: Url,
    authorization: Option<HeaderValue>,
    policy: RetryPolicy,
    timeout: Duration,
}

impl GithubClient {
    /// Makes a client; nothing is asked yet. Needs a Tokio runtime.
    ///
    /// # Errors
    /// [`GithubError::Address`], [`GithubError::Token`], [`GithubError::Setup`].
    pub fn new(options: &GithubOptions) -> Result<Self, GithubError> {
        let base = address(&options.api_url)?;
        let authorization = options.token.as_ref().map(|token| {
            (options.secrets)(token);
            bearer(token)
        });
        let authorization = authorization.transpose()?;
        let http = policy::client().map_err(GithubError::Setup)?;
        let octocrab = octocrab(&http, &base, authorization.clone())?;
        Ok(Self { octocrab, http, base, authorization, policy: RetryPolicy::default(), timeout: TOTAL_TIMEOUT })
    }

    /// The same client with another patience.
    #[must_use]
    pub fn with_policy(self, policy: RetryPolicy) -> Self {
        Self { policy, ..self }
    }

    /// Reads one JSON object, with retries.
    async fn read<T: DeserializeOwned>(&self, asked: &Asked, route: &Route) -> Result<T, GithubError> {
        let url = route.below(&self.base);
        let attempt = || async { Ok(self.read_once(asked, url.clone()).await?.0) };
        // Boxed, so that the futures of callers stay small.
        Box::pin(self.policy.run(Repeat::Always, attempt)).await
    }

    /// One try to read JSON; the address of the next page comes with it.
    async fn read_once<T: DeserializeOwned>(&self, asked: &Asked, url: Url) -> Result<(T, Option<Url>), GithubError> {
        let _asking = asking(format_args!("GitHub, asked for {asked}"));
        let answer = async {
            let response = self.get(asked, url.clone()).await?;
            let next = super::link::next(response.headers(), &url);
            let body = body(asked, response).await?;
            let value = serde_json::from_slice(&body).map_err(|source| GithubError::Malformed {
                asked: asked.clone(),
                expected: "what GitHub's API promises",
                source: Some(source),
            })?;
            Ok((value, next))
        };
        let timed_out = |_| GithubError::TimedOut { asked: asked.clone() };
        tokio::time::timeout(self.timeout, answer).await.map_err(timed_out)?
    }

    /// One GET. Redirects are followed within GitHub's own origin; what is not a success is an error.
    async fn get(&self, asked: &Asked, url: Url) -> Result<reqwest::Response, GithubError> {
        let mut url = url;
        for _ in 0..REDIRECTS {
            let response = self.send(asked, &url).await?;
            if !response.status().is_redirection() {
                return success(asked, response).await;
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

    /// Sends one GET through octocrab and hands the answer over as it is.
    async fn send(&self, asked: &Asked, url: &Url) -> Result<reqwest::Response, GithubError> {
        let answer = self.octocrab._get(url.as_str()).await;
        let response = answer.map_err(|error| unanswered(asked, error))?;
        Ok(reqwest::Response::from(response.map(reqwest::Body::wrap)))
    }
}

/// The base address: http or https, no query.
fn address(text: &str) -> Result<Url, GithubError> {
    let refused = || GithubError::Address(text.to_owned());
    let mut url = Url::parse(text).map_err(|_| refused())?;
    if !matches!(url.scheme(), "http" | "https") || !url.has_host() || url.query().is_some() {
        return Err(refused());
    }
    let path = url.path().trim_end_matches('/').to_owned();
    url.set_path(&path);
    url.set_fragment(None);
    Ok(url)
}

fn bearer(token: &SecretString) -> Result<HeaderValue, GithubError> {
    let value = format!("Bearer {}", token.expose_secret().trim());
    let mut value = HeaderValue::try_from(value).map_err(|_| GithubError::Token)?;
    value.set_sensitive(true);
    Ok(value)
}

/// octocrab over our own HTTP client, put together from its parts: `OctocrabBuilder::build_with_reqwest` would send two
/// `User-Agent` headers and panic on a token that is no header value.
fn octocrab(http: &reqwest::Client, base: &Url, authorization: Option<HeaderValue>) -> Result<Octocrab, GithubError> {
    let uri: http::Uri = base.as_str().parse().map_err(|_| GithubError::Address(base.to_string()))?;
    let headers = vec![
        (USER_AGENT, HeaderValue::from_static(policy::USER_AGENT)),
        (ACCEPT, HeaderValue::from_static("application/vnd.github+json")),
    ];
    let built = OctocrabBuilder::new_empty()
        .with_service(ReqwestConnector::new(http.clone()))
        .with_layer(&ExtraHeadersLayer::new(Arc::new(headers)))
        .with_layer(&BaseUriLayer::new(uri.clone()))
        .with_layer(&AuthHeaderLayer::new(authorization, uri.clone(), uri))
        .with_auth(AuthState::None)
        .build();
    match built {
        Ok(octocrab) => Ok(octocrab),
        Err(never) => match never {},
    }
}

/// The address that a redirect points to.
fn target(asked: &Asked, response: &reqwest::Response, from: &Url) -> Result<Url, GithubError> {
    let location = response.headers().get(LOCATION).and_then(|value| value.to_str().ok());
    location.and_then(|location| from.join(location).ok()).ok_or_else(|| GithubError::Malformed {
        asked: asked.clone(),
        expected: "a redirect with an address",
        source: None,
    })
}

async fn success(asked: &Asked, response: reqwest::Response) -> Result<reqwest::Response, GithubError> {
    let status = response.status();
    if status.is_success() {
        return if policy::is_page(response.headers()) { Err(foreign(asked)) } else { Ok(response) };
    }
    let headers = response.headers().clone();
    let body = body(asked, response).await.unwrap_or_default();
    Err(GithubError::Refused(Box::new(Refusal::of(asked, status.as_u16(), &headers, &body))))
}

fn foreign(asked: &Asked) -> GithubError {
    GithubError::Malformed { asked: asked.clone(), expected: "GitHub's but a web page", source: None }
}

/// A body of at most [`LARGEST_ANSWER`].
async fn body(asked: &Asked, mut response: reqwest::Response) -> Result<Vec<u8>, GithubError> {
    let mut body = Vec::new();
    while let Some(chunk) = response.chunk().await.map_err(|error| broken(asked, error))? {
        if body.len() + chunk.len() > LARGEST_ANSWER {
            return Err(GithubError::Malformed {
                asked: asked.clone(),
                expected: "of a reasonable size",
                source: None,
            });
        }
        body.extend_from_slice(&chunk);
    }
    Ok(body)
}

fn broken(asked: &Asked, error: reqwest::Error) -> GithubError {
    GithubError::Unanswered {
        asked: asked.clone(),
        unconnected: error.is_connect(),
        source: Box::new(error.without_url()),
    }
}

/// octocrab wraps the transport's error in two layers that say nothing of their own.
fn unanswered(asked: &Asked, error: octocrab::Error) -> GithubError {
    match error {
        octocrab::Error::Reqwest { source, .. } => broken(asked, source),
        octocrab::Error::Service { source, .. } => match source.downcast::<octocrab::Error>() {
            Ok(inner) => unanswered(asked, *inner),
            Err(source) => GithubError::Unanswered { asked: asked.clone(), unconnected: false, source },
        },
        other => GithubError::Unanswered { asked: asked.clone(), unconnected: false, source: other.to_string().into() },
    }
}
