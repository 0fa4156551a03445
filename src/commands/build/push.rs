//! Purpose: pushing every tag of one digest, by the engine or by the builder, and asking the registry what it has then.

use std::sync::atomic::{AtomicUsize, Ordering};

use tokio::time::Instant;

use super::job::{Job, Order};
use super::plan::Plan;
use super::summary::Report;
use crate::commands::verified::{differs, verify};
use crate::domain::names::Digest;
use crate::domain::reference::ImageRef;
use crate::runner::{Failure, Kind, Log};
use crate::services::buildkit::{Built, Output};
use crate::services::engine::{Engine, TransferStep};

/// Has the engine push every tag, and asks the registry what it now has. All tags must be one digest.
pub(super) async fn pushed_by_engine(job: &Job<'_>, engine: &Engine, report: &mut Report) -> Result<Digest, Failure> {
    let (plan, run) = (job.plan, job.run);
    let group = run.log.group("Push");
    let mut digest: Option<Digest> = None;
    for tag in &plan.settings.tags {
        let began = Instant::now();
        let reference = tag.to_string();
        let layers = Layers::default();
        let steps = |step: &TransferStep| layers.note(&step.status, &run.log);
        let pushed = engine.push(&reference, job.logins.for_host(tag.registry()), steps).await?;
        verify(&plan.existence, tag, &pushed).await?;
        run.log.info(format!("{reference} {pushed} in {:.1} s (layers: {layers})", began.elapsed().as_secs_f64()));
        report.pushed.push((reference, began.elapsed()));
        match &digest {
            Some(first) if *first != pushed => return Err(differs(tag, first, &pushed)),
            _ => digest = Some(pushed),
        }
    }
    drop(group);
    sizes(plan, report).await;
    digest.ok_or_else(|| Failure::input("push has no tags", "Set `tags`."))
}

/// Has the builder push, and asks the registry what it now has.
pub(super) async fn pushed_by_builder(
    job: &Job<'_>,
    order: &Order,
    report: &mut Report,
) -> Result<(Built, Digest), Failure> {
    let began = Instant::now();
    let built = job.solve(order, None, report).await?;
    let digest = built.manifest_digest.clone().ok_or_else(|| {
        Failure::new(Kind::Work, "push-unverified", "Push not verified", "the builder pushed without naming a digest")
            .hint("A builder of this age is not known to do so; update it.")
    })?;
    let by_digest = matches!(order.output, Output::PushDigest { .. });
    for tag in &job.plan.settings.tags {
        let named = if by_digest { tag.name().with_digest(digest.clone()) } else { tag.clone() };
        verify(&job.plan.existence, &named, &digest).await?;
        let what = if by_digest { named.to_string() } else { format!("{named} {digest}") };
        job.run.log.info(format!("{what} in {:.1} s", began.elapsed().as_secs_f64()));
        report.pushed.push((named.to_string(), began.elapsed()));
    }
    sizes(job.plan, report).await;
    Ok((built, digest))
}

/// What a pull of each platform moves. The summary is worth a question, not a failure.
pub(super) async fn sizes(plan: &Plan, report: &mut Report) {
    let Some((reference, _)) = report.pushed.first() else { return };
    if let Ok(reference) = reference.parse::<ImageRef>() {
        report.sizes = Box::pin(plan.existence.registry().platform_sizes(&reference)).await.unwrap_or_default();
    }
}

/// What became of the layers of one push. The engine's client does not say which layer a status is about, so that the
/// statuses are counted and not shown.
#[derive(Default)]
struct Layers {
    pushed: AtomicUsize,
    present: AtomicUsize,
}

impl Layers {
    fn note(&self, status: &str, log: &Log) {
        let counter = match status {
            "Pushed" => &self.pushed,
            "Layer already exists" => &self.present,
            status if status.starts_with("Mounted from") => &self.present,
            status if status.starts_with("Retrying") => return log.foreign(status),
            _ => return,
        };
        counter.fetch_add(1, Ordering::Relaxed);
    }
}

impl std::fmt::Display for Layers {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let (pushed, present) = (self.pushed.load(Ordering::Relaxed), self.present.load(Ordering::Relaxed));
        write!(f, "{pushed} pushed, {present} already there")
    }
}
