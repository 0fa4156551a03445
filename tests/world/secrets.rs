//! Purpose: Secrets Manager: which secrets exist. Values are never given.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::aws::{Answer, AwsError, text};
use super::state::State;

/// The names of all secrets.
#[derive(Debug, Default, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Secrets(pub BTreeSet<String>);

/// One operation; none when it is not known.
pub fn handle(state: &mut State, operation: &str, body: &Value) -> Option<Answer> {
    (operation == "DescribeSecret").then(|| describe(state, body))
}

fn describe(state: &State, body: &Value) -> Answer {
    let id = text(body, "SecretId").unwrap_or_default();
    // An ARN ends in `secret:<name>-<six characters>`.
    let name = id.split_once(":secret:").map_or(id, |(_, rest)| rest.rsplit_once('-').map_or(rest, |(name, _)| name));
    let full = id.split_once(":secret:").map_or(id, |(_, rest)| rest);
    let known = state.secrets.0.get(name).or_else(|| state.secrets.0.get(full));
    let missing = || AwsError::new("ResourceNotFoundException", "Secrets Manager can't find the specified secret.");
    let name = known.ok_or_else(missing)?;
    Ok(json!({ "Name": name, "ARN": state.aws.arn("secretsmanager", &format!("secret:{name}-AbCdEf")) }))
}
