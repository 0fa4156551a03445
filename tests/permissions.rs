//! The table of permissions, held against what commands do in the fake world: nothing missing, nothing superfluous.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "tests are free to panic")]

#[path = "support/engine.rs"]
mod engine;
#[path = "permissions/images.rs"]
mod images;
mod support;
#[path = "permissions/talk.rs"]
mod talk;
mod world;

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use landfall::domain::permissions::{AWS, Access, GITHUB, Registry, Uses};
use serde_json::{Value, json};

use support::Landfall;
use world::ecs::{Cause, Script, TaskScript};
use world::github::TOKEN;
use world::github::actions::Run;
use world::ssm::Parameter;
use world::{Skin, World};

const HOST: &str = "123456789012.dkr.ecr.eu-central-1.amazonaws.com";
const SECRET: &str = "arn:aws:secretsmanager:eu-central-1:123456789012:secret:db-a1b2c3";

/// The prefix that IAM has for a skin's operations.
fn prefix(skin: Skin) -> Option<&'static str> {
    Some(match skin {
        Skin::Ecs => "ecs",
        Skin::Ecr => "ecr",
        Skin::Logs => "logs",
        Skin::Ssm => "ssm",
        Skin::Secrets => "secretsmanager",
        Skin::Elb => "elasticloadbalancing",
        Skin::Alarms => "cloudwatch",
        Skin::EcrPublic => "ecr-public",
        // Who we are may be asked without any permission, and a role is assumed by its trust policy.
        _ => return None,
    })
}

/// The action that ECR wants for a request of the registry's own protocol (AWS documentation, "Repository policies":
/// what pushing and pulling need). The world's registry stands in for ECR's, whose names lead nowhere here.
fn of_protocol(method: &str, path: &str) -> Option<&'static str> {
    let parts: Vec<&str> = path.split('/').collect();
    Some(match (method, parts.as_slice()) {
        ("GET" | "HEAD", [.., "manifests", _]) => "ecr:BatchGetImage",
        ("PUT", [.., "manifests", _]) => "ecr:PutImage",
        ("GET", [.., "blobs", _]) => "ecr:GetDownloadUrlForLayer",
        ("HEAD", [.., "blobs", _]) => "ecr:BatchCheckLayerAvailability",
        ("POST", [.., "uploads" | ""]) => "ecr:InitiateLayerUpload",
        ("PATCH", [.., "uploads", _]) => "ecr:UploadLayerPart",
        ("PUT", [.., "uploads", _]) => "ecr:CompleteLayerUpload",
        ("GET", [_, "v2", ..]) => return None,
        _ => panic!("which permission does {method} {path} need?"),
    })
}

/// Commands that read the workspace, and ask GitHub for nothing that lies in it.
const CHECKED_OUT: [&str; 3] = ["metrics", "doctor", "prune"];

/// The actions that a world recorded.
fn actions(world: &World) -> BTreeSet<String> {
    let state = world.state();
    let named = state.requests.iter().filter_map(|request| match request.skin {
        Skin::Registry => of_protocol(&request.method, &request.path).map(str::to_owned),
        skin => Some(format!("{}:{}", prefix(skin)?, request.target.clone()?)),
    });
    named.collect()
}

/// What shows in no request: AWS asks for it behind another, or only where a test cannot go.
const UNSEEN: [(&str, &str); 7] = [
    // Behind reading a parameter, registering a definition with tags, handing roles to tasks, and a token of public ECR.
    ("config", "kms:Decrypt"),
    ("deploy", "ecs:TagResource"),
    ("deploy", "iam:PassRole"),
    ("rollback", "iam:PassRole"),
    ("login", "sts:GetServiceBearerToken"),
    // A base image in ECR that the builder does not have yet.
    ("build", "ecr:GetDownloadUrlForLayer"),
    // The engine checks the layers of an image that it puts together from another's.
    ("merge", "ecr:BatchCheckLayerAvailability"),
];

