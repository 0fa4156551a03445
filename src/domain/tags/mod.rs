//! Purpose: which tags an image gets, from the rules and what is known of the run.

use std::fmt;

use super::event::{Event, EventKind, GitRef};
use super::names::{CommitSha, TagName};
use super::reference::{ImageName, ImageRef};
use super::slug::{EmptySlug, Keep, Slug};
use super::version::{Maturity, Version};

mod fill;
mod labels;
mod rule;
mod template;

pub use labels::{LabelSource, Labels};
pub use rule::{Rule, RuleError, When};
pub use template::{Part, Placeholder, Template, TemplateError};

/// Longest tag that registries accept (OCI distribution specification, "pulling manifests").
pub const LONGEST_TAG: usize = 128;

/// The rules that apply when none are given.
pub const DEFAULT_RULES: [&str; 6] = [
    "pull_request: pr-{number}-{sha7}",
    "schedule: nightly-{date}",
    "tag: v{version}, {major}.{minor}",
    "default_branch: latest, sha-{sha7}",
    "branch(dev|development): dev, sha-{sha7}",
    "branch: {branch}-{sha7}",
];

/// Reads rules, one per line.
///
/// # Errors
/// Every line that is not a rule, with what is wrong with it.
pub fn read_rules<'a>(lines: impl IntoIterator<Item = &'a str>) -> Result<Vec<Rule>, Vec<(String, RuleError)>> {
    let (mut rules, mut errors) = (Vec::new(), Vec::new());
    for line in lines {
        match line.parse() {
            Ok(rule) => rules.push(rule),
            Err(error) => errors.push((line.to_owned(), error)),
        }
    }
    if errors.is_empty() { Ok(rules) } else { Err(errors) }
}

/// Why the run takes place, as far as rules tell runs apart.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Occasion {
    /// A pull request: its number, and its head branch when known.
    PullRequest {
        /// Number of the pull request.
        number: u64,
        /// Head branch, which in a fork is not a branch of this repository.
        head: Option<String>,
    },
    /// A scheduled run on this branch.
    Schedule(Option<String>),
    /// A branch or tag.
    Ref(GitRef),
}

impl Occasion {
    /// What an event is about; `None` when it names neither branch, tag nor pull request.
    #[must_use]
    pub fn of(event: &Event) -> Option<Self> {
        match (&event.git_ref, event.pull_request) {
            (None, Some(number)) => Some(Self::PullRequest { number, head: event.head_ref.clone() }),
            (Some(GitRef::Branch(branch)), _) if event.kind == EventKind::Schedule => {
                Some(Self::Schedule(Some(branch.clone())))
            }
            (Some(git_ref), _) => Some(Self::Ref(git_ref.clone())),
            (None, None) => None,
        }
    }

    /// The branch behind `{branch}`.
    fn branch(&self) -> Option<&str> {
        match self {
            Self::PullRequest { head, .. } => head.as_deref(),
            Self::Schedule(branch) => branch.as_deref(),
            Self::Ref(GitRef::Branch(branch)) => Some(branch),
            Self::Ref(GitRef::Tag(_)) => None,
        }
    }

    fn tag(&self) -> Option<&str> {
        match self {
            Self::Ref(GitRef::Tag(tag)) => Some(tag),
            _ => None,
        }
    }
}

impl fmt::Display for Occasion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::PullRequest { number, .. } => write!(f, "pull request #{number}"),
            Self::Schedule(_) => f.write_str("a scheduled run"),
            Self::Ref(GitRef::Branch(branch)) => write!(f, "branch {branch}"),
            Self::Ref(GitRef::Tag(tag)) => write!(f, "tag {tag}"),
        }
    }
}

/// Everything that tags are made from.
#[derive(Debug, Clone)]
pub struct TagContext {
    /// Why the run takes place.
    pub occasion: Occasion,
    /// The repository's default branch, when known.
    pub default_branch: Option<String>,
    /// The commit that the image is made from.
    pub sha: CommitSha,
    /// The version: of a version tag, else of the project's version file.
    pub version: Option<Version>,
    /// The environment that the image is for.
    pub environment: Option<String>,
    /// Day of the run in UTC.
    pub date: jiff::civil::Date,
    /// Characters that slugs keep.
    pub keep: Keep,
}

/// Why no tags can be named.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum TagError {
    /// No rule speaks of this occasion.
    #[error("no rule applies to {0}")]
    NoRule(String),
    /// Rules apply, but all their tags were left out.
    #[error("no tag is left for {occasion}: {left_out}")]
    NothingLeft {
        /// What the run is about.
        occasion: String,
        /// What was left out and why.
        left_out: String,
    },
    /// A template asks for what this run does not have.
    #[error("the template '{template}' needs {what}, which {occasion} does not have")]
    Missing {
        /// The template as written.
        template: String,
        /// What is missing, as a noun phrase.
        what: &'static str,
        /// What the run is about.
        occasion: String,
    },
    /// A name of which no slug can be made.
    #[error("the template '{template}' cannot be filled in")]
    Slug {
        /// The template as written.
        template: String,
        /// What is wrong.
        #[source]
        source: EmptySlug,
    },
    /// Longer than a tag may be even with the shortest slug.
    #[error("the template '{template}' gives '{tag}', which is longer than {LONGEST_TAG} characters")]
    TooLong {
        /// The template as written.
        template: String,
        /// What it gives.
        tag: String,
    },
    /// Not the grammar of tags.
    #[error("the template '{template}' gives '{tag}', which is not an image tag")]
    Invalid {
        /// The template as written.
        template: String,
        /// What it gives.
        tag: String,
    },
}

