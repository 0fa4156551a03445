//! Purpose: the plan: repositories looked at twice, manifests read once, the policy asked.

use std::collections::{BTreeMap, HashMap, HashSet};

use serde::{Serialize, Serializer};

use super::settings::Settings;
use super::sources::{self, Source};
use super::{AgeFrom, evidence, files, report};
use crate::commands::run::Run;
use crate::domain::names::Digest;
use crate::domain::retention::{
    self, Content, Evidence, Facts, Finding, InUse, Ledger, Listing, Node, Registry, Repository, Seconds, Snapshot,
};
use crate::runner::Failure;
use crate::services::ErrorClass;
use crate::services::holdings::{self, Entry, Holdings, Pass};

/// Looks at a listing until two agree.
const LOOKS: usize = 4;
/// Manifests whose content is held at the same time.
const CHUNK: usize = 400;
/// Times that no build means: before it, a build that can be repeated wrote nothing.
const NO_TIME: Seconds = 315_532_800;

/// A plan with everything that carrying it out needs.
pub struct Planned {
    pub(super) settings: Settings,
    pub(super) sources: Vec<Source>,
    pub(super) registry: Registry,
    pub(super) plan: retention::Plan,
    pub(super) evidence: Evidence,
    pub(super) snapshot: Snapshot,
    pub(super) findings: Vec<Finding>,
    pub(super) looked: Vec<String>,
    /// What moved since the last snapshot, in words.
    pub(super) moved: Vec<String>,
    /// Manifests that an upstream did not give, which the next run may get.
    pub(super) unanswered: Vec<(ErrorClass, String)>,
    pub(super) requests: Requests,
}

/// What was asked of registries, for people who watch their limits.
#[derive(Debug, Clone, Copy, Default, Serialize)]
pub(super) struct Requests {
    pub(super) pages: u64,
    pub(super) manifests: u64,
    pub(super) remembered: u64,
}

impl Serialize for Planned {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        report::Document::of(self).serialize(serializer)
    }
}

/// Plans; touches nothing.
pub(super) async fn plan(settings: Settings, run: &Run) -> Result<Planned, Failure> {
    let now = run.clock.now().as_second();
    let snapshot = files::snapshot(run, &settings.snapshot)?.unwrap_or_default();
    let group = run.log.group("In use");
    let made = sources::of(&settings, run).await?;
    let (used, looked) = evidence::gather(&settings, &made, run).await?;
    looked.iter().for_each(|line| run.log.info(line));
    if looked.is_empty() {
        run.log.info("nothing was looked at");
    }
    drop(group);
    let mut collector = Collector::new(&settings, run, snapshot, now);
    let mut listings = Vec::new();
    for (place, source) in made.all.iter().enumerate() {
        let group = run.log.group(format!("Listing {}", source.image));
        listings.push(collector.listing(place, source).await?);
        drop(group);
    }
    let group = run.log.group("Manifests");
    for (place, (source, listed)) in made.all.iter().zip(listings).enumerate() {
        collector.add(place, source, listed).await?;
    }
    collector.look_up_what_is_used(&used, &made.all).await;
    collector.follow_references(&made.all).await;
    let requests = collector.requests;
    run.log.info(format!(
        "{} manifests: {} read, {} remembered",
        collector.registry.nodes().len(),
        requests.manifests,
        requests.remembered
    ));
    drop(group);
    let mut evidence = Evidence::default();
    used.into_iter().for_each(|used| evidence.add(used));
    let moved = collector.remember(&made.all);
    let Collector { registry, snapshot, unanswered, requests, .. } = collector;
    let plan = retention::plan(&registry, &settings.policy, &evidence, now);
    let tags: Vec<&str> =
        registry.nodes().iter().flat_map(|node| node.tags.iter().map(|(tag, _)| tag.as_str())).collect();
    let findings = retention::lint(&settings.policy, &tags);
    Ok(Planned {
        settings,
        sources: made.all,
        registry,
        plan,
        evidence,
        snapshot,
        findings,
        looked,
        moved,
        unanswered,
        requests,
    })
}

