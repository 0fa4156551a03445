//! Purpose: a run of a workflow, job after job in the order of their `needs`.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Map, Value, json};

use crate::event::{Event, listens};
use crate::expression::{Scope, Status, condition, interpolate, text};
use crate::hosts::{Done, Host};
use crate::job::{Job, JobEnd};
use crate::stage::{Network, Stage};

/// Plays a step of the runner's own.
pub(crate) type Stand<'a> = Box<dyn Fn(&mut Host<'_>) -> Done + 'a>;

/// One run to be walked.
pub(crate) struct Walk<'a> {
    pub(crate) stage: &'a Stage,
    pub(crate) path: String,
    pub(crate) workflow: Value,
    pub(crate) event: Event,
    pub(crate) run: u64,
    pub(crate) network: Network,
    pub(crate) secrets: BTreeMap<String, String>,
    /// Job, beginning of the step, stand-in.
    pub(crate) hosts: Vec<(String, String, Stand<'a>)>,
    /// Command, input, value: what this machine needs besides, because its registry has another kind of name, because
    /// nothing can be pulled, or because nobody wants to wait.
    pub(crate) given: Vec<(String, String, String)>,
    /// Matrix entries that are walked, by their values; all when empty.
    pub(crate) only: Vec<String>,
    pub(crate) played: std::cell::RefCell<BTreeSet<usize>>,
}

impl<'a> Walk<'a> {
    pub(crate) fn new(stage: &'a Stage, path: &str, event: Event, run: u64) -> Self {
        let text = std::fs::read_to_string(format!("{}/{path}", env!("CARGO_MANIFEST_DIR")))
            .unwrap_or_else(|error| panic!("{path}: {error}"));
        Self::of_text(stage, path, &text, event, run)
    }

    /// A workflow that is no file.
    pub(crate) fn of_text(stage: &'a Stage, path: &str, text: &str, event: Event, run: u64) -> Self {
        let workflow: Value = serde_yaml::from_str(&stage.renamed(text)).unwrap();
        assert!(listens(&workflow, &event), "{path} does not listen to this {}", event.name);
        Self {
            stage,
            path: path.to_owned(),
            workflow,
            event,
            run,
            network: Network::Bridge,
            secrets: BTreeMap::new(),
            hosts: Vec::new(),
            given: Vec::new(),
            only: Vec::new(),
            played: std::cell::RefCell::default(),
        }
    }

