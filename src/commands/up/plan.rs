//! Purpose: what is going to be started, from the inputs or from a compose file; nothing started yet.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::path::{Component, Path, PathBuf};
use std::time::Duration;

use serde::Serialize;
use url::Url;

use super::{Inputs, ShowLogs};
use crate::commands::run::Run;
use crate::contract::values::Span;
use crate::domain::compose::{self, Condition, Presence, Project, Service, read_env_file, start_order};
use crate::domain::container::{Port, read_ports};
use crate::domain::health::StatusRanges;
use crate::domain::reference::ImageRef;
use crate::domain::shell::words;
use crate::runner::{Failure, Kind, Problems};

/// The most of a compose file or a file of variables that is read, in bytes.
const LARGEST_FILE: u64 = 4 << 20;
/// The service that stands for the one container.
pub(super) const ONLY: &str = "container";

/// What will be started and waited for.
#[derive(Debug, Serialize)]
pub struct Plan {
    pub(super) project: Project,
    /// Services in the order of their starts.
    pub(super) order: Vec<String>,
    pub(super) kind: Shape,
    pub(super) network: Option<String>,
    #[serde(serialize_with = "shown")]
    pub(super) health_url: Option<Url>,
    pub(super) health_command: Option<Vec<String>>,
    #[serde(skip)]
    pub(super) health_status: StatusRanges,
    pub(super) health_timeout: Span,
    pub(super) keep: Keep,
    pub(super) logs: ShowLogs,
    /// Registries that the given login belongs to.
    #[serde(skip)]
    pub(super) own_registries: Vec<String>,
}

/// One container or a compose file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Shape {
    /// One container.
    One {
        /// Its name, when it was given one.
        name: Option<String>,
        /// Its limit of memory, in bytes.
        memory: Option<u64>,
        /// Lines for its hosts file.
        hosts: Vec<String>,
    },
    /// The services of a compose file.
    Compose,
}

/// How long the containers live.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Keep {
    /// Until the end of the job.
    Job,
    /// Until the end of this step.
    Step,
}

fn shown<S: serde::Serializer>(url: &Option<Url>, serializer: S) -> Result<S::Ok, S::Error> {
    url.as_ref().map(Url::as_str).serialize(serializer)
}

impl fmt::Display for Plan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, name) in self.order.iter().enumerate() {
            let service = &self.project.services[name];
            let ports: Vec<String> = service.ports.iter().map(Port::to_string).collect();
            let ports = if ports.is_empty() { String::new() } else { format!(", ports {}", ports.join(" ")) };
            let after = conditions(service);
            let line = if index == 0 { "" } else { "\n" };
            write!(f, "{line}start {name} from {}{ports}{after}", service.image)?;
        }
        if let Some(url) = &self.health_url {
            write!(f, "\nwait until {} answers {}", crate::services::http::shown(url), self.health_status)?;
        }
        if let Some(command) = &self.health_command {
            write!(f, "\nwait until {} succeeds in it", command.first().map_or("the command", String::as_str))?;
        }
        let until = if self.keep == Keep::Job { "the job" } else { "this step" };
        write!(f, "\nat most {} for all to be healthy; removed at the end of {until}", self.health_timeout)
    }
}

fn conditions(service: &Service) -> String {
    let said = service.depends_on.iter().map(|(name, condition)| match condition {
        Condition::Started => format!("{name} is started"),
        Condition::Healthy => format!("{name} is healthy"),
        Condition::Completed => format!("{name} has ended well"),
    });
    let said: Vec<String> = said.collect();
    if said.is_empty() { String::new() } else { format!(", when {}", said.join(" and ")) }
}

