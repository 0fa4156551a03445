//! Purpose: one job on a runner of its own: its folders, its environment, its steps, and the last stages in reverse order.

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::PathBuf;

use serde_json::{Map, Value, json};
use tempfile::TempDir;

use crate::expression::{Scope, Status, condition, interpolate, text};
use crate::hosts::Host;
use crate::step::{Action, Stage as Phase, container};
use crate::walk::{JobScope, Walk};

/// How a job ended.
#[derive(Debug, Clone, Default)]
pub(crate) struct JobEnd {
    pub(crate) title: String,
    /// `success`, `failure`, `cancelled`, `skipped`.
    pub(crate) result: &'static str,
    pub(crate) outputs: BTreeMap<String, String>,
    /// Outputs that the runner drops, because they hold something that is masked.
    pub(crate) dropped: Vec<String>,
    pub(crate) steps: Vec<StepEnd>,
    /// Last stages, in the order in which they ran.
    pub(crate) posts: Vec<StepEnd>,
}

impl JobEnd {
    pub(crate) fn skipped(name: &str) -> Self {
        Self { title: name.to_owned(), result: "skipped", ..Self::default() }
    }
}

/// How a step ended.
#[derive(Debug, Clone, Default)]
pub(crate) struct StepEnd {
    pub(crate) label: String,
    pub(crate) id: String,
    /// `success`, `failure`, `skipped`.
    pub(crate) outcome: &'static str,
    pub(crate) exit_code: Option<i32>,
    pub(crate) outputs: BTreeMap<String, String>,
    pub(crate) summary: String,
    pub(crate) log: String,
    /// The title and text of each error annotation.
    pub(crate) errors: Vec<String>,
    /// What the stand-in of a step of the runner's own says; none for steps of ours.
    pub(crate) stand_in: Option<String>,
}

impl StepEnd {
    pub(crate) fn answers_to(&self, name: &str) -> bool {
        self.id == name || self.label.starts_with(name)
    }
}

/// A job under way.
pub(crate) struct Job<'a> {
    pub(crate) walk: &'a Walk<'a>,
    pub(crate) name: String,
    value: &'a Value,
    outer: &'a JobScope<'a>,
    pub(crate) folder: TempDir,
    /// Of workflow and job, and what steps exported.
    pub(crate) env: RefCell<Map<String, Value>>,
    steps: RefCell<Map<String, Value>>,
    pub(crate) masks: RefCell<BTreeSet<String>>,
    failed: std::cell::Cell<bool>,
}

/// What expressions of a step see.
struct StepScope<'a> {
    job: &'a Job<'a>,
    env: Map<String, Value>,
}

impl Scope for StepScope<'_> {
    fn context(&self, name: &str) -> Value {
        let job = self.job;
        match name {
            "env" => Value::Object(self.env.clone()),
            "steps" => Value::Object(job.steps.borrow().clone()),
            "job" => json!({ "status": if job.failed.get() { "failure" } else { "success" } }),
            "runner" => json!({ "os": "Linux", "arch": "X64", "temp": job.temp(), "name": "rehearsal" }),
            "github" => {
                let mut github = job.outer.context("github");
                github["workspace"] = json!(job.workspace());
                github["job"] = json!(job.name);
                github
            }
            other => job.outer.context(other),
        }
    }

    fn status(&self) -> Status {
        if self.job.failed.get() { Status::Failure } else { Status::Success }
    }

    fn hash_files(&self, globs: &[String]) -> String {
        let found = globs.iter().any(|glob| self.job.workspace().join(glob).is_file());
        if found { "0a1b2c".to_owned() } else { String::new() }
    }
}

/// A tree with all its expressions evaluated.
pub(crate) fn evaluated(value: &Value, scope: &dyn Scope) -> Value {
    match value {
        Value::String(template) => interpolate(template, scope),
        Value::Array(entries) => entries.iter().map(|entry| evaluated(entry, scope)).collect(),
        Value::Object(fields) => {
            Value::Object(fields.iter().map(|(name, field)| (name.clone(), evaluated(field, scope))).collect())
        }
        other => other.clone(),
    }
}

/// A step of ours that has a last stage: where it stands, and what it left for that.
struct Post<'a> {
    step: &'a Value,
    action: Action,
    end: StepEnd,
    state: BTreeMap<String, String>,
}

