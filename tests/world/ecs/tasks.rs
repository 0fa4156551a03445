//! Purpose: tasks: those of services, driven by their deployment, and one-off tasks with scripts of their own.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::super::aws::{Answer, AwsError, text, texts};
use super::super::clock::{After, Moment, Since};
use super::super::faults::matches;
use super::super::http::Skin;
use super::super::state::State;
use super::operations::{cluster_name, known_cluster};
use super::shapes::task_json;
use super::short_name;
use super::timeline::Cause;

/// One task.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Task {
    pub id: String,
    pub arn: String,
    pub cluster: String,
    /// `service:<name>` or `family:<name>`.
    pub group: String,
    /// The deployment's id, or what RunTask said.
    pub started_by: String,
    pub task_definition: String,
    /// PENDING, RUNNING, STOPPED.
    pub last_status: String,
    pub desired_status: String,
    pub cause: Option<Cause>,
    pub containers: Vec<ContainerState>,
    pub created_at: Moment,
    pub started_at: Option<Moment>,
    pub stopped_at: Option<Moment>,
    pub client_token: Option<String>,
    /// The request that started it, for one-off tasks.
    pub request: Value,
    /// How a one-off task goes.
    pub script: Option<TaskScript>,
    pub(super) since: Since,
    pub(super) polls: BTreeMap<String, u32>,
    pub(super) logged: usize,
}

/// One container of a task.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct ContainerState {
    pub name: String,
    pub image: String,
    pub digest: Option<String>,
    pub essential: bool,
    pub exit_code: Option<i32>,
    pub reason: Option<String>,
    pub health: Option<String>,
}

/// Which one-off tasks a script is for.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct TaskRule {
    /// Glob over `family:revision`, images and the space-joined command.
    pub what: String,
    pub script: TaskScript,
}

/// How a one-off task goes.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct TaskScript {
    /// When it is RUNNING.
    pub start: After,
    /// When it has stopped, counted from RUNNING; never when absent.
    pub stop: Option<After>,
    /// How it ends. Lines of its log come one per observation while it runs, the rest at the end.
    pub cause: Cause,
    /// Exit codes of containers other than the first essential one.
    pub others: BTreeMap<String, Option<i32>>,
    /// It is not started: the `failures` reason of RunTask.
    pub refused: Option<String>,
}

impl Default for TaskScript {
    fn default() -> Self {
        Self::exits(0)
    }
}

impl TaskScript {
    /// Runs from the first observation on and exits at the third.
    pub fn exits(code: i32) -> Self {
        let cause = Cause { log: Vec::new(), ..Cause::exit(code) };
        Self { start: After::Polls(1), stop: Some(After::Polls(2)), cause, others: BTreeMap::new(), refused: None }
    }

    /// The same, saying this.
    #[must_use]
    pub fn logging(mut self, lines: &[&str]) -> Self {
        self.cause = self.cause.logging(lines);
        self
    }

    /// Never gets to run.
    pub fn fails_to_start(cause: Cause) -> Self {
        Self { start: After::Polls(1), stop: Some(After::Polls(0)), cause, ..Self::default() }
    }

    /// Runs for ever.
    pub fn hangs() -> Self {
        Self { stop: None, ..Self::default() }
    }

    /// Is not placed.
    pub fn refused(reason: &str) -> Self {
        Self { refused: Some(reason.to_owned()), ..Self::default() }
    }

    /// Another container of the task ends like this (absent: it never started).
    #[must_use]
    pub fn other(mut self, container: &str, exit_code: Option<i32>) -> Self {
        self.others.insert(container.to_owned(), exit_code);
        self
    }
}

/// What a new task needs to know.
struct NewTask<'a> {
    cluster: &'a str,
    group: String,
    started_by: &'a str,
    task_definition: &'a str,
}

