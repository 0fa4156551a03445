//! Purpose: the builder of one build: found, or made in a container and removed again.
//!
//! A builder container lives until the end of the job, so that several builds of one job share it and its cache: the post
//! stage removes it, by the name in the runner's state, which is written before the container is made. Whoever is
//! cancelled, or runs where no post stage follows, removes it at once.

use std::path::{Path, PathBuf};

use super::emulators;
use super::options::Context;
use super::plan::Plan;
use super::settings::Settings;
use crate::commands::run::Run;
use crate::commands::upstream::Clients;
use crate::domain::builder::{self, Abilities, Choice};
use crate::domain::reference::ImageRef;
use crate::runner::{Failure, Kind};
use crate::services::buildkit::{BUILDER_IMAGE, Builder, BuilderContainer, Logins, SharedFolder};
use crate::services::engine::{Endpoint, Engine, Network};

/// Keys of the runner's state.
const STATE_NAME: &str = "builder";
const STATE_FOLDER: &str = "builder_folder";
const STATE_NAMES: &str = "names";
const STATE_IMAGES: &str = "images";

/// A builder that answers.
pub(super) struct Workshop {
    pub(super) builder: Builder,
    pub(super) abilities: Abilities,
    own: Option<Own>,
}

/// A builder container of ours.
struct Own {
    engine: Engine,
    container: BuilderContainer,
}

impl Workshop {
    pub(super) async fn open(plan: &Plan, run: &Run, logins: &Logins) -> Result<Self, Failure> {
        let (builder, own) = match &plan.choice {
            Choice::Engine => (Builder::for_engine(plan.engine()?), None),
            Choice::At(address) => match &plan.settings.builder_certs {
                Some(folder) => (Builder::with_tls(address, folder)?, None),
                None => (Builder::at(address)?, None),
            },
            Choice::Container(lacks) => {
                if !lacks.is_empty() {
                    let lacks = builder::phrase(lacks);
                    run.log.info(format!("A builder container does this build: the engine's builder cannot {lacks}"));
                }
                let engine = plan.engine()?.clone();
                let container = container(&plan.settings, run, &engine, logins).await?;
                let own = Own { engine, container };
                (own.begin(run).await?, Some(own))
            }
        };
        let ready = run.unless_cancelled(Box::pin(ready(&builder, plan, run))).await.and_then(|ready| ready);
        match ready {
            Ok(abilities) => Ok(Self { builder, abilities, own }),
            Err(failure) => {
                if let Some(own) = own {
                    own.end(run).await;
                }
                Err(failure)
            }
        }
    }

    /// Ends the builder, or leaves it to the post stage for the job's next build.
    pub(super) async fn close(self, run: &Run, result: &Result<(), Failure>) {
        let cancelled = matches!(result, Err(failure) if failure.kind == Kind::Cancelled);
        if let Some(own) = self.own.filter(|_| cancelled || !has_post_stage(run)) {
            own.end(run).await;
        }
    }
}

/// What is checked and done before a builder is asked to build.
async fn ready(builder: &Builder, plan: &Plan, run: &Run) -> Result<Abilities, Failure> {
    let abilities = builder.abilities().await?;
    let lacks = abilities.lacks(&plan.settings.needs());
    if !matches!(plan.choice, Choice::Engine) && !lacks.is_empty() {
        let message = format!("{abilities} cannot {}", builder::phrase(&lacks));
        return Err(Failure::new(Kind::Input, "builder-too-old", "Builder cannot do this", message)
            .hint("Update the builder, or leave `builder` and `builder_image` at their defaults."));
    }
    emulators::provide(builder, plan, run).await?;
    Ok(abilities)
}

impl Own {
    /// The container of an earlier build of this job, or a new one.
    async fn begin(&self, run: &Run) -> Result<Builder, Failure> {
        if let Some(builder) = self.container.running(&self.engine).await? {
            run.log.info(format!("Builder container {} goes on", self.container.name));
            return Ok(builder);
        }
        let group = run.log.group("Start a builder container");
        let folder = self.container.shared.as_ref().map(|shared| shared.here.display().to_string());
        let unmade = "the builder could not be removed later, and so is not made";
        note(run, STATE_NAME, &self.container.name, unmade)?;
        note(run, STATE_FOLDER, &folder.unwrap_or_default(), unmade)?;
        let began = tokio::time::Instant::now();
        let started = run.unless_cancelled(Box::pin(self.container.start(&self.engine))).await;
        let failure = match started {
            Ok(Ok(builder)) => {
                run.log.info(format!(
                    "{} of {} answers after {:.1} s",
                    self.container.name,
                    self.container.image,
                    began.elapsed().as_secs_f64()
                ));
                drop(group);
                return Ok(builder);
            }
            Ok(Err(error)) => error.into(),
            Err(cancelled) => cancelled,
        };
        drop(group);
        let _ = BuilderContainer::remove(&self.engine, &self.container.name, self.folder()).await;
        Err(failure)
    }

    fn folder(&self) -> Option<&Path> {
        self.container.shared.as_ref().map(|shared| shared.here.as_path())
    }

    async fn end(&self, run: &Run) {
        let removed = BuilderContainer::remove(&self.engine, &self.container.name, self.folder()).await;
        if let Err(error) = removed {
            run.log.warn("Builder left behind", format!("{} could not be removed: {error}", self.container.name));
        }
    }
}

/// Whether somebody removes the builder at the end of the job.
fn has_post_stage(run: &Run) -> bool {
    run.variable("GITHUB_STATE").is_some()
}

