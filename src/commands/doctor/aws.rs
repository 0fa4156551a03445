//! Purpose: checks of AWS: who we are, and whether the environment's resources are there for us.

use super::finding::{Finding, State};
use super::scope::Scope;
use crate::commands::cloud;
use crate::commands::run::Run;
use crate::commands::shared::Cloud;
use crate::domain::reference::RegistryKind;
use crate::runner::Failure;
use crate::services::aws::ecr::EcrRepository;
use crate::services::aws::ecs::Ecs;
use crate::services::aws::{Session, SessionOptions};

const CHECK: &str = "AWS";

pub(super) async fn check(scope: &Scope, run: &Run) -> Vec<Finding> {
    if !scope.needs_aws() && !scope.uses.assumes_role {
        return Vec::new();
    }
    let mut findings = oidc(scope, run);
    let Some(session) = session(scope, run, &mut findings).await else {
        return findings;
    };
    if scope.any(&["deploy", "rollback"]) {
        findings.extend(services(&session, scope).await);
    }
    findings.extend(repositories(&session, scope).await);
    if scope.uses.with.iter().any(|with| with == "ssm") && scope.any(&["config"]) {
        findings.extend(parameters(&session, scope).await);
    }
    findings
}

fn oidc(scope: &Scope, run: &Run) -> Vec<Finding> {
    if !scope.uses.assumes_role || run.variable("AWS_ACCESS_KEY_ID").is_some() {
        return Vec::new();
    }
    vec![match &run.oidc {
        Some(_) => Finding::new("OIDC", "token", State::Good, "the job may ask for one"),
        None => {
            Finding::new("OIDC", "token", State::Problem, "the job may not ask for one, so that no role can be assumed")
                .with_fix("Give the job `permissions: id-token: write`. Jobs of pull requests from forks never get it.")
        }
    }]
}

/// Credentials, and whose they are.
async fn session(scope: &Scope, run: &Run, findings: &mut Vec<Finding>) -> Option<Session> {
    let cloud = Cloud {
        aws_region: scope.place.region.clone(),
        role_to_assume: run.cloud.role_to_assume.clone().or_else(|| scope.setting("role_to_assume").map(str::to_owned)),
        ..run.cloud.clone()
    };
    let role = cloud.role_to_assume.clone();
    let options = SessionOptions { account: scope.place.account.clone(), ..cloud::options_of(run, &cloud) };
    let subject = role.unwrap_or_else(|| "credentials".to_owned());
    let found = async {
        let session = Session::connect(options).await?;
        let identity = session.identity().await?.clone();
        Ok::<_, crate::services::aws::AwsError>((session, identity))
    };
    match found.await {
        Ok((session, identity)) => {
            findings.push(Finding::new(CHECK, subject, State::Good, format!("we are {}", identity.arn)));
            findings.extend(foreign(scope, &identity.account));
            Some(session)
        }
        Err(error) => {
            findings.push(Finding::of_failure(CHECK, subject, &Failure::from(error)));
            None
        }
    }
}

fn foreign(scope: &Scope, account: &str) -> Option<Finding> {
    let wanted = scope.place.account.as_deref().filter(|wanted| *wanted != account)?;
    let message = format!("the credentials belong to the account {account}, the environment to {wanted}");
    Some(
        Finding::new(CHECK, "account", State::Problem, message).with_fix(
            "Use the role of the environment's account, and `allowed_account_ids` so that no other is touched.",
        ),
    )
}

async fn services(session: &Session, scope: &Scope) -> Vec<Finding> {
    let commands = scope.of(&["deploy", "rollback"]);
    let Some(cluster) = &scope.place.cluster else {
        return Vec::new();
    };
    let mut findings = Vec::new();
    // Ten names are one request; a cluster without a known service is asked about one that cannot exist.
    let nobody = ["landfall-doctor".to_owned()];
    let names = if scope.place.services.is_empty() { nobody.as_slice() } else { scope.place.services.as_slice() };
    for some in names.chunks(10) {
        match Ecs::new(session, cluster).services(some).await {
            Err(error) => {
                let failure = Failure::from(error);
                findings.push(Finding::of_failure("ECS", cluster, &failure).for_commands(commands.clone()));
            }
            Ok(found) => {
                for name in scope.place.services.iter().filter(|name| some.contains(name)) {
                    let is = |name: &str| {
                        found.iter().any(|found| found.service.name == name || found.service.arn.ends_with(name))
                    };
                    let finding = if is(name) {
                        Finding::new("ECS", format!("{cluster}/{name}"), State::Good, "the service is there")
                    } else {
                        Finding::new("ECS", format!("{cluster}/{name}"), State::Problem, "there is no such service")
                            .with_fix("Create the service first, or correct `service`, `cluster` or `aws_region`.")
                    };
                    findings.push(finding.for_commands(commands.clone()));
                }
            }
        }
    }
    findings
}

/// Asks for an image that nobody has: a repository that is there says so.
async fn repositories(session: &Session, scope: &Scope) -> Vec<Finding> {
    let commands = scope.of(&super::machine::REGISTRY);
    let mut findings = Vec::new();
    if commands.is_empty() {
        return findings;
    }
    for image in &scope.images {
        let RegistryKind::Ecr { account, region } = image.kind() else {
            continue;
        };
        let Ok(nobody) = format!("sha256:{}", "0".repeat(64)).parse() else {
            continue;
        };
        let repository = EcrRepository::new(session, Some(account), Some(region), image.repository());
        let finding = match repository.described(&[nobody]).await {
            Ok(_) => Finding::new("ECR", image.to_string(), State::Good, "the repository is there and may be read"),
            Err(error) => Finding::of_failure("ECR", image.to_string(), &Failure::from(error)),
        };
        findings.push(finding.for_commands(commands.clone()));
    }
    findings
}

async fn parameters(session: &Session, scope: &Scope) -> Vec<Finding> {
    let paths = &scope.place.parameters;
    match session.parameters(paths).await {
        Err(error) => {
            vec![Finding::of_failure("parameters", paths.join(", "), &Failure::from(error)).for_commands(["config"])]
        }
        Ok(read) => {
            let finding = |path: &String| {
                let is_missing = read.missing.contains(path);
                let finding = if is_missing {
                    Finding::new("parameters", path, State::Problem, "the store has no such parameter")
                        .with_fix("Create it, or correct the `ssm:` value; names are case-sensitive and per region.")
                } else {
                    Finding::new("parameters", path, State::Good, "may be read")
                };
                finding.for_commands(["config"])
            };
            paths.iter().map(finding).collect()
        }
    }
}