pub(super) fn plan(inputs: Inputs, run: &Run) -> Result<Plan, Failure> {
    let mut problems = Problems::default();
    let project = match (&inputs.image, &inputs.compose_file) {
        (Some(_), Some(_)) => {
            problems.add("compose_file", "and `image` are both set; use `images` to replace a service's image");
            None
        }
        (None, None) => {
            problems.add("image", "is required, or `compose_file`");
            None
        }
        (Some(image), None) => one(image, &inputs, run, &mut problems),
        (None, Some(file)) => {
            refuse_beside_compose(&inputs, &mut problems);
            compose_project(file, &inputs, run, &mut problems)?
        }
    };
    if let Some(project) = &project {
        check_images(project, &mut problems);
    }
    let health_url = inputs.health_url.as_deref().and_then(|text| health_url(text, &mut problems));
    let statuses = inputs.health_status.as_deref().unwrap_or("200-399").parse::<StatusRanges>();
    let health_status = problems.check("health_status", statuses);
    let health_command = inputs
        .health_command
        .as_deref()
        .and_then(|line| problems.check("health_command", words(line).map_err(|error| error.to_string())));
    problems.into_result()?;
    let project = project.unwrap_or_default();
    let kind = match inputs.compose_file {
        Some(_) => Shape::Compose,
        None => Shape::One { name: inputs.name, memory: inputs.memory.map(|size| size.0), hosts: inputs.add_hosts.0 },
    };
    let own_registries = own_registries(&project, &inputs.images.0);
    Ok(Plan {
        own_registries,
        order: start_order(&project.services).unwrap_or_default(),
        project,
        kind,
        network: inputs.network,
        health_url,
        health_command,
        health_status: health_status.unwrap_or_default(),
        health_timeout: inputs.health_timeout.unwrap_or(Span(Duration::from_secs(60))),
        keep: if inputs.keep.is_none_or(|flag| flag.0) { Keep::Job } else { Keep::Step },
        logs: inputs.logs.unwrap_or_default(),
    })
}

/// The hosts that `registry_username` and `registry_password` are for: those of the images given as inputs, else the one
/// host that all services share. A password is never sent to whatever host a compose file names beside the others.
fn own_registries(project: &Project, images: &[(String, String)]) -> Vec<String> {
    let host = |image: &str| image.parse::<ImageRef>().ok().map(|image| image.registry().to_owned());
    let given: BTreeSet<String> = images.iter().filter_map(|(_, image)| host(image)).collect();
    let all: BTreeSet<String> = project.services.values().filter_map(|service| host(&service.image)).collect();
    if !given.is_empty() {
        given.into_iter().collect()
    } else if all.len() == 1 {
        all.into_iter().collect()
    } else {
        Vec::new()
    }
}

fn refuse_beside_compose(inputs: &Inputs, problems: &mut Problems) {
    let given = [
        ("name", inputs.name.is_some()),
        ("ports", !inputs.ports.0.is_empty()),
        ("env", !inputs.env.0.is_empty()),
        ("env_file", !inputs.env_file.0.is_empty()),
        ("command", inputs.command.is_some()),
        ("memory", inputs.memory.is_some()),
        ("add_hosts", !inputs.add_hosts.0.is_empty()),
        ("health_command", inputs.health_command.is_some()),
    ];
    for (name, _) in given.into_iter().filter(|(_, given)| *given) {
        problems.add(name, "is for one container; write it into the compose file");
    }
}

fn one(image: &str, inputs: &Inputs, run: &Run, problems: &mut Problems) -> Option<Project> {
    if !inputs.images.0.is_empty() {
        problems.add("images", "is for a compose file; set `image`");
    }
    let mut ports = Vec::new();
    for text in &inputs.ports.0 {
        ports.extend(problems.check("ports", read_ports(text)).unwrap_or_default());
    }
    if let Some(name) = inputs.name.as_deref().filter(|name| !is_container_name(name)) {
        problems.add("name", format!("is '{name}', which is no container's name; use letters, digits, - _ ."));
    }
    let mut environment = BTreeMap::new();
    for file in &inputs.env_file.0 {
        environment.extend(variables("env_file", file, run, problems));
    }
    environment.extend(inputs.env.0.iter().cloned());
    let command = inputs.command.as_deref();
    let command = command.and_then(|line| problems.check("command", words(line)));
    let service = Service { image: image.to_owned(), environment, ports, command, ..Service::default() };
    Some(Project { services: [(ONLY.to_owned(), service)].into(), ..Project::default() })
}

fn is_container_name(text: &str) -> bool {
    text.len() > 1
        && text.starts_with(|c: char| c.is_ascii_alphanumeric())
        && text.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.'))
}

