//! Purpose: an image for the jobs that test it: from the registry first, from a workflow artifact when that fails.
//!
//! Nothing is built here. What comes is checked: the commit by its label, the artifact by its digest.

use std::time::Duration;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::framework::{Command, Limit, Verdict};
use super::run::Run;
use super::shared::Group;
use crate::contract::values::{Count, Flag, Size, Span};
use crate::domain::freshness::Freshness;
use crate::runner::Failure;

mod apply;
mod artifact;
mod plan;
mod registry;

/// `pull`.
pub struct Pull;

/// What a stale image means.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
#[schemars(inline)]
pub enum Stance {
    /// A warning.
    #[default]
    Warn,
    /// It is not taken: the artifact is tried, then the step fails.
    Fail,
    /// Nothing.
    Off,
}

/// Inputs of `pull`.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(default)]
pub struct Inputs {
    /// The image, `ghcr.io/acme/app:pr-{number}-{sha7}`. `{number}` is the pull request, `{sha}` and `{sha7}` the commit
    /// under test. Without one only the artifact is tried.
    pub image: Option<String>,
    /// The commit that the image must be made from, seven digits at least; compared with its label
    /// `org.opencontainers.image.revision`. Default: none, then nothing is compared.
    pub expected_sha: Option<String>,
    /// What happens when the label names another commit: `warn`, `fail` (try the artifact, then fail; an image without
    /// the label counts as stale) or `off`. Default: warn.
    pub freshness: Option<Stance>,
    /// A further name for the image in the engine.
    pub local_tag: Option<String>,
    /// How often the registry is tried while it does not answer. Default: 3.
    pub attempts: Option<Count>,
    /// Wait before the second attempt, doubled before each further one. Default: 10s.
    pub wait: Option<Span>,
    /// Name of the workflow artifact that holds the image as a tar; `{number}`, `{sha}` and `{sha7}` are filled in.
    /// Default: none, then there is no fallback.
    pub artifact: Option<String>,
    /// Which file of the artifact, as a glob. Default: `*.tar*`.
    pub artifact_file: Option<String>,
    /// The workflow run that uploaded the artifact. Default: the run that triggered this one (`workflow_run`), else this
    /// run. Another run's artifact needs `permissions: actions: read`.
    pub run_id: Option<Count>,
    /// The platform to choose, such as `linux/arm64`. Default: the engine's.
    pub platform: Option<String>,
    /// The most that an artifact may unpack to. Default: 64GiB.
    pub max_size: Option<Size>,
    /// Take images and artifacts of a run that a fork's pull request triggered. They hold whatever the fork's author
    /// wants, and this job may have secrets. Default: false.
    pub allow_forks: Option<Flag>,
    /// Longest duration of the command. Default: 30m.
    pub timeout: Option<Span>,
}

/// Where the image came from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Source {
    /// The registry.
    Registry,
    /// The workflow artifact.
    Artifact,
}

/// Outputs of `pull`.
#[derive(Debug, Default, Serialize, JsonSchema)]
pub struct Outputs {
    /// Where the image came from: `registry` or `artifact`.
    pub source: Option<Source>,
    /// The image as the engine knows it: `local_tag`, else `image`, else the name that the artifact's tar gave it.
    pub image: Option<String>,
    /// What the engine calls the image.
    pub image_id: Option<String>,
    /// From the registry: digest of the manifest. From the artifact: digest of the artifact.
    pub digest: Option<String>,
    /// The commit that the image's label names.
    pub sha: Option<String>,
    /// Whether that is the expected one: `true`, `false` or `unknown`.
    #[schemars(with = "Option<String>")]
    pub fresh: Option<Freshness>,
    /// How often the registry was tried.
    pub attempts: Option<Count>,
    /// The run whose artifact was taken.
    pub run_id: Option<Count>,
}

impl Command for Pull {
    const NAME: &'static str = "pull";
    const TITLE: &'static str = "Pull an image: the registry first, the artifact as the fallback";
    const BRANDING: (&'static str, &'static str) = ("download-cloud", "blue");
    const GROUPS: &'static [Group] = &[Group::Registry, Group::Engine, Group::Cloud];
    const LIMIT: Limit = Limit::Whole(Duration::from_secs(1800));

    type Inputs = Inputs;
    type Plan = plan::Plan;
    type Outputs = Outputs;

    async fn plan(inputs: Inputs, run: &Run, _outputs: &mut Outputs) -> Result<plan::Plan, Failure> {
        plan::plan(inputs, run).await
    }

    async fn apply(plan: plan::Plan, run: &Run, outputs: &mut Outputs) -> Result<Verdict, Failure> {
        run.unless_cancelled(apply::apply(&plan, run, outputs)).await?
    }
}
