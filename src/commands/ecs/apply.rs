//! Purpose: the phases of a deployment, in order, and what follows when one of them fails.

use futures_util::StreamExt as _;
use futures_util::stream::FuturesUnordered;

use super::migrate::Migration;
use super::phases::Phases;
use super::plan::{DefinitionStep, Plan, ServicePlan, ServiceStep, short};
use super::report::{Ending, Report};
use super::told::{Outputs, Status};
use super::trouble::Trouble;
use super::watch::Watch;
use crate::commands::framework;
use crate::commands::run::Run;
use crate::domain::names::TaskDefinitionArn;
use crate::domain::rollout::{Limits, Rollout, Target, Verdict};
use crate::runner::Failure;
use crate::services::aws::AwsError;
use crate::services::aws::ecs::{Observer, Together};

/// Longest time without any usable answer of ECS before the watch gives up.
const SILENCE: std::time::Duration = std::time::Duration::from_secs(60);

/// A deployment at work.
pub(crate) struct Work<'a> {
    pub(crate) run: &'a Run,
    pub(crate) plan: &'a Plan,
    pub(crate) outputs: &'a mut Outputs,
    pub(crate) phases: Phases,
    /// ARN of each definition, once it exists.
    arns: Vec<Option<TaskDefinitionArn>>,
    pub(crate) report: Report,
    /// Looks at all services at once.
    together: Together,
}

/// How the rollouts ended.
enum Ended {
    Arrived,
    Failed { service: usize, verdict: Verdict },
    Cancelled,
}

impl<'a> Work<'a> {
    pub(crate) fn new(run: &'a Run, plan: &'a Plan, outputs: &'a mut Outputs) -> Self {
        let arns = plan.definitions.iter().map(|definition| match &definition.step {
            DefinitionStep::Register => None,
            DefinitionStep::Reuse(arn) => Some(arn.clone()),
        });
        let services = plan.services.iter().map(|service| service.found.arn.clone());
        let together = Together::new(&plan.ecs, services.collect());
        let (phases, report) = (Phases::default(), Report::default());
        Self { run, plan, outputs, phases, arns: arns.collect(), report, together }
    }

    /// All phases; outputs and summary are complete afterwards, whatever came out.
    pub(crate) async fn execute(mut self) -> Result<framework::Verdict, Failure> {
        self.outputs.previous_task_definition_arn = Some(self.plan.lines(|service| service.current.clone()));
        let mut result = self.phases().await;
        if let Err(failure) = &result {
            self.outputs.status.get_or_insert(Status::Failed);
            self.outputs.failure_reason.get_or_insert_with(|| failure.message.clone());
        }
        self.outputs.phases = Some(self.phases.to_json());
        self.report.write(&self, &mut result);
        result
    }

    async fn phases(&mut self) -> Result<framework::Verdict, Failure> {
        self.register().await?;
        self.migrate().await?;
        if self.run.cancel.is_cancelled() {
            return Err(Failure::cancelled().hint("No service was touched."));
        }
        let mut watches = self.update().await?;
        if !self.plan.settings.wait {
            return Ok(self.started());
        }
        let ended = self.watch(&mut watches).await;
        let trouble = match ended {
            Ended::Arrived => self.verify(&watches).await,
            Ended::Failed { service, verdict } => {
                Some(Trouble::of_verdict(self.plan, service, verdict, &watches[service]))
            }
            Ended::Cancelled => Some(Trouble::cancelled()),
        };
        match trouble {
            Some(trouble) => Err(self.fail(trouble, watches).await),
            None => self.finish(&watches).await,
        }
    }

    async fn register(&mut self) -> Result<(), Failure> {
        let plan = self.plan;
        let registers = plan.definitions.iter().any(|definition| definition.step == DefinitionStep::Register);
        let _phase = registers.then(|| self.phases.begin("register"));
        let _group = self.run.log.group(if registers { "Register" } else { "Task definition" });
        for (index, definition) in plan.definitions.iter().enumerate() {
            self.run.log.info(definition.to_string());
            if definition.step == DefinitionStep::Register {
                let revision = plan.ecs.register(&definition.definition).await.map_err(refused_definition)?;
                self.run.log.info(format!("registered {}", short(revision.arn.as_str())));
                self.arns[index] = Some(revision.arn);
            }
        }
        let arns: Vec<String> = plan
            .services
            .iter()
            .filter_map(|service| Some(self.arns[service.definition].as_ref()?.to_string()))
            .collect();
        let mut unique = arns.clone();
        unique.dedup();
        self.outputs.task_definition_arn = Some(if unique.len() == 1 { unique.remove(0) } else { arns.join("\n") });
        Ok(())
    }

    async fn migrate(&mut self) -> Result<(), Failure> {
        let plan = self.plan;
        let Some(migration) = &plan.migration else {
            return Ok(());
        };
        let Some(arn) = self.arns[migration.definition].clone() else {
            return Ok(());
        };
        let _phase = self.phases.begin("migrate");
        let _group = self.run.log.group("Migrate");
        let migration = Migration { run: self.run, plan, migration, arn: &arn };
        migration.execute(&mut self.outputs.migration_exit_code, &mut self.report.migration).await
    }