/// What two looks at a repository gave.
struct Listed {
    entries: Vec<Entry>,
    uncertain: HashSet<Digest>,
    /// Tags that the listing does not have and the registry does, with their manifests.
    hidden: Vec<(String, Digest)>,
}

struct Collector<'a> {
    settings: &'a Settings,
    run: &'a Run,
    snapshot: Snapshot,
    now: Seconds,
    registry: Registry,
    unanswered: Vec<(ErrorClass, String)>,
    requests: Requests,
}

impl<'a> Collector<'a> {
    fn new(settings: &'a Settings, run: &'a Run, snapshot: Snapshot, now: Seconds) -> Self {
        Self {
            settings,
            run,
            snapshot,
            now,
            registry: Registry::default(),
            unanswered: Vec::new(),
            requests: Requests::default(),
        }
    }

    /// Looks until two looks agree; what never does is not certain.
    async fn listing(&mut self, place: usize, source: &Source) -> Result<Listed, Failure> {
        let mut before = self.look(source).await?;
        let mut uncertain = HashSet::new();
        let mut last = before.clone();
        for look in 1..LOOKS {
            last = self.look(source).await?;
            uncertain = difference(&before, &last);
            if uncertain.is_empty() && missing(&last).is_none() {
                break;
            }
            if look + 1 < LOOKS {
                before = last.clone();
            }
        }
        let listing = match missing(&last) {
            Some(why) => Listing::Incomplete(why),
            None => Listing::Complete,
        };
        self.run.log.info(format!("{} manifests, {} not certain", last.entries.len(), uncertain.len()));
        if let Listing::Incomplete(why) = &listing {
            self.run.log.warn("Listing incomplete", format!("{}: {why}; nothing is deleted in this run", source.image));
        }
        let number = self.registry.add_repository(Repository {
            name: source.image.to_string(),
            untagging: source.untagging(),
            listing,
            is_pruned: source.is_pruned,
        });
        debug_assert_eq!(number, place);
        // What only one of the looks had may be there all the same.
        let known: HashSet<Digest> = last.entries.iter().map(|entry| entry.digest.clone()).collect();
        last.entries.extend(before.entries.into_iter().filter(|entry| !known.contains(&entry.digest)));
        let hidden = self.hidden_tags(source, &last).await?;
        Ok(Listed { entries: last.entries, uncertain, hidden })
    }

    async fn look(&mut self, source: &Source) -> Result<Pass, Failure> {
        let pass = source.holdings.list().await?;
        self.requests.pages += pass.pages;
        Ok(pass)
    }

    /// Tags that the registry lists beside GitHub's own listing: a manifest that GitHub left out is found by them.
    async fn hidden_tags(&mut self, source: &Source, pass: &Pass) -> Result<Vec<(String, Digest)>, Failure> {
        let Some(tags) = source.holdings.second_tags().await? else {
            return Ok(Vec::new());
        };
        self.requests.pages += tags.len().div_ceil(100).max(1) as u64;
        let listed: HashSet<&str> =
            pass.entries.iter().flat_map(|entry| entry.tags.iter().map(String::as_str)).collect();
        let mut hidden = Vec::new();
        for tag in tags.iter().filter(|tag| !listed.contains(tag.as_str())) {
            if let Some(digest) = source.holdings.digest_of(tag).await? {
                hidden.push((tag.clone(), digest));
            }
        }
        Ok(hidden)
    }

