//! Purpose: names for an image: tags from rules, full references, OCI labels.

use std::fmt;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::json;

use super::framework::{Command, Verdict};
use super::run::Run;
use super::triggering;
use crate::contract::values::{Count, Lines, List, Map};
use crate::domain::event::{Event, GitRef, RefChange};
use crate::domain::markdown::{Markdown, code, escaped};
use crate::domain::names::CommitSha;
use crate::domain::reference::ImageName;
use crate::domain::slug::{Keep, Slug};
use crate::domain::tags::{
    self, DEFAULT_RULES, LabelSource, Labels, Occasion, Rule, TagContext, TagError, TagPlan, read_rules,
};
use crate::domain::version::Version;
use crate::domain::version_file::{self, DEFAULT_FILES};
use crate::runner::{Failure, Kind, Problems};

/// `tags`.
pub struct NameImage;

/// Inputs of `tags`.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(default)]
pub struct Inputs {
    /// Repositories of the image, without tag: `ghcr.io/owner/name`. Default: none, then `tags` are bare tags.
    pub image: List,
    /// Rules, one `<when>: <template>[, <template>…]` per line. `<when>` is `pull_request`, `schedule`, `tag`,
    /// `default_branch`, `branch`, `branch(<glob>)` or `always`; placeholders are `{sha}`, `{sha7}`, `{branch}`, `{tag}`,
    /// `{number}`, `{version}`, `{major}`, `{minor}`, `{date}` and `{env}`. All `always` rules apply, and those of the
    /// most specific other class that has a rule. Default: `tags.rules` of the config, else `pr-{number}-{sha7}`,
    /// `nightly-{date}`, `v{version}, {major}.{minor}`, `latest, sha-{sha7}`, `dev, sha-{sha7}` and `{branch}-{sha7}`.
    pub rules: Option<Lines>,
    /// File that states the version, relative to the workspace. Default: `tags.version_file` of the config, else the
    /// first of package.json, Cargo.toml, pyproject.toml and VERSION that states one. A version tag goes before it.
    pub version_file: Option<String>,
    /// The full commit id. Default: the commit under test, which is a pull request's head, else `GITHUB_SHA`.
    pub sha: Option<String>,
    /// The branch or tag: `refs/heads/…`, `refs/tags/…` or the name of a branch. Default: the event's.
    #[serde(rename = "ref")]
    pub reference: Option<String>,
    /// Number of the pull request. Default: the event's.
    pub pull_request: Option<Count>,
    /// Further OCI labels, one `key=value` per line; they win over those that are found.
    pub labels: Map,
}

/// Outputs of `tags`.
#[derive(Debug, Default, Serialize, JsonSchema)]
pub struct Outputs {
    /// The most specific tag that will not move to another commit.
    pub tag: Option<String>,
    /// Full references, one per line; bare tags when there is no `image`.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub tags: Vec<String>,
    /// The first image with the tag of the output `tag`.
    pub image: Option<String>,
    /// The first image without tag.
    pub image_name: Option<String>,
    /// The same as the output `tag`.
    pub image_tag: Option<String>,
    /// The first seven digits of the commit id.
    pub short_sha: Option<String>,
    /// The commit id.
    pub sha: Option<String>,
    /// Slug of the branch, else of the git tag.
    pub slug: Option<String>,
    /// The version, when there is one.
    pub version: Option<String>,
    /// OCI labels, one `key=value` per line: revision, source, created, version, title, url, and your own.
    pub labels: Option<String>,
    /// All of this as one JSON object.
    pub json: Option<String>,
}

/// The names.
#[derive(Debug, Serialize)]
pub struct Plan {
    occasion: String,
    images: Vec<ImageName>,
    sha: CommitSha,
    slug: Option<Slug>,
    version: Option<Version>,
    #[serde(flatten)]
    tags: TagPlan,
    labels: Labels,
}

