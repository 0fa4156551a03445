//! Purpose: ECR repositories: images listed, read and deleted in batches, lifecycle policies put and previewed.

use jiff::Timestamp;
use serde::Deserialize;
use serde_json::{Value, json};

use super::{AwsError, Call, JsonCall, JsonService, Session};
use crate::domain::names::Digest;
use crate::services::http::Repeat;

/// The most images that one batch may name (ECR API reference, `BatchGetImage`, `BatchDeleteImage`).
pub const BATCH: usize = 100;
/// The most images of one page of `DescribeImages` (ECR API reference).
const PAGE: u32 = 1000;
/// The manifests that are asked for; ECR converts to the first when an image has none of them.
const ACCEPTED: [&str; 4] = [
    "application/vnd.oci.image.index.v1+json",
    "application/vnd.docker.distribution.manifest.list.v2+json",
    "application/vnd.oci.image.manifest.v1+json",
    "application/vnd.docker.distribution.manifest.v2+json",
];

/// One repository of ECR.
#[derive(Clone)]
pub struct EcrRepository {
    session: Session,
    /// Account of the registry; the credentials' own when absent.
    registry: Option<String>,
    region: String,
    name: String,
}

/// One image: a manifest or an index, with its tags.
#[derive(Debug, Clone, PartialEq)]
pub struct EcrImage {
    /// The manifest's digest.
    pub digest: Digest,
    /// Its tags.
    pub tags: Vec<String>,
    /// Compressed size in bytes; of an index the largest of its manifests.
    pub size: u64,
    /// When the manifest was pushed; does not move when a tag does.
    pub pushed_at: Option<Timestamp>,
    /// When it was last pulled, as ECR records it: once in 24 hours, scanners included.
    pub pulled_at: Option<Timestamp>,
    /// Type of the manifest.
    pub media_type: Option<String>,
    /// The manifest that this one refers to as its subject.
    pub subject: Option<Digest>,
    /// `ACTIVE`, `ARCHIVED` or `ACTIVATING`; archived images cannot be read.
    pub status: Option<String>,
}

/// A manifest as ECR gives it, byte for byte.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EcrManifest {
    /// Its digest.
    pub digest: Digest,
    /// Its type.
    pub media_type: String,
    /// The text.
    pub text: String,
}

/// An image named in a batch: by digest, by tag, or by a tag that must have the digest.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EcrId {
    /// Digest: alone, the whole image with all of its tags.
    pub digest: Option<Digest>,
    /// Tag: deleting by tag leaves the image when it has others.
    pub tag: Option<String>,
}

/// An image of a batch that ECR did not do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EcrFailure {
    /// Its digest, as far as it was named.
    pub digest: Option<String>,
    /// Its tag, as far as it was named.
    pub tag: Option<String>,
    /// `ImageNotFound`, `ImageReferencedByManifestList`, `ImageTagDoesNotMatchDigest` …
    pub code: String,
    /// ECR's words.
    pub reason: String,
}

/// A step of a lifecycle policy's preview.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PreviewedImage {
    /// Digest.
    pub digest: String,
    /// Tags.
    pub tags: Vec<String>,
    /// Priority of the rule that applies.
    pub rule: Option<u64>,
}

/// State of a preview.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Preview {
    /// ECR is still counting.
    Running,
    /// What would expire.
    Complete(Vec<PreviewedImage>),
    /// ECR gave up: `EXPIRED` or `FAILED`.
    Failed(String),
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Detail {
    image_digest: Option<Digest>,
    #[serde(default)]
    image_tags: Vec<String>,
    #[serde(default)]
    image_size_in_bytes: u64,
    image_pushed_at: Option<f64>,
    last_recorded_pull_time: Option<f64>,
    image_manifest_media_type: Option<String>,
    subject_manifest_digest: Option<Digest>,
    image_status: Option<String>,
}

impl Detail {
    fn image(self) -> Option<EcrImage> {
        Some(EcrImage {
            digest: self.image_digest?,
            tags: self.image_tags,
            size: self.image_size_in_bytes,
            pushed_at: self.image_pushed_at.and_then(moment),
            pulled_at: self.last_recorded_pull_time.and_then(moment),
            media_type: self.image_manifest_media_type,
            subject: self.subject_manifest_digest,
            status: self.image_status,
        })
    }
}

/// Seconds since 1970 with a fraction, as AWS writes moments.
fn moment(seconds: f64) -> Option<Timestamp> {
    let whole = seconds.is_finite().then_some(seconds)?;
    // Whole milliseconds of this era fit an i64 by far.
    #[expect(clippy::cast_possible_truncation, reason = "cut to milliseconds on purpose")]
    Timestamp::from_millisecond((whole * 1000.0) as i64).ok()
}

impl EcrRepository {
    /// A repository of a registry; nothing is asked yet.
    #[must_use]
    pub fn new(session: &Session, registry: Option<String>, region: Option<String>, name: &str) -> Self {
        let region = region.unwrap_or_else(|| session.region().to_owned());
        Self { session: session.clone(), registry, region, name: name.to_owned() }
    }

