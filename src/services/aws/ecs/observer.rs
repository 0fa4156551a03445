//! Purpose: asks ECS what the machine of a rollout wants to know, and gives it answers that it understands.

use std::collections::{BTreeMap, HashSet};
use std::time::Duration;

use jiff::Timestamp;

use super::super::AwsError;
use super::{DesiredStatus, Ecs, Together};
use crate::domain::ecs::Service;
use crate::domain::rollout::{Answer, Listed, Question, Trouble, TroubleKind};
use crate::services::{Classified as _, ErrorClass, with_causes};

/// Longest time for one answer, retries included: what takes longer counts as no answer, and the next question comes.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(20);

/// Asks about one service; remembers what it was told, so that nothing is asked twice.
pub struct Observer {
    ecs: Ecs,
    service: String,
    since: Option<Timestamp>,
    last: Option<Service>,
    revisions: BTreeMap<String, String>,
    told: HashSet<String>,
    together: Option<Together>,
}

impl Observer {
    /// Asks about the service of this ARN; lists deployments created after `since` only.
    #[must_use]
    pub fn new(ecs: &Ecs, service: &str, since: Option<Timestamp>) -> Self {
        Self {
            ecs: ecs.clone(),
            service: service.to_owned(),
            since,
            last: None,
            revisions: BTreeMap::new(),
            told: HashSet::new(),
            together: None,
        }
    }

    /// The same beside others, with whom it looks at services at once.
    #[must_use]
    pub fn among(self, together: &Together) -> Self {
        Self { together: Some(together.clone()), ..self }
    }

    /// The service as last seen.
    #[must_use]
    pub fn service(&self) -> Option<&Service> {
        self.last.as_ref()
    }

    /// The time before which nothing is listed.
    #[must_use]
    pub fn since(&self) -> Option<Timestamp> {
        self.since
    }

    /// Asks; trouble is an answer, too.
    pub async fn answer(&mut self, question: &Question) -> Answer {
        match tokio::time::timeout(ANSWER_TIMEOUT, self.ask(question)).await {
            Ok(Ok(answer)) => answer,
            Ok(Err(error)) => trouble(question, &error),
            Err(_) => {
                let message = format!("no answer within {} s", ANSWER_TIMEOUT.as_secs());
                Answer::Trouble(Trouble { kind: TroubleKind::Unavailable, message })
            }
        }
    }

    async fn ask(&mut self, question: &Question) -> Result<Answer, AwsError> {
        Ok(match question {
            Question::Deployments => Answer::Deployments(self.listing().await?),
            Question::Deployment(arn) => {
                let found = self.ecs.describe_deployments(std::slice::from_ref(arn)).await?;
                Answer::Deployment(found.into_iter().next().map(Box::new))
            }
            Question::Service => {
                let found = match &self.together {
                    Some(together) => together.service(&self.service).await?,
                    None => self.ecs.service(&self.service).await?.map(|found| found.service),
                };
                self.last.clone_from(&found);
                Answer::Service(found.map(Box::new))
            }
            Question::StoppedTasks => {
                let mut arns = self.ecs.tasks(&self.service, DesiredStatus::Stopped).await?;
                arns.retain(|arn| !self.told.contains(arn));
                let tasks = self.ecs.describe_tasks(&arns).await?;
                // One on its way to its end is looked at again: its last words may be missing.
                let ended = tasks.iter().filter(|task| task.is_stopped());
                self.told.extend(ended.map(|task| task.arn.clone()));
                Answer::StoppedTasks(tasks)
            }
        })
    }

    async fn listing(&mut self) -> Result<Vec<Listed>, AwsError> {
        let deployments = self.ecs.deployments(&self.service, self.since).await?;
        let targets = deployments.iter().filter_map(|deployment| deployment.target_revision.clone());
        let mut unread: Vec<String> = targets.filter(|revision| !self.revisions.contains_key(revision)).collect();
        unread.dedup();
        if !unread.is_empty() {
            self.revisions.extend(self.ecs.task_definitions_of(&unread).await?);
        }
        let listed = deployments.into_iter().map(|deployment| {
            let task_definition =
                deployment.target_revision.as_ref().and_then(|revision| self.revisions.get(revision)).cloned();
            Listed { deployment, task_definition }
        });
        Ok(listed.collect())
    }
}

fn trouble(question: &Question, error: &AwsError) -> Answer {
    let gone = error.class() == ErrorClass::NotFound && !error.is_unknown_operation();
    match question {
        Question::Service if gone => Answer::Service(None),
        Question::Deployment(_) if gone => Answer::Deployment(None),
        _ => Answer::Trouble(Trouble { kind: trouble_kind(error), message: with_causes(error) }),
    }
}

/// What an error means for the question that raised it.
#[must_use]
pub fn trouble_kind(error: &AwsError) -> TroubleKind {
    match (error, error.class()) {
        (_, ErrorClass::RateLimited | ErrorClass::Unavailable) if !error.is_unknown_operation() => {
            TroubleKind::Unavailable
        }
        // Whatever is wrong with the credentials themselves is wrong for every question.
        (AwsError::Role(_) | AwsError::NoCredentials | AwsError::BadCredentials(_), _)
        | (_, ErrorClass::Unauthenticated) => TroubleKind::Unauthenticated,
        (_, ErrorClass::Forbidden) => TroubleKind::Denied,
        _ => TroubleKind::UnknownQuestion,
    }
}
