//! Purpose: which image of a companion repository these tests use: asked of GitHub and the registry, decided by a
//! ladder of rules.

use std::fmt;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::framework::{Command, Limit, Verdict};
use super::run::Run;
use super::shared::Group;
use crate::contract::values::{Count, Flag, Map, Secret, Span};
use crate::domain::dispatch::fill;
use crate::domain::ladder::{Answer, LadderError, Question, Resolution, Step, Walk};
use crate::domain::reference::ImageRef;
use crate::runner::{Failure, Kind};
use crate::services::asking;

mod dispatch;
mod questions;
mod report;
mod settings;

use dispatch::{Start, Trigger};
use questions::{Asker, Evidence};
use settings::{Settings, Wanted};

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
    /// `auto` asks what exists; `always-build` is the same as `force_build`; `dispatch` is `auto`, and lets the companion
    /// build the image when it has to be built: starts `workflow` or sends `event_type`, waits for the run, requires the
    /// image. Default: auto.
    pub strategy: Option<Strategy>,
    /// Workflow of the companion for the strategy `dispatch`, by file name; it must listen to `workflow_dispatch`.
    pub workflow: Option<String>,
    /// Branch or tag of the companion at which `workflow` runs. Default: the branch to build from, else the default branch.
    pub workflow_ref: Option<String>,
    /// Instead of `workflow`: the type of a `repository_dispatch` event. The workflow that it starts must show the nonce:
    /// `run-name: Build ${{ github.event.client_payload.landfall_nonce }}`.
    pub event_type: Option<String>,
    /// Inputs of the workflow, or keys of the event's payload, one `key=value` per line. `{image}`, `{tag}`, `{branch}`,
    /// `{commit_sha}`, `{pull_request}` and `{nonce}` are filled in.
    pub dispatch_inputs: Map,
    /// Time between two looks at the companion's run. Default: 10s.
    pub poll_interval: Option<Span>,
    /// Longest duration of the command. Default: 10m, with the strategy `dispatch` 1h; a run that was started is cancelled
    /// then.
    pub timeout: Option<Span>,
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
    /// What builds the image, when it has to be built and is not to be built by us.
    start: Option<Start>,
}

impl fmt::Display for Plan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let resolution = &self.resolution;
        write!(f, "strategy: {} ({})", resolution.strategy, report::place(self))?;
        let image = resolution.image.as_deref().unwrap_or("none");
        write!(f, "\nimage: {image}\nneeds build: {}", resolution.needs_build)?;
        if let Some(branch) = &resolution.branch {
            write!(f, "\nbranch: {branch}")?;
        }
        write!(f, "\nnext: {}", report::next_step(self))?;
        let inputs = self.start.iter().flat_map(|start| &start.inputs);
        inputs.into_iter().try_for_each(|(name, value)| write!(f, "\n  with {name}={value}"))
    }
}

impl Command for ChooseImage {
    const NAME: &'static str = "resolve";
    const TITLE: &'static str = "Which image should these tests use?";
    const BRANDING: (&'static str, &'static str) = ("git-branch", "blue");
    const GROUPS: &'static [Group] = &[Group::Registry, Group::Cloud, Group::Engine];
    const LIMIT: Limit = Limit::Own;

    type Inputs = Inputs;
    type Plan = Plan;
    type Outputs = Outputs;

    async fn plan(inputs: Inputs, run: &Run, _outputs: &mut Outputs) -> Result<Plan, Failure> {
        let settings = Settings::read(inputs, run).await?;
        let limit = settings.limit;
        match asking::in_time(limit, decide(settings, run)).await {
            Ok(plan) => plan,
            Err(waited_for) => Err(Failure::new(
                Kind::Work,
                "timeout",
                "Out of time",
                format!("the questions were not answered within {}{waited_for}", Span(limit)),
            )
            .hint("Raise `timeout`, or try again later.")),
        }
    }

