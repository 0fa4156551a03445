//! Purpose: what is asked of GitHub before an event is answered, and what the answer is.

use std::fmt;

use serde::Serialize;

use super::inputs::{Outputs, Settings};
use crate::commands::run::Run;
use crate::commands::upstream::Clients;
use crate::domain::comment::Reaction;
use crate::domain::event::{Event, EventKind, Origin};
use crate::domain::names::{BranchName, CommitSha};
use crate::domain::route::{
    Asked, Evidence, Facts, Ignored, Intent, Job, Level, Refusal, intent, judge, list, refused, unknown,
};
use crate::domain::slug::{Keep, Slug};
use crate::runner::{Failure, Kind, nearest};
use crate::services::github::{GithubClient, GithubError, PullRequest};
use crate::services::{Classified as _, ErrorClass};

/// What becomes of an event.
#[derive(Debug, Serialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Answer {
    /// This work is to be done.
    Run(Job),
    /// Nothing; the code and the words say why.
    Nothing(&'static str, &'static str),
    /// A person is told something, and nothing else happens.
    Tell(&'static str),
    /// A command was refused.
    Refused(&'static str, String),
}

/// What is going to happen.
#[derive(Debug, Serialize)]
pub struct Plan {
    #[serde(skip)]
    pub(super) settings: Settings,
    pub(super) answer: Answer,
    /// What the outputs will say.
    #[serde(skip)]
    pub(super) outputs: Outputs,
    /// The comment that is answered, and its pull request.
    pub(super) comment: Option<(u64, u64)>,
    /// The reaction on it.
    pub(super) reaction: Option<&'static str>,
    /// The reply to it, in Markdown.
    pub(super) reply: Option<String>,
}

impl fmt::Display for Plan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.answer {
            Answer::Run(job) => write!(f, "run {} {} with layers {}", job.mode, job.command, job.layers)?,
            Answer::Nothing(_, why) => write!(f, "nothing: {why}")?,
            Answer::Tell(reason) => write!(f, "nothing but a reply: {reason}")?,
            Answer::Refused(reason, _) => write!(f, "refuse: {reason}")?,
        }
        if !self.outputs.sha.is_empty() {
            write!(f, "\n  on commit {}", self.outputs.sha)?;
        }
        if let (Some((id, _)), Some(reaction)) = (self.comment, self.reaction) {
            write!(f, "\n  react to comment {id} with {reaction}")?;
        }
        if let (Some((_, number)), Some(_)) = (self.comment, &self.reply) {
            write!(f, "\n  reply on #{number}")?;
        }
        Ok(())
    }
}

/// Reads the event, and asks GitHub for what the event does not say.
///
/// # Errors
/// Exit code 3 without the typed confirmation, those of GitHub.
pub(super) async fn plan(settings: Settings, run: &Run, outputs: &mut Outputs) -> Result<Plan, Failure> {
    let event = run.event()?;
    *outputs = of_event(&event, run);
    let by_hand = matches!(event.kind, EventKind::WorkflowDispatch | EventKind::RepositoryDispatch | EventKind::None);
    if by_hand
        && let Some((typed, wanted)) = &settings.confirmation
        && typed != wanted
    {
        return Err(not_confirmed(typed));
    }
    let github = Clients::new(run).github()?;
    let mut planner = Planner { github, settings, event, outputs, comment: None, reaction: None, reply: None };
    let answer = planner.answer().await?;
    let Planner { settings, comment, reaction, reply, .. } = planner;
    if let Answer::Run(job) = &answer {
        outputs.say(job);
    }
    let outputs = std::mem::take(outputs);
    Ok(Plan { settings, answer, outputs, comment, reaction, reply })
}

impl Outputs {
    fn say(&mut self, job: &Job) {
        self.mode.clone_from(&job.mode);
        self.command.clone_from(&job.command);
        self.args = serde_json::to_string(&job.args).unwrap_or_default();
        self.layers.clone_from(&job.layers);
        "true".clone_into(&mut self.should_run);
    }

    fn say_head(&mut self, branch: &str) {
        branch.clone_into(&mut self.head_ref);
        self.head_slug = Slug::of(branch, &Keep::default()).map(|slug| slug.to_string()).unwrap_or_default();
    }

    fn say_pull_request(&mut self, pull: &PullRequest, is_fork: bool) {
        self.pr_number = pull.number.to_string();
        self.sha = pull.head.sha.to_string();
        self.base_ref = pull.base.branch.to_string();
        self.say_head(pull.head.branch.as_str());
        self.fork = is_fork.to_string();
    }
}