impl State {
    fn new_task(&mut self, new: &NewTask<'_>) -> &mut Task {
        let (id, now) = (self.aws.next_id(), self.clock.now());
        let definition = self.ecs.definition(new.task_definition).map(|d| d.body["containerDefinitions"].clone());
        let list = definition.as_ref().and_then(Value::as_array).cloned().unwrap_or_default();
        let containers = list.iter().map(|container| {
            let image = container["image"].as_str().unwrap_or_default();
            ContainerState {
                name: container["name"].as_str().unwrap_or_default().to_owned(),
                image: image.to_owned(),
                digest: Some(self.images.digest_of_reference(image)),
                essential: container["essential"].as_bool().unwrap_or(true),
                exit_code: None,
                reason: None,
                health: container.get("healthCheck").map(|_| "UNKNOWN".to_owned()),
            }
        });
        let task = Task {
            containers: containers.collect(),
            arn: self.aws.arn("ecs", &format!("task/{}/{id}", new.cluster)),
            id: id.clone(),
            cluster: new.cluster.to_owned(),
            group: new.group.clone(),
            started_by: new.started_by.to_owned(),
            task_definition: new.task_definition.to_owned(),
            last_status: "PENDING".into(),
            desired_status: "RUNNING".into(),
            cause: None,
            created_at: now,
            started_at: None,
            stopped_at: None,
            client_token: None,
            request: Value::Null,
            script: None,
            since: Since { polls: 0, at: now },
            polls: BTreeMap::new(),
            logged: 0,
        };
        let tasks = &mut self.ecs.clusters.get_mut(new.cluster).expect("a cluster").tasks;
        tasks.entry(id).or_insert(task)
    }

    fn tasks_of(&mut self, cluster: &str, service: &str) -> impl Iterator<Item = &mut Task> {
        let group = format!("service:{service}");
        let tasks = self.ecs.clusters.get_mut(cluster).expect("a cluster").tasks.values_mut();
        tasks.filter(move |task| task.group == group && task.last_status != "STOPPED")
    }

    /// Starts tasks until the primary deployment has as many as it should.
    pub(super) fn fill_up(&mut self, cluster: &str, service: &str) {
        let found = self.ecs.find(cluster, service);
        let Some(primary) = found.primary() else {
            return;
        };
        let (id, definition, desired) = (primary.id.clone(), primary.task_definition.clone(), found.desired as usize);
        let have = self.tasks_of(cluster, service).filter(|task| task.started_by == id).count();
        for _ in have..desired {
            let group = format!("service:{service}");
            self.new_task(&NewTask { cluster, group, started_by: &id, task_definition: &definition });
        }
        if have < desired {
            self.note(cluster, service, &format!("has started {} tasks: (deployment {id}).", desired - have));
        }
    }

    /// All tasks of a deployment reach RUNNING.
    pub(super) fn run_tasks(&mut self, cluster: &str, service: &str, rollout: &str) {
        let now = self.clock.now();
        for task in self.tasks_of(cluster, service).filter(|task| task.started_by == rollout) {
            task.run(now);
        }
    }

    /// One task of a deployment stops.
    pub(super) fn stop_one_task(&mut self, cluster: &str, service: &str, rollout: &str, cause: &Cause) {
        let found = self.tasks_of(cluster, service).find(|task| task.started_by == rollout).map(|task| task.id.clone());
        if let Some(id) = found {
            for line in &cause.log {
                self.log_of_task(cluster, &id, line);
            }
            let now = self.clock.now();
            self.task(cluster, &id).stop(cause, now);
            self.note(cluster, service, &format!("deregistered 1 targets; (task {id}) {}", cause.reason));
        }
    }

    /// All tasks of a deployment stop because the scheduler wants it.
    pub(super) fn stop_tasks_of(&mut self, cluster: &str, service: &str, rollout: &str) {
        let (now, cause) = (self.clock.now(), scaled_in(rollout));
        for task in self.tasks_of(cluster, service).filter(|task| task.started_by == rollout) {
            task.stop(&cause, now);
        }
    }

    /// The tasks of every other deployment stop.
    pub(super) fn scale_in_others(&mut self, cluster: &str, service: &str, rollout: &str) {
        let (now, cause) = (self.clock.now(), scaled_in(rollout));
        for task in self.tasks_of(cluster, service).filter(|task| task.started_by != rollout) {
            task.stop(&cause, now);
        }
    }

