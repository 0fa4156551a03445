//! Purpose: the environment's settings as outputs.

use std::collections::BTreeMap;
use std::fmt;

use schemars::JsonSchema;
use secrecy::ExposeSecret as _;
use serde::{Deserialize, Serialize};

use super::cloud;
use super::framework::{Command, Verdict};
use super::run::Run;
use super::shared::Group;
use crate::config::environment_of_branch;
use crate::domain::markdown::{Markdown, code, escaped};
use crate::runner::{Failure, Kind};

/// `config`.
pub struct ShowConfig;

/// Inputs of `config`.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(default)]
pub struct Inputs {
    /// Environment of the config. Default: the one whose `branches` match the pushed branch, or the base branch of a
    /// pull request.
    pub environment: Option<String>,
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
    /// Registry host: the setting, else made from account and region.
    pub ecr_registry: Option<String>,
    /// ECS cluster of the environment.
    pub cluster: Option<String>,
    /// ECS service of the environment.
    pub service: Option<String>,
    /// Role to assume in the environment.
    pub role_arn: Option<String>,
    /// All settings as one JSON object.
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
    secret: Vec<String>,
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

    async fn plan(inputs: Inputs, run: &Run, _outputs: &mut Settings) -> Result<Plan, Failure> {
        let environment = match inputs.environment {
            Some(name) => name,
            None => by_branch(run)?,
        };
        let section = run.config.environment(&environment).map_err(|message| {
            Failure::input(format!("environment {message}"), "Add it to the config, or choose one that is there.")
        })?;
        let mut settings: BTreeMap<String, String> =
            section.settings.iter().map(|(key, value)| (key.clone(), value.as_str().to_owned())).collect();
        let secret = fill_in_parameters(&mut settings, run).await?;
        Ok(Plan { environment, settings, secret })
    }

    async fn apply(plan: Plan, run: &Run, outputs: &mut Settings) -> Result<Verdict, Failure> {
        let rows = plan.shown().map(|(key, value)| vec![escaped(key), code(value)]);
        let title = format!("Settings of {}", plan.environment);
        run.summary.section(Markdown::new().heading(3, &title).table(&["Setting", "Value"], rows).into_string());
        run.log.info(plan.to_string());
        *outputs = settings_of(plan);
        Ok(Verdict::Success("read"))
    }
}

/// Replaces `ssm:/path` values by what the parameter store holds. Returns the keys of the replaced ones.
async fn fill_in_parameters(settings: &mut BTreeMap<String, String>, run: &Run) -> Result<Vec<String>, Failure> {
    let named: Vec<(String, String)> = settings
        .iter()
        .filter_map(|(key, value)| Some((key.clone(), value.strip_prefix("ssm:")?.to_owned())))
        .collect();
    if named.is_empty() {
        return Ok(Vec::new());
    }
    let names: Vec<String> = named.iter().map(|(_, name)| name.clone()).collect();
    let read = cloud::session(run).await?.parameters(&names).await?;
    if !read.missing.is_empty() {
        let message = format!("the parameter store has no {}", read.missing.join(", "));
        return Err(Failure::new(Kind::Work, "parameter-not-found", "Parameter missing", message)
            .hint("Create it, or correct the `ssm:` value in the config; names are case-sensitive and per region."));
    }
    for (key, name) in &named {
        if let Some(value) = read.values.get(name) {
            run.mask(value);
            settings.insert(key.clone(), value.expose_secret().to_owned());
        }
    }
    Ok(named.into_iter().map(|(key, _)| key).collect())
}

fn by_branch(run: &Run) -> Result<String, Failure> {
    let reference = run.github.base_ref.as_deref().or(run.github.reference.as_deref()).unwrap_or_default();
    let branch = reference.strip_prefix("refs/heads/").unwrap_or(reference);
    let found = environment_of_branch(&run.config, branch)
        .map_err(|message| Failure::new(Kind::Input, "invalid-config", "Invalid config", message))?;
    found.map(str::to_owned).ok_or_else(|| {
        Failure::new(
            Kind::Input,
            "no-environment",
            "No environment",
            format!("the input 'environment' is not set and no environment of the config lists the branch '{branch}'"),
        )
        .hint("Set `environment`, or add the branch to `environments.<name>.branches` in the config.")
    })
}

fn settings_of(plan: Plan) -> Settings {
    let json = serde_json::to_string(&plan.settings).ok();
    let mut settings = plan.settings;
    let aws_account_id = settings.remove("aws_account_id");
    let aws_region = settings.remove("aws_region");
    let made = aws_account_id.as_ref().zip(aws_region.as_ref());
    let made = made.map(|(account, region)| format!("{account}.dkr.ecr.{region}.{}", domain_of(region)));
    Settings {
        environment: Some(plan.environment),
        ecr_registry: settings.remove("ecr_registry").or(made),
        ecr_repository: settings.remove("ecr_repository"),
        cluster: settings.remove("cluster"),
        service: settings.remove("service"),
        role_arn: settings.remove("role_arn").or_else(|| settings.get("role_to_assume").cloned()),
        aws_account_id,
        aws_region,
        json,
        further: settings,
    }
}

/// The domain of AWS's partition that a region belongs to.
fn domain_of(region: &str) -> &'static str {
    if region.starts_with("cn-") { "amazonaws.com.cn" } else { "amazonaws.com" }
}