    /// The repository's name.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// One page of the images, in ECR's order; `token` is what the page before gave, and the second part is for the next.
    ///
    /// # Errors
    /// Class `NotFound` when there is no such repository.
    pub async fn images(&self, token: Option<&str>) -> Result<(Vec<EcrImage>, Option<String>), AwsError> {
        let mut body = json!({ "maxResults": PAGE });
        if let Some(token) = token {
            body["nextToken"] = json!(token);
        }
        let answer = self.ask("DescribeImages", body, Repeat::Always).await?;
        let details: Vec<Detail> = self.part("DescribeImages", &answer, "imageDetails", "the images")?;
        let images = details.into_iter().filter_map(Detail::image).collect();
        Ok((images, answer["nextToken"].as_str().map(str::to_owned)))
    }

    /// The images of these digests as they are now; those that do not exist are left out. At most [`BATCH`].
    ///
    /// # Errors
    /// Whatever ECR raises but for images that do not exist.
    pub async fn described(&self, digests: &[Digest]) -> Result<Vec<EcrImage>, AwsError> {
        let answer = self.describe(digests).await;
        match answer {
            // One absent image makes ECR refuse the whole question: ask for each half.
            Err(error) if error.code() == Some("ImageNotFoundException") => match digests {
                [] | [_] => Ok(Vec::new()),
                many => {
                    let (first, second) = many.split_at(many.len() / 2);
                    let mut found = Box::pin(self.described(first)).await?;
                    found.extend(Box::pin(self.described(second)).await?);
                    Ok(found)
                }
            },
            other => other,
        }
    }

    /// The digest of a tag; `None` when the repository has no such tag.
    ///
    /// # Errors
    /// Whatever ECR raises but for an image that does not exist.
    pub async fn digest_of(&self, tag: &str) -> Result<Option<Digest>, AwsError> {
        let body = json!({ "imageIds": [{ "imageTag": tag }] });
        match self.ask("DescribeImages", body, Repeat::Always).await {
            Ok(answer) => {
                let details: Vec<Detail> = self.part("DescribeImages", &answer, "imageDetails", "the image")?;
                Ok(details.into_iter().filter_map(Detail::image).map(|image| image.digest).next())
            }
            Err(error) if error.code() == Some("ImageNotFoundException") => Ok(None),
            Err(error) => Err(error),
        }
    }

    async fn describe(&self, digests: &[Digest]) -> Result<Vec<EcrImage>, AwsError> {
        let ids: Vec<Value> = digests.iter().map(|digest| json!({ "imageDigest": digest })).collect();
        let answer = self.ask("DescribeImages", json!({ "imageIds": ids }), Repeat::Always).await?;
        let details: Vec<Detail> = self.part("DescribeImages", &answer, "imageDetails", "the images")?;
        Ok(details.into_iter().filter_map(Detail::image).collect())
    }

    /// Manifests by digest, at most [`BATCH`], and what could not be had.
    ///
    /// # Errors
    /// When the whole batch is refused.
    pub async fn manifests(&self, digests: &[Digest]) -> Result<(Vec<EcrManifest>, Vec<EcrFailure>), AwsError> {
        let ids: Vec<Value> = digests.iter().map(|digest| json!({ "imageDigest": digest })).collect();
        let body = json!({ "imageIds": ids, "acceptedMediaTypes": ACCEPTED });
        let answer = self.ask("BatchGetImage", body, Repeat::Always).await?;
        let mut manifests = Vec::new();
        for image in answer["images"].as_array().into_iter().flatten() {
            let digest = image.pointer("/imageId/imageDigest").and_then(Value::as_str).and_then(|d| d.parse().ok());
            let text = image["imageManifest"].as_str();
            let media_type = image["imageManifestMediaType"].as_str().unwrap_or_default().to_owned();
            if let (Some(digest), Some(text)) = (digest, text) {
                manifests.push(EcrManifest { digest, media_type, text: text.to_owned() });
            }
        }
        Ok((manifests, failures(&answer)))
    }

    /// Deletes images or tags, at most [`BATCH`]. Gives what ECR did not do; everything else is done.
    ///
    /// # Errors
    /// When the whole batch is refused.
    pub async fn delete(&self, ids: &[EcrId]) -> Result<Vec<EcrFailure>, AwsError> {
        let ids: Vec<Value> = ids.iter().map(id_json).collect();
        // Deleting what is gone already is a failure of that image only, so that a repetition does no harm.
        let answer = self.ask("BatchDeleteImage", json!({ "imageIds": ids }), Repeat::Always).await?;
        Ok(failures(&answer))
    }

