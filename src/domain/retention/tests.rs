//! Purpose: the engine's promises over random registries, against an independent and naive judge of what must stay.

use std::collections::{BTreeMap, BTreeSet, HashSet};

use proptest::prelude::*;

use super::policy::{OneOrMany, RuleBlock};
use super::*;
use crate::domain::names::Digest;

const NOW: Seconds = 1_800_000_000;
const HOUR: Seconds = 3600;
const DAY: Seconds = 86_400;

/// A small generator of random numbers (splitmix64): a case is its seed and its size, so that proptest can shrink it.
struct Dice(u64);

impl Dice {
    fn roll(&mut self, sides: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        usize::try_from((z ^ (z >> 31)) % sides as u64).unwrap()
    }

    fn one_in(&mut self, sides: usize) -> bool {
        self.roll(sides) == 0
    }
}

/// What really is in the registry.
#[derive(Debug, Clone, Default, PartialEq)]
struct Truth(BTreeMap<(usize, Digest), Manifest>);

#[derive(Debug, Clone, Default, PartialEq)]
struct Manifest {
    children: Vec<Digest>,
    subject: Option<Digest>,
    mentions: Vec<Digest>,
    tags: BTreeSet<String>,
    created: Seconds,
}

fn digest(number: usize) -> Digest {
    format!("sha256:{number:064x}").parse().unwrap()
}

/// Up to `size` manifests in up to two repositories: nested indexes, shared children, referrers, signatures by tag,
/// references that dangle and that cross over. What refers is newer than what it refers to, as digests force it.
fn truth(dice: &mut Dice, size: usize) -> Truth {
    let mut truth = Truth::default();
    let mut at = NOW - 60 * DAY;
    let mut places: Vec<(usize, Digest)> = Vec::new();
    for number in 0..size {
        at += [0, 1, HOUR, 6 * HOUR, DAY, 3 * DAY, 9 * DAY][dice.roll(7)];
        let repository = usize::from(dice.one_in(5));
        let own = digest(number);
        let mut manifest = Manifest { created: at.min(NOW), ..Manifest::default() };
        let earlier: Vec<Digest> =
            places.iter().filter(|(place, _)| *place == repository).map(|(_, digest)| digest.clone()).collect();
        let pick = |dice: &mut Dice| match dice.one_in(12) || earlier.is_empty() {
            true => digest(1_000_000 + dice.roll(50)),
            false => earlier[dice.roll(earlier.len())].clone(),
        };
        if dice.one_in(2) {
            manifest.children = (0..dice.roll(4)).map(|_| pick(dice)).collect();
        }
        if dice.one_in(5) {
            manifest.subject = Some(pick(dice));
        }
        if dice.one_in(9) {
            manifest.mentions = vec![digest(dice.roll(number.max(1)))];
        }
        for _ in 0..[0, 0, 1, 1, 2][dice.roll(5)] {
            let tag = tag(dice, size);
            // A tag is at one manifest.
            for ((_, _), other) in truth.0.iter_mut().filter(|((place, _), _)| *place == repository) {
                other.tags.remove(&tag);
            }
            manifest.tags.insert(tag);
        }
        places.push((repository, own.clone()));
        truth.0.insert((repository, own), manifest);
    }
    truth
}

fn tag(dice: &mut Dice, size: usize) -> String {
    let ending = ["", ".sig", ".att", ".sbom"][dice.roll(4)];
    match dice.roll(10) {
        0 => "latest".into(),
        1 => ["v1.0.0", "1.2.3", "1.2", "v2"][dice.roll(4)].into(),
        2 | 3 => format!("pr-{}", dice.roll(6)),
        4 => format!("pr-{}-{:07x}", dice.roll(6), dice.roll(9)),
        5 => format!("feature-x-{:07x}", dice.roll(9)),
        6 => ["nightly", "nightly-2026-01-01", "other"][dice.roll(3)].into(),
        7 => format!("sha-{:07x}", dice.roll(9)),
        8 => format!("sha256-{:064x}{ending}", dice.roll(size.max(1))),
        _ => format!("keep-{}", dice.roll(4)),
    }
}

