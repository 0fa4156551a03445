//! Purpose: a BuildKit daemon of our own in a container: made, waited for, found again, removed.
//!
//! It is reached through a socket file in a folder that it shares with us, which is as fast as the engine's own builder.
//! Where no folder can be shared (an engine elsewhere, a virtual machine in between) it is reached through a program that
//! the engine runs in the container, as `docker buildx` always does.

use std::path::PathBuf;
use std::time::Duration;

use tokio::time::Instant;

use super::{BuildError, Builder, Transport};
use crate::services::engine::{Access, ContainerSpec, Endpoint, Engine, EngineError, Login, Mount, Network, Privilege};

/// The image of builders, unless another one is asked for.
pub const BUILDER_IMAGE: &str =
    "moby/buildkit:v0.31.2@sha256:2f5adac4ecd194d9f8c10b7b5d7bceb5186853db1b26e5abd3a657af0b7e26ec";
/// Marks what belongs to a builder, so that leftovers can be found.
const LABEL: &str = "com.github.landfall.builder";
/// Where the socket lies in the container.
const SOCKET_FOLDER: &str = "/run/landfall";
/// The socket's name.
const SOCKET: &str = "buildkitd.sock";
/// Time for the daemon to answer.
const PATIENCE: Duration = Duration::from_secs(60);
/// Time for the shared socket alone, before the other way is tried as well.
const SHARED_PATIENCE: Duration = Duration::from_secs(5);
/// Time between two looks.
const PAUSE: Duration = Duration::from_millis(100);
/// Longest path of a socket file (`sun_path`, 108 bytes with its end).
const LONGEST_SOCKET: usize = 107;
/// Lines of its log that explain a daemon that ended.
const LAST_LINES: usize = 20;

/// What a builder is made of.
#[derive(Debug, Clone)]
pub struct BuilderContainer {
    /// Name of the container; its volume is called the same with `_state`.
    pub name: String,
    /// Image of the daemon.
    pub image: String,
    /// The login for the image's registry.
    pub login: Option<Login>,
    /// The network, which is also that of `RUN`.
    pub network: Network,
    /// Registries that are spoken to over plain HTTP.
    pub insecure: Vec<String>,
    /// A folder that we and the container see.
    pub shared: Option<SharedFolder>,
}

/// A folder that two see under two names.
#[derive(Debug, Clone)]
pub struct SharedFolder {
    /// Its path here.
    pub here: PathBuf,
    /// Its path on the engine's host.
    pub on_host: String,
}

impl SharedFolder {
    fn socket(&self) -> Option<PathBuf> {
        let socket = self.here.join(SOCKET);
        (socket.as_os_str().len() <= LONGEST_SOCKET).then_some(socket)
    }
}

impl BuilderContainer {
    /// Makes and starts it, and waits until it answers. What an interruption leaves behind, [`Self::remove`] takes away.
    ///
    /// # Errors
    /// [`BuildError::Container`].
    pub async fn start(&self, engine: &Engine) -> Result<Builder, BuildError> {
        let failed =
            |what: &'static str| move |source: EngineError| BuildError::Container { what, source: Box::new(source) };
        if engine.image(&self.image).await.map_err(failed("cannot be looked for"))?.is_none() {
            let pulled = engine.pull(&self.image, None, self.login.as_ref(), |_| ()).await;
            pulled.map_err(failed("cannot be pulled"))?;
        }
        if let Some(shared) = &self.shared {
            let made = tokio::fs::create_dir_all(&shared.here).await;
            made.map_err(|source| BuildError::Context { path: shared.here.clone(), source })?;
        }
        match self.launch(engine, Privilege::Privileged).await {
            Err(BuildError::Container { source, .. }) if lacks_capabilities(&source) => {
                engine.remove(&self.name).await.map_err(failed("cannot be replaced"))?;
                self.launch(engine, Privilege::Unconfined).await?;
            }
            launched => launched?,
        }
        self.answering(engine).await
    }

