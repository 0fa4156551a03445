//! Purpose: what follows a failure: the explanation, the way back, and how things stand afterwards.

use std::time::Duration;

use futures_util::future::join_all;

use super::apply::Work;
use super::evidence::Evidence;
use super::plan::{Purpose, ServiceStep, short};
use super::report::Ending;
use super::told::{OnFailure, Status};
use super::trouble::Trouble;
use super::watch::Watch;
use super::way_back::{Back, Patience, Standing, Way};
use crate::runner::Failure;

/// Time that a cancelled run takes for starting the way back; the runner kills soon after.
const LAST_WORDS: Duration = Duration::from_secs(3);

/// Longest time for reading about failed tasks before the way back begins.
const EVIDENCE: Duration = Duration::from_secs(15);

impl<'a> Work<'a> {
    /// Explains, goes back if that is wanted, and says how it stands now.
    pub(crate) async fn fail(&mut self, mut trouble: Trouble, mut watches: Vec<Watch<'a>>) -> Failure {
        self.remember(&watches);
        self.report.evidence = self.evidence(&trouble, &mut watches).await;
        trouble.with_words_of(&self.report.evidence);
        let tasks = &self.report.evidence.tasks;
        self.outputs.failed_tasks = serde_json::to_value(tasks).ok().filter(|_| !tasks.is_empty());
        self.outputs.failure_reason = Some(trouble.message.clone());
        let ways = self.go_back(&trouble, &watches).await;
        let status = status(&trouble, &ways);
        if status == Status::RollbackFailed {
            trouble.comes_first("The service is not back where it was: look at it now. Its events are in the summary.");
        }
        self.outputs.status = Some(status);
        self.report.ways = ways.iter().map(|(service, way)| self.told(*service, way)).collect();
        self.report.now = ways.iter().map(|(service, way)| (*service, self.now(*service, way))).collect();
        self.report.ending = Some(Ending::Failed);
        self.report.events = watches.iter().flat_map(Watch::recent_events).collect();
        trouble.into_failure(&self.report)
    }

    /// What explains it, as far as that can be had soon: the way back must not wait for it long.
    async fn evidence(&self, trouble: &Trouble, watches: &mut [Watch<'a>]) -> Evidence {
        let found = tokio::time::timeout(EVIDENCE, self.gather(trouble, watches)).await;
        found.unwrap_or_else(|_| {
            self.run.log.warn("Not all shown", "ECS and CloudWatch did not tell about the failed tasks in time");
            Evidence::default()
        })
    }

    async fn go_back(&mut self, trouble: &Trouble, watches: &[Watch<'a>]) -> Vec<(usize, Way)> {
        let plan = self.plan;
        let touched: Vec<usize> =
            (0..watches.len()).filter(|index| plan.services[*index].step != ServiceStep::Nothing).collect();
        match plan.settings.on_failure {
            OnFailure::None => touched
                .into_iter()
                .map(|index| (index, Way::None("on_failure is none; it is left as it is".to_owned())))
                .collect(),
            OnFailure::Stop => self.stop(&touched, watches).await,
            OnFailure::Rollback => {
                let _phase = self.phases.begin("rollback");
                let _group = self.run.log.group("Rollback");
                let patience = if trouble.is_cancellation() { Patience::Start } else { Patience::Await };
                let ways = join_all(
                    touched.iter().map(async |index| (*index, self.one_back(*index, &watches[*index], patience).await)),
                );
                match patience {
                    Patience::Await => ways.await,
                    Patience::Start => tokio::time::timeout(LAST_WORDS, ways).await.unwrap_or_else(|_| {
                        let late = || Way::Failed("the way back could not be started in time".to_owned());
                        touched.iter().map(|index| (*index, late())).collect()
                    }),
                }
            }
        }
    }

    async fn one_back(&self, index: usize, watch: &Watch<'a>, patience: Patience) -> Way {
        let service = &self.plan.services[index];
        let from = self.wanted(service);
        let changed = self.plan.settings.desired.is_some_and(|desired| desired != service.found.desired);
        let back = Back {
            run: self.run,
            ecs: &self.plan.ecs,
            service,
            from: &from,
            desired: changed.then_some(service.found.desired),
            limits: self.limits(),
            interval: self.plan.settings.interval,
            prefix: self.prefix(service),
            patience,
        };
        back.go(&Standing { verdict: watch.rollout.verdict().cloned(), arn: watch.rollout.arn().map(str::to_owned) })
            .await
    }

    /// Stops deployments that are under way and leaves everything else.
    async fn stop(&self, touched: &[usize], watches: &[Watch<'a>]) -> Vec<(usize, Way)> {
        let mut ways = Vec::new();
        for index in touched {
            let said = match watches[*index].rollout.arn() {
                Some(arn) => match self.plan.ecs.abort_deployment(arn).await {
                    Ok(()) => "the deployment was stopped and left as it is".to_owned(),
                    Err(error) => format!("the deployment could not be stopped: {error}"),
                },
                None => "the deployment cannot be stopped: ECS does not tell its service deployment".to_owned(),
            };
            ways.push((*index, Way::None(said)));
        }
        ways
    }

    /// What a service has now, for the summary's table.
    fn now(&self, index: usize, way: &Way) -> String {
        let service = &self.plan.services[index];
        let (wanted, previous) = (short(&self.wanted(service)), short(&service.current));
        match way {
            Way::Restored if self.plan.purpose == Purpose::Rollback => format!("{previous} (as before)"),
            Way::Restored => format!("{previous} (rolled back)"),
            Way::Started => format!("on its way back to {previous}"),
            Way::Failed(_) | Way::None(_) => format!("{wanted}, not stable"),
        }
    }

    fn told(&self, index: usize, way: &Way) -> String {
        let service = &self.plan.services[index];
        let (name, previous) = (&service.name, short(&service.current));
        match way {
            Way::Restored => format!("service {name} runs {previous} again and is stable"),
            Way::Failed(why) => {
                format!("service {name} could not be taken back to {previous}: {why}")
            }
            Way::None(why) => format!("service {name}: {why}"),
            Way::Started => {
                format!("service {name} is on its way back to {previous}; nobody waits for its end")
            }
        }
    }
}

fn status(trouble: &Trouble, ways: &[(usize, Way)]) -> Status {
    if trouble.is_superseded() {
        return Status::Superseded;
    }
    if ways.iter().any(|(_, way)| matches!(way, Way::Failed(_))) {
        return Status::RollbackFailed;
    }
    let restored = !ways.is_empty() && ways.iter().all(|(_, way)| *way == Way::Restored);
    if restored { Status::RolledBack } else { Status::Failed }
}
