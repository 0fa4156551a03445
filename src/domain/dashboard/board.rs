//! Purpose: all that is known of a commit's stages, from whatever source, merged so that no order of merging matters.

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::stage::{StageKey, StageStatus, Stages};
use crate::domain::comment::clean;
use crate::domain::markdown::link;

/// The most stages of one table.
pub const MOST_STAGES: usize = 64;
/// The most entries of the history.
pub const LONGEST_HISTORY: usize = 20;
/// The longest link that is kept, in bytes.
const LONGEST_LINK: usize = 400;
/// The longest name of who or what did something, in characters.
const LONGEST_TRIGGER: usize = 60;

/// Whether an address can be shown: a web address without characters that could end a link, at most 400 bytes.
#[must_use]
pub fn is_link(address: &str) -> bool {
    address.len() <= LONGEST_LINK && link("x", address).starts_with('[')
}

/// How a stage stands, since when, and where to read more.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Record {
    /// How it stands.
    #[serde(rename = "s")]
    pub status: StageStatus,
    /// Where to read more.
    #[serde(rename = "l", default, skip_serializing_if = "Option::is_none")]
    pub link: Option<String>,
    /// Since when.
    #[serde(rename = "t", with = "milliseconds")]
    pub at: Timestamp,
    /// Who or what it was asked by.
    #[serde(rename = "b", default, skip_serializing_if = "Option::is_none")]
    pub by: Option<String>,
}

impl Record {
    /// A record with what is too long or nothing for readers left out.
    #[must_use]
    pub fn new(status: StageStatus, link: Option<&str>, at: Timestamp, by: Option<&str>) -> Self {
        Self {
            status,
            link: link.filter(|link| is_link(link)).map(str::to_owned),
            at,
            by: by.map(|by| clean(by, LONGEST_TRIGGER)).filter(|by| !by.is_empty()),
        }
    }

    /// The same record as if it came from outside: bounded.
    fn bounded(&self) -> Self {
        Self::new(self.status, self.link.as_deref(), self.at, self.by.as_deref())
    }

    /// Orders records of one stage: the later one; of two at the same time any fixed one.
    fn rank(&self) -> (Timestamp, bool, &str, &Option<String>, &Option<String>) {
        let ended = !matches!(self.status, StageStatus::Pending | StageStatus::Running);
        (self.at, ended, self.status.as_str(), &self.link, &self.by)
    }
}

mod milliseconds {
    use jiff::Timestamp;
    use serde::{Deserialize as _, Deserializer, Serializer};

    pub(super) fn serialize<S: Serializer>(at: &Timestamp, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_i64(at.as_millisecond())
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Timestamp, D::Error> {
        Timestamp::from_millisecond(i64::deserialize(deserializer)?).map_err(serde::de::Error::custom)
    }
}

/// One change of a stage.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Entry {
    /// The stage.
    #[serde(rename = "k")]
    pub key: StageKey,
    /// What it became.
    #[serde(flatten)]
    pub record: Record,
}

impl Entry {
    /// Whether both tell of one change: GitHub's times are cut to seconds.
    fn is_same(&self, other: &Self) -> bool {
        let told = |entry: &Self| (entry.record.status, entry.record.at.as_second());
        self.key == other.key
            && told(self) == told(other)
            && self.record.link == other.record.link
            && self.record.by == other.record.by
    }
}

/// All that is known of a commit's stages.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Board {
    /// Stages that somebody named, with titles, in the order of the table.
    pub stages: Stages,
    /// Commands that people may give by a comment, and what they do.
    pub commands: Vec<(String, String)>,
    records: BTreeMap<StageKey, Record>,
    history: Vec<Entry>,
}

impl Board {
    /// Notes a change: it counts for its stage unless a later one is known, and it is part of the history.
    pub fn note(&mut self, key: StageKey, record: &Record) {
        self.note_state(&key, record);
        self.remember(Entry { key, record: record.clone() });
    }

