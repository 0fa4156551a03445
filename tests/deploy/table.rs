//! Purpose: the table in docs/deploy.md: what happens in each situation, and how soon it is known.
//!
//! Two runs make a row. The real binary against the fake world says status, exit code and what a person sees. The
//! machine that watches says how late it is: on the world's own clock, which this test moves, with two seconds between
//! questions and a fifth of a second for each answer, and with the truth falling at every moment between two questions.
//! `LANDFALL_GENERATE=1` rewrites the table, else it is compared.

use std::time::Duration;

use jiff::Timestamp;
use landfall::domain::rollout::{Limits, Pace, Rollout, Target, TroubleKind};
use landfall::services::aws::ecs::{Ecs, Observer, ServiceUpdate};
use landfall::services::aws::{Session, SessionOptions};
use landfall::services::http::RetryPolicy;
use serde_json::json;

use super::{definition, deploy, web};
use crate::support::Outcome;
use crate::world::clock::Moment;
use crate::world::ecs::{Action, Cause, Script};
use crate::world::state::State;
use crate::world::{After, Skin, World};

const INTERVAL: Duration = Duration::from_secs(2);
/// Half of the time from a question to its answer.
const HALF_WAY: Duration = Duration::from_millis(100);
/// The steps in which the world's clock moves.
const STEP: Duration = Duration::from_millis(50);
/// When the truth falls, at the earliest, and in how many steps it is moved through two intervals.
const TRUTH: Duration = Duration::from_secs(20);
const OFFSETS: u32 = 8;

/// A situation: how the world is arranged, and when its truth is settled.
struct Situation {
    name: &'static str,
    /// Inputs beyond image, cluster and service.
    inputs: &'static [(&'static str, &'static str)],
    /// Arranges the world; the truth falls when this step is due, or at every repetition of it.
    arrange: fn(&mut State, After),
    /// Whether it has fallen.
    settled: fn(&State, Moment) -> bool,
    /// Whether the watch can be asked how late it is; what comes before and after the watch is known with its answer.
    watched: bool,
}

const BAD: &str = "acme/web:bad";

fn script(state: &mut State, script: Script) {
    state.ecs.script("web", BAD, script);
}

fn breaker(state: &mut State, rolls_back: bool) {
    let settings = &mut state.ecs.find("prod", "web").settings;
    settings["deploymentConfiguration"]["deploymentCircuitBreaker"] = json!({ "enable": true, "rollback": rolls_back });
}

/// Runs, and does this when it is due.
fn then(due: After, action: Action) -> Script {
    Script::of(&[(After::Polls(0), Action::Run), (due, action)])
}

/// A task stops every so often, the third time when the truth is due.
fn stops(due: After, cause: Cause) -> Script {
    let third = match due {
        After::Millis(millis) => After::Millis(millis / 3),
        polls => polls,
    };
    Script { again_from: Some(0), ..Script::of(&[(third, Action::Stop(cause))]) }
}

/// The deployment that the test began.
fn ours(state: &State) -> Option<&crate::world::ecs::Rollout> {
    let service = &state.ecs.clusters["prod"].services["web"];
    service.rollouts.iter().find(|rollout| state.ecs.images(&rollout.task_definition)[0].1 == BAD)
}

fn completed(state: &State, _: Moment) -> bool {
    ours(state).is_some_and(|rollout| rollout.rollout_state == "COMPLETED")
}

fn failed(state: &State, _: Moment) -> bool {
    ours(state).is_some_and(|rollout| rollout.rollout_state == "FAILED")
}

fn third_stop(state: &State, _: Moment) -> bool {
    let Some(rollout) = ours(state) else {
        return false;
    };
    let tasks = state.ecs.clusters["prod"].tasks.values();
    tasks.filter(|task| task.started_by == rollout.id && task.last_status == "STOPPED").count() >= 3
}

fn displaced(state: &State, _: Moment) -> bool {
    let service = &state.ecs.clusters["prod"].services["web"];
    ours(state).is_some()
        && service
            .primary()
            .is_some_and(|primary| Some(primary.id.as_str()) != ours(state).map(|ours| ours.id.as_str()))
}

fn expired(state: &State, now: Moment) -> bool {
    state.aws.keys.values().any(|key| key.expires_at.is_some_and(|end| end <= now))
}

fn never(_: &State, _: Moment) -> bool {
    false
}

fn without_deployments(state: &mut State) {
    for call in ["ecs:ListServiceDeployments", "ecs:DescribeServiceDeployments", "ecs:DescribeServiceRevisions"] {
        state.aws.deny(call);
    }
}