fn policy() -> Policy {
    let rule = |pattern: &str, keep_for, keep_newest| RuleBlock {
        matches: OneOrMany::One(pattern.into()),
        keep_for,
        keep_newest,
    };
    let block = PolicyBlock {
        rules: Some(vec![
            rule("pr-*", Some(Age::hours(24)), None),
            rule("feature-*", Some(Age::days(7)), None),
            rule("nightly*", Some(Age::days(7)), None),
            rule("keep-*", None, Some(2)),
            rule("sha-*", Some(Age::days(30)), None),
        ]),
        ..PolicyBlock::default()
    };
    block.policy().unwrap()
}

fn evidence() -> Evidence {
    let mut evidence = Evidence::default();
    evidence.add(InUse::PullRequest { number: 1, commits: vec![format!("{:07x}{:033x}", 7, 0)], slug: None });
    evidence.add(InUse::Run { name: "run 1".into(), commits: vec![format!("{:07x}{:033x}", 3, 0)] });
    evidence.add(InUse::Image { by: "web:1".into(), repository: 0, tag: None, digest: Some(digest(2)) });
    evidence
}

/// How the listing is distorted.
#[derive(Clone, Copy, PartialEq)]
enum Sight {
    /// The registry is seen as it is.
    Clear,
    /// Entries are missing, doubled, late, unreadable, uncertain.
    Blurred,
}

/// What a collector would make of the truth: everything that is missing and referred to is looked up; what nobody can
/// see makes the listing incomplete.
fn seen(truth: &Truth, dice: &mut Dice, sight: Sight, untagging: Untagging) -> Registry {
    let mut registry = Registry::default();
    let mut hidden: HashSet<(usize, Digest)> = HashSet::new();
    let blurred = sight == Sight::Blurred;
    for place in 0..2 {
        registry.add_repository(Repository {
            name: format!("r{place}"),
            untagging,
            listing: Listing::Complete,
            is_pruned: true,
        });
    }
    for ((place, digest), manifest) in &truth.0 {
        if blurred && dice.one_in(15) {
            hidden.insert((*place, digest.clone()));
            // A hidden tag is found in the registry's own list of tags; the rest only by counting.
            if manifest.tags.is_empty() {
                registry.repositories[*place].listing = Listing::Incomplete("fewer than counted".into());
                continue;
            }
        }
        let is_listed = !hidden.contains(&(*place, digest.clone()));
        registry.add(node(*place, digest, manifest, is_listed, blurred.then_some(dice)));
    }
    if blurred {
        for _ in 0..dice.roll(3) {
            // A ghost: deleted long ago, listed with its old tag.
            let ghost = Manifest { tags: [tag(dice, 9)].into(), created: NOW - 50 * DAY, ..Manifest::default() };
            let mut ghost = node(dice.roll(2), &digest(2_000_000 + dice.roll(9)), &ghost, true, None);
            ghost.content = Content::Absent;
            registry.add(ghost);
        }
    }
    while let Some((place, digest)) = registry
        .unknown_references()
        .into_iter()
        .find(|(place, digest)| truth.0.contains_key(&(*place, digest.clone())))
    {
        let manifest = &truth.0[&(place, digest.clone())];
        registry.add(node(place, &digest, manifest, false, None));
    }
    registry
}

fn node(place: usize, digest: &Digest, manifest: &Manifest, is_listed: bool, dice: Option<&mut Dice>) -> Node {
    let facts = Facts {
        children: manifest.children.clone(),
        subject: manifest.subject.clone(),
        mentions: manifest.mentions.clone(),
        size: 10,
        ..Facts::default()
    };
    let (mut content, mut is_certain) = (Content::Read(Box::new(facts)), true);
    if let Some(dice) = dice {
        if dice.one_in(25) {
            content = Content::Unreadable("500".into());
        }
        is_certain = !dice.one_in(25);
    }
    Node {
        repository: place,
        digest: digest.clone(),
        version: None,
        tags: manifest.tags.iter().map(|tag| (tag.clone(), None)).collect(),
        created: Some(manifest.created),
        content,
        is_listed,
        is_certain,
        size: None,
    }
}

