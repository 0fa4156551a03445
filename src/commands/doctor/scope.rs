//! Purpose: what is to be checked: commands, inputs that matter, and where they work, from workflows, config and inputs.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use super::Inputs;
use crate::commands::run::Run;
use crate::commands::terraform;
use crate::config::environment_of_branch;
use crate::contract::values::List;
use crate::domain::event::GitRef;
use crate::domain::permissions::{Place, Registry, Trust, Uses};
use crate::domain::reference::ImageName;
use crate::domain::workflow_use::{StepUse, steps_of};
use crate::runner::{Failure, Problems, nearest};
use crate::services::aws::partition;

/// Inputs that need permissions of their own.
const TELLING: [&str; 5] = ["migrate", "keep_revisions", "ssm_parameters", "workflow", "artifact"];
/// The largest workflow file that is read, in bytes.
const LARGEST: u64 = 1024 * 1024;

/// What is to be checked.
pub(super) struct Scope {
    pub(super) uses: Uses,
    pub(super) place: Place,
    pub(super) trust: Trust,
    /// The environment, when one is chosen.
    pub(super) environment: Option<String>,
    /// Its settings.
    pub(super) settings: BTreeMap<String, String>,
    /// Images that workflows and config name.
    pub(super) images: Vec<ImageName>,
    /// Images of Terraform that the workflows run.
    pub(super) terraform_images: Vec<String>,
    /// Workflow files that could not be read, and why.
    pub(super) unreadable: Vec<(String, String)>,
}

impl Scope {
    /// Whether one of these commands is used.
    pub(super) fn any(&self, commands: &[&str]) -> bool {
        self.uses.commands.iter().any(|used| commands.contains(&used.as_str()))
    }

    /// Those of these commands that are used.
    pub(super) fn of(&self, commands: &[&str]) -> Vec<String> {
        self.uses.commands.iter().filter(|used| commands.contains(&used.as_str())).cloned().collect()
    }

    /// A setting of the environment.
    pub(super) fn setting(&self, key: &str) -> Option<&str> {
        self.settings.get(key).map(String::as_str)
    }

    /// Whether anything on AWS is needed.
    pub(super) fn needs_aws(&self) -> bool {
        self.uses.aws().next().is_some()
    }

    /// What is going to be looked at, for the plan.
    pub(super) fn checks(&self) -> Vec<String> {
        let mut checks = vec!["the config".to_owned(), "GitHub's API, with the job's token".to_owned()];
        if self.needs_aws() {
            checks.push("AWS: identity, and the resources of the environment".to_owned());
        }
        checks.extend(self.images.iter().map(|image| format!("the registry of {image}")));
        if self.any(&super::machine::ENGINE) {
            checks.push("the Docker Engine".to_owned());
        }
        checks
    }
}

pub(super) fn scope(inputs: &Inputs, run: &Run) -> Result<Scope, Failure> {
    let mut unreadable = Vec::new();
    let steps = workflow_steps(run, &mut unreadable);
    let environment = environment(run)?;
    let settings = settings(run, environment.as_deref());
    let commands = commands(inputs, run, &steps, &settings)?;
    let steps: Vec<&StepUse> = steps.iter().filter(|step| commands.contains(&step.command)).collect();
    let images = images(&steps, &settings, run);
    let terraform_images = terraform_images(&steps);
    let assumes_role = run.cloud.role_to_assume.is_some() || settings.contains_key("role_to_assume");
    let uses = Uses {
        with: with(inputs, &steps, &settings),
        registries: registries(&images, &steps, &settings),
        assumes_role: assumes_role || steps.iter().any(|step| step.with.contains_key("role_to_assume")),
        commands,
    };
    Ok(Scope {
        place: place(&settings, run),
        trust: trust(environment.as_deref(), run),
        uses,
        environment,
        settings,
        images,
        terraform_images,
        unreadable,
    })
}

/// The commands in the order of the house.
fn commands(
    inputs: &Inputs,
    run: &Run,
    steps: &[StepUse],
    settings: &BTreeMap<String, String>,
) -> Result<Vec<String>, Failure> {
    let all = crate::commands::all();
    let known: Vec<&str> = all.iter().map(|command| command.name).collect();
    let List(asked) = &inputs.commands;
    let mut problems = Problems::default();
    for name in asked.iter().filter(|name| !known.contains(&name.as_str())) {
        let near = nearest(name, known.iter().copied()).map(|near| format!("; did you mean '{near}'?"));
        problems.add("for", format!("has '{name}', which is no command{}", near.unwrap_or_default()));
    }
    problems.into_result()?;
    let mut wanted: BTreeSet<&str> = asked.iter().map(String::as_str).collect();
    if wanted.is_empty() {
        wanted.extend(steps.iter().map(|step| step.command.as_str()).filter(|name| *name != "doctor"));
    }
    if wanted.is_empty() {
        wanted.extend(of_config(run, settings));
    }
    Ok(known.into_iter().filter(|name| wanted.contains(name)).map(str::to_owned).collect())
}

