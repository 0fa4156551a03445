//! Purpose: the one-off task before the update: started once, followed live, judged by its own container.

use std::time::Duration;

use sha2::{Digest as _, Sha256};
use tokio::time::Instant;

use super::evidence::last_line;
use super::logs::Stream;
use super::plan::{MigrationPlan, Plan, short};
use crate::commands::run::Run;
use crate::contract::values::Span;
use crate::domain::diagnosis::diagnose;
use crate::domain::ecs::Task;
use crate::domain::hex::hex;
use crate::domain::names::TaskDefinitionArn;
use crate::domain::task_definition::TaskDefinition;
use crate::runner::{Failure, Kind};
use crate::services::aws::AwsError;
use crate::services::aws::ecs::{DesiredStatus, Ecs, OneOffTask};

/// Looks for further log lines after the end: CloudWatch shows them a little later than ECS the end.
const LAST_LOOKS: u32 = 3;

/// Last lines of the log that are kept for the summary of a failure.
const LINES_KEPT: usize = 50;

/// A migration at work.
pub(crate) struct Migration<'a> {
    pub(crate) run: &'a Run,
    pub(crate) plan: &'a Plan,
    pub(crate) migration: &'a MigrationPlan,
    pub(crate) arn: &'a TaskDefinitionArn,
}

/// How the container's end is judged.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Judgement {
    /// It ended without error.
    Done,
    /// It ended with an error, or never ran.
    Failed {
        /// Its exit code, if it ran.
        exit_code: Option<i32>,
        /// Why.
        cause: String,
        /// What to do.
        hint: &'static str,
    },
}

/// Judges by one container only: what others of the task do at its end says nothing about the migration.
pub(crate) fn judge(task: &Task, container: &str) -> Judgement {
    let own = task.container(container).cloned();
    let exit_code = own.as_ref().and_then(|container| container.exit_code);
    if exit_code == Some(0) {
        return Judgement::Done;
    }
    let alone = Task { containers: own.into_iter().collect(), ..task.clone() };
    let diagnosis = diagnose(&alone);
    let cause = if diagnosis.cause.is_empty() { "it never started".to_owned() } else { diagnosis.cause };
    Judgement::Failed { exit_code, cause, hint: diagnosis.hint }
}

impl Migration<'_> {
    /// Runs the migration, or follows or accepts the one that an earlier run of the same command started.
    /// `said` gets the last lines of its log when it fails.
    pub(crate) async fn execute(&self, exit_code: &mut Option<i32>, said: &mut Vec<String>) -> Result<(), Failure> {
        let key = self.key();
        let (task, is_new) = self.start(&key).await?;
        let container = &self.migration.container;
        let log = &self.run.log;
        match (is_new, task.is_stopped()) {
            (true, _) => log.info(format!("task {} started", task.id())),
            (false, false) => {
                log.info(format!("task {} of an earlier run is still at it; following that one", task.id()));
            }
            (false, true) => log.info(format!("task {} of an earlier run has done it already", task.id())),
        }
        let task = if task.is_stopped() { task } else { self.follow(task, said).await? };
        match judge(&task, container) {
            Judgement::Done => {
                *exit_code = Some(0);
                said.clear();
                Ok(())
            }
            Judgement::Failed { exit_code: code, cause, hint } => {
                *exit_code = code;
                let words = last_line(said).map(|words| format!("; its log ends with: {words}")).unwrap_or_default();
                let what = short(self.arn.as_str());
                let message = format!("the migration in container {container} of {what} failed: {cause}{words}");
                let failure = Failure::new(Kind::Work, "migration-failed", "Migration failed", message);
                Err(failure.hint("The service was not touched.").hint(hint))
            }
        }
    }

    /// Equal for the same migration of the same services: that is what makes a repetition find the first one.
    fn key(&self) -> String {
        let mut hash = Sha256::new();
        let services = self.plan.services.iter().map(|service| service.found.arn.as_str());
        let words = self.migration.command.iter().map(String::as_str);
        for part in [self.plan.cluster.as_str(), self.arn.as_str(), &self.migration.container]
            .into_iter()
            .chain(services)
            .chain(words)
        {
            hash.update(part.as_bytes());
            hash.update([0]);
        }
        hex(&hash.finalize()[..16])
    }

    /// The task, and whether it was started just now. Earlier tasks of the same key: one that runs is followed, one
    /// that succeeded is accepted, failed ones only make the token a new one.
    async fn start(&self, key: &str) -> Result<(Task, bool), Failure> {
        let (ecs, started_by) = (&self.plan.ecs, format!("landfall-{key}"));
        let mut earlier = earlier(ecs, self.arn.family(), DesiredStatus::Running, &started_by).await?;
        earlier.extend(self.earlier_stopped(&started_by).await?);
        if let Some(usable) =
            earlier.iter().find(|task| !task.is_stopped() || judge(task, &self.migration.container) == Judgement::Done)
        {
            return Ok((usable.clone(), false));
        }
        let token = format!("{key}-{}", earlier.len());
        let launch = self.plan.services.first().map(|service| service.launch.clone()).unwrap_or_default();
        let task = OneOffTask {
            task_definition: self.arn.as_str(),
            container: &self.migration.container,
            command: &self.migration.command,
            launch: &launch,
            started_by: &started_by,
            token: &token,
        };
        Ok((ecs.run(&task).await?, true))
    }

    async fn earlier_stopped(&self, started_by: &str) -> Result<Vec<Task>, Failure> {
        let tasks = earlier(&self.plan.ecs, self.arn.family(), DesiredStatus::Stopped, started_by).await?;
        Ok(tasks.into_iter().filter(Task::is_stopped).collect())
    }

    /// Follows a task to its end; stops it when the time is up or the run is cancelled.
    async fn follow(&self, task: Task, said: &mut Vec<String>) -> Result<Task, Failure> {
        let timeout = self.plan.settings.migrate_timeout;
        let arn = task.arn.clone();
        let ended = tokio::select! {
            ended = self.until_stopped(task, said) => return ended,
            () = tokio::time::sleep(timeout) => Failure::new(
                Kind::Work, "migration-timeout", "Migration out of time",
                format!("the migration did not end within {}", Span(timeout)),
            ).hint("The service was not touched. Raise `migrate_timeout` if the migration may take longer."),
            () = self.run.cancel.cancelled() => Failure::cancelled().hint("The service was not touched."),
        };
        let why = "stopped by Landfall: out of time or cancelled";
        let stopped = tokio::time::timeout(Duration::from_secs(4), self.plan.ecs.stop_task(&arn, why)).await;
        Err(match stopped {
            Ok(Ok(())) => ended.hint(format!("The migration's task {} was stopped.", short(&arn))),
            _ => ended.hint(format!("The migration's task {} could not be stopped and may still run.", short(&arn))),
        })
    }

    async fn until_stopped(&self, task: Task, said: &mut Vec<String>) -> Result<Task, Failure> {
        let mut lines = Lines::new(
            self.run,
            self.plan,
            &self.plan.definitions[self.migration.definition].definition,
            &self.migration.container,
            task.id(),
        );
        let (mut task, interval) = (task, self.plan.settings.interval);
        loop {
            tokio::time::sleep(interval).await;
            let found = self.plan.ecs.describe_tasks(std::slice::from_ref(&task.arn)).await?;
            task = found.into_iter().next().unwrap_or(task);
            if task.is_stopped() {
                for _ in 0..LAST_LOOKS {
                    if !lines.more(said).await {
                        break;
                    }
                }
                return Ok(task);
            }
            // Two questions in turn keep the pace of one request an interval.
            if task.last_status == "RUNNING" && lines.is_open() {
                tokio::time::sleep(interval).await;
                lines.more(said).await;
            }
        }
    }
}

