//! Steps: what they give to actions, what they take from other steps and jobs, what they may do.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Map, Value};

use landfall::domain::permissions::{Access, Registry, Uses};
use landfall::domain::workflow_use::steps_of;

use super::expressions::{Reference, references};
use super::{Action, config_of, our_action, root, text, workflows, yaml};

/// Inputs of which at least one must be given, by command; an environment of the config may give any.
const ONE_OF: [(&str, &[&str]); 11] = [
    ("build", &["tags", "push", "load", "digest_only", "artifact", "dry_run"]),
    ("config", &[]),
    ("deploy", &["cluster", "environment"]),
    ("merge", &["digests"]),
    ("notify", &["webhook_url"]),
    ("pull", &["image"]),
    ("resolve", &["companion", "ladder", "image_override", "dashboard_image"]),
    ("rollback", &["cluster", "environment"]),
    ("scan", &["image"]),
    ("tailscale", &["authkey", "oauth_client_id"]),
    ("up", &["image", "compose_file"]),
];

/// A step with where it stands.
struct Step<'a> {
    place: String,
    value: &'a Value,
}

impl Step<'_> {
    fn uses(&self) -> Option<&str> {
        self.value["uses"].as_str()
    }

    /// The command that it runs, when it is one of ours.
    fn command(&self) -> Option<String> {
        let path = our_action(self.uses()?)?;
        match path.split('/').nth(1) {
            Some(command) if path.starts_with("actions/") => Some(command.to_owned()),
            _ => self.value["with"]["command"].as_str().map(str::to_owned),
        }
    }

    fn with(&self) -> Map<String, Value> {
        self.value["with"].as_object().cloned().unwrap_or_default()
    }
}

fn jobs(workflow: &Value) -> Vec<(&String, &Value)> {
    workflow["jobs"].as_object().into_iter().flatten().collect()
}

fn steps<'a>(path: &str, job: &str, value: &'a Value) -> Vec<Step<'a>> {
    let steps = value["steps"].as_array().into_iter().flatten().enumerate();
    steps
        .map(|(number, value)| {
            let name = value["id"].as_str().or(value["name"].as_str()).unwrap_or("unnamed");
            Step { place: format!("{path}: {job}, step {} ({name})", number + 1), value }
        })
        .collect()
}

