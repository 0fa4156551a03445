//! Purpose: ship to ECS, and tell the truth about it.
//!
//! Inputs are checked (`settings`), and with the state of ECS they decide which task definitions are needed (`edits`,
//! `drafts`) and what is to be done (`plan`). Doing it is the same for every rollout: see [`super::ecs`].

use super::cloud;
use super::framework::{Command, Limit, Verdict};
use super::run::Run;
use super::shared::Group;
use crate::runner::Failure;

mod drafts;
mod edits;
mod inputs;
mod plan;
mod settings;

pub use super::ecs::{Concurrency, OnFailure, Outputs, Plan, Status};
use super::ecs::{Confirmation, Work};
pub use inputs::Inputs;
use settings::Settings;

/// `deploy`.
pub struct Deploy;

impl Command for Deploy {
    const NAME: &'static str = "deploy";
    const TITLE: &'static str = "Ship to ECS, and tell the truth about it";
    const BRANDING: (&'static str, &'static str) = ("upload-cloud", "orange");
    const GROUPS: &'static [Group] = &[Group::Cloud];
    /// When the time is up the deployment has to be taken back.
    const LIMIT: Limit = Limit::Own;

    type Inputs = Inputs;
    type Plan = Plan;
    type Outputs = Outputs;

    async fn plan(inputs: Inputs, run: &Run, _outputs: &mut Outputs) -> Result<Plan, Failure> {
        let confirmation = Confirmation::of(&inputs.confirm, &inputs.confirm_with);
        let settings = Settings::of(inputs, &run.workspace())?;
        confirmation.check()?;
        settings.rollout.mask(run);
        if !settings.unused.is_empty() {
            let message = format!("'wait: false' leaves no time for {}: not done", settings.unused.join(", "));
            run.log.warn("Inputs without effect", message);
        }
        let session = cloud::session(run).await?;
        Box::pin(plan::plan(settings, session, run)).await
    }

    async fn apply(plan: Plan, run: &Run, outputs: &mut Outputs) -> Result<Verdict, Failure> {
        Box::pin(Work::new(run, &plan, outputs).execute()).await
    }
}
