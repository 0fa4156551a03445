//! Purpose: how deployments go: scripts of steps, driven by observations or by the world's clock.

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::super::clock::{After, Moment, Since};
use super::super::state::State;
use super::task_definitions::READ_ONLY;
use super::{Event, Rollback, Rollout, short_name};

/// What happens to a deployment, step after step.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Script {
    pub steps: Vec<Step>,
    /// Where the script goes on after its last step; it ends there when absent.
    pub again_from: Option<usize>,
    /// How long a rollback takes once it has begun.
    pub rollback: After,
    /// The rollback fails.
    pub rollback_fails: bool,
}

/// One step: when, counted from the step before, and what.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Step {
    pub after: After,
    pub action: Action,
}

/// What can happen to a deployment.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Action {
    /// Its tasks reach RUNNING.
    Run,
    /// One of its tasks stops and a new one takes its place; the circuit breaker counts it.
    Stop(Cause),
    /// It is complete; the tasks of older deployments stop.
    Complete,
    /// It fails for this reason, as when the circuit breaker trips without the service's breaker being asked.
    Fail(String),
    /// An alarm of this name ends it; rolls back when the service's alarms say so.
    Alarm(String),
    /// The service notes an event; `{service}` is filled in.
    Note(String),
    /// It enters a lifecycle stage (blue/green).
    Stage(String),
    /// Somebody else deploys another task definition (`family:revision`, or an image for a new revision).
    Supersede(String),
}

/// Why a task stopped.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Cause {
    /// `EssentialContainerExited`, `TaskFailedToStart` …
    pub code: String,
    pub reason: String,
    /// The essential container's own reason.
    pub container_reason: Option<String>,
    /// Absent when the container never started.
    pub exit_code: Option<i32>,
    /// Lines its log gets before it ends.
    pub log: Vec<String>,
    /// The container's health status at the end.
    pub health: Option<String>,
}

impl Cause {
    /// The essential container exited.
    pub fn exit(code: i32) -> Self {
        Self {
            code: "EssentialContainerExited".into(),
            reason: "Essential container in task exited".into(),
            exit_code: Some(code),
            log: vec![format!("fatal: exiting with {code}")],
            ..Self::default()
        }
    }

    /// The kernel killed the container for its memory.
    pub fn out_of_memory() -> Self {
        Self {
            container_reason: Some("OutOfMemoryError: Container killed due to memory usage".into()),
            ..Self::exit(137)
        }
    }

    /// The image cannot be pulled.
    pub fn image_pull(image: &str) -> Self {
        let text = format!(
            "CannotPullContainerError: pull image manifest has been retried 1 time(s): failed to resolve ref {image}: {image}: not found"
        );
        Self::start_failure(&text)
    }

    /// A secret cannot be read.
    pub fn secret(name: &str) -> Self {
        Self::start_failure(&format!(
            "ResourceInitializationError: unable to pull secrets or registry auth: execution resource retrieval failed: \
             unable to retrieve secret from asm: service call has been retried 1 time(s): failed to fetch secret {name} \
             from secrets manager: AccessDeniedException: not authorized to perform: secretsmanager:GetSecretValue"
        ))
    }

    /// The task never started, for this reason.
    pub fn start_failure(reason: &str) -> Self {
        Self {
            code: "TaskFailedToStart".into(),
            reason: reason.into(),
            container_reason: reason.split_once(':').map(|_| reason.to_owned()),
            ..Self::default()
        }
    }

    /// The container's own health check failed.
    pub fn container_unhealthy() -> Self {
        Self {
            code: "ServiceSchedulerInitiated".into(),
            reason: "Task failed container health checks".into(),
            exit_code: Some(143),
            health: Some("UNHEALTHY".into()),
            ..Self::default()
        }
    }

    /// The load balancer's health check failed.
    pub fn target_unhealthy(target_group: &str) -> Self {
        Self {
            code: "ServiceSchedulerInitiated".into(),
            reason: format!("Task failed ELB health checks in (target-group {target_group})"),
            exit_code: Some(143),
            ..Self::default()
        }
    }

    /// The port is taken on the host.
    pub fn port_taken(port: u16) -> Self {
        Self::start_failure(&format!(
            "CannotStartContainerError: Error response from daemon: driver failed programming external connectivity: Bind for 0.0.0.0:{port} failed: port is already allocated"
        ))
    }

