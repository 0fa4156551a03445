//! Purpose: what an engine with graph drivers cannot push, put together around it: an index of several platforms, an image
//! by digest alone, a manifest with annotations.
//!
//! Its builder makes one image per platform, side by side. After the gates each is read from the engine and pushed by its
//! digest, then the index is put under its own digest and only then under the tags: no tag serves the way there, and none
//! ever points to a part.

use std::io;

use futures_util::StreamExt as _;
use serde_json::{Map, Value, json};
use tokio::task::JoinSet;
use tokio::time::Instant;

use super::Outputs;
use super::artifact;
use super::gates;
use super::job::{Job, Order, Part};
use super::push::sizes;
use super::settings::Delivery;
use super::summary::Report;
use super::workshop::note_images;
use crate::commands::verified;
use crate::contract::values::Count;
use crate::domain::image_index::{self, Index};
use crate::domain::names::Digest;
use crate::domain::reference::{ImageName, ImageRef};
use crate::runner::{Failure, Kind};
use crate::services::buildkit::{AnnotationTarget, Built, Output};
use crate::services::engine::{Engine, Image};
use crate::services::registry::{ArchivePushed, Destination, Manifest};

/// One platform's image, and what the builder said of it.
struct Piece {
    image: Image,
    built: Built,
}

/// Builds every platform, lets the gates look at the engine's own, delivers.
pub(super) async fn work(job: &Job<'_>, outputs: &mut Outputs, report: &mut Report) -> Result<(), Failure> {
    let (engine, settings) = (job.plan.engine()?, &job.plan.settings);
    let each = |platform: Option<&String>| Order {
        output: Output::EngineStore,
        platforms: platform.into_iter().cloned().collect(),
        part: Part::Build,
    };
    let orders: Vec<Order> = match settings.platforms.as_slice() {
        [] => vec![each(None)],
        platforms => platforms.iter().map(|platform| each(Some(platform))).collect(),
    };
    let began = Instant::now();
    let built = job.solve_each(&orders, report).await?;
    outputs.seconds = Some(Count(began.elapsed().as_secs()));
    let mut pieces = Vec::new();
    for built in built {
        pieces.push(Piece { image: gates::image(engine, built.image_id.as_deref()).await?, built });
    }
    let ids: Vec<&str> = pieces.iter().map(|piece| piece.image.id.as_str()).collect();
    note_images(job.run, &ids)?;
    let result = deliver(job, engine, &pieces, outputs, report).await;
    // Images that nobody named are gone afterwards, whatever came of it.
    for id in &ids {
        let removed = engine.remove_nameless(id).await;
        if result.is_ok() {
            removed?;
        }
    }
    note_images(job.run, &[])?;
    result
}

async fn deliver(
    job: &Job<'_>,
    engine: &Engine,
    pieces: &[Piece],
    outputs: &mut Outputs,
    report: &mut Report,
) -> Result<(), Failure> {
    let (plan, settings) = (job.plan, &job.plan.settings);
    let own = own(engine, pieces).ok_or_else(|| Failure::input("nothing was built", "Give at least one platform."))?;
    outputs.image_id = Some(own.image.id.clone());
    outputs.size = Some(Count(own.image.size));
    outputs.platforms.clone_from(&settings.platforms);
    if outputs.platforms.is_empty() {
        outputs.platforms = vec![own.image.platform.clone()];
    }
    outputs.metadata = Some(metadata(pieces, None));
    if pieces.len() > 1 && settings.wants_image_here() {
        job.run.log.info(format!(
            "Of {} platforms this engine keeps one image under a name: {} is what is loaded and looked at",
            pieces.len(),
            own.image.platform
        ));
    }
    gates::pass(plan, job.run, engine, &own.image).await?;
    if settings.load {
        for tag in &settings.tags {
            engine.tag(&own.image.id, &tag.to_string()).await?;
        }
    }
    if settings.delivery != Delivery::Nothing {
        let digest = push(job, engine, pieces, report).await?;
        let name = settings.tags.first().map(ImageRef::name);
        outputs.image_ref = name.map(|name| name.with_digest(digest.clone()).to_string());
        outputs.digest = Some(digest.to_string());
        outputs.metadata = Some(metadata(pieces, Some(&digest)));
    }
    artifact::upload(job, engine, &own.image, outputs).await
}

/// The image for the engine's own platform, or the first.
fn own<'a>(engine: &Engine, pieces: &'a [Piece]) -> Option<&'a Piece> {
    let own = engine.info().platform.as_str();
    let fits = |piece: &&Piece| {
        let rest = piece.image.platform.strip_prefix(own);
        rest.is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
    };
    pieces.iter().find(fits).or_else(|| pieces.first())
}

/// What the builder said of each platform, and the digest of the whole.
fn metadata(pieces: &[Piece], digest: Option<&Digest>) -> Value {
    let mut whole = Map::new();
    if let [piece] = pieces {
        if let Value::Object(told) = piece.built.metadata() {
            whole = told;
        }
    } else {
        let each = pieces.iter().map(|piece| (piece.image.platform.clone(), piece.built.metadata()));
        whole.insert("platforms".to_owned(), Value::Object(each.collect()));
    }
    if let Some(digest) = digest {
        whole.insert("containerimage.digest".to_owned(), json!(digest.as_str()));
    }
    Value::Object(whole)
}

