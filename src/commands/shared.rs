//! Purpose: inputs that several commands share, as blocks.

use schemars::JsonSchema;
use serde::Deserialize;

use crate::contract::spec::{self, InputSpec};
use crate::contract::values::{Flag, List, Secret, Span};

/// Inputs that every command has.
#[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
#[serde(default)]
pub struct Common {
    /// What to do: the name of a command. May also be the first argument.
    pub command: Option<String>,
    /// Token for GitHub's API. Default: the job's own token.
    pub github_token: Option<Secret>,
    /// Config file, relative to the workspace. Default: `.github/landfall.yml`, which may be absent.
    pub config: Option<String>,
    /// Environment of the config whose settings become defaults of the inputs.
    pub environment: Option<String>,
    /// Print the exact plan and write nothing anywhere.
    pub dry_run: Option<Flag>,
    /// Longest duration of the command, for example `15m`.
    pub timeout: Option<Span>,
    /// Append a section to the job summary. Default: true.
    pub summary: Option<Flag>,
    /// Least important messages to print. Default: info; debug when the runner's debug logging is on.
    pub log_level: Option<LogLevel>,
}

/// How much is printed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
#[schemars(inline)]
pub enum LogLevel {
    /// Everything.
    Debug,
    /// What happens.
    Info,
    /// Warnings and errors.
    Warn,
    /// Errors.
    Error,
}

/// Inputs of commands that speak to AWS.
#[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
#[serde(default)]
pub struct Cloud {
    /// AWS region. Default: `AWS_REGION`, then `AWS_DEFAULT_REGION`.
    pub aws_region: Option<String>,
    /// Role to assume through the job's OIDC token; needs the permission `id-token: write`.
    pub role_to_assume: Option<String>,
    /// Name of the role session. Default: landfall.
    pub role_session_name: Option<String>,
    /// Life of the role session. Default: 1h.
    pub role_duration: Option<Span>,
    /// AWS accounts that may be touched; credentials of any other account are refused.
    pub allowed_account_ids: Option<List>,
}

/// Inputs of commands that speak to a registry.
#[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
#[serde(default)]
pub struct Registry {
    /// User name for the registry. Default: by host (ECR token, the actor on ghcr.io, docker's config file).
    pub registry_username: Option<String>,
    /// Password or token for the registry.
    pub registry_password: Option<Secret>,
    /// How existence is asked. Default: auto, by host.
    pub provider: Option<Provider>,
    /// Hosts spoken to over plain HTTP; loopback always is.
    pub insecure_registries: Option<List>,
}

/// How a registry is asked whether an image exists.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
#[schemars(inline)]
pub enum Provider {
    /// By the registry's host.
    Auto,
    /// Through ECR's own API.
    Ecr,
    /// Through the OCI distribution API.
    Oci,
    /// As GitHub's container registry, which an Enterprise Server has under another host.
    Ghcr,
}

/// Inputs of commands that speak to a Docker Engine.
#[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
#[serde(default)]
pub struct Engine {
    /// Endpoint of the Docker Engine. Default: `DOCKER_HOST`, else `/var/run/docker.sock`.
    pub engine: Option<String>,
}

/// A block of shared inputs that a command takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Group {
    /// [`Cloud`].
    Cloud,
    /// [`Registry`].
    Registry,
    /// [`Engine`].
    Engine,
}

impl Group {
    /// The block's inputs.
    #[must_use]
    pub fn inputs(self) -> Vec<InputSpec> {
        match self {
            Self::Cloud => spec::inputs::<Cloud>(),
            Self::Registry => spec::inputs::<Registry>(),
            Self::Engine => spec::inputs::<Engine>(),
        }
    }

    /// A heading for help and reference pages.
    #[must_use]
    pub fn title(self) -> &'static str {
        match self {
            Self::Cloud => "AWS",
            Self::Registry => "Registry",
            Self::Engine => "Docker Engine",
        }
    }
}
