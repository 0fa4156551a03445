//! Purpose: whatever secret a command is given, nobody reads it in what the command says, stores or sends.
//!
//! The credentials of the world itself are watched by the world (`world/strays.rs`), in every test.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};

use landfall::commands::framework::Descriptor;
use serde_json::json;

use crate::matrix::{AT_ONCE, Call, LONGEST, PACE, healthy};
use crate::scenes::{SCENES, Scene, Set};
use crate::support::clock::time;
use crate::support::{Landfall, Outcome};
use crate::world::{Skin, World};

/// What is a secret in the scenes, whoever hands it out.
pub(crate) const WORLDS: [&str; 10] = [
    crate::world::github::TOKEN,
    crate::world::aws::STATIC_SECRET,
    "world/session/secret/",
    "world-session-token-",
    crate::world::ecr::PASSWORD,
    crate::scenes::REGISTRY_PASSWORD,
    "world-oidc-bearer",
    "ghp_companion",
    "s3cretslackwebhook",
    "hunter22",
];

/// Where a secret is the purpose: the credentials that `login` leaves for later steps, and the value that was asked for.
const MEANT: [(&str, &str); 4] =
    [("login", "AWS_SECRET_ACCESS_KEY"), ("login", "AWS_SESSION_TOKEN"), ("login", "config.json"), ("config", "db")];

fn is_meant(command: &str, place: &str) -> bool {
    MEANT.contains(&(command, place))
}

/// Every place in which a text of this run stands that somebody else can read, each with its name.
fn places(command: &str, outcome: &Outcome) -> Vec<(String, String)> {
    let said: Vec<&str> = outcome.raw.lines().filter(|line| !line.starts_with("::add-mask::")).collect();
    let mut places = vec![("log".to_owned(), said.join("\n")), ("summary".to_owned(), outcome.summary.clone())];
    let entries = outcome.outputs.iter().chain(&outcome.exported).chain(&outcome.state);
    places.extend(entries.filter(|(name, _)| !is_meant(command, name)).cloned());
    let mut files = Vec::new();
    walk(&outcome.workspace(), &mut files);
    walk(&outcome.temp(), &mut files);
    for file in files {
        let name = file.file_name().unwrap().to_string_lossy().into_owned();
        // The runner's own file commands have been read above, and the event is the runner's.
        let is_runners = file
            .parent()
            .is_some_and(|folder| folder.ends_with("_runner_file_commands") || folder.ends_with("_github_workflow"));
        if !is_runners && !is_meant(command, &name) {
            places.push((
                file.display().to_string(),
                String::from_utf8_lossy(&std::fs::read(&file).unwrap()).into_owned(),
            ));
        }
    }
    places
}

fn walk(folder: &Path, files: &mut Vec<PathBuf>) {
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            walk(&path, files);
        } else if path.is_file() {
            files.push(path);
        }
    }
}

fn leaks(command: &str, outcome: &Outcome, secrets: &[String]) -> Vec<String> {
    let places = places(command, outcome);
    let found = secrets.iter().flat_map(|secret| {
        places.iter().filter(move |(_, text)| text.contains(secret.as_str())).map(move |(place, text)| {
            let line = text.lines().find(|line| line.contains(secret.as_str())).unwrap();
            format!("{command}: {secret} in {place}: {line}")
        })
    });
    found.collect()
}

#[test]
fn what_the_worlds_give_is_neither_said_nor_stored() {
    let secrets = WORLDS.map(str::to_owned);
    let mut leaked = Vec::new();
    for scene in SCENES {
        let Set { world, step } = (scene.make)();
        let outcome = step.env("RUNNER_DEBUG", "1").envs(time(PACE, 0)).run();
        assert_eq!(outcome.code, Some(0), "{}: {}", scene.name, outcome.report());
        let command = scene.name.split(' ').next().unwrap();
        leaked.extend(leaks(command, &outcome, &secrets));
        leaked.extend(world.state().problems.clone());
        world.close();
    }
    assert!(leaked.is_empty(), "{}", leaked.join("\n"));
}

