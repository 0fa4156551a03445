//! Purpose: tasks: listed, looked at, started one by one, stopped.

use aws_sdk_ecs::types as sdk;

use super::super::{AwsError, Call};
use super::{Ecs, Launch, convert};
use crate::domain::ecs::Task;
use crate::services::http::Repeat;

/// Most tasks that one DescribeTasks takes (API reference).
const TASKS_PER_CALL: usize = 100;

/// A one-off task.
#[derive(Debug, Clone)]
pub struct OneOffTask<'a> {
    /// ARN of its task definition.
    pub task_definition: &'a str,
    /// The container whose command is replaced.
    pub container: &'a str,
    /// The command.
    pub command: &'a [String],
    /// Where and how it runs.
    pub launch: &'a Launch,
    /// Shown as who started it; at most 128 characters.
    pub started_by: &'a str,
    /// Makes a repeated request find the task that the first one started.
    pub token: &'a str,
}

type ListTasks = aws_sdk_ecs::operation::list_tasks::builders::ListTasksFluentBuilder;

/// What a task is meant to be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DesiredStatus {
    /// Running, or on its way there.
    Running,
    /// Stopped, or on its way there.
    Stopped,
}

impl From<DesiredStatus> for sdk::DesiredStatus {
    fn from(status: DesiredStatus) -> Self {
        match status {
            DesiredStatus::Running => Self::Running,
            DesiredStatus::Stopped => Self::Stopped,
        }
    }
}

impl Ecs {
    /// Tasks of a service by the status that they are meant to have.
    ///
    /// # Errors
    /// [`AwsError`].
    pub async fn tasks(&self, service: &str, desired: DesiredStatus) -> Result<Vec<String>, AwsError> {
        let call = Call::new("ecs", "ListTasks", self.object(service));
        self.list_tasks(&call, |request| request.service_name(service).desired_status(desired.into())).await
    }

    /// Tasks of the whole cluster by the status that they are meant to have.
    ///
    /// # Errors
    /// [`AwsError`].
    pub async fn all_tasks(&self, desired: DesiredStatus) -> Result<Vec<String>, AwsError> {
        let call = Call::new("ecs", "ListTasks", format!("cluster {}", self.cluster));
        self.list_tasks(&call, |request| request.desired_status(desired.into())).await
    }

    /// Tasks of a family by the status that they are meant to have.
    ///
    /// # Errors
    /// [`AwsError`].
    pub async fn tasks_of_family(&self, family: &str, desired: DesiredStatus) -> Result<Vec<String>, AwsError> {
        let call = Call::new("ecs", "ListTasks", format!("family {family} in cluster {}", self.cluster));
        self.list_tasks(&call, |request| request.family(family).desired_status(desired.into())).await
    }

    async fn list_tasks(&self, call: &Call, narrow: impl Fn(ListTasks) -> ListTasks) -> Result<Vec<String>, AwsError> {
        let (mut found, mut token) = (Vec::new(), None);
        loop {
            let request =
                || narrow(self.client.list_tasks().cluster(&self.cluster)).set_next_token(token.clone()).send();
            let answer = self.session.send(Repeat::Always, call, request).await?;
            found.extend(answer.task_arns.into_iter().flatten());
            token = answer.next_token;
            if token.is_none() {
                return Ok(found);
            }
        }
    }

    /// Looks at tasks by ARN; those that ECS has forgotten are left out.
    ///
    /// # Errors
    /// [`AwsError`].
    pub async fn describe_tasks(&self, arns: &[String]) -> Result<Vec<Task>, AwsError> {
        let mut found = Vec::new();
        for arns in arns.chunks(TASKS_PER_CALL) {
            let call = Call::new("ecs", "DescribeTasks", format!("{} tasks in cluster {}", arns.len(), self.cluster));
            let request = || self.client.describe_tasks().cluster(&self.cluster).set_tasks(Some(arns.to_vec())).send();
            let answer = self.session.send(Repeat::Always, &call, request).await?;
            found.extend(answer.tasks.into_iter().flatten().map(convert::task));
        }
        Ok(found)
    }

    /// Starts a one-off task. Repeating it with the same token finds the same task.
    ///
    /// # Errors
    /// [`AwsError`]; that the task cannot be placed is a refusal with ECS's reasons, all of them.
    pub async fn run(&self, task: &OneOffTask<'_>) -> Result<Task, AwsError> {
        let call = Call::new(
            "ecs",
            "RunTask",
            format!("task definition {} in cluster {}", task.task_definition, self.cluster),
        );
        let container =
            sdk::ContainerOverride::builder().name(task.container).set_command(Some(task.command.to_vec())).build();
        let overrides = sdk::TaskOverride::builder().container_overrides(container).build();
        let launch = task.launch;
        let request = || {
            let request = self.client.run_task().cluster(&self.cluster).task_definition(task.task_definition).count(1);
            let request = request.overrides(overrides.clone()).started_by(task.started_by).client_token(task.token);
            let request =
                request.set_network_configuration(launch.network.clone()).set_platform_version(launch.platform.clone());
            let request = request.set_launch_type(launch.launch_type.clone());
            request.set_capacity_provider_strategy(launch.providers.clone()).send()
        };
        let answer = self.session.send(Repeat::Always, &call, request).await?;
        if let Some(task) = answer.tasks.into_iter().flatten().next() {
            return Ok(convert::task(task));
        }
        let reasons: Vec<String> = answer.failures.into_iter().flatten().map(reason).collect();
        if reasons.is_empty() {
            return Err(AwsError::Malformed { call, expected: "a task or a failure" });
        }
        Err(AwsError::refused(&call, 400, Some("TaskNotPlaced"), &reasons.join("; "), None))
    }

    /// Stops a task.
    ///
    /// # Errors
    /// [`AwsError`].
    pub async fn stop_task(&self, arn: &str, why: &str) -> Result<(), AwsError> {
        let call = Call::new("ecs", "StopTask", format!("task {arn}"));
        let request = || self.client.stop_task().cluster(&self.cluster).task(arn).reason(why).send();
        self.session.send(Repeat::Always, &call, request).await.map(drop)
    }
}

fn reason(failure: sdk::Failure) -> String {
    let parts = [failure.reason, failure.detail, failure.arn.map(|arn| format!("on {arn}"))];
    parts.into_iter().flatten().collect::<Vec<_>>().join(" ")
}