    /// There is no room for the task.
    pub fn no_capacity() -> Self {
        Self::start_failure(
            "Capacity is unavailable at this time. Please try again later or in a different availability zone",
        )
    }

    /// With these log lines instead.
    #[must_use]
    pub fn logging(mut self, lines: &[&str]) -> Self {
        self.log = lines.iter().map(|line| (*line).to_owned()).collect();
        self
    }
}

impl Default for Script {
    fn default() -> Self {
        Self::healthy(After::Polls(2))
    }
}

impl Script {
    /// Steps one after another.
    pub fn of(steps: &[(After, Action)]) -> Self {
        let steps = steps.iter().map(|(after, action)| Step { after: *after, action: action.clone() });
        Self { steps: steps.collect(), again_from: None, rollback: After::Polls(2), rollback_fails: false }
    }

    /// Tasks run at once and the deployment completes when `after` is over.
    pub fn healthy(after: After) -> Self {
        Self::of(&[(After::Polls(0), Action::Run), (after, Action::Complete)])
    }

    /// A task stops at every observation, for ever or until the circuit breaker trips.
    pub fn failing(cause: Cause) -> Self {
        Self { again_from: Some(0), ..Self::of(&[(After::Polls(1), Action::Stop(cause))]) }
    }

    /// The application exits again and again.
    pub fn crash_loop(exit_code: i32) -> Self {
        Self::failing(Cause::exit(exit_code))
    }

    /// The image cannot be pulled.
    pub fn image_pull_failure(image: &str) -> Self {
        Self::failing(Cause::image_pull(image))
    }

    /// Killed for memory again and again.
    pub fn out_of_memory() -> Self {
        Self::failing(Cause::out_of_memory())
    }

    /// The container's health check fails again and again.
    pub fn unhealthy() -> Self {
        let steps = [(After::Polls(1), Action::Run), (After::Polls(1), Action::Stop(Cause::container_unhealthy()))];
        Self { again_from: Some(0), ..Self::of(&steps) }
    }

    /// Tasks run, and it stays IN_PROGRESS for ever.
    pub fn never_stable() -> Self {
        Self::of(&[(After::Polls(1), Action::Run)])
    }

    /// Somebody else deploys `other` (`family:revision` or an image) meanwhile.
    pub fn superseded(other: &str) -> Self {
        Self::of(&[(After::Polls(1), Action::Run), (After::Polls(1), Action::Supersede(other.into()))])
    }

    /// An alarm goes off after the tasks run.
    pub fn alarm(name: &str) -> Self {
        Self::of(&[(After::Polls(1), Action::Run), (After::Polls(1), Action::Alarm(name.into()))])
    }

    /// Blue/green: through these stages, one observation each, then complete.
    pub fn staged(stages: &[&str]) -> Self {
        let mut steps = vec![(After::Polls(0), Action::Run)];
        steps.extend(stages.iter().map(|stage| (After::Polls(1), Action::Stage((*stage).to_owned()))));
        steps.push((After::Polls(1), Action::Complete));
        Self::of(&steps)
    }

    /// How long a rollback takes.
    #[must_use]
    pub fn rollback_takes(mut self, after: After) -> Self {
        self.rollback = after;
        self
    }

    /// The rollback fails, too.
    #[must_use]
    pub fn rollback_fails(mut self) -> Self {
        self.rollback_fails = true;
        self
    }
}

impl Rollout {
    /// Observations so far: the operation that looked most often counts, so that a poll may consist of several.
    pub fn polls(&self) -> u32 {
        self.polls.values().copied().max().unwrap_or(0)
    }

    /// Whether nothing more happens to it.
    pub fn is_final(&self) -> bool {
        matches!(self.state.as_str(), "SUCCESSFUL" | "STOPPED" | "ROLLBACK_SUCCESSFUL" | "ROLLBACK_FAILED")
    }
}

/// Where a rollout is found.
type Place<'a> = (&'a str, &'a str, usize);

