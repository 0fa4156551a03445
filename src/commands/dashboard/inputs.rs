//! Purpose: inputs and outputs of `dashboard`, and what they mean for this run.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::commands::run::Run;
use crate::contract::values::{Count, Flag, List, Map};
use crate::domain::comment::{MarkerName, clean};
use crate::domain::dashboard::{StageKey, StageStatus, Stages, default_stages, is_link};
use crate::domain::event::{Event, EventKind};
use crate::domain::names::{CommitSha, RepositoryName};
use crate::runner::{Failure, Kind, Problems};

/// What `dashboard` does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
#[schemars(inline)]
pub enum Operation {
    /// Makes the comment, with every stage pending.
    Init,
    /// Sets a stage.
    Update,
    /// Only reads.
    Show,
}

/// Where the stages' states are kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
#[schemars(inline)]
pub enum Keep {
    /// In commit statuses when the token may write them, else in the comment.
    Auto,
    /// In commit statuses.
    Statuses,
    /// In the comment.
    Comment,
}

/// Inputs of `dashboard`.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(default)]
pub struct Inputs {
    /// `init` makes the comment with every stage pending, `update` sets a stage, `show` only reads. Default: `update`
    /// when `stage` is set, else `init`.
    pub operation: Option<Operation>,
    /// Number of the pull request. Default: the event's, else the pull request that the commit belongs to.
    pub pr_number: Option<Count>,
    /// The commit that the dashboard is about, 7 to 40 digits. Default: the event's head; never the pull request's
    /// current head, so that a push during a run changes nothing.
    pub commit_sha: Option<String>,
    /// Stages to set, by key. A name that is no stage but begins several (`plan` of `plan-…`) sets all of those; any
    /// other new name becomes a new row.
    pub stage: List,
    /// What the stages become: `pending`, `running`, `success`, `failure`, `skipped` or `cancelled` (shown as skipped).
    /// The outcome of a step or the status of a job fits as it is.
    pub status: Option<String>,
    /// Where to read more, a web address. `run` is the page of this run. Default: none.
    pub link: Option<String>,
    /// Stages in the order of the table, one `key=Title` per line. Default: `dashboard.stages` of the config; `init`
    /// without any takes the stages of an infrastructure pipeline.
    pub stages: Map,
    /// Name in the hidden line by which the comment is found again, and before the contexts of its statuses. Default:
    /// `dashboard.marker` of the config, else infra-dashboard.
    pub marker: Option<String>,
    /// Words of the heading. Default: `dashboard.title` of the config, else Commit Dashboard.
    pub title: Option<String>,
    /// Where the stages' states are kept: `statuses` (commit statuses, so that no update is ever lost; needs the
    /// permission `statuses: write`), `comment` (only in the comment; lost rows are repaired), `auto` (statuses when the
    /// token may). Default: `dashboard.records` of the config, else auto.
    pub records: Option<Keep>,
    /// Fail when the comment cannot be written, instead of writing the same to the job summary. Default: false.
    pub require_comment: Option<Flag>,
}

/// Outputs of `dashboard`.
#[derive(Debug, Default, Serialize, JsonSchema)]
pub struct Outputs {
    /// Id of the comment.
    pub comment_id: Option<u64>,
    /// Page of the comment.
    pub comment_url: Option<String>,
    /// Every stage as a JSON list: key, title, status, link and time.
    pub stages: Option<String>,
    /// Where the dashboard is: `comment` or `summary`.
    pub published: Option<String>,
    /// Where the stages' states are kept: `statuses` or `comment`.
    pub records: Option<String>,
}

/// What is to become of which stages.
#[derive(Debug, Clone)]
pub(super) struct Change {
    pub(super) names: Vec<StageKey>,
    pub(super) status: StageStatus,
    pub(super) link: Option<String>,
}

/// The inputs with all defaults.
#[derive(Debug)]
pub(super) struct Settings {
    pub(super) operation: Operation,
    pub(super) repository: RepositoryName,
    pub(super) name: MarkerName,
    pub(super) title: String,
    /// The full commit id, or its beginning.
    pub(super) sha: Given,
    pub(super) pr_number: Option<u64>,
    pub(super) declared: Stages,
    pub(super) change: Option<Change>,
    pub(super) keep: Keep,
    pub(super) is_comment_required: bool,
    /// Who or what asked, in a few words.
    pub(super) by: Option<String>,
}

/// A commit as it was given.
#[derive(Debug, Clone)]
pub(super) enum Given {
    /// Its whole id.
    Whole(CommitSha),
    /// The beginning of its id.
    Start(String),
}

