//! Purpose: what is going to be pulled: names filled in, the run found, forks refused; nothing fetched yet.

use std::fmt;
use std::time::Duration;

use serde::Serialize;

use super::{Inputs, Stance};
use crate::commands::run::Run;
use crate::commands::triggering::{self, Heads};
use crate::contract::values::Span;
use crate::domain::artifact::ArtifactName;
use crate::domain::event::{Event, EventKind};
use crate::domain::freshness::is_commit;
use crate::domain::globs::Globs;
use crate::domain::names::RepositoryName;
use crate::domain::reference::ImageRef;
use crate::runner::{Failure, Problems};

/// What an artifact may unpack to when nobody says otherwise.
const LARGEST: u64 = 64 << 30;

/// What will be tried, in order.
#[derive(Debug, Serialize)]
pub struct Plan {
    /// The image in the registry.
    #[serde(serialize_with = "shown")]
    pub(super) image: Option<ImageRef>,
    pub(super) attempts: u32,
    pub(super) wait: Span,
    pub(super) expected_sha: Option<String>,
    pub(super) freshness: Stance,
    pub(super) local_tag: Option<String>,
    pub(super) platform: Option<String>,
    pub(super) artifact: Option<ArtifactPlan>,
}

/// The fallback.
#[derive(Debug, Serialize)]
pub(super) struct ArtifactPlan {
    #[serde(serialize_with = "text")]
    pub(super) name: ArtifactName,
    #[serde(serialize_with = "text")]
    pub(super) file: Globs,
    pub(super) from: From,
    pub(super) max_size: u64,
}

/// Whose artifact.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum From {
    /// This run's.
    ThisRun,
    /// Another run's.
    Run { repository: RepositoryName, run: u64 },
}

impl fmt::Display for From {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::ThisRun => f.write_str("this run"),
            Self::Run { repository, run } => write!(f, "run {run} of {repository}"),
        }
    }
}

fn text<T: fmt::Display, S: serde::Serializer>(value: &T, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_str(value)
}

fn shown<S: serde::Serializer>(image: &Option<ImageRef>, serializer: S) -> Result<S::Ok, S::Error> {
    image.as_ref().map(ToString::to_string).serialize(serializer)
}

impl fmt::Display for Plan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut steps = Vec::new();
        if let Some(image) = &self.image {
            let wait =
                if self.attempts > 1 { format!(", waiting {}, doubled each time", self.wait) } else { String::new() };
            steps.push(format!("pull {image}, at most {} times{wait}", self.attempts));
        }
        if let Some(artifact) = &self.artifact {
            steps.push(format!("load '{}' of the artifact '{}' of {}", artifact.file, artifact.name, artifact.from));
        }
        write!(f, "{}", steps.join("\nelse "))?;
        if let (Some(sha), false) = (&self.expected_sha, self.freshness == Stance::Off) {
            let stale = if self.freshness == Stance::Fail { "not taken" } else { "a warning" };
            write!(f, "\nan image that is not made from {sha} is {stale}")?;
        }
        match &self.local_tag {
            Some(tag) => write!(f, "\nand call it {tag}"),
            None => Ok(()),
        }
    }
}

/// Reads and checks everything; asks GitHub for the pull request only when a name needs it and the event does not say.
pub(super) async fn plan(inputs: Inputs, run: &Run) -> Result<Plan, Failure> {
    let event = run.event()?;
    // What a fork's run left was made by whoever opened the pull request, and this run may have secrets.
    let heads = if inputs.allow_forks.is_some_and(|flag| flag.0) { Heads::Any } else { Heads::Own };
    triggering::trusted(&event, heads).map_err(|failure| {
        failure.hint("If this job has no secrets and no write permissions, set `allow_forks: true`.")
    })?;
    let mut problems = Problems::default();
    let names = Names::of(&event, &inputs, heads, run, &mut problems).await?;
    let image = names.fill("image", inputs.image.as_deref(), &mut problems);
    let image = image.and_then(|image| problems.check("image", image.parse::<ImageRef>()));
    let local_tag = names.fill("local_tag", inputs.local_tag.as_deref(), &mut problems);
    if let Some(tag) = &local_tag
        && problems.check("local_tag", tag.parse::<ImageRef>()).is_some_and(|tag| tag.digest().is_some())
    {
        problems.add("local_tag", "names a digest; give a name and a tag");
    }
    let artifact = names.fill("artifact", inputs.artifact.as_deref(), &mut problems);
    let artifact = artifact.and_then(|name| artifact_plan(&name, &inputs, &event, run, &mut problems));
    if inputs.image.is_none() && inputs.artifact.is_none() {
        problems.add("image", "is required, or `artifact`: without either there is nothing to pull");
    }
    if let Some(sha) = inputs.expected_sha.as_deref().filter(|sha| !is_commit(sha)) {
        problems.add("expected_sha", format!("is '{sha}', which is no commit: seven to forty hexadecimal digits"));
    }
    if inputs.freshness == Some(Stance::Fail) && inputs.expected_sha.is_none() {
        problems.add("expected_sha", "is required with freshness: fail");
    }
    let attempts = inputs.attempts.map_or(3, |count| count.0);
    if !(1..=100).contains(&attempts) {
        problems.add("attempts", format!("is {attempts}; use 1 to 100"));
    }
    if let Some(platform) = inputs.platform.as_deref().filter(|platform| !is_platform(platform)) {
        problems.add("platform", format!("is '{platform}', which is no platform; use for example linux/arm64"));
    }
    problems.into_result()?;
    Ok(Plan {
        image,
        attempts: u32::try_from(attempts).unwrap_or(1),
        wait: inputs.wait.unwrap_or(Span(Duration::from_secs(10))),
        expected_sha: inputs.expected_sha,
        freshness: inputs.freshness.unwrap_or_default(),
        local_tag,
        platform: inputs.platform,
        artifact,
    })
}

