//! Purpose: moving images between the engine and registries.

use bollard::errors::Error;
use bollard::models::ProgressDetail;
use bollard::query_parameters::{CreateImageOptions, PushImageOptions};
use futures_util::StreamExt as _;

use super::answer::{is_definite_absence, of_registry};
use super::{Engine, EngineError, Login, TransferStep, credentials, split_tag};
use crate::domain::names::Digest;
use crate::services::http::Repeat;

impl Engine {
    /// Pushes one reference and returns the digest of the manifest that the registry now has. Transient failures are
    /// retried: a push is idempotent.
    ///
    /// # Errors
    /// [`EngineError::NotFound`] when the engine has no such image, [`EngineError::Registry`].
    pub async fn push(
        &self,
        reference: &str,
        login: Option<&Login>,
        progress: impl Fn(&TransferStep) + Send + Sync,
    ) -> Result<Digest, EngineError> {
        let progress = &progress;
        self.policy.run(Repeat::Always, || self.push_once(reference, login, progress)).await
    }

    async fn push_once(
        &self,
        reference: &str,
        login: Option<&Login>,
        progress: &(impl Fn(&TransferStep) + Send + Sync),
    ) -> Result<Digest, EngineError> {
        let action = || format!("pushing {reference}");
        let (repository, tag) = split_tag(reference);
        let options = PushImageOptions { tag: tag.map(str::to_owned), ..PushImageOptions::default() };
        let mut steps = std::pin::pin!(self.docker.push_image(repository, Some(options), credentials(login)));
        let mut digest = None;
        while let Some(step) = steps.next().await {
            let step = step.map_err(|error| missing_or_refused(reference, action(), error))?;
            let status = step.status.unwrap_or_default();
            digest = digest_in(&status).or(digest);
            progress(&transfer(status, None, step.progress_detail));
        }
        digest.ok_or_else(|| EngineError::NoDigest { action: action() })
    }

    /// Pulls one reference, for a platform when given. Transient failures are retried.
    ///
    /// # Errors
    /// [`EngineError::NotFound`] on a definite absence, [`EngineError::Registry`].
    pub async fn pull(
        &self,
        reference: &str,
        platform: Option<&str>,
        login: Option<&Login>,
        progress: impl Fn(&TransferStep) + Send + Sync,
    ) -> Result<(), EngineError> {
        let progress = &progress;
        self.policy.run(Repeat::Always, || self.pull_once(reference, platform, login, progress)).await
    }

    async fn pull_once(
        &self,
        reference: &str,
        platform: Option<&str>,
        login: Option<&Login>,
        progress: &(impl Fn(&TransferStep) + Send + Sync),
    ) -> Result<(), EngineError> {
        let action = || format!("pulling {reference}");
        let options = CreateImageOptions {
            from_image: Some(reference.to_owned()),
            platform: platform.unwrap_or_default().to_owned(),
            ..CreateImageOptions::default()
        };
        let mut steps = std::pin::pin!(self.docker.create_image(Some(options), None, credentials(login)));
        while let Some(step) = steps.next().await {
            let step = step.map_err(|error| missing_or_refused(reference, action(), error))?;
            progress(&transfer(step.status.unwrap_or_default(), step.id, step.progress_detail));
        }
        Ok(())
    }
}

/// An error of the request or within its stream, which bollard makes one as well. Engines say in words of their own that
/// they have no such image (20.10 "does not exist locally", newer ones "tag does not exist"), and the containerd store in
/// those of its resolver that the registry has none (it says so on a 404 only).
fn missing_or_refused(reference: &str, action: String, error: Error) -> EngineError {
    let absent = || EngineError::NotFound { object: format!("image {reference}") };
    if let Error::DockerResponseServerError { message: words, .. } | Error::DockerStreamError { error: words } = &error
        && (words.starts_with("tag does not exist")
            || words.contains("does not exist locally")
            || (words.starts_with("failed to resolve reference") && words.ends_with(": not found")))
    {
        return absent();
    }
    match of_registry(action, error) {
        error if is_definite_absence(&error) => absent(),
        error => error,
    }
}

/// The last line of a push: `v1: digest: sha256:… size: 528`. bollard's model has no field for the digest itself.
fn digest_in(status: &str) -> Option<Digest> {
    let (_, rest) = status.split_once("digest: ")?;
    rest.split(' ').next()?.parse().ok()
}

fn transfer(status: String, id: Option<String>, detail: Option<ProgressDetail>) -> TransferStep {
    let bytes = |value: Option<i64>| value.and_then(|value| u64::try_from(value).ok()).unwrap_or_default();
    let (current, total) = detail.map_or((0, 0), |detail| (bytes(detail.current), bytes(detail.total)));
    TransferStep { id: id.unwrap_or_default(), status, current, total }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_digest_stands_in_the_last_line() {
        let hex = "ab".repeat(32);
        let found = digest_in(&format!("v1: digest: sha256:{hex} size: 528")).unwrap();
        assert_eq!(found.as_str(), format!("sha256:{hex}"));
        assert_eq!(digest_in("Pushed"), None);
    }
}