/// The scope that a request to GitHub's API needs (GitHub documentation, "permissions required for GitHub Apps").
fn scope(method: &str, path: &str) -> Option<(&'static str, Access)> {
    let rest: Vec<&str> = path.trim_start_matches('/').split('/').collect();
    let access = if method == "GET" { Access::Read } else { Access::Write };
    let scope = match rest.as_slice() {
        ["rate_limit" | "user" | "users" | "graphql", ..] | ["repos", _, _] => return None,
        ["orgs", _, "packages", ..] => "packages",
        ["repos", _, _, "actions", ..] => "actions",
        // Every token may ask what somebody may do.
        ["repos", _, _, "collaborators", ..] => return None,
        ["repos", _, _, "pulls" | "issues", ..] | ["repos", _, _, "commits", _, "pulls"] => "pull-requests",
        ["repos", _, _, "statuses", ..] | ["repos", _, _, "commits", _, "status" | "statuses"] => "statuses",
        ["repos", _, _, "dispatches"] => "contents",
        ["repos", _, _, "git" | "activity" | "commits" | "branches" | "contents" | "tarball" | "compare", ..] => {
            "contents"
        }
        _ => panic!("which permission does {method} {path} need?"),
    };
    Some((scope, access))
}

fn scopes(world: &World) -> BTreeMap<&'static str, Access> {
    let mut found = BTreeMap::new();
    for request in world.requests(Skin::Github) {
        if let Some((scope, access)) = scope(&request.method, &request.path) {
            let known = found.entry(scope).or_insert(access);
            *known = access.max(*known);
        }
    }
    found
}

/// One way in which a command is used, and what it did.
struct Scenario {
    with: Vec<&'static str>,
    registries: Vec<Registry>,
    world: World,
}

impl Scenario {
    fn uses(&self, command: &str) -> Uses {
        Uses {
            commands: vec![command.to_owned()],
            with: self.with.iter().map(|input| (*input).to_owned()).collect(),
            registries: self.registries.clone(),
            assumes_role: false,
        }
    }
}

/// Holds the table against scenarios of one command.
fn hold(command: &str, scenarios: Vec<Scenario>) {
    let mut done = BTreeSet::new();
    let mut asked: BTreeMap<&str, Access> = BTreeMap::new();
    for scenario in scenarios {
        let uses = scenario.uses(command);
        let allowed: BTreeSet<&str> = uses.aws().map(|need| need.action).collect();
        for action in actions(&scenario.world) {
            let known = allowed.contains(action.as_str());
            assert!(known, "{command} with {:?} does {action}, which the table does not allow", scenario.with);
            done.insert(action);
        }
        let granted: BTreeMap<&str, Access> = uses.github().into_iter().collect();
        for (scope, access) in scopes(&scenario.world) {
            let enough = granted.get(scope).is_some_and(|granted| *granted >= access);
            assert!(enough, "{command} with {:?} needs {scope}: {}", scenario.with, access.as_str());
            let known = asked.entry(scope).or_insert(access);
            *known = access.max(*known);
        }
        scenario.world.explain_writes();
        scenario.world.finish();
    }
    let needs = AWS.iter().filter(|need| need.commands.contains(&command));
    let needs = needs.map(|need| need.action).filter(|action| !UNSEEN.contains(&(command, action)));
    let superfluous: Vec<&str> = needs.filter(|action| !done.contains(*action)).collect();
    assert!(superfluous.is_empty(), "{command} never does {superfluous:?}");
    // Packages are asked for by the registry's own protocol; the config and what else lies in the workspace is brought by
    // a step of the same job, which needs `contents: read`.
    let is_seen = |scope: &str| scope != "packages" && (scope != "contents" || !CHECKED_OUT.contains(&command));
    let needs = GITHUB.iter().filter(|need| need.command == command && is_seen(need.scope));
    let superfluous: Vec<&str> = needs
        .filter(|need| asked.get(need.scope).is_none_or(|access| *access < need.access))
        .map(|n| n.scope)
        .collect();
    assert!(superfluous.is_empty(), "{command} never asks for {superfluous:?}");
}

