//! Purpose: what a registration changes, one line per setting, with secret values hidden.

use std::collections::BTreeMap;
use std::fmt;

use serde_json::Value;

use super::canonical::Canonical;

/// A value as it may be shown.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
#[serde(untagged)]
pub enum Shown {
    /// Shown as it is.
    Plain(String),
    /// Looks secret: that it is there may be shown, what it is may not.
    Hidden,
}

impl fmt::Display for Shown {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Plain(text) => f.write_str(text),
            Self::Hidden => f.write_str("(hidden)"),
        }
    }
}

/// One setting that differs.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct Change {
    /// `web: environment.LOG_LEVEL` or `task: cpu`.
    pub setting: String,
    /// The value before, if there was one.
    pub before: Option<Shown>,
    /// The value after, if there is one.
    pub after: Option<Shown>,
}

impl fmt::Display for Change {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (&self.before, &self.after) {
            (Some(before), Some(after)) => write!(f, "~ {}: {before} → {after}", self.setting),
            (None, Some(after)) => write!(f, "+ {}: {after}", self.setting),
            (Some(before), None) => write!(f, "- {}: {before}", self.setting),
            (None, None) => Ok(()),
        }
    }
}

/// The settings that differ, sorted.
pub(super) fn between(before: &Canonical, after: &Canonical) -> Vec<Change> {
    let (before, after) = (flattened(before), flattened(after));
    let mut settings: Vec<&String> = before.keys().chain(after.keys()).collect();
    settings.sort();
    settings.dedup();
    settings
        .into_iter()
        .filter(|setting| before.get(*setting) != after.get(*setting))
        .map(|setting| {
            let shown = |side: &Leaves| side.get(setting).map(|value| shown(setting, value));
            Change { setting: setting.clone(), before: shown(&before), after: shown(&after) }
        })
        .collect()
}

type Leaves = BTreeMap<String, String>;

fn flattened(form: &Canonical) -> Leaves {
    let mut leaves = Leaves::new();
    for (key, value) in form.as_object().into_iter().flatten() {
        match value {
            Value::Object(containers) if key == "containerDefinitions" => {
                for (name, container) in containers {
                    inside(&format!("{name}: "), container, &mut leaves);
                }
            }
            value => collect("task: ", key, value, &mut leaves),
        }
    }
    leaves
}

fn inside(prefix: &str, object: &Value, leaves: &mut Leaves) {
    for (key, value) in object.as_object().into_iter().flatten() {
        collect(prefix, key, value, leaves);
    }
}

fn collect(prefix: &str, key: &str, value: &Value, leaves: &mut Leaves) {
    let path = format!("{prefix}{key}");
    let Value::Object(object) = value else {
        leaves.insert(path, text(value));
        return;
    };
    // Lists of name and value: the map's key is the name already, so an entry is one setting.
    let member = match key {
        "environment" | "tags" | "properties" => "value",
        "secrets" | "secretOptions" => "valueFrom",
        _ => return inside(&format!("{path}."), value, leaves),
    };
    for (name, entry) in object {
        leaves.insert(format!("{path}.{name}"), entry.get(member).map(text).unwrap_or_default());
    }
}

fn text(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}

fn shown(setting: &str, value: &str) -> Shown {
    const FREE: &[&str] =
        &["environment.", "dockerLabels.", "tags.", "logConfiguration.options.", "firelensConfiguration.options."];
    let path = setting.split_once(": ").map_or(setting, |(_, path)| path);
    let hidden = if path == "command" || path == "entryPoint" || path.starts_with("healthCheck.") {
        value.split(['"', ' ', '=', ',']).any(is_secret_value)
    } else {
        let name = FREE.iter().find_map(|prefix| path.strip_prefix(prefix));
        name.is_some_and(|name| is_secret_name(name) || is_secret_value(value))
    };
    if hidden { Shown::Hidden } else { Shown::Plain(value.to_owned()) }
}

/// Names under which people keep secrets in plain environment variables.
fn is_secret_name(name: &str) -> bool {
    const PARTS: &[&str] = &[
        "PASSWORD",
        "PASSWD",
        "PASSPHRASE",
        "PWD",
        "SECRET",
        "TOKEN",
        "CREDENTIAL",
        "APIKEY",
        "PRIVATE",
        "SIGNING",
        "DSN",
        "CONNECTION_STRING",
        "CONNECTIONSTRING",
        "DATABASE_URL",
        "WEBHOOK",
        "AUTH",
        "SALT",
        "CERT",
        "JWT",
    ];
    let name = name.to_ascii_uppercase().replace('-', "_");
    PARTS.iter().any(|part| name.contains(part)) || name.ends_with("_KEY") || name == "KEY"
}

/// Values that give themselves away: credentials in a URL, PEM, well-known token prefixes, long random texts.
fn is_secret_value(value: &str) -> bool {
    const PREFIXES: &[&str] = &[
        "-----BEGIN",
        "AKIA",
        "ASIA",
        "ghp_",
        "gho_",
        "ghs_",
        "github_pat_",
        "xoxb-",
        "xoxp-",
        "sk_live_",
        "sk-",
        "eyJ",
        "glpat-",
    ];
    let in_url = value
        .split_once("://")
        .is_some_and(|(_, rest)| rest.split(['/', '?', '#']).next().is_some_and(|authority| authority.contains('@')));
    in_url || PREFIXES.iter().any(|prefix| value.starts_with(prefix)) || is_random(value)
}

/// A long text of digits and letters in no readable order. A commit id or a digest is none: it is hexadecimal.
fn is_random(value: &str) -> bool {
    let random = |c: char| c.is_ascii_alphanumeric() || "+/=_-".contains(c);
    let hex = value.chars().all(|c| c.is_ascii_hexdigit());
    let has = |class: fn(&char) -> bool| value.chars().any(|c| class(&c));
    value.len() >= 32
        && value.chars().all(random)
        && !(hex && matches!(value.len(), 40 | 64))
        && !value.starts_with('/')
        && has(char::is_ascii_digit)
        && has(char::is_ascii_alphabetic)
}
