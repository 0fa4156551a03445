//! Purpose: one step of ours as the runner runs a container action: flags, mounts, environment, file commands.
//!
//! After actions/runner, `ContainerActionHandler.cs`, `ContainerInfo.cs`, `DockerCommandManager.cs`, `FileCommandManager.cs`.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use serde_json::{Map, Value, json};

use crate::event::REPOSITORY;
use crate::expression::{Scope, interpolate, text};
use crate::job::Job;
use crate::stage::Network;
use crate::support::runner_grammar::{Log, file_command};
use crate::world::artifacts::runtime_token;
use crate::world::http::Door;

/// The stage of a step; the last one is told what the main one left.
pub(crate) enum Stage {
    Main,
    Post(BTreeMap<String, String>),
}

/// What a container left behind.
pub(crate) struct Left {
    pub(crate) exit_code: Option<i32>,
    pub(crate) outputs: BTreeMap<String, String>,
    pub(crate) exported: BTreeMap<String, String>,
    pub(crate) state: BTreeMap<String, String>,
    pub(crate) summary: String,
    pub(crate) log: String,
    pub(crate) errors: Vec<String>,
}

/// An `action.yml` of ours.
pub(crate) struct Action {
    metadata: Value,
}

impl Action {
    /// The action that a step uses; none when it is somebody else's.
    pub(crate) fn of(uses: &str) -> Option<Self> {
        let path = uses.split('@').next()?.strip_prefix("landfall-ci/landfall")?.trim_start_matches('/');
        let file = Path::new(env!("CARGO_MANIFEST_DIR")).join(path).join("action.yml");
        let text = fs::read_to_string(&file).unwrap_or_else(|error| panic!("{}: {error}", file.display()));
        Some(Self { metadata: serde_yaml::from_str(&text).unwrap() })
    }

    /// Every declared input with its default, evaluated; empty without.
    pub(crate) fn defaults(&self, scope: &dyn Scope) -> BTreeMap<String, String> {
        let inputs = self.metadata["inputs"].as_object().into_iter().flatten();
        let default = |input: &Value| text(&interpolate(&text(&input["default"]), scope));
        inputs.map(|(name, input)| (name.clone(), default(input))).collect()
    }

    pub(crate) fn has_post(&self) -> bool {
        self.metadata["runs"]["post-entrypoint"].is_string()
    }

    /// The command that it runs: its argument, else its input.
    pub(crate) fn command(&self, inputs: &BTreeMap<String, String>) -> String {
        let argument = self.arguments(inputs).first().cloned();
        argument.or_else(|| inputs.get("command").cloned()).unwrap_or_default()
    }

    /// `args`, which may use `inputs` only.
    fn arguments(&self, inputs: &BTreeMap<String, String>) -> Vec<String> {
        struct Inputs<'a>(&'a BTreeMap<String, String>);
        impl Scope for Inputs<'_> {
            fn context(&self, name: &str) -> Value {
                if name == "inputs" { json!(self.0) } else { Value::Null }
            }
            fn status(&self) -> crate::expression::Status {
                crate::expression::Status::Success
            }
            fn hash_files(&self, _: &[String]) -> String {
                String::new()
            }
        }
        let arguments = self.metadata["runs"]["args"].as_array().into_iter().flatten();
        arguments.map(|argument| text(&interpolate(&text(argument), &Inputs(inputs)))).collect()
    }
}

