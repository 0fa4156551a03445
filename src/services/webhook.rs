//! Purpose: one message to a webhook whose whole address is a secret.
//!
//! No error names more of it than the host, and redirects are not followed: whoever answers with one would learn the
//! message, and the address it came from.

use std::time::Duration;

use secrecy::{ExposeSecret as _, SecretString};
use url::Url;

use super::asking::asking;
use super::http::{self as policy, HttpError, Repeat, RetryPolicy, TOTAL_TIMEOUT, wait_asked};
use super::{Classified, ErrorClass};

/// How much of an answer is read, in bytes.
const LARGEST_ANSWER: usize = 16 * 1024;

/// A message that was not taken.
#[derive(Debug, thiserror::Error)]
pub enum WebhookError {
    /// The address is none.
    #[error("webhook_url is not a web address")]
    Address,
    /// A client could not be made.
    #[error("the webhook cannot be called")]
    Setup(#[source] HttpError),
    /// No answer.
    #[error("{host} did not answer")]
    Unanswered {
        /// Host of the address.
        host: String,
        /// Whether the connection was never established.
        unconnected: bool,
        /// The cause, without the address.
        #[source]
        source: reqwest::Error,
    },
    /// No answer in time.
    #[error("{host} did not answer within {} s", TOTAL_TIMEOUT.as_secs())]
    Late {
        /// Host of the address.
        host: String,
    },
    /// A redirect.
    #[error("{host} answered with a redirect ({status}), which is not followed")]
    Redirect {
        /// Host of the address.
        host: String,
        /// HTTP status.
        status: u16,
    },
    /// A web page with status 200: whatever answered, it took no message.
    #[error("{host} answered with a web page, as a proxy that wants a login does")]
    Foreign {
        /// Host of the address.
        host: String,
    },
    /// A refusal.
    #[error("{host} answered {status}{}", said(.message))]
    Refused {
        /// Host of the address.
        host: String,
        /// HTTP status.
        status: u16,
        /// The first line of the answer.
        message: String,
        /// The wait that it asks for.
        retry_after: Option<Duration>,
    },
}

fn said(message: &str) -> String {
    if message.is_empty() { String::new() } else { format!(": {message}") }
}

impl Classified for WebhookError {
    fn class(&self) -> ErrorClass {
        match self {
            Self::Address => ErrorClass::Invalid,
            Self::Setup(_) | Self::Unanswered { .. } | Self::Late { .. } | Self::Foreign { .. } => {
                ErrorClass::Unavailable
            }
            Self::Redirect { .. } => ErrorClass::Failed,
            Self::Refused { status, .. } => ErrorClass::of_status(*status),
        }
    }

    fn retry_after(&self) -> Option<Duration> {
        match self {
            Self::Refused { retry_after, .. } => *retry_after,
            _ => None,
        }
    }

    /// An answer of 5xx says that the message was not taken; without any answer it may have been.
    fn had_no_effect(&self) -> bool {
        match self {
            Self::Unanswered { unconnected, .. } => *unconnected,
            Self::Refused { .. } => true,
            _ => false,
        }
    }
}

/// A webhook.
pub struct Webhook {
    http: reqwest::Client,
    url: Url,
    policy: RetryPolicy,
}

impl Webhook {
    /// The webhook at an address.
    ///
    /// # Errors
    /// [`WebhookError::Address`], [`WebhookError::Setup`].
    pub fn new(url: &SecretString) -> Result<Self, WebhookError> {
        let url = Url::parse(url.expose_secret().trim()).map_err(|_| WebhookError::Address)?;
        if !matches!(url.scheme(), "http" | "https") || !url.has_host() {
            return Err(WebhookError::Address);
        }
        let http = policy::client().map_err(WebhookError::Setup)?;
        Ok(Self { http, url, policy: RetryPolicy::default() })
    }

    /// The same webhook with another patience.
    #[must_use]
    pub fn with_policy(self, policy: RetryPolicy) -> Self {
        Self { policy, ..self }
    }

    /// The host: the only part of the address that may be shown.
    #[must_use]
    pub fn host(&self) -> String {
        let port = self.url.port().map(|port| format!(":{port}")).unwrap_or_default();
        format!("{}{port}", self.url.host_str().unwrap_or_default())
    }

    /// Parts of the address that are secret on their own: long parts of the path, values of the query, a password.
    #[must_use]
    pub fn secrets(&self) -> Vec<SecretString> {
        let path = self.url.path_segments().into_iter().flatten().map(str::to_owned);
        let query = self.url.query_pairs().map(|(_, value)| value.into_owned());
        let password = self.url.password().map(str::to_owned);
        let parts = path.chain(query).chain(password).filter(|part| part.len() >= 8);
        parts.map(SecretString::from).collect()
    }