const SITUATIONS: &[Situation] = &[
    Situation {
        name: "It arrives",
        inputs: &[],
        arrange: |state, due| script(state, then(due, Action::Complete)),
        settled: completed,
        watched: true,
    },
    Situation {
        name: "It arrives, and service deployments may not be read",
        inputs: &[],
        arrange: |state, due| {
            without_deployments(state);
            script(state, then(due, Action::Complete));
        },
        settled: completed,
        watched: true,
    },
    Situation {
        name: "Blue/green, through its stages",
        inputs: &[],
        arrange: |state, due| {
            let stage = |name: &str| Action::Stage(name.into());
            script(
                state,
                Script::of(&[
                    (After::Polls(0), Action::Run),
                    (After::Polls(0), stage("SCALE_UP")),
                    (After::Polls(1), stage("TEST_TRAFFIC_SHIFT")),
                    (After::Polls(1), stage("BAKE_TIME")),
                    (due, Action::Complete),
                ]),
            );
        },
        settled: completed,
        watched: true,
    },
    Situation {
        name: "The service wants no tasks",
        inputs: &[],
        arrange: |state, due| {
            state.ecs.find("prod", "web").desired = 0;
            script(state, then(due, Action::Complete));
        },
        settled: completed,
        watched: true,
    },
    Situation {
        name: "It runs already",
        inputs: &[("image", "acme/web:1")],
        arrange: |_, _| {},
        settled: never,
        watched: false,
    },
    Situation {
        name: "The application ends again and again",
        inputs: &[],
        arrange: |state, due| script(state, stops(due, Cause::exit(1).logging(&["fatal: no database at db:5432"]))),
        settled: third_stop,
        watched: true,
    },
    Situation {
        name: "The image cannot be pulled",
        inputs: &[],
        arrange: |state, due| script(state, stops(due, Cause::image_pull(BAD))),
        settled: third_stop,
        watched: true,
    },
    Situation {
        name: "A secret cannot be read",
        inputs: &[],
        arrange: |state, due| script(state, stops(due, Cause::secret("db"))),
        settled: third_stop,
        watched: true,
    },
    Situation {
        name: "Out of memory",
        inputs: &[],
        arrange: |state, due| script(state, stops(due, Cause::out_of_memory())),
        settled: third_stop,
        watched: true,
    },
    Situation {
        name: "The container's health check fails",
        inputs: &[],
        arrange: |state, due| script(state, stops(due, Cause::container_unhealthy())),
        settled: third_stop,
        watched: true,
    },
    Situation {
        name: "A crash loop, and service deployments may not be read",
        inputs: &[],
        arrange: |state, due| {
            without_deployments(state);
            script(state, stops(due, Cause::exit(1)));
        },
        settled: third_stop,
        watched: true,
    },
    Situation {
        name: "The circuit breaker acts and rolls back",
        inputs: &[("crash_limit", "0")],
        arrange: |state, due| {
            breaker(state, true);
            script(state, stops(due, Cause::exit(1)));
        },
        settled: failed,
        watched: true,
    },
    Situation {
        name: "The circuit breaker acts and only stops",
        inputs: &[("crash_limit", "0")],
        arrange: |state, due| {
            breaker(state, false);
            script(state, stops(due, Cause::exit(1)));
        },
        settled: failed,
        watched: true,
    },
    Situation {
        name: "An alarm fires",
        inputs: &[],
        arrange: |state, due| {
            let settings = &mut state.ecs.find("prod", "web").settings;
            settings["deploymentConfiguration"]["alarms"] =
                json!({ "enable": true, "rollback": true, "alarmNames": ["errors"] });
            state.alarms.0.insert("errors".into(), "Threshold Crossed".into());
            script(state, then(due, Action::Alarm("errors".into())));
        },
        settled: failed,
        watched: true,
    },
    Situation {
        name: "Somebody else deploys meanwhile",
        inputs: &[],
        arrange: |state, due| script(state, then(due, Action::Supersede("acme/web:theirs".into()))),
        settled: displaced,
        watched: true,
    },
    Situation {
        name: "It does not end in time",
        inputs: &[("timeout", "3s")],
        arrange: |state, _| script(state, Script::never_stable()),
        settled: never,
        watched: true,
    },
    Situation {
        name: "The credentials end during the watch",
        inputs: &[],
        arrange: |state, due| {
            script(state, Script::never_stable());
            let After::Millis(after) = due else {
                // The binary runs on the machine's clock, which may be slow: its session ends with its first look.
                let expired = crate::world::Fault::on(Skin::Ecs).target("DescribeServiceDeployments");
                let words = "The security token included in the request is expired";
                return state.faults.push(expired.error("ExpiredTokenException", words));
            };
            let end = state.clock.now() + Duration::from_millis(after);
            state.aws.keys.values_mut().for_each(|key| key.expires_at = Some(end));
        },
        settled: expired,
        watched: true,
    },
    Situation {
        name: "It failed, and so does the way back",
        inputs: &[],
        arrange: |state, due| script(state, stops(due, Cause::exit(1)).rollback_fails()),
        settled: third_stop,
        watched: true,
    },
    Situation {
        name: "It arrives, and the health page stays unhealthy",
        inputs: &[("health_timeout", "1s")],
        arrange: |state, due| {
            state.health.answer(BAD, 503);
            script(state, then(due, Action::Complete));
        },
        settled: never,
        watched: false,
    },
    Situation {
        name: "The migration fails",
        inputs: &[("migrate", "pnpm db:migrate")],
        arrange: |state, _| {
            let script = crate::world::ecs::TaskScript::exits(3).logging(&["relation users does not exist"]);
            state.ecs.task_script("*migrate*", script);
        },
        settled: never,
        watched: false,
    },
    Situation {
        name: "`concurrency: refuse`, and another deployment is under way",
        inputs: &[("concurrency", "refuse")],
        arrange: |state, _| {
            let other = state.task_definition("web", &definition("acme/web:other"));
            state.ecs.script("web", "acme/web:other", Script::never_stable());
            state.under_way("prod", "web", &other);
        },
        settled: never,
        watched: false,
    },
    Situation {
        name: "ECS does not answer",
        inputs: &[],
        arrange: |state, _| {
            state.faults.push(crate::world::Fault::on(Skin::Ecs).target("DescribeServices").status(503));
        },
        settled: never,
        watched: false,
    },
    Situation {
        name: "The service may not be updated",
        inputs: &[],
        arrange: |state, _| state.aws.deny("ecs:UpdateService"),
        settled: never,
        watched: false,
    },
    Situation {
        name: "The service does not exist",
        inputs: &[("service", "wbe")],
        arrange: |_, _| {},
        settled: never,
        watched: false,
    },
];

