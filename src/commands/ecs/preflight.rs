//! Purpose: what can be known before anything is written: that images, secrets and log groups exist.
//!
//! A definite "not there" ends the run. What may not be asked is a warning: the deployment itself may well be allowed.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Value, json};

use super::findings::{Finding, Findings};
use super::plan::Plan;
use crate::commands::run::Run;
use crate::domain::reference::{ImageRef, RegistryKind};
use crate::domain::task_definition::TaskDefinition;
use crate::runner::Failure;
use crate::services::aws::{AwsError, JsonCall, JsonService, Session};
use crate::services::http::Repeat;
use crate::services::{Classified as _, ErrorClass};

/// Manifest types of single images and of indexes (OCI image specification; Docker registry, image manifest 2.2).
const MANIFEST_TYPES: [&str; 4] = [
    "application/vnd.oci.image.index.v1+json",
    "application/vnd.docker.distribution.manifest.list.v2+json",
    "application/vnd.oci.image.manifest.v1+json",
    "application/vnd.docker.distribution.manifest.v2+json",
];
/// Most parameters that one GetParameters takes (API reference).
const PARAMETERS_PER_CALL: usize = 10;

/// What a look at one object gave.
enum Look<T> {
    There(T),
    Missing(String),
    Unknown(AwsError),
}

/// Checks everything; gives the digests that each image may run as, where the registry told them.
pub(crate) async fn check(plan: &Plan, run: &Run) -> Result<BTreeMap<String, Vec<String>>, Failure> {
    let settings = &plan.settings;
    let mut findings = Findings::default();
    let mut digests = BTreeMap::new();
    if settings.preflight || settings.verify_digest {
        for image in images(plan) {
            match look_at_image(&plan.session, &image).await {
                Some(Look::There(found)) => drop(digests.insert(image.to_string(), found)),
                Some(Look::Missing(message)) if settings.preflight => findings.add(
                    Finding::new("image", message)
                        .reason("image-not-found", "Image not found")
                        .hint("Was it pushed, and to this region and account?"),
                ),
                Some(Look::Unknown(error)) => unchecked(run, &format!("image {image}"), error)?,
                Some(Look::Missing(_)) | None => {}
            }
        }
    }
    if settings.preflight {
        for definition in &plan.definitions {
            check_secrets(&plan.session, run, &definition.definition, &mut findings).await?;
            check_logs(&plan.session, run, &definition.definition, &mut findings).await?;
        }
        advise(plan, run);
    }
    findings.into_result()?;
    Ok(digests)
}

/// Says what could not be checked; credentials that are refused end the run.
fn unchecked(run: &Run, object: &str, error: AwsError) -> Result<(), Failure> {
    if error.class() == ErrorClass::Unauthenticated {
        let failure = Failure::from(error);
        let message = format!("{object} could not be checked: {}", failure.message);
        return Err(Failure { message, ..failure });
    }
    run.log.warn("Not checked", format!("{object} could not be checked before the deployment: {error}"));
    Ok(())
}

fn images(plan: &Plan) -> BTreeSet<Ref> {
    let definitions = plan.definitions.iter().map(|planned| &planned.definition);
    let images = definitions
        .flat_map(|definition| definition.containers().filter_map(|container| container.image()).collect::<Vec<_>>());
    images.filter_map(|image| image.parse::<ImageRef>().ok().map(Ref)).collect()
}

/// An image reference that sorts by its text.
struct Ref(ImageRef);

impl std::fmt::Display for Ref {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        std::fmt::Display::fmt(&self.0, f)
    }
}

impl Ord for Ref {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        self.0.to_string().cmp(&other.0.to_string())
    }
}

impl PartialOrd for Ref {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl PartialEq for Ref {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other).is_eq()
    }
}

impl Eq for Ref {}

