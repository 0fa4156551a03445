//! Purpose: a command in a tool container: image, files in, live lines, exit code, files out, always removed.
//!
//! Files travel through the engine's archive API, so that nothing needs to be mounted and the engine may be anywhere.
//!
//! ```ignore
//! let toolbox = Toolbox::new(&engine);
//! let mut tool = Tool::new("aquasec/trivy@sha256:…", ["image", "--input", "/in/image.tar"]);
//! tool.secrets.insert("TRIVY_PASSWORD".into(), password);          // in the environment, never in arguments
//! tool.uploads.push(Upload::path("/in/image.tar", &spooled));
//! tool.downloads.push(Download::optional("/out/report.json", &report, 512 << 20));
//! let done = toolbox.run(&tool, &run.cancel.cancelled(), |stream, line| log.foreign(line)).await?;
//! if done.code != 0 { /* `done.tail` holds its last lines, `done.out_of_memory` says why */ }
//! ```

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::Duration;

use secrecy::{ExposeSecret as _, SecretString};

use crate::domain::build_event::LogStream;
use crate::services::engine::{ContainerSpec, Engine, EngineError, Init, Login, Mount, Network};

mod bench;
mod error;
mod fetch;
mod lines;
mod pack;
mod run;
#[cfg(test)]
mod tests;

pub use bench::Bench;
pub use error::{FetchError, ToolError};
pub use fetch::{Taken, unpack};
pub use pack::spool;

/// The label of every tool container, with what the tool is for.
pub const LABEL: &str = "landfall.tool";

/// A command in a container.
#[derive(Debug, Clone)]
pub struct Tool {
    /// The image, by reference or id; pulled when the engine does not have it.
    pub image: String,
    /// Who asks the registry for the image.
    pub login: Option<Login>,
    /// `linux/arm64`, when the engine is to choose this one of an image's platforms.
    pub platform: Option<String>,
    /// Replaces the image's entry point.
    pub entrypoint: Option<Vec<String>>,
    /// The command; empty keeps the image's own. Other users of the machine can see it: no secrets here.
    pub command: Vec<String>,
    /// Environment variables.
    pub environment: BTreeMap<String, String>,
    /// More of them, which are secret.
    pub secrets: BTreeMap<String, SecretString>,
    /// Where the command runs.
    pub working_directory: Option<String>,
    /// `user[:group]`.
    pub user: Option<String>,
    /// Its network.
    pub network: Network,
    /// Volumes that outlive it, to share between several tools.
    pub mounts: Vec<Mount>,
    /// The most memory that it may take, in bytes.
    pub memory: Option<u64>,
    /// What is put into it before it starts, in order.
    pub uploads: Vec<Upload>,
    /// What is taken out of it after its end, whatever its exit code.
    pub downloads: Vec<Download>,
    /// The longest time that the command may run.
    pub limit: Option<Duration>,
    /// More labels of its container, to find it again by.
    pub labels: BTreeMap<String, String>,
    /// What becomes of it when it is no longer wanted before its end.
    pub unwanted: Unwanted,
}

/// What becomes of a tool that is no longer wanted before its end.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Unwanted {
    /// It is killed and removed.
    #[default]
    Remove,
    /// It is interrupted, because it has something to put in order: a lock, a state. It is removed when it ends within
    /// this time; else it goes on, and whoever knows its labels waits for it.
    Interrupt(Duration),
}

/// Something put into a container.
#[derive(Debug, Clone)]
pub struct Upload {
    /// Absolute path in the container; missing folders above it are made.
    pub to: String,
    /// What is put there.
    pub content: Content,
    /// Who owns it in the container: user and group.
    pub owner: (u32, u32),
    /// Who may read bytes.
    pub access: UploadAccess,
}

/// Who may read uploaded bytes in the container.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum UploadAccess {
    /// Everybody.
    #[default]
    Everybody,
    /// Their owner.
    Owner,
}

/// What is put into a container.
#[derive(Debug, Clone)]
pub enum Content {
    /// A file of these bytes.
    Bytes(Vec<u8>),
    /// A file or a folder of this machine, streamed. Links stay links; sockets, pipes and devices are left out.
    Path {
        /// The file or folder.
        path: PathBuf,
        /// Names that are left out wherever they are: `.git`.
        without: Vec<String>,
    },
    /// An empty folder.
    Folder,
}

/// Something taken out of a container.
#[derive(Debug, Clone)]
pub struct Download {
    /// Absolute path in the container.
    pub from: String,
    /// Where it goes. A file replaces what is there; a folder must not exist yet.
    pub to: PathBuf,
    /// The most bytes that it may have.
    pub limit: u64,
    /// What it means when it is not there.
    pub need: Need,
}

/// What it means when something to be taken out of a container is not there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Need {
    /// An error.
    Required,
    /// Nothing; it is not among [`Finished::fetched`].
    Optional,
}

/// How a tool ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finished {
    /// The exit code; 137 after a kill.
    pub code: i64,
    /// Whether the kernel killed it for want of memory.
    pub out_of_memory: bool,
    /// Its last lines, both streams as they came, the oldest first.
    pub tail: Vec<String>,
    /// What was taken out of it, by its path there.
    pub fetched: Vec<String>,
}

impl Finished {
    /// Whether that file or folder of the container was there and is here now.
    #[must_use]
    pub fn has(&self, from: &str) -> bool {
        self.fetched.iter().any(|path| path == from)
    }
}

