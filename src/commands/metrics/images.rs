//! Purpose: images of a repository, by class, with their bytes.

use super::collect::Purse;
use super::plan::Collection;
use crate::commands::run::Run;
use crate::domain::metrics::{Report, StoredImage};
use crate::domain::reference::{ImageName, RegistryKind};
use crate::runner::Failure;

/// Whether GitHub's packages or ECR list a registry's images; nobody else's are known by tag and time.
pub(super) fn can_list(image: &ImageName) -> bool {
    !matches!(image.kind(), RegistryKind::Other) || image.registry().starts_with("containers.") || image.is_loopback()
}

pub(super) async fn count(
    collection: &Collection,
    report: &mut Report,
    purse: &mut Purse,
    _run: &Run,
) -> Result<(), Failure> {
    let none: Vec<StoredImage> = Vec::new();
    for image in &collection.wanted.images {
        purse.notes.push(format!("{image}: at most {} manifests would be read", collection.wanted.manifests));
        report.images.push(crate::domain::metrics::ImageFigures::of(
            &image.to_string(),
            &none,
            &collection.wanted.classes,
        ));
    }
    Ok(())
}
