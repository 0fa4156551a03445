//! Purpose: GitHub Actions: workflows, runs that progress as they are watched or as the world's clock moves, dispatches.
//!
//! ```ignore
//! let mut state = world.state();
//! let actions = state.github.actions("acme/dashboard");
//! actions.workflow("build.yml").script = Script::ending("success", 2).pushing("dashboard:sha-{commit}");
//! let id = actions.add(Run::ended("push", "main", SHA, "failure", started, Duration::from_secs(90)));
//! ```

use std::collections::BTreeMap;
use std::time::Duration;

use ::http::Method;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::super::clock::{After, Moment, Since};
use super::super::http::{Reply, Request, Skin};
use super::super::state::State;
use super::{error, not_found};

/// The most runs a listing with a filter gives.
const MOST_FILTERED: usize = 1000;

/// What one repository's workflows are and did.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Actions {
    /// By file name.
    pub workflows: BTreeMap<String, Workflow>,
    /// By id.
    pub runs: BTreeMap<u64, Run>,
    /// What the server makes of `return_run_details`.
    pub telling: Telling,
}

/// What a server does with the wish to be told which run a dispatch made.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Telling {
    /// Tells it.
    #[default]
    Tells,
    /// Knows no such key and refuses the request.
    Refuses,
    /// Knows no such key and takes no notice of it.
    Ignores,
}

/// One workflow.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Workflow {
    pub id: u64,
    pub name: String,
    /// `active`, `disabled_manually` …
    pub state: String,
    /// Whether it listens to `workflow_dispatch`.
    pub dispatchable: bool,
    /// Inputs that it declares; `None` lets any pass.
    pub inputs: Option<Vec<String>>,
    /// Types of `repository_dispatch` that it listens to.
    pub repository_dispatch: Vec<String>,
    /// Its `run-name`, with `{input}` for inputs and payload keys.
    pub run_name: String,
    pub script: Script,
}

impl Default for Workflow {
    fn default() -> Self {
        Self {
            id: 0,
            name: "Build".into(),
            state: "active".into(),
            dispatchable: true,
            inputs: None,
            repository_dispatch: Vec::new(),
            run_name: String::new(),
            script: Script::ending("success", 2),
        }
    }
}

/// What becomes of a dispatched run.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Script {
    /// Listings until the run shows up in them.
    pub hidden: u32,
    pub progress: Vec<Change>,
    /// Names of jobs, each with the names of its steps.
    pub jobs: Vec<(String, Vec<String>)>,
    /// The image that a success leaves, `name:tag`, with `{input}` as in `run_name`.
    pub pushes: Option<String>,
}

impl Script {
    /// Queued, in progress at the first look, ended `polls` looks later.
    pub fn ending(conclusion: &str, polls: u32) -> Self {
        let change = |after, status: &str, conclusion: Option<&str>| Change {
            after: After::Polls(after),
            status: status.into(),
            conclusion: conclusion.map(str::to_owned),
        };
        Self {
            progress: vec![change(1, "in_progress", None), change(polls, "completed", Some(conclusion))],
            jobs: vec![("image".into(), vec!["Set up job".into(), "Build".into(), "Push".into()])],
            ..Self::default()
        }
    }

    /// The same, leaving an image.
    pub fn pushing(self, image: &str) -> Self {
        Self { pushes: Some(image.into()), ..self }
    }
}

/// A change of a run's state.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Change {
    pub after: After,
    pub status: String,
    pub conclusion: Option<String>,
}

/// One run, with the jobs of all its attempts.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Run {
    /// File name of its workflow.
    pub workflow: String,
    pub title: String,
    pub event: String,
    pub status: String,
    pub conclusion: Option<String>,
    pub branch: String,
    pub sha: String,
    /// `None`: the fork is gone. Empty: the repository itself.
    pub head_repository: Option<String>,
    pub pulls: Vec<u64>,
    pub actor: String,
    pub number: u64,
    pub attempt: u64,
    pub created_at: Moment,
    pub started_at: Moment,
    pub updated_at: Moment,
    pub jobs: Vec<Job>,
    /// Inputs of the dispatch.
    pub inputs: BTreeMap<String, String>,
    pub script: Script,
    /// Looks at the run so far.
    pub polls: u32,
    /// Where the script's progress stands.
    pub since: Option<Since>,
}