/// The naive judge: says of each tag whether it may go, in the plainest words.
fn may_go(tag: &str, place: usize, manifest: &Manifest, truth: &Truth) -> bool {
    let age = NOW - manifest.created;
    let used = ["pr-1", "0000007", "0000003"].iter().any(|used| tag == *used || tag.contains(used));
    let protected = ["latest", "dev"].contains(&tag) || tag.starts_with('v') || tag.starts_with("1.2");
    if used || protected {
        return false;
    }
    if tag.starts_with("pr-") {
        return age >= 48 * HOUR;
    }
    if tag.starts_with("feature-") || tag.starts_with("nightly") {
        return age >= 7 * DAY;
    }
    if tag.starts_with("sha-") {
        return age >= 30 * DAY;
    }
    if tag.starts_with("keep-") {
        let all = truth.0.iter().filter(|((other, _), _)| *other == place);
        let others = all.flat_map(|(_, other)| other.tags.iter().map(move |other_tag| (other_tag, other.created)));
        let as_new = others.filter(|(t, at)| *t != tag && t.starts_with("keep-") && *at >= manifest.created).count();
        return age >= 48 * HOUR && as_new >= 2;
    }
    false
}

/// What must be there at the end: a closure in the plainest way.
fn must_stay(truth: &Truth) -> HashSet<(usize, Digest)> {
    let mut stay: HashSet<(usize, Digest)> = HashSet::new();
    let follows = |tag: &String| tag.starts_with("sha256-");
    for ((place, digest_), manifest) in &truth.0 {
        let young = NOW - manifest.created < 48 * HOUR;
        let used = *digest_ == digest(2);
        let tag = manifest.tags.iter().any(|tag| !follows(tag) && !may_go(tag, *place, manifest, truth));
        if young || used || tag {
            stay.insert((*place, digest_.clone()));
        }
    }
    loop {
        let mut more: Vec<(usize, Digest)> = Vec::new();
        for ((place, own), manifest) in &truth.0 {
            let here = |digest: &Digest| (*place, digest.clone());
            let me = here(own);
            let ties = manifest.children.iter().map(|child| (me.clone(), here(child)));
            let subject = manifest.subject.iter().flat_map(|s| [(me.clone(), here(s)), (here(s), me.clone())]);
            let named = manifest.tags.iter().filter_map(|tag| graph::companion_of(tag));
            let named: Vec<_> = named.map(|s| (here(&s), me.clone())).collect();
            let mentions: Vec<_> =
                manifest.mentions.iter().flat_map(|m| (0..2).map(|r| (me.clone(), (r, m.clone())))).collect();
            for (from, to) in ties.chain(subject).chain(named).chain(mentions) {
                if stay.contains(&from) && truth.0.contains_key(&to) && !stay.contains(&to) {
                    more.push(to);
                }
            }
        }
        if more.is_empty() {
            return stay;
        }
        stay.extend(more);
    }
}

/// What is whole: every child of every remaining manifest is there if it was, and every subject of what stays. A
/// signature that is to go after its image may be without it for a while; an image without its signature may not.
fn whole(before: &Truth, after: &Truth, stay: &HashSet<(usize, Digest)>) -> Result<(), String> {
    for ((place, own), manifest) in &after.0 {
        let subject = manifest.subject.iter().filter(|_| stay.contains(&(*place, own.clone())));
        for part in manifest.children.iter().chain(subject) {
            let key = (*place, part.clone());
            if before.0.contains_key(&key) && !after.0.contains_key(&key) {
                return Err(format!("{own} lost {part}"));
            }
        }
    }
    Ok(())
}

fn apply(truth: &mut Truth, registry: &Registry, deletion: &Deletion) {
    let node = &registry.nodes()[deletion.node];
    truth.0.remove(&(node.repository, node.digest.clone()));
}

/// Made once: compiling patterns would take longer than everything else.
fn judged_by() -> (&'static Policy, &'static Evidence) {
    static BOTH: std::sync::OnceLock<(Policy, Evidence)> = std::sync::OnceLock::new();
    let both = BOTH.get_or_init(|| (policy(), evidence()));
    (&both.0, &both.1)
}