/// The files that a step writes its results to.
struct Files(Vec<(&'static str, PathBuf)>);

impl Files {
    fn new(folder: &Path) -> Self {
        let number = fs::read_dir(folder).unwrap().count();
        let named = [
            ("GITHUB_OUTPUT", "set_output"),
            ("GITHUB_ENV", "set_env"),
            ("GITHUB_PATH", "add_path"),
            ("GITHUB_STATE", "save_state"),
            ("GITHUB_STEP_SUMMARY", "step_summary"),
        ];
        let made = named.map(|(variable, prefix)| {
            let path = folder.join(format!("{prefix}_{number:08}-0000-4000-8000-000000000000"));
            fs::write(&path, "").unwrap();
            (variable, path)
        });
        Self(made.into())
    }

    fn text(&self, variable: &str) -> String {
        let (_, path) = self.0.iter().find(|(name, _)| *name == variable).unwrap();
        String::from_utf8(fs::read(path).unwrap()).unwrap()
    }

    fn entries(&self, variable: &str) -> BTreeMap<String, String> {
        file_command(&self.text(variable)).unwrap_or_else(|error| panic!("{variable}: {error}")).into_iter().collect()
    }
}

/// Runs the container.
pub(crate) fn container(
    job: &Job<'_>,
    action: &Action,
    inputs: &BTreeMap<String, String>,
    env: &Map<String, Value>,
    stage: &Stage,
) -> Left {
    let files = Files::new(&job.commands());
    let environment = environment(job, inputs, env, &files, stage);
    let runs = &action.metadata["runs"];
    let entrypoint = match stage {
        Stage::Main => &runs["entrypoint"],
        Stage::Post(_) => &runs["post-entrypoint"],
    };
    let mut command = Command::new("docker");
    command.args(["run", "--label", "5588e4", "--workdir", "/github/workspace", "--rm"]);
    for name in environment.keys() {
        command.args(["-e", name]);
    }
    command.args(["-e", "GITHUB_ACTIONS=true", "-e", "CI=true"]);
    if let Some(entrypoint) = entrypoint.as_str() {
        command.args(["--entrypoint", entrypoint]);
    }
    if job.walk.network == Network::Host {
        command.args(["--network", "host"]);
    }
    let socket = crate::engine::variable("DOCKER_HOST");
    let socket =
        socket.strip_prefix("unix://").unwrap_or_else(|| panic!("the runner mounts a socket; {socket} is none"));
    command.args(["-v", &format!("{socket}:/var/run/docker.sock")]);
    for (host, inside) in mounts(job).iter().rev() {
        command.args(["-v", &format!("{}:{inside}", host.display())]);
    }
    command.arg(&job.walk.stage.image).args(action.arguments(inputs)).envs(&environment);
    let done = command.stdin(Stdio::null()).output().expect("the Docker client: `make test` installs it");
    let stderr = String::from_utf8_lossy(&done.stderr).into_owned();
    assert!(done.status.code() != Some(125), "the container cannot be started: {stderr}");
    assert!(stderr.is_empty(), "all must go to stdout, but:\n{stderr}");
    read(job, &files, done.status.code(), &String::from_utf8(done.stdout).unwrap())
}

fn read(job: &Job<'_>, files: &Files, exit_code: Option<i32>, raw: &str) -> Left {
    let mut log = Log::read(raw);
    job.masks.borrow_mut().extend(log.masks.iter().filter(|mask| mask.len() > 2).cloned());
    assert!(log.stopped.is_none(), "the log ends while commands are stopped:\n{raw}");
    assert!(log.improper().is_empty(), "improper commands {:?}:\n{raw}", log.improper());
    let summary = files.text("GITHUB_STEP_SUMMARY");
    assert!(summary.len() <= 1024 * 1024, "the runner drops a summary above 1 MiB");
    let errors: Vec<String> = log
        .annotations
        .drain(..)
        .filter(|found| found.level == "error")
        .map(|found| format!("{}: {}", found.title, found.message))
        .collect();
    let secrets = job.walk.secrets.values().filter(|secret| !secret.is_empty());
    for secret in secrets.chain([&crate::stage::JOB_TOKEN.to_owned()]) {
        let shown = raw.lines().find(|line| line.contains(secret.as_str()) && !line.starts_with("::add-mask::"));
        assert!(shown.is_none() && !summary.contains(secret.as_str()), "a secret is shown: {shown:?}");
    }
    Left {
        exit_code,
        outputs: files.entries("GITHUB_OUTPUT"),
        exported: files.entries("GITHUB_ENV"),
        state: files.entries("GITHUB_STATE"),
        summary,
        log: log.lines.join("\n"),
        errors,
    }
}

/// Host path, path in the container. The order is the runner's: the first match translates.
fn mounts(job: &Job<'_>) -> Vec<(PathBuf, &'static str)> {
    let temp = job.temp();
    vec![
        (job.workspace(), "/github/workspace"),
        (job.commands(), "/github/file_commands"),
        (temp.join("_github_workflow"), "/github/workflow"),
        (temp.join("_github_home"), "/github/home"),
        (temp, "/github/runner_temp"),
    ]
}

fn environment(
    job: &Job<'_>,
    inputs: &BTreeMap<String, String>,
    env: &Map<String, Value>,
    files: &Files,
    stage: &Stage,
) -> BTreeMap<String, String> {
    let mut all: BTreeMap<String, String> = env.iter().map(|(name, value)| (name.clone(), text(value))).collect();
    all.extend(
        inputs.iter().map(|(name, value)| (format!("INPUT_{}", name.replace(' ', "_").to_uppercase()), value.clone())),
    );
    all.extend(github(job));
    all.extend(services(job));
    all.extend(files.0.iter().map(|(name, path)| ((*name).to_owned(), path.to_string_lossy().into_owned())));
    if let Stage::Post(state) = stage {
        all.extend(state.iter().map(|(name, value)| (format!("STATE_{name}"), value.clone())));
    }
    let mounts = mounts(job);
    all.into_iter().map(|(name, value)| (name, translated(&value, &mounts))).collect()
}

/// A host path at a value's beginning becomes the container's.
fn translated(value: &str, mounts: &[(PathBuf, &'static str)]) -> String {
    for (host, inside) in mounts {
        let host = host.to_string_lossy();
        if let Some(rest) = value.strip_prefix(&*host).filter(|rest| rest.is_empty() || rest.starts_with('/')) {
            return format!("{inside}{rest}");
        }
    }
    value.to_owned()
}

fn github(job: &Job<'_>) -> Vec<(String, String)> {
    let (event, temp, workspace) = (&job.walk.event, job.temp(), job.workspace());
    let path = |path: &Path| path.to_string_lossy().into_owned();
    let run = job.walk.run.to_string();
    let set = [
        ("GITHUB_ACTION", "step"),
        ("GITHUB_ACTOR", &event.actor),
        ("GITHUB_ACTOR_ID", "1"),
        ("GITHUB_BASE_REF", &event.base_ref),
        ("GITHUB_EVENT_NAME", &event.name),
        ("GITHUB_EVENT_PATH", &path(&temp.join("_github_workflow/event.json"))),
        ("GITHUB_HEAD_REF", &event.head_ref),
        ("GITHUB_JOB", &job.name),
        ("GITHUB_REF", &event.reference),
        ("GITHUB_REF_NAME", event.ref_name()),
        ("GITHUB_REF_PROTECTED", "false"),
        ("GITHUB_REF_TYPE", "branch"),
        ("GITHUB_REPOSITORY", REPOSITORY),
        ("GITHUB_REPOSITORY_ID", "1"),
        ("GITHUB_REPOSITORY_OWNER", "acme"),
        ("GITHUB_REPOSITORY_OWNER_ID", "1"),
        ("GITHUB_RETENTION_DAYS", "90"),
        ("GITHUB_RUN_ATTEMPT", "1"),
        ("GITHUB_RUN_ID", &run),
        ("GITHUB_RUN_NUMBER", "1"),
        ("GITHUB_SHA", &event.sha),
        ("GITHUB_TRIGGERING_ACTOR", &event.actor),
        ("GITHUB_WORKFLOW", &text(&job.walk.workflow["name"])),
        ("GITHUB_WORKSPACE", &path(&workspace)),
        ("RUNNER_OS", "Linux"),
        ("RUNNER_ARCH", "X64"),
        ("RUNNER_NAME", "rehearsal"),
        ("RUNNER_ENVIRONMENT", "self-hosted"),
        ("RUNNER_TEMP", &path(&temp)),
        ("RUNNER_TOOL_CACHE", &path(&job.folder.path().join("tools"))),
        ("RUNNER_WORKSPACE", &path(workspace.parent().unwrap())),
        ("HOME", &path(&temp.join("_github_home"))),
    ];
    set.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
}

/// Where the world is, in place of GitHub and AWS. The token service is there for jobs that may use it only.
fn services(job: &Job<'_>) -> Vec<(String, String)> {
    let stage = job.walk.stage;
    let url = |door| stage.url(door, job.walk.network);
    let mut set = vec![
        ("GITHUB_API_URL", url(Door::Github)),
        ("GITHUB_GRAPHQL_URL", format!("{}/graphql", url(Door::Github))),
        ("GITHUB_SERVER_URL", "https://github.com".to_owned()),
        ("AWS_ENDPOINT_URL", url(Door::Aws)),
        ("AWS_EC2_METADATA_DISABLED", "true".to_owned()),
        ("ACTIONS_RUNTIME_URL", url(Door::Results)),
        ("ACTIONS_RESULTS_URL", url(Door::Results)),
        ("ACTIONS_RUNTIME_TOKEN", runtime_token()),
    ];
    if job.permission("id-token") == "write" {
        set.push(("ACTIONS_ID_TOKEN_REQUEST_URL", format!("{}/idtoken/0a1b2c?api-version=2.0", url(Door::Oidc))));
        set.push(("ACTIONS_ID_TOKEN_REQUEST_TOKEN", stage.world.state().oidc.bearer.clone()));
    }
    set.into_iter().map(|(name, value)| (name.to_owned(), value)).collect()
}
