//! Purpose: what an event asks for, as far as the event itself says.

use super::command_line::CommandLine;
use super::table::{CommandRoute, EventRoute, Routes, event_name};
use crate::domain::comment::clean;
use crate::domain::event::{CommentFacts, Event, EventKind, GitRef, Origin, RefChange};
use crate::domain::globs::Globs;
use crate::domain::names::CommitSha;

/// Work that is asked for: what the outputs say.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct Job {
    /// Which part of a workflow is to run.
    pub mode: String,
    /// What it is to do.
    pub command: String,
    /// Words behind the command.
    pub args: Vec<String>,
    /// What it is to do it with.
    pub layers: String,
}

/// A command that must be judged before it counts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Asked {
    /// The words of its route.
    pub words: String,
    /// The route.
    pub route: Box<CommandRoute>,
    /// The words behind it.
    pub arguments: Vec<String>,
    /// The comment.
    pub comment: CommentFacts,
    /// Number of the pull request.
    pub pull_request: u64,
}

/// Why an event asks for nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ignored {
    /// No route is for this event.
    NoRoute,
    /// The comment is on an issue.
    NotAPullRequest,
    /// The comment was edited: its text is not what its author once said.
    CommentEdited,
    /// The comment was deleted.
    CommentDeleted,
    /// The comment is no command.
    NoCommand,
    /// A program wrote it.
    Bot,
    /// The push deleted its ref.
    RefDeleted,
    /// The head is in a fork.
    Fork,
    /// The other run belongs to another workflow.
    UnexpectedWorkflow,
    /// The other run was started by another event.
    UnexpectedTrigger,
    /// The other run did not end well.
    UpstreamNotSuccessful,
    /// The other run's head is in another repository.
    ForeignRepository,
    /// The dispatch names no command that is known.
    UnknownCommand,
}

impl Ignored {
    /// The stable code.
    #[must_use]
    pub fn reason(self) -> &'static str {
        match self {
            Self::NoRoute => "no-route",
            Self::NotAPullRequest => "not-a-pull-request",
            Self::CommentEdited => "comment-edited",
            Self::CommentDeleted => "comment-deleted",
            Self::NoCommand => "no-command",
            Self::Bot => "bot",
            Self::RefDeleted => "ref-deleted",
            Self::Fork => "fork",
            Self::UnexpectedWorkflow => "unexpected-upstream-workflow",
            Self::UnexpectedTrigger => "unsupported-upstream-event",
            Self::UpstreamNotSuccessful => "upstream-not-successful",
            Self::ForeignRepository => "untrusted-upstream-repository",
            Self::UnknownCommand => "unknown-command",
        }
    }

    /// The same for people.
    #[must_use]
    pub fn said(self) -> &'static str {
        match self {
            Self::NoRoute => "no route is for this event",
            Self::NotAPullRequest => "the comment is on an issue, not on a pull request",
            Self::CommentEdited => "the comment was edited; a new comment counts",
            Self::CommentDeleted => "the comment was deleted",
            Self::NoCommand => "the comment's first line is no command",
            Self::Bot => "a program wrote the comment",
            Self::RefDeleted => "the push deleted its branch or tag",
            Self::Fork => "the head is in a fork",
            Self::UnexpectedWorkflow => "the other run belongs to a workflow that no route names",
            Self::UnexpectedTrigger => "the other run was started by an event that no route names",
            Self::UpstreamNotSuccessful => "the other run did not end as the route wants",
            Self::ForeignRepository => "the other run's head is in another repository",
            Self::UnknownCommand => "the dispatch names no command that there is",
        }
    }
}

/// What an event asks for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Intent {
    /// This work.
    Run(Job),
    /// This command, if it may.
    Judge(Asked),
    /// A command that there is not.
    Unknown {
        /// The word.
        word: String,
        /// The comment.
        comment: CommentFacts,
        /// Number of the pull request.
        pull_request: u64,
    },
    /// Nothing.
    Ignore(Ignored),
}

