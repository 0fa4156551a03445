//! Purpose: one file or folder per command, each registered here and nowhere else.

use framework::{Command as _, Descriptor};

pub mod build;
mod cloud;
pub mod config;
pub mod dashboard;
pub mod deploy;
pub mod doctor;
mod ecs;
mod entry;
mod failures;
pub mod framework;
pub mod generated;
mod help;
pub mod login;
pub mod merge;
pub mod metrics;
pub mod notify;
pub mod prune;
pub mod pull;
pub mod report;
pub mod resolve;
pub mod rollback;
pub mod route;
pub mod run;
pub mod scan;
pub mod shared;
mod sticky;
pub mod tags;
pub mod tailscale;
pub mod terraform;
mod triggering;
pub mod up;
mod upstream;
mod verified;

pub use entry::main;

/// Every command, in the order in which people meet them.
#[must_use]
pub fn all() -> Vec<Descriptor> {
    vec![
        tags::NameImage::descriptor(),
        resolve::ChooseImage::descriptor(),
        build::Build::descriptor(),
        pull::Pull::descriptor(),
        up::Up::descriptor(),
        merge::Merge::descriptor(),
        scan::ScanImage::descriptor(),
        deploy::Deploy::descriptor(),
        rollback::Rollback::descriptor(),
        login::Login::descriptor(),
        route::Route::descriptor(),
        dashboard::Dashboard::descriptor(),
        report::Report::descriptor(),
        notify::Notify::descriptor(),
        prune::Prune::descriptor(),
        tailscale::JoinTailnet::descriptor(),
        metrics::Measure::descriptor(),
        terraform::Terraform::descriptor(),
        config::ShowConfig::descriptor(),
        doctor::Examine::descriptor(),
    ]
}
