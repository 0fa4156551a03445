//! Purpose: what `terraform` takes and gives.

use std::collections::BTreeMap;
use std::path::Component;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::commands::run::Run;
use crate::commands::scan::SCANNER_IMAGE;
use crate::commands::sticky::CommentMode;
use crate::contract::values::{Count, Flag, List, Map, Span};
use crate::domain::names::CommitSha;
use crate::runner::{Failure, Problems};

/// The image unless given: a tag, which its owner moves with each patch; `doctor` says how to pin one.
pub const IMAGE: &str = "hashicorp/terraform:1.13";
/// Variables of the step that the tools see as well: those of providers and backends, and proxies.
const PASSED_ON: [&str; 18] = [
    "AWS_",
    "TF_",
    "ARM_",
    "AZURE_",
    "GOOGLE_",
    "CLOUDSDK_",
    "CLOUDFLARE_",
    "DIGITALOCEAN_",
    "HCLOUD_",
    "VAULT_",
    "CONSUL_",
    "DATADOG_",
    "DD_",
    "PG",
    "HTTP_PROXY",
    "HTTPS_PROXY",
    "NO_PROXY",
    "SSL_CERT_",
];

/// Inputs of `terraform`.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(default)]
pub struct Inputs {
    /// What to do: `check` (formatting, validation and a security scan; needs no credentials), `plan`, or `apply` of a
    /// plan file. Default: check.
    pub operation: Option<Operation>,
    /// Directory of the configuration, relative to the workspace. Default: the workspace.
    pub working_directory: Option<String>,
    /// Image of Terraform or OpenTofu; its own entry point is run. Add a digest
    /// (`hashicorp/terraform:1.13@sha256:…`) where nobody else may decide what runs. Default: hashicorp/terraform:1.13.
    pub terraform_image: Option<String>,
    /// Image of the scanner that `check` runs: Trivy or tfsec. Default: Trivy, pinned by digest, as `scan` has it.
    pub scanner_image: Option<String>,
    /// Whether `check` scans. Default: true.
    pub scan: Option<Flag>,
    /// Files with variables, relative to the working directory.
    pub var_file: Option<List>,
    /// Variables, one `name=value` per line. They reach the tool through its environment, never as arguments.
    pub vars: Map,
    /// The same for values that are masked everywhere.
    #[schemars(extend("x-secret" = true))]
    pub secret_vars: Map,
    /// Further environment variables of the tools, one `NAME=value` per line; those of the known providers
    /// (`AWS_…`, `TF_…`, `ARM_…`, `GOOGLE_…` and others) are passed on by themselves. Values are masked.
    #[schemars(extend("x-secret" = true))]
    pub env: Map,
    /// Whether the backend with the state is used. Default: false for check, true for the others.
    pub backend: Option<Flag>,
    /// Settings of the backend, one `key=value` per line; values are masked.
    #[schemars(extend("x-secret" = true))]
    pub backend_config: Map,
    /// The plan file, relative to the workspace: written by plan, read by apply. Default: tfplan in the working
    /// directory. It holds secrets: give it to a later job only through an artifact of a private repository.
    pub plan_file: Option<String>,
    /// The commit that a plan is made for or applied for. Default: the commit under test.
    pub sha: Option<String>,
    /// What makes the step fail with exit code 3: `findings` (formatting, validation, findings of level error),
    /// `changes` (a plan that is not empty: drift), `none`. Default: findings.
    pub fail_on: Option<List>,
    /// How long the state's lock is waited for. Default: 5m.
    pub lock_timeout: Option<Span>,
    /// Whether downloaded providers are kept in a volume of the engine for later steps. Default: true.
    pub provider_cache: Option<Flag>,
    /// Whether a comment is written: `auto`, `always`, `never`. Default: auto for check and plan, never for apply.
    pub comment: Option<CommentMode>,
    /// Number of the pull request. Default: the event's, else the open one whose head is the commit of this run.
    pub pr_number: Option<Count>,
    /// Which comment is kept up to date. Default: operation and working directory.
    pub key: Option<String>,
}

/// What to do.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
#[schemars(inline)]
pub enum Operation {
    /// Formatting, validation, scan.
    #[default]
    Check,
    /// A plan.
    Plan,
    /// Applying a plan file.
    Apply,
}

impl Operation {
    pub(super) fn word(self) -> &'static str {
        match self {
            Self::Check => "check",
            Self::Plan => "plan",
            Self::Apply => "apply",
        }
    }
}

/// Outputs of `terraform`.
#[derive(Debug, Default, Serialize, JsonSchema)]
pub struct Outputs {
    /// Whether all files are formatted (check).
    pub formatted: Option<bool>,
    /// Whether the configuration is valid (check).
    pub valid: Option<bool>,
    /// Findings of the scanner (check).
    pub findings: Option<u64>,
    /// Resources to add, or added (plan, apply).
    pub adds: Option<u64>,
    /// Resources to change, or changed (plan, apply).
    pub changes: Option<u64>,
    /// Resources to destroy, or destroyed (plan, apply).
    pub destroys: Option<u64>,
    /// Resources that changed outside of Terraform (plan).
    pub drift: Option<u64>,
    /// Whether the plan would do anything (plan).
    pub has_changes: Option<bool>,
    /// The plan file, relative to the workspace (plan).
    pub plan_file: Option<String>,
    /// Id of the comment.
    pub comment_id: Option<u64>,
    /// Where the result is: `comment` (and the summary), or `summary` alone.
    pub published: Option<String>,
    /// `true` when nothing that `fail_on` names was found.
    pub passed: Option<bool>,
}