/// What the event itself says.
fn of_event(event: &Event, run: &Run) -> Outputs {
    let text = |value: Option<&str>| value.unwrap_or_default().to_owned();
    let trusts = matches!(
        event.kind,
        EventKind::IssueComment | EventKind::WorkflowRun { .. } | EventKind::PullRequestTarget | EventKind::Schedule
    );
    let actor = event.comment.as_ref().map(|comment| &comment.author).or(event.sender.as_ref());
    let mut outputs = Outputs {
        pr_number: event.pull_request.map(|number| number.to_string()).unwrap_or_default(),
        sha: event.sha.as_ref().map(CommitSha::to_string).unwrap_or_default(),
        base_ref: text(event.base_ref.as_deref()),
        fork: match event.origin {
            Origin::Own => "false".to_owned(),
            Origin::Fork => "true".to_owned(),
            Origin::Unknown => String::new(),
        },
        actor: text(actor.map(|actor| actor.login.as_str()).or(run.github.actor.as_deref())),
        comment_id: event.comment.as_ref().map(|comment| comment.id.to_string()).unwrap_or_default(),
        trusted_sha: text(run.github.sha.as_deref().filter(|_| trusts)),
        ..Outputs::default()
    };
    if let Some(branch) = event.branch() {
        outputs.say_head(branch);
    }
    outputs
}

/// What is known while deciding.
struct Planner<'a> {
    github: GithubClient,
    settings: Settings,
    event: Event,
    outputs: &'a mut Outputs,
    comment: Option<(u64, u64)>,
    reaction: Option<&'static str>,
    reply: Option<String>,
}

