//! Purpose: what a builder's errors mean.

use super::kind_of;
use crate::runner::{Failure, Kind};
use crate::services::buildkit::BuildError;
use crate::services::{Classified as _, ErrorClass};

impl From<BuildError> for Failure {
    fn from(error: BuildError) -> Self {
        let class = error.class();
        let failure = match &error {
            BuildError::Endpoint(_) | BuildError::Invalid(_) => {
                Self::input("the build cannot be asked for like this", "Check the inputs that the message names.")
            }
            BuildError::Unreachable { endpoint, .. } => {
                let failure =
                    Self::new(Kind::Upstream, "builder-unavailable", "Builder unavailable", "the builder cannot be reached");
                if endpoint.starts_with("tcp://") {
                    failure.hint("Check that it runs there; one that wants TLS needs `builder_certs`.")
                } else {
                    failure.hint("The engine's log says why its builder went away; out of memory is the usual reason.")
                }
            }
            BuildError::Container { .. } | BuildError::ContainerEnded { .. } => Self::new(
                kind_of(class),
                "builder-unavailable",
                "Builder container unavailable",
                "no builder could be started in a container",
            )
            .hint("It needs a pull of its image (`builder_image` names another) and an engine that allows privileged containers.")
            .hint("`builder: engine` builds with the engine's own builder, once the inputs that it cannot do are gone."),
            BuildError::Context { .. } => Self::new(
                Kind::Work,
                "context-unreadable",
                "Build context unreadable",
                "the build context cannot be read",
            )
            .hint("Exclude what need not be sent with a .dockerignore."),
            // It names the step itself; a message of ours before it would say less.
            BuildError::Failed { .. } => failed(error.to_string(), class),
        };
        failure.caused_by(error)
    }
}

fn failed(message: String, class: ErrorClass) -> Failure {
    let failure = Failure::new(kind_of(class), "build-failed", "Build failed", message);
    match class {
        ErrorClass::Unauthenticated | ErrorClass::Forbidden => {
            failure.hint("A registry refused a base image; set `registry_username` and `registry_password`.")
        }
        ErrorClass::RateLimited | ErrorClass::Unavailable => {
            failure.hint("A registry or download did not answer; a step that runs it again may succeed.")
        }
        _ => failure.hint("The step's own output is in the log above."),
    }
}
