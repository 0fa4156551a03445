//! Purpose: what an error of a registry means to a person: which login, which permission, which setting.

use super::{kind_of, reason};
use crate::runner::{Failure, Kind};
use crate::services::registry::{ArchivePushError, Refused, RegistryError};
use crate::services::{Classified as _, ErrorClass};

impl From<RegistryError> for Failure {
    fn from(error: RegistryError) -> Self {
        let class = error.class();
        let failure = |kind, reason, title| Self::new(kind, reason, title, error.to_string());
        let usual = |title| failure(kind_of(class), reason!("registry", class), title);
        let failure = match &error {
            RegistryError::Aws(_) | RegistryError::Engine(_) => return of_others(error),
            RegistryError::Refused(refused) => of_refusal(usual(title_of(class)), refused, class),
            RegistryError::Unanswered { unconnected: true, registry, .. } => usual("Registry unavailable")
                .hint(format!("Nothing could be reached at {registry}; check the name and the port."))
                .hint("A registry of the job's own (`services:`) is asked through the Docker Engine when it is on localhost: check that an engine answers."),
            RegistryError::Setup(_)
            | RegistryError::Unanswered { .. }
            | RegistryError::TimedOut { .. } => usual("Registry unavailable").hint("Try again later."),
            RegistryError::Malformed { registry, .. } => usual("Not a registry's answer")
                .hint(format!("Check that {registry} is a registry, and that no proxy answers in its place.")),
            RegistryError::WrongDigest { .. } => usual("Wrong digest")
                .hint("A cache or proxy between here and the registry damages or replaces content."),
            RegistryError::Downgrade { .. } => failure(Kind::Work, "registry-refused", "Registry not encrypted")
                .hint("If the registry is meant to be spoken to over plain HTTP, list it in `insecure_registries`."),
            RegistryError::BadLogin { .. } => failure(Kind::Input, "invalid-input", "Invalid registry login")
                .hint("Check the secrets that `registry_username` and `registry_password` come from for line breaks."),
            RegistryError::DockerConfig { .. } => failure(Kind::Input, "invalid-docker-config", "Docker's configuration unusable")
                .hint("Repair the file, or set `registry_username` and `registry_password`."),
            RegistryError::Unreachable { .. } => failure(Kind::Auth, "registry-unauthenticated", "Registry login out of reach")
                .hint("Set `registry_username` and `registry_password`."),
        };
        failure.caused_by(error)
    }
}

impl From<ArchivePushError> for Failure {
    fn from(error: ArchivePushError) -> Self {
        let class = error.class();
        let failure = |title, message| Self::new(kind_of(class), "push-failed", title, message);
        match error {
            ArchivePushError::Registry(error) => error.into(),
            error @ ArchivePushError::Archive(_) => {
                failure("Image unreadable", "the engine's own copy of the image cannot be pushed")
                    .hint("Build with `no_cache: true`, or have `builder: container` push without the engine.")
                    .caused_by(error)
            }
            error @ ArchivePushError::Read(_) => {
                failure("Image unreadable", "the engine broke off while it gave the image out")
                    .hint("The engine's log says why; a full disk is the usual reason.")
                    .caused_by(error)
            }
            error @ ArchivePushError::Spool { .. } => {
                failure("No room for a layer", "a layer cannot be packed for the push")
                    .hint("The runner's temporary folder needs room for the largest layer.")
                    .caused_by(error)
            }
        }
    }
}

/// Errors that another service's own page explains.
fn of_others(error: RegistryError) -> Failure {
    match error {
        RegistryError::Aws(error) => error.into(),
        RegistryError::Engine(error) => error.into(),
        other => Failure::new(Kind::Upstream, "registry-unavailable", "Registry unavailable", other.to_string()),
    }
}

fn title_of(class: ErrorClass) -> &'static str {
    match class {
        ErrorClass::Unauthenticated => "Registry login refused",
        ErrorClass::Forbidden => "Registry denied access",
        ErrorClass::NotFound => "Not in the registry",
        ErrorClass::RateLimited => "Registry's rate limit is reached",
        ErrorClass::Unavailable => "Registry unavailable",
        ErrorClass::Invalid | ErrorClass::Failed => "Registry refused the request",
    }
}

fn of_refusal(failure: Failure, refused: &Refused, class: ErrorClass) -> Failure {
    let host = refused.registry.as_str();
    match class {
        ErrorClass::Unauthenticated | ErrorClass::Forbidden if host == "ghcr.io" => failure
            .hint("Give the job `permissions: packages: read`, and this repository access in the package's settings.")
            .hint("ghcr.io says the same of a package that does not exist yet."),
        ErrorClass::Unauthenticated => failure.hint(format!(
            "Set `registry_username` and `registry_password` for {host}, or log in before this step with a DOCKER_CONFIG that it sees."
        )),
        ErrorClass::Forbidden => failure.hint(format!("Allow the login to read the repository on {host}.")),
        ErrorClass::RateLimited => failure.hint("Log in: registries limit anonymous clients first."),
        ErrorClass::Unavailable if refused.status == 404 => {
            failure.hint(format!("This 404 is not in the form of a registry's answer; check that {host} is one, and that no proxy answers in its place."))
        }
        ErrorClass::Unavailable => failure.hint(format!("{host} did not answer properly, however often it was asked; try again later.")),
        ErrorClass::NotFound => failure.hint("Check registry and repository."),
        ErrorClass::Invalid | ErrorClass::Failed => failure.hint(format!(
            "The words of {host} say what it does not take; if something else changed at the same time, run again."
        )),
    }
}
