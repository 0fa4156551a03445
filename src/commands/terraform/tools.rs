//! Purpose: Terraform and its scanner as tools in containers, over one volume with a copy of the workspace.
//!
//! What a tool writes stays in the volume until it is taken, and the volume goes at the end, in the post step at the latest.

use std::collections::{BTreeMap, VecDeque};
use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::time::Duration;

use crate::commands::run::Run;
use crate::commands::upstream::{Clients, tool_login};
use crate::domain::build_event::LogStream;
use crate::runner::{Failure, Kind};
use crate::services::engine::{Access, Engine, Mount};
use crate::services::toolbox::{self, Bench, Content, Download, Taken, Tool, Toolbox, Unwanted, Upload};

/// Label of everything that is made here; its value is drawn anew by each run.
const LABEL: &str = "com.github.landfall.terraform";
/// Where the volume is mounted.
const ROOT: &str = "/landfall";
/// Volume that keeps downloaded providers, and where the tools find it.
const CACHE: (&str, &str) = ("landfall-terraform-providers", "/landfall-providers");
/// Lines of a tool's output that are kept for its failure.
const LAST_LINES: usize = 30;
/// Lines that are searched for the tool's own summary.
const SEARCHED_LINES: usize = 10_000;
/// Time that a tool has to end after an interrupt; the runner kills us soon after.
const PATIENCE: Duration = Duration::from_secs(4);
/// Time that a tool which a killed step left has to end.
const PATIENCE_LATER: Duration = Duration::from_secs(240);
/// Folders that no tool needs.
const NOT_COPIED: [&str; 3] = [".git", ".terraform", "node_modules"];
/// Files that an apply leaves beside the configuration.
const STATE_FILES: [&str; 3] = ["terraform.tfstate", "terraform.tfstate.backup", "errored.tfstate"];
/// The largest file that is taken out of the workspace's copy.
pub(super) const LARGEST: u64 = 512 << 20;

/// A place to run tools in.
pub(super) struct Tools<'a> {
    run: &'a Run,
    engine: Engine,
    bench: Bench,
    environment: BTreeMap<String, String>,
    directory: String,
    cache: bool,
}

