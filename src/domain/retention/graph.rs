//! Purpose: the registry as a graph: manifests of one or several repositories and everything that ties them together.

use std::collections::HashMap;

use super::Seconds;
use super::manifest::{Facts, Unreadable};
use crate::domain::names::Digest;

/// Place of a manifest in [`Registry::nodes`].
pub type NodeId = usize;

/// Several repositories, read together so that references between them are seen.
#[derive(Debug, Clone, Default)]
pub struct Registry {
    /// The repositories.
    pub repositories: Vec<Repository>,
    nodes: Vec<Node>,
    places: HashMap<(usize, Digest), NodeId>,
}

/// One repository.
#[derive(Debug, Clone)]
pub struct Repository {
    /// Its name, registry included.
    pub name: String,
    /// Whether a tag can be taken off without its manifest.
    pub untagging: Untagging,
    /// Whether the listing had everything.
    pub listing: Listing,
    /// Whether anything may be deleted here; a repository that is only referred from is read and left alone.
    pub is_pruned: bool,
}

/// Whether a registry can take off a tag.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Untagging {
    /// Yes: ECR, and registries of the distribution specification that allow it.
    Possible,
    /// No, as on GitHub: a version goes with all of its tags.
    Impossible,
}

/// How far a listing is to be believed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Listing {
    /// Everything is there.
    Complete,
    /// Something is missing, and nobody knows what it refers to: nothing is deleted here. The reason.
    Incomplete(String),
}

/// One manifest.
#[derive(Debug, Clone)]
pub struct Node {
    /// Place of its repository.
    pub repository: usize,
    /// Its digest.
    pub digest: Digest,
    /// The registry's own number for it, on GitHub.
    pub version: Option<u64>,
    /// Its tags, each with the moment since when it is here; from the ledger, else from the push.
    pub tags: Vec<(String, Option<Seconds>)>,
    /// When it was pushed; `None` when nobody knows, and then it never counts as old.
    pub created: Option<Seconds>,
    /// What is known of its content.
    pub content: Content,
    /// Whether the listing has it; what was only found by a reference is never deleted.
    pub is_listed: bool,
    /// Whether two listings said the same of it.
    pub is_certain: bool,
    /// Size that the registry gives, in bytes.
    pub size: Option<u64>,
}

/// What is known of a manifest's content.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Content {
    /// It was read.
    Read(Box<Facts>),
    /// The registry says that it does not have it, although it is listed or referred to.
    Absent,
    /// It could not be read; why.
    Unreadable(String),
}

impl From<Result<Facts, Unreadable>> for Content {
    fn from(read: Result<Facts, Unreadable>) -> Self {
        match read {
            Ok(facts) => Self::Read(Box::new(facts)),
            Err(error) => Self::Unreadable(error.to_string()),
        }
    }
}

/// Why one manifest keeps another.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Edge {
    /// The other is a child of this index.
    Child,
    /// The other is this one's subject.
    Subject,
    /// The other has this one as its subject.
    Referrer,
    /// The other has a tag like `sha256-<this>`: the fallback of registries without referrers, and cosign's.
    Companion,
    /// This one has a tag like `sha256-<other>`.
    CompanionOf,
    /// This one names the other in an annotation.
    Mention,
}

impl Edge {
    /// Whether the other has to go after this one, when both go.
    pub(super) fn orders(self) -> bool {
        matches!(self, Self::Child | Self::Referrer | Self::Companion)
    }
}

impl Node {
    /// The facts, when it was read.
    #[must_use]
    pub fn facts(&self) -> Option<&Facts> {
        match &self.content {
            Content::Read(facts) => Some(facts),
            _ => None,
        }
    }
}

impl Registry {
    /// Adds a repository; gives its place.
    pub fn add_repository(&mut self, repository: Repository) -> usize {
        self.repositories.push(repository);
        self.repositories.len() - 1
    }

    /// Adds a manifest. A digest that is known already keeps its place and gets the union of tags.
    pub fn add(&mut self, node: Node) -> NodeId {
        let key = (node.repository, node.digest.clone());
        if let Some(&place) = self.places.get(&key) {
            let known = &mut self.nodes[place];
            for tag in node.tags {
                if !known.tags.iter().any(|(name, _)| *name == tag.0) {
                    known.tags.push(tag);
                }
            }
            known.is_listed |= node.is_listed;
            known.is_certain &= node.is_certain;
            return place;
        }
        self.nodes.push(node);
        self.places.insert(key, self.nodes.len() - 1);
        self.nodes.len() - 1
    }

