//! Purpose: turns what happens during a build into log lines that people can follow, and into the data of a summary.
//!
//! Vertices run side by side, and a log has one column. So one vertex has the floor: its output is printed as it comes,
//! in a group of its own, until it ends. The others' output waits. What waits is printed when the one with the floor
//! ends; before that, when it has been silent while another one had much to say, when much has piled up, and whenever
//! the caller says that nothing happens ([`BuildLog::idle`]). Memory stays bounded, and no line waits for long.
//!
//! A vertex without output is one line, with its duration or `CACHED`; the builder's own housekeeping (`[internal]`) is a
//! line only when it took a second or moved data. A failure is told in a line of its own behind its group, which the
//! runner folds.

mod lines;
mod summary;

pub use summary::{BuildSummary, StepEnd, StepSummary};

use std::collections::HashMap;
use std::time::Duration;

use self::lines::Lines;
use self::summary::is_housekeeping;
use super::build_event::{BuildEvent, BuildWarning, LogStream, Transfer, VertexId};

/// What to do with the log next. Titles and notes hold names from the Dockerfile, and so are no more to be trusted than
/// the lines themselves.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum LogAction {
    /// Open a foldable group with that title; no other group is open.
    OpenGroup(String),
    /// Close the open group.
    CloseGroup,
    /// A line of our own words.
    Note(String),
    /// A line that came from the build; untrusted, to be printed guarded.
    Foreign(String),
    /// A finding of the builder's checks, for an annotation.
    Warning(BuildWarning),
}

/// Waiting bytes of one vertex that take the floor from one that has been silent meanwhile.
const IMPATIENT: usize = 2 * 1024;
/// Waiting bytes of one vertex that take the floor from any other.
const TOO_MUCH: usize = 64 * 1024;
/// Runs shorter than this are not told a second time (the builder runs many vertices twice, once to look).
const WORTH_A_LINE: Duration = Duration::from_secs(1);

/// What is known of a vertex.
#[derive(Debug, Default)]
struct Vertex {
    name: String,
    /// Output that is not printed yet.
    waiting: Lines,
    /// A group of it has been opened before.
    opened: bool,
    /// Its end has been told.
    told: bool,
    end: Option<StepEnd>,
    took: Duration,
    /// Bytes that finished transfers moved, by name.
    moved: HashMap<String, u64>,
}

/// How a run of a vertex ended, in words.
#[derive(Debug)]
struct Ending {
    line: String,
    failed: bool,
}

/// The renderer's state.
#[derive(Debug, Default)]
pub struct BuildLog {
    vertices: HashMap<VertexId, Vertex>,
    /// In the order in which they began.
    order: Vec<VertexId>,
    /// Whose group is open.
    floor: Option<VertexId>,
    /// Vertices that ended while another one had the floor, with the line that says how.
    ended: Vec<(VertexId, Ending)>,
    actions: Vec<LogAction>,
}

impl BuildLog {
    /// Takes one event and says what to print now.
    pub fn event(&mut self, event: &BuildEvent) -> Vec<LogAction> {
        match event {
            BuildEvent::Started { vertex, name } => self.vertex(vertex, name).end = None,
            BuildEvent::Cached { vertex, name } => self.cached(vertex, name),
            BuildEvent::Done { vertex, name, took } => self.done(vertex, name, *took),
            BuildEvent::Failed { vertex, name, took, error, given_up } => {
                self.failed(vertex, name, *took, error, *given_up);
            }
            BuildEvent::Log { vertex, stream, data } => self.log(vertex, *stream, data),
            BuildEvent::Warning(warning) => self.actions.push(LogAction::Warning(warning.clone())),
            BuildEvent::Transfer(transfer) => self.transfer(transfer),
        }
        std::mem::take(&mut self.actions)
    }

    /// Nothing happened for a while (a second or two): prints what waits, so that a silent step does not hide the others.
    pub fn idle(&mut self) -> Vec<LogAction> {
        let waits = |log: &Self, id: &VertexId| log.vertices.get(id).is_some_and(|vertex| !vertex.waiting.is_empty());
        let waiting: Vec<VertexId> = self.order.iter().filter(|id| waits(self, id)).cloned().collect();
        let others = waiting.iter().any(|id| self.floor.as_ref() != Some(id));
        if others || !self.ended.is_empty() {
            self.yield_floor();
            for id in waiting {
                if waits(self, &id) {
                    self.take_floor(&id);
                }
            }
        }
        std::mem::take(&mut self.actions)
    }

