//! Purpose: what an artifact's errors mean.

use super::{kind_of, reason};
use crate::runner::{Failure, Kind};
use crate::services::Classified as _;
use crate::services::artifacts::ArtifactError;

impl From<ArtifactError> for Failure {
    fn from(error: ArtifactError) -> Self {
        let class = error.class();
        let failure = |kind, reason, title| Self::new(kind, reason, title, error.to_string());
        let work = |reason, title| failure(Kind::Work, reason, title);
        let failure = match error {
            ArtifactError::Github(error) => return error.into(),
            ArtifactError::NoService | ArtifactError::Address | ArtifactError::Token(_) => {
                failure(Kind::Work, "artifacts-unsupported", "No artifact service")
                    .hint("GitHub Enterprise Server and laptops have no such service; use a registry there.")
            }
            ArtifactError::Http { .. } => failure(kind_of(class), reason!("artifacts", class), "Artifact service failed")
                .hint("Try again later; https://www.githubstatus.com shows the state of GitHub Actions."),
            ArtifactError::Refused { .. } => work("artifacts-refused", "Artifact service refused"),
            ArtifactError::Conflict { .. } => work("artifact-exists", "Artifact exists already")
                .hint("Give each job of a matrix its own artifact name; a run's names are unique."),
            ArtifactError::Quota { .. } => work("artifact-quota", "Artifact storage is full")
                .hint("Delete old artifacts or raise the spending limit in the account's billing settings; usage is counted anew every 6 to 12 hours."),
            ArtifactError::NotFound { .. } => work("artifact-not-found", "No such artifact")
                .hint("Check the name, and that the job which uploads it ran and succeeded."),
            ArtifactError::Expired { .. } => work("artifact-expired", "Artifact has expired")
                .hint("Run the workflow that makes it again, or raise its retention."),
            ArtifactError::Corrupt { .. } | ArtifactError::Damaged { .. } | ArtifactError::Zip { .. } => {
                work("artifact-damaged", "Artifact is damaged")
                    .hint("Run the job that uploads it again; nothing of it was used.")
            }
            ArtifactError::Files { .. } => work("artifact-file", "Which file of the artifact?")
                .hint("Set `artifact_file` to a glob that matches exactly one file."),
            ArtifactError::TooLarge { .. } => work("artifact-too-large", "Artifact too large")
                .hint("Raise `max_size` if this is meant to be so large."),
            ArtifactError::Unwanted { .. } | ArtifactError::Source { .. } => work("artifact-failed", "Artifact failed"),
        };
        failure.caused_by(error)
    }
}