fn holds(seed: u64, size: usize, sight: Sight, untagging: Untagging) -> Result<(), TestCaseError> {
    let mut dice = Dice(seed);
    let before = truth(&mut dice, size);
    let registry = seen(&before, &mut dice, sight, untagging);
    let (policy, evidence) = judged_by();
    let plan = plan(&registry, policy, evidence, NOW);
    let stay = must_stay(&before);
    let mut after = before.clone();
    let mut gone: HashSet<NodeId> = HashSet::new();
    for deletion in &plan.deletions {
        let node = &registry.nodes()[deletion.node];
        let key = (node.repository, node.digest.clone());
        prop_assert!(
            !stay.contains(&key),
            "deletes {} of {}: {}",
            node.digest,
            node.repository,
            plan.explain(&registry, deletion.node)
        );
        prop_assert!(deletion.after.iter().all(|place| gone.contains(place)), "out of order");
        apply(&mut after, &registry, deletion);
        gone.insert(deletion.node);
        // Whatever the prefix: nothing that remains has lost a part.
        whole(&before, &after, &stay).map_err(TestCaseError::fail)?;
    }
    prop_assert_eq!(gone.len(), plan.fates.iter().filter(|fate| fate.is_deleted()).count());
    for untag in &plan.untags {
        let node = &registry.nodes()[untag.node];
        let manifest = after.0.get_mut(&(node.repository, node.digest.clone()));
        let Some(manifest) = manifest else { continue };
        prop_assert!(may_go(&untag.tag, node.repository, &before.0[&(node.repository, node.digest.clone())], &before));
        manifest.tags.remove(&untag.tag);
        prop_assert!(!manifest.tags.is_empty(), "the last tag of what stays was taken off");
    }
    if sight == Sight::Clear {
        let again = seen(&after, &mut Dice(seed), Sight::Clear, untagging);
        let second = super::plan(&again, policy, evidence, NOW);
        prop_assert!(
            second.deletions.is_empty() && second.untags.is_empty(),
            "a second plan has {:?}",
            second.deletions
        );
    }
    // Putting everything back, in the reverse order, is the identity.
    for deletion in plan.deletions.iter().rev() {
        let node = &registry.nodes()[deletion.node];
        let key = (node.repository, node.digest.clone());
        if let Some(manifest) = before.0.get(&key) {
            after.0.insert(key, manifest.clone());
        }
    }
    for untag in &plan.untags {
        let node = &registry.nodes()[untag.node];
        if let Some(manifest) = after.0.get_mut(&(node.repository, node.digest.clone())) {
            manifest.tags.insert(untag.tag.clone());
        }
    }
    prop_assert_eq!(after, before);
    Ok(())
}

/// `PROPTEST_CASES=3000` makes the three of them go through more than 100,000 registries, in half a minute.
fn check(sight: Sight, untagging: Untagging) {
    let usual = ProptestConfig::default();
    let config = ProptestConfig { failure_persistence: None, cases: usual.cases * 12, ..usual };
    proptest!(config, |(seed: u64, size in 1usize..18)| holds(seed, size, sight, untagging)?);
}

#[test]
fn what_is_seen_clearly_is_pruned_to_the_end_without_harm() {
    check(Sight::Clear, Untagging::Possible);
}

#[test]
fn nothing_is_forced_where_tags_cannot_be_taken_off() {
    check(Sight::Clear, Untagging::Impossible);
}

#[test]
fn listings_that_lie_never_cost_what_is_kept() {
    check(Sight::Blurred, Untagging::Possible);
}

#[test]
fn random_registries_are_not_trivial() {
    // The promises above would hold for a plan that deletes nothing.
    let mut deleted = 0;
    let mut kept = 0;
    for seed in 0..500 {
        let mut dice = Dice(seed);
        let truth = truth(&mut dice, 17);
        let registry = seen(&truth, &mut dice, Sight::Clear, Untagging::Possible);
        let plan = plan(&registry, &policy(), &evidence(), NOW);
        deleted += plan.deletions.len();
        kept += plan.fates.iter().filter(|fate| matches!(fate.reason, Reason::Kept(..))).count();
    }
    assert!(deleted > 500 && kept > 500, "{deleted} deleted, {kept} kept by others");
}

fn image(registry: &mut Registry, number: usize, tags: &[&str], age: Seconds, children: &[usize]) -> NodeId {
    let manifest = Manifest {
        children: children.iter().map(|child| digest(*child)).collect(),
        tags: tags.iter().map(|tag| (*tag).to_owned()).collect(),
        created: NOW - age,
        ..Manifest::default()
    };
    registry.add(node(0, &digest(number), &manifest, true, None))
}

fn one_repository() -> Registry {
    let mut registry = Registry::default();
    registry.add_repository(Repository {
        name: "ghcr.io/acme/app".into(),
        untagging: Untagging::Impossible,
        listing: Listing::Complete,
        is_pruned: true,
    });
    registry
}

