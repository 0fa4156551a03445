//! Purpose: the artifact's side of `pull`: found, streamed into the engine, and given its name.

use tokio_stream::wrappers::ReceiverStream;

use super::plan::{ArtifactPlan, From, Plan};
use crate::commands::run::Run;
use crate::commands::upstream::Clients;
use crate::domain::names::{Digest, RepositoryName};
use crate::runner::{Failure, Kind};
use crate::services::artifacts::{ArtifactError, Checked, Sent, Stored, Unpack};
use crate::services::engine::{Engine, EngineError, Image, Loaded};

/// Pieces between download and engine; 64 KiB each.
const UNDER_WAY: usize = 8;

/// An image that the artifact gave.
pub(super) struct FromArtifact {
    pub(super) image: Image,
    /// How the engine knows it.
    pub(super) name: String,
    pub(super) digest: String,
}

/// Loads the artifact's image and calls it as the plan wants.
pub(super) async fn load(
    plan: &Plan,
    artifact: &ArtifactPlan,
    engine: &Engine,
    run: &Run,
) -> Result<FromArtifact, Failure> {
    let group = run.log.group(format!("Load the artifact '{}' of {}", artifact.name, artifact.from));
    let stored = find(artifact, run).await?;
    let content = stored.open().await?;
    let file = content.one_matching(&artifact.file)?;
    run.log.foreign(format!("{}, {} as stored", file.name, megabytes(content.size)));
    let (sender, receiver) = tokio::sync::mpsc::channel(UNDER_WAY);
    let sending = content.send(file, Unpack::Image, artifact.max_size, sender);
    let (sent, loaded) = tokio::join!(sending, engine.load(ReceiverStream::new(receiver)));
    let (sent, loaded) = both(sent, loaded)?;
    if sent.checked == Checked::NothingToCompare {
        run.log.warn("Digest not checked", format!("GitHub states no digest for the artifact '{}'", artifact.name));
    }
    run.log.info(format!("{} unpacked, artifact digest {}", megabytes(sent.bytes), sent.digest));
    let (image, name) = name(plan, artifact, engine, &loaded).await?;
    run.log.foreign(format!("loaded {name} {}", image.id));
    drop(group);
    Ok(FromArtifact { image, name, digest: sent.digest })
}

async fn find(artifact: &ArtifactPlan, run: &Run) -> Result<Stored, Failure> {
    let clients = Clients::new(run);
    match &artifact.from {
        From::ThisRun => match (clients.artifacts(), own_run(run)) {
            (Ok(artifacts), _) => Ok(artifacts.find(&artifact.name).await?),
            // Enterprise Server has no artifact service for us, but its API lists what is uploaded already.
            (Err(_), Some((repository, id))) => by_api(&repository, id, artifact, run).await,
            (Err(failure), None) => Err(failure),
        },
        From::Run { repository, run: id } => by_api(repository, *id, artifact, run).await,
    }
}

fn own_run(run: &Run) -> Option<(RepositoryName, u64)> {
    let repository = run.github.repository.as_deref()?.parse().ok()?;
    Some((repository, run.github.run_id.as_deref()?.parse().ok()?))
}

async fn by_api(repository: &RepositoryName, id: u64, artifact: &ArtifactPlan, run: &Run) -> Result<Stored, Failure> {
    let github = Clients::new(run).github()?;
    let found = Stored::of_run(&github, repository, id, &artifact.name, &run.secret_observer()).await;
    found.map_err(|error| {
        let failure = Failure::from(error);
        match failure.kind {
            Kind::Auth => failure.hint("Another run's artifact needs `permissions: actions: read`."),
            _ => failure,
        }
    })
}

/// When both sides failed, one of them failed first: the engine, when the sender says that nobody took its bytes.
fn both(sent: Result<Sent, ArtifactError>, loaded: Result<Loaded, EngineError>) -> Result<(Sent, Loaded), Failure> {
    match (sent, loaded) {
        (Ok(sent), Ok(loaded)) => Ok((sent, loaded)),
        (Err(ArtifactError::Unwanted { .. }) | Ok(_), Err(error)) => Err(error.into()),
        (Err(error), _) => Err(error.into()),
    }
}

/// Finds out which of the loaded images is meant, and gives it the names that are wanted.
async fn name(
    plan: &Plan,
    artifact: &ArtifactPlan,
    engine: &Engine,
    loaded: &Loaded,
) -> Result<(Image, String), Failure> {
    let wanted = plan.image.as_ref().map(ToString::to_string);
    let all: Vec<&String> = loaded.references.iter().chain(&loaded.ids).collect();
    let named = all.iter().find(|name| wanted.as_deref().is_some_and(|wanted| same(wanted, name)));
    let chosen = match (named, all.as_slice()) {
        (Some(named), _) => (*named).clone(),
        (None, []) => return Err(unclear(artifact, "holds no image")),
        (None, [only]) => (*only).clone(),
        (None, several) => {
            let ids = ids(engine, several).await?;
            if ids.len() > 1 {
                let list: Vec<&str> = several.iter().map(|name| name.as_str()).collect();
                return Err(unclear(artifact, &format!("holds {} images: {}", ids.len(), list.join(", "))));
            }
            several[0].clone()
        }
    };
    let found = engine.image(&chosen).await?;
    let image = found.ok_or_else(|| Failure::from(EngineError::NotFound { object: format!("image {chosen}") }))?;
    if let Some(platform) = plan.platform.as_deref().filter(|platform| !fits(platform, &image.platform)) {
        let said = format!("holds an image for {}, and {platform} is wanted", image.platform);
        return Err(unclear(artifact, &said));
    }
    let by_digest = plan.image.as_ref().is_some_and(|image| image.digest().is_some());
    let name = wanted.filter(|_| !by_digest).unwrap_or(chosen);
    if name.parse::<Digest>().is_err() {
        engine.tag(&image.id, &name).await?;
    }
    Ok((image, name))
}

async fn ids(engine: &Engine, names: &[&String]) -> Result<std::collections::BTreeSet<String>, Failure> {
    let mut ids = std::collections::BTreeSet::new();
    for name in names {
        ids.extend(engine.image(name).await?.map(|image| image.id));
    }
    Ok(ids)
}

/// The engine leaves `docker.io/` and `docker.io/library/` out of its names.
fn same(wanted: &str, loaded: &str) -> bool {
    let short = |name: &str| {
        let name = name.strip_prefix("docker.io/").unwrap_or(name);
        name.strip_prefix("library/").unwrap_or(name).to_owned()
    };
    short(wanted) == short(loaded)
}

/// `linux/arm64` is what an image for `linux/arm64/v8` is for.
fn fits(wanted: &str, found: &str) -> bool {
    found == wanted || found.starts_with(&format!("{wanted}/")) || wanted.starts_with(&format!("{found}/"))
}

fn unclear(artifact: &ArtifactPlan, what: &str) -> Failure {
    let message = format!("the artifact '{}' {what}", artifact.name);
    Failure::new(Kind::Work, "artifact-image", "Not the image that is wanted", message)
        .hint("Set `image` to the name that the image has in the artifact, or upload one image per artifact.")
}

fn megabytes(bytes: u64) -> String {
    format!("{}.{} MB", bytes / 1_000_000, bytes % 1_000_000 / 100_000)
}
