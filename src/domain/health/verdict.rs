//! Purpose: whether a container is what it should be: not yet, yes, or never.

use std::fmt;
use std::time::Duration;

use serde::Serialize;

use crate::domain::container::{ContainerState, HealthStatus, Status};

/// How long a container without a health check must run until it counts as running.
pub const STEADY: Duration = Duration::from_secs(1);

/// What is wanted of a container.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Want {
    /// That it was started.
    Started,
    /// That it runs, and is healthy if it has a health check.
    Running,
    /// That its health check succeeds; not having one is a failure.
    Healthy,
    /// That it ends with exit code 0.
    Completed,
}

/// What an observation says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Verdict {
    /// Ask again.
    Waiting,
    /// It is as wanted.
    Ready,
    /// It will not come to be.
    Failed(Cause),
}

/// Why a container will not be as wanted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Cause {
    /// Its main process ended.
    Exited(i64),
    /// The kernel killed it for want of memory.
    OutOfMemory,
    /// Its health check failed as often as allowed.
    Unhealthy,
    /// Its health is waited for and it has no health check.
    NoHealthCheck,
    /// It was removed, or could not be.
    Gone,
}

impl fmt::Display for Cause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Exited(code) => write!(f, "ended with exit code {code}{}", meaning(*code)),
            Self::OutOfMemory => f.write_str("was killed for want of memory"),
            Self::Unhealthy => f.write_str("is unhealthy"),
            Self::NoHealthCheck => f.write_str("has no health check, and its health is waited for"),
            Self::Gone => f.write_str("is gone"),
        }
    }
}

/// What shells and engines mean by some exit codes.
#[must_use]
pub fn meaning(code: i64) -> &'static str {
    match code {
        126 => " (the command is not executable)",
        127 => " (the command was not found)",
        134 => " (it aborted itself, SIGABRT)",
        137 => " (it was killed, SIGKILL)",
        139 => " (it accessed memory that it may not, SIGSEGV)",
        143 => " (it was asked to end, SIGTERM)",
        _ => "",
    }
}

/// Judges one observation; `running_for` is how long the container has been seen running without a pause.
#[must_use]
pub fn judge(want: Want, state: Option<&ContainerState>, running_for: Duration) -> Verdict {
    let Some(state) = state else {
        return Verdict::Failed(Cause::Gone);
    };
    match state.status {
        Status::Dead => Verdict::Failed(Cause::Gone),
        Status::Created | Status::Restarting | Status::Paused => Verdict::Waiting,
        Status::Exited => ended(want, state),
        Status::Running => match want {
            Want::Started => Verdict::Ready,
            Want::Completed => Verdict::Waiting,
            Want::Running => match state.health {
                HealthStatus::None if running_for >= STEADY => Verdict::Ready,
                HealthStatus::None => Verdict::Waiting,
                health => by_health(health),
            },
            Want::Healthy if state.health == HealthStatus::None => Verdict::Failed(Cause::NoHealthCheck),
            Want::Healthy => by_health(state.health),
        },
    }
}

fn by_health(health: HealthStatus) -> Verdict {
    match health {
        HealthStatus::Healthy => Verdict::Ready,
        HealthStatus::Unhealthy => Verdict::Failed(Cause::Unhealthy),
        HealthStatus::Starting | HealthStatus::None => Verdict::Waiting,
    }
}

fn ended(want: Want, state: &ContainerState) -> Verdict {
    if state.out_of_memory {
        return Verdict::Failed(Cause::OutOfMemory);
    }
    match want {
        Want::Completed | Want::Started if state.exit_code == 0 => Verdict::Ready,
        _ => Verdict::Failed(Cause::Exited(state.exit_code)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn state(status: Status, health: HealthStatus, exit_code: i64, out_of_memory: bool) -> ContainerState {
        ContainerState {
            status,
            exit_code,
            out_of_memory,
            error: String::new(),
            started_at: None,
            finished_at: None,
            health,
            failing_streak: 0,
            probes: Vec::new(),
            restarts: 0,
        }
    }

    #[test]
    fn every_situation_has_its_verdict() {
        use HealthStatus as H;
        let long = STEADY * 2;
        for (want, seen, running_for, expected) in [
            (Want::Running, state(Status::Running, H::None, 0, false), Duration::ZERO, Verdict::Waiting),
            (Want::Running, state(Status::Running, H::None, 0, false), long, Verdict::Ready),
            (Want::Running, state(Status::Running, H::Starting, 0, false), long, Verdict::Waiting),
            (Want::Running, state(Status::Running, H::Healthy, 0, false), Duration::ZERO, Verdict::Ready),
            (Want::Running, state(Status::Running, H::Unhealthy, 0, false), long, Verdict::Failed(Cause::Unhealthy)),
            (Want::Running, state(Status::Exited, H::None, 0, false), long, Verdict::Failed(Cause::Exited(0))),
            (Want::Running, state(Status::Exited, H::None, 137, true), long, Verdict::Failed(Cause::OutOfMemory)),
            (Want::Healthy, state(Status::Running, H::None, 0, false), long, Verdict::Failed(Cause::NoHealthCheck)),
            (Want::Completed, state(Status::Running, H::None, 0, false), long, Verdict::Waiting),
            (Want::Completed, state(Status::Exited, H::None, 0, false), long, Verdict::Ready),
            (Want::Completed, state(Status::Exited, H::None, 3, false), long, Verdict::Failed(Cause::Exited(3))),
            (Want::Started, state(Status::Created, H::None, 0, false), long, Verdict::Waiting),
            (Want::Started, state(Status::Running, H::Unhealthy, 0, false), long, Verdict::Ready),
            (Want::Running, state(Status::Dead, H::None, 0, false), long, Verdict::Failed(Cause::Gone)),
        ] {
            assert_eq!(judge(want, Some(&seen), running_for), expected, "{want:?} {seen:?}");
        }
        assert_eq!(judge(Want::Running, None, long), Verdict::Failed(Cause::Gone));
        assert_eq!(Cause::Exited(127).to_string(), "ended with exit code 127 (the command was not found)");
    }

    proptest::proptest! {
        #[test]
        fn nothing_that_ended_badly_is_ever_ready(code in 1..256_i64, oom: bool, want in 0..4_usize, seconds in 0..100_u64) {
            let want = [Want::Started, Want::Running, Want::Healthy, Want::Completed][want];
            let seen = state(Status::Exited, HealthStatus::Healthy, code, oom);
            let verdict = judge(want, Some(&seen), Duration::from_secs(seconds));
            proptest::prop_assert!(matches!(verdict, Verdict::Failed(_)));
        }
    }
}
