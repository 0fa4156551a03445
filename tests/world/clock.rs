//! Purpose: the world's time: real time plus what a test adds to it.

use std::fmt;
use std::ops::Add;
use std::time::Duration;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

/// A moment; in JSON as RFC 3339.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(into = "String", try_from = "String")]
pub struct Moment(pub Timestamp);

impl Moment {
    /// The beginning of 1970.
    pub const EPOCH: Self = Self(Timestamp::UNIX_EPOCH);

    /// A moment by seconds since 1970.
    pub fn from_second(second: i64) -> Self {
        Self(Timestamp::from_second(second).expect("a moment of this era"))
    }

    /// Whole seconds since 1970.
    pub fn as_second(self) -> i64 {
        self.0.as_second()
    }

    /// Milliseconds since 1970.
    pub fn as_millisecond(self) -> i64 {
        self.0.as_millisecond()
    }
}

impl Add<Duration> for Moment {
    type Output = Self;

    fn add(self, by: Duration) -> Self {
        Self(self.0 + by)
    }
}

impl fmt::Display for Moment {
    /// To the second, as GitHub and STS write it.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.0.strftime("%Y-%m-%dT%H:%M:%SZ"))
    }
}

impl From<Moment> for String {
    fn from(moment: Moment) -> Self {
        moment.0.to_string()
    }
}

impl TryFrom<String> for Moment {
    type Error = jiff::Error;

    fn try_from(text: String) -> Result<Self, jiff::Error> {
        text.parse().map(Self)
    }
}

/// The world's clock. It runs with real time, so that a client's own clock agrees with it, unless a test stops it;
/// tests move it forward instead of sleeping.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Clock {
    ahead: Duration,
    stopped_at: Option<Moment>,
}

impl Clock {
    /// The world's present.
    pub fn now(&self) -> Moment {
        self.stopped_at.unwrap_or_else(real_time) + self.ahead
    }

    /// Seconds since the epoch, as AWS writes them.
    pub fn seconds(&self) -> f64 {
        seconds(self.now())
    }

    /// Moves the clock forward.
    pub fn advance(&mut self, by: Duration) {
        self.ahead += by;
    }

    /// Stops the clock at a moment; only [`Clock::advance`] moves it then.
    pub fn stop_at(&mut self, at: Moment) {
        self.ahead = Duration::ZERO;
        self.stopped_at = Some(at);
    }
}

/// Seconds since the epoch with milliseconds.
pub fn seconds(at: Moment) -> f64 {
    #[allow(clippy::cast_precision_loss, reason = "milliseconds of this era fit a double")]
    let millis = at.as_millisecond() as f64;
    millis / 1000.0
}

#[allow(clippy::disallowed_methods, reason = "the fake world is outside the program and has a clock of its own")]
fn real_time() -> Moment {
    Moment(Timestamp::now())
}

/// When a step of a timeline happens, counted from the step before it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum After {
    /// At the n-th observation after the previous step; 0 is at once.
    Polls(u32),
    /// When the world's clock has moved on by this many milliseconds.
    Millis(u64),
}

/// Where a timeline stands: observations and the moment of the last step.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
pub struct Since {
    /// Observations when the previous step happened.
    pub polls: u32,
    /// The world's time then.
    pub at: Moment,
}

impl After {
    /// Whether the step is due.
    pub fn is_due(self, since: Since, polls: u32, now: Moment) -> bool {
        match self {
            Self::Polls(count) => polls >= since.polls + count,
            Self::Millis(millis) => now.0.duration_since(since.at.0).as_millis() >= i128::from(millis),
        }
    }
}