impl Planner<'_> {
    async fn answer(&mut self) -> Result<Answer, Failure> {
        let found = intent(&self.event, &self.settings.routes, self.settings.open);
        match found {
            Intent::Ignore(why) => Ok(nothing(why)),
            Intent::Run(job) => self.run(job).await,
            Intent::Unknown { word, comment, pull_request } => {
                self.comment = Some((comment.id, pull_request));
                self.unknown(&word, &comment.author.login).await
            }
            Intent::Judge(asked) => {
                self.comment = Some((asked.comment.id, asked.pull_request));
                self.judged(&asked).await
            }
        }
    }

    /// Work that the event asks for by itself. The pull request is looked up where the event does not name it.
    async fn run(&mut self, job: Job) -> Result<Answer, Failure> {
        let by_hand = matches!(self.event.kind, EventKind::WorkflowDispatch | EventKind::RepositoryDispatch);
        let typed =
            ["pr_number", "pr"].iter().find_map(|name| self.event.inputs.get(*name)?.trim().parse::<u64>().ok());
        if by_hand && let Some(number) = typed {
            let pull = self.github.pull_request(&self.settings.repository, number).await?;
            let is_fork = self.is_fork(&pull);
            self.outputs.say_pull_request(&pull, is_fork);
            if is_fork && !self.settings.rules.allow_forks {
                return Ok(nothing(Ignored::Fork));
            }
        }
        let is_run = matches!(self.event.kind, EventKind::WorkflowRun { .. });
        if is_run
            && self.event.pull_request.is_none()
            && let Some(sha) = self.event.sha.clone()
        {
            self.look_up(&sha).await?;
        }
        Ok(Answer::Run(job))
    }

    /// The open pull request whose head is exactly this commit.
    async fn look_up(&mut self, sha: &CommitSha) -> Result<(), GithubError> {
        let is_it = |pull: &PullRequest| (pull.state == "open" && pull.head.sha == *sha).then_some(());
        if let Some(pull) = self.github.pull_request_of(&self.settings.repository, sha, is_it).await? {
            let is_fork = self.is_fork(&pull);
            self.outputs.say_pull_request(&pull, is_fork);
        }
        Ok(())
    }

    fn is_fork(&self, pull: &PullRequest) -> bool {
        let own = self.settings.repository.as_str();
        !pull.head.repository.as_ref().is_some_and(|head| head.as_str().eq_ignore_ascii_case(own))
    }

    async fn unknown(&mut self, word: &str, author: &str) -> Result<Answer, Failure> {
        if self.is_own(author).await? {
            return Ok(nothing(Ignored::Bot));
        }
        let level = self.level(author).await?;
        // Strangers could make us talk without end.
        if level < self.settings.rules.require || !self.settings.replies {
            return Ok(nothing(Ignored::UnknownCommand));
        }
        let commands = self.settings.routes.commands();
        let spelled = commands.iter().map(|(words, _)| words.as_str());
        let near =
            nearest(word, spelled.clone()).or_else(|| nearest(word.split(' ').next().unwrap_or_default(), spelled));
        self.reply = Some(unknown(word, near, &commands));
        self.reaction = Some("confused");
        Ok(Answer::Tell(Ignored::UnknownCommand.reason()))
    }

    async fn judged(&mut self, asked: &Asked) -> Result<Answer, Failure> {
        if self.is_own(&asked.comment.author.login).await? {
            return Ok(nothing(Ignored::Bot));
        }
        let repository = self.settings.repository.clone();
        let (level, pull) = tokio::join!(
            self.github.access_level(&repository, &asked.comment.author.login),
            self.github.pull_request(&repository, asked.pull_request),
        );
        let (level, pull) = (known(level)?, pull?);
        level.as_str().clone_into(&mut self.outputs.permission);
        let is_fork = self.is_fork(&pull);
        self.outputs.say_pull_request(&pull, is_fork);
        let mut facts = Facts {
            sender: self.event.sender.as_ref().map(|sender| sender.login.clone()),
            level,
            head: pull.head.sha.clone(),
            is_fork,
            evidence: Evidence::default(),
        };
        let mut verdict = judge(asked, &facts, &self.settings.rules);
        // Only now does it matter when the head came.
        if verdict == Err(Refusal::AgeUnknown) {
            facts.evidence = self.evidence(&pull).await?;
            verdict = judge(asked, &facts, &self.settings.rules);
        }
        match verdict {
            Ok(()) if asked.route.answer => {
                self.reply = Some(list(&self.settings.routes.commands()));
                self.reaction = self.settings.reaction.map(Reaction::as_str);
                Ok(Answer::Tell("answered"))
            }
            Ok(()) => {
                self.reaction = self.settings.reaction.map(Reaction::as_str);
                Ok(Answer::Run(asked.job()))
            }
            Err(refusal) => Ok(self.refuse(asked, &refusal, level)),
        }
    }

    fn refuse(&mut self, asked: &Asked, refusal: &Refusal, level: Level) -> Answer {
        let head = self.outputs.sha.get(..7).unwrap_or_default().to_owned();
        let words = &asked.words;
        // Strangers learn it from the reaction alone.
        if self.settings.replies && level >= Level::Triage {
            self.reply = Some(refused(words, refusal, &head));
        }
        self.reaction = Some("-1");
        let author = &asked.comment.author.login;
        let why = match refusal {
            Refusal::SenderMismatch => "somebody else than its author caused this event".to_owned(),
            Refusal::Permission { has, needs } => {
                format!("it needs the permission {}, and {author} has {}", needs.as_str(), has.as_str())
            }
            Refusal::Fork => "the pull request comes from a fork".to_owned(),
            Refusal::NotConfirmed { wanted } => format!("the word {wanted} that confirms it is missing"),
            Refusal::OtherCommit => format!("it names another commit than the head {head}"),
            Refusal::NewerCommit => format!("the head {head} was pushed after the comment"),
            Refusal::AgeUnknown => format!("nothing proves that the head {head} was there before the comment"),
        };
        let message = format!("{words} by {author} on #{} was not run: {why}", asked.pull_request);
        Answer::Refused(refusal.reason(), message)
    }

    /// Whether a comment is our own, which must never be a command: an App's comments start workflows.
    async fn is_own(&self, author: &str) -> Result<bool, GithubError> {
        if !author.ends_with("[bot]") {
            return Ok(false);
        }
        Ok(self.github.identity().await?.login().eq_ignore_ascii_case(author))
    }

    async fn level(&mut self, author: &str) -> Result<Level, Failure> {
        let level = known(self.github.access_level(&self.settings.repository, author).await)?;
        level.as_str().clone_into(&mut self.outputs.permission);
        Ok(level)
    }

    async fn evidence(&self, pull: &PullRequest) -> Result<Evidence, GithubError> {
        let Some(home) = &pull.head.repository else {
            return Ok(Evidence::default());
        };
        let branch: &BranchName = &pull.head.branch;
        if let Some(pushed) = self.github.pushed_at(home, branch, &pull.head.sha).await? {
            return Ok(Evidence { pushed: Some(pushed), checked: None });
        }
        let checked = self.github.checked_at(&self.settings.repository, &pull.head.sha).await?;
        Ok(Evidence { pushed: None, checked })
    }
}

/// Somebody whom GitHub does not know may do nothing; every other error is one.
fn known(level: Result<Level, GithubError>) -> Result<Level, GithubError> {
    match level {
        Err(error) if error.class() == ErrorClass::NotFound => Ok(Level::None),
        other => other,
    }
}

fn nothing(why: Ignored) -> Answer {
    Answer::Nothing(why.reason(), why.said())
}

fn not_confirmed(typed: &str) -> Failure {
    let message =
        if typed.is_empty() { "the confirmation is missing" } else { "the confirmation is not the expected text" };
    Failure::new(Kind::Gate, "not-confirmed", "Not confirmed", message)
        .hint("`confirm` must equal `confirm_with`, letter by letter.")
}
