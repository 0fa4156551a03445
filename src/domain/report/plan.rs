//! Purpose: what a Terraform or OpenTofu plan would do (`show -json`), without a value that must not be shown.
//!
//! A value is shown only when the plan itself says that it is not sensitive; plans of versions that do not say so
//! (before 0.15) show none. Attributes whose name speaks of a secret are hidden all the same: providers forget marks.
//! The state and the configuration inside the file are skipped as they stream by.

use std::fmt;
use std::io::{BufReader, Read};

use serde::Deserialize;
use serde::de::{Deserializer, IgnoredAny, MapAccess, Visitor};
use serde_json::Value;

use super::json::Each;
use super::{Bounded, ReadError, clean, shortened};

mod attributes;

pub use attributes::{Attribute, Shown};
use attributes::{attributes, is_marked, is_sensitive, shown, speaks_of_a_secret};

/// Changes of resources that are kept.
const CHANGES_KEPT: usize = 300;
/// Longest address, in characters.
const LONGEST_ADDRESS: usize = 300;

/// What happens to a resource.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, serde::Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Action {
    /// It is destroyed.
    Delete,
    /// It is destroyed and made anew.
    Replace,
    /// It is changed in place.
    Update,
    /// It is made.
    Create,
    /// It leaves the state and stays in the world.
    Forget,
    /// Data that is read during apply.
    Read,
    /// It comes into the state, or changes its address, and is not touched otherwise.
    Adopt,
    /// Something that this version does not know; it counts as a change.
    Unknown,
    /// Nothing.
    None,
}

impl Action {
    fn of(actions: &[String]) -> Self {
        let actions: Vec<&str> = actions.iter().map(String::as_str).collect();
        match actions.as_slice() {
            ["no-op"] => Self::None,
            ["create"] => Self::Create,
            ["read"] => Self::Read,
            ["update"] => Self::Update,
            ["delete"] => Self::Delete,
            ["delete", "create"] | ["create", "delete"] => Self::Replace,
            ["forget"] => Self::Forget,
            // `removed` blocks can make a new object while the old one is only forgotten.
            ["create", "forget"] | ["forget", "create"] => Self::Create,
            _ => Self::Unknown,
        }
    }

    /// What a person calls it.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Delete => "destroy",
            Self::Replace => "replace",
            Self::Update => "change",
            Self::Create => "add",
            Self::Forget => "forget",
            Self::Read => "read",
            Self::Adopt => "import or move",
            Self::Unknown => "unknown action",
            Self::None => "nothing",
        }
    }
}

/// One resource or output that changes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Change {
    /// Its address.
    pub address: String,
    /// What happens.
    pub action: Action,
    /// Why, as Terraform codes it: `replace_because_cannot_update`.
    pub reason: Option<String>,
    /// The address it had.
    pub moved_from: Option<String>,
    /// Whether it is taken over from the world.
    pub imported: bool,
    /// What changes in it.
    pub attributes: Bounded<Attribute>,
}

/// Counts as Terraform's own last line has them: a replacement is one to add and one to destroy.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Counts {
    /// To add.
    pub adds: u64,
    /// To change in place.
    pub changes: u64,
    /// To destroy.
    pub destroys: u64,
    /// Replacements among the two.
    pub replaces: u64,
    /// To take over.
    pub imports: u64,
    /// To move.
    pub moves: u64,
    /// To leave out of the state.
    pub forgets: u64,
    /// Changes of outputs.
    pub outputs: u64,
    /// What changed outside of Terraform.
    pub drifted: u64,
}

impl Counts {
    /// Whether applying the plan would do anything.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        let Self { adds, changes, destroys, replaces: _, imports, moves, forgets, outputs, drifted: _ } = *self;
        [adds, changes, destroys, imports, moves, forgets, outputs].iter().all(|count| *count == 0)
    }

    /// Adds others.
    pub fn add(&mut self, other: &Self) {
        self.adds += other.adds;
        self.changes += other.changes;
        self.destroys += other.destroys;
        self.replaces += other.replaces;
        self.imports += other.imports;
        self.moves += other.moves;
        self.forgets += other.forgets;
        self.outputs += other.outputs;
        self.drifted += other.drifted;
    }
}

