//! Purpose: what `rollback` takes and gives, described once.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::commands::ecs::{Concurrency, OnFailure};
use crate::contract::values::{Count, Flag, List, Span};

/// Inputs of `rollback`.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(default)]
pub struct Inputs {
    /// ECS cluster, by name or ARN. Default: default.
    pub cluster: Option<String>,
    /// ECS services, one or several; several go back together.
    pub service: Option<List>,
    /// Where to go back to: `previous` (the last other revision whose deployment succeeded), a revision's number,
    /// `family:revision` or an ARN. Default: previous.
    pub to: Option<String>,
    /// Only list the revisions that there are. Default: false.
    pub list: Option<Flag>,
    /// Most revisions to list. Default: 10.
    pub count: Option<Count>,
    /// What somebody typed to confirm; must equal `confirm_with`.
    pub confirm: Option<String>,
    /// What `confirm` must be, for example `ROLLBACK`. Default: no confirmation is asked for.
    pub confirm_with: Option<String>,
    /// Wait until the rollback has ended. Default: true.
    pub wait: Option<Flag>,
    /// Longest duration of the rollback. Default: 15m.
    pub timeout: Option<Span>,
    /// Time between two questions to ECS while waiting. Default: 2s.
    pub poll_interval: Option<Span>,
    /// Stopped tasks with the same cause that end the rollback as a crash loop; 0 turns this off. Default: 3.
    pub crash_limit: Option<Count>,
    /// What to do when the rollback itself fails; `rollback` restores what the service had before it. Default: rollback.
    pub on_failure: Option<OnFailure>,
    /// What to do while a deployment of the service is under way. Default: supersede.
    pub concurrency: Option<Concurrency>,
    /// Check before anything is written that the old revision's image, secrets and log groups still exist. Default: true.
    pub preflight: Option<Flag>,
    /// Prove that the running tasks have the image's digest. Default: true.
    pub verify_digest: Option<Flag>,
    /// Address that must answer healthily after the rollback.
    pub health_url: Option<String>,
    /// HTTP statuses that count as healthy. Default: 200-399.
    pub health_status: Option<String>,
    /// Longest time until `health_url` answers healthily. Default: 2m.
    pub health_timeout: Option<Span>,
    /// Most requests to `health_url`. Default: as many as `health_timeout` allows.
    pub health_attempts: Option<Count>,
}

/// Outputs of `rollback`. With several services, values of one service each are lines in the order of the services.
#[derive(Debug, Default, Serialize, JsonSchema)]
pub struct Outputs {
    /// ARN of the task definition revision that the service went back to.
    pub task_definition_arn: Option<String>,
    /// ARN of the revision that ran before.
    pub previous_task_definition_arn: Option<String>,
    /// `rolled-back`, `unchanged` (it ran that already), `started`, `failed`, `rollback-failed` (it failed, and the
    /// service could not be restored to what it had before), `superseded` or `listed`.
    pub status: Option<String>,
    /// Revisions, the newest first: JSON list of revision, arn, image, registered_at, status, deployed_at, running.
    pub revisions: Option<serde_json::Value>,
    /// Id of the deployment that went back.
    pub deployment_id: Option<String>,
    /// Why the rollback failed.
    pub failure_reason: Option<String>,
    /// Tasks that failed: JSON list of task, stop code, reason, class, cause and containers with exit codes.
    pub failed_tasks: Option<serde_json::Value>,
    /// Digests that the running tasks were seen to have, one per line.
    pub running_digest: Option<String>,
    /// Seconds per phase, as a JSON object.
    pub phases: Option<serde_json::Value>,
}
