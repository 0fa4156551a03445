//! Purpose: checks of the config and the workflows: nothing is asked of anybody.

use super::finding::{Finding, State};
use super::scope::Scope;
use crate::commands::framework::Descriptor;
use crate::commands::run::Run;
use crate::runner::nearest;

const CHECK: &str = "config";

pub(super) fn check(scope: &Scope, run: &Run) -> Vec<Finding> {
    let mut findings = Vec::new();
    for (file, message) in &scope.unreadable {
        findings.push(
            Finding::new("workflows", file, State::Problem, format!("cannot be read: {message}"))
                .with_fix("Correct the file; GitHub does not run it either."),
        );
    }
    match &scope.environment {
        Some(environment) => findings.extend(of_environment(environment, scope, run)),
        None if run.config.environments.is_empty() => {}
        None => findings.push(
            Finding::new(
                CHECK,
                "environment",
                State::Warning,
                "no environment is chosen; its settings are not checked",
            )
            .with_fix("Set `environment`, or `branches` of the environments."),
        ),
    }
    findings.extend(scope.terraform_images.iter().filter(|image| !image.contains('@')).map(|image| unpinned(image)));
    if !findings.iter().any(|finding| finding.state == State::Problem) {
        let path = run.common.config.as_deref().unwrap_or(crate::config::DEFAULT_PATH);
        let message = if run.workspace().join(path).is_file() { "valid" } else { "there is none; defaults apply" };
        findings.push(Finding::new(CHECK, path, State::Good, message));
    }
    findings
}

/// What a tag names can be changed by whoever owns it, and runs with the credentials of the job.
fn unpinned(image: &str) -> Finding {
    Finding::new(
        "workflows",
        image,
        State::Warning,
        "is a tag: its owner decides what runs, with this job's credentials",
    )
    .with_fix(format!(
        "Set `terraform_image: {image}@sha256:…`; `docker buildx imagetools inspect {image}` shows the digest."
    ))
    .for_commands(["terraform"])
}

fn of_environment(environment: &str, scope: &Scope, run: &Run) -> Vec<Finding> {
    let mut findings = Vec::new();
    let mut wrong = |key: &str, message: String, fix: &str| {
        let subject = format!("environments.{environment}.{key}");
        findings.push(Finding::new(CHECK, subject, State::Problem, message).with_fix(fix));
    };
    if let Some(account) = scope.setting("aws_account_id").filter(|value| !value.starts_with("ssm:"))
        && (account.len() != 12 || !account.bytes().all(|byte| byte.is_ascii_digit()))
    {
        wrong(
            "aws_account_id",
            format!("is '{account}'; an account has twelve digits"),
            "Write it in quotes: YAML drops leading zeros of numbers.",
        );
    }
    if let Some(role) = scope.setting("role_to_assume").filter(|role| !role.starts_with("arn:"))
        && scope.place.account.is_none()
    {
        wrong(
            "role_to_assume",
            format!("is '{role}', a name, and no account completes it"),
            "Set `aws_account_id`, or give the role's whole ARN.",
        );
    }
    findings.extend(misspelt(environment, scope));
    if scope.any(&["deploy", "rollback"]) && run.cloud.aws_region.is_none() && scope.place.region.is_none() {
        findings.push(
            Finding::new(CHECK, format!("environments.{environment}.aws_region"), State::Problem, "is not set")
                .with_fix("Set `aws_region` in the environment or at the step.")
                .for_commands(scope.of(&["deploy", "rollback"])),
        );
    }
    findings
}

/// Keys of one's own are allowed; one that is nearly an input's name was probably meant to be it.
fn misspelt(environment: &str, scope: &Scope) -> Vec<Finding> {
    let commands = crate::commands::all();
    let inputs: Vec<String> = commands.iter().flat_map(Descriptor::all_inputs).map(|input| input.name).collect();
    let known = |key: &str| {
        inputs.iter().any(|input| input == key)
            || ["aws_account_id", "ecr_repository", "ecr_registry", "role_arn"].contains(&key)
    };
    let warn = |key: &String| {
        let near = nearest(key, inputs.iter().map(String::as_str)).filter(|_| !known(key))?;
        let subject = format!("environments.{environment}.{key}");
        Some(
            Finding::new(CHECK, subject, State::Warning, format!("is no input; '{near}' is one"))
                .with_fix(format!("Rename it to `{near}` if that was meant; keys of your own are fine.")),
        )
    };
    scope.settings.keys().filter_map(warn).collect()
}
