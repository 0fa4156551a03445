//! Purpose: the watch against random timelines of a small ECS, in virtual time.
//!
//! The model knows when the truth was settled; the tests ask that the verdict is the right one, comes within five
//! seconds of it, and costs no more than one request every two seconds plus a few at every change.

use std::time::Duration;

use proptest::prelude::*;

use super::*;
use crate::domain::ecs::{Deployment, DeploymentStatus, Event, TaskContainer};

const OURS: &str = "arn:aws:ecs:eu-central-1:1:task-definition/web:8";
const BEFORE: &str = "arn:aws:ecs:eu-central-1:1:task-definition/web:7";
const THEIRS: &str = "arn:aws:ecs:eu-central-1:1:task-definition/web:9";
const ARN: &str = "arn:aws:ecs:eu-central-1:1:service-deployment/prod/web/ours";
const INTERVAL: f64 = 2.0;

/// How the rollout of a world ends.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Fate {
    Completes,
    RolledBackByBreaker,
    FailsWithoutRollback,
    Superseded,
    /// Tasks stop every so many seconds, from the first one on.
    CrashLoops {
        first: f64,
        every: f64,
    },
    NeverEnds,
    SessionExpires,
}

/// What the endpoint says about service deployments.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Api {
    Full,
    Denied,
    Unknown,
    /// Lists deployments and knows none of them.
    Forgetful,
}

#[derive(Debug, Clone)]
struct World {
    fate: Fate,
    /// When the fate is settled, in seconds.
    settled: f64,
    /// When the listing first shows our deployment.
    listed: f64,
    latency: f64,
    /// From a task's end until ECS calls it STOPPED.
    drain: f64,
    desired: i32,
    api: Api,
    crash_limit: usize,
    timeout: f64,
}

fn time(seconds: f64) -> Timestamp {
    Timestamp::from_millisecond(1_000_000 + (seconds * 1000.0) as i64).unwrap()
}

impl World {
    /// When the right verdict first was true.
    fn truth(&self) -> f64 {
        match self.fate {
            Fate::CrashLoops { first, every } => first + every * (self.crash_limit - 1) as f64,
            Fate::NeverEnds => self.timeout,
            _ => self.settled,
        }
    }

    fn is_settled(&self, at: f64) -> bool {
        at >= self.settled && !matches!(self.fate, Fate::NeverEnds | Fate::CrashLoops { .. })
    }

    fn answer(&self, at: f64, question: &Question, told: &mut usize) -> Answer {
        let trouble = |kind, message: &str| Answer::Trouble(Trouble { kind, message: message.to_owned() });
        if self.fate == Fate::SessionExpires && at >= self.settled {
            return trouble(TroubleKind::Unauthenticated, "ExpiredTokenException");
        }
        match (question, self.api) {
            (Question::Deployments | Question::Deployment(_), Api::Denied) => {
                trouble(TroubleKind::Denied, "AccessDenied")
            }
            (Question::Deployments | Question::Deployment(_), Api::Unknown) => {
                trouble(TroubleKind::UnknownQuestion, "UnknownOperationException")
            }
            (Question::Deployment(_), Api::Forgetful) => Answer::Deployment(None),
            (Question::Deployments, Api::Full | Api::Forgetful) => Answer::Deployments(self.listing(at)),
            (Question::Deployment(arn), Api::Full) => {
                assert_eq!(arn, ARN);
                Answer::Deployment(Some(Box::new(self.deployment(at))))
            }
            (Question::Service, _) => Answer::Service(Some(Box::new(self.service(at)))),
            (Question::StoppedTasks, _) => {
                let stopped = self.crashes(at - self.drain);
                let mut tasks: Vec<Task> = (*told..stopped).map(|number| self.task(number)).collect();
                *told = stopped;
                let stopping = (stopped..self.crashes(at))
                    .map(|number| Task { last_status: "STOPPING".into(), ..self.task(number) });
                tasks.extend(stopping);
                Answer::StoppedTasks(tasks)
            }
        }
    }

