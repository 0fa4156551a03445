//! Purpose: the log as people see it, and that no line is lost or misplaced.

use proptest::prelude::*;

use super::*;

fn id(name: &str) -> VertexId {
    VertexId::new(format!("sha256:{name}"))
}

fn started(name: &str) -> BuildEvent {
    BuildEvent::Started { vertex: id(name), name: name.to_owned() }
}

fn cached(name: &str) -> BuildEvent {
    BuildEvent::Cached { vertex: id(name), name: name.to_owned() }
}

fn done(name: &str, millis: u64) -> BuildEvent {
    BuildEvent::Done { vertex: id(name), name: name.to_owned(), took: Duration::from_millis(millis) }
}

fn failed(name: &str, error: &str) -> BuildEvent {
    let given_up = error.ends_with("context canceled");
    let took = Duration::from_millis(1500);
    BuildEvent::Failed { vertex: id(name), name: name.to_owned(), took, error: error.to_owned(), given_up }
}

fn log(name: &str, text: &str) -> BuildEvent {
    BuildEvent::Log { vertex: id(name), stream: LogStream::Output, data: text.as_bytes().to_vec() }
}

fn moved(name: &str, current: u64) -> BuildEvent {
    let name_of = "transferring context:".to_owned();
    BuildEvent::Transfer(Transfer { vertex: id(name), name: name_of, current, total: 0, finished: None })
}

/// The log as the runner shows it with all groups open.
fn shown(actions: &[LogAction]) -> String {
    let line = |action: &LogAction| match action {
        LogAction::OpenGroup(title) => format!("▼ {title}\n"),
        LogAction::CloseGroup => "▲\n".to_owned(),
        LogAction::Note(line) => format!("{line}\n"),
        LogAction::Foreign(line) => format!("  | {line}\n"),
        LogAction::Warning(warning) => format!("⚠ {}\n", warning.short),
    };
    actions.iter().map(line).collect()
}

fn rendered(events: &[BuildEvent]) -> (String, BuildSummary) {
    let mut log = BuildLog::default();
    let mut actions: Vec<LogAction> = events.iter().flat_map(|event| log.event(event)).collect();
    actions.extend(log.finish());
    (shown(&actions), log.summary())
}

const CONTEXT: &str = "[internal] load build context";
const FROM: &str = "[build 1/4] FROM docker.io/library/golang:1.24@sha256:0123";
const COPY: &str = "[build 2/4] COPY go.mod go.sum ./";
const GET: &str = "[build 3/4] RUN --mount=type=cache,target=/root/.cache go mod download";
const MAKE: &str = "[build 4/4] RUN make";
const OTHER: &str = "[assets 2/2] RUN npm ci";
const EXPORT: &str = "exporting to image";

#[test]
fn a_build_reads_from_top_to_bottom() {
    let warning = BuildWarning {
        short: "FromAsCasing: 'as' and 'FROM' keywords' casing do not match (line 1)".to_owned(),
        detail: Vec::new(),
        url: None,
        location: None,
    };
    let (text, summary) = rendered(&[
        started("[internal] load build definition from Dockerfile"),
        done("[internal] load build definition from Dockerfile", 20),
        BuildEvent::Warning(warning),
        started(FROM),
        done(FROM, 3),
        started(CONTEXT),
        done(CONTEXT, 0),
        started(CONTEXT),
        moved(CONTEXT, 34_567_890),
        done(CONTEXT, 412),
        started(FROM),
        done(FROM, 12_345),
        cached(FROM),
        cached(COPY),
        started(GET),
        log(GET, "go: downloading a\ngo: down"),
        log(GET, "loading b\n"),
        done(GET, 2_040),
        started(MAKE),
        log(MAKE, "cc -c x.c\n"),
        done(MAKE, 61_000),
        started(EXPORT),
        done(EXPORT, 300),
    ]);
    insta::assert_snapshot!(text);
    assert_eq!((summary.cached, summary.counted), (1, 3));
    let names: Vec<&str> = summary.steps.iter().map(|step| step.name.as_str()).collect();
    assert_eq!(names, [FROM, COPY, GET, MAKE, EXPORT]);
    assert_eq!(summary.steps[0].took, Duration::from_millis(12_348));
    assert_eq!(summary.steps[1].end, StepEnd::Cached);
}

