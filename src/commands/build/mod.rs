//! Purpose: build, check and push an image.
//!
//! Check out → update → build → smoke → size → push all tags of one digest → verify that the registry answers with it.
//! Nothing is pushed when an earlier phase fails.

use schemars::JsonSchema;
use serde::Serialize;

use super::framework::{Command, Limit, Verdict};
use super::run::Run;
use super::shared::Group;
use crate::contract::values::Count;
use crate::runner::Failure;

mod apply;
mod artifact;
mod assembly;
mod caches;
mod emulators;
mod gates;
mod inputs;
mod job;
mod options;
mod plan;
mod printer;
mod push;
mod settings;
mod source;
mod ssh;
mod summary;
mod updates;
mod ways;
mod workshop;

/// `build`.
pub struct Build;

/// Outputs of `build`.
#[derive(Debug, Default, Serialize, JsonSchema)]
pub struct Outputs {
    /// The first tag, as a full reference.
    pub image: Option<String>,
    /// The image by digest, `name@sha256:…`; safe to deploy, whatever happens to the tag.
    pub image_ref: Option<String>,
    /// Digest of the manifest in the registry.
    pub digest: Option<String>,
    /// What the engine calls the image.
    pub image_id: Option<String>,
    /// All tags, one per line.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub tags: Vec<String>,
    /// Platforms of the image, one per line.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub platforms: Vec<String>,
    /// Size of the image in the engine, in bytes.
    pub size: Option<Count>,
    /// Whether nothing had to be built because the registry had all tags: `true` or `false`.
    pub skipped: Option<bool>,
    /// Name of the uploaded artifact.
    pub artifact: Option<String>,
    /// What the builder said about the result, as JSON.
    pub metadata: Option<serde_json::Value>,
    /// Duration of the build in seconds.
    pub seconds: Option<Count>,
}

impl Command for Build {
    const NAME: &'static str = "build";
    const TITLE: &'static str = "Build, check and push an image";
    const BRANDING: (&'static str, &'static str) = ("package", "blue");
    const GROUPS: &'static [Group] = &[Group::Registry, Group::Engine, Group::Cloud];
    const LIMIT: Limit = Limit::Whole(std::time::Duration::from_secs(3600));

    type Inputs = inputs::Inputs;
    type Plan = plan::Plan;
    type Outputs = Outputs;

    async fn plan(inputs: inputs::Inputs, run: &Run, outputs: &mut Outputs) -> Result<plan::Plan, Failure> {
        let settings = settings::Settings::from_inputs(inputs, run)?;
        if settings.delivery != settings::Delivery::Digest {
            outputs.tags = settings.tags.iter().map(ToString::to_string).collect();
            outputs.image = outputs.tags.first().cloned();
        }
        plan::plan(settings, run).await
    }

    async fn apply(plan: plan::Plan, run: &Run, outputs: &mut Outputs) -> Result<Verdict, Failure> {
        apply::apply(plan, run, outputs).await
    }

    async fn post(run: &Run) -> Result<(), Failure> {
        workshop::clean_up(run).await
    }
}