    /// The build ended: prints what was held back and closes the open group.
    pub fn finish(&mut self) -> Vec<LogAction> {
        for id in self.order.clone() {
            let Some(vertex) = self.vertices.get_mut(&id) else {
                continue;
            };
            vertex.waiting.end();
            if vertex.end.is_none() {
                vertex.end = Some(StepEnd::GivenUp);
            }
            if !vertex.waiting.is_empty() && !self.ended.iter().any(|(ended, _)| *ended == id) {
                self.take_floor(&id);
            }
        }
        self.yield_floor();
        std::mem::take(&mut self.actions)
    }

    /// What happened in all.
    #[must_use]
    pub fn summary(&self) -> BuildSummary {
        let known = self.order.iter().filter_map(|id| self.vertices.get(id));
        BuildSummary::of(known.map(|vertex| StepSummary {
            name: vertex.name.clone(),
            end: vertex.end.unwrap_or(StepEnd::GivenUp),
            took: vertex.took,
        }))
    }

    fn vertex(&mut self, id: &VertexId, name: &str) -> &mut Vertex {
        if !self.vertices.contains_key(id) {
            self.order.push(id.clone());
        }
        let vertex = self.vertices.entry(id.clone()).or_default();
        if !name.is_empty() {
            vertex.name = name.split_whitespace().collect::<Vec<_>>().join(" ");
        }
        vertex
    }

    fn cached(&mut self, id: &VertexId, name: &str) {
        let vertex = self.vertex(id, name);
        vertex.end.get_or_insert(StepEnd::Cached);
        self.ended(id, Ending { line: "CACHED".to_owned(), failed: false }, Duration::ZERO);
    }

    fn done(&mut self, id: &VertexId, name: &str, took: Duration) {
        let vertex = self.vertex(id, name);
        vertex.end = Some(StepEnd::Ran);
        vertex.took += took;
        let moved = vertex.moved.values().sum::<u64>();
        let line = match moved {
            0 => seconds(took),
            bytes => format!("{} ({})", seconds(took), size(bytes)),
        };
        self.ended(id, Ending { line, failed: false }, took);
    }

    fn failed(&mut self, id: &VertexId, name: &str, took: Duration, error: &str, given_up: bool) {
        let vertex = self.vertex(id, name);
        vertex.end = Some(if given_up { StepEnd::GivenUp } else { StepEnd::Failed });
        vertex.took += took;
        vertex.told = false;
        let line = if given_up {
            format!("GIVEN UP after {}", seconds(took))
        } else {
            let error = error.split_whitespace().collect::<Vec<_>>().join(" ");
            format!("FAILED after {}: {error}", seconds(took))
        };
        self.ended(id, Ending { line, failed: !given_up }, took);
    }

    fn transfer(&mut self, transfer: &Transfer) {
        let vertex = self.vertex(&transfer.vertex, "");
        vertex.moved.insert(transfer.name.clone(), transfer.current);
    }

    fn log(&mut self, id: &VertexId, stream: LogStream, data: &[u8]) {
        let vertex = self.vertex(id, "");
        vertex.waiting.add(stream, data);
        let (waiting, impatience) = (vertex.waiting.bytes(), vertex.waiting.impatience());
        if waiting == 0 {
            return;
        }
        let is_late = vertex.end.is_some();
        match self.floor.clone() {
            Some(floor) if floor == *id => {
                self.print_waiting(id);
                // Whoever speaks is not silent: the others' patience begins anew.
                for other in self.vertices.values_mut() {
                    other.waiting.forget_patience();
                }
            }
            None => self.take_floor(id),
            Some(_) if is_late || impatience >= IMPATIENT || waiting >= TOO_MUCH => {
                self.take_floor(id);
            }
            Some(_) => return,
        }
        if is_late {
            // Its end has been told, and no other will come.
            self.yield_floor();
            self.next_speaker();
        }
    }