#[test]
fn side_by_side_each_keeps_its_lines_together() {
    let (text, _) = rendered(&[
        started(GET),
        started(OTHER),
        log(GET, "get 1\n"),
        log(OTHER, "npm 1\n"),
        log(GET, "get 2\n"),
        log(OTHER, "npm 2\n"),
        cached(COPY),
        log(GET, "get 3\n"),
        done(GET, 5_000),
        log(OTHER, "npm 3\n"),
        done(OTHER, 7_000),
        started(MAKE),
        log(MAKE, "make\n"),
        done(MAKE, 1_000),
    ]);
    insta::assert_snapshot!(text);
}

#[test]
fn who_ended_behind_another_is_told_as_a_whole() {
    let (text, _) = rendered(&[
        started(GET),
        started(OTHER),
        log(GET, "get 1\n"),
        log(OTHER, "npm 1\n"),
        log(OTHER, "npm 2\n"),
        done(OTHER, 7_000),
        log(GET, "get 2\n"),
        done(GET, 9_000),
    ]);
    insta::assert_snapshot!(text);
}

#[test]
fn a_failure_stands_outside_its_group() {
    let (text, summary) = rendered(&[
        started(MAKE),
        started(OTHER),
        log(OTHER, "npm 1\n"),
        log(MAKE, "x.c:1: error\nmake: *** [x.o] Error 1"),
        failed(MAKE, "process \"/bin/sh -c make\" did not complete successfully: exit code: 2"),
        failed(OTHER, "process \"npm ci\" did not complete successfully: context canceled"),
        started(GET),
    ]);
    insta::assert_snapshot!(text);
    let ends: Vec<StepEnd> = summary.steps.iter().map(|step| step.end).collect();
    assert_eq!(ends, [StepEnd::Failed, StepEnd::GivenUp, StepEnd::GivenUp]);
}

#[test]
fn a_silent_step_does_not_hide_a_talkative_one() {
    let mut log_ = BuildLog::default();
    let mut actions = Vec::new();
    for event in [started(MAKE), started(OTHER), log(MAKE, "make 1\n")] {
        actions.extend(log_.event(&event));
    }
    let line = "npm ".repeat(32) + "\n";
    for _ in 0..30 {
        actions.extend(log_.event(&log(OTHER, &line)));
    }
    actions.extend(log_.event(&log(MAKE, "make 2\n")));
    actions.extend(log_.event(&done(OTHER, 3_000)));
    actions.extend(log_.event(&done(MAKE, 4_000)));
    actions.extend(log_.finish());
    let text = shown(&actions).replace(&"npm ".repeat(32), "npm…");
    insta::assert_snapshot!(text.replace(&"  | npm…\n".repeat(15), "  | npm… (15 times)\n"));
}

#[test]
fn idleness_brings_out_what_waits() {
    let mut log_ = BuildLog::default();
    let mut actions = Vec::new();
    for event in [started(MAKE), started(OTHER), log(MAKE, "make 1\n"), log(OTHER, "npm 1\n"), cached(COPY)] {
        actions.extend(log_.event(&event));
    }
    assert!(!shown(&actions).contains("npm 1"));
    let late = log_.idle();
    assert!(shown(&late).contains("npm 1") && shown(&late).contains("CACHED"), "{}", shown(&late));
    assert_eq!(log_.idle(), Vec::new(), "nothing waits any more");
    assert_eq!(log_.event(&log(OTHER, "npm 2\n")), [LogAction::Foreign("npm 2".to_owned())]);
}