/// What a step may fail on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum FailOn {
    Findings,
    Changes,
}

/// Inputs that hold together.
#[derive(Debug, Clone)]
pub(super) struct Settings {
    pub(super) operation: Operation,
    /// Below the workspace, without dots; empty is the workspace.
    pub(super) directory: String,
    pub(super) image: String,
    pub(super) scanner: Option<String>,
    pub(super) var_files: Vec<String>,
    pub(super) environment: BTreeMap<String, String>,
    pub(super) backend: bool,
    pub(super) backend_config: Vec<(String, String)>,
    pub(super) plan_file: String,
    pub(super) commit: Option<CommitSha>,
    pub(super) fail_on: Vec<FailOn>,
    pub(super) lock_timeout: Span,
    pub(super) provider_cache: bool,
    pub(super) comment: CommentMode,
    pub(super) pr_number: Option<u64>,
    pub(super) key: String,
}

impl Settings {
    /// Checks the inputs, all at once, before anything is touched.
    pub(super) fn of(inputs: &Inputs, run: &Run) -> Result<Self, Failure> {
        let mut problems = Problems::default();
        let operation = inputs.operation.unwrap_or_default();
        let directory = below("working_directory", inputs.working_directory.as_deref().unwrap_or("."), &mut problems);
        if !run.workspace().join(&directory).is_dir() {
            problems.add("working_directory", format!("is '{directory}', which is no directory of the workspace"));
        }
        let default_plan = if directory.is_empty() { "tfplan".to_owned() } else { format!("{directory}/tfplan") };
        let plan_file = inputs.plan_file.as_deref().map(|path| below("plan_file", path, &mut problems));
        let sha = inputs.sha.as_deref().map(str::parse::<CommitSha>);
        let commit = sha.and_then(|sha| problems.check("sha", sha)).or(run.event()?.sha);
        if operation == Operation::Apply && commit.is_none() && inputs.sha.is_none() {
            problems.add("sha", "is not set, and the event does not name the commit that the plan was made for");
        }
        let fail_on = fail_on(inputs.fail_on.as_ref(), &mut problems);
        let default_comment = if operation == Operation::Apply { CommentMode::Never } else { CommentMode::Auto };
        let settings = Self {
            operation,
            image: inputs.terraform_image.clone().unwrap_or_else(|| IMAGE.to_owned()),
            scanner: inputs
                .scan
                .is_none_or(|scan| scan.0)
                .then(|| inputs.scanner_image.clone().unwrap_or_else(|| SCANNER_IMAGE.to_owned())),
            var_files: inputs.var_file.clone().map(|list| list.0).unwrap_or_default(),
            environment: environment(inputs, run),
            backend: inputs.backend.map_or(operation != Operation::Check, |backend| backend.0),
            backend_config: inputs.backend_config.0.clone(),
            plan_file: plan_file.unwrap_or(default_plan),
            commit,
            fail_on,
            lock_timeout: inputs.lock_timeout.unwrap_or(Span(std::time::Duration::from_secs(300))),
            provider_cache: inputs.provider_cache.is_none_or(|cache| cache.0),
            comment: inputs.comment.unwrap_or(default_comment),
            pr_number: inputs.pr_number.map(|Count(number)| number),
            key: inputs.key.clone().unwrap_or_else(|| format!("{}/{directory}", operation.word())),
            directory,
        };
        problems.into_result().map(|()| settings)
    }

    /// The directory as people call it.
    pub(super) fn shown_directory(&self) -> &str {
        if self.directory.is_empty() { "the workspace" } else { &self.directory }
    }
}

/// A path below the workspace, without dots.
fn below(input: &str, path: &str, problems: &mut Problems) -> String {
    let mut parts = Vec::new();
    for component in std::path::Path::new(path).components() {
        match component {
            Component::Normal(part) => parts.push(part.to_string_lossy().into_owned()),
            Component::CurDir => {}
            Component::ParentDir | Component::RootDir | Component::Prefix(_) => {
                problems.add(input, format!("is '{path}', which is not below the workspace"));
                return String::new();
            }
        }
    }
    parts.join("/")
}

fn environment(inputs: &Inputs, run: &Run) -> BTreeMap<String, String> {
    let mut all: BTreeMap<String, String> = run
        .environment
        .variables()
        .filter(|(name, _)| PASSED_ON.iter().any(|prefix| name.to_ascii_uppercase().starts_with(prefix)))
        .map(|(name, value)| (name.to_owned(), value.to_owned()))
        .collect();
    for (name, value) in inputs.vars.0.iter().chain(&inputs.secret_vars.0) {
        all.insert(format!("TF_VAR_{name}"), value.clone());
    }
    all.extend(inputs.env.0.iter().cloned());
    for (name, value) in [("TF_IN_AUTOMATION", "1"), ("TF_INPUT", "0"), ("CHECKPOINT_DISABLE", "1")] {
        all.insert(name.to_owned(), value.to_owned());
    }
    all
}

fn fail_on(list: Option<&List>, problems: &mut Problems) -> Vec<FailOn> {
    let Some(List(entries)) = list else {
        return vec![FailOn::Findings];
    };
    let mut found = Vec::new();
    for entry in entries {
        match entry.as_str() {
            "findings" => found.push(FailOn::Findings),
            "changes" => found.push(FailOn::Changes),
            "none" => {}
            other => problems.add("fail_on", format!("has '{other}'; use findings, changes or none")),
        }
    }
    found
}
