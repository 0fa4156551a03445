//! Purpose: checks of the machine and of registries: the engine, logins, the artifacts service.

use super::finding::{Finding, State};
use super::scope::Scope;
use crate::commands::run::Run;
use crate::commands::upstream::Clients;
use crate::domain::reference::{ImageName, RegistryKind};
use crate::runner::Failure;
use crate::services::engine::Store;
use crate::services::registry::Existence;

/// Commands that need a Docker Engine.
pub(super) const ENGINE: [&str; 6] = ["build", "pull", "scan", "up", "tailscale", "terraform"];
/// Commands that speak to a registry.
pub(super) const REGISTRY: [&str; 9] = ["resolve", "build", "merge", "pull", "scan", "up", "prune", "login", "metrics"];

pub(super) async fn check(scope: &Scope, run: &Run) -> Vec<Finding> {
    let mut findings = Vec::new();
    if scope.any(&ENGINE) {
        findings.push(engine(scope, run).await);
    }
    if scope.any(&REGISTRY) {
        findings.extend(registries(scope, run).await);
    }
    if scope.uses.with.iter().any(|with| with == "artifact") {
        findings.push(artifacts(scope, run));
    }
    findings
}

async fn engine(scope: &Scope, run: &Run) -> Finding {
    let endpoint = run.engine_endpoint();
    let finding = match Clients::new(run).engine().await {
        Ok(engine) => {
            let info = engine.info();
            let store = match info.store {
                Store::Containerd => "containerd's image store",
                Store::Graph => "the classic image store",
            };
            let message = format!("version {}, API {}, {store}, {}", info.version, info.api_version, info.platform);
            Finding::new("engine", endpoint, State::Good, message)
        }
        Err(failure) => {
            // An engine that does not answer is no upstream's bad day: nothing else will make it answer.
            Finding { state: State::Problem, ..Finding::of_failure("engine", endpoint, &failure) }
        }
    };
    finding.for_commands(scope.of(&ENGINE))
}

async fn registries(scope: &Scope, run: &Run) -> Vec<Finding> {
    let existence = match Clients::new(run).existence(None, &[]) {
        Ok(existence) => existence,
        Err(failure) => return vec![Finding::of_failure("registry", "login", &failure)],
    };
    let mut findings = Vec::new();
    // ECR is asked with the environment's own role, among the checks of AWS.
    for image in scope.images.iter().filter(|image| !matches!(image.kind(), RegistryKind::Ecr { .. })) {
        findings.push(registry(&existence, image).await.for_commands(scope.of(&REGISTRY)));
    }
    findings
}

/// Asks for a tag that nobody has: login, reachability and the repository's existence are answered at once.
async fn registry(existence: &Existence, image: &ImageName) -> Finding {
    let subject = image.to_string();
    let Ok(reference) = format!("{image}:landfall-doctor").parse::<crate::domain::reference::ImageRef>() else {
        return Finding::new("registry", subject, State::Problem, "is not an image's name");
    };
    match existence.image_digest(&reference).await {
        Ok(_) => Finding::new("registry", subject, State::Good, "the registry answers and the login is accepted"),
        Err(error) => Finding::of_failure("registry", subject, &Failure::from(error)),
    }
}

fn artifacts(scope: &Scope, run: &Run) -> Finding {
    let both = run.variable("ACTIONS_RESULTS_URL").is_some() && run.variable("ACTIONS_RUNTIME_TOKEN").is_some();
    let finding = if both {
        Finding::new("artifacts", "service", State::Good, "the runner gives its address and a token")
    } else {
        Finding::new(
            "artifacts",
            "service",
            State::Problem,
            "the runner gives no ACTIONS_RESULTS_URL and ACTIONS_RUNTIME_TOKEN",
        )
        .with_fix("Artifacts work within a job of GitHub Actions only; `GitHub Enterprise Server` needs version 3.10.")
    };
    finding.for_commands(scope.of(&["build", "pull", "merge", "up"]))
}