    /// Every manifest.
    #[must_use]
    pub fn nodes(&self) -> &[Node] {
        &self.nodes
    }

    /// One manifest, to be changed.
    pub fn node_mut(&mut self, place: NodeId) -> Option<&mut Node> {
        self.nodes.get_mut(place)
    }

    /// The place of a manifest.
    #[must_use]
    pub fn find(&self, repository: usize, digest: &Digest) -> Option<NodeId> {
        self.places.get(&(repository, digest.clone())).copied()
    }

    /// A manifest of any repository but this one.
    fn find_elsewhere<'a>(&'a self, repository: usize, digest: &'a Digest) -> impl Iterator<Item = NodeId> + 'a {
        (0..self.repositories.len()).filter(move |other| *other != repository).filter_map(|r| self.find(r, digest))
    }

    /// Digests that known manifests refer to and that nobody looked at yet.
    #[must_use]
    pub fn unknown_references(&self) -> Vec<(usize, Digest)> {
        let mut unknown: Vec<(usize, Digest)> = Vec::new();
        let mut seen = std::collections::HashSet::new();
        for node in &self.nodes {
            let Some(facts) = node.facts() else { continue };
            for digest in facts.children.iter().chain(&facts.subject) {
                if self.find(node.repository, digest).is_none() && seen.insert((node.repository, digest)) {
                    unknown.push((node.repository, digest.clone()));
                }
            }
        }
        unknown
    }

    /// Everything that ties manifests together: for each the others that stay when it stays.
    #[must_use]
    pub fn edges(&self) -> Vec<Vec<(NodeId, Edge)>> {
        let mut edges: Vec<Vec<(NodeId, Edge)>> = vec![Vec::new(); self.nodes.len()];
        for (place, node) in self.nodes.iter().enumerate() {
            if let Some(facts) = node.facts() {
                for child in &facts.children {
                    edges[place].extend(self.of_digest(node.repository, child).map(|to| (to, Edge::Child)));
                }
                if let Some(subject) = &facts.subject {
                    for to in self.of_digest(node.repository, subject).collect::<Vec<_>>() {
                        edges[place].push((to, Edge::Subject));
                        edges[to].push((place, Edge::Referrer));
                    }
                }
                for mention in &facts.mentions {
                    let here = self.find(node.repository, mention);
                    let all = here.into_iter().chain(self.find_elsewhere(node.repository, mention));
                    edges[place].extend(all.filter(|to| *to != place).map(|to| (to, Edge::Mention)));
                }
            }
            for subject in node.tags.iter().filter_map(|(tag, _)| companion_of(tag)) {
                if let Some(to) = self.find(node.repository, &subject).filter(|to| *to != place) {
                    edges[to].push((place, Edge::Companion));
                    edges[place].push((to, Edge::CompanionOf));
                }
            }
        }
        edges
    }

    /// A digest here; what is not here may be meant in another repository.
    fn of_digest<'a>(&'a self, repository: usize, digest: &'a Digest) -> impl Iterator<Item = NodeId> + 'a {
        let here = self.find(repository, digest).filter(|place| self.nodes[*place].content != Content::Absent);
        let elsewhere = here.is_none().then(|| self.find_elsewhere(repository, digest));
        // A copy that is absent here may be listed all the same: it stays what the listing says.
        let absent = if here.is_none() { self.find(repository, digest) } else { None };
        here.into_iter().chain(absent).chain(elsewhere.into_iter().flatten())
    }
}

/// The digest that a tag stands beside: `sha256-<hex>`, with cosign's `.sig`, `.att`, `.sbom` or any other ending (OCI
/// distribution specification, "referrers tag schema"; cosign, "signature discovery").
pub(super) fn companion_of(tag: &str) -> Option<Digest> {
    let (algorithm, rest) = tag.split_once('-').filter(|(algorithm, _)| matches!(*algorithm, "sha256" | "sha512"))?;
    let hex = rest.split_once('.').map_or(rest, |(hex, _)| hex);
    // The schema cuts long digests to the tag's length; sha512 does not fit whole.
    format!("{algorithm}:{hex}").parse().ok()
}