/// Settings that the event alone is measured by.
#[derive(Debug, Clone, Copy, Default)]
pub struct Openness {
    /// Work on heads in forks.
    pub forks: bool,
    /// Commands of programs.
    pub bots: bool,
}

/// Reads an event.
#[must_use]
pub fn intent(event: &Event, routes: &Routes, open: Openness) -> Intent {
    if event.change == RefChange::Deleted {
        return Intent::Ignore(Ignored::RefDeleted);
    }
    match &event.kind {
        EventKind::IssueComment => comment(event, routes, open),
        EventKind::WorkflowDispatch if !has_route(routes, &event.kind) => dispatch(event, routes),
        _ => by_event(event, routes, open),
    }
}

fn comment(event: &Event, routes: &Routes, open: Openness) -> Intent {
    let ignore = |why| Intent::Ignore(why);
    let (Some(pull_request), Some(comment)) = (event.pull_request, &event.comment) else {
        return ignore(Ignored::NotAPullRequest);
    };
    match event.action.as_deref() {
        Some("created") => {}
        Some("deleted") => return ignore(Ignored::CommentDeleted),
        _ => return ignore(Ignored::CommentEdited),
    }
    let is_bot = comment.author.is_bot || event.sender.as_ref().is_some_and(|sender| sender.is_bot);
    let comment = comment.clone();
    match CommandLine::of(&comment.body, &routes.commands(), &routes.ignore) {
        CommandLine::None => ignore(Ignored::NoCommand),
        _ if is_bot && !open.bots => ignore(Ignored::Bot),
        CommandLine::Unknown { word } => Intent::Unknown { word, comment, pull_request },
        CommandLine::Known { words, route, arguments } => {
            Intent::Judge(Asked { words, route, arguments, comment, pull_request })
        }
    }
}

/// A dispatch by hand, as the usual routes have it: inputs `command`, `action` of a bootstrap, and `layers`.
fn dispatch(event: &Event, routes: &Routes) -> Intent {
    let input = |name: &str| event.inputs.get(name).map(|value| value.trim()).filter(|value| !value.is_empty());
    let Some(command) = input("command") else {
        return Intent::Ignore(Ignored::UnknownCommand);
    };
    let command = match (command, input("action")) {
        ("bootstrap", Some(action)) => format!("bootstrap-{action}"),
        ("bootstrap", None) => "bootstrap-plan".to_owned(),
        (command, _) => command.to_owned(),
    };
    let commands = routes.commands();
    let found = commands.iter().find(|(words, route)| named(words, route) == command);
    let Some((words, route)) = found else {
        return Intent::Ignore(Ignored::UnknownCommand);
    };
    let mut job = job(words, route, Vec::new());
    if let Some(layers) = input("layers") {
        job.layers = clean(layers, 200);
    }
    Intent::Run(job)
}

fn has_route(routes: &Routes, kind: &EventKind) -> bool {
    routes.events().iter().any(|(key, _)| event_name(key) == kind.name())
}

fn by_event(event: &Event, routes: &Routes, open: Openness) -> Intent {
    let mut why = Ignored::NoRoute;
    for (key, route) in routes.events() {
        if event_name(&key) != event.kind.name() {
            continue;
        }
        match fits(event, &route, open) {
            Ok(()) => {
                let job = Job {
                    mode: route.mode.unwrap_or_else(|| "run".to_owned()),
                    command: route.command.unwrap_or_else(|| event.kind.name().to_owned()),
                    args: Vec::new(),
                    layers: route.layers.unwrap_or_else(|| "all".to_owned()),
                };
                return Intent::Run(job);
            }
            Err(found) => why = found,
        }
    }
    Intent::Ignore(why)
}

