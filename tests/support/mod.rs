//! Running the real binary as the Actions runner runs it, and reading what it leaves as the runner reads it.
//!
//! ```ignore
//! mod support;
//! use support::Landfall;
//!
//! let outcome = Landfall::new("tags").input("image", "acme/app").event("push", &push).run();
//! outcome.succeeded();
//! assert_eq!(outcome.output("tag"), "sha-0123456");
//! insta::assert_snapshot!(outcome.report());          // exit code, log, outputs, summary; varying parts replaced
//! ```
//!
//! The environment is scrubbed: nothing of the test's own reaches the binary. Every input that the command's
//! `action.yml` declares is present, empty when neither given nor defaulted, as on a runner.
#![allow(
    dead_code,
    unused_imports,
    unreachable_pub,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "test support: shared by several test binaries, each using a part of it, and free to panic"
)]

pub mod clock;
pub mod normalise;
pub mod runner_grammar;

use std::collections::BTreeMap;
use std::ffi::{OsStr, OsString};
use std::fmt::Write as _;
use std::fs;
use std::io::Read as _;
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use serde_json::Value;
use tempfile::TempDir;

use runner_grammar::{Annotation, Log, file_command};

/// The commit in `GITHUB_SHA` unless a test says otherwise.
pub const SHA: &str = "0123456789abcdef0123456789abcdef01234567";

/// Nothing takes longer; a binary that hangs must not hang the tests.
const LONGEST_RUN: Duration = Duration::from_secs(120);

/// A run to be started.
pub struct Landfall {
    command: String,
    inputs: Vec<(String, OsString)>,
    environment: BTreeMap<OsString, OsString>,
    arguments: Option<Vec<String>>,
    token: String,
    post: bool,
    longest: Duration,
    glance: Duration,
    job: TempDir,
}

impl Landfall {
    /// A command, run through its own action (`actions/<command>`).
    pub fn new(command: &str) -> Self {
        let job = tempfile::Builder::new().prefix("landfall-job-").tempdir().expect("a directory for the job");
        for directory in [
            "work/repo/repo",
            "work/_temp/_runner_file_commands",
            "work/_temp/_github_home",
            "work/_temp/_github_workflow",
        ] {
            fs::create_dir_all(job.path().join(directory)).expect("the job's directories");
        }
        let mut run = Self {
            command: command.to_owned(),
            inputs: Vec::new(),
            environment: BTreeMap::new(),
            arguments: None,
            token: String::new(),
            post: false,
            longest: LONGEST_RUN,
            glance: Duration::from_millis(5),
            job,
        };
        run.set_runner_environment();
        run.event("workflow_dispatch", &serde_json::json!({}))
    }

    fn set_runner_environment(&mut self) {
        let (workspace, temp) = (self.workspace(), self.temp());
        let set = [
            ("GITHUB_ACTIONS", "true"),
            ("CI", "true"),
            ("GITHUB_ACTION", "step"),
            ("GITHUB_ACTOR", "octocat"),
            ("GITHUB_ACTOR_ID", "1"),
            ("GITHUB_API_URL", "http://127.0.0.1:1/no-github"),
            ("GITHUB_SERVER_URL", "https://github.com"),
            ("GITHUB_GRAPHQL_URL", "http://127.0.0.1:1/no-github/graphql"),
            ("GITHUB_BASE_REF", ""),
            ("GITHUB_HEAD_REF", ""),
            ("GITHUB_JOB", "job"),
            ("GITHUB_REF", "refs/heads/main"),
            ("GITHUB_REF_NAME", "main"),
            ("GITHUB_REF_PROTECTED", "false"),
            ("GITHUB_REF_TYPE", "branch"),
            ("GITHUB_REPOSITORY", "acme/app"),
            ("GITHUB_REPOSITORY_ID", "1"),
            ("GITHUB_REPOSITORY_OWNER", "acme"),
            ("GITHUB_REPOSITORY_OWNER_ID", "1"),
            ("GITHUB_RETENTION_DAYS", "90"),
            ("GITHUB_RUN_ATTEMPT", "1"),
            ("GITHUB_RUN_ID", "1000"),
            ("GITHUB_RUN_NUMBER", "1"),
            ("GITHUB_SHA", SHA),
            ("GITHUB_TRIGGERING_ACTOR", "octocat"),
            ("GITHUB_WORKFLOW", "CI"),
            ("RUNNER_OS", "Linux"),
            ("RUNNER_ARCH", "X64"),
            ("RUNNER_NAME", "test"),
            ("RUNNER_ENVIRONMENT", "self-hosted"),
            ("ACTIONS_RUNTIME_URL", "http://127.0.0.1:1/runtime/"),
            ("ACTIONS_RUNTIME_TOKEN", "runtime-token"),
            ("AWS_EC2_METADATA_DISABLED", "true"),
            ("PATH", "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"),
        ];
        for (name, value) in set {
            self.environment.insert(name.into(), value.into());
        }
        let paths = [
            ("GITHUB_WORKSPACE", workspace.clone()),
            ("RUNNER_WORKSPACE", workspace.parent().expect("a parent").to_owned()),
            ("RUNNER_TEMP", temp.clone()),
            ("RUNNER_TOOL_CACHE", self.job.path().join("tools")),
            ("HOME", temp.join("_github_home")),
        ];
        for (name, path) in paths {
            self.environment.insert(name.into(), path.into());
        }
    }

