//! Purpose: credentials for this job: AWS and registries, for one step or for all that follow.
//!
//! `settings` checks the inputs and says what they mean, `apply` gets and proves the credentials and hands them out.
//! What was handed out is taken back at the end of the job.

use super::framework::{Command, Verdict};
use super::run::Run;
use super::shared::Group;
use crate::runner::Failure;

mod apply;
mod inputs;
mod settings;

pub use inputs::{Inputs, Outputs};
pub use settings::Plan;

/// `login`.
pub struct Login;

impl Command for Login {
    const NAME: &'static str = "login";
    const TITLE: &'static str = "Credentials for this job: AWS through OIDC or keys, ECR and other registries";
    const BRANDING: (&'static str, &'static str) = ("log-in", "blue");
    const GROUPS: &'static [Group] = &[Group::Cloud, Group::Registry];

    type Inputs = Inputs;
    type Plan = Plan;
    type Outputs = Outputs;

    async fn plan(inputs: Inputs, run: &Run, _outputs: &mut Outputs) -> Result<Plan, Failure> {
        settings::plan(&inputs, run)
    }

    async fn apply(plan: Plan, run: &Run, outputs: &mut Outputs) -> Result<Verdict, Failure> {
        run.unless_cancelled(Box::pin(apply::Work { run, plan: &plan, outputs }.execute())).await?
    }

    async fn post(run: &Run) -> Result<(), Failure> {
        apply::take_back(run)
    }
}
