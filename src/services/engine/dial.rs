//! Purpose: a stream of bytes to a program in a container: the way to a daemon that listens nowhere we can reach.

use std::io;

use bollard::container::LogOutput;
use bollard::exec::{CreateExecOptions, StartExecResults};
use futures_util::StreamExt as _;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio_util::io::StreamReader;

use super::answer::failed;
use super::{Engine, EngineError};

impl Engine {
    /// Starts a program in a running container; what is written goes to its input, what is read is its output.
    ///
    /// # Errors
    /// [`EngineError::NotFound`], [`EngineError::Conflict`] when the container does not run.
    pub async fn dial(
        &self,
        id: &str,
        command: &[&str],
    ) -> Result<impl AsyncRead + AsyncWrite + Send + Unpin + 'static + use<>, EngineError> {
        let failed =
            |error| failed(format!("starting a program in the container {id}"), &format!("container {id}"), error);
        let options = CreateExecOptions {
            attach_stdin: Some(true),
            attach_stdout: Some(true),
            attach_stderr: Some(true),
            cmd: Some(command.iter().map(|&word| word.to_owned()).collect()),
            ..CreateExecOptions::default()
        };
        let created = self.docker.create_exec(id, options).await.map_err(failed)?.id;
        let StartExecResults::Attached { output, input } =
            self.docker.start_exec(&created, None).await.map_err(failed)?
        else {
            return Err(EngineError::NotFound { object: format!("output of a program in the container {id}") });
        };
        let pieces = output.filter_map(async |piece| match piece {
            Ok(LogOutput::StdOut { message } | LogOutput::Console { message }) => Some(Ok(message)),
            Ok(_) => None,
            Err(error) => Some(Err(io::Error::other(error))),
        });
        Ok(tokio::io::join(StreamReader::new(Box::pin(pieces)), input))
    }
}
