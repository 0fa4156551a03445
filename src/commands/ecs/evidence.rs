//! Purpose: what shows why a rollout failed: its failed tasks, their logs, the load balancer's view, the alarms.

use serde::Serialize;

use super::apply::Work;
use super::logs::Stream;
use super::plan::ServiceStep;
use super::trouble::Trouble;
use super::watch::Watch;
use crate::domain::diagnosis::Diagnosis;
use crate::domain::ecs::{Task, TaskContainer};
use crate::domain::task_definition::TaskDefinition;
use crate::services::aws::ecs::DesiredStatus;
use crate::services::aws::{AwsError, TargetHealth};

/// Most failed tasks that are told of.
const TASKS_TOLD: usize = 10;
/// Most containers whose log is fetched.
const LOGS_SHOWN: usize = 4;
/// Lines of each.
const LOG_LINES: u32 = 50;
/// Longest last words of a log that fit into one sentence.
const LAST_WORDS: usize = 200;

/// All of it.
#[derive(Debug, Default)]
pub(crate) struct Evidence {
    /// Failed tasks, the newest of each cause first.
    pub(crate) tasks: Vec<FailedTask>,
    /// Tasks that run, of a rollout that does not get on although they do.
    pub(crate) running: Vec<RunningTask>,
    /// Targets that are not healthy, with their group.
    pub(crate) targets: Vec<(String, TargetHealth)>,
    /// Alarms that fired, and why.
    pub(crate) alarms: Vec<(String, String)>,
}

/// A task that failed, with what ECS and its log say of it.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct FailedTask {
    pub(crate) service: String,
    pub(crate) task: String,
    pub(crate) stop_code: Option<String>,
    pub(crate) reason: Option<String>,
    #[serde(flatten)]
    pub(crate) diagnosis: Diagnosis,
    pub(crate) containers: Vec<FailedContainer>,
    /// Whether another task that is told of stopped for the same cause.
    #[serde(skip)]
    pub(crate) repeats: bool,
}

/// A container of such a task.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct FailedContainer {
    pub(crate) name: String,
    pub(crate) exit_code: Option<i32>,
    pub(crate) reason: Option<String>,
    pub(crate) health: Option<String>,
    /// Its last log lines; not among the outputs, which are no place for foreign text of any length.
    #[serde(skip)]
    pub(crate) log: Result<Vec<String>, String>,
}

/// A task that runs, and what it says.
#[derive(Debug, Clone)]
pub(crate) struct RunningTask {
    pub(crate) service: String,
    pub(crate) task: String,
    pub(crate) logs: Vec<(String, Result<Vec<String>, String>)>,
}

impl Evidence {
    /// The last line that the first failed task's log ends with.
    pub(crate) fn last_words(&self) -> Option<String> {
        let of_container = |container: &FailedContainer| last_line(container.log.as_deref().unwrap_or_default());
        self.tasks.first()?.containers.iter().find_map(of_container)
    }

    /// The first target that is not healthy, in a sentence.
    pub(crate) fn target_words(&self) -> Option<String> {
        let (_, target) = self.targets.iter().find(|(_, target)| target.state == "unhealthy")?;
        Some(format!("the load balancer says of {}: {}", target.id, said_of(target)))
    }
}

/// The last line that says something, cut to a length that fits into a sentence.
pub(crate) fn last_line(lines: &[String]) -> Option<String> {
    let line = lines.iter().rev().map(|line| line.trim()).find(|line| !line.is_empty())?;
    let clean: String = line.chars().filter(|c| !c.is_control()).take(LAST_WORDS).collect();
    Some(clean)
}

/// `arn:…:targetgroup/<name>/<id>`: the name is what people know.
pub(crate) fn target_group(arn: &str) -> &str {
    arn.rsplit('/').nth(1).unwrap_or(arn)
}

/// State and reason of a target.
pub(crate) fn said_of(target: &TargetHealth) -> String {
    let parts = [target.state.as_str(), target.reason.as_str(), target.description.as_str()];
    parts.into_iter().filter(|part| !part.is_empty()).collect::<Vec<_>>().join(", ")
}

