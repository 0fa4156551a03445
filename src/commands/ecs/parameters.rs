//! Purpose: SSM parameters that tell others what is deployed.

use serde_json::json;

use crate::domain::reference::ImageRef;
use crate::runner::Failure;
use crate::services::aws::{JsonCall, JsonService, Session};
use crate::services::http::Repeat;

/// What may stand in a value.
pub(crate) const PLACEHOLDERS: [&str; 4] = ["{image}", "{tag}", "{digest}", "{revision}"];

/// What the placeholders mean after a deployment.
#[derive(Debug, Clone, Default)]
pub(crate) struct Facts {
    pub(crate) image: Option<ImageRef>,
    pub(crate) digest: Option<String>,
    pub(crate) revision: String,
}

/// The first `{word}` of a template that no placeholder has.
pub(crate) fn unknown_placeholder(template: &str) -> Option<&str> {
    let mut rest = template;
    while let Some(start) = rest.find('{') {
        let end = start + rest[start..].find('}')? + 1;
        let word = &rest[start..end];
        let is_word = word.len() > 2 && word[1..word.len() - 1].chars().all(|c| c.is_ascii_lowercase() || c == '_');
        if is_word && !PLACEHOLDERS.contains(&word) {
            return Some(word);
        }
        rest = &rest[start + 1..];
    }
    None
}

/// A value with its placeholders filled in; what is not known is empty.
pub(crate) fn filled(template: &str, facts: &Facts) -> String {
    let image = facts.image.as_ref();
    let tag = image.and_then(|image| image.tag()).map(ToString::to_string).unwrap_or_default();
    let pinned = image.and_then(|image| image.digest()).map(ToString::to_string);
    let digest = facts.digest.clone().or(pinned).unwrap_or_default();
    template
        .replace("{image}", &image.map(ToString::to_string).unwrap_or_default())
        .replace("{tag}", &tag)
        .replace("{digest}", &digest)
        .replace("{revision}", &facts.revision)
}

/// Writes the parameters, in order.
pub(crate) async fn write(session: &Session, parameters: &[(String, String)], facts: &Facts) -> Result<(), Failure> {
    for (path, template) in parameters {
        let body = json!({ "Name": path, "Value": filled(template, facts), "Type": "String", "Overwrite": true });
        let call = JsonCall {
            service: JsonService::Ssm,
            operation: "PutParameter",
            object: &format!("parameter {path}"),
            body: &body,
            repeat: Repeat::Always,
        };
        session.json_call(call).await?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn placeholders_are_filled_and_unknown_ones_found() {
        let facts = Facts {
            image: Some(
                "acme/web:1.2@sha256:0000000000000000000000000000000000000000000000000000000000000001".parse().unwrap(),
            ),
            digest: None,
            revision: "8".into(),
        };
        assert_eq!(filled("{tag}-{revision}", &facts), "1.2-8");
        assert!(filled("{digest}", &facts).starts_with("sha256:0"));
        assert_eq!(unknown_placeholder("{image} {\"json\": 1} {revison}"), Some("{revison}"));
        assert_eq!(unknown_placeholder("{tag} {"), None);
    }
}