/// How a watch on the world's clock went.
struct Watched {
    /// From the truth to the verdict.
    late: f64,
    /// Requests, and seconds, from the eighth second to the truth.
    steady: (usize, f64),
}

/// The world's clock and everything that hangs on it.
struct Clockwork<'a> {
    world: &'a World,
    settled: fn(&State, Moment) -> bool,
    truth: Option<Moment>,
}

impl Clockwork<'_> {
    /// Lets time pass, in steps small enough for what happens to happen on time.
    fn pass(&mut self, time: Duration) {
        let mut left = time;
        while !left.is_zero() {
            let step = left.min(STEP);
            left -= step;
            let mut state = self.world.state();
            state.clock.advance(step);
            state.tick("prod", "web", None);
            let now = state.clock.now();
            if self.truth.is_none() && (self.settled)(&state, now) {
                self.truth = Some(now);
            }
        }
    }

    fn now(&self) -> Moment {
        self.world.state().clock.now()
    }
}

async fn ecs_of(world: &World) -> Ecs {
    let keys = aws_credential_types::Credentials::new(
        crate::world::aws::STATIC_KEY_ID,
        crate::world::aws::STATIC_SECRET,
        None,
        None,
        "world",
    );
    let base = aws_config::defaults(aws_config::BehaviorVersion::v2026_01_12())
        .http_client(landfall::services::aws::http_client())
        .region(aws_config::Region::new("eu-central-1"))
        .endpoint_url(world.aws_url())
        .credentials_provider(keys)
        .retry_config(aws_config::retry::RetryConfig::disabled())
        .load()
        .await;
    let options = SessionOptions {
        region: None,
        account: None,
        role: None,
        oidc: None,
        keys: None,
        chained: Vec::new(),
        allowed_account_ids: Vec::new(),
        secrets: std::sync::Arc::new(|_| {}),
    };
    Ecs::new(&Session::over(base, options, RetryPolicy::default()).await.unwrap(), "prod")
}

fn since(a: Moment, b: Moment) -> f64 {
    b.0.duration_since(a.0).as_secs_f64()
}

/// An input of a situation.
fn input(situation: &Situation, name: &str) -> Option<&'static str> {
    situation.inputs.iter().find(|(known, _)| *known == name).map(|(_, value)| *value)
}

