//! Purpose: ECR's API: authorization tokens, and existence of images.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};

use super::aws::{Answer, AwsError, page, text};
use super::ecs::present;
use super::images::{ImageRepository, Manifest};
use super::state::State;

/// One operation; none when it is not known.
pub fn handle(state: &mut State, operation: &str, body: &Value) -> Option<Answer> {
    Some(match operation {
        "GetAuthorizationToken" => Ok(authorization(state)),
        "DescribeRepositories" => describe_repositories(state, body),
        "DescribeImages" => describe_images(state, body),
        "BatchGetImage" => batch_get_image(state, body),
        "ListImages" => list_images(state, body),
        "BatchDeleteImage" => batch_delete(state, body),
        "PutImage" => put_image(state, body),
        "GetLifecyclePolicy" => lifecycle_policy(state, body),
        "PutLifecyclePolicy" => put_lifecycle_policy(state, body),
        "StartLifecyclePolicyPreview" => start_preview(state, body),
        "GetLifecyclePolicyPreview" => preview(state, body),
        "DescribeImageScanFindings" | "StartImageScan" => super::scans::handle(state, operation, body),
        _ => return None,
    })
}

/// One operation of the public registry's API; none when it is not known.
pub fn handle_public(state: &mut State, operation: &str, _body: &Value) -> Option<Answer> {
    (operation == "GetAuthorizationToken").then(|| {
        let mut answer = authorization(state);
        answer["authorizationData"] = answer["authorizationData"][0].take();
        Ok(answer)
    })
}

/// The registry's host name, as references name it.
pub fn host(state: &State) -> String {
    format!("{}.dkr.ecr.{}.amazonaws.com", state.aws.account, state.aws.region)
}

/// The password inside every authorization token.
pub const PASSWORD: &str = "world-ecr-password";

fn authorization(state: &State) -> Value {
    json!({ "authorizationData": [{
        "authorizationToken": STANDARD.encode(format!("AWS:{PASSWORD}")),
        "expiresAt": state.clock.seconds() + 43200.0,
        "proxyEndpoint": format!("https://{}", host(state)),
    }] })
}

fn repository<'a>(state: &'a State, body: &Value) -> Result<(&'a str, &'a ImageRepository), AwsError> {
    let name = text(body, "repositoryName").unwrap_or_default();
    let registry = text(body, "registryId").unwrap_or(&state.aws.account);
    let found = state.images.repositories.get_key_value(name).filter(|_| registry == state.aws.account);
    found.map(|(name, repository)| (name.as_str(), repository)).ok_or_else(|| {
        let message = format!("The repository with name '{name}' does not exist in the registry with id '{registry}'");
        AwsError::new("RepositoryNotFoundException", message)
    })
}

fn repository_json(state: &State, name: &str) -> Value {
    json!({
        "repositoryName": name,
        "repositoryArn": state.aws.arn("ecr", &format!("repository/{name}")),
        "repositoryUri": format!("{}/{name}", host(state)),
        "registryId": state.aws.account,
        "createdAt": 1_700_000_000.0,
        "imageTagMutability": "MUTABLE",
    })
}

fn describe_repositories(state: &State, body: &Value) -> Answer {
    let names = super::aws::texts(body, "repositoryNames");
    for name in &names {
        repository(state, &json!({ "repositoryName": name }))?;
    }
    let all = state.images.repositories.keys().filter(|name| names.is_empty() || names.contains(name));
    Ok(json!({ "repositories": all.map(|name| repository_json(state, name)).collect::<Vec<_>>() }))
}

/// The image that an identifier (`imageTag`, `imageDigest`) names.
fn find<'a>(repository: &'a ImageRepository, id: &Value) -> Option<(String, &'a Manifest)> {
    let by_digest = text(id, "imageDigest").and_then(|digest| repository.find(digest));
    match (by_digest, text(id, "imageTag")) {
        (Some(found), None) => Some(found),
        (Some(found), Some(tag)) => repository.tags.get(tag).filter(|digest| **digest == found.0).map(|_| found),
        (None, Some(tag)) if text(id, "imageDigest").is_none() => {
            repository.tags.get(tag).and_then(|d| repository.find(d))
        }
        _ => None,
    }
}

fn shown(id: &Value) -> String {
    let part = |name: &str| text(id, name).map_or("null".to_owned(), |text| format!("'{text}'"));
    format!("imageDigest:{}, imageTag:{}", part("imageDigest"), part("imageTag"))
}