    /// A run of a vertex ended.
    fn ended(&mut self, id: &VertexId, ending: Ending, took: Duration) {
        let Some(vertex) = self.vertices.get_mut(id) else {
            return;
        };
        vertex.waiting.end();
        let has_output = vertex.opened || !vertex.waiting.is_empty();
        let quiet = is_housekeeping(&vertex.name) && took < WORTH_A_LINE && vertex.moved.values().sum::<u64>() < 10_000;
        let again = vertex.told && took < WORTH_A_LINE;
        if !has_output && (quiet || again) && !ending.failed {
            return;
        }
        self.ended.push((id.clone(), ending));
        let waiting: usize =
            self.ended.iter().filter_map(|(id, _)| self.vertices.get(id)).map(|v| v.waiting.bytes()).sum();
        let others_turn = self.floor.as_ref().is_none_or(|floor| floor == id);
        if others_turn || waiting >= TOO_MUCH {
            self.yield_floor();
            self.next_speaker();
        }
    }

    /// Closes the open group and tells of everything that ended meanwhile.
    fn yield_floor(&mut self) {
        let mut ended = std::mem::take(&mut self.ended);
        if let Some(floor) = self.floor.take() {
            self.print_waiting(&floor);
            if let Some(at) = ended.iter().position(|(id, _)| *id == floor) {
                let (_, ending) = ended.remove(at);
                self.close(&floor, ending);
            } else {
                self.actions.push(LogAction::CloseGroup);
            }
        }
        for (id, ending) in ended {
            let has_output = self.vertices.get(&id).is_some_and(|vertex| vertex.opened || !vertex.waiting.is_empty());
            if has_output {
                self.open(&id);
                self.print_waiting(&id);
                self.close(&id, ending);
            } else if let Some(vertex) = self.vertices.get_mut(&id) {
                vertex.told = true;
                self.actions.push(LogAction::Note(format!("{} {}", vertex.name, ending.line)));
            }
        }
    }

    /// Ends a vertex's last group. A failure stands behind the group, where it is not folded away.
    fn close(&mut self, id: &VertexId, ending: Ending) {
        let Some(vertex) = self.vertices.get_mut(id) else {
            return;
        };
        vertex.told = true;
        vertex.opened = false;
        if ending.failed {
            self.actions.push(LogAction::CloseGroup);
            self.actions.push(LogAction::Note(format!("{} {}", vertex.name, ending.line)));
        } else {
            self.actions.push(LogAction::Note(ending.line));
            self.actions.push(LogAction::CloseGroup);
        }
    }

    fn take_floor(&mut self, id: &VertexId) {
        self.yield_floor();
        self.open(id);
        self.print_waiting(id);
        self.floor = Some(id.clone());
    }

    /// Gives the floor to the running vertex that has most to say.
    fn next_speaker(&mut self) {
        let waiting = |id: &&VertexId| self.vertices.get(*id).map_or(0, |vertex| vertex.waiting.bytes());
        let next = self.order.iter().rev().max_by_key(waiting).filter(|id| waiting(id) > 0).cloned();
        if let Some(next) = next {
            self.take_floor(&next);
        }
    }

    fn open(&mut self, id: &VertexId) {
        let Some(vertex) = self.vertices.get_mut(id) else {
            return;
        };
        let again = if std::mem::replace(&mut vertex.opened, true) { " (continued)" } else { "" };
        self.actions.push(LogAction::OpenGroup(format!("{}{again}", vertex.name)));
    }

    fn print_waiting(&mut self, id: &VertexId) {
        if let Some(vertex) = self.vertices.get_mut(id) {
            self.actions.extend(vertex.waiting.take().into_iter().map(LogAction::Foreign));
        }
    }
}

fn seconds(time: Duration) -> String {
    format!("{:.1} s", time.as_secs_f64())
}

fn size(bytes: u64) -> String {
    const UNITS: [(&str, u64); 3] = [("GB", 1_000_000_000), ("MB", 1_000_000), ("kB", 1_000)];
    let unit = UNITS.iter().find(|(_, size)| bytes >= *size);
    unit.map_or_else(
        || format!("{bytes} bytes"),
        |(unit, size)| format!("{}.{} {unit}", bytes / size, bytes % size * 10 / size),
    )
}

#[cfg(test)]
mod tests;
