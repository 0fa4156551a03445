//! Purpose: what ECS says of a service, its deployments and its tasks, as plain data.

use jiff::Timestamp;

/// A task.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Task {
    /// ARN.
    pub arn: String,
    /// Who started it: `ecs-svc/<number>` for a deployment of a service.
    pub started_by: Option<String>,
    /// ARN of its task definition.
    pub task_definition: String,
    /// Where it is: `PENDING`, `RUNNING`, `STOPPED`, …
    pub last_status: String,
    /// When it was created.
    pub created_at: Option<Timestamp>,
    /// Why it stopped, as a code: `EssentialContainerExited`, `TaskFailedToStart`, …
    pub stop_code: Option<String>,
    /// Why it stopped, in ECS's words.
    pub stopped_reason: Option<String>,
    /// Its containers.
    pub containers: Vec<TaskContainer>,
}

impl Task {
    /// The last part of the ARN.
    #[must_use]
    pub fn id(&self) -> &str {
        self.arn.rsplit('/').next().unwrap_or_default()
    }

    /// Whether it has ended.
    #[must_use]
    pub fn is_stopped(&self) -> bool {
        self.last_status == "STOPPED"
    }

    /// Whether ECS has said all about its end already: it may do so long before it calls the task stopped.
    #[must_use]
    pub fn is_explained(&self) -> bool {
        let ended = |container: &TaskContainer| container.exit_code.is_some() || container.reason.is_some();
        self.is_stopped()
            || (self.stop_code.is_some() && !self.containers.is_empty() && self.containers.iter().all(ended))
    }

    /// A container by its name.
    #[must_use]
    pub fn container(&self, name: &str) -> Option<&TaskContainer> {
        self.containers.iter().find(|container| container.name == name)
    }
}

/// A container of a task.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct TaskContainer {
    /// Name.
    pub name: String,
    /// Exit code; absent when it never ran.
    pub exit_code: Option<i32>,
    /// Why it failed, in the agent's words.
    pub reason: Option<String>,
    /// `HEALTHY`, `UNHEALTHY` or `UNKNOWN`.
    pub health: Option<String>,
    /// Image, as the task definition names it.
    pub image: Option<String>,
    /// Digest of the image that really runs.
    pub image_digest: Option<String>,
}

/// A service, as DescribeServices shows it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Service {
    /// ARN.
    pub arn: String,
    /// Name.
    pub name: String,
    /// `ACTIVE`, `DRAINING` or `INACTIVE`.
    pub status: String,
    /// ARN of the task definition that the service is set to.
    pub task_definition: String,
    /// Tasks wanted.
    pub desired: i32,
    /// Tasks running.
    pub running: i32,
    /// Tasks on their way.
    pub pending: i32,
    /// Who deploys: `ECS`, `CODE_DEPLOY` or `EXTERNAL`.
    pub controller: String,
    /// Its deployments, the newest first.
    pub deployments: Vec<Deployment>,
    /// Its events, the newest first.
    pub events: Vec<Event>,
    /// Whether the deployment circuit breaker is on, and whether it rolls back.
    pub breaker: Option<Breaker>,
    /// Target groups of its load balancers.
    pub target_groups: Vec<String>,
}

/// Whether the deployment circuit breaker rolls back.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Breaker {
    /// It stops the deployment and leaves it.
    StopsOnly,
    /// It restores the last completed deployment.
    RollsBack,
}

impl Service {
    /// The deployment that the service is going to.
    #[must_use]
    pub fn primary(&self) -> Option<&Deployment> {
        self.deployments.iter().find(|deployment| deployment.status == "PRIMARY")
    }
}

/// One entry of a service's `deployments`.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Deployment {
    /// `ecs-svc/<number>`.
    pub id: String,
    /// `PRIMARY`, `ACTIVE` or `INACTIVE`.
    pub status: String,
    /// ARN of its task definition.
    pub task_definition: String,
    /// `IN_PROGRESS`, `COMPLETED` or `FAILED`; absent under other controllers.
    pub rollout_state: Option<String>,
    /// ECS's words to it.
    pub rollout_reason: Option<String>,
    /// Tasks wanted.
    pub desired: i32,
    /// Tasks running.
    pub running: i32,
    /// Tasks on their way.
    pub pending: i32,
    /// Tasks that failed in a row.
    pub failed: i32,
    /// When it was created.
    pub created_at: Option<Timestamp>,
}

/// A service event.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Event {
    /// Id.
    pub id: String,
    /// When.
    pub at: Option<Timestamp>,
    /// What.
    pub message: String,
}

/// A service deployment (ListServiceDeployments, DescribeServiceDeployments).
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ServiceDeployment {
    /// ARN.
    pub arn: String,
    /// Where it is.
    pub status: DeploymentStatus,
    /// ECS's words to it.
    pub reason: Option<String>,
    /// ARN of the service revision that it deploys.
    pub target_revision: Option<String>,
    /// When it was created.
    pub created_at: Option<Timestamp>,
    /// When it ended.
    pub finished_at: Option<Timestamp>,
    /// Stage of a deployment with stages (blue/green, canary): `TEST_TRAFFIC_SHIFT`, …
    pub stage: Option<String>,
    /// Tasks wanted, running and on their way of the revision that it deploys.
    pub tasks: Option<TaskCounts>,
    /// Why ECS rolls back.
    pub rollback_reason: Option<String>,
    /// Failures that the circuit breaker counted, and the number at which it acts.
    pub breaker: Option<(i32, i32)>,
    /// Alarms that fired.
    pub alarms: Vec<String>,
}

/// Numbers of tasks.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct TaskCounts {
    /// Wanted.
    pub desired: i32,
    /// Running.
    pub running: i32,
    /// On their way.
    pub pending: i32,
}

/// Where a service deployment is (API reference, `ServiceDeployment`, `status`).
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum DeploymentStatus {
    /// Waits.
    #[default]
    Pending,
    /// Goes on.
    InProgress,
    /// Done.
    Successful,
    /// Somebody asked to stop it.
    StopRequested,
    /// Stopped.
    Stopped,
    /// ECS or somebody asked for the way back.
    RollbackRequested,
    /// On the way back.
    RollbackInProgress,
    /// Back at the revision before.
    RollbackSuccessful,
    /// The way back failed.
    RollbackFailed,
    /// A status newer than this list.
    Other(String),
}

impl DeploymentStatus {
    /// The status of ECS's own name for it.
    #[must_use]
    pub fn of(name: &str) -> Self {
        match name {
            "PENDING" => Self::Pending,
            "IN_PROGRESS" => Self::InProgress,
            "SUCCESSFUL" => Self::Successful,
            "STOP_REQUESTED" => Self::StopRequested,
            "STOPPED" => Self::Stopped,
            "ROLLBACK_REQUESTED" => Self::RollbackRequested,
            "ROLLBACK_IN_PROGRESS" => Self::RollbackInProgress,
            "ROLLBACK_SUCCESSFUL" => Self::RollbackSuccessful,
            "ROLLBACK_FAILED" => Self::RollbackFailed,
            other => Self::Other(other.to_owned()),
        }
    }

    /// Whether nothing more happens to the deployment.
    #[must_use]
    pub fn is_final(&self) -> bool {
        matches!(self, Self::Successful | Self::Stopped | Self::RollbackSuccessful | Self::RollbackFailed)
    }
}