/// What becomes of a tool's standard output; its errors are always printed.
#[derive(Clone, Copy)]
pub(super) enum Output<'a> {
    /// It is printed.
    Shown,
    /// It is printed until a line begins with this.
    ShownUntil(&'a str),
    /// It goes here, piece by piece, and nowhere else.
    To(&'a (dyn Fn(&[u8]) + Send + Sync)),
}

/// How a tool ended.
pub(super) struct Ended {
    pub(super) code: i64,
    /// Its last lines that were printed.
    pub(super) last: Vec<String>,
    /// The first lines of its standard output, printed or not; none when it went elsewhere.
    pub(super) lines: Vec<String>,
}

impl<'a> Tools<'a> {
    /// Makes the volume, and fills it with the workspace.
    pub(super) async fn prepare(
        run: &'a Run,
        image: &str,
        directory: &str,
        environment: BTreeMap<String, String>,
        cache: bool,
        files: Vec<(String, Vec<u8>)>,
    ) -> Result<Self, Failure> {
        let engine = Clients::new(run).engine().await?;
        let token = run.random.token();
        // Before anything is made: the post step finds it even after a crash.
        run.state.save("terraform", &token).map_err(unsaved)?;
        provide(run, &engine, image).await?;
        let bench = Bench::set_up(&engine, image, label(&token), ROOT).await?;
        bench.put(&Upload::folder(format!("{ROOT}/out"))).await?;
        for (name, content) in files {
            bench.put(&Upload::bytes(format!("{ROOT}/out/{name}"), content).private()).await?;
        }
        let without = NOT_COPIED.map(str::to_owned).to_vec();
        let content = Content::Path { path: run.workspace(), without };
        bench.put(&Upload { content, ..Upload::folder(format!("{ROOT}/work")) }).await?;
        Ok(Self { run, engine, bench, environment, directory: directory.to_owned(), cache })
    }

    fn container(&self, image: &str, arguments: &[&str]) -> Tool {
        let mut tool = Tool::new(image, arguments.iter().copied());
        tool.environment = self.environment.clone();
        if self.cache {
            let (source, target) = (CACHE.0.to_owned(), CACHE.1.to_owned());
            tool.environment.insert("TF_PLUGIN_CACHE_DIR".to_owned(), target.clone());
            tool.mounts.push(Mount { source, target, access: Access::Write });
        }
        tool.working_directory = Some(work_folder(&self.directory));
        // An interrupt lets it free its lock; one that needs longer goes on, and the post step waits for it.
        tool.unwanted = Unwanted::Interrupt(PATIENCE);
        self.bench.lend(&mut tool);
        tool
    }

    /// Runs one tool to its end.
    pub(super) async fn tool(&self, image: &str, arguments: &[&str], output: Output<'_>) -> Result<Ended, Failure> {
        let (tool, toolbox) = (self.container(image, arguments), Toolbox::new(&self.engine));
        let cancelled = self.run.cancel.cancelled();
        let log = &self.run.log;
        let until = match output {
            Output::To(take) => {
                let finished = toolbox.read(&tool, cancelled, take, |line| log.foreign(line)).await?;
                let last = finished.tail.into_iter().filter(|line| !line.trim().is_empty()).collect();
                return Ok(Ended { code: finished.code, last, lines: Vec::new() });
            }
            Output::Shown => None,
            Output::ShownUntil(end) => Some(end),
        };
        let heard = Mutex::new(Heard::default());
        let hear = |stream: LogStream, line: &str| {
            if let Ok(mut heard) = heard.lock()
                && heard.take(stream, line, until)
            {
                log.foreign(line);
            }
        };
        let finished = toolbox.run(&tool, cancelled, hear).await?;
        let heard = heard.into_inner().unwrap_or_default();
        Ok(Ended { code: finished.code, last: heard.last.into(), lines: heard.output })
    }

    /// The same for a tool whose standard output is short, and for a program to read.
    pub(super) async fn told(&self, image: &str, arguments: &[&str]) -> Result<(Ended, Vec<u8>), Failure> {
        let written = Mutex::new(Vec::new());
        let take = |data: &[u8]| {
            if let Ok(mut written) = written.lock() {
                written.extend_from_slice(data);
            }
        };
        let ended = self.tool(image, arguments, Output::To(&take)).await?;
        Ok((ended, written.into_inner().unwrap_or_default()))
    }

    /// Makes sure that the engine has a further tool's image.
    pub(super) async fn provide(&self, image: &str) -> Result<(), Failure> {
        provide(self.run, &self.engine, image).await
    }

    /// Takes a file that a tool wrote to `out/`, or whose path in the workspace's copy is this.
    pub(super) async fn take(&self, from: &str, to: &Path) -> Result<Taken, Failure> {
        Ok(self.bench.take(&Download::optional(from, to, LARGEST)).await?)
    }

    /// Takes the state that an apply left beside the configuration.
    pub(super) async fn take_state(&self) -> Result<(), Failure> {
        for (from, to) in state_files(self.run, &self.directory) {
            self.take(&from, &to).await?;
        }
        Ok(())
    }

    /// Takes away containers and volume.
    pub(super) async fn finish(self) -> Result<(), Failure> {
        Ok(self.bench.close().await?)
    }
}

/// In the post step: what a main step that was cancelled or killed left. A tool that still runs is ending: it is waited
/// for, and the state that it wrote into the workspace's copy is taken.
pub(super) async fn clean_later(run: &Run, token: &str, directory: Option<&str>) -> Result<(), Failure> {
    let engine = Clients::new(run).engine().await?;
    let label = label(token);
    let waiting = || run.log.info("A tool is still ending; it is waited for");
    let left = Bench::left_behind(&engine, &label, PATIENCE_LATER, waiting).await?;
    // Only an apply leaves a state, and only then is the directory known here.
    if let (Some(holder), Some(directory)) = (left, directory) {
        for (from, to) in state_files(run, directory) {
            toolbox::take(&engine, &holder, &Download::optional(from, to, LARGEST)).await?;
        }
    }
    Ok(Bench::clear(&engine, &label).await?)
}

fn label(token: &str) -> (String, String) {
    (LABEL.to_owned(), token.to_owned())
}

fn state_files(run: &Run, directory: &str) -> [(String, PathBuf); 3] {
    let folder = run.workspace().join(directory);
    STATE_FILES.map(|name| (work_path(directory, name), folder.join(name)))
}

fn work_folder(directory: &str) -> String {
    if directory.is_empty() { format!("{ROOT}/work") } else { format!("{ROOT}/work/{directory}") }
}

/// Where a file beside the configuration lies in the workspace's copy.
pub(super) fn work_path(directory: &str, name: &str) -> String {
    format!("{}/{name}", work_folder(directory))
}

pub(super) fn write_file(path: &Path, content: &[u8]) -> Result<(), Failure> {
    std::fs::write(path, content).map_err(|source| unwritten(path, source))
}

pub(super) fn unwritten(path: &Path, source: std::io::Error) -> Failure {
    Failure::new(Kind::Work, "disk", "File not written", format!("{} cannot be written", path.display()))
        .caused_by(source)
}

async fn provide(run: &Run, engine: &Engine, image: &str) -> Result<(), Failure> {
    let mut tool = Tool::new(image, Vec::<String>::new());
    tool.login = tool_login(run, engine, image).await?;
    Ok(Toolbox::new(engine).provide(&tool, |line| run.log.info(line)).await?)
}

fn unsaved(source: crate::runner::FileCommandError) -> Failure {
    Failure::new(Kind::Work, "state-unwritable", "State not saved", "the clean-up of this step cannot be prepared")
        .caused_by(source)
}

/// What was heard of a tool's two streams.
#[derive(Default)]
struct Heard {
    last: VecDeque<String>,
    output: Vec<String>,
    is_hiding: bool,
}

impl Heard {
    /// Notes a line; whether it is to be printed.
    fn take(&mut self, stream: LogStream, line: &str, until: Option<&str>) -> bool {
        if stream == LogStream::Output {
            self.is_hiding = self.is_hiding || until.is_some_and(|end| line.starts_with(end));
            if self.output.len() < SEARCHED_LINES {
                self.output.push(line.to_owned());
            }
            if self.is_hiding {
                return false;
            }
        }
        if !line.trim().is_empty() {
            if self.last.len() == LAST_LINES {
                self.last.pop_front();
            }
            self.last.push_back(line.to_owned());
        }
        true
    }
}