fn definition(image: &str, secrets: &[Value]) -> Value {
    json!({
        "family": "web", "networkMode": "awsvpc", "requiresCompatibilities": ["FARGATE"], "cpu": "256", "memory": "512",
        "containerDefinitions": [{
            "name": "web", "image": image, "secrets": secrets,
            "logConfiguration": { "logDriver": "awslogs", "options": {
                "awslogs-group": "/ecs/web", "awslogs-region": "eu-central-1", "awslogs-stream-prefix": "web" } },
        }],
    })
}

/// A world with service `web` in cluster `prod`, whose images are in ECR.
fn web() -> World {
    let world = World::start_blocking();
    {
        let mut state = world.state();
        state.logs.group("/ecs/web");
        for tag in ["1", "2", "bad"] {
            state.images.image(&format!("web:{tag}"));
        }
        let arn = state.task_definition("web", &definition(&format!("{HOST}/web:1"), &[]));
        state.service_of("prod", "web", &arn, 1);
    }
    world.explain_writes();
    world
}

fn deploying(with: Vec<&'static str>, inputs: &[(&str, &str)], prepare: impl Fn(&World)) -> Scenario {
    let world = web();
    prepare(&world);
    Landfall::new("deploy")
        .envs(world.aws_env())
        .inputs(&[
            ("cluster", "prod"),
            ("service", "web"),
            ("poll_interval", "50ms"),
            ("image", &format!("{HOST}/web:2")),
        ])
        .inputs(inputs)
        .run();
    Scenario { with, registries: vec![Registry::Ecr], world }
}

#[test]
fn deploy_does_what_the_table_says() {
    let nothing = |_: &World| {};
    let bad = format!("{HOST}/web:bad");
    hold(
        "deploy",
        vec![
            deploying(vec![], &[("secrets", &format!("DB={SECRET}\nKEY=/web/key"))], |world| {
                let parameter = Parameter { value: "x".into(), kind: "SecureString".into(), version: 1 };
                world.state().parameters.0.insert("/web/key".into(), parameter);
                world.state().secrets.0.insert("db".into());
            }),
            deploying(vec![], &[("image", &bad)], |world| {
                let cause = Cause::exit(1).logging(&["fatal"]);
                world.state().ecs.script("web", &format!("{HOST}/web:bad"), Script::failing(cause));
            }),
            deploying(vec!["migrate"], &[("migrate", "pnpm migrate")], |world| {
                world.state().ecs.task_script("*migrate*", TaskScript::exits(0).logging(&["done"]));
            }),
            deploying(vec!["migrate"], &[("migrate", "pnpm migrate"), ("migrate_timeout", "1s")], |world| {
                world.state().ecs.task_script("*migrate*", TaskScript::hangs());
            }),
            deploying(vec!["keep_revisions"], &[("keep_revisions", "1")], |world| {
                let body = definition(&format!("{HOST}/web:2"), &[]);
                world.state().task_definition("web", &body);
                world.state().task_definition("web", &definition(&format!("{HOST}/web:1"), &[]));
                world.state().task_definition("web", &body);
            }),
            deploying(vec!["ssm_parameters"], &[("ssm_parameters", "/web/image={image}")], nothing),
            deploying(vec![], &[("image", &bad)], |world| behind_a_load_balancer(world, "bad")),
            deploying(vec![], &[("image", &bad)], |world| watched_by_an_alarm(world, "bad")),
        ],
    );
}

/// The image of this tag never answers the load balancer.
fn behind_a_load_balancer(world: &World, tag: &str) {
    const GROUP: &str = "arn:aws:elasticloadbalancing:eu-central-1:123456789012:targetgroup/web/0a1b2c3d";
    let mut state = world.state();
    let settings = &mut state.ecs.find("prod", "web").settings;
    settings["loadBalancers"] = json!([{ "targetGroupArn": GROUP, "containerName": "web", "containerPort": 80 }]);
    state.targets.0.insert(GROUP.into(), vec![]);
    state.ecs.script("web", &format!("{HOST}/web:{tag}"), Script::failing(Cause::target_unhealthy(GROUP)));
}

