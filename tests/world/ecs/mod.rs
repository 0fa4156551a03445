//! Purpose: ECS: clusters, services, task definitions, deployments that follow scripts.
//!
//! `state.service("prod", "web", "acme/web:1")` makes a stable service; `state.ecs.script("web", "acme/web:bad*", ..)`
//! says how a deployment goes whose image (or `family:revision`) matches; without a script it is healthy after two
//! observations. See [`timeline`] for scripts, `operations` for the API.

mod operations;
mod shapes;
mod task_definitions;
mod tasks;
pub mod timeline;

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

use super::clock::{After, Moment, Since};
use super::faults::matches;
use super::state::State;

pub use operations::handle;
pub use shapes::present;
pub use tasks::{Task, TaskRule, TaskScript};
pub use timeline::{Action, Cause, Script, Step};

/// All of ECS.
#[derive(Debug, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Ecs {
    /// By name.
    pub clusters: BTreeMap<String, Cluster>,
    /// Revisions by family, oldest first; a revision's number is its place plus one.
    pub task_definitions: BTreeMap<String, Vec<TaskDefinition>>,
    /// How deployments go; the first fitting rule counts.
    pub scripts: Vec<Rule>,
    /// How one-off tasks go; the first fitting rule counts.
    pub task_scripts: Vec<TaskRule>,
    /// Seeds only: services to make.
    pub seeds: Vec<ServiceSeed>,
}

/// A cluster.
#[derive(Debug, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Cluster {
    /// By name.
    pub services: BTreeMap<String, Service>,
    /// By task id.
    pub tasks: BTreeMap<String, Task>,
}

/// A service to make when a seed is planted.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ServiceSeed {
    pub cluster: String,
    pub service: String,
    pub image: String,
    /// A whole task definition instead of the plain one with `image`.
    pub task_definition: Option<Value>,
    pub desired_count: Option<u32>,
}

/// One revision of a task definition.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct TaskDefinition {
    pub arn: String,
    /// As the API answers it, without tags.
    pub body: Map<String, Value>,
    pub tags: Value,
    pub active: bool,
}

/// Which deployments a script is for.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Rule {
    /// Glob over the service's name.
    pub service: String,
    /// Glob over `family:revision` and over each container's image.
    pub what: String,
    pub script: Script,
}

/// One service.
#[derive(Debug, Serialize, Deserialize)]
pub struct Service {
    pub name: String,
    pub cluster: String,
    pub arn: String,
    pub status: String,
    pub desired: u32,
    /// The ARN the service is told to run.
    pub task_definition: String,
    /// Members of the API's service object that are only carried: network, launch type, deployment configuration …
    pub settings: Map<String, Value>,
    pub tags: Value,
    /// Oldest first.
    pub rollouts: Vec<Rollout>,
    /// Newest first, as the API lists them.
    pub events: Vec<Event>,
    pub created_at: Moment,
    /// `UpdateService` still names the deployment before as the current one.
    pub stale_answers: bool,
}

/// A line of a service's history.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Event {
    pub id: String,
    pub at: Moment,
    pub message: String,
}

/// One deployment: what `DescribeServices` lists and, unless it only carries out a rollback, a service deployment.
#[derive(Debug, Serialize, Deserialize)]
pub struct Rollout {
    /// `ecs-svc/<digits>`.
    pub id: String,
    /// The ARN of the service deployment; none for the deployment that carries out a rollback.
    pub service_deployment: Option<String>,
    /// The ARN of the service revision it leads to.
    pub revision: String,
    pub task_definition: String,
    /// PRIMARY, ACTIVE or INACTIVE (no longer listed).
    pub status: String,
    /// IN_PROGRESS, COMPLETED or FAILED.
    pub rollout_state: String,
    pub rollout_reason: String,
    /// The service deployment's status.
    pub state: String,
    pub state_reason: Option<String>,
    pub stage: Option<String>,
    pub failed_tasks: u32,
    pub created_at: Moment,
    pub updated_at: Moment,
    pub finished_at: Option<Moment>,
    /// The alarm that ended it.
    pub alarm: Option<String>,
    /// The revision it started from.
    pub source_revision: Option<String>,
    pub rollback: Option<Rollback>,
    pub script: Script,
    pub(super) next_step: usize,
    pub(super) since: Since,
    pub(super) polls: BTreeMap<String, u32>,
}

/// A way back.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Rollback {
    pub reason: String,
    pub started_at: Moment,
    /// The revision it returns to.
    pub revision: String,
    pub(super) since: Since,
}

impl Ecs {
    /// Says how deployments go: `service` is a glob over names, `what` one over `family:revision` and images.
    /// The rule added last counts first.
    pub fn script(&mut self, service: &str, what: &str, script: Script) {
        self.scripts.insert(0, Rule { service: service.into(), what: what.into(), script });
    }

    /// Says how one-off tasks go: a glob over `family:revision`, images and the space-joined command.
    pub fn task_script(&mut self, what: &str, script: TaskScript) {
        self.task_scripts.insert(0, TaskRule { what: what.into(), script });
    }

    /// A service that must exist.
    pub fn find(&mut self, cluster: &str, service: &str) -> &mut Service {
        let cluster = self.clusters.get_mut(cluster).expect("a known cluster");
        cluster.services.get_mut(service).expect("a known service")
    }

    /// A task definition by ARN, `family:revision` or family (its latest active revision).
    pub fn definition(&self, name: &str) -> Option<&TaskDefinition> {
        let name = name.rsplit_once("task-definition/").map_or(name, |(_, rest)| rest);
        let Some((family, revision)) = name.split_once(':') else {
            return self.task_definitions.get(name)?.iter().rfind(|definition| definition.active);
        };
        let revision: usize = revision.parse().ok()?;
        self.task_definitions.get(family)?.get(revision.checked_sub(1)?)
    }

