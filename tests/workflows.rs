//! Every workflow that we ship, every action and every page, read as GitHub and its readers read them.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::disallowed_methods,
    reason = "tests are free to panic"
)]

#[path = "workflows/documents.rs"]
mod documents;
#[path = "support/expression.rs"]
mod expression;
#[path = "workflows/expressions.rs"]
mod expressions;
#[path = "workflows/marketplace.rs"]
mod marketplace;
#[path = "workflows/migration.rs"]
mod migration;
#[path = "workflows/reasons.rs"]
mod reasons;
#[path = "workflows/steps.rs"]
mod steps;

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use serde_json::Value;

/// The repository's root.
fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

/// Every file below a folder whose name ends so, as paths relative to the root.
fn files(folder: &str, endings: &[&str]) -> Vec<String> {
    let mut found = Vec::new();
    let mut open = vec![root().join(folder)];
    while let Some(folder) = open.pop() {
        for entry in std::fs::read_dir(&folder).into_iter().flatten().flatten() {
            let path = entry.path();
            let name = entry.file_name().to_string_lossy().into_owned();
            if path.is_dir() && !["target", ".git", "node_modules", "dist"].contains(&name.as_str()) {
                open.push(path);
            } else if endings.iter().any(|ending| name.ends_with(ending)) {
                found.push(path.strip_prefix(root()).unwrap().to_string_lossy().into_owned());
            }
        }
    }
    found.sort();
    found
}

fn text(path: &str) -> String {
    std::fs::read_to_string(root().join(path)).unwrap_or_else(|error| panic!("{path}: {error}"))
}

fn yaml(path: &str) -> Value {
    serde_yaml::from_str(&text(path)).unwrap_or_else(|error| panic!("{path} is not YAML: {error}"))
}

/// Workflows of the examples, and our own.
fn workflows() -> Vec<String> {
    let mut all: Vec<String> =
        files("examples", &[".yml", ".yaml"]).into_iter().filter(|path| path.contains("/workflows/")).collect();
    all.extend(files(".github/workflows", &[".yml", ".yaml"]));
    all
}

/// What an action takes and gives.
#[derive(Debug, Default, Clone)]
struct Action {
    inputs: BTreeMap<String, bool>,
    outputs: BTreeSet<String>,
}

impl Action {
    fn read(path: &str) -> Self {
        let action = yaml(path);
        let names = |key: &str| action[key].as_object().cloned().unwrap_or_default();
        let required = |input: &Value| input["required"] == Value::Bool(true) && input["default"].is_null();
        Self {
            inputs: names("inputs").iter().map(|(name, input)| (name.clone(), required(input))).collect(),
            outputs: names("outputs").keys().cloned().collect(),
        }
    }
}

/// The action of ours that a step uses: the root one, or that of a command.
fn our_action(uses: &str) -> Option<String> {
    let path = uses.split('@').next()?.trim_start_matches("./");
    match path.strip_prefix("landfall-ci/landfall").or_else(|| uses.starts_with("./").then_some(path)) {
        Some("" | ".") => Some("action.yml".to_owned()),
        Some(rest) => {
            let rest = rest.trim_start_matches('/');
            rest.starts_with("actions/").then(|| format!("{rest}/action.yml"))
        }
        None => None,
    }
}

/// Keys of the environments of the config that belongs to a workflow: outputs of `config` beyond the declared ones.
fn config_of(workflow: &str) -> Value {
    let folder = Path::new(workflow).parent().and_then(Path::parent).unwrap();
    let path = folder.join("landfall.yml");
    if root().join(&path).is_file() { yaml(&path.to_string_lossy()) } else { Value::Null }
}

#[test]
fn there_are_workflows_to_look_at() {
    assert!(workflows().iter().any(|path| path.starts_with("examples/")), "no example is left");
}

