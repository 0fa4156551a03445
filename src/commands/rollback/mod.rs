//! Purpose: back to a revision that worked, or a list of those that there are.
//!
//! `target` reads what was typed, `history` what ECS remembers, `plan` decides. Going there is a rollout like any
//! other: see [`super::ecs`].

use std::fmt;

use serde::Serialize;

use super::cloud;
use super::ecs::{self, Confirmation, Work};
use super::framework::{Command, Limit, Verdict};
use super::run::Run;
use super::shared::Group;
use crate::domain::markdown::{Markdown, code, escaped};
use crate::runner::Failure;

mod history;
mod inputs;
mod plan;
mod target;

use history::Listed;
pub use inputs::{Inputs, Outputs};

/// `rollback`.
pub struct Rollback;

/// What is going to be done.
#[derive(Serialize)]
pub struct Plan {
    /// Revisions: all that are listed, or those that it is about.
    revisions: Vec<Listed>,
    /// The way back; absent when revisions are only listed.
    rollout: Option<ecs::Plan>,
}

impl fmt::Display for Plan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.rollout {
            Some(rollout) => rollout.fmt(f),
            None => f.write_str(&self.revisions.iter().map(history::line).collect::<Vec<_>>().join("\n")),
        }
    }
}

impl Command for Rollback {
    const NAME: &'static str = "rollback";
    const TITLE: &'static str = "Back to a revision that worked";
    const BRANDING: (&'static str, &'static str) = ("rotate-ccw", "orange");
    const GROUPS: &'static [Group] = &[Group::Cloud];
    /// When the time is up the service has to be left as it was.
    const LIMIT: Limit = Limit::Own;

    type Inputs = Inputs;
    type Plan = Plan;
    type Outputs = Outputs;

    async fn plan(inputs: Inputs, run: &Run, _outputs: &mut Outputs) -> Result<Plan, Failure> {
        let confirmation = Confirmation::of(&inputs.confirm, &inputs.confirm_with);
        let settings = plan::Settings::of(inputs)?;
        // Looking at a list needs no confirmation.
        if !settings.list {
            confirmation.check()?;
        }
        settings.rollout.mask(run);
        let session = cloud::session(run).await?;
        Box::pin(plan::plan(settings, session, run)).await
    }

    async fn apply(plan: Plan, run: &Run, outputs: &mut Outputs) -> Result<Verdict, Failure> {
        outputs.revisions = serde_json::to_value(&plan.revisions).ok();
        let Some(rollout) = &plan.rollout else {
            outputs.status = Some("listed".to_owned());
            list(&plan.revisions, run);
            return Ok(Verdict::Success("listed"));
        };
        let mut told = ecs::Outputs::default();
        let result = Box::pin(Work::new(run, rollout, &mut told).execute()).await;
        outputs.take(told);
        result
    }
}

impl Outputs {
    /// What a rollout says, in this command's words: what a deployment calls deployed has gone back here.
    fn take(&mut self, told: ecs::Outputs) {
        let status = told.status.map(|status| match status {
            ecs::Status::Deployed => "rolled-back",
            ecs::Status::Unchanged => "unchanged",
            ecs::Status::Started => "started",
            ecs::Status::RolledBack | ecs::Status::Failed => "failed",
            ecs::Status::RollbackFailed => "rollback-failed",
            ecs::Status::Superseded => "superseded",
        });
        self.status = status.map(str::to_owned);
        self.task_definition_arn = told.task_definition_arn;
        self.previous_task_definition_arn = told.previous_task_definition_arn;
        self.deployment_id = told.deployment_id;
        self.failure_reason = told.failure_reason;
        self.failed_tasks = told.failed_tasks;
        self.running_digest = told.running_digest;
        self.phases = told.phases;
    }
}

fn list(revisions: &[Listed], run: &Run) {
    let group = run.log.group("Revisions");
    revisions.iter().for_each(|listed| run.log.info(history::line(listed)));
    drop(group);
    let rows = revisions.iter().map(|listed| {
        let time = |at: &Option<String>| at.as_deref().map_or_else(|| "–".to_owned(), escaped);
        let here = if listed.current { format!("{} (current)", listed.running) } else { listed.running.to_string() };
        vec![
            code(&ecs::short(&listed.arn)),
            code(&listed.image),
            escaped(&listed.status),
            time(&listed.registered_at),
            time(&listed.deployed_at),
            here,
        ]
    });
    let head = ["Revision", "Image", "Status", "Registered", "Last deployed", "Tasks"];
    run.summary.section(Markdown::new().heading(3, "Revisions").table(&head, rows).into_string());
}