impl<'a> Job<'a> {
    pub(crate) fn new(walk: &'a Walk<'a>, name: &str, value: &'a Value, outer: &'a JobScope<'a>) -> Self {
        let folder = tempfile::Builder::new().prefix("landfall-rehearsal-").tempdir().unwrap();
        let job = Self {
            walk,
            name: name.to_owned(),
            value,
            outer,
            folder,
            env: RefCell::default(),
            steps: RefCell::default(),
            masks: RefCell::default(),
            failed: std::cell::Cell::new(false),
        };
        for path in
            [job.workspace(), job.commands(), job.temp().join("_github_home"), job.temp().join("_github_workflow")]
        {
            fs::create_dir_all(path).unwrap();
        }
        fs::write(job.temp().join("_github_workflow/event.json"), walk.event.payload.to_string()).unwrap();
        let secrets = walk.secrets.values().filter(|secret| !secret.is_empty()).cloned();
        job.masks.borrow_mut().extend(secrets.chain([crate::stage::JOB_TOKEN.to_owned()]));
        let mut env = outer.context("env").as_object().cloned().unwrap_or_default();
        for (name, value) in evaluated(&value["env"], outer).as_object().into_iter().flatten() {
            env.insert(name.clone(), text(value).into());
        }
        *job.env.borrow_mut() = env;
        job
    }

    pub(crate) fn workspace(&self) -> PathBuf {
        self.folder.path().join("work/app/app")
    }

    pub(crate) fn temp(&self) -> PathBuf {
        self.folder.path().join("work/_temp")
    }

    pub(crate) fn commands(&self) -> PathBuf {
        self.temp().join("_runner_file_commands")
    }

    /// The token's permissions, as the job or the workflow states them.
    pub(crate) fn permission(&self, scope: &str) -> &str {
        let own = &self.value["permissions"];
        let stated = if own.is_null() { &self.walk.workflow["permissions"] } else { own };
        match stated {
            Value::String(all) if all == "read-all" => "read",
            Value::String(all) if all == "write-all" => "write",
            stated => stated[scope].as_str().unwrap_or("none"),
        }
    }

    /// The world's token may do what the job states, and no more.
    fn limit_token(&self) {
        let scopes = ["actions", "checks", "contents", "packages", "pull-requests", "statuses"];
        let lacks = scopes.iter().filter_map(|scope| match self.permission(scope) {
            "write" => None,
            "read" => Some(format!("{scope}:write")),
            _ => Some((*scope).to_owned()),
        });
        let lacks = lacks.collect();
        let mut state = self.walk.stage.world.state();
        state.github.tokens.get_mut(crate::stage::JOB_TOKEN).unwrap().lacks = lacks;
    }

    pub(crate) fn run(self, title: String) -> JobEnd {
        self.limit_token();
        let (mut steps, mut posts) = (Vec::new(), Vec::new());
        for step in self.value["steps"].as_array().into_iter().flatten() {
            let (end, post) = self.step(step);
            if end.outcome == "failure" && step["continue-on-error"] != true {
                self.failed.set(true);
            }
            if !end.id.is_empty() {
                let conclusion =
                    if step["continue-on-error"] == true && end.outcome == "failure" { "success" } else { end.outcome };
                let known = json!({ "outcome": end.outcome, "conclusion": conclusion, "outputs": end.outputs });
                self.steps.borrow_mut().insert(end.id.clone(), known);
            }
            posts.extend(post);
            steps.push(end);
        }
        let ended: Vec<StepEnd> = posts.iter().rev().map(|post| self.last_stage(post)).collect();
        if ended.iter().any(|end| end.outcome == "failure") {
            self.failed.set(true);
        }
        let (outputs, dropped) = self.outputs();
        JobEnd {
            title,
            result: if self.failed.get() { "failure" } else { "success" },
            outputs,
            dropped,
            steps,
            posts: ended,
        }
    }

    /// What other jobs get, and what they do not because it holds a secret.
    fn outputs(&self) -> (BTreeMap<String, String>, Vec<String>) {
        let scope = self.scope(&Value::Null);
        let all = evaluated(&self.value["outputs"], &scope);
        let (mut outputs, mut dropped) = (BTreeMap::new(), Vec::new());
        for (name, value) in all.as_object().into_iter().flatten() {
            let value = text(value);
            if self.masks.borrow().iter().any(|mask| value.contains(mask.as_str())) {
                dropped.push(name.clone());
            } else if !value.is_empty() {
                outputs.insert(name.clone(), value);
            }
        }
        (outputs, dropped)
    }

