//! Purpose: the inputs that every rollout has, checked; everything that is wrong with them is reported at once.

use std::time::Duration;

use super::findings::{Finding, Findings};
use super::told::{Concurrency, OnFailure};
use crate::commands::run::Run;
use crate::contract::values::{Count, Flag, List, Span};
use crate::domain::globs::Globs;
use crate::domain::health::StatusRanges;
use crate::domain::reference::ImageRef;
use crate::runner::{Failure, Kind};

/// Most services that one DescribeServices takes (API reference).
const SERVICES_AT_ONCE: usize = 10;

/// Checked inputs of a rollout.
#[derive(Debug, Clone)]
pub(crate) struct Settings {
    pub(crate) cluster: String,
    pub(crate) services: Vec<String>,
    pub(crate) desired: Option<i32>,
    pub(crate) force: bool,
    pub(crate) wait: bool,
    pub(crate) timeout: Duration,
    pub(crate) interval: Duration,
    pub(crate) crash_limit: usize,
    pub(crate) on_failure: OnFailure,
    pub(crate) concurrency: Concurrency,
    pub(crate) preflight: bool,
    pub(crate) verify_digest: bool,
    pub(crate) migrate_timeout: Duration,
    pub(crate) health: Option<HealthSettings>,
    pub(crate) keep: Option<Keep>,
    pub(crate) parameters: Vec<(String, String)>,
    /// The image that parameters speak of.
    pub(crate) image: Option<ImageRef>,
}

/// A page that must answer after the rollout.
#[derive(Debug, Clone)]
pub(crate) struct HealthSettings {
    pub(crate) url: url::Url,
    pub(crate) statuses: StatusRanges,
    pub(crate) timeout: Duration,
    pub(crate) attempts: Option<u64>,
}

/// Which revisions stay.
#[derive(Debug, Clone)]
pub(crate) struct Keep {
    pub(crate) count: usize,
    pub(crate) branches: Vec<Globs>,
}

/// The inputs as they were given, of whichever command.
#[derive(Debug, Default)]
pub(crate) struct Given {
    pub(crate) cluster: Option<String>,
    pub(crate) service: Option<List>,
    pub(crate) wait: Option<Flag>,
    pub(crate) timeout: Option<Span>,
    pub(crate) poll_interval: Option<Span>,
    pub(crate) crash_limit: Option<Count>,
    pub(crate) on_failure: Option<OnFailure>,
    pub(crate) concurrency: Option<Concurrency>,
    pub(crate) preflight: Option<Flag>,
    pub(crate) verify_digest: Option<Flag>,
    pub(crate) health_url: Option<String>,
    pub(crate) health_status: Option<String>,
    pub(crate) health_timeout: Option<Span>,
    pub(crate) health_attempts: Option<Count>,
    pub(crate) confirm: Option<String>,
    pub(crate) confirm_with: Option<String>,
}

/// What the inputs of a command have in common with those of every rollout, by the same names.
macro_rules! given {
    ($inputs:expr) => {
        $crate::commands::ecs::Given {
            cluster: $inputs.cluster,
            service: $inputs.service,
            wait: $inputs.wait,
            timeout: $inputs.timeout,
            poll_interval: $inputs.poll_interval,
            crash_limit: $inputs.crash_limit,
            on_failure: $inputs.on_failure,
            concurrency: $inputs.concurrency,
            preflight: $inputs.preflight,
            verify_digest: $inputs.verify_digest,
            health_url: $inputs.health_url,
            health_status: $inputs.health_status,
            health_timeout: $inputs.health_timeout,
            health_attempts: $inputs.health_attempts,
            confirm: $inputs.confirm,
            confirm_with: $inputs.confirm_with,
        }
    };
}
pub(crate) use given;

impl Settings {
    /// Hides what the settings hold of secrets.
    pub(crate) fn mask(&self, run: &Run) {
        if let Some(password) = self.health.as_ref().and_then(|health| health.url.password()) {
            run.mask(&password.into());
        }
    }
}