/// Notes names that the engine keeps for a push alone; none when they are gone again.
pub(super) fn note_names(run: &Run, tags: &[ImageRef]) -> Result<(), Failure> {
    let names: Vec<String> = tags.iter().map(ToString::to_string).collect();
    note(run, STATE_NAMES, &names.join("\n"), "names could not be removed later, and so are not given")
}

/// Notes images without a name that the engine keeps for a push alone; none when they are gone again.
pub(super) fn note_images(run: &Run, ids: &[&str]) -> Result<(), Failure> {
    note(run, STATE_IMAGES, &ids.join("\n"), "images could not be removed later, and so are not pushed")
}

fn note(run: &Run, key: &str, value: &str, what: &str) -> Result<(), Failure> {
    run.state.save(key, value).map_err(|error| {
        Failure::new(Kind::Work, "state-unwritable", "Runner's state unwritable", what).caused_by(error)
    })
}

/// Takes names and images that a push was interrupted with.
async fn take_back(run: &Run) -> Result<(), Failure> {
    let noted = |key: &str| -> Vec<&str> { run.state.get(key).unwrap_or_default().lines().collect() };
    let (names, images) = (noted(STATE_NAMES), noted(STATE_IMAGES));
    if names.is_empty() && images.is_empty() {
        return Ok(());
    }
    let engine = Clients::new(run).engine().await?;
    for name in names {
        engine.untag(name).await?;
    }
    for id in images {
        engine.remove_nameless(id).await?;
    }
    Ok(())
}

/// Removes what this step left: names and images of an interrupted push, and its builder.
pub(super) async fn clean_up(run: &Run) -> Result<(), Failure> {
    take_back(run).await?;
    let Some(name) = run.state.get(STATE_NAME).filter(|name| name.starts_with(PREFIX)) else {
        return Ok(());
    };
    let folder = run.state.get(STATE_FOLDER).filter(|folder| !folder.is_empty()).map(PathBuf::from);
    let engine = Clients::new(run).engine().await?;
    BuilderContainer::remove(&engine, name, folder.as_deref()).await?;
    run.log.info(format!("Builder container {name} is removed"));
    Ok(())
}

const PREFIX: &str = "landfall-builder-";

/// The container that fits this job's surroundings.
async fn container(
    settings: &Settings,
    run: &Run,
    engine: &Engine,
    logins: &Logins,
) -> Result<BuilderContainer, Failure> {
    let ourselves = engine.own_container().await?;
    let image = settings.builder_image.clone().unwrap_or_else(|| BUILDER_IMAGE.to_owned());
    let joined = ourselves
        .iter()
        .flat_map(|own| own.networks.keys())
        .find(|name| !["bridge", "host", "none"].contains(&name.as_str()));
    let network = match joined {
        // Services of the job are found by their names there.
        Some(name) => Network::Joined(vec![(name.clone(), Vec::new())]),
        None if speaks_to_loopback(settings, run) => Network::Host,
        None => Network::Default,
    };
    let insecure = run.registry.insecure_registries.iter().flat_map(|hosts| hosts.0.clone()).collect();
    let name = format!("{PREFIX}{}", job_key(run, &[&image, &format!("{network:?}"), &format!("{insecure:?}")]));
    let here = run.temporary_folder().join(&name);
    let on_host = match (&ourselves, engine.endpoint()) {
        (_, Endpoint::Tcp(_)) => None,
        (Some(own), _) => own.host_path(&here.to_string_lossy()),
        (None, _) => Some(here.display().to_string()).filter(|_| !Path::new("/.dockerenv").exists()),
    };
    let login = image.parse::<ImageRef>().ok();
    let login = login.and_then(|image| logins.for_host(image.registry()).cloned());
    let shared = on_host.map(|on_host| SharedFolder { here, on_host });
    Ok(BuilderContainer { name, image, login, network, insecure, shared })
}

/// The same for all builds of one job that can share a builder, and for nobody else on this engine.
fn job_key(run: &Run, parts: &[&str]) -> String {
    use sha2::{Digest as _, Sha256};
    let mut hash = Sha256::new();
    if has_post_stage(run) {
        for name in
            ["GITHUB_REPOSITORY", "GITHUB_RUN_ID", "GITHUB_RUN_ATTEMPT", "GITHUB_JOB", "RUNNER_NAME", "RUNNER_TEMP"]
        {
            hash.update(run.variable(name).unwrap_or_default());
            hash.update([0]);
        }
        hash.update(run.temporary_folder().as_os_str().as_encoded_bytes());
    } else {
        hash.update(run.random.token());
    }
    for part in parts {
        hash.update(part);
        hash.update([0]);
    }
    hash.finalize().iter().take(8).map(|byte| format!("{byte:02x}")).collect()
}

/// Whether something on the host's own loopback is meant, which a container has to itself.
fn speaks_to_loopback(settings: &Settings, run: &Run) -> bool {
    let caches =
        settings.cache_from.iter().chain(&settings.cache_to).flat_map(|entry| entry.attributes.values().cloned());
    let dockerfile = run.workspace().join(settings.folder()).join(&settings.file);
    let dockerfile = std::fs::read_to_string(dockerfile).unwrap_or_default();
    let says = |text: &str| ["localhost:", "127.0.0.1:", "[::1]:"].iter().any(|host| text.contains(host));
    settings.tags.iter().any(ImageRef::is_loopback)
        || caches.into_iter().any(|text| says(&text))
        || says(&dockerfile)
        || matches!(&settings.context, Context::Url(url) if says(url))
        || settings.contexts.values().any(|source| says(&format!("{source:?}")))
}
