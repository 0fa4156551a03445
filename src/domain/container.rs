//! Purpose: containers as plain data: what one is made of, what one is seen to be, and which one we are ourselves.

use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use serde::Serialize;

/// A transport protocol of a port.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Protocol {
    /// TCP.
    Tcp,
    /// UDP.
    Udp,
    /// SCTP.
    Sctp,
}

impl fmt::Display for Protocol {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Tcp => "tcp",
            Self::Udp => "udp",
            Self::Sctp => "sctp",
        })
    }
}

impl FromStr for Protocol {
    type Err = ();

    fn from_str(text: &str) -> Result<Self, ()> {
        match text {
            "tcp" => Ok(Self::Tcp),
            "udp" => Ok(Self::Udp),
            "sctp" => Ok(Self::Sctp),
            _ => Err(()),
        }
    }
}

/// A port of a container and where the engine's host offers it.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
pub struct Port {
    /// The container's port.
    pub container: u16,
    /// Its protocol.
    pub protocol: Protocol,
    /// Address of the host on which it is offered; `None` is every address.
    pub host_ip: Option<String>,
    /// Port of the host; `None` lets the engine choose a free one.
    pub host: Option<u16>,
}

impl fmt::Display for Port {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (&self.host_ip, self.host) {
            (Some(ip), host) if ip.contains(':') => write!(f, "[{ip}]:{}:", host.map(text).unwrap_or_default())?,
            (Some(ip), host) => write!(f, "{ip}:{}:", host.map(text).unwrap_or_default())?,
            (None, Some(host)) => write!(f, "{host}:")?,
            (None, None) => {}
        }
        write!(f, "{}", self.container)?;
        if self.protocol == Protocol::Tcp { Ok(()) } else { write!(f, "/{}", self.protocol) }
    }
}

fn text(port: u16) -> String {
    port.to_string()
}

/// A text describes no port.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("'{0}' is no port; use for example 8080, 8080:80, 127.0.0.1:8080:80/tcp or 8000-8002:80-82")]
pub struct PortError(pub String);

/// The most ports that one range may name.
const LONGEST_RANGE: u16 = 1000;

/// Reads docker's short form `[[ip:][host]:]container[/protocol]`, in which `host` and `container` may be ranges of the
/// same length (Compose specification, "ports", short syntax).
///
/// # Errors
/// [`PortError`].
pub fn read_ports(given: &str) -> Result<Vec<Port>, PortError> {
    let wrong = || PortError(given.to_owned());
    let (rest, protocol) = match given.trim().rsplit_once('/') {
        Some((rest, protocol)) => (rest, protocol.to_ascii_lowercase().parse().map_err(|()| wrong())?),
        None => (given.trim(), Protocol::Tcp),
    };
    let (host_side, container) = match rest.rsplit_once(':') {
        Some((host, container)) => (Some(host), container),
        None => (None, rest),
    };
    let (host_ip, host) = match host_side {
        None => (None, None),
        Some(side) => match side.rsplit_once(':') {
            Some((ip, host)) => (Some(address(ip).ok_or_else(wrong)?), Some(host)),
            None => (None, Some(side)),
        },
    };
    let container = range(container).ok_or_else(wrong)?;
    let host = match host {
        Some("") if host_ip.is_none() => return Err(wrong()),
        Some("") | None => None,
        Some(host) => Some(range(host).ok_or_else(wrong)?),
    };
    if host.as_ref().is_some_and(|host| host.len() != container.len()) {
        return Err(wrong());
    }
    let ports = container.enumerate().map(|(index, container)| Port {
        container,
        protocol,
        host_ip: host_ip.clone(),
        host: host.as_ref().and_then(|host| host.clone().nth(index)),
    });
    Ok(ports.collect())
}

fn range(text: &str) -> Option<std::ops::RangeInclusive<u16>> {
    let port = |text: &str| -> Option<u16> {
        let digits = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
        digits.then(|| text.parse().ok()).flatten().filter(|&port| port != 0)
    };
    let (first, last) = text.split_once('-').unwrap_or((text, text));
    let (first, last) = (port(first)?, port(last)?);
    (first <= last && last - first < LONGEST_RANGE).then_some(first..=last)
}

