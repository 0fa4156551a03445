//! Purpose: the life of a container that outlives the request which makes it.

use std::collections::HashMap;
use std::time::Duration;

use bollard::models::{
    ContainerInspectResponse, ContainerStateStatusEnum, HealthStatusEnum, MountPoint, NetworkSettings, PortMap,
};
use bollard::query_parameters::{
    CreateContainerOptions, InspectContainerOptions, KillContainerOptions, ListContainersOptions,
    RemoveContainerOptions, StartContainerOptions, StopContainerOptions, WaitContainerOptions,
};
use futures_util::StreamExt as _;

use super::answer::{failed, start_failed};
use super::spec::ContainerSpec;
use super::{Engine, EngineError};
use crate::domain::container::{Attachment, Container, ContainerState, HealthStatus, Port, Probe, Protocol, Status};

/// How often, and after how long each time, a kill without a reason is looked at again.
const LATE_LOOKS: usize = 4;
const LATE_PAUSE: Duration = Duration::from_millis(250);

impl Engine {
    /// Makes a container and returns its id; nothing runs yet. It is removed again when one of its networks cannot be
    /// joined.
    ///
    /// # Errors
    /// [`EngineError::NotFound`] when the engine has no such image or network, [`EngineError::Conflict`] when the name
    /// is taken, [`EngineError::Failed`] otherwise.
    pub async fn create(&self, spec: &ContainerSpec) -> Result<String, EngineError> {
        let options =
            CreateContainerOptions { name: spec.name.clone(), platform: spec.platform.clone().unwrap_or_default() };
        let subject = spec.name.as_deref().unwrap_or(&spec.image);
        let action = || format!("creating the container {subject}");
        let object = format!("image {}", spec.image);
        let created = self.docker.create_container(Some(options), spec.body()).await;
        let id = created.map_err(|error| super::answer::create_failed(action(), &object, error))?.id;
        for (network, aliases) in spec.later_networks() {
            if let Err(error) = self.join(network, &id, aliases).await {
                self.remove(&id).await?;
                return Err(error);
            }
        }
        Ok(id)
    }

    /// Starts a container. Starting one that runs is a success.
    ///
    /// # Errors
    /// [`EngineError::Start`] with what stood in the way: a port that is taken, a command that is not there.
    pub async fn start(&self, id: &str) -> Result<(), EngineError> {
        let started = self.docker.start_container(id, None::<StartContainerOptions>).await;
        started.map_err(|error| start_failed(id, error))
    }

    /// What the engine says of a container, by id or name; `None` when it definitely has none. One that was killed for no
    /// reason known yet is looked at again: 20.10 notes that it was for want of memory some time after its end.
    ///
    /// # Errors
    /// Anything but a definite answer.
    pub async fn container(&self, id: &str) -> Result<Option<Container>, EngineError> {
        let mut found = self.look(id).await?;
        for _ in 0..LATE_LOOKS {
            if !found.as_ref().is_some_and(|container| is_unexplained(&container.state)) {
                break;
            }
            tokio::time::sleep(LATE_PAUSE).await;
            found = self.look(id).await?;
        }
        Ok(found)
    }

    async fn look(&self, id: &str) -> Result<Option<Container>, EngineError> {
        match self.docker.inspect_container(id, None::<InspectContainerOptions>).await {
            Ok(found) => Ok(Some(container(found))),
            Err(error) => match failed(format!("inspecting the container {id}"), &format!("container {id}"), error) {
                EngineError::NotFound { .. } => Ok(None),
                error => Err(error),
            },
        }
    }

    /// Ids of all containers with a label, running or not; `label` is `key` or `key=value`.
    ///
    /// # Errors
    /// Any failure to list.
    pub async fn containers_with(&self, label: &str) -> Result<Vec<String>, EngineError> {
        let filters = HashMap::from([("label".to_owned(), vec![label.to_owned()])]);
        let options = ListContainersOptions { all: true, filters: Some(filters), ..ListContainersOptions::default() };
        let listed = self.docker.list_containers(Some(options)).await;
        let listed = listed.map_err(|error| failed("listing containers".to_owned(), "containers", error))?;
        Ok(listed.into_iter().filter_map(|container| container.id).collect())
    }

