//! Purpose: requests at the speed that a service allows: spaced by points, patient with limits, and for one whole process.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

use super::{Classified, ErrorClass};
use crate::domain::pace::{Admission, Limits, Pace};

/// Tries of a request that got no usable answer.
const TRIES: u32 = 5;
/// The wait before the second of them; doubled each time.
const FIRST_WAIT: Duration = Duration::from_millis(250);
/// The wait when a limit was reached and nobody said for how long; doubled with each refusal that follows (GitHub
/// documentation, "exceeding the rate limit").
const UNSAID_WAIT: Duration = Duration::from_secs(60);
/// Refusals with nothing taken between them after which the service is given up: it has long been more than a limit.
const REFUSALS: u32 = 3;

/// A kind of request: those of one kind share a limit.
pub type Lane = &'static str;

/// What a request costs, and whether it may be repeated.
#[derive(Debug, Clone, Copy)]
pub struct Cost {
    /// The kind.
    pub lane: Lane,
    /// Points.
    pub points: f64,
}

impl Cost {
    /// A read: one point.
    #[must_use]
    pub const fn read(lane: Lane) -> Self {
        Self { lane, points: 1.0 }
    }

    /// A write: five points.
    #[must_use]
    pub const fn write(lane: Lane) -> Self {
        Self { lane, points: 5.0 }
    }
}

/// The speed of one service. Clones share it.
#[derive(Clone)]
pub struct Governor(Arc<Inner>);

struct Inner {
    pace: Mutex<Pace<Lane>>,
    start: Instant,
    /// The longest wait that is waited out; a longer one ends the work.
    patience: Duration,
}

impl Governor {
    /// A governor of these limits that waits for at most `patience` at a time.
    #[must_use]
    pub fn new(limits: Limits, patience: Duration) -> Self {
        Self(Arc::new(Inner { pace: Mutex::new(Pace::new(limits)), start: Instant::now(), patience }))
    }

    /// Sends a request when it may be sent, and again after limits and failures that pass. It must be one that may be
    /// repeated, and must not be retried inside.
    ///
    /// # Errors
    /// The last error; a limit that lasts longer than the patience at once.
    pub async fn run<T, E, F, Fut>(&self, cost: Cost, mut request: F) -> Result<T, E>
    where
        E: Classified,
        F: FnMut() -> Fut,
        Fut: Future<Output = Result<T, E>>,
    {
        let (mut failures, mut wait) = (0, FIRST_WAIT);
        loop {
            self.admitted(cost).await;
            let error = match request().await {
                Ok(done) => {
                    self.pace().taken();
                    return Ok(done);
                }
                Err(error) => error,
            };
            match error.class() {
                ErrorClass::RateLimited => {
                    let mut pace = self.pace();
                    let asked = error.retry_after().unwrap_or_else(|| unsaid_wait(pace.refusals()));
                    if asked > self.0.patience {
                        return Err(error);
                    }
                    pace.refused(millis(asked), self.now());
                    if pace.refusals() >= REFUSALS {
                        return Err(error);
                    }
                }
                ErrorClass::Unavailable if failures + 1 < TRIES => {
                    failures += 1;
                    tokio::time::sleep(wait.max(error.retry_after().unwrap_or_default()).min(self.0.patience)).await;
                    wait *= 2;
                }
                _ => return Err(error),
            }
        }
    }

    async fn admitted(&self, cost: Cost) {
        loop {
            let admission = self.pace().admit(&cost.lane, cost.points, self.now());
            match admission {
                Admission::Now => return,
                Admission::After(wait) => tokio::time::sleep(Duration::from_secs_f64(wait / 1000.0)).await,
            }
        }
    }

    fn pace(&self) -> MutexGuard<'_, Pace<Lane>> {
        self.0.pace.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn now(&self) -> f64 {
        millis(self.0.start.elapsed())
    }
}

/// The wait after so many refusals before this one.
fn unsaid_wait(refusals: u32) -> Duration {
    UNSAID_WAIT * 2_u32.pow(refusals.min(REFUSALS))
}

fn millis(duration: Duration) -> f64 {
    duration.as_secs_f64() * 1000.0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, thiserror::Error)]
    #[error("refused")]
    struct Refused(ErrorClass, Option<Duration>);

    impl Classified for Refused {
        fn class(&self) -> ErrorClass {
            self.0
        }

        fn retry_after(&self) -> Option<Duration> {
            self.1
        }
    }

    async fn run(governor: &Governor, errors: &mut Vec<Refused>) -> Result<(), Refused> {
        let errors = std::cell::RefCell::new(errors);
        governor
            .run(Cost::write("delete"), || {
                let error = errors.borrow_mut().pop();
                async move { error.map_or(Ok(()), Err) }
            })
            .await
    }

    #[tokio::test]
    async fn limits_are_waited_out_and_denials_are_not_repeated() {
        let governor = Governor::new(Limits::GITHUB, Duration::from_secs(100));
        let start = Instant::now();
        let asked = Some(Duration::from_millis(40));
        run(&governor, &mut vec![Refused(ErrorClass::RateLimited, asked)]).await.unwrap();
        assert!(start.elapsed() >= Duration::from_millis(40));
        let mut denied = vec![Refused(ErrorClass::Unavailable, None), Refused(ErrorClass::Forbidden, None)];
        run(&governor, &mut denied).await.unwrap_err();
        assert_eq!(denied.len(), 1);
        let hour = Some(Duration::from_secs(3600));
        let mut limited = vec![Refused(ErrorClass::RateLimited, None), Refused(ErrorClass::RateLimited, hour)];
        run(&governor, &mut limited).await.unwrap_err();
        assert_eq!(limited.len(), 1);
    }

    #[tokio::test]
    async fn a_service_that_takes_nothing_is_given_up_and_one_that_takes_a_little_is_not() {
        let soon = || Refused(ErrorClass::RateLimited, Some(Duration::from_millis(1)));
        let governor = Governor::new(Limits::GITHUB, Duration::from_secs(100));
        let mut errors = vec![soon(), soon(), soon(), soon()];
        run(&governor, &mut errors).await.unwrap_err();
        assert_eq!(errors.len(), 1);
        let governor = Governor::new(Limits::GITHUB, Duration::from_secs(100));
        for _ in 0..4 {
            run(&governor, &mut vec![soon(), soon()]).await.unwrap();
        }
    }

    #[test]
    fn waits_of_which_nobody_said_how_long_become_longer() {
        assert_eq!([0, 1, 2].map(|refusals| unsaid_wait(refusals).as_secs()), [60, 120, 240]);
        unsaid_wait(u32::MAX);
    }
}