    /// The step's workspace.
    pub fn workspace(&self) -> PathBuf {
        self.job.path().join("work/repo/repo")
    }

    /// The runner's temporary directory.
    pub fn temp(&self) -> PathBuf {
        self.job.path().join("work/_temp")
    }

    /// An entry of `with:`.
    #[must_use]
    pub fn input(mut self, name: &str, value: impl AsRef<OsStr>) -> Self {
        self.inputs.retain(|(known, _)| known != name);
        self.inputs.push((name.to_owned(), value.as_ref().to_owned()));
        self
    }

    /// Several entries of `with:`.
    #[must_use]
    pub fn inputs(self, values: &[(&str, &str)]) -> Self {
        values.iter().fold(self, |run, (name, value)| run.input(name, value))
    }

    /// A variable of the step's environment.
    #[must_use]
    pub fn env(mut self, name: &str, value: impl AsRef<OsStr>) -> Self {
        self.environment.insert(name.into(), value.as_ref().to_owned());
        self
    }

    /// Several variables; `World::env()` fits here.
    #[must_use]
    pub fn envs(self, values: impl IntoIterator<Item = (String, String)>) -> Self {
        values.into_iter().fold(self, |run, (name, value)| run.env(&name, value))
    }

    /// Takes a variable away.
    #[must_use]
    pub fn without(mut self, name: &str) -> Self {
        self.environment.remove(OsStr::new(name));
        self
    }

    /// The job's token: the value of `${{ github.token }}`, and a mask from the start.
    #[must_use]
    pub fn token(mut self, token: &str) -> Self {
        token.clone_into(&mut self.token);
        self
    }

    /// The event's name and payload.
    #[must_use]
    pub fn event(self, name: &str, payload: &Value) -> Self {
        let path = self.temp().join("_github_workflow/event.json");
        fs::write(&path, payload.to_string()).expect("the event file");
        self.env("GITHUB_EVENT_NAME", name).env("GITHUB_EVENT_PATH", path)
    }

    /// A file in the workspace.
    #[must_use]
    pub fn file(self, path: &str, content: impl AsRef<[u8]>) -> Self {
        let path = self.workspace().join(path);
        fs::create_dir_all(path.parent().expect("a parent")).expect("the file's directory");
        fs::write(path, content).expect("a file in the workspace");
        self
    }

    /// Another address wherever inputs, variables and files of the workspace name this one.
    #[must_use]
    pub fn readdressed(mut self, from: &str, to: &str) -> Self {
        let put = |text: &mut OsString| {
            if let Some(known) = text.to_str().filter(|known| known.contains(from)) {
                *text = known.replace(from, to).into();
            }
        };
        self.inputs.iter_mut().for_each(|(_, value)| put(value));
        self.environment.values_mut().for_each(put);
        self
    }

    /// It may take longer than tests usually do.
    #[must_use]
    pub fn patience(mut self, longest: Duration) -> Self {
        self.longest = longest;
        self
    }

    /// One of very many: looked at less often while it runs.
    #[must_use]
    pub fn among_many(mut self) -> Self {
        self.glance = Duration::from_millis(25);
        self
    }

    /// Exactly these arguments instead of the action's own.
    #[must_use]
    pub fn arguments(mut self, arguments: &[&str]) -> Self {
        self.arguments = Some(arguments.iter().map(|argument| (*argument).to_owned()).collect());
        self
    }