impl State {
    /// Begins a deployment of a task definition. Gives the `ecs-svc/…` id.
    pub(super) fn begin_rollout(
        &mut self,
        cluster: &str,
        service: &str,
        definition: &str,
        script: Option<Script>,
    ) -> String {
        let script = script.unwrap_or_else(|| self.ecs.script_for(service, definition));
        let now = self.clock.now();
        self.set_aside(cluster, service, now);
        let (number, id) = (self.aws.next(), self.aws.next_id());
        let digits = format!("{:019}", 4_000_000_000_000_000_000_u64 + number);
        let place = format!("{cluster}/{service}");
        let found = self.ecs.find(cluster, service);
        let source_revision = found.serving().map(|rollout| rollout.revision.clone());
        definition.clone_into(&mut found.task_definition);
        let rollout = Rollout {
            id: format!("ecs-svc/{digits}"),
            service_deployment: Some(self.aws.arn("ecs", &format!("service-deployment/{place}/{id}"))),
            revision: self.aws.arn("ecs", &format!("service-revision/{place}/{digits}")),
            source_revision,
            ..blank(definition, now, script)
        };
        let id = rollout.id.clone();
        self.ecs.find(cluster, service).rollouts.push(rollout);
        self.fill_up(cluster, service);
        id
    }

    /// A new deployment makes the current one ACTIVE and ends it when it is still under way.
    fn set_aside(&mut self, cluster: &str, service: &str, now: Moment) {
        for rollout in &mut self.ecs.find(cluster, service).rollouts {
            if rollout.status == "PRIMARY" {
                rollout.status = "ACTIVE".into();
            }
            if !rollout.is_final() {
                rollout.state = "STOPPED".into();
                rollout.state_reason =
                    Some("The service deployment was stopped because a new service deployment started.".into());
                (rollout.finished_at, rollout.updated_at) = (Some(now), now);
            }
        }
    }

    /// Lets time pass for a service; `observer` is the operation that looks at it.
    pub fn tick(&mut self, cluster: &str, service: &str, observer: Option<&str>) {
        if let Some(observer) = observer {
            for rollout in &mut self.ecs.find(cluster, service).rollouts {
                *rollout.polls.entry(observer.to_owned()).or_default() += 1;
            }
        }
        // A script that loops without waiting would never end.
        for _ in 0..1000 {
            let count = self.ecs.find(cluster, service).rollouts.len();
            if !(0..count).any(|index| self.step(&(cluster, service, index))) {
                return;
            }
        }
        panic!("the script of {cluster}/{service} loops without waiting");
    }

    fn rollout(&mut self, place: &Place<'_>) -> &mut Rollout {
        &mut self.ecs.find(place.0, place.1).rollouts[place.2]
    }

    /// Does the next step of a rollout when it is due.
    fn step(&mut self, place: &Place<'_>) -> bool {
        let now = self.clock.now();
        let rollout = self.rollout(place);
        if rollout.is_final() {
            return false;
        }
        let polls = rollout.polls();
        if rollout.state == "PENDING" && polls > 0 {
            rollout.state = "IN_PROGRESS".into();
        }
        match rollout.state.as_str() {
            "ROLLBACK_REQUESTED" => return self.start_way_back(place, polls, now),
            "ROLLBACK_IN_PROGRESS" => return self.finish_way_back(place, polls, now),
            "STOP_REQUESTED" => return self.stop(place, now),
            _ => {}
        }
        if rollout.rollout_state == "FAILED" {
            return false;
        }
        let Some(step) = rollout.script.steps.get(rollout.next_step).cloned() else {
            return false;
        };
        if !step.after.is_due(rollout.since, polls, now) {
            return false;
        }
        rollout.since = Since { polls, at: now };
        rollout.next_step += 1;
        if let (Some(again), true) = (rollout.script.again_from, rollout.next_step == rollout.script.steps.len()) {
            rollout.next_step = again;
        }
        rollout.updated_at = now;
        self.act(place, step.action, now);
        true
    }

    fn act(&mut self, place: &Place<'_>, action: Action, now: Moment) {
        let (cluster, service, _) = *place;
        match action {
            Action::Run => self.run_tasks(cluster, service, &self.rollout_id(place)),
            Action::Stop(cause) => self.task_failed(place, &cause, now),
            Action::Complete => self.complete(place, now),
            Action::Fail(reason) => self.fail(place, &reason, "", false, now),
            Action::Alarm(name) => {
                self.rollout(place).alarm = Some(name.clone());
                let back = self.setting(cluster, service, "/deploymentConfiguration/alarms/rollback") == Some(true);
                self.fail(
                    place,
                    "ECS deployment failed: alarm(s) detected.",
                    &format!("alarm(s) detected: {name}"),
                    back,
                    now,
                );
            }
            Action::Note(text) => self.note(cluster, service, &text.replace("{service}", service)),
            Action::Stage(stage) => self.rollout(place).stage = Some(stage),
            Action::Supersede(other) => self.supersede(place, &other),
        }
    }

