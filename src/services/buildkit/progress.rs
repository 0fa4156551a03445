//! Purpose: the builder's status stream as events, and the memory of it that explains a failure.

use std::collections::{HashMap, VecDeque};
use std::time::Duration;

use bollard_buildkit_proto::google::protobuf::Timestamp;
use bollard_buildkit_proto::moby::buildkit::v1::{StatusResponse, Vertex, VertexLog, VertexStatus, VertexWarning};
use bollard_buildkit_proto::pb::Range;

use super::FailedVertex;
use crate::domain::build_event::{BuildEvent, BuildWarning, LogStream, SourceLocation, Transfer, VertexId};

/// Lines of a step that are kept in case it fails.
const KEPT_LINES: usize = 40;
/// Bytes of one kept line.
const KEPT_BYTES: usize = 4 * 1024;

/// What is known of one vertex.
#[derive(Default)]
struct Known {
    name: String,
    /// When its current run started, and whether that was reported.
    started: Option<Timestamp>,
    /// When its last reported run ended.
    completed: Option<Timestamp>,
    error: String,
    lines: VecDeque<Vec<u8>>,
    partial: Vec<u8>,
}

/// Turns status messages into events.
#[derive(Default)]
pub(super) struct Progress {
    vertices: HashMap<String, Known>,
    /// Transfers whose end was reported; the builder repeats them.
    ended: std::collections::HashSet<(String, String)>,
    /// Vertices that failed by themselves, in order.
    failed: Vec<String>,
    dockerfile: String,
}

impl Progress {
    pub(super) fn new(dockerfile: String) -> Self {
        Self { dockerfile, ..Self::default() }
    }

    /// The events of one message, in the order in which they make sense: starts, output, ends.
    pub(super) fn take(&mut self, status: StatusResponse) -> Vec<BuildEvent> {
        let mut events = Vec::new();
        let mut ends = Vec::new();
        for vertex in status.vertexes {
            self.vertex(vertex, &mut events, &mut ends);
        }
        for log in status.logs {
            events.push(self.log(log));
        }
        for transfer in status.statuses {
            events.extend(self.transfer(transfer));
        }
        for warning in status.warnings {
            events.push(BuildEvent::Warning(self.warning(warning)));
        }
        events.append(&mut ends);
        events
    }

    fn vertex(&mut self, vertex: Vertex, starts: &mut Vec<BuildEvent>, ends: &mut Vec<BuildEvent>) {
        let known = self.vertices.entry(vertex.digest.clone()).or_default();
        known.name.clone_from(&vertex.name);
        let id = VertexId::new(vertex.digest.clone());
        let name = vertex.name;
        if vertex.started.is_some() && !vertex.cached && vertex.started != known.started {
            known.started = vertex.started;
            starts.push(BuildEvent::Started { vertex: id.clone(), name: name.clone() });
        }
        if vertex.completed.is_none() || vertex.completed == known.completed {
            return;
        }
        known.completed = vertex.completed;
        let took = between(vertex.started, vertex.completed);
        ends.push(if !vertex.error.is_empty() {
            let given_up = vertex.error.ends_with("context canceled");
            if !given_up {
                known.error.clone_from(&vertex.error);
                self.failed.push(vertex.digest);
            }
            // How a command ended is said in other words by each version.
            let error = exit_code(&vertex.error).map_or(vertex.error, |code| format!("exit code {code}"));
            BuildEvent::Failed { vertex: id, name, took, error, given_up }
        } else if vertex.cached {
            BuildEvent::Cached { vertex: id, name }
        } else {
            known.lines = VecDeque::new();
            BuildEvent::Done { vertex: id, name, took }
        });
    }

    fn log(&mut self, log: VertexLog) -> BuildEvent {
        let known = self.vertices.entry(log.vertex.clone()).or_default();
        for piece in log.msg.split_inclusive(|byte| *byte == b'\n') {
            let room = KEPT_BYTES.saturating_sub(known.partial.len());
            known.partial.extend_from_slice(&piece[..piece.len().min(room)]);
            if piece.ends_with(b"\n") {
                known.keep_line();
            }
        }
        let stream = if log.stream == 2 { LogStream::Error } else { LogStream::Output };
        BuildEvent::Log { vertex: VertexId::new(log.vertex), stream, data: log.msg }
    }

    fn transfer(&mut self, status: VertexStatus) -> Option<BuildEvent> {
        let key = (status.vertex.clone(), status.id.clone());
        let finished = status.completed.is_some().then(|| between(status.started, status.completed));
        if finished.is_some() && !self.ended.insert(key) {
            return None;
        }
        Some(BuildEvent::Transfer(Transfer {
            vertex: VertexId::new(status.vertex),
            // What people are shown is in `id` ("transferring context:", "extracting sha256:…"); `name` is its first word.
            name: status.id,
            current: u64::try_from(status.current).unwrap_or_default(),
            total: u64::try_from(status.total).unwrap_or_default(),
            finished,
        }))
    }

