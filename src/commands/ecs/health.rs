//! Purpose: the page that must answer after the rollout.

use std::time::Duration;

use tokio::time::Instant;

use super::settings::HealthSettings;
use crate::commands::run::Run;
use crate::contract::values::Span;
use crate::services::http::{self, HttpError};
use crate::services::with_causes;

/// Longest time for one answer.
const REQUEST_TIMEOUT: Duration = Duration::from_secs(10);
/// Most redirects that one request follows.
const REDIRECTS: usize = 5;

/// Asks until the page answers healthily; the error says what it answered last.
pub(crate) async fn check(run: &Run, settings: &HealthSettings, interval: Duration) -> Result<(), String> {
    let client = http::client().map_err(|error| error.to_string())?;
    let (start, shown) = (Instant::now(), http::shown(&settings.url));
    let mut last = None;
    let most = settings.attempts.unwrap_or(u64::MAX);
    let mut attempts = 0;
    while attempts < most && start.elapsed() < settings.timeout {
        attempts += 1;
        let left = settings.timeout.saturating_sub(start.elapsed()).min(REQUEST_TIMEOUT);
        let answer = tokio::time::timeout(left, ask(&client, settings)).await;
        let said = match answer {
            Ok(Ok(status)) if settings.statuses.contains(status) => {
                run.log.info(format!("{shown} answered {status} at attempt {attempts}"));
                return Ok(());
            }
            Ok(Ok(status)) => format!("it answered {status}"),
            Ok(Err(error)) => with_causes(&error),
            Err(_) => format!("it did not answer within {} s", left.as_secs().max(1)),
        };
        if last.as_ref() != Some(&said) {
            run.log.info(format!("{shown}: {said}"));
        }
        last = Some(said);
        if attempts < most && start.elapsed() + interval < settings.timeout {
            tokio::time::sleep(interval).await;
        } else {
            break;
        }
    }
    let last = last.unwrap_or_else(|| "it was not asked".to_owned());
    let within = Span(Duration::from_secs(start.elapsed().as_secs().max(1)));
    Err(format!(
        "{shown} was not healthy ({}) in {attempts} attempts within {within}; at last {last}",
        settings.statuses
    ))
}

/// One request; redirects are followed unless they count as healthy themselves, and never with credentials.
async fn ask(client: &reqwest::Client, settings: &HealthSettings) -> Result<u16, HttpError> {
    let mut url = settings.url.clone();
    for _ in 0..=REDIRECTS {
        let response = match http::send(client.get(url.clone())).await {
            Ok(response) => response,
            Err(HttpError::Status { status, .. }) => return Ok(status),
            Err(error) => return Err(error),
        };
        let status = response.status().as_u16();
        let next = response
            .headers()
            .get(::http::header::LOCATION)
            .and_then(|next| next.to_str().ok())
            .and_then(|next| url.join(next).ok());
        match next {
            Some(next) if response.status().is_redirection() && !settings.statuses.contains(status) => {
                url = without_credentials(next);
            }
            _ => return Ok(status),
        }
    }
    Err(HttpError::Malformed { target: http::shown(&settings.url), expected: "an answer within five redirects" })
}

fn without_credentials(mut url: url::Url) -> url::Url {
    // Both fail only for addresses without a host, which have no credentials either.
    let _ = url.set_username("");
    let _ = url.set_password(None);
    url
}
