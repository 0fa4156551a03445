//! Purpose: commands in a container that runs already.

use std::collections::BTreeMap;

use bollard::container::LogOutput;
use bollard::exec::{CreateExecOptions, StartExecResults};
use futures_util::StreamExt as _;

use super::answer::failed;
use super::{Engine, EngineError};
use crate::domain::build_event::LogStream;

/// A command for a running container.
#[derive(Debug, Clone, Default)]
pub struct Exec {
    /// Program and arguments.
    pub command: Vec<String>,
    /// Environment variables beside the container's own.
    pub environment: BTreeMap<String, String>,
    /// Where it runs; `None` is the container's working directory.
    pub working_directory: Option<String>,
    /// `user[:group]`; `None` is the container's user.
    pub user: Option<String>,
}

impl Engine {
    /// Runs a command to its end, handing over what it writes; its exit code (126 and 127 when it cannot be run). A
    /// dropped future stops listening; the command goes on, as the engine offers no way to end it.
    ///
    /// # Errors
    /// [`EngineError::NotFound`], [`EngineError::Conflict`] when the container does not run.
    pub async fn exec(
        &self,
        id: &str,
        exec: &Exec,
        output: impl Fn(LogStream, &[u8]) + Send,
    ) -> Result<i64, EngineError> {
        let object = format!("container {id}");
        let failed = |error| failed(format!("running a command in the container {id}"), &object, error);
        let options = CreateExecOptions {
            attach_stdout: Some(true),
            attach_stderr: Some(true),
            cmd: Some(exec.command.clone()),
            env: Some(exec.environment.iter().map(|(key, value)| format!("{key}={value}")).collect()),
            working_dir: exec.working_directory.clone(),
            user: exec.user.clone(),
            ..CreateExecOptions::default()
        };
        let created = self.docker.create_exec(id, options).await.map_err(failed)?.id;
        let started = self.docker.start_exec(&created, None).await.map_err(failed)?;
        if let StartExecResults::Attached { output: mut written, .. } = started {
            while let Some(piece) = written.next().await {
                match piece.map_err(failed)? {
                    LogOutput::StdErr { message } => output(LogStream::Error, &message),
                    LogOutput::StdOut { message } | LogOutput::Console { message } => {
                        output(LogStream::Output, &message);
                    }
                    LogOutput::StdIn { .. } => {}
                }
            }
        }
        let ended = self.docker.inspect_exec(&created).await.map_err(failed)?;
        Ok(ended.exit_code.unwrap_or_default())
    }
}
