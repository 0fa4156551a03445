//! Purpose: revisions that nobody needs any more, and the proof that nobody does.

use std::collections::BTreeSet;

use super::settings::Keep;
use crate::commands::run::Run;
use crate::domain::names::TaskDefinitionArn;
use crate::services::aws::AwsError;
use crate::services::aws::ecs::{DesiredStatus, Ecs};

/// Most services that one DescribeServices takes (API reference).
const SERVICES_PER_CALL: usize = 10;

/// Whether the current branch is one on which revisions are deregistered.
pub(crate) fn acts_here(keep: &Keep, run: &Run) -> bool {
    let reference = run.github.reference.as_deref().unwrap_or_default();
    // A pull request and a tag have references, too, which are no branches.
    let branch = reference.strip_prefix("refs/heads/");
    branch.is_some_and(|branch| keep.branches.iter().any(|glob| glob.matches(branch)))
}

/// The revisions to deregister: ACTIVE ones beyond the newest `keep` that are not in use.
pub(crate) fn superfluous(
    newest_first: &[TaskDefinitionArn],
    keep: usize,
    in_use: &BTreeSet<String>,
) -> Vec<TaskDefinitionArn> {
    newest_first.iter().skip(keep).filter(|arn| !in_use.contains(arn.as_str())).cloned().collect()
}

/// Deregisters; gives the number. `protected` are in use beyond what ECS shows, as the revision to go back to.
pub(crate) async fn prune(
    ecs: &Ecs,
    family: &str,
    keep: &Keep,
    protected: &[String],
    run: &Run,
) -> Result<u64, AwsError> {
    let revisions = ecs.revisions(family).await?;
    if revisions.len() <= keep.count {
        return Ok(0);
    }
    let mut in_use = in_use(ecs, family).await?;
    in_use.extend(protected.iter().cloned());
    let mut deregistered = 0;
    for arn in superfluous(&revisions, keep.count, &in_use) {
        ecs.deregister(&arn).await?;
        run.log.info(format!("deregistered {}:{}", arn.family(), arn.revision()));
        deregistered += 1;
    }
    Ok(deregistered)
}

/// What services, their deployments of ECS's whole memory, and running tasks of the family use, in every cluster. An
/// error anywhere is an error: what could not be read may be in use.
async fn in_use(ecs: &Ecs, family: &str) -> Result<BTreeSet<String>, AwsError> {
    let mut used = BTreeSet::new();
    for cluster in ecs.clusters().await? {
        let ecs = ecs.in_cluster(&cluster);
        for services in ecs.list_services().await?.chunks(SERVICES_PER_CALL) {
            for found in ecs.services(services).await? {
                let service = found.service;
                let ours = service.task_definition.contains(&format!("/{family}:"));
                used.insert(service.task_definition);
                used.extend(service.deployments.into_iter().map(|deployment| deployment.task_definition));
                if ours {
                    used.extend(deployed(&ecs, &service.arn).await?);
                }
            }
        }
        for status in [DesiredStatus::Running, DesiredStatus::Stopped] {
            let tasks = ecs.tasks_of_family(family, status).await?;
            let tasks = ecs.describe_tasks(&tasks).await?;
            used.extend(tasks.into_iter().filter(|task| !task.is_stopped()).map(|task| task.task_definition));
        }
    }
    Ok(used)
}

/// Task definitions of the service's deployments that ECS remembers (90 days): somebody may want to go back to them.
async fn deployed(ecs: &Ecs, service: &str) -> Result<Vec<String>, AwsError> {
    let deployments = match ecs.deployments(service, None).await {
        Ok(deployments) => deployments,
        // An endpoint without service deployments has none that could use a revision.
        Err(error) if error.is_unknown_operation() => return Ok(Vec::new()),
        Err(error) => return Err(error),
    };
    let mut revisions: Vec<String> =
        deployments.into_iter().filter_map(|deployment| deployment.target_revision).collect();
    revisions.sort();
    revisions.dedup();
    Ok(ecs.task_definitions_of(&revisions).await?.into_values().collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn arn(revision: u32) -> TaskDefinitionArn {
        format!("arn:aws:ecs:eu-central-1:1:task-definition/web:{revision}").parse().unwrap()
    }

    proptest::proptest! {
        #[test]
        fn the_newest_and_the_used_always_stay(count in 0..30_u32, keep in 1..10_usize, used in proptest::collection::btree_set(1..30_u32, 0..8)) {
            let revisions: Vec<_> = (1..=count).rev().map(arn).collect();
            let in_use: BTreeSet<String> = used.iter().map(|revision| arn(*revision).to_string()).collect();
            let gone = superfluous(&revisions, keep, &in_use);
            let left: Vec<_> = revisions.iter().filter(|arn| !gone.contains(arn)).collect();
            proptest::prop_assert!(revisions.iter().take(keep).all(|arn| left.contains(&arn)));
            proptest::prop_assert!(gone.iter().all(|arn| !used.contains(&arn.revision())));
            // And nothing else stays.
            proptest::prop_assert!(left.iter().skip(keep).all(|arn| used.contains(&arn.revision())));
        }
    }
}