    /// The running tasks of the last good deployment belong to the one that carries out a rollback now.
    pub(super) fn adopt_tasks(&mut self, cluster: &str, service: &str, rollout: &str) {
        for task in self.tasks_of(cluster, service) {
            rollout.clone_into(&mut task.started_by);
        }
        self.fill_up(cluster, service);
    }

    /// Adjusts a service to a new desired count.
    pub(super) fn scale(&mut self, cluster: &str, service: &str, desired: u32) {
        self.ecs.find(cluster, service).desired = desired;
        let (now, cause) = (self.clock.now(), scaled_in("scale in"));
        for task in self.tasks_of(cluster, service).skip(desired as usize) {
            task.stop(&cause, now);
        }
        let stable = self.ecs.find(cluster, service).primary().is_some_and(|p| p.rollout_state == "COMPLETED");
        self.fill_up(cluster, service);
        if let (true, Some(id)) = (stable, self.ecs.find(cluster, service).primary().map(|p| p.id.clone())) {
            self.run_tasks(cluster, service, &id);
        }
    }

    pub(super) fn task(&mut self, cluster: &str, id: &str) -> &mut Task {
        self.ecs.clusters.get_mut(cluster).expect("a cluster").tasks.get_mut(id).expect("a task")
    }

    /// A line in the log of a task's first essential container, where its log configuration says.
    pub(super) fn log_of_task(&mut self, cluster: &str, id: &str, line: &str) {
        let task = self.task(cluster, id).clone();
        let Some(container) = task.containers.iter().find(|container| container.essential) else {
            return;
        };
        let containers = self.ecs.definition(&task.task_definition).map(|d| d.body["containerDefinitions"].clone());
        let list = containers.as_ref().and_then(Value::as_array).cloned().unwrap_or_default();
        let definition = list.iter().find(|c| c["name"] == container.name.as_str());
        let Some(options) = definition.and_then(|c| c.pointer("/logConfiguration/options")) else {
            return;
        };
        let option = |name: &str| options[name].as_str().unwrap_or_default();
        let stream = format!("{}/{}/{id}", option("awslogs-stream-prefix"), container.name);
        let at = self.clock.now();
        self.logs.append(option("awslogs-group"), &stream, at, line, option("awslogs-create-group") == "true");
    }

    /// Lets time pass for a one-off task.
    pub(super) fn tick_task(&mut self, cluster: &str, id: &str, observer: Option<&str>) {
        let now = self.clock.now();
        let task = self.task(cluster, id);
        if let Some(observer) = observer {
            *task.polls.entry(observer.to_owned()).or_default() += 1;
        }
        let polls = task.polls.values().copied().max().unwrap_or(0);
        let Some(script) = task.script.clone() else {
            return;
        };
        if task.last_status == "PENDING" && script.start.is_due(task.since, polls, now) {
            task.since = Since { polls, at: now };
            if script.cause.code != "TaskFailedToStart" {
                task.run(now);
            }
        }
        if task.last_status == "STOPPED" || (task.last_status == "PENDING" && script.cause.code != "TaskFailedToStart")
        {
            return;
        }
        let ends = script.stop.is_some_and(|stop| stop.is_due(task.since, polls, now));
        let until = if ends { script.cause.log.len() } else { (task.logged + 1).min(script.cause.log.len()) };
        let lines: Vec<String> = script.cause.log[task.logged..until].to_vec();
        task.logged = until;
        for line in lines {
            self.log_of_task(cluster, id, &line);
        }
        if ends {
            self.task(cluster, id).stop(&script.cause, now);
        }
    }
}

fn scaled_in(rollout: &str) -> Cause {
    Cause {
        code: "ServiceSchedulerInitiated".into(),
        reason: format!("Scaling activity initiated by (deployment {rollout})"),
        exit_code: Some(143),
        ..Cause::default()
    }
}

impl Task {
    fn run(&mut self, now: Moment) {
        if self.last_status == "RUNNING" {
            return;
        }
        self.last_status = "RUNNING".into();
        self.started_at = Some(now);
        for container in &mut self.containers {
            container.health = container.health.as_ref().map(|_| "HEALTHY".to_owned());
        }
    }

