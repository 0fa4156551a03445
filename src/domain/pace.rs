//! Purpose: how fast a service may be asked: points per window and kind of request, learned down when it says no, and
//! up again when it does not.
//!
//! GitHub's documentation ("rate limits for the REST API", "about secondary rate limits"): a read costs one point and
//! a write five; 900 points a minute are allowed for one kind of address, or for all together; which of the two holds
//! is found out. The bucket is filled evenly with a small reserve, so that any window stays below the limit and nothing
//! comes in bursts.

use std::collections::HashMap;
use std::hash::Hash;

/// What a service allows.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Limits {
    /// Points in any window.
    pub points: f64,
    /// The window, in milliseconds.
    pub window: f64,
}

impl Limits {
    /// GitHub's REST API: 900 points a minute.
    pub const GITHUB: Self = Self { points: 900.0, window: 60_000.0 };
}

/// The part of the points that may be spent at once.
const RESERVE: f64 = 0.02;
/// What is left of the speed after a refusal.
const BACK_OFF: f64 = 0.7;
/// The slowest, as a part of the full speed.
const SLOWEST: f64 = 0.05;
/// What is added in each window without a refusal, as a part of the full speed.
const RECOVERY: f64 = 0.1;

/// Whether a request may be sent.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Admission {
    /// Now; its points are spent.
    Now,
    /// Not before so many milliseconds; ask again then.
    After(f64),
}

/// The state of one service. `L` tells kinds of requests apart.
#[derive(Debug, Clone)]
pub struct Pace<L> {
    limits: Limits,
    lanes: HashMap<Option<L>, Lane>,
    /// Whether all kinds share one limit: assumed as soon as the service refuses.
    is_shared: bool,
    speed: f64,
    blocked_until: f64,
    recovered_at: f64,
    refusals: u32,
}

#[derive(Debug, Clone, Copy)]
struct Lane {
    available: f64,
    at: f64,
}

impl<L: Eq + Hash + Clone> Pace<L> {
    /// A service that has not been asked yet.
    #[must_use]
    pub fn new(limits: Limits) -> Self {
        Self {
            limits,
            lanes: HashMap::new(),
            is_shared: false,
            speed: 1.0,
            blocked_until: 0.0,
            recovered_at: 0.0,
            refusals: 0,
        }
    }

    /// Asks to send a request of so many points at this moment, in milliseconds of any clock that only goes forward.
    pub fn admit(&mut self, lane: &L, points: f64, now: f64) -> Admission {
        if now < self.blocked_until {
            return Admission::After(self.blocked_until - now);
        }
        self.recover(now);
        let rate = self.rate();
        let reserve = (self.limits.points * RESERVE).max(points);
        let key = (!self.is_shared).then(|| lane.clone());
        let lane = self.lanes.entry(key).or_insert(Lane { available: reserve, at: now });
        lane.available = (lane.available + (now - lane.at).max(0.0) * rate).min(reserve);
        lane.at = now;
        if lane.available >= points {
            lane.available -= points;
            return Admission::Now;
        }
        Admission::After(((points - lane.available) / rate).max(1.0))
    }

    /// The service refused and asked for a wait, in milliseconds.
    pub fn refused(&mut self, wait: f64, now: f64) {
        // Requests that were under way together are refused together: that is one refusal.
        if now < self.blocked_until {
            self.blocked_until = self.blocked_until.max(now + wait);
            return;
        }
        self.refusals += 1;
        self.speed = if self.is_shared { (self.speed * BACK_OFF).max(SLOWEST) } else { self.speed };
        self.is_shared = true;
        self.lanes.clear();
        self.blocked_until = now + wait;
        self.recovered_at = self.blocked_until;
    }

    /// The service took a request.
    pub fn taken(&mut self) {
        self.refusals = 0;
    }

    /// Refusals one after the other, with nothing taken between them.
    #[must_use]
    pub fn refusals(&self) -> u32 {
        self.refusals
    }

    /// Until when nothing may be sent, in the same milliseconds.
    #[must_use]
    pub fn blocked_until(&self) -> f64 {
        self.blocked_until
    }

    /// Points per millisecond; with the reserve on top no window exceeds the limit.
    fn rate(&self) -> f64 {
        self.limits.points * (1.0 - RESERVE) / self.limits.window * self.speed
    }

