//! Purpose: how a rollout is to end and how it ended, in the words of inputs and outputs.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// What to do when the deployment fails.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
#[schemars(inline)]
pub enum OnFailure {
    /// Restore the previous task definition and wait until it is stable.
    #[default]
    Rollback,
    /// Stop the deployment and leave the service as it is.
    Stop,
    /// Leave everything as it is.
    None,
}

/// What to do while another deployment of the service is under way.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
#[schemars(inline)]
pub enum Concurrency {
    /// End with exit code 3.
    Refuse,
    /// Wait until it has ended.
    #[default]
    Wait,
    /// Take its place.
    Supersede,
}

/// How a deployment ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
#[schemars(inline)]
pub enum Status {
    /// It runs, and only it.
    Deployed,
    /// It ran already.
    Unchanged,
    /// It was started; nobody waited.
    Started,
    /// It failed, and the previous revision runs again.
    RolledBack,
    /// It failed, and so did the way back.
    RollbackFailed,
    /// It failed.
    Failed,
    /// Another deployment took its place.
    Superseded,
}

/// Outputs of `deploy`. With several services, values of one service each are lines in the order of the services.
#[derive(Debug, Default, Serialize, JsonSchema)]
pub struct Outputs {
    /// ARN of the task definition revision that was deployed.
    pub task_definition_arn: Option<String>,
    /// ARN of the revision that ran before.
    pub previous_task_definition_arn: Option<String>,
    /// Id of the deployment: ARN of the service deployment where ECS tells it, else `ecs-svc/<number>`.
    pub deployment_id: Option<String>,
    /// `deployed`, `unchanged`, `started`, `rolled-back`, `rollback-failed`, `failed` or `superseded`.
    pub status: Option<Status>,
    /// Why the deployment failed.
    pub failure_reason: Option<String>,
    /// Tasks that failed: JSON list of task, stop code, reason, class, cause and containers with exit codes.
    pub failed_tasks: Option<serde_json::Value>,
    /// Digests that the running tasks were seen to have, one per line.
    pub running_digest: Option<String>,
    /// Exit code of the migration.
    pub migration_exit_code: Option<i32>,
    /// Number of revisions that were deregistered.
    pub revisions_deregistered: Option<u64>,
    /// Seconds per phase, as a JSON object.
    pub phases: Option<serde_json::Value>,
}
