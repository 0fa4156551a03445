//! Purpose: what an image says about itself: its configuration and labels.

use std::collections::BTreeMap;

use oci_spec::image::{Descriptor, ImageConfiguration, ImageIndex};

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

fn part<'a>(index: &'a ImageIndex, platform: &str) -> Option<&'a Descriptor> {
    let is_image = |part: &&Descriptor| {
        let annotations = part.annotations().as_ref();
        annotations.is_none_or(|annotations| !annotations.contains_key(ATTESTATION))
    };
    let is_wanted = |part: &&Descriptor| {
        part.platform().as_ref().is_some_and(|of| format!("{}/{}", of.os(), of.architecture()) == platform)
    };
    let images = || index.manifests().iter().filter(is_image);
    images().find(is_wanted).or_else(|| images().next())
}

fn digest_of(part: &Descriptor) -> Option<Digest> {
    part.digest().to_string().parse().ok()
}
