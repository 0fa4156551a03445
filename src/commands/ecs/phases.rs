//! Purpose: how long each phase took.

use std::cell::RefCell;
use std::rc::Rc;

use tokio::time::Instant;

/// The phases so far, in order, with their start and end since the first one.
#[derive(Debug, Clone, Default)]
pub(crate) struct Phases(Rc<RefCell<Vec<Phase>>>);

#[derive(Debug)]
struct Phase {
    name: &'static str,
    start: Instant,
    end: Option<Instant>,
}

/// A phase under way; ends when dropped.
#[must_use = "the phase ends when this is dropped"]
pub(crate) struct Open {
    phases: Phases,
    index: usize,
}

impl Drop for Open {
    fn drop(&mut self) {
        if let Some(phase) = self.phases.0.borrow_mut().get_mut(self.index) {
            phase.end = Some(Instant::now());
        }
    }
}

/// A phase's name, and its start and end in seconds since the first phase began.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Timed {
    pub(crate) name: &'static str,
    pub(crate) start: f64,
    pub(crate) end: f64,
}

impl Phases {
    /// Begins a phase.
    pub(crate) fn begin(&self, name: &'static str) -> Open {
        let mut phases = self.0.borrow_mut();
        phases.push(Phase { name, start: Instant::now(), end: None });
        Open { phases: self.clone(), index: phases.len() - 1 }
    }

    /// When the first phase began.
    pub(crate) fn zero(&self) -> Option<Instant> {
        self.0.borrow().first().map(|phase| phase.start)
    }

    /// All phases with their times.
    pub(crate) fn timed(&self) -> Vec<Timed> {
        let phases = self.0.borrow();
        let Some(first) = phases.first().map(|phase| phase.start) else {
            return Vec::new();
        };
        let since = |at: Instant| at.duration_since(first).as_secs_f64();
        let timed = |phase: &Phase| Timed {
            name: phase.name,
            start: since(phase.start),
            end: since(phase.end.unwrap_or_else(Instant::now)),
        };
        phases.iter().map(timed).collect()
    }

    /// Seconds per phase, to a tenth.
    pub(crate) fn to_json(&self) -> serde_json::Value {
        let timed = self.timed();
        timed
            .into_iter()
            .map(|phase| (phase.name.to_owned(), tenths(phase.end - phase.start).into()))
            .collect::<serde_json::Map<_, _>>()
            .into()
    }
}

/// Seconds to a tenth.
pub(crate) fn tenths(seconds: f64) -> f64 {
    (seconds * 10.0).round() / 10.0
}
