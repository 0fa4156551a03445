//! Purpose: what can go wrong with a question to GitHub, and how it classes.

use std::error::Error as StdError;
use std::fmt;
use std::path::PathBuf;
use std::time::Duration;

use http::HeaderMap;
use http::header::DATE;
use jiff::Timestamp;
use serde::Deserialize;

use crate::services::http::{HttpError, wait_asked};
use crate::services::{Classified, ErrorClass};

/// The wait when GitHub limits us and does not say for how long (GitHub documentation, "rate limits for the REST API").
const UNSAID_WAIT: Duration = Duration::from_secs(60);
/// How much of GitHub's own words is kept, in characters.
const LONGEST_MESSAGE: usize = 300;

/// What GitHub was asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Asked {
    /// The kind of object: `repository`, `branch`.
    pub what: &'static str,
    /// The object: `acme/app`, `'feature/x' of acme/app`.
    pub object: String,
    /// The permission that a job's own token needs for it, as a workflow writes it: `contents: read`.
    pub permission: &'static str,
}

impl Asked {
    /// Names a question that `contents: read` is enough for.
    pub fn new(what: &'static str, object: impl Into<String>) -> Self {
        Self { what, object: object.into(), permission: "contents: read" }
    }

    /// The same, with another permission that it needs.
    #[must_use]
    pub fn needing(self, permission: &'static str) -> Self {
        Self { permission, ..self }
    }
}

impl fmt::Display for Asked {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.what, self.object)
    }
}

/// A rate limit that was reached.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RateLimit {
    /// When requests are accepted again, if GitHub says so.
    pub resets: Option<Timestamp>,
    /// How long that is from GitHub's answer on; a minute when GitHub does not say.
    pub wait: Duration,
}

impl RateLimit {
    /// The limit that an answer of status 403 or 429 speaks of. A 403 without any sign of a limit is a plain refusal.
    fn of(status: u16, headers: &HeaderMap, message: &str) -> Option<Self> {
        let number = |name: &str| headers.get(name)?.to_str().ok()?.trim().parse::<i64>().ok();
        let exhausted = number("x-ratelimit-remaining") == Some(0);
        let asked = wait_asked(headers);
        let secondary = message.to_ascii_lowercase().contains("secondary rate limit");
        if !(status == 429 || status == 403 && (exhausted || asked.is_some() || secondary)) {
            return None;
        }
        let resets = number("x-ratelimit-reset").filter(|_| exhausted).and_then(|at| Timestamp::from_second(at).ok());
        let until_reset = resets.zip(date_of(headers)).map(|(reset, now)| {
            // A second on top, because both times are cut to seconds.
            Duration::try_from(reset.duration_since(now)).unwrap_or_default() + Duration::from_secs(1)
        });
        Some(Self { resets, wait: asked.or(until_reset).unwrap_or(UNSAID_WAIT) })
    }
}

/// The server's own time: what `x-ratelimit-reset` is to be compared with, whatever the clock of this machine says.
fn date_of(headers: &HeaderMap) -> Option<Timestamp> {
    let text = headers.get(DATE)?.to_str().ok()?;
    jiff::fmt::rfc2822::parse(text).ok().map(|zoned| zoned.timestamp())
}

/// An answer that refuses.
#[derive(Debug, Clone)]
pub struct Refusal {
    /// What was asked.
    pub asked: Asked,
    /// HTTP status.
    pub status: u16,
    /// GitHub's own words, one line.
    pub message: String,
    /// The page that GitHub points to.
    pub documentation_url: Option<String>,
    /// The limit, when one was reached.
    pub limit: Option<RateLimit>,
    /// Whether the body has the form of GitHub's own errors. A 404 page of a proxy has not, and proves nothing.
    pub is_githubs_own: bool,
}

#[derive(Deserialize)]
struct ErrorBody {
    message: String,
    documentation_url: Option<String>,
}

impl Refusal {
    pub(super) fn of(asked: &Asked, status: u16, headers: &HeaderMap, body: &[u8]) -> Self {
        let parsed = serde_json::from_slice::<ErrorBody>(body).ok();
        let is_githubs_own = parsed.is_some();
        let (message, documentation_url) = match parsed {
            Some(body) => (body.message, body.documentation_url),
            None => (String::from_utf8_lossy(body).into_owned(), None),
        };
        Self {
            asked: asked.clone(),
            status,
            limit: RateLimit::of(status, headers, &message),
            message: one_line(&message),
            documentation_url,
            is_githubs_own,
        }
    }