/// Pushes parts and index to every repository; the digest is the same everywhere.
async fn push(job: &Job<'_>, engine: &Engine, pieces: &[Piece], report: &mut Report) -> Result<Digest, Failure> {
    let settings = &job.plan.settings;
    let group = job.run.log.group("Push");
    let began = Instant::now();
    let mut names: Vec<ImageName> = Vec::new();
    for tag in &settings.tags {
        if !names.contains(tag.name()) {
            names.push(tag.name().clone());
        }
    }
    let pushed = push_parts(job, engine, pieces, &names).await?;
    let mut digest = None;
    for name in &names {
        let manifest = whole(job, name, &pushed).await?;
        let mut places = vec![name.with_digest(manifest.digest.clone())];
        if settings.delivery == Delivery::Tags {
            places.extend(settings.tags.iter().filter(|tag| tag.name() == name).cloned());
        }
        verified::put(job.run, &job.plan.existence, &manifest, &places).await?;
        let shown = if settings.delivery == Delivery::Tags { &places[1..] } else { &places[..] };
        for place in shown {
            job.run.log.info(format!("{place} {} in {:.1} s", manifest.digest, began.elapsed().as_secs_f64()));
            report.pushed.push((place.to_string(), began.elapsed()));
        }
        digest.get_or_insert(manifest.digest);
    }
    drop(group);
    sizes(job.plan, report).await;
    digest.ok_or_else(|| Failure::input("push has no tags", "Set `tags`."))
}

/// Pushes every platform's image by its digest, side by side.
async fn push_parts(
    job: &Job<'_>,
    engine: &Engine,
    pieces: &[Piece],
    names: &[ImageName],
) -> Result<Vec<ArchivePushed>, Failure> {
    let destination = Destination {
        names: names.to_vec(),
        folder: job.run.temporary_folder(),
        annotations: annotations(job, AnnotationTarget::Manifest),
    };
    let mut pushes = JoinSet::new();
    for (at, piece) in pieces.iter().enumerate() {
        let (engine, image, destination) = (engine.clone(), piece.image.clone(), destination.clone());
        let registry = job.plan.existence.registry().clone();
        // On its own thread: packing layers is work. Whoever is given up takes the others along.
        pushes.spawn(async move {
            let tar = engine.save(&[&image.id]).map(|piece| piece.map_err(io::Error::other));
            (at, registry.push_archive(Box::pin(tar), &image.layers, &destination).await)
        });
    }
    let mut pushed = Vec::new();
    while let Some(done) = pushes.join_next().await {
        let (at, result) = done.map_err(|error| broken(&error))?;
        let result = result?;
        let (platform, digest) = (&pieces[at].image.platform, &result.manifest.digest);
        let (sent, present) = (result.sent, result.present);
        job.run.log.info(format!("{platform} {digest} (layers: {sent} pushed, {present} already there)"));
        pushed.push((at, result));
    }
    pushed.sort_by_key(|(at, _)| *at);
    Ok(pushed.into_iter().map(|(_, pushed)| pushed).collect())
}

fn broken(error: &tokio::task::JoinError) -> Failure {
    Failure::new(Kind::Work, "push-unverified", "Push broke off", format!("a part was not pushed: {error}"))
        .hint("Run the step again: what was pushed is not pushed twice.")
}

/// What the tags will point to: the one image, or the index of all, made of what the registry says that it has.
async fn whole(job: &Job<'_>, name: &ImageName, pushed: &[ArchivePushed]) -> Result<Manifest, Failure> {
    if let [one] = pushed {
        return Ok(one.manifest.clone());
    }
    let registry = job.plan.existence.registry();
    let mut descriptors = Vec::new();
    for part in pushed {
        let place = name.with_digest(part.manifest.digest.clone());
        verified::verify(&job.plan.existence, &place, &part.manifest.digest).await?;
        descriptors.extend(Box::pin(registry.descriptors(&place)).await?.unwrap_or_default());
    }
    let own: Map<String, Value> = annotations(job, AnnotationTarget::ManifestDescriptor)
        .into_iter()
        .map(|(key, value)| (key, json!(value)))
        .collect();
    if !own.is_empty() {
        descriptors.iter_mut().for_each(|descriptor| descriptor["annotations"] = Value::Object(own.clone()));
    }
    let unusable = |error: image_index::IndexError| {
        Failure::new(Kind::Work, "invalid-parts", "Platforms do not fit together", "no index can be made of the images")
            .hint("Two entries of `platforms` gave the same platform; name each once.")
            .caused_by(error)
    };
    let index = image_index::assemble(&descriptors, &annotations(job, AnnotationTarget::Index)).map_err(unusable)?;
    let Index { media_type, body, .. } = index;
    Manifest::new(media_type, body.into()).ok_or_else(|| unusable(image_index::IndexError::Empty))
}

fn annotations(job: &Job<'_>, wanted: AnnotationTarget) -> Vec<(String, String)> {
    let all = job.plan.settings.annotations.iter().filter(|(target, ..)| *target == wanted);
    all.map(|(_, key, value)| (key.clone(), value.clone())).collect()
}
