//! Purpose: a gate on the vulnerabilities of an image, by Trivy in a container or by ECR's own scanner.

use std::fmt;
use std::time::Duration;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::framework::{Command, Limit, Verdict};
use super::run::Run;
use super::shared::Group;
use crate::contract::values::{Flag, List, Map, Span};
use crate::domain::scan::{Gate, Scan};
use crate::runner::{Failure, Kind};
use crate::services::asking;

mod ecr;
mod report;
mod settings;
mod trivy;

use settings::Settings;

/// `scan`.
pub struct ScanImage;

/// Trivy 0.72.0. By digest: tags of scanners were moved to malicious images before.
pub const SCANNER_IMAGE: &str =
    "ghcr.io/aquasecurity/trivy@sha256:cffe3f5161a47a6823fbd23d985795b3ed72a4c806da4c4df16266c02accdd6f";

/// Inputs of `scan`.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(default)]
pub struct Inputs {
    /// The image, by reference.
    pub image: Option<String>,
    /// Of an image for several platforms the one that is scanned, such as `linux/arm64`. Default: `linux/amd64`, or the only
    /// one that there is.
    pub platform: Option<String>,
    /// Who scans: `trivy` in a tool container, or `ecr`, which scans what lies in ECR. Default: trivy.
    pub provider: Option<Scanner>,
    /// Severities that stop an image. Default: `CRITICAL,HIGH`.
    pub severity: List,
    /// Let findings pass for which there is no fix yet. Default: false.
    pub ignore_unfixed: Option<Flag>,
    /// File with accepted findings, `CVE-2024-1234 exp:2026-12-31 pkg:openssl # reason` per line, or Trivy's YAML form.
    /// Default: `.trivyignore` or `.trivyignore.yaml` of the workspace, when there is one.
    pub ignore_file: Option<String>,
    /// Image of Trivy; its digest should be in it. Default: a version that Landfall was made for, by digest.
    pub scanner_image: Option<String>,
    /// More environment variables for Trivy, for example `TRIVY_DB_REPOSITORY` of a mirror.
    pub scanner_env: Map,
    /// Name of a volume of the engine that keeps Trivy's database between runs. Default: none.
    pub cache_volume: Option<String>,
    /// Where Trivy gets the image from: `engine`, `registry`, or `auto`, which is the engine when it has the image.
    pub source: Option<Source>,
    /// Let an image pass in which Trivy knows neither a system nor packages, such as a single static binary. Default: false,
    /// because nothing was looked into.
    pub allow_unexamined: Option<Flag>,
    /// Where to write the findings as SARIF 2.1.0, relative to the workspace.
    pub sarif: Option<String>,
    /// Where to write the whole report as JSON, relative to the workspace.
    pub report: Option<String>,
    /// Age from which a finished basic scan of ECR is done anew. Default: 24h.
    pub max_age: Option<Span>,
    /// Time between two questions while ECR scans. Default: 5s.
    pub poll_interval: Option<Span>,
    /// Longest duration of the command. Default: 15m.
    pub timeout: Option<Span>,
}

/// Who scans.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
#[schemars(inline)]
pub enum Scanner {
    /// Trivy in a tool container.
    #[default]
    Trivy,
    /// ECR's own scanner.
    Ecr,
}

/// Where Trivy gets the image from.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
#[schemars(inline)]
pub enum Source {
    /// The engine when it has the image, else the registry.
    #[default]
    Auto,
    /// The engine.
    Engine,
    /// The registry.
    Registry,
}

/// Outputs of `scan`.
#[derive(Debug, Default, Serialize, JsonSchema)]
pub struct Outputs {
    /// Whether the gate let the image through: `true` or `false`; not set when there was no result.
    pub passed: Option<Flag>,
    /// Number of critical findings, those that the gate lets pass included.
    pub critical: Option<usize>,
    /// Number of high findings.
    pub high: Option<usize>,
    /// Number of medium findings.
    pub medium: Option<usize>,
    /// Number of low findings.
    pub low: Option<usize>,
    /// Number of findings that stopped the image.
    pub blocking: Option<usize>,
    /// Number of findings that the ignore file accepts.
    pub ignored: Option<usize>,
    /// The SARIF file.
    pub sarif: Option<String>,
    /// The JSON file.
    pub report: Option<String>,
}

/// What is scanned, and by what it is judged.
#[derive(Debug, Serialize)]
pub struct Plan {
    #[serde(skip)]
    settings: Settings,
    /// In words.
    steps: Vec<String>,
}

impl fmt::Display for Plan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.steps.join("\n"))
    }
}

/// A scan and who made it.
struct Scanned {
    scan: Scan,
    tool: &'static str,
    version: String,
}

impl Command for ScanImage {
    const NAME: &'static str = "scan";
    const TITLE: &'static str = "Gate an image on its vulnerabilities";
    const BRANDING: (&'static str, &'static str) = ("shield", "blue");
    const GROUPS: &'static [Group] = &[Group::Registry, Group::Cloud, Group::Engine];
    const LIMIT: Limit = Limit::Own;

    type Inputs = Inputs;
    type Plan = Plan;
    type Outputs = Outputs;

    async fn plan(inputs: Inputs, run: &Run, _outputs: &mut Outputs) -> Result<Plan, Failure> {
        let settings = Settings::read(&inputs, run)?;
        Ok(Plan { steps: settings.steps(), settings })
    }

    async fn apply(plan: Plan, run: &Run, outputs: &mut Outputs) -> Result<Verdict, Failure> {
        let settings = &plan.settings;
        let group = run.log.group(format!("Scan {}", settings.image));
        let scanning = async {
            match settings.scanner {
                Scanner::Trivy => trivy::scan(settings, run).await,
                Scanner::Ecr => ecr::scan(settings, run).await,
            }
        };
        let scanned = tokio::select! {
            scanned = asking::in_time(settings.limit + LAST_WORDS, scanning) => {
                scanned.unwrap_or_else(|waited_for| Err(late(settings, &waited_for)))
            }
            () = cancelled(run) => Err(Failure::cancelled()),
        };
        let scanned = scanned.inspect_err(|failure| run.summary.section(report::no_result(settings, failure)))?;
        drop(group);
        report::judge(settings, &scanned, run, outputs)
    }
}

/// The tool keeps its own time and says more when it is up; this is for everything around it.
const LAST_WORDS: Duration = Duration::from_secs(20);

/// A cancelled tool is removed before it is given up.
async fn cancelled(run: &Run) {
    run.cancel.cancelled().await;
    tokio::time::sleep(Duration::from_secs(5)).await;
}

fn late(settings: &Settings, waited_for: &str) -> Failure {
    let message = format!("the scan of {} did not end within {}{waited_for}", settings.image, Span(settings.limit));
    Failure::new(Kind::Work, "timeout", "No scan result", message)
        .hint("Raise `timeout`; without a result the image does not pass.")
}

/// The gate of these settings.
fn gate(settings: &Settings) -> &Gate {
    &settings.gate
}
