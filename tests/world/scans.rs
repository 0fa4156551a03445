//! Purpose: ECR's scanner: scans that are started, take a few looks, and have findings in pages.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::aws::{Answer, AwsError, text};
use super::http::Skin;
use super::state::State;

/// The scans of images, by `name:tag`.
pub type Scans = BTreeMap<String, Scan>;

/// One image's scan.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Scan {
    /// What each look sees, the last one for ever; none: never scanned.
    pub statuses: Vec<String>,
    /// What a scan that is asked for goes through.
    pub after_start: Vec<String>,
    /// Answer to a wish for a scan, when it is refused: an error code.
    pub refuses: Option<String>,
    pub description: String,
    pub findings: Vec<Value>,
    pub enhanced: Vec<Value>,
    /// Seconds since 1970; of a scan that was asked for the time of its end.
    pub completed_at: f64,
    /// Findings per page.
    pub page: usize,
}

impl Default for Scan {
    fn default() -> Self {
        Self {
            statuses: Vec::new(),
            after_start: vec!["IN_PROGRESS".into(), "COMPLETE".into()],
            refuses: None,
            description: String::new(),
            findings: Vec::new(),
            enhanced: Vec::new(),
            completed_at: 0.0,
            page: 1000,
        }
    }
}

/// One operation.
pub fn handle(state: &mut State, operation: &str, body: &Value) -> Answer {
    let name = text(body, "repositoryName").unwrap_or_default().to_owned();
    let id = &body["imageId"];
    let tag = text(id, "imageTag").or_else(|| text(id, "imageDigest")).unwrap_or_default().to_owned();
    if text(body, "registryId").is_some_and(|registry| registry != state.aws.account) {
        return Err(AwsError::new("RepositoryNotFoundException", "no such registry"));
    }
    let Some(repository) = state.images.repositories.get(&name) else {
        return Err(AwsError::new(
            "RepositoryNotFoundException",
            format!("The repository with name '{name}' does not exist"),
        ));
    };
    if !repository.tags.contains_key(&tag) && repository.find(&tag).is_none() {
        return Err(AwsError::new("ImageNotFoundException", format!("The image with imageId {tag} does not exist")));
    }
    let key = format!("{name}:{tag}");
    let found = repository.tags.get(&tag).map_or(tag.as_str(), String::as_str);
    let is_index = repository.find(found).is_some_and(|(_, manifest)| manifest.media_type == super::images::INDEX);
    // Of an index ECR knows nothing, and takes no wish (ECR user guide, "Image scanning").
    if is_index && operation == "StartImageScan" {
        return Err(AwsError::new("UnsupportedImageTypeException", "The image is of a type that cannot be scanned"));
    }
    if operation == "StartImageScan" {
        return start(state, &key);
    }
    describe(state, &key, body)
}

fn start(state: &mut State, key: &str) -> Answer {
    let now = state.clock.seconds();
    let scan = state.scans.entry(key.to_owned()).or_default();
    if let Some(code) = &scan.refuses {
        return Err(AwsError::new(code, "no scan now"));
    }
    (scan.statuses, scan.completed_at) = (scan.after_start.clone(), now);
    state.wrote(Skin::Ecr, &format!("StartImageScan {key}"));
    Ok(json!({ "imageScanStatus": { "status": "IN_PROGRESS" } }))
}

fn describe(state: &mut State, key: &str, body: &Value) -> Answer {
    let scan = state.scans.entry(key.to_owned()).or_default();
    let Some(status) = scan.statuses.first().cloned() else {
        return Err(AwsError::new("ScanNotFoundException", format!("Image scan does not exist for the image {key}")));
    };
    if scan.statuses.len() > 1 {
        scan.statuses.remove(0);
    }
    let mut answer = json!({ "imageScanStatus": { "status": status, "description": scan.description } });
    if status != "COMPLETE" && status != "ACTIVE" {
        return Ok(answer);
    }
    let from: usize = text(body, "nextToken").and_then(|token| token.parse().ok()).unwrap_or_default();
    let page = |all: &[Value]| all.iter().skip(from).take(scan.page).cloned().collect::<Vec<_>>();
    let longest = scan.findings.len().max(scan.enhanced.len());
    if from + scan.page < longest {
        answer["nextToken"] = json!((from + scan.page).to_string());
    }
    answer["imageScanFindings"] = json!({ "findings": page(&scan.findings), "enhancedFindings": page(&scan.enhanced) });
    if scan.enhanced.is_empty() {
        answer["imageScanFindings"]["imageScanCompletedAt"] = json!(scan.completed_at);
    }
    Ok(answer)
}
