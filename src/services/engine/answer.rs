//! Purpose: what an engine's refusals mean.
//!
//! The engine answers for two: itself, and the registry that it asks on our behalf. For the latter it often says 500
//! with the registry's words in the message, so the words have to be read (moby, `api/server` and `distribution`).

use bollard::errors::Error;

use super::error::{EngineError, StartCause};
use crate::domain::names::Digest;
use crate::services::{Classified as _, ErrorClass};

/// An answer of the engine about itself; `object` is what it was asked about.
pub(super) fn failed(action: String, object: &str, error: Error) -> EngineError {
    match error {
        Error::DockerResponseServerError { status_code: 404, .. } => {
            EngineError::NotFound { object: object.to_owned() }
        }
        Error::DockerResponseServerError { status_code: 401 | 403, message } => {
            EngineError::Denied { action, message: one_line(&message) }
        }
        Error::DockerResponseServerError { status_code: 409, message } => {
            EngineError::Conflict { action, message: one_line(&message) }
        }
        // A container that ends between the look and the deed: 20.10 answers with 500.
        Error::DockerResponseServerError { message, .. } if message.contains("is not running") => {
            EngineError::Conflict { action, message: one_line(&message) }
        }
        Error::DockerStreamError { error } if error.contains("is not running") => {
            EngineError::Conflict { action, message: one_line(&error) }
        }
        Error::DockerResponseServerError { status_code, message } => {
            EngineError::Failed { action, class: ErrorClass::of_status(status_code), message: one_line(&message) }
        }
        Error::DockerStreamError { error } => {
            EngineError::Failed { action, class: ErrorClass::Failed, message: one_line(&error) }
        }
        other => EngineError::Broken { action, source: Box::new(other) },
    }
}

/// An answer to the creation of a container. A 404 is about the image unless the engine says that it is about a network.
pub(super) fn create_failed(action: String, image: &str, error: Error) -> EngineError {
    match &error {
        Error::DockerResponseServerError { status_code: 404, message } if !message.contains("No such image") => {
            EngineError::NotFound { object: one_line(message) }
        }
        _ => failed(action, image, error),
    }
}

/// An answer to the start of a container: whatever the engine says instead of "yes" is about that container.
pub(super) fn start_failed(container: &str, error: Error) -> EngineError {
    match error {
        Error::DockerResponseServerError { status_code, message } if !matches!(status_code, 401 | 403 | 404) => {
            let message = one_line(&message);
            EngineError::Start { container: container.to_owned(), cause: cause_of_words(&message), message }
        }
        Error::DockerResponseServerError { status_code: 404, message } if message.contains("executable file") => {
            let message = one_line(&message);
            EngineError::Start { container: container.to_owned(), cause: StartCause::Command, message }
        }
        error => failed(format!("starting the container {container}"), &format!("container {container}"), error),
    }
}

/// Words of the engine, its proxy and runc.
fn cause_of_words(message: &str) -> StartCause {
    let words = message.to_lowercase();
    let says = |phrases: &[&str]| phrases.iter().any(|phrase| words.contains(phrase));
    if says(&["port is already allocated", "address already in use"]) {
        StartCause::PortTaken
    } else if says(&["mounting", "mount source", "bind source path", "error while creating mount"]) {
        StartCause::Mount
    } else if says(&[
        "executable file not found",
        "exec:",
        "permission denied",
        "no such file or directory",
        "exec format",
    ]) {
        StartCause::Command
    } else {
        StartCause::Other
    }
}

/// An answer of the engine about a registry.
pub(super) fn of_registry(action: String, error: Error) -> EngineError {
    match error {
        Error::DockerResponseServerError { status_code, message } => {
            let class = class_of_words(&message).unwrap_or_else(|| ErrorClass::of_status(status_code));
            EngineError::Registry { action, class, message: one_line(&message) }
        }
        Error::DockerStreamError { error } => refused(action, &error),
        other => EngineError::Broken { action, source: Box::new(other) },
    }
}

/// A refusal in the middle of a push or pull, in words alone.
pub(super) fn refused(action: String, words: &str) -> EngineError {
    let class = class_of_words(words).unwrap_or(ErrorClass::Failed);
    EngineError::Registry { action, class, message: one_line(words) }
}

/// Whether the registry itself said that the tag or repository does not exist, in the words of its specification.
pub(super) fn is_definite_absence(error: &EngineError) -> bool {
    let EngineError::Registry { message, .. } = error else {
        return false;
    };
    let words = message.to_lowercase();
    error.class() == ErrorClass::NotFound
        && ["manifest unknown", "name unknown"].iter().any(|said| words.contains(said))
}