/// Tasks that an earlier run of the same command started.
async fn earlier(ecs: &Ecs, family: &str, status: DesiredStatus, started_by: &str) -> Result<Vec<Task>, AwsError> {
    let arns = ecs.tasks_of_family(family, status).await?;
    let mut tasks = ecs.describe_tasks(&arns).await?;
    tasks.retain(|task| task.started_by.as_deref() == Some(started_by));
    Ok(tasks)
}

/// The live log of the migration.
struct Lines<'a> {
    run: &'a Run,
    plan: &'a Plan,
    stream: Option<Stream>,
    token: Option<String>,
    start: Instant,
}

impl<'a> Lines<'a> {
    fn new(run: &'a Run, plan: &'a Plan, definition: &TaskDefinition, container: &str, task: &str) -> Self {
        let stream = Stream::of(definition, container, task);
        if stream.is_none() {
            run.log.info("the log of the migration is not in CloudWatch, or its stream has no prefix; it is not shown");
        }
        Self { run, plan, stream, token: None, start: Instant::now() }
    }

    fn is_open(&self) -> bool {
        self.stream.is_some()
    }

    /// Prints new lines; tells whether there were any.
    async fn more(&mut self, said: &mut Vec<String>) -> bool {
        let Some(stream) = &self.stream else {
            return false;
        };
        match stream.follow(&self.plan.session, self.token.as_deref()).await {
            Ok((lines, token)) => {
                self.token = token.or(self.token.take());
                lines.iter().for_each(|line| self.run.log.foreign(line));
                let any = !lines.is_empty();
                said.extend(lines);
                said.drain(..said.len().saturating_sub(LINES_KEPT));
                any
            }
            // The stream comes into being with the first line.
            Err(error) if error.code() == Some("ResourceNotFoundException") => false,
            Err(error) => {
                let after = Span(Duration::from_secs(self.start.elapsed().as_secs()));
                self.run
                    .log
                    .warn("Log not shown", format!("the log of the migration cannot be read (after {after}): {error}"));
                self.stream = None;
                false
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::ecs::TaskContainer;

    fn task(containers: &[(&str, Option<i32>)]) -> Task {
        let containers = containers.iter().map(|(name, exit_code)| TaskContainer {
            name: (*name).to_owned(),
            exit_code: *exit_code,
            ..TaskContainer::default()
        });
        Task { stop_code: Some("EssentialContainerExited".into()), containers: containers.collect(), ..Task::default() }
    }

    #[test]
    fn a_sidecar_that_was_killed_is_no_failed_migration() {
        assert_eq!(judge(&task(&[("migrate", Some(0)), ("log", Some(137))]), "migrate"), Judgement::Done);
        let failed = judge(&task(&[("migrate", Some(3)), ("log", Some(0))]), "migrate");
        assert!(
            matches!(failed, Judgement::Failed { exit_code: Some(3), ref cause, .. } if cause.contains("exit code 3")),
            "{failed:?}"
        );
        let never = judge(&task(&[("migrate", None)]), "migrate");
        assert!(matches!(never, Judgement::Failed { exit_code: None, .. }));
    }
}