/// Asks ECR for an image; other registries are not asked.
async fn look_at_image(session: &Session, image: &Ref) -> Option<Look<Vec<String>>> {
    let RegistryKind::Ecr { account, region } = image.0.kind() else {
        return None;
    };
    let id = match (image.0.digest(), image.0.tag()) {
        (Some(digest), _) => json!({ "imageDigest": digest }),
        (None, Some(tag)) => json!({ "imageTag": tag }),
        (None, None) => return None,
    };
    let body = json!({
        "registryId": account, "repositoryName": image.0.repository(), "imageIds": [id], "acceptedMediaTypes": MANIFEST_TYPES,
    });
    let object = format!("image {image}");
    let call = JsonCall {
        service: JsonService::Ecr,
        operation: "BatchGetImage",
        object: &object,
        body: &body,
        repeat: Repeat::Always,
    };
    Some(match session.json_call_in(&region, call).await {
        Ok(answer) if answer["images"].as_array().is_some_and(|images| !images.is_empty()) => {
            Look::There(digests_of(&answer))
        }
        Ok(_) => Look::Missing(format!("{image} does not exist in its repository")),
        Err(error) if error.class() == ErrorClass::NotFound => {
            Look::Missing(format!("{image}: the repository {} does not exist", image.0.repository()))
        }
        Err(error) => Look::Unknown(error),
    })
}

/// The digest of the image and, for an index, those of its platforms: which of them a task reports depends on the
/// platform version.
fn digests_of(answer: &Value) -> Vec<String> {
    let mut found = BTreeSet::new();
    for image in answer["images"].as_array().into_iter().flatten() {
        found.extend(image["imageId"]["imageDigest"].as_str().map(str::to_owned));
        let manifest: Value =
            image["imageManifest"].as_str().and_then(|text| serde_json::from_str(text).ok()).unwrap_or_default();
        let parts = manifest["manifests"].as_array().into_iter().flatten();
        found.extend(parts.filter_map(|part| part["digest"].as_str().map(str::to_owned)));
    }
    found.into_iter().collect()
}

async fn check_secrets(
    session: &Session,
    run: &Run,
    definition: &TaskDefinition,
    findings: &mut Findings,
) -> Result<(), Failure> {
    let sources: BTreeSet<&str> = definition
        .containers()
        .flat_map(|container| container.secrets().map(|(_, from)| from).collect::<Vec<_>>())
        .collect();
    let (secrets, parameters): (Vec<&str>, Vec<&str>) =
        sources.into_iter().partition(|source| source.contains(":secretsmanager:"));
    for secret in secrets {
        match look_at_secret(session, secret).await {
            Look::There(()) => {}
            Look::Missing(message) => findings.add(missing_secret(message)),
            Look::Unknown(error) => unchecked(run, &format!("secret {secret}"), error)?,
        }
    }
    for parameters in parameters.chunks(PARAMETERS_PER_CALL) {
        match look_at_parameters(session, parameters).await {
            Look::There(missing) => {
                for name in missing {
                    findings.add(missing_secret(format!("parameter {name} does not exist")));
                }
            }
            Look::Missing(message) => findings.add(missing_secret(message)),
            Look::Unknown(error) => unchecked(run, &format!("parameters {}", parameters.join(", ")), error)?,
        }
    }
    Ok(())
}

fn missing_secret(message: String) -> Finding {
    Finding::new("secrets", message)
        .reason("secret-not-found", "Secret not found")
        .hint("Check the ARN in `secrets` of the task definition, the region and the account.")
}

/// `arn:aws:secretsmanager:<region>:<account>:secret:<name>[:<key>:<stage>:<version>]`: the last three choose a part.
async fn look_at_secret(session: &Session, source: &str) -> Look<()> {
    let arn = source.split(':').take(7).collect::<Vec<_>>().join(":");
    let region = source.split(':').nth(3).filter(|region| !region.is_empty());
    let object = format!("secret {arn}");
    let call = JsonCall {
        service: JsonService::SecretsManager,
        operation: "DescribeSecret",
        object: &object,
        body: &json!({ "SecretId": arn }),
        repeat: Repeat::Always,
    };
    match session.json_call_in(region.unwrap_or(session.region()), call).await {
        Ok(_) => Look::There(()),
        Err(error) if error.class() == ErrorClass::NotFound => Look::Missing(format!("secret {arn} does not exist")),
        Err(error) => Look::Unknown(error),
    }
}