fn detail(state: &State, name: &str, repository: &ImageRepository, digest: &str, manifest: &Manifest) -> Value {
    let tags = repository.tags_of(digest);
    let body: Value = serde_json::from_str(&manifest.text).unwrap_or_default();
    let layers = body["layers"].as_array().into_iter().flatten();
    let size: u64 = layers.filter_map(|layer| layer["size"].as_u64()).sum();
    present(json!({
        "registryId": state.aws.account,
        "repositoryName": name,
        "imageDigest": digest,
        "imageTags": if tags.is_empty() { Value::Null } else { json!(tags) },
        "imageSizeInBytes": size + manifest.text.len() as u64,
        "imagePushedAt": manifest.pushed_at.map_or(1_700_000_000.0, super::clock::seconds),
        "imageManifestMediaType": manifest.media_type,
        "artifactMediaType": body["config"]["mediaType"],
    }))
}

fn describe_images(state: &State, body: &Value) -> Answer {
    let (name, repository) = repository(state, body)?;
    if let Some(ids) = body["imageIds"].as_array() {
        let mut details = Vec::new();
        for id in ids {
            let Some((digest, manifest)) = find(repository, id) else {
                let message = format!(
                    "The image with imageId {{{}}} does not exist within the repository with name '{name}' in the registry with id '{}'",
                    shown(id),
                    state.aws.account
                );
                return Err(AwsError::new("ImageNotFoundException", message));
            };
            details.push(detail(state, name, repository, &digest, manifest));
        }
        return Ok(json!({ "imageDetails": details }));
    }
    let all: Vec<Value> = repository
        .manifests
        .iter()
        .map(|(digest, manifest)| detail(state, name, repository, digest, manifest))
        .collect();
    let (items, next) = page(&all, body, 100);
    Ok(present(json!({ "imageDetails": items, "nextToken": next })))
}

fn batch_get_image(state: &State, body: &Value) -> Answer {
    let (name, repository) = repository(state, body)?;
    let (mut images, mut failures) = (Vec::new(), Vec::new());
    for id in body["imageIds"].as_array().into_iter().flatten() {
        match find(repository, id) {
            Some((digest, manifest)) => images.push(present(json!({
                "registryId": state.aws.account,
                "repositoryName": name,
                "imageId": { "imageDigest": digest, "imageTag": text(id, "imageTag") },
                "imageManifest": manifest.text,
                "imageManifestMediaType": manifest.media_type,
            }))),
            None => failures.push(json!({ "imageId": id, "failureCode": "ImageNotFound",
                "failureReason": "Requested image not found" })),
        }
    }
    Ok(json!({ "images": images, "failures": failures }))
}

fn list_images(state: &State, body: &Value) -> Answer {
    let (_, repository) = repository(state, body)?;
    let mut all = Vec::new();
    for digest in repository.manifests.keys() {
        let tags = repository.tags_of(digest);
        let wanted = body.pointer("/filter/tagStatus").and_then(Value::as_str);
        if tags.is_empty() && wanted != Some("TAGGED") {
            all.push(json!({ "imageDigest": digest }));
        }
        if wanted != Some("UNTAGGED") {
            all.extend(tags.iter().map(|tag| json!({ "imageDigest": digest, "imageTag": tag })));
        }
    }
    let (items, next) = page(&all, body, 100);
    Ok(present(json!({ "imageIds": items, "nextToken": next })))
}

/// Deletes image by image: by tag only that tag, and the image with its last one; what an index holds stays.
fn batch_delete(state: &mut State, body: &Value) -> Answer {
    let name = repository(state, body)?.0.to_owned();
    let ids = body["imageIds"].as_array().cloned().unwrap_or_default();
    if ids.is_empty() || ids.len() > 100 {
        return Err(AwsError::new("InvalidParameterException", "imageIds must have 1 to 100 entries"));
    }
    let (mut done, mut failures) = (Vec::new(), Vec::new());
    for id in &ids {
        match delete_one(state.images.repository(&name), id) {
            Ok(digest) => {
                state.wrote(super::http::Skin::Ecr, &format!("delete {name} {}", shown_short(id)));
                done.push(json!({ "imageDigest": digest, "imageTag": id["imageTag"] }));
            }
            Err((code, reason)) => {
                failures.push(json!({ "imageId": id, "failureCode": code, "failureReason": reason }));
            }
        }
    }
    Ok(json!({ "imageIds": done, "failures": failures }))
}