/// The image of this tag makes an alarm fire.
fn watched_by_an_alarm(world: &World, tag: &str) {
    let mut state = world.state();
    let settings = &mut state.ecs.find("prod", "web").settings;
    settings["deploymentConfiguration"]["alarms"] =
        json!({ "enable": true, "rollback": true, "alarmNames": ["errors"] });
    state.alarms.0.insert("errors".into(), "Threshold Crossed".into());
    state.ecs.script("web", &format!("{HOST}/web:{tag}"), Script::alarm("errors"));
}

/// Revision 1 worked, revision 2 is deployed.
fn rolling_back(inputs: &[(&str, &str)], prepare: impl Fn(&World)) -> Scenario {
    let world = web();
    {
        let mut state = world.state();
        let arn = state.task_definition("web", &definition(&format!("{HOST}/web:2"), &[]));
        state.deployed("prod", "web", &arn);
    }
    prepare(&world);
    world.explain_writes();
    Landfall::new("rollback")
        .envs(world.aws_env())
        .inputs(&[("cluster", "prod"), ("service", "web"), ("poll_interval", "50ms")])
        .inputs(inputs)
        .run();
    Scenario { with: vec![], registries: vec![Registry::Ecr], world }
}

#[test]
fn rollback_does_what_the_table_says() {
    let fails = |world: &World| {
        let cause = Cause::exit(1).logging(&["fatal"]);
        world.state().ecs.script("web", &format!("{HOST}/web:1"), Script::failing(cause));
    };
    // A deployment under way is stopped.
    let under_way = |world: &World| {
        world.state().ecs.script("web", &format!("{HOST}/web:bad"), Script::never_stable());
        let deploy = Landfall::new("deploy").envs(world.aws_env());
        let inputs =
            [("cluster", "prod"), ("service", "web"), ("image", &format!("{HOST}/web:bad")), ("wait", "false")];
        deploy.inputs(&inputs).run().succeeded();
        world.state().requests.clear();
    };
    hold(
        "rollback",
        vec![
            rolling_back(&[], |_| {}),
            rolling_back(&[("list", "true")], |_| {}),
            rolling_back(&[], fails),
            rolling_back(&[], under_way),
            rolling_back(&[], |world| behind_a_load_balancer(world, "1")),
            rolling_back(&[], |world| watched_by_an_alarm(world, "1")),
        ],
    );
}

#[test]
fn config_does_what_the_table_says() {
    let world = World::start_blocking();
    let parameter = Parameter { value: "hunter22".into(), kind: "SecureString".into(), version: 1 };
    world.state().parameters.0.insert("/db".into(), parameter);
    let config = "environments: {production: {branches: [main], aws_region: eu-central-1, db: 'ssm:/db'}}";
    Landfall::new("config").file(".github/landfall.yml", config).envs(world.env()).run().succeeded();
    hold("config", vec![Scenario { with: vec!["ssm"], registries: vec![], world }]);
}

fn resolving(with: Vec<&'static str>, inputs: &[(&str, &str)]) -> Scenario {
    let world = World::start_blocking();
    {
        let mut state = world.state();
        state.github.repository("acme/app").commit("main", &[("README", "app")]);
        state.github.repository("acme/dashboard").commit("main", &[("go.mod", "module dashboard\n")]);
        state.github.grant(TOKEN, "acme/dashboard", world::github::Access::Write);
        state.images.repository("dashboard");
        state.github.actions("acme/dashboard").workflow("build.yml");
    }
    Landfall::new("resolve")
        .token(TOKEN)
        .envs(world.env())
        .event("push", &json!({ "ref": "refs/heads/main", "after": support::SHA }))
        .inputs(&[("registry", HOST), ("repository", "dashboard"), ("companion", "acme/dashboard")])
        .inputs(inputs)
        .run();
    Scenario { with, registries: vec![Registry::Ecr], world }
}

