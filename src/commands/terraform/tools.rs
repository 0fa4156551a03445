//! Purpose: the tools in containers of the engine, over one volume with a copy of the workspace.
//!
//! Files travel through the engine's archive API: an action's container shares no path with the engine's host. What a
//! tool writes stays in the volume until it is fetched, and the volume goes at the end, in the post step at the latest.

use std::collections::{BTreeMap, VecDeque};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::time::Duration;

use bytes::Bytes;
use futures_util::{Stream, StreamExt as _, TryStreamExt as _};
use tokio_util::io::{ReaderStream, StreamReader};

use crate::commands::run::Run;
use crate::commands::upstream::Clients;
use crate::domain::build_event::LogStream;
use crate::domain::reference::ImageRef;
use crate::runner::{Failure, Kind};
use crate::services::engine::{Access, ContainerSpec, Engine, EngineError, Mount};

/// Label of everything that is made here; its value is drawn anew by each run.
pub(super) const LABEL: &str = "com.github.landfall.terraform";
/// Where the volume is mounted.
const ROOT: &str = "/landfall";
/// Volume that keeps downloaded providers.
const CACHE: &str = "landfall-terraform-providers";
/// Lines of a tool's output that are kept for its failure.
const LAST_LINES: usize = 30;
/// Time that a tool has to end after an interrupt; the runner kills us soon after.
const PATIENCE: Duration = Duration::from_secs(4);
/// Folders that no tool needs.
const NOT_COPIED: [&str; 3] = [".git", ".terraform", "node_modules"];

/// A place to run tools in.
pub(super) struct Tools<'a> {
    run: &'a Run,
    engine: Engine,
    token: String,
    environment: BTreeMap<String, String>,
    directory: String,
    cache: bool,
    /// A container that is never started: files go in and out through it.
    holder: String,
}

