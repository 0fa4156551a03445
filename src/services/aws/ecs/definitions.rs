//! Purpose: task definitions, as raw JSON: see `super`.

use aws_sdk_ecs::types as sdk;
use jiff::Timestamp;
use serde_json::{Value, json};

use super::super::{AwsError, Call, JsonCall, JsonService};
use super::Ecs;
use crate::domain::names::TaskDefinitionArn;
use crate::domain::task_definition::TaskDefinition;
use crate::services::http::{Repeat, RetryPolicy};
use crate::services::{Classified as _, ErrorClass};

/// A revision of a task definition, as ECS holds it.
#[derive(Debug, Clone)]
pub struct Revision {
    /// Its ARN.
    pub arn: TaskDefinitionArn,
    /// `ACTIVE`, `INACTIVE` or `DELETE_IN_PROGRESS`.
    pub status: String,
    /// Its content.
    pub definition: TaskDefinition,
    /// When it was registered, in seconds since the epoch.
    pub registered_at: Option<Timestamp>,
}

impl Ecs {
    /// A revision by family (its latest ACTIVE one), `family:revision` or ARN; nothing when there is none.
    ///
    /// # Errors
    /// [`AwsError`], an answer that is no task definition included.
    pub async fn revision(&self, name: &str) -> Result<Option<Revision>, AwsError> {
        let object = format!("task definition {name}");
        let body = json!({ "taskDefinition": name, "include": ["TAGS"] });
        let answer = self.json("DescribeTaskDefinition", &object, &body, Repeat::Always).await;
        match answer {
            Ok(answer) => revision_of(answer, "DescribeTaskDefinition", &object).map(Some),
            Err(error) if is_missing_definition(&error) => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Registers a revision, once: when it is unknown whether a try took effect, the family is looked at first.
    ///
    /// # Errors
    /// [`AwsError`]; nothing is registered when ECS refuses the definition.
    pub async fn register(&self, definition: &TaskDefinition) -> Result<Revision, AwsError> {
        let object = format!("family {}", definition.family());
        let body = definition.to_value();
        let policy = RetryPolicy::default();
        let mut wait = policy.first_wait;
        for attempt in 1.. {
            let error = match self.json("RegisterTaskDefinition", &object, &body, Repeat::IfWithoutEffect).await {
                Ok(answer) => return revision_of(answer, "RegisterTaskDefinition", &object),
                Err(error) => error,
            };
            if error.had_no_effect() || error.class() != ErrorClass::Unavailable || attempt >= policy.attempts {
                return Err(error);
            }
            tokio::time::sleep(wait).await;
            wait = (wait * 2).min(policy.longest_wait);
            if let Some(latest) = self.revision(definition.family()).await?
                && latest.definition.is_same_as(definition)
            {
                return Ok(latest);
            }
        }
        Err(AwsError::Malformed { call: Call::new("ecs", "RegisterTaskDefinition", object), expected: "a revision" })
    }

    /// Makes a revision INACTIVE.
    ///
    /// # Errors
    /// [`AwsError`].
    pub async fn deregister(&self, arn: &TaskDefinitionArn) -> Result<(), AwsError> {
        let call = Call::new("ecs", "DeregisterTaskDefinition", format!("task definition {arn}"));
        let request = || self.client.deregister_task_definition().task_definition(arn.as_str()).send();
        self.session.send(Repeat::Always, &call, request).await.map(drop)
    }

    /// The ACTIVE revisions of a family, the newest first.
    ///
    /// # Errors
    /// [`AwsError`].
    pub async fn revisions(&self, family: &str) -> Result<Vec<TaskDefinitionArn>, AwsError> {
        let call = Call::new("ecs", "ListTaskDefinitions", format!("family {family}"));
        let mut found = Vec::new();
        let mut token: Option<String> = None;
        loop {
            let request = || {
                let request =
                    self.client.list_task_definitions().family_prefix(family).status(sdk::TaskDefinitionStatus::Active);
                request.sort(sdk::SortOrder::Desc).set_next_token(token.clone()).send()
            };
            let answer = self.session.send(Repeat::Always, &call, request).await?;
            found.extend(
                answer
                    .task_definition_arns
                    .into_iter()
                    .flatten()
                    .filter_map(|arn| arn.parse::<TaskDefinitionArn>().ok()),
            );
            token = answer.next_token;
            if token.is_none() {
                break;
            }
        }
        // A prefix, says the API: `web` finds `web-admin` too.
        found.retain(|arn| arn.family() == family);
        found.sort_by_key(|arn| std::cmp::Reverse(arn.revision()));
        Ok(found)
    }

    async fn json(
        &self,
        operation: &'static str,
        object: &str,
        body: &Value,
        repeat: Repeat,
    ) -> Result<Value, AwsError> {
        self.session.json_call(JsonCall { service: JsonService::Ecs, operation, object, body, repeat }).await
    }
}

/// ECS says "not found" of a task definition with its general exception and these words.
fn is_missing_definition(error: &AwsError) -> bool {
    error.code() == Some("ClientException")
        && error
            .message()
            .is_some_and(|message| message.to_ascii_lowercase().contains("unable to describe task definition"))
}

fn revision_of(answer: Value, operation: &'static str, object: &str) -> Result<Revision, AwsError> {
    let malformed = |expected| AwsError::Malformed { call: Call::new("ecs", operation, object), expected };
    let held = answer.get("taskDefinition").ok_or_else(|| malformed("a task definition"))?;
    let text = |key: &str| held.get(key).and_then(Value::as_str);
    let arn = text("taskDefinitionArn")
        .and_then(|arn| arn.parse().ok())
        .ok_or_else(|| malformed("the task definition's ARN"))?;
    let status = text("status").unwrap_or("ACTIVE").to_owned();
    let registered_at = held.get("registeredAt").and_then(Value::as_f64).and_then(seconds);
    let definition = TaskDefinition::of_answer(answer).map_err(|_| malformed("a usable task definition"))?;
    Ok(Revision { arn, status, definition, registered_at })
}

#[expect(clippy::cast_possible_truncation, reason = "milliseconds of this era fit")]
fn seconds(seconds: f64) -> Option<Timestamp> {
    Timestamp::from_millisecond((seconds * 1000.0) as i64).ok()
}
