//! Purpose: SSM Parameter Store: values by name.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::aws::{Answer, AwsError, text, texts};
use super::http::Skin;
use super::state::State;

/// All parameters, by name.
#[derive(Debug, Default, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Parameters(pub BTreeMap<String, Parameter>);

/// One parameter.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Parameter {
    pub value: String,
    pub kind: String,
    pub version: u64,
}

/// One operation; none when it is not known.
pub fn handle(state: &mut State, operation: &str, body: &Value) -> Option<Answer> {
    Some(match operation {
        "GetParameter" => get(state, body),
        "GetParameters" => Ok(get_many(state, body)),
        "PutParameter" => put(state, body),
        _ => return None,
    })
}

fn shown(state: &State, name: &str, parameter: &Parameter) -> Value {
    let kind = if parameter.kind.is_empty() { "String" } else { &parameter.kind };
    json!({ "Name": name, "Type": kind, "Value": parameter.value, "Version": parameter.version,
        "ARN": state.aws.arn("ssm", &format!("parameter{name}")), "LastModifiedDate": state.clock.seconds(), "DataType": "text" })
}

fn get(state: &State, body: &Value) -> Answer {
    let name = text(body, "Name").unwrap_or_default();
    let found = state.parameters.0.get(name);
    let found = found.ok_or_else(|| AwsError::new("ParameterNotFound", format!("Parameter {name} not found.")))?;
    Ok(json!({ "Parameter": shown(state, name, found) }))
}

fn get_many(state: &State, body: &Value) -> Value {
    let (mut found, mut invalid) = (Vec::new(), Vec::new());
    for name in texts(body, "Names") {
        match state.parameters.0.get(&name) {
            Some(parameter) => found.push(shown(state, &name, parameter)),
            None => invalid.push(name),
        }
    }
    json!({ "Parameters": found, "InvalidParameters": invalid })
}

fn put(state: &mut State, body: &Value) -> Answer {
    let name = text(body, "Name").unwrap_or_default().to_owned();
    let known = state.parameters.0.get(&name).cloned();
    if known.is_some() && body["Overwrite"] != json!(true) {
        let message =
            "The parameter already exists. To overwrite this value, set the overwrite option in the request to true.";
        return Err(AwsError::new("ParameterAlreadyExists", message));
    }
    if known.is_none() && text(body, "Type").is_none() {
        return Err(AwsError::new("ValidationException", "A parameter type is required when you create a parameter."));
    }
    let before = known.unwrap_or_default();
    let kind = text(body, "Type").map_or(before.kind, str::to_owned);
    let value = text(body, "Value").unwrap_or_default().to_owned();
    let version = before.version + 1;
    state.wrote(Skin::Ssm, &format!("PutParameter {name}={value}"));
    state.parameters.0.insert(name, Parameter { value, kind, version });
    Ok(json!({ "Version": version, "Tier": "Standard" }))
}