/// Commands that the config has settings for.
fn of_config(run: &Run, settings: &BTreeMap<String, String>) -> Vec<&'static str> {
    let mut commands = Vec::new();
    if !run.config.environments.is_empty() {
        commands.push("config");
    }
    if !run.config.resolve.ladders.is_empty() {
        commands.push("resolve");
    }
    if settings.contains_key("ecr_repository") {
        commands.push("build");
    }
    if settings.contains_key("cluster") {
        commands.push("deploy");
    }
    commands
}

/// The steps of every workflow and composite action below `.github`.
fn workflow_steps(run: &Run, unreadable: &mut Vec<(String, String)>) -> Vec<StepUse> {
    let root = run.workspace().join(".github");
    let mut steps = Vec::new();
    let mut files = yaml_files(&root.join("workflows"));
    for folder in std::fs::read_dir(root.join("actions")).into_iter().flatten().flatten() {
        files.extend(yaml_files(&folder.path()));
    }
    files.sort();
    for path in files {
        let shown = path.strip_prefix(run.workspace()).unwrap_or(&path).display().to_string();
        let too_large = std::fs::metadata(&path).is_ok_and(|metadata| metadata.len() > LARGEST);
        let text = if too_large { Err("is larger than 1 MiB".to_owned()) } else { read(&path) };
        match text.and_then(|text| serde_yaml::from_str::<Value>(&text).map_err(|error| error.to_string())) {
            Ok(workflow) => steps.extend(steps_of(&workflow)),
            Err(message) => unreadable.push((shown, message)),
        }
    }
    steps
}

fn read(path: &std::path::Path) -> Result<String, String> {
    std::fs::read_to_string(path).map_err(|error| error.to_string())
}

fn yaml_files(folder: &std::path::Path) -> Vec<std::path::PathBuf> {
    let entries = std::fs::read_dir(folder).into_iter().flatten().flatten().map(|entry| entry.path());
    let is_yaml = |path: &std::path::PathBuf| path.extension().is_some_and(|e| e == "yml" || e == "yaml");
    entries.filter(|path| is_yaml(path)).collect()
}

/// The environment: named, else the branch's, else the only one.
fn environment(run: &Run) -> Result<Option<String>, Failure> {
    if let Some(named) = &run.common.environment {
        return Ok(Some(named.clone()));
    }
    let event = run.event()?;
    let tag = match &event.git_ref {
        Some(GitRef::Tag(tag)) => Some(format!("refs/tags/{tag}")),
        _ => None,
    };
    let branch = event.target_branch().map(str::to_owned).or(tag).unwrap_or_default();
    let by_branch = environment_of_branch(&run.config, &branch).ok().flatten().map(str::to_owned);
    let mut names = run.config.environments.keys();
    let only = names.next().filter(|_| names.next().is_none());
    Ok(by_branch.or_else(|| only.cloned()))
}

fn settings(run: &Run, environment: Option<&str>) -> BTreeMap<String, String> {
    let section = environment.and_then(|name| run.config.environment(name).ok());
    let settings = section.into_iter().flat_map(|section| &section.settings);
    settings.map(|(key, value)| (key.clone(), value.as_str().to_owned())).collect()
}

fn with(inputs: &Inputs, steps: &[&StepUse], settings: &BTreeMap<String, String>) -> Vec<String> {
    let List(given) = &inputs.uses;
    let set = |name: &&str| {
        given.iter().any(|given| given == name)
            || settings.contains_key(*name)
            || steps.iter().any(|step| step.with.get(*name).is_some_and(|value| !value.is_empty()))
    };
    let mut with: Vec<String> = TELLING.iter().filter(|name| set(name)).map(|name| (*name).to_owned()).collect();
    // Operations of `prune` that do more than the others.
    for operation in ["lifecycle", "restore"] {
        let runs =
            |step: &&StepUse| step.command == "prune" && step.with.get("operation").is_some_and(|o| o == operation);
        if given.iter().any(|given| given == operation) || steps.iter().any(runs) {
            with.push(operation.to_owned());
        }
    }
    let after_a_run = |step: &&StepUse| step.events.iter().any(|event| event == "workflow_run");
    if given.iter().any(|given| given == "workflow_run") || steps.iter().any(after_a_run) {
        with.push("workflow_run".to_owned());
    }
    if settings.values().any(|value| value.starts_with("ssm:")) {
        with.push("ssm".to_owned());
    }
    with
}

