//! Purpose: sections of Markdown as one comment on the pull request of this run, kept up to date; where the token may
//! not write, or there is no pull request, the job summary has to do.

use serde::Deserialize;

use schemars::JsonSchema;

use super::run::Run;
use super::upstream::Clients;
use crate::domain::comment::{Body, Marker};
use crate::domain::event::{Event, EventKind};
use crate::domain::names::{BranchName, CommitSha, RepositoryName};
use crate::runner::{Failure, Kind};
use crate::services::github::{Change, Comment, GithubClient, GithubError, PullRequest, Thread};

/// Whether a comment is written.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize, JsonSchema, serde::Serialize)]
#[serde(rename_all = "snake_case")]
#[schemars(inline)]
pub enum CommentMode {
    /// When there is a pull request and the token may write.
    #[default]
    Auto,
    /// Always: it is a failure when it cannot be written.
    Always,
    /// Never.
    Never,
}

/// What became of a comment.
pub(crate) enum Published {
    /// It is there.
    Comment(Box<Comment>),
    /// It is not: the summary has to do.
    Summary,
}

impl Published {
    /// The value of the output `published`.
    pub(crate) fn word(&self) -> &'static str {
        match self {
            Self::Comment(_) => "comment",
            Self::Summary => "summary",
        }
    }

    /// The comment, when there is one.
    pub(crate) fn comment(&self) -> Option<&Comment> {
        match self {
            Self::Comment(comment) => Some(comment),
            Self::Summary => None,
        }
    }
}

/// Where the comment is to be, decided before anything is written.
#[derive(Debug, serde::Serialize)]
pub(crate) enum Target {
    /// On this pull request.
    PullRequest(u64),
    /// Nowhere; why not.
    Nowhere(String),
}

/// Finds the pull request: the one that is named, the event's, else the open one whose head is the commit under test.
///
/// # Errors
/// With [`CommentMode::Always`]: exit code 2 when there is none, and those of GitHub.
pub(crate) async fn target(run: &Run, mode: CommentMode, given: Option<u64>) -> Result<Target, Failure> {
    if mode == CommentMode::Never {
        return Ok(Target::Nowhere("comments are switched off".to_owned()));
    }
    let event = run.event()?;
    if let Some(number) = given.or(event.pull_request) {
        return Ok(Target::PullRequest(number));
    }
    let found = by_commit(run, &event).await;
    match (found, mode) {
        (Ok(Some(number)), _) => Ok(Target::PullRequest(number)),
        (Ok(None), CommentMode::Always) => Err(no_pull_request()),
        (Ok(None), _) => Ok(Target::Nowhere("this run belongs to no pull request".to_owned())),
        (Err(failure), CommentMode::Always) => Err(failure),
        (Err(failure), _) => {
            run.log.debug(format!("no pull request was found: {}", failure.explained()));
            Ok(Target::Nowhere(format!("the pull request could not be looked for ({})", failure.reason)))
        }
    }
}

fn no_pull_request() -> Failure {
    Failure::new(Kind::Input, "no-pull-request", "No pull request", "this run belongs to no pull request to comment on")
        .hint("Set `pr_number`, or `comment: auto` to comment only where there is one.")
}

/// The open pull request whose head is the commit of this run. Commits of the default branch belong to pull requests
/// that are merged already, so that nothing is asked for them.
async fn by_commit(run: &Run, event: &Event) -> Result<Option<u64>, Failure> {
    let (Some(sha), Some(repository)) = (&event.sha, &run.github.repository) else {
        return Ok(None);
    };
    let without = matches!(event.kind, EventKind::Schedule | EventKind::Release | EventKind::None);
    if without || event.branch().is_some() && event.branch() == event.default_branch.as_deref() {
        return Ok(None);
    }
    let Ok(repository) = repository.parse::<RepositoryName>() else {
        return Ok(None);
    };
    let github = Clients::new(run).github()?;
    let is_it = |pull: &PullRequest| (pull.state == "open" && pull.head.sha == *sha).then_some(());
    match github.pull_request_of(&repository, sha, is_it).await? {
        Some(pull) => Ok(Some(pull.number)),
        None => by_fork(run, &github, &repository, sha).await,
    }
}