impl fmt::Display for Counts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.is_empty() {
            return f.write_str("no changes");
        }
        write!(f, "{} to add, {} to change, {} to destroy", self.adds, self.changes, self.destroys)?;
        if self.replaces > 0 {
            write!(f, " ({} replaced)", self.replaces)?;
        }
        let more = [(self.imports, "to import"), (self.moves, "to move"), (self.forgets, "to forget")];
        for (count, word) in more.into_iter().filter(|(count, _)| *count > 0) {
            write!(f, ", {count} {word}")?;
        }
        match self.outputs {
            0 => Ok(()),
            1 => f.write_str(", 1 output changes"),
            more => write!(f, ", {more} outputs change"),
        }
    }
}

/// A plan.
#[derive(Debug, Clone)]
pub struct Plan {
    /// Version of the tool that made it.
    pub version: Option<String>,
    /// Counts.
    pub counts: Counts,
    /// Changes of resources; the kept ones are sorted, the dangerous first.
    pub changes: Bounded<Change>,
    /// Changes of outputs.
    pub outputs: Bounded<Change>,
    /// What changed outside of Terraform.
    pub drift: Bounded<Change>,
    /// Whether planning failed part of the way.
    pub errored: bool,
    /// Whether some changes were put off to a later plan.
    pub incomplete: bool,
    /// Checks and conditions that do not hold.
    pub failed_checks: Bounded<String>,
}

impl Default for Plan {
    fn default() -> Self {
        Self {
            version: None,
            counts: Counts::default(),
            changes: Bounded::new(CHANGES_KEPT),
            outputs: Bounded::new(CHANGES_KEPT),
            drift: Bounded::new(CHANGES_KEPT),
            errored: false,
            incomplete: false,
            failed_checks: Bounded::new(CHANGES_KEPT),
        }
    }
}

/// Reads a plan in JSON.
///
/// # Errors
/// [`ReadError`]: what is not a plan, or of a major format version but 0 and 1.
pub fn read(source: impl Read) -> Result<Plan, ReadError> {
    let expected = "the JSON of a plan (`terraform show -json <plan file>`)";
    let mut json = serde_json::Deserializer::from_reader(BufReader::new(source));
    let wrong = |source: serde_json::Error| match source.is_io() {
        true => ReadError::Io(source.into()),
        false => ReadError::NotJson { expected, source },
    };
    let (mut plan, format) = json.deserialize_map(Document).map_err(wrong)?;
    json.end().map_err(wrong)?;
    let major = format.split('.').next().unwrap_or_default();
    if !matches!(major, "0" | "1") {
        return Err(ReadError::Version(shortened(&clean(&format), 20)));
    }
    plan.changes.kept.sort_by(|a, b| a.action.cmp(&b.action).then_with(|| a.address.cmp(&b.address)));
    Ok(plan)
}

struct Document;

impl<'de> Visitor<'de> for Document {
    type Value = (Plan, String);

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a plan")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        let mut plan = Plan::default();
        let mut format = None;
        let mut has_changes = false;
        while let Some(key) = map.next_key::<String>()? {
            match key.as_str() {
                "format_version" => format = Some(map.next_value::<String>()?),
                "terraform_version" => plan.version = map.next_value::<Option<String>>()?,
                "resource_changes" => {
                    has_changes = true;
                    map.next_value_seed(Each::new(|change: Resource| plan.take(change)))?;
                }
                "resource_drift" => map.next_value_seed(Each::new(|change: Resource| plan.take_drift(change)))?,
                "output_changes" => {
                    has_changes = true;
                    let outputs: Option<std::collections::BTreeMap<String, RawChange>> = map.next_value()?;
                    outputs.into_iter().flatten().for_each(|(name, change)| plan.take_output(&name, &change));
                }
                "planned_values" => {
                    has_changes = true;
                    map.next_value::<IgnoredAny>()?;
                }
                "errored" => plan.errored = map.next_value::<Option<bool>>()?.unwrap_or(false),
                "complete" => plan.incomplete = map.next_value::<Option<bool>>()? == Some(false),
                "checks" => map.next_value_seed(Each::new(|check: Check| plan.take_check(&check)))?,
                _ => drop(map.next_value::<IgnoredAny>()?),
            }
        }
        // A state (`show -json` without a plan file) has a format version as well, and would read as "no changes".
        let format = format.filter(|_| has_changes);
        let format = format.ok_or_else(|| serde::de::Error::custom("it holds neither changes nor planned values"))?;
        Ok((plan, format))
    }
}