    fn rollout_id(&self, place: &Place<'_>) -> String {
        self.ecs.clusters[place.0].services[place.1].rollouts[place.2].id.clone()
    }

    /// An event in the service's list.
    pub(super) fn note(&mut self, cluster: &str, service: &str, message: &str) {
        let (id, at) = (self.aws.next_id(), self.clock.now());
        self.ecs
            .find(cluster, service)
            .events
            .insert(0, Event { id, at, message: format!("(service {service}) {message}") });
    }

    fn setting(&self, cluster: &str, service: &str, pointer: &str) -> Option<bool> {
        let settings = Value::Object(self.ecs.clusters[cluster].services[service].settings.clone());
        settings.pointer(pointer).and_then(Value::as_bool)
    }

    fn complete(&mut self, place: &Place<'_>, now: Moment) {
        let (cluster, service, index) = *place;
        let id = self.rollout_id(place);
        self.run_tasks(cluster, service, &id);
        for (other, rollout) in self.ecs.find(cluster, service).rollouts.iter_mut().enumerate() {
            if other != index && rollout.status != "INACTIVE" {
                rollout.status = "INACTIVE".into();
            }
        }
        let rollout = self.rollout(place);
        rollout.rollout_state = "COMPLETED".into();
        rollout.rollout_reason = format!("ECS deployment {id} completed.");
        if rollout.state != "ROLLBACK_SUCCESSFUL" {
            rollout.state = "SUCCESSFUL".into();
        }
        (rollout.finished_at, rollout.updated_at) = (Some(now), now);
        self.scale_in_others(cluster, service, &id);
        self.note(cluster, service, &format!("(deployment {id}) deployment completed."));
        self.note(cluster, service, "has reached a steady state.");
    }

    fn task_failed(&mut self, place: &Place<'_>, cause: &Cause, now: Moment) {
        let (cluster, service, _) = *place;
        let id = self.rollout_id(place);
        self.stop_one_task(cluster, service, &id, cause);
        self.rollout(place).failed_tasks += 1;
        let failed = self.rollout(place).failed_tasks;
        if self.setting(cluster, service, "/deploymentConfiguration/deploymentCircuitBreaker/enable") != Some(true) {
            return self.fill_up(cluster, service);
        }
        if failed < self.breaker_threshold(cluster, service) {
            return self.fill_up(cluster, service);
        }
        let back =
            self.setting(cluster, service, "/deploymentConfiguration/deploymentCircuitBreaker/rollback") == Some(true);
        self.fail(place, "ECS deployment circuit breaker: tasks failed to start.", "tasks failed to start.", back, now);
    }

    /// 0.5 × desired, at least 3, at most 200.
    pub(super) fn breaker_threshold(&mut self, cluster: &str, service: &str) -> u32 {
        self.ecs.find(cluster, service).desired.div_ceil(2).clamp(3, 200)
    }

    fn fail(&mut self, place: &Place<'_>, reason: &str, event: &str, back: bool, now: Moment) {
        let (cluster, service, _) = *place;
        let id = self.rollout_id(place);
        let rollout = self.rollout(place);
        rollout.rollout_state = "FAILED".into();
        rollout.rollout_reason = reason.to_owned();
        rollout.updated_at = now;
        let event = if event.is_empty() { reason } else { event };
        self.stop_tasks_of(cluster, service, &id);
        self.note(cluster, service, &format!("(deployment {id}) deployment failed: {event}"));
        if back {
            self.begin_way_back(place, reason, now);
        } else {
            let rollout = self.rollout(place);
            rollout.state = "STOPPED".into();
            rollout.state_reason = Some(reason.to_owned());
            rollout.finished_at = Some(now);
        }
    }

