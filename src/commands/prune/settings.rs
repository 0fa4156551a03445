//! Purpose: the inputs of `prune`, checked together, with the policy of the config.

use std::path::PathBuf;
use std::time::Duration;

use super::{AgeFrom, Inputs, Operation};
use crate::commands::run::Run;
use crate::domain::names::RepositoryName;
use crate::domain::pace::Limits;
use crate::domain::reference::ImageName;
use crate::domain::retention::{Age, Policy, PolicyBlock};
use crate::runner::{Failure, Kind, Problems, nearest};
use crate::services::asking;

/// How long a whole run may take when nobody says; GitHub's hourly limit lets it do most in that time.
const TIMEOUT: Duration = Duration::from_secs(3600);
/// Kinds of evidence.
pub(super) const PULL_REQUESTS: &str = "pull_requests";
pub(super) const WORKFLOW_RUNS: &str = "workflow_runs";
pub(super) const ECS: &str = "ecs";

/// What a run needs.
#[derive(Clone)]
pub(super) struct Settings {
    pub(super) operation: Operation,
    pub(super) images: Vec<ImageName>,
    /// Read and never pruned.
    pub(super) references: Vec<ImageName>,
    pub(super) policy: Policy,
    /// The policy, in words.
    pub(super) policy_name: String,
    /// `None`: all that apply.
    pub(super) in_use: Option<Vec<String>>,
    pub(super) repository: Option<RepositoryName>,
    pub(super) clusters: Vec<String>,
    pub(super) age_from: AgeFrom,
    pub(super) snapshot: PathBuf,
    pub(super) plan_file: PathBuf,
    pub(super) concurrency: usize,
    pub(super) timeout: Duration,
    pub(super) limits: Limits,
}

impl Settings {
    pub(super) fn read(inputs: Inputs, run: &Run) -> Result<Self, Failure> {
        let mut problems = Problems::default();
        if inputs.image.0.is_empty() {
            problems.missing("image");
        }
        let images = names(&inputs.image.0, "image", &mut problems);
        let (policy_name, block) = block(&inputs, run, &mut problems);
        let references = names(&block.references, "retention references", &mut problems);
        let policy = policy(&inputs, &policy_name, &block, &mut problems);
        let repository = inputs.repository.as_deref().or(run.github.repository.as_deref());
        let repository = repository.and_then(|name| problems.check("repository", name.parse()));
        let in_use = in_use(&inputs, &mut problems);
        problems.into_result()?;
        let Some(policy) = policy else {
            return Err(Failure::input("the policy cannot be used", "Check the block below `retention`."));
        };
        let path = |given: Option<String>, default: &str| PathBuf::from(given.unwrap_or_else(|| default.to_owned()));
        let concurrency = inputs.concurrency.map_or(8, |count| count.0.clamp(1, 64));
        Ok(Self {
            operation: inputs.operation.unwrap_or(Operation::Plan),
            images,
            references,
            policy,
            policy_name,
            in_use,
            repository,
            clusters: inputs.clusters.0,
            age_from: inputs.age_from.unwrap_or(AgeFrom::Seen),
            snapshot: path(inputs.snapshot, "landfall-prune-snapshot.json"),
            plan_file: path(inputs.plan_file, "landfall-prune-plan.json"),
            concurrency: usize::try_from(concurrency).unwrap_or(8),
            limits: limits(inputs.points_per_minute.map(|count| count.0)),
            timeout: run.common.timeout.map_or(TIMEOUT, |timeout| timeout.0),
        })
    }

    /// Work that touches nothing, within the run's time.
    pub(super) async fn in_time<T>(&self, work: impl Future<Output = T>) -> Result<T, Failure> {
        asking::in_time(self.timeout, work).await.map_err(|waited_for| {
            let limit = crate::contract::values::Span(self.timeout);
            Failure::new(
                Kind::Work,
                "timeout",
                "Out of time",
                format!("the plan was not made within {limit}{waited_for}; nothing was deleted"),
            )
            .hint("Raise `timeout`; manifests that were read once are remembered in the snapshot.")
        })
    }
}

fn limits(points: Option<u64>) -> Limits {
    let points = points.map(|points| u32::try_from(points.max(10)).unwrap_or(u32::MAX));
    points.map_or(Limits::GITHUB, |points| Limits { points: f64::from(points), ..Limits::GITHUB })
}

fn names(texts: &[String], input: &str, problems: &mut Problems) -> Vec<ImageName> {
    let mut names: Vec<ImageName> = Vec::new();
    for text in texts {
        if let Some(name) = problems.check(input, text.parse::<ImageName>())
            && !names.contains(&name)
        {
            names.push(name);
        }
    }
    names
}

/// The policy's block of the config, and how it is called.
fn block(inputs: &Inputs, run: &Run, problems: &mut Problems) -> (String, PolicyBlock) {
    let blocks = &run.config.retention;
    let name = inputs.policy.as_deref().unwrap_or("default");
    match blocks.get(name) {
        Some(block) => (format!("retention.{name}"), block.clone()),
        None if inputs.policy.is_none() => ("the built-in policy".to_owned(), PolicyBlock::default()),
        None => {
            let hint = match nearest(name, blocks.keys().map(String::as_str)) {
                Some(near) => format!("; did you mean '{near}'?"),
                None => String::new(),
            };
            problems.add("policy", format!("is '{name}', which the config does not have below retention{hint}"));
            (name.to_owned(), PolicyBlock::default())
        }
    }
}

fn policy(inputs: &Inputs, name: &str, block: &PolicyBlock, problems: &mut Problems) -> Option<Policy> {
    let mut block = block.clone();
    if let Some(min_age) = inputs.min_age {
        block.min_age = i64::try_from(min_age.0.as_secs()).ok().map(Age::seconds);
    }
    if let Some(text) = &inputs.max_delete_fraction {
        let percent = text.strip_suffix('%').map(|number| (number, 100.0));
        let (number, of) = percent.unwrap_or((text.as_str(), 1.0));
        match number.trim().parse::<f64>() {
            Ok(number) if (0.0..=1.0).contains(&(number / of)) => block.max_delete_fraction = Some(number / of),
            _ => problems.add("max_delete_fraction", format!("is '{text}', which is not a number from 0 to 1")),
        }
    }
    if let Some(most) = inputs.max_deletes {
        block.max_deletes = Some(most.0);
    }
    match block.policy() {
        Ok(policy) => Some(policy),
        Err(errors) => {
            errors.iter().for_each(|error| problems.add(name, error.to_string()));
            None
        }
    }
}

fn in_use(inputs: &Inputs, problems: &mut Problems) -> Option<Vec<String>> {
    let kinds = inputs.in_use.as_ref()?;
    let known = [PULL_REQUESTS, WORKFLOW_RUNS, ECS, "none"];
    for kind in kinds.0.iter().filter(|kind| !known.contains(&kind.as_str())) {
        let hint = match nearest(kind, known.iter().copied()) {
            Some(near) => format!("; did you mean '{near}'?"),
            None => format!("; there are {}", known.join(", ")),
        };
        problems.add("in_use", format!("has '{kind}', which is not known{hint}"));
    }
    Some(kinds.0.iter().filter(|kind| *kind != "none").cloned().collect())
}