/// What becomes of a tool's standard output; its errors are always printed.
#[derive(Clone, Copy)]
pub(super) enum Output<'a> {
    /// It is printed.
    Shown,
    /// It is printed until a line begins with this.
    ShownUntil(&'a str),
    /// It is kept for a failure only.
    Quiet,
    /// It goes here, piece by piece, and nowhere else.
    To(&'a (dyn Fn(&[u8]) + Send + Sync)),
}

/// How a tool ended.
pub(super) struct Ended {
    pub(super) code: i64,
    /// Its last lines.
    pub(super) last: Vec<String>,
    /// All lines of its standard output, when it was printed or kept, as far as they are few.
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
        secrets: Vec<(String, Vec<u8>)>,
    ) -> Result<Self, Failure> {
        let engine = Clients::new(run).engine().await?;
        let token = run.random.token();
        // Before anything is made: the post step finds it even after a crash.
        run.state.save("terraform", &token).map_err(unsaved)?;
        ensure(run, &engine, image).await?;
        let labels = BTreeMap::from([(LABEL.to_owned(), token.clone())]);
        engine.create_volume(&volume(&token), &labels).await?;
        let mut tools =
            Self { run, engine, token, environment, directory: directory.to_owned(), cache, holder: String::new() };
        tools.holder = tools.engine.create(&tools.spec(image, &[])).await?;
        let (tar, packing) = pack(run.workspace(), secrets);
        let copied = tools.engine.copy_in(&tools.holder, ROOT, tar).await;
        packing.await.map_err(|error| unreadable(io::Error::other(error)))?.map_err(unreadable)?;
        copied?;
        Ok(tools)
    }

    fn spec(&self, image: &str, arguments: &[String]) -> ContainerSpec {
        let mut mounts = vec![Mount { source: volume(&self.token), target: ROOT.to_owned(), access: Access::Write }];
        let mut environment = self.environment.clone();
        if self.cache {
            let target = "/landfall-providers".to_owned();
            environment.insert("TF_PLUGIN_CACHE_DIR".to_owned(), target.clone());
            mounts.push(Mount { source: CACHE.to_owned(), target, access: Access::Write });
        }
        let work =
            if self.directory.is_empty() { format!("{ROOT}/work") } else { format!("{ROOT}/work/{}", self.directory) };
        ContainerSpec {
            command: Some(arguments.to_vec()),
            environment,
            working_directory: Some(work),
            labels: BTreeMap::from([(LABEL.to_owned(), self.token.clone())]),
            mounts,
            ..ContainerSpec::new(image)
        }
    }

    /// Runs one tool to its end. When the run is cancelled the tool is interrupted, which lets it free its lock; one
    /// that needs longer goes on, and the post step waits for it.
    pub(super) async fn tool(&self, image: &str, arguments: &[&str], output: Output<'_>) -> Result<Ended, Failure> {
        let arguments: Vec<String> = arguments.iter().map(|&argument| argument.to_owned()).collect();
        let id = self.engine.create(&self.spec(image, &arguments)).await?;
        self.engine.start(&id).await?;
        let lines = Mutex::new(Lines::of(output));
        let print = |line: &str| self.run.log.foreign(line);
        let take = |stream: LogStream, data: &[u8]| match (stream, output) {
            (LogStream::Output, Output::To(take)) => take(data),
            _ => {
                if let Ok(mut lines) = lines.lock() {
                    lines.write(stream, data, print);
                }
            }
        };
        // Following a container that ends at that moment may miss what it wrote. What is going to be read by a program is
        // therefore read when it has ended.
        let is_live = matches!(output, Output::Shown | Output::ShownUntil(_));
        let ended = async {
            if is_live {
                self.engine.follow_logs(&id, take).await?;
                return self.engine.wait(&id).await;
            }
            let code = self.engine.wait(&id).await?;
            self.engine.follow_logs(&id, take).await?;
            Ok(code)
        };
        let code = match self.run.unless_cancelled(ended).await {
            Ok(code) => code?,
            Err(cancelled) => return Err(self.interrupt(&id, cancelled).await),
        };
        let mut lines = lines.into_inner().unwrap_or_default();
        lines.finish(print);
        if code != 0 && lines.last.is_empty() {
            let missed = self.engine.last_logs(&id, LAST_LINES).await?;
            lines.last.extend(missed.into_iter().map(|line| line.text));
        }
        self.engine.remove(&id).await?;
        Ok(Ended { code, last: lines.last.into(), lines: lines.output })
    }

    async fn interrupt(&self, id: &str, cancelled: Failure) -> Failure {
        let _ = self.engine.signal(id, "SIGINT").await;
        match tokio::time::timeout(PATIENCE, self.engine.wait(id)).await {
            Ok(_) => {
                let _ = self.engine.remove(id).await;
                cancelled.hint("The tool was interrupted and has ended by itself, so that the state's lock is free.")
            }
            Err(_) => cancelled.hint("The tool was interrupted and is still ending; the post step waits for it."),
        }
    }

    /// One file of the workspace's copy or of `out/`; `None` when there is none.
    pub(super) async fn fetch(&self, path: &str) -> Result<Option<Vec<u8>>, Failure> {
        fetch(&self.engine, &self.holder, path).await
    }

    /// Takes away containers and volume.
    pub(super) async fn finish(self) -> Result<(), Failure> {
        clean(&self.engine, &self.token).await
    }
}

/// Removes everything with this token's label.
pub(super) async fn clean(engine: &Engine, token: &str) -> Result<(), Failure> {
    for id in engine.containers_with(&format!("{LABEL}={token}")).await? {
        engine.remove(&id).await?;
    }
    Ok(engine.remove_volume(&volume(token)).await?)
}