    /// The way back has begun: a deployment of the last good revision becomes PRIMARY.
    fn begin_way_back(&mut self, place: &Place<'_>, reason: &str, now: Moment) {
        let (cluster, service, _) = *place;
        let (failed, script) = (self.rollout_id(place), self.rollout(place).script.clone());
        let polls = self.rollout(place).polls();
        let Some(good) = self.ecs.find(cluster, service).serving() else {
            return;
        };
        let (definition, revision) = (good.task_definition.clone(), good.revision.clone());
        let rollout = self.rollout(place);
        rollout.status = "ACTIVE".into();
        rollout.state = "ROLLBACK_IN_PROGRESS".into();
        rollout.state_reason = Some(reason.to_owned());
        rollout.rollback = Some(Rollback {
            reason: reason.to_owned(),
            started_at: now,
            revision: revision.clone(),
            since: Since { polls, at: now },
        });
        let number = self.aws.next();
        let carrier = Rollout {
            id: format!("ecs-svc/{:019}", 4_000_000_000_000_000_000_u64 + number),
            revision,
            rollout_reason: format!("ECS deployment circuit breaker: rolling back to deploymentId {failed}."),
            ..blank(&definition, now, Script { steps: Vec::new(), ..script })
        };
        let id = carrier.id.clone();
        let found = self.ecs.find(cluster, service);
        found.task_definition = definition;
        for other in &mut found.rollouts {
            if other.rollout_state == "COMPLETED" && other.status == "ACTIVE" {
                other.status = "INACTIVE".into();
                // Its tasks go on as the carrier's.
            }
        }
        found.rollouts.push(carrier);
        self.adopt_tasks(cluster, service, &id);
        self.note(cluster, service, &format!("rolling back to deployment {id}."));
    }

    fn start_way_back(&mut self, place: &Place<'_>, polls: u32, now: Moment) -> bool {
        let rollout = self.rollout(place);
        if !After::Polls(1).is_due(rollout.since, polls, now) {
            return false;
        }
        let id = self.rollout_id(place);
        self.stop_tasks_of(place.0, place.1, &id);
        let rollout = self.rollout(place);
        rollout.rollout_state = "FAILED".into();
        rollout.rollout_reason = "ECS deployment stopped by the user.".into();
        self.begin_way_back(place, "Service deployment rolled back because the user requested it.", now);
        true
    }

    fn finish_way_back(&mut self, place: &Place<'_>, polls: u32, now: Moment) -> bool {
        let (cluster, service, _) = *place;
        let rollout = self.rollout(place);
        let since = rollout.rollback.as_ref().map_or(rollout.since, |back| back.since);
        if !rollout.script.rollback.is_due(since, polls, now) {
            return false;
        }
        (rollout.finished_at, rollout.updated_at) = (Some(now), now);
        if rollout.script.rollback_fails {
            rollout.state = "ROLLBACK_FAILED".into();
            rollout.state_reason = Some("The rollback failed: tasks failed to start.".into());
            self.note(cluster, service, "rollback failed: tasks failed to start.");
            return true;
        }
        rollout.state = "ROLLBACK_SUCCESSFUL".into();
        rollout.status = "INACTIVE".into();
        let carrier = self.ecs.find(cluster, service).rollouts.len() - 1;
        self.complete(&(cluster, service, carrier), now);
        true
    }

    fn stop(&mut self, place: &Place<'_>, now: Moment) -> bool {
        let rollout = self.rollout(place);
        rollout.state = "STOPPED".into();
        rollout.state_reason = Some("Service deployment stopped because the user requested it.".into());
        (rollout.finished_at, rollout.updated_at) = (Some(now), now);
        true
    }

    fn supersede(&mut self, place: &Place<'_>, other: &str) {
        let (cluster, service, _) = *place;
        let known = self.ecs.definition(other).map(|definition| definition.arn.clone());
        let definition = known.unwrap_or_else(|| {
            let current = self.ecs.find(cluster, service).task_definition.clone();
            let family = short_name(&current).split(':').next().unwrap_or_default().to_owned();
            let mut body = self.ecs.definition(&current).expect("a definition").body.clone();
            body.retain(|name, _| !READ_ONLY.contains(&name.as_str()));
            let mut body = Value::Object(body);
            body["containerDefinitions"][0]["image"] = Value::from(other);
            self.task_definition(&family, &body)
        });
        self.begin_rollout(cluster, service, &definition, None);
    }
}

fn blank(definition: &str, now: Moment, script: Script) -> Rollout {
    Rollout {
        id: String::new(),
        service_deployment: None,
        revision: String::new(),
        task_definition: definition.to_owned(),
        status: "PRIMARY".into(),
        rollout_state: "IN_PROGRESS".into(),
        rollout_reason: "ECS deployment in progress.".into(),
        state: "PENDING".into(),
        state_reason: None,
        stage: None,
        failed_tasks: 0,
        created_at: now,
        updated_at: now,
        finished_at: None,
        alarm: None,
        source_revision: None,
        rollback: None,
        script,
        next_step: 0,
        since: Since { polls: 0, at: now },
        polls: std::collections::BTreeMap::default(),
    }
}
