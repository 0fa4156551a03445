//! Purpose: the image as a workflow artifact, uploaded while the engine exports it; and its digest as one.

use async_compression::tokio::bufread::ZstdEncoder;
use futures_util::StreamExt as _;
use tokio_util::io::{ReaderStream, StreamReader};

use super::Outputs;
use super::job::Job;
use super::settings::Delivery;
use crate::commands::upstream::Clients;
use crate::domain::artifact::ArtifactName;
use crate::domain::builder::Home;
use crate::runner::Failure;
use crate::services::artifacts::{Existing, Upload};
use crate::services::engine::{Engine, Image};

/// Bytes of one piece on the way.
const PIECE: usize = 256 * 1024;

/// Uploads the image under the name that was asked for; an older artifact of this run gives way. Under its tags when the
/// engine keeps them, so that whoever loads it has them, too.
pub(super) async fn upload(
    job: &Job<'_>,
    engine: &Engine,
    image: &Image,
    outputs: &mut Outputs,
) -> Result<(), Failure> {
    let settings = &job.plan.settings;
    let Some(name) = &settings.artifact else {
        return Ok(());
    };
    let name: ArtifactName = name
        .parse()
        .map_err(|error| Failure::input("artifact cannot be used", "Choose another name.").caused_by(error))?;
    let artifacts = Clients::new(job.run).artifacts()?;
    let tags: Vec<String> = settings.tags.iter().map(ToString::to_string).collect();
    // What is put together is pushed without names in the engine.
    let by_engine = job.abilities.home != Home::Daemon && !job.abilities.assembles(&settings.needs());
    let pushed_from_here = by_engine && settings.delivery == Delivery::Tags;
    let is_named = !tags.is_empty() && (settings.load || pushed_from_here);
    let references: Vec<&str> = if is_named { tags.iter().map(String::as_str).collect() } else { vec![&image.id] };
    let group = job.run.log.group(format!("Artifact {name}"));
    let began = tokio::time::Instant::now();
    let tar = engine.save(&references).map(|piece| piece.map_err(std::io::Error::other));
    let packed = ZstdEncoder::new(StreamReader::new(Box::pin(tar)));
    let stream = ReaderStream::with_capacity(packed, PIECE);
    let how = Upload { mime: Some("application/zstd".to_owned()), existing: Existing::Replace, ..Upload::default() };
    let uploaded = artifacts.upload(&name, stream, &how).await?;
    job.run.log.info(format!(
        "{} has {}, {} in {:.1} s",
        uploaded.name,
        super::summary::human(uploaded.size),
        uploaded.digest,
        began.elapsed().as_secs_f64()
    ));
    drop(group);
    outputs.artifact = Some(uploaded.name);
    Ok(())
}

/// Uploads the digest of what was pushed, as one line that names the repository as well.
pub(super) async fn upload_digest(job: &Job<'_>, outputs: &Outputs) -> Result<(), Failure> {
    let (Some(name), Some(image)) = (&job.plan.settings.digest_artifact, &outputs.image_ref) else {
        return Ok(());
    };
    let artifacts = Clients::new(job.run).artifacts()?;
    let line = bytes::Bytes::from(format!("{image}\n"));
    let stream = futures_util::stream::iter([Ok::<_, std::io::Error>(line)]);
    let how = Upload { mime: Some("text/plain".to_owned()), existing: Existing::Replace, ..Upload::default() };
    let uploaded = artifacts.upload(name, stream, &how).await?;
    job.run.log.info(format!("{} holds {image}", uploaded.name));
    Ok(())
}