/// Keys that GitHub knows ("workflow syntax for GitHub Actions", "metadata syntax"); any other makes it refuse the file.
const WORKFLOW: &[&str] = &["name", "run-name", "on", "permissions", "env", "defaults", "concurrency", "jobs"];
const JOB: &[&str] = &[
    "name",
    "permissions",
    "needs",
    "if",
    "runs-on",
    "snapshot",
    "environment",
    "concurrency",
    "outputs",
    "env",
    "defaults",
    "steps",
    "timeout-minutes",
    "strategy",
    "continue-on-error",
    "container",
    "services",
    "uses",
    "with",
    "secrets",
];
const STEP: &[&str] = &[
    "id",
    "if",
    "name",
    "uses",
    "run",
    "working-directory",
    "shell",
    "with",
    "env",
    "continue-on-error",
    "timeout-minutes",
];
const ACTION: &[&str] = &["name", "author", "description", "inputs", "outputs", "runs", "branding"];
const RUNS: &[&str] =
    &["using", "image", "env", "entrypoint", "pre-entrypoint", "post-entrypoint", "args", "steps", "pre-if", "post-if"];

/// What a map holds beside the keys that it may.
fn unknown(place: &str, value: &Value, known: &[&str]) -> Vec<String> {
    let Some(map) = value.as_object() else {
        return vec![format!("{place}: is no map")];
    };
    map.keys().filter(|key| !known.contains(&key.as_str())).map(|key| format!("{place}: no key '{key}'")).collect()
}

#[test]
fn every_workflow_has_the_form_that_github_reads() {
    let mut wrong = Vec::new();
    for path in workflows() {
        let workflow = yaml(&path);
        wrong.extend(unknown(&path, &workflow, WORKFLOW));
        if workflow["on"].is_null() {
            wrong.push(format!("{path}: has no trigger"));
        }
        let jobs = workflow["jobs"].as_object().cloned().unwrap_or_default();
        if jobs.is_empty() {
            wrong.push(format!("{path}: has no jobs"));
        }
        for (name, job) in &jobs {
            let place = format!("{path}: {name}");
            wrong.extend(unknown(&place, job, JOB));
            let calls = job["uses"].is_string();
            if calls == job["steps"].is_array() || !calls && job["runs-on"].is_null() {
                wrong.push(format!("{place}: has either `uses`, or `runs-on` and `steps`"));
            }
            let needs = match &job["needs"] {
                Value::String(one) => vec![one.clone()],
                list => list.as_array().into_iter().flatten().filter_map(|n| n.as_str().map(str::to_owned)).collect(),
            };
            wrong.extend(needs.iter().filter(|n| !jobs.contains_key(*n)).map(|n| format!("{place}: no job '{n}'")));
            let mut ids = BTreeSet::new();
            for (number, step) in job["steps"].as_array().into_iter().flatten().enumerate() {
                let place = format!("{place}, step {}", number + 1);
                wrong.extend(unknown(&place, step, STEP));
                if step["uses"].is_string() == step["run"].is_string() {
                    wrong.push(format!("{place}: has either `uses` or `run`"));
                }
                if let Some(id) = step["id"].as_str().filter(|id| !ids.insert((*id).to_owned())) {
                    wrong.push(format!("{place}: the id '{id}' is taken"));
                }
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn every_action_has_the_form_that_github_reads() {
    let mut wrong = Vec::new();
    for path in files("actions", &["action.yml"]).into_iter().chain(["action.yml".to_owned()]) {
        let action = yaml(&path);
        wrong.extend(unknown(&path, &action, ACTION));
        wrong.extend(unknown(&format!("{path}: runs"), &action["runs"], RUNS));
        for (name, input) in action["inputs"].as_object().into_iter().flatten() {
            let known = ["description", "required", "default", "deprecationMessage"];
            wrong.extend(unknown(&format!("{path}: {name}"), input, &known));
        }
        for (name, output) in action["outputs"].as_object().into_iter().flatten() {
            wrong.extend(unknown(&format!("{path}: {name}"), output, &["description"]));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn every_config_of_an_example_is_valid() {
    for path in files("examples", &["landfall.yml"]) {
        if let Err(error) = landfall::config::Config::parse(&text(&path), Path::new(&path)) {
            panic!("{error}");
        }
    }
}
