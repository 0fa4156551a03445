//! Purpose: the services as they are, and whether it is our turn to deploy them.

use super::findings::{Finding, Findings};
use super::plan::{Observed, ServicePlan, UnderWay, short};
use super::settings::Settings;
use super::told::Concurrency;
use crate::commands::run::Run;
use crate::contract::values::Span;
use crate::domain::ecs::{Service, ServiceDeployment};
use crate::domain::rollout::TroubleKind;
use crate::runner::{Failure, Kind};
use crate::services::aws::AwsError;
use crate::services::aws::ecs::{Ecs, FoundService, trouble_kind};
use crate::services::{Classified as _, ErrorClass};

/// Waits for our turn.
pub(crate) struct Turn {
    start: tokio::time::Instant,
    told: Option<String>,
}

/// What to do about another deployment under way.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Next {
    /// Deploy.
    Go,
    /// Look again: it has changed.
    LookAgain,
}

impl Turn {
    pub(crate) fn new() -> Self {
        Self { start: tokio::time::Instant::now(), told: None }
    }

    /// Refuses, waits or goes on while a deployment is under way that is not the one we want.
    pub(crate) async fn await_ours(
        &mut self,
        services: &[ServicePlan],
        ecs: &Ecs,
        settings: &Settings,
        run: &Run,
    ) -> Result<Next, Failure> {
        let Some((service, other)) = services.iter().find_map(foreign) else {
            return Ok(Next::Go);
        };
        let said = describe(&service.name, other);
        match settings.concurrency {
            Concurrency::Refuse => return Err(refused(said)),
            Concurrency::Wait if !run.is_dry() => {}
            Concurrency::Wait | Concurrency::Supersede => {
                run.log.info(format!("{said}; this deployment takes its place"));
                return Ok(Next::Go);
            }
        }
        if self.told.as_ref() != Some(&said) {
            run.log.info(format!("{said}; waiting for its end"));
            self.told = Some(said.clone());
        }
        while self.start.elapsed() < settings.timeout {
            // Two requests a look: half as often keeps the pace of the rollout's own watch.
            tokio::time::sleep(settings.interval * 2).await;
            let observed = observe_all(ecs, settings).await?;
            let still = observed
                .iter()
                .any(|observed| observed.under_way.as_ref().is_some_and(|under_way| under_way.id == other.id));
            if !still {
                return Ok(Next::LookAgain);
            }
        }
        let message = format!("{said} and did not end within {}", Span(settings.timeout));
        Err(Failure::new(Kind::Work, "timeout", "Out of time", message)
            .hint("Raise `timeout`, or set `concurrency: supersede`."))
    }
}

/// Reads the services and their deployments.
pub(crate) async fn observe_all(ecs: &Ecs, settings: &Settings) -> Result<Vec<Observed>, Failure> {
    let mut observed = Vec::new();
    for found in services(ecs, settings).await? {
        observed.push(observe(ecs, found).await?);
    }
    Ok(observed)
}

/// A deployment under way that brings something else than we do. One that brings the same is ours: an earlier run of
/// the same command was killed.
fn foreign(service: &ServicePlan) -> Option<(&ServicePlan, &UnderWay)> {
    let under_way = service.under_way.as_ref()?;
    let is_ours = service.wanted.is_some() && under_way.brings == service.wanted;
    (!is_ours).then_some((service, under_way))
}

fn describe(service: &str, other: &UnderWay) -> String {
    let brings = other.brings.as_deref().map(|arn| format!(" of {}", short(arn))).unwrap_or_default();
    format!("another deployment{brings} of service {service} is under way ({})", short(&other.id))
}

fn refused(message: String) -> Failure {
    Failure::new(Kind::Gate, "deployment-under-way", "Another deployment is under way", message)
        .hint("Try again when it has ended, or set `concurrency` to `wait` or `supersede`.")
}