    /// As on a laptop: no runner, these arguments, the workspace as the working directory.
    #[must_use]
    pub fn laptop(mut self, arguments: &[&str]) -> Self {
        let kept = ["PATH", "HOME", "AWS_EC2_METADATA_DISABLED"];
        self.environment.retain(|name, _| kept.iter().any(|kept| name == kept));
        self.arguments(arguments)
    }

    /// Runs to the end.
    pub fn run(self) -> Outcome {
        self.start().wait()
    }

    /// Starts and returns at once, for tests that send signals.
    pub fn start(self) -> Running {
        let runs_as_action = self.environment.contains_key(OsStr::new("GITHUB_ACTIONS"));
        let action = if runs_as_action { Action::read(&self.command) } else { Action::default() };
        let mut command = Command::new(env!("CARGO_BIN_EXE_landfall"));
        command.env_clear().current_dir(self.workspace()).stdin(Stdio::null());
        command.arg0(if self.post { "/landfall-post" } else { "/landfall" });
        command.args(self.arguments.clone().unwrap_or_else(|| vec![self.command.clone()]));
        for (name, default) in &action.inputs {
            command.env(
                variable(name),
                default.replace("${{ github.token }}", &self.token).replace("${{ job.status }}", "success"),
            );
        }
        command.envs(&self.environment);
        for (name, value) in &self.inputs {
            command.env(variable(name), value);
        }
        let files = Files::new(&self.temp().join("_runner_file_commands"));
        if runs_as_action {
            files.set(&mut command);
        }
        let log = fs::File::create(self.job.path().join("stdout")).expect("the log");
        let errors = fs::File::create(self.job.path().join("stderr")).expect("the log of errors");
        let child = command.stdout(log).stderr(errors).spawn().expect("the binary starts");
        Running { child: Guard(child), run: self, files, started: Instant::now() }
    }
}

fn variable(input: &str) -> String {
    format!("INPUT_{}", input.replace(' ', "_").to_uppercase())
}

/// What the runner takes from an `action.yml`.
#[derive(Default)]
struct Action {
    inputs: Vec<(String, String)>,
}

impl Action {
    /// The action of a command; nothing when there is none, as for commands that do not exist.
    fn read(command: &str) -> Self {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("actions").join(command).join("action.yml");
        let Ok(text) = fs::read_to_string(path) else {
            return Self::default();
        };
        let action: Value = serde_yaml::from_str(&text).expect("an action.yml");
        let inputs = action["inputs"].as_object().cloned().unwrap_or_default();
        let default = |input: &Value| match &input["default"] {
            Value::Null => String::new(),
            Value::String(text) => text.clone(),
            other => other.to_string(),
        };
        Self { inputs: inputs.iter().map(|(name, input)| (name.clone(), default(input))).collect() }
    }
}

/// The runner's file commands of one step.
struct Files {
    by_variable: BTreeMap<&'static str, PathBuf>,
}

impl Files {
    /// Fresh files; the post stage has its own.
    fn new(directory: &Path) -> Self {
        let number = fs::read_dir(directory).map_or(0, Iterator::count);
        let named = [
            ("GITHUB_OUTPUT", "set_output"),
            ("GITHUB_ENV", "set_env"),
            ("GITHUB_PATH", "add_path"),
            ("GITHUB_STATE", "save_state"),
            ("GITHUB_STEP_SUMMARY", "step_summary"),
        ];
        let by_variable = named.map(|(variable, prefix)| {
            let path = directory.join(format!("{prefix}_{number:08}-0000-4000-8000-000000000000"));
            fs::write(&path, "").expect("a file command");
            (variable, path)
        });
        Self { by_variable: by_variable.into() }
    }

    fn set(&self, command: &mut Command) {
        for (variable, path) in &self.by_variable {
            // A test that set the variable itself wants it so.
            if !command.get_envs().any(|(name, _)| name == OsStr::new(variable)) {
                command.env(variable, path);
            }
        }
    }

    fn text(&self, variable: &str) -> String {
        String::from_utf8_lossy(&fs::read(&self.by_variable[variable]).unwrap_or_default()).into_owned()
    }
}

/// A child that does not outlive its test.
struct Guard(Child);

