//! Purpose: what a Docker Engine's errors mean.

use super::{kind_of, reason};
use crate::runner::{Failure, Kind};
use crate::services::engine::{EngineError, StartCause};
use crate::services::{Classified as _, ErrorClass};

impl From<EngineError> for Failure {
    fn from(error: EngineError) -> Self {
        let class = error.class();
        match &error {
            EngineError::Endpoint(_) => Self::input(
                "the engine's endpoint is not usable",
                "Give `engine` (or DOCKER_HOST) as unix:///path or tcp://host:port.",
            ),
            EngineError::NotAnswering { .. } => Self::new(
                Kind::Upstream,
                "engine-unavailable",
                "No Docker Engine",
                "the Docker Engine cannot be reached",
            )
            .hint("Runners without Docker (ubuntu-slim, macOS, Windows) cannot run this command.")
            .hint("Elsewhere set `engine` or DOCKER_HOST, and check that the socket may be used."),
            EngineError::TooOld { .. } => Self::new(
                Kind::Input,
                "engine-too-old",
                "Docker Engine too old",
                "the Docker Engine is too old for this command",
            )
            .hint("Update Docker on this runner."),
            EngineError::NotFound { .. } => {
                Self::new(Kind::Work, "image-not-found", "Not in the engine", "the Docker Engine does not have it")
            }
            EngineError::Denied { .. } => Self::new(
                Kind::Auth,
                "engine-forbidden",
                "Docker Engine refuses",
                "the Docker Engine does not allow this",
            )
            .hint("A proxy or plug-in in front of the engine's socket forbids the request."),
            EngineError::Conflict { .. } => Self::new(Kind::Work, "engine-conflict", "In the way", error.to_string())
                .hint("Something of that name exists already, or is in use; remove it, or choose another name."),
            EngineError::Start { cause, .. } => of_start(*cause, error.to_string()),
            // The engine's words differ from version to version; what they mean is said in ours, and theirs come last.
            EngineError::Registry { action, message, .. } => return of_registry(action, message, class),
            // These errors name the action themselves; a message of ours before theirs would say it twice.
            EngineError::Failed { .. } | EngineError::Broken { .. } | EngineError::NoDigest { .. } => {
                Self::new(kind_of(class), reason!("engine", class), "Docker Engine failed", error.to_string())
                    .hint("The engine's own log says more; a step that runs it again may succeed.")
            }
        }
        .caused_by(error)
    }
}

fn of_start(cause: StartCause, message: String) -> Failure {
    let failure = Failure::new(Kind::Work, "container-start", "Container not started", message);
    match cause {
        StartCause::PortTaken => failure.hint("Another process or container of the runner holds the port; choose another one, or leave the host's side out and use the one that the engine chooses."),
        StartCause::Command => failure.hint("Check that entry point and command exist in the image, are executable, and are made for this platform."),
        StartCause::Mount => failure.hint("Check that what is mounted exists on the engine's host, and is a file or a folder as expected."),
        StartCause::Other => failure,
    }
}

fn of_registry(action: &str, words: &str, class: ErrorClass) -> Failure {
    let title = match class {
        ErrorClass::Unavailable => "Registry unavailable",
        _ => "Registry refused",
    };
    let said = match class {
        ErrorClass::Unauthenticated => "the registry does not accept the login",
        ErrorClass::Forbidden => "the login is not allowed to do this",
        ErrorClass::NotFound => "the registry has no such repository or tag",
        ErrorClass::RateLimited => "the registry has had too many requests",
        ErrorClass::Unavailable => "the registry cannot be reached, or fails",
        // Words that we cannot read are the best that there is.
        ErrorClass::Invalid | ErrorClass::Failed => words,
    };
    let failure = Failure::new(kind_of(class), reason!("registry", class), title, format!("{action} failed: {said}"));
    let failure = match class {
        ErrorClass::Unauthenticated => {
            failure.hint("Set `registry_username` and `registry_password`, or `role_to_assume` for ECR.")
        }
        ErrorClass::Forbidden => failure
            .hint("On ghcr.io the job needs `permissions: packages: write`, and the package must grant this repository access.")
            .hint("On ECR the repository must exist and the role must be allowed to push to it."),
        ErrorClass::NotFound => failure.hint("Create the repository first; registries such as ECR do not make it on push."),
        ErrorClass::RateLimited => failure.hint("Log in: registries limit anonymous clients first."),
        ErrorClass::Unavailable => failure.hint("The registry did not answer, however often it was asked; try again later."),
        ErrorClass::Invalid | ErrorClass::Failed => return failure,
    };
    failure.hint(format!("The engine's own words: {words}"))
}