fn artifact_plan(
    name: &str,
    inputs: &Inputs,
    event: &Event,
    run: &Run,
    problems: &mut Problems,
) -> Option<ArtifactPlan> {
    let name = problems.check("artifact", name.parse::<ArtifactName>());
    let file = problems.check("artifact_file", inputs.artifact_file.as_deref().unwrap_or("*.tar*").parse::<Globs>());
    let from = from(inputs, event, run, problems);
    let max_size = inputs.max_size.map_or(LARGEST, |size| size.0);
    Some(ArtifactPlan { name: name?, file: file?, from: from?, max_size })
}

fn from(inputs: &Inputs, event: &Event, run: &Run, problems: &mut Problems) -> Option<From> {
    let own: Option<u64> = run.github.run_id.as_deref().and_then(|id| id.parse().ok());
    let triggering = || {
        let payload = run.payload().ok()?;
        payload.pointer("/workflow_run/id")?.as_u64()
    };
    let wanted = match (inputs.run_id, &event.kind) {
        (Some(id), _) => Some(id.0),
        (None, EventKind::WorkflowRun { .. }) => triggering(),
        (None, _) => own,
    };
    match wanted {
        None => {
            problems.add("run_id", "is required outside of a workflow run");
            None
        }
        Some(id) if Some(id) == own => Some(From::ThisRun),
        Some(id) => {
            let repository = problems.required("GITHUB_REPOSITORY", run.github.repository.as_deref())?;
            let repository = problems.check("GITHUB_REPOSITORY", repository.parse::<RepositoryName>())?;
            Some(From::Run { repository, run: id })
        }
    }
}

/// What the placeholders stand for.
struct Names {
    number: Option<u64>,
    sha: Option<String>,
}

impl Names {
    async fn of(
        event: &Event,
        inputs: &Inputs,
        heads: Heads,
        run: &Run,
        problems: &mut Problems,
    ) -> Result<Self, Failure> {
        let texts = [&inputs.image, &inputs.local_tag, &inputs.artifact];
        let wanted = texts.into_iter().flatten().any(|text| text.contains("{number}"));
        let sha = event.sha.as_ref().map(ToString::to_string);
        let number = match event.pull_request {
            None if wanted && run.github.repository.is_none() => {
                problems.missing("GITHUB_REPOSITORY");
                None
            }
            None if wanted => triggering::pull_request(event, run, heads).await?.map(|pull| pull.number),
            known => known,
        };
        Ok(Self { number, sha })
    }

    fn fill(&self, input: &str, text: Option<&str>, problems: &mut Problems) -> Option<String> {
        let text = text?;
        let values = [
            ("{number}", self.number.map(|number| number.to_string()), "pull request"),
            ("{sha7}", self.sha.as_deref().and_then(|sha| sha.get(..7)).map(str::to_owned), "commit"),
            ("{sha}", self.sha.clone(), "commit"),
        ];
        let mut filled = text.to_owned();
        for (placeholder, value, what) in values {
            if !filled.contains(placeholder) {
                continue;
            }
            match value {
                Some(value) => filled = filled.replace(placeholder, &value),
                None => {
                    problems.add(input, format!("has {placeholder}, and this event belongs to no {what}"));
                    return None;
                }
            }
        }
        Some(filled)
    }
}

fn is_platform(text: &str) -> bool {
    let parts: Vec<&str> = text.split('/').collect();
    let word = |part: &&str| !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'.');
    matches!(parts.len(), 2 | 3) && parts.iter().all(word)
}
