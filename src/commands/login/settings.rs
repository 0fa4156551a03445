//! Purpose: the inputs of `login`, checked; everything that is wrong with them is reported at once.

use std::fmt;

use secrecy::ExposeSecret as _;
use serde::Serialize;

use super::inputs::Inputs;
use crate::commands::cloud;
use crate::commands::run::Run;
use crate::contract::values::{Flag, List};
use crate::domain::reference::{ImageName, RegistryKind};
use crate::runner::{Failure, Problems};
use crate::services::aws::{RoleRequest, SessionOptions, StaticKeys};

/// The public registry of ECR.
const PUBLIC_ECR: &str = "public.ecr.aws";
/// Most managed policies of a session (STS API reference, `PolicyArns`).
const POLICIES: usize = 10;

/// What is going to be done.
#[derive(Serialize)]
pub struct Plan {
    /// How AWS credentials come to be, in words, step by step; empty when none are needed.
    pub(super) steps: Vec<String>,
    pub(super) registries: Vec<Wanted>,
    pub(super) export: bool,
    #[serde(skip)]
    pub(super) options: Option<SessionOptions>,
}

/// A registry to log in to.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub(super) enum Wanted {
    /// The ECR registry of an account; without one, of the credentials' own.
    Ecr(Option<String>),
    /// ECR in the region that the host names.
    EcrHost(String),
    /// ECR's public registry.
    EcrPublic,
    /// Any other, by host.
    Host(String),
}

impl Wanted {
    /// Whether its login comes from AWS.
    fn needs_aws(&self) -> bool {
        !matches!(self, Self::Host(_))
    }
}

impl fmt::Display for Wanted {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Ecr(None) => f.write_str("the account's own ECR registry"),
            Self::Ecr(Some(account)) => write!(f, "the ECR registry of account {account}"),
            Self::EcrPublic => f.write_str(PUBLIC_ECR),
            Self::EcrHost(host) | Self::Host(host) => f.write_str(host),
        }
    }
}

impl fmt::Display for Plan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut lines = self.steps.clone();
        lines.extend(self.registries.iter().map(|registry| format!("log in to {registry}")));
        if self.export {
            lines.push("give later steps the credentials as variables".to_owned());
        }
        f.write_str(&lines.join("\n"))
    }
}

/// Checks the inputs and says what they mean.
pub(super) fn plan(inputs: &Inputs, run: &Run) -> Result<Plan, Failure> {
    let mut problems = Problems::default();
    cloud::check(&run.cloud, &mut problems);
    let registries: Vec<Wanted> = inputs
        .registries
        .iter()
        .flat_map(|list| &list.0)
        .filter_map(|text| wanted(text).map_err(|message| problems.add("registries", message)).ok())
        .collect();
    check_given_login(run, &registries, &mut problems);
    check_role_inputs(inputs, run, &mut problems);
    let keys = keys(inputs, &mut problems);
    problems.into_result()?;
    let only_others = !registries.is_empty() && !registries.iter().any(Wanted::needs_aws);
    let wants_aws = run.cloud.role_to_assume.is_some() || keys.is_some() || !only_others;
    let options = options(inputs, run, keys);
    let steps = if wants_aws { steps(&options) } else { Vec::new() };
    let export = inputs.export.is_some_and(|Flag(on)| on);
    Ok(Plan { steps, registries, export, options: Some(options).filter(|_| wants_aws) })
}

fn wanted(text: &str) -> Result<Wanted, String> {
    if text == "ecr" {
        return Ok(Wanted::Ecr(None));
    }
    if cloud::is_account(text) {
        return Ok(Wanted::Ecr(Some(text.to_owned())));
    }
    if text == PUBLIC_ECR {
        return Ok(Wanted::EcrPublic);
    }
    // `acme/app` is a repository on Docker Hub, not a host: a registry's name has a dot, a port, or is localhost.
    let name = format!("{text}/a").parse::<ImageName>();
    if text.contains('/') || !name.is_ok_and(|name| name.registry() == text) {
        return Err(format!("has '{text}', which is no registry's host; write for example ghcr.io"));
    }
    Ok(match RegistryKind::of(text) {
        RegistryKind::Ecr { .. } => Wanted::EcrHost(text.to_owned()),
        _ => Wanted::Host(text.to_owned()),
    })
}

