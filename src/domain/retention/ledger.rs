//! Purpose: since when a tag is where it is, known from earlier snapshots: no registry's timestamps move with a tag.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::Seconds;
use super::graph::Registry;
use crate::domain::names::Digest;

/// Where a tag was seen.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Assignment {
    /// The manifest.
    pub digest: Digest,
    /// The first snapshot that saw it there; `None` when the very first did, which cannot know.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub since: Option<Seconds>,
}

/// The tags of one repository as the last snapshot saw them, and manifests with the moment when they were first seen.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Ledger {
    /// Whether there was a snapshot at all.
    pub is_known: bool,
    /// By tag.
    pub tags: BTreeMap<String, Assignment>,
    /// By manifest, where the registry tells no time of its own.
    pub seen: BTreeMap<String, Seconds>,
}

impl Ledger {
    /// Takes the listing of a repository in, and gives back what changed, in words.
    pub fn update(&mut self, registry: &Registry, repository: usize, now: Seconds) -> Vec<String> {
        let mut tags = BTreeMap::new();
        let mut seen = BTreeMap::new();
        let mut changes = Vec::new();
        for node in registry.nodes().iter().filter(|node| node.repository == repository && node.is_listed) {
            let first = self.seen.get(node.digest.as_str()).copied().unwrap_or(now);
            seen.insert(node.digest.to_string(), first);
            for (tag, _) in &node.tags {
                let before = self.tags.get(tag);
                let since = match before {
                    Some(known) if known.digest == node.digest => known.since,
                    Some(known) => {
                        changes.push(format!("{tag} moved from {} to {}", short(&known.digest), short(&node.digest)));
                        Some(now)
                    }
                    None if self.is_known => Some(now),
                    None => None,
                };
                tags.insert(tag.clone(), Assignment { digest: node.digest.clone(), since });
            }
        }
        *self = Self { is_known: true, tags, seen };
        changes
    }

    /// Tells the listing since when its tags are where they are.
    pub fn apply(&self, registry: &mut Registry, repository: usize) {
        for place in 0..registry.nodes().len() {
            let Some(node) = registry.node_mut(place).filter(|node| node.repository == repository) else { continue };
            for (tag, since) in &mut node.tags {
                let known = self.tags.get(tag).filter(|known| known.digest == node.digest);
                if let Some(at) = known.and_then(|known| known.since) {
                    *since = Some(since.map_or(at, |since| since.max(at)));
                }
            }
        }
    }
}

fn short(digest: &Digest) -> &str {
    digest.as_str().get(..19).unwrap_or(digest.as_str())
}
