//! Purpose: the environment's settings as outputs.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use schemars::JsonSchema;
use secrecy::ExposeSecret as _;
use serde::{Deserialize, Serialize};

use super::cloud;
use super::ecs::Confirmation;
use super::framework::{Command, Verdict};
use super::run::Run;
use super::shared::{Cloud, Group};
use crate::config::environment_of_branch;
use crate::domain::event::GitRef;
use crate::domain::markdown::{Markdown, code};
use crate::runner::{Failure, Kind, Problems};
use crate::services::aws::{Session, SessionOptions, partition};

/// Outputs that are written beside the settings.
const OWN_NAMES: [&str; 4] = ["environment", "json", "result", "reason"];

/// `config`.
pub struct ShowConfig;

/// Inputs of `config`.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(default)]
pub struct Inputs {
    /// Environment of the config. Default: the one whose `branches` match the branch that the work is meant for: the
    /// pushed branch, a pull request's base, the branch of the run that triggered this one. A tag is matched as
    /// `refs/tags/<name>`. Several that match are an error.
    pub environment: Option<String>,
    /// What somebody typed to confirm; must equal `confirm_with`. As a job's first step it stops the whole job.
    pub confirm: Option<String>,
    /// What `confirm` must be, for example `DEPLOY`. Default: no confirmation is asked for.
    pub confirm_with: Option<String>,
}

/// Outputs of `config`.
#[derive(Debug, Default, Serialize, JsonSchema)]
pub struct Settings {
    /// Name of the environment.
    pub environment: Option<String>,
    /// AWS account of the environment.
    pub aws_account_id: Option<String>,
    /// AWS region of the environment.
    pub aws_region: Option<String>,
    /// ECR repository of the environment.
    pub ecr_repository: Option<String>,
    /// Host of the account's ECR registry in the region.
    pub ecr_registry: Option<String>,
    /// ECS cluster of the environment.
    pub cluster: Option<String>,
    /// ECS service of the environment.
    pub service: Option<String>,
    /// ARN of the role to assume; a `role_to_assume` that is only a name is completed by account and region.
    pub role_arn: Option<String>,
    /// All settings, derived ones included, as one JSON object; values from the parameter store are left out, because
    /// the runner drops a job's output that holds a secret. Every further key of the environment is an output, too.
    pub json: Option<String>,
    #[serde(flatten)]
    #[schemars(skip)]
    further: BTreeMap<String, String>,
}

/// The settings that become outputs.
#[derive(Debug, Serialize)]
pub struct Plan {
    environment: String,
    settings: BTreeMap<String, String>,
    /// Keys whose values came from the parameter store and are never shown.
    secret: BTreeSet<String>,
}

impl Plan {
    fn shown(&self) -> impl Iterator<Item = (&str, &str)> {
        self.settings.iter().map(|(key, value)| {
            let value = if self.secret.contains(key) { "***" } else { value };
            (key.as_str(), value)
        })
    }
}

impl fmt::Display for Plan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "environment {}", self.environment)?;
        self.shown().try_for_each(|(key, value)| write!(f, "\n{key}={value}"))
    }
}

impl Command for ShowConfig {
    const NAME: &'static str = "config";
    const TITLE: &'static str = "The environment's settings as outputs";
    const BRANDING: (&'static str, &'static str) = ("settings", "gray-dark");
    const GROUPS: &'static [Group] = &[Group::Cloud];

    type Inputs = Inputs;
    type Plan = Plan;
    type Outputs = Settings;

    async fn plan(inputs: Inputs, run: &Run, outputs: &mut Settings) -> Result<Plan, Failure> {
        if inputs.confirm.is_some() && inputs.confirm_with.is_none() {
            let mut problems = Problems::default();
            problems.add("confirm", "is set, but 'confirm_with' does not say what it must be");
            problems.into_result()?;
        }
        Confirmation::of(&inputs.confirm, &inputs.confirm_with).check()?;
        let environment = match inputs.environment {
            Some(name) => name,
            None => by_branch(run)?,
        };
        outputs.environment = Some(environment.clone());
        let section = run.config.environment(&environment).map_err(|message| {
            Failure::input(format!("environment {message}"), "Add it to the config, or choose one that is there.")
        })?;
        let mut settings: BTreeMap<String, String> =
            section.settings.iter().map(|(key, value)| (key.clone(), value.as_str().to_owned())).collect();
        check_names(&environment, &settings)?;
        let secret = fill_in_parameters(&mut settings, run).await?;
        let region = run.cloud.aws_region.as_deref().or_else(|| run.variable("AWS_REGION"));
        derive(&mut settings, region);
        let secret = with_what_holds_them(secret, &settings);
        Ok(Plan { environment, settings, secret })
    }