    /// Reads the manifests of a repository and adds them to the graph.
    async fn add(&mut self, place: usize, source: &Source, listed: Listed) -> Result<(), Failure> {
        let Listed { mut entries, mut uncertain, hidden } = listed;
        let mut unlisted: Vec<Entry> = Vec::new();
        for (tag, digest) in hidden {
            uncertain.insert(digest.clone());
            match entries.iter_mut().chain(unlisted.iter_mut()).find(|entry| entry.digest == digest) {
                Some(entry) => entry.tags.push(tag),
                None => unlisted.push(Entry { digest, version: None, tags: vec![tag], created: None, size: None }),
            }
        }
        let ledger = self.snapshot.ledger(&source.image.to_string());
        for (entries, is_listed) in [(entries, true), (unlisted, false)] {
            for chunk in entries.chunks(CHUNK) {
                let digests: Vec<Digest> = chunk.iter().map(|entry| entry.digest.clone()).collect();
                let contents = self.contents(source, &digests).await;
                for (entry, content) in chunk.iter().zip(contents) {
                    let content = self.confirmed(source, entry, content).await;
                    let created = self.created(source, entry, &content, &ledger).await;
                    self.registry.add(Node {
                        repository: place,
                        digest: entry.digest.clone(),
                        version: entry.version,
                        tags: entry.tags.iter().map(|tag| (tag.clone(), None)).collect(),
                        created,
                        content,
                        is_listed,
                        is_certain: !uncertain.contains(&entry.digest),
                        size: entry.size,
                    });
                }
            }
        }
        ledger.apply(&mut self.registry, place);
        Ok(())
    }

    /// The facts of manifests, remembered or read.
    async fn contents(&mut self, source: &Source, digests: &[Digest]) -> Vec<Content> {
        let unknown: Vec<Digest> =
            digests.iter().filter(|digest| !self.snapshot.manifests.contains_key(*digest)).cloned().collect();
        self.requests.remembered += (digests.len() - unknown.len()) as u64;
        self.requests.manifests += unknown.len() as u64;
        let read = source.holdings.read(&unknown, self.settings.concurrency).await;
        let mut fresh: HashMap<Digest, Content> = HashMap::with_capacity(unknown.len());
        for (digest, content) in unknown.into_iter().zip(read) {
            let content = self.content_of(source, &digest, content);
            if let Content::Read(facts) = &content {
                self.snapshot.manifests.insert(digest.clone(), (**facts).clone());
            }
            fresh.insert(digest, content);
        }
        let of = |digest: &Digest| match fresh.get(digest) {
            Some(content) => content.clone(),
            None => self
                .snapshot
                .manifests
                .get(digest)
                .map_or(Content::Absent, |facts| Content::Read(Box::new(facts.clone()))),
        };
        digests.iter().map(of).collect()
    }

    fn content_of(&mut self, source: &Source, digest: &Digest, content: holdings::Content) -> Content {
        match content {
            holdings::Content::Found(_, body) => {
                let read = Facts::read(&body).map(|facts| Facts { created: created_text(&body), ..facts });
                Content::from(read)
            }
            holdings::Content::Absent => Content::Absent,
            holdings::Content::Unreadable(class, why) => {
                if sources::is_passing(class) || class == ErrorClass::Forbidden || class == ErrorClass::Unauthenticated
                {
                    self.unanswered.push((class, format!("{}@{digest}: {why}", source.image)));
                }
                Content::Unreadable(why)
            }
        }
    }

    /// A manifest that the registry denies, while a tag leads to it, is not absent.
    async fn confirmed(&mut self, source: &Source, entry: &Entry, content: Content) -> Content {
        if content != Content::Absent {
            return content;
        }
        for tag in &entry.tags {
            match source.holdings.digest_of(tag).await {
                Ok(Some(digest)) if digest == entry.digest => {
                    return Content::Unreadable(format!(
                        "the tag {tag} leads to it, and the registry does not give it"
                    ));
                }
                Ok(_) => {}
                Err(error) => return Content::Unreadable(error.to_string()),
            }
        }
        Content::Absent
    }

    /// When something was pushed: by the registry, else as the settings say.
    async fn created(&self, source: &Source, entry: &Entry, content: &Content, ledger: &Ledger) -> Option<Seconds> {
        if entry.created.is_some() || !matches!(source.holdings, Holdings::Oci(_)) {
            return entry.created;
        }
        let seen = ledger.seen.get(entry.digest.as_str()).copied();
        match (self.settings.age_from, content) {
            (AgeFrom::Created, Content::Read(facts)) => {
                facts.created.filter(|at| *at > NO_TIME).or(seen).or(Some(self.now))
            }
            _ => seen.or(Some(self.now)),
        }
    }