/// A given login goes to the one registry that it is for: sent to several, it would be told to strangers.
pub(super) fn given_for(registries: &[Wanted]) -> Vec<&str> {
    let hosts = || {
        registries.iter().filter_map(|wanted| if let Wanted::Host(host) = wanted { Some(host.as_str()) } else { None })
    };
    let others: Vec<&str> = hosts().filter(|host| *host != "ghcr.io").collect();
    if others.is_empty() { hosts().collect() } else { others }
}

fn check_given_login(run: &Run, registries: &[Wanted], problems: &mut Problems) {
    let given = &run.registry;
    if given.registry_username.is_none() && given.registry_password.is_none() {
        return;
    }
    match given_for(registries).as_slice() {
        [] => problems.add("registry_password", "is set, but 'registries' names no registry that it could be for"),
        [_] => {}
        several => problems.add(
            "registry_password",
            format!("is one login for {}; log in to each in a step of its own", several.join(", ")),
        ),
    }
}

fn check_role_inputs(inputs: &Inputs, run: &Run, problems: &mut Problems) {
    let role_only = [
        ("role_chaining", inputs.role_chaining.is_some()),
        ("chained_roles", inputs.chained_roles.is_some()),
        ("role_external_id", inputs.role_external_id.is_some()),
        ("inline_session_policy", inputs.inline_session_policy.is_some()),
        ("managed_session_policies", inputs.managed_session_policies.is_some()),
        ("audience", inputs.audience.is_some()),
    ];
    if run.cloud.role_to_assume.is_none() {
        for (subject, _) in role_only.into_iter().filter(|(_, set)| *set) {
            problems.add(subject, "is set, but 'role_to_assume' is not");
        }
    }
    for role in list(&inputs.chained_roles) {
        cloud::check_role("chained_roles", role, problems);
    }
    if let Some(policy) = &inputs.inline_session_policy
        && !serde_json::from_str::<serde_json::Value>(policy).is_ok_and(|policy| policy.is_object())
    {
        problems.add("inline_session_policy", "is no JSON object");
    }
    let policies = list(&inputs.managed_session_policies);
    for arn in policies.iter().filter(|arn| !(arn.starts_with("arn:") && arn.contains(":policy/"))) {
        problems.add("managed_session_policies", format!("has '{arn}', which is no ARN of a policy"));
    }
    if policies.len() > POLICIES {
        problems.add("managed_session_policies", format!("has more than {POLICIES} entries, which STS refuses"));
    }
    if inputs.role_chaining == Some(Flag(false)) && run.oidc.is_none() {
        problems.add("role_chaining", "is false, but the job may get no OIDC token; it needs `id-token: write`");
    }
    if inputs.role_external_id.is_some() && uses_token(inputs, run) {
        problems.add("role_external_id", "is set, but the role is assumed with an OIDC token, which knows none");
    }
}

fn list(list: &Option<List>) -> &[String] {
    list.as_ref().map_or(&[], |list| &list.0)
}

fn keys(inputs: &Inputs, problems: &mut Problems) -> Option<StaticKeys> {
    let (id, secret) = (&inputs.aws_access_key_id, &inputs.aws_secret_access_key);
    for (subject, missing, other) in [
        ("aws_secret_access_key", id.is_some() && secret.is_none(), "aws_access_key_id"),
        ("aws_access_key_id", secret.is_some() && id.is_none(), "aws_secret_access_key"),
        ("aws_access_key_id", inputs.aws_session_token.is_some() && id.is_none(), "aws_session_token"),
    ] {
        if missing {
            problems.add(subject, format!("is required beside '{other}'"));
        }
    }
    let (id, secret) = (id.as_ref()?, secret.as_ref()?);
    Some(StaticKeys {
        id: id.0.expose_secret().to_owned(),
        secret: secret.0.clone(),
        token: inputs.aws_session_token.as_ref().map(|token| token.0.clone()),
    })
}

