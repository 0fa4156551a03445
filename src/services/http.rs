//! Purpose: the one retry and timeout policy, and the plain HTTP client built on it.

use std::time::Duration;

use backon::{BackoffBuilder as _, ExponentialBuilder, Retryable as _};

use super::asking::asking;
use super::{Classified, ErrorClass};

/// Time to establish a connection.
pub const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);
/// Time for one request and its answer, unless the answer is a stream.
pub const TOTAL_TIMEOUT: Duration = Duration::from_secs(60);
/// Longest wait that a `Retry-After` may impose; a longer one ends the tries.
pub const LONGEST_WAIT: Duration = Duration::from_secs(120);
/// Sent with every request of ours.
pub const USER_AGENT: &str = concat!("landfall/", env!("CARGO_PKG_VERSION"));

/// Whether a request may be repeated when its effect is unknown.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Repeat {
    /// Reads, and writes whose repetition changes nothing.
    Always,
    /// Writes that would take effect twice: repeated only when the first try provably had no effect.
    IfWithoutEffect,
}

/// How often and how patiently transient failures are retried.
#[derive(Debug, Clone, Copy)]
pub struct RetryPolicy {
    /// Tries in all, the first included.
    pub attempts: usize,
    /// Wait before the second try; doubled each time, with jitter.
    pub first_wait: Duration,
    /// The longest wait that doubling reaches.
    pub longest_wait: Duration,
}

impl Default for RetryPolicy {
    fn default() -> Self {
        Self { attempts: 5, first_wait: Duration::from_millis(250), longest_wait: Duration::from_secs(10) }
    }
}

impl RetryPolicy {
    /// Runs `operation` until it succeeds, fails permanently or the tries are used up.
    ///
    /// # Errors
    /// The last error of `operation`.
    pub async fn run<T, E, F, Fut>(&self, repeat: Repeat, operation: F) -> Result<T, E>
    where
        E: Classified,
        F: FnMut() -> Fut,
        Fut: Future<Output = Result<T, E>>,
    {
        let backoff = ExponentialBuilder::default()
            .with_min_delay(self.first_wait)
            .with_max_delay(self.longest_wait)
            .with_max_times(self.attempts.saturating_sub(1))
            .with_jitter();
        operation
            .retry(backoff.build())
            .sleep(tokio::time::sleep)
            .when(|error| may_retry(error, repeat))
            .adjust(|error, planned| planned.map(|wait| error.retry_after().map_or(wait, |asked| asked.max(wait))))
            .await
    }
}

fn may_retry<E: Classified>(error: &E, repeat: Repeat) -> bool {
    error.class().is_transient()
        && error.retry_after().is_none_or(|wait| wait <= LONGEST_WAIT)
        && (repeat == Repeat::Always || error.had_no_effect())
}

/// A plain HTTP request that failed.
#[derive(Debug, thiserror::Error)]
pub enum HttpError {
    /// No answer: the connection failed or a timeout passed.
    #[error("no answer from {target}")]
    Transport {
        /// Scheme, host and path of the request; never a query, which may hold secrets.
        target: String,
        /// Whether the connection was never established.
        unconnected: bool,
        /// The cause.
        #[source]
        source: reqwest::Error,
    },
    /// No answer within [`TOTAL_TIMEOUT`].
    #[error("{target} did not answer within {} s", TOTAL_TIMEOUT.as_secs())]
    Late {
        /// Scheme, host and path of the request.
        target: String,
    },
    /// An answer that is not a success.
    #[error("{target} answered {status}{}", detail(.message))]
    Status {
        /// Scheme, host and path of the request.
        target: String,
        /// HTTP status.
        status: u16,
        /// The start of the answer's own explanation, one line.
        message: String,
        /// Wait asked for by `Retry-After`.
        retry_after: Option<Duration>,
    },
    /// A success whose body is not what the protocol says.
    #[error("{target} answered with something that is not {expected}")]
    Malformed {
        /// Scheme, host and path of the request.
        target: String,
        /// What the protocol says.
        expected: &'static str,
    },
    /// A client could not be made (no CA certificates, for example).
    #[error("the HTTP client could not be set up")]
    Setup(#[source] reqwest::Error),
}

fn detail(message: &str) -> String {
    if message.is_empty() { String::new() } else { format!(": {message}") }
}

impl Classified for HttpError {
    fn class(&self) -> ErrorClass {
        match self {
            Self::Transport { .. } | Self::Late { .. } | Self::Malformed { .. } | Self::Setup(_) => {
                ErrorClass::Unavailable
            }
            Self::Status { status, .. } => ErrorClass::of_status(*status),
        }
    }

