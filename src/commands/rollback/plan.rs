//! Purpose: what `rollback` is going to do, decided from what was typed and the state of ECS; reads only.

use std::collections::BTreeMap;

use super::Plan;
use super::history::{self, History, Listed};
use super::inputs::Inputs;
use super::target::To;
use crate::commands::ecs::{
    self, Concurrency, DefinitionPlan, DefinitionStep, Finding, Findings, Next, Observed, Purpose, ServicePlan, Turn,
    after, given, is_on, observe_all, preflight, service_plan, short,
};
use crate::commands::run::Run;
use crate::contract::values::Count;
use crate::domain::ecs::Service;
use crate::domain::names::TaskDefinitionArn;
use crate::domain::rollout::TroubleKind;
use crate::runner::{Failure, Kind};
use crate::services::aws::Session;
use crate::services::aws::ecs::{Ecs, Revision};

/// Checked inputs.
pub(super) struct Settings {
    to: To,
    pub(super) list: bool,
    count: usize,
    pub(super) rollout: ecs::Settings,
}

impl Settings {
    pub(super) fn of(inputs: Inputs) -> Result<Self, Failure> {
        let mut found = Findings::default();
        let to = inputs.to.as_deref().map_or(Some(To::Previous), |to| found.check("to", to.parse::<To>()));
        let Count(count) = inputs.count.unwrap_or(Count(10));
        if count == 0 {
            found.add(Finding::new("count", "is 0; use at least 1"));
        }
        let list = is_on(inputs.list, false);
        let mut given = given!(inputs);
        // Whoever goes back does not want to wait for the end of what he goes back from.
        given.concurrency.get_or_insert(Concurrency::Supersede);
        let rollout = given.settings(&mut found);
        found.into_result()?;
        let count = usize::try_from(count).unwrap_or(usize::MAX);
        Ok(Self { to: to.unwrap_or(To::Previous), list, count, rollout })
    }
}

/// Decides. Waits while another deployment is under way, if that is wanted.
pub(super) async fn plan(settings: Settings, session: Session, run: &Run) -> Result<Plan, Failure> {
    let ecs = Ecs::new(&session, &settings.rollout.cluster);
    if settings.list {
        return list(&ecs, &settings, run).await;
    }
    let mut turn = Turn::new();
    let decided = loop {
        let decided = decide(&ecs, &settings, run).await?;
        if turn.await_ours(&decided.services, &ecs, &settings.rollout, run).await? == Next::Go {
            break decided;
        }
    };
    let settings = settings.rollout;
    let mut rollout = ecs::Plan {
        purpose: Purpose::Rollback,
        cluster: settings.cluster.clone(),
        region: session.region().to_owned(),
        after: after(&settings),
        definitions: decided.definitions,
        migration: None,
        services: decided.services,
        digests: BTreeMap::new(),
        settings,
        ecs,
        session,
    };
    rollout.digests = preflight::check(&rollout, run).await?;
    Ok(Plan { revisions: decided.revisions, rollout: Some(rollout) })
}

async fn list(ecs: &Ecs, settings: &Settings, run: &Run) -> Result<Plan, Failure> {
    let mut revisions = Vec::new();
    for observed in observe_all(ecs, &settings.rollout).await? {
        let service = &observed.found.service;
        let history = match observed.known {
            Ok(_) => History::read(ecs, &service.arn).await?,
            // The list still shows what there is.
            Err(_) => {
                let message = format!(
                    "ECS does not list the deployments of {}: when its revisions ran is not known",
                    service.name
                );
                run.log.warn("Listed with less", message);
                History::default()
            }
        };
        revisions.extend(history::list(ecs, service, &history, settings.count).await?);
    }
    Ok(Plan { revisions, rollout: None })
}

struct Decided {
    definitions: Vec<DefinitionPlan>,
    services: Vec<ServicePlan>,
    revisions: Vec<Listed>,
}

async fn decide(ecs: &Ecs, settings: &Settings, run: &Run) -> Result<Decided, Failure> {
    let mut findings = Findings::default();
    let mut decided = Decided { definitions: Vec::new(), services: Vec::new(), revisions: Vec::new() };
    for observed in observe_all(ecs, &settings.rollout).await? {
        if let Some(target) = target(ecs, &settings.to, &observed, run, &mut findings).await? {
            decided.add(ecs, target, observed, &settings.rollout).await?;
        }
    }
    findings.into_result()?;
    Ok(decided)
}

impl Decided {
    async fn add(
        &mut self,
        ecs: &Ecs,
        (target, history): (Revision, History),
        observed: Observed,
        settings: &ecs::Settings,
    ) -> Result<(), Failure> {
        let service = &observed.found.service;
        self.revisions.push(history::listed(service, &history, &target));
        let current = ecs.revision(&service.task_definition).await?;
        if let Some(current) = current.as_ref().filter(|current| current.arn != target.arn) {
            self.revisions.push(history::listed(service, &history, current));
        }
        let changes = current.map(|current| current.definition.changes_to(&target.definition)).unwrap_or_default();
        let step = DefinitionStep::Reuse(target.arn.clone());
        self.services.push(service_plan(observed, self.definitions.len(), &step, settings));
        self.definitions.push(DefinitionPlan {
            family: target.arn.family().to_owned(),
            origin: short(target.arn.as_str()),
            step,
            changes,
            definition: target.definition,
        });
        Ok(())
    }
}

