//! Purpose: checks of GitHub: the token, the repository, its companions, what may be read.

use super::finding::{Finding, State};
use super::scope::Scope;
use crate::commands::run::Run;
use crate::commands::upstream::Clients;
use crate::domain::names::RepositoryName;
use crate::domain::permissions::Access;
use crate::runner::Failure;
use crate::services::github::{GithubClient, Repository, RunFilter};

const CHECK: &str = "GitHub";

pub(super) async fn check(scope: &Scope, run: &Run) -> Vec<Finding> {
    let github = match Clients::new(run).github() {
        Ok(github) => github,
        Err(failure) => return vec![Finding::of_failure(CHECK, "API", &failure)],
    };
    if run.github_token().is_none() {
        return vec![
            Finding::new(CHECK, "github_token", State::Problem, "there is no token")
                .with_fix("Leave `github_token` unset in a workflow; on a laptop set GITHUB_TOKEN."),
        ];
    }
    let mut findings = Vec::new();
    if let Some(repository) = own(&github, run, &mut findings).await {
        findings.extend(scopes(&github, &repository, scope).await);
    }
    if scope.any(&["resolve"]) {
        findings.extend(companions(&github, run).await);
    }
    findings
}

async fn own(github: &GithubClient, run: &Run, findings: &mut Vec<Finding>) -> Option<Repository> {
    let name: RepositoryName = run.github.repository.as_deref()?.parse().ok()?;
    match github.repository(&name).await {
        Ok(repository) => {
            findings.push(Finding::new(CHECK, name.as_str(), State::Good, "the token sees the repository"));
            Some(repository)
        }
        Err(error) => {
            findings.push(Finding::of_failure(CHECK, name.as_str(), &Failure::from(error)));
            None
        }
    }
}

/// Each scope that is needed: reading is tried; writing cannot be tried without writing.
async fn scopes(github: &GithubClient, repository: &Repository, scope: &Scope) -> Vec<Finding> {
    let mut findings = Vec::new();
    for (name, access) in scope.uses.github() {
        let asked: Result<(), Failure> = match name {
            "actions" => reads(github.workflow_runs_page(repository, &RunFilter::default(), 1).await),
            "contents" => reads(github.branch_head(repository, &repository.default_branch).await),
            "pull-requests" => {
                let branch = &repository.default_branch;
                let owner = repository.name.owner();
                reads(github.open_pull_requests(repository, owner, branch).next().await)
            }
            "statuses" => statuses(github, repository).await,
            _ => continue,
        };
        findings.push(match asked {
            Err(failure) => Finding::of_failure("token", name, &failure),
            Ok(()) if access == Access::Read => Finding::new("token", name, State::Good, "may be read"),
            Ok(()) => Finding::new("token", name, State::Good, "may be read; writing is tried by no check")
                .with_fix(format!("Give the job `permissions: {name}: write`.")),
        });
    }
    findings
}

/// Those of the newest commit.
async fn statuses(github: &GithubClient, repository: &Repository) -> Result<(), Failure> {
    match github.branch_head(repository, &repository.default_branch).await? {
        Some(sha) => reads(github.statuses(&repository.name, &sha).next().await),
        None => Ok(()),
    }
}

fn reads<T>(answer: Result<T, crate::services::github::GithubError>) -> Result<(), Failure> {
    answer.map(drop).map_err(Failure::from)
}

async fn companions(github: &GithubClient, run: &Run) -> Vec<Finding> {
    let mut findings = Vec::new();
    let named = run.config.resolve.ladders.iter().filter_map(|(name, ladder)| Some((name, ladder.companion.as_ref()?)));
    for (ladder, companion) in named {
        let subject = format!("{companion} (ladder {ladder})");
        let parsed = companion.parse::<RepositoryName>();
        let asked = match parsed {
            Ok(name) => github.repository(&name).await.map(drop).map_err(Failure::from),
            Err(error) => Err(Failure::input(format!("companion {error}"), "Write it as owner/name.")),
        };
        findings.push(match asked {
            Ok(()) => Finding::new("companion", subject, State::Good, "the job's token sees it"),
            Err(failure) => {
                let finding = Finding::of_failure("companion", subject, &failure).for_commands(["resolve"]);
                match finding.state {
                    // A token of its own may well see it; this one is what the job has without.
                    State::Problem => Finding { state: State::Warning, ..finding }
                        .with_fix("Give `companion_token` a token that may read it, unless the step does so already."),
                    _ => finding,
                }
            }
        });
    }
    findings
}