#[test]
fn progress_bars_count_as_they_end() {
    let (text, _) = rendered(&[started(MAKE), log(MAKE, "10%\r20%\r"), log(MAKE, "100%\r\nnext\n"), done(MAKE, 100)]);
    assert_eq!(text, format!("▼ {MAKE}\n  | 100%\n  | next\n0.1 s\n▲\n"));
}

#[test]
fn the_two_streams_do_not_cut_each_others_lines() {
    let error = |text: &str| BuildEvent::Log { vertex: id(MAKE), stream: LogStream::Error, data: text.into() };
    let (text, _) =
        rendered(&[started(MAKE), log(MAKE, "out "), error("err\n"), log(MAKE, "go on\n"), done(MAKE, 100)]);
    assert_eq!(text, format!("▼ {MAKE}\n  | err\n  | out go on\n0.1 s\n▲\n"));
}

#[test]
fn output_that_comes_late_is_not_lost() {
    let (text, _) =
        rendered(&[started(MAKE), done(MAKE, 100), log(MAKE, "late\n"), started(OTHER), log(OTHER, "npm\n")]);
    assert_eq!(text, format!("{MAKE} 0.1 s\n▼ {MAKE}\n  | late\n▲\n▼ {OTHER}\n  | npm\n▲\n"));
}

fn event() -> impl Strategy<Value = BuildEvent> {
    let name = prop::sample::select(vec![COPY, GET, MAKE, OTHER, CONTEXT, EXPORT]);
    let text =
        prop::collection::vec(prop::sample::select(vec!["word", "\n", "\r", "x", "\r\n", "long line of text "]), 0..12);
    (name, 0..8_u8, text, 0..3000_u64).prop_map(|(name, kind, text, millis)| match kind {
        0 => started(name),
        1 => cached(name),
        2 => done(name, millis),
        3 => failed(name, "exit code: 1"),
        _ => log(name, &text.concat()),
    })
}

proptest! {
    #[test]
    fn every_line_is_printed_once_in_its_own_group_and_groups_are_well_formed(events in prop::collection::vec(event(), 0..60), idle in 0..10_usize) {
        let mut log_ = BuildLog::default();
        let mut actions = Vec::new();
        let events: Vec<BuildEvent> = [COPY, GET, MAKE, OTHER, CONTEXT, EXPORT].map(started).into_iter().chain(events).collect();
        for (at, event) in events.iter().enumerate() {
            actions.extend(log_.event(event));
            if idle > 0 && at % (idle + 1) == idle {
                actions.extend(log_.idle());
            }
        }
        actions.extend(log_.finish());
        let mut open: Option<String> = None;
        let mut printed: HashMap<String, Vec<String>> = HashMap::new();
        for action in &actions {
            match action {
                LogAction::OpenGroup(title) => {
                    prop_assert!(open.is_none());
                    open = Some(title.trim_end_matches(" (continued)").to_owned());
                }
                LogAction::CloseGroup => prop_assert!(open.take().is_some()),
                LogAction::Foreign(line) => {
                    prop_assert!(open.is_some());
                    printed.entry(open.clone().unwrap_or_default()).or_default().push(line.clone());
                }
                LogAction::Note(_) | LogAction::Warning(_) => {}
            }
        }
        prop_assert!(open.is_none());
        let mut expected: HashMap<VertexId, Lines> = HashMap::new();
        for event in &events {
            match event {
                BuildEvent::Log { vertex, stream, data } => expected.entry(vertex.clone()).or_default().add(*stream, data),
                BuildEvent::Done { vertex, .. } | BuildEvent::Failed { vertex, .. } | BuildEvent::Cached { vertex, .. } => {
                    expected.entry(vertex.clone()).or_default().end();
                }
                _ => {}
            }
        }
        let all: Vec<String> = printed.into_values().flatten().collect();
        let mut total = 0;
        for lines in expected.values_mut() {
            lines.end();
            let lines = lines.take();
            total += lines.len();
            // The lines of one vertex keep their order.
            let mut rest = all.iter();
            prop_assert!(lines.iter().all(|line| rest.any(|other| other == line)));
        }
        prop_assert_eq!(all.len(), total);
    }
}
