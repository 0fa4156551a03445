//! Purpose: the parts of a SARIF log that are read; everything else streams by.

use serde::Deserialize;

#[derive(Deserialize)]
pub(super) struct RawTool {
    pub(super) driver: RawDriver,
}

#[derive(Deserialize)]
pub(super) struct RawDriver {
    pub(super) name: Option<String>,
    pub(super) rules: Option<Vec<RawRule>>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct RawRule {
    #[serde(default)]
    pub(super) id: String,
    pub(super) default_configuration: Option<RawConfiguration>,
    pub(super) short_description: Option<RawMessage>,
    pub(super) properties: Option<RawProperties>,
}

#[derive(Deserialize)]
pub(super) struct RawConfiguration {
    pub(super) level: Option<String>,
}

#[derive(Deserialize)]
pub(super) struct RawProperties {
    #[serde(rename = "security-severity")]
    pub(super) severity: Option<serde_json::Value>,
}

#[derive(Deserialize)]
pub(super) struct RawMessage {
    pub(super) text: Option<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct RawInvocation {
    pub(super) execution_successful: Option<bool>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct RawResult {
    pub(super) rule_id: Option<String>,
    pub(super) rule_index: Option<i64>,
    pub(super) rule: Option<RawRuleReference>,
    pub(super) level: Option<String>,
    pub(super) kind: Option<String>,
    pub(super) message: Option<RawMessage>,
    pub(super) locations: Option<Vec<RawLocation>>,
    pub(super) suppressions: Option<Vec<RawSuppression>>,
    pub(super) baseline_state: Option<String>,
}

#[derive(Deserialize)]
pub(super) struct RawRuleReference {
    pub(super) id: Option<String>,
    pub(super) index: Option<i64>,
}

#[derive(Deserialize)]
pub(super) struct RawSuppression {
    pub(super) status: Option<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct RawLocation {
    pub(super) physical_location: Option<RawPhysical>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct RawPhysical {
    pub(super) artifact_location: Option<RawArtifact>,
    pub(super) region: Option<RawRegion>,
}

#[derive(Deserialize)]
pub(super) struct RawArtifact {
    pub(super) uri: Option<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct RawRegion {
    pub(super) start_line: Option<i64>,
}