    /// Whether the token is known and lacks a permission, as that of a fork's pull request or one without the right
    /// line below `permissions:` does. Limits and other refusals are something else.
    #[must_use]
    pub fn lacks_permission(&self) -> bool {
        self.status == 403
            && self.limit.is_none()
            && self.message.to_ascii_lowercase().contains("resource not accessible by")
    }

    /// Whether GitHub itself said that the object does not exist, or that we may not know of it.
    #[must_use]
    pub fn is_definite_absence(&self) -> bool {
        self.status == 404 && self.is_githubs_own
    }
}

fn one_line(text: &str) -> String {
    let line = text.lines().map(str::trim).find(|line| !line.is_empty()).unwrap_or_default();
    line.chars().filter(|c| !c.is_control()).take(LONGEST_MESSAGE).collect()
}

/// A question to GitHub that was not answered.
#[derive(Debug, thiserror::Error)]
pub enum GithubError {
    /// The API's address is none.
    #[error("GitHub's API address '{0}' is not an http or https address")]
    Address(String),
    /// The token has characters that no header may have, a line break in the middle for example.
    #[error("the GitHub token has characters that no token has")]
    Token,
    /// The HTTP client could not be made.
    #[error("GitHub's API cannot be spoken to")]
    Setup(#[source] HttpError),
    /// GitHub answered and said no.
    #[error("GitHub answered {} when asked for the {}{}", .0.status, .0.asked, detail(&.0.message))]
    Refused(Box<Refusal>),
    /// The connection failed or broke.
    #[error("GitHub gave no answer when asked for the {asked}")]
    Unanswered {
        /// What was asked.
        asked: Asked,
        /// Whether the connection was never established.
        unconnected: bool,
        /// The cause.
        #[source]
        source: Box<dyn StdError + Send + Sync>,
    },
    /// The total timeout passed.
    #[error("GitHub gave no answer in time when asked for the {asked}")]
    TimedOut {
        /// What was asked.
        asked: Asked,
    },
    /// The answer is not what the API's description says.
    #[error("GitHub's answer about the {asked} is not {expected}")]
    Malformed {
        /// What was asked.
        asked: Asked,
        /// What the description says.
        expected: &'static str,
        /// The parser's words, when there was something to parse.
        #[source]
        source: Option<serde_json::Error>,
    },
    /// The archive is not one that GitHub makes: broken off, damaged, or not a single folder.
    #[error("the {asked} cannot be unpacked")]
    BadArchive {
        /// What was asked.
        asked: Asked,
        /// The cause.
        #[source]
        source: std::io::Error,
    },
    /// An entry of the archive lies outside of its folder.
    #[error("the {asked} has an entry outside of its folder: '{entry}'")]
    Escape {
        /// What was asked.
        asked: Asked,
        /// The entry's path.
        entry: String,
    },
    /// The archive unpacks to more than is allowed.
    #[error("the {asked} unpacks to more than {limit} bytes")]
    TooLarge {
        /// What was asked.
        asked: Asked,
        /// The most that is allowed.
        limit: u64,
    },
    /// GitHub's answers are cut off, or would have to be asked for too often.
    #[error("the {asked} cannot be told from {limit} answers")]
    TooMany {
        /// What was asked.
        asked: Asked,
        /// The most answers that are read.
        limit: u64,
    },
    /// This machine could not store the archive's files.
    #[error("the {asked} cannot be stored in {}", .folder.display())]
    Disk {
        /// What was asked.
        asked: Asked,
        /// The folder.
        folder: PathBuf,
        /// The cause.
        #[source]
        source: std::io::Error,
    },
}

fn detail(message: &str) -> String {
    if message.is_empty() { String::new() } else { format!(": {message}") }
}

impl GithubError {
    /// The refusal, when GitHub answered.
    #[must_use]
    pub fn refusal(&self) -> Option<&Refusal> {
        match self {
            Self::Refused(refusal) => Some(refusal),
            _ => None,
        }
    }

    /// Whether the token is known and lacks a permission; see [`Refusal::lacks_permission`].
    #[must_use]
    pub fn lacks_permission(&self) -> bool {
        self.refusal().is_some_and(Refusal::lacks_permission)
    }

