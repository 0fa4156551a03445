//! Purpose: a volume that several tools work on one after the other, and a container through which files go in and out.

use std::collections::BTreeMap;
use std::time::Duration;

use super::{Download, Taken, Tool, ToolError, Upload, fetch, pack};
use crate::services::engine::{Access, ContainerSpec, Engine, Mount};

/// A volume for several tools. It outlives the process: [`Bench::clear`] takes it away wherever its label is known.
#[derive(Debug)]
pub struct Bench {
    engine: Engine,
    label: (String, String),
    mount: Mount,
    /// A container that is never started.
    holder: String,
}

impl Bench {
    /// Makes the volume and the container. `label`, a key and a value that is this bench's alone, is on all that is made
    /// here; `image` is one that the engine has; `target` is where the tools see the volume.
    ///
    /// # Errors
    /// [`ToolError::Engine`].
    pub async fn set_up(
        engine: &Engine,
        image: &str,
        label: (String, String),
        target: &str,
    ) -> Result<Self, ToolError> {
        let labels = BTreeMap::from([label.clone()]);
        let source = volume(&label);
        engine.create_volume(&source, &labels).await?;
        let mount = Mount { source, target: target.to_owned(), access: Access::Write };
        let spec = ContainerSpec { labels, mounts: vec![mount.clone()], ..ContainerSpec::new(image) };
        let holder = engine.create(&spec).await?;
        Ok(Self { engine: engine.clone(), label, mount, holder })
    }

    /// Lets a tool work on it.
    pub fn lend(&self, tool: &mut Tool) {
        tool.mounts.push(self.mount.clone());
        tool.labels.insert(self.label.0.clone(), self.label.1.clone());
    }

    /// Puts something into it.
    ///
    /// # Errors
    /// [`ToolError::Upload`], [`ToolError::Engine`].
    pub async fn put(&self, upload: &Upload) -> Result<(), ToolError> {
        pack::upload(&self.engine, &self.holder, upload).await
    }

    /// Takes something out of it.
    ///
    /// # Errors
    /// [`ToolError::Fetch`], [`ToolError::Engine`].
    pub async fn take(&self, download: &Download) -> Result<Taken, ToolError> {
        fetch::download(&self.engine, &self.holder, download).await
    }

    /// Takes away the containers and the volume.
    ///
    /// # Errors
    /// [`ToolError::Engine`].
    pub async fn clear(engine: &Engine, label: &(String, String)) -> Result<(), ToolError> {
        for id in engine.containers_with(&format!("{}={}", label.0, label.1)).await? {
            engine.remove(&id).await?;
        }
        Ok(engine.remove_volume(&volume(label)).await?)
    }

    /// Takes this bench away.
    ///
    /// # Errors
    /// [`ToolError::Engine`].
    pub async fn close(self) -> Result<(), ToolError> {
        Self::clear(&self.engine, &self.label).await
    }

    /// A bench that an earlier process left: waits, at most `patience` each, for its tools that still run. A container
    /// through which its files can be taken; `None` when nothing is left.
    ///
    /// # Errors
    /// [`ToolError::Engine`].
    pub async fn left_behind(
        engine: &Engine,
        label: &(String, String),
        patience: Duration,
        waiting: impl Fn(),
    ) -> Result<Option<String>, ToolError> {
        let mut last = None;
        for id in engine.containers_with(&format!("{}={}", label.0, label.1)).await? {
            let was_started = engine.container(&id).await?.is_some_and(|found| found.state.started_at.is_some());
            if was_started {
                waiting();
                // One that does not end is removed with the rest.
                let _ = tokio::time::timeout(patience, engine.wait(&id)).await;
            }
            last = Some(id);
        }
        Ok(last)
    }
}

fn volume((key, value): &(String, String)) -> String {
    format!("{key}-{value}")
}
