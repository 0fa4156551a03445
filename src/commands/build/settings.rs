//! Purpose: what the inputs of `build` ask for, once they are valid.

use std::collections::BTreeMap;
use std::path::PathBuf;

use super::caches::{self, Direction};
use super::inputs::{Inputs, Network};
use super::options::{self, Context, Qemu, SourceChoice};
use super::ssh;
use crate::commands::run::Run;
use crate::contract::values::Flag;
use crate::domain::artifact::ArtifactName;
use crate::domain::builder::{Need, Wanted};
use crate::domain::cache_option::CacheEntry;
use crate::domain::reference::ImageRef;
use crate::domain::update::Update;
use crate::runner::{Failure, Problems};
use crate::services::buildkit::{
    AnnotationTarget, Attestation, BuildSecret, CacheUse, Pull, RunNetwork, Source, SshAgent,
};

/// What the inputs ask for, valid.
#[derive(Debug)]
pub(super) struct Settings {
    pub(super) source: SourceChoice,
    pub(super) context: Context,
    pub(super) file: PathBuf,
    pub(super) target: Option<String>,
    pub(super) platforms: Vec<String>,
    pub(super) tags: Vec<ImageRef>,
    pub(super) labels: Vec<(String, String)>,
    pub(super) annotations: Vec<(AnnotationTarget, String, String)>,
    pub(super) attestations: BTreeMap<Attestation, String>,
    pub(super) build_args: Vec<(String, String)>,
    pub(super) secrets: Vec<BuildSecret>,
    pub(super) ssh: Vec<SshAgent>,
    pub(super) contexts: BTreeMap<String, Source>,
    pub(super) cache_from: Vec<CacheEntry>,
    pub(super) cache_to: Vec<CacheEntry>,
    pub(super) delivery: Delivery,
    pub(super) load: bool,
    pub(super) cache: CacheUse,
    pub(super) pull: Pull,
    pub(super) network: RunNetwork,
    pub(super) add_hosts: Vec<(String, String)>,
    pub(super) shm_size: Option<u64>,
    pub(super) skip_if_exists: bool,
    pub(super) updates: Vec<Update>,
    pub(super) tool_image: Option<String>,
    pub(super) smoke: Option<Vec<String>>,
    pub(super) max_size: Option<u64>,
    pub(super) lint: bool,
    pub(super) builder: Wanted,
    pub(super) builder_certs: Option<PathBuf>,
    pub(super) builder_image: Option<String>,
    pub(super) qemu: Qemu,
    pub(super) attempts: usize,
    pub(super) artifact: Option<String>,
    pub(super) digest_artifact: Option<ArtifactName>,
    pub(super) source_token: Option<secrecy::SecretString>,
}

/// What leaves this machine.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Delivery {
    /// Nothing.
    Nothing,
    /// The image under its tags.
    Tags,
    /// The image by its digest alone.
    Digest,
}

/// Tries of pushes unless told otherwise.
const ATTEMPTS: usize = 5;

impl Settings {
    /// Checks everything and reports all that is wrong.
    pub(super) fn from_inputs(inputs: Inputs, run: &Run) -> Result<Self, Failure> {
        let mut problems = Problems::default();
        let on = |flag: Option<Flag>| flag.is_some_and(|flag| flag.0);
        let delivery = delivery(on(inputs.push), on(inputs.digest_only));
        let tags = options::tags(inputs.tags.as_ref(), delivery, &mut problems);
        check_tags(&tags, delivery, on(inputs.skip_if_exists), &mut problems);
        let settings = Self {
            source: options::source(inputs.source.as_deref(), &mut problems),
            context: options::context(inputs.context.as_deref(), &mut problems),
            file: options::inside("file", inputs.file.as_deref().unwrap_or("Dockerfile"), &mut problems),
            target: inputs.target,
            platforms: options::platforms(inputs.platforms.as_ref(), &mut problems),
            tags,
            labels: inputs.labels.unwrap_or_default().0,
            annotations: options::annotations(inputs.annotations, &mut problems),
            attestations: options::attestations(inputs.provenance.as_deref(), inputs.sbom.as_deref()),
            build_args: options::build_args(inputs.build_args.as_ref(), run, &mut problems),
            secrets: options::secrets(inputs.secrets, run, &mut problems),
            ssh: ssh::agents(inputs.ssh.as_ref(), run, &mut problems),
            contexts: options::contexts(inputs.build_contexts, run, &mut problems),
            cache_from: caches::caches(Direction::Import, inputs.cache_from.as_ref(), run, &mut problems),
            cache_to: caches::caches(Direction::Export, inputs.cache_to.as_ref(), run, &mut problems),
            delivery,
            load: inputs.load.map_or(delivery == Delivery::Nothing, |flag| flag.0),
            cache: cache_use(on(inputs.no_cache), inputs.no_cache_filters.unwrap_or_default().0),
            pull: if on(inputs.pull) { Pull::Always } else { Pull::IfMissing },
            network: inputs.network.map_or(RunNetwork::Sandbox, Network::of_run),
            add_hosts: options::add_hosts(inputs.add_hosts.as_ref(), &mut problems),
            shm_size: inputs.shm_size.map(|size| size.0),
            skip_if_exists: on(inputs.skip_if_exists),
            updates: options::updates(inputs.update_reference.as_ref(), &mut problems),
            tool_image: inputs.tool_image,
            smoke: inputs.smoke.as_deref().and_then(|command| options::words(command, &mut problems)),
            max_size: inputs.max_size.map(|size| size.0),
            lint: on(inputs.lint),
            builder: options::builder(inputs.builder.as_deref(), &mut problems),
            builder_certs: inputs.builder_certs.map(|folder| run.workspace().join(folder)),
            builder_image: inputs.builder_image,
            qemu: options::qemu(inputs.qemu.as_deref()),
            attempts: inputs.attempts.map_or(ATTEMPTS, |count| usize::try_from(count.0).unwrap_or(ATTEMPTS).max(1)),
            artifact: inputs.artifact,
            digest_artifact: inputs
                .digest_artifact
                .and_then(|name| problems.check("digest_artifact", name.parse::<ArtifactName>())),
            source_token: inputs.source_token.map(|token| token.0),
        };
        settings.check(&mut problems);
        problems.into_result()?;
        Ok(settings)
    }

