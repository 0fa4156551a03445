//! Purpose: where an engine or a BuildKit daemon listens.

use std::fmt;
use std::path::PathBuf;
use std::str::FromStr;

/// A listening address: a unix socket, or a host and port spoken to without TLS.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Endpoint {
    /// `unix:///run/docker.sock`, or the bare path.
    Unix(PathBuf),
    /// `tcp://host:2375` or `http://host:2375`; holds `host:port`.
    Tcp(String),
}

/// Why a text names no endpoint that we can speak to.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("'{given}' is not an endpoint: expected unix:///path, an absolute path, or tcp://host:port")]
pub struct EndpointError {
    /// The text as given.
    pub given: String,
}

impl FromStr for Endpoint {
    type Err = EndpointError;

    fn from_str(given: &str) -> Result<Self, EndpointError> {
        let wrong = || EndpointError { given: given.to_owned() };
        let path = given.strip_prefix("unix://").or_else(|| given.starts_with('/').then_some(given));
        if let Some(path) = path {
            return if path.starts_with('/') { Ok(Self::Unix(path.into())) } else { Err(wrong()) };
        }
        let address = given.strip_prefix("tcp://").or_else(|| given.strip_prefix("http://")).ok_or_else(wrong)?;
        let address = address.trim_end_matches('/');
        let port = address.rsplit_once(':').filter(|(host, _)| !host.is_empty()).map(|(_, port)| port.parse::<u16>());
        match port {
            Some(Ok(_)) if !address.contains(['/', '@', ' ']) => Ok(Self::Tcp(address.to_owned())),
            _ => Err(wrong()),
        }
    }
}

impl fmt::Display for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unix(path) => write!(f, "unix://{}", path.display()),
            Self::Tcp(address) => write!(f, "tcp://{address}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_the_usual_forms() {
        for (given, shown) in [
            ("unix:///var/run/docker.sock", "unix:///var/run/docker.sock"),
            ("/var/run/docker.sock", "unix:///var/run/docker.sock"),
            ("tcp://127.0.0.1:2375", "tcp://127.0.0.1:2375"),
            ("http://engine:2375/", "tcp://engine:2375"),
            ("tcp://[::1]:2375", "tcp://[::1]:2375"),
        ] {
            assert_eq!(given.parse::<Endpoint>().unwrap().to_string(), shown);
        }
    }

    #[test]
    fn refuses_what_it_cannot_speak_to() {
        for given in [
            "",
            "docker.sock",
            "unix://relative",
            "ssh://host",
            "https://host:2376",
            "tcp://host",
            "tcp://:1",
            "tcp://u@h:1",
        ] {
            assert!(given.parse::<Endpoint>().is_err(), "{given}");
        }
    }
}
