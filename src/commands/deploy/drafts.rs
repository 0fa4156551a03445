//! Purpose: the task definitions that a deployment needs, each once: registered, or found in ECS already.

use std::collections::BTreeMap;

use super::settings::{Base, MigrationBase, Settings};
use crate::commands::ecs::{DefinitionPlan, DefinitionStep, Finding, Findings, MigrationPlan, short, unusable};
use crate::commands::run::Run;
use crate::domain::names::TaskDefinitionArn;
use crate::domain::task_definition::{Container, Notes, TaskDefinition, siblings};
use crate::runner::{Failure, nearest};
use crate::services::aws::ecs::{Ecs, Revision};

/// The task definitions needed, each once.
pub(super) struct Drafts<'a> {
    pub(super) ecs: &'a Ecs,
    pub(super) settings: &'a Settings,
    pub(super) run: &'a Run,
    pub(super) found: Vec<DefinitionPlan>,
    /// Revisions read so far, by the name they were asked for with.
    pub(super) read: BTreeMap<String, Option<Revision>>,
}

/// What a definition is made from.
struct Made {
    /// The input that names it.
    subject: &'static str,
    origin: String,
    definition: TaskDefinition,
    arn: Option<TaskDefinitionArn>,
}

impl Drafts<'_> {
    async fn revision(&mut self, name: &str) -> Result<Option<Revision>, Failure> {
        if let Some(known) = self.read.get(name) {
            return Ok(known.clone());
        }
        let found = self.ecs.revision(name).await?;
        self.read.insert(name.to_owned(), found.clone());
        if let Some(revision) = &found {
            self.read.insert(revision.arn.to_string(), found.clone());
        }
        Ok(found)
    }

    /// The index of the definition for a service that has `current` now.
    pub(super) async fn for_service(
        &mut self,
        current: &str,
        findings: &mut Findings,
    ) -> Result<Option<usize>, Failure> {
        let Some(base) = self.base(current, findings).await? else {
            return Ok(None);
        };
        if let Some(known) = self.index_of(&base.origin) {
            return Ok(Some(known));
        }
        if let Base::File(document) = &self.settings.base {
            note(self.run, &document.path, &document.notes);
        }
        let mut definition = base.definition;
        match self.settings.edits.apply(&mut definition) {
            Ok(warnings) => warnings.iter().for_each(|warning| self.run.log.warn("Nothing to remove", warning)),
            Err(errors) => {
                errors.iter().for_each(|error| findings.add(unusable(base.subject, &base.origin, error)));
                return Ok(None);
            }
        }
        let as_it_is = base.arn.filter(|_| self.settings.edits.is_empty());
        let draft = self.draft(base.origin, definition, as_it_is, Some(current)).await?;
        self.found.push(draft);
        Ok(Some(self.found.len() - 1))
    }

    /// What the definition is made from; nothing when it is not to be had, which is then among the findings.
    async fn base(&mut self, current: &str, findings: &mut Findings) -> Result<Option<Made>, Failure> {
        let (subject, name) = match &self.settings.base {
            Base::File(document) => {
                let (origin, definition) = (document.path.clone(), document.definition.clone());
                return Ok(Some(Made { subject: "task_definition", origin, definition, arn: None }));
            }
            Base::Revision(name) => ("task_definition_arn", name.clone()),
            Base::Current => ("service", current.to_owned()),
        };
        let Some(revision) = self.revision(&name).await? else {
            findings.add(missing(subject, &name));
            return Ok(None);
        };
        if subject == "task_definition_arn" && revision.status != "ACTIVE" {
            findings.add(inactive(subject, &revision));
            return Ok(None);
        }
        let origin = short(revision.arn.as_str());
        Ok(Some(Made { subject, origin, definition: revision.definition, arn: Some(revision.arn) }))
    }

    fn index_of(&self, origin: &str) -> Option<usize> {
        self.found.iter().position(|draft| draft.origin == origin)
    }

    /// Registered, unless ECS holds it already as the family's latest ACTIVE revision.
    async fn draft(
        &mut self,
        origin: String,
        definition: TaskDefinition,
        as_it_is: Option<TaskDefinitionArn>,
        current: Option<&str>,
    ) -> Result<DefinitionPlan, Failure> {
        let family = definition.family().to_owned();
        let step = match as_it_is {
            Some(arn) => DefinitionStep::Reuse(arn),
            None => match self.revision(&family).await? {
                Some(latest) if latest.definition.is_same_as(&definition) => DefinitionStep::Reuse(latest.arn),
                _ => DefinitionStep::Register,
            },
        };
        let before = match current.filter(|current| !current.is_empty()) {
            Some(current) => self.revision(current).await?,
            None => None,
        };
        let changes = before.map(|before| before.definition.changes_to(&definition)).unwrap_or_default();
        Ok(DefinitionPlan { family, origin, step, changes, definition })
    }

    pub(super) async fn for_migration(
        &mut self,
        deployed: Option<usize>,
        findings: &mut Findings,
    ) -> Result<Option<MigrationPlan>, Failure> {
        let Some(migration) = &self.settings.migration else {
            return Ok(None);
        };
        let index = match &migration.definition {
            None => deployed,
            Some(MigrationBase::File(document)) => {
                let mut definition = document.definition.clone();
                note(self.run, &document.path, &document.notes);
                self.settings.edits.apply_images_found(&mut definition);
                let draft = self.draft(document.path.clone(), definition, None, None).await?;
                self.found.push(draft);
                Some(self.found.len() - 1)
            }
            Some(MigrationBase::Revision(name)) => {
                let name = name.clone();
                let Some(revision) = self.revision(&name).await? else {
                    findings.add(missing("migrate_task_definition", &name));
                    return Ok(None);
                };
                let draft =
                    self.draft(short(revision.arn.as_str()), revision.definition, Some(revision.arn), None).await?;
                self.found.push(draft);
                Some(self.found.len() - 1)
            }
        };
        let Some(definition) = index else {
            return Ok(None);
        };
        match container_of(&self.found[definition].definition, migration.container.as_deref()) {
            Ok(container) => Ok(Some(MigrationPlan { definition, container, command: migration.command.clone() })),
            Err(message) => {
                findings
                    .add(Finding::new("migrate_container", message).reason("unknown-container", "Unknown container"));
                Ok(None)
            }
        }
    }
}