/// A digest out of an answer.
pub(super) fn digest(reference: &str, text: Option<&str>) -> Result<Digest, EngineError> {
    text.and_then(|text| text.parse().ok())
        .ok_or_else(|| EngineError::NoDigest { action: format!("looking up {reference}") })
}

/// What an engine's or a builder's words about a registry mean; `None` when they say nothing.
pub(crate) fn class_of_words(message: &str) -> Option<ErrorClass> {
    let words = message.to_lowercase();
    let says = |phrases: &[&str]| phrases.iter().any(|phrase| words.contains(phrase));
    if says(&["toomanyrequests", "too many requests", "status: 429", "status code: 429", "status 429"]) {
        Some(ErrorClass::RateLimited)
    } else if says(&[
        "unauthorized",
        "authentication required",
        "no basic auth",
        "authorization failed",
        "incorrect username",
    ]) {
        Some(ErrorClass::Unauthenticated)
    } else if says(&["denied", "forbidden"]) {
        Some(ErrorClass::Forbidden)
    } else if says(&["manifest unknown", "name unknown", "tag does not exist", "no such image"]) {
        Some(ErrorClass::NotFound)
    } else if says(&UNAVAILABLE) {
        Some(ErrorClass::Unavailable)
    } else {
        None
    }
}

/// Words of Go's network stack and of registries that are down.
const UNAVAILABLE: [&str; 16] = [
    "connection refused",
    "connection reset",
    "server closed idle connection",
    "broken pipe",
    "client connection lost",
    "gateway timeout",
    "no such host",
    "i/o timeout",
    "deadline exceeded",
    "tls handshake",
    "unexpected eof",
    ": eof",
    "internal server error",
    "bad gateway",
    "service unavailable",
    "server misbehaving",
];

fn one_line(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn class(status_code: u16, message: &str) -> ErrorClass {
        of_registry("x".into(), Error::DockerResponseServerError { status_code, message: message.into() }).class()
    }

    /// The messages are those of real engines.
    #[test]
    fn reads_what_engines_say_of_registries() {
        for (status, message, expected) in [
            (404, "manifest unknown: manifest unknown", ErrorClass::NotFound),
            (
                500,
                "Get \"http://localhost:5999/v2/\": dial tcp 127.0.0.1:5999: connect: connection refused",
                ErrorClass::Unavailable,
            ),
            (
                500,
                "Head \"http://127.0.0.1:5052/v2/a/manifests/v1\": no basic auth credentials",
                ErrorClass::Unauthenticated,
            ),
            (401, "unauthorized: authentication required", ErrorClass::Unauthenticated),
            (403, "denied: permission_denied: read_package", ErrorClass::Forbidden),
            (500, "toomanyrequests: Rate exceeded", ErrorClass::RateLimited),
            (500, "something else", ErrorClass::Unavailable),
            // A port is no status.
            (500, "Get \"http://127.0.0.1:42913/v2/\": connect: connection refused", ErrorClass::Unavailable),
        ] {
            assert_eq!(class(status, message), expected, "{message}");
        }
    }

    /// The messages are those of engines 20.10 and 28.
    #[test]
    fn knows_what_stood_in_the_way_of_a_start() {
        for (message, expected) in [
            (
                "driver failed programming external connectivity on endpoint a (…): Bind for 0.0.0.0:80 failed: port is already allocated",
                StartCause::PortTaken,
            ),
            (
                "… Error starting userland proxy: listen tcp4 0.0.0.0:80: bind: address already in use",
                StartCause::PortTaken,
            ),
            (
                "failed to create shim task: OCI runtime create failed: … exec: \"nope\": executable file not found in $PATH: unknown",
                StartCause::Command,
            ),
            ("… error mounting \"/a\" to rootfs at \"/b\": not a directory", StartCause::Mount),
            ("something else", StartCause::Other),
        ] {
            let error =
                start_failed("c", Error::DockerResponseServerError { status_code: 500, message: message.into() });
            assert!(matches!(error, EngineError::Start { cause, .. } if cause == expected), "{message}");
        }
    }

    #[test]
    fn only_the_registrys_own_words_are_absence() {
        let error = |message: &str| {
            of_registry("x".into(), Error::DockerResponseServerError { status_code: 404, message: message.into() })
        };
        assert!(is_definite_absence(&error("manifest unknown: manifest unknown")));
        assert!(is_definite_absence(&error("name unknown: repository name not known to registry")));
        assert!(!is_definite_absence(&error("404 page not found")));
        assert!(!is_definite_absence(&refused("x".into(), "unauthorized: manifest unknown")));
    }
}
