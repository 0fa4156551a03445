//! Purpose: CloudWatch Logs: groups, streams and their events.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::aws::{Answer, AwsError, page, text};
use super::clock::Moment;
use super::ecs::present;
use super::state::State;

/// All log groups.
#[derive(Debug, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Logs {
    /// Streams by group, lines by stream.
    pub groups: BTreeMap<String, BTreeMap<String, Vec<Line>>>,
}

/// One log event.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Line {
    pub at: Moment,
    pub message: String,
}

impl Logs {
    /// Makes a group.
    pub fn group(&mut self, name: &str) {
        self.groups.entry(name.to_owned()).or_default();
    }

    /// Adds a line; lost when the group does not exist and is not to be made.
    pub fn append(&mut self, group: &str, stream: &str, at: Moment, message: &str, create: bool) {
        if create {
            self.group(group);
        }
        if let Some(streams) = self.groups.get_mut(group) {
            streams.entry(stream.to_owned()).or_default().push(Line { at, message: message.to_owned() });
        }
    }
}

/// One operation; none when it is not known.
pub fn handle(state: &mut State, operation: &str, body: &Value) -> Option<Answer> {
    Some(match operation {
        "DescribeLogGroups" => Ok(describe_groups(state, body)),
        "GetLogEvents" => get_events(state, body),
        _ => return None,
    })
}

fn describe_groups(state: &State, body: &Value) -> Value {
    let prefix = text(body, "logGroupNamePrefix").unwrap_or_default();
    let all: Vec<Value> = state.logs.groups.keys().filter(|name| name.starts_with(prefix)).map(|name| {
        json!({ "logGroupName": name, "arn": state.aws.arn("logs", &format!("log-group:{name}:*")), "creationTime": 0 })
    }).collect();
    let (items, next) = page(&all, body, 50);
    present(json!({ "logGroups": items, "nextToken": next }))
}

/// Forward tokens are `f/<offset>`; the same token comes back at the end, as the real service does it.
fn get_events(state: &State, body: &Value) -> Answer {
    let missing =
        |what: &str| AwsError::new("ResourceNotFoundException", format!("The specified log {what} does not exist."));
    let streams =
        state.logs.groups.get(text(body, "logGroupName").unwrap_or_default()).ok_or_else(|| missing("group"))?;
    let lines = streams.get(text(body, "logStreamName").unwrap_or_default()).ok_or_else(|| missing("stream"))?;
    let limit = body["limit"].as_u64().and_then(|n| usize::try_from(n).ok()).unwrap_or(10_000);
    let head = body["startFromHead"] == json!(true);
    let start = match text(body, "nextToken").and_then(|token| token.strip_prefix("f/")?.parse().ok()) {
        Some(offset) => lines.len().min(offset),
        None if head => 0,
        None => lines.len().saturating_sub(limit),
    };
    let end = lines.len().min(start + limit);
    let events: Vec<Value> = lines[start..end].iter().map(|line| {
        json!({ "timestamp": line.at.as_millisecond(), "ingestionTime": line.at.as_millisecond(), "message": line.message })
    }).collect();
    Ok(json!({ "events": events, "nextForwardToken": format!("f/{end}"), "nextBackwardToken": format!("b/{start}") }))
}
