//! Purpose: a rollout on ECS, whichever command asks for it: the plan as a value, its phases, the watch, the way back.
//!
//! The state of ECS decides whose turn it is and what is to be done (`turn`, `steps`), `preflight` looks whether it
//! can work, `apply` does the phases, `watch` follows each service's own deployment, and what went wrong is explained
//! (`trouble`, `evidence`, `report`) and taken back (`recover`, `way_back`).

mod apply;
mod digest;
mod evidence;
mod findings;
mod health;
mod logs;
mod migrate;
mod parameters;
mod phases;
mod plan;
pub(crate) mod preflight;
mod prune;
mod recover;
mod report;
mod settings;
mod show;
mod steps;
mod timeline;
mod told;
mod trouble;
mod turn;
mod update;
mod verify;
mod watch;
mod way_back;

pub(crate) use apply::Work;
pub(crate) use findings::{Finding, Findings, unusable};
pub(crate) use parameters::{PLACEHOLDERS, unknown_placeholder};
pub use plan::Plan;
pub(crate) use plan::{DefinitionPlan, DefinitionStep, MigrationPlan, Observed, Purpose, ServicePlan, after, short};
pub(crate) use settings::{Confirmation, Given, Keep, Settings, given, is_on, span};
pub(crate) use steps::service_plan;
pub use told::{Concurrency, OnFailure, Outputs, Status};
pub(crate) use turn::{Next, Turn, observe_all};
