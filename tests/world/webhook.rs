//! Purpose: chat services that take messages by webhook, as strict as the real ones about their form.

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::http::{Reply, Request, Skin};
use super::state::State;

/// Messages that were taken.
#[derive(Debug, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Webhooks {
    pub messages: Vec<Message>,
    /// Somebody revoked the webhooks.
    pub revoked: bool,
}

/// One message.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Message {
    pub service: String,
    pub body: Value,
}

/// `POST /services/…` (Slack), `/api/webhooks/…` (Discord), `/workflows/…` (Teams), `/hook/…` (anything).
pub fn handle(state: &mut State, request: &Request) -> Reply {
    let segments = request.segments();
    let service = match segments.first().map(String::as_str) {
        Some("services") => "slack",
        Some("api") => "discord",
        Some("workflows") => "teams",
        Some("hook") => "json",
        _ => return Reply::unknown(request),
    };
    if request.method.as_str() != "POST" {
        return Reply::unknown(request);
    }
    if state.webhooks.revoked {
        return match service {
            "discord" => Reply::json(404, &json!({ "message": "Unknown Webhook", "code": 10015 })),
            _ => Reply::bytes(404, "text/plain", "no_service"),
        };
    }
    let body = request.json();
    let wrong = match service {
        "slack" => slack(&body),
        "discord" => discord(&body),
        "teams" => teams(&body),
        _ => (!body.is_object()).then_some("not an object"),
    };
    if let Some(wrong) = wrong {
        return Reply::bytes(400, "text/plain", wrong);
    }
    state.wrote(Skin::Webhook, service);
    state.webhooks.messages.push(Message { service: service.to_owned(), body });
    match service {
        "discord" => Reply::empty(204),
        "teams" => Reply::empty(202),
        _ => Reply::bytes(200, "text/plain", "ok"),
    }
}

fn slack(body: &Value) -> Option<&'static str> {
    let attachments = body["attachments"].as_array().cloned().unwrap_or_default();
    let blocks: Vec<Value> =
        attachments.iter().flat_map(|entry| entry["blocks"].as_array().cloned().unwrap_or_default()).collect();
    let long = |text: &Value, limit| text.as_str().unwrap_or_default().chars().count() > limit;
    if body["text"].as_str().is_none_or(str::is_empty) && blocks.is_empty() {
        return Some("no_text");
    }
    let fields = |block: &Value| block["fields"].as_array().cloned().unwrap_or_default();
    let bad = blocks.iter().any(|block| {
        long(&block["text"]["text"], 3000)
            || fields(block).len() > 10
            || fields(block).iter().any(|field| long(&field["text"], 2000))
    });
    (bad || blocks.len() > 50).then_some("invalid_blocks")
}

fn discord(body: &Value) -> Option<&'static str> {
    let embeds = body["embeds"].as_array().cloned().unwrap_or_default();
    if embeds.is_empty() && body["content"].as_str().is_none_or(str::is_empty) {
        return Some("{\"message\": \"Cannot send an empty message\", \"code\": 50006}");
    }
    let empty = |field: &Value| ["name", "value"].iter().any(|key| field[key].as_str().is_none_or(str::is_empty));
    let bad = embeds
        .iter()
        .any(|embed| embed["fields"].as_array().is_some_and(|fields| fields.len() > 25 || fields.iter().any(empty)));
    bad.then_some("{\"embeds\": [\"0\"]}")
}

fn teams(body: &Value) -> Option<&'static str> {
    let card = &body["attachments"][0];
    let fits = body["type"] == "message"
        && card["contentType"] == "application/vnd.microsoft.card.adaptive"
        && card["content"]["type"] == "AdaptiveCard"
        && card["content"]["body"].is_array();
    (!fits).then_some("Bad payload received by generic incoming webhook.")
}