/// Images that inputs, settings and ladders name in full; those with expressions are not known yet.
fn images(steps: &[&StepUse], settings: &BTreeMap<String, String>, run: &Run) -> Vec<ImageName> {
    let mut texts: Vec<String> = Vec::new();
    for values in steps.iter().map(|step| &step.with).chain([settings]) {
        for key in ["image", "images", "tags"] {
            texts.extend(values.get(key).into_iter().flat_map(|text| text.lines()).map(str::to_owned));
        }
        if let (Some(registry), Some(repository)) = (values.get("registry"), values.get("repository")) {
            texts.push(format!("{registry}/{repository}"));
        }
    }
    if let (Some(account), Some(region), Some(repository)) =
        (settings.get("aws_account_id"), settings.get("aws_region"), settings.get("ecr_repository"))
    {
        texts.push(format!("{account}.dkr.ecr.{region}.{}/{repository}", domain_of(region)));
    }
    let has_host = |text: &str| text.split('/').next().is_some_and(|host| host.contains(['.', ':']));
    let texts = texts.iter().map(|text| text.trim()).filter(|text| !text.contains("${{") && has_host(text));
    let mut images: Vec<ImageName> = texts.filter_map(name_of).collect();
    images.extend(run.config.metrics.images.iter().flat_map(|List(list)| list).filter_map(|text| text.parse().ok()));
    images.sort_unstable_by_key(ToString::to_string);
    images.dedup();
    images
}

/// Every other default image is pinned by us.
fn terraform_images(steps: &[&StepUse]) -> Vec<String> {
    let steps = steps.iter().filter(|step| step.command == "terraform");
    let named = steps.map(|step| step.with.get("terraform_image").map_or(terraform::IMAGE, String::as_str).trim());
    let images: BTreeSet<&str> = named.filter(|image| !image.contains("${{")).collect();
    images.into_iter().map(str::to_owned).collect()
}

/// The repository of a reference, with or without tag.
fn name_of(text: &str) -> Option<ImageName> {
    let plain = text.split('@').next().unwrap_or(text);
    let slash = plain.rfind('/').unwrap_or(0);
    let end = plain.rfind(':').filter(|colon| *colon > slash).unwrap_or(plain.len());
    plain.get(..end)?.parse().ok()
}

fn registries(images: &[ImageName], steps: &[&StepUse], settings: &BTreeMap<String, String>) -> Vec<Registry> {
    let written = steps.iter().flat_map(|step| step.with.values()).chain(settings.values());
    let names: Vec<String> = written.cloned().chain(images.iter().map(ToString::to_string)).collect();
    let mut registries = Vec::new();
    if names.iter().any(|name| name.contains(".dkr.ecr.")) || settings.contains_key("ecr_repository") {
        registries.push(Registry::Ecr);
    }
    if names.iter().any(|name| name.contains("ghcr.io/")) {
        registries.push(Registry::Ghcr);
    }
    registries
}

fn place(settings: &BTreeMap<String, String>, run: &Run) -> Place {
    let setting = |key: &str| settings.get(key).filter(|value| !value.starts_with("ssm:")).cloned();
    let list = |key: &str| {
        let text = setting(key).unwrap_or_default();
        text.split([',', '\n']).map(str::trim).filter(|name| !name.is_empty()).map(str::to_owned).collect::<Vec<_>>()
    };
    let region = run.cloud.aws_region.clone().or_else(|| setting("aws_region"));
    let region = region.or_else(|| run.variable("AWS_REGION").map(str::to_owned));
    Place {
        partition: partition(region.as_deref().unwrap_or_default()).to_owned(),
        region,
        account: setting("aws_account_id"),
        repositories: list("ecr_repository"),
        cluster: setting("cluster"),
        services: list("service"),
        parameters: settings.values().filter_map(|value| value.strip_prefix("ssm:")).map(str::to_owned).collect(),
        written_parameters: setting("ssm_parameters")
            .unwrap_or_default()
            .lines()
            .filter_map(|line| line.split_once('='))
            .map(|(path, _)| path.trim().to_owned())
            .collect(),
    }
}

fn trust(environment: Option<&str>, run: &Run) -> Trust {
    let section = environment.and_then(|name| run.config.environment(name).ok());
    // An Enterprise Server issues its own tokens, below its own host.
    let host = run.github.server_url.split("://").last().unwrap_or_default();
    let provider = match host {
        "github.com" | "" => "token.actions.githubusercontent.com".to_owned(),
        host => format!("{host}/_services/token"),
    };
    Trust {
        provider,
        repository: run.github.repository.clone().unwrap_or_else(|| "OWNER/REPOSITORY".to_owned()),
        branches: section.map(|section| section.branches.0.clone()).unwrap_or_default(),
    }
}

fn domain_of(region: &str) -> &'static str {
    if region.starts_with("cn-") { "amazonaws.com.cn" } else { "amazonaws.com" }
}
