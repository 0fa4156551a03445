//! Purpose: what `deploy` is going to do, decided from the inputs and the state of ECS; reads only.

use std::collections::BTreeMap;

use serde::Serialize;

use super::drafts::Drafts;
use super::findings::Findings;
use super::preflight;
use super::settings::Settings;
use super::steps::service_plan;
use super::turn::{Next, Turn, observe_all};
use crate::commands::run::Run;
use crate::domain::ecs::Service;
use crate::domain::names::TaskDefinitionArn;
use crate::domain::rollout::TroubleKind;
use crate::domain::task_definition::{Change, TaskDefinition};
use crate::runner::Failure;
use crate::services::aws::Session;
use crate::services::aws::ecs::{Ecs, Launch};

/// What is going to be done, in the order in which it is going to be done.
#[derive(Serialize)]
pub struct Plan {
    pub(super) cluster: String,
    pub(super) region: String,
    pub(super) definitions: Vec<DefinitionPlan>,
    pub(super) migration: Option<MigrationPlan>,
    pub(super) services: Vec<ServicePlan>,
    pub(super) after: Vec<String>,
    #[serde(skip)]
    pub(super) settings: Settings,
    #[serde(skip)]
    pub(super) session: Session,
    #[serde(skip)]
    pub(super) ecs: Ecs,
    /// Acceptable digests by container, where the registry told them.
    #[serde(skip)]
    pub(super) digests: BTreeMap<String, Vec<String>>,
}

/// A task definition that is needed.
#[derive(Debug, Clone, Serialize)]
pub(super) struct DefinitionPlan {
    pub(super) family: String,
    /// Where it comes from: a file, or a revision.
    pub(super) origin: String,
    pub(super) step: DefinitionStep,
    /// Against what the service runs now.
    pub(super) changes: Vec<Change>,
    #[serde(skip)]
    pub(super) definition: TaskDefinition,
}

/// How the revision comes to be.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub(super) enum DefinitionStep {
    /// It is registered.
    Register,
    /// It is there already.
    Reuse(TaskDefinitionArn),
}

/// A one-off task.
#[derive(Debug, Clone, Serialize)]
pub(super) struct MigrationPlan {
    pub(super) definition: usize,
    pub(super) container: String,
    pub(super) command: Vec<String>,
}

/// A service that gets a task definition.
#[derive(Debug, Clone, Serialize)]
pub(super) struct ServicePlan {
    pub(super) name: String,
    pub(super) definition: usize,
    /// ARN of what it has now.
    pub(super) current: String,
    pub(super) step: ServiceStep,
    #[serde(skip)]
    pub(super) found: Service,
    #[serde(skip)]
    pub(super) launch: Launch,
    /// Service deployments that there are; without them, why they cannot be listed.
    #[serde(skip)]
    pub(super) known: Result<Vec<String>, TroubleKind>,
    /// The deployment under way, whoever started it.
    #[serde(skip)]
    pub(super) under_way: Option<UnderWay>,
    /// ARN of the revision that it gets, when that exists already.
    #[serde(skip)]
    pub(super) wanted: Option<String>,
}

/// What is done to a service.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub(super) enum ServiceStep {
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
    pub(super) fn is_update(&self) -> bool {
        matches!(self, Self::Update { .. } | Self::Scale)
    }
}

/// Decides. Waits while another deployment is under way, if that is wanted.
pub(super) async fn plan(settings: Settings, session: Session, run: &Run) -> Result<Plan, Failure> {
    let ecs = Ecs::new(&session, &settings.cluster);
    let mut turn = Turn::new();
    let decided = loop {
        let decided = decide(&ecs, &settings, run).await?;
        if turn.await_ours(&decided.services, &ecs, &settings, run).await? == Next::Go {
            break decided;
        }
    };
    let mut plan = Plan {
        cluster: settings.cluster.clone(),
        region: session.region().to_owned(),
        after: after(&settings),
        definitions: decided.definitions,
        migration: decided.migration,
        services: decided.services,
        digests: BTreeMap::new(),
        settings,
        ecs,
        session,
    };
    plan.digests = preflight::check(&plan, run).await?;
    Ok(plan)
}

/// What is to be done, as far as the state of ECS decides it.
struct Decided {
    definitions: Vec<DefinitionPlan>,
    migration: Option<MigrationPlan>,
    services: Vec<ServicePlan>,
}

async fn decide(ecs: &Ecs, settings: &Settings, run: &Run) -> Result<Decided, Failure> {
    let observed = observe_all(ecs, settings).await?;
    let mut findings = Findings::default();
    let mut drafts = Drafts { ecs, settings, run, found: Vec::new(), read: BTreeMap::new() };
    let mut planned = Vec::new();
    for observed in observed {
        let current = observed.found.service.task_definition.clone();
        let definition = drafts.for_service(&current, &mut findings).await?;
        planned.extend(definition.map(|definition| (observed, definition)));
    }
    let migration = drafts.for_migration(planned.first().map(|(_, definition)| *definition), &mut findings).await?;
    findings.into_result()?;
    let definitions = drafts.found;
    let services = planned
        .into_iter()
        .map(|(observed, definition)| service_plan(observed, definition, &definitions[definition].step, settings));
    Ok(Decided { services: services.collect(), definitions, migration })
}

/// What follows the rollout, in words.
fn after(settings: &Settings) -> Vec<String> {
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
pub(super) struct Observed {
    pub(super) found: crate::services::aws::ecs::FoundService,
    pub(super) known: Result<Vec<String>, TroubleKind>,
    /// The deployment under way, if there is one, and what it brings.
    pub(super) under_way: Option<UnderWay>,
}

/// A deployment under way.
#[derive(Debug, Clone)]
pub(super) struct UnderWay {
    /// ARN of the service deployment, or `ecs-svc/<number>`.
    pub(super) id: String,
    pub(super) brings: Option<String>,
    pub(super) is_service_deployment: bool,
}

/// `family:revision` of an ARN.
pub(super) fn short(arn: &str) -> String {
    arn.rsplit('/').next().unwrap_or(arn).to_owned()
}