    /// What was asked, when the error is about a question.
    #[must_use]
    pub fn asked(&self) -> Option<&Asked> {
        match self {
            Self::Refused(refusal) => Some(&refusal.asked),
            Self::Unanswered { asked, .. }
            | Self::TimedOut { asked }
            | Self::Malformed { asked, .. }
            | Self::BadArchive { asked, .. }
            | Self::Escape { asked, .. }
            | Self::TooLarge { asked, .. }
            | Self::TooMany { asked, .. }
            | Self::Disk { asked, .. } => Some(asked),
            Self::Address(_) | Self::Token | Self::Setup(_) => None,
        }
    }
}

impl Classified for GithubError {
    fn class(&self) -> ErrorClass {
        match self {
            Self::Refused(refusal) if refusal.limit.is_some() => ErrorClass::RateLimited,
            // Somebody between us and GitHub answered: that is no answer of GitHub's.
            Self::Refused(refusal) if refusal.status == 404 && !refusal.is_githubs_own => ErrorClass::Unavailable,
            Self::Refused(refusal) => ErrorClass::of_status(refusal.status),
            Self::Unanswered { .. }
            | Self::TimedOut { .. }
            | Self::Malformed { .. }
            | Self::BadArchive { .. }
            | Self::Setup(_) => ErrorClass::Unavailable,
            Self::Address(_) | Self::Token | Self::Escape { .. } | Self::TooLarge { .. } | Self::TooMany { .. } => {
                ErrorClass::Invalid
            }
            Self::Disk { .. } => ErrorClass::Failed,
        }
    }

    fn retry_after(&self) -> Option<Duration> {
        self.refusal()?.limit.map(|limit| limit.wait)
    }

    fn had_no_effect(&self) -> bool {
        match self {
            Self::Unanswered { unconnected, .. } => *unconnected,
            Self::Refused(refusal) => refusal.limit.is_some(),
            _ => false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refusal(status: u16, headers: &[(&'static str, &str)], body: &str) -> GithubError {
        let headers = headers.iter().map(|(name, value)| (http::HeaderName::from_static(name), value.parse().unwrap()));
        let asked = Asked::new("branch", "'main' of acme/app");
        GithubError::Refused(Box::new(Refusal::of(&asked, status, &headers.collect(), body.as_bytes())))
    }

    #[test]
    fn only_signs_of_a_limit_make_a_403_a_limit() {
        let own = r#"{"message":"Resource not accessible by integration"}"#;
        let plain = refusal(403, &[("x-ratelimit-remaining", "12")], own);
        assert_eq!((plain.class(), plain.retry_after()), (ErrorClass::Forbidden, None));
        let secondary = refusal(403, &[("retry-after", "7")], own);
        assert_eq!(
            (secondary.class(), secondary.retry_after()),
            (ErrorClass::RateLimited, Some(Duration::from_secs(7)))
        );
        let worded = refusal(403, &[], r#"{"message":"You have exceeded a secondary rate limit."}"#);
        assert_eq!((worded.class(), worded.retry_after()), (ErrorClass::RateLimited, Some(UNSAID_WAIT)));
    }

    #[test]
    fn the_wait_is_measured_by_githubs_own_clock() {
        let limited = refusal(
            403,
            &[
                ("x-ratelimit-remaining", "0"),
                ("x-ratelimit-reset", "1700000040"),
                ("date", "Tue, 14 Nov 2023 22:13:20 GMT"),
            ],
            "{}",
        );
        assert_eq!(limited.retry_after(), Some(Duration::from_secs(41)));
        let past = refusal(
            429,
            &[("x-ratelimit-remaining", "0"), ("x-ratelimit-reset", "1"), ("date", "Tue, 14 Nov 2023 22:13:20 GMT")],
            "{}",
        );
        assert_eq!(past.retry_after(), Some(Duration::from_secs(1)));
        assert_eq!(refusal(429, &[("x-ratelimit-remaining", "0")], "{}").retry_after(), Some(UNSAID_WAIT));
    }

    #[test]
    fn a_proxys_404_is_no_answer() {
        let own = refusal(404, &[], r#"{"message":"Not Found","documentation_url":"https://docs.github.com/rest"}"#);
        assert_eq!(own.class(), ErrorClass::NotFound);
        assert_eq!(own.to_string(), "GitHub answered 404 when asked for the branch 'main' of acme/app: Not Found");
        let page = refusal(404, &[], "<html>\n<h1>404</h1>");
        assert_eq!(page.class(), ErrorClass::Unavailable);
    }
}