impl Drop for Guard {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// A run under way.
pub struct Running {
    child: Guard,
    run: Landfall,
    files: Files,
    started: Instant,
}

impl Running {
    /// What it wrote to its log so far.
    pub fn log_so_far(&self) -> String {
        fs::read_to_string(self.run.job.path().join("stdout")).unwrap_or_default()
    }

    /// Waits until the log contains a text.
    ///
    /// # Panics
    /// When the run ends first, or takes too long.
    pub fn wait_for_log(&mut self, text: &str) {
        while !self.log_so_far().contains(text) {
            let ended = self.child.0.try_wait().expect("the child can be asked").is_some();
            assert!(!ended || self.log_so_far().contains(text), "it ended without '{text}':\n{}", self.log_so_far());
            assert!(self.started.elapsed() < LONGEST_RUN, "no '{text}' in time:\n{}", self.log_so_far());
            std::thread::sleep(Duration::from_millis(10));
        }
    }

    /// The process's number.
    pub fn id(&self) -> u32 {
        self.child.0.id()
    }

    /// Whether it has ended by itself.
    pub fn has_ended(&mut self) -> bool {
        self.child.0.try_wait().expect("the child can be asked").is_some()
    }

    /// Waits for the end and gives the exit code only; none when a signal ended it.
    pub fn end(mut self) -> Option<i32> {
        self.child.0.wait().expect("the child ends").code()
    }

    /// Sends a signal by name: `INT`, `TERM`, `KILL`.
    pub fn signal(&self, name: &str) {
        let status =
            Command::new("kill").args(["-s", name, &self.child.0.id().to_string()]).status().expect("kill runs");
        assert!(status.success(), "the signal was not delivered");
    }

    /// Waits for the end.
    ///
    /// # Panics
    /// When it takes too long, or writes what the runner would not accept.
    pub fn wait(mut self) -> Outcome {
        let mut peak_kilobytes = 0;
        let status = loop {
            peak_kilobytes = peak_kilobytes.max(peak_of(self.child.0.id()));
            if let Some(status) = self.child.0.try_wait().expect("the child can be asked") {
                break status;
            }
            if self.started.elapsed() > self.run.longest {
                let _ = self.child.0.kill();
                panic!("it does not end; its log so far:\n{}", self.log_so_far());
            }
            std::thread::sleep(self.run.glance);
        };
        let text = |name: &str| {
            let mut bytes = Vec::new();
            let file = fs::File::open(self.run.job.path().join(name));
            file.and_then(|mut file| file.read_to_end(&mut bytes)).expect("a captured stream");
            String::from_utf8(bytes).unwrap_or_else(|error| panic!("{name} is not UTF-8: {error}"))
        };
        let (raw, stderr) = (text("stdout"), text("stderr"));
        assert!(
            stderr.is_empty(),
            "the runner reads two pipes in no fixed order; all must go to stdout, but:\n{stderr}"
        );
        let entries = |variable: &str| {
            file_command(&self.files.text(variable)).unwrap_or_else(|error| panic!("{variable}: {error}"))
        };
        Outcome {
            code: status.code(),
            log: Log::read(&raw),
            outputs: entries("GITHUB_OUTPUT"),
            exported: entries("GITHUB_ENV"),
            state: entries("GITHUB_STATE"),
            summary: self.files.text("GITHUB_STEP_SUMMARY"),
            elapsed: self.started.elapsed(),
            peak_kilobytes,
            raw,
            run: self.run,
        }
    }
}

/// `VmHWM` of a process; 0 when it has ended.
fn peak_of(process: u32) -> u64 {
    let status = fs::read_to_string(format!("/proc/{process}/status")).unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    line.and_then(|line| line.split_whitespace().next()?.parse().ok()).unwrap_or_default()
}

/// What a run left behind.
pub struct Outcome {
    /// The exit code; none when a signal ended it.
    pub code: Option<i32>,
    /// The log as the binary wrote it.
    pub raw: String,
    /// The log as the runner reads it.
    pub log: Log,
    /// In the order written.
    pub outputs: Vec<(String, String)>,
    /// Variables for later steps.
    pub exported: Vec<(String, String)>,
    /// State for the post stage.
    pub state: Vec<(String, String)>,
    pub summary: String,
    pub elapsed: Duration,
    /// The most memory that it took, as far as it was looked at.
    pub peak_kilobytes: u64,
    run: Landfall,
}

impl Outcome {
    /// An output's value; empty when it was not written, as in a workflow.
    pub fn output(&self, name: &str) -> &str {
        self.outputs.iter().rfind(|(known, _)| known == name).map_or("", |(_, value)| value)
    }

