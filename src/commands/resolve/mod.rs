//! Purpose: which image of a companion repository these tests use: asked of GitHub and the registry, decided by a
//! ladder of rules.

use std::fmt;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::framework::{Command, Verdict};
use super::run::Run;
use super::shared::Group;
use crate::contract::values::{Count, Flag, Map, Secret};
use crate::domain::ladder::{LadderError, Resolution, Step, Walk};
use crate::domain::reference::ImageRef;
use crate::runner::{Failure, Kind};

mod questions;
mod report;
mod settings;

use questions::{Asker, Evidence};
use settings::Settings;

/// `resolve`.
pub struct ChooseImage;

/// Inputs of `resolve`.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(default)]
pub struct Inputs {
    /// Registry of the image, host and port: `123456789012.dkr.ecr.eu-central-1.amazonaws.com`.
    #[schemars(extend("x-aliases" = ["ecr_registry"]))]
    pub registry: Option<String>,
    /// Repository of the image within the registry.
    pub repository: Option<String>,
    /// The repository that the image is built from, `owner/name`.
    pub companion: Option<String>,
    /// Token that may read the companion. Default: `github_token`, which sees its own repository and public ones only.
    #[schemars(extend("x-aliases" = ["org_gh_token"]))]
    pub companion_token: Option<Secret>,
    /// The full id of the commit under test. Default: the event's; of a pull request its head, not the merge commit.
    pub commit_sha: Option<String>,
    /// The branch under test. Default: the pull request's head, else the pushed branch.
    pub head_ref: Option<String>,
    /// The branch that the work is meant for. Default: the pull request's base, else the pushed branch.
    pub base_ref: Option<String>,
    /// Number of the pull request. Default: the event's.
    pub pull_request: Option<Count>,
    /// Name of a ladder in the config, below `resolve.ladders`. Default: the built-in ladder.
    pub ladder: Option<String>,
    /// Branch of the companion to look for instead of the branch under test.
    pub use_branch: Option<String>,
    /// Say that a build is needed, whatever exists.
    pub force_build: Option<Flag>,
    /// `auto` asks what exists; `always-build` is the same as `force_build`; `dispatch` lets a workflow of the companion
    /// build the image, which this version does not do yet. Default: auto.
    pub strategy: Option<Strategy>,
    /// Workflow of the companion for the strategy `dispatch`.
    pub workflow: Option<String>,
    /// Inputs of that workflow, one `key=value` per line.
    pub dispatch_inputs: Map,
    /// An image to be used as it is.
    #[schemars(extend("x-aliases" = ["dashboard_image"]))]
    pub image_override: Option<String>,
}

/// How the image comes to be.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
#[schemars(inline)]
pub enum Strategy {
    /// By what exists.
    Auto,
    /// Always built anew.
    AlwaysBuild,
    /// By a workflow of the companion.
    Dispatch,
}

/// Outputs of `resolve`.
#[derive(Debug, Default, Serialize, JsonSchema)]
pub struct Outputs {
    /// The image to use, whether it exists already or has to be built first.
    pub image: Option<String>,
    /// The same as `image`.
    pub dashboard_image: Option<String>,
    /// Whether the image has to be built first: `true` or `false`.
    pub needs_build: Option<Flag>,
    /// Branch of the companion to build from, or that the image was built from.
    pub branch: Option<String>,
    /// The same as `branch`.
    pub dashboard_branch: Option<String>,
    /// Name of the rule that decided.
    pub strategy: Option<String>,
    /// Whether the image exists: `true` or `false`; not set when nobody had to be asked.
    pub exists: Option<Flag>,
    /// The image's digest, when it was found.
    pub digest: Option<String>,
    /// The image's tag.
    pub tag: Option<String>,
    /// Page of the run that builds the image (strategy `dispatch`).
    pub run_url: Option<String>,
}

