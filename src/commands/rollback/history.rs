//! Purpose: which revisions of a service's family there are, which of them were deployed, and which of them run.

use std::collections::BTreeMap;

use futures_util::stream::{self, StreamExt as _, TryStreamExt as _};
use jiff::Timestamp;
use serde::Serialize;

use crate::commands::ecs::short;
use crate::domain::ecs::{DeploymentStatus, Service, ServiceDeployment};
use crate::domain::names::TaskDefinitionArn;
use crate::services::aws::AwsError;
use crate::services::aws::ecs::{Ecs, Revision};

/// Revisions that are read at the same time: well below the rate at which ECS throttles.
const AT_ONCE: usize = 4;

/// A revision as it is listed.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub(super) struct Listed {
    pub(super) service: String,
    pub(super) revision: u32,
    pub(super) arn: String,
    /// Its images, joined by commas.
    pub(super) image: String,
    pub(super) registered_at: Option<String>,
    pub(super) status: String,
    /// When a deployment of it last succeeded; absent when none did, or ECS has forgotten it (90 days).
    pub(super) deployed_at: Option<String>,
    /// Tasks of the service that run it.
    pub(super) running: i32,
    /// Whether the service is set to it.
    pub(super) current: bool,
}

/// Deployments that succeeded, the newest first: what each brought, and when it was done.
#[derive(Debug, Clone, Default)]
pub(super) struct History(Vec<(String, Option<Timestamp>)>);

impl History {
    /// Reads ECS's memory of a service.
    pub(super) async fn read(ecs: &Ecs, service: &str) -> Result<Self, AwsError> {
        let deployments = ecs.successful_deployments(service).await?;
        let mut revisions: Vec<String> =
            deployments.iter().filter_map(|deployment| deployment.target_revision.clone()).collect();
        revisions.sort();
        revisions.dedup();
        let brought = ecs.task_definitions_of(&revisions).await?;
        Ok(Self::of(&deployments, &brought))
    }

    fn of(deployments: &[ServiceDeployment], brought: &BTreeMap<String, String>) -> Self {
        let succeeded = deployments.iter().filter(|deployment| deployment.status == DeploymentStatus::Successful);
        let entries = succeeded.filter_map(|deployment| {
            let definition = brought.get(deployment.target_revision.as_ref()?)?;
            Some((definition.clone(), deployment.finished_at.or(deployment.created_at)))
        });
        Self(entries.collect())
    }

    /// The last one that brought something else than `current`.
    pub(super) fn previous(&self, current: &str) -> Option<&str> {
        self.0.iter().map(|(definition, _)| definition.as_str()).find(|definition| *definition != current)
    }

    /// When a revision's deployment last succeeded.
    pub(super) fn deployed_at(&self, definition: &str) -> Option<Timestamp> {
        self.0.iter().find(|(known, _)| known == definition).and_then(|(_, at)| *at)
    }

    /// What was deployed of a family, each once.
    fn of_family(&self, family: &str) -> impl Iterator<Item = TaskDefinitionArn> {
        let arns = self.0.iter().filter_map(|(definition, _)| definition.parse::<TaskDefinitionArn>().ok());
        arns.filter(move |arn| arn.family() == family)
    }
}

/// The newest `count` revisions of the family: those that are ACTIVE, and those that were deployed whatever they are.
pub(super) async fn list(
    ecs: &Ecs,
    service: &Service,
    history: &History,
    count: usize,
) -> Result<Vec<Listed>, AwsError> {
    let Ok(current) = service.task_definition.parse::<TaskDefinitionArn>() else {
        return Ok(Vec::new());
    };
    let mut arns = ecs.revisions(current.family()).await?;
    arns.extend(history.of_family(current.family()).chain([current.clone()]));
    arns.sort_by_key(|arn| std::cmp::Reverse(arn.revision()));
    arns.dedup_by_key(|arn| arn.revision());
    arns.truncate(count);
    let read = stream::iter(arns.into_iter().map(async |arn| ecs.revision(arn.as_str()).await));
    let revisions: Vec<Option<Revision>> = read.buffered(AT_ONCE).try_collect().await?;
    Ok(revisions.iter().flatten().map(|revision| listed(service, history, revision)).collect())
}

/// One revision with what is known of it.
pub(super) fn listed(service: &Service, history: &History, revision: &Revision) -> Listed {
    let arn = revision.arn.as_str();
    let images: Vec<&str> = revision.definition.containers().filter_map(|container| container.image()).collect();
    let of_it = service.deployments.iter().filter(|deployment| deployment.task_definition == arn);
    let second = |at: Timestamp| format!("{at:.0}");
    Listed {
        service: service.name.clone(),
        revision: revision.arn.revision(),
        arn: arn.to_owned(),
        image: images.join(", "),
        registered_at: revision.registered_at.map(second),
        status: revision.status.clone(),
        deployed_at: history.deployed_at(arn).map(second),
        running: of_it.map(|deployment| deployment.running).sum(),
        current: service.task_definition == arn,
    }
}

/// A line of the log.
pub(super) fn line(listed: &Listed) -> String {
    let deployed = listed
        .deployed_at
        .as_ref()
        .map_or_else(|| "not known to be deployed".to_owned(), |at| format!("deployed {at}"));
    let running = if listed.running > 0 { format!(", {} running", listed.running) } else { String::new() };
    let current = if listed.current { ", current" } else { "" };
    format!("{} {} {} ({deployed}{current}{running})", short(&listed.arn), listed.status, listed.image)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn deployment(revision: &str, status: DeploymentStatus, second: i64) -> ServiceDeployment {
        ServiceDeployment {
            status,
            target_revision: Some(revision.to_owned()),
            finished_at: Timestamp::from_second(second).ok(),
            ..ServiceDeployment::default()
        }
    }

    #[test]
    fn previous_is_the_last_success_of_something_else() {
        use DeploymentStatus::{RollbackSuccessful, Successful};
        let brought = BTreeMap::from(
            [("a", "web:1"), ("b", "web:2"), ("c", "web:3")]
                .map(|(revision, definition)| (revision.to_owned(), definition.to_owned())),
        );
        let deployments = [
            deployment("c", Successful, 50),
            deployment("c", Successful, 40),
            deployment("b", RollbackSuccessful, 30),
            deployment("a", Successful, 20),
            deployment("gone", Successful, 10),
        ];
        let history = History::of(&deployments, &brought);
        assert_eq!(history.previous("web:3"), Some("web:1"), "web:2 never succeeded");
        assert_eq!(history.previous("web:1"), Some("web:3"));
        assert_eq!(history.deployed_at("web:3"), Timestamp::from_second(50).ok());
        assert_eq!(history.deployed_at("web:2"), None);
        assert_eq!(History::default().previous("web:3"), None);
    }
}