    fn warning(&self, warning: VertexWarning) -> BuildWarning {
        let text = |bytes: &Vec<u8>| String::from_utf8_lossy(bytes).into_owned();
        let location = warning.info.and_then(|info| self.location(info.filename, &lines_of(&warning.ranges)));
        BuildWarning {
            short: text(&warning.short),
            detail: warning.detail.iter().map(text).collect(),
            url: (!warning.url.is_empty()).then_some(warning.url),
            location,
        }
    }

    /// A place in a file; the builder's name of the Dockerfile becomes ours.
    pub(super) fn location(&self, file: String, lines: &[(i32, i32)]) -> Option<SourceLocation> {
        let first = lines.iter().map(|(first, _)| *first).min()?;
        let last = lines.iter().map(|(first, last)| *first.max(last)).max()?;
        let ours = self.dockerfile.rsplit('/').next() == Some(file.as_str());
        Some(SourceLocation {
            file: if ours { self.dockerfile.clone() } else { file },
            first_line: u32::try_from(first).ok()?,
            last_line: u32::try_from(last).ok()?,
        })
    }

    /// A place in the Dockerfile that we found ourselves.
    pub(super) fn in_dockerfile(&self, (first_line, last_line): (u32, u32)) -> SourceLocation {
        SourceLocation { file: self.dockerfile.clone(), first_line, last_line }
    }

    /// The vertex that made the build fail: the one that the error names, else the first that failed.
    pub(super) fn failed(&mut self, named: Option<&str>, message: &str) -> Option<FailedVertex> {
        let named = named.filter(|digest| self.vertices.get(*digest).is_some_and(|known| !known.error.is_empty()));
        let digest = named.map(str::to_owned).or_else(|| self.failed.first().cloned())?;
        let known = self.vertices.get_mut(&digest)?;
        if !known.partial.is_empty() {
            known.keep_line();
        }
        let exit_code = exit_code(&known.error).or_else(|| exit_code(message));
        Some(FailedVertex {
            name: known.name.clone(),
            command: command(&known.name),
            exit_code,
            last_lines: known.lines.iter().map(|line| String::from_utf8_lossy(line).into_owned()).collect(),
        })
    }
}

impl Known {
    fn keep_line(&mut self) {
        let line = std::mem::take(&mut self.partial);
        let line = line.strip_suffix(b"\n").unwrap_or(&line);
        let line = line.strip_suffix(b"\r").unwrap_or(line);
        if self.lines.len() == KEPT_LINES {
            self.lines.pop_front();
        }
        self.lines.push_back(line.to_vec());
    }
}

/// First and last lines of ranges.
pub(super) fn lines_of(ranges: &[Range]) -> Vec<(i32, i32)> {
    let line = |position: Option<bollard_buildkit_proto::pb::Position>| position.map_or(0, |position| position.line);
    ranges.iter().map(|range| (line(range.start), line(range.end))).collect()
}

/// What `RUN` ran, from a vertex's name: `[build 2/5] RUN --mount=… make` → `make`.
fn command(name: &str) -> Option<String> {
    let instruction = name.strip_prefix('[').and_then(|rest| rest.split_once("] ")).map(|(_, rest)| rest)?;
    let mut rest = instruction.strip_prefix("RUN ")?.trim_start();
    while let Some((flag, tail)) = rest.split_once(' ') {
        if !flag.starts_with("--") {
            break;
        }
        rest = tail.trim_start();
    }
    Some(rest.to_owned())
}

/// The code in BuildKit's "… exit code: 7".
fn exit_code(message: &str) -> Option<i32> {
    let digits = message.rsplit_once("exit code: ")?.1;
    let end = digits.find(|c: char| !c.is_ascii_digit()).unwrap_or(digits.len());
    digits[..end].parse().ok()
}

fn between(started: Option<Timestamp>, completed: Option<Timestamp>) -> Duration {
    let nanos = |time: Timestamp| i128::from(time.seconds) * 1_000_000_000 + i128::from(time.nanos);
    let (Some(started), Some(completed)) = (started, completed) else {
        return Duration::ZERO;
    };
    u64::try_from(nanos(completed) - nanos(started)).map_or(Duration::ZERO, Duration::from_nanos)
}

#[cfg(test)]
mod tests {
    use bollard_buildkit_proto::pb::{Position, SourceInfo};

    use super::*;

    fn at(seconds: i64) -> Option<Timestamp> {
        Some(Timestamp { seconds, nanos: 0 })
    }

