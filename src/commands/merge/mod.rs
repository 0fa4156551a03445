//! Purpose: one index from the digests that several jobs pushed, each on a native runner.

use std::fmt;
use std::time::Duration;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::commands::framework::{Command, Limit, Verdict};
use crate::commands::run::Run;
use crate::commands::shared::Group;
use crate::commands::upstream::Clients;
use crate::commands::verified;
use crate::contract::values::{Lines, List, Map};
use crate::domain::globs::Globs;
use crate::domain::image_index::{self, Index, IndexError};
use crate::domain::markdown::{Markdown, code};
use crate::domain::names::{Digest, TagName};
use crate::domain::reference::{ImageName, ImageRef};
use crate::runner::{Failure, Kind, Problems};
use crate::services::registry::{Existence, Manifest};

mod handed;

/// `merge`.
pub struct Merge;

/// Inputs of `merge`.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(default)]
pub struct Inputs {
    /// Repository of the parts and of the index: `ghcr.io/owner/name`. Default: that of the first tag.
    pub image: Option<String>,
    /// Tags of the index: full references, or bare tags of `image`.
    pub tags: Option<List>,
    /// Digests of the parts, one per line: `sha256:…` or `name@sha256:…`, such as the output `image_ref` of builds with
    /// `digest_only`.
    pub digests: Option<Lines>,
    /// Artifacts of this run that hold digests, as a glob on their names: those of builds with `digest_artifact`, or files
    /// with one digest a line, or empty files named after a digest.
    pub artifact: Option<String>,
    /// Annotations of the index, `key=value`.
    pub annotations: Option<Map>,
}

/// Outputs of `merge`.
#[derive(Debug, Default, Serialize, JsonSchema)]
pub struct Outputs {
    /// Digest of the index.
    pub digest: Option<String>,
    /// The first tag, as a full reference.
    pub image: Option<String>,
    /// The index by digest, `name@sha256:…`.
    pub image_ref: Option<String>,
    /// All tags, one per line.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub tags: Vec<String>,
    /// Platforms of the index, one per line.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub platforms: Vec<String>,
}

/// The index, and where it goes.
#[derive(Serialize)]
pub struct Plan {
    image: ImageName,
    tags: Vec<ImageRef>,
    parts: Vec<Digest>,
    platforms: Vec<String>,
    attestations: usize,
    digest: Digest,
    #[serde(skip)]
    manifest: Manifest,
    #[serde(skip)]
    existence: Existence,
}

impl fmt::Display for Plan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "index {} of {} for {}", self.digest, self.image, self.platforms.join(", "))?;
        self.parts.iter().try_for_each(|part| write!(f, "\nfrom {part}"))?;
        if self.attestations > 0 {
            write!(f, "\nwith {} attestations", self.attestations)?;
        }
        self.tags.iter().try_for_each(|tag| write!(f, "\npush {tag}"))
    }
}

impl Command for Merge {
    const NAME: &'static str = "merge";
    const TITLE: &'static str = "Merge images of several platforms into one index";
    const BRANDING: (&'static str, &'static str) = ("layers", "blue");
    const GROUPS: &'static [Group] = &[Group::Registry, Group::Engine, Group::Cloud];
    const LIMIT: Limit = Limit::Whole(Duration::from_secs(600));

    type Inputs = Inputs;
    type Plan = Plan;
    type Outputs = Outputs;

    async fn plan(inputs: Inputs, run: &Run, outputs: &mut Outputs) -> Result<Plan, Failure> {
        let mut wanted = Wanted::of(&inputs, &[])?;
        if let Some(glob) = artifact(&inputs)? {
            let handed = handed::lines(&glob, run).await?;
            wanted = Wanted::of(&inputs, &handed)?;
        }
        outputs.tags = wanted.tags.iter().map(ToString::to_string).collect();
        outputs.image = outputs.tags.first().cloned();
        let existence = Clients::new(run).existence(None, &[wanted.image.registry()])?;
        let mut descriptors = Vec::new();
        for digest in &wanted.parts {
            let part = wanted.image.with_digest(digest.clone());
            let found = Box::pin(existence.registry().descriptors(&part)).await?;
            descriptors.extend(found.ok_or_else(|| absent(&part))?);
        }
        let annotations = inputs.annotations.unwrap_or_default().0;
        let index = image_index::assemble(&descriptors, &annotations).map_err(no_index)?;
        let Index { media_type, body, platforms, attestations } = index;
        let manifest = Manifest::new(media_type, body.into()).ok_or_else(|| no_index(IndexError::Empty))?;
        outputs.platforms.clone_from(&platforms);
        let digest = manifest.digest.clone();
        Ok(Plan {
            image: wanted.image,
            tags: wanted.tags,
            parts: wanted.parts,
            platforms,
            attestations,
            digest,
            manifest,
            existence,
        })
    }

    async fn apply(plan: Plan, run: &Run, outputs: &mut Outputs) -> Result<Verdict, Failure> {
        let group = run.log.group("Push the index");
        // By its digest first: a tag never points to what is not there.
        let by_digest = plan.image.with_digest(plan.digest.clone());
        let places: Vec<ImageRef> = std::iter::once(&by_digest).chain(&plan.tags).cloned().collect();
        verified::put(run, &plan.existence, &plan.manifest, &places).await?;
        for place in &places {
            run.log.info(format!("{place} is {}", plan.digest));
        }
        drop(group);
        outputs.digest = Some(plan.digest.to_string());
        outputs.image_ref = Some(by_digest.to_string());
        run.summary.section(section(&plan));
        Ok(Verdict::Success("merged"))
    }
}