    /// Notes how a stage stands without a place in the history.
    pub fn note_state(&mut self, key: &StageKey, record: &Record) {
        let record = record.bounded();
        let known = self.records.get(key);
        let is_room = known.is_some() || self.records.len() < MOST_STAGES;
        if is_room && known.is_none_or(|known| known.rank() < record.rank()) {
            self.records.insert(key.clone(), record);
        }
    }

    /// A board that only names stages and commands.
    #[must_use]
    pub fn named(stages: Stages, commands: Vec<(String, String)>) -> Self {
        Self { stages, commands, ..Self::default() }
    }

    /// Takes over what another board knows. Titles and order of this one win.
    #[must_use]
    pub fn merged(mut self, other: &Self) -> Self {
        self.stages = self.stages.then(&other.stages);
        if self.commands.is_empty() {
            self.commands.clone_from(&other.commands);
        }
        for entry in &other.history {
            self.remember(entry.clone());
        }
        for (key, record) in &other.records {
            self.note_state(key, record);
        }
        self
    }

    /// Whether every record of `other` is known here, or a later one of its stage.
    #[must_use]
    pub fn knows(&self, other: &Self) -> bool {
        let known = |(key, record): (&StageKey, &Record)| {
            self.records.get(key).is_some_and(|known| known.rank() >= record.rank())
        };
        other.records.iter().all(known) && other.stages.iter().all(|(key, _)| self.stages.contains(key))
    }

    /// A time for a new record of a stage that is later than every one that is known.
    #[must_use]
    pub fn time_for(&self, key: &StageKey, now: Timestamp) -> Timestamp {
        let step = jiff::SignedDuration::from_millis(1);
        let next = self.records.get(key).and_then(|known| known.at.checked_add(step).ok());
        next.map_or(now, |next| next.max(now))
    }

    /// The record of a stage.
    #[must_use]
    pub fn record(&self, key: &StageKey) -> Option<&Record> {
        self.records.get(key)
    }

    /// Gives every stage that has a record but no name a place behind the others, in order of time.
    pub fn append_unnamed(&mut self) {
        let mut unnamed: Vec<_> = self.records.iter().filter(|(key, _)| !self.stages.contains(key)).collect();
        unnamed.sort_by_key(|(key, record)| (record.at, (*key).clone()));
        for key in unnamed.into_iter().map(|(key, _)| key.clone()).collect::<Vec<_>>() {
            self.stages.set(key, "");
        }
    }

    /// Every stage that has a name, with title and record, in the order of the table.
    pub fn rows(&self) -> impl Iterator<Item = (&StageKey, &str, Option<&Record>)> {
        self.stages.iter().map(|(key, title)| (key, title, self.records.get(key)))
    }

    /// The latest changes, the newest first.
    #[must_use]
    pub fn history(&self) -> &[Entry] {
        &self.history
    }

    /// An entry of the history that says nothing of the present.
    pub fn remember(&mut self, entry: Entry) {
        let entry = Entry { record: entry.record.bounded(), ..entry };
        if !self.history.iter().any(|known| known.is_same(&entry)) {
            self.history.push(entry);
            self.history.sort_by(|a, b| (b.record.rank(), &b.key).cmp(&(a.record.rank(), &a.key)));
            self.history.truncate(LONGEST_HISTORY);
        }
    }

    /// Forgets the oldest changes beyond `longest`.
    pub(super) fn forget_history(&mut self, longest: usize) {
        self.history.truncate(longest);
    }

    /// Forgets every link that is longer.
    pub(super) fn forget_links(&mut self, longest: usize) {
        for record in self.records.values_mut() {
            record.link = record.link.take().filter(|link| link.len() <= longest);
        }
    }

    /// Forgets who asked, and the end of long titles.
    pub(super) fn forget_words(&mut self, longest: usize) {
        self.records.values_mut().for_each(|record| record.by = None);
        let named: Vec<_> = self.stages.iter().map(|(key, title)| (key.clone(), clean(title, longest))).collect();
        named.into_iter().for_each(|(key, title)| self.stages.set(key, &title));
    }

    /// The records by stage.
    #[must_use]
    pub fn records(&self) -> &BTreeMap<StageKey, Record> {
        &self.records
    }
}