/// The decision and what it rests on.
#[derive(Debug, Serialize)]
pub struct Plan {
    #[serde(flatten)]
    resolution: Resolution,
    /// `the built-in ladder`, `the ladder 'x' of the config`.
    ladder: String,
    /// Place of the rule in its ladder, from 1, and the number of rules.
    rule: (usize, usize),
    /// What was under test.
    subject: Vec<(&'static str, String)>,
    companion: Option<String>,
    evidence: Vec<Evidence>,
}

impl fmt::Display for Plan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let resolution = &self.resolution;
        let (place, of) = self.rule;
        write!(f, "strategy: {} (rule {place} of {of}, {})", resolution.strategy, self.ladder)?;
        let image = resolution.image.as_deref().unwrap_or("none");
        write!(f, "\nimage: {image}\nneeds build: {}", resolution.needs_build)?;
        if let Some(branch) = &resolution.branch {
            write!(f, "\nbranch: {branch}")?;
        }
        write!(f, "\nnext: {}", report::next_step(self))
    }
}

impl Command for ChooseImage {
    const NAME: &'static str = "resolve";
    const TITLE: &'static str = "Which image should these tests use?";
    const BRANDING: (&'static str, &'static str) = ("git-branch", "blue");
    const GROUPS: &'static [Group] = &[Group::Registry, Group::Cloud, Group::Engine];

    type Inputs = Inputs;
    type Plan = Plan;
    type Outputs = Outputs;

    async fn plan(inputs: Inputs, run: &Run, _outputs: &mut Outputs) -> Result<Plan, Failure> {
        let settings = Settings::read(inputs, run).await?;
        let group = run.log.group(format!("Questions for {}", settings.ladder));
        let mut asker = Asker::new(&settings, run)?;
        let mut walk = Walk::new(&settings.rules, &settings.facts);
        let resolution = loop {
            match walk.step().map_err(|error| no_answer(&error))? {
                Step::Done(resolution) => break resolution,
                Step::Ask(question) => walk.learn(asker.answer(question).await?),
            }
        };
        let evidence = asker.into_evidence();
        if evidence.is_empty() {
            run.log.info("nothing had to be asked");
        }
        drop(group);
        let place = settings.rules.iter().position(|rule| rule.strategy == resolution.strategy);
        Ok(Plan {
            rule: (place.map_or(0, |place| place + 1), settings.rules.len()),
            subject: settings.subject(),
            companion: settings.companion.as_ref().map(ToString::to_string),
            ladder: settings.ladder,
            resolution,
            evidence,
        })
    }

    async fn apply(plan: Plan, run: &Run, outputs: &mut Outputs) -> Result<Verdict, Failure> {
        *outputs = outputs_of(&plan);
        let group = run.log.group(format!("Resolved: {}", plan.resolution.strategy));
        run.log.info(plan.to_string());
        drop(group);
        run.summary.section(report::section(&plan));
        Ok(Verdict::Success("resolved"))
    }
}

fn outputs_of(plan: &Plan) -> Outputs {
    let resolution = &plan.resolution;
    let reference = resolution.image.as_deref().and_then(|image| image.parse::<ImageRef>().ok());
    let asked = plan.evidence.iter().find(|evidence| evidence.image.is_some() && evidence.image == resolution.image);
    Outputs {
        image: resolution.image.clone(),
        dashboard_image: resolution.image.clone(),
        needs_build: Some(Flag(resolution.needs_build)),
        branch: resolution.branch.clone(),
        dashboard_branch: resolution.branch.clone(),
        strategy: Some(resolution.strategy.clone()),
        exists: asked.map(|evidence| Flag(evidence.digest.is_some())),
        digest: asked.and_then(|evidence| evidence.digest.as_ref()).map(ToString::to_string),
        tag: reference.and_then(|reference| reference.tag().map(ToString::to_string)),
        run_url: None,
    }
}

fn no_answer(error: &LadderError) -> Failure {
    let (reason, hint) = match error {
        LadderError::NoRule => ("no-rule", "Add a last rule without `if` to the ladder."),
        LadderError::Missing { .. } => {
            ("no-value", "Set the input that gives the value, or let the rule's `if` ask for it.")
        }
        LadderError::NoRepository { .. } => {
            ("invalid-input", "Set `registry` and `repository`, as inputs or in the ladder.")
        }
        LadderError::Tag { .. } => {
            ("no-value", "Use a slug (`{branch_slug}`) in the tag, and keep it below 128 characters.")
        }
    };
    Failure::new(Kind::Input, reason, "No image resolved", error.to_string()).hint(hint)
}
