//! Purpose: doing a build plan, phase by phase.

use super::Outputs;
use super::job::Job;
use super::plan::{Plan, Present};
use super::settings::Delivery;
use super::source::Tree;
use super::summary::{Report, section};
use super::ways::work;
use super::workshop::{Workshop, note_names};
use crate::commands::framework::Verdict;
use crate::commands::run::Run;
use crate::domain::reference::ImageRef;
use crate::runner::{Failure, Kind};
use crate::services::buildkit::Logins;

pub(super) async fn apply(plan: Plan, run: &Run, outputs: &mut Outputs) -> Result<Verdict, Failure> {
    if let Some(present) = &plan.present {
        let verdict = skip(present, run, outputs);
        run.summary.section(section(&plan, &Report::default(), outputs));
        return Ok(verdict);
    }
    let mut report = Report::default();
    let result = phases(&plan, run, outputs, &mut report).await;
    run.summary.section(section(&plan, &report, outputs));
    result.map(|()| Verdict::Success(if plan.settings.delivery == Delivery::Nothing { "built" } else { "pushed" }))
}

fn skip(present: &Present, run: &Run, outputs: &mut Outputs) -> Verdict {
    run.log.info(format!("{} is in the registry already: {}", present.image, present.digest));
    outputs.skipped = Some(true);
    outputs.digest = Some(present.digest.to_string());
    outputs.image_ref = Some(present.image.name().with_digest(present.digest.clone()).to_string());
    Verdict::Skipped("image-exists")
}

async fn phases(plan: &Plan, run: &Run, outputs: &mut Outputs, report: &mut Report) -> Result<(), Failure> {
    outputs.skipped = Some(false);
    let (tree, logins) = run.unless_cancelled(Box::pin(prepared(plan, run))).await??;
    // A builder that was begun must be ended, so that this is not given up where it stands.
    let workshop = Box::pin(Workshop::open(plan, run, &logins)).await?;
    let abilities = workshop.abilities;
    let job = Job { plan, run, tree: &tree, logins: &logins, builder: &workshop.builder, abilities };
    let result = run.unless_cancelled(Box::pin(work(&job, outputs, report))).await.and_then(|result| result);
    if matches!(&result, Err(failure) if failure.kind == Kind::Cancelled) {
        take_back(plan, run).await;
    }
    workshop.close(run, &result).await;
    result
}

/// Takes the names that a cancelled push was about.
async fn take_back(plan: &Plan, run: &Run) {
    let settings = &plan.settings;
    let Some(engine) = plan.engine.as_ref().filter(|_| settings.delivery == Delivery::Tags && !settings.load) else {
        return;
    };
    for tag in &settings.tags {
        // What cannot be taken now, the post stage takes.
        let _ = engine.untag(&tag.to_string()).await;
    }
    let _ = note_names(run, &[]);
}

async fn prepared(plan: &Plan, run: &Run) -> Result<(Tree, Logins), Failure> {
    Ok((Tree::prepare(plan, run).await?, logins(plan).await?))
}

/// Registries that Dockerfiles take base images from, beside those that the image goes to.
const BASE_REGISTRIES: [&str; 2] = ["docker.io", "ghcr.io"];

/// Logins for what is pushed must be there; those for base images may be, because most are public.
async fn logins(plan: &Plan) -> Result<Logins, Failure> {
    let settings = &plan.settings;
    let mut logins = Logins::none();
    let pushes = settings.delivery != Delivery::Nothing;
    for host in settings.tags.iter().map(ImageRef::registry).filter(|_| pushes) {
        if let Some(login) = Box::pin(plan.existence.login(host)).await? {
            logins = logins.with(host, login);
        }
    }
    let cached = settings.cache_from.iter().chain(&settings.cache_to).filter_map(|entry| entry.attributes.get("ref"));
    let cached: Vec<ImageRef> = cached.filter_map(|reference| reference.parse().ok()).collect();
    for host in BASE_REGISTRIES.into_iter().chain(cached.iter().map(ImageRef::registry)) {
        if let Ok(Some(login)) = Box::pin(plan.existence.login(host)).await {
            logins = logins.with(host, login);
        }
    }
    Ok(logins)
}
