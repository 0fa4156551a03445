//! Purpose: what follows a rollout that arrived: health, digests, parameters, tidying up.

use super::apply::Work;
use super::digest::{self, Proof};
use super::parameters::{self, Facts};
use super::plan::{Purpose, ServicePlan, ServiceStep, short};
use super::report::Ending;
use super::settings::Keep;
use super::told::Status;
use super::trouble::Trouble;
use super::watch::Watch;
use super::{health, prune};
use crate::commands::framework;
use crate::domain::ecs::Task;
use crate::runner::Failure;
use crate::services::aws::AwsError;
use crate::services::aws::ecs::DesiredStatus;

impl<'a> Work<'a> {
    /// Health page and digests; what is wrong, if anything is.
    pub(crate) async fn verify(&mut self, watches: &[Watch<'a>]) -> Option<Trouble> {
        let settings = &self.plan.settings;
        self.warn_of_emptiness(watches);
        if let Some(health) = &settings.health {
            let _phase = self.phases.begin("health");
            let _group = self.run.log.group("Health");
            tokio::select! {
                answer = health::check(self.run, health, settings.interval) => {
                    if let Err(message) = answer {
                        return Some(Trouble::unhealthy(message));
                    }
                }
                () = self.run.cancel.cancelled() => return Some(Trouble::cancelled()),
            }
        }
        if settings.verify_digest {
            let _phase = self.phases.begin("digest");
            let _group = self.run.log.group("Digest");
            return self.prove().await;
        }
        None
    }

    /// A rollout of no tasks is complete at once and proves nothing.
    fn warn_of_emptiness(&self, watches: &[Watch<'a>]) {
        for (service, watch) in self.plan.services.iter().zip(watches) {
            let desired = watch.service().map_or(service.found.desired, |last| last.desired);
            if desired == 0 && service.step != ServiceStep::Nothing {
                self.run.log.warn(
                    "No task runs",
                    format!(
                        "service {} wants 0 tasks: the deployment is complete, but nothing of it ever ran",
                        service.name
                    ),
                );
            }
        }
    }

    async fn prove(&mut self) -> Option<Trouble> {
        let mut all = Vec::new();
        for service in &self.plan.services {
            let wanted = self.wanted(service);
            let tasks = match self.running(service, &wanted).await {
                Ok(tasks) => tasks,
                Err(error) => {
                    self.run.log.warn(
                        "Digest not proven",
                        format!("the running tasks of {} cannot be read: {error}", service.name),
                    );
                    continue;
                }
            };
            let definition = &self.plan.definitions[service.definition].definition;
            match digest::judge(definition, &tasks, &self.plan.digests) {
                Proof::Proven => {
                    self.run.log.info(format!("all {} tasks of {} run what was meant", tasks.len(), service.name));
                }
                Proof::Open(why) => self.run.log.info(format!("the digest of {} is not proven: {why}", service.name)),
                Proof::Disproven(why) => return Some(Trouble::other_digest(&service.name, &why)),
            }
            all.extend(tasks);
        }
        let digests = digest::digests(&all);
        self.outputs.running_digest = Some(digests.join("\n")).filter(|digests| !digests.is_empty());
        None
    }

    async fn running(&self, service: &ServicePlan, wanted: &str) -> Result<Vec<Task>, AwsError> {
        let arns = self.plan.ecs.tasks(&service.found.arn, DesiredStatus::Running).await?;
        let mut tasks = self.plan.ecs.describe_tasks(&arns).await?;
        tasks.retain(|task| task.task_definition == wanted && task.last_status == "RUNNING");
        Ok(tasks)
    }

    /// What follows success. The deployment stands, so a failure here is told and takes nothing back.
    pub(crate) async fn finish(&mut self, watches: &[Watch<'a>]) -> Result<framework::Verdict, Failure> {
        self.remember(watches);
        let unchanged = self.plan.services.iter().all(|service| service.step == ServiceStep::Nothing);
        self.outputs.status = Some(if unchanged { Status::Unchanged } else { Status::Deployed });
        self.report.ending = Some(if unchanged { Ending::Unchanged } else { Ending::Deployed });
        let plan = self.plan;
        if !plan.settings.parameters.is_empty() {
            let _phase = self.phases.begin("parameters");
            let _group = self.run.log.group("Parameters");
            parameters::write(&plan.session, &plan.settings.parameters, &self.facts()).await?;
        }
        if let Some(keep) = plan.settings.keep.as_ref().filter(|keep| prune::acts_here(keep, self.run)) {
            let _phase = self.phases.begin("deregister");
            let _group = self.run.log.group("Deregister");
            self.deregister(keep).await;
        }
        Ok(framework::Verdict::Success(match (unchanged, plan.purpose) {
            (true, _) => "unchanged",
            (false, Purpose::Deployment) => "deployed",
            (false, Purpose::Rollback) => "rolled-back",
        }))
    }

    fn facts(&self) -> Facts {
        let settings = &self.plan.settings;
        let digest = self.outputs.running_digest.as_ref().filter(|digests| digests.lines().count() == 1).cloned();
        let first = self.plan.services.first().map(|service| self.wanted(service)).unwrap_or_default();
        Facts {
            image: settings.image.clone(),
            digest,
            revision: short(&first).rsplit(':').next().unwrap_or_default().to_owned(),
        }
    }

    /// Tidies up; that it cannot is no failure of the deployment.
    async fn deregister(&mut self, keep: &Keep) {
        let mut families: Vec<&str> = self
            .plan
            .services
            .iter()
            .map(|service| self.plan.definitions[service.definition].family.as_str())
            .collect();
        families.sort_unstable();
        families.dedup();
        let protected: Vec<String> =
            self.plan.services.iter().flat_map(|service| [service.current.clone(), self.wanted(service)]).collect();
        let mut total = 0;
        for family in families {
            match prune::prune(&self.plan.ecs, family, keep, &protected, self.run).await {
                Ok(number) => total += number,
                Err(error) => self.run.log.warn(
                    "Revisions kept",
                    format!("old revisions of {family} are kept, because it cannot be told which are in use: {error}"),
                ),
            }
        }
        self.outputs.revisions_deregistered = Some(total);
    }
}
