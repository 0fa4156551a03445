//! Purpose: manifests put into a registry, and asked for afterwards: a push counts when the registry says so.

use std::time::Duration;

use super::run::Run;
use crate::domain::names::Digest;
use crate::domain::reference::ImageRef;
use crate::runner::{Failure, Kind};
use crate::services::registry::{Existence, Manifest};

/// Waits for a registry that answers late after a push, in seconds.
const WAITS: [u64; 3] = [1, 2, 4];

/// Puts a manifest under each place, in order, and asks after each: name its digest first, so that a tag never points to
/// what is not there.
///
/// # Errors
/// The registry's, and those of [`verify`].
pub(super) async fn put(
    run: &Run,
    existence: &Existence,
    manifest: &Manifest,
    places: &[ImageRef],
) -> Result<(), Failure> {
    for place in places {
        run.unless_cancelled(Box::pin(existence.registry().put_manifest(place, manifest))).await??;
        run.unless_cancelled(Box::pin(verify(existence, place, &manifest.digest))).await??;
    }
    Ok(())
}

/// Asks what the registry has. It may answer late; it may not answer something else.
///
/// # Errors
/// `digest-mismatch`, `push-unverified`, and the registry's.
pub(super) async fn verify(existence: &Existence, place: &ImageRef, expected: &Digest) -> Result<(), Failure> {
    for wait in WAITS {
        match Box::pin(existence.image_digest(place)).await? {
            Some(found) if found == *expected => return Ok(()),
            Some(found) => return Err(differs(place, expected, &found)),
            None => tokio::time::sleep(Duration::from_secs(wait)).await,
        }
    }
    Err(Failure::new(
        Kind::Work,
        "push-unverified",
        "Push not verified",
        format!("the registry does not know {place} after the push"),
    )
    .hint("Something may remove tags in this registry, or a proxy in front of it answers from a cache."))
}

/// Two answers about one place.
pub(super) fn differs(place: &ImageRef, expected: &Digest, found: &Digest) -> Failure {
    Failure::new(
        Kind::Work,
        "digest-mismatch",
        "Another image under this tag",
        format!("{place} should be {expected}, but the registry answers {found}"),
    )
    .hint("Another run pushed the same tag at the same time; give concurrent runs tags of their own.")
}