    async fn launch(&self, engine: &Engine, privilege: Privilege) -> Result<(), BuildError> {
        let failed =
            |what: &'static str| move |source: EngineError| BuildError::Container { what, source: Box::new(source) };
        let id = engine.create(&self.spec(privilege)).await.map_err(failed("cannot be made"))?;
        let config = futures_util::stream::iter([Ok::<_, std::io::Error>(self.config_archive().await?)]);
        engine.copy_in(&id, "/", config).await.map_err(failed("cannot be set up"))?;
        engine.start(&id).await.map_err(failed("cannot be started"))
    }

    /// The builder, when its container runs already.
    ///
    /// # Errors
    /// [`BuildError::Container`] when the engine cannot be asked.
    pub async fn running(&self, engine: &Engine) -> Result<Option<Builder>, BuildError> {
        let found = engine.container(&self.name).await;
        let found =
            found.map_err(|source| BuildError::Container { what: "cannot be looked for", source: Box::new(source) })?;
        match found {
            Some(container) if container.state.status == crate::domain::container::Status::Running => {
                self.answering(engine).await.map(Some)
            }
            _ => Ok(None),
        }
    }

    /// Takes container, volume and folder away. What is gone already is a success.
    ///
    /// # Errors
    /// The engine's.
    pub async fn remove(engine: &Engine, name: &str, shared: Option<&std::path::Path>) -> Result<(), EngineError> {
        engine.remove(name).await?;
        engine.remove_volume(&volume_of(name)).await?;
        if let Some(folder) = shared {
            // What cannot be removed lies below the runner's temporary folder, which the runner empties.
            let _ = tokio::fs::remove_dir_all(folder).await;
        }
        Ok(())
    }

    fn spec(&self, privilege: Privilege) -> ContainerSpec {
        let mut mounts = vec![Mount {
            source: volume_of(&self.name),
            target: "/var/lib/buildkit".to_owned(),
            access: Access::Write,
        }];
        if let Some(shared) = &self.shared {
            mounts.push(Mount {
                source: shared.on_host.clone(),
                target: SOCKET_FOLDER.to_owned(),
                access: Access::Write,
            });
        }
        if privilege == Privilege::Unconfined {
            // Only a privileged container may write there unasked, and each `RUN` gets a control group of its own.
            let cgroups = "/sys/fs/cgroup".to_owned();
            mounts.push(Mount { source: cgroups.clone(), target: cgroups, access: Access::Write });
        }
        let address = self.address();
        let mut command = vec!["--addr", &address, "--config", "/etc/landfall/buildkitd.toml"];
        if self.network == Network::Host {
            command.extend(["--allow-insecure-entitlement", "network.host"]);
        }
        ContainerSpec {
            name: Some(self.name.clone()),
            command: Some(command.into_iter().map(str::to_owned).collect()),
            labels: [(LABEL.to_owned(), self.name.clone())].into(),
            mounts,
            network: self.network.clone(),
            privilege,
            capabilities: if privilege == Privilege::Unconfined {
                CAPABILITIES.map(str::to_owned).to_vec()
            } else {
                Vec::new()
            },
            ..ContainerSpec::new(&self.image)
        }
    }

    fn address(&self) -> String {
        format!("unix://{SOCKET_FOLDER}/{SOCKET}")
    }

    /// BuildKit's settings (`docs/buildkitd.toml.md` of BuildKit).
    fn config(&self) -> String {
        let registry = |host: &String| format!("[registry.{host:?}]\n  http = true\n  insecure = true\n");
        self.insecure.iter().map(registry).collect()
    }

    async fn config_archive(&self) -> Result<bytes::Bytes, BuildError> {
        let content = self.config().into_bytes();
        let mut header = tokio_tar::Header::new_gnu();
        header.set_mode(0o644);
        header.set_size(content.len() as u64);
        let mut archive = tokio_tar::Builder::new(Vec::new());
        let fault = |source| BuildError::Context { path: "buildkitd.toml".into(), source };
        archive.append_data(&mut header, "etc/landfall/buildkitd.toml", &content[..]).await.map_err(fault)?;
        Ok(archive.into_inner().await.map_err(fault)?.into())
    }