/// What the inputs ask for.
struct Wanted {
    image: ImageName,
    tags: Vec<ImageRef>,
    parts: Vec<Digest>,
}

impl Wanted {
    /// What the inputs ask for, with the digests that were `handed` over in artifacts.
    fn of(inputs: &Inputs, handed: &[String]) -> Result<Self, Failure> {
        let mut problems = Problems::default();
        let texts = inputs.tags.as_ref().map(|tags| tags.0.as_slice()).unwrap_or_default();
        let image = image(inputs.image.as_deref(), texts, &mut problems);
        let tags = image.as_ref().map(|image| tags(image, texts, &mut problems)).unwrap_or_default();
        let lines = inputs.digests.as_ref().map(|lines| lines.0.clone()).unwrap_or_default();
        let mut all = Vec::new();
        if let Some(image) = &image {
            parts(image, "digests", &lines, &mut all, &mut problems);
            parts(image, "artifact", handed, &mut all, &mut problems);
        }
        if lines.is_empty() && inputs.artifact.is_none() {
            problems.missing("digests");
        }
        problems.into_result()?;
        let image =
            image.ok_or_else(|| Failure::input("image is required", "Set `image`, or full references as `tags`."))?;
        Ok(Self { image, tags, parts: all })
    }
}

fn image(given: Option<&str>, tags: &[String], problems: &mut Problems) -> Option<ImageName> {
    if let Some(text) = given {
        return problems.check("image", text.parse::<ImageName>());
    }
    let first = tags.iter().find_map(|text| text.parse::<ImageRef>().ok());
    if first.is_none() {
        problems.missing("image");
    }
    first.map(|tag| tag.name().clone())
}

fn tags(image: &ImageName, texts: &[String], problems: &mut Problems) -> Vec<ImageRef> {
    let mut tags: Vec<ImageRef> = Vec::new();
    for text in texts {
        let full = text.parse::<ImageRef>().ok();
        let bare = || text.parse::<TagName>().ok().map(|tag| image.with_tag(tag));
        match full.filter(|_| text.contains([':', '/'])).or_else(bare) {
            Some(tag) if tag.digest().is_some() => {
                problems.add("tags", format!("has '{text}': a digest cannot be given, only found"));
            }
            Some(tag) if tag.name() != image => {
                problems
                    .add("tags", format!("has '{text}', which is not in {image}: an index must lie beside its parts"));
            }
            Some(tag) if tags.contains(&tag) => {}
            Some(tag) => tags.push(tag),
            None => problems.add("tags", format!("has '{text}', which is neither a tag nor a reference")),
        }
    }
    tags
}

/// The glob on artifacts, when one is given.
fn artifact(inputs: &Inputs) -> Result<Option<Globs>, Failure> {
    let mut problems = Problems::default();
    let glob = inputs.artifact.as_deref().and_then(|text| problems.check("artifact", text.parse::<Globs>()));
    problems.into_result()?;
    Ok(glob)
}

/// Adds the digests of an input, each once.
fn parts(image: &ImageName, input: &str, lines: &[String], parts: &mut Vec<Digest>, problems: &mut Problems) {
    for line in lines {
        let (name, digest) = line.rsplit_once('@').map_or((None, line.as_str()), |(name, digest)| (Some(name), digest));
        if let Some(name) = name
            && name.parse::<ImageName>().ok().as_ref() != Some(image)
            && name.parse::<ImageRef>().ok().is_none_or(|reference| reference.name() != image)
        {
            problems.add(input, format!("has '{line}', which is not in {image}: an index must lie beside its parts"));
            continue;
        }
        let text = if digest.contains(':') { digest.to_owned() } else { format!("sha256:{digest}") };
        match text.parse::<Digest>() {
            Ok(digest) if parts.contains(&digest) => {}
            Ok(digest) => parts.push(digest),
            Err(_) => problems.add(input, format!("has '{line}', which is not a digest (sha256:…)")),
        }
    }
}

fn absent(part: &ImageRef) -> Failure {
    Failure::new(Kind::Work, "part-missing", "Part missing", format!("the registry has no {part}"))
        .hint("Push it first, for example with `build` and `digest_only: true`, and pass on its output `image_ref`.")
        .hint("Untagged images may be removed by a retention policy; keep them for longer than the workflow runs.")
}

fn no_index(error: IndexError) -> Failure {
    let failure = Failure::new(
        Kind::Input,
        "invalid-parts",
        "Parts do not fit together",
        "no index can be made of these digests",
    );
    let failure = match &error {
        IndexError::SamePlatform { .. } => {
            failure.hint("Give one digest for each platform; a job of the matrix built for the wrong one.")
        }
        IndexError::Empty => failure.hint("Give digests of images."),
    };
    failure.caused_by(error)
}

fn section(plan: &Plan) -> String {
    let rows = [
        vec!["Digest".to_owned(), code(plan.digest.as_str())],
        vec![
            "Platforms".to_owned(),
            plan.platforms.iter().map(|platform| code(platform)).collect::<Vec<_>>().join(", "),
        ],
        vec!["Parts".to_owned(), plan.parts.iter().map(|part| code(part.as_str())).collect::<Vec<_>>().join("\n")],
        vec!["Attestations".to_owned(), plan.attestations.to_string()],
        vec!["Pushed".to_owned(), plan.tags.iter().map(|tag| code(&tag.to_string())).collect::<Vec<_>>().join("\n")],
    ];
    Markdown::new().heading(3, &format!("Index of {}", plan.image)).facts(rows).into_string()
}
