//! Purpose: the order of `pull`: registry, freshness, artifact, freshness again; and what is said when neither works.

use super::artifact::FromArtifact;
use super::plan::Plan;
use super::registry::Pulled;
use super::{Outputs, Source, Stance, artifact, registry};
use crate::commands::framework::Verdict;
use crate::commands::run::Run;
use crate::commands::upstream::Clients;
use crate::contract::values::Count;
use crate::domain::freshness::{Freshness, REVISION};
use crate::domain::markdown::{Markdown, code, escaped};
use crate::domain::reference::ImageRef;
use crate::runner::{Failure, Kind};
use crate::services::engine::{Engine, Image};

pub(super) async fn apply(plan: &Plan, run: &Run, outputs: &mut Outputs) -> Result<Verdict, Failure> {
    let mut tried: Vec<Tried> = Vec::new();
    fetch(plan, run, outputs, &mut tried).await?;
    run.summary.section(summary(outputs, &tried).into_string());
    Ok(Verdict::Success("pulled"))
}

/// Something that did not work.
struct Tried {
    what: String,
    said: String,
}

impl Tried {
    fn new(what: String, failure: &Failure) -> Self {
        Self { what, said: failure.explained() }
    }
}

async fn fetch(plan: &Plan, run: &Run, outputs: &mut Outputs, tried: &mut Vec<Tried>) -> Result<(), Failure> {
    let engine = Clients::new(run).engine().await?;
    let mut failures = Vec::new();
    if let Some(image) = &plan.image {
        match Box::pin(from_registry(plan, image, &engine, run, outputs)).await {
            Ok(()) => return Ok(()),
            Err(failure) => {
                tried.push(Tried::new(format!("registry, {image}"), &failure));
                failures.push(failure);
            }
        }
    }
    if let Some(wanted) = &plan.artifact {
        if let Some(last) = tried.last() {
            run.log.foreign(format!("not from the registry: {}", last.said));
        }
        match Box::pin(from_artifact(plan, wanted, &engine, run, outputs)).await {
            Ok(()) => return Ok(()),
            Err(failure) => {
                tried.push(Tried::new(format!("artifact, {} of {}", wanted.name, wanted.from), &failure));
                failures.push(failure);
            }
        }
    }
    Err(neither(plan, tried, failures))
}

async fn from_registry(
    plan: &Plan,
    image: &ImageRef,
    engine: &Engine,
    run: &Run,
    outputs: &mut Outputs,
) -> Result<(), Failure> {
    let mut attempts = 0;
    let pulled = registry::pull(plan, image, engine, run, &mut attempts).await;
    outputs.attempts = Some(Count(attempts));
    let Pulled { image: found, digest } = pulled?;
    let fresh = fresh(plan, &found, &image.to_string(), run)?;
    accept(plan, engine, outputs, &found, &image.to_string()).await?;
    (outputs.source, outputs.digest, outputs.fresh) = (Some(Source::Registry), digest, Some(fresh));
    Ok(())
}

async fn from_artifact(
    plan: &Plan,
    wanted: &super::plan::ArtifactPlan,
    engine: &Engine,
    run: &Run,
    outputs: &mut Outputs,
) -> Result<(), Failure> {
    let FromArtifact { image, name, digest } = artifact::load(plan, wanted, engine, run).await?;
    let fresh = fresh(plan, &image, &format!("the artifact '{}'", wanted.name), run)?;
    accept(plan, engine, outputs, &image, &name).await?;
    (outputs.source, outputs.digest, outputs.fresh) = (Some(Source::Artifact), Some(digest), Some(fresh));
    let own = run.github.run_id.as_deref().and_then(|id| id.parse().ok());
    outputs.run_id = match &wanted.from {
        super::plan::From::ThisRun => own.map(Count),
        super::plan::From::Run { run, .. } => Some(Count(*run)),
    };
    Ok(())
}

