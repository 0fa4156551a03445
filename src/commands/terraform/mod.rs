//! Purpose: Terraform and OpenTofu in tool containers: check, plan, and apply of a plan that was made for this commit.

use std::fmt;
use std::time::Duration;

use serde::Serialize;

use super::framework::{Command, Limit, Verdict};
use super::run::Run;
use super::shared::Group;
use super::sticky::{self, Target};
use super::upstream::Clients;
use crate::domain::comment::{Marker, MarkerName};
use crate::domain::markdown::{Markdown, code, link};
use crate::domain::report::render::Origin;
use crate::domain::terraform::hint;
use crate::runner::{Failure, Kind};

mod check;
mod inputs;
mod plans;
mod tools;

use inputs::Settings;
pub use inputs::{IMAGE, Inputs, Operation, Outputs};
use plans::Checked;
use tools::{Ended, Output, Tools};

/// Name in the markers of its comments.
const MARKER: &str = "landfall-terraform";

/// `terraform`.
pub struct Terraform;

/// What will be run, and where it will be told.
#[derive(Serialize)]
pub struct Plan {
    operation: Operation,
    directory: String,
    image: String,
    scanner: Option<String>,
    target: Target,
    #[serde(skip)]
    checked: Option<Checked>,
    #[serde(skip)]
    settings: Settings,
}

impl fmt::Display for Plan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} in {} with {}", self.operation.word(), self.settings.shown_directory(), self.image)?;
        match self.operation {
            Operation::Check => {
                write!(f, "\n  fmt -check, init -backend={}, validate", self.settings.backend)?;
                match &self.scanner {
                    Some(scanner) => write!(f, "\n  scan with {scanner}"),
                    None => write!(f, "\n  no scan"),
                }
            }
            Operation::Plan => write!(f, "\n  init, plan, show; the plan goes to {}", self.settings.plan_file),
            Operation::Apply => write!(f, "\n  init, apply {}", self.settings.plan_file),
        }?;
        match &self.target {
            Target::PullRequest(number) => write!(f, "\n  comment on #{number}"),
            Target::Nowhere(why) => write!(f, "\n  no comment: {why}"),
        }
    }
}

/// What comment and summary will say.
#[derive(Default)]
struct Story {
    /// Lines of the overview.
    lines: Vec<String>,
    /// Sections below it.
    sections: Vec<String>,
    /// Why the step fails although the tools did not.
    verdict: Option<Failure>,
    sha: Option<String>,
}

impl Story {
    fn origin(&self, run: &Run) -> Origin {
        let blob = run.github.repository.as_ref().zip(self.sha.as_ref());
        Origin {
            run_url: run.github.run_url(),
            blob_url: blob.map(|(repository, sha)| format!("{}/{repository}/blob/{sha}", run.github.server_url)),
            commit: self.sha.as_ref().map(|sha| sha.chars().take(7).collect()),
        }
    }

    fn told(&self, settings: &Settings, run: &Run) -> Vec<String> {
        let sign = match (&self.verdict, settings.operation) {
            (Some(_), _) => "❌",
            (None, Operation::Plan) => "📝",
            (None, _) => "✅",
        };
        let origin = self.origin(run);
        let place = if settings.directory.is_empty() { String::new() } else { format!(" of {}", settings.directory) };
        let mut from = vec![code(&settings.image)];
        from.extend(origin.commit.map(|commit| format!("Commit {}", code(&commit))));
        from.extend(origin.run_url.map(|url| link("run", &url)));
        let heading = format!("{sign} Terraform {}{place}", settings.operation.word());
        let overview = Markdown::new().heading(3, &heading).bullets(&self.lines);
        let overview = overview.raw(&format!("<sub>{}</sub>", from.join(" · "))).into_string();
        std::iter::once(overview).chain(self.sections.iter().cloned()).collect()
    }
}

impl Command for Terraform {
    const NAME: &'static str = "terraform";
    const TITLE: &'static str = "Check, plan and apply Terraform or OpenTofu, with the plan on the pull request";
    const BRANDING: (&'static str, &'static str) = ("layers", "purple");
    const GROUPS: &'static [Group] = &[Group::Cloud, Group::Registry, Group::Engine];
    const LIMIT: Limit = Limit::Whole(Duration::from_secs(45 * 60));

    type Inputs = Inputs;
    type Plan = Plan;
    type Outputs = Outputs;

    async fn plan(inputs: Inputs, run: &Run, _outputs: &mut Outputs) -> Result<Plan, Failure> {
        let settings = Settings::of(&inputs, run)?;
        // A plan file that must not be applied is refused before anything is touched.
        let checked = match settings.operation {
            Operation::Apply => Some(plans::check_file(&settings, run)?),
            Operation::Check | Operation::Plan => None,
        };
        let target = sticky::target(run, settings.comment, settings.pr_number).await?;
        let scanner = settings.scanner.clone().filter(|_| settings.operation == Operation::Check);
        let (directory, image) = (settings.directory.clone(), settings.image.clone());
        Ok(Plan { operation: settings.operation, directory, image, scanner, target, checked, settings })
    }