    fn stop(&mut self, cause: &Cause, now: Moment) {
        self.last_status = "STOPPED".into();
        self.desired_status = "STOPPED".into();
        self.stopped_at = Some(now);
        self.cause = Some(cause.clone());
        let first = self.containers.iter().position(|container| container.essential).unwrap_or(0);
        let others = self.script.as_ref().map(|script| script.others.clone()).unwrap_or_default();
        for (index, container) in self.containers.iter_mut().enumerate() {
            if index == first {
                container.exit_code = cause.exit_code;
                container.reason.clone_from(&cause.container_reason);
                if cause.health.is_some() {
                    container.health.clone_from(&cause.health);
                }
            } else {
                // A sidecar is ended with the task.
                let code = others.get(&container.name).copied().unwrap_or(cause.exit_code.map(|_| 143));
                container.exit_code = code;
            }
        }
        if cause.code == "TaskFailedToStart" {
            self.containers.iter_mut().for_each(|container| container.digest = None);
        }
    }
}

/// `RunTask`.
pub(super) fn run_task(state: &mut State, body: &Value) -> Answer {
    let cluster = known_cluster(state, body)?;
    let arn = runnable(state, body)?;
    let token = text(body, "clientToken").map(str::to_owned);
    let tasks = state.ecs.clusters[&cluster].tasks.values();
    let same: Vec<Value> = tasks.filter(|t| token.is_some() && t.client_token == token).map(task_json).collect();
    if !same.is_empty() {
        return Ok(json!({ "tasks": same, "failures": [] }));
    }
    let script = task_script(state, &arn, body);
    if let Some(reason) = &script.refused {
        let instance = state.aws.arn("ecs", "container-instance/1");
        return Ok(json!({ "tasks": [], "failures": [{ "reason": reason, "arn": instance }] }));
    }
    let started_by = text(body, "startedBy").unwrap_or_default();
    let family = short_name(&arn).split(':').next().unwrap_or_default();
    let group = text(body, "group").map_or_else(|| format!("family:{family}"), str::to_owned);
    let mut started = Vec::new();
    for _ in 0..body["count"].as_u64().unwrap_or(1) {
        let new = NewTask { cluster: &cluster, group: group.clone(), started_by, task_definition: &arn };
        let task = state.new_task(&new);
        (task.script, task.client_token, task.request) = (Some(script.clone()), token.clone(), body.clone());
        started.push(task_json(task));
    }
    state.wrote(Skin::Ecs, &format!("RunTask {cluster} {}", short_name(&arn)));
    Ok(json!({ "tasks": started, "failures": [] }))
}

/// The task definition that a request names, if it can be run as the request says.
fn runnable(state: &State, body: &Value) -> Result<String, AwsError> {
    let wanted = text(body, "taskDefinition").unwrap_or_default();
    let Some(definition) = state.ecs.definition(wanted).filter(|definition| definition.active) else {
        return Err(AwsError::new("ClientException", "TaskDefinition not found."));
    };
    let awsvpc = definition.body.get("networkMode") == Some(&json!("awsvpc"));
    if awsvpc && body.pointer("/networkConfiguration/awsvpcConfiguration/subnets").is_none() {
        let message = "Network Configuration must be provided when networkMode 'awsvpc' is specified.";
        return Err(AwsError::new("InvalidParameterException", message));
    }
    let overrides = body.pointer("/overrides/containerOverrides").and_then(Value::as_array);
    let images = state.ecs.images(&definition.arn);
    let names = overrides.into_iter().flatten().filter_map(|item| item["name"].as_str());
    if let Some(name) = names.into_iter().find(|name| !images.iter().any(|(known, _)| known == name)) {
        let message = format!("Override for container named {name} is not a container in the TaskDefinition.");
        return Err(AwsError::new("InvalidParameterException", message));
    }
    Ok(definition.arn.clone())
}