impl Plan {
    /// Full references, or bare tags when no image is named.
    fn names(&self) -> Vec<String> {
        if self.images.is_empty() {
            return self.tags.tags.iter().map(ToString::to_string).collect();
        }
        self.tags.references(&self.images).iter().map(ToString::to_string).collect()
    }
}

impl fmt::Display for Plan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let class = self.tags.class.as_deref().unwrap_or("always");
        write!(f, "{} at {}, by the rules for {class}", self.occasion, self.sha.short())?;
        self.names().iter().try_for_each(|name| write!(f, "\n  {name}"))?;
        self.tags.left_out.iter().try_for_each(|left_out| write!(f, "\n  {left_out}"))
    }
}

impl Command for NameImage {
    const NAME: &'static str = "tags";
    const TITLE: &'static str = "Name an image: tags, references and labels";
    const BRANDING: (&'static str, &'static str) = ("tag", "blue");

    type Inputs = Inputs;
    type Plan = Plan;
    type Outputs = Outputs;

    async fn plan(inputs: Inputs, run: &Run, _outputs: &mut Outputs) -> Result<Plan, Failure> {
        let event = run.event()?;
        // Whoever names commit and occasion does not take the triggering run's word for them.
        let is_named = inputs.sha.is_some() && (inputs.pull_request.is_some() || inputs.reference.is_some());
        let completed = if is_named { Ok(event.clone()) } else { triggering::completed(event.clone(), run).await };
        if event.change == RefChange::Deleted && inputs.sha.is_none() {
            return Err(deleted(&event));
        }
        let mut problems = Problems::default();
        let images = images(&inputs, &mut problems);
        let rules = rules(&inputs, run, &mut problems);
        let keep: Keep = keep(run, &mut problems);
        // A head that is not trusted is the whole answer, unless the inputs themselves are wrong: those are named all at once.
        let event = match completed {
            Err(failure) if problems.is_empty() => return Err(failure),
            completed => completed.unwrap_or(event),
        };
        let sha = sha(&inputs, &event, &mut problems);
        let occasion = occasion(&inputs, &event, &mut problems);
        let version = version(&inputs, run, occasion.as_ref(), &mut problems);
        problems.into_result()?;
        let (Some(rules), Some(sha), Some(occasion)) = (rules, sha, occasion) else {
            return Err(Failure::new(Kind::Work, "internal", "Internal error", "an input was lost"));
        };
        let context = TagContext {
            occasion,
            default_branch: event.default_branch.clone(),
            sha,
            version,
            environment: run.common.environment.clone(),
            date: run.clock.now().to_zoned(jiff::tz::TimeZone::UTC).date(),
            keep,
        };
        let tags = tags::plan(&rules, &context).map_err(no_tag)?;
        let labels = labels(&inputs, run, &event, &context, &tags);
        Ok(Plan {
            occasion: context.occasion.to_string(),
            images,
            slug: context.slug(),
            sha: context.sha,
            version: context.version,
            tags,
            labels,
        })
    }

    async fn apply(plan: Plan, run: &Run, outputs: &mut Outputs) -> Result<Verdict, Failure> {
        let group = run.log.group("Tags");
        run.log.info(plan.to_string());
        drop(group);
        run.summary.section(summary(&plan));
        *outputs = outputs_of(&plan);
        Ok(Verdict::Success("named"))
    }
}

fn images(inputs: &Inputs, problems: &mut Problems) -> Vec<ImageName> {
    let List(images) = &inputs.image;
    let parsed = images.iter().filter_map(|image| problems.check("image", image.parse::<ImageName>()));
    parsed.collect()
}