    async fn apply(plan: Plan, run: &Run, outputs: &mut Outputs) -> Result<Verdict, Failure> {
        let settings = &plan.settings;
        let environment = environment(settings, run).await?;
        let tools = prepare(&plan, run, environment).await?;
        let mut story = Story { sha: settings.commit.as_ref().map(ToString::to_string), ..Story::default() };
        let worked = work(settings, &tools, run, &mut story, outputs).await;
        match worked {
            // What still runs is ended by the post step.
            Err(failure) if failure.kind == Kind::Cancelled => return Err(failure),
            Err(failure) => {
                tools.finish().await.unwrap_or_else(|error| run.log.debug(error.explained()));
                return Err(failure);
            }
            Ok(()) => tools.finish().await?,
        }
        let name: MarkerName = MARKER.parse().map_err(|error| {
            Failure::new(Kind::Work, "internal", "Internal error", "the marker cannot be used").caused_by(error)
        })?;
        let marker = Marker::of_key(name, &settings.key);
        let published = sticky::publish(run, settings.comment, &plan.target, &marker, &story.told(settings, run)).await;
        if let Ok(published) = &published {
            outputs.published = Some(published.word().to_owned());
            outputs.comment_id = published.comment().map(|comment| comment.id);
        }
        if let Some(failure) = story.verdict {
            return Err(failure);
        }
        published?;
        Ok(Verdict::Success(match settings.operation {
            Operation::Check => "checked",
            Operation::Plan => "planned",
            Operation::Apply => "applied",
        }))
    }

    async fn post(run: &Run) -> Result<(), Failure> {
        let Some(token) = run.state.get("terraform").filter(|token| token.bytes().all(|b| b.is_ascii_hexdigit()))
        else {
            return Ok(());
        };
        tools::clean_later(run, token, run.state.get("terraform_directory")).await
    }
}

async fn work(
    settings: &Settings,
    tools: &Tools<'_>,
    run: &Run,
    story: &mut Story,
    outputs: &mut Outputs,
) -> Result<(), Failure> {
    match settings.operation {
        Operation::Check => check::check(settings, tools, run, story, outputs).await,
        Operation::Plan => plans::plan(settings, tools, run, story, outputs).await,
        Operation::Apply => plans::apply(settings, tools, run, story, outputs).await,
    }
}

/// The tools' environment, with credentials of the role when one is named.
async fn environment(settings: &Settings, run: &Run) -> Result<std::collections::BTreeMap<String, String>, Failure> {
    let mut environment = settings.environment.clone();
    if run.cloud.role_to_assume.is_some() && settings.backend {
        let session = Clients::new(run).aws().await?;
        let credentials = session.credentials().await?;
        let mut set = |name: &str, value: &str| {
            environment.insert(name.to_owned(), value.to_owned());
        };
        set("AWS_ACCESS_KEY_ID", credentials.access_key_id());
        set("AWS_SECRET_ACCESS_KEY", credentials.secret_access_key());
        set("AWS_SESSION_TOKEN", credentials.session_token().unwrap_or_default());
        set("AWS_REGION", session.region());
        run.mask(&credentials.secret_access_key().into());
        if let Some(token) = credentials.session_token() {
            run.mask(&token.into());
        }
    } else if let Some(region) = &run.cloud.aws_region {
        environment.insert("AWS_REGION".to_owned(), region.clone());
    }
    Ok(environment)
}

async fn prepare<'a>(
    plan: &Plan,
    run: &'a Run,
    environment: std::collections::BTreeMap<String, String>,
) -> Result<Tools<'a>, Failure> {
    let settings = &plan.settings;
    let group = run.log.group("Prepare");
    let mut files = Vec::new();
    if !settings.backend_config.is_empty() {
        // In a file, not in an argument: arguments are in the engine's records.
        let lines = settings
            .backend_config
            .iter()
            .map(|(key, value)| format!("{key} = {}\n", serde_json::Value::from(value.as_str())));
        files.push(("backend.tfbackend".to_owned(), lines.collect::<String>().into_bytes()));
    }
    if let Some(checked) = &plan.checked {
        files.push(("tfplan".to_owned(), checked.content.clone()));
    }
    if settings.operation == Operation::Apply {
        run.state.save("terraform_directory", &settings.directory).map_err(|error| {
            Failure::new(Kind::Work, "state-unwritable", "State not saved", "the clean-up cannot be prepared")
                .caused_by(error)
        })?;
    }
    let prepared =
        Tools::prepare(run, &settings.image, &settings.directory, environment, settings.provider_cache, files).await;
    drop(group);
    prepared
}

/// `init`, with or without the backend.
async fn init(settings: &Settings, tools: &Tools<'_>, run: &Run) -> Result<(), Failure> {
    let group = run.log.group("Init");
    let mut arguments = vec!["init".to_owned(), "-input=false".to_owned(), "-no-color".to_owned()];
    if settings.backend {
        arguments.push(lock_timeout(settings));
        if !settings.backend_config.is_empty() {
            arguments.push("-backend-config=/landfall/out/backend.tfbackend".to_owned());
        }
    } else {
        arguments.push("-backend=false".to_owned());
    }
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let ended = tools.tool(&settings.image, &arguments, Output::Shown).await?;
    drop(group);
    if ended.code == 0 { Ok(()) } else { Err(failed("init", &settings.image, &ended)) }
}

fn lock_timeout(settings: &Settings) -> String {
    format!("-lock-timeout={}s", settings.lock_timeout.0.as_secs())
}

/// A tool that did not end well: its exit code, its last lines, and what they mean.
fn failed(what: &str, image: &str, ended: &Ended) -> Failure {
    let last = ended.last.join("\n");
    let errors: Vec<&str> = ended.last.iter().map(String::as_str).filter(|line| line.contains("Error: ")).collect();
    let first = errors.first().map(|line| line.trim_start_matches(['│', '╷', ' ']).trim());
    let first = first.or(ended.last.last().map(String::as_str)).unwrap_or("it wrote nothing");
    let message = format!("{what} ended with exit code {}: {first}", ended.code);
    let failure = Failure::new(Kind::Work, "tool-failed", format!("{what} failed"), message);
    match hint(&last) {
        Some(hint) => failure.hint(hint),
        None => failure.hint(format!("The lines above are what {image} wrote.")),
    }
}
