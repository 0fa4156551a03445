//! Purpose: the plan carried out: snapshot first, wave by wave, each item checked again; what fails keeps what it holds.

use std::collections::{HashMap, HashSet};

use tokio::time::{Duration, Instant};

use super::collect::Planned;
use super::sources::{Source, is_passing};
use super::{Outputs, files, report};
use crate::commands::framework::Verdict;
use crate::commands::run::Run;
use crate::contract::values::{Count, Flag};
use crate::domain::markdown::{Markdown, escaped};
use crate::domain::retention::{self, Content, Deleted, Deletion, DeletionState, Facts, Listing, Node, NodeId, SCHEMA};
use crate::runner::{Failure, Kind};
use crate::services::ErrorClass;
use crate::services::holdings::{self, Check, Entry, Outcome};

/// Deletions between two looks at what came in meanwhile.
const BATCH: usize = 50;
/// Items that the summary names.
const SHOWN: usize = 50;

/// Why the run stopped before its end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Stop {
    Cancelled,
    OutOfTime,
    /// The registry refuses everything now.
    Refused,
}

/// What happened.
#[derive(Default)]
struct Tally {
    deleted: HashSet<NodeId>,
    /// Gone before we came.
    gone: u64,
    untagged: u64,
    /// Words by item.
    changed: Vec<String>,
    retained: Vec<String>,
    failed: Vec<(ErrorClass, String)>,
    /// Kept because what holds it was kept.
    spared: u64,
}

struct Executor<'a> {
    planned: Planned,
    run: &'a Run,
    tally: Tally,
    /// Gone now, by us or before.
    over: HashSet<NodeId>,
    /// What may still be deleted, since something new could need it.
    allowed: HashSet<NodeId>,
    deadline: Instant,
    /// Where each deletion stands in the snapshot.
    places: HashMap<NodeId, usize>,
}

/// Deletes what the plan says.
pub(super) async fn run(mut planned: Planned, run: &Run, outputs: &mut Outputs) -> Result<Verdict, Failure> {
    let first_deletion = prepare(&mut planned, run).await?;
    outputs.snapshot = Some(planned.settings.snapshot.to_string_lossy().into_owned());
    let deadline = Instant::now() + planned.settings.timeout;
    let allowed = planned.plan.deletions.iter().map(|deletion| deletion.node).collect();
    let nodes = planned.plan.deletions.iter().enumerate();
    let places = nodes.map(|(place, deletion)| (deletion.node, first_deletion + place)).collect();
    let mut executor =
        Executor { planned, run, tally: Tally::default(), over: HashSet::new(), allowed, deadline, places };
    let group = run.log.group("Deleting");
    let mut stop = executor.delete_all().await?;
    if stop.is_none() {
        stop = executor.untag_all().await;
    }
    drop(group);
    executor.finish(stop, outputs)
}

/// The snapshot, before anything is touched: with the content of what could not be put back without it.
async fn prepare(planned: &mut Planned, run: &Run) -> Result<usize, Failure> {
    let now = planned.plan.now;
    planned.snapshot.schema = SCHEMA;
    planned.snapshot.taken_at = now;
    planned.snapshot.forget_old(now);
    let first = planned.snapshot.deletions.len();
    let group = run.log.group("Snapshot");
    for deletion in &planned.plan.deletions {
        let node = &planned.registry.nodes()[deletion.node];
        planned.snapshot.deletions.push(Deleted {
            run: now,
            image: planned.registry.repositories[node.repository].name.clone(),
            digest: node.digest.clone(),
            version: node.version,
            tags: node.tags.iter().map(|(tag, _)| tag.clone()).collect(),
            created: node.created,
            content: None,
            state: DeletionState::Planned,
        });
    }
    let places: Vec<(usize, NodeId)> =
        planned.plan.deletions.iter().enumerate().map(|(place, deletion)| (first + place, deletion.node)).collect();
    for chunk in places.chunks(BATCH) {
        for (repository, source) in
            planned.sources.iter().enumerate().filter(|(_, source)| source.holdings.restores_by_content())
        {
            let wanted: Vec<(usize, _)> = chunk
                .iter()
                .filter(|(_, node)| planned.registry.nodes()[*node].repository == repository)
                .map(|(place, node)| (*place, planned.registry.nodes()[*node].digest.clone()))
                .collect();
            let digests: Vec<_> = wanted.iter().map(|(_, digest)| digest.clone()).collect();
            let contents = source.holdings.read(&digests, planned.settings.concurrency).await;
            for ((place, _), content) in wanted.iter().zip(contents) {
                if let holdings::Content::Found(media_type, body) = content {
                    let text = String::from_utf8_lossy(&body).into_owned();
                    planned.snapshot.deletions[*place].content = Some((media_type, text));
                }
            }
        }
    }
    files::write(run, &planned.settings.snapshot, &planned.snapshot)?;
    run.log.info(format!(
        "{} holds {} deletions to undo",
        planned.settings.snapshot.display(),
        planned.snapshot.deletions.len()
    ));
    drop(group);
    Ok(first)
}