    fn retry_after(&self) -> Option<Duration> {
        match self {
            Self::Status { retry_after, .. } => *retry_after,
            _ => None,
        }
    }

    fn had_no_effect(&self) -> bool {
        match self {
            Self::Transport { unconnected, .. } => *unconnected,
            Self::Status { status, .. } => *status == 429,
            _ => false,
        }
    }
}

/// A client with our timeouts that follows no redirect: whoever needs one decides where credentials may go.
///
/// # Errors
/// [`HttpError::Setup`] when TLS cannot be initialised.
pub fn client() -> Result<reqwest::Client, HttpError> {
    // Once in a process; a second time it says that there is one, which is what we want.
    let _ = rustls::crypto::ring::default_provider().install_default();
    reqwest::Client::builder()
        .user_agent(USER_AGENT)
        .connect_timeout(CONNECT_TIMEOUT)
        .read_timeout(TOTAL_TIMEOUT)
        .redirect(reqwest::redirect::Policy::none())
        .build()
        .map_err(HttpError::Setup)
}

/// Sends one request with the total timeout; statuses outside 2xx and 3xx become errors.
///
/// # Errors
/// [`HttpError::Transport`] and [`HttpError::Status`].
pub async fn send(request: reqwest::RequestBuilder) -> Result<reqwest::Response, HttpError> {
    let (client, request) = request.build_split();
    let request = request.map_err(HttpError::Setup)?;
    let target = shown(request.url());
    let _asking = asking(&target);
    let answer = tokio::time::timeout(TOTAL_TIMEOUT, client.execute(request)).await;
    let response = match answer {
        Ok(Ok(response)) => response,
        Ok(Err(source)) => {
            let unconnected = source.is_connect();
            return Err(HttpError::Transport { target, unconnected, source: source.without_url() });
        }
        Err(_) => return Err(HttpError::Late { target }),
    };
    let status = response.status();
    if status.is_success() || status.is_redirection() {
        return Ok(response);
    }
    let retry_after = wait_asked(response.headers());
    let message = first_line(response).await;
    Err(HttpError::Status { target, status: status.as_u16(), message, retry_after })
}

/// Whether an answer calls itself a web page. No API's is one; proxies that want a login send it with status 200.
#[must_use]
pub fn is_page(headers: &http::HeaderMap) -> bool {
    let kind = headers.get(http::header::CONTENT_TYPE).and_then(|value| value.to_str().ok());
    kind.is_some_and(|kind| kind.trim_start().to_ascii_lowercase().starts_with("text/html"))
}

/// Scheme, host and path of a URL: what may be shown.
#[must_use]
pub fn shown(url: &url::Url) -> String {
    let host = url.host_str().unwrap_or_default();
    let port = url.port().map(|port| format!(":{port}")).unwrap_or_default();
    format!("{}://{host}{port}{}", url.scheme(), url.path())
}

/// The wait that `Retry-After` asks for, when it is given in seconds.
#[must_use]
pub fn wait_asked(headers: &http::HeaderMap) -> Option<Duration> {
    let seconds = headers.get(http::header::RETRY_AFTER)?.to_str().ok()?.trim().parse().ok()?;
    Some(Duration::from_secs(seconds))
}

/// The first line of an error's body, at most 200 characters, read from at most 16 KiB of it.
async fn first_line(mut response: reqwest::Response) -> String {
    let mut body = Vec::new();
    while let Ok(Some(chunk)) = response.chunk().await {
        body.extend_from_slice(&chunk);
        if body.len() > 16 * 1024 {
            break;
        }
    }
    let text = String::from_utf8_lossy(&body);
    text.lines().next().unwrap_or_default().trim().chars().filter(|c| !c.is_control()).take(200).collect()
}