/// One job.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Job {
    pub name: String,
    pub attempt: u64,
    pub status: String,
    pub conclusion: Option<String>,
    pub created_at: Option<Moment>,
    pub started_at: Option<Moment>,
    pub completed_at: Option<Moment>,
    pub steps: Vec<Step>,
}

impl Default for Job {
    fn default() -> Self {
        Self {
            name: "job".into(),
            attempt: 1,
            status: "queued".into(),
            conclusion: None,
            created_at: None,
            started_at: None,
            completed_at: None,
            steps: Vec::new(),
        }
    }
}

/// One step.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Step {
    pub name: String,
    pub status: String,
    pub conclusion: Option<String>,
    pub started_at: Option<Moment>,
    pub completed_at: Option<Moment>,
}

impl Default for Run {
    fn default() -> Self {
        Self {
            workflow: "build.yml".into(),
            title: String::new(),
            event: "push".into(),
            status: "queued".into(),
            conclusion: None,
            branch: "main".into(),
            sha: "0".repeat(40),
            head_repository: Some(String::new()),
            pulls: Vec::new(),
            actor: "octocat".into(),
            number: 0,
            attempt: 1,
            created_at: Moment::EPOCH,
            started_at: Moment::EPOCH,
            updated_at: Moment::EPOCH,
            jobs: Vec::new(),
            inputs: BTreeMap::new(),
            script: Script::default(),
            polls: 0,
            since: None,
        }
    }
}

impl Run {
    /// A run that ended.
    pub fn ended(event: &str, branch: &str, sha: &str, conclusion: &str, start: Moment, took: Duration) -> Self {
        Self {
            event: event.into(),
            branch: branch.into(),
            sha: sha.into(),
            status: "completed".into(),
            conclusion: Some(conclusion.into()),
            created_at: start,
            started_at: start,
            updated_at: start + took,
            ..Self::default()
        }
    }

    fn is_completed(&self) -> bool {
        self.status == "completed"
    }

    fn filled(&self, template: &str) -> String {
        self.inputs.iter().fold(template.to_owned(), |text, (key, value)| text.replace(&format!("{{{key}}}"), value))
    }

    /// Applies what is due.
    fn proceed(&mut self, now: Moment) -> Option<String> {
        let mut since = self.since.unwrap_or(Since { polls: 0, at: self.created_at });
        while let Some(change) = self.script.progress.first().cloned() {
            if self.is_completed() || !change.after.is_due(since, self.polls, now) {
                break;
            }
            self.script.progress.remove(0);
            since = Since { polls: self.polls, at: now };
            self.enter(&change.status, change.conclusion.as_deref(), now);
        }
        self.since = Some(since);
        let succeeded = self.conclusion.as_deref() == Some("success");
        let image = if succeeded { self.script.pushes.take() } else { None };
        image.map(|image| self.filled(&image))
    }

    fn enter(&mut self, status: &str, conclusion: Option<&str>, now: Moment) {
        (self.status, self.conclusion, self.updated_at) = (status.into(), conclusion.map(str::to_owned), now);
        for job in &mut self.jobs {
            match status {
                "in_progress" => (job.status, job.started_at) = (status.into(), Some(now)),
                "completed" if job.status != "completed" => {
                    (job.status, job.completed_at) = (status.into(), Some(now));
                    job.conclusion = conclusion.map(str::to_owned);
                }
                _ => {}
            }
            let last = job.steps.len().saturating_sub(1);
            for (at, step) in job.steps.iter_mut().enumerate() {
                let state = match status {
                    "in_progress" if at == 0 => ("completed", Some("success")),
                    "in_progress" if at == 1 => ("in_progress", None),
                    "completed" if step.status != "completed" && at < last => ("completed", Some("success")),
                    "completed" if step.status != "completed" => ("completed", conclusion),
                    _ => continue,
                };
                (step.status, step.conclusion) = (state.0.into(), state.1.map(str::to_owned));
                step.started_at = step.started_at.or(Some(now));
                step.completed_at = (state.0 == "completed").then_some(now);
            }
        }
    }
}