/// A fork's commit is not listed with its pull request: `workflow_run` names the fork's owner and branch.
async fn by_fork(
    run: &Run,
    github: &GithubClient,
    repository: &RepositoryName,
    sha: &CommitSha,
) -> Result<Option<u64>, Failure> {
    let payload = run.payload()?;
    let text = |pointer: &str| payload.pointer(pointer).and_then(serde_json::Value::as_str);
    let owner = text("/workflow_run/head_repository/owner/login");
    let branch = text("/workflow_run/head_branch").and_then(|branch| branch.parse::<BranchName>().ok());
    let (Some(owner), Some(branch)) = (owner, branch) else {
        return Ok(None);
    };
    let repository = github.repository(repository).await?;
    let mut pages = github.open_pull_requests(&repository, owner, &branch);
    while let Some(pull) = pages.next().await? {
        if pull.head.sha == *sha {
            return Ok(Some(pull.number));
        }
    }
    Ok(None)
}

/// Writes the comment, or says why not. The sections go to the job summary in any case.
///
/// # Errors
/// With [`CommentMode::Always`], those of GitHub.
pub(crate) async fn publish(
    run: &Run,
    mode: CommentMode,
    target: &Target,
    marker: &Marker,
    sections: &[String],
) -> Result<Published, Failure> {
    for section in sections {
        run.summary.section(section.as_str());
    }
    let number = match target {
        Target::PullRequest(number) => *number,
        Target::Nowhere(why) => {
            run.log.info(format!("No comment: {why}"));
            return Ok(Published::Summary);
        }
    };
    let sent = send(run, number, marker, sections).await;
    match (sent, mode) {
        (Ok((comment, change)), _) => {
            let what = match change {
                Change::Created => "created",
                Change::Updated => "updated",
                Change::Unchanged => "left as it is: nothing changed",
            };
            run.log.info(format!("The comment on #{number} was {what}: {}", comment.url));
            Ok(Published::Comment(Box::new(comment)))
        }
        (Err(Sending::Refused(error)), CommentMode::Always) => Err(Failure::from(error)
            .hint("Set `comment: auto` to be content with the job summary where the token may not write.")),
        (Err(Sending::Other(failure)), CommentMode::Always) => Err(failure),
        (Err(Sending::Refused(error)), _) if error.lacks_permission() => {
            run.log.info(format!(
                "No comment on #{number}: the token may not write one. Tokens of forks and of Dependabot only read; elsewhere add `permissions: pull-requests: write`. The job summary has the same content."
            ));
            Ok(Published::Summary)
        }
        (Err(sending), _) => {
            let failure = match sending {
                Sending::Refused(error) => Failure::from(error),
                Sending::Other(failure) => failure,
            };
            run.log.warn(
                "No comment",
                format!("the comment on #{number} could not be written, the job summary has its content: {failure}"),
            );
            Ok(Published::Summary)
        }
    }
}

enum Sending {
    Refused(GithubError),
    Other(Failure),
}

impl From<GithubError> for Sending {
    fn from(error: GithubError) -> Self {
        Self::Refused(error)
    }
}

async fn send(run: &Run, number: u64, marker: &Marker, sections: &[String]) -> Result<(Comment, Change), Sending> {
    let repository = run.github.repository.as_deref().unwrap_or_default();
    let parsed = repository.parse::<RepositoryName>();
    let repository = parsed.map_err(|_| {
        let message = "GITHUB_REPOSITORY does not name a repository to comment in";
        Sending::Other(Failure::new(Kind::Input, "no-repository", "No repository", message))
    })?;
    let masks = run.log.masks();
    let body = sections.iter().fold(Body::new(marker.clone()), |body, section| body.section(&masks.redact(section)));
    let rest = match run.github.run_url() {
        Some(url) => format!("> GitHub's comments end here: the rest is in the [summary of the run]({url})."),
        None => "> GitHub's comments end here: the rest is in the summary of the run.".to_owned(),
    };
    let text = body.cut(&rest).text;
    let github = Clients::new(run).github().map_err(Sending::Other)?;
    let thread = Thread { repository, number };
    let me = github.identity().await?;
    let published = run.unless_cancelled(github.publish_comment(&thread, &me, marker, &text)).await;
    let published = published.map_err(Sending::Other)??;
    Ok((published.comment, published.change))
}
