//! Purpose: the ways from a Dockerfile to where its image is wanted, one per kind of builder.
//!
//! An engine with graph drivers is helped with what it cannot push (`assembly`). Otherwise an engine's builder leaves the image in the engine, which then pushes it. A builder of its own keeps the result to
//! itself: what the gates look at is loaded into the engine, and what is wanted elsewhere is pushed by the builder,
//! after the gates. Each of its solves but the first finds every step in the cache.

use super::Outputs;
use super::artifact;
use super::assembly;
use super::gates;
use super::job::{Job, Order, Part};
use super::push::{pushed_by_builder, pushed_by_engine};
use super::settings::Delivery;
use super::summary::Report;
use super::workshop;
use crate::contract::values::Count;
use crate::domain::builder::Home;
use crate::domain::names::Digest;
use crate::domain::reference::ImageRef;
use crate::runner::Failure;
use crate::services::buildkit::{ArchiveSink, Built, Output, Scheme};
use crate::services::engine::{Engine, Image};

/// Builds, lets the gates look, delivers.
pub(super) async fn work(job: &Job<'_>, outputs: &mut Outputs, report: &mut Report) -> Result<(), Failure> {
    job.tell_what_is_not_granted();
    match job.abilities.home {
        _ if job.abilities.assembles(&job.plan.settings.needs()) => assembly::work(job, outputs, report).await,
        Home::Daemon => through_builder(job, outputs, report).await,
        Home::GraphEngine | Home::ContainerdEngine => through_engine(job, outputs, report).await,
    }?;
    artifact::upload_digest(job, outputs).await
}

async fn through_engine(job: &Job<'_>, outputs: &mut Outputs, report: &mut Report) -> Result<(), Failure> {
    let settings = &job.plan.settings;
    let engine = job.plan.engine()?;
    // The names come last, after the gates: a refused image must not carry them.
    let order = Order { output: Output::EngineStore, platforms: settings.platforms.clone(), part: Part::Build };
    let began = tokio::time::Instant::now();
    let built = job.solve(&order, None, report).await?;
    outputs.seconds = Some(Count(began.elapsed().as_secs()));
    told(outputs, &built);
    let image = gates::image(engine, built.image_id.as_deref()).await?;
    shown(outputs, &image, job);
    if !settings.load {
        workshop::note_images(job.run, &[&image.id])?;
    }
    let result = from_engine(job, engine, &image, &built, outputs, report).await;
    if settings.load {
        return result;
    }
    // What the engine had only for the way out is gone afterwards, unless somebody else named it.
    let removed = engine.remove_nameless(&image.id).await;
    if result.is_ok() {
        removed?;
    }
    workshop::note_images(job.run, &[])?;
    result
}

/// Gates, names, push, artifact: everything for which the engine must have the image.
async fn from_engine(
    job: &Job<'_>,
    engine: &Engine,
    image: &Image,
    built: &Built,
    outputs: &mut Outputs,
    report: &mut Report,
) -> Result<(), Failure> {
    gates::pass(job.plan, job.run, engine, image).await?;
    match job.plan.settings.delivery {
        Delivery::Nothing => {
            name(job, engine, image).await?;
            outputs.digest = built.manifest_digest.as_ref().map(ToString::to_string);
        }
        Delivery::Tags => {
            name(job, engine, image).await?;
            let sent = pushed_and_kept(job, engine, image, outputs, report).await;
            if !job.plan.settings.load {
                unname(job, engine, sent.is_ok()).await?;
            }
            return sent;
        }
        Delivery::Digest => {
            name(job, engine, image).await?;
            let digest = deliver(job, outputs, report, Part::Export).await?;
            delivered(job, outputs, &digest);
        }
    }
    artifact::upload(job, engine, image, outputs).await
}

/// The artifact is made while the engine has the image under its tags: an old engine deletes an image with its last one.
async fn pushed_and_kept(
    job: &Job<'_>,
    engine: &Engine,
    image: &Image,
    outputs: &mut Outputs,
    report: &mut Report,
) -> Result<(), Failure> {
    let digest = pushed_by_engine(job, engine, report).await?;
    delivered(job, outputs, &digest);
    artifact::upload(job, engine, image, outputs).await
}

async fn through_builder(job: &Job<'_>, outputs: &mut Outputs, report: &mut Report) -> Result<(), Failure> {
    let settings = &job.plan.settings;
    let (here, away) = (settings.wants_image_here(), settings.delivery != Delivery::Nothing);
    let began = tokio::time::Instant::now();
    outputs.platforms.clone_from(&settings.platforms);
    let mut part = Part::Build;
    let mut at_hand = None;
    // Every platform is built before a gate looks at one of them; with one platform the archive below is that build.
    if settings.platforms.len() > 1 && here || !here && !away {
        let order = Order { output: Output::Nothing, platforms: settings.platforms.clone(), part };
        let built = job.solve(&order, None, report).await?;
        told(outputs, &built);
        part = Part::Export;
    }
    if here {
        let engine = job.plan.engine()?;
        let image = load(job, engine, part, outputs, report).await?;
        part = Part::Export;
        outputs.seconds = Some(Count(began.elapsed().as_secs()));
        shown(outputs, &image, job);
        gates::pass(job.plan, job.run, engine, &image).await?;
        if settings.load {
            name(job, engine, &image).await?;
        }
        at_hand = Some((engine, image));
    }
    if away {
        let digest = deliver(job, outputs, report, part).await?;
        delivered(job, outputs, &digest);
    }
    outputs.seconds.get_or_insert(Count(began.elapsed().as_secs()));
    match at_hand {
        Some((engine, image)) => artifact::upload(job, engine, &image, outputs).await,
        None => Ok(()),
    }
}