#[test]
fn every_input_that_a_step_gives_exists_and_every_required_one_is_given() {
    let mut wrong = Vec::new();
    for path in workflows() {
        let workflow = yaml(&path);
        for (job, value) in jobs(&workflow) {
            for step in steps(&path, job, value) {
                let Some(action) = step.uses().and_then(our_action) else {
                    continue;
                };
                if !root().join(&action).is_file() {
                    wrong.push(format!("{}: there is no {action}", step.place));
                    continue;
                }
                wrong.extend(wrong_inputs(&step, &Action::read(&action)));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

fn wrong_inputs(step: &Step<'_>, action: &Action) -> Vec<String> {
    let with = step.with();
    let mut wrong: Vec<String> = with
        .keys()
        .filter(|name| !action.inputs.contains_key(*name) && !is_alias(step, name))
        .map(|name| format!("{}: there is no input '{name}'", step.place))
        .collect();
    let missing = action.inputs.iter().filter(|(name, required)| **required && !with.contains_key(*name));
    wrong.extend(missing.map(|(name, _)| format!("{}: the input '{name}' is required", step.place)));
    let command = step.command().unwrap_or_default();
    let groups = ONE_OF.iter().filter(|(name, inputs)| *name == command && !inputs.is_empty());
    for (_, inputs) in groups {
        if !with.keys().any(|name| inputs.contains(&name.as_str()) || name == "environment") {
            wrong.push(format!("{}: one of {} is needed", step.place, inputs.join(", ")));
        }
    }
    wrong
}

/// Further names of inputs are accepted and stand in no action.yml.
fn is_alias(step: &Step<'_>, name: &str) -> bool {
    let command = step.command().unwrap_or_default();
    let descriptors = landfall::commands::all();
    let found = descriptors.iter().find(|descriptor| descriptor.name == command);
    found.is_some_and(|found| found.all_inputs().iter().any(|input| input.aliases.iter().any(|alias| alias == name)))
}

/// What the steps and jobs of a workflow give to others.
struct Given {
    /// Outputs by step; `None` when they cannot be known (an action of somebody else's).
    steps: BTreeMap<String, Option<BTreeSet<String>>>,
}

fn outputs_of(path: &str, step: &Step<'_>) -> Option<BTreeSet<String>> {
    if let Some(run) = step.value["run"].as_str() {
        // `echo "name=value" >> "$GITHUB_OUTPUT"`: whatever stands before an equals sign in a script that writes there.
        let words = run.split(|c: char| !c.is_ascii_alphanumeric() && !"_-=<".contains(c));
        let names = words.filter_map(|word| word.split(['=', '<']).next()).map(str::to_owned);
        return Some(if run.contains("GITHUB_OUTPUT") { names.collect() } else { BTreeSet::new() });
    }
    let action = step.uses().and_then(our_action)?;
    let mut outputs = if root().join(&action).is_file() { Action::read(&action).outputs } else { BTreeSet::new() };
    if step.command().as_deref() == Some("config") {
        let config = config_of(path);
        let keys = config["environments"].as_object().into_iter().flatten();
        outputs.extend(
            keys.flat_map(|(_, section)| section.as_object().into_iter().flatten()).map(|(key, _)| key.clone()),
        );
    }
    Some(outputs)
}

#[test]
fn every_output_that_is_read_is_declared() {
    let mut wrong = Vec::new();
    for path in workflows() {
        let workflow = yaml(&path);
        let inputs = dispatch_inputs(&workflow);
        for (job, value) in jobs(&workflow) {
            let mut given = Given { steps: BTreeMap::new() };
            for step in steps(&path, job, value) {
                check(&step.place, step.value, &given, value, &workflow, &inputs, &mut wrong);
                if let Some(id) = step.value["id"].as_str() {
                    given.steps.insert(id.to_owned(), outputs_of(&path, &step));
                }
            }
            let mut rest = value.clone();
            rest.as_object_mut().unwrap().remove("steps");
            check(&format!("{path}: {job}"), &rest, &given, value, &workflow, &inputs, &mut wrong);
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// Names of the inputs that the workflow's triggers declare.
fn dispatch_inputs(workflow: &Value) -> BTreeSet<String> {
    let on = if workflow["on"].is_null() { &workflow["true"] } else { &workflow["on"] };
    let of = |trigger: &str| on[trigger]["inputs"].as_object().into_iter().flatten().map(|(name, _)| name.clone());
    of("workflow_dispatch").chain(of("workflow_call")).collect()
}

fn check(
    place: &str,
    value: &Value,
    given: &Given,
    job: &Value,
    workflow: &Value,
    inputs: &BTreeSet<String>,
    wrong: &mut Vec<String>,
) {
    let found = references(value).unwrap_or_else(|error| panic!("{place}: {error}"));
    for reference in found {
        let error = match &reference {
            Reference::Step { id, output } => match (given.steps.get(id), output) {
                (None, _) => Some(format!("no step '{id}' comes before")),
                (Some(Some(outputs)), Some(output)) if !outputs.contains(output) => {
                    Some(format!("the step '{id}' has no output '{output}'"))
                }
                _ => None,
            },
            Reference::Need { job: needed, output } => need_error(needed, output.as_deref(), job, workflow),
            Reference::Input(name) => {
                (!inputs.contains(name)).then(|| format!("no trigger declares the input '{name}'"))
            }
            Reference::Matrix(name) => {
                let matrix = &job["strategy"]["matrix"];
                let listed = matrix.as_str().is_some() || matrix.get(name).is_some();
                let included =
                    matrix["include"].as_array().into_iter().flatten().any(|entry| entry.get(name).is_some());
                let known = listed || included || matrix["include"].is_string();
                (!known).then(|| format!("the matrix has no '{name}'"))
            }
        };
        wrong.extend(error.map(|error| format!("{place}: {error}")));
    }
}

fn need_error(needed: &str, output: Option<&str>, job: &Value, workflow: &Value) -> Option<String> {
    let needs = match &job["needs"] {
        Value::String(one) => vec![one.as_str()],
        list => list.as_array().into_iter().flatten().filter_map(Value::as_str).collect(),
    };
    if !needs.contains(&needed) {
        return Some(format!("the job does not need '{needed}'"));
    }
    let other = &workflow["jobs"][needed];
    if other["uses"].is_string() {
        return None;
    }
    let output = output?;
    other["outputs"].get(output).is_none().then(|| format!("the job '{needed}' has no output '{output}'"))
}

#[test]
fn every_job_states_its_permissions_and_has_what_its_commands_need() {
    let mut wrong = Vec::new();
    for path in workflows() {
        let workflow = yaml(&path);
        for (job, value) in jobs(&workflow) {
            if value["uses"].is_string() {
                continue;
            }
            let place = format!("{path}: {job}");
            let stated = if value["permissions"].is_null() { &workflow["permissions"] } else { &value["permissions"] };
            if stated.is_null() {
                wrong.push(format!("{place}: states no permissions"));
                continue;
            }
            for (scope, access) in needed(&path, value) {
                if !grants(stated, scope, access) {
                    wrong.push(format!("{place}: needs `{scope}: {}`", access.as_str()));
                }
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// What the commands of a job need of its token.
fn needed(path: &str, job: &Value) -> Vec<(&'static str, Access)> {
    let found = steps_of(&serde_json::json!({ "jobs": { "one": job } }));
    let written = serde_json::to_string(job).unwrap() + &serde_json::to_string(&config_of(path)).unwrap();
    let mut registries = Vec::new();
    if written.contains("ghcr.io/") {
        registries.push(Registry::Ghcr);
    }
    let with = ["workflow", "artifact"];
    let set = |name: &&str| found.iter().any(|step| step.with.get(*name).is_some_and(|value| !value.is_empty()));
    // A token of its own has its own permissions, and a report that comments never needs none.
    let own_token = |step: &&landfall::domain::workflow_use::StepUse| {
        let comments_never = step.with.get("comment").is_some_and(|comment| comment == "never");
        !step.with.contains_key("github_token") && !comments_never
    };
    let uses = Uses {
        commands: found.iter().filter(own_token).map(|step| step.command.clone()).collect(),
        with: with.iter().filter(|name| set(name)).map(|name| (*name).to_owned()).collect(),
        registries,
        assumes_role: found.iter().any(|step| step.with.contains_key("role_to_assume")),
    };
    uses.github()
}

fn grants(stated: &Value, scope: &str, access: Access) -> bool {
    match stated.as_str() {
        Some("write-all") => return true,
        Some("read-all") => return access == Access::Read,
        _ => {}
    }
    match stated[scope].as_str() {
        Some("write") => true,
        Some("read") => access == Access::Read,
        _ => false,
    }
}

#[test]
fn every_job_has_a_time_limit_and_no_javascript_action_but_checkout() {
    let mut wrong = Vec::new();
    for path in workflows().into_iter().filter(|path| path.starts_with("examples/")) {
        let workflow = yaml(&path);
        for (job, value) in jobs(&workflow).into_iter().filter(|(_, value)| !value["uses"].is_string()) {
            if value["timeout-minutes"].is_null() {
                wrong.push(format!("{path}: {job} has no timeout-minutes"));
            }
            for step in steps(&path, job, value) {
                let foreign = step.uses().filter(|uses| our_action(uses).is_none() && !is_allowed(uses));
                wrong.extend(foreign.map(|uses| format!("{}: uses {uses}", step.place)));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// A checkout on the host, and files that steps of others hand on between jobs and runs: those are GitHub's own actions,
/// pinned by commit.
fn is_allowed(uses: &str) -> bool {
    let Some((action, version)) = uses.split_once('@') else {
        return false;
    };
    let is_pinned = version.len() == 40 && version.bytes().all(|byte| byte.is_ascii_hexdigit());
    let carries =
        ["actions/upload-artifact", "actions/download-artifact", "actions/cache/restore", "actions/cache/save"];
    action == "actions/checkout" || is_pinned && carries.contains(&action)
}

/// Snippets of the pages are copied, too.
#[test]
fn every_snippet_of_the_documentation_gives_inputs_that_exist() {
    let mut wrong = Vec::new();
    for page in super::files("docs", &[".md"]).into_iter().chain(["README.md".to_owned()]) {
        for snippet in super::documents::snippets(&text(&page), "yaml") {
            let Ok(value) = serde_yaml::from_str::<Value>(&snippet) else {
                continue;
            };
            let listed = serde_json::json!({ "steps": value });
            let jobs = jobs(&value).into_iter().map(|(name, job)| (name.clone(), job.clone()));
            for (job, value) in jobs.chain([("snippet".to_owned(), listed)]) {
                for step in steps(&page, &job, &value) {
                    let Some(action) = step.uses().and_then(our_action) else {
                        continue;
                    };
                    if root().join(&action).is_file() {
                        let unknown = wrong_inputs(&step, &Action::read(&action));
                        wrong.extend(unknown.into_iter().filter(|said| said.contains("no input")));
                    } else {
                        wrong.push(format!("{}: there is no {action}", step.place));
                    }
                }
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// The checks above pass when there is nothing to find; here there is.
#[test]
fn what_is_wrong_in_a_workflow_is_found() {
    let workflow = serde_json::json!({
        "on": { "workflow_dispatch": { "inputs": { "level": {} } } },
        "jobs": {
            "one": { "runs-on": "x", "outputs": { "image": "y" }, "steps": [] },
            "two": { "runs-on": "x", "needs": "one", "strategy": { "matrix": { "os": ["a"] } }, "steps": [
                { "id": "name", "uses": "landfall-ci/landfall/actions/tags@v1", "with": { "tagz": 1, "image": "${{ inputs.nope }}" } },
                { "uses": "landfall-ci/landfall@v1", "with": { "command": "deploy" } },
                { "run": "echo ${{ steps.name.outputs.tag }} ${{ steps.name.outputs.typo }} ${{ steps.later.outputs.x }}" },
                { "run": "echo ${{ needs.one.outputs.image }} ${{ needs.one.outputs.digest }} ${{ needs.zero.outputs.x }}" },
                { "run": "echo ${{ matrix.os }} ${{ matrix.arch }} ${{ inputs.level }}" },
            ] },
        },
    });
    let job = &workflow["jobs"]["two"];
    let (mut wrong, mut given) = (Vec::new(), Given { steps: BTreeMap::new() });
    for step in steps("w.yml", "two", job) {
        if let Some(action) = step.uses().and_then(our_action) {
            wrong.extend(wrong_inputs(&step, &Action::read(&action)));
        }
        check(&step.place, step.value, &given, job, &workflow, &dispatch_inputs(&workflow), &mut wrong);
        if let Some(id) = step.value["id"].as_str() {
            given.steps.insert(id.to_owned(), outputs_of("examples/none/.github/workflows/w.yml", &step));
        }
    }
    let said = wrong.join("\n");
    for found in [
        "no input 'tagz'",
        "declares the input 'nope'",
        "one of cluster, environment is needed",
        "the step 'name' has no output 'typo'",
        "no step 'later' comes before",
        "the job 'one' has no output 'digest'",
        "the job does not need 'zero'",
        "the matrix has no 'arch'",
    ] {
        assert!(said.contains(found), "'{found}' is not in:\n{said}");
    }
    assert_eq!(wrong.len(), 8, "{said}");
    let needs = needed(
        "examples/none/.github/workflows/w.yml",
        &serde_json::json!({ "steps": [
        { "uses": "landfall-ci/landfall/actions/metrics@v1", "with": { "images": "ghcr.io/acme/app" } } ] }),
    );
    assert_eq!(needs, [("actions", Access::Read), ("contents", Access::Read), ("packages", Access::Read)]);
    assert!(!grants(&serde_json::json!({ "actions": "read" }), "actions", Access::Write));
    assert!(grants(&serde_json::json!("read-all"), "actions", Access::Read));
}
