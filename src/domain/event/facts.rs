//! Purpose: who and what is behind an event: its sender, a comment, the inputs of a dispatch.

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde_json::Value;

/// An account as a payload shows it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Actor {
    /// Login.
    pub login: String,
    /// Whether it is a program.
    pub is_bot: bool,
}

impl Actor {
    /// The account at a place of a payload.
    pub(super) fn at(payload: &Value, pointer: &str) -> Option<Self> {
        let account = payload.pointer(pointer)?;
        let login = account.pointer("/login")?.as_str().filter(|login| !login.is_empty())?;
        let kind = account.pointer("/type").and_then(Value::as_str);
        Some(Self { login: login.to_owned(), is_bot: kind == Some("Bot") || login.ends_with("[bot]") })
    }
}

/// A comment that an event is about.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CommentFacts {
    /// Its id.
    pub id: u64,
    /// Its text, as anybody may have written it.
    pub body: String,
    /// Who wrote it.
    pub author: Actor,
    /// When it was written, by GitHub's clock, to the second.
    pub created_at: Option<Timestamp>,
}

impl CommentFacts {
    /// The payload's comment; without an author or an id it is none that can be used.
    pub(super) fn of(payload: &Value) -> Option<Self> {
        let text = |pointer| payload.pointer(pointer).and_then(Value::as_str);
        Some(Self {
            id: payload.pointer("/comment/id")?.as_u64()?,
            body: text("/comment/body").unwrap_or_default().to_owned(),
            author: Actor::at(payload, "/comment/user")?,
            created_at: text("/comment/created_at").and_then(|text| text.parse().ok()),
        })
    }
}

/// Inputs of a dispatch by hand, or the texts, numbers and booleans at the top of a dispatched payload.
pub(super) fn inputs(payload: &Value) -> BTreeMap<String, String> {
    let found = payload.get("inputs").or_else(|| payload.get("client_payload")).and_then(Value::as_object);
    let scalar = |value: &Value| match value {
        Value::String(text) => Some(text.clone()),
        Value::Number(number) => Some(number.to_string()),
        Value::Bool(flag) => Some(flag.to_string()),
        _ => None,
    };
    let pairs = found.into_iter().flatten().filter_map(|(name, value)| Some((name.clone(), scalar(value)?)));
    pairs.collect()
}