fn task_script(state: &State, arn: &str, body: &Value) -> TaskScript {
    let overrides =
        body.pointer("/overrides/containerOverrides").and_then(Value::as_array).cloned().unwrap_or_default();
    let commands: Vec<String> = overrides.iter().map(|item| texts(item, "command").join(" ")).collect();
    let images = state.ecs.images(arn);
    let fits = |what: &str| {
        matches(what, short_name(arn))
            || images.iter().any(|(_, image)| matches(what, image))
            || commands.iter().any(|command| matches(what, command))
    };
    let rule = state.ecs.task_scripts.iter().find(|rule| fits(&rule.what));
    rule.map_or_else(TaskScript::default, |rule| rule.script.clone())
}

/// `StopTask`.
pub(super) fn stop_task(state: &mut State, body: &Value) -> Answer {
    let cluster = known_cluster(state, body)?;
    let id = cluster_name(text(body, "task").unwrap_or_default());
    let now = state.clock.now();
    let reason = text(body, "reason").unwrap_or("Task stopped by user").to_owned();
    let Some(task) = state.ecs.clusters.get_mut(&cluster).and_then(|cluster| cluster.tasks.get_mut(&id)) else {
        return Err(AwsError::new("InvalidParameterException", "The referenced task was not found."));
    };
    if task.last_status != "STOPPED" {
        let exit_code = task.started_at.map(|_| 143);
        task.stop(&Cause { code: "UserInitiated".into(), reason, exit_code, ..Cause::default() }, now);
    }
    let answer = json!({ "task": task_json(task) });
    state.wrote(Skin::Ecs, &format!("StopTask {cluster} {id}"));
    Ok(answer)
}

/// `ListTasks`.
pub(super) fn list_tasks(state: &mut State, body: &Value) -> Answer {
    let cluster = known_cluster(state, body)?;
    let service = text(body, "serviceName").map(cluster_name);
    if let Some(service) = &service {
        if !state.ecs.clusters[&cluster].services.contains_key(service) {
            return Err(AwsError::new("ServiceNotFoundException", "Service not found."));
        }
        state.tick(&cluster, service, Some("ListTasks"));
    }
    let wanted = text(body, "desiredStatus").unwrap_or("RUNNING");
    let group = service.map(|service| format!("service:{service}"));
    let fits = |task: &&Task| {
        task.desired_status == wanted
            && group.as_ref().is_none_or(|group| &task.group == group)
            && text(body, "startedBy").is_none_or(|by| task.started_by == by)
            && text(body, "family")
                .is_none_or(|family| short_name(&task.task_definition).split(':').next() == Some(family))
    };
    let mut found: Vec<&Task> = state.ecs.clusters[&cluster].tasks.values().filter(fits).collect();
    found.sort_by_key(|task| std::cmp::Reverse((task.created_at, task.id.clone())));
    let arns: Vec<String> = found.iter().map(|task| task.arn.clone()).collect();
    let (arns, next) = super::super::aws::page(&arns, body, 100);
    Ok(json!({ "taskArns": arns, "nextToken": next }))
}

/// `DescribeTasks`.
pub(super) fn describe_tasks(state: &mut State, body: &Value) -> Answer {
    let cluster = known_cluster(state, body)?;
    let wanted = texts(body, "tasks");
    if wanted.len() > 100 {
        return Err(AwsError::new("InvalidParameterException", "tasks cannot have more than 100 elements"));
    }
    let services: Vec<String> = state.ecs.clusters[&cluster].services.keys().cloned().collect();
    let ids: Vec<String> = wanted.iter().map(|name| cluster_name(name)).collect();
    for service in services {
        let group = format!("service:{service}");
        if ids.iter().any(|id| state.ecs.clusters[&cluster].tasks.get(id).is_some_and(|task| task.group == group)) {
            state.tick(&cluster, &service, Some("DescribeTasks"));
        }
    }
    let (mut tasks, mut failures) = (Vec::new(), Vec::new());
    for (name, id) in wanted.iter().zip(&ids) {
        if state.ecs.clusters[&cluster].tasks.contains_key(id) {
            state.tick_task(&cluster, id, Some("DescribeTasks"));
            tasks.push(task_json(state.task(&cluster, id)));
        } else {
            failures.push(json!({ "arn": name, "reason": "MISSING" }));
        }
    }
    Ok(json!({ "tasks": tasks, "failures": failures }))
}