impl Actions {
    /// A workflow by its file name, made when it is new.
    pub fn workflow(&mut self, file: &str) -> &mut Workflow {
        let id = 100 + self.workflows.len() as u64;
        self.workflows.entry(file.to_owned()).or_insert_with(|| Workflow { id, ..Workflow::default() })
    }

    /// Enters a run; its workflow is made when it is new. Gives the run's id.
    pub fn add(&mut self, mut run: Run) -> u64 {
        self.workflow(&run.workflow.clone());
        let id = self.runs.keys().next_back().map_or(9_000_000_001, |last| last + 1);
        if run.number == 0 {
            run.number = 1 + self.runs.values().filter(|other| other.workflow == run.workflow).count() as u64;
        }
        self.runs.insert(id, run);
        id
    }

    fn named(&self, name: &str) -> Option<(&String, &Workflow)> {
        let fits = |file: &str, workflow: &Workflow| file == name || workflow.id.to_string() == name;
        self.workflows.iter().find(|(file, workflow)| fits(file, workflow))
    }
}

/// One request below `/repos/{repository}/actions`.
pub fn handle(state: &mut State, request: &Request, repository: &str, rest: &[&str]) -> Reply {
    state.github.actions(repository);
    let reads = request.method == Method::GET;
    match (reads, rest) {
        (true, ["workflows"]) => workflows(state, request, repository),
        (true, ["workflows", name, "runs"]) => match state.github.actions(repository).named(name) {
            Some((file, _)) => {
                let file = file.clone();
                runs(state, request, repository, Some(&file))
            }
            None => not_found(),
        },
        (true, ["runs"]) => runs(state, request, repository, None),
        (true, ["runs", id]) => run(state, repository, id),
        (true, ["runs", id, "jobs"]) => jobs(state, request, repository, id, None),
        (true, ["runs", id, "attempts", attempt, "jobs"]) => jobs(state, request, repository, id, Some(attempt)),
        (false, ["workflows", name, "dispatches"]) => dispatch(state, request, repository, name),
        (false, ["runs", id, "cancel" | "force-cancel"]) => cancel(state, repository, id),
        _ => Reply::unknown(request),
    }
}

/// `POST /repos/{repository}/dispatches`.
pub fn repository_dispatch(state: &mut State, request: &Request, repository: &str) -> Reply {
    let body = request.json();
    let Some(kind) = body["event_type"].as_str().filter(|kind| !kind.is_empty() && kind.len() <= 100) else {
        return error(422, "Invalid request.\n\n\"event_type\" wasn't supplied.");
    };
    let payload = body["client_payload"].as_object().cloned().unwrap_or_default();
    if payload.len() > 10 {
        return error(422, "No more than 10 properties are allowed; 11 were supplied.");
    }
    let inputs: BTreeMap<String, String> = payload.iter().map(|(key, value)| (key.clone(), text(value))).collect();
    let listening: Vec<String> = {
        let actions = state.github.actions(repository);
        let hears = |workflow: &Workflow| workflow.repository_dispatch.iter().any(|known| known == kind);
        actions.workflows.iter().filter(|(_, workflow)| hears(workflow)).map(|(file, _)| file.clone()).collect()
    };
    state.wrote(Skin::Github, &format!("repository_dispatch {repository} {kind}"));
    let branch = state.github.repository(repository).default_branch().to_owned();
    for file in listening {
        start(state, repository, &file, "repository_dispatch", &branch, inputs.clone());
    }
    Reply::empty(204)
}

fn text(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}