impl Given {
    /// Checks what every rollout has; the rest is filled in by the command.
    pub(crate) fn settings(self, found: &mut Findings) -> Settings {
        let services = self.service.clone().unwrap_or_default().0;
        check_services(&services, found);
        let health = self.health(found);
        check_durations(&self, found);
        if self.confirm.is_some() && self.confirm_with.is_none() {
            found.add(Finding::new("confirm", "is set, but 'confirm_with' does not say what it must be"));
        }
        Settings {
            cluster: self.cluster.unwrap_or_else(|| "default".to_owned()),
            services,
            desired: None,
            force: false,
            wait: is_on(self.wait, true),
            timeout: span(self.timeout, 15 * 60),
            interval: span(self.poll_interval, 2),
            crash_limit: usize::try_from(self.crash_limit.map_or(3, |Count(limit)| limit)).unwrap_or(usize::MAX),
            on_failure: self.on_failure.unwrap_or_default(),
            concurrency: self.concurrency.unwrap_or_default(),
            preflight: is_on(self.preflight, true),
            verify_digest: is_on(self.verify_digest, true),
            migrate_timeout: Duration::from_secs(10 * 60),
            health,
            keep: None,
            parameters: Vec::new(),
            image: None,
        }
    }

    fn health(&self, found: &mut Findings) -> Option<HealthSettings> {
        let statuses =
            self.health_status.as_deref().map(|text| found.check("health_status", text.parse::<StatusRanges>()));
        let Some(text) = self.health_url.as_deref() else {
            let useless = [
                ("health_status", self.health_status.is_some()),
                ("health_timeout", self.health_timeout.is_some()),
                ("health_attempts", self.health_attempts.is_some()),
            ];
            for (subject, _) in useless.into_iter().filter(|(_, set)| *set) {
                found.add(Finding::new(subject, "is set, but 'health_url' is not"));
            }
            return None;
        };
        let url = url::Url::parse(text).ok().filter(|url| matches!(url.scheme(), "http" | "https") && url.has_host());
        if url.is_none() {
            found.add(Finding::new("health_url", "is not an http or https address"));
        }
        if self.health_attempts == Some(Count(0)) {
            found.add(Finding::new("health_attempts", "is 0; use at least 1"));
        }
        Some(HealthSettings {
            url: url?,
            statuses: statuses.flatten().unwrap_or_default(),
            timeout: span(self.health_timeout, 120),
            attempts: self.health_attempts.map(|Count(attempts)| attempts),
        })
    }
}

fn check_services(services: &[String], found: &mut Findings) {
    if services.is_empty() {
        found.add(Finding::new("service", "is required and not set"));
    }
    if services.len() > SERVICES_AT_ONCE {
        found.add(Finding::new("service", "has more than 10 entries, which is the most that ECS describes at once"));
    }
    let repeated = services.iter().enumerate().find(|(index, name)| services[..*index].contains(name));
    if let Some((_, name)) = repeated {
        found.add(Finding::new("service", format!("names {name} twice")));
    }
}

fn check_durations(given: &Given, found: &mut Findings) {
    if given.poll_interval.is_some_and(|Span(interval)| interval < Duration::from_millis(50)) {
        found.add(Finding::new("poll_interval", "is too short; use at least 50ms"));
    }
    let spans = [("timeout", given.timeout), ("health_timeout", given.health_timeout)];
    for (subject, _) in spans.into_iter().filter(|(_, span)| *span == Some(Span(Duration::ZERO))) {
        found.add(Finding::new(subject, "is 0, within which nothing can end"));
    }
}

pub(crate) fn is_on(flag: Option<Flag>, default: bool) -> bool {
    flag.map_or(default, |Flag(on)| on)
}

pub(crate) fn span(span: Option<Span>, default: u64) -> Duration {
    span.map_or(Duration::from_secs(default), |Span(span)| span)
}

/// What was typed to confirm, and what must be typed.
#[derive(Debug)]
pub(crate) struct Confirmation {
    typed: Option<String>,
    wanted: Option<String>,
}

impl Confirmation {
    /// Of the two inputs.
    pub(crate) fn of(typed: &Option<String>, wanted: &Option<String>) -> Self {
        Self { typed: typed.clone(), wanted: wanted.clone() }
    }

    /// Refuses unless what was typed is what must be typed.
    pub(crate) fn check(self) -> Result<(), Failure> {
        let Some(wanted) = self.wanted.filter(|wanted| self.typed.as_ref() != Some(wanted)) else {
            return Ok(());
        };
        let message = match self.typed {
            Some(_) => "the confirmation is not the expected text",
            None => "the confirmation is missing",
        };
        Err(Failure::new(Kind::Gate, "not-confirmed", "Not confirmed", message)
            .hint(format!("Set `confirm` to {wanted} to go on.")))
    }
}