fn address(text: &str) -> Option<String> {
    let bare = text.strip_prefix('[').and_then(|text| text.strip_suffix(']')).unwrap_or(text);
    bare.parse::<std::net::IpAddr>().ok().map(|ip| ip.to_string())
}

/// A health check that the engine runs in the container.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct HealthCheck {
    /// What is run.
    pub test: HealthTest,
    /// Time between two runs; the engine's default is 30 s.
    pub interval: Option<Duration>,
    /// Time that one run may take; the engine's default is 30 s.
    pub timeout: Option<Duration>,
    /// Failures in a row until the container is unhealthy; the engine's default is 3.
    pub retries: Option<u32>,
    /// Time after the start in which failures do not count.
    pub start_period: Option<Duration>,
    /// Time between two runs within it; an engine before version 25 does not know it.
    pub start_interval: Option<Duration>,
}

impl HealthCheck {
    /// A check with the engine's own times.
    #[must_use]
    pub fn new(test: HealthTest) -> Self {
        Self { test, interval: None, timeout: None, retries: None, start_period: None, start_interval: None }
    }
}

/// What a health check runs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum HealthTest {
    /// A program with arguments.
    Command(Vec<String>),
    /// A line for the container's shell.
    Shell(String),
    /// The image's own check, with other times.
    OfImage,
    /// No check, even when the image has one.
    None,
}

/// Where a container is in its life.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Status {
    /// Made and never started.
    Created,
    /// Its main process runs.
    Running,
    /// Its processes are frozen.
    Paused,
    /// The engine is about to start it again.
    Restarting,
    /// Its main process has ended.
    Exited,
    /// It is being removed, or could not be.
    Dead,
}

impl fmt::Display for Status {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Created => "created",
            Self::Running => "running",
            Self::Paused => "paused",
            Self::Restarting => "restarting",
            Self::Exited => "exited",
            Self::Dead => "dead",
        })
    }
}

/// What the engine says of a container's health.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum HealthStatus {
    /// It has no health check.
    None,
    /// No run has decided yet.
    Starting,
    /// The last run succeeded.
    Healthy,
    /// As many runs as allowed failed in a row.
    Unhealthy,
}

/// One run of a health check.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Probe {
    /// 0 is healthy; -1 says that it took too long.
    pub exit_code: i64,
    /// What it wrote (the engine keeps the first 4 KiB).
    pub output: String,
    /// When it ended, RFC 3339.
    pub ended: Option<String>,
}

/// What the engine says about a container's state.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ContainerState {
    /// Where it is in its life.
    pub status: Status,
    /// The main process's exit code; 0 while it runs.
    pub exit_code: i64,
    /// Whether the kernel killed it for want of memory.
    pub out_of_memory: bool,
    /// The engine's own words when it could not start it; empty otherwise.
    pub error: String,
    /// When it was started, RFC 3339.
    pub started_at: Option<String>,
    /// When it ended, RFC 3339.
    pub finished_at: Option<String>,
    /// Its health.
    pub health: HealthStatus,
    /// Failures in a row.
    pub failing_streak: u32,
    /// The last runs of its health check, oldest first (the engine keeps five).
    pub probes: Vec<Probe>,
    /// How often the engine's restart policy started it again.
    pub restarts: u32,
}

/// A container's place in a network.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Attachment {
    /// Its IPv4 address, or its IPv6 address when it has no other; `None` before it runs.
    pub address: Option<String>,
    /// The host's address in that network.
    pub gateway: Option<String>,
    /// The network's id.
    pub network_id: String,
}

/// A container as the engine describes it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Container {
    /// Its id.
    pub id: String,
    /// Its name.
    pub name: String,
    /// The image as it was named at creation.
    pub image: String,
    /// The image's id.
    pub image_id: String,
    /// Its labels.
    pub labels: BTreeMap<String, String>,
    /// Its state.
    pub state: ContainerState,
    /// Its networks by name.
    pub networks: BTreeMap<String, Attachment>,
    /// How its network was chosen at creation: `host`, `bridge`, `none`, `container:<id>` or a network's name.
    pub network_mode: String,
    /// Ports offered on the host; `host` is always known here.
    pub published: Vec<Port>,
    /// Ports that it says it listens on.
    pub exposed: Vec<Port>,
    /// Host paths and volumes by where they are in the container.
    pub mounts: BTreeMap<String, String>,
}