    /// Whether an output was written at all.
    pub fn has_output(&self, name: &str) -> bool {
        self.outputs.iter().any(|(known, _)| known == name)
    }

    /// The annotations of a level.
    pub fn annotations(&self, level: &str) -> Vec<&Annotation> {
        self.log.annotations.iter().filter(|annotation| annotation.level == level).collect()
    }

    /// The workspace, as the run left it.
    pub fn workspace(&self) -> PathBuf {
        self.run.workspace()
    }

    /// The runner's temporary directory, as the run left it.
    pub fn temp(&self) -> PathBuf {
        self.run.temp()
    }

    /// The post stage of the same step: same arguments, inputs and files, the state of this run.
    pub fn post(self) -> Landfall {
        let mut run = self.run;
        for (name, value) in self.state {
            run.environment.insert(format!("STATE_{name}").into(), value.into());
        }
        run.post = true;
        run
    }

    /// Asserts exit code 0, a proper log, `result=success`, and no error annotation.
    #[track_caller]
    pub fn succeeded(&self) -> &Self {
        assert_eq!(self.code, Some(0), "{}", self.report());
        assert!(self.annotations("error").is_empty(), "{}", self.report());
        self.proper()
    }

    /// Asserts an exit code other than 0, this `reason`, exactly one error annotation, a proper log.
    #[track_caller]
    pub fn failed(&self, code: i32, reason: &str) -> &Self {
        assert_eq!(self.code, Some(code), "{}", self.report());
        assert_eq!(self.annotations("error").len(), 1, "one failure is one annotation:\n{}", self.report());
        assert_eq!((self.output("result"), self.output("reason")), ("failure", reason), "{}", self.report());
        self.proper()
    }

    /// Asserts what holds for every log: groups ended, commands resumed, no old or legacy command.
    #[track_caller]
    pub fn proper(&self) -> &Self {
        assert!(self.log.stopped.is_none(), "the log ends while commands are stopped:\n{}", self.raw);
        assert!(self.log.improper().is_empty(), "improper commands {:?}:\n{}", self.log.improper(), self.raw);
        assert_eq!(self.log.open_groups(), 0, "a group is not ended:\n{}", self.raw);
        assert!(self.summary.len() <= 1024 * 1024, "the runner drops a summary above 1 MiB");
        self
    }

    /// Asserts that a secret is nowhere to be read: not in the log (but where it is masked), outputs, summary, state.
    #[track_caller]
    pub fn keeps(&self, secret: &str) -> &Self {
        let leaks = |text: &str| text.contains(secret);
        let line = self.raw.lines().find(|line| leaks(line) && !line.starts_with("::add-mask::"));
        assert!(line.is_none(), "the log shows the secret: {line:?}");
        let entry = self.outputs.iter().chain(&self.state).find(|(_, value)| leaks(value));
        assert!(entry.is_none(), "an output or state shows the secret: {entry:?}");
        assert!(!leaks(&self.summary), "the summary shows the secret");
        self
    }

    /// Exit code, log, outputs and summary as one text for a snapshot; what varies from run to run is replaced.
    pub fn report(&self) -> String {
        let mut text = format!("exit code: {}\n", self.code.map_or("signal".to_owned(), |code| code.to_string()));
        let _ = writeln!(text, "--- log ---\n{}", self.log.lines.join("\n"));
        for annotation in &self.log.annotations {
            let _ =
                writeln!(text, "--- {} annotation ---\n{}\n{}", annotation.level, annotation.title, annotation.message);
        }
        let _ = writeln!(text, "--- outputs ---");
        for (name, value) in &self.outputs {
            let _ = writeln!(text, "{name} = {value}");
        }
        let _ = write!(text, "--- summary ---\n{}", self.summary);
        self.normalised(&text)
    }

    /// A text with this run's paths and everything else that varies replaced.
    pub fn normalised(&self, text: &str) -> String {
        let text = text.replace(&*self.workspace().to_string_lossy(), "<workspace>");
        let text = text.replace(&*self.temp().to_string_lossy(), "<temp>");
        let text = text.replace(&*self.run.job.path().to_string_lossy(), "<job>");
        normalise::text(&text)
    }
}