/// Loads the image for the engine's own platform, as it comes out of the builder.
async fn load(
    job: &Job<'_>,
    engine: &Engine,
    part: Part,
    outputs: &mut Outputs,
    report: &mut Report,
) -> Result<Image, Failure> {
    let own = engine.info().platform.clone();
    let platforms = &job.plan.settings.platforms;
    let platform = platforms.iter().find(|platform| **platform == own || platform.starts_with(&format!("{own}/")));
    let platform = platform.or_else(|| platforms.first());
    let order = Order { output: Output::Archive, platforms: platform.into_iter().cloned().collect(), part };
    let (sink, pieces) = ArchiveSink::new();
    let loading = engine.load(ArchiveSink::whole(pieces));
    let (built, loaded) = tokio::join!(job.solve(&order, Some(sink), report), loading);
    // When loading fails, the builder only says that nobody takes its archive any more.
    let (built, loaded) = match (built, loaded) {
        (Ok(built), Ok(loaded)) => (built, loaded),
        (Err(failure), Ok(_)) => return Err(failure),
        (Err(failure), Err(_)) if failure.reason != "cancelled" => return Err(failure),
        (_, Err(error)) => return Err(error.into()),
    };
    if outputs.metadata.is_none() {
        told(outputs, &built);
    }
    let config = built.config_digest.map(|digest| digest.to_string());
    let id = loaded.ids.first().or(loaded.references.first()).or(config.as_ref());
    gates::image(engine, id.map(String::as_str)).await
}

/// Has the builder push. All tags are one digest; the registry is asked whether it has it.
async fn deliver(job: &Job<'_>, outputs: &mut Outputs, report: &mut Report, part: Part) -> Result<Digest, Failure> {
    let settings = &job.plan.settings;
    let names = match settings.delivery {
        Delivery::Digest => {
            let mut names: Vec<String> = settings.tags.iter().map(|tag| tag.name().to_string()).collect();
            names.dedup();
            names
        }
        Delivery::Tags | Delivery::Nothing => settings.tags.iter().map(ToString::to_string).collect(),
    };
    let insecure = job.run.registry.insecure_registries.iter().flat_map(|hosts| &hosts.0).any(|host| {
        settings.tags.iter().any(|tag| tag.registry() == host || tag.registry().split(':').next() == Some(host))
    });
    let scheme = if insecure { Scheme::Insecure } else { Scheme::Secure };
    let output = match settings.delivery {
        Delivery::Digest => Output::PushDigest { repositories: names, scheme },
        Delivery::Tags | Delivery::Nothing => Output::Push { tags: names, scheme },
    };
    let order = Order { output, platforms: settings.platforms.clone(), part };
    let built = pushed_by_builder(job, &order, report).await?;
    told(outputs, &built.0);
    Ok(built.1)
}

/// Gives the image its tags in the engine. Those that only serve the push are noted first: whatever interrupts the push,
/// they are taken again, at the latest by the post stage.
async fn name(job: &Job<'_>, engine: &Engine, image: &Image) -> Result<(), Failure> {
    let settings = &job.plan.settings;
    if !settings.load && settings.delivery == Delivery::Tags {
        workshop::note_names(job.run, &settings.tags)?;
    }
    if settings.load || settings.delivery == Delivery::Tags {
        for tag in &settings.tags {
            engine.tag(&image.id, &tag.to_string()).await?;
        }
    }
    Ok(())
}

/// Takes them again. A push that failed is the failure to tell of.
async fn unname(job: &Job<'_>, engine: &Engine, pushed: bool) -> Result<(), Failure> {
    for tag in &job.plan.settings.tags {
        let untagged = engine.untag(&tag.to_string()).await;
        if pushed {
            untagged?;
        }
    }
    workshop::note_names(job.run, &[])
}

fn shown(outputs: &mut Outputs, image: &Image, job: &Job<'_>) {
    outputs.image_id = Some(image.id.clone());
    outputs.size = Some(Count(image.size));
    outputs.platforms.clone_from(&job.plan.settings.platforms);
    if outputs.platforms.is_empty() {
        outputs.platforms = vec![image.platform.clone()];
    }
}

fn told(outputs: &mut Outputs, built: &Built) {
    let metadata = built.metadata();
    let platform = &metadata["containerimage.descriptor"]["platform"];
    if outputs.platforms.is_empty() && platform.is_object() {
        let parts = ["os", "architecture", "variant"].map(|key| platform[key].as_str().unwrap_or_default());
        outputs.platforms = vec![parts.into_iter().filter(|part| !part.is_empty()).collect::<Vec<_>>().join("/")];
    }
    outputs.metadata = Some(metadata);
}

fn delivered(job: &Job<'_>, outputs: &mut Outputs, digest: &Digest) {
    let first = job.plan.settings.tags.first().map(ImageRef::name);
    outputs.image_ref = first.map(|name| name.with_digest(digest.clone()).to_string());
    outputs.digest = Some(digest.to_string());
}