    fn scope<'b>(&'b self, env: &Value) -> StepScope<'b> {
        let mut scope = StepScope { job: self, env: self.env.borrow().clone() };
        for (name, value) in evaluated(env, &scope).as_object().into_iter().flatten() {
            scope.env.insert(name.clone(), text(value).into());
        }
        scope
    }

    fn step<'b>(&'b self, step: &'b Value) -> (StepEnd, Option<Post<'b>>) {
        let scope = self.scope(&step["env"]);
        let mut end = StepEnd { label: label(step), id: text(&step["id"]), outcome: "skipped", ..StepEnd::default() };
        if !condition(&step["if"], &scope) {
            return (end, None);
        }
        let uses = text(&step["uses"]);
        let Some(action) = Action::of(&uses) else {
            self.on_the_runner(step, &scope, &mut end);
            return (end, None);
        };
        let state = self.contained(&action, step, &scope, &Phase::Main, &mut end);
        let post = action.has_post().then(|| Post { step, action, end: end.clone(), state });
        (end, post)
    }

    fn last_stage(&self, post: &Post<'_>) -> StepEnd {
        let scope = self.scope(&post.step["env"]);
        let mut end = StepEnd { label: post.end.label.clone(), id: post.end.id.clone(), ..StepEnd::default() };
        self.contained(&post.action, post.step, &scope, &Phase::Post(post.state.clone()), &mut end);
        end
    }

    /// Runs a step of ours; gives the state that it leaves to its last stage.
    fn contained(
        &self,
        action: &Action,
        step: &Value,
        scope: &StepScope<'_>,
        phase: &Phase,
        end: &mut StepEnd,
    ) -> BTreeMap<String, String> {
        let mut inputs = action.defaults(scope);
        for (name, value) in evaluated(&step["with"], scope).as_object().into_iter().flatten() {
            inputs.insert(name.clone(), text(value));
        }
        let ours = action.command(&inputs);
        let given = self.walk.given.iter().filter(|(command, ..)| *command == ours);
        inputs.extend(given.map(|(_, name, value)| (name.clone(), value.clone())));
        let left = container(self, action, &inputs, &scope.env, phase);
        for (name, value) in left.exported {
            self.env.borrow_mut().insert(name, value.into());
        }
        end.outcome = if left.exit_code == Some(0) { "success" } else { "failure" };
        end.exit_code = left.exit_code;
        end.outputs = left.outputs;
        end.summary = left.summary;
        end.log = left.log;
        end.errors = left.errors;
        left.state
    }

    /// A step of the runner's own is played by its stand-in.
    fn on_the_runner(&self, step: &Value, scope: &StepScope<'_>, end: &mut StepEnd) {
        let command = if step["uses"].is_string() { text(&step["uses"]) } else { text(&step["run"]) };
        let walk = self.walk;
        let names = [end.label.clone(), end.id.clone(), text(&step["name"]), command];
        let fits = |wanted: &str| names.iter().any(|name| !name.is_empty() && name.starts_with(wanted));
        let found = walk.hosts.iter().position(|(job, wanted, _)| *job == self.name && fits(wanted));
        let index = found.unwrap_or_else(|| panic!("{}: nobody plays '{}' of {}", walk.path, end.label, self.name));
        walk.played.borrow_mut().insert(index);
        let with = evaluated(&step["with"], scope);
        let strings =
            |fields: &Map<String, Value>| fields.iter().map(|(name, value)| (name.clone(), text(value))).collect();
        let mut host = Host {
            stage: walk.stage,
            workspace: self.workspace(),
            with: with.as_object().map(strings).unwrap_or_default(),
            env: strings(&scope.env),
            sha: walk.event.sha.clone(),
            outputs: BTreeMap::new(),
            says: String::new(),
        };
        let done = (walk.hosts[index].2)(&mut host);
        end.outcome = if done.is_ok() { "success" } else { "failure" };
        end.outputs = host.outputs;
        end.stand_in = Some(done.err().map_or(host.says, |reason| format!("fails: {reason}")));
    }
}

/// What a step is called: its name, else its action or the first line of its command.
fn label(step: &Value) -> String {
    if let Some(name) = step["name"].as_str() {
        return name.to_owned();
    }
    if let Some(uses) = step["uses"].as_str() {
        let uses = uses.split('@').next().unwrap();
        return uses.strip_prefix("landfall-ci/landfall/actions/").unwrap_or(uses).to_owned();
    }
    text(&step["run"]).lines().next().unwrap_or_default().to_owned()
}