/// Whether a route is for this event, and may work on its head.
fn fits(event: &Event, route: &EventRoute, open: Openness) -> Result<(), Ignored> {
    let named = |names: &[String], name: Option<&str>| {
        names.is_empty() || name.is_some_and(|name| names.iter().any(|known| known == name))
    };
    if !named(&route.actions, event.action.as_deref()) || !is_for_ref(event, route) {
        return Err(Ignored::NoRoute);
    }
    let is_run = matches!(event.kind, EventKind::WorkflowRun { .. });
    if let EventKind::WorkflowRun { triggered_by } = &event.kind {
        let success = ["success".to_owned()];
        let conclusions = if route.conclusions.is_empty() { &success[..] } else { &route.conclusions };
        if !named(&route.workflows, event.workflow.as_deref()) {
            return Err(Ignored::UnexpectedWorkflow);
        }
        if !named(&route.triggered_by, triggered_by.as_deref()) {
            return Err(Ignored::UnexpectedTrigger);
        }
        if !named(conclusions, event.conclusion.as_deref()) {
            return Err(Ignored::UpstreamNotSuccessful);
        }
    }
    let is_harmless = event.kind == EventKind::PullRequest;
    let may = route.allow_forks.unwrap_or(open.forks || is_harmless);
    match event.origin {
        Origin::Fork if !may && is_run => Err(Ignored::ForeignRepository),
        Origin::Fork if !may => Err(Ignored::Fork),
        _ => Ok(()),
    }
}

fn is_for_ref(event: &Event, route: &EventRoute) -> bool {
    let matches = |globs: &[String], name: &str| {
        globs.iter().filter_map(|glob| glob.parse::<Globs>().ok()).any(|glob| glob.matches(name))
    };
    match (&event.kind, &event.git_ref) {
        (EventKind::Push, Some(GitRef::Tag(tag))) => matches(&route.tags, tag),
        (EventKind::Release, Some(GitRef::Tag(tag))) => route.tags.is_empty() || matches(&route.tags, tag),
        (EventKind::Push, _) if route.branches.is_empty() => route.tags.is_empty(),
        _ if route.branches.is_empty() => true,
        _ => event.target_branch().is_some_and(|branch| matches(&route.branches, branch)),
    }
}

/// The output `command` of a route.
pub(super) fn named(words: &str, route: &CommandRoute) -> String {
    let from_words = || {
        let words: Vec<&str> = words.split_ascii_whitespace().collect();
        words.join("-").trim_start_matches('/').to_owned()
    };
    route.command.clone().unwrap_or_else(from_words)
}

/// The work of a command.
pub(super) fn job(words: &str, route: &CommandRoute, arguments: Vec<String>) -> Job {
    let of_arguments = if arguments.is_empty() { "all".to_owned() } else { arguments.join(",") };
    Job {
        mode: route.mode.clone().unwrap_or_else(|| "run".to_owned()),
        command: named(words, route),
        layers: route.layers.clone().unwrap_or(of_arguments),
        args: arguments,
    }
}

impl Asked {
    /// A commit that the command names itself: `/apply abc1234`. Words with a digit that could be one count as one.
    #[must_use]
    pub fn named_commit(&self) -> Option<&str> {
        self.arguments.iter().map(String::as_str).find(|word| is_commit(word))
    }

    /// Whether a commit is the one that the command names.
    #[must_use]
    pub fn names(&self, sha: &CommitSha) -> Option<bool> {
        self.named_commit().map(|named| sha.as_str().starts_with(&named.to_ascii_lowercase()))
    }

    /// The work, without the words that only make sure.
    #[must_use]
    pub fn job(&self) -> Job {
        let confirm = self.route.confirm.as_deref();
        let kept = self.arguments.iter().filter(|word| !is_commit(word) && Some(word.as_str()) != confirm);
        job(&self.words, &self.route, kept.cloned().collect())
    }

    /// Whether the word that the route wants stands at the end, a commit aside.
    #[must_use]
    pub fn is_confirmed(&self) -> bool {
        let last = self.arguments.iter().rfind(|word| !is_commit(word));
        self.route.confirm.as_ref().is_none_or(|wanted| last == Some(wanted))
    }
}

fn is_commit(word: &str) -> bool {
    (7..=64).contains(&word.len())
        && word.bytes().all(|byte| byte.is_ascii_hexdigit())
        && word.bytes().any(|byte| byte.is_ascii_digit())
}
