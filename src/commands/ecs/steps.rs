//! Purpose: what is to be done to a service, from how it was found.

use super::plan::{DefinitionStep, Observed, ServicePlan, ServiceStep, UnderWay};
use super::settings::Settings;
use crate::domain::ecs::Service;

pub(crate) fn service_plan(
    observed: Observed,
    definition: usize,
    step: &DefinitionStep,
    settings: &Settings,
) -> ServicePlan {
    let Observed { found, known, under_way } = observed;
    let service = found.service;
    let wanted = match step {
        DefinitionStep::Reuse(arn) => Some(arn.to_string()),
        DefinitionStep::Register => None,
    };
    let step = if wanted.as_ref() == Some(&service.task_definition) {
        same_definition(&service, under_way.as_ref(), settings)
    } else {
        ServiceStep::Update { force: settings.force }
    };
    ServicePlan {
        name: service.name.clone(),
        definition,
        current: service.task_definition.clone(),
        step,
        launch: found.launch,
        found: service,
        known,
        under_way,
        wanted,
    }
}

/// The service is set to the wanted revision already: what is left to do depends on how far it is.
fn same_definition(service: &Service, under_way: Option<&UnderWay>, settings: &Settings) -> ServiceStep {
    let scales = settings.desired.is_some_and(|desired| desired != service.desired);
    let failed = service.primary().is_some_and(|primary| primary.rollout_state.as_deref() == Some("FAILED"));
    match under_way {
        _ if settings.force || failed => ServiceStep::Update { force: true },
        // Under way with something else than the service is set to: on its way back, for example.
        Some(under_way) if under_way.brings.as_ref().is_some_and(|brings| *brings != service.task_definition) => {
            ServiceStep::Update { force: true }
        }
        Some(under_way) if !scales => {
            let deployment = Some(under_way.id.clone()).filter(|_| under_way.is_service_deployment);
            ServiceStep::Attach { deployment }
        }
        _ if scales => ServiceStep::Scale,
        _ => ServiceStep::Nothing,
    }
}