    async fn apply(plan: Plan, run: &Run, outputs: &mut Outputs) -> Result<Verdict, Failure> {
        *outputs = outputs_of(&plan);
        let group = run.log.group(format!("Resolved: {}", plan.resolution.strategy));
        run.log.info(plan.to_string());
        drop(group);
        run.summary.section(report::section(&plan));
        let Some(start) = &plan.start else {
            return Ok(Verdict::Success("resolved"));
        };
        let built = dispatch::build(start, run, outputs).await;
        run.summary.section(report::built(start, outputs, built.is_ok()));
        built.map(|()| Verdict::Success("built"))
    }

    async fn post(run: &Run) -> Result<(), Failure> {
        dispatch::take_back_later(run).await
    }
}

/// Goes down the ladder; with the strategy `dispatch` also decides what is to be started.
async fn decide(settings: Settings, run: &Run) -> Result<Plan, Failure> {
    let group = run.log.group(format!("Questions for {}", settings.ladder));
    let mut asker = Asker::new(&settings, run)?;
    let mut walk = Walk::new(&settings.rules, &settings.facts);
    let resolution = loop {
        match walk.step().map_err(|error| no_answer(&error))? {
            Step::Done(resolution) => break resolution,
            Step::Ask(question) => walk.learn(asker.answer(question).await?),
        }
    };
    let start = match &settings.dispatch {
        Some(_) if resolution.needs_build => Some(start(&settings, &resolution, &mut asker, run).await?),
        _ => None,
    };
    let evidence = asker.into_evidence();
    if evidence.is_empty() {
        run.log.info("nothing had to be asked");
    }
    drop(group);
    Ok(Plan {
        rule: (resolution.rule - settings.added, settings.rules.len() - settings.added),
        subject: settings.subject(),
        companion: settings.companion.as_ref().map(ToString::to_string),
        ladder: settings.ladder,
        resolution,
        evidence,
        start,
    })
}

/// What has to be started to get the image.
async fn start(settings: &Settings, resolution: &Resolution, asker: &mut Asker, run: &Run) -> Result<Start, Failure> {
    let (Some(wanted), Some(companion)) = (&settings.dispatch, &settings.companion) else {
        return Err(Failure::input("companion is required and not set", "Set `companion`."));
    };
    let image = resolution.image.as_deref().and_then(|image| image.parse::<ImageRef>().ok()).ok_or_else(|| {
        Failure::input(
            format!("the rule '{}' wants a build and names no image", resolution.strategy),
            "Give the rule an `image`: it is what has to exist after the build.",
        )
    })?;
    let branch = match (&resolution.branch, &wanted.trigger) {
        (Some(branch), _) => Some(branch.clone()),
        (None, Wanted::Workflow { at: None, .. }) => match asker.answer(Question::DefaultBranch).await? {
            Answer::DefaultBranch(name) => Some(name),
            _ => None,
        },
        (None, _) => None,
    };
    let nonce = format!("landfall-{}", run.random.token());
    let facts = &settings.facts;
    let values = [
        ("image", Some(image.to_string())),
        ("tag", image.tag().map(ToString::to_string)),
        ("branch", branch.clone()),
        ("commit_sha", facts.commit_sha.as_ref().map(ToString::to_string)),
        ("pull_request", facts.pull_request.map(|number| number.to_string())),
        ("nonce", Some(nonce.clone())),
    ];
    let values = values.into_iter().filter_map(|(name, value)| Some((name, value?))).collect();
    let inputs = wanted.inputs.iter().map(|(name, text)| (name.clone(), fill(text, &values))).collect();
    let trigger = match &wanted.trigger {
        Wanted::Event(kind) => Trigger::Event(kind.clone()),
        Wanted::Workflow { file, at } => {
            Trigger::Workflow { workflow: file.clone(), at: at.clone().or(branch).unwrap_or_default() }
        }
    };
    Ok(Start {
        companion: companion.clone(),
        trigger,
        inputs,
        image,
        nonce,
        token: settings.companion_token.clone(),
        interval: settings.interval,
        limit: settings.limit,
    })
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
