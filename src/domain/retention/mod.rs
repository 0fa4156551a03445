//! Purpose: what of a registry may go: a graph of manifests, a policy, evidence of use, and a plan that harms nothing kept.
//!
//! The rules, in the order in which they decide:
//! 1. A tag is judged by itself: protected, in use, matched by the first rule that fits, else kept.
//! 2. A manifest is a root when a tag of it stays, when it is in use, young, unreadable or not certain.
//! 3. Whatever a root reaches stays: children of indexes at any depth, subjects, referrers, `sha256-…` tags, manifests
//!    that it names in another repository.
//! 4. The rest goes, parents before children, so that stopping anywhere leaves every remaining manifest whole.
//!
//! What cannot be known keeps: a manifest that nobody could read pins everything it might hold.

mod age;
mod class;
mod evidence;
mod graph;
mod ledger;
mod lifecycle;
mod lint;
mod manifest;
mod mark;
mod pattern;
mod plan;
mod policy;
mod snapshot;
#[cfg(test)]
mod tests;

pub use age::Age;
pub use class::Class;
pub use evidence::{Evidence, InUse};
pub use graph::{Content, Edge, Listing, Node, NodeId, Registry, Repository, Untagging};
pub use ledger::{Assignment, Ledger};
pub use lifecycle::{Lifecycle, lifecycle};
pub use lint::{Finding, lint};
pub use manifest::{Blob, Facts, Key, Unreadable};
pub use pattern::{Pattern, PatternError};
pub use plan::{Counts, Deletion, Fate, Freed, Plan, Reason, TagFate, Untag};
pub use policy::{OneOrMany, Policy, PolicyBlock, PolicyError, Rule, RuleBlock};
pub use snapshot::{Deleted, DeletionState, SCHEMA, Snapshot, SnapshotError, SnapshotRepository};

/// Seconds since 1970.
pub type Seconds = i64;

/// Decides for every tag and every manifest.
#[must_use]
pub fn plan(registry: &Registry, policy: &Policy, evidence: &Evidence, now: Seconds) -> Plan {
    mark::Marking::new(registry, policy, evidence, now).plan()
}
