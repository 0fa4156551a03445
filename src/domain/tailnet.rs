//! Purpose: what a Tailscale node says about itself, and addresses to wait for.

use std::str::FromStr;

use serde_json::Value;

/// Where a node stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum NodeState {
    /// It is part of its network.
    Running,
    /// Somebody has to approve it in the admin console.
    NeedsApproval,
    /// It is not logged in (yet).
    LoggedOut,
    /// Anything else, in Tailscale's word.
    Other(String),
}

/// A node as `tailscale status --json` shows it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Node {
    /// Where it stands.
    pub state: NodeState,
    /// Its addresses, IPv4 first.
    pub addresses: Vec<String>,
    /// Its full name in the network, without the dot at the end.
    pub name: Option<String>,
    /// What Tailscale complains about.
    pub health: Vec<String>,
}

impl Node {
    /// Reads a status; `None` when it is none.
    #[must_use]
    pub fn of(status: &Value) -> Option<Self> {
        let state = match status["BackendState"].as_str()? {
            "Running" => NodeState::Running,
            "NeedsMachineAuth" => NodeState::NeedsApproval,
            "NeedsLogin" | "NoState" | "Stopped" => NodeState::LoggedOut,
            other => NodeState::Other(other.to_owned()),
        };
        let texts = |value: &Value| -> Vec<String> {
            value.as_array().into_iter().flatten().filter_map(|text| text.as_str().map(str::to_owned)).collect()
        };
        let mut addresses = texts(&status["Self"]["TailscaleIPs"]);
        addresses.sort_by_key(|address| address.contains(':'));
        let name = status["Self"]["DNSName"].as_str().or_else(|| status["Self"]["HostName"].as_str());
        let name = name.map(|name| name.trim_end_matches('.').to_owned()).filter(|name| !name.is_empty());
        Some(Self { state, addresses, name, health: texts(&status["Health"]) })
    }
}

/// A host and a TCP port.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HostPort {
    /// Name or address, without brackets.
    pub host: String,
    /// Port.
    pub port: u16,
}

impl std::fmt::Display for HostPort {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        if self.host.contains(':') {
            write!(f, "[{}]:{}", self.host, self.port)
        } else {
            write!(f, "{}:{}", self.host, self.port)
        }
    }
}

/// A text is no host and port.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("'{0}' is not host:port, for example db.internal:5432")]
pub struct HostPortError(String);

impl FromStr for HostPort {
    type Err = HostPortError;

    fn from_str(text: &str) -> Result<Self, HostPortError> {
        let refused = || HostPortError(text.to_owned());
        let (host, port) = text.rsplit_once(':').ok_or_else(refused)?;
        let host = host.strip_prefix('[').and_then(|host| host.strip_suffix(']')).unwrap_or(host);
        let port: u16 = port.parse().map_err(|_| refused())?;
        let is_name = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '_' | ':');
        if host.is_empty() || port == 0 || host.starts_with('-') || !host.chars().all(is_name) {
            return Err(refused());
        }
        Ok(Self { host: host.to_owned(), port })
    }
}

/// A name that a node may have: letters, digits and hyphens, at most 63 (RFC 1035, section 2.3.1). Other characters become
/// hyphens.
#[must_use]
pub fn host_name(text: &str) -> String {
    let mut name = String::new();
    for c in text.chars().map(|c| if c.is_ascii_alphanumeric() { c.to_ascii_lowercase() } else { '-' }) {
        if c != '-' || !(name.is_empty() || name.ends_with('-')) {
            name.push(c);
        }
    }
    name.truncate(63);
    name.trim_end_matches('-').to_owned()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    #[test]
    fn a_status_is_read() {
        let status = json!({ "BackendState": "Running", "Health": ["slow"],
            "Self": { "DNSName": "ci-1.tail.ts.net.", "HostName": "ci-1", "TailscaleIPs": ["fd7a::1", "100.64.0.1"] } });
        let node = Node::of(&status).unwrap();
        assert_eq!((node.state, node.name.as_deref()), (NodeState::Running, Some("ci-1.tail.ts.net")));
        assert_eq!(node.addresses, ["100.64.0.1", "fd7a::1"]);
        assert_eq!(Node::of(&json!({ "BackendState": "NeedsLogin" })).unwrap().state, NodeState::LoggedOut);
        assert_eq!(Node::of(&json!({ "BackendState": "NeedsMachineAuth" })).unwrap().state, NodeState::NeedsApproval);
        assert_eq!(Node::of(&json!({})), None);
    }

    #[test]
    fn addresses_to_wait_for() {
        assert_eq!("db.internal:5432".parse::<HostPort>().unwrap().to_string(), "db.internal:5432");
        assert_eq!("[fd7a::1]:22".parse::<HostPort>().unwrap(), HostPort { host: "fd7a::1".into(), port: 22 });
        for wrong in ["db", "db:", ":1", "db:0", "db:70000", "a b:1", "-e:1", "$(id):1", "http://x:1"] {
            assert!(wrong.parse::<HostPort>().is_err(), "{wrong}");
        }
    }

    proptest! {
        #[test]
        fn host_names_are_host_names(text in "\\PC{0,100}") {
            let name = host_name(&text);
            prop_assert!(name.len() <= 63 && !name.starts_with('-') && !name.ends_with('-') && !name.contains("--"));
            prop_assert!(name.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-'));
        }
    }
}
