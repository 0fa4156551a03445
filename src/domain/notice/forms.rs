//! Purpose: the bodies that Slack, Discord and Teams take, within their limits.

use serde_json::{Value, json};

use super::{Field, Notice};

/// A text without control characters, cut at `longest` characters.
fn plain(text: &str, longest: usize) -> String {
    let clean: String = text.chars().filter(|c| *c == '\n' || !c.is_control()).collect();
    match clean.char_indices().nth(longest) {
        Some((end, _)) => {
            let cut: String = clean[..end].chars().take(longest.saturating_sub(1)).collect();
            format!("{cut}…")
        }
        None => clean,
    }
}

/// Slack: three characters are special; escaped, no mention and no link can be written (Slack documentation,
/// "formatting text for app surfaces").
fn mrkdwn(text: &str, longest: usize) -> String {
    plain(text, longest).replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}

fn slack_link(text: &str, url: Option<&str>) -> String {
    match url.filter(|url| is_web(url)) {
        Some(url) => format!("<{}|{}>", url.replace('|', "%7C"), text.replace('|', "¦")),
        None => text.to_owned(),
    }
}

fn is_web(url: &str) -> bool {
    (url.starts_with("https://") || url.starts_with("http://"))
        && !url.contains(|c: char| c.is_whitespace() || "<>".contains(c))
}

/// Slack: a fallback text for notifications, blocks in an attachment for the colour. A section takes 3,000 characters
/// and ten fields of 2,000.
pub(super) fn slack(notice: &Notice) -> Value {
    let title = format!("{} {}", notice.status.sign(), mrkdwn(&notice.title, 500));
    let head = slack_link(&title, notice.url.as_deref());
    let mut blocks = vec![section(&format!("*{head}*"))];
    if !notice.text.trim().is_empty() {
        // Escaping may lengthen a text by a factor of five.
        blocks.push(section(&mrkdwn(&notice.text, 590)));
    }
    for fields in notice.fields.chunks(10).take(4) {
        let fields: Vec<Value> = fields.iter().map(slack_field).collect();
        blocks.push(json!({ "type": "section", "fields": fields }));
    }
    json!({
        "text": title,
        "attachments": [{ "color": format!("#{:06x}", notice.status.colour()), "fallback": title, "blocks": blocks }],
    })
}

fn section(text: &str) -> Value {
    json!({ "type": "section", "text": { "type": "mrkdwn", "text": text } })
}

fn slack_field(field: &Field) -> Value {
    let value = slack_link(&mrkdwn(&field.value, 300), field.url.as_deref());
    json!({ "type": "mrkdwn", "text": format!("*{}*\n{value}", mrkdwn(&field.name, 60)) })
}

/// Discord: one embed; a title of 256, a description of 4,096, 25 fields of 256 and 1,024, 6,000 characters in all.
/// Nobody is mentioned, whatever the text says.
pub(super) fn discord(notice: &Notice) -> Value {
    let fields: Vec<Value> = notice
        .fields
        .iter()
        .take(10)
        .map(|field| {
            let value = discord_text(&field.value, 100);
            let value = match field.url.as_deref().filter(|url| is_web(url) && !url.contains(')')) {
                Some(url) => format!("[{value}]({url})"),
                None => value,
            };
            let value = if value.trim().is_empty() { "–".to_owned() } else { value };
            json!({ "name": plain(&field.name, 60), "value": value, "inline": true })
        })
        .collect();
    let mut embed = json!({
        "title": plain(&format!("{} {}", notice.status.sign(), notice.title), 250),
        "color": notice.status.colour(),
        "fields": fields,
        "timestamp": notice.time,
    });
    if !notice.text.trim().is_empty() {
        embed["description"] = json!(discord_text(&notice.text, 750));
    }
    if let Some(url) = notice.url.as_deref().filter(|url| is_web(url)) {
        embed["url"] = json!(url);
    }
    json!({ "embeds": [embed], "allowed_mentions": { "parse": [] } })
}

/// Discord's Markdown, escaped; the characters of links and of mentions among them.
fn discord_text(text: &str, longest: usize) -> String {
    escaped(&plain(text, longest), "\\*_~`|>[]()<#@")
}

/// Teams: an adaptive card. Its texts take a small Markdown; links and emphasis are escaped.
pub(super) fn teams(notice: &Notice) -> Value {
    let text = |text: &str, longest| escaped(&plain(text, longest), "\\*_[]()~`");
    let colour = match notice.status {
        super::Status::Success => "Good",
        super::Status::Failure => "Attention",
        super::Status::Cancelled | super::Status::Skipped => "Warning",
        super::Status::Other(_) => "Accent",
    };
    let mut body = vec![json!({
        "type": "TextBlock", "size": "Large", "weight": "Bolder", "wrap": true, "color": colour,
        "text": format!("{} {}", notice.status.sign(), text(&notice.title, 300)),
    })];
    if !notice.text.trim().is_empty() {
        body.push(json!({ "type": "TextBlock", "wrap": true, "text": text(&notice.text, 1000) }));
    }
    let facts: Vec<Value> = notice
        .fields
        .iter()
        .take(15)
        .map(|field| {
            let value = text(&field.value, 200);
            let value = match field.url.as_deref().filter(|url| is_web(url) && !url.contains(')')) {
                Some(url) => format!("[{value}]({url})"),
                None => value,
            };
            json!({ "title": plain(&field.name, 60), "value": value })
        })
        .collect();
    if !facts.is_empty() {
        body.push(json!({ "type": "FactSet", "facts": facts }));
    }
    let mut card = json!({
        "$schema": "http://adaptivecards.io/schemas/adaptive-card.json",
        "type": "AdaptiveCard",
        "version": "1.4",
        "msteams": { "width": "Full" },
        "body": body,
    });
    if let Some(url) = notice.url.as_deref().filter(|url| is_web(url)) {
        card["actions"] = json!([{ "type": "Action.OpenUrl", "title": "Open the run", "url": url }]);
    }
    json!({
        "type": "message",
        "attachments": [{ "contentType": "application/vnd.microsoft.card.adaptive", "contentUrl": null, "content": card }],
    })
}

fn escaped(text: &str, special: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        if special.contains(c) {
            out.push('\\');
        }
        out.push(c);
    }
    out
}