/// Whether the role is assumed with the job's token.
fn uses_token(inputs: &Inputs, run: &Run) -> bool {
    let has_keys = inputs.aws_access_key_id.is_some() || run.variable("AWS_ACCESS_KEY_ID").is_some();
    match inputs.role_chaining {
        Some(Flag(chaining)) => !chaining,
        None => !has_keys && run.oidc.is_some(),
    }
}

fn options(inputs: &Inputs, run: &Run, keys: Option<StaticKeys>) -> SessionOptions {
    let oidc = cloud::oidc(run).filter(|_| uses_token(inputs, run));
    let oidc =
        oidc.map(|endpoint| crate::services::aws::OidcEndpoint { audience: inputs.audience.clone(), ..endpoint });
    let limited = |role: RoleRequest| RoleRequest {
        policy: inputs.inline_session_policy.clone(),
        policy_arns: list(&inputs.managed_session_policies).to_vec(),
        ..role
    };
    let chained = list(&inputs.chained_roles);
    let role = run.cloud.role_to_assume.as_ref().map(|role| {
        let role = cloud::role_request(&run.cloud, role);
        let role = RoleRequest { external_id: inputs.role_external_id.clone(), ..role };
        // The limits are those of the session that is handed out: the last one.
        if chained.is_empty() { limited(role) } else { role }
    });
    let last = chained.len().saturating_sub(1);
    let chained = chained.iter().enumerate().map(|(index, role)| {
        let role = cloud::role_request(&run.cloud, role);
        // STS grants an hour to whoever is a role already (IAM guide, "Role chaining").
        let role = RoleRequest { duration: role.duration.min(std::time::Duration::from_secs(3600)), ..role };
        if index == last { limited(role) } else { role }
    });
    SessionOptions { role, oidc, keys, chained: chained.collect(), ..cloud::options(run) }
}

fn steps(options: &SessionOptions) -> Vec<String> {
    let mut steps = Vec::new();
    let own = if options.keys.is_some() { "the given keys" } else { "the credentials of the environment" };
    match &options.role {
        None => steps.push(format!("use {own}")),
        Some(role) => {
            let with = if options.oidc.is_some() { "the job's OIDC token" } else { own };
            steps.push(format!("assume role {} with {with}", role.role));
        }
    }
    steps.extend(options.chained.iter().map(|role| format!("assume role {} with that", role.role)));
    if !options.allowed_account_ids.is_empty() {
        steps.push(format!("require account {}", options.allowed_account_ids.join(" or ")));
    }
    steps
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn registries_are_told_apart() {
        let ecr = "123456789012.dkr.ecr.eu-central-1.amazonaws.com";
        assert_eq!(wanted("ecr"), Ok(Wanted::Ecr(None)));
        assert_eq!(wanted("123456789012"), Ok(Wanted::Ecr(Some("123456789012".into()))));
        assert_eq!(wanted(ecr), Ok(Wanted::EcrHost(ecr.into())));
        assert_eq!(wanted("public.ecr.aws"), Ok(Wanted::EcrPublic));
        for host in ["ghcr.io", "localhost:5000", "docker.io", "registry.example:443"] {
            assert_eq!(wanted(host), Ok(Wanted::Host(host.into())), "{host}");
        }
        for wrong in ["acme", "ghcr.io/acme", "https://ghcr.io", "GHCR.io x", "-"] {
            assert!(wanted(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn a_given_login_goes_to_one_registry() {
        let hosts = |names: &[&str]| names.iter().map(|name| wanted(name).unwrap()).collect::<Vec<_>>();
        assert_eq!(given_for(&hosts(&["ecr", "ghcr.io", "quay.io"])), ["quay.io"]);
        assert_eq!(given_for(&hosts(&["ghcr.io"])), ["ghcr.io"]);
        assert!(given_for(&hosts(&["ecr"])).is_empty());
    }
}
