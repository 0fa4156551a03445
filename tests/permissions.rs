//! The table of permissions, held against what commands do in the fake world: nothing missing, nothing superfluous.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "tests are free to panic")]

mod support;
mod world;

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use landfall::domain::permissions::{AWS, Access, GITHUB, Registry, Shows, Uses};
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
        // Who we are may be asked without any permission, and a role is assumed by its trust policy.
        _ => return None,
    })
}

/// The actions that a world recorded.
fn actions(world: &World) -> BTreeSet<String> {
    let state = world.state();
    let named = state.requests.iter().filter_map(|request| Some((prefix(request.skin)?, request.target.clone()?)));
    named.map(|(prefix, operation)| format!("{prefix}:{operation}")).collect()
}

/// The scope that a request to GitHub's API needs (GitHub documentation, "permissions required for GitHub Apps").
fn scope(method: &str, path: &str) -> Option<(&'static str, Access)> {
    let rest: Vec<&str> = path.trim_start_matches('/').split('/').collect();
    let access = if method == "GET" { Access::Read } else { Access::Write };
    let scope = match rest.as_slice() {
        ["rate_limit" | "user" | "users", ..] | ["repos", _, _] => return None,
        ["orgs", _, "packages", ..] => "packages",
        ["repos", _, _, "actions", ..] => "actions",
        ["repos", _, _, "pulls" | "collaborators", ..] => "pull-requests",
        ["repos", _, _, "issues", ..] => "pull-requests",
        ["repos", _, _, "statuses", ..] => "statuses",
        ["repos", _, _, "git" | "commits" | "branches" | "contents" | "tarball" | "compare", ..] => "contents",
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
    let needs = AWS.iter().filter(|need| need.command == command && need.shows == Shows::Call);
    let superfluous: Vec<&str> = needs.map(|need| need.action).filter(|action| !done.contains(*action)).collect();
    assert!(superfluous.is_empty(), "{command} never does {superfluous:?}");
    // Packages are asked for by the registry's own protocol.
    let needs = GITHUB.iter().filter(|need| need.command == command && need.scope != "packages");
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

/// Which questions it asks depends on the ladder; that it asks none but those of the table does not.
#[test]
fn resolve_asks_nothing_but_what_the_table_says() {
    let scenario = resolving(vec![], &[]);
    let uses = scenario.uses("resolve");
    assert!(actions(&scenario.world).contains("ecr:DescribeImages"));
    let allowed: BTreeSet<&str> = uses.aws().map(|need| need.action).collect();
    assert!(actions(&scenario.world).iter().all(|action| allowed.contains(action.as_str())));
    let granted: BTreeMap<&str, Access> = uses.github().into_iter().collect();
    assert!(scopes(&scenario.world).iter().all(|(scope, access)| granted.get(scope).is_some_and(|g| g >= access)));
    scenario.world.explain_writes();
    scenario.world.finish();
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
    Landfall::new("metrics").token(TOKEN).envs(world.env()).input("since", "36500d").run().succeeded();
    let found = scopes(&world);
    assert_eq!(found.into_iter().collect::<Vec<_>>(), [("actions", Access::Read)]);
    world.finish();
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
