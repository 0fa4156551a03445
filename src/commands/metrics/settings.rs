//! Purpose: inputs and config to settings that can be used, with everything that is wrong said at once.

use std::time::Duration;

use super::{Inputs, Operation};
use crate::commands::run::Run;
use crate::config::Metrics;
use crate::contract::values::{Count, List, Percent};
use crate::domain::globs::Globs;
use crate::domain::metrics::{Classes, NamePatterns, Regressions, StepPatterns, Thresholds};
use crate::domain::names::RepositoryName;
use crate::domain::reference::ImageName;
use crate::runner::{Failure, Kind, Problems};

const SINCE: Duration = Duration::from_secs(30 * 86_400);
const BUILD_TIME: Duration = Duration::from_secs(20 * 60);
const FAILURE_RATE: f64 = 5.0;
const OUTPUT: &str = "ci-metrics.json";

/// What is looked at, and how much of it.
#[derive(Debug)]
pub(super) struct Wanted {
    pub(super) repository: RepositoryName,
    pub(super) workflows: Option<NamePatterns>,
    pub(super) branches: Vec<Globs>,
    pub(super) images: Vec<ImageName>,
    pub(super) since: Duration,
    /// Most runs of a workflow.
    pub(super) limit: usize,
    /// Most runs whose jobs are read.
    pub(super) jobs: usize,
    /// Most manifests that are read.
    pub(super) manifests: usize,
    /// Most requests to GitHub.
    pub(super) requests: u64,
    pub(super) classes: Classes,
    pub(super) steps: StepPatterns,
}

impl Wanted {
    /// Whether a run's branch counts.
    pub(super) fn takes_branch(&self, branch: Option<&str>) -> bool {
        self.branches.is_empty() || branch.is_some_and(|branch| self.branches.iter().any(|globs| globs.matches(branch)))
    }
}

/// Everything that is known before anything is asked.
#[derive(Debug)]
pub(super) struct Settings {
    pub(super) wanted: Wanted,
    pub(super) output: String,
    pub(super) previous: Option<String>,
    pub(super) baseline: Option<String>,
    pub(super) current: Option<String>,
    pub(super) thresholds: Thresholds,
    pub(super) regressions: Regressions,
    pub(super) fail_on_breach: bool,
}

pub(super) fn settings(inputs: &Inputs, run: &Run) -> Result<Settings, Failure> {
    let mut problems = Problems::default();
    let config = &run.config.metrics;
    let repository = run.github.repository.as_deref();
    if repository.is_none() {
        problems.add("GITHUB_REPOSITORY", "is required and not set; it names the repository, for example acme/app");
    }
    let repository = repository.and_then(|name| problems.check("GITHUB_REPOSITORY", name.parse()));
    let wanted = wanted(inputs, config, repository, &mut problems);
    if inputs.operation == Operation::Compare {
        problems.required("baseline", inputs.baseline.as_ref());
    } else if inputs.current.is_some() {
        problems.add("current", "belongs to the operation compare; collect makes the current figures itself");
    }
    let thresholds = thresholds(inputs, config);
    problems.into_result()?;
    let wanted = wanted.ok_or_else(|| Failure::new(Kind::Work, "internal", "Internal error", "an input was lost"))?;
    let usual = Regressions::default();
    Ok(Settings {
        wanted,
        output: inputs.output.clone().unwrap_or_else(|| OUTPUT.to_owned()),
        previous: inputs.previous.clone(),
        baseline: inputs.baseline.clone(),
        current: inputs.current.clone(),
        thresholds,
        regressions: Regressions {
            build_time: inputs.max_build_time_increase.map_or(usual.build_time, |Percent(value)| value),
            failure_rate: inputs.max_failure_rate_increase.map_or(usual.failure_rate, |Percent(value)| value),
            pull_success: usual.pull_success,
        },
        fail_on_breach: inputs.fail_on_breach.is_some_and(|flag| flag.0),
    })
}

