//! Purpose: will it work before it runs? Read-only checks, and the policies that the workflows need.

use std::fmt;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::json;

use super::framework::{Command, Verdict};
use super::run::Run;
use super::shared::Group;
use crate::contract::values::{Flag, List};
use crate::domain::markdown::{Markdown, code, escaped};
use crate::domain::permissions::{permissions_block, policy, trust_policy};
use crate::runner::{Failure, Kind};

mod aws;
mod finding;
mod github;
mod machine;
mod scope;
mod settings;

use finding::{Finding, State};
use scope::Scope;

/// `doctor`.
pub struct Examine;

/// Inputs of `doctor`.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(default)]
pub struct Inputs {
    /// Commands to check for. Default: those that the workflows below `.github/` use, else those that the config has
    /// settings for.
    #[serde(rename = "for")]
    pub commands: List,
    /// Further inputs that the workflow sets and that need more permissions: `migrate`, `keep_revisions`,
    /// `ssm_parameters`, `workflow`, `artifact`. Default: as the workflows and the environment set them.
    pub uses: List,
    /// Print the least-privilege IAM policy, the role's trust policy and the job's `permissions:` for exactly these
    /// commands. Default: false.
    pub print_policy: Option<Flag>,
}

/// Outputs of `doctor`.
#[derive(Debug, Default, Serialize, JsonSchema)]
pub struct Outputs {
    /// Whether nothing was found that would fail.
    pub passed: Option<bool>,
    /// What would fail, as JSON: `check`, `subject`, `state`, `message`, `fix`, `commands`.
    pub problems: Option<String>,
    /// The commands that were checked for, one per line.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub commands: Vec<String>,
    /// The IAM policy, as JSON; with `print_policy`.
    pub policy: Option<String>,
    /// The role's trust policy, as JSON; with `print_policy`.
    pub trust_policy: Option<String>,
    /// The job's `permissions:`, as YAML; with `print_policy`.
    pub permissions: Option<String>,
}

/// What is going to be checked.
#[derive(Serialize)]
pub struct Plan {
    #[serde(skip)]
    scope: Scope,
    print_policy: bool,
}

impl fmt::Display for Plan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "check, without writing anywhere, for {}:", self.scope.uses.commands.join(", "))?;
        self.scope.checks().iter().try_for_each(|check| write!(f, "\n  {check}"))?;
        if self.print_policy { write!(f, "\nprint policies and permissions") } else { Ok(()) }
    }
}

impl Command for Examine {
    const NAME: &'static str = "doctor";
    const TITLE: &'static str = "Will it work before it runs? Checks config, permissions and reachability";
    const BRANDING: (&'static str, &'static str) = ("activity", "green");
    const GROUPS: &'static [Group] = &[Group::Cloud, Group::Registry, Group::Engine];

    type Inputs = Inputs;
    type Plan = Plan;
    type Outputs = Outputs;

    async fn plan(inputs: Inputs, run: &Run, outputs: &mut Outputs) -> Result<Plan, Failure> {
        let scope = scope::scope(&inputs, run)?;
        outputs.commands.clone_from(&scope.uses.commands);
        Ok(Plan { scope, print_policy: inputs.print_policy.is_some_and(|flag| flag.0) })
    }

    async fn apply(plan: Plan, run: &Run, outputs: &mut Outputs) -> Result<Verdict, Failure> {
        let group = run.log.group("Examine");
        let mut findings = settings::check(&plan.scope, run);
        // Each upstream takes its own time; none waits for another.
        let (github, aws, machine) = tokio::join!(
            Box::pin(github::check(&plan.scope, run)),
            Box::pin(aws::check(&plan.scope, run)),
            Box::pin(machine::check(&plan.scope, run)),
        );
        findings.extend(github.into_iter().chain(aws).chain(machine));
        findings.iter().for_each(|finding| run.log.info(finding.line()));
        drop(group);
        run.summary.section(summary(&plan.scope, &findings));
        if plan.print_policy {
            print_policy(&plan.scope, run, outputs);
        }
        let problems: Vec<&Finding> = findings.iter().filter(|finding| finding.state == State::Problem).collect();
        outputs.passed = Some(problems.is_empty());
        outputs.problems = Some(json!(problems).to_string());
        verdict(&problems, &findings)
    }
}

fn verdict(problems: &[&Finding], findings: &[Finding]) -> Result<Verdict, Failure> {
    if problems.is_empty() {
        let unknown = findings.iter().any(|finding| finding.state == State::Unknown);
        return Ok(Verdict::Success(if unknown { "partly-unknown" } else { "healthy" }));
    }
    // Each fix stands behind its problem: hints at the end would seem to belong to the last.
    let said = problems.iter().map(|problem| {
        let fix = problem.fix.as_deref().map(|fix| format!(". {fix}")).unwrap_or_default();
        format!("{}: {}{fix}", problem.subject, problem.message)
    });
    let said: Vec<String> = said.collect();
    let title = match problems.len() {
        1 => "1 problem".to_owned(),
        several => format!("{several} problems"),
    };
    Err(Failure::new(Kind::Gate, "problems-found", title, said.join("\n")))
}

fn summary(scope: &Scope, findings: &[Finding]) -> String {
    let rows = findings.iter().map(|finding| {
        vec![
            finding.state.sign().to_owned(),
            escaped(finding.check),
            code(&finding.subject),
            escaped(&finding.message),
            escaped(finding.fix.as_deref().unwrap_or_default()),
        ]
    });
    let commands: Vec<String> = scope.uses.commands.iter().map(|command| code(command)).collect();
    Markdown::new()
        .heading(3, "Doctor")
        .raw(&format!("Checked for {}.", commands.join(", ")))
        .table(&["", "Check", "Subject", "Found", "What to do"], rows)
        .into_string()
}

fn print_policy(scope: &Scope, run: &Run, outputs: &mut Outputs) {
    let pretty = |value| serde_json::to_string_pretty(&value).unwrap_or_default();
    let iam = pretty(policy(&scope.uses, &scope.place));
    let trust = pretty(trust_policy(&scope.trust, &scope.place));
    let block = permissions_block(&scope.uses);
    let mut section = Markdown::new().heading(3, "Permissions");
    for (title, language, text) in [
        ("IAM policy of the role", "json", &iam),
        ("Trust policy of the role", "json", &trust),
        ("Permissions of the job", "yaml", &block),
    ] {
        let group = run.log.group(title);
        run.log.info(text);
        drop(group);
        section = section.heading(4, title).code_block(language, text);
    }
    run.summary.section(section.into_string());
    (outputs.policy, outputs.trust_policy, outputs.permissions) = (Some(iam), Some(trust), Some(block));
}