/// Begins the deployment of the bad image as `deploy` does; gives the machine that watches it, and who asks for it.
async fn begun(world: &World, situation: &Situation, bad: &str, timeout: Duration) -> (Rollout, Observer) {
    let ecs = ecs_of(world).await;
    let before = ecs.service("web").await.unwrap().unwrap().service;
    let known = ecs.deployments(&before.arn, None).await;
    let update = ServiceUpdate { service: &before.arn, task_definition: bad, desired: None, force: false };
    let answer = ecs.update(&update).await.unwrap();
    let primary = answer.primary().unwrap();
    let target = Target {
        task_definition: bad.to_owned(),
        previous: Some(before.task_definition.clone()),
        deployment_id: Some(primary.id.clone()),
        started_after: primary.created_at,
        known: known.as_ref().map(|known| known.iter().map(|one| one.arn.clone()).collect()).unwrap_or_default(),
        ..Target::default()
    };
    let crash_limit = input(situation, "crash_limit").map_or(3, |limit| limit.parse().unwrap());
    let rollout = Rollout::new(target, Limits { timeout, crash_limit, silence: Duration::from_secs(60) });
    let rollout = if known.is_err() { rollout.by_service(TroubleKind::Denied) } else { rollout };
    (rollout, Observer::new(&ecs, &before.arn, primary.created_at.map(a_second_before)))
}

/// Watches one deployment as `deploy` does, with the world's clock instead of the machine's.
async fn watch(situation: &Situation, offset: Duration) -> Watched {
    let world = web().await;
    let bad = {
        let mut state = world.state();
        state.clock.stop_at(Moment::from_second(1_800_000_000));
        let bad = state.task_definition("web", &definition(BAD));
        (situation.arrange)(&mut state, After::Millis(u64::try_from((TRUTH + offset).as_millis()).unwrap()));
        bad
    };
    // The binary gives up after a second of the machine's clock; here the truth may fall later.
    let times_out = input(situation, "timeout").is_some();
    let timeout = if times_out { TRUTH + offset } else { Duration::from_secs(900) };
    let (mut rollout, mut observer) = begun(&world, situation, &bad, timeout).await;
    let mut clockwork = Clockwork { world: &world, settled: situation.settled, truth: None };
    let (start, first) = (clockwork.now(), world.requests(Skin::Ecs).len());
    clockwork.truth = times_out.then(|| start + timeout);
    let (mut times, mut last_steady) = (Vec::new(), None::<Moment>);
    while rollout.verdict().is_none() {
        let (question, pace) = rollout.next();
        if pace == Pace::Steady
            && let Some(last) = last_steady
        {
            let passed = Duration::from_secs_f64(since(last, clockwork.now()));
            clockwork.pass(INTERVAL.saturating_sub(passed));
        }
        if pace == Pace::Steady || last_steady.is_none() {
            last_steady = Some(clockwork.now());
        }
        rollout.tick(Duration::from_secs_f64(since(start, clockwork.now())));
        if rollout.verdict().is_none() {
            clockwork.pass(HALF_WAY);
            let answer = observer.answer(&question).await;
            clockwork.pass(HALF_WAY);
            rollout.learn(Duration::from_secs_f64(since(start, clockwork.now())), &question, answer);
            times.push((clockwork.now(), world.requests(Skin::Ecs).len() - first));
        }
        assert!(since(start, clockwork.now()) < 600.0, "{}: no verdict", situation.name);
    }
    let (end, truth) = (clockwork.now(), clockwork.truth);
    let truth = truth.unwrap_or_else(|| panic!("{}: {:?} before the truth", situation.name, rollout.verdict()));
    let counted = |at: Moment| times.iter().filter(|(time, _)| *time <= at).map(|(_, count)| *count).max().unwrap_or(0);
    let from = start + Duration::from_secs(8);
    let steady = (counted(truth).saturating_sub(counted(from)), since(from, truth));
    world.explain_writes();
    world.close();
    Watched { late: since(truth, end), steady }
}

fn a_second_before(at: Timestamp) -> Timestamp {
    at - Duration::from_secs(1)
}

/// The real binary in the same situation, polling fast.
async fn run(situation: &Situation) -> Outcome {
    let world = web().await;
    (situation.arrange)(&mut world.state(), After::Polls(2));
    let page = world.health_url("web");
    let mut run = deploy(&world).input("image", BAD);
    if situation.inputs.iter().any(|(name, _)| *name == "health_timeout") {
        run = run.input("health_url", page);
    }
    let outcome = run.inputs(situation.inputs).run();
    world.explain_writes();
    world.close();
    outcome
}

