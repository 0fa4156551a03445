//! Purpose: what a build is going to do: commits resolved, labels complete, nothing written yet.

use std::fmt;

use serde::Serialize;

use super::options::{Context, SourceChoice};
use super::settings::{Delivery, Settings};
use crate::commands::run::Run;
use crate::commands::upstream::Clients;
use crate::domain::builder::{self, Abilities, Choice, Need, Wanted};
use crate::domain::go_module::ModulePath;
use crate::domain::names::{CommitSha, RepositoryName};
use crate::domain::reference::ImageRef;
use crate::domain::tags::{LabelSource, Labels};
use crate::domain::update::{Update, repository_of_module};
use crate::runner::{Failure, Kind};
use crate::services::buildkit::Builder;
use crate::services::engine::Engine;
use crate::services::registry::Existence;

/// What will be built, from what, and where it goes.
#[derive(Serialize)]
pub struct Plan {
    /// What is built.
    pub(super) origin: Origin,
    /// Changes before the build.
    pub(super) updates: Vec<ResolvedUpdate>,
    /// Labels of the image.
    pub(super) labels: Labels,
    /// Commit time that makes a rebuild reproducible, in seconds since 1970.
    pub(super) epoch: i64,
    /// Why nothing has to be done: every tag is in the registry already.
    pub(super) present: Option<Present>,
    #[serde(skip)]
    pub(super) settings: Settings,
    #[serde(skip)]
    pub(super) engine: Option<Engine>,
    /// Which builder does it.
    #[serde(skip)]
    pub(super) choice: Choice,
    #[serde(skip)]
    pub(super) existence: Existence,
}

/// Where the files come from.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(super) enum Origin {
    /// The workspace as it is.
    Workspace {
        /// The commit under test, when known.
        commit: Option<CommitSha>,
    },
    /// A commit of a repository on GitHub.
    Commit {
        /// Which repository.
        repository: RepositoryName,
        /// Which commit.
        commit: CommitSha,
    },
}

/// A change with its commit resolved.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(super) enum ResolvedUpdate {
    /// Require a Go module at a version.
    GoModule {
        /// Module path.
        module: ModulePath,
        /// The commit of the module's repository.
        commit: CommitSha,
        /// Time of that commit, which is part of its version.
        #[serde(skip)]
        committed_at: jiff::Timestamp,
    },
    /// Require a Go module at a commit, by the toolchain of an image, which brings go.sum up to date as well.
    GoTool {
        /// Module path.
        module: String,
        /// Branch, tag or commit.
        commit: String,
        /// The toolchain's image.
        image: String,
    },
    /// Put a commit of a submodule's repository in its place.
    Submodule {
        /// Path relative to the source's root.
        path: String,
        /// Branch, tag or commit.
        commit: String,
    },
    /// Run a command on the source in a tool container.
    Command {
        /// Its words.
        words: Vec<String>,
        /// The tool's image.
        image: String,
    },
    /// Replace text in a file.
    Replace {
        /// Path relative to the source's root.
        file: String,
        /// Regular expression.
        pattern: String,
        /// Replacement.
        text: String,
    },
}

/// The image that is in the registry already.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(super) struct Present {
    /// Its first tag.
    pub(super) image: ImageRef,
    /// The digest of that tag.
    pub(super) digest: crate::domain::names::Digest,
}

pub(super) async fn plan(settings: Settings, run: &Run) -> Result<Plan, Failure> {
    let event = run.event()?;
    let (origin, source_url, committed) = match &settings.source {
        SourceChoice::Workspace => {
            let repository = run.github.repository.as_deref();
            let commit = event.sha.clone();
            let committed = match event.committed_at {
                Some(time) => Some(time),
                None => time_of_commit(run, commit.as_ref()).await,
            };
            let url = repository.map(|name| format!("{}/{name}", run.github.server_url));
            (Origin::Workspace { commit }, url, committed)
        }
        SourceChoice::Repository { repository, reference } => {
            let github = Clients::new(run).github_with(settings.source_token.clone())?;
            let found = github.repository(repository).await?;
            let commit = github.commit(&found, reference).await?;
            let url = format!("{}/{repository}", run.github.server_url);
            (
                Origin::Commit { repository: repository.clone(), commit: commit.sha },
                Some(url),
                Some(commit.committed_at),
            )
        }
    };
    // Without a commit nothing can be reproduced, and the present is the truth.
    let created = committed.unwrap_or_else(|| run.clock.now());
    let labels = labels(&settings, &origin, source_url.as_deref(), created);
    let updates = resolve_updates(&settings, run).await?;
    let (engine, choice) = builder_for(&settings, run).await?;
    let hosts: Vec<&str> = settings.tags.iter().map(ImageRef::registry).collect();
    let existence = Clients::new(run).existence(engine.as_ref(), &hosts)?;
    let present = if settings.skip_if_exists { present(&settings.tags, &existence).await? } else { None };
    Ok(Plan { origin, updates, labels, epoch: created.as_second(), present, settings, engine, choice, existence })
}

