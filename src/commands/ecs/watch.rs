//! Purpose: the rollout's machine at work: asks ECS what it wants to know and prints what it says.

use std::time::Duration;

use tokio::time::Instant;

use crate::commands::run::Run;
use crate::domain::ecs::{Event, Service};
use crate::domain::rollout::{Pace, Progress, Question, Rollout, Verdict};
use crate::services::aws::ecs::Observer;

/// Most service events in a summary.
const EVENTS_SHOWN: usize = 10;

/// One service's rollout under watch.
pub(crate) struct Watch<'a> {
    run: &'a Run,
    observer: Observer,
    /// Before every line, when several services are watched at once.
    prefix: String,
    interval: Duration,
    pub(crate) rollout: Rollout,
    /// The states and stages that the deployment went through, each with the time when it was seen.
    pub(crate) states: Vec<(Instant, String)>,
}

impl<'a> Watch<'a> {
    /// Watches a rollout through what an observer is told.
    pub(crate) fn new(run: &'a Run, observer: Observer, prefix: &str, interval: Duration, rollout: Rollout) -> Self {
        Self { run, observer, prefix: prefix.to_owned(), interval, rollout, states: Vec::new() }
    }

    /// The service as last seen.
    pub(crate) fn service(&self) -> Option<&Service> {
        self.observer.service()
    }

    /// Watches until the rollout has ended. Dropped at any point, `self` still knows what was found.
    pub(crate) async fn until_ended(&mut self) -> Verdict {
        let start = Instant::now();
        let mut last_steady: Option<Instant> = None;
        loop {
            let (question, pace) = self.rollout.next();
            if pace == Pace::Steady {
                // From start to start, so that slow answers do not slow the pace.
                let wait = last_steady.map_or(Duration::ZERO, |last| self.interval.saturating_sub(last.elapsed()));
                tokio::time::sleep(wait).await;
            }
            if pace == Pace::Steady || last_steady.is_none() {
                last_steady = Some(Instant::now());
            }
            self.rollout.tick(start.elapsed());
            if self.rollout.verdict().is_none() {
                let answer = self.observer.answer(&question).await;
                let progress = self.rollout.learn(start.elapsed(), &question, answer);
                self.note_states(&progress);
                progress.iter().for_each(|progress| self.show(progress));
            }
            if let Some(verdict) = self.rollout.verdict() {
                return verdict.clone();
            }
        }
    }

    /// Looks once more at stopped tasks: the last ones may have stopped after the last look.
    pub(crate) async fn last_look(&mut self) {
        let answer = self.observer.answer(&Question::StoppedTasks).await;
        let progress = self.rollout.learn(Duration::ZERO, &Question::StoppedTasks, answer);
        progress.iter().for_each(|progress| self.show(progress));
    }

    fn note_states(&mut self, progress: &[Progress]) {
        let states = progress.iter().filter_map(|progress| match progress {
            Progress::State(state) => Some((Instant::now(), state.clone())),
            _ => None,
        });
        self.states.extend(states);
    }

    /// The service's events since the start, at most ten, the oldest first.
    pub(crate) fn recent_events(&self) -> Vec<String> {
        let since = |event: &&Event| match (event.at, self.observer.since()) {
            (Some(at), Some(since)) => at >= since,
            _ => true,
        };
        let events =
            self.service().into_iter().flat_map(|service| service.events.iter().filter(since).take(EVENTS_SHOWN));
        let mut events: Vec<String> = events.map(|event| event.message.clone()).collect();
        events.reverse();
        events
    }

    fn show(&self, progress: &Progress) {
        let (log, prefix) = (&self.run.log, &self.prefix);
        match progress {
            Progress::Found { arn } => log.info(format!("{prefix}following {arn}")),
            Progress::State(state) => log.info(format!("{prefix}deployment: {state}")),
            Progress::Counts(counts) => {
                let pending =
                    if counts.pending > 0 { format!(", {} on their way", counts.pending) } else { String::new() };
                log.info(format!("{prefix}{} of {} tasks run{pending}", counts.running, counts.desired));
            }
            Progress::Event(message) => log.foreign(format!("{prefix}{message}")),
            Progress::TaskFailed { task, diagnosis } => {
                log.foreign(format!("{prefix}task {task} failed: {}", diagnosis.cause));
            }
            Progress::Degraded(message) => {
                log.warn("Watching with less", format!("{prefix}{message}"));
            }
        }
    }
}