    fn vertex(digest: &str, name: &str, started: Option<Timestamp>, completed: Option<Timestamp>) -> Vertex {
        Vertex { digest: digest.into(), name: name.into(), started, completed, ..Vertex::default() }
    }

    fn status(vertexes: Vec<Vertex>, logs: Vec<VertexLog>) -> StatusResponse {
        StatusResponse { vertexes, logs, ..StatusResponse::default() }
    }

    fn log(digest: &str, text: &str) -> VertexLog {
        VertexLog { vertex: digest.into(), stream: 1, msg: text.into(), ..VertexLog::default() }
    }

    #[test]
    fn repeated_messages_are_events_once() {
        let mut progress = Progress::new("Dockerfile".into());
        let running = vertex("a", "[1/2] RUN x", at(10), None);
        let ended = vertex("a", "[1/2] RUN x", at(10), at(12));
        let again = vertex("a", "[1/2] RUN x", at(20), at(21));
        let id = || VertexId::new("a");
        let name = || "[1/2] RUN x".to_owned();
        let started = BuildEvent::Started { vertex: id(), name: name() };
        let done = |seconds| BuildEvent::Done { vertex: id(), name: name(), took: Duration::from_secs(seconds) };
        assert_eq!(
            progress.take(status(vec![running.clone(), running.clone()], vec![])),
            std::slice::from_ref(&started)
        );
        assert_eq!(progress.take(status(vec![ended.clone()], vec![])), [done(2)]);
        assert_eq!(progress.take(status(vec![ended], vec![])), []);
        assert_eq!(progress.take(status(vec![again], vec![])), [started, done(1)]);
    }

    #[test]
    fn output_comes_before_the_end_that_it_came_with() {
        let mut progress = Progress::new("Dockerfile".into());
        let ended = vertex("a", "[1/2] RUN x", at(10), at(12));
        let events = progress.take(status(vec![ended], vec![log("a", "x\n")]));
        let kinds: Vec<u8> = events
            .iter()
            .map(|event| match event {
                BuildEvent::Started { .. } => 0,
                BuildEvent::Log { .. } => 1,
                BuildEvent::Done { .. } => 2,
                _ => 9,
            })
            .collect();
        assert_eq!(kinds, [0, 1, 2]);
    }

    #[test]
    fn the_failed_vertex_is_told_with_its_last_lines() {
        let mut progress = Progress::new("Dockerfile".into());
        let mut broken =
            vertex("a", "[build 2/3] RUN --mount=type=cache,target=/x --network=none make  all", at(1), at(2));
        broken.error = "process \"/bin/sh -c make all\" did not complete successfully: exit code: 2".into();
        let mut canceled = vertex("b", "[other 1/1] RUN sleep 9", at(1), at(2));
        canceled.error = "process \"sleep 9\" did not complete successfully: context canceled".into();
        let long = "y".repeat(10_000);
        let text: String = (0..50).map(|line| format!("line {line}\r\n")).collect::<String>() + &long + "\nunfinished";
        let events = progress.take(status(vec![canceled, broken], vec![log("a", &text)]));
        assert!(matches!(events.last(), Some(BuildEvent::Failed { given_up: false, .. })));
        let failed = progress.failed(None, "exit code: 9").unwrap();
        assert_eq!((failed.command.as_deref(), failed.exit_code), (Some("make  all"), Some(2)));
        assert_eq!((failed.last_lines.len(), failed.last_lines[0].as_str()), (40, "line 12"));
        assert_eq!((failed.last_lines[38].len(), failed.last_lines[39].as_str()), (KEPT_BYTES, "unfinished"));
        assert_eq!(progress.failed(Some("unknown"), "").unwrap().name, failed.name);
    }

    #[test]
    fn a_warning_names_the_file_as_the_request_does() {
        let mut progress = Progress::new("docker/My.Dockerfile".into());
        let line = |line| Some(Position { line, character: 0 });
        let warning = VertexWarning {
            short: b"StageNameCasing".to_vec(),
            detail: vec![b"Stage names should be lowercase".to_vec()],
            url: "https://example.org".into(),
            info: Some(SourceInfo { filename: "My.Dockerfile".into(), ..SourceInfo::default() }),
            ranges: vec![Range { start: line(3), end: line(4) }, Range { start: line(7), end: None }],
            ..VertexWarning::default()
        };
        let response = StatusResponse { warnings: vec![warning], ..StatusResponse::default() };
        let events = progress.take(response);
        let [BuildEvent::Warning(warning)] = events.as_slice() else {
            panic!("{events:?}");
        };
        let location = SourceLocation { file: "docker/My.Dockerfile".into(), first_line: 3, last_line: 7 };
        assert_eq!(warning.location, Some(location));
        assert_eq!(warning.url.as_deref(), Some("https://example.org"));
    }
}
