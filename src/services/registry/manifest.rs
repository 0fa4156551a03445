//! Purpose: manifests and indexes: asked for, verified, put and deleted.

use bytes::Bytes;
use http::Method;
use http::header::{ACCEPT, CONTENT_TYPE, HeaderMap, HeaderValue};
use oci_spec::image::{ImageIndex, ImageManifest};
use serde::Deserialize;
use sha2::{Digest as _, Sha256, Sha512};

use super::request::{Actions, Answer, Call};
use super::{Refused, RegistryClient, RegistryError};
use crate::domain::hex::hex;
use crate::domain::names::{Digest, TagName};
use crate::domain::reference::{ImageName, ImageRef};

/// Every kind of manifest that an image can be.
const MEDIA_TYPES: [&str; 4] = [
    "application/vnd.oci.image.index.v1+json",
    "application/vnd.docker.distribution.manifest.list.v2+json",
    "application/vnd.oci.image.manifest.v1+json",
    "application/vnd.docker.distribution.manifest.v2+json",
];
const DIGEST: &str = "docker-content-digest";

/// A manifest or an index, byte for byte.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Manifest {
    /// The digest of `body`, computed here.
    pub digest: Digest,
    /// Its media type, one of OCI's or Docker's.
    pub media_type: String,
    /// The bytes.
    pub body: Bytes,
}

/// What a manifest says.
#[derive(Debug, Clone, PartialEq)]
pub enum Parsed {
    /// One image.
    Image(Box<ImageManifest>),
    /// Several manifests: platforms, attestations.
    Index(Box<ImageIndex>),
}

/// What became of a deletion.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Deleted {
    /// It was there and is not any more.
    Now,
    /// It was not there.
    Before,
}

impl Manifest {
    /// Takes content of a media type, and computes its digest.
    #[must_use]
    pub fn new(media_type: &str, body: Bytes) -> Option<Self> {
        let digest = sha256(&body)?;
        Some(Self { digest, media_type: media_type.to_owned(), body })
    }

    /// Reads it.
    ///
    /// # Errors
    /// When the content is not what the media type promises.
    pub fn parse(&self) -> Result<Parsed, serde_json::Error> {
        if self.media_type.contains("index") || self.media_type.contains("list") {
            return serde_json::from_slice(&self.body).map(|index| Parsed::Index(Box::new(index)));
        }
        serde_json::from_slice(&self.body).map(|image| Parsed::Image(Box::new(image)))
    }
}

impl RegistryClient {
    /// The digest of an image; `None` only when the registry itself says that it has no such tag, digest or
    /// repository. A 404 of anybody else, a refusal and silence are errors.
    ///
    /// # Errors
    /// Everything that is not a definite answer.
    pub async fn manifest_digest(&self, image: &ImageRef) -> Result<Option<Digest>, RegistryError> {
        let call = Call { method: Method::HEAD, ..manifest_call(image) };
        let asked = match self.call(&call).await {
            Ok(answer) => digest_header(&call, &answer)?,
            // The answer to HEAD has no body: whose 404 it is, and why, is known only by asking again.
            Err(error) if says_only_a_status(&error) => None,
            Err(error) => return Err(error),
        };
        match asked {
            Some(digest) => Ok(Some(checked(&call, image, digest)?)),
            None => Ok(self.manifest(image).await?.map(|manifest| manifest.digest)),
        }
    }

    /// A manifest or index, verified; `None` as in [`Self::manifest_digest`].
    ///
    /// # Errors
    /// Everything that is not a definite answer, and content that its digest does not fit.
    pub async fn manifest(&self, image: &ImageRef) -> Result<Option<Manifest>, RegistryError> {
        let call = manifest_call(image);
        let answer = match self.call(&call).await {
            Ok(answer) => answer,
            Err(error) if error.refused().is_some_and(Refused::is_definite_absence) => {
                return Ok(None);
            }
            Err(error) => return Err(error),
        };
        let media_type = media_type(&answer).ok_or_else(|| call.malformed("a manifest"))?;
        let found = |like: &Digest| digest_like(like, &answer.body).ok_or_else(|| call.malformed("a known digest"));
        for expected in image.digest().cloned().into_iter().chain(digest_header(&call, &answer)?) {
            let found = found(&expected)?;
            if found != expected {
                return Err(RegistryError::WrongDigest { asked: call.asked.clone(), expected, found });
            }
        }
        let computed = Manifest::new(&media_type, answer.body.into());
        let manifest = computed.ok_or_else(|| call.malformed("a manifest"))?;
        // A sha512 reference keeps its own digest.
        let digest = image.digest().cloned().unwrap_or_else(|| manifest.digest.clone());
        Ok(Some(Manifest { digest, ..manifest }))
    }

