//! Purpose: what `deploy` takes, described once.

use schemars::JsonSchema;
use serde::Deserialize;

use crate::commands::ecs::{Concurrency, OnFailure};
use crate::contract::values::{Count, Flag, List, Map, Span};

/// Inputs of `deploy`.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(default)]
pub struct Inputs {
    /// Task definition file, JSON or YAML, relative to the workspace. Default: the service's current task definition.
    pub task_definition: Option<String>,
    /// Existing revision to deploy, as ARN or `family:revision`. With images or settings below, a new revision is made
    /// from it.
    pub task_definition_arn: Option<String>,
    /// Image for the container named by `container`.
    pub image: Option<String>,
    /// Containers that `image`, variables, secrets and labels are for. Default: the only one.
    pub container: Option<List>,
    /// Images of several containers, one `container=image` per line.
    pub images: Option<Map>,
    /// Environment variables to set, one `NAME=value` per line.
    pub environment_variables: Option<Map>,
    /// Environment variables and secrets to remove, by name.
    pub unset_environment_variables: Option<List>,
    /// Secrets to set, one `NAME=<ARN of the secret or parameter>` per line.
    pub secrets: Option<Map>,
    /// Docker labels to set, one `key=value` per line.
    pub labels: Option<Map>,
    /// ECS cluster, by name or ARN. Default: default.
    pub cluster: Option<String>,
    /// ECS services, one or several; several are deployed together and rolled back together.
    pub service: Option<List>,
    /// Number of tasks that the service shall run. Default: unchanged.
    pub desired_count: Option<Count>,
    /// Start a deployment although nothing changes. Default: false.
    pub force_new_deployment: Option<Flag>,
    /// Wait until the deployment has ended. Default: true.
    pub wait: Option<Flag>,
    /// Longest duration of the rollout. Default: 15m.
    pub timeout: Option<Span>,
    /// Time between two questions to ECS during the rollout. Default: 2s.
    pub poll_interval: Option<Span>,
    /// Command to run as a one-off task before the service is touched, in shell words.
    pub migrate: Option<String>,
    /// Container that runs `migrate` and whose exit code decides. Default: the essential one.
    pub migrate_container: Option<String>,
    /// Longest duration of the migration. Default: 10m.
    pub migrate_timeout: Option<Span>,
    /// Task definition of the migration: a file, an ARN or `family:revision`. Default: the one that is deployed.
    pub migrate_task_definition: Option<String>,
    /// Address that must answer healthily after the rollout.
    pub health_url: Option<String>,
    /// HTTP statuses that count as healthy. Default: 200-399.
    pub health_status: Option<String>,
    /// Longest time until `health_url` answers healthily. Default: 2m.
    pub health_timeout: Option<Span>,
    /// Most requests to `health_url`. Default: as many as `health_timeout` allows.
    pub health_attempts: Option<Count>,
    /// What to do when the deployment fails. Default: rollback.
    pub on_failure: Option<OnFailure>,
    /// Number of the family's newest revisions to keep; older ones that nothing uses are deregistered. Default: all.
    pub keep_revisions: Option<Count>,
    /// Branches on which `keep_revisions` acts, as globs. Default: main, master, develop.
    pub keep_revisions_on: Option<List>,
    /// Prove that the running tasks have the image's digest. Default: true.
    pub verify_digest: Option<Flag>,
    /// SSM parameters to write after success, one `/path=value` per line; `{image}`, `{tag}`, `{digest}` and
    /// `{revision}` are filled in.
    pub ssm_parameters: Option<Map>,
    /// What somebody typed to confirm; must equal `confirm_with`.
    pub confirm: Option<String>,
    /// What `confirm` must be, for example `DEPLOY`. Default: no confirmation is asked for.
    pub confirm_with: Option<String>,
    /// What to do while another deployment of the service is under way. Default: wait.
    pub concurrency: Option<Concurrency>,
    /// Stopped tasks with the same cause that end the rollout as a crash loop; 0 turns this off. Default: 3.
    pub crash_limit: Option<Count>,
    /// Check before anything is written that image, secrets and log groups exist. Default: true.
    pub preflight: Option<Flag>,
}