    async fn apply(plan: Plan, run: &Run, outputs: &mut Settings) -> Result<Verdict, Failure> {
        let rows = plan.shown().map(|(key, value)| vec![code(key), code(value)]);
        let title = format!("Settings of {}", plan.environment);
        run.summary.section(Markdown::new().heading(3, &title).table(&["Setting", "Value"], rows).into_string());
        run.log.info(plan.to_string());
        *outputs = settings_of(plan);
        Ok(Verdict::Success("read"))
    }
}

/// A key that cannot be an output must not get lost without a word.
fn check_names(environment: &str, settings: &BTreeMap<String, String>) -> Result<(), Failure> {
    let mut problems = Problems::default();
    for key in settings.keys() {
        let subject = format!("environments.{environment}.{key}");
        if OWN_NAMES.contains(&key.as_str()) {
            problems.add(subject, "is the name of an output that this command writes itself; rename the key");
        } else if key.is_empty() || !key.chars().all(|c| c.is_ascii_alphanumeric() || c == '_' || c == '-') {
            problems.add(subject, "cannot be the name of an output: use letters, digits, '_' and '-'");
        }
    }
    problems.into_result()
}

/// Replaces `ssm:/path` values by what the parameter store holds. Returns the keys of the replaced ones.
async fn fill_in_parameters(settings: &mut BTreeMap<String, String>, run: &Run) -> Result<BTreeSet<String>, Failure> {
    let named: Vec<(String, String)> = settings
        .iter()
        .filter_map(|(key, value)| Some((key.clone(), value.strip_prefix("ssm:")?.trim().to_owned())))
        .collect();
    if named.is_empty() {
        return Ok(BTreeSet::new());
    }
    let names: Vec<String> = named.iter().map(|(_, name)| name.clone()).collect();
    let read = Session::connect(session_options(settings, run)).await?.parameters(&names).await?;
    if !read.missing.is_empty() {
        let message = format!("the parameter store has no {}", read.missing.join(", "));
        return Err(Failure::new(Kind::Work, "parameter-not-found", "Parameter missing", message)
            .hint("Create it, or correct the `ssm:` value in the config; names are case-sensitive and per region."));
    }
    for (key, name) in &named {
        let value = read.values.get(name).ok_or_else(|| {
            let message = format!("the parameter store did not say anything about {name}");
            Failure::new(Kind::Upstream, "parameter-unanswered", "Parameter not answered", message)
        })?;
        run.mask(value);
        settings.insert(key.clone(), value.expose_secret().to_owned());
    }
    Ok(named.into_iter().map(|(key, _)| key).collect())
}

/// A setting that was made of a secret one is secret, too.
fn with_what_holds_them(secret: BTreeSet<String>, settings: &BTreeMap<String, String>) -> BTreeSet<String> {
    let values: Vec<&String> = secret.iter().filter_map(|key| settings.get(key)).filter(|v| !v.is_empty()).collect();
    let holds = |value: &str| values.iter().any(|secret| value.contains(secret.as_str()));
    let made: Vec<String> = ["ecr_registry", "role_arn"]
        .into_iter()
        .filter(|key| settings.get(*key).is_some_and(|value| holds(value)))
        .map(str::to_owned)
        .collect();
    secret.into_iter().chain(made).collect()
}

/// The run's own AWS inputs first; the environment that was chosen by branch gives what they leave open.
fn session_options(settings: &BTreeMap<String, String>, run: &Run) -> SessionOptions {
    let setting = |key: &str| settings.get(key).filter(|value| !value.starts_with("ssm:")).cloned();
    let cloud = Cloud {
        aws_region: run.cloud.aws_region.clone().or_else(|| setting("aws_region")),
        role_to_assume: run.cloud.role_to_assume.clone().or_else(|| setting("role_to_assume")),
        ..run.cloud.clone()
    };
    SessionOptions { account: setting("aws_account_id"), ..cloud::options_of(run, &cloud) }
}