    /// Names the stand-in of a step: its job, and the beginning of its name, id, action or command.
    pub(crate) fn host(mut self, job: &str, step: &str, stand: impl Fn(&mut Host<'_>) -> Done + 'a) -> Self {
        self.hosts.push((job.to_owned(), step.to_owned(), Box::new(stand)));
        self
    }

    /// An input that every step of a command is given besides.
    pub(crate) fn given(mut self, command: &str, input: &str, value: &str) -> Self {
        self.given.push((command.to_owned(), input.to_owned(), value.to_owned()));
        self
    }

    pub(crate) fn secret(mut self, name: &str, value: &str) -> Self {
        self.secrets.insert(name.to_owned(), value.to_owned());
        self
    }

    /// Containers share the machine's network.
    pub(crate) fn on_host_network(mut self) -> Self {
        self.network = Network::Host;
        self
    }

    /// Walks only one entry of the matrices.
    pub(crate) fn only(mut self, values: &str) -> Self {
        self.only.push(values.to_owned());
        self
    }

    /// Walks to the end.
    ///
    /// # Panics
    /// When a step of the runner's own has no stand-in, or a stand-in no step.
    pub(crate) fn go(self) -> Walked {
        self.stage.world.state().artifacts.run = self.run;
        let mut walked = Walked {
            title: format!("{} on {}", self.path, self.event.name),
            shown: self.stage.shown.borrow().clone(),
            jobs: Vec::new(),
        };
        for name in order(&self.workflow) {
            let end = self.job(&name, &walked);
            walked.jobs.push((name, end));
        }
        for (index, (job, step, _)) in self.hosts.iter().enumerate() {
            // A job that did not run, or not to its end, may need none.
            let ran =
                walked.jobs.iter().any(|(name, ends)| name == job && ends.iter().all(|end| end.result == "success"));
            assert!(!ran || self.played.borrow().contains(&index), "{}: no step '{step}' in {job}", self.path);
        }
        walked.shown.clone_from(&self.stage.shown.borrow());
        walked
    }

    fn job(&self, name: &str, walked: &Walked) -> Vec<JobEnd> {
        let job = &self.workflow["jobs"][name];
        let needs = needs(job);
        let mut context = Map::new();
        for needed in &needs {
            let result = walked.result(needed);
            let outputs: Map<String, Value> =
                walked.end(needed).iter().flat_map(|end| end.outputs.clone()).map(|(k, v)| (k, v.into())).collect();
            context.insert(needed.clone(), json!({ "result": result, "outputs": outputs }));
        }
        let results: Vec<&str> = needs.iter().map(|needed| walked.result(needed)).collect();
        let status = if results.contains(&"failure") {
            Status::Failure
        } else if results.contains(&"cancelled") {
            Status::Cancelled
        } else if results.contains(&"skipped") {
            Status::Skipped
        } else {
            Status::Success
        };
        let scope = JobScope { walk: self, needs: Value::Object(context), status, matrix: Value::Null };
        if !condition(&job["if"], &scope) {
            return vec![JobEnd::skipped(name)];
        }
        let entries = matrix(&job["strategy"]["matrix"], &scope);
        let only_one = entries.len() == 1;
        let fail_fast = job["strategy"]["fail-fast"] != false;
        let mut ends: Vec<JobEnd> = Vec::new();
        for entry in entries {
            let values =
                entry.as_object().into_iter().flatten().map(|(_, value)| text(value)).collect::<Vec<_>>().join(" ");
            let title = if values.is_empty() { name.to_owned() } else { format!("{name} ({values})") };
            if !only_one && !self.only.is_empty() && !self.only.contains(&values) {
                ends.push(JobEnd { title: format!("{title}, not walked"), result: "success", ..JobEnd::default() });
                continue;
            }
            if fail_fast && ends.iter().any(|end| end.result == "failure") {
                ends.push(JobEnd { title, result: "cancelled", ..JobEnd::default() });
                continue;
            }
            let scope = JobScope { walk: self, needs: scope.needs.clone(), status, matrix: entry };
            ends.push(Job::new(self, name, job, &scope).run(title));
        }
        ends
    }
}

fn needs(job: &Value) -> Vec<String> {
    match &job["needs"] {
        Value::String(one) => vec![one.clone()],
        list => list.as_array().into_iter().flatten().filter_map(|name| name.as_str().map(str::to_owned)).collect(),
    }
}

/// Jobs, each after those that it needs.
fn order(workflow: &Value) -> Vec<String> {
    let jobs = workflow["jobs"].as_object().unwrap();
    let mut ordered: Vec<String> = Vec::new();
    while ordered.len() < jobs.len() {
        let ready = jobs
            .iter()
            .find(|(name, job)| !ordered.contains(name) && needs(job).iter().all(|needed| ordered.contains(needed)));
        ordered.push(ready.unwrap_or_else(|| panic!("jobs need each other in a circle")).0.clone());
    }
    ordered
}

/// The entries of a matrix: every combination, less `exclude`, and `include` besides.
fn matrix(matrix: &Value, scope: &JobScope<'_>) -> Vec<Value> {
    let evaluated = crate::job::evaluated(matrix, scope);
    let Some(fields) = evaluated.as_object() else {
        return vec![Value::Null];
    };
    let mut entries = vec![Map::new()];
    for (name, values) in fields.iter().filter(|(name, _)| !["include", "exclude"].contains(&name.as_str())) {
        let values = values.as_array().cloned().unwrap_or_default();
        let with = |entry: &Map<String, Value>, value: &Value| {
            let mut entry = entry.clone();
            entry.insert(name.clone(), value.clone());
            entry
        };
        entries = entries
            .iter()
            .flat_map(|entry| values.iter().map(|value| with(entry, value)).collect::<Vec<_>>())
            .collect();
    }
    assert!(fields.get("exclude").is_none(), "no example excludes anything; teach this to the rehearsal");
    if let Some(included) = fields.get("include").and_then(Value::as_array) {
        assert!(fields.len() == 1, "no example has values and `include`; teach this to the rehearsal");
        return included.clone();
    }
    entries.into_iter().map(Value::Object).collect()
}

/// What expressions of a job see before it runs.
pub(crate) struct JobScope<'a> {
    pub(crate) walk: &'a Walk<'a>,
    pub(crate) needs: Value,
    pub(crate) status: Status,
    pub(crate) matrix: Value,
}

impl Scope for JobScope<'_> {
    fn context(&self, name: &str) -> Value {
        match name {
            "github" => self.github(),
            "needs" => self.needs.clone(),
            "inputs" => self.inputs(),
            "matrix" => self.matrix.clone(),
            "strategy" => json!({ "fail-fast": true }),
            "vars" => json!({}),
            "secrets" => {
                let mut secrets: Map<String, Value> =
                    self.walk.secrets.iter().map(|(k, v)| (k.clone(), v.as_str().into())).collect();
                secrets.insert("GITHUB_TOKEN".into(), crate::stage::JOB_TOKEN.into());
                Value::Object(secrets)
            }
            "env" => self.env(),
            _ => Value::Null,
        }
    }

    fn status(&self) -> Status {
        self.status
    }

    fn hash_files(&self, _: &[String]) -> String {
        String::new()
    }
}