#[derive(Deserialize)]
struct Resource {
    #[serde(default)]
    address: String,
    previous_address: Option<String>,
    #[serde(default)]
    mode: String,
    deposed: Option<String>,
    action_reason: Option<String>,
    change: RawChange,
}

#[derive(Deserialize)]
struct RawChange {
    actions: Vec<String>,
    #[serde(default)]
    before: Value,
    #[serde(default)]
    after: Value,
    #[serde(default)]
    after_unknown: Value,
    /// Absent in plans that do not know sensitivity: then nothing is shown.
    before_sensitive: Option<Value>,
    after_sensitive: Option<Value>,
    #[serde(default)]
    replace_paths: Vec<Vec<Value>>,
    importing: Option<IgnoredAny>,
}

#[derive(Deserialize)]
struct Check {
    address: Option<CheckAddress>,
    status: Option<String>,
}

#[derive(Deserialize)]
struct CheckAddress {
    to_display: Option<String>,
}

impl Plan {
    fn take(&mut self, resource: Resource) {
        let change = change_of(resource);
        let counts = &mut self.counts;
        match change.action {
            Action::Create => counts.adds += 1,
            Action::Update | Action::Unknown => counts.changes += 1,
            Action::Delete => counts.destroys += 1,
            Action::Replace => {
                counts.adds += 1;
                counts.destroys += 1;
                counts.replaces += 1;
            }
            Action::Forget => counts.forgets += 1,
            Action::Adopt => {}
            Action::Read | Action::None => return,
        }
        counts.imports += u64::from(change.imported);
        counts.moves += u64::from(change.moved_from.is_some());
        self.changes.push(change);
    }

    fn take_drift(&mut self, resource: Resource) {
        let change = change_of(resource);
        // A move without a change is listed as drift, too, and is none.
        if !matches!(change.action, Action::None | Action::Read | Action::Adopt) {
            self.counts.drifted += 1;
            self.drift.push(change);
        }
    }

    fn take_output(&mut self, name: &str, raw: &RawChange) {
        let action = Action::of(&raw.actions);
        if action == Action::None {
            return;
        }
        self.counts.outputs += 1;
        let mut attributes = Bounded::new(1);
        let hidden = is_sensitive(raw.before_sensitive.as_ref()) || is_sensitive(raw.after_sensitive.as_ref());
        let hidden = hidden || speaks_of_a_secret(name);
        attributes.push(Attribute {
            name: String::new(),
            before: shown(&raw.before, hidden),
            after: if is_marked(&raw.after_unknown) { Shown::Unknown } else { shown(&raw.after, hidden) },
            forces_replacement: false,
        });
        let address = shortened(&clean(name), LONGEST_ADDRESS);
        self.outputs.push(Change { address, action, reason: None, moved_from: None, imported: false, attributes });
    }

    fn take_check(&mut self, check: &Check) {
        if matches!(check.status.as_deref(), Some("fail" | "error")) {
            let name = check.address.as_ref().and_then(|address| address.to_display.as_deref()).unwrap_or("(a check)");
            self.failed_checks.push(shortened(&clean(name), LONGEST_ADDRESS));
        }
    }
}

fn change_of(resource: Resource) -> Change {
    let Resource { address, previous_address, mode, deposed, action_reason, change } = resource;
    let imported = change.importing.is_some();
    let moved_from = previous_address.filter(|previous| *previous != address);
    let action = match Action::of(&change.actions) {
        // Data is only ever read.
        _ if mode == "data" => Action::Read,
        Action::None if imported || moved_from.is_some() => Action::Adopt,
        action => action,
    };
    let mut address = shortened(&clean(&address), LONGEST_ADDRESS);
    if let Some(deposed) = deposed {
        address.push_str(&format!(" (deposed {})", shortened(&clean(&deposed), 20)));
    }
    let attributes = match action {
        Action::None | Action::Read => Bounded::new(0),
        _ => attributes(&change),
    };
    let moved_from = moved_from.map(|from| shortened(&clean(&from), LONGEST_ADDRESS));
    let reason = action_reason.map(|reason| shortened(&clean(&reason), 100));
    Change { address, action, reason, moved_from, imported, attributes }
}

#[cfg(test)]
mod tests;