#[test]
fn resolve_does_what_the_table_says() {
    let dispatch = [("strategy", "dispatch"), ("workflow", "build.yml"), ("poll_interval", "50ms")];
    hold("resolve", vec![resolving(vec![], &[]), resolving(vec!["workflow"], &dispatch)]);
}

#[test]
fn metrics_does_what_the_table_says() {
    let world = World::start_blocking();
    {
        let mut state = world.state();
        state.github.repository("acme/app").commit("main", &[("README", "app")]);
        let start = world::clock::Moment::from_second(1_750_000_000);
        let run = Run::ended("push", "main", support::SHA, "success", start, Duration::from_secs(60));
        state.github.actions("acme/app").add(run);
    }
    world.state().images.image("web:1");
    world.explain_writes();
    Landfall::new("metrics")
        .token(TOKEN)
        .envs(world.env())
        .inputs(&[("since", "36500d"), ("images", &format!("{HOST}/web"))])
        .run()
        .succeeded();
    hold("metrics", vec![Scenario { with: vec![], registries: vec![Registry::Ecr], world }]);
}

/// A command that joins the house brings its scenarios along.
#[test]
fn every_command_is_held() {
    let sources =
        [include_str!("permissions.rs"), include_str!("permissions/images.rs"), include_str!("permissions/talk.rs")];
    let sources = sources.concat();
    let held = |name: &str| {
        sources.contains(&format!("hold(\"{name}\"")) || sources.contains(&format!("hold(\n        \"{name}\""))
    };
    let left: Vec<&str> =
        landfall::commands::all().iter().map(|command| command.name).filter(|name| !held(name)).collect();
    // They speak to a webhook, to Tailscale; the comment of a Terraform plan is `tests/terraform.rs`'s.
    assert_eq!(left, ["notify", "tailscale", "terraform"]);
}

/// Calls that the sources make and no scenario here reaches must stand in the table all the same.
#[test]
fn every_call_in_the_sources_is_in_the_table() {
    let mut missing = BTreeSet::new();
    let mut open = vec![std::path::PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/src"))];
    while let Some(folder) = open.pop() {
        for entry in std::fs::read_dir(folder).unwrap().flatten() {
            let path = entry.path();
            if path.is_dir() {
                open.push(path);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                let text = std::fs::read_to_string(&path).unwrap();
                let code = text.split("#[cfg(test)]\nmod ").next().unwrap();
                for action in calls(code) {
                    let service = action.split(':').next().unwrap_or_default();
                    let known = AWS.iter().any(|need| need.action == action);
                    if !known && !["sts", "aws"].contains(&service) && !path.ends_with("tests.rs") {
                        missing.insert(format!("{action} ({})", path.display()));
                    }
                }
            }
        }
    }
    assert!(missing.is_empty(), "not in the table: {missing:#?}");
}

/// `Call::new("ecs", "UpdateService", …)` and `service: JsonService::Ssm, operation: "GetParameters"`.
fn calls(code: &str) -> Vec<String> {
    let mut found = Vec::new();
    for rest in code.split("Call::new(\"").skip(1) {
        let words: Vec<&str> = rest.splitn(4, '"').collect();
        // A name that is not written out here is written out where it is handed in.
        if let [service, ", ", operation, _] = words.as_slice() {
            found.push(format!("{service}:{operation}"));
        }
    }
    for rest in code.split("service: JsonService::").skip(1) {
        let (service, rest) = rest.split_once(',').unwrap_or_default();
        let operation = rest.trim_start().strip_prefix("operation: \"").and_then(|rest| rest.split('"').next());
        let service = if service == "EcrPublic" { "ecr-public".to_owned() } else { service.to_lowercase() };
        found.extend(operation.map(|operation| format!("{service}:{operation}")));
    }
    found
}
