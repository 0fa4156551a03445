//! Purpose: one message about a run in the forms that chat services take, in which no value can become markup.

use serde_json::{Map, Value, json};

mod forms;

/// The form of a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize, serde::Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "snake_case")]
#[schemars(inline)]
pub enum Form {
    /// Slack's incoming webhooks, and Mattermost's.
    Slack,
    /// Discord's webhooks.
    Discord,
    /// Microsoft Teams' workflows, as an adaptive card.
    Teams,
    /// A plain object for anything else.
    Json,
}

impl Form {
    /// The form that a host takes, when it is known.
    #[must_use]
    pub fn of_host(host: &str) -> Option<Self> {
        let host = host.to_ascii_lowercase();
        let below = |domain: &str| host == domain || host.ends_with(&format!(".{domain}"));
        if below("slack.com") || below("slack-gov.com") {
            Some(Self::Slack)
        } else if below("discord.com") || below("discordapp.com") {
            Some(Self::Discord)
        } else if below("webhook.office.com") || below("logic.azure.com") || below("api.powerplatform.com") {
            Some(Self::Teams)
        } else {
            None
        }
    }
}

/// How what is told of ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Status {
    /// Well.
    Success,
    /// Badly.
    Failure,
    /// By somebody's hand.
    Cancelled,
    /// It did not run.
    Skipped,
    /// In a way that the author named.
    Other(String),
}

impl Status {
    /// Reads a status; GitHub's own words and the usual others.
    #[must_use]
    pub fn of(text: &str) -> Self {
        match text.trim().to_ascii_lowercase().as_str() {
            "success" | "succeeded" | "passed" | "ok" => Self::Success,
            "failure" | "failed" | "error" => Self::Failure,
            "cancelled" | "canceled" => Self::Cancelled,
            "skipped" => Self::Skipped,
            _ => Self::Other(text.trim().to_owned()),
        }
    }

    /// What happened, as the end of a sentence.
    #[must_use]
    pub fn words(&self) -> &str {
        match self {
            Self::Success => "succeeded",
            Self::Failure => "failed",
            Self::Cancelled => "was cancelled",
            Self::Skipped => "was skipped",
            Self::Other(text) => text,
        }
    }

    /// One word for machines.
    #[must_use]
    pub fn word(&self) -> &str {
        match self {
            Self::Success => "success",
            Self::Failure => "failure",
            Self::Cancelled => "cancelled",
            Self::Skipped => "skipped",
            Self::Other(text) => text,
        }
    }

    fn sign(&self) -> &'static str {
        match self {
            Self::Success => "✅",
            Self::Failure => "❌",
            Self::Cancelled => "🚫",
            Self::Skipped => "⏭️",
            Self::Other(_) => "ℹ️",
        }
    }

    /// Red, green, blue.
    fn colour(&self) -> u32 {
        match self {
            Self::Success => 0x002e_a043,
            Self::Failure => 0x00cf_222e,
            Self::Cancelled | Self::Skipped => 0x006e_7781,
            Self::Other(_) => 0x0009_69da,
        }
    }
}

/// A message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Notice {
    /// What it is about.
    pub status: Status,
    /// A few words.
    pub title: String,
    /// More words; may be empty.
    pub text: String,
    /// Page of the run.
    pub url: Option<String>,
    /// Names and values.
    pub fields: Vec<Field>,
    /// When, RFC 3339.
    pub time: String,
}

/// A name and a value, the value perhaps with a page of its own.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Field {
    /// The name.
    pub name: String,
    /// The value.
    pub value: String,
    /// Its page.
    pub url: Option<String>,
}

impl Field {
    /// A field without a page.
    #[must_use]
    pub fn new(name: impl Into<String>, value: impl Into<String>) -> Self {
        Self { name: name.into(), value: value.into(), url: None }
    }

    /// With a page.
    #[must_use]
    pub fn at(self, url: impl Into<String>) -> Self {
        Self { url: Some(url.into()), ..self }
    }
}

impl Notice {
    /// The body to send.
    #[must_use]
    pub fn body(&self, form: Form) -> Value {
        match form {
            Form::Slack => forms::slack(self),
            Form::Discord => forms::discord(self),
            Form::Teams => forms::teams(self),
            Form::Json => self.plain(),
        }
    }

    fn plain(&self) -> Value {
        let fields: Map<String, Value> =
            self.fields.iter().map(|field| (field.name.clone(), Value::String(field.value.clone()))).collect();
        json!({
            "status": self.status.word(),
            "title": self.title,
            "text": self.text,
            "url": self.url,
            "time": self.time,
            "fields": fields,
        })
    }
}

#[cfg(test)]
mod tests;