#[test]
fn every_reason_is_said() {
    let mut registry = one_repository();
    let cases = [
        image(&mut registry, 1, &["v1.0.0"], 90 * DAY, &[2]),
        image(&mut registry, 2, &[], 90 * DAY, &[]),
        image(&mut registry, 3, &["pr-1-abc"], 30 * HOUR, &[]),
        image(&mut registry, 4, &["pr-2-abc"], 50 * HOUR, &[5]),
        image(&mut registry, 5, &[], 50 * HOUR, &[]),
        image(&mut registry, 6, &["mine"], 90 * DAY, &[]),
        image(&mut registry, 7, &[], 3 * DAY, &[]),
        image(&mut registry, 8, &[], 8 * DAY, &[]),
        image(&mut registry, 9, &["latest", "abcdef0"], 40 * DAY, &[]),
        image(
            &mut registry,
            10,
            &["sha256-0000000000000000000000000000000000000000000000000000000000000001.sig"],
            90 * DAY,
            &[],
        ),
    ];
    let plan = plan(&registry, &PolicyBlock::default().policy().unwrap(), &Evidence::default(), NOW);
    let said: Vec<String> = cases
        .iter()
        .map(|place| {
            let verdict = if plan.fates[*place].is_deleted() { "delete" } else { "keep" };
            format!("{} {verdict}: {}", place + 1, plan.explain(&registry, *place))
        })
        .collect();
    insta::assert_snapshot!(said.join("\n"));
    assert_eq!(plan.stuck, [Untag { node: cases[8], tag: "abcdef0".into() }]);
}

#[test]
fn a_tag_that_moved_is_as_young_as_its_move() {
    let mut registry = one_repository();
    let old = image(&mut registry, 1, &["pr-1"], 90 * DAY, &[]);
    image(&mut registry, 2, &["latest"], DAY, &[]);
    let mut ledger = Ledger { is_known: true, ..Ledger::default() };
    let changes = ledger.update(&registry, 0, NOW - HOUR);
    assert_eq!(changes.len(), 0);
    ledger.apply(&mut registry, 0);
    let policy = PolicyBlock::default().policy().unwrap();
    let young = plan(&registry, &policy, &Evidence::default(), NOW);
    assert!(matches!(young.fates[old].tags[0], TagFate::Young { .. }));
    let later = plan(&registry, &policy, &Evidence::default(), NOW + 3 * DAY);
    assert!(later.fates[old].is_deleted());
}

#[test]
fn shared_layers_are_not_counted_as_freed() {
    let blob = |number: u8, size| Blob(Key([number; 32]), size);
    let mut registry = one_repository();
    let with = |registry: &mut Registry, number, tags: &[&str], blobs| {
        let place = image(registry, number, tags, 90 * DAY, &[]);
        let facts = Facts { blobs, size: 1, ..Facts::default() };
        registry.node_mut(place).unwrap().content = Content::Read(Box::new(facts));
    };
    with(&mut registry, 1, &["latest"], vec![blob(1, 100)]);
    with(&mut registry, 2, &["pr-1"], vec![blob(1, 100), blob(2, 10)]);
    with(&mut registry, 3, &["pr-2"], vec![blob(1, 100), blob(2, 10), blob(3, 5)]);
    let plan = plan(&registry, &PolicyBlock::default().policy().unwrap(), &Evidence::default(), NOW);
    assert_eq!(plan.freed(&registry, |_| true), Freed { bytes: 17, naive: 227, is_exact: true });
}

#[test]
fn a_large_registry_is_planned_at_once() {
    let mut registry = one_repository();
    for number in 0..20_000 {
        let children = [3 * number + 1, 3 * number + 2];
        let tag = format!("pr-{number}-abcdef0");
        let place = image(&mut registry, 3 * number, &[&tag], 90 * DAY, &children);
        assert_eq!(place % 3, 0);
        image(&mut registry, 3 * number + 1, &[], 90 * DAY, &[]);
        image(&mut registry, 3 * number + 2, &[], 90 * DAY, &[]);
    }
    let plan = plan(&registry, &PolicyBlock::default().policy().unwrap(), &Evidence::default(), NOW);
    // The newest tagged image and its parts stay.
    assert_eq!(plan.deletions.len(), 60_000 - 3);
}
