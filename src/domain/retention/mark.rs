//! Purpose: mark and sweep: roots, what they reach, and the rest in an order that can be stopped anywhere.

use std::collections::{HashMap, VecDeque};

use super::Seconds;
use super::age::Age;
use super::evidence::Evidence;
use super::graph::{Content, Edge, Listing, Node, NodeId, Registry, Untagging, companion_of};
use super::plan::{Deletion, Fate, Plan, Reason, TagFate, Untag};
use super::policy::{Policy, Rule};

/// How much later than its parts an index may claim to have been pushed, in seconds: clocks of registries differ.
const CLOCK_SLACK: Seconds = 3600;

/// A tag by its age, its manifest and its place there.
type TagPlace = (i64, NodeId, usize);

/// One decision under way.
pub(super) struct Marking<'a> {
    registry: &'a Registry,
    policy: &'a Policy,
    evidence: &'a Evidence,
    now: Seconds,
    edges: Vec<Vec<(NodeId, Edge)>>,
    fates: Vec<Vec<TagFate>>,
    marks: Vec<Option<Reason>>,
    /// Whether something is out of sight that could refer to anything: a part of a listing, a kind of evidence.
    is_blind: bool,
}

impl<'a> Marking<'a> {
    pub(super) fn new(registry: &'a Registry, policy: &'a Policy, evidence: &'a Evidence, now: Seconds) -> Self {
        let edges = registry.edges();
        let fates = tag_fates(registry, policy, evidence, now);
        let marks = vec![None; registry.nodes().len()];
        let is_blind = !evidence.missing.is_empty()
            || registry.repositories.iter().any(|repository| repository.listing != Listing::Complete);
        Self { registry, policy, evidence, now, edges, fates, marks, is_blind }
    }

    pub(super) fn plan(mut self) -> Plan {
        let mut queue = VecDeque::new();
        self.mark_roots(&mut queue);
        self.spread(&mut queue);
        // Reaching an unreadable manifest pins more, which may reach more.
        while self.pin_what_unreadable_ones_may_hold(&mut queue) {
            self.spread(&mut queue);
        }
        self.sweep()
    }

    fn mark_roots(&mut self, queue: &mut VecDeque<NodeId>) {
        let is_child = self.children();
        for (place, is_child) in is_child.into_iter().enumerate() {
            let reason = self.root_reason(place, is_child);
            self.mark(place, reason, queue);
        }
        for place in self.newest_tagged() {
            self.mark(place, Some(Reason::NewestTagged), queue);
        }
    }

    fn mark(&mut self, place: NodeId, reason: Option<Reason>, queue: &mut VecDeque<NodeId>) -> bool {
        if reason.is_none() || self.marks[place].is_some() {
            return false;
        }
        self.marks[place] = reason;
        queue.push_back(place);
        true
    }

    /// Why a manifest stays by itself.
    fn root_reason(&self, place: NodeId, is_child: bool) -> Option<Reason> {
        let node = &self.registry.nodes()[place];
        let repository = &self.registry.repositories[node.repository];
        let tags = &self.fates[place];
        if let Some(tag) = tags.iter().position(TagFate::keeps) {
            return Some(Reason::Tag(tag));
        }
        if let Some(by) = self.evidence.of_digest(&node.digest) {
            return Some(Reason::InUse(by.to_owned()));
        }
        if !node.is_listed {
            // Nothing that is not listed is deleted, so what it holds has to stay whole with it.
            return (node.content != Content::Absent).then_some(Reason::Unlisted);
        }
        if !repository.is_pruned || self.is_blind {
            return Some(Reason::RepositoryKept);
        }
        let Some(age) = node.created.map(|created| self.now - created).filter(|_| node.is_certain) else {
            return Some(Reason::Uncertain);
        };
        if age < self.policy.min_age.as_seconds() {
            return Some(Reason::Young);
        }
        if let Content::Unreadable(why) = &node.content {
            return Some(Reason::Unreadable(why.clone()));
        }
        let is_tagged = tags.iter().any(TagFate::is_expired);
        let orphan_limit = self.policy.untagged.max(self.policy.min_age).as_seconds();
        (!is_tagged && !is_child && age < orphan_limit).then_some(Reason::YoungOrphan)
    }

    /// Manifests that belong to another that is listed: they follow it, and have no time of their own.
    fn children(&self) -> Vec<bool> {
        let mut is_child = vec![false; self.edges.len()];
        for (from, edges) in self.edges.iter().enumerate() {
            let is_there = self.registry.nodes()[from].content != Content::Absent;
            for (to, edge) in edges.iter().filter(|_| is_there) {
                is_child[*to] |= edge.orders();
            }
        }
        is_child
    }