/// All services that were asked for, in that order, each ACTIVE and deployed by ECS itself.
async fn services(ecs: &Ecs, settings: &Settings) -> Result<Vec<FoundService>, Failure> {
    let found = match ecs.services(&settings.services).await {
        Ok(found) => found,
        Err(error) if error.class() == ErrorClass::NotFound => {
            return Err(no_cluster(&settings.cluster, error));
        }
        Err(error) => return Err(error.into()),
    };
    let (mut findings, mut ordered) = (Findings::default(), Vec::new());
    for name in &settings.services {
        let is_it = |found: &&FoundService| found.service.name == *name || found.service.arn == *name;
        match found.iter().find(is_it) {
            None => findings.add(missing(name, &settings.cluster)),
            Some(found) if found.service.status != "ACTIVE" => {
                findings.add(inactive(&found.service));
            }
            Some(found) if !matches!(found.service.controller.as_str(), "ECS" | "") => {
                findings.add(foreign_controller(&found.service));
            }
            Some(found) => ordered.push(found.clone()),
        }
    }
    findings.into_result()?;
    Ok(ordered)
}

fn no_cluster(cluster: &str, error: AwsError) -> Failure {
    let message = format!("cluster {cluster} does not exist");
    Failure::new(Kind::Input, "cluster-not-found", "Cluster not found", message)
        .hint("Check `cluster`, the region and the account.")
        .caused_by(error)
}

fn missing(name: &str, cluster: &str) -> Finding {
    Finding::new("service", format!("{name} does not exist in cluster {cluster}"))
        .reason("service-not-found", "Service not found")
        .hint("Check `service`, `cluster`, the region and the account.")
}

fn inactive(service: &Service) -> Finding {
    Finding::new("service", format!("{} is {}; only an ACTIVE service can be deployed", service.name, service.status))
        .reason("service-inactive", "Service inactive")
        .hint("The service is being deleted or was deleted; create it anew first.")
}

fn foreign_controller(service: &Service) -> Finding {
    let message = format!(
        "{} is deployed by {}, and only services deployed by ECS itself are supported",
        service.name, service.controller
    );
    Finding::new("service", message).reason("deployment-controller", "Unsupported deployment controller")
}

async fn observe(ecs: &Ecs, found: FoundService) -> Result<Observed, Failure> {
    let (known, under_way) = match ecs.deployments(&found.service.arn, None).await {
        Ok(deployments) => {
            let under_way = match deployments.iter().find(|deployment| !deployment.status.is_final()) {
                Some(deployment) => Some(listed(ecs, deployment).await?),
                None => None,
            };
            (Ok(deployments.into_iter().map(|deployment| deployment.arn).collect()), under_way)
        }
        Err(error) => match trouble_kind(&error) {
            TroubleKind::Unauthenticated => return Err(error.into()),
            kind => (Err(kind), by_service(&found.service)),
        },
    };
    Ok(Observed { found, known, under_way })
}

/// What a listed deployment brings; unknown when its revision may not be read.
async fn listed(ecs: &Ecs, deployment: &ServiceDeployment) -> Result<UnderWay, Failure> {
    let brings = match &deployment.target_revision {
        Some(revision) => match ecs.task_definitions_of(std::slice::from_ref(revision)).await {
            Ok(mut found) => found.remove(revision),
            Err(error) if trouble_kind(&error) == TroubleKind::Unauthenticated => {
                return Err(error.into());
            }
            Err(_) => None,
        },
        None => None,
    };
    Ok(UnderWay { id: deployment.arn.clone(), brings, is_service_deployment: true })
}

fn by_service(service: &Service) -> Option<UnderWay> {
    let primary = service.primary().filter(|primary| primary.rollout_state.as_deref() == Some("IN_PROGRESS"))?;
    let brings = Some(primary.task_definition.clone());
    Some(UnderWay { id: primary.id.clone(), brings, is_service_deployment: false })
}