    /// What is in use by digest and not listed keeps its parts.
    async fn look_up_what_is_used(&mut self, used: &[InUse], sources: &[Source]) {
        for used in used {
            if let InUse::Image { repository, digest: Some(digest), .. } = used
                && self.registry.find(*repository, digest).is_none()
                && let Some(source) = sources.get(*repository)
            {
                self.look_up(*repository, source, digest.clone()).await;
            }
        }
    }

    /// Looks up every child and subject that no listing had, and theirs.
    async fn follow_references(&mut self, sources: &[Source]) {
        loop {
            let unknown = self.registry.unknown_references();
            if unknown.is_empty() {
                return;
            }
            let mut by_source: BTreeMap<usize, Vec<Digest>> = BTreeMap::new();
            for (place, digest) in unknown {
                by_source.entry(place).or_default().push(digest);
            }
            for (place, digests) in by_source {
                for chunk in digests.chunks(CHUNK) {
                    let contents = self.contents(&sources[place], chunk).await;
                    for (digest, content) in chunk.iter().zip(contents) {
                        self.add_referred(place, &sources[place], digest.clone(), content);
                    }
                }
            }
        }
    }

    async fn look_up(&mut self, place: usize, source: &Source, digest: Digest) {
        let contents = self.contents(source, std::slice::from_ref(&digest)).await;
        for content in contents {
            self.add_referred(place, source, digest.clone(), content);
        }
    }

    /// Where only tags are listed, what an index holds is as much there as the index, and goes with it.
    fn add_referred(&mut self, place: usize, source: &Source, digest: Digest, content: Content) {
        let is_listed = matches!(source.holdings, Holdings::Oci(_)) && matches!(content, Content::Read(_));
        let seen = self.snapshot.ledger(&source.image.to_string()).seen.get(digest.as_str()).copied();
        let created = match (&content, self.settings.age_from) {
            _ if !is_listed => None,
            (Content::Read(facts), AgeFrom::Created) => {
                facts.created.filter(|at| *at > NO_TIME).or(seen).or(Some(self.now))
            }
            _ => seen.or(Some(self.now)),
        };
        self.registry.add(Node {
            repository: place,
            digest,
            version: None,
            tags: Vec::new(),
            created,
            content,
            is_listed,
            is_certain: true,
            size: None,
        });
    }

    /// Brings the snapshot up to date; gives what moved.
    fn remember(&mut self, sources: &[Source]) -> Vec<String> {
        let mut moved = Vec::new();
        for (place, source) in sources.iter().enumerate() {
            let image = source.image.to_string();
            let mut ledger = self.snapshot.ledger(&image);
            moved.extend(ledger.update(&self.registry, place, self.now));
            match self.snapshot.repositories.iter_mut().find(|known| known.image == image) {
                Some(known) => known.ledger = ledger,
                None => self.snapshot.repositories.push(retention::SnapshotRepository { image, ledger }),
            }
        }
        // The memory is no bigger than what is there.
        let known: HashSet<&Digest> = self.registry.nodes().iter().map(|node| &node.digest).collect();
        self.snapshot.manifests.retain(|digest, _| known.contains(digest));
        moved
    }
}

/// When an image says that it was created.
fn created_text(body: &[u8]) -> Option<Seconds> {
    Facts::created_text(body)?.parse::<jiff::Timestamp>().ok().map(jiff::Timestamp::as_second)
}

/// Digests on which two looks do not agree.
fn difference(one: &Pass, other: &Pass) -> HashSet<Digest> {
    let by_digest = |pass: &Pass| -> HashMap<Digest, (Option<u64>, Vec<String>)> {
        pass.entries.iter().map(|entry| (entry.digest.clone(), (entry.version, entry.tags.clone()))).collect()
    };
    let (one, other) = (by_digest(one), by_digest(other));
    let mut all: HashSet<&Digest> = one.keys().collect();
    all.extend(other.keys());
    all.into_iter().filter(|digest| one.get(*digest) != other.get(*digest)).cloned().collect()
}

/// What the registry counts and does not list.
fn missing(pass: &Pass) -> Option<String> {
    let listed = pass.entries.len() as u64;
    pass.counted
        .filter(|counted| *counted > listed)
        .map(|counted| format!("{counted} versions are counted and {listed} listed"))
}
