//! Purpose: the address of a container as it is reached from here.
//!
//! "localhost" in an address that a workflow's author writes is the engine's host. From inside a container that is somebody
//! else, and with an engine elsewhere it is another machine.

use url::Url;

use crate::domain::container::{Container, Port, Protocol};
use crate::services::engine::Endpoint;

/// Where we are, seen from the engine.
pub(super) enum Place<'a> {
    /// On the engine's own host, or sharing its network.
    Host,
    /// On another machine.
    Elsewhere(&'a str),
    /// In one of its containers, which shares these networks with others.
    Container(Vec<&'a str>),
}

impl<'a> Place<'a> {
    /// Where we are: in a container of the engine's, else where its endpoint says.
    pub(super) fn of(own: Option<&'a Container>, joined: Option<&'a str>, endpoint: &'a Endpoint) -> Self {
        match (own, endpoint) {
            (Some(own), _) if !own.is_on_host_network() => {
                Self::Container(own.networks.keys().map(String::as_str).chain(joined).collect())
            }
            (_, Endpoint::Tcp(address)) if !is_loopback(host_of(address)) => Self::Elsewhere(host_of(address)),
            _ => Self::Host,
        }
    }
}

fn host_of(address: &str) -> &str {
    address.rsplit_once(':').map_or(address, |(host, _)| host)
}

fn is_loopback(host: &str) -> bool {
    let host = host.trim_start_matches('[').trim_end_matches(']');
    matches!(host, "localhost" | "0.0.0.0" | "::") || host.parse::<std::net::IpAddr>().is_ok_and(|ip| ip.is_loopback())
}

/// Rewrites an address so that it works from where we are; `containers` are the services by name.
pub(super) fn reachable(url: &Url, place: &Place<'_>, containers: &[(&str, &Container)]) -> Url {
    let (host, port) = (url.host_str().unwrap_or_default(), url.port_or_known_default().unwrap_or(80));
    let named = containers.iter().find(|(name, container)| *name == host || container.name == host);
    if let Some((_, container)) = named {
        return with(url, address(container, place), Some(port));
    }
    if !is_loopback(host) {
        return url.clone();
    }
    // A port of the host goes before a port of a container: that is what the author's own machine would do.
    let published = containers.iter().find_map(|(_, container)| {
        let at = |port: &&Port| port.protocol == Protocol::Tcp;
        let by_host = container.published.iter().filter(at).find(|found| found.host == Some(port));
        let by_container = || container.published.iter().filter(at).find(|found| found.container == port);
        by_host.or_else(by_container).map(|found| (*container, found))
    });
    match (place, published) {
        (Place::Host, Some((_, found))) => with(url, None, found.host),
        (Place::Elsewhere(machine), Some((_, found))) => with(url, Some((*machine).to_owned()), found.host),
        (Place::Elsewhere(machine), None) => with(url, Some((*machine).to_owned()), Some(port)),
        (Place::Container(_), Some((container, found))) => with(url, address(container, place), Some(found.container)),
        (Place::Host | Place::Container(_), None) => match containers {
            // It offers no port to the host; its own is meant.
            [(_, only)] => with(url, address(only, place), Some(port)),
            _ => url.clone(),
        },
    }
}

/// The address of a container, in a network that we share when there is one.
fn address(container: &Container, place: &Place<'_>) -> Option<String> {
    let shared = match place {
        Place::Container(networks) => networks.iter().find_map(|name| container.networks.get(*name)),
        _ => None,
    };
    let any = || container.networks.values().find(|attached| attached.address.is_some());
    shared.filter(|attached| attached.address.is_some()).or_else(any)?.address.clone()
}

fn with(url: &Url, host: Option<String>, port: Option<u16>) -> Url {
    let mut changed = url.clone();
    if let Some(host) = host {
        let host = if host.contains(':') && !host.starts_with('[') { format!("[{host}]") } else { host };
        // It fails for text that is no host only; addresses of the engine are ones.
        let _ = changed.set_host(Some(&host));
    }
    let _ = changed.set_port(port);
    changed
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;
    use crate::domain::container::{Attachment, ContainerState, HealthStatus, Status};

    fn container(ports: &[(u16, u16)]) -> Container {
        let attached =
            |address: &str| Attachment { address: Some(address.to_owned()), gateway: None, network_id: String::new() };
        Container {
            id: "c".into(),
            name: "landfall-1-web".into(),
            image: String::new(),
            image_id: String::new(),
            labels: BTreeMap::new(),
            state: ContainerState {
                status: Status::Running,
                exit_code: 0,
                out_of_memory: false,
                error: String::new(),
                started_at: None,
                finished_at: None,
                health: HealthStatus::None,
                failing_streak: 0,
                probes: Vec::new(),
                restarts: 0,
            },
            networks: [("a".to_owned(), attached("172.18.0.2")), ("b".to_owned(), attached("172.19.0.2"))].into(),
            network_mode: "a".into(),
            published: ports
                .iter()
                .map(|(host, inside)| Port {
                    container: *inside,
                    protocol: Protocol::Tcp,
                    host_ip: None,
                    host: Some(*host),
                })
                .collect(),
            exposed: Vec::new(),
            mounts: BTreeMap::new(),
        }
    }

    fn from(place: &Place<'_>, url: &str, ports: &[(u16, u16)]) -> String {
        let container = container(ports);
        reachable(&url.parse().unwrap(), place, &[("web", &container)]).to_string()
    }

    #[test]
    fn on_the_engines_host_localhost_is_itself() {
        assert_eq!(from(&Place::Host, "http://localhost:8080/h", &[(8080, 80)]), "http://localhost:8080/h");
        // The engine chose the host's side; the author knows the container's.
        assert_eq!(from(&Place::Host, "http://localhost:80/h", &[(49153, 80)]), "http://localhost:49153/h");
        assert_eq!(from(&Place::Host, "http://web/h", &[]), "http://172.18.0.2/h");
        assert_eq!(from(&Place::Host, "http://localhost:9000/", &[]), "http://172.18.0.2:9000/");
        assert_eq!(from(&Place::Host, "https://example.org/h", &[(443, 80)]), "https://example.org/h");
    }

    #[test]
    fn in_a_container_the_shared_network_is_used() {
        let place = Place::Container(vec!["b"]);
        assert_eq!(from(&place, "http://127.0.0.1:8080/h?x=1", &[(8080, 80)]), "http://172.19.0.2/h?x=1");
        assert_eq!(from(&place, "http://web:8000/", &[]), "http://172.19.0.2:8000/");
    }

    #[test]
    fn with_an_engine_elsewhere_its_machine_is_meant() {
        let endpoint: Endpoint = "tcp://docker:2375".parse().unwrap();
        let place = Place::of(None, None, &endpoint);
        assert_eq!(from(&place, "http://localhost:8080/h", &[(8080, 80)]), "http://docker:8080/h");
        let near: Endpoint = "tcp://127.0.0.1:2375".parse().unwrap();
        assert!(matches!(Place::of(None, None, &near), Place::Host));
    }
}
