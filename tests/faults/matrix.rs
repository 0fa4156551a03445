//! Purpose: runs every scene under every fault at every call, and holds what happened against the rules.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use regex::Regex;

use crate::rules::{self, Class, Depth, EXCEPTIONS, KINDS, Kind, REPEATABLE, Strike, TRUE_ANYWAY};
use crate::scenes::{SCENES, Scene, Set};
use crate::secrets::WORLDS;
use crate::support::Outcome;
use crate::support::clock::time;
use crate::world::faults::matches;
use crate::world::http::Door;
use crate::world::{Fault, Recorded, Skin, World};
use crate::{table, wire};

/// Seconds of the program per second of ours.
pub(crate) const PACE: u32 = 10;
/// Cells that run at the same time: most of them wait.
pub(crate) const AT_ONCE: usize = 10;
/// No cell takes longer, whatever its upstream does.
pub(crate) const LONGEST: Duration = Duration::from_secs(45);

/// A request of the healthy run, in the form in which it comes again.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Call {
    pub(crate) skin: Skin,
    pub(crate) method: String,
    /// Glob over the path; the operation for AWS.
    pub(crate) what: String,
    /// Whether its answer has a body at all.
    pub(crate) has_body: bool,
}

impl Call {
    fn of(request: &Recorded) -> Self {
        let varying =
            Regex::new(r"^(\d+|(sha256[:-])?[0-9a-f]{7,}(\.\.\.[0-9a-f]{7,})?|[\w-]*\d{6,}[\w-]*|upload-.*)$").unwrap();
        let segment = |segment: &str| if varying.is_match(segment) { "*".to_owned() } else { segment.to_owned() };
        let path = request.path.split('/').map(segment).collect::<Vec<_>>().join("/");
        Self {
            skin: request.skin,
            method: request.method.clone(),
            what: request.target.clone().unwrap_or(path),
            has_body: request.answered > 0 && request.method != "HEAD",
        }
    }

    /// As the table has it.
    pub(crate) fn name(&self) -> String {
        if rules::is_aws(self.skin) { self.what.clone() } else { format!("{} {}", self.method, self.what) }
    }

    pub(crate) fn upstream(&self) -> &'static str {
        match self.skin {
            Skin::Registry if self.what == "/token" => "registry's token service",
            skin => upstream(skin),
        }
    }

    /// The client of ours that makes the call.
    fn client(&self) -> &'static str {
        if rules::is_aws(self.skin) { "AWS" } else { self.upstream() }
    }

    /// A fault that strikes this call.
    pub(crate) fn fault(&self) -> Fault {
        let fault = Fault::on(self.skin).optional();
        if rules::is_aws(self.skin) { fault.target(&self.what) } else { fault.method(&self.method).path(&self.what) }
    }

    pub(crate) fn is_write(&self) -> bool {
        let reads = ["Get", "List", "Describe", "Batch", "AssumeRole"];
        match rules::is_aws(self.skin) {
            true => !reads.iter().any(|read| self.what.starts_with(read)) || self.what == "BatchDeleteImage",
            false => !matches!(self.method.as_str(), "GET" | "HEAD"),
        }
    }
}

fn upstream(skin: Skin) -> &'static str {
    match skin {
        Skin::Github => "GitHub",
        Skin::Codeload => "GitHub's archives",
        Skin::Oidc => "OIDC tokens",
        Skin::Sts => "STS",
        Skin::Ecs => "ECS",
        Skin::Ecr => "ECR",
        Skin::EcrPublic => "ECR Public",
        Skin::Logs => "CloudWatch Logs",
        Skin::Ssm => "SSM",
        Skin::Secrets => "Secrets Manager",
        Skin::Elb => "load balancing",
        Skin::Alarms => "CloudWatch",
        Skin::Aws => "AWS",
        Skin::Registry => "registry",
        Skin::Health => "health page",
        Skin::Webhook => "webhook",
        Skin::Results => "artifact service",
        Skin::Blobs => "artifact storage",
        Skin::Control => "the world",
    }
}

/// Words of which a person learns who it was; one of them must be there.
fn words(call: &Call, world: &World) -> Vec<String> {
    let words: &[&str] = match call.skin {
        Skin::Github => &["GitHub", "github"],
        Skin::Codeload => &["GitHub", "archive"],
        Skin::Oidc => &["OIDC", "id-token"],
        Skin::Sts => &["sts:", "STS", "role"],
        Skin::Ecs => &["ecs:"],
        Skin::Ecr => &["ecr:", "ECR"],
        Skin::EcrPublic => &["ecr-public:", "public.ecr.aws"],
        Skin::Logs => &["logs:"],
        Skin::Ssm => &["ssm:"],
        Skin::Elb => &["elasticloadbalancing:"],
        Skin::Alarms => &["cloudwatch:"],
        Skin::Health => &["health"],
        Skin::Results | Skin::Blobs => &["artifact", "/blob/"],
        _ => &[],
    };
    let mut words: Vec<String> = words.iter().map(|word| (*word).to_owned()).collect();
    let addresses = world.addresses();
    words.extend(door(call.skin).map(|door| addresses[&door].to_string()));
    words
}