fn dispatch(state: &mut State, request: &Request, repository: &str, name: &str) -> Reply {
    let body = request.json();
    let Some((file, workflow)) = state.github.actions(repository).named(name).map(|(f, w)| (f.clone(), w.clone()))
    else {
        return not_found();
    };
    let telling = state.github.actions(repository).telling;
    if body.get("return_run_details").is_some() && telling == Telling::Refuses {
        return error(422, "Invalid request.\n\n\"return_run_details\" is not a permitted key.");
    }
    if !workflow.dispatchable {
        return error(422, "Workflow does not have 'workflow_dispatch' trigger");
    }
    if workflow.state != "active" {
        return error(422, "Cannot trigger a 'workflow_dispatch' on a disabled workflow");
    }
    let inputs = body["inputs"].as_object().cloned().unwrap_or_default();
    let unexpected: Vec<&String> = match &workflow.inputs {
        Some(known) => inputs.keys().filter(|key| !known.contains(key)).collect(),
        None => Vec::new(),
    };
    if !unexpected.is_empty() {
        return error(422, &format!("Unexpected inputs provided: {unexpected:?}"));
    }
    if inputs.len() > 25 {
        return error(422, "You may only define up to 25 `inputs` for a `workflow_dispatch` event");
    }
    let reference = body["ref"].as_str().unwrap_or_default().to_owned();
    let found = state.github.repository(repository);
    let branch = reference.trim_start_matches("refs/heads/").to_owned();
    if !found.branches.contains_key(&branch) && !found.tags.contains_key(&branch) {
        return error(422, &format!("No ref found for: {reference}"));
    }
    let inputs = inputs.iter().map(|(key, value)| (key.clone(), text(value))).collect();
    let id = start(state, repository, &file, "workflow_dispatch", &branch, inputs);
    state.wrote(Skin::Github, &format!("dispatch {repository} {file} at {branch}"));
    if telling == Telling::Tells && body["return_run_details"] == json!(true) {
        return Reply::json(
            200,
            &json!({
                "workflow_run_id": id,
                "run_url": format!("https://api.github.com/repos/{repository}/actions/runs/{id}"),
                "html_url": format!("https://github.com/{repository}/actions/runs/{id}"),
            }),
        );
    }
    Reply::empty(204)
}

fn start(
    state: &mut State,
    repository: &str,
    file: &str,
    event: &str,
    branch: &str,
    inputs: BTreeMap<String, String>,
) -> u64 {
    let now = state.clock.now();
    let sha = state.github.repository(repository).resolve(branch).unwrap_or("0".repeat(40));
    let actions = state.github.actions(repository);
    let workflow = actions.workflow(file).clone();
    let step = |name: &String| Step { name: name.clone(), status: "queued".into(), ..Step::default() };
    let job = |(name, steps): &(String, Vec<String>)| Job {
        name: name.clone(),
        created_at: Some(now),
        steps: steps.iter().map(step).collect(),
        ..Job::default()
    };
    let mut run = Run {
        workflow: file.into(),
        event: event.into(),
        branch: branch.into(),
        sha,
        actor: "github-actions[bot]".into(),
        created_at: now,
        started_at: now,
        updated_at: now,
        jobs: workflow.script.jobs.iter().map(job).collect(),
        inputs,
        script: workflow.script.clone(),
        ..Run::default()
    };
    run.title = if workflow.run_name.is_empty() { workflow.name.clone() } else { run.filled(&workflow.run_name) };
    actions.add(run)
}

fn cancel(state: &mut State, repository: &str, id: &str) -> Reply {
    let now = state.clock.now();
    let actions = state.github.actions(repository);
    let Some(run) = id.parse().ok().and_then(|id: u64| actions.runs.get_mut(&id)) else {
        return not_found();
    };
    if run.is_completed() {
        return error(409, "Cannot cancel a workflow run that is completed.");
    }
    run.enter("completed", Some("cancelled"), now);
    state.wrote(Skin::Github, &format!("cancel run {repository} {id}"));
    Reply::json(202, &json!({}))
}

fn workflows(state: &mut State, request: &Request, repository: &str) -> Reply {
    let actions = state.github.actions(repository);
    let all = actions.workflows.iter().map(|(file, workflow)| {
        json!({ "id": workflow.id, "name": workflow.name, "path": format!(".github/workflows/{file}"), "state": workflow.state })
    });
    let all: Vec<Value> = all.collect();
    enveloped(request, "workflows", all.len(), all.len(), |at| all[at].clone())
}

/// Lets the time pass for a run; what it pushes goes into the registry.
fn proceed(state: &mut State, repository: &str, id: u64, polls: u32) {
    let now = state.clock.now();
    let pushed = state.github.actions(repository).runs.get_mut(&id).and_then(|run| {
        run.polls += polls;
        run.proceed(now)
    });
    if let Some(image) = pushed {
        state.images.image(&image);
    }
}

