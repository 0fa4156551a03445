//! Purpose: which commands a repository's workflows use, and with which inputs.

use std::collections::BTreeMap;

use serde_json::Value;

/// One step that runs a command.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StepUse {
    /// The command.
    pub command: String,
    /// Its inputs as written; expressions are not evaluated.
    pub with: BTreeMap<String, String>,
    /// The events that start its workflow; of a composite action none is known.
    pub events: Vec<String>,
}

/// The steps of a workflow, or of a composite action, that run a command of ours.
#[must_use]
pub fn steps_of(workflow: &Value) -> Vec<StepUse> {
    let jobs = workflow["jobs"].as_object().into_iter().flatten().map(|(_, job)| &job["steps"]);
    let lists = jobs.chain([&workflow["runs"]["steps"]]);
    let events = events(workflow);
    lists.filter_map(Value::as_array).flatten().filter_map(|step| step_use(step, &events)).collect()
}

/// `on: push`, `on: [push, pull_request]`, or a mapping. YAML 1.1 takes the bare key for a boolean.
fn events(workflow: &Value) -> Vec<String> {
    match workflow.get("on").or_else(|| workflow.get("true")) {
        Some(Value::String(name)) => vec![name.clone()],
        Some(Value::Array(names)) => names.iter().filter_map(Value::as_str).map(str::to_owned).collect(),
        Some(Value::Object(events)) => events.keys().cloned().collect(),
        _ => Vec::new(),
    }
}

fn step_use(step: &Value, events: &[String]) -> Option<StepUse> {
    let with: BTreeMap<String, String> =
        step["with"].as_object().into_iter().flatten().map(|(name, value)| (name.clone(), text(value))).collect();
    let action = step["uses"].as_str()?;
    let path = action.split_once('@').map_or(action, |(path, _)| path).trim_start_matches("./");
    let command = match path.rsplit_once("/actions/") {
        Some((repository, command)) if repository.ends_with("landfall") => command.to_owned(),
        _ if path.ends_with("/landfall") => with.get("command")?.clone(),
        _ => return None,
    };
    Some(StepUse { command, with, events: events.to_vec() })
}

fn text(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        Value::Null => String::new(),
        other => other.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn finds_commands_in_jobs_and_composite_actions() {
        let workflow = json!({ "on": { "push": {}, "workflow_run": {} }, "jobs": { "a": { "steps": [
            { "uses": "actions/checkout@v6" },
            { "uses": "landfall-ci/landfall/actions/build@v1", "with": { "push": true, "tags": "x" } },
            { "uses": "landfall-ci/landfall@v1", "with": { "command": "deploy" } },
            { "uses": "other/actions/build@v1" },
            { "run": "echo" },
        ] } } });
        let found: Vec<String> = steps_of(&workflow).into_iter().map(|step| step.command).collect();
        assert_eq!(found, ["build", "deploy"]);
        assert_eq!(steps_of(&workflow)[0].with["push"], "true");
        assert_eq!(steps_of(&workflow)[0].events, ["push", "workflow_run"]);
        assert_eq!(events(&json!({ "on": "push" })), ["push"]);
        assert_eq!(events(&json!({ "on": ["push", "schedule"] })), ["push", "schedule"]);
        let composite = json!({ "runs": { "steps": [{ "uses": "acme/landfall/actions/tags@main" }] } });
        assert_eq!(steps_of(&composite)[0].command, "tags");
        assert!(steps_of(&json!("nonsense")).is_empty());
    }
}
