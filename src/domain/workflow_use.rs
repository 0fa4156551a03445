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
}

/// The steps of a workflow, or of a composite action, that run a command of ours.
#[must_use]
pub fn steps_of(workflow: &Value) -> Vec<StepUse> {
    let jobs = workflow["jobs"].as_object().into_iter().flatten().map(|(_, job)| &job["steps"]);
    let lists = jobs.chain([&workflow["runs"]["steps"]]);
    lists.filter_map(Value::as_array).flatten().filter_map(step_use).collect()
}

fn step_use(step: &Value) -> Option<StepUse> {
    let with: BTreeMap<String, String> =
        step["with"].as_object().into_iter().flatten().map(|(name, value)| (name.clone(), text(value))).collect();
    let action = step["uses"].as_str()?;
    let path = action.split_once('@').map_or(action, |(path, _)| path).trim_start_matches("./");
    let command = match path.rsplit_once("/actions/") {
        Some((repository, command)) if repository.ends_with("landfall") => command.to_owned(),
        _ if path.ends_with("/landfall") => with.get("command")?.clone(),
        _ => return None,
    };
    Some(StepUse { command, with })
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
        let workflow = json!({ "jobs": { "a": { "steps": [
            { "uses": "actions/checkout@v6" },
            { "uses": "landfall-ci/landfall/actions/build@v1", "with": { "push": true, "tags": "x" } },
            { "uses": "landfall-ci/landfall@v1", "with": { "command": "deploy" } },
            { "uses": "other/actions/build@v1" },
            { "run": "echo" },
        ] } } });
        let found: Vec<String> = steps_of(&workflow).into_iter().map(|step| step.command).collect();
        assert_eq!(found, ["build", "deploy"]);
        assert_eq!(steps_of(&workflow)[0].with["push"], "true");
        let composite = json!({ "runs": { "steps": [{ "uses": "acme/landfall/actions/tags@main" }] } });
        assert_eq!(steps_of(&composite)[0].command, "tags");
        assert!(steps_of(&json!("nonsense")).is_empty());
    }
}
