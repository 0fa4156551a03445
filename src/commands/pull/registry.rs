//! Purpose: the registry's side of `pull`: attempts with a doubled wait, and what was tried when it fails.

use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};

use super::plan::Plan;
use crate::commands::run::Run;
use crate::commands::upstream::Clients;
use crate::contract::values::Span;
use crate::domain::reference::ImageRef;
use crate::runner::{Failure, Kind, Log};
use crate::services::Classified as _;
use crate::services::engine::{Engine, EngineError, Image, TransferStep};
use crate::services::http::RetryPolicy;

/// An image that the registry gave.
pub(super) struct Pulled {
    pub(super) image: Image,
    pub(super) digest: Option<String>,
}

/// Pulls until it works, cannot work, or was tried often enough. `attempts` counts along.
pub(super) async fn pull(
    plan: &Plan,
    image: &ImageRef,
    engine: &Engine,
    run: &Run,
    attempts: &mut u64,
) -> Result<Pulled, Failure> {
    let group = run.log.group(format!("Pull {image}"));
    let login = Clients::new(run).existence(Some(engine), &[image.registry()])?.login(image.registry()).await?;
    // Each attempt is one request: the waits between them are ours.
    let once = engine.clone().with_retry(RetryPolicy { attempts: 1, ..RetryPolicy::default() });
    let reference = image.to_string();
    let mut wait = plan.wait.0;
    loop {
        *attempts += 1;
        let progress = Progress::new(&run.log);
        let steps = |step: &TransferStep| progress.note(step);
        let pulled = once.pull(&reference, plan.platform.as_deref(), login.as_ref(), steps).await;
        let error = match pulled {
            Ok(()) => break,
            Err(error) => error,
        };
        if !error.class().is_transient() || *attempts >= u64::from(plan.attempts) {
            return Err(refused(image, error));
        }
        run.log.foreign(format!("attempt {attempts} of {}: {error}", plan.attempts));
        run.log.info(format!("next attempt in {}", Span(wait)));
        tokio::time::sleep(wait).await;
        wait *= 2;
    }
    let found = engine.image(&reference).await?;
    let found = found.ok_or_else(|| Failure::from(EngineError::NotFound { object: format!("image {reference}") }))?;
    let digest = digest_of(image, &found);
    run.log.info(format!("{reference} {}", digest.as_deref().unwrap_or(&found.id)));
    drop(group);
    Ok(Pulled { image: found, digest })
}

/// The engine says that it has no such image when the registry said so.
fn refused(image: &ImageRef, error: EngineError) -> Failure {
    match error {
        EngineError::NotFound { .. } => {
            let message = format!("the registry has no {image}");
            Failure::new(Kind::Work, "image-not-found", "Not in the registry", message)
                .hint("Check the tag, and that the job which pushes it ran and succeeded.")
        }
        error => error.into(),
    }
}

/// The digest under which this repository has the image. The engine leaves `docker.io/library/` out.
fn digest_of(image: &ImageRef, found: &Image) -> Option<String> {
    let wanted = image.name().to_string();
    let named = found.digests.iter().filter_map(|digest| digest.split_once('@'));
    let matching = named.filter(|(name, _)| *name == wanted || wanted.ends_with(&format!("/{name}")));
    matching.map(|(_, digest)| digest.to_owned()).next()
}

/// Says how far a pull is, at every tenth of what is known to come.
struct Progress<'a> {
    log: &'a Log,
    layers: Mutex<std::collections::BTreeMap<String, (u64, u64)>>,
    shown: AtomicU64,
}

/// Below this nobody wants to read about progress.
const WORTH_TELLING: u64 = 50_000_000;

impl<'a> Progress<'a> {
    fn new(log: &'a Log) -> Self {
        Self { log, layers: Mutex::default(), shown: AtomicU64::new(0) }
    }

    fn note(&self, step: &TransferStep) {
        if step.status.starts_with("Retrying") {
            return self.log.foreign(&step.status);
        }
        if step.status != "Downloading" || step.total == 0 {
            return;
        }
        let Ok(mut layers) = self.layers.lock() else {
            return;
        };
        layers.insert(step.id.clone(), (step.current, step.total));
        let (done, all) = layers.values().fold((0, 0), |sum, layer| (sum.0 + layer.0, sum.1 + layer.1));
        drop(layers);
        let tenths = done * 10 / all.max(1);
        if all >= WORTH_TELLING && tenths > self.shown.fetch_max(tenths, Ordering::Relaxed) {
            self.log.info(format!("{} % of {} MB", tenths * 10, all / 1_000_000));
        }
    }
}