impl Executor<'_> {
    async fn delete_all(&mut self) -> Result<Option<Stop>, Failure> {
        let deletions = self.planned.plan.deletions.clone();
        let total = deletions.len();
        let mut last_said = Instant::now();
        for wave in deletions.chunk_by(|one, other| one.wave == other.wave) {
            for repository in 0..self.planned.sources.len() {
                let of = |deletion: &&Deletion| self.planned.registry.nodes()[deletion.node].repository == repository;
                let items: Vec<&Deletion> = wave.iter().filter(of).collect();
                let source = self.planned.sources[repository].clone();
                for batch in items.chunks(BATCH.min(source.holdings.batch())) {
                    if let Some(stop) = self.stopped() {
                        return Ok(Some(stop));
                    }
                    if let Some(stop) = self.delete_batch(repository, &source, batch).await? {
                        return Ok(Some(stop));
                    }
                    if last_said.elapsed() >= Duration::from_secs(15) {
                        self.run.log.info(format!("{} of {total} deleted", self.tally.deleted.len()));
                        last_said = Instant::now();
                    }
                }
            }
        }
        Ok(None)
    }

    fn stopped(&self) -> Option<Stop> {
        if self.run.cancel.is_cancelled() {
            return Some(Stop::Cancelled);
        }
        (Instant::now() >= self.deadline).then_some(Stop::OutOfTime)
    }

    async fn delete_batch(
        &mut self,
        repository: usize,
        source: &Source,
        batch: &[&Deletion],
    ) -> Result<Option<Stop>, Failure> {
        self.look_for_arrivals(repository, source).await?;
        let mut items: Vec<(NodeId, Entry)> = Vec::with_capacity(batch.len());
        for deletion in batch {
            // What stayed after all keeps what it holds.
            let is_free = deletion.after.iter().all(|before| self.over.contains(before));
            if is_free && self.allowed.contains(&deletion.node) {
                items.push((deletion.node, entry_of(&self.planned.registry.nodes()[deletion.node])));
            } else {
                self.tally.spared += 1;
            }
        }
        if items.is_empty() {
            return Ok(None);
        }
        let entries: Vec<&Entry> = items.iter().map(|(_, entry)| entry).collect();
        let deleting = source.holdings.delete(&entries, self.planned.settings.concurrency);
        let results = tokio::select! {
            results = deleting => results,
            () = self.run.cancel.cancelled() => return Ok(Some(Stop::Cancelled)),
            // A limit may last longer than the run.
            () = tokio::time::sleep(self.deadline.saturating_duration_since(Instant::now())) => {
                return Ok(Some(Stop::OutOfTime));
            }
        };
        let mut stop = None;
        for ((node, entry), (check, outcome)) in items.iter().zip(results) {
            if let Outcome::Failed(ErrorClass::RateLimited | ErrorClass::Forbidden | ErrorClass::Unauthenticated, _) =
                &outcome
            {
                stop = Some(Stop::Refused);
            }
            self.count(*node, entry, check, outcome);
        }
        Ok(stop)
    }

    fn count(&mut self, node: NodeId, entry: &Entry, check: Check, outcome: Outcome) {
        let name = name_of(entry);
        match (check, outcome) {
            // It was there a moment before: a first try was done whose answer was lost.
            (Check::Same, Outcome::Done | Outcome::Already) => {
                self.over.insert(node);
                self.tally.deleted.insert(node);
                self.mark(node, DeletionState::Deleted);
            }
            (Check::Gone, _) => {
                self.over.insert(node);
                self.tally.gone += 1;
                self.mark(node, DeletionState::Kept);
            }
            (Check::Changed(how), _) => {
                self.run.log.info(format!("keeps {name}: {how}"));
                self.tally.changed.push(format!("{name}: {how}"));
                self.mark(node, DeletionState::Kept);
            }
            (_, Outcome::Retained(why)) => {
                self.run.log.info(format!("keeps {name}: {why}"));
                self.tally.retained.push(format!("{name}: {why}"));
                self.mark(node, DeletionState::Kept);
            }
            (_, Outcome::Failed(class, why)) => {
                self.run.log.info(format!("failed to delete {name}: {why}"));
                self.tally.failed.push((class, format!("{name}: {why}")));
                // A request that broke off may have been done all the same: it stays planned, and can be undone.
                if !is_passing(class) || class == ErrorClass::RateLimited {
                    self.mark(node, DeletionState::Kept);
                }
            }
        }
    }

    fn mark(&mut self, node: NodeId, state: DeletionState) {
        let place = self.places.get(&node).copied();
        if let Some(entry) = place.and_then(|place| self.planned.snapshot.deletions.get_mut(place)) {
            entry.state = state;
        }
    }

    /// Something pushed since the plan may need what it deletes: then the plan is made again with it, and only what both
    /// plans delete still goes.
    async fn look_for_arrivals(&mut self, repository: usize, source: &Source) -> Result<(), Failure> {
        let Some(entries) = source.holdings.newest().await? else {
            return Ok(());
        };
        let new: Vec<Entry> = entries
            .into_iter()
            .filter(|entry| self.planned.registry.find(repository, &entry.digest).is_none())
            .collect();
        if new.is_empty() {
            return Ok(());
        }
        let digests: Vec<_> = new.iter().map(|entry| entry.digest.clone()).collect();
        let contents = source.holdings.read(&digests, self.planned.settings.concurrency).await;
        for (entry, content) in new.into_iter().zip(contents) {
            self.run.log.info(format!("came in meanwhile: {}", name_of(&entry)));
            self.planned.registry.add(Node {
                repository,
                digest: entry.digest,
                version: entry.version,
                tags: entry.tags.into_iter().map(|tag| (tag, None)).collect(),
                created: entry.created,
                content: match content {
                    holdings::Content::Found(_, body) => Content::from(Facts::read(&body)),
                    holdings::Content::Absent => Content::Unreadable("listed, and not there yet".to_owned()),
                    holdings::Content::Unreadable(_, why) => Content::Unreadable(why),
                },
                // It stays whatever its age.
                is_listed: false,
                is_certain: true,
                size: entry.size,
            });
        }
        let settings = &self.planned.settings;
        let again =
            retention::plan(&self.planned.registry, &settings.policy, &self.planned.evidence, self.planned.plan.now);
        let still: HashSet<NodeId> = again.deletions.iter().map(|deletion| deletion.node).collect();
        self.allowed.retain(|node| still.contains(node) || self.over.contains(node));
        Ok(())
    }

    async fn untag_all(&mut self) -> Option<Stop> {
        for untag in self.planned.plan.untags.clone() {
            if let Some(stop) = self.stopped() {
                return Some(stop);
            }
            let node = &self.planned.registry.nodes()[untag.node];
            let source = &self.planned.sources[node.repository];
            let entry = entry_of(node);
            let name = format!("the tag {} of {}", untag.tag, short(&entry));
            match source.holdings.untag(&entry, &untag.tag).await {
                Outcome::Done => self.tally.untagged += 1,
                Outcome::Already => {}
                Outcome::Retained(why) => self.tally.retained.push(format!("{name}: {why}")),
                Outcome::Failed(class, why) => {
                    self.run.log.info(format!("failed to take off {name}: {why}"));
                    self.tally.failed.push((class, format!("{name}: {why}")));
                }
            }
        }
        None
    }

    fn finish(self, stop: Option<Stop>, outputs: &mut Outputs) -> Result<Verdict, Failure> {
        let Self { planned, run, tally, .. } = self;
        let freed = planned.plan.freed(&planned.registry, |node| tally.deleted.contains(&node));
        outputs.deleted = Some(Count(tally.deleted.len() as u64));
        outputs.failed = Some(Count(tally.failed.len() as u64));
        outputs.retained = Some(Count(tally.retained.len() as u64));
        outputs.untagged = Some(Count(tally.untagged));
        outputs.freed_bytes = Some(Count(freed.bytes));
        let listed = planned.registry.nodes().iter().filter(|node| node.is_listed).count();
        outputs.kept = Some(Count((listed - tally.deleted.len()) as u64));
        let said = headline(&tally, freed);
        run.log.info(&said);
        run.summary.section(section(&tally, &said));
        if !tally.retained.is_empty() {
            run.log.warn("Kept by the registry", tally.retained.iter().take(3).cloned().collect::<Vec<_>>().join("\n"));
        }
        let written = files::write(run, &planned.settings.snapshot, &planned.snapshot);
        let verdict = verdict(&planned, &tally, stop);
        outputs.passed = Some(Flag(verdict.is_ok() && written.is_ok()));
        verdict.and_then(|verdict| written.map(|()| verdict))
    }
}