/// In the post step: what a main step that was cancelled or killed left. A tool that still runs is ending: it is waited
/// for, and the state that it wrote into the workspace's copy is fetched.
pub(super) async fn clean_later(run: &Run, token: &str, directory: Option<&str>) -> Result<(), Failure> {
    let engine = Clients::new(run).engine().await?;
    let mut last = None;
    for id in engine.containers_with(&format!("{LABEL}={token}")).await? {
        let runs = engine.container(&id).await?.is_some_and(|container| container.state.started_at.is_some());
        if runs {
            run.log.info("A tool is still ending; it is waited for");
            let _ = tokio::time::timeout(Duration::from_secs(240), engine.wait(&id)).await;
        }
        last = Some(id);
    }
    // Only an apply leaves a state, and only then is the directory known here.
    if let (Some(holder), Some(directory)) = (last, directory) {
        for name in STATE_FILES {
            if let Some(content) = fetch(&engine, &holder, &work_path(directory, name)).await? {
                write_file(&run.workspace().join(directory).join(name), &content)?;
            }
        }
    }
    clean(&engine, token).await
}

/// Files that an apply leaves beside the configuration.
pub(super) const STATE_FILES: [&str; 3] = ["terraform.tfstate", "terraform.tfstate.backup", "errored.tfstate"];

pub(super) fn work_path(directory: &str, name: &str) -> String {
    if directory.is_empty() { format!("{ROOT}/work/{name}") } else { format!("{ROOT}/work/{directory}/{name}") }
}

pub(super) fn write_file(path: &Path, content: &[u8]) -> Result<(), Failure> {
    std::fs::write(path, content).map_err(|source| {
        Failure::new(Kind::Work, "disk", "File not written", format!("{} cannot be written", path.display()))
            .caused_by(source)
    })
}

async fn fetch(engine: &Engine, container: &str, path: &str) -> Result<Option<Vec<u8>>, Failure> {
    let tar = engine.copy_out(container, path);
    let mut tar = Box::pin(tar.peekable());
    match tar.as_mut().peek().await {
        Some(Err(EngineError::NotFound { .. })) | None => return Ok(None),
        _ => {}
    }
    let reader = StreamReader::new(tar.map_err(io::Error::other));
    let mut archive = tokio_tar::Archive::new(reader);
    let mut entries = archive.entries().map_err(unreadable)?;
    let Some(entry) = entries.next().await else {
        return Ok(None);
    };
    let mut content = Vec::new();
    let mut entry = entry.map_err(unreadable)?;
    tokio::io::AsyncReadExt::read_to_end(&mut entry, &mut content).await.map_err(unreadable)?;
    Ok(Some(content))
}

/// Pulls an image that the engine does not have.
pub(super) async fn ensure(run: &Run, engine: &Engine, image: &str) -> Result<(), Failure> {
    if engine.image(image).await?.is_some() {
        return Ok(());
    }
    run.log.info(format!("Pulling {image}"));
    let login = match image.parse::<ImageRef>() {
        Ok(reference) => {
            let existence = Clients::new(run).existence(Some(engine), &[reference.registry()])?;
            existence.login(reference.registry()).await?
        }
        Err(_) => None,
    };
    Ok(engine.pull(image, None, login.as_ref(), |_| ()).await?)
}

fn volume(token: &str) -> String {
    format!("landfall-terraform-{token}")
}

type Packing = tokio::task::JoinHandle<io::Result<()>>;

/// The workspace as `work/`, and files of ours as `out/`.
fn pack(
    root: PathBuf,
    files: Vec<(String, Vec<u8>)>,
) -> (impl Stream<Item = io::Result<Bytes>> + Send + 'static, Packing) {
    let (reader, writer) = tokio::io::duplex(256 * 1024);
    let packing = tokio::spawn(async move {
        let mut builder = tokio_tar::Builder::new(writer);
        builder.follow_symlinks(false);
        add_folder(&mut builder, "out").await?;
        for (name, content) in files {
            add_file(&mut builder, &format!("out/{name}"), &content).await?;
        }
        add_folder(&mut builder, "work").await?;
        let mut folders = vec![(root, "work".to_owned())];
        while let Some((path, name)) = folders.pop() {
            let mut entries = tokio::fs::read_dir(&path).await?;
            while let Some(entry) = entries.next_entry().await? {
                let file = entry.file_name();
                let (Some(child), kind) = (file.to_str(), entry.file_type().await?) else {
                    continue;
                };
                let inside = format!("{name}/{child}");
                if kind.is_dir() && !NOT_COPIED.contains(&child) {
                    builder.append_dir(&inside, entry.path()).await?;
                    folders.push((entry.path(), inside));
                } else if kind.is_file() || kind.is_symlink() {
                    builder.append_path_with_name(entry.path(), &inside).await?;
                }
            }
        }
        let mut writer = builder.into_inner().await?;
        tokio::io::AsyncWriteExt::shutdown(&mut writer).await
    });
    (ReaderStream::new(reader), packing)
}