    /// Puts a manifest back under a tag, or without one. Its layers must still be there.
    ///
    /// # Errors
    /// Code `LayersNotFoundException` when they are not; `ImageAlreadyExistsException` counts as done.
    pub async fn put(&self, manifest: &EcrManifest, tag: Option<&str>) -> Result<(), AwsError> {
        let mut body = json!({
            "imageManifest": manifest.text,
            "imageManifestMediaType": manifest.media_type,
            "imageDigest": manifest.digest,
        });
        if let Some(tag) = tag {
            body["imageTag"] = json!(tag);
        }
        match self.ask("PutImage", body, Repeat::Always).await {
            Err(error) if error.code() == Some("ImageAlreadyExistsException") => Ok(()),
            other => other.map(drop),
        }
    }

    /// The lifecycle policy's text; `None` when the repository has none.
    ///
    /// # Errors
    /// Whatever ECR raises but for a policy that does not exist.
    pub async fn lifecycle_policy(&self) -> Result<Option<String>, AwsError> {
        match self.ask("GetLifecyclePolicy", json!({}), Repeat::Always).await {
            Ok(answer) => Ok(answer["lifecyclePolicyText"].as_str().map(str::to_owned)),
            Err(error) if error.code() == Some("LifecyclePolicyNotFoundException") => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Sets the lifecycle policy.
    ///
    /// # Errors
    /// Class `Invalid` when ECR does not accept the text.
    pub async fn put_lifecycle_policy(&self, text: &str) -> Result<(), AwsError> {
        self.ask("PutLifecyclePolicy", json!({ "lifecyclePolicyText": text }), Repeat::Always).await.map(drop)
    }

    /// Starts a preview; one may be under way at a time, and one that is counts as started.
    ///
    /// # Errors
    /// Class `Invalid` when ECR does not accept the text.
    pub async fn start_preview(&self, text: &str) -> Result<(), AwsError> {
        let body = json!({ "lifecyclePolicyText": text });
        match self.ask("StartLifecyclePolicyPreview", body, Repeat::Always).await {
            Err(error) if error.code() == Some("LifecyclePolicyPreviewInProgressException") => Ok(()),
            other => other.map(drop),
        }
    }

    /// The preview under way, or its whole result.
    ///
    /// # Errors
    /// Whatever ECR raises.
    pub async fn preview(&self) -> Result<Preview, AwsError> {
        let mut found = Vec::new();
        let mut token: Option<String> = None;
        loop {
            let mut body = json!({ "maxResults": 100 });
            if let Some(token) = &token {
                body["nextToken"] = json!(token);
            }
            let answer = self.ask("GetLifecyclePolicyPreview", body, Repeat::Always).await?;
            match answer["status"].as_str() {
                Some("IN_PROGRESS") => return Ok(Preview::Running),
                Some("COMPLETE") => {}
                other => return Ok(Preview::Failed(other.unwrap_or("no status").to_owned())),
            }
            found.extend(answer["previewResults"].as_array().into_iter().flatten().map(previewed));
            token = answer["nextToken"].as_str().map(str::to_owned);
            if token.is_none() {
                return Ok(Preview::Complete(found));
            }
        }
    }

    async fn ask(&self, operation: &'static str, mut body: Value, repeat: Repeat) -> Result<Value, AwsError> {
        body["repositoryName"] = json!(self.name);
        if let Some(registry) = &self.registry {
            body["registryId"] = json!(registry);
        }
        let object = format!("repository {}", self.name);
        let call = JsonCall { service: JsonService::Ecr, operation, object: &object, body: &body, repeat };
        self.session.json_call_in(&self.region, call).await
    }

    fn part<T: serde::de::DeserializeOwned>(
        &self,
        operation: &'static str,
        answer: &Value,
        name: &str,
        expected: &'static str,
    ) -> Result<T, AwsError> {
        let call = || Call::new("ecr", operation, format!("repository {}", self.name));
        serde_json::from_value(answer[name].clone()).map_err(|_| AwsError::Malformed { call: call(), expected })
    }
}

fn id_json(id: &EcrId) -> Value {
    let mut json = json!({});
    if let Some(digest) = &id.digest {
        json["imageDigest"] = json!(digest);
    }
    if let Some(tag) = &id.tag {
        json["imageTag"] = json!(tag);
    }
    json
}

fn failures(answer: &Value) -> Vec<EcrFailure> {
    let text = |value: &Value| value.as_str().map(str::to_owned);
    let failures = answer["failures"].as_array().into_iter().flatten();
    failures
        .map(|failure| EcrFailure {
            digest: text(&failure["imageId"]["imageDigest"]),
            tag: text(&failure["imageId"]["imageTag"]),
            code: text(&failure["failureCode"]).unwrap_or_default(),
            reason: text(&failure["failureReason"]).unwrap_or_default(),
        })
        .collect()
}

fn previewed(result: &Value) -> PreviewedImage {
    let tags = result["imageTags"].as_array().into_iter().flatten();
    PreviewedImage {
        digest: result["imageDigest"].as_str().unwrap_or_default().to_owned(),
        tags: tags.filter_map(|tag| tag.as_str().map(str::to_owned)).collect(),
        rule: result["appliedRulePriority"].as_u64(),
    }
}