fn door(skin: Skin) -> Option<Door> {
    match skin {
        Skin::Github => Some(Door::Github),
        Skin::Oidc => Some(Door::Oidc),
        Skin::Registry => Some(Door::Registry),
        Skin::Health => Some(Door::Health),
        Skin::Webhook => Some(Door::Webhook),
        Skin::Results => Some(Door::Results),
        _ => None,
    }
}

/// The SDK's variable for one service's address (AWS SDKs reference guide, "service-specific endpoints").
fn endpoint_variable(skin: Skin) -> Option<&'static str> {
    match skin {
        Skin::Sts => Some("AWS_ENDPOINT_URL_STS"),
        Skin::Ecs => Some("AWS_ENDPOINT_URL_ECS"),
        Skin::Ecr => Some("AWS_ENDPOINT_URL_ECR"),
        Skin::EcrPublic => Some("AWS_ENDPOINT_URL_ECR_PUBLIC"),
        Skin::Logs => Some("AWS_ENDPOINT_URL_CLOUDWATCH_LOGS"),
        Skin::Ssm => Some("AWS_ENDPOINT_URL_SSM"),
        Skin::Elb => Some("AWS_ENDPOINT_URL_ELASTIC_LOAD_BALANCING_V2"),
        Skin::Alarms => Some("AWS_ENDPOINT_URL_CLOUDWATCH"),
        _ => None,
    }
}

/// The step with the fault; nothing when the upstream's address cannot be another.
fn struck(set: Set, call: &Call, kind: &Kind) -> Option<Set> {
    let Set { world, step } = set;
    let address = match kind.strike {
        Strike::Answer(strike) => {
            world.fault(strike(call.fault()));
            return Some(Set { step: step.envs(time(PACE, 0)), world });
        }
        Strike::Clock(ahead) => {
            world.state().aws.strict_clock = true;
            return Some(Set { step: step.envs(time(PACE, ahead)), world });
        }
        Strike::Refused => wire::REFUSING.to_owned(),
        Strike::UnknownName => wire::UNKNOWN_NAME.to_owned(),
        Strike::Untrusted => format!("localhost:{}", wire::untrusted().port()),
    };
    let scheme = if matches!(kind.strike, Strike::Untrusted) { "https" } else { "http" };
    let step = match (endpoint_variable(call.skin), door(call.skin)) {
        (Some(variable), _) => step.env(variable, format!("{scheme}://{address}")),
        // On this machine registries are spoken to without TLS.
        (None, Some(Door::Registry)) if scheme == "https" => {
            world.close();
            return None;
        }
        (None, Some(door)) => {
            let old = world.addresses()[&door].to_string();
            step.readdressed(&format!("http://{old}"), &format!("{scheme}://{address}")).readdressed(&old, &address)
        }
        (None, None) => {
            world.close();
            return None;
        }
    };
    Some(Set { step: step.envs(time(PACE, 0)), world })
}

/// What a cell of the table shows.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Ending {
    pub(crate) code: i32,
    pub(crate) reason: String,
}

/// What became of a cell.
pub(crate) struct Cell {
    pub(crate) call: Call,
    pub(crate) kind: &'static Kind,
    pub(crate) ending: Ending,
    pub(crate) wrong: Vec<String>,
}

/// What the healthy run did.
pub(crate) struct Healthy {
    pub(crate) calls: Vec<Call>,
    writes: Vec<String>,
    reason: String,
}

pub(crate) fn healthy(scene: &Scene) -> Healthy {
    let Set { world, step } = (scene.make)();
    let outcome = step.envs(time(PACE, 0)).run();
    assert_eq!(outcome.code, Some(0), "{} without faults: {}", scene.name, outcome.report());
    let mut calls: Vec<Call> = Vec::new();
    for request in world.state().requests.iter().map(Call::of) {
        match calls
            .iter_mut()
            .find(|call| (call.skin, &call.method, &call.what) == (request.skin, &request.method, &request.what))
        {
            Some(known) => known.has_body |= request.has_body,
            None => calls.push(request),
        }
    }
    // Requests of one moment have no order; the table needs one.
    calls.sort();
    let writes = world.take_writes();
    world.finish();
    Healthy { calls, writes, reason: outcome.output("reason").to_owned() }
}

