//! Purpose: what was decided, with a reason for every tag and every manifest.

use std::collections::{BTreeMap, HashMap};
use std::fmt;

use serde::Serialize;

use super::Seconds;
use super::age::Age;
use super::class::Class;
use super::graph::{Edge, NodeId, Registry};
use super::manifest::Key;

/// What becomes of a tag, and why.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum TagFate {
    /// A `protect` pattern matches it.
    Protected(String),
    /// Something uses it.
    InUse(String),
    /// No rule matches it.
    NoRule,
    /// It is younger than its rule, or the floor, lets it become.
    Young {
        /// The rule.
        rule: String,
        /// How old it is.
        age: Age,
        /// How old it may become.
        limit: Age,
    },
    /// Nobody knows how old it is.
    AgeUnknown(String),
    /// It is among the newest of its rule.
    Newest(String),
    /// It belongs to another manifest by its name and follows that.
    Follows,
    /// Its time is over.
    Expired {
        /// The rule.
        rule: String,
        /// How old it is.
        age: Age,
        /// How old it was allowed to become.
        limit: Age,
        /// Whether the floor, not the rule, set the limit.
        by_floor: bool,
    },
}

impl TagFate {
    /// Whether its time is over.
    #[must_use]
    pub fn is_expired(&self) -> bool {
        matches!(self, Self::Expired { .. })
    }

    /// Whether it keeps its manifest.
    #[must_use]
    pub fn keeps(&self) -> bool {
        !matches!(self, Self::Expired { .. } | Self::Follows)
    }
}

impl fmt::Display for TagFate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Protected(pattern) => write!(f, "protected by '{pattern}'"),
            Self::InUse(by) => write!(f, "in use by {by}"),
            Self::NoRule => f.write_str("no rule matches it"),
            Self::Young { rule, age, limit } => write!(f, "{age} old, kept for {limit} ({rule})"),
            Self::AgeUnknown(rule) => write!(f, "of unknown age ({rule})"),
            Self::Newest(rule) => write!(f, "among the newest of {rule}"),
            Self::Follows => f.write_str("follows the image that it names"),
            Self::Expired { rule, age, limit, by_floor } => {
                let floor = if *by_floor { ", by min_age" } else { "" };
                write!(f, "{age} old, kept for {limit}{floor} ({rule})")
            }
        }
    }
}

/// Why a manifest stays or goes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Reason {
    /// A tag of it stays: the tag's place among its tags.
    Tag(usize),
    /// Something uses its digest.
    InUse(String),
    /// Younger than the floor.
    Young,
    /// It has no tag, nothing refers to it, and its time is not over.
    YoungOrphan,
    /// The newest tagged manifest of a repository stays.
    NewestTagged,
    /// It could not be read.
    Unreadable(String),
    /// An unreadable manifest might refer to it.
    MightBeReached(NodeId),
    /// Two listings did not agree on it, or nobody knows its age.
    Uncertain,
    /// Its repository's listing is incomplete, or is not pruned at all.
    RepositoryKept,
    /// Another manifest keeps it.
    Kept(NodeId, Edge),
    /// It is listed, but the registry does not have it.
    Ghost,
    /// It was only referred to.
    Unlisted,
    /// Its tags are over.
    Expired,
    /// It has no tag, and nothing that stays refers to it.
    Unreachable,
}

/// What becomes of a manifest.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fate {
    /// Why.
    pub reason: Reason,
    /// Its tags in order.
    pub tags: Vec<TagFate>,
}

impl Fate {
    /// Whether it goes.
    #[must_use]
    pub fn is_deleted(&self) -> bool {
        matches!(self.reason, Reason::Expired | Reason::Unreachable)
    }

    /// Whether a protected tag keeps it.
    #[must_use]
    pub fn is_protected(&self) -> bool {
        self.tags.iter().any(|tag| matches!(tag, TagFate::Protected(_)))
    }

    /// Whether something uses it.
    #[must_use]
    pub fn is_in_use(&self) -> bool {
        matches!(self.reason, Reason::InUse(_)) || self.tags.iter().any(|tag| matches!(tag, TagFate::InUse(_)))
    }
}