fn shown_short(id: &Value) -> String {
    let part = |name: &str| text(id, name).unwrap_or_default().to_owned();
    [part("imageTag"), part("imageDigest")]
        .iter()
        .filter(|part| !part.is_empty())
        .cloned()
        .collect::<Vec<_>>()
        .join(" ")
}

fn delete_one(repository: &mut ImageRepository, id: &Value) -> Result<String, (&'static str, &'static str)> {
    let missing = ("ImageNotFound", "Requested image not found");
    let by_digest = text(id, "imageDigest").map(str::to_owned);
    let digest = match (&by_digest, text(id, "imageTag")) {
        (None, None) => return Err(("MissingDigestAndTag", "imageId has neither digest nor tag")),
        (digest, Some(tag)) => {
            let found = repository.tags.get(tag).cloned().ok_or(missing)?;
            if digest.as_ref().is_some_and(|digest| *digest != found) {
                return Err(("ImageTagDoesNotMatchDigest", "the tag is at another digest"));
            }
            repository.tags.remove(tag);
            if !repository.tags_of(&found).is_empty() {
                return Ok(found);
            }
            found
        }
        (Some(digest), None) => digest.clone(),
    };
    if !repository.manifests.contains_key(&digest) {
        return Err(missing);
    }
    let holds = |manifest: &Manifest| {
        let body: Value = serde_json::from_str(&manifest.text).unwrap_or_default();
        let parts = body["manifests"].as_array().cloned().unwrap_or_default();
        parts.iter().any(|part| part["digest"] == digest.as_str())
    };
    if repository.manifests.values().any(holds) {
        return Err(("ImageReferencedByManifestList", "Requested image referenced by manifest list"));
    }
    repository.manifests.remove(&digest);
    repository.tags.retain(|_, target| *target != digest);
    Ok(digest)
}

fn put_image(state: &mut State, body: &Value) -> Answer {
    let name = repository(state, body)?.0.to_owned();
    let (manifest, media) = (text(body, "imageManifest").unwrap_or_default(), text(body, "imageManifestMediaType"));
    let media = media.unwrap_or(super::images::MANIFEST).to_owned();
    let digest = state.images.repository(&name).push(&media, manifest, text(body, "imageTag"));
    state.wrote(super::http::Skin::Ecr, &format!("put {name} {digest}"));
    Ok(json!({ "image": { "repositoryName": name, "imageId": { "imageDigest": digest } } }))
}

fn lifecycle_policy(state: &State, body: &Value) -> Answer {
    let (name, repository) = repository(state, body)?;
    let found = repository.lifecycle.as_ref().ok_or_else(|| {
        AwsError::new(
            "LifecyclePolicyNotFoundException",
            format!("Lifecycle policy does not exist for the repository '{name}'"),
        )
    })?;
    Ok(json!({ "repositoryName": name, "lifecyclePolicyText": found }))
}

fn put_lifecycle_policy(state: &mut State, body: &Value) -> Answer {
    let name = repository(state, body)?.0.to_owned();
    let policy = text(body, "lifecyclePolicyText").unwrap_or_default().to_owned();
    if !(100..=30_720).contains(&policy.len()) || serde_json::from_str::<Value>(&policy).is_err() {
        return Err(AwsError::new("InvalidParameterException", "Invalid parameter at 'LifecyclePolicyText' failed"));
    }
    state.images.repository(&name).lifecycle = Some(policy.clone());
    state.wrote(super::http::Skin::Ecr, &format!("put lifecycle policy {name}"));
    Ok(json!({ "repositoryName": name, "lifecyclePolicyText": policy }))
}

fn start_preview(state: &State, body: &Value) -> Answer {
    let (name, _) = repository(state, body)?;
    Ok(json!({ "repositoryName": name, "status": "IN_PROGRESS" }))
}

/// Everything with a tag of `pr-…` expires: enough to be counted.
fn preview(state: &State, body: &Value) -> Answer {
    let (name, repository) = repository(state, body)?;
    let results: Vec<Value> = repository
        .tags
        .iter()
        .filter(|(tag, _)| tag.starts_with("pr-"))
        .map(|(tag, digest)| {
            json!({ "imageDigest": digest, "imageTags": [tag], "action": { "type": "EXPIRE" }, "appliedRulePriority": 1 })
        })
        .collect();
    Ok(json!({ "repositoryName": name, "status": "COMPLETE", "previewResults": results,
        "summary": { "expiringImageTotalCount": results.len() } }))
}