/// `met` are the clients that an earlier scene of the command has tried.
fn cells(calls: &[Call], met_clients: &mut BTreeSet<&'static str>) -> Vec<(Call, &'static Kind)> {
    let mut met = BTreeSet::new();
    let mut cells = Vec::new();
    for call in calls {
        let mut reach = Depth::Calls;
        if call.is_write() {
            reach = Depth::Writes;
        }
        if met.insert(call.upstream()) {
            reach = Depth::Upstream;
        }
        if met_clients.insert(call.client()) {
            reach = Depth::Client;
        }
        let kinds = KINDS.iter().filter(|kind| rules::applies(kind, call.skin) && kind.depth >= reach);
        cells.extend(kinds.map(|kind| (call.clone(), kind)));
    }
    cells
}

fn run_cell(scene: &Scene, healthy: &Healthy, call: Call, kind: &'static Kind) -> Option<Cell> {
    let mut set = struck((scene.make)(), &call, kind)?;
    if kind.class == Class::Endless {
        set.step = set.step.input("timeout", "100s");
    }
    let words = words(&call, &set.world);
    let outcome = set.step.patience(LONGEST).among_many().run();
    let ending = Ending { code: outcome.code.unwrap_or(-1), reason: outcome.output("reason").to_owned() };
    let mut wrong = Vec::new();
    if let Some(text) = dishonest(scene, &call, kind, &ending) {
        wrong.push(text);
    }
    wrong.extend(untold(&outcome, &words, &call, kind));
    wrong.extend(overdone(&set.world, scene, healthy));
    if ending.code == 0 && ending.reason == healthy.reason && !is_excepted(scene, &call, kind, &ending) {
        wrong.extend(undone(&set.world, healthy));
    }
    wrong.extend(claims(scene, &outcome));
    wrong.extend(leaks(&outcome));
    set.world.explain_writes();
    wrong.extend(set.world.unexplained());
    if !wrong.is_empty() {
        wrong.push(outcome.report());
    }
    set.world.close();
    Some(Cell { call, kind, ending, wrong })
}

fn dishonest(scene: &Scene, call: &Call, kind: &Kind, ending: &Ending) -> Option<String> {
    // Where there is no body, none can be cut, nor be anything that it is not.
    let is_moot = !call.has_body && kind.name.contains("body") && ending.code == 0;
    let excepted = is_excepted(scene, call, kind, ending);
    let codes = rules::honest(kind.class, call.is_write());
    let is_fine = is_moot || excepted || codes.contains(&ending.code);
    (!is_fine).then(|| format!("exit {} {}, where {codes:?} would be honest", ending.code, ending.reason))
}

fn is_excepted(scene: &Scene, call: &Call, kind: &Kind, ending: &Ending) -> bool {
    EXCEPTIONS.iter().any(|exception| {
        scene.name.starts_with(exception.scene)
            && matches(exception.call, &call.name())
            && exception.classes.contains(&kind.class)
            && exception.codes.contains(&ending.code)
    })
}

/// One annotation that names the upstream and says what to do.
fn untold(outcome: &Outcome, words: &[String], call: &Call, kind: &Kind) -> Vec<String> {
    let errors = outcome.annotations("error");
    if outcome.code == Some(0) {
        return errors.iter().map(|error| format!("an error annotation, and exit code 0: {}", error.message)).collect();
    }
    let [error] = errors.as_slice() else {
        return vec![format!("{} error annotations", errors.len())];
    };
    // A wrong input and a gate that says no name their own subject.
    if matches!(outcome.code, Some(2 | 3)) {
        return Vec::new();
    }
    let mut wrong = Vec::new();
    let said = format!("{}: {}", error.title, error.message);
    let readdressed = !matches!(kind.strike, Strike::Answer(_) | Strike::Clock(_));
    let names = words.iter().any(|word| said.contains(word.as_str()))
        || (readdressed
            && ["127.0.0.1:", "localhost:", "landfall-test.invalid"].iter().any(|word| said.contains(word)));
    // Whichever of AWS's services minds first: what helps is the clock.
    let names = names || kind.class == Class::Skew && said.contains("clock");
    if !names {
        wrong.push(format!("{} is not named: {said}", call.upstream()));
    }
    if !error.message.contains(". ") && !outcome.summary.contains("\n- ") {
        wrong.push(format!("no word on what to do: {said}"));
    }
    if outcome.output("result") != "failure" {
        wrong.push(format!("result={}", outcome.output("result")));
    }
    wrong
}

