//! Purpose: images of a repository, by class, with their bytes.

use std::collections::BTreeMap;

use futures_util::stream::{self, StreamExt as _};

use super::collect::{AT_A_TIME, Purse};
use super::plan::Collection;
use crate::commands::run::Run;
use crate::commands::upstream::Clients;
use crate::domain::metrics::{ImageFigures, ImageSize, Layer, Report, StoredImage};
use crate::domain::names::Digest;
use crate::domain::reference::{ImageName, RegistryKind};
use crate::runner::Failure;
use crate::services::aws::ecr::EcrRepository;
use crate::services::github::{PackagePath, PackageVersion, VersionState};
use crate::services::registry::{Existence, Parsed, RegistryError};

/// How much of a blob's digest is kept: enough to tell all blobs of a registry apart, a third of the file.
const KEPT: usize = "sha256:".len() + 16;

/// Whether GitHub's packages or ECR list a registry's images; nobody else's are known by tag and time.
pub(super) fn can_list(image: &ImageName) -> bool {
    !matches!(image.kind(), RegistryKind::Other) || is_githubs(image)
}

/// GitHub's own registry, an Enterprise Server's, or one on this machine that stands for it.
fn is_githubs(image: &ImageName) -> bool {
    image.kind() == RegistryKind::Ghcr || image.registry().starts_with("containers.") || image.is_loopback()
}

pub(super) async fn count(
    collection: &Collection,
    report: &mut Report,
    purse: &mut Purse,
    run: &Run,
) -> Result<(), Failure> {
    let mut manifests = Manifests {
        left: collection.wanted.manifests,
        known: collection.previous.as_ref().map(|previous| previous.manifests.clone()).unwrap_or_default(),
        read: BTreeMap::new(),
    };
    for image in &collection.wanted.images {
        let stored = match image.kind() {
            RegistryKind::Ecr { account, region } => of_ecr(image, account, region, run).await?,
            _ => of_github(collection, image, &mut manifests, purse, run).await?,
        };
        run.log.info(format!("{image}: {} images", stored.len()));
        report.images.push(ImageFigures::of(&image.to_string(), &stored, &collection.wanted.classes));
    }
    report.manifests = manifests.read;
    Ok(())
}

async fn of_ecr(image: &ImageName, account: String, region: String, run: &Run) -> Result<Vec<StoredImage>, Failure> {
    let session = Clients::new(run).aws().await?;
    let repository = EcrRepository::new(&session, Some(account), Some(region), image.repository());
    let mut stored = Vec::new();
    let mut token = None;
    loop {
        let (images, next) = repository.images(token.as_deref()).await?;
        stored.extend(images.into_iter().map(|found| {
            // ECR gives an index the size of its largest manifest, which is listed by itself.
            let is_index = found.media_type.as_deref().is_some_and(|t| t.contains("index") || t.contains("list"));
            let size = ImageSize::Bytes(if is_index { 0 } else { found.size });
            StoredImage { digest: found.digest.to_string(), tags: found.tags, size }
        }));
        match next {
            Some(next) => token = Some(next),
            None => return Ok(stored),
        }
    }
}

/// Manifests that were read, and how many more may be.
struct Manifests {
    left: usize,
    /// Those of the earlier report.
    known: BTreeMap<String, Vec<Layer>>,
    /// Those of images that are still there.
    read: BTreeMap<String, Vec<Layer>>,
}

async fn of_github(
    collection: &Collection,
    image: &ImageName,
    manifests: &mut Manifests,
    purse: &mut Purse,
    run: &Run,
) -> Result<Vec<StoredImage>, Failure> {
    let (login, name) = image.repository().split_once('/').unwrap_or((image.repository(), ""));
    let owner = collection.github.package_owner(login).await?;
    let path = PackagePath { owner, name: name.to_owned() };
    let mut pages = collection.github.package_versions(&path, VersionState::Active);
    let mut versions = Vec::new();
    while purse.left > 0 {
        purse.left -= 1;
        match pages.page().await? {
            Some(page) => versions.extend(page),
            None => {
                measure(image, &versions, manifests, purse, run).await?;
                return Ok(versions.iter().map(|version| stored(version, manifests)).collect());
            }
        }
    }
    purse.notes.push(format!("{image}: only {} images were counted: the requests were used up", versions.len()));
    Ok(versions.iter().map(|version| stored(version, manifests)).collect())
}

fn stored(version: &PackageVersion, manifests: &Manifests) -> StoredImage {
    let size = manifests.read.get(&version.name).cloned().map_or(ImageSize::Unknown, ImageSize::Layers);
    StoredImage { digest: version.name.clone(), tags: version.tags().to_vec(), size }
}

/// Reads the manifests that are not known yet, several at a time. A registry that refuses ends this part only: the
/// images are counted all the same.
async fn measure(
    image: &ImageName,
    versions: &[PackageVersion],
    manifests: &mut Manifests,
    purse: &mut Purse,
    run: &Run,
) -> Result<(), Failure> {
    let mut unknown: Vec<Digest> = Vec::new();
    for version in versions {
        match manifests.known.remove(&version.name) {
            Some(layers) => drop(manifests.read.insert(version.name.clone(), layers)),
            None => unknown.extend(version.digest()),
        }
    }
    let affordable = unknown.len().min(manifests.left);
    if affordable < unknown.len() && manifests.left > 0 {
        purse
            .notes
            .push(format!("{image}: {} images were not measured: `manifests` was reached", unknown.len() - affordable));
    }
    manifests.left -= affordable;
    unknown.truncate(affordable);
    let existence = Clients::new(run).existence(None, &[image.registry()])?;
    let existence = &existence;
    let mut answers = stream::iter(&unknown)
        .map(|digest| async move { (digest, layers(existence, image, digest).await) })
        .buffered(AT_A_TIME);
    while let Some((digest, answer)) = answers.next().await {
        match answer {
            Ok(Some(layers)) => drop(manifests.read.insert(digest.to_string(), layers)),
            Ok(None) => {}
            Err(error) => {
                let failure = Failure::from(error);
                purse.notes.push(format!("{image}: sizes are incomplete: {}", failure.explained()));
                break;
            }
        }
    }
    Ok(())
}

/// The blobs of a manifest, itself included; `None` when it is not there any more, or not one that can be read.
async fn layers(
    existence: &Existence,
    image: &ImageName,
    digest: &Digest,
) -> Result<Option<Vec<Layer>>, RegistryError> {
    let Some(manifest) = existence.registry().manifest(&image.with_digest(digest.clone())).await? else {
        return Ok(None);
    };
    let blob = |digest: &str, size: u64| Layer(digest.chars().take(KEPT).collect(), size);
    let mut layers = vec![blob(digest.as_ref(), manifest.body.len() as u64)];
    if let Ok(Parsed::Image(parsed)) = manifest.parse() {
        let described = parsed.layers().iter().chain([parsed.config()]);
        layers.extend(described.map(|descriptor| blob(descriptor.digest().as_ref(), descriptor.size())));
    }
    Ok(Some(layers))
}