/// The names among `sources` that do not exist. A parameter of the task's own region may go by its name alone.
async fn look_at_parameters(session: &Session, sources: &[&str]) -> Look<Vec<String>> {
    let names: Vec<String> = sources.iter().map(|source| parameter_name(source)).collect();
    let region = sources.iter().find_map(|source| source.strip_prefix("arn:")?.split(':').nth(2));
    let object = format!("parameters {}", names.join(", "));
    let call = JsonCall {
        service: JsonService::Ssm,
        operation: "GetParameters",
        object: &object,
        body: &json!({ "Names": names, "WithDecryption": false }),
        repeat: Repeat::Always,
    };
    match session.json_call_in(region.unwrap_or(session.region()), call).await {
        Ok(answer) => {
            let missing = answer["InvalidParameters"].as_array().into_iter().flatten();
            Look::There(missing.filter_map(|name| name.as_str().map(str::to_owned)).collect())
        }
        Err(error) => Look::Unknown(error),
    }
}

/// `arn:aws:ssm:<region>:<account>:parameter/<path>` names the parameter `/<path>`, or one without a slash.
fn parameter_name(source: &str) -> String {
    match source.split_once(":parameter/") {
        Some((_, path)) if path.contains('/') => format!("/{path}"),
        Some((_, name)) => name.to_owned(),
        None => source.to_owned(),
    }
}

async fn check_logs(
    session: &Session,
    run: &Run,
    definition: &TaskDefinition,
    findings: &mut Findings,
) -> Result<(), Failure> {
    let targets = definition.containers().filter_map(|container| container.awslogs()).filter(|target| !target.created);
    let groups: BTreeSet<(String, Option<String>)> = targets.map(|target| (target.group, target.region)).collect();
    for (group, region) in groups {
        let object = format!("log group {group}");
        let call = JsonCall {
            service: JsonService::Logs,
            operation: "DescribeLogGroups",
            object: &object,
            body: &json!({ "logGroupNamePrefix": group }),
            repeat: Repeat::Always,
        };
        match session.json_call_in(region.as_deref().unwrap_or(session.region()), call).await {
            Ok(answer) => {
                let mut found = answer["logGroups"].as_array().into_iter().flatten();
                if !found.any(|found| found["logGroupName"].as_str() == Some(&group)) {
                    findings.add(
                        Finding::new("task_definition", format!("logs to {object}, which does not exist"))
                            .reason("log-group-not-found", "Log group not found")
                            .hint("Create it, or set the log option `awslogs-create-group` to \"true\"."),
                    );
                }
            }
            Err(error) => unchecked(run, &object, error)?,
        }
    }
    Ok(())
}

fn advise(plan: &Plan, run: &Run) {
    for service in plan.services.iter().filter(|service| service.found.breaker.is_none()) {
        run.log.info(format!(
            "service {} has no deployment circuit breaker: outside of Landfall's watch a bad deployment would be retried forever",
            service.name
        ));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parameters_go_by_the_name_that_ssm_knows() {
        assert_eq!(parameter_name("arn:aws:ssm:eu-central-1:1:parameter/prod/db"), "/prod/db");
        assert_eq!(parameter_name("arn:aws:ssm:eu-central-1:1:parameter/db"), "db");
        assert_eq!(parameter_name("/prod/db"), "/prod/db");
    }

    #[test]
    fn an_index_may_run_as_itself_or_as_any_of_its_platforms() {
        let manifest = json!({ "manifests": [{ "digest": "sha256:b" }, { "digest": "sha256:c" }] }).to_string();
        let answer = json!({ "images": [{ "imageId": { "imageDigest": "sha256:a" }, "imageManifest": manifest }] });
        assert_eq!(digests_of(&answer), ["sha256:a", "sha256:b", "sha256:c"]);
    }
}
