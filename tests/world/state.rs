//! Purpose: the one state behind all skins.

use std::collections::BTreeMap;
use std::net::SocketAddr;

use serde::{Deserialize, Serialize};

use super::alarms::Alarms;
use super::artifacts::Artifacts;
use super::aws::Aws;
use super::clock::Clock;
use super::ecs::Ecs;
use super::elb::Targets;
use super::faults::Fault;
use super::github::Github;
use super::health::Health;
use super::http::{Door, Skin};
use super::images::Images;
use super::logs::Logs;
use super::oidc::Oidc;
use super::record::Recorded;
use super::secrets::Secrets;
use super::ssm::Parameters;
use super::webhook::Webhooks;

/// Everything outside the program. Written as JSON it is a seed for `--seed`; every part may be left out.
#[derive(Debug, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct State {
    pub clock: Clock,
    pub github: Github,
    pub oidc: Oidc,
    pub aws: Aws,
    pub ecs: Ecs,
    /// Images; the ECR skin and the OCI registry skin are two views of them.
    pub images: Images,
    pub logs: Logs,
    pub parameters: Parameters,
    /// ECR's scans, by `name:tag`.
    pub scans: super::scans::Scans,
    pub secrets: Secrets,
    pub targets: Targets,
    pub alarms: Alarms,
    pub health: Health,
    pub webhooks: Webhooks,
    pub artifacts: Artifacts,
    pub faults: Vec<Fault>,
    /// Every request so far.
    #[serde(skip_deserializing)]
    pub requests: Vec<Recorded>,
    /// Unknown routes and violations so far.
    #[serde(skip_deserializing)]
    pub problems: Vec<String>,
    /// Writes that no test has taken yet.
    #[serde(skip_deserializing)]
    pub writes: Vec<String>,
    #[serde(skip)]
    pub addresses: BTreeMap<Door, SocketAddr>,
}

impl State {
    /// A world with nothing in it but its own keys and tokens.
    pub fn new() -> Self {
        Self::default()
    }

    /// Enters a write into the ledger.
    pub fn wrote(&mut self, skin: Skin, what: &str) {
        self.writes.push(format!("{skin} {what}"));
    }

    /// Notes something that must not happen.
    pub fn violation(&mut self, what: impl Into<String>) {
        self.problems.push(what.into());
    }

    /// The URL of another door, as the client that named this one by `host` can reach it.
    pub fn door_seen_from(&self, host: &str, door: Door) -> String {
        let name = host.rsplit_once(':').map_or(host, |(name, _)| name);
        let port = self.addresses.get(&door).map_or(0, SocketAddr::port);
        format!("http://{name}:{port}")
    }
}
