//! Purpose: the log lines of a container, from CloudWatch.

use serde_json::{Value, json};

use crate::domain::task_definition::TaskDefinition;
use crate::services::aws::{AwsError, JsonCall, JsonService, Session};
use crate::services::http::Repeat;

/// Where the log of one container of one task is.
#[derive(Debug, Clone)]
pub(crate) struct Stream {
    group: String,
    region: Option<String>,
    stream: String,
}

impl Stream {
    /// The stream of a container, if its log goes to CloudWatch under a name that can be known.
    pub(crate) fn of(definition: &TaskDefinition, container: &str, task: &str) -> Option<Self> {
        let target = definition.containers().find(|known| known.name() == container)?.awslogs()?;
        let stream = target.stream(container, task)?;
        Some(Self { group: target.group, region: target.region, stream })
    }

    /// The last lines.
    pub(crate) async fn tail(&self, session: &Session, lines: u32) -> Result<Vec<String>, AwsError> {
        let body =
            json!({ "logGroupName": self.group, "logStreamName": self.stream, "limit": lines, "startFromHead": false });
        Ok(messages(&self.get(session, &body).await?))
    }

    /// The lines after `token`, from the start without one, and the token to go on with.
    pub(crate) async fn follow(
        &self,
        session: &Session,
        token: Option<&str>,
    ) -> Result<(Vec<String>, Option<String>), AwsError> {
        let mut body = json!({ "logGroupName": self.group, "logStreamName": self.stream, "startFromHead": true });
        if let Some(token) = token {
            body["nextToken"] = token.into();
        }
        let answer = self.get(session, &body).await?;
        Ok((messages(&answer), answer["nextForwardToken"].as_str().map(str::to_owned)))
    }

    async fn get(&self, session: &Session, body: &Value) -> Result<Value, AwsError> {
        let object = format!("log stream {} of {}", self.stream, self.group);
        let call = JsonCall {
            service: JsonService::Logs,
            operation: "GetLogEvents",
            object: &object,
            body,
            repeat: Repeat::Always,
        };
        let region = self.region.as_deref().unwrap_or(session.region());
        session.json_call_in(region, call).await
    }
}

fn messages(answer: &Value) -> Vec<String> {
    let events = answer["events"].as_array().into_iter().flatten();
    events.filter_map(|event| event["message"].as_str().map(|text| text.trim_end().to_owned())).collect()
}