/// The container that a migration runs in: the named one, else the only essential one.
fn container_of(definition: &TaskDefinition, named: Option<&str>) -> Result<String, String> {
    let names = definition.container_names();
    if let Some(name) = named {
        let known = names.iter().any(|known| known == name);
        let unknown = || {
            format!(
                "is '{name}', which {} does not have; its containers are: {}",
                definition.family(),
                names.join(", ")
            )
        };
        return if known { Ok(name.to_owned()) } else { Err(unknown()) };
    }
    let essential: Vec<&str> = definition.containers().filter(Container::is_essential).map(|c| c.name()).collect();
    match essential.as_slice() {
        [only] => Ok((*only).to_owned()),
        _ => {
            Err(format!("must say which container of {} runs the migration: {}", definition.family(), names.join(", ")))
        }
    }
}

/// Says what reading a file found besides the definition.
fn note(run: &Run, path: &str, notes: &Notes) {
    if !notes.removed.is_empty() {
        run.log.info(format!("{path}: left out read-only keys: {}", notes.removed.join(", ")));
    }
    for key in &notes.unknown_keys {
        let last = key.rsplit('.').next().unwrap_or(key);
        let near = nearest(last, siblings(key)).map(|near| format!("; did you mean {near}?")).unwrap_or_default();
        run.log.warn(
            "Unknown key",
            format!("{path}: {key} is no key of a task definition that Landfall knows; it is passed on{near}"),
        );
    }
}

fn missing(subject: &'static str, name: &str) -> Finding {
    Finding::new(subject, format!("names the task definition {name}, which does not exist"))
        .reason("task-definition-not-found", "Task definition not found")
        .hint("Check the name, the region and the account.")
}

fn inactive(subject: &'static str, revision: &Revision) -> Finding {
    let message =
        format!("names {}, which is {} and cannot be deployed", short(revision.arn.as_str()), revision.status);
    Finding::new(subject, message).reason("task-definition-inactive", "Task definition inactive")
}
