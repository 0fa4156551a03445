//! Purpose: what a long-running container is made of, and its form in the engine's API.

use std::collections::{BTreeMap, HashMap};
use std::time::Duration;

use bollard::models::{
    ContainerCreateBody, DeviceMapping, EndpointSettings, HealthConfig, HostConfig, NetworkingConfig, PortBinding,
    PortMap,
};

use crate::domain::container::{HealthCheck, HealthTest, Port};

/// A container to be made. Every field but the image may stay at its default.
#[derive(Debug, Clone, Default)]
pub struct ContainerSpec {
    /// The image, by id or reference; must be in the engine.
    pub image: String,
    /// Its name; the engine makes one up otherwise.
    pub name: Option<String>,
    /// `linux/arm64`, when the engine is to choose this one of an image's platforms.
    pub platform: Option<String>,
    /// Replaces the image's entry point.
    pub entrypoint: Option<Vec<String>>,
    /// The command; `None` keeps the image's own, an empty one runs the entry point alone.
    pub command: Option<Vec<String>>,
    /// Environment variables.
    pub environment: BTreeMap<String, String>,
    /// Where the command runs.
    pub working_directory: Option<String>,
    /// `user[:group]`.
    pub user: Option<String>,
    /// Labels.
    pub labels: BTreeMap<String, String>,
    /// Ports offered on the engine's host.
    pub ports: Vec<Port>,
    /// What is mounted.
    pub mounts: Vec<Mount>,
    /// Its network.
    pub network: Network,
    /// Whether it may do what the host may.
    pub privilege: Privilege,
    /// Kernel capabilities beyond the engine's usual ones, `NET_ADMIN`.
    pub capabilities: Vec<String>,
    /// Devices of the host, `/dev/net/tun`.
    pub devices: Vec<String>,
    /// `name:address` lines for its hosts file; the address `host-gateway` is the engine's host.
    pub hosts: Vec<String>,
    /// The health check; `None` keeps the image's own.
    pub health: Option<HealthCheck>,
    /// The most memory that it may take, in bytes; swap included.
    pub memory: Option<u64>,
    /// What runs as process 1.
    pub init: Init,
    /// Time between the polite and the hard signal when it is stopped; the engine's default is 10 s.
    pub stop_timeout: Option<Duration>,
}

/// Whether a container may do what its host may.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Privilege {
    /// The engine's usual confinement.
    #[default]
    Usual,
    /// All capabilities and devices.
    Privileged,
    /// The capabilities that it is given and no further confinement: for hosts that cannot give all.
    Unconfined,
}

/// What runs as process 1 in a container.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Init {
    /// The command itself.
    #[default]
    Command,
    /// The engine's small init, which passes signals on and reaps.
    Engine,
}

/// What lifts the engine's confinements one by one.
const UNCONFINED: [&str; 3] = ["seccomp=unconfined", "apparmor=unconfined", "label=disable"];

/// A container's network.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum Network {
    /// The engine's default bridge.
    #[default]
    Default,
    /// The host's own network.
    Host,
    /// None but loopback.
    None,
    /// The network of another container, by id.
    Container(String),
    /// Networks by name or id, each with the names by which the container is found in it.
    Joined(Vec<(String, Vec<String>)>),
}

/// Something mounted into a container.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mount {
    /// A named volume, or an absolute path of the engine's host.
    pub source: String,
    /// Absolute path in the container.
    pub target: String,
    /// Whether the container may write to it.
    pub access: Access,
}

/// Whether a mount may be written to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Access {
    /// Read and write.
    Write,
    /// Read only.
    Read,
}

impl ContainerSpec {
    /// A container of an image.
    #[must_use]
    pub fn new(image: impl Into<String>) -> Self {
        Self { image: image.into(), ..Self::default() }
    }

    /// Networks that it joins after its creation: engines before 25 take one at creation.
    pub(super) fn later_networks(&self) -> &[(String, Vec<String>)] {
        match &self.network {
            Network::Joined(networks) => networks.get(1..).unwrap_or_default(),
            _ => &[],
        }
    }

    pub(super) fn body(&self) -> ContainerCreateBody {
        ContainerCreateBody {
            image: Some(self.image.clone()),
            cmd: self.command.clone(),
            entrypoint: self.entrypoint.clone(),
            env: Some(self.environment.iter().map(|(key, value)| format!("{key}={value}")).collect()),
            working_dir: self.working_directory.clone(),
            user: self.user.clone(),
            labels: Some(self.labels.clone().into_iter().collect()),
            exposed_ports: (!self.ports.is_empty()).then(|| self.ports.iter().map(key_of).collect()),
            healthcheck: self.health.as_ref().map(health),
            stop_timeout: self.stop_timeout.and_then(|timeout| i64::try_from(timeout.as_secs()).ok()),
            host_config: Some(self.host_config()),
            networking_config: self.first_network(),
            ..ContainerCreateBody::default()
        }
    }

