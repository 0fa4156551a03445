//! Purpose: what `deploy` is going to do, decided from the inputs and the state of ECS; reads only.

use std::collections::BTreeMap;

use super::drafts::Drafts;
use super::settings::Settings;
use crate::commands::ecs::{
    DefinitionPlan, Findings, MigrationPlan, Next, Plan, Purpose, ServicePlan, Turn, after, observe_all, preflight,
    service_plan,
};
use crate::commands::run::Run;
use crate::runner::Failure;
use crate::services::aws::Session;
use crate::services::aws::ecs::Ecs;

/// Decides. Waits while another deployment is under way, if that is wanted.
pub(super) async fn plan(settings: Settings, session: Session, run: &Run) -> Result<Plan, Failure> {
    let ecs = Ecs::new(&session, &settings.rollout.cluster);
    let mut turn = Turn::new();
    let decided = loop {
        let decided = decide(&ecs, &settings, run).await?;
        if turn.await_ours(&decided.services, &ecs, &settings.rollout, run).await? == Next::Go {
            break decided;
        }
    };
    let settings = settings.rollout;
    let mut plan = Plan {
        purpose: Purpose::Deployment,
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
    let observed = observe_all(ecs, &settings.rollout).await?;
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
    let services = planned.into_iter().map(|(observed, definition)| {
        service_plan(observed, definition, &definitions[definition].step, &settings.rollout)
    });
    Ok(Decided { services: services.collect(), definitions, migration })
}
