//! Purpose: retention: plans what of a registry may go, deletes it so that stopping anywhere is safe, and undoes it.

use std::fmt;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::framework::{Command, Limit, Verdict};
use super::run::Run;
use super::shared::Group;
use crate::contract::values::{Count, Flag, List, Span};
use crate::runner::Failure;

mod apply;
mod collect;
mod evidence;
mod files;
mod gate;
mod lifecycle;
mod report;
mod restore;
mod settings;
mod sources;

use settings::Settings;

/// `prune`.
pub struct Prune;

/// Inputs of `prune`.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(default)]
pub struct Inputs {
    /// `plan` says what would go; `apply` deletes it; `restore` undoes the last apply; `lifecycle` puts the policy into
    /// ECR's own words. Default: plan.
    pub operation: Option<Operation>,
    /// Repositories of images, without tags: `ghcr.io/acme/app`. Read together, so that references between them count.
    pub image: List,
    /// Name of a policy below `retention` in the config. Default: `default` when there is one, else the built-in policy.
    pub policy: Option<String>,
    /// The shortest life of everything, whatever a rule says. Default: the policy's, else 48h.
    pub min_age: Option<Span>,
    /// The largest part of a repository's manifests that one run may delete, from 0 to 1. Default: the policy's, else 0.5.
    pub max_delete_fraction: Option<String>,
    /// The most manifests that one run may delete. Default: the policy's, else no limit.
    pub max_deletes: Option<Count>,
    /// What counts as in use: `pull_requests`, `workflow_runs`, `ecs`. Default: all that apply (`ecs` for images in ECR).
    /// `none` looks at nothing.
    pub in_use: Option<List>,
    /// Repository whose pull requests and runs count. Default: this one.
    pub repository: Option<String>,
    /// ECS clusters whose services and tasks count. Default: all of the account and region.
    pub clusters: List,
    /// Where ages come from in registries that tell no times of push: `seen`, the first snapshot that saw it, or
    /// `created`, what the build wrote into the image. Default: seen.
    pub age_from: Option<AgeFrom>,
    /// The snapshot: read as the memory of earlier runs, written before the first deletion, and what `restore` reads.
    /// Relative to the workspace. Default: `landfall-prune-snapshot.json`.
    pub snapshot: Option<String>,
    /// Where the plan is written as JSON, relative to the workspace. Default: `landfall-prune-plan.json`.
    pub plan_file: Option<String>,
    /// Requests at a time. Default: 8.
    pub concurrency: Option<Count>,
    /// Points that GitHub's API may be asked for in a minute: a read is one, a deletion five. Landfall slows down by itself
    /// when GitHub refuses. Default: 900, GitHub's own limit; an Enterprise Server may allow more.
    pub points_per_minute: Option<Count>,
}

/// What `prune` does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
#[schemars(inline)]
pub enum Operation {
    /// Says what would go.
    Plan,
    /// Deletes it.
    Apply,
    /// Undoes the last apply.
    Restore,
    /// ECR's own lifecycle policy.
    Lifecycle,
}

/// Where ages come from when the registry tells none.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
#[schemars(inline)]
pub enum AgeFrom {
    /// The first snapshot that saw it.
    Seen,
    /// What the build wrote into the image.
    Created,
}

/// Outputs of `prune`.
#[derive(Debug, Default, Serialize, JsonSchema)]
pub struct Outputs {
    /// Manifests that the plan deletes.
    pub planned: Option<Count>,
    /// Manifests that were deleted; of `restore` those that came back.
    pub deleted: Option<Count>,
    /// Manifests that should have been deleted and could not.
    pub failed: Option<Count>,
    /// Manifests that the registry keeps by a rule of its own, such as the last tagged version of a package.
    pub retained: Option<Count>,
    /// Manifests that stay.
    pub kept: Option<Count>,
    /// Of those that stay: with a protected tag.
    pub protected: Option<Count>,
    /// Of those that stay: in use.
    pub in_use: Option<Count>,
    /// Tags that were taken off manifests that stay.
    pub untagged: Option<Count>,
    /// Bytes that the deletions free, each blob counted once; before an apply those that the plan would free.
    pub freed_bytes: Option<Count>,
    /// The plan as JSON, relative to the workspace.
    pub plan: Option<String>,
    /// The snapshot, relative to the workspace.
    pub snapshot: Option<String>,
    /// Whether nothing failed and no gate said no: `true` or `false`.
    pub passed: Option<Flag>,
    /// ECR's lifecycle policy (operation `lifecycle`).
    pub policy: Option<String>,
}

/// What is going to be done.
#[derive(Serialize)]
#[serde(untagged)]
pub enum Plan {
    /// Deletions.
    Prune(Box<collect::Planned>),
    /// Restorations.
    Restore(Box<restore::Restoration>),
    /// A lifecycle policy.
    Lifecycle(Box<lifecycle::Proposal>),
}

impl fmt::Display for Plan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Prune(planned) => f.write_str(&report::text(planned)),
            Self::Restore(restoration) => fmt::Display::fmt(restoration, f),
            Self::Lifecycle(proposal) => fmt::Display::fmt(proposal, f),
        }
    }
}

impl Command for Prune {
    const NAME: &'static str = "prune";
    const TITLE: &'static str = "Retention for GHCR, ECR and OCI registries";
    const BRANDING: (&'static str, &'static str) = ("scissors", "blue");
    const GROUPS: &'static [Group] = &[Group::Registry, Group::Cloud];
    const DRY_RUN: bool = true;
    // What is under way when the time is up is finished, and the snapshot written.
    const LIMIT: Limit = Limit::Own;

    type Inputs = Inputs;
    type Plan = Plan;
    type Outputs = Outputs;

    async fn plan(inputs: Inputs, run: &Run, outputs: &mut Outputs) -> Result<Plan, Failure> {
        let settings = Settings::read(inputs, run)?;
        match settings.operation {
            Operation::Plan | Operation::Apply => {
                let planned = settings.in_time(Box::pin(collect::plan(settings.clone(), run))).await??;
                gate::hold(&planned, run, outputs)?;
                Ok(Plan::Prune(Box::new(planned)))
            }
            Operation::Restore => Ok(Plan::Restore(Box::new(Box::pin(restore::plan(settings, run)).await?))),
            Operation::Lifecycle => {
                let planning = lifecycle::plan(settings.clone(), run, outputs);
                Ok(Plan::Lifecycle(Box::new(settings.in_time(Box::pin(planning)).await??)))
            }
        }
    }

    async fn apply(plan: Plan, run: &Run, outputs: &mut Outputs) -> Result<Verdict, Failure> {
        match plan {
            Plan::Prune(planned) if planned.settings.operation == Operation::Plan => Ok(Verdict::Success("planned")),
            Plan::Prune(planned) => Box::pin(apply::run(*planned, run, outputs)).await,
            Plan::Restore(restoration) => Box::pin(restore::apply(*restoration, run, outputs)).await,
            Plan::Lifecycle(proposal) => Box::pin(lifecycle::apply(*proposal, run)).await,
        }
    }
}
