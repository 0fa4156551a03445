//! Purpose: what an image says about itself: its configuration and labels.

use std::collections::BTreeMap;

use oci_spec::image::{Descriptor, ImageConfiguration, ImageIndex, ImageManifest};

use super::manifest::{Parsed, digest_like};
use super::request::Call;
use super::{RegistryClient, RegistryError};
use crate::domain::names::Digest;
use crate::domain::reference::{ImageName, ImageRef};

/// Marks the parts of an index that are no images but attestations about them (BuildKit, "attestation storage").
const ATTESTATION: &str = "vnd.docker.reference.type";

impl RegistryClient {
    /// The labels of an image; of an index those of its image for `platform` (`linux/arm64`), else of its first.
    /// `None` when the image is definitely absent.
    ///
    /// # Errors
    /// Everything that is not a definite answer.
    pub async fn labels(
        &self,
        image: &ImageRef,
        platform: &str,
    ) -> Result<Option<BTreeMap<String, String>>, RegistryError> {
        let call = Call::get(image.name(), String::new(), format!("the labels of {image}"));
        let Some(mut manifest) = self.manifest(image).await? else {
            return Ok(None);
        };
        let unreadable = || call.malformed("an image's manifest");
        if let Parsed::Index(index) = manifest.parse().map_err(|_| unreadable())? {
            let part = part(&index, platform).ok_or_else(unreadable)?;
            let digest = digest_of(part).ok_or_else(unreadable)?;
            let part = self.manifest(&image.name().with_digest(digest)).await?;
            manifest = part.ok_or_else(unreadable)?;
        }
        let Ok(Parsed::Image(parsed)) = manifest.parse() else {
            return Err(unreadable());
        };
        let digest = digest_of(parsed.config()).ok_or_else(unreadable)?;
        let blob = self.blob(image.name(), &digest).await?;
        let config: ImageConfiguration =
            serde_json::from_slice(&blob).map_err(|_| call.malformed("an image's configuration"))?;
        let labels = config.config().as_ref().and_then(|config| config.labels().clone());
        Ok(Some(labels.unwrap_or_default().into_iter().collect()))
    }

    /// The platforms of an image with the bytes that a pull of each moves; attestations do not count.
    ///
    /// # Errors
    /// Everything that is not a definite answer; an absent image is malformed here.
    pub async fn platform_sizes(&self, image: &ImageRef) -> Result<Vec<(String, u64)>, RegistryError> {
        let call = Call::get(image.name(), String::new(), format!("the sizes of {image}"));
        let unreadable = || call.malformed("an image's manifest");
        let manifest = self.manifest(image).await?.ok_or_else(unreadable)?;
        let index = match manifest.parse().map_err(|_| unreadable())? {
            Parsed::Image(single) => {
                let platform = self.platform(image.name(), &single).await?;
                return Ok(vec![(platform, bytes_of(&single))]);
            }
            Parsed::Index(index) => index,
        };
        let mut sizes = Vec::new();
        for part in index.manifests().iter().filter(|part| !is_attestation(part)) {
            let digest = digest_of(part).ok_or_else(unreadable)?;
            let found = self.manifest(&image.name().with_digest(digest)).await?.ok_or_else(unreadable)?;
            if let (Ok(Parsed::Image(single)), Some(platform)) = (found.parse(), part.platform()) {
                sizes.push((text_of(platform), bytes_of(&single)));
            }
        }
        Ok(sizes)
    }

    /// The platform that an image's configuration names.
    pub(super) async fn platform(&self, name: &ImageName, manifest: &ImageManifest) -> Result<String, RegistryError> {
        let config = self.configuration(name, manifest).await?;
        let parts =
            [config.os().to_string(), config.architecture().to_string(), config.variant().clone().unwrap_or_default()];
        Ok(parts.into_iter().filter(|part| !part.is_empty()).collect::<Vec<_>>().join("/"))
    }

    /// An image's configuration.
    pub(super) async fn configuration(
        &self,
        name: &ImageName,
        manifest: &ImageManifest,
    ) -> Result<ImageConfiguration, RegistryError> {
        let call = Call::get(name, String::new(), format!("the configuration of an image of {name}"));
        let digest = digest_of(manifest.config()).ok_or_else(|| call.malformed("an image's manifest"))?;
        let blob = self.blob(name, &digest).await?;
        serde_json::from_slice(&blob).map_err(|_| call.malformed("an image's configuration"))
    }

    /// A small blob, verified.
    async fn blob(&self, name: &ImageName, digest: &Digest) -> Result<Vec<u8>, RegistryError> {
        let call = Call::get(name, format!("/blobs/{digest}"), format!("the blob {digest} of {name}"));
        let body = self.call(&call).await?.body;
        let found = digest_like(digest, &body).ok_or_else(|| call.malformed("a known digest"))?;
        if found != *digest {
            return Err(RegistryError::WrongDigest { asked: call.asked, expected: digest.clone(), found });
        }
        Ok(body)
    }
}

fn is_attestation(part: &Descriptor) -> bool {
    part.annotations().as_ref().is_some_and(|annotations| annotations.contains_key(ATTESTATION))
}

/// `linux/arm64/v8`.
pub(super) fn text_of(platform: &oci_spec::image::Platform) -> String {
    let variant = platform.variant().clone().unwrap_or_default();
    let parts = [platform.os().to_string(), platform.architecture().to_string(), variant];
    parts.into_iter().filter(|part| !part.is_empty()).collect::<Vec<_>>().join("/")
}

fn bytes_of(manifest: &ImageManifest) -> u64 {
    manifest.layers().iter().map(Descriptor::size).sum::<u64>() + manifest.config().size()
}

fn part<'a>(index: &'a ImageIndex, platform: &str) -> Option<&'a Descriptor> {
    let is_image = |part: &&Descriptor| !is_attestation(part);
    let is_wanted = |part: &&Descriptor| {
        part.platform().as_ref().is_some_and(|of| format!("{}/{}", of.os(), of.architecture()) == platform)
    };
    let images = || index.manifests().iter().filter(is_image);
    images().find(is_wanted).or_else(|| images().next())
}

fn digest_of(part: &Descriptor) -> Option<Digest> {
    part.digest().to_string().parse().ok()
}