impl JobScope<'_> {
    fn github(&self) -> Value {
        let (walk, event) = (self.walk, &self.walk.event);
        json!({
            "event_name": event.name, "event": event.payload, "sha": event.sha, "ref": event.reference,
            "ref_name": event.ref_name(), "ref_type": "branch", "head_ref": event.head_ref, "base_ref": event.base_ref,
            "repository": crate::event::REPOSITORY, "repository_owner": "acme", "actor": event.actor,
            "triggering_actor": event.actor, "run_id": walk.run.to_string(), "run_number": "1", "run_attempt": "1",
            "workflow": walk.workflow["name"], "token": crate::stage::JOB_TOKEN,
            "server_url": "https://github.com", "api_url": "https://api.github.com",
        })
    }

    /// Inputs with the types and defaults that the workflow declares; none when nobody gave any.
    fn inputs(&self) -> Value {
        let event = &self.walk.event;
        if event.name != "workflow_dispatch" {
            return json!({});
        }
        let declared = self.walk.workflow["on"]["workflow_dispatch"]["inputs"].as_object().cloned().unwrap_or_default();
        for name in event.payload["inputs"].as_object().into_iter().flatten().map(|(name, _)| name) {
            assert!(declared.contains_key(name), "{} has no input '{name}'", self.walk.path);
        }
        let value = |(name, input): (&String, &Value)| {
            let given = &event.payload["inputs"][name];
            let value = text(if given.is_null() { &input["default"] } else { given });
            assert!(input["required"] != true || !value.is_empty(), "the input '{name}' is required");
            let typed = match input["type"].as_str() {
                Some("boolean") => json!(value == "true"),
                Some("number") => value.parse::<f64>().map_or(Value::Null, |number| json!(number)),
                _ => json!(value),
            };
            (name.clone(), typed)
        };
        Value::Object(declared.iter().map(value).collect())
    }

    /// `env` of workflow and job.
    fn env(&self) -> Value {
        let mut all = Map::new();
        for (name, value) in self.walk.workflow["env"].as_object().into_iter().flatten() {
            // Values of the workflow's own `env` speak of `github`, `inputs`, `secrets` and `vars` only.
            let value = value.as_str().map_or_else(|| value.clone(), |template| interpolate(template, &Outer(self)));
            all.insert(name.clone(), text(&value).into());
        }
        Value::Object(all)
    }
}

/// The contexts that the workflow's own `env` sees.
struct Outer<'a>(&'a JobScope<'a>);

impl Scope for Outer<'_> {
    fn context(&self, name: &str) -> Value {
        if ["github", "inputs", "secrets", "vars"].contains(&name) { self.0.context(name) } else { Value::Null }
    }

    fn status(&self) -> Status {
        Status::Success
    }

    fn hash_files(&self, _: &[String]) -> String {
        String::new()
    }
}

/// How a run went.
pub(crate) struct Walked {
    pub(crate) title: String,
    pub(crate) shown: Vec<(String, String)>,
    /// In the order in which they ran; several ends for a matrix.
    pub(crate) jobs: Vec<(String, Vec<JobEnd>)>,
}

impl Walked {
    fn end(&self, job: &str) -> &[JobEnd] {
        self.jobs.iter().find(|(name, _)| name == job).map_or(&[], |(_, ends)| ends)
    }

    /// `success`, `failure`, `cancelled` or `skipped`.
    pub(crate) fn result(&self, job: &str) -> &'static str {
        let results: Vec<&str> = self.end(job).iter().map(|end| end.result).collect();
        assert!(!results.is_empty(), "there is no job '{job}'");
        ["failure", "cancelled", "skipped"].into_iter().find(|worst| results.contains(worst)).unwrap_or("success")
    }

    /// Asserts how jobs ended.
    #[track_caller]
    pub(crate) fn ended(&self, expected: &[(&str, &str)]) -> &Self {
        for (job, result) in expected {
            assert_eq!(self.result(job), *result, "{job}\n{}\n{}", self.told(), self.logs());
        }
        self
    }

    /// An output of a step, by its id or the beginning of its label.
    pub(crate) fn output(&self, job: &str, step: &str, name: &str) -> String {
        let steps = self.end(job).iter().flat_map(|end| &end.steps);
        let found = steps.filter(|found| found.answers_to(step)).find_map(|step| step.outputs.get(name));
        found.cloned().unwrap_or_default()
    }

    /// The summaries of a job's steps.
    pub(crate) fn summary(&self, job: &str) -> String {
        self.end(job).iter().flat_map(|end| &end.steps).map(|step| step.summary.as_str()).collect()
    }

    /// The logs of all steps that failed.
    pub(crate) fn logs(&self) -> String {
        let steps = self.jobs.iter().flat_map(|(_, ends)| ends).flat_map(|end| end.steps.iter().chain(&end.posts));
        steps
            .filter(|step| step.outcome == "failure")
            .map(|step| format!("--- {}\n{}\n", step.label, step.log))
            .collect()
    }

    /// The whole log, for looking for something.
    pub(crate) fn log(&self) -> String {
        let steps = self.jobs.iter().flat_map(|(_, ends)| ends).flat_map(|end| end.steps.iter().chain(&end.posts));
        steps.map(|step| format!("--- {}\n{}\n", step.label, step.log)).collect()
    }
}