/// Nothing is written that the healthy run does not write, nor more often.
fn overdone(world: &World, scene: &Scene, healthy: &Healthy) -> Vec<String> {
    let may = counted(&healthy.writes);
    let did = counted(&world.state().writes);
    did.iter()
        .filter(|(write, times)| *times > may.get(*write).unwrap_or(&0))
        .filter(|(write, _)| !scene.recovery.iter().chain(REPEATABLE).any(|start| write.starts_with(start)))
        .map(|(write, times)| format!("written {times} times: {write}"))
        .collect()
}

/// Whoever says that all is done has done all.
fn undone(world: &World, healthy: &Healthy) -> Option<String> {
    let (may, did) = (counted(&healthy.writes), counted(&world.state().writes));
    (did.len() < may.len()).then(|| format!("it says that all is done, and did {did:?} of {may:?}"))
}

fn counted(writes: &[String]) -> BTreeMap<String, usize> {
    writes.iter().fold(BTreeMap::new(), |mut counts, write| {
        *counts.entry(shape(write)).or_insert(0) += 1;
        counts
    })
}

/// A write without what differs between two runs.
fn shape(write: &str) -> String {
    Regex::new(r"[0-9a-f]{16,}|\b\d{3,}\b").unwrap().replace_all(write, "*").into_owned()
}

/// No output says that a failed run's work was done.
fn claims(scene: &Scene, outcome: &Outcome) -> Vec<String> {
    if outcome.code == Some(0) {
        return Vec::new();
    }
    let claims =
        [("passed", "true"), ("sent", "true"), ("status", "deployed"), ("status", "unchanged"), ("valid", "true")];
    claims
        .iter()
        .filter(|(name, value)| outcome.output(name) == *value)
        .filter(|(name, _)| !TRUE_ANYWAY.contains(&(scene.name, *name)))
        .map(|(name, value)| format!("it failed, and says {name}={value}"))
        .collect()
}

fn leaks(outcome: &Outcome) -> Vec<String> {
    let shown: Vec<&str> = outcome.raw.lines().filter(|line| !line.starts_with("::add-mask::")).collect();
    let (log, summary) = (shown.join("\n"), &outcome.summary);
    let told = |secret: &str| {
        log.contains(secret)
            || summary.contains(secret)
            || outcome.outputs.iter().any(|(name, value)| name != "db" && value.contains(secret))
    };
    WORLDS.iter().filter(|secret| told(secret)).map(|secret| format!("the secret {secret} is shown")).collect()
}

/// All scenes of a command, side by side.
fn run_command(command: &str) {
    let scenes: Vec<&Scene> = SCENES.iter().filter(|scene| scene.name.split(' ').next() == Some(command)).collect();
    assert!(!scenes.is_empty(), "no scene of {command}");
    let (mut ran, mut met) = (Vec::new(), BTreeSet::new());
    for scene in scenes {
        let healthy = healthy(scene);
        let cells = cells(&healthy.calls, &mut met);
        let (next, done) = (AtomicUsize::new(0), Mutex::new(Vec::new()));
        std::thread::scope(|scope| {
            for _ in 0..AT_ONCE {
                scope.spawn(|| {
                    while let Some((call, kind)) = cells.get(next.fetch_add(1, Ordering::Relaxed)) {
                        let number = cells.iter().position(|cell| std::ptr::eq(&cell.0, call)).unwrap();
                        let cell = run_cell(scene, &healthy, call.clone(), kind);
                        done.lock().unwrap().extend(cell.map(|cell| (number, cell)));
                    }
                });
            }
        });
        let mut done = done.into_inner().unwrap();
        done.sort_by_key(|(number, _)| *number);
        ran.push((scene.name, done.into_iter().map(|(_, cell)| cell).collect::<Vec<Cell>>()));
    }
    let wrong: Vec<String> = ran
        .iter()
        .flat_map(|(scene, cells)| cells.iter().map(move |cell| (scene, cell)))
        .filter(|(_, cell)| !cell.wrong.is_empty())
        .map(|(scene, cell)| {
            format!(
                "=== {scene} × {} {} × {}\n{}",
                cell.call.upstream(),
                cell.call.name(),
                cell.kind.name,
                cell.wrong.join("\n")
            )
        })
        .collect();
    assert!(wrong.is_empty(), "{} cells are wrong:\n{}", wrong.len(), wrong.join("\n\n"));
    table::settle(command, &ran);
}

macro_rules! commands {
    ($($test:ident: $command:literal,)*) => {
        $(#[test] fn $test() { run_command($command); })*
    };
}

commands! {
    config: "config",
    dashboard: "dashboard",
    deploy: "deploy",
    doctor: "doctor",
    login: "login",
    merge: "merge",
    metrics: "metrics",
    notify: "notify",
    prune: "prune",
    pull: "pull",
    report: "report",
    resolve: "resolve",
    rollback: "rollback",
    route: "route",
    scan: "scan",
    tags: "tags",
}