    fn recover(&mut self, now: f64) {
        while self.speed < 1.0 && now - self.recovered_at >= self.limits.window {
            self.speed = (self.speed + RECOVERY).min(1.0);
            self.recovered_at += self.limits.window;
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// A service that counts points in a sliding window, for each kind apart or for all together.
    struct Service {
        most: f64,
        shared: bool,
        spent: Vec<(f64, f64, &'static str)>,
        refusals: u32,
    }

    impl Service {
        fn answers(&mut self, lane: &'static str, points: f64, now: f64) -> bool {
            self.spent.retain(|(at, _, _)| *at > now - 60_000.0);
            let shared = self.shared;
            let spent: f64 = self.spent.iter().filter(|(_, _, of)| shared || *of == lane).map(|(_, p, _)| p).sum();
            let fits = spent + points <= self.most;
            if fits {
                self.spent.push((now, points, lane));
            } else {
                self.refusals += 1;
            }
            fits
        }
    }

    #[test]
    fn refusals_of_one_moment_count_once_and_something_taken_ends_the_row() {
        let mut pace: Pace<&'static str> = Pace::new(Limits::GITHUB);
        pace.refused(100.0, 0.0);
        pace.refused(100.0, 50.0);
        assert_eq!(pace.refusals(), 1);
        pace.refused(100.0, 151.0);
        assert_eq!(pace.refusals(), 2);
        pace.taken();
        assert_eq!(pace.refusals(), 0);
    }

    /// Deletes with a check before each, in virtual time, 30 ms each way, 8 at a time; gives the minutes it took.
    fn delete(count: u32, service: &mut Service) -> f64 {
        let mut pace: Pace<&'static str> = Pace::new(Limits::GITHUB);
        let (mut now, mut done) = (0.0_f64, 0);
        let mut wants = ("get", 1.0);
        while done < count {
            match pace.admit(&wants.0, wants.1, now) {
                Admission::After(wait) => now += wait,
                Admission::Now => {
                    now += 60.0 / 8.0;
                    if !service.answers(wants.0, wants.1, now) {
                        pace.refused(60_000.0, now);
                    } else if wants.0 == "get" {
                        wants = ("delete", 5.0);
                    } else {
                        (wants, done) = (("get", 1.0), done + 1);
                    }
                }
            }
        }
        now / 60_000.0
    }

    fn service(most: f64, shared: bool) -> Service {
        Service { most, shared, spent: Vec::new(), refusals: 0 }
    }

    #[test]
    fn two_thousand_deletes_run_at_the_limits_own_speed() {
        let mut apart = service(900.0, false);
        let minutes = delete(2000, &mut apart);
        assert!(2000.0 / minutes >= 170.0, "{} a minute", 2000.0 / minutes);
        assert_eq!(apart.refusals, 0);
        // With one limit for reads and writes a checked deletion costs six points: 150 a minute at most.
        let mut together = service(900.0, true);
        let minutes = delete(2000, &mut together);
        assert!(2000.0 / minutes >= 125.0, "{} a minute", 2000.0 / minutes);
        assert_eq!(together.refusals, 1, "one refusal teaches it");
    }

    #[test]
    fn a_smaller_limit_is_found_and_kept_to() {
        let mut strict = service(300.0, true);
        let minutes = delete(500, &mut strict);
        // 50 checked deletions a minute would be perfect.
        assert!(500.0 / minutes >= 25.0, "{} a minute", 500.0 / minutes);
        assert!(strict.refusals < 12, "{}", strict.refusals);
    }

    proptest! {
        #[test]
        fn no_window_ever_exceeds_the_limit(steps in proptest::collection::vec((0u32..2000, 0usize..3, 1u32..6), 1..400)) {
            let mut pace: Pace<usize> = Pace::new(Limits::GITHUB);
            let mut sent: Vec<(f64, f64, usize)> = Vec::new();
            let mut now = 0.0;
            for (wait, lane, points) in steps {
                now += f64::from(wait);
                while let Admission::After(wait) = pace.admit(&lane, f64::from(points), now) {
                    now += wait;
                }
                sent.push((now, f64::from(points), lane));
            }
            for (at, _, lane) in &sent {
                let within = sent.iter().filter(|(t, _, l)| l == lane && *t > at - 60_000.0 && t <= at);
                let spent: f64 = within.map(|(_, points, _)| points).sum();
                prop_assert!(spent <= 900.0 + 0.001, "{spent} points in a minute");
            }
        }

        #[test]
        fn nothing_is_sent_while_it_is_blocked(wait in 1.0f64..100_000.0, ask in 0.0f64..200_000.0) {
            let mut pace: Pace<u8> = Pace::new(Limits::GITHUB);
            pace.refused(wait, 10.0);
            prop_assert_eq!(pace.admit(&0, 1.0, 10.0 + ask) == Admission::Now, ask >= wait);
        }
    }
}