fn compose_project(
    file: &str,
    inputs: &Inputs,
    run: &Run,
    problems: &mut Problems,
) -> Result<Option<Project>, Failure> {
    let Some(text) = problems.check("compose_file", text_of(file, run)) else {
        return Ok(None);
    };
    let images: BTreeMap<String, String> = inputs.images.0.iter().cloned().collect();
    let lookup = |name: &str| variable(run, name);
    let mut project = match compose::read(&text, &images, &lookup) {
        Ok(project) => project,
        Err(error) => {
            let line = error.line().and_then(|line| u32::try_from(line).ok());
            let failure = Failure::new(
                Kind::Input,
                "invalid-compose-file",
                "Compose file not usable",
                format!("{file}: {error}"),
            )
            .hint("The supported keys are listed in docs/up.md; start anything else with docker compose itself.");
            return Err(match line {
                Some(line) => failure.at(file, line),
                None => failure,
            });
        }
    };
    let folder = Path::new(file).parent().unwrap_or_else(|| Path::new(""));
    for service in project.services.values_mut() {
        let mut environment = BTreeMap::new();
        for file in &service.env_files {
            let path = folder.join(&file.path);
            if file.presence == Presence::Optional && is_absent(&path, run) {
                continue;
            }
            environment.extend(variables("compose_file", &path.to_string_lossy(), run, problems));
        }
        environment.append(&mut service.environment);
        service.environment = environment;
    }
    Ok(Some(project))
}

/// The step's own variables. The runner's secrets and our own inputs are nobody else's business.
fn variable(run: &Run, name: &str) -> Option<String> {
    let hidden = ["INPUT_", "ACTIONS_", "STATE_"].iter().any(|prefix| name.starts_with(prefix));
    if hidden { None } else { run.variable(name).map(str::to_owned) }
}

fn variables(input: &str, file: &str, run: &Run, problems: &mut Problems) -> BTreeMap<String, String> {
    let Some(text) = problems.check(input, text_of(file, run)) else {
        return BTreeMap::new();
    };
    let read = read_env_file(&text, &|name| variable(run, name));
    problems.check(input, read.map_err(|error| format!("{file}: {error}"))).unwrap_or_default()
}

/// Whether the workspace definitely has no such file.
fn is_absent(path: &Path, run: &Run) -> bool {
    let missing = |path| std::fs::metadata(path).is_err_and(|error| error.kind() == std::io::ErrorKind::NotFound);
    within(path).is_some_and(|path| missing(run.workspace().join(path)))
}

/// A path without `..`, when it does not lead out of the workspace.
fn within(path: &Path) -> Option<PathBuf> {
    let mut inside = PathBuf::new();
    for part in path.components() {
        match part {
            Component::Normal(name) => inside.push(name),
            Component::CurDir => {}
            Component::ParentDir => inside.pop().then_some(())?,
            Component::RootDir | Component::Prefix(_) => return Some(path.to_owned()),
        }
    }
    Some(inside)
}

/// A file of the workspace. The message fits behind the input's name.
fn text_of(file: &str, run: &Run) -> Result<String, String> {
    let path = within(Path::new(file));
    let path = path.ok_or_else(|| format!("names '{file}', which leads out of the workspace"))?;
    let path = run.workspace().join(path);
    let unreadable = |error: std::io::Error| format!("names '{file}', which cannot be read: {error}");
    let length = std::fs::metadata(&path).map_err(unreadable)?.len();
    if length > LARGEST_FILE {
        return Err(format!("names '{file}', which has {length} bytes; {LARGEST_FILE} are allowed"));
    }
    std::fs::read_to_string(&path).map_err(unreadable)
}

fn check_images(project: &Project, problems: &mut Problems) {
    for (name, service) in &project.services {
        // An image may be named by its id alone.
        let is_id = service.image.parse::<crate::domain::names::Digest>().is_ok();
        if !is_id && let Err(error) = service.image.parse::<ImageRef>() {
            let subject = if name == ONLY { "image".to_owned() } else { format!("services.{name}.image") };
            problems.add(subject, error.to_string());
        }
    }
}

fn health_url(text: &str, problems: &mut Problems) -> Option<Url> {
    let url = Url::parse(text).ok().filter(|url| matches!(url.scheme(), "http" | "https") && url.has_host());
    if url.is_none() {
        problems.add("health_url", format!("is '{text}', which is no http or https address"));
    }
    url
}