    /// What contradicts itself.
    fn check(&self, problems: &mut Problems) {
        if matches!(self.context, Context::Url(_)) {
            if self.source != SourceChoice::Workspace {
                problems.add("source", "and a context that the builder fetches exclude each other; give one of them");
            }
            if !self.updates.is_empty() {
                problems.add(
                    "update_reference",
                    "changes files of the workspace or of `source`, but the context is fetched by the builder",
                );
            }
        }
        if self.tool_image.is_none() && self.updates.iter().any(|update| matches!(update, Update::Command { .. })) {
            problems.add(
                "tool_image",
                "is required with a command in update_reference: the image that the command runs in",
            );
        }
        if self.builder_certs.is_some()
            && !matches!(&self.builder, Wanted::At(address) if address.starts_with("tcp://"))
        {
            problems.add("builder_certs", "is for a builder at tcp://host:port");
        }
        if self.digest_artifact.is_some() && self.delivery == Delivery::Nothing {
            problems.add("digest_artifact", "needs push or digest_only: only what is pushed has a digest to hand over");
        }
        let indexed = self.annotations.iter().any(|(target, ..)| *target != AnnotationTarget::Manifest);
        if indexed && self.platforms.len() < 2 && self.attestations.is_empty() {
            problems.add("annotations", "has entries for the index, but one platform without attestations makes none");
        }
    }

    /// What the build cannot do without.
    pub(super) fn needs(&self) -> Vec<Need> {
        let asked = [
            (self.platforms.len() > 1, Need::Platforms),
            (!self.attestations.is_empty(), Need::Attestations),
            (!self.annotations.is_empty(), Need::Annotations),
            (self.delivery == Delivery::Digest, Need::DigestOnly),
            (self.lint, Need::Checks),
            (!self.contexts.is_empty(), Need::NamedContexts),
            (self.fetches_folder(), Need::GitFolder),
        ];
        let asked = asked.into_iter().filter(|(needed, _)| *needed).map(|(_, need)| need);
        let exports = self.cache_to.iter().map(|entry| Need::CacheTo(entry.kind()));
        let imports = self.cache_from.iter().map(|entry| Need::CacheFrom(entry.kind()));
        asked.chain(exports).chain(imports).collect()
    }

    /// Whether the context is a folder of a repository: `https://…/app.git#main:folder`.
    fn fetches_folder(&self) -> bool {
        matches!(&self.context, Context::Url(url) if url.split_once('#').is_some_and(|(_, rest)| rest.contains(':')))
    }

    /// Whether something has to be done with the image on this machine.
    pub(super) fn wants_image_here(&self) -> bool {
        self.load || self.smoke.is_some() || self.max_size.is_some() || self.artifact.is_some()
    }

    /// The context's folder within the source; the source's root when the builder fetches its context.
    pub(super) fn folder(&self) -> &std::path::Path {
        match &self.context {
            Context::Folder(folder) => folder,
            Context::Url(_) => std::path::Path::new("."),
        }
    }

    /// The Dockerfile as people know it: relative to the source.
    pub(super) fn shown_file(&self) -> String {
        match &self.context {
            Context::Folder(folder) => {
                let file = folder.join(&self.file);
                file.strip_prefix(".").unwrap_or(&file).display().to_string()
            }
            Context::Url(url) => format!("{} of {url}", self.file.display()),
        }
    }
}

fn delivery(push: bool, digest_only: bool) -> Delivery {
    match (push, digest_only) {
        (_, true) => Delivery::Digest,
        (true, false) => Delivery::Tags,
        (false, false) => Delivery::Nothing,
    }
}

fn check_tags(tags: &[ImageRef], delivery: Delivery, skip_if_exists: bool, problems: &mut Problems) {
    if delivery == Delivery::Tags && tags.is_empty() {
        problems.add("tags", "is required with push: name at least one full reference, such as ghcr.io/acme/app:v1");
    }
    if delivery == Delivery::Digest && tags.is_empty() {
        problems.add("tags", "is required with digest_only: name the repository, such as ghcr.io/acme/app");
    }
    if skip_if_exists && tags.is_empty() {
        problems.add("tags", "is required with skip_if_exists: without one nothing can be looked up");
    }
}

fn cache_use(none: bool, stages: Vec<String>) -> CacheUse {
    match (none, stages.is_empty()) {
        (true, _) => CacheUse::Nothing,
        (false, true) => CacheUse::All,
        (false, false) => CacheUse::NotForStages(stages),
    }
}