    /// Puts a manifest under a tag or digest. What it refers to must be there already.
    ///
    /// # Errors
    /// Class `Invalid` when the registry refuses the content.
    pub async fn put_manifest(&self, image: &ImageRef, manifest: &Manifest) -> Result<(), RegistryError> {
        let mut headers = HeaderMap::new();
        let call = manifest_call(image);
        let value = HeaderValue::from_str(&manifest.media_type).map_err(|_| call.malformed("a media type"))?;
        headers.insert(CONTENT_TYPE, value);
        let call = Call { method: Method::PUT, actions: Actions::Push, headers, body: manifest.body.clone(), ..call };
        let answer = self.call(&call).await?;
        match digest_header(&call, &answer)? {
            Some(found) if found != manifest.digest && digest_like(&found, &manifest.body).as_ref() != Some(&found) => {
                let expected = manifest.digest.clone();
                Err(RegistryError::WrongDigest { asked: call.asked, expected, found })
            }
            _ => Ok(()),
        }
    }

    /// Deletes a manifest with all of its tags.
    ///
    /// # Errors
    /// Class `Invalid` when the registry does not allow deletion.
    pub async fn delete_manifest(&self, name: &ImageName, digest: &Digest) -> Result<Deleted, RegistryError> {
        let image = name.with_digest(digest.clone());
        let call = Call { method: Method::DELETE, actions: Actions::Delete, ..manifest_call(&image) };
        match self.call(&call).await {
            Ok(_) => Ok(Deleted::Now),
            Err(error) if error.refused().is_some_and(Refused::is_definite_absence) => Ok(Deleted::Before),
            Err(error) => Err(error),
        }
    }

    /// Deletes a tag and leaves its manifest (distribution specification, "deleting tags"). Registries of before that
    /// refuse it, and some delete the manifest with it: look afterwards.
    ///
    /// # Errors
    /// Class `Invalid` when the registry does not know how.
    pub async fn delete_tag(&self, name: &ImageName, tag: &TagName) -> Result<Deleted, RegistryError> {
        let image = name.with_tag(tag.clone());
        let call = Call { method: Method::DELETE, actions: Actions::Delete, ..manifest_call(&image) };
        match self.call(&call).await {
            Ok(_) => Ok(Deleted::Now),
            Err(error) if error.refused().is_some_and(Refused::is_definite_absence) => Ok(Deleted::Before),
            Err(error) => Err(error),
        }
    }
}

fn manifest_call(image: &ImageRef) -> Call<'_> {
    let mut headers = HeaderMap::new();
    // One header each: some registries read only the first entry of a list.
    for media_type in MEDIA_TYPES {
        headers.append(ACCEPT, HeaderValue::from_static(media_type));
    }
    let path = format!("/manifests/{}", image.manifest());
    Call { headers, ..Call::get(image.name(), path, format!("the manifest of {image}")) }
}

/// 404 without words, and "HEAD is not for us".
fn says_only_a_status(error: &RegistryError) -> bool {
    error.refused().is_some_and(|refused| matches!(refused.status, 404 | 405))
}

fn digest_header(call: &Call<'_>, answer: &Answer) -> Result<Option<Digest>, RegistryError> {
    let Some(value) = answer.headers.get(DIGEST) else {
        return Ok(None);
    };
    let digest = value.to_str().ok().and_then(|text| text.trim().parse().ok());
    digest.map(Some).ok_or_else(|| call.malformed("with a digest"))
}

/// An image that is named by digest can have no other.
fn checked(call: &Call<'_>, image: &ImageRef, found: Digest) -> Result<Digest, RegistryError> {
    match image.digest() {
        Some(expected) if *expected != found => {
            Err(RegistryError::WrongDigest { asked: call.asked.clone(), expected: expected.clone(), found })
        }
        _ => Ok(found),
    }
}

fn media_type(answer: &Answer) -> Option<String> {
    #[derive(Deserialize)]
    struct Body {
        #[serde(rename = "mediaType")]
        media_type: Option<String>,
    }
    let known = |text: &str| MEDIA_TYPES.contains(&text).then(|| text.to_owned());
    let header = answer.headers.get(CONTENT_TYPE).and_then(|value| value.to_str().ok());
    let header = header.and_then(|text| known(text.split(';').next().unwrap_or_default().trim()));
    header.or_else(|| known(&serde_json::from_slice::<Body>(&answer.body).ok()?.media_type?))
}

pub(super) fn sha256(content: &[u8]) -> Option<Digest> {
    format!("sha256:{}", hex(&Sha256::digest(content))).parse().ok()
}

/// The digest of `content` by the algorithm of `like`.
pub(super) fn digest_like(like: &Digest, content: &[u8]) -> Option<Digest> {
    match like.as_str().split_once(':')?.0 {
        "sha512" => format!("sha512:{}", hex(&Sha512::digest(content))).parse().ok(),
        _ => sha256(content),
    }
}
