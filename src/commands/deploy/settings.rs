//! Purpose: the inputs of `deploy`, checked; everything that is wrong with them is reported at once.

use std::path::Path;

use super::edits::{self, Edits};
use super::inputs::Inputs;
use crate::commands::ecs::{
    Finding, Findings, Keep, PLACEHOLDERS, Settings as Rollout, given, is_on, span, unknown_placeholder, unusable,
};
use crate::contract::values::Count;
use crate::domain::globs::Globs;
use crate::domain::shell;
use crate::domain::task_definition::{Format, Notes, TaskDefinition};
use crate::runner::Failure;
use crate::services::with_causes;

/// Checked inputs.
#[derive(Debug, Clone)]
pub(super) struct Settings {
    pub(super) base: Base,
    pub(super) edits: Edits,
    pub(super) migration: Option<MigrationSettings>,
    pub(super) rollout: Rollout,
    /// Inputs that are set and have no effect.
    pub(super) unused: Vec<&'static str>,
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
    pub(super) definition: Option<MigrationBase>,
}

/// Where the migration's own task definition comes from.
#[derive(Debug, Clone)]
pub(super) enum MigrationBase {
    File(Document),
    Revision(String),
}

impl Settings {
    /// Checks the inputs; reads task definition files below `workspace`.
    pub(super) fn of(inputs: Inputs, workspace: &Path) -> Result<Self, Failure> {
        let mut found = Findings::default();
        let edits = edits::edits(&inputs, &mut found);
        let base = base(&inputs, workspace, &mut found);
        if let (Some(Base::File(document)), Some(edits)) = (&base, &edits) {
            check_edits(document, edits, &mut found);
        }
        let migration = migration(&inputs, workspace, &mut found);
        let keep = keep(&inputs, &mut found);
        let desired = inputs.desired_count.and_then(|Count(count)| {
            let count = i32::try_from(count).map_err(|_| Finding::new("desired_count", "is larger than ECS allows"));
            count.map_err(|finding| found.add(finding)).ok()
        });
        check_parameters(&inputs, &mut found);
        let unused = unused(&inputs);
        let parameters = inputs.ssm_parameters.clone().unwrap_or_default().0;
        let (force, migrate_timeout) =
            (is_on(inputs.force_new_deployment, false), span(inputs.migrate_timeout, 10 * 60));
        let common = given!(inputs).settings(&mut found);
        found.into_result()?;
        let edits = edits.unwrap_or_default();
        let image = edits.images.first().map(|(_, image)| image.clone());
        let rollout = Rollout { desired, force, migrate_timeout, keep, parameters, image, ..common };
        Ok(Self { base: base.unwrap_or(Base::Current), edits, migration, rollout, unused })
    }
}

/// Without waiting nobody is there when the deployment ends: what is to be done then is not done. No error, because
/// such settings may well come from the environment's config.
fn unused(inputs: &Inputs) -> Vec<&'static str> {
    if is_on(inputs.wait, true) {
        return Vec::new();
    }
    let after = [
        ("health_url", inputs.health_url.is_some()),
        ("ssm_parameters", inputs.ssm_parameters.is_some()),
        ("keep_revisions", inputs.keep_revisions.is_some()),
        ("on_failure", inputs.on_failure.is_some()),
    ];
    after.into_iter().filter(|(_, set)| *set).map(|(name, _)| name).collect()
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
    Some(MigrationSettings { command, container: inputs.migrate_container.clone(), definition })
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
        if let Some(name) = unknown_placeholder(template) {
            let known = PLACEHOLDERS.join(", ");
            found.add(Finding::new(
                "ssm_parameters",
                format!("{path} has the unknown placeholder {name}; known are {known}"),
            ));
        }
    }
}
