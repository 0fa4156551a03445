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
        _ => return None,
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