    /// The newest manifest with tags of each repository: GitHub never deletes the last, and people expect one.
    fn newest_tagged(&self) -> Vec<NodeId> {
        let mut newest: HashMap<usize, (Option<Seconds>, NodeId)> = HashMap::new();
        for (place, node) in self.registry.nodes().iter().enumerate() {
            let is_image = node.tags.iter().any(|(tag, _)| companion_of(tag).is_none());
            if is_image && node.is_listed && node.content != Content::Absent {
                let entry = newest.entry(node.repository).or_insert((node.created, place));
                if node.created > entry.0 {
                    *entry = (node.created, place);
                }
            }
        }
        newest.into_values().map(|(_, place)| place).collect()
    }

    fn spread(&mut self, queue: &mut VecDeque<NodeId>) {
        while let Some(from) = queue.pop_front() {
            for (to, edge) in self.edges[from].clone() {
                self.mark(to, Some(Reason::Kept(from, edge)), queue);
            }
        }
    }

    /// An unreadable manifest that stays may be an index over anything that was there before it, or the referrer of
    /// anything. So is one that a young listing names and the registry does not have yet.
    fn pin_what_unreadable_ones_may_hold(&mut self, queue: &mut VecDeque<NodeId>) -> bool {
        let nodes = self.registry.nodes();
        let is_opaque = |node: &Node| match &node.content {
            Content::Unreadable(_) => true,
            Content::Absent => {
                node.is_listed && node.created.is_none_or(|at| self.now - at < self.policy.min_age.as_seconds())
            }
            Content::Read(_) => false,
        };
        // The latest opaque manifest covers what earlier ones do; it may name something in another repository, too.
        let marked = nodes.iter().enumerate().filter(|(place, node)| self.marks[*place].is_some() && is_opaque(node));
        let until = |node: &Node| node.created.map_or(Seconds::MAX, |at| at.saturating_add(CLOCK_SLACK));
        let Some((until, by)) = marked.map(|(place, node)| (until(node), place)).max() else {
            return false;
        };
        let mut changed = false;
        for (place, node) in nodes.iter().enumerate() {
            if node.created.is_none_or(|at| at <= until) {
                changed |= self.mark(place, Some(Reason::MightBeReached(by)), queue);
            }
        }
        changed
    }

    fn sweep(self) -> Plan {
        let nodes = self.registry.nodes();
        let mut fates: Vec<Fate> = Vec::with_capacity(nodes.len());
        for ((node, mark), tags) in nodes.iter().zip(self.marks).zip(self.fates) {
            let reason = match mark {
                Some(reason) => reason,
                None if !node.is_listed => Reason::Unlisted,
                None if node.content == Content::Absent => Reason::Ghost,
                None if tags.iter().any(TagFate::is_expired) => Reason::Expired,
                None => Reason::Unreachable,
            };
            fates.push(Fate { reason, tags });
        }
        let deletions = ordered(&fates, &self.edges);
        let (untags, stuck) = untags(self.registry, &fates);
        let missing_evidence = self.evidence.missing.clone();
        Plan { fates, deletions, untags, stuck, now: self.now, missing_evidence }
    }
}

/// Tags that go from manifests that stay, and those that cannot. A manifest that stays for something other than a tag
/// keeps its last tag: nobody could find it without.
fn untags(registry: &Registry, fates: &[Fate]) -> (Vec<Untag>, Vec<Untag>) {
    let (mut untags, mut stuck) = (Vec::new(), Vec::new());
    for (place, (node, fate)) in registry.nodes().iter().zip(fates).enumerate() {
        let repository = &registry.repositories[node.repository];
        let may = node.is_certain && repository.is_pruned && repository.listing == Listing::Complete;
        let by_tag = matches!(fate.reason, Reason::Tag(_));
        if !may || !by_tag || !node.is_listed || node.content == Content::Absent {
            continue;
        }
        for ((tag, _), _) in node.tags.iter().zip(&fate.tags).filter(|(_, fate)| fate.is_expired()) {
            let untag = Untag { node: place, tag: tag.clone() };
            match repository.untagging {
                Untagging::Possible => untags.push(untag),
                Untagging::Impossible => stuck.push(untag),
            }
        }
    }
    (untags, stuck)
}