/// Whoever answers first may send us anywhere; what he sends us with is nobody's but his own.
#[test]
fn redirects_carry_no_credentials() {
    // Which credentials a registry gets depends on the call.
    let first_of_each = |scene: &'static Scene| {
        let mut met = BTreeSet::new();
        let calls = healthy(scene).calls.into_iter();
        let calls = calls.filter(move |call| call.skin == Skin::Registry || met.insert((call.skin, call.is_write())));
        calls.map(move |call| (scene, call)).collect::<Vec<(&Scene, Call)>>()
    };
    let work: Vec<(&Scene, Call)> = SCENES.iter().flat_map(first_of_each).collect();
    let (next, followed) = (AtomicUsize::new(0), AtomicUsize::new(0));
    std::thread::scope(|scope| {
        for _ in 0..AT_ONCE {
            scope.spawn(|| {
                while let Some((scene, call)) = work.get(next.fetch_add(1, Ordering::Relaxed)) {
                    followed.fetch_add(redirected(scene, call), Ordering::Relaxed);
                }
            });
        }
    });
    assert!(followed.into_inner() > 0, "nothing was followed, so nothing was tried");
}

/// Runs a scene of which one call is sent elsewhere; gives how often that was followed.
fn redirected(scene: &Scene, call: &Call) -> usize {
    let Set { world, step } = (scene.make)();
    // Our own hosts differ in their ports; for credentials that is another origin.
    let elsewhere = if call.skin == Skin::Health { world.webhook_url("json") } else { world.health_url("elsewhere") };
    let status = if call.is_write() { 307 } else { 302 };
    // A registry is asked without credentials first, to learn which it wants.
    let from = if call.skin == Skin::Registry { 2 } else { 1 };
    world.fault(call.fault().from(from).status(status).header("location", &elsewhere));
    let outcome = step.input("timeout", "1m").envs(time(PACE, 0)).patience(LONGEST).among_many().run();
    let problems = world.state().problems.clone();
    let strays: Vec<&String> = problems.iter().filter(|problem| problem.contains("credential")).collect();
    assert!(strays.is_empty(), "{} × {}: {strays:?}\n{}", scene.name, call.name(), outcome.report());
    let followed = world.requests(Skin::Health).iter().filter(|request| request.path.contains("elsewhere")).count();
    world.close();
    followed
}

/// What a value that was not hidden leaves behind, whatever escaped it.
const MARK: &str = "7f3a91c4";

/// A value in which Markdown, HTML, JSON and addresses would each escape something.
fn marked(input: &str) -> String {
    format!("{input}_<&\"/+%{MARK}")
}

fn secret_inputs(command: &Descriptor) -> Vec<(String, String)> {
    let secret = command.step_inputs().into_iter().filter(|input| input.secret);
    secret.map(|input| (input.name, input.kind)).collect()
}

/// Each alone, in every other input too: messages quote values, and a value may be given in the wrong place.
#[test]
fn what_a_workflow_gives_is_not_quoted() {
    let mut leaked = Vec::new();
    for command in landfall::commands::all() {
        let world = World::start_blocking();
        let inputs = secret_inputs(&command);
        assert!(!inputs.is_empty(), "{} takes not even a token", command.name);
        for (name, kind) in inputs {
            let mark = marked(&name);
            let given = if kind == "map" { format!("key={mark}") } else { mark.clone() };
            let plain = command.step_inputs().into_iter().filter(|input| !input.secret && input.name != "config");
            let mut wrong = Landfall::new(command.name).env("RUNNER_DEBUG", "1").envs(world.github_env());
            for input in plain.filter(|input| input.name != "log_level" && input.name != "summary") {
                wrong = wrong.input(&input.name, &mark);
            }
            let alone = Landfall::new(command.name)
                .env("RUNNER_DEBUG", "1")
                .env("DOCKER_HOST", "unix:///nowhere/docker.sock")
                .envs(world.github_env())
                .event("push", &json!({ "ref": mark, "head_commit": { "message": mark } }));
            for step in [wrong, alone] {
                let outcome = step.input(&name, &given).run();
                // Its end is the same however it is escaped.
                leaked.extend(leaks(command.name, &outcome, &[MARK.to_owned()]));
            }
        }
        world.close();
    }
    assert!(leaked.is_empty(), "{}", leaked.join("\n"));
}