    /// Sends a JSON body.
    ///
    /// # Errors
    /// [`WebhookError`], after retries on 429 and 5xx.
    pub async fn send(&self, body: &serde_json::Value) -> Result<(), WebhookError> {
        self.policy.run(Repeat::IfWithoutEffect, || self.send_once(body)).await
    }

    async fn send_once(&self, body: &serde_json::Value) -> Result<(), WebhookError> {
        let _asking = asking(self.host());
        let request = self.http.post(self.url.clone()).json(body).send();
        let answer = tokio::time::timeout(TOTAL_TIMEOUT, request).await;
        let answer = answer.map_err(|_| WebhookError::Late { host: self.host() })?;
        let response = answer.map_err(|source| WebhookError::Unanswered {
            host: self.host(),
            unconnected: source.is_connect(),
            source: source.without_url(),
        })?;
        let status = response.status();
        if status.is_success() {
            // The type does not tell: Slack's own "ok" is called text/html.
            return match is_page(&first_line(response).await) {
                true => Err(WebhookError::Foreign { host: self.host() }),
                false => Ok(()),
            };
        }
        if status.is_redirection() {
            return Err(WebhookError::Redirect { host: self.host(), status: status.as_u16() });
        }
        let retry_after = wait_asked(response.headers());
        let message = first_line(response).await;
        Err(WebhookError::Refused { host: self.host(), status: status.as_u16(), message, retry_after })
    }
}

fn is_page(line: &str) -> bool {
    let line = line.to_ascii_lowercase();
    line.starts_with("<!doctype html") || line.starts_with("<html")
}

async fn first_line(mut response: reqwest::Response) -> String {
    let mut body = Vec::new();
    while let Ok(Ok(Some(chunk))) = tokio::time::timeout(TOTAL_TIMEOUT, response.chunk()).await {
        body.extend_from_slice(&chunk);
        if body.len() > LARGEST_ANSWER {
            break;
        }
    }
    let text = String::from_utf8_lossy(&body);
    text.lines().next().unwrap_or_default().trim().chars().filter(|c| !c.is_control()).take(200).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::services::testing::{HASTY, Server};

    fn webhook(server: &Server) -> Webhook {
        Webhook::new(&format!("{}/services/T0/s3cretpart?sig=s3cretvalue", server.address).into())
            .unwrap()
            .with_policy(HASTY)
    }

    const PATH: &str = "POST /services/T0/s3cretpart?sig=s3cretvalue";

    #[tokio::test]
    async fn limits_and_outages_are_waited_for() {
        let server = Server::start().await;
        server.answer_with(PATH, 429, &[("retry-after", "0")], b"slow down");
        server.answer(PATH, 503, "");
        server.answer(PATH, 200, "ok");
        webhook(&server).send(&serde_json::json!({ "text": "x" })).await.unwrap();
        assert_eq!(server.asked().len(), 3);
    }

    #[tokio::test]
    async fn no_error_shows_the_address_and_no_redirect_is_followed() {
        let server = Server::start().await;
        server.answer(PATH, 404, "no_service\nmore");
        server.answer_with(PATH, 302, &[("location", "http://127.0.0.1:1/steal")], b"");
        let hook = webhook(&server);
        let error = hook.send(&serde_json::json!({})).await.unwrap_err();
        assert_eq!(error.to_string(), format!("{} answered 404: no_service", hook.host()));
        let error = hook.send(&serde_json::json!({})).await.unwrap_err();
        assert!(matches!(error, WebhookError::Redirect { status: 302, .. }));
        let gone = Webhook::new(&"http://127.0.0.1:1/s3cretpart".into()).unwrap().with_policy(HASTY);
        let error = gone.send(&serde_json::json!({})).await.unwrap_err();
        assert!(!format!("{error:?} {error}").contains("s3cret"), "{error:?}");
        let secrets: Vec<String> = hook.secrets().iter().map(|part| part.expose_secret().to_owned()).collect();
        assert_eq!(secrets, ["services", "s3cretpart", "s3cretvalue"]);
    }

    #[test]
    fn an_address_is_needed() {
        for wrong in ["", "hooks.slack.com/x", "ftp://x/y", "file:///etc/passwd"] {
            assert!(matches!(Webhook::new(&wrong.into()), Err(WebhookError::Address)), "{wrong}");
        }
    }
}