fn by_branch(run: &Run) -> Result<String, Failure> {
    let event = run.event()?;
    let name = match (&event.git_ref, event.target_branch()) {
        (_, Some(branch)) => branch.to_owned(),
        (Some(GitRef::Tag(tag)), None) => format!("refs/tags/{tag}"),
        _ => String::new(),
    };
    let found = environment_of_branch(&run.config, &name)
        .map_err(|message| Failure::new(Kind::Input, "invalid-config", "Invalid config", message))?;
    found.map(str::to_owned).ok_or_else(|| {
        let about = match name.as_str() {
            "" => "this event belongs to no branch of the repository".to_owned(),
            name => format!("no environment of the config lists '{name}'"),
        };
        let message = format!("the input 'environment' is not set, and {about}");
        Failure::new(Kind::Input, "no-environment", "No environment", message)
            .hint("Set `environment`, or add the branch to `environments.<name>.branches` in the config.")
    })
}

/// Adds what follows from other settings, where the config does not say it itself.
fn derive(settings: &mut BTreeMap<String, String>, region: Option<&str>) {
    let region = settings.get("aws_region").map(String::as_str).or(region).map(str::to_owned);
    let account = settings.get("aws_account_id").cloned();
    if let (Some(account), Some(region)) = (&account, &region) {
        let registry = || format!("{account}.dkr.ecr.{region}.{}", domain_of(region));
        settings.entry("ecr_registry".to_owned()).or_insert_with(registry);
    }
    let role = settings.get("role_to_assume").cloned();
    let complete = role.and_then(|role| match (role.starts_with("arn:"), account) {
        (true, _) => Some(role),
        (false, Some(account)) => {
            let partition = partition(region.as_deref().unwrap_or_default());
            Some(format!("arn:{partition}:iam::{account}:role/{role}"))
        }
        (false, None) => None,
    });
    if let Some(role) = complete {
        settings.entry("role_arn".to_owned()).or_insert(role);
    }
}

fn settings_of(plan: Plan) -> Settings {
    let open: BTreeMap<&String, &String> =
        plan.settings.iter().filter(|(key, _)| !plan.secret.contains(*key)).collect();
    let json = serde_json::to_string(&open).ok();
    let mut settings = plan.settings;
    Settings {
        environment: Some(plan.environment),
        aws_account_id: settings.remove("aws_account_id"),
        aws_region: settings.remove("aws_region"),
        ecr_registry: settings.remove("ecr_registry"),
        ecr_repository: settings.remove("ecr_repository"),
        cluster: settings.remove("cluster"),
        service: settings.remove("service"),
        role_arn: settings.remove("role_arn"),
        json,
        further: settings,
    }
}

/// The domain of AWS's partition that a region belongs to.
fn domain_of(region: &str) -> &'static str {
    if region.starts_with("cn-") { "amazonaws.com.cn" } else { "amazonaws.com" }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn derived(settings: &[(&str, &str)]) -> Vec<(String, String)> {
        let mut all: BTreeMap<String, String> =
            settings.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect();
        derive(&mut all, None);
        all.into_iter().filter(|(key, _)| !settings.iter().any(|(known, _)| known == key)).collect()
    }

    #[test]
    fn registry_and_role_follow_from_account_and_region() {
        let found = derived(&[("aws_account_id", "1"), ("aws_region", "cn-north-1"), ("role_to_assume", "deploy")]);
        assert_eq!(
            found,
            [
                ("ecr_registry".to_owned(), "1.dkr.ecr.cn-north-1.amazonaws.com.cn".to_owned()),
                ("role_arn".to_owned(), "arn:aws-cn:iam::1:role/deploy".to_owned()),
            ]
        );
        assert_eq!(derived(&[("role_to_assume", "deploy")]), []);
        assert_eq!(derived(&[("role_to_assume", "arn:x")]), [("role_arn".to_owned(), "arn:x".to_owned())]);
        assert_eq!(derived(&[("role_arn", "mine"), ("role_to_assume", "arn:x")]), []);
    }
}