async fn add_folder<W: tokio::io::AsyncWrite + Unpin + Send>(
    builder: &mut tokio_tar::Builder<W>,
    name: &str,
) -> io::Result<()> {
    let mut header = tokio_tar::Header::new_gnu();
    header.set_entry_type(tokio_tar::EntryType::Directory);
    header.set_mode(0o755);
    header.set_size(0);
    builder.append_data(&mut header, name, io::Cursor::new(Vec::new())).await
}

async fn add_file<W: tokio::io::AsyncWrite + Unpin + Send>(
    builder: &mut tokio_tar::Builder<W>,
    name: &str,
    content: &[u8],
) -> io::Result<()> {
    let mut header = tokio_tar::Header::new_gnu();
    header.set_mode(0o600);
    header.set_size(u64::try_from(content.len()).unwrap_or(0));
    builder.append_data(&mut header, name, io::Cursor::new(content.to_vec())).await
}

fn unreadable(source: io::Error) -> Failure {
    Failure::new(
        Kind::Work,
        "disk",
        "Files not copied",
        "the workspace cannot be copied to or from the tool's container",
    )
    .caused_by(source)
}

fn unsaved(source: crate::runner::FileCommandError) -> Failure {
    Failure::new(Kind::Work, "state-unwritable", "State not saved", "the clean-up of this step cannot be prepared")
        .caused_by(source)
}

/// A tool's output in lines.
#[derive(Default)]
struct Lines {
    open: [Vec<u8>; 2],
    last: VecDeque<String>,
    output: Vec<String>,
    until: Option<String>,
    hidden: bool,
}

impl Lines {
    fn of(output: Output<'_>) -> Self {
        let until = match output {
            Output::ShownUntil(end) => Some(end.to_owned()),
            _ => None,
        };
        Self { until, hidden: matches!(output, Output::Quiet), ..Self::default() }
    }

    fn write(&mut self, stream: LogStream, data: &[u8], print: impl Fn(&str)) {
        let index = usize::from(stream == LogStream::Error);
        for piece in data.split_inclusive(|byte| *byte == b'\n') {
            if self.open[index].len() < 16 * 1024 {
                self.open[index].extend_from_slice(piece);
            }
            if piece.ends_with(b"\n") {
                self.close(index, &print);
            }
        }
    }

    fn close(&mut self, index: usize, print: &impl Fn(&str)) {
        let bytes = std::mem::take(&mut self.open[index]);
        let line = String::from_utf8_lossy(&bytes).trim_end_matches(['\n', '\r']).to_owned();
        if index == 0 {
            self.hidden = self.hidden || self.until.as_ref().is_some_and(|end| line.starts_with(end));
            if self.output.len() < 10_000 {
                self.output.push(line.clone());
            }
            if self.hidden {
                return;
            }
        }
        print(&line);
        if !line.trim().is_empty() {
            if self.last.len() == LAST_LINES {
                self.last.pop_front();
            }
            self.last.push_back(line);
        }
    }

    fn finish(&mut self, print: impl Fn(&str)) {
        for index in [0, 1] {
            if !self.open[index].is_empty() {
                self.close(index, &print);
            }
        }
    }
}
