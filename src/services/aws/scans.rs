//! Purpose: ECR's own scanner: asking for a scan and for what it found.

use serde_json::{Value, json};

use super::Session;
use super::error::AwsError;
use super::json::{JsonCall, JsonService};
use crate::domain::reference::{ImageRef, RegistryKind};
use crate::services::http::Repeat;

/// An image as ECR's scanner is asked about it.
#[derive(Debug, Clone)]
pub struct ScanSubject {
    region: Option<String>,
    object: String,
    body: Value,
}

impl ScanSubject {
    /// Another manifest of the same repository.
    #[must_use]
    pub fn by_digest(&self, digest: &str) -> Self {
        let mut body = self.body.clone();
        body["imageId"] = json!({ "imageDigest": digest });
        Self { region: self.region.clone(), object: format!("{} ({digest})", self.object), body }
    }

    /// The image of a reference; account and region are those of its host, else the session's own.
    #[must_use]
    pub fn of(image: &ImageRef) -> Self {
        let (account, region) = match image.name().kind() {
            RegistryKind::Ecr { account, region } => (Some(account), Some(region)),
            _ => (None, None),
        };
        let id = match (image.digest(), image.tag()) {
            (Some(digest), _) => json!({ "imageDigest": digest }),
            (None, Some(tag)) => json!({ "imageTag": tag }),
            (None, None) => json!({ "imageTag": "latest" }),
        };
        let mut body = json!({ "repositoryName": image.name().repository(), "imageId": id });
        if let Some(account) = account {
            body["registryId"] = json!(account);
        }
        Self { region, object: format!("image {image}"), body }
    }
}

impl Session {
    /// One page of what ECR's scanner found; the token of the next page comes with it.
    ///
    /// # Errors
    /// `ScanNotFoundException` when the image was never scanned, `ImageNotFoundException`, `RepositoryNotFoundException`,
    /// refusals and transport errors.
    pub async fn image_scan(
        &self,
        subject: &ScanSubject,
        next: Option<&str>,
    ) -> Result<(Value, Option<String>), AwsError> {
        let mut body = subject.body.clone();
        body["maxResults"] = json!(1000);
        if let Some(next) = next {
            body["nextToken"] = json!(next);
        }
        let answer = self.scan_call(subject, "DescribeImageScanFindings", &body).await?;
        let next = answer["nextToken"].as_str().map(str::to_owned);
        Ok((answer, next))
    }

    /// Asks for a basic scan.
    ///
    /// # Errors
    /// `LimitExceededException` when this image was scanned within a day, `ValidationException` where enhanced scanning
    /// does it by itself, refusals and transport errors.
    pub async fn start_image_scan(&self, subject: &ScanSubject) -> Result<(), AwsError> {
        self.scan_call(subject, "StartImageScan", &subject.body).await.map(drop)
    }

    /// The manifest; nothing when ECR has none of that name.
    ///
    /// # Errors
    /// Refusals and transport errors.
    pub async fn scanned_manifest(&self, subject: &ScanSubject) -> Result<Option<Value>, AwsError> {
        let mut body = subject.body.clone();
        body["imageIds"] = json!([body["imageId"].take()]);
        if let Some(fields) = body.as_object_mut() {
            fields.remove("imageId");
        }
        let answer = self.scan_call(subject, "BatchGetImage", &body).await?;
        let text = answer["images"][0]["imageManifest"].as_str();
        Ok(text.and_then(|text| serde_json::from_str(text).ok()))
    }

    async fn scan_call(&self, subject: &ScanSubject, operation: &'static str, body: &Value) -> Result<Value, AwsError> {
        let call =
            JsonCall { service: JsonService::Ecr, operation, object: &subject.object, body, repeat: Repeat::Always };
        match &subject.region {
            Some(region) => self.json_call_in(region, call).await,
            None => self.json_call(call).await,
        }
    }
}