    fn host_config(&self) -> HostConfig {
        let device = |path: &String| DeviceMapping {
            path_on_host: Some(path.clone()),
            path_in_container: Some(path.clone()),
            cgroup_permissions: Some("rwm".to_owned()),
        };
        let memory = self.memory.and_then(|bytes| i64::try_from(bytes).ok());
        let unconfined = self.privilege == Privilege::Unconfined;
        HostConfig {
            network_mode: self.network_mode(),
            port_bindings: (!self.ports.is_empty()).then(|| bindings(&self.ports)),
            binds: (!self.mounts.is_empty()).then(|| self.mounts.iter().map(bind).collect()),
            privileged: Some(self.privilege == Privilege::Privileged),
            security_opt: unconfined.then(|| UNCONFINED.map(str::to_owned).to_vec()),
            masked_paths: unconfined.then(Vec::new),
            readonly_paths: unconfined.then(Vec::new),
            cap_add: (!self.capabilities.is_empty()).then(|| self.capabilities.clone()),
            devices: (!self.devices.is_empty()).then(|| self.devices.iter().map(device).collect()),
            extra_hosts: (!self.hosts.is_empty()).then(|| self.hosts.clone()),
            init: (self.init == Init::Engine).then_some(true),
            memory,
            memory_swap: memory,
            ..HostConfig::default()
        }
    }

    fn network_mode(&self) -> Option<String> {
        match &self.network {
            Network::Default => None,
            Network::Host => Some("host".to_owned()),
            Network::None => Some("none".to_owned()),
            Network::Container(id) => Some(format!("container:{id}")),
            Network::Joined(networks) => networks.first().map(|(name, _)| name.clone()),
        }
    }

    fn first_network(&self) -> Option<NetworkingConfig> {
        let Network::Joined(networks) = &self.network else {
            return None;
        };
        let (name, aliases) = networks.first()?;
        Some(NetworkingConfig { endpoints_config: Some([(name.clone(), endpoint(aliases))].into()) })
    }
}

pub(super) fn endpoint(aliases: &[String]) -> EndpointSettings {
    EndpointSettings { aliases: (!aliases.is_empty()).then(|| aliases.to_vec()), ..EndpointSettings::default() }
}

/// `80/tcp`.
fn key_of(port: &Port) -> String {
    format!("{}/{}", port.container, port.protocol)
}

fn bindings(ports: &[Port]) -> PortMap {
    let mut map: PortMap = HashMap::new();
    for port in ports {
        let binding = PortBinding {
            host_ip: port.host_ip.clone(),
            // Empty lets the engine choose.
            host_port: Some(port.host.map(|host| host.to_string()).unwrap_or_default()),
        };
        map.entry(key_of(port)).or_default().get_or_insert_default().push(binding);
    }
    map
}

/// Binds serve volumes and paths alike, and unlike mounts copy an image's content into a new volume on every engine.
fn bind(mount: &Mount) -> String {
    let access = if mount.access == Access::Read { ":ro" } else { "" };
    format!("{}:{}{access}", mount.source, mount.target)
}

fn health(check: &HealthCheck) -> HealthConfig {
    let test = match &check.test {
        HealthTest::Command(words) => std::iter::once("CMD".to_owned()).chain(words.iter().cloned()).collect(),
        HealthTest::Shell(line) => vec!["CMD-SHELL".to_owned(), line.clone()],
        HealthTest::OfImage => Vec::new(),
        HealthTest::None => vec!["NONE".to_owned()],
    };
    let nanoseconds = |time: Option<Duration>| time.and_then(|time| i64::try_from(time.as_nanos()).ok());
    HealthConfig {
        test: Some(test),
        interval: nanoseconds(check.interval),
        timeout: nanoseconds(check.timeout),
        retries: check.retries.map(i64::from),
        start_period: nanoseconds(check.start_period),
        start_interval: nanoseconds(check.start_interval),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::container::read_ports;

    #[test]
    fn a_spec_becomes_what_the_engine_reads() {
        let spec = ContainerSpec {
            command: Some(vec!["serve".into()]),
            environment: [("A".to_owned(), "b=c".to_owned())].into(),
            ports: read_ports("127.0.0.1:8080:80").unwrap().into_iter().chain(read_ports("81/udp").unwrap()).collect(),
            mounts: vec![Mount { source: "data".into(), target: "/data".into(), access: Access::Read }],
            network: Network::Joined(vec![("one".into(), vec!["web".into()]), ("two".into(), Vec::new())]),
            health: Some(HealthCheck {
                interval: Some(Duration::from_secs(1)),
                ..HealthCheck::new(HealthTest::Shell("true".into()))
            }),
            memory: Some(1 << 20),
            ..ContainerSpec::new("acme/app")
        };
        assert_eq!(spec.later_networks(), [("two".to_owned(), Vec::new())]);
        let body = serde_json::to_value(spec.body()).unwrap();
        assert_eq!(body["Env"], serde_json::json!(["A=b=c"]));
        assert_eq!(body["ExposedPorts"], serde_json::json!({"80/tcp": {}, "81/udp": {}}));
        assert_eq!(
            body["HostConfig"]["PortBindings"]["80/tcp"],
            serde_json::json!([{"HostIp": "127.0.0.1", "HostPort": "8080"}])
        );
        assert_eq!(body["HostConfig"]["PortBindings"]["81/udp"], serde_json::json!([{"HostPort": ""}]));
        assert_eq!(body["HostConfig"]["Binds"], serde_json::json!(["data:/data:ro"]));
        assert_eq!(body["HostConfig"]["NetworkMode"], "one");
        assert_eq!(body["HostConfig"]["MemorySwap"], 1 << 20);
        assert_eq!(body["NetworkingConfig"]["EndpointsConfig"]["one"]["Aliases"], serde_json::json!(["web"]));
        assert_eq!(body["Healthcheck"]["Test"], serde_json::json!(["CMD-SHELL", "true"]));
        assert_eq!(body["Healthcheck"]["Interval"], 1_000_000_000);
    }
}