    /// Waits until a container's main process ends, for as long as that takes; its exit code.
    ///
    /// # Errors
    /// [`EngineError::NotFound`] when there is no such container.
    pub async fn wait(&self, id: &str) -> Result<i64, EngineError> {
        let mut waited = std::pin::pin!(self.docker.wait_container(id, None::<WaitContainerOptions>));
        match waited.next().await {
            Some(Ok(ended)) => Ok(ended.status_code),
            // bollard calls every exit code but 0 an error.
            Some(Err(bollard::errors::Error::DockerContainerWaitError { code, .. })) => Ok(code),
            Some(Err(error)) => {
                Err(failed(format!("waiting for the container {id}"), &format!("container {id}"), error))
            }
            None => Err(EngineError::NotFound { object: format!("container {id}") }),
        }
    }

    /// Asks a container to stop, and kills it after `patience`. One that is stopped or gone is a success.
    ///
    /// # Errors
    /// Any other failure.
    pub async fn stop(&self, id: &str, patience: Duration) -> Result<(), EngineError> {
        let seconds = i32::try_from(patience.as_secs()).unwrap_or(i32::MAX);
        let options = StopContainerOptions { t: Some(seconds), ..StopContainerOptions::default() };
        let stopped = self.patient().stop_container(id, Some(options)).await;
        gone_is_fine(stopped.map_err(|error| failed(format!("stopping the container {id}"), id, error)))
    }

    /// Sends a signal, `SIGTERM`, to a container's main process.
    ///
    /// # Errors
    /// [`EngineError::Conflict`] when it does not run, [`EngineError::NotFound`].
    pub async fn signal(&self, id: &str, signal: &str) -> Result<(), EngineError> {
        let options = KillContainerOptions { signal: signal.to_owned() };
        let sent = self.docker.kill_container(id, Some(options)).await;
        sent.map_err(|error| failed(format!("signalling the container {id}"), &format!("container {id}"), error))
    }

    /// Removes a container with its anonymous volumes, running or not. One that is gone is a success.
    ///
    /// # Errors
    /// Any other failure.
    pub async fn remove(&self, id: &str) -> Result<(), EngineError> {
        let options = RemoveContainerOptions { force: true, v: true, ..RemoveContainerOptions::default() };
        let removed = self.docker.remove_container(id, Some(options)).await;
        match removed.map_err(|error| failed(format!("removing the container {id}"), id, error)) {
            // Somebody else removes it at this moment.
            Err(EngineError::Conflict { message, .. }) if message.contains("already in progress") => Ok(()),
            removed => gone_is_fine(removed),
        }
    }
}

fn gone_is_fine(done: Result<(), EngineError>) -> Result<(), EngineError> {
    match done {
        Err(EngineError::NotFound { .. }) => Ok(()),
        done => done,
    }
}

fn container(found: ContainerInspectResponse) -> Container {
    let state = state(&found);
    let config = found.config.unwrap_or_default();
    let settings = found.network_settings.unwrap_or_default();
    let exposed = config.exposed_ports.unwrap_or_default();
    Container {
        id: found.id.unwrap_or_default(),
        name: found.name.unwrap_or_default().trim_start_matches('/').to_owned(),
        image: config.image.unwrap_or_default(),
        image_id: found.image.unwrap_or_default(),
        labels: config.labels.unwrap_or_default().into_iter().collect(),
        state,
        network_mode: found.host_config.and_then(|config| config.network_mode).unwrap_or_default(),
        published: published(settings.ports.as_ref()),
        exposed: exposed.iter().filter_map(|key| port_of(key)).collect(),
        networks: networks(settings),
        mounts: found.mounts.unwrap_or_default().into_iter().filter_map(mount).collect(),
    }
}

/// Ended by SIGKILL, and the engine does not say why.
fn is_unexplained(state: &ContainerState) -> bool {
    state.status == Status::Exited && state.exit_code == 128 + 9 && !state.out_of_memory
}