fn wanted(
    inputs: &Inputs,
    config: &Metrics,
    repository: Option<RepositoryName>,
    problems: &mut Problems,
) -> Option<Wanted> {
    let workflows = match (&inputs.workflows, &config.workflows) {
        (Some(List(given)), _) => problems.check("workflows", NamePatterns::read(given)),
        (None, Some(List(given))) => problems.check("metrics.workflows of the config", NamePatterns::read(given)),
        (None, None) => None,
    };
    let List(branches) = inputs.branches.clone().unwrap_or_default();
    let branches = branches.iter().filter_map(|glob| problems.check("branches", glob.parse::<Globs>())).collect();
    let classes = match &config.classes {
        Some(classes) => Classes::read(classes.0.iter().map(|(name, List(patterns))| (name, patterns.clone()))),
        None => Classes::read(Classes::USUAL.map(|(name, patterns)| (name, patterns.to_vec()))),
    };
    let classes = problems.check("metrics.classes of the config", classes);
    let limit = inputs.limit.map_or(100, |Count(limit)| limit);
    if limit == 0 {
        problems.add("limit", "is 0, so that no run would count");
    }
    let count = |given: Option<Count>, usual| usize::try_from(given.map_or(usual, |Count(n)| n)).unwrap_or(usize::MAX);
    Some(Wanted {
        workflows,
        branches,
        images: images(inputs, config, problems),
        since: inputs.since.map_or(SINCE, |since| since.0),
        limit: count(Some(Count(limit)), 0),
        jobs: count(inputs.jobs, 100),
        manifests: count(inputs.manifests, 200),
        requests: inputs.max_requests.map_or(500, |Count(most)| most),
        steps: steps(config, problems),
        classes: classes?,
        repository: repository?,
    })
}

fn images(inputs: &Inputs, config: &Metrics, problems: &mut Problems) -> Vec<ImageName> {
    let (subject, list) = match (&inputs.images, &config.images) {
        (Some(List(list)), _) => ("images", list.as_slice()),
        (None, Some(List(list))) => ("metrics.images of the config", list.as_slice()),
        (None, None) => return Vec::new(),
    };
    let mut images: Vec<ImageName> =
        list.iter().filter_map(|image| problems.check(subject, image.parse::<ImageName>())).collect();
    images.retain(|image| {
        let known = super::images::can_list(image);
        if !known {
            problems.add(subject, format!("has {image}; only ghcr.io and ECR list images with their tags and times"));
        }
        known
    });
    images
}

fn steps(config: &Metrics, problems: &mut Problems) -> StepPatterns {
    let mut read = |key: &str, given: &Option<List>, usual: &[&str]| {
        let subject = format!("metrics.steps.{key} of the config");
        let patterns = match given {
            Some(List(given)) => NamePatterns::read(given),
            None => NamePatterns::read(usual),
        };
        problems.check(&subject, patterns).unwrap_or_default()
    };
    StepPatterns {
        build: read("build", &config.steps.build, &StepPatterns::BUILD),
        pull: read("pull", &config.steps.pull, &StepPatterns::PULL),
        cleanup: read("cleanup", &config.steps.cleanup, &StepPatterns::CLEANUP),
    }
}

/// Inputs before the config before the defaults.
fn thresholds(inputs: &Inputs, config: &Metrics) -> Thresholds {
    let of_config = &config.thresholds;
    let percent = |given: Option<Percent>, config: Option<Percent>| given.or(config).map(|Percent(value)| value);
    let build_time = inputs.max_build_time.or(of_config.max_build_time).map_or(BUILD_TIME, |span| span.0);
    Thresholds {
        max_build_time: Some(build_time.as_secs()),
        max_failure_rate: percent(inputs.max_failure_rate, of_config.max_failure_rate).or(Some(FAILURE_RATE)),
        max_storage: inputs.max_storage.or(of_config.max_storage).map(|size| size.0),
        max_redundant_builds: inputs.max_redundant_builds.or(of_config.max_redundant_builds).map(|count| count.0),
        min_pull_success: percent(inputs.min_pull_success, of_config.min_pull_success),
        min_cleanup_success: percent(inputs.min_cleanup_success, of_config.min_cleanup_success),
    }
}
