//! Purpose: ship to ECS, and tell the truth about it.
//!
//! Inputs are checked (`settings`), the state of ECS decides what is to be done (`plan`, `turn`, `preflight`), the
//! phases do it (`apply`), and what went wrong is explained (`trouble`, `report`) and taken back (`rollback`).

use super::cloud;
use super::framework::{Command, Limit, Verdict};
use super::run::Run;
use super::shared::Group;
use crate::runner::{Failure, Kind};

mod apply;
mod digest;
mod drafts;
mod edits;
mod findings;
mod health;
mod inputs;
mod logs;
mod migrate;
mod parameters;
mod phases;
mod plan;
mod preflight;
mod prune;
mod recover;
mod report;
mod rollback;
mod settings;
mod show;
mod steps;
mod trouble;
mod turn;
mod verify;
mod watch;

pub use inputs::{Inputs, Outputs};
pub use plan::Plan;
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
        let confirmation = (inputs.confirm.clone(), inputs.confirm_with.clone());
        let settings = Settings::of(inputs, &run.workspace())?;
        confirm(confirmation)?;
        let session = cloud::session(run).await?;
        if let Some(password) = settings.health.as_ref().and_then(|health| health.url.password()) {
            run.mask(&password.into());
        }
        Box::pin(plan::plan(settings, session, run)).await
    }

    async fn apply(plan: Plan, run: &Run, outputs: &mut Outputs) -> Result<Verdict, Failure> {
        Box::pin(apply::Work::new(run, &plan, outputs).execute()).await
    }
}

/// Refuses unless what was typed is what must be typed.
fn confirm((typed, wanted): (Option<String>, Option<String>)) -> Result<(), Failure> {
    let Some(wanted) = wanted.filter(|wanted| typed.as_ref() != Some(wanted)) else {
        return Ok(());
    };
    let message = match typed {
        Some(_) => "the confirmation is not the expected text",
        None => "the confirmation is missing",
    };
    Err(Failure::new(Kind::Gate, "not-confirmed", "Not confirmed", message)
        .hint(format!("Set `confirm` to {wanted} to go on.")))
}