async fn accept(plan: &Plan, engine: &Engine, outputs: &mut Outputs, image: &Image, name: &str) -> Result<(), Failure> {
    if let Some(tag) = &plan.local_tag {
        engine.tag(&image.id, tag).await?;
    }
    outputs.image = Some(plan.local_tag.clone().unwrap_or_else(|| name.to_owned()));
    outputs.image_id = Some(image.id.clone());
    outputs.sha = image.labels.get(REVISION).cloned();
    Ok(())
}

/// Compares and, depending on the stance, says so or refuses.
fn fresh(plan: &Plan, image: &Image, what: &str, run: &Run) -> Result<Freshness, Failure> {
    let label = image.labels.get(REVISION).map(String::as_str);
    let found = Freshness::of(label, plan.expected_sha.as_deref());
    let Some(expected) = plan.expected_sha.as_deref() else {
        return Ok(found);
    };
    let said = match (found, label) {
        (Freshness::True, _) => return Ok(found),
        (Freshness::False, Some(label)) => format!("{what} is made from {label}, and {expected} is expected"),
        (_, _) => {
            format!("{what} does not say which commit it is made from (label {REVISION}), and {expected} is expected")
        }
    };
    match plan.freshness {
        Stance::Off => Ok(found),
        Stance::Warn => {
            run.log.warn("Stale image", said);
            Ok(found)
        }
        Stance::Fail => Err(Failure::new(Kind::Work, "image-stale", "Stale image", said)
            .hint("The build for this commit may have failed or not ended; its run says which.")),
    }
}

/// One way tried: its own failure. Both: one failure that gives both reasons; of the kind that says what could still help.
fn neither(plan: &Plan, tried: &[Tried], mut failures: Vec<Failure>) -> Failure {
    if failures.len() == 1
        && let Some(only) = failures.pop()
    {
        let can_be_helped = plan.artifact.is_none() && only.reason == "image-not-found";
        return if can_be_helped { only.hint("Set `artifact` to name a fallback.") } else { only };
    }
    let name = plan.image.as_ref().map(ToString::to_string).unwrap_or_default();
    let reasons: Vec<String> = tried.iter().map(|tried| format!("{}: {}", tried.what, tried.said)).collect();
    let message = format!("{name} came neither from the registry nor from the artifact\n{}", reasons.join("\n"));
    // What could not be asked may well have the image.
    let met = |kind| failures.iter().any(|failure| failure.kind == kind);
    let kind = [Kind::Upstream, Kind::Auth].into_iter().find(|kind| met(*kind)).unwrap_or(Kind::Work);
    let mut failure = Failure::new(kind, "image-unavailable", "No image", message);
    for hint in failures.into_iter().flat_map(|failure| failure.hints) {
        if !failure.hints.contains(&hint) {
            failure = failure.hint(hint);
        }
    }
    failure
}

fn summary(outputs: &Outputs, tried: &[Tried]) -> Markdown {
    let heading = match outputs.source {
        Some(Source::Artifact) => "📦 Image from the artifact",
        _ => "✅ Image from the registry",
    };
    let mut rows: Vec<Vec<String>> = Vec::new();
    let mut row = |name: &str, value: Option<String>| {
        if let Some(value) = value {
            rows.push(vec![name.to_owned(), value]);
        }
    };
    row("Image", outputs.image.as_deref().map(code));
    row("Digest", outputs.digest.as_deref().map(code));
    row("Commit", outputs.sha.as_deref().map(code));
    row("Fresh", outputs.fresh.map(|fresh| fresh.to_string()));
    row("Attempts", outputs.attempts.map(|attempts| attempts.0.to_string()));
    let markdown = Markdown::new().heading(3, heading).facts(rows);
    if tried.is_empty() {
        return markdown;
    }
    let said = tried.iter().map(|tried| format!("{}: {}", escaped(&tried.what), escaped(&tried.said)));
    markdown.paragraph("Did not work:").bullets(said)
}