    /// Waits for it, by the fast way first.
    async fn answering(&self, engine: &Engine) -> Result<Builder, BuildError> {
        let began = Instant::now();
        let socket = self.shared.as_ref().and_then(SharedFolder::socket);
        let direct = socket.map(|socket| Builder { transport: Transport::BuildKit(Endpoint::Unix(socket), None) });
        let address = self.address();
        let through = Builder {
            transport: Transport::Container { engine: Box::new(engine.clone()), name: self.name.clone(), address },
        };
        loop {
            if let Some(direct) = &direct
                && direct.version().await.is_ok()
            {
                return Ok(direct.clone());
            }
            self.still_running(engine).await?;
            if direct.is_none() || began.elapsed() > SHARED_PATIENCE {
                match through.version().await {
                    Ok(_) => return Ok(through),
                    Err(error) if began.elapsed() > PATIENCE => return Err(error),
                    Err(_) => {}
                }
            }
            tokio::time::sleep(PAUSE).await;
        }
    }

    /// A daemon that ended says why in its log.
    async fn still_running(&self, engine: &Engine) -> Result<(), BuildError> {
        let failed = |source| BuildError::Container { what: "cannot be looked at", source: Box::new(source) };
        let container = engine.container(&self.name).await.map_err(failed)?;
        if container.is_some_and(|container| container.state.status == crate::domain::container::Status::Running) {
            return Ok(());
        }
        let lines = engine.last_logs(&self.name, LAST_LINES).await.unwrap_or_default();
        let lines = lines.iter().map(|line| line.text.clone()).collect();
        Err(BuildError::ContainerEnded { lines })
    }
}

/// The kernel capabilities that a builder needs, beside those of every container, where not all can be had.
const CAPABILITIES: [&str; 6] = ["SYS_ADMIN", "NET_ADMIN", "SYS_PTRACE", "SYS_CHROOT", "MKNOD", "DAC_READ_SEARCH"];

/// Hosts that are themselves confined (nested engines, hardened runners) cannot give all capabilities.
fn lacks_capabilities(error: &EngineError) -> bool {
    error.to_string().contains("unable to apply caps")
}

fn volume_of(name: &str) -> String {
    format!("{name}_state")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn builder() -> BuilderContainer {
        BuilderContainer {
            name: "landfall-builder-1".into(),
            image: BUILDER_IMAGE.into(),
            login: None,
            network: Network::Host,
            insecure: vec!["registry.local:5000".into()],
            shared: Some(SharedFolder { here: "/t".into(), on_host: "/host/t".into() }),
        }
    }

    #[test]
    fn its_container_is_privileged_named_and_labelled() {
        let spec = builder().spec(Privilege::Privileged);
        assert_eq!(spec.privilege, Privilege::Privileged);
        assert_eq!(spec.labels[LABEL], "landfall-builder-1");
        assert_eq!(spec.mounts[0].source, "landfall-builder-1_state");
        assert_eq!((spec.mounts[1].source.as_str(), spec.mounts[1].target.as_str()), ("/host/t", SOCKET_FOLDER));
        let command = spec.command.unwrap().join(" ");
        assert!(command.contains("--addr unix:///run/landfall/buildkitd.sock"), "{command}");
        assert!(command.contains("network.host"), "{command}");
    }

    #[test]
    fn plain_registries_are_in_its_config() {
        assert_eq!(builder().config(), "[registry.\"registry.local:5000\"]\n  http = true\n  insecure = true\n");
    }

    #[test]
    fn a_path_that_no_socket_can_have_is_not_shared() {
        assert!(builder().shared.unwrap().socket().is_some());
        let long = SharedFolder { here: format!("/{}", "x".repeat(100)).into(), on_host: String::new() };
        assert!(long.socket().is_none());
    }
}