    /// The images of a task definition, by container.
    pub fn images(&self, task_definition: &str) -> Vec<(String, String)> {
        let containers = self.definition(task_definition).map(|d| d.body["containerDefinitions"].clone());
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        let containers = containers.as_ref().and_then(Value::as_array);
        containers.into_iter().flatten().map(|c| (text(&c["name"]), text(&c["image"]))).collect()
    }

    fn script_for(&self, service: &str, task_definition: &str) -> Script {
        let images = self.images(task_definition);
        let name = short_name(task_definition);
        let fits = |what: &str| matches(what, name) || images.iter().any(|(_, image)| matches(what, image));
        let rule = self.scripts.iter().find(|rule| matches(&rule.service, service) && fits(&rule.what));
        rule.map_or_else(Script::default, |rule| rule.script.clone())
    }
}

/// `family:revision` of a task definition's ARN.
pub fn short_name(arn: &str) -> &str {
    arn.rsplit_once('/').map_or(arn, |(_, name)| name)
}

impl Service {
    /// The deployment that `DescribeServices` calls PRIMARY.
    pub fn primary(&self) -> Option<&Rollout> {
        self.rollouts.iter().rfind(|rollout| rollout.status == "PRIMARY")
    }

    /// The last deployment that ended well: what the service really serves.
    pub fn serving(&self) -> Option<&Rollout> {
        self.rollouts.iter().rfind(|rollout| rollout.rollout_state == "COMPLETED")
    }

    fn note(&mut self, id: String, at: Moment, message: String) {
        self.events.insert(0, Event { id, at, message });
    }
}

impl State {
    /// A stable service of one task running `image`, with family and container named like the service.
    pub fn service(&mut self, cluster: &str, service: &str, image: &str) -> &mut Service {
        let family = self.ecs.task_definitions.contains_key(service);
        let definition = if family {
            self.ecs.definition(service).expect("an active revision").arn.clone()
        } else {
            self.task_definition(service, &json!({ "containerDefinitions": [{ "name": service, "image": image }] }))
        };
        self.service_of(cluster, service, &definition, 1)
    }

    /// A stable service of an existing task definition.
    pub fn service_of(&mut self, cluster: &str, service: &str, definition: &str, desired: u32) -> &mut Service {
        let now = self.clock.now();
        let arn = self.aws.arn("ecs", &format!("service/{cluster}/{service}"));
        let made = Service {
            name: service.into(),
            cluster: cluster.into(),
            arn,
            status: "ACTIVE".into(),
            desired,
            task_definition: definition.to_owned(),
            settings: default_settings(),
            tags: json!([]),
            rollouts: Vec::new(),
            events: Vec::new(),
            created_at: now,
            stale_answers: false,
        };
        self.ecs.clusters.entry(cluster.into()).or_default().services.insert(service.into(), made);
        self.begin_rollout(cluster, service, definition, Some(Script::healthy(After::Polls(0))));
        self.tick(cluster, service, None);
        self.ecs.find(cluster, service)
    }

    /// A deployment of another revision that somebody made and that went well.
    pub fn deployed(&mut self, cluster: &str, service: &str, definition: &str) {
        self.begin_rollout(cluster, service, definition, Some(Script::healthy(After::Polls(0))));
        self.tick(cluster, service, None);
    }

    /// A deployment of another revision that somebody began.
    pub fn under_way(&mut self, cluster: &str, service: &str, definition: &str) {
        self.begin_rollout(cluster, service, definition, None);
        self.tick(cluster, service, None);
    }

    /// Registers a task definition from outside the API. Gives its ARN.
    pub fn task_definition(&mut self, family: &str, body: &Value) -> String {
        let mut body = body.clone();
        body["family"] = json!(family);
        task_definitions::register(self, &body).expect("a task definition")
    }

    /// Makes what the seed names.
    pub fn plant(&mut self) -> std::io::Result<()> {
        self.github.plant()?;
        self.images.plant();
        for seed in std::mem::take(&mut self.ecs.seeds) {
            if let Some(body) = &seed.task_definition {
                let family = body["family"].as_str().unwrap_or(&seed.service).to_owned();
                let arn = self.task_definition(&family, body);
                self.service_of(&seed.cluster, &seed.service, &arn, seed.desired_count.unwrap_or(1));
            } else {
                self.service(&seed.cluster, &seed.service, &seed.image).desired = seed.desired_count.unwrap_or(1);
            }
        }
        Ok(())
    }
}

fn default_settings() -> Map<String, Value> {
    let settings = json!({
        "launchType": "FARGATE",
        "platformVersion": "LATEST",
        "platformFamily": "Linux",
        "schedulingStrategy": "REPLICA",
        "deploymentController": { "type": "ECS" },
        "deploymentConfiguration": {
            "deploymentCircuitBreaker": { "enable": false, "rollback": false },
            "maximumPercent": 200,
            "minimumHealthyPercent": 100,
            "strategy": "ROLLING",
            "bakeTimeInMinutes": 0,
        },
        "networkConfiguration": { "awsvpcConfiguration": {
            "subnets": ["subnet-0a1b2c3d"], "securityGroups": ["sg-0a1b2c3d"], "assignPublicIp": "DISABLED",
        } },
        "loadBalancers": [],
        "serviceRegistries": [],
        "placementConstraints": [],
        "placementStrategy": [],
        "enableECSManagedTags": false,
        "enableExecuteCommand": false,
        "propagateTags": "NONE",
    });
    settings.as_object().cloned().unwrap_or_default()
}