    fn deployment(&self, at: f64) -> ServiceDeployment {
        let status = match (self.is_settled(at), self.fate) {
            (false, _) => DeploymentStatus::InProgress,
            (true, Fate::Completes) => DeploymentStatus::Successful,
            (true, Fate::RolledBackByBreaker) => DeploymentStatus::RollbackInProgress,
            (true, _) => DeploymentStatus::Stopped,
        };
        ServiceDeployment { arn: ARN.into(), status, created_at: Some(time(0.0)), ..ServiceDeployment::default() }
    }

    fn listing(&self, at: f64) -> Vec<Listed> {
        let other = |arn: &str, at: f64, brings: &str| Listed {
            deployment: ServiceDeployment {
                arn: arn.into(),
                created_at: Some(time(at)),
                ..ServiceDeployment::default()
            },
            task_definition: Some(brings.to_owned()),
        };
        let mut listed = vec![other("known", -50.0, OURS)];
        if at >= self.listed {
            listed.push(Listed { deployment: self.deployment(at), task_definition: Some(OURS.into()) });
        }
        if self.fate == Fate::Superseded && at >= self.settled {
            listed.push(other("theirs", self.settled, THEIRS));
        }
        listed
    }

    fn crashes(&self, at: f64) -> usize {
        match self.fate {
            Fate::CrashLoops { first, every } if at >= first => ((at - first) / every) as usize + 1,
            _ => 0,
        }
    }

    fn task(&self, number: usize) -> Task {
        let container = TaskContainer { name: "web".into(), exit_code: Some(1), ..TaskContainer::default() };
        Task {
            arn: format!("task/{number}"),
            started_by: Some("ecs-svc/2".into()),
            task_definition: OURS.into(),
            last_status: "STOPPED".into(),
            stop_code: Some("EssentialContainerExited".into()),
            created_at: Some(time(0.5)),
            containers: vec![container],
            ..Task::default()
        }
    }

    fn service(&self, at: f64) -> Service {
        let entry = |id: &str, status: &str, brings: &str, state: &str, running| Deployment {
            id: id.into(),
            status: status.into(),
            task_definition: brings.into(),
            rollout_state: Some(state.into()),
            desired: self.desired,
            running,
            created_at: Some(time(0.0)),
            ..Deployment::default()
        };
        let started = self.crashes(at);
        let event = |number: usize| Event {
            id: format!("e{number}"),
            at: Some(time(1.0)),
            message: "(service web) has started 1 tasks".into(),
        };
        let mut deployments = match (self.is_settled(at), self.fate) {
            (true, Fate::Completes) => vec![entry("ecs-svc/2", "PRIMARY", OURS, "COMPLETED", self.desired)],
            (true, Fate::FailsWithoutRollback) => {
                vec![entry("ecs-svc/2", "PRIMARY", OURS, "FAILED", 0)]
            }
            (true, Fate::RolledBackByBreaker) => {
                vec![
                    entry("ecs-svc/3", "PRIMARY", BEFORE, "IN_PROGRESS", 0),
                    entry("ecs-svc/2", "ACTIVE", OURS, "FAILED", 0),
                ]
            }
            (true, Fate::Superseded) => {
                vec![
                    entry("ecs-svc/3", "PRIMARY", THEIRS, "IN_PROGRESS", 0),
                    entry("ecs-svc/2", "ACTIVE", OURS, "IN_PROGRESS", 0),
                ]
            }
            _ => vec![entry("ecs-svc/2", "PRIMARY", OURS, "IN_PROGRESS", 0)],
        };
        deployments.push(entry("ecs-svc/1", "ACTIVE", BEFORE, "COMPLETED", 1));
        if self.is_settled(at) && self.fate == Fate::Completes {
            deployments.pop();
        }
        Service {
            status: "ACTIVE".into(),
            task_definition: OURS.into(),
            deployments,
            events: (0..=started).rev().map(event).collect(),
            ..Service::default()
        }
    }
}