/// The revision that a service goes back to, and what is known of its past; nothing when there is none, which is then
/// among the findings.
async fn target(
    ecs: &Ecs,
    to: &To,
    observed: &Observed,
    run: &Run,
    findings: &mut Findings,
) -> Result<Option<(Revision, History)>, Failure> {
    let service = &observed.found.service;
    let current: TaskDefinitionArn = match service.task_definition.parse() {
        Ok(current) => current,
        Err(_) => {
            findings.add(Finding::new("service", format!("{} has no task definition to go back from", service.name)));
            return Ok(None);
        }
    };
    let named = match to.name_in(current.family()) {
        Ok(named) => named,
        Err(other) => {
            findings.add(foreign(&service.name, current.family(), &other));
            return Ok(None);
        }
    };
    let (name, history) = match named {
        Some(name) => (name, History::default()),
        None => match previous(ecs, observed, &current, run).await? {
            Ok(found) => found,
            Err(finding) => {
                findings.add(finding);
                return Ok(None);
            }
        },
    };
    match ecs.revision(&name).await? {
        Some(revision) if revision.status == "ACTIVE" => Ok(Some((revision, history))),
        Some(revision) => {
            findings.add(inactive(ecs, to, &revision, service).await?);
            Ok(None)
        }
        None => {
            findings.add(
                Finding::new("to", format!("names the task definition {name}, which does not exist"))
                    .reason("task-definition-not-found", "Task definition not found")
                    .hint("`list: true` shows which there are."),
            );
            Ok(None)
        }
    }
}

/// The last other revision whose deployment succeeded.
async fn previous(
    ecs: &Ecs,
    observed: &Observed,
    current: &TaskDefinitionArn,
    run: &Run,
) -> Result<Result<(String, History), Finding>, Failure> {
    let service = &observed.found.service;
    let name = &service.name;
    // "Could not ask" is no answer: a guess could be a revision that never worked.
    if let Err(kind) = observed.known {
        return by_service(service, current, kind).map(Ok);
    }
    let history = History::read(ecs, &service.arn).await?;
    let Some(previous) = history.previous(current.as_str()).map(str::to_owned) else {
        let message = format!(
            "is previous, but ECS remembers no successful deployment of {name} with another revision than {}",
            short(current.as_str())
        );
        return Ok(Err(Finding::new("to", message)
            .reason("no-previous-revision", "No previous revision")
            .hint("ECS remembers 90 days. `list: true` shows the revisions; name one with `to`.")));
    };
    let is_newer = previous.parse::<TaskDefinitionArn>().is_ok_and(|arn| arn.revision() > current.revision());
    if is_newer {
        run.log.warn(
            "Forward again",
            format!(
                "service {name} went back from {} to {} already; `previous` is the newer one. Name an older one with \
                 `to` if that is what you mean",
                short(&previous),
                short(current.as_str())
            ),
        );
    }
    Ok(Ok((previous, history)))
}

/// Without a history, only a deployment under way shows what was there before: the service lists both.
fn by_service(
    service: &Service,
    current: &TaskDefinitionArn,
    trouble: TroubleKind,
) -> Result<(String, History), Failure> {
    let others = service.deployments.iter().filter(|deployment| deployment.task_definition != current.as_str());
    let mut complete = others.filter(|deployment| deployment.rollout_state.as_deref() == Some("COMPLETED"));
    if let Some(before) = complete.next() {
        return Ok((before.task_definition.clone(), History::default()));
    }
    let (kind, why) = match trouble {
        TroubleKind::Denied | TroubleKind::Unauthenticated => (Kind::Auth, "was refused"),
        TroubleKind::Unavailable => (Kind::Upstream, "got no usable answer"),
        TroubleKind::UnknownQuestion => (Kind::Input, "is not known there"),
    };
    let message = format!(
        "which revision of {} worked before {} cannot be told: ecs:ListServiceDeployments {why}",
        service.name,
        short(current.as_str())
    );
    Err(Failure::new(kind, "previous-unknown", "Previous revision unknown", message)
        .hint("Name one with `to`; `list: true` shows which there are.")
        .hint("Or allow `ecs:ListServiceDeployments` and `ecs:DescribeServiceRevisions`."))
}

fn foreign(service: &str, family: &str, other: &str) -> Finding {
    Finding::new("to", format!("names a revision of {other}, but service {service} runs {family}"))
        .reason("foreign-revision", "Foreign revision")
        .hint("Going back stays within the family. To run another one, use `deploy` with `task_definition_arn`.")
}

/// What cannot be deployed, with what can.
async fn inactive(ecs: &Ecs, to: &To, revision: &Revision, service: &Service) -> Result<Finding, Failure> {
    let shown = short(revision.arn.as_str());
    let subject = if *to == To::Previous { "is previous, which is" } else { "names" };
    let message = format!("{subject} {shown}, which is {} and cannot be deployed", revision.status);
    let active = ecs.revisions(revision.arn.family()).await?;
    let others: Vec<String> = active
        .iter()
        .filter(|arn| arn.as_str() != service.task_definition)
        .take(5)
        .map(|arn| short(arn.as_str()))
        .collect();
    let hint = match others.as_slice() {
        [] => "No other revision is ACTIVE: deploy the old image anew.".to_owned(),
        some => format!("ACTIVE are {}; `list: true` shows their images and when they were deployed.", some.join(", ")),
    };
    Ok(Finding::new("to", message).reason("task-definition-inactive", "Task definition inactive").hint(hint))
}
