//! Purpose: what an error of GitHub's API means to a person: which token, which permission, when to try again.

use super::{kind_of, reason};
use crate::runner::{Failure, Kind};
use crate::services::github::{GithubError, Refusal};
use crate::services::{Classified as _, ErrorClass};

impl From<GithubError> for Failure {
    fn from(error: GithubError) -> Self {
        let class = error.class();
        let failure = |kind, reason, title| Self::new(kind, reason, title, error.to_string());
        let failure = match &error {
            GithubError::Address(_) => failure(Kind::Input, "invalid-input", "Invalid GITHUB_API_URL")
                .hint("GITHUB_API_URL must be like https://api.github.com or https://ghe.example/api/v3."),
            GithubError::Token => failure(Kind::Input, "invalid-input", "Invalid token")
                .hint("Check the secret that the token comes from for pasted line breaks and quotes."),
            GithubError::Refused(refusal) => of_refusal(failure, refusal, class),
            GithubError::TooLarge { .. } | GithubError::Escape { .. } => {
                failure(Kind::Work, "source-refused", "Source archive refused")
                    .hint("Check the repository's files at that commit.")
            }
            GithubError::TooMany { .. } => failure(Kind::Work, "too-many-changes", "Too many changes")
                .hint("What so large a change touches cannot be told from the API: leave `changed` out of the rule, or split the change."),
            GithubError::Disk { .. } => {
                failure(Kind::Work, "disk", "Source not stored").hint("Check the free space of the runner.")
            }
            GithubError::Setup(_)
            | GithubError::Unanswered { .. }
            | GithubError::TimedOut { .. }
            | GithubError::Malformed { .. }
            | GithubError::BadArchive { .. } => {
                unavailable(failure(kind_of(class), reason!("github", class), "GitHub unavailable"))
            }
        };
        failure.caused_by(error)
    }
}

fn of_refusal(
    failure: impl Fn(Kind, &'static str, &'static str) -> Failure,
    refusal: &Refusal,
    class: ErrorClass,
) -> Failure {
    let usual = |title| failure(kind_of(class), reason!("github", class), title);
    let object = &refusal.asked.object;
    match class {
        ErrorClass::NotFound if refusal.asked.what == "repository" => {
            failure(Kind::Auth, "repository-not-visible", "Repository not visible")
                .hint(format!("Use a token that may read {object}: the job's own token sees its own repository and public ones only, and GitHub says 404 for all others."))
                .hint("Check the spelling of owner and name.")
        }
        ErrorClass::NotFound => usual("Not found on GitHub").hint("Check the name."),
        ErrorClass::Unauthenticated => usual("GitHub refused the token")
            .hint("The token is wrong, expired or revoked; check the secret that it comes from."),
        ErrorClass::Forbidden => usual("GitHub denied access")
            .hint(format!(
                "Give the token the permission `{}` for {}; for the job's own token that is a line below `permissions:`.",
                refusal.asked.permission,
                repository_of(object)
            )),
        ErrorClass::RateLimited => {
            let failure = usual("GitHub's rate limit is reached");
            match refusal.limit.and_then(|limit| limit.resets) {
                Some(resets) => failure.hint(format!("Try again after {resets}, or use a token with a higher limit.")),
                None => failure.hint("Try again later, or with fewer jobs at a time."),
            }
        }
        ErrorClass::Unavailable => unavailable(usual("GitHub unavailable")),
        ErrorClass::Invalid | ErrorClass::Failed => usual("GitHub refused the request")
            .hint("GitHub's own words say what it does not take; if something else changed at the same time, run again."),
    }
}

fn unavailable(failure: Failure) -> Failure {
    failure.hint("Try again later; https://www.githubstatus.com shows the state of GitHub.")
}

/// `acme/app` of `'main' of acme/app`.
fn repository_of(object: &str) -> &str {
    object.rsplit(' ').next().unwrap_or(object)
}