fn rules(inputs: &Inputs, run: &Run, problems: &mut Problems) -> Option<Vec<Rule>> {
    let (subject, lines) = match (&inputs.rules, &run.config.tags.rules) {
        (Some(Lines(lines)), _) => ("rules", lines.clone()),
        (None, Some(Lines(lines))) => ("tags.rules of the config", lines.clone()),
        (None, None) => ("rules", DEFAULT_RULES.map(str::to_owned).to_vec()),
    };
    match read_rules(lines.iter().map(String::as_str)) {
        Ok(rules) => Some(rules),
        Err(errors) => {
            for (line, error) in errors {
                problems.add(subject, format!("has the rule '{line}', which {error}"));
            }
            None
        }
    }
}

fn keep(run: &Run, problems: &mut Problems) -> Keep {
    let text = run.config.tags.keep.as_deref().unwrap_or_default();
    problems.check("tags.keep of the config", text.parse()).unwrap_or_default()
}

fn sha(inputs: &Inputs, event: &Event, problems: &mut Problems) -> Option<CommitSha> {
    match &inputs.sha {
        Some(text) => problems.check("sha", text.parse()),
        None => {
            if event.sha.is_none() {
                problems.add("sha", "is not set, and the event does not name the commit under test");
            }
            event.sha.clone()
        }
    }
}

fn occasion(inputs: &Inputs, event: &Event, problems: &mut Problems) -> Option<Occasion> {
    let given = inputs.reference.as_deref().map(git_ref);
    let of_event = Occasion::of(event);
    let found = match (inputs.pull_request, given) {
        (Some(Count(number)), given) => {
            let head = given.as_ref().and_then(GitRef::branch).or(event.head_ref.as_deref()).map(str::to_owned);
            Some(Occasion::PullRequest { number, head })
        }
        (None, Some(given)) => Some(Occasion::Ref(given)),
        (None, None) => of_event,
    };
    if found.is_none() {
        problems.add("ref", "is not set, and the event names no branch, tag or pull request");
    }
    found
}

/// A full ref, or the name of a branch.
fn git_ref(text: &str) -> GitRef {
    GitRef::of(text).unwrap_or_else(|| GitRef::Branch(text.to_owned()))
}

/// The version of a version tag; else of the file that is named; else, except for other tags, of the first usual file
/// that states one.
fn version(inputs: &Inputs, run: &Run, occasion: Option<&Occasion>, problems: &mut Problems) -> Option<Version> {
    let tag = match occasion {
        Some(Occasion::Ref(GitRef::Tag(tag))) => Some(tag),
        _ => None,
    };
    if let Some(version) = tag.and_then(|tag| Version::of_tag(tag).ok()) {
        return Some(version);
    }
    let subject = if inputs.version_file.is_some() { "version_file" } else { "tags.version_file of the config" };
    match inputs.version_file.as_ref().or(run.config.tags.version_file.as_ref()) {
        Some(named) => problems.check(subject, version_of(run, named).map_err(|said| format!("'{named}' {said}"))),
        None if tag.is_some() => None,
        None => DEFAULT_FILES.iter().find_map(|name| usual_version(run, name)),
    }
}

/// A usual file that states no version is passed over: many a package.json only holds tools.
fn usual_version(run: &Run, name: &str) -> Option<Version> {
    if !run.workspace().join(name).is_file() {
        return None;
    }
    let found = version_of(run, name);
    if let Err(said) = &found {
        run.log.debug(format!("{name} {said}"));
    }
    found.ok()
}

fn version_of(run: &Run, name: &str) -> Result<Version, String> {
    let text =
        std::fs::read_to_string(run.workspace().join(name)).map_err(|error| format!("cannot be read: {error}"))?;
    version_file::read(name, &text).map_err(|error| match std::error::Error::source(&error) {
        Some(cause) => format!("{error}: {cause}"),
        None => error.to_string(),
    })
}

