//! Purpose: what is going to be done to services, as a value: printable, comparable, done exactly so.

use std::collections::BTreeMap;

use serde::Serialize;

use super::settings::Settings;
use crate::domain::ecs::Service;
use crate::domain::names::TaskDefinitionArn;
use crate::domain::rollout::TroubleKind;
use crate::domain::task_definition::{Change, TaskDefinition};
use crate::services::aws::Session;
use crate::services::aws::ecs::{Ecs, FoundService, Launch};

/// What is going to be done, in the order in which it is going to be done.
#[derive(Serialize)]
pub struct Plan {
    pub(crate) purpose: Purpose,
    pub(crate) cluster: String,
    pub(crate) region: String,
    pub(crate) definitions: Vec<DefinitionPlan>,
    pub(crate) migration: Option<MigrationPlan>,
    pub(crate) services: Vec<ServicePlan>,
    pub(crate) after: Vec<String>,
    #[serde(skip)]
    pub(crate) settings: Settings,
    #[serde(skip)]
    pub(crate) session: Session,
    #[serde(skip)]
    pub(crate) ecs: Ecs,
    /// Acceptable digests by container, where the registry told them.
    #[serde(skip)]
    pub(crate) digests: BTreeMap<String, Vec<String>>,
}

/// What a rollout is for; it is done in the same way and told in other words.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Purpose {
    /// Something new.
    Deployment,
    /// Something that worked before.
    Rollback,
}

impl Purpose {
    /// What it is called in a sentence.
    pub(crate) fn of(self, revision: &str) -> String {
        match self {
            Self::Deployment => format!("deployment of {revision}"),
            Self::Rollback => format!("rollback to {revision}"),
        }
    }
}

/// A task definition that is needed.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct DefinitionPlan {
    pub(crate) family: String,
    /// Where it comes from: a file, or a revision.
    pub(crate) origin: String,
    pub(crate) step: DefinitionStep,
    /// Against what the service runs now.
    pub(crate) changes: Vec<Change>,
    #[serde(skip)]
    pub(crate) definition: TaskDefinition,
}

/// How the revision comes to be.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum DefinitionStep {
    /// It is registered.
    Register,
    /// It is there already.
    Reuse(TaskDefinitionArn),
}

/// A one-off task.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct MigrationPlan {
    pub(crate) definition: usize,
    pub(crate) container: String,
    pub(crate) command: Vec<String>,
}

/// A service that gets a task definition.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct ServicePlan {
    pub(crate) name: String,
    pub(crate) definition: usize,
    /// ARN of what it has now.
    pub(crate) current: String,
    pub(crate) step: ServiceStep,
    #[serde(skip)]
    pub(crate) found: Service,
    #[serde(skip)]
    pub(crate) launch: Launch,
    /// Service deployments that there are; without them, why they cannot be listed.
    #[serde(skip)]
    pub(crate) known: Result<Vec<String>, TroubleKind>,
    /// The deployment under way, whoever started it.
    #[serde(skip)]
    pub(crate) under_way: Option<UnderWay>,
    /// ARN of the revision that it gets, when that exists already.
    #[serde(skip)]
    pub(crate) wanted: Option<String>,
}

/// What is done to a service.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum ServiceStep {
    /// It is updated, which starts a deployment.
    Update {
        /// Whether the deployment is asked for although nothing else changes.
        force: bool,
    },
    /// Only its number of tasks changes, which starts no deployment.
    Scale,
    /// The deployment that is wanted is under way already.
    Attach {
        /// Its service deployment, where that is known.
        deployment: Option<String>,
    },
    /// It runs what is wanted already.
    Nothing,
}

impl ServiceStep {
    /// Whether it writes.
    pub(crate) fn is_update(&self) -> bool {
        matches!(self, Self::Update { .. } | Self::Scale)
    }
}

/// What follows the rollout, in words.
pub(crate) fn after(settings: &Settings) -> Vec<String> {
    let mut after = Vec::new();
    if !settings.wait {
        after.push("do not wait for the end of the deployment".to_owned());
        return after;
    }
    let timeout = crate::contract::values::Span(settings.timeout);
    let otherwise = serde_json::to_value(settings.on_failure).unwrap_or_default();
    after.push(format!("watch for up to {timeout}; on failure: {}", otherwise.as_str().unwrap_or_default()));
    if let Some(health) = &settings.health {
        let url = crate::services::http::shown(&health.url);
        after.push(format!("ask {url} until it answers {}", health.statuses));
    }
    if settings.verify_digest {
        after.push("prove the digest of the running images".to_owned());
    }
    after.extend(settings.parameters.iter().map(|(path, value)| format!("write parameter {path} = {value}")));
    if let Some(keep) = &settings.keep {
        after.push(format!("deregister revisions beyond the newest {} that nothing uses", keep.count));
    }
    after
}

/// A service as it was found, and its deployments.
pub(crate) struct Observed {
    pub(crate) found: FoundService,
    pub(crate) known: Result<Vec<String>, TroubleKind>,
    /// The deployment under way, if there is one, and what it brings.
    pub(crate) under_way: Option<UnderWay>,
}

/// A deployment under way.
#[derive(Debug, Clone)]
pub(crate) struct UnderWay {
    /// ARN of the service deployment, or `ecs-svc/<number>`.
    pub(crate) id: String,
    pub(crate) brings: Option<String>,
    pub(crate) is_service_deployment: bool,
}

/// `family:revision` of an ARN.
pub(crate) fn short(arn: &str) -> String {
    arn.rsplit('/').next().unwrap_or(arn).to_owned()
}