/// One manifest to delete.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Deletion {
    /// The manifest.
    pub node: NodeId,
    /// How many deletions have to be over before: manifests of a wave never depend on each other.
    pub wave: usize,
    /// Manifests that have to be gone first: when one stays after all, this one stays, too.
    pub after: Vec<NodeId>,
}

/// One tag to take off a manifest that stays.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Untag {
    /// The manifest.
    pub node: NodeId,
    /// The tag.
    pub tag: String,
}

/// Everything that was decided.
#[derive(Debug, Clone, PartialEq)]
pub struct Plan {
    /// For every manifest.
    pub fates: Vec<Fate>,
    /// In an order in which stopping anywhere harms nothing.
    pub deletions: Vec<Deletion>,
    /// Tags that go while their manifest stays.
    pub untags: Vec<Untag>,
    /// Tags that would go, but cannot without their manifest.
    pub stuck: Vec<Untag>,
    /// When it was made.
    pub now: Seconds,
    /// Kinds of evidence that could not be had, for which nothing is deleted.
    pub missing_evidence: Vec<String>,
}

/// How many of a class stay and go.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct Counts {
    /// All.
    pub total: u64,
    /// That go.
    pub deleted: u64,
    /// That stay.
    pub kept: u64,
    /// Of those that stay: with a protected tag.
    pub protected: u64,
    /// Of those that stay: in use.
    pub in_use: u64,
}

/// Bytes that a plan frees.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct Freed {
    /// Of blobs that nothing remaining refers to, each counted once, and of the manifests themselves.
    pub bytes: u64,
    /// What adding up the deleted images would claim.
    pub naive: u64,
    /// Whether every remaining manifest was read, so that no blob was taken for free that is not.
    pub is_exact: bool,
}

impl Plan {
    /// Manifests by class of their tags.
    #[must_use]
    pub fn by_class(&self, registry: &Registry) -> BTreeMap<Class, Counts> {
        let mut classes: BTreeMap<Class, Counts> = BTreeMap::new();
        for (node, fate) in registry.nodes().iter().zip(&self.fates).filter(|(node, _)| node.is_listed) {
            let class = Class::of_tags(node.tags.iter().map(|(tag, _)| tag.as_str()));
            count(classes.entry(class).or_default(), fate);
        }
        classes
    }

    /// All manifests of a repository.
    #[must_use]
    pub fn counts(&self, registry: &Registry, repository: usize) -> Counts {
        let mut counts = Counts::default();
        let nodes = registry.nodes().iter().zip(&self.fates);
        for (_, fate) in nodes.filter(|(node, _)| node.is_listed && node.repository == repository) {
            count(&mut counts, fate);
        }
        counts
    }

    /// The bytes that the deletions free, those in `done` only.
    #[must_use]
    pub fn freed(&self, registry: &Registry, done: impl Fn(NodeId) -> bool) -> Freed {
        let gone: Vec<bool> =
            self.fates.iter().enumerate().map(|(place, fate)| fate.is_deleted() && done(place)).collect();
        let mut remaining: HashMap<Key, ()> = HashMap::new();
        let mut is_exact = true;
        for (node, _) in registry.nodes().iter().zip(&gone).filter(|(_, gone)| !**gone) {
            match node.facts() {
                Some(facts) => remaining.extend(facts.blobs.iter().map(|blob| (blob.0, ()))),
                None => is_exact = false,
            }
        }
        let mut freed = Freed { is_exact, ..Freed::default() };
        let mut counted: HashMap<Key, ()> = HashMap::new();
        for (node, _) in registry.nodes().iter().zip(&gone).filter(|(_, gone)| **gone) {
            let Some(facts) = node.facts() else { continue };
            freed.bytes += facts.size;
            freed.naive += facts.size + facts.blobs.iter().map(|blob| blob.1).sum::<u64>();
            for blob in &facts.blobs {
                if !remaining.contains_key(&blob.0) && counted.insert(blob.0, ()).is_none() {
                    freed.bytes += blob.1;
                }
            }
        }
        freed
    }