/// What a person sees: the one annotation of a failure, else the summary's heading.
fn seen(outcome: &Outcome) -> String {
    let warning =
        outcome.annotations("warning").first().map(|warning| format!(" ⚠️ {}: {}", warning.title, warning.message));
    let text = match outcome.annotations("error").first() {
        Some(error) => format!("**{}**: {}", error.title, error.message),
        None => {
            let heading = outcome.summary.lines().next().unwrap_or_default().trim_start_matches("### ");
            format!("{heading}{}", warning.unwrap_or_default())
        }
    };
    let ids = regex::Regex::new("abcd[0-9a-f]{28}").unwrap();
    let text = ids.replace_all(&outcome.normalised(&text), "…").into_owned();
    let attempts = regex::Regex::new(r"in \d+ attempts within \d+s").unwrap();
    let text = attempts.replace_all(&text, "in … attempts within …").into_owned();
    text.replace('|', "\\|").replace('\n', " ").replace('<', "&lt;")
}

/// Rows that are made at the same time: most of their time they wait.
const AT_ONCE: usize = 4;

/// One row, and the most requests a second while nothing changed.
async fn row(situation: &Situation) -> (String, f64) {
    let outcome = run(situation).await;
    let (mut late, mut busiest) = (Vec::new(), 0.0_f64);
    let offsets = if situation.watched { OFFSETS } else { 0 };
    for number in 0..offsets {
        let watched = watch(situation, INTERVAL * 2 * number / OFFSETS).await;
        late.push(watched.late);
        let (requests, seconds) = watched.steady;
        // What changes is looked at at once; the rate is that of a rollout in which nothing changes.
        if ["It arrives", "It does not end in time"].contains(&situation.name) {
            busiest = busiest.max(requests as f64 / seconds);
        }
    }
    let most = late.iter().copied().fold(0.0, f64::max);
    assert!(most <= 5.0, "{}: {most} s late", situation.name);
    let mean = late.iter().sum::<f64>() / f64::from(OFFSETS);
    let known = if late.is_empty() { "with the answer".to_owned() } else { format!("{most:.1} s ({mean:.1} s)") };
    let status = Some(outcome.output("status")).filter(|status| !status.is_empty());
    let status = status.map_or_else(|| "–".to_owned(), |status| format!("`{status}`"));
    let exit = outcome.code.unwrap();
    (format!("| {} | {status} | {exit} | {known} | {} |\n", situation.name, seen(&outcome)), busiest)
}

#[test]
fn every_situation_is_known_within_five_seconds() {
    let rows = std::sync::Mutex::new(vec![(String::new(), 0.0); SITUATIONS.len()]);
    std::thread::scope(|scope| {
        for first in 0..AT_ONCE {
            let rows = &rows;
            scope.spawn(move || {
                let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
                for index in (first..SITUATIONS.len()).step_by(AT_ONCE) {
                    let made = runtime.block_on(row(&SITUATIONS[index]));
                    rows.lock().unwrap()[index] = made;
                }
            });
        }
    });
    let rows = rows.into_inner().unwrap();
    let busiest = rows.iter().map(|(_, busiest)| *busiest).fold(0.0, f64::max);
    // One question in two seconds; at the edges of the window one may fall more.
    assert!(busiest <= 0.5 + 0.1, "{busiest} requests a second in the steady state");
    let head =
        "| Situation | `status` | Exit | Known after, at most (mean) | You see |\n| --- | --- | --- | --- | --- |\n";
    let rows: String = rows.into_iter().map(|(row, _)| row).collect();
    generated("situations", "table", &format!("{head}{rows}"));
}

/// Compares or rewrites a part of docs/deploy.md.
#[expect(clippy::disallowed_methods, reason = "a test reads its own environment")]
pub(super) fn generated(name: &str, maker: &str, text: &str) {
    let path = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/deploy.md");
    let page = std::fs::read_to_string(&path).unwrap();
    let (begin, end) =
        (format!("<!-- {name}: made by tests/deploy/{maker}.rs -->\n"), format!("<!-- end of {name} -->"));
    let (head, rest) = page.split_once(&begin).expect("the beginning of the generated part");
    let (held, tail) = rest.split_once(&end).expect("the end of the generated part");
    if std::env::var_os("LANDFALL_GENERATE").is_some() {
        std::fs::write(&path, format!("{head}{begin}{text}{end}{tail}")).unwrap();
    } else {
        assert_eq!(held, text, "run `make generate`: docs/deploy.md does not say what happens");
    }
}