impl Container {
    /// Whether it sees the host's own network.
    #[must_use]
    pub fn is_on_host_network(&self) -> bool {
        self.network_mode == "host"
    }

    /// The host's path of a path inside, when it lies in something mounted.
    #[must_use]
    pub fn host_path(&self, inside: &str) -> Option<String> {
        let deepest = self.mounts.iter().filter_map(|(at, source)| {
            let rest = inside.strip_prefix(at.trim_end_matches('/'))?;
            (rest.is_empty() || rest.starts_with('/')).then(|| (at.len(), format!("{source}{rest}")))
        });
        deepest.max_by_key(|(depth, _)| *depth).map(|(_, path)| path)
    }
}

/// Ids under which an engine may know the container that we run in, most trustworthy first. Which one it is, if any, only
/// the engine can say: we may run in none, or in one of another engine.
#[must_use]
pub fn own_ids(mountinfo: &str, cgroup: &str, hostname: &str) -> Vec<String> {
    let mut ids: Vec<String> = Vec::new();
    // The engine mounts /etc/hostname and its like from `<root>/containers/<id>/`.
    let mounted = mountinfo.lines().filter_map(|line| line.split_once("/containers/")).map(|(_, rest)| rest);
    let grouped = cgroup.lines().flat_map(|line| line.split(['/', '-']));
    let named = std::iter::once(hostname.trim()).filter(|name| is_hex(name) && (name.len() == 12 || name.len() == 64));
    let long = mounted.chain(grouped).filter_map(|text| text.get(..64)).filter(|id| is_hex(id));
    for id in long.chain(named) {
        if !ids.iter().any(|known| known.starts_with(id)) {
            ids.push(id.to_owned());
        }
    }
    ids
}

fn is_hex(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(given: &str) -> Vec<String> {
        read_ports(given).unwrap().iter().map(ToString::to_string).collect()
    }

    #[test]
    fn reads_dockers_short_forms() {
        assert_eq!(shown("80"), ["80"]);
        assert_eq!(shown("8080:80"), ["8080:80"]);
        assert_eq!(shown("127.0.0.1:8080:80/udp"), ["127.0.0.1:8080:80/udp"]);
        assert_eq!(shown("127.0.0.1::80"), ["127.0.0.1::80"]);
        assert_eq!(shown("[::1]:8080:80"), ["[::1]:8080:80"]);
        assert_eq!(shown("8000-8002:80-82"), ["8000:80", "8001:81", "8002:82"]);
        assert_eq!(shown("80-81"), ["80", "81"]);
        for wrong in
            ["", ":80", "80:", "a", "0", "65536", "8000-8002:80-81", "80/http", "host:80:80", "9-8", "+80", "1:2:3:4"]
        {
            assert!(read_ports(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn finds_out_which_container_we_are() {
        let id = "0123456789abcdef".repeat(4);
        let mountinfo =
            format!("1 2 254:1 /var/lib/docker/containers/{id}/hostname /etc/hostname rw - ext4 /dev/vda rw");
        assert_eq!(own_ids(&mountinfo, "", &id[..12]), [id.as_str()]);
        assert_eq!(own_ids("", &format!("12:memory:/docker/{id}\n"), "runner"), [id.as_str()]);
        assert_eq!(own_ids("", &format!("0::/system.slice/docker-{id}.scope"), ""), [id.as_str()]);
        assert_eq!(own_ids("", "0::/", "0123456789ab"), ["0123456789ab"]);
        assert_eq!(own_ids("", "0::/", "my-laptop"), [""; 0]);
    }

    proptest::proptest! {
        #[test]
        fn what_is_shown_reads_back(container in 1..=u16::MAX, host in proptest::option::of(1..=u16::MAX), ip in proptest::option::of(proptest::prelude::any::<std::net::IpAddr>()), udp in proptest::prelude::any::<bool>()) {
            let protocol = if udp { Protocol::Udp } else { Protocol::Tcp };
            let port = Port { container, protocol, host_ip: ip.map(|ip| ip.to_string()), host };
            proptest::prop_assert_eq!(read_ports(&port.to_string()).unwrap(), vec![port]);
        }

        #[test]
        fn no_text_breaks_it(text in ".{0,40}") {
            let _ = read_ports(&text);
            let _ = own_ids(&text, &text, &text);
        }
    }
}
