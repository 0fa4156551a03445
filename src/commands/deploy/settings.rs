//! Purpose: the inputs of `deploy`, checked; everything that is wrong with them is reported at once.

use std::path::Path;
use std::time::Duration;

use super::edits::{self, Edits};
use super::findings::{Finding, Findings, unusable, with_causes};
use super::inputs::{Concurrency, Inputs, OnFailure};
use crate::contract::values::{Count, Flag, Span};
use crate::domain::globs::Globs;
use crate::domain::health::StatusRanges;
use crate::domain::shell;
use crate::domain::task_definition::{Format, Notes, TaskDefinition};
use crate::runner::Failure;

/// Checked inputs.
#[derive(Debug, Clone)]
pub(super) struct Settings {
    pub(super) base: Base,
    pub(super) edits: Edits,
    pub(super) cluster: String,
    pub(super) services: Vec<String>,
    pub(super) desired: Option<i32>,
    pub(super) force: bool,
    pub(super) wait: bool,
    pub(super) timeout: Duration,
    pub(super) interval: Duration,
    pub(super) crash_limit: usize,
    pub(super) on_failure: OnFailure,
    pub(super) concurrency: Concurrency,
    pub(super) preflight: bool,
    pub(super) verify_digest: bool,
    pub(super) migration: Option<MigrationSettings>,
    pub(super) health: Option<HealthSettings>,
    pub(super) keep: Option<Keep>,
    pub(super) parameters: Vec<(String, String)>,
}

/// Where the task definition comes from.
#[derive(Debug, Clone)]
pub(super) enum Base {
    /// A file of the workspace.
    File(Document),
    /// A revision in ECS.
    Revision(String),
    /// What each service has now.
    Current,
}

/// A task definition file.
#[derive(Debug, Clone)]
pub(super) struct Document {
    pub(super) path: String,
    pub(super) definition: TaskDefinition,
    pub(super) notes: Notes,
}

/// A one-off task before the update.
#[derive(Debug, Clone)]
pub(super) struct MigrationSettings {
    pub(super) command: Vec<String>,
    pub(super) container: Option<String>,
    pub(super) timeout: Duration,
    pub(super) definition: Option<MigrationBase>,
}

/// Where the migration's own task definition comes from.
#[derive(Debug, Clone)]
pub(super) enum MigrationBase {
    File(Document),
    Revision(String),
}

/// A page that must answer after the rollout.
#[derive(Debug, Clone)]
pub(super) struct HealthSettings {
    pub(super) url: url::Url,
    pub(super) statuses: StatusRanges,
    pub(super) timeout: Duration,
    pub(super) attempts: Option<u64>,
}

/// Which revisions stay.
#[derive(Debug, Clone)]
pub(super) struct Keep {
    pub(super) count: usize,
    pub(super) branches: Vec<Globs>,
}

impl Settings {
    /// Checks the inputs; reads task definition files below `workspace`.
    pub(super) fn of(inputs: Inputs, workspace: &Path) -> Result<Self, Failure> {
        let mut found = Findings::default();
        let services = inputs.service.clone().unwrap_or_default().0;
        if services.is_empty() {
            found.add(Finding::new("service", "is required and not set"));
        }
        if services.len() > 10 {
            found
                .add(Finding::new("service", "has more than 10 entries, which is the most that ECS describes at once"));
        }
        let edits = edits::edits(&inputs, &mut found);
        let base = base(&inputs, workspace, &mut found);
        if let (Some(Base::File(document)), Some(edits)) = (&base, &edits) {
            check_edits(document, edits, &mut found);
        }
        let migration = migration(&inputs, workspace, &mut found);
        let health = health(&inputs, &mut found);
        let keep = keep(&inputs, &mut found);
        let desired = inputs.desired_count.and_then(|Count(count)| {
            let count = i32::try_from(count).map_err(|_| Finding::new("desired_count", "is larger than ECS allows"));
            count.map_err(|finding| found.add(finding)).ok()
        });
        check_parameters(&inputs, &mut found);
        check_confirmation(&inputs, &mut found);
        let interval = span(inputs.poll_interval, 2);
        if interval < Duration::from_millis(50) {
            found.add(Finding::new("poll_interval", "is too short; use at least 50ms"));
        }
        found.into_result()?;
        Ok(Self {
            base: base.unwrap_or(Base::Current),
            edits: edits.unwrap_or_default(),
            cluster: inputs.cluster.unwrap_or_else(|| "default".to_owned()),
            services,
            desired,
            force: is_on(inputs.force_new_deployment, false),
            wait: is_on(inputs.wait, true),
            timeout: span(inputs.timeout, 15 * 60),
            interval,
            crash_limit: usize::try_from(inputs.crash_limit.map_or(3, |Count(limit)| limit)).unwrap_or(usize::MAX),
            on_failure: inputs.on_failure.unwrap_or_default(),
            concurrency: inputs.concurrency.unwrap_or_default(),
            preflight: is_on(inputs.preflight, true),
            verify_digest: is_on(inputs.verify_digest, true),
            migration,
            health,
            keep,
            parameters: inputs.ssm_parameters.unwrap_or_default().0,
        })
    }
}

fn is_on(flag: Option<Flag>, default: bool) -> bool {
    flag.map_or(default, |Flag(on)| on)
}

fn span(span: Option<Span>, default: u64) -> Duration {
    span.map_or(Duration::from_secs(default), |Span(span)| span)
}