    /// The largest part of a repository's manifests that would go, with the repository's place.
    #[must_use]
    pub fn largest_fraction(&self, registry: &Registry) -> Option<(usize, f64, Counts)> {
        let of = |repository| {
            let counts = self.counts(registry, repository);
            #[expect(clippy::cast_precision_loss, reason = "counts of manifests fit a double")]
            let fraction = if counts.total == 0 { 0.0 } else { counts.deleted as f64 / counts.total as f64 };
            (repository, fraction, counts)
        };
        let all = (0..registry.repositories.len()).map(of);
        all.max_by(|one, other| one.1.total_cmp(&other.1))
    }

    /// Why a manifest stays or goes, with the chain that leads to it.
    #[must_use]
    pub fn explain(&self, registry: &Registry, place: NodeId) -> String {
        let Some((fate, node)) = self.fates.get(place).zip(registry.nodes().get(place)) else {
            return String::new();
        };
        let name = |place: NodeId| {
            registry.nodes().get(place).map_or_else(String::new, |node| shown(&node.digest, &node.tags))
        };
        match &fate.reason {
            Reason::Tag(tag) => match (node.tags.get(*tag), fate.tags.get(*tag)) {
                (Some((name, _)), Some(why)) => format!("tag {name}: {why}"),
                _ => String::new(),
            },
            Reason::InUse(by) => format!("in use by {by}"),
            Reason::Young => "younger than min_age".to_owned(),
            Reason::YoungOrphan => "without tags, and not old enough".to_owned(),
            Reason::NewestTagged => "the newest tagged image always stays".to_owned(),
            Reason::Unreadable(why) => format!("could not be read: {why}"),
            Reason::MightBeReached(by) => format!("may belong to {}, which could not be read", name(*by)),
            Reason::Uncertain => "the listing changed while it was read, or does not tell its age".to_owned(),
            Reason::RepositoryKept => "nothing is deleted in this repository".to_owned(),
            Reason::Kept(by, edge) => format!("{} {}", edge_words(*edge), name(*by)),
            Reason::Ghost => "listed, but the registry does not have it".to_owned(),
            Reason::Unlisted => "only referred to".to_owned(),
            Reason::Expired if fate.tags.len() == 1 => fate.tags.first().map(ToString::to_string).unwrap_or_default(),
            Reason::Expired => {
                let over = node.tags.iter().zip(&fate.tags).filter(|(_, fate)| fate.is_expired());
                over.map(|((tag, _), fate)| format!("{tag}: {fate}")).collect::<Vec<_>>().join("; ")
            }
            Reason::Unreachable => "nothing that stays refers to it".to_owned(),
        }
    }

    /// Why a manifest goes; what goes because of another names that.
    #[must_use]
    pub fn explain_deletion(&self, registry: &Registry, deletion: &Deletion) -> String {
        let is_followed = self.fates.get(deletion.node).is_some_and(|fate| fate.reason == Reason::Unreachable);
        let holder = deletion.after.first().filter(|_| is_followed).and_then(|place| registry.nodes().get(*place));
        match holder {
            Some(holder) => format!("goes with {}", shown(&holder.digest, &holder.tags)),
            None => self.explain(registry, deletion.node),
        }
    }
}

fn count(counts: &mut Counts, fate: &Fate) {
    counts.total += 1;
    if fate.is_deleted() {
        counts.deleted += 1;
        return;
    }
    counts.kept += 1;
    counts.protected += u64::from(fate.is_protected());
    counts.in_use += u64::from(fate.is_in_use());
}

fn edge_words(edge: Edge) -> &'static str {
    match edge {
        Edge::Child => "part of",
        Edge::Subject => "subject of",
        Edge::Referrer => "refers to",
        Edge::Companion => "signature or attestation of",
        Edge::CompanionOf => "has a signature or attestation that stays:",
        Edge::Mention => "named by",
    }
}

/// A manifest in few words: a tag when it has one, else the beginning of its digest.
fn shown(digest: &crate::domain::names::Digest, tags: &[(String, Option<Seconds>)]) -> String {
    match tags.first() {
        Some((tag, _)) => tag.clone(),
        None => digest.as_str().get(..19).unwrap_or(digest.as_str()).to_owned(),
    }
}