/// Validates the inputs and fills in the defaults.
///
/// # Errors
/// Exit code 2 with everything that is wrong.
pub(super) fn settings(inputs: &Inputs, run: &Run) -> Result<Settings, Failure> {
    let event = run.event()?;
    let mut problems = Problems::default();
    let operation =
        inputs.operation.unwrap_or(if inputs.stage.0.is_empty() { Operation::Init } else { Operation::Update });
    let config = &run.config.dashboard;
    let repository = run.github.repository.as_deref().map(str::parse);
    let repository = match repository {
        Some(parsed) => problems.check("GITHUB_REPOSITORY", parsed),
        None => problems.required("GITHUB_REPOSITORY", None),
    };
    let name = inputs.marker.as_deref().or(config.marker.as_deref()).unwrap_or("infra-dashboard");
    let name = problems.check("marker", name.parse::<MarkerName>());
    let sha = sha(inputs, &event, &mut problems);
    let declared = declared(inputs, run, operation, &mut problems);
    let change = if operation == Operation::Update { change(inputs, run, &mut problems) } else { None };
    let keep = keep(inputs, run, &mut problems);
    problems.into_result()?;
    let (Some(repository), Some(name), Some(sha)) = (repository, name, sha) else {
        return Err(Failure::new(Kind::Work, "internal", "Internal error", "an input was lost"));
    };
    let title = inputs.title.as_deref().or(config.title.as_deref()).unwrap_or("Commit Dashboard");
    Ok(Settings {
        operation,
        repository,
        name,
        title: clean(title, 100),
        sha,
        pr_number: inputs.pr_number.map(|Count(number)| number).or(event.pull_request),
        declared,
        change,
        keep,
        is_comment_required: inputs.require_comment.is_some_and(|flag| flag.0),
        by: by(run, &event),
    })
}

fn sha(inputs: &Inputs, event: &Event, problems: &mut Problems) -> Option<Given> {
    let Some(text) = &inputs.commit_sha else {
        let sha = event.sha.clone().map(Given::Whole);
        if sha.is_none() {
            problems.add(
                "commit_sha",
                "is not set, and the event does not name the commit; give the output `sha` of `route`, for example",
            );
        }
        return sha;
    };
    let text = text.trim().to_ascii_lowercase();
    if let Ok(sha) = text.parse() {
        return Some(Given::Whole(sha));
    }
    let is_start = (7..64).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_hexdigit());
    if !is_start {
        let shown = clean(&text, 80);
        problems.add("commit_sha", format!("is '{shown}', which is no commit id (7 to 40 hexadecimal digits)"));
    }
    is_start.then_some(Given::Start(text))
}

fn declared(inputs: &Inputs, run: &Run, operation: Operation, problems: &mut Problems) -> Stages {
    let (subject, Map(given)) = match &run.config.dashboard.stages {
        Some(stages) if inputs.stages.0.is_empty() => ("dashboard.stages of the config", stages),
        _ => ("stages", &inputs.stages),
    };
    let mut stages = Stages::default();
    for (key, title) in given {
        if let Some(key) = problems.check(subject, key.parse()) {
            stages.set(key, title);
        }
    }
    if stages.is_empty() && operation == Operation::Init { default_stages() } else { stages }
}

fn change(inputs: &Inputs, run: &Run, problems: &mut Problems) -> Option<Change> {
    let List(names) = &inputs.stage;
    if names.is_empty() {
        problems.missing("stage");
    }
    let names = names.iter().filter_map(|name| problems.check("stage", name.parse())).collect();
    let status = problems.required("status", inputs.status.as_deref());
    let status = status.and_then(|status| problems.check("status", status.parse()));
    let link = match inputs.link.as_deref().map(str::trim) {
        Some("run") => run.github.run_url(),
        Some(link) if !is_link(link) => {
            let message = format!("is '{}', which is no web address of at most 400 characters", clean(link, 80));
            problems.add("link", message);
            None
        }
        link => link.map(str::to_owned),
    };
    Some(Change { names, status: status?, link })
}

fn keep(inputs: &Inputs, run: &Run, problems: &mut Problems) -> Keep {
    match (inputs.records, run.config.dashboard.records.as_deref()) {
        (Some(given), _) => given,
        (None, None | Some("auto")) => Keep::Auto,
        (None, Some("statuses")) => Keep::Statuses,
        (None, Some("comment")) => Keep::Comment,
        (None, Some(other)) => {
            let message = format!("is '{}'; use auto, statuses or comment", clean(other, 40));
            problems.add("dashboard.records of the config", message);
            Keep::Auto
        }
    }
}

/// Who asked and how: `octocat (push)`, `octocat (/plan)`.
fn by(run: &Run, event: &Event) -> Option<String> {
    let actor = run.github.actor.as_deref()?;
    let comment = run.payload().ok()?.pointer("/comment/body").and_then(serde_json::Value::as_str);
    let how = match (&event.kind, comment) {
        (EventKind::IssueComment, Some(body)) => clean(body.lines().next().unwrap_or_default(), 30),
        (kind, _) => kind.name().to_owned(),
    };
    Some(if how.is_empty() { actor.to_owned() } else { format!("{actor} ({how})") })
}