/// Which builder does it; and the engine, without which only a builder that the user names can do anything.
async fn builder_for(settings: &Settings, run: &Run) -> Result<(Option<Engine>, Choice), Failure> {
    if let Wanted::At(address) = &settings.builder
        && !settings.wants_image_here()
    {
        return Ok((None, Choice::At(address.clone())));
    }
    let engine = Clients::new(run).engine().await?;
    let abilities = Builder::for_engine(&engine).abilities().await?;
    let choice = builder::choose(&settings.builder, abilities, &settings.needs());
    Ok((Some(engine), choice.map_err(|lacks| cannot(abilities, &lacks))?))
}

fn cannot(abilities: Abilities, lacks: &[Need]) -> Failure {
    Failure::new(
        Kind::Input,
        "builder-too-old",
        "Builder cannot do this",
        format!("{abilities} cannot {}", builder::phrase(lacks)),
    )
    .hint("Set `builder: auto`, which takes a builder in a container for this, or update Docker on this runner.")
}

/// What is known of the source, and what the user says, which wins.
fn labels(settings: &Settings, origin: &Origin, source: Option<&str>, created: jiff::Timestamp) -> Labels {
    let mut labels = Labels::of(&LabelSource {
        revision: origin.commit(),
        source,
        created: Some(created),
        ..LabelSource::default()
    });
    for (key, value) in &settings.labels {
        labels.set(key, value);
    }
    labels
}

/// The commit's time as GitHub knows it. A build must not fail for want of a label: without an answer there is none.
async fn time_of_commit(run: &Run, commit: Option<&CommitSha>) -> Option<jiff::Timestamp> {
    let repository: RepositoryName = run.github.repository.as_deref()?.parse().ok()?;
    let (github, commit) = (Clients::new(run).github().ok()?, commit?);
    let asked = async { github.commit(&github.repository(&repository).await?, commit.as_str()).await };
    match asked.await {
        Ok(found) => Some(found.committed_at),
        Err(error) => {
            let why = Failure::from(error).explained();
            run.log.warn("Commit time unknown", format!("the image is labelled with the present time: {why}"));
            None
        }
    }
}

async fn resolve_updates(settings: &Settings, run: &Run) -> Result<Vec<ResolvedUpdate>, Failure> {
    let mut resolved = Vec::new();
    for update in &settings.updates {
        resolved.push(match update {
            Update::Replace { file, pattern, text } => {
                ResolvedUpdate::Replace { file: file.clone(), pattern: pattern.clone(), text: text.clone() }
            }
            Update::Submodule { path, commit } => {
                ResolvedUpdate::Submodule { path: path.clone(), commit: commit.clone() }
            }
            Update::Command { words } => {
                let image = settings.tool_image.clone().unwrap_or_default();
                ResolvedUpdate::Command { words: words.clone(), image }
            }
            Update::GoModule { module, commit } if settings.tool_image.is_some() => {
                let image = settings.tool_image.clone().unwrap_or_default();
                ResolvedUpdate::GoTool { module: module.clone(), commit: commit.clone(), image }
            }
            Update::GoModule { module, commit } => {
                let repository = repository_on_this_server(module, run)?;
                let own = run.github.repository.as_deref() == Some(repository.as_str());
                let token = settings.source_token.clone().filter(|_| !own);
                let github = Clients::new(run).github_with(token)?;
                let found = github.commit(&github.repository(&repository).await?, commit).await?;
                let module = module.parse().map_err(wrong_module)?;
                ResolvedUpdate::GoModule { module, commit: found.sha, committed_at: found.committed_at }
            }
        });
    }
    Ok(resolved)
}

fn wrong_module(error: impl std::error::Error + Send + Sync + 'static) -> Failure {
    Failure::input("update_reference names a Go module that cannot be used", "Give the module's path as go.mod has it.")
        .caused_by(error)
}