impl Tool {
    /// A command of an image.
    #[must_use]
    pub fn new<S: Into<String>>(image: impl Into<String>, command: impl IntoIterator<Item = S>) -> Self {
        Self {
            image: image.into(),
            command: command.into_iter().map(Into::into).collect(),
            login: None,
            platform: None,
            entrypoint: None,
            environment: BTreeMap::new(),
            secrets: BTreeMap::new(),
            working_directory: None,
            user: None,
            network: Network::Default,
            mounts: Vec::new(),
            memory: None,
            uploads: Vec::new(),
            downloads: Vec::new(),
            limit: None,
            labels: BTreeMap::new(),
            unwanted: Unwanted::default(),
        }
    }

    fn spec(&self) -> ContainerSpec {
        let labels = self.labels.clone().into_iter().chain([(LABEL.to_owned(), self.image.clone())]);
        let secrets = self.secrets.iter().map(|(name, secret)| (name.clone(), secret.expose_secret().to_owned()));
        ContainerSpec {
            platform: self.platform.clone(),
            entrypoint: self.entrypoint.clone(),
            command: (!self.command.is_empty()).then(|| self.command.clone()),
            environment: self.environment.clone().into_iter().chain(secrets).collect(),
            working_directory: self.working_directory.clone(),
            user: self.user.clone(),
            labels: labels.collect(),
            mounts: self.mounts.clone(),
            network: self.network.clone(),
            memory: self.memory,
            init: Init::Engine,
            ..ContainerSpec::new(&self.image)
        }
    }
}

impl Upload {
    /// A file of these bytes, owned by root.
    #[must_use]
    pub fn bytes(to: impl Into<String>, bytes: impl Into<Vec<u8>>) -> Self {
        Self { to: to.into(), content: Content::Bytes(bytes.into()), owner: (0, 0), access: UploadAccess::default() }
    }

    /// A file or folder of this machine, owned by root.
    #[must_use]
    pub fn path(to: impl Into<String>, path: impl AsRef<Path>) -> Self {
        let content = Content::Path { path: path.as_ref().to_owned(), without: Vec::new() };
        Self { to: to.into(), content, owner: (0, 0), access: UploadAccess::default() }
    }

    /// The same, for its owner alone: bytes that are secret.
    #[must_use]
    pub fn private(self) -> Self {
        Self { access: UploadAccess::Owner, ..self }
    }

    /// An empty folder, owned by root.
    #[must_use]
    pub fn folder(to: impl Into<String>) -> Self {
        Self { to: to.into(), content: Content::Folder, owner: (0, 0), access: UploadAccess::default() }
    }
}

impl Download {
    /// A file or folder that must be there.
    #[must_use]
    pub fn required(from: impl Into<String>, to: impl AsRef<Path>, limit: u64) -> Self {
        Self { from: from.into(), to: to.as_ref().to_owned(), limit, need: Need::Required }
    }

    /// A file or folder that may be missing.
    #[must_use]
    pub fn optional(from: impl Into<String>, to: impl AsRef<Path>, limit: u64) -> Self {
        Self { need: Need::Optional, ..Self::required(from, to, limit) }
    }
}

/// Puts something into a container that is no tool's.
///
/// # Errors
/// [`ToolError::Upload`], [`ToolError::Engine`].
pub async fn put(engine: &Engine, id: &str, upload: &Upload) -> Result<(), ToolError> {
    pack::upload(engine, id, upload).await
}

/// Takes something out of a container that is no tool's.
///
/// # Errors
/// [`ToolError::Fetch`], [`ToolError::Engine`]. What is not there is no error, whatever its need.
pub async fn take(engine: &Engine, id: &str, download: &Download) -> Result<Taken, ToolError> {
    fetch::download(engine, id, download).await
}

/// Runs tools in an engine.
#[derive(Debug, Clone)]
pub struct Toolbox {
    engine: Engine,
}

impl Toolbox {
    /// A toolbox in an engine.
    #[must_use]
    pub fn new(engine: &Engine) -> Self {
        Self { engine: engine.clone() }
    }

    /// Makes sure that the engine has the tool's image; `progress` is told when a pull begins.
    ///
    /// # Errors
    /// [`ToolError::Image`] when it can neither be found nor pulled.
    pub async fn provide(&self, tool: &Tool, progress: impl Fn(&str)) -> Result<(), ToolError> {
        let unavailable = |source: EngineError| ToolError::Image { image: tool.image.clone(), source };
        if self.engine.image(&tool.image).await.map_err(unavailable)?.is_some() {
            return Ok(());
        }
        progress(&format!("pulling {}", tool.image));
        self.engine.pull(&tool.image, tool.platform.as_deref(), tool.login.as_ref(), |_| ()).await.map_err(unavailable)
    }

    /// Runs a tool to its end and removes its container in every case. A tool that fails is no error: look at the code.
    /// `output` gets each line as it comes; `cancelled` completes when it is no longer wanted.
    ///
    /// # Errors
    /// [`ToolError`].
    pub async fn run(
        &self,
        tool: &Tool,
        cancelled: impl Future<Output = ()>,
        output: impl Fn(LogStream, &str) + Send + Sync,
    ) -> Result<Finished, ToolError> {
        run::run(&self.engine, tool, cancelled, &run::Reader { lines: &output, data: None }).await
    }

    /// The same for a tool whose standard output is a document: `data` gets it piece by piece, as it is, and no line of
    /// it is kept. Both streams are read when the tool has ended, because one that is followed to its end may miss the last.
    ///
    /// # Errors
    /// [`ToolError`].
    pub async fn read(
        &self,
        tool: &Tool,
        cancelled: impl Future<Output = ()>,
        data: impl Fn(&[u8]) + Send + Sync,
        errors: impl Fn(&str) + Send + Sync,
    ) -> Result<Finished, ToolError> {
        let lines = |_: LogStream, line: &str| errors(line);
        run::run(&self.engine, tool, cancelled, &run::Reader { lines: &lines, data: Some(&data) }).await
    }
}