struct Outcome {
    verdict: Verdict,
    at: f64,
    steady: usize,
    urgent: usize,
    completed_early: bool,
    degraded: usize,
}

fn run(world: &World) -> Outcome {
    let target = Target {
        task_definition: OURS.into(),
        previous: Some(BEFORE.into()),
        deployment_id: Some("ecs-svc/2".into()),
        started_after: Some(time(0.0)),
        known: vec!["known".into()],
        ..Target::default()
    };
    let limits = Limits {
        timeout: Duration::from_secs_f64(world.timeout),
        crash_limit: world.crash_limit,
        silence: Duration::from_secs(60),
    };
    let mut rollout = Rollout::new(target, limits);
    let (mut now, mut last_steady, mut told) = (0.0_f64, -INTERVAL, 0);
    let (mut steady, mut urgent, mut degraded) = (0, 0, 0);
    loop {
        let (question, pace) = rollout.next();
        if pace == Pace::Steady {
            now = now.max(last_steady + INTERVAL).min(world.timeout.max(now));
            last_steady = now;
        }
        rollout.tick(Duration::from_secs_f64(now));
        if rollout.verdict().is_none() {
            *(if pace == Pace::Steady { &mut steady } else { &mut urgent }) += 1;
            now += world.latency;
            let answer = world.answer(now, &question, &mut told);
            let progress = rollout.learn(Duration::from_secs_f64(now), &question, answer);
            degraded += progress.iter().filter(|progress| matches!(progress, Progress::Degraded(_))).count();
        }
        if let Some(verdict) = rollout.verdict() {
            let completed_early =
                *verdict == Verdict::Completed && (world.fate != Fate::Completes || now < world.settled);
            return Outcome { verdict: verdict.clone(), at: now, steady, urgent, completed_early, degraded };
        }
        assert!(now < world.timeout + 10.0, "the watch never ends");
    }
}

fn fates() -> impl Strategy<Value = Fate> {
    prop_oneof![
        Just(Fate::Completes),
        Just(Fate::RolledBackByBreaker),
        Just(Fate::FailsWithoutRollback),
        Just(Fate::Superseded),
        (3.0..40.0, 5.0..60.0).prop_map(|(first, every)| Fate::CrashLoops { first, every }),
        Just(Fate::NeverEnds),
        Just(Fate::SessionExpires),
    ]
}

prop_compose! {
    fn worlds()(
        fate in fates(),
        settled in 5.0..200.0_f64,
        listed in 0.0..4.0_f64,
        latency in 0.02..0.3_f64,
        drain in prop_oneof![Just(0.0), 0.0..12.0_f64],
        desired in 0..5_i32,
        api in prop_oneof![Just(Api::Full), Just(Api::Denied), Just(Api::Unknown)],
        crash_limit in 1..5_usize,
        timeout in 300.0..400.0_f64,
    ) -> World {
        World { fate, settled, listed, latency, drain, desired, api, crash_limit, timeout }
    }
}