/// A pseudo-version needs the commit's time, which only the module's own server knows.
fn repository_on_this_server(module: &str, run: &Run) -> Result<RepositoryName, Failure> {
    let server = run.github.server_url.trim_start_matches("https://").trim_start_matches("http://");
    let found = repository_of_module(module).filter(|(host, _)| *host == server);
    found.and_then(|(_, path)| path.parse().ok()).ok_or_else(|| {
        Failure::input(
            format!("update_reference names the Go module '{module}', which is not on {server}"),
            format!("Only modules whose path begins with {server}/owner/repo can be pointed at a commit."),
        )
    })
}

/// All tags, or nothing: one that is missing is reason enough to build.
async fn present(tags: &[ImageRef], existence: &Existence) -> Result<Option<Present>, Failure> {
    let mut first = None;
    for tag in tags {
        match Box::pin(existence.image_digest(tag)).await? {
            Some(digest) => {
                first = first.or(Some(Present { image: tag.clone(), digest }));
            }
            None => return Ok(None),
        }
    }
    Ok(first)
}

impl Plan {
    /// The engine, which must be there for what is asked of it.
    pub(super) fn engine(&self) -> Result<&Engine, Failure> {
        self.engine.as_ref().ok_or_else(|| {
            Failure::input(
                "the image is wanted in a Docker Engine, and there is none",
                "Leave out `load`, `smoke` and `max_size`.",
            )
        })
    }
}

impl Origin {
    /// The commit that is built, when known.
    pub(super) fn commit(&self) -> Option<&CommitSha> {
        match self {
            Self::Workspace { commit } => commit.as_ref(),
            Self::Commit { commit, .. } => Some(commit),
        }
    }
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Workspace { commit: Some(commit) } => write!(f, "the workspace at {}", commit.short()),
            Self::Workspace { commit: None } => f.write_str("the workspace"),
            Self::Commit { repository, commit } => write!(f, "{repository} at {}", commit.short()),
        }
    }
}

impl fmt::Display for ResolvedUpdate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::GoModule { module, commit, committed_at } => {
                write!(f, "require {module} {} in go.mod", module.pseudo_version(commit, *committed_at))
            }
            Self::GoTool { module, commit, image } => {
                write!(f, "require {module}@{commit} in go.mod and go.sum with {image}")
            }
            Self::Submodule { path, commit } => write!(f, "put {commit} in the place of the submodule {path}"),
            Self::Command { words, image } => write!(f, "run {} in {image}", words.join(" ")),
            Self::Replace { file, pattern, text } => write!(f, "replace /{pattern}/ in {file} by '{text}'"),
        }
    }
}

impl fmt::Display for Plan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(Present { image, digest }) = &self.present {
            return write!(f, "skip: {image} is in the registry already ({digest})");
        }
        let settings = &self.settings;
        match &settings.context {
            Context::Folder(_) => write!(f, "build {} with {}", self.origin, settings.shown_file())?,
            Context::Url(_) => write!(f, "build {}", settings.shown_file())?,
        }
        match &self.choice {
            Choice::Engine => {}
            Choice::Container(lacks) if lacks.is_empty() => write!(f, "\nin a builder container")?,
            Choice::Container(lacks) => {
                write!(f, "\nin a builder container, because the engine's builder cannot {}", builder::phrase(lacks))?;
            }
            Choice::At(address) => write!(f, "\nby the builder at {address}")?,
        }
        for update in &self.updates {
            write!(f, "\nfirst {update}")?;
        }
        if let Some(target) = &settings.target {
            write!(f, "\nstage {target}")?;
        }
        if !settings.platforms.is_empty() {
            write!(f, "\nfor {}", settings.platforms.join(", "))?;
        }
        for (key, value) in self.labels.iter() {
            write!(f, "\nlabel {key}={value}")?;
        }
        if let Some(command) = &settings.smoke {
            write!(f, "\nrun {command:?} in the image")?;
        }
        if let Some(limit) = settings.max_size {
            write!(f, "\nrefuse more than {limit} bytes")?;
        }
        settings.tags.iter().try_for_each(|tag| match settings.delivery {
            Delivery::Nothing => write!(f, "\nname {tag}"),
            Delivery::Tags => write!(f, "\npush {tag}"),
            Delivery::Digest => write!(f, "\npush to {} by digest", tag.name()),
        })
    }
}

/// The failure when a gate refuses the image; nothing was pushed.
pub(super) fn refused(reason: &'static str, title: &str, message: String) -> Failure {
    Failure::new(Kind::Gate, reason, title, message)
}