fn runs(state: &mut State, request: &Request, repository: &str, workflow: Option<&str>) -> Reply {
    let moving = |run: &Run| !run.script.progress.is_empty() || run.script.hidden > 0;
    let actions = state.github.actions(repository);
    let due: Vec<u64> = actions.runs.iter().filter(|(_, run)| moving(run)).map(|(id, _)| *id).collect();
    for id in due {
        proceed(state, repository, id, 0);
    }
    let actions = state.github.actions(repository);
    let filter = Filter::of(request);
    let fitting: Vec<u64> = actions
        .runs
        .iter()
        .rev()
        .filter(|(_, run)| run.script.hidden == 0 && workflow.is_none_or(|file| run.workflow == file))
        .filter(|(_, run)| filter.admits(run))
        .map(|(id, _)| *id)
        .collect();
    for run in actions.runs.values_mut() {
        run.script.hidden = run.script.hidden.saturating_sub(1);
    }
    let shown = if filter.is_any() { fitting.len().min(MOST_FILTERED) } else { fitting.len() };
    let actions = &*actions;
    enveloped(request, "workflow_runs", fitting.len(), shown, |at| {
        run_json(repository, actions, fitting[at], &actions.runs[&fitting[at]])
    })
}

fn run(state: &mut State, repository: &str, id: &str) -> Reply {
    let Some(id) = id.parse().ok().filter(|id| state.github.actions(repository).runs.contains_key(id)) else {
        return not_found();
    };
    proceed(state, repository, id, 1);
    let actions = state.github.actions(repository);
    Reply::json(200, &run_json(repository, actions, id, &actions.runs[&id]))
}

fn jobs(state: &mut State, request: &Request, repository: &str, id: &str, attempt: Option<&str>) -> Reply {
    let actions = state.github.actions(repository);
    let Some((id, run)) = id.parse().ok().and_then(|id: u64| Some((id, actions.runs.get(&id)?))) else {
        return not_found();
    };
    let latest = request.query("filter") != Some("all");
    let wanted = |job: &Job| match attempt {
        Some(attempt) => job.attempt.to_string() == attempt,
        None => !latest || job.attempt == run.attempt,
    };
    let all: Vec<Value> = run
        .jobs
        .iter()
        .enumerate()
        .filter(|(_, job)| wanted(job))
        .map(|(at, job)| job_json(repository, id, at, job))
        .collect();
    enveloped(request, "jobs", all.len(), all.len(), |at| all[at].clone())
}

fn run_json(repository: &str, actions: &Actions, id: u64, run: &Run) -> Value {
    let workflow = actions.workflows.get(&run.workflow);
    let head = match run.head_repository.as_deref() {
        Some("") => json!({ "full_name": repository }),
        Some(name) => json!({ "full_name": name }),
        None => Value::Null,
    };
    json!({
        "id": id,
        "name": workflow.map(|workflow| &workflow.name),
        "display_title": run.title,
        "path": format!(".github/workflows/{}", run.workflow),
        "workflow_id": workflow.map(|workflow| workflow.id),
        "run_number": run.number,
        "run_attempt": run.attempt,
        "event": run.event,
        "status": run.status,
        "conclusion": run.conclusion,
        "head_branch": run.branch,
        "head_sha": run.sha,
        "head_repository": head,
        "repository": { "full_name": repository },
        "pull_requests": run.pulls.iter().map(|number| json!({ "number": number })).collect::<Vec<_>>(),
        "actor": { "login": run.actor },
        "html_url": format!("https://github.com/{repository}/actions/runs/{id}"),
        "created_at": run.created_at.to_string(),
        "run_started_at": run.started_at.to_string(),
        "updated_at": run.updated_at.to_string(),
    })
}