/// A template that gives no tag in this run, on purpose.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct LeftOut {
    /// The template as written.
    pub template: String,
    /// Why, as a clause.
    pub reason: &'static str,
}

impl fmt::Display for LeftOut {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "'{}' is left out because {}", self.template, self.reason)
    }
}

/// The tags of a run.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct TagPlan {
    /// The class of rules that applied, as written in the rule; nothing when only `always` did.
    pub class: Option<String>,
    /// The most specific tag that will not move to another commit; the most specific one when all may move.
    pub tag: TagName,
    /// All tags, each once: those of the class, then those of `always`, in the order of the rules.
    pub tags: Vec<TagName>,
    /// Templates that gave no tag.
    pub left_out: Vec<LeftOut>,
}

impl TagPlan {
    /// Full references: every tag of every image, image by image.
    #[must_use]
    pub fn references(&self, images: &[ImageName]) -> Vec<ImageRef> {
        images.iter().flat_map(|image| self.tags.iter().map(|tag| image.with_tag(tag.clone()))).collect()
    }
}

impl TagContext {
    /// The slug of what the run is about: its branch, else its tag.
    #[must_use]
    pub fn slug(&self) -> Option<Slug> {
        let name = self.occasion.branch().or_else(|| self.occasion.tag())?;
        Slug::of(name, &self.keep).ok()
    }

    /// How specific a class is for this run, 1 being the most specific; nothing when it does not apply.
    fn rank(&self, when: &When) -> Option<u8> {
        let branch = match &self.occasion {
            // A head branch may be a fork's, which must not pass for a branch of this repository.
            Occasion::PullRequest { .. } => None,
            occasion => occasion.branch(),
        };
        match (when, &self.occasion, branch) {
            (When::PullRequest, Occasion::PullRequest { .. }, _) => Some(1),
            (When::Schedule, Occasion::Schedule(_), _) => Some(2),
            (When::Tag, Occasion::Ref(GitRef::Tag(_)), _) => Some(3),
            (When::DefaultBranch, _, Some(branch)) if Some(branch) == self.default_branch.as_deref() => Some(4),
            (When::BranchLike(globs), _, Some(branch)) if globs.matches(branch) => Some(5),
            (When::Branch, _, Some(_)) => Some(6),
            _ => None,
        }
    }
}

/// Names the tags of a run.
///
/// # Errors
/// [`TagError`] when no rule applies, or a rule that does cannot be filled in.
pub fn plan(rules: &[Rule], context: &TagContext) -> Result<TagPlan, TagError> {
    let best = rules.iter().filter_map(|rule| context.rank(&rule.when)).min();
    let chosen = rules.iter().filter(|rule| best.is_some() && context.rank(&rule.when) == best);
    let always = rules.iter().filter(|rule| matches!(rule.when, When::Always));
    let class = chosen.clone().next().map(|rule| rule.when.to_string());
    let (mut named, mut left_out) = (Vec::<Named>::new(), Vec::new());
    for (rule, own_class) in chosen.map(|rule| (rule, true)).chain(always.map(|rule| (rule, false))) {
        for template in &rule.templates {
            match left_out_because(template, context) {
                Some(reason) => left_out.push(LeftOut { template: template.as_str().to_owned(), reason }),
                None => named
                    .push(Named { tag: fill::fill(template, context)?, weight: weight(template, context, own_class) }),
            }
        }
    }
    let occasion = || context.occasion.to_string();
    // The last of equals would win with `max_by_key`; the first one written should.
    let best = named.iter().rev().max_by_key(|named| named.weight).map(|named| named.tag.clone());
    let Some(tag) = best else {
        let said: Vec<String> = left_out.iter().map(LeftOut::to_string).collect();
        return Err(match said.is_empty() {
            true => TagError::NoRule(occasion()),
            false => TagError::NothingLeft { occasion: occasion(), left_out: said.join("; ") },
        });
    };
    let mut tags: Vec<TagName> = Vec::new();
    for Named { tag, .. } in named {
        if !tags.contains(&tag) {
            tags.push(tag);
        }
    }
    Ok(TagPlan { class, tag, tags, left_out })
}

/// A tag and how well it serves as the one name of the image.
struct Named {
    tag: TagName,
    weight: Weight,
}

/// Compared field by field: permanence, then own class before `always`, then how much the template says.
type Weight = (u8, bool, usize, bool);

fn weight(template: &Template, context: &TagContext, own_class: bool) -> Weight {
    let version_tag = context.occasion.tag().is_some() && template.has(Placeholder::Version);
    let permanence = if template.has(Placeholder::Sha) || template.has(Placeholder::Sha7) || version_tag {
        2
    } else {
        // A date or a version from a file stays for a while; `latest` may move at any time.
        u8::from(template.has(Placeholder::Date) || template.has(Placeholder::Version))
    };
    (permanence, own_class, template.placeholders().count(), template.has(Placeholder::Sha))
}

/// Why a template gives no tag in this run, when it should not.
fn left_out_because(template: &Template, context: &TagContext) -> Option<&'static str> {
    let version = context.version.as_ref()?;
    let coarse = template.has(Placeholder::Major) || template.has(Placeholder::Minor);
    let prerelease_tag = context.occasion.tag().is_some() && version.maturity() == Maturity::Prerelease;
    if prerelease_tag && (coarse && !template.has(Placeholder::Version) || template.as_str() == "latest") {
        return Some("the tag is a prerelease");
    }
    (template.has(Placeholder::Minor) && version.minor().is_none()).then_some("the version has no second number")
}

#[cfg(test)]
mod tests;