fn base(inputs: &Inputs, workspace: &Path, found: &mut Findings) -> Option<Base> {
    match (&inputs.task_definition, &inputs.task_definition_arn) {
        (Some(_), Some(_)) => {
            found.add(Finding::new("task_definition", "and task_definition_arn are both set; choose one"));
            None
        }
        (Some(file), None) => match read("task_definition", file, workspace) {
            Ok(document) => Some(Base::File(document)),
            Err(finding) => {
                found.add(finding);
                None
            }
        },
        (None, Some(revision)) => Some(Base::Revision(revision.clone())),
        (None, None) => Some(Base::Current),
    }
}

/// Reads a task definition file.
fn read(subject: &'static str, file: &str, workspace: &Path) -> Result<Document, Finding> {
    let text = std::fs::read_to_string(workspace.join(file)).map_err(|error| {
        Finding::new(subject, format!("{file} cannot be read: {error}"))
            .reason("task-definition-unreadable", "Task definition unreadable")
            .hint("The path is relative to the workspace; is the repository checked out?")
    })?;
    match TaskDefinition::parse(&text, Format::of(file, &text)) {
        Ok((definition, notes)) => Ok(Document { path: file.to_owned(), definition, notes }),
        Err(error) => {
            let line = error.line().and_then(|line| u32::try_from(line).ok());
            let finding = Finding::new(subject, format!("{file} {}", with_causes(&error)));
            Err(Finding { location: line.map(|line| (file.to_owned(), line)), ..finding }
                .reason("task-definition-invalid", "Invalid task definition"))
        }
    }
}

fn check_edits(document: &Document, edits: &Edits, found: &mut Findings) {
    if let Err(errors) = edits.apply(&mut document.definition.clone()) {
        for error in errors {
            found.add(unusable("task_definition", &document.path, &error));
        }
    }
}

fn migration(inputs: &Inputs, workspace: &Path, found: &mut Findings) -> Option<MigrationSettings> {
    let Some(line) = &inputs.migrate else {
        for (subject, set) in [
            ("migrate_container", inputs.migrate_container.is_some()),
            ("migrate_task_definition", inputs.migrate_task_definition.is_some()),
        ] {
            if set {
                found.add(Finding::new(subject, "is set, but 'migrate' is not"));
            }
        }
        return None;
    };
    let command = found.check("migrate", shell::words(line)).unwrap_or_default();
    let definition = inputs.migrate_task_definition.as_ref().and_then(|name| {
        let is_file = [".json", ".yml", ".yaml"].iter().any(|ending| name.ends_with(ending));
        if !is_file {
            return Some(MigrationBase::Revision(name.clone()));
        }
        read("migrate_task_definition", name, workspace)
            .map_err(|finding| found.add(finding))
            .ok()
            .map(MigrationBase::File)
    });
    let timeout = span(inputs.migrate_timeout, 10 * 60);
    Some(MigrationSettings { command, container: inputs.migrate_container.clone(), timeout, definition })
}

fn health(inputs: &Inputs, found: &mut Findings) -> Option<HealthSettings> {
    let statuses =
        inputs.health_status.as_deref().map(|text| found.check("health_status", text.parse::<StatusRanges>()));
    let text = inputs.health_url.as_deref()?;
    let url = url::Url::parse(text).ok().filter(|url| matches!(url.scheme(), "http" | "https") && url.has_host());
    if url.is_none() {
        found.add(Finding::new("health_url", "is not an http or https address"));
    }
    if inputs.health_attempts == Some(Count(0)) {
        found.add(Finding::new("health_attempts", "is 0; use at least 1"));
    }
    Some(HealthSettings {
        url: url?,
        statuses: statuses.flatten().unwrap_or_default(),
        timeout: span(inputs.health_timeout, 120),
        attempts: inputs.health_attempts.map(|Count(attempts)| attempts),
    })
}

fn keep(inputs: &Inputs, found: &mut Findings) -> Option<Keep> {
    let Count(count) = inputs.keep_revisions?;
    if count == 0 {
        found.add(Finding::new("keep_revisions", "is 0; use at least 1"));
    }
    let default = || ["main", "master", "develop"].map(str::to_owned).to_vec();
    let globs = inputs.keep_revisions_on.clone().map_or_else(default, |list| list.0);
    let branches = globs.iter().filter_map(|glob| found.check("keep_revisions_on", glob.parse::<Globs>())).collect();
    Some(Keep { count: usize::try_from(count).unwrap_or(usize::MAX), branches })
}

fn check_parameters(inputs: &Inputs, found: &mut Findings) {
    for (path, template) in inputs.ssm_parameters.iter().flat_map(|map| &map.0) {
        if !path.starts_with('/') {
            found.add(Finding::new("ssm_parameters", format!("names '{path}', which does not start with '/'")));
        }
        if let Some(name) = super::parameters::unknown_placeholder(template) {
            let known = super::parameters::PLACEHOLDERS.join(", ");
            found.add(Finding::new(
                "ssm_parameters",
                format!("{path} has the unknown placeholder {name}; known are {known}"),
            ));
        }
    }
}

fn check_confirmation(inputs: &Inputs, found: &mut Findings) {
    if inputs.confirm.is_some() && inputs.confirm_with.is_none() {
        found.add(Finding::new("confirm", "is set, but 'confirm_with' does not say what it must be"));
    }
}