fn state(found: &ContainerInspectResponse) -> ContainerState {
    let state = found.state.clone().unwrap_or_default();
    let health = state.health.unwrap_or_default();
    let status = match state.status {
        Some(ContainerStateStatusEnum::CREATED) => Status::Created,
        Some(ContainerStateStatusEnum::RUNNING) => Status::Running,
        Some(ContainerStateStatusEnum::PAUSED) => Status::Paused,
        Some(ContainerStateStatusEnum::RESTARTING) => Status::Restarting,
        Some(ContainerStateStatusEnum::EXITED) => Status::Exited,
        _ => Status::Dead,
    };
    let small = |number: Option<i64>| number.and_then(|number| u32::try_from(number).ok()).unwrap_or_default();
    let probes = health.log.unwrap_or_default().into_iter().map(|probe| Probe {
        exit_code: probe.exit_code.unwrap_or_default(),
        output: probe.output.unwrap_or_default(),
        ended: probe.end,
    });
    ContainerState {
        status,
        exit_code: state.exit_code.unwrap_or_default(),
        out_of_memory: state.oom_killed.unwrap_or_default(),
        error: state.error.unwrap_or_default(),
        started_at: state.started_at.filter(|time| happened(time)),
        finished_at: state.finished_at.filter(|time| happened(time)),
        health: match health.status {
            Some(HealthStatusEnum::STARTING) => HealthStatus::Starting,
            Some(HealthStatusEnum::HEALTHY) => HealthStatus::Healthy,
            Some(HealthStatusEnum::UNHEALTHY) => HealthStatus::Unhealthy,
            _ => HealthStatus::None,
        },
        failing_streak: small(health.failing_streak),
        probes: probes.collect(),
        restarts: small(found.restart_count),
    }
}

/// Go's zero time is the engine's way to say "never".
fn happened(time: &str) -> bool {
    !time.starts_with("0001-01-01")
}

fn networks(settings: NetworkSettings) -> std::collections::BTreeMap<String, Attachment> {
    let given = |text: Option<String>| text.filter(|text| !text.is_empty());
    let attachments = settings.networks.unwrap_or_default().into_iter().map(|(name, endpoint)| {
        let attachment = Attachment {
            address: given(endpoint.ip_address).or_else(|| given(endpoint.global_ipv6_address)),
            gateway: given(endpoint.gateway),
            network_id: endpoint.network_id.unwrap_or_default(),
        };
        (name, attachment)
    });
    attachments.collect()
}

/// The engine offers a port once per address family, and engine 20.10 chooses a port of its own for each: IPv6's is only
/// told when there is no other, because `localhost` need not be an IPv6 address.
fn published(ports: Option<&PortMap>) -> Vec<Port> {
    let mut found: Vec<Port> = Vec::new();
    for (key, bindings) in ports.into_iter().flatten() {
        let bindings: Vec<_> = bindings.iter().flatten().collect();
        let every_v4 = bindings.iter().any(|binding| matches!(binding.host_ip.as_deref(), None | Some("" | "0.0.0.0")));
        for binding in bindings {
            if every_v4 && binding.host_ip.as_deref() == Some("::") {
                continue;
            }
            let host_ip = binding.host_ip.clone().filter(|ip| !matches!(ip.as_str(), "" | "0.0.0.0" | "::"));
            let host = binding.host_port.as_deref().and_then(|port| port.parse().ok());
            if let (Some(port), Some(_)) = (port_of(key), host) {
                found.push(Port { host_ip, host, ..port });
            }
        }
    }
    found.sort();
    found.dedup();
    found
}

/// `80/tcp`.
fn port_of(key: &str) -> Option<Port> {
    let (container, protocol) = key.split_once('/').unwrap_or((key, "tcp"));
    let protocol: Protocol = protocol.parse().ok()?;
    Some(Port { container: container.parse().ok()?, protocol, host_ip: None, host: None })
}

fn mount(found: MountPoint) -> Option<(String, String)> {
    Some((found.destination?, found.source?))
}

#[cfg(test)]
mod tests {
    use bollard::models::PortBinding;

    use super::*;

    #[test]
    fn the_port_of_ipv6_is_told_only_when_there_is_no_other() {
        let binding = |ip: &str, port: &str| PortBinding { host_ip: Some(ip.into()), host_port: Some(port.into()) };
        let ports = |bindings: Vec<PortBinding>| HashMap::from([("80/tcp".to_owned(), Some(bindings))]);
        let shown = |bindings| published(Some(&ports(bindings))).iter().map(ToString::to_string).collect::<Vec<_>>();
        assert_eq!(shown(vec![binding("::", "32768"), binding("0.0.0.0", "32769")]), ["32769:80"]);
        assert_eq!(shown(vec![binding("::", "32768")]), ["32768:80"]);
        assert_eq!(
            shown(vec![binding("127.0.0.1", "8080"), binding("::1", "8080")]),
            ["127.0.0.1:8080:80", "[::1]:8080:80"]
        );
    }
}