fn is_right(verdict: &Verdict, world: &World) -> bool {
    match (world.fate, verdict) {
        (Fate::Completes, Verdict::Completed)
        | (Fate::RolledBackByBreaker, Verdict::RolledBack { .. })
        | (Fate::FailsWithoutRollback, Verdict::Failed { .. })
        | (Fate::NeverEnds, Verdict::TimedOut)
        | (Fate::SessionExpires, Verdict::LostPermission { .. }) => true,
        (Fate::Superseded, Verdict::Superseded { by }) => by.as_deref() == Some(THEIRS),
        (Fate::CrashLoops { .. }, Verdict::CrashLoop { tasks, diagnosis }) => {
            *tasks >= world.crash_limit && diagnosis.cause.contains("exit code 1")
        }
        _ => false,
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    #[test]
    fn the_verdict_is_right_prompt_and_cheap(world in worlds()) {
        prop_assume!(world.truth() < world.timeout || world.fate == Fate::NeverEnds);
        let outcome = run(&world);
        prop_assert!(is_right(&outcome.verdict, &world), "{:?}", outcome.verdict);
        prop_assert!(!outcome.completed_early, "success before the truth");
        let late = outcome.at - world.truth();
        prop_assert!((0.0..=5.0).contains(&late), "{late} s late");
        prop_assert!(outcome.steady as f64 <= outcome.at / INTERVAL + 1.0, "{} steady requests in {} s", outcome.steady, outcome.at);
        // Urgent ones: at the start, when it is found, at its end, and two for every task that stopped.
        let changes = world.crashes(outcome.at) * 2 + 6;
        prop_assert!(outcome.urgent <= changes, "{} urgent requests for {changes}", outcome.urgent);
        prop_assert!(outcome.degraded <= 1, "warned {} times", outcome.degraded);
    }

    /// Whatever ECS answers, in whatever order, in progress is never success and the machine never falls over.
    #[test]
    fn nonsense_is_never_success(answers in prop::collection::vec(nonsense(), 0..60)) {
        let mut rollout = Rollout::new(
            Target { task_definition: OURS.into(), deployment_id: Some("ecs-svc/2".into()), ..Target::default() },
            Limits { timeout: Duration::from_secs(100), crash_limit: 3, silence: Duration::from_secs(30) },
        );
        for (second, answer) in answers.into_iter().enumerate() {
            let (question, _) = rollout.next();
            rollout.learn(Duration::from_secs(second as u64), &question, answer);
            prop_assert_ne!(rollout.verdict(), Some(&Verdict::Completed));
        }
    }
}

/// Answers among which no deployment is complete.
fn nonsense() -> impl Strategy<Value = Answer> {
    let status = prop_oneof![
        Just(DeploymentStatus::Pending),
        Just(DeploymentStatus::InProgress),
        Just(DeploymentStatus::Stopped),
        Just(DeploymentStatus::RollbackFailed),
        Just(DeploymentStatus::Other("NEW".into())),
    ];
    let deployment =
        status.prop_map(|status| ServiceDeployment { arn: ARN.into(), status, ..ServiceDeployment::default() });
    let state = prop_oneof![Just("IN_PROGRESS"), Just("FAILED"), Just("")];
    let service =
        (state, "PRIMARY|ACTIVE", "ecs-svc/[1-3]", 0..3_i32).prop_map(|(state, status, id, running)| Service {
            status: "ACTIVE".into(),
            deployments: vec![Deployment {
                id,
                status,
                rollout_state: Some(state.to_owned()),
                running,
                desired: 2,
                ..Deployment::default()
            }],
            ..Service::default()
        });
    let kind = prop_oneof![
        Just(TroubleKind::Denied),
        Just(TroubleKind::UnknownQuestion),
        Just(TroubleKind::Unavailable),
        Just(TroubleKind::Unauthenticated),
    ];
    prop_oneof![
        deployment
            .clone()
            .prop_map(|deployment| Answer::Deployments(vec![Listed { deployment, task_definition: None }])),
        deployment.prop_map(|deployment| Answer::Deployment(Some(Box::new(deployment)))),
        service.prop_map(|service| Answer::Service(Some(Box::new(service)))),
        Just(Answer::Service(None)),
        Just(Answer::StoppedTasks(Vec::new())),
        kind.prop_map(|kind| Answer::Trouble(Trouble { kind, message: "x".into() })),
    ]
}

fn world(fate: Fate, api: Api) -> World {
    World {
        fate,
        settled: 30.0,
        listed: 1.0,
        latency: 0.1,
        drain: 0.0,
        desired: 1,
        api,
        crash_limit: 3,
        timeout: 300.0,
    }
}

#[test]
fn tasks_of_others_and_deliberate_stops_make_no_loop() {
    let mut rollout = Rollout::new(
        Target {
            task_definition: OURS.into(),
            deployment_id: Some("ecs-svc/2".into()),
            started_after: Some(time(0.0)),
            ..Target::default()
        },
        Limits { timeout: Duration::from_secs(100), crash_limit: 2, silence: Duration::from_secs(30) },
    );
    let model = world(Fate::CrashLoops { first: 1.0, every: 1.0 }, Api::Full);
    let old = Task { started_by: Some("ecs-svc/1".into()), ..model.task(1) };
    let scaled = Task {
        stop_code: Some("ServiceSchedulerInitiated".into()),
        stopped_reason: Some("Scaling activity initiated by (deployment ecs-svc/2)".into()),
        ..model.task(2)
    };
    let other_cause = Task {
        containers: vec![TaskContainer { name: "web".into(), exit_code: Some(2), ..TaskContainer::default() }],
        ..model.task(3)
    };
    let tasks = vec![old, scaled, other_cause, model.task(4), model.task(4)];
    let progress = rollout.learn(Duration::from_secs(1), &Question::StoppedTasks, Answer::StoppedTasks(tasks));
    assert_eq!(progress.len(), 2, "{progress:?}");
    assert_eq!(rollout.verdict(), None);
    rollout.learn(Duration::from_secs(2), &Question::StoppedTasks, Answer::StoppedTasks(vec![model.task(5)]));
    assert!(matches!(rollout.verdict(), Some(Verdict::CrashLoop { tasks: 2, .. })));
    assert_eq!(rollout.failed_tasks().len(), 3);
}

#[test]
fn an_emulator_without_deployments_is_believed_only_when_it_is_one() {
    let silent = Service {
        status: "ACTIVE".into(),
        task_definition: "web:8".into(),
        deployments: vec![Deployment {
            id: "ecs-svc/1".into(),
            status: "PRIMARY".into(),
            task_definition: BEFORE.into(),
            rollout_state: Some("COMPLETED".into()),
            desired: 2,
            running: 2,
            ..Deployment::default()
        }],
        ..Service::default()
    };
    let watch = |kind| {
        let target = Target { task_definition: OURS.into(), previous: Some(BEFORE.into()), ..Target::default() };
        let limits = Limits { timeout: Duration::from_secs(100), crash_limit: 2, silence: Duration::from_secs(30) };
        let mut rollout = Rollout::new(target, limits).by_service(kind);
        for second in 0..3 {
            rollout.learn(
                Duration::from_secs(second),
                &Question::Service,
                Answer::Service(Some(Box::new(silent.clone()))),
            );
        }
        rollout.verdict().cloned()
    };
    assert_eq!(watch(TroubleKind::UnknownQuestion), Some(Verdict::Completed));
    assert_eq!(watch(TroubleKind::Denied), None, "real ECS lists the deployment sooner or later");
}

#[test]
fn silence_ends_the_watch_and_a_short_one_does_not() {
    let mut rollout = Rollout::new(
        Target::default(),
        Limits { timeout: Duration::from_secs(600), crash_limit: 3, silence: Duration::from_secs(60) },
    );
    let trouble = || Answer::Trouble(Trouble { kind: TroubleKind::Unavailable, message: "503".into() });
    rollout.learn(Duration::from_secs(1), &Question::Deployments, Answer::Deployments(Vec::new()));
    rollout.learn(Duration::from_secs(50), &Question::Service, trouble());
    assert_eq!(rollout.verdict(), None);
    rollout.learn(Duration::from_secs(61), &Question::Service, trouble());
    assert_eq!(rollout.verdict(), Some(&Verdict::LostContact { message: "503".into() }));
}

#[test]
fn of_two_that_bring_the_same_the_first_is_ours() {
    let listed = |arn: &str, at: f64| Listed {
        deployment: ServiceDeployment { arn: arn.into(), created_at: Some(time(at)), ..ServiceDeployment::default() },
        task_definition: Some(OURS.to_owned()),
    };
    // Newest first, as ECS lists them, and the other way round.
    for order in [[("again", 9.0), (ARN, 1.0)], [(ARN, 1.0), ("again", 9.0)]] {
        let target = Target { task_definition: OURS.into(), ..Target::default() };
        let limits = Limits { timeout: Duration::from_secs(100), crash_limit: 0, silence: Duration::from_secs(30) };
        let mut rollout = Rollout::new(target, limits);
        let both = order.map(|(arn, at)| listed(arn, at)).to_vec();
        rollout.learn(Duration::from_secs(10), &Question::Deployments, Answer::Deployments(both));
        assert_eq!(rollout.arn(), Some(ARN));
    }
}

#[test]
fn deployments_that_are_silent_alone_are_done_without() {
    let mut rollout = Rollout::new(
        Target { arn: Some(ARN.into()), ..Target::default() },
        Limits { timeout: Duration::from_secs(600), crash_limit: 3, silence: Duration::from_secs(60) },
    );
    let trouble = || Answer::Trouble(Trouble { kind: TroubleKind::Unavailable, message: "503".into() });
    let question = Question::Deployment(ARN.into());
    rollout.learn(Duration::from_secs(58), &Question::StoppedTasks, Answer::StoppedTasks(Vec::new()));
    assert!(rollout.learn(Duration::from_secs(59), &question, trouble()).is_empty());
    let progress = rollout.learn(Duration::from_secs(61), &question, trouble());
    assert!(matches!(progress.as_slice(), [Progress::Degraded(message)] if message.contains("503")), "{progress:?}");
    assert_eq!(rollout.verdict(), None);
}

#[test]
fn the_way_back_is_awaited_to_its_own_end() {
    let back = |status| {
        let target = Target { arn: Some(ARN.into()), goal: Goal::Return, ..Target::default() };
        let mut rollout = Rollout::new(
            target,
            Limits { timeout: Duration::from_secs(100), crash_limit: 0, silence: Duration::from_secs(30) },
        );
        let deployment = ServiceDeployment { arn: ARN.into(), status, ..ServiceDeployment::default() };
        rollout.learn(
            Duration::from_secs(1),
            &Question::Deployment(ARN.into()),
            Answer::Deployment(Some(Box::new(deployment))),
        );
        rollout.verdict().cloned()
    };
    assert_eq!(back(DeploymentStatus::RollbackInProgress), None);
    assert_eq!(back(DeploymentStatus::RollbackSuccessful), Some(Verdict::Completed));
    assert!(matches!(back(DeploymentStatus::RollbackFailed), Some(Verdict::Failed { .. })));
}

#[test]
fn every_api_gives_the_same_verdict() {
    for fate in
        [Fate::Completes, Fate::RolledBackByBreaker, Fate::FailsWithoutRollback, Fate::Superseded, Fate::NeverEnds]
    {
        for api in [Api::Full, Api::Denied, Api::Unknown, Api::Forgetful] {
            let world = world(fate, api);
            let outcome = run(&world);
            assert!(is_right(&outcome.verdict, &world), "{fate:?} under {api:?}: {:?}", outcome.verdict);
        }
    }
}

#[test]
fn a_change_of_numbers_alone_is_done_when_the_tasks_run() {
    let target = Target { deployment_id: Some("ecs-svc/1".into()), tasks: Some(3), ..Target::default() };
    let limits = Limits { timeout: Duration::from_secs(100), crash_limit: 0, silence: Duration::from_secs(30) };
    let mut rollout = Rollout::new(target, limits).by_service(TroubleKind::Denied);
    for (running, desired) in [(2, 2), (2, 3), (3, 3)] {
        assert_eq!(rollout.verdict(), None);
        let deployment = Deployment {
            id: "ecs-svc/1".into(),
            status: "PRIMARY".into(),
            rollout_state: Some("COMPLETED".into()),
            desired,
            running,
            ..Deployment::default()
        };
        let service = Service { status: "ACTIVE".into(), deployments: vec![deployment], ..Service::default() };
        rollout.learn(Duration::from_secs(1), &Question::Service, Answer::Service(Some(Box::new(service))));
    }
    assert_eq!(rollout.verdict(), Some(&Verdict::Completed));
}
