//! Purpose: containers for tests: started, waited for until they are healthy, and removed at the end of the job.

use std::time::Duration;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::framework::{Command, Limit, Verdict};
use super::run::Run;
use super::shared::Group;
use crate::contract::values::{Count, Flag, Lines, List, Map, Span};
use crate::runner::Failure;

mod apply;
mod diagnosis;
mod plan;
mod post;
mod probe;
mod reach;
mod stack;
mod start;
mod watch;

/// `up`.
pub struct Up;

/// When the containers' logs are shown.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
#[schemars(inline)]
pub enum ShowLogs {
    /// When the command fails.
    #[default]
    Failure,
    /// In every case.
    Always,
    /// In no case.
    Never,
}

/// Inputs of `up`.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(default)]
pub struct Inputs {
    /// The image of the one container to start. Either this or `compose_file` is required.
    pub image: Option<String>,
    /// Name of the container. Default: one of the engine's choice.
    pub name: Option<String>,
    /// Ports of the one container, `8080:80`, `127.0.0.1:8080:80/tcp` or `80` (the engine chooses the host's side).
    pub ports: List,
    /// Environment variables of the one container, one `NAME=value` per line.
    pub env: Map,
    /// Files with environment variables of the one container, relative to the workspace; `env` wins over them.
    pub env_file: List,
    /// Command of the one container instead of the image's own, as a shell would split it.
    pub command: Option<String>,
    /// Network to join by name. Default: the job's own network when it has one (`services:` or `container:`), else the
    /// engine's default.
    pub network: Option<String>,
    /// Compose file, relative to the workspace, whose services are started. A documented subset is understood; any other
    /// key is an error.
    pub compose_file: Option<String>,
    /// Images to use instead of those in the compose file, one `service=image` per line.
    pub images: Map,
    /// Address that must answer once the containers run, `http://localhost:8080/health`. `localhost` means the engine's
    /// host, wherever that is from here; a service's name means that service.
    pub health_url: Option<String>,
    /// Command that must succeed in the one container, as a shell would split it.
    pub health_command: Option<String>,
    /// Statuses that count as healthy. Default: 200-399.
    pub health_status: Option<String>,
    /// Time in which everything must be healthy. Default: 60s.
    pub health_timeout: Option<Span>,
    /// Leave the containers running for later steps; they are removed at the end of the job. When false they are removed
    /// at the end of this step. Default: true.
    pub keep: Option<Flag>,
    /// When the last lines of the containers' logs are shown: `failure`, `always` or `never`. Default: failure.
    pub logs: Option<ShowLogs>,
    /// The most memory that the one container may take, `512MB`. Default: no limit.
    pub memory: Option<crate::contract::values::Size>,
    /// Lines for the hosts file of the one container, `name:address`.
    pub add_hosts: Lines,
    /// Longest duration of the command. Default: 30m.
    pub timeout: Option<Span>,
}

/// Outputs of `up`.
#[derive(Debug, Default, Serialize, JsonSchema)]
pub struct Outputs {
    /// The containers as JSON: service, name, id, image, address, ports, state and health of each.
    pub containers: Option<serde_json::Value>,
    /// Id of the one container, or of the last service in the order of starts.
    pub container_id: Option<String>,
    /// Address for later steps: `health_url` with the port that the engine chose, else the first port on the engine's host.
    pub url: Option<String>,
    /// Seconds until everything was healthy.
    pub health_seconds: Option<Count>,
}

impl Command for Up {
    const NAME: &'static str = "up";
    const TITLE: &'static str = "Start containers and wait until they are healthy";
    const BRANDING: (&'static str, &'static str) = ("play-circle", "blue");
    const GROUPS: &'static [Group] = &[Group::Registry, Group::Engine, Group::Cloud];
    const LIMIT: Limit = Limit::Whole(Duration::from_secs(1800));

    type Inputs = Inputs;
    type Plan = plan::Plan;
    type Outputs = Outputs;

    async fn plan(inputs: Inputs, run: &Run, _outputs: &mut Outputs) -> Result<plan::Plan, Failure> {
        plan::plan(inputs, run)
    }

    async fn apply(plan: plan::Plan, run: &Run, outputs: &mut Outputs) -> Result<Verdict, Failure> {
        apply::apply(&plan, run, outputs).await
    }

    async fn post(run: &Run) -> Result<(), Failure> {
        post::post(run).await
    }
}
