//! Purpose: what is in use, asked where it is known. What cannot be asked is a failure, never "not in use".

use super::settings::{ECS, PULL_REQUESTS, Settings, WORKFLOW_RUNS};
use super::sources::Sources;
use crate::commands::run::Run;
use crate::commands::upstream::Clients;
use crate::domain::reference::{ImageName, ImageRef};
use crate::domain::retention::InUse;
use crate::domain::slug::{Keep, Slug};
use crate::runner::Failure;
use crate::services::aws::Session;
use crate::services::aws::ecs::{DesiredStatus, Ecs};
use crate::services::github::{GithubClient, Repository, RunFilter};
use crate::services::holdings::Holdings;

/// Revisions of each family in use that stay, so that a rollback finds its image.
const ROLLBACKS: usize = 5;
/// The states of a run that has not ended (GitHub REST description, "list workflow runs for a repository").
const ACTIVE: [&str; 5] = ["queued", "in_progress", "requested", "waiting", "pending"];
/// Services that one question is about (ECS API reference, `DescribeServices`).
const SERVICES: usize = 10;

/// Everything that is in use, and what was looked at, in words.
pub(super) async fn gather(
    settings: &Settings,
    sources: &Sources,
    run: &Run,
) -> Result<(Vec<InUse>, Vec<String>), Failure> {
    let (mut used, mut looked) = (Vec::new(), Vec::new());
    let wanted = |kind: &str, applies: bool| match &settings.in_use {
        Some(kinds) => kinds.iter().any(|known| known == kind),
        None => applies,
    };
    let on_github = settings.repository.is_some() && run.github_token().is_some();
    let (pulls, runs) = (wanted(PULL_REQUESTS, on_github), wanted(WORKFLOW_RUNS, on_github));
    if pulls || runs {
        let Some(name) = &settings.repository else {
            return Err(Failure::input(
                "no repository is known whose pull requests and runs count",
                "Set `repository`, or `in_use: none`.",
            ));
        };
        let github = Clients::new(run).github()?;
        let repository = github.repository(name).await?;
        if pulls {
            let found = pull_requests(&github, &repository).await?;
            looked.push(format!("{} open pull requests of {name}", found.len()));
            used.extend(found);
        }
        if runs {
            let found = workflow_runs(&github, &repository).await?;
            looked.push(format!("{} runs under way of {name}", found.len()));
            used.extend(found);
        }
    }
    let in_ecr = sources.all.iter().any(|source| matches!(source.holdings, Holdings::Ecr(_)));
    let is_asked = settings.in_use.is_some() || !settings.clusters.is_empty();
    if wanted(ECS, in_ecr || !settings.clusters.is_empty()) {
        let session = match &sources.session {
            Some(session) => session.clone(),
            None => Clients::new(run).aws().await?,
        };
        let images: Vec<&ImageName> = sources.all.iter().map(|source| &source.image).collect();
        let found = tasks(&session, &settings.clusters, &images).await.map_err(|failure| match is_asked {
            true => failure,
            false => {
                failure.hint("Images in ECR are compared with ECS by default; without ECS set `in_use` without `ecs`.")
            }
        })?;
        looked.push(format!("{} images of ECS task definitions and tasks", found.len()));
        used.extend(found);
    }
    Ok((used, looked))
}

async fn pull_requests(github: &GithubClient, repository: &Repository) -> Result<Vec<InUse>, Failure> {
    let mut pages = github.all_open_pulls(repository);
    let mut found = Vec::new();
    while let Some(pull) = pages.next().await? {
        let commits = std::iter::once(pull.head.sha).chain(pull.merge_commit_sha).collect();
        let slug = Slug::of(&pull.head.branch, &Keep::default()).ok().map(|slug| slug.as_str().to_owned());
        found.push(InUse::PullRequest { number: pull.number, commits, slug });
    }
    Ok(found)
}

async fn workflow_runs(github: &GithubClient, repository: &Repository) -> Result<Vec<InUse>, Failure> {
    let mut found = Vec::new();
    for status in ACTIVE {
        let filter = RunFilter { status: Some(status.to_owned()), ..RunFilter::default() };
        let mut pages = github.workflow_runs(repository, &filter);
        while let Some(run) = pages.next().await? {
            let name = match &run.name {
                Some(name) => format!("run {} ({name})", run.id),
                None => format!("run {}", run.id),
            };
            found.push(InUse::Run { name, commits: vec![run.head_sha.to_string()] });
        }
    }
    Ok(found)
}

/// Images of services with all of their deployments, of running tasks, and of the latest revisions of their families.
async fn tasks(session: &Session, clusters: &[String], images: &[&ImageName]) -> Result<Vec<InUse>, Failure> {
    let any = Ecs::new(session, "default");
    let clusters = if clusters.is_empty() { any.clusters().await? } else { clusters.to_vec() };
    let mut used = Vec::new();
    let mut definitions: Vec<String> = Vec::new();
    for cluster in clusters {
        let ecs = any.in_cluster(&cluster);
        for services in ecs.list_services().await?.chunks(SERVICES) {
            for found in ecs.services(services).await? {
                definitions.push(found.service.task_definition.clone());
                definitions
                    .extend(found.service.deployments.iter().map(|deployment| deployment.task_definition.clone()));
            }
        }
        let running = ecs.all_tasks(DesiredStatus::Running).await?;
        for task in ecs.describe_tasks(&running).await? {
            definitions.push(task.task_definition.clone());
            let by = format!("task {}", task.id());
            for container in &task.containers {
                let image = container.image.as_deref().unwrap_or_default();
                used.extend(image_in_use(image, container.image_digest.as_deref(), &by, images));
            }
        }
    }
    definitions.sort_unstable();
    definitions.dedup();
    let mut families: Vec<String> = definitions.iter().filter_map(|arn| family(arn)).collect();
    families.sort_unstable();
    families.dedup();
    for family in families {
        let latest = any.revisions(&family).await?;
        definitions.extend(latest.iter().rev().take(ROLLBACKS).map(ToString::to_string));
        definitions.extend(latest.iter().take(ROLLBACKS).map(ToString::to_string));
    }
    definitions.sort_unstable();
    definitions.dedup();
    for arn in definitions {
        let Some(revision) = any.revision(&arn).await? else { continue };
        let by = format!("task definition {}", arn.rsplit('/').next().unwrap_or(&arn));
        for image in images_of(&revision.definition.to_value()) {
            used.extend(image_in_use(&image, None, &by, images));
        }
    }
    Ok(used)
}

fn family(arn: &str) -> Option<String> {
    let (family, _) = arn.rsplit('/').next()?.rsplit_once(':')?;
    Some(family.to_owned())
}

fn images_of(definition: &serde_json::Value) -> Vec<String> {
    let containers = definition["containerDefinitions"].as_array().cloned().unwrap_or_default();
    containers.iter().filter_map(|container| container["image"].as_str().map(str::to_owned)).collect()
}

/// What an image that something names means for our repositories; one of another repository means nothing.
fn image_in_use(image: &str, digest: Option<&str>, by: &str, images: &[&ImageName]) -> Option<InUse> {
    let reference: ImageRef = image.parse().or_else(|_| format!("{image}:latest").parse()).ok()?;
    let repository = images.iter().position(|name| *name == reference.name())?;
    let digest = reference.digest().cloned().or_else(|| digest.and_then(|digest| digest.parse().ok()));
    let tag = reference.tag().map(ToString::to_string);
    Some(InUse::Image { by: by.to_owned(), repository, tag, digest })
}