    /// ARN of what a service gets.
    pub(crate) fn wanted(&self, service: &ServicePlan) -> String {
        self.arns[service.definition].as_ref().map(ToString::to_string).unwrap_or_default()
    }

    pub(super) fn watch_of(&self, service: &ServicePlan, target: Target) -> Watch<'a> {
        let since = target.started_after;
        let by_service = match (&service.step, &service.known) {
            // No deployment of its own: only the service shows the numbers.
            (ServiceStep::Scale | ServiceStep::Nothing, _) => Some(crate::domain::rollout::TroubleKind::Denied),
            (_, Err(kind)) => Some(*kind),
            (_, Ok(_)) => None,
        };
        let rollout = Rollout::new(target, self.limits());
        let rollout = match by_service {
            Some(kind) => rollout.by_service(kind),
            None => rollout,
        };
        let (plan, prefix) = (self.plan, self.prefix(service));
        // Listed from a little earlier on: the time of the deployment's own creation is exclusive.
        let since = since.and_then(|since| since.checked_sub(jiff::SignedDuration::from_secs(1)).ok());
        let observer = Observer::new(&plan.ecs, &service.found.arn, since).among(&self.together);
        Watch::new(self.run, observer, &prefix, plan.settings.interval, rollout)
    }

    pub(crate) fn limits(&self) -> Limits {
        let settings = &self.plan.settings;
        Limits { timeout: settings.timeout, crash_limit: settings.crash_limit, silence: SILENCE }
    }

    pub(crate) fn prefix(&self, service: &ServicePlan) -> String {
        if self.plan.services.len() > 1 { format!("[{}] ", service.name) } else { String::new() }
    }

    fn started(&mut self) -> framework::Verdict {
        self.outputs.status = Some(Status::Started);
        self.report.ending = Some(Ending::Started);
        framework::Verdict::Success("started")
    }

    /// Watches all services at once until all have arrived or one has failed.
    async fn watch(&mut self, watches: &mut [Watch<'a>]) -> Ended {
        let _phase = self.phases.begin("watch");
        let _group = self.run.log.group("Watch");
        self.without_deployments();
        let steps: Vec<&ServiceStep> = self.plan.services.iter().map(|service| &service.step).collect();
        let mut running: FuturesUnordered<_> = watches
            .iter_mut()
            .enumerate()
            .filter(|(index, _)| *steps[*index] != ServiceStep::Nothing)
            .map(async |(index, watch)| (index, watch.until_ended().await))
            .collect();
        loop {
            tokio::select! {
                ended = running.next() => match ended {
                    None => return Ended::Arrived,
                    Some((_, Verdict::Completed)) => {}
                    Some((service, verdict)) => return Ended::Failed { service, verdict },
                },
                () = self.run.cancel.cancelled() => return Ended::Cancelled,
            }
        }
    }

    /// Says once that service deployments cannot be read.
    fn without_deployments(&self) {
        let unreadable =
            self.plan.services.iter().find(|service| service.known.is_err() && service.step != ServiceStep::Nothing);
        if unreadable.is_some() {
            self.run.log.warn(
                "Watching with less",
                "service deployments cannot be listed here; the service's own rollout state decides (allow \
                 `ecs:ListServiceDeployments`, `ecs:DescribeServiceDeployments` and `ecs:DescribeServiceRevisions`)",
            );
        }
    }

    /// Keeps what the watches found beyond their end.
    pub(crate) fn remember(&mut self, watches: &[Watch<'a>]) {
        let ids: Vec<&str> =
            watches.iter().filter_map(|watch| watch.rollout.arn().or(watch.rollout.deployment_id())).collect();
        if !ids.is_empty() {
            self.outputs.deployment_id = Some(ids.join("\n"));
        }
        let named = self.plan.services.iter().zip(watches);
        self.report.states = named.map(|(service, watch)| (service.name.clone(), watch.states.clone())).collect();
    }
}

/// A definition that ECS refuses is bad input: nothing was touched.
fn refused_definition(error: AwsError) -> Failure {
    use crate::services::{Classified as _, ErrorClass};
    let is_refusal = error.class() == ErrorClass::Invalid;
    let mut failure = Failure::from(error);
    if is_refusal {
        failure.kind = crate::runner::Kind::Input;
        failure.reason = "task-definition-refused";
        failure.title = "Task definition refused".to_owned();
        failure = failure.hint("Nothing was touched. ECS's words above say which setting it refuses.");
    }
    failure
}

impl Plan {
    /// One line per service; one alone when all are equal.
    pub(crate) fn lines(&self, of: impl Fn(&ServicePlan) -> String) -> String {
        let lines: Vec<String> = self.services.iter().map(of).collect();
        lines.join("\n")
    }
}