fn labels(inputs: &Inputs, run: &Run, event: &Event, context: &TagContext, tags: &TagPlan) -> Labels {
    let repository = run.github.repository.as_deref();
    let source = repository.map(|repository| format!("{}/{repository}", run.github.server_url));
    // The event's time belongs to the event's commit only.
    let committed_at = event.committed_at.filter(|_| event.sha.as_ref() == Some(&context.sha));
    let version = context.version.as_ref().map_or(tags.tag.as_str(), Version::as_str);
    let mut labels = Labels::of(&LabelSource {
        revision: Some(&context.sha),
        source: source.as_deref(),
        created: Some(committed_at.unwrap_or_else(|| run.clock.now())),
        version: Some(version),
        title: repository.and_then(|repository| repository.rsplit('/').next()),
    });
    for (key, value) in &inputs.labels.0 {
        labels.set(key, value);
    }
    labels
}

fn deleted(event: &Event) -> Failure {
    let name = match &event.git_ref {
        Some(GitRef::Branch(name)) => format!("the branch {name}"),
        Some(GitRef::Tag(name)) => format!("the tag {name}"),
        None => "a ref".to_owned(),
    };
    let message = format!("this push deleted {name}, so that there is no commit to name an image after");
    Failure::new(Kind::Input, "ref-deleted", "Ref deleted", message)
        .hint("Run the job only `if: github.event.deleted != true`, or set `sha`.")
}

fn no_tag(error: TagError) -> Failure {
    let (reason, hint) = match &error {
        TagError::NoRule(_) => ("no-rule", "Add a rule for it, or an `always` rule."),
        TagError::NothingLeft { .. } => {
            ("no-tag-left", "Add a template that holds for prereleases, such as v{version}.")
        }
        TagError::Missing { .. } => {
            ("no-value", "Set the input that gives the value, or move the template to a rule of another class.")
        }
        TagError::Slug { .. } => ("empty-slug", "Use {sha7} or {number} instead, or rename the branch."),
        TagError::TooLong { .. } => ("tag-too-long", "Shorten the template; only slugs are cut."),
        TagError::Invalid { .. } => ("invalid-tag", "A tag begins with a letter, digit or underscore."),
    };
    let message = error.to_string();
    let failure = Failure::new(Kind::Input, reason, "No tag", message).hint(hint);
    match error {
        TagError::Slug { source, .. } => failure.caused_by(source),
        _ => failure,
    }
}

fn outputs_of(plan: &Plan) -> Outputs {
    let tag = plan.tags.tag.to_string();
    let first = plan.images.first();
    let image = first.map(|image| image.with_tag(plan.tags.tag.clone()).to_string());
    let json = json!({
        "tag": tag,
        "tags": plan.names(),
        "names": plan.tags.tags,
        "image": image,
        "class": plan.tags.class,
        "sha": plan.sha,
        "short_sha": plan.sha.short(),
        "slug": plan.slug,
        "version": plan.version,
        "labels": plan.labels,
    });
    Outputs {
        image_tag: Some(tag.clone()),
        tag: Some(tag),
        tags: plan.names(),
        image,
        image_name: first.map(ToString::to_string),
        short_sha: Some(plan.sha.short().to_owned()),
        sha: Some(plan.sha.to_string()),
        slug: plan.slug.as_ref().map(ToString::to_string),
        version: plan.version.as_ref().map(ToString::to_string),
        labels: Some(plan.labels.to_string()),
        json: Some(json.to_string()),
    }
}

fn summary(plan: &Plan) -> String {
    let about = format!("{} at {}", escaped(&plan.occasion), code(plan.sha.short()));
    let names = plan.names().into_iter().map(|name| vec![code(&name)]);
    let labels = plan.labels.iter().map(|(key, value)| vec![code(key), code(value)]);
    let mut section = Markdown::new().heading(3, "Image tags").raw(&about).table(&["Tag"], names);
    if !plan.tags.left_out.is_empty() {
        section = section.bullets(plan.tags.left_out.iter().map(|left_out| escaped(&left_out.to_string())));
    }
    section.details("Labels", &Markdown::new().table(&["Label", "Value"], labels)).into_string()
}