/// Deletions in waves: a manifest comes after everything that goes as well and holds it.
fn ordered(fates: &[Fate], edges: &[Vec<(NodeId, Edge)>]) -> Vec<Deletion> {
    let below = |from: NodeId| {
        let goes = edges[from].iter().filter(|(to, edge)| edge.orders() && fates[*to].is_deleted() && *to != from);
        let mut below: Vec<NodeId> = goes.map(|(to, _)| *to).collect();
        below.sort_unstable();
        below.dedup();
        below
    };
    let going: Vec<NodeId> = (0..fates.len()).filter(|place| fates[*place].is_deleted()).collect();
    let mut after: Vec<Vec<NodeId>> = vec![Vec::new(); fates.len()];
    for &from in &going {
        for to in below(from) {
            after[to].push(from);
        }
    }
    let mut missing: Vec<usize> = after.iter().map(Vec::len).collect();
    let mut wave: Vec<NodeId> = going.iter().copied().filter(|place| missing[*place] == 0).collect();
    let mut deletions: Vec<Deletion> = Vec::with_capacity(going.len());
    let mut wave_of = vec![usize::MAX; fates.len()];
    let is_no_child = |from: NodeId, to: NodeId| !edges[from].contains(&(to, Edge::Child));
    for number in 0.. {
        if wave.is_empty() {
            // Children cannot go in a circle; with subjects and names (`sha256-…` tags) it can close, and is broken there.
            let is_free =
                |to: NodeId| after[to].iter().all(|from| wave_of[*from] != usize::MAX || is_no_child(*from, to));
            wave.extend(going.iter().copied().find(|place| wave_of[*place] == usize::MAX && is_free(*place)));
        }
        if wave.is_empty() {
            break;
        }
        wave.iter().for_each(|place| wave_of[*place] = number);
        let mut next = Vec::new();
        for place in std::mem::take(&mut wave) {
            let before: Vec<NodeId> = std::mem::take(&mut after[place]);
            let before = before.into_iter().filter(|other| wave_of[*other] < number).collect();
            deletions.push(Deletion { node: place, wave: number, after: before });
            for to in below(place) {
                missing[to] = missing[to].saturating_sub(1);
                if missing[to] == 0 && wave_of[to] == usize::MAX {
                    next.push(to);
                }
            }
        }
        wave = next;
    }
    deletions
}

fn tag_fates(registry: &Registry, policy: &Policy, evidence: &Evidence, now: Seconds) -> Vec<Vec<TagFate>> {
    let mut fates: Vec<Vec<TagFate>> = Vec::with_capacity(registry.nodes().len());
    // By rule and repository: the tags of rules that keep the newest.
    let mut newest: HashMap<(usize, usize), Vec<TagPlace>> = HashMap::new();
    for (place, node) in registry.nodes().iter().enumerate() {
        let mut of_node = Vec::with_capacity(node.tags.len());
        for (number, (tag, since)) in node.tags.iter().enumerate() {
            let (fate, rule) = tag_fate(node, (tag, *since), policy, evidence, now);
            // What is listed and not there takes nobody's place.
            let counts = node.content != Content::Absent;
            if let Some(rule) = rule.filter(|rule| counts && policy.rules[*rule].keep_newest.is_some()) {
                let age = age_of(node, *since, now).unwrap_or(0);
                newest.entry((rule, node.repository)).or_default().push((age, place, number));
            }
            of_node.push(fate);
        }
        fates.push(of_node);
    }
    for ((rule, _), mut tags) in newest {
        let rule = &policy.rules[rule];
        let keep = usize::try_from(rule.keep_newest.unwrap_or(0)).unwrap_or(usize::MAX);
        tags.sort_unstable();
        for (_, place, number) in tags.into_iter().take(keep) {
            if fates[place][number].is_expired() {
                fates[place][number] = TagFate::Newest(rule.name());
            }
        }
    }
    fates
}

/// What becomes of one tag, and the rule that it follows.
fn tag_fate(
    node: &Node,
    (tag, since): (&str, Option<Seconds>),
    policy: &Policy,
    evidence: &Evidence,
    now: Seconds,
) -> (TagFate, Option<usize>) {
    if let Some(pattern) = policy.protect.iter().find(|pattern| pattern.matches(tag)) {
        return (TagFate::Protected(pattern.to_string()), None);
    }
    if let Some(by) = evidence.of_tag(node.repository, tag) {
        return (TagFate::InUse(by.to_owned()), None);
    }
    // What it belongs to may be gone: then its manifest is an orphan like any other.
    if companion_of(tag).is_some() {
        return (TagFate::Follows, None);
    }
    let Some((place, rule)) = policy.rules.iter().enumerate().find(|(_, rule)| rule.matches(tag)) else {
        return (TagFate::NoRule, None);
    };
    (fate_by_rule(node, since, rule, policy, now), Some(place))
}

fn fate_by_rule(node: &Node, since: Option<Seconds>, rule: &Rule, policy: &Policy, now: Seconds) -> TagFate {
    let name = rule.name();
    let Some(age) = age_of(node, since, now) else {
        return TagFate::AgeUnknown(name);
    };
    let wanted = rule.keep_for.unwrap_or(Age::seconds(0));
    let limit = wanted.max(policy.min_age);
    let shown = Age::seconds(age.max(0));
    if age < limit.as_seconds() {
        return TagFate::Young { rule: name, age: shown, limit };
    }
    TagFate::Expired { rule: name, age: shown, limit, by_floor: limit > wanted }
}

/// Since when the tag is there: the later of the push and what the ledger knows.
fn age_of(node: &Node, since: Option<Seconds>, now: Seconds) -> Option<i64> {
    let created = node.created?;
    Some(now - since.map_or(created, |since| since.max(created)))
}
