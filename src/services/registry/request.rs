//! Purpose: one request to a registry: authorization, redirects, timeout, retry.

use bytes::Bytes;
use http::header::{AUTHORIZATION, HeaderMap, HeaderValue, LOCATION};
use http::{Method, StatusCode};
use reqwest::Response;
use url::Url;

use super::error::{Refused, Words};
use super::{RegistryClient, RegistryError};
use crate::domain::reference::ImageName;
use crate::services::asking::asking;
use crate::services::http::Repeat;

/// Redirects that one request follows; registries send blobs on to their storage.
const REDIRECTS: usize = 5;

/// What a token must allow (distribution specification, "token scope").
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum Actions {
    Pull,
    Push,
    Delete,
}

impl Actions {
    pub(super) fn scope(self) -> &'static str {
        match self {
            Self::Pull => "pull",
            Self::Push => "pull,push",
            Self::Delete => "pull,delete",
        }
    }
}

/// A request below `/v2/<repository>`.
#[derive(Debug, Clone)]
pub(super) struct Call<'a> {
    pub(super) method: Method,
    pub(super) name: &'a ImageName,
    /// The path behind the repository, `/manifests/v1`.
    pub(super) path: String,
    pub(super) actions: Actions,
    /// What is asked for, as a noun phrase.
    pub(super) asked: String,
    pub(super) headers: HeaderMap,
    pub(super) body: Bytes,
    /// Most bytes of an answer that are read.
    pub(super) limit: usize,
}

impl<'a> Call<'a> {
    pub(super) fn get(name: &'a ImageName, path: String, asked: String) -> Self {
        Self {
            method: Method::GET,
            name,
            path,
            actions: Actions::Pull,
            asked,
            headers: HeaderMap::new(),
            body: Bytes::new(),
            limit: 4 * 1024 * 1024,
        }
    }

    pub(super) fn registry(&self) -> String {
        self.name.registry().to_owned()
    }

    pub(super) fn malformed(&self, expected: &'static str) -> RegistryError {
        RegistryError::Malformed { asked: self.asked.clone(), registry: self.registry(), expected }
    }

    pub(super) fn refused(&self, status: StatusCode, headers: &HeaderMap, body: &[u8]) -> RegistryError {
        let words = if self.method == Method::HEAD { Words::Silent } else { Words::Spoken };
        let said = (status.as_u16(), headers, body);
        RegistryError::Refused(Box::new(Refused::of(&self.asked, self.name.registry(), words, said)))
    }

    pub(super) fn unanswered(&self, source: reqwest::Error) -> RegistryError {
        RegistryError::Unanswered {
            asked: self.asked.clone(),
            registry: self.registry(),
            unconnected: source.is_connect(),
            source: source.without_url(),
        }
    }
}

/// An answer that was read whole.
pub(super) struct Answer {
    pub(super) headers: HeaderMap,
    pub(super) body: Vec<u8>,
    /// The address that was asked.
    pub(super) url: Url,
}

impl RegistryClient {
    /// Sends a request until it succeeds or fails for good. All requests of this client may be repeated: reads, and
    /// writes whose content is named by its own digest.
    pub(super) async fn call(&self, call: &Call<'_>) -> Result<Answer, RegistryError> {
        let url = self.url(call)?;
        self.call_at(call, &url).await
    }

    /// The same at an address that the registry gave, a next page for example.
    pub(super) async fn call_at(&self, call: &Call<'_>, url: &Url) -> Result<Answer, RegistryError> {
        // Found now, so that the way to a login with retries of its own is not itself retried.
        self.login(call.name.registry()).await?;
        let attempt = || async {
            let _asking = asking(format_args!("{}, asked for {}", call.registry(), call.asked));
            let timed_out = |_| RegistryError::TimedOut { asked: call.asked.clone(), registry: call.registry() };
            tokio::time::timeout(self.0.timeout, self.once(call, url)).await.map_err(timed_out)?
        };
        // Boxed, so that the futures of callers stay small.
        Box::pin(self.0.policy.run(Repeat::Always, attempt)).await
    }

    pub(super) fn url(&self, call: &Call<'_>) -> Result<Url, RegistryError> {
        let address = format!("{}/v2/{}{}", self.origin(call.name), call.name.repository(), call.path);
        address.parse().map_err(|_| call.malformed("at an address"))
    }

    /// One try. A token that is no longer accepted is fetched anew, once.
    pub(super) async fn once(&self, call: &Call<'_>, url: &Url) -> Result<Answer, RegistryError> {
        let known = self.known_authorization(call).await;
        let response = self.transmit(call, url, known.as_ref()).await?;
        if response.status() != StatusCode::UNAUTHORIZED {
            return read(call, response, url).await;
        }
        match self.authorize(call, response.headers()).await? {
            // The same again would only be refused again.
            Some(fresh) if Some(&fresh) != known.as_ref() => {
                let response = self.transmit(call, url, Some(&fresh)).await?;
                read(call, response, url).await
            }
            _ => read(call, response, url).await,
        }
    }

    /// Sends and follows redirects of reads. Credentials stay with the origin that was asked first.
    async fn transmit(
        &self,
        call: &Call<'_>,
        url: &Url,
        authorization: Option<&HeaderValue>,
    ) -> Result<Response, RegistryError> {
        let mut target = url.clone();
        for _ in 0..=REDIRECTS {
            let mut request = self.0.http.request(call.method.clone(), target.clone()).headers(call.headers.clone());
            if let Some(authorization) = authorization.filter(|_| target.origin() == url.origin()) {
                request = request.header(AUTHORIZATION, authorization.clone());
            }
            if !call.body.is_empty() {
                request = request.body(call.body.clone());
            }
            let response = request.send().await.map_err(|error| call.unanswered(error))?;
            if !response.status().is_redirection() {
                return Ok(response);
            }
            let is_read = matches!(call.method, Method::GET | Method::HEAD);
            let location = response.headers().get(LOCATION).and_then(|value| value.to_str().ok());
            let next = location.filter(|_| is_read).and_then(|location| target.join(location).ok());
            target = next.ok_or_else(|| call.malformed("an answer but a redirect"))?;
            self.check_encrypted(call, url, &target)?;
        }
        Err(call.malformed("an answer but redirects"))
    }

    /// An encrypted registry may not send us to an address that is not.
    pub(super) fn check_encrypted(&self, call: &Call<'_>, from: &Url, to: &Url) -> Result<(), RegistryError> {
        if from.scheme() == "https" && to.scheme() != "https" {
            let host = to.host_str().unwrap_or_default();
            let address = format!("{}://{host}", to.scheme());
            return Err(RegistryError::Downgrade { registry: call.registry(), address });
        }
        Ok(())
    }
}

pub(super) async fn read(call: &Call<'_>, mut response: Response, url: &Url) -> Result<Answer, RegistryError> {
    let (status, headers) = (response.status(), response.headers().clone());
    let mut body = Vec::new();
    loop {
        match response.chunk().await {
            Ok(Some(chunk)) if body.len() + chunk.len() <= call.limit => {
                body.extend_from_slice(&chunk);
            }
            // The status has already said what matters.
            Ok(_) | Err(_) if !status.is_success() => break,
            Ok(Some(_)) => return Err(call.malformed("of the size that it may have")),
            Ok(None) => break,
            Err(error) => return Err(call.unanswered(error)),
        }
    }
    if status.is_success() {
        return Ok(Answer { headers, body, url: url.clone() });
    }
    Err(call.refused(status, &headers, &body))
}