fn job_json(repository: &str, run: u64, at: usize, job: &Job) -> Value {
    let moment = |moment: &Option<Moment>| moment.map(|moment| moment.to_string());
    let steps = job.steps.iter().enumerate().map(|(at, step)| {
        json!({ "number": at + 1, "name": step.name, "status": step.status, "conclusion": step.conclusion,
            "started_at": moment(&step.started_at), "completed_at": moment(&step.completed_at) })
    });
    let id = run * 100 + at as u64;
    json!({
        "id": id, "run_id": run, "run_attempt": job.attempt, "name": job.name, "status": job.status,
        "conclusion": job.conclusion, "labels": ["ubuntu-latest"],
        "html_url": format!("https://github.com/{repository}/actions/runs/{run}/job/{id}"),
        "created_at": moment(&job.created_at), "started_at": moment(&job.started_at),
        "completed_at": moment(&job.completed_at), "steps": steps.collect::<Vec<_>>(),
    })
}

/// The filters of a listing of runs.
struct Filter<'a> {
    equal: Vec<(&'a str, &'a str)>,
    created: Option<(Moment, Moment)>,
}

impl<'a> Filter<'a> {
    fn of(request: &'a Request) -> Self {
        let names = ["actor", "branch", "event", "status", "head_sha"];
        let equal = names.into_iter().filter_map(|name| Some((name, request.query(name)?)));
        Self { equal: equal.collect(), created: request.query("created").map(span) }
    }

    fn is_any(&self) -> bool {
        !self.equal.is_empty() || self.created.is_some()
    }

    fn admits(&self, run: &Run) -> bool {
        let holds = |(name, wanted): &(&str, &str)| match *name {
            "actor" => run.actor == *wanted,
            "branch" => run.branch == *wanted,
            "event" => run.event == *wanted,
            "head_sha" => run.sha == *wanted,
            _ => run.status == *wanted || run.conclusion.as_deref() == Some(*wanted),
        };
        self.equal.iter().all(holds)
            && self.created.is_none_or(|(from, to)| run.created_at >= from && run.created_at <= to)
    }
}

/// GitHub's search syntax for dates as the first and the last second.
fn span(text: &str) -> (Moment, Moment) {
    let (least, most) = (Moment::EPOCH, Moment::from_second(32_503_680_000));
    let second = Duration::from_secs(1);
    let before = |moment: Moment| Moment(moment.0 - second);
    if let Some((from, to)) = text.split_once("..") {
        let from = if from == "*" { least } else { edge(from, false) };
        let to = if to == "*" { most } else { edge(to, true) };
        return (from, to);
    }
    match text.find(|c: char| c.is_ascii_digit()).map(|at| text.split_at(at)) {
        Some((">=", at)) => (edge(at, false), most),
        Some((">", at)) => (edge(at, true) + second, most),
        Some(("<=", at)) => (least, edge(at, true)),
        Some(("<", at)) => (least, before(edge(at, false))),
        _ => (edge(text, false), edge(text, true)),
    }
}

/// The first or last second of a date, or the moment itself.
fn edge(text: &str, last: bool) -> Moment {
    if text.len() > 10 {
        let zoned = if text.ends_with('Z') || text[10..].contains('+') { text.to_owned() } else { format!("{text}Z") };
        return Moment::try_from(zoned).expect("a moment in a filter");
    }
    let midnight = Moment::try_from(format!("{text}T00:00:00Z")).expect("a date in a filter");
    if last { midnight + Duration::from_secs(86_399) } else { midnight }
}

/// One page of a listing in an object; `shown` of `total` entries can be reached.
fn enveloped(request: &Request, name: &str, total: usize, shown: usize, entry: impl Fn(usize) -> Value) -> Reply {
    let number = |name: &str, default: usize| request.query(name).and_then(|text| text.parse().ok()).unwrap_or(default);
    let (size, page) = (number("per_page", 30).clamp(1, 100), number("page", 1).max(1));
    let from = ((page - 1) * size).min(shown);
    let entries: Vec<Value> = (from..(from + size).min(shown)).map(entry).collect();
    let reply = Reply::json(200, &json!({ "total_count": total, name: entries }));
    if from + size >= shown {
        return reply;
    }
    let mut query = url::form_urlencoded::Serializer::new(String::new());
    query.extend_pairs(request.query.iter().filter(|(key, _)| key != "page"));
    query.append_pair("page", &(page + 1).to_string());
    let link = format!("<http://{}{}?{}>; rel=\"next\"", request.host(), request.path, query.finish());
    reply.header("link", link)
}