fn headline(tally: &Tally, freed: retention::Freed) -> String {
    let mut parts = vec![format!("{} deleted", tally.deleted.len())];
    let more = [
        (tally.untagged, "tags taken off"),
        (tally.gone, "gone already"),
        (tally.changed.len() as u64, "kept because they changed"),
        (tally.retained.len() as u64, "kept by the registry"),
        (tally.spared, "kept with what holds them"),
        (tally.failed.len() as u64, "failed"),
    ];
    parts.extend(more.iter().filter(|(count, _)| *count > 0).map(|(count, what)| format!("{count} {what}")));
    format!("{}; {} freed", parts.join(", "), report::freed_words(freed))
}

fn section(tally: &Tally, said: &str) -> String {
    let mut section = Markdown::new().heading(3, "Retention").paragraph(said);
    let failed: Vec<String> = tally.failed.iter().map(|(_, words)| words.clone()).collect();
    for (title, items) in [("Failed", &failed), ("Kept by the registry", &tally.retained), ("Changed", &tally.changed)]
    {
        if !items.is_empty() {
            let list = Markdown::new().bullets(items.iter().take(SHOWN).map(|item| escaped(item)));
            section = section.details(&format!("{title} ({})", items.len()), &list);
        }
    }
    section.into_string()
}

