//! Purpose: what a dashboard is going to become: read once, decided, printable.

use std::fmt;

use serde::Serialize;

use super::inputs::{Given, Keep, Operation, Settings};
use super::sources::{Seen, Sources};
use crate::commands::run::Run;
use crate::commands::upstream::Clients;
use crate::domain::comment::clean;
use crate::domain::dashboard::{Board, MOST_COMMANDS, Picture, Record, StageKey};
use crate::domain::names::{CommitSha, RepositoryName};
use crate::runner::{Failure, Problems};
use crate::services::github::{GithubClient, GithubError, PullRequest, Thread};

/// What is going to happen.
#[derive(Serialize)]
pub struct Plan {
    operation: &'static str,
    #[serde(skip)]
    pub(super) settings: Settings,
    #[serde(skip)]
    pub(super) sources: Sources,
    #[serde(skip)]
    pub(super) seen: Seen,
    /// Everything that is known before the change.
    #[serde(skip)]
    pub(super) board: Board,
    pub(super) changes: Vec<(StageKey, Record)>,
}

impl Plan {
    /// The picture of a board of this dashboard.
    pub(super) fn picture<'a>(&'a self, board: &'a Board) -> Picture<'a> {
        Picture { name: &self.settings.name, title: &self.settings.title, sha: &self.sources.sha, board }
    }

    /// Whether states are kept in statuses, as far as it is known before one is written.
    pub(super) fn uses_statuses(&self) -> bool {
        self.settings.keep != Keep::Comment
    }
}

impl fmt::Display for Plan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Sources { sha, repository, thread, name, .. } = &self.sources;
        write!(f, "{} the dashboard of {} in {repository}", self.operation, sha.short())?;
        for (key, record) in &self.changes {
            let link = record.link.as_deref().map(|link| format!(" ({link})")).unwrap_or_default();
            write!(f, "\n  {key} becomes {}{link}", record.status.as_str())?;
            if self.uses_statuses() {
                write!(f, ", kept as commit status {name}/{key}")?;
            }
        }
        if self.settings.operation == Operation::Show {
            return Ok(());
        }
        match (thread, self.seen.comments.first()) {
            (None, _) => f.write_str("\n  into the job summary: the commit has no pull request"),
            (Some(thread), None) => write!(f, "\n  into a new comment on #{}", thread.number),
            (Some(thread), Some(comment)) => write!(f, "\n  into comment {} on #{}", comment.id, thread.number),
        }
    }
}

/// Reads what is there.
///
/// # Errors
/// Exit code 2 without a token; those of GitHub.
pub(super) async fn plan(settings: Settings, run: &Run) -> Result<Plan, Failure> {
    if run.github_token().is_none() {
        let mut problems = Problems::default();
        problems.missing("github_token");
        problems.into_result()?;
    }
    let github = Clients::new(run).github()?;
    let repository = settings.repository.clone();
    let sha = whole(&github, &repository, &settings.sha).await?;
    let number = match settings.pr_number {
        Some(number) => Some(number),
        None => pull_request_of(&github, &repository, &sha).await?,
    };
    let sources = Sources {
        me: github.identity().await?,
        github,
        name: settings.name.clone(),
        sha,
        thread: number.map(|number| Thread { repository: repository.clone(), number }),
        repository,
    };
    let seen = sources.look(settings.keep != Keep::Comment).await?;
    let mut board = Board::named(settings.declared.clone(), commands(run)).merged(&seen.board);
    let changes = changes(&settings, &board, run);
    board.append_unnamed();
    let operation = match settings.operation {
        Operation::Init => "make",
        Operation::Update => "update",
        Operation::Show => "show",
    };
    Ok(Plan { operation, settings, sources, seen, board, changes })
}

/// The commands that the config has words about, for people who look at the dashboard.
fn commands(run: &Run) -> Vec<(String, String)> {
    let routes = run.config.routes.commands.iter().flatten();
    let described = routes.filter_map(|(words, route)| {
        let confirm = route.confirm.as_deref().map(|word| format!(" {word}")).unwrap_or_default();
        Some((clean(&format!("{words}{confirm}"), 80), clean(route.help.as_deref()?, 120)))
    });
    described.take(MOST_COMMANDS).collect()
}

/// The records that the inputs ask for.
fn changes(settings: &Settings, board: &Board, run: &Run) -> Vec<(StageKey, Record)> {
    let Some(change) = &settings.change else {
        return Vec::new();
    };
    let keys = change.names.iter().flat_map(|name| board.stages.named(name));
    let record = |key: StageKey| {
        let at = board.time_for(&key, run.clock.now());
        let record = Record::new(change.status, change.link.as_deref(), at, settings.by.as_deref());
        (key, record)
    };
    keys.map(record).collect()
}

async fn whole(github: &GithubClient, repository: &RepositoryName, given: &Given) -> Result<CommitSha, GithubError> {
    match given {
        Given::Whole(sha) => Ok(sha.clone()),
        Given::Start(start) => {
            let repository = github.repository(repository).await?;
            Ok(github.commit(&repository, start).await?.sha)
        }
    }
}

/// The pull request that a commit belongs to: an open one whose head it is, else any open one, else a merged one.
async fn pull_request_of(
    github: &GithubClient,
    repository: &RepositoryName,
    sha: &CommitSha,
) -> Result<Option<u64>, GithubError> {
    let rank = |pull: &PullRequest| Some((pull.state == "open", pull.head.sha == *sha));
    match github.pull_request_of(repository, sha, rank).await {
        Ok(found) => Ok(found.map(|pull| pull.number)),
        Err(error) if error.lacks_permission() => Ok(None),
        Err(error) => Err(error),
    }
}
