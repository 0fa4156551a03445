//! Purpose: containers that run one command to its end and leave nothing behind.

use bollard::container::LogOutput;
use bollard::models::{ContainerCreateBody, HostConfig};
use bollard::query_parameters::{AttachContainerOptions, CreateContainerOptions, StartContainerOptions};
use futures_util::StreamExt as _;

use super::answer::failed;
use super::{Engine, EngineError, Exit, OneShot};
use crate::domain::build_event::LogStream;

impl Engine {
    /// Runs a container to its end, handing over what it writes as it comes, and removes it in every case.
    ///
    /// # Errors
    /// [`EngineError::NotFound`] when the engine has no such image, [`EngineError::Failed`] when it cannot start.
    pub async fn run(
        &self,
        container: &OneShot,
        output: impl Fn(LogStream, &[u8]) + Send + Sync,
    ) -> Result<Exit, EngineError> {
        let created = self.docker.create_container(None::<CreateContainerOptions>, body(container)).await;
        let id = created.map_err(|error| failed("creating a container".to_owned(), &container.image, error))?.id;
        let removal = Removal { engine: self.clone(), id: Some(id.clone()) };
        let result = self.run_created(&id, output).await;
        removal.now().await;
        result
    }

    async fn run_created(
        &self,
        id: &str,
        output: impl Fn(LogStream, &[u8]) + Send + Sync,
    ) -> Result<Exit, EngineError> {
        let failed = |error| failed("running a container".to_owned(), id, error);
        let attach =
            AttachContainerOptions { stream: true, stdout: true, stderr: true, ..AttachContainerOptions::default() };
        // Attached before the start, so that not even the first line is lost.
        let mut attached = self.docker.attach_container(id, Some(attach)).await.map_err(failed)?;
        self.docker.start_container(id, None::<StartContainerOptions>).await.map_err(failed)?;
        while let Some(written) = attached.output.next().await {
            match written.map_err(failed)? {
                LogOutput::StdErr { message } => output(LogStream::Error, &message),
                LogOutput::StdOut { message } | LogOutput::Console { message } => {
                    output(LogStream::Output, &message);
                }
                LogOutput::StdIn { .. } => {}
            }
        }
        let code = self.wait(id).await?;
        let out_of_memory = self.container(id).await?.is_some_and(|ended| ended.state.out_of_memory);
        Ok(Exit { code, out_of_memory })
    }
}

/// Removes the container even when whoever waits for it is dropped.
struct Removal {
    engine: Engine,
    id: Option<String>,
}

impl Removal {
    async fn now(mut self) {
        if let Some(id) = self.id.take() {
            // A container that cannot be removed is the engine's to report.
            let _ = self.engine.remove(&id).await;
        }
    }
}

impl Drop for Removal {
    fn drop(&mut self) {
        if let (Some(id), Ok(runtime)) = (self.id.take(), tokio::runtime::Handle::try_current()) {
            let engine = self.engine.clone();
            runtime.spawn(async move {
                let _ = engine.remove(&id).await;
            });
        }
    }
}

fn body(container: &OneShot) -> ContainerCreateBody {
    let environment = container.environment.iter().map(|(key, value)| format!("{key}={value}")).collect();
    ContainerCreateBody {
        image: Some(container.image.clone()),
        cmd: (!container.command.is_empty()).then(|| container.command.clone()),
        entrypoint: container.entrypoint.clone(),
        env: Some(environment),
        attach_stdout: Some(true),
        attach_stderr: Some(true),
        host_config: Some(HostConfig { network_mode: container.network.clone(), ..HostConfig::default() }),
        ..ContainerCreateBody::default()
    }
}