impl<'a> Work<'a> {
    /// Looks for everything that explains a trouble, and prints it.
    pub(super) async fn gather(&self, trouble: &Trouble, watches: &mut [Watch<'a>]) -> Evidence {
        let mut evidence = Evidence::default();
        if !trouble.wants_evidence() {
            return evidence;
        }
        let _group = self.run.log.group("Why");
        let mut logs = LOGS_SHOWN;
        evidence.tasks = self.failed_tasks(watches, &mut logs).await;
        evidence.tasks.iter().for_each(|task| self.print_failed(task));
        if trouble.is_about_running_tasks() && evidence.tasks.is_empty() {
            evidence.running = self.running_tasks(&mut logs).await;
            evidence.running.iter().for_each(|task| self.print_running(task));
        }
        evidence.targets = self.unhealthy_targets(watches).await;
        for (group, target) in &evidence.targets {
            self.run.log.foreign(format!(
                "target {}:{} of {}: {}",
                target.id,
                target.port,
                target_group(group),
                said_of(target)
            ));
        }
        evidence.alarms = self.alarms(watches).await;
        for (name, reason) in &evidence.alarms {
            self.run.log.foreign(format!("alarm {name}: {reason}"));
        }
        evidence
    }

    /// The failed tasks of all services, the newest of each cause first, with the log of its failed containers.
    async fn failed_tasks(&self, watches: &mut [Watch<'_>], logs: &mut usize) -> Vec<FailedTask> {
        let mut found = Vec::new();
        for (index, watch) in watches.iter_mut().enumerate() {
            watch.last_look().await;
            let told = watch.rollout.failed_tasks().iter().rev().take(TASKS_TOLD);
            found.extend(told.map(|(task, diagnosis)| (index, task.clone(), diagnosis.clone())));
        }
        let mut told: Vec<FailedTask> = Vec::new();
        for (index, task, diagnosis) in found {
            let service = &self.plan.services[index].name;
            let repeats = told.iter().any(|known| known.service == *service && known.diagnosis.key == diagnosis.key);
            // What the others of the same cause say is the same.
            let mut none = 0;
            let logs = if repeats { &mut none } else { &mut *logs };
            told.push(self.explained(index, &task, diagnosis, repeats, logs).await);
        }
        told.sort_by_key(|task| task.repeats);
        told
    }

    async fn explained(
        &self,
        service: usize,
        task: &Task,
        diagnosis: Diagnosis,
        repeats: bool,
        logs: &mut usize,
    ) -> FailedTask {
        let planned = &self.plan.services[service];
        let definition = &self.plan.definitions[planned.definition].definition;
        let mut containers = Vec::new();
        for container in &task.containers {
            let ran_badly = container.exit_code.is_some_and(|code| code != 0) || task.containers.len() == 1;
            let wanted = ran_badly && container.exit_code.is_some();
            let log =
                if wanted { self.log_of(definition, &container.name, task.id(), logs).await } else { Ok(Vec::new()) };
            containers.push(FailedContainer {
                name: container.name.clone(),
                exit_code: container.exit_code,
                reason: container.reason.clone(),
                health: container.health.clone().filter(|health| health != "UNKNOWN"),
                log,
            });
        }
        FailedTask {
            service: planned.name.clone(),
            task: task.id().to_owned(),
            stop_code: task.stop_code.clone(),
            reason: task.stopped_reason.clone(),
            diagnosis,
            containers,
            repeats,
        }
    }

    /// The newest running task of each service: when nothing failed, what runs is what does not answer.
    async fn running_tasks(&self, logs: &mut usize) -> Vec<RunningTask> {
        let mut told = Vec::new();
        for service in self.plan.services.iter().filter(|service| service.step != ServiceStep::Nothing) {
            let wanted = self.wanted(service);
            let tasks = match self.plan.ecs.tasks(&service.found.arn, DesiredStatus::Running).await {
                Ok(arns) => self.plan.ecs.describe_tasks(&arns).await.unwrap_or_default(),
                Err(_) => Vec::new(),
            };
            let ours = tasks.into_iter().filter(|task| task.task_definition == wanted);
            let Some(task) = ours.max_by_key(|task| task.created_at) else {
                continue;
            };
            let definition = &self.plan.definitions[service.definition].definition;
            let mut said = Vec::new();
            for TaskContainer { name, .. } in &task.containers {
                said.push((name.clone(), self.log_of(definition, name, task.id(), logs).await));
            }
            told.push(RunningTask { service: service.name.clone(), task: task.id().to_owned(), logs: said });
        }
        told
    }

    /// The last lines of a container's log; none when it is not in CloudWatch or enough were fetched.
    async fn log_of(
        &self,
        definition: &TaskDefinition,
        container: &str,
        task: &str,
        logs: &mut usize,
    ) -> Result<Vec<String>, String> {
        match Stream::of(definition, container, task) {
            Some(stream) if *logs > 0 => {
                *logs -= 1;
                match stream.tail(&self.plan.session, LOG_LINES).await {
                    // The stream comes into being with the first line: there was none.
                    Err(error) if error.code() == Some("ResourceNotFoundException") => Ok(Vec::new()),
                    read => read.map_err(|error| error.to_string()),
                }
            }
            _ => Ok(Vec::new()),
        }
    }

    async fn unhealthy_targets(&self, watches: &[Watch<'_>]) -> Vec<(String, TargetHealth)> {
        let mut unhealthy = Vec::new();
        for (service, _) in self.plan.services.iter().zip(watches) {
            for group in service.found.target_groups.iter().filter(|_| service.step != ServiceStep::Nothing) {
                match self.plan.session.target_health(group).await {
                    Ok(targets) => unhealthy.extend(
                        targets
                            .into_iter()
                            .filter(|target| !matches!(target.state.as_str(), "healthy" | "draining" | "unused"))
                            .map(|target| (group.clone(), target)),
                    ),
                    Err(error) => self.unread("the health of the load balancer's targets", &error),
                }
            }
        }
        unhealthy
    }

    async fn alarms(&self, watches: &[Watch<'_>]) -> Vec<(String, String)> {
        let mut names: Vec<String> = watches.iter().flat_map(|watch| watch.rollout.alarms().to_vec()).collect();
        names.sort();
        names.dedup();
        if names.is_empty() {
            return Vec::new();
        }
        match self.plan.session.alarm_reasons(&names).await {
            Ok(reasons) => reasons.into_iter().collect(),
            Err(error) => {
                self.unread("why the alarms fired", &error);
                Vec::new()
            }
        }
    }

    /// Evidence that is not to be had is worth a line, not a warning: the failure itself is told without it.
    fn unread(&self, what: &str, error: &AwsError) {
        self.run.log.info(format!("{what} is not shown: {error}"));
    }

    fn print_failed(&self, task: &FailedTask) {
        let log = &self.run.log;
        if task.repeats {
            log.foreign(format!("task {} of {}: the same", task.task, task.service));
            return;
        }
        let code = task.stop_code.as_deref().unwrap_or("no stop code");
        let reason = task.reason.as_deref().unwrap_or("no reason");
        log.foreign(format!("task {} of {}: {code}: {reason}\n  {}", task.task, task.service, task.diagnosis.cause));
        for container in &task.containers {
            self.print_log(&container.name, &container.log);
        }
    }

    fn print_running(&self, task: &RunningTask) {
        self.run.log.info(format!("task {} of {} runs", task.task, task.service));
        task.logs.iter().for_each(|(container, lines)| self.print_log(container, lines));
    }

    fn print_log(&self, container: &str, lines: &Result<Vec<String>, String>) {
        let log = &self.run.log;
        match lines {
            Ok(lines) if lines.is_empty() => {}
            Ok(lines) => {
                log.foreign(format!("  last log lines of container {container}:"));
                lines.iter().for_each(|line| log.foreign(format!("  | {line}")));
            }
            Err(why) => log.foreign(format!("  the log of container {container} cannot be read: {why}")),
        }
    }
}
