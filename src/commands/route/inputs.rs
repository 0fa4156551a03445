//! Purpose: inputs and outputs of `route`, and what they mean for this run.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::commands::run::Run;
use crate::config::Config;
use crate::contract::values::Flag;
use crate::domain::comment::Reaction;
use crate::domain::names::RepositoryName;
use crate::domain::route::{Level, Openness, Routes, Rules};
use crate::runner::{Failure, Kind, Problems};

/// Inputs of `route`.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(default)]
pub struct Inputs {
    /// Routes as YAML, for workflows without a checkout; in the form of the config's `routes`. Default: those of the config,
    /// else those of an infrastructure pipeline.
    pub routes: Option<String>,
    /// Permission in the repository that the author of a command needs: `read`, `triage`, `write`, `maintain` or
    /// `admin`. Default: write.
    pub require: Option<Level>,
    /// Reaction on a command that is accepted; `none` for none. Default: eyes.
    pub reaction: Option<String>,
    /// Answer a command that is unknown or refused with one comment. Default: true.
    pub reply: Option<Flag>,
    /// Accept commands on pull requests from forks, whose code is anybody's. Default: false.
    pub allow_forks: Option<Flag>,
    /// Accept commands of programs; never our own. Default: false.
    pub allow_bots: Option<Flag>,
    /// Accept commands on a commit that came after the comment, so that its author cannot have seen it. Default: false.
    pub allow_newer_commits: Option<Flag>,
    /// What somebody typed to confirm a dispatch; must equal `confirm_with`.
    pub confirm: Option<String>,
    /// What `confirm` must be, for example `DEPLOY`. Default: no confirmation is asked for.
    pub confirm_with: Option<String>,
}

/// Outputs of `route`; all of them are always written.
#[derive(Debug, Serialize, JsonSchema)]
pub struct Outputs {
    /// Which part of the workflow is to run; `skip` when none is.
    pub mode: String,
    /// What it is to do; `unknown` when nothing is.
    pub command: String,
    /// Words behind the command, a JSON list.
    pub args: String,
    /// What it is to do it with; `all` unless somebody named some.
    pub layers: String,
    /// Number of the pull request; empty when there is none.
    pub pr_number: String,
    /// Whether anything is to run: `true` or `false`.
    pub should_run: String,
    /// The commit to work on: of a pull request its head at the time of judging. Later steps must use this one.
    pub sha: String,
    /// The branch that the work is meant for.
    pub base_ref: String,
    /// The branch that the work is on; in a fork it is not one of this repository. Its author chose the name: use
    /// `head_slug` in scripts.
    pub head_ref: String,
    /// The name of that branch with nothing but `a-z`, `0-9` and hyphens.
    pub head_slug: String,
    /// Whether the commit is from a fork: `true`, `false`, or empty when there is no telling.
    pub fork: String,
    /// Who asked.
    pub actor: String,
    /// What they may do, when it was asked.
    pub permission: String,
    /// Id of the comment with the command.
    pub comment_id: String,
    /// Id of our reaction on it.
    pub reaction_id: String,
    /// Whether our reaction is new: `false` when an earlier run, or another attempt of this one, took the command.
    pub first: String,
    /// The default branch's commit, for helpers that must not come from the pull request; only for events that run the
    /// default branch's workflow.
    pub trusted_sha: String,
}

impl Default for Outputs {
    fn default() -> Self {
        let empty = String::new;
        Self {
            mode: "skip".to_owned(),
            command: "unknown".to_owned(),
            args: "[]".to_owned(),
            layers: "all".to_owned(),
            pr_number: empty(),
            should_run: "false".to_owned(),
            sha: empty(),
            base_ref: empty(),
            head_ref: empty(),
            head_slug: empty(),
            fork: empty(),
            actor: empty(),
            permission: empty(),
            comment_id: empty(),
            reaction_id: empty(),
            first: empty(),
            trusted_sha: empty(),
        }
    }
}

/// The inputs with all defaults.
#[derive(Debug)]
pub(super) struct Settings {
    pub(super) routes: Routes,
    pub(super) rules: Rules,
    pub(super) open: Openness,
    pub(super) reaction: Option<Reaction>,
    pub(super) replies: bool,
    pub(super) repository: RepositoryName,
    /// What was typed, and what it must be.
    pub(super) confirmation: Option<(String, String)>,
}

/// Validates the inputs and fills in the defaults.
///
/// # Errors
/// Exit code 2 with everything that is wrong.
pub(super) fn settings(inputs: &Inputs, run: &Run) -> Result<Settings, Failure> {
    let mut problems = Problems::default();
    let routes = match &inputs.routes {
        Some(text) => problems.check("routes", Config::parse_routes(text)).unwrap_or_default(),
        None => run.config.routes.clone(),
    };
    let subject = if inputs.routes.is_some() { "routes" } else { "routes of the config" };
    for problem in routes.problems() {
        problems.add(subject, problem.to_string());
    }
    let reaction = match inputs.reaction.as_deref() {
        Some("none") => None,
        given => problems.check("reaction", given.unwrap_or("eyes").parse::<Reaction>()),
    };
    let repository = match run.github.repository.as_deref() {
        Some(text) => problems.check("GITHUB_REPOSITORY", text.parse::<RepositoryName>()),
        None => problems.required("GITHUB_REPOSITORY", None),
    };
    problems.into_result()?;
    let Some(repository) = repository else {
        return Err(Failure::new(Kind::Work, "internal", "Internal error", "an input was lost"));
    };
    let is_on = |flag: Option<Flag>| flag.is_some_and(|flag| flag.0);
    Ok(Settings {
        routes,
        rules: Rules {
            require: inputs.require.unwrap_or(Level::Write),
            allow_forks: is_on(inputs.allow_forks),
            allow_newer_commits: is_on(inputs.allow_newer_commits),
        },
        open: Openness { forks: is_on(inputs.allow_forks), bots: is_on(inputs.allow_bots) },
        reaction,
        replies: inputs.reply.is_none_or(|flag| flag.0),
        repository,
        confirmation: inputs.confirm_with.clone().map(|wanted| (inputs.confirm.clone().unwrap_or_default(), wanted)),
    })
}
