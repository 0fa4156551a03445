//! Purpose: which attributes of a resource a plan changes, and which of their values may be shown.

use std::fmt;

use serde_json::{Map, Value};

use super::super::{Bounded, clean, shortened};
use super::RawChange;

/// Attributes of one resource that are kept.
const ATTRIBUTES_KEPT: usize = 30;
/// Longest value that is shown, in characters.
const LONGEST_VALUE: usize = 80;
/// Parts of names that speak of secrets.
const SECRET_WORDS: [&str; 12] = [
    "password",
    "passwd",
    "secret",
    "token",
    "private_key",
    "privatekey",
    "credential",
    "connection_string",
    "api_key",
    "apikey",
    "access_key",
    "user_data",
];

/// A value, as far as it may be shown.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Shown {
    /// JSON of one line, cut.
    Value(String),
    /// It is sensitive, or not known to be harmless.
    Hidden,
    /// It is known after apply.
    Unknown,
    /// There is none.
    Absent,
}

impl fmt::Display for Shown {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Value(value) => value,
            Self::Hidden => "(sensitive)",
            Self::Unknown => "(known after apply)",
            Self::Absent => "(none)",
        })
    }
}

/// One attribute that changes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Attribute {
    /// Its name.
    pub name: String,
    /// Its value so far.
    pub before: Shown,
    /// Its value afterwards.
    pub after: Shown,
    /// Whether this attribute is why the resource is replaced.
    pub forces_replacement: bool,
}

/// The attributes that differ. A whole object that comes or goes lists those that it has.
pub(super) fn attributes(change: &RawChange) -> Bounded<Attribute> {
    let empty = Map::new();
    let object = |value: &Value| value.as_object().cloned().unwrap_or_default();
    let (before, after) = (object(&change.before), object(&change.after));
    let unknown = change.after_unknown.as_object().unwrap_or(&empty);
    let mut names: Vec<&String> = before.keys().chain(after.keys()).chain(unknown.keys()).collect();
    names.sort();
    names.dedup();
    let mut found = Bounded::new(ATTRIBUTES_KEPT);
    for name in names {
        let (was, will) = (before.get(name).unwrap_or(&Value::Null), after.get(name).unwrap_or(&Value::Null));
        let is_unknown = unknown.get(name).is_some_and(is_marked);
        if was == will && !is_unknown {
            continue;
        }
        let hidden = speaks_of_a_secret(name)
            || is_sensitive_in(change.before_sensitive.as_ref(), &change.before, name)
            || is_sensitive_in(change.after_sensitive.as_ref(), &change.after, name);
        let at = |path: &Vec<Value>| path.first().and_then(Value::as_str) == Some(name);
        found.push(Attribute {
            name: shortened(&clean(name), 100),
            before: shown(was, hidden),
            // A known part beside an unknown one would read as if it were all.
            after: if is_unknown { Shown::Unknown } else { shown(will, hidden) },
            forces_replacement: change.replace_paths.iter().any(at),
        });
    }
    found
}

pub(super) fn shown(value: &Value, hidden: bool) -> Shown {
    match value {
        Value::Null => Shown::Absent,
        _ if hidden || holds_a_secret(value) => Shown::Hidden,
        value => Shown::Value(shortened(&clean(&value.to_string()).replace('\n', " "), LONGEST_VALUE)),
    }
}

/// Whether an attribute is marked, as a whole or in a part. Without marks, of an object that is there, it counts as
/// marked; an object that is not there has nothing to hide.
fn is_sensitive_in(marks: Option<&Value>, object: &Value, name: &str) -> bool {
    match marks {
        None | Some(Value::Null) => !object.is_null(),
        Some(Value::Object(marks)) => marks.get(name).is_some_and(is_marked),
        Some(mark) => is_marked(mark),
    }
}

pub(super) fn is_sensitive(mark: Option<&Value>) -> bool {
    mark.is_none_or(|mark| mark.is_null() || is_marked(mark))
}

/// Whether a tree of marks holds any `true`.
pub(super) fn is_marked(mark: &Value) -> bool {
    match mark {
        Value::Bool(mark) => *mark,
        Value::Array(marks) => marks.iter().any(is_marked),
        Value::Object(marks) => marks.values().any(is_marked),
        _ => false,
    }
}

pub(super) fn speaks_of_a_secret(name: &str) -> bool {
    let name = name.to_ascii_lowercase().replace('-', "_");
    SECRET_WORDS.iter().any(|word| name.contains(word))
}

/// Whether a key inside a value speaks of a secret, or a text inside it looks like JSON that does: a container
/// definition's environment is one long text.
fn holds_a_secret(value: &Value) -> bool {
    match value {
        Value::Object(map) => map.iter().any(|(key, value)| speaks_of_a_secret(key) || holds_a_secret(value)),
        Value::Array(values) => values.iter().any(holds_a_secret),
        Value::String(text) => text.starts_with(['{', '[', '-']) && speaks_of_a_secret(text),
        _ => false,
    }
}