fn verdict(planned: &Planned, tally: &Tally, stop: Option<Stop>) -> Result<Verdict, Failure> {
    let left = planned.plan.deletions.len() - tally.deleted.len();
    let failed = |kind, reason, title: &str, message: String| {
        Failure::new(kind, reason, title, message)
            .hint("What was deleted is whole, and so is the rest: stopping anywhere is safe. The next run goes on.")
    };
    match stop {
        Some(Stop::Cancelled) => return Err(Failure::cancelled()),
        Some(Stop::OutOfTime) => {
            return Err(failed(
                Kind::Work,
                "timeout",
                "Out of time",
                format!("{left} of the planned deletions are left"),
            ));
        }
        Some(Stop::Refused) | None => {}
    }
    let has = |class: ErrorClass| tally.failed.iter().any(|(known, _)| *known == class);
    if let Some((_, first)) = tally.failed.first() {
        let count = tally.failed.len();
        let message = format!("{count} deletions failed, {left} are left; the first: {first}");
        if has(ErrorClass::Forbidden) || has(ErrorClass::Unauthenticated) {
            return Err(failed(Kind::Auth, "deletion-forbidden", "Deletion not allowed", message)
                .hint("GitHub: the repository needs the role Admin under the package's \"Manage Actions access\", the job `permissions: packages: write`.")
                .hint("ECR: allow `ecr:BatchDeleteImage`."));
        }
        if tally.failed.iter().all(|(class, _)| *class == ErrorClass::RateLimited) {
            return Err(failed(Kind::Upstream, "rate-limited", "Rate limit reached", message).hint(
                "Run again later, or give a token with a higher limit: a job's own token has 1,000 requests an hour.",
            ));
        }
        return Err(failed(Kind::Work, "partial-failure", "Not everything was deleted", message));
    }
    if let Some((_, first)) = planned.unanswered.first() {
        let count = planned.unanswered.len();
        let denied = |class: &ErrorClass| matches!(class, ErrorClass::Forbidden | ErrorClass::Unauthenticated);
        let is_denied = planned.unanswered.iter().any(|(class, _)| denied(class));
        let (kind, reason) =
            if is_denied { (Kind::Auth, "manifests-forbidden") } else { (Kind::Upstream, "manifests-unanswered") };
        let message = format!("{count} manifests could not be read and keep what they may hold; the first: {first}");
        return Err(failed(kind, reason, "Manifests not read", message));
    }
    let incomplete = planned.registry.repositories.iter().any(|repository| repository.listing != Listing::Complete);
    debug_assert!(!incomplete, "the gate lets no incomplete listing through");
    match planned.plan.deletions.len() + planned.plan.untags.len() {
        0 => Ok(Verdict::Success("nothing-to-delete")),
        _ => Ok(Verdict::Success("pruned")),
    }
}

pub(super) fn entry_of(node: &Node) -> Entry {
    let mut tags: Vec<String> = node.tags.iter().map(|(tag, _)| tag.clone()).collect();
    tags.sort_unstable();
    Entry { digest: node.digest.clone(), version: node.version, tags, created: node.created, size: node.size }
}

fn name_of(entry: &Entry) -> String {
    if entry.tags.is_empty() {
        short(entry).to_owned()
    } else {
        format!("{} ({})", entry.tags.join(", "), short(entry))
    }
}

fn short(entry: &Entry) -> &str {
    entry.digest.as_str().get(..19).unwrap_or(entry.digest.as_str())
}
