//! Purpose: the routes: which command and which event asks for which work.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::Deserialize;

use super::ordered;
use super::permission::Level;
use crate::domain::globs::Globs;

/// Which event and which comment asks for what.
#[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Routes {
    /// Commands in comments, by their words: `/plan`, `/bootstrap apply`. Default: those of an infrastructure pipeline.
    #[serde(deserialize_with = "ordered::read")]
    #[schemars(with = "Option<BTreeMap<String, CommandRoute>>")]
    pub commands: Option<Vec<(String, CommandRoute)>>,
    /// Events, by name; several of one name are told apart by words behind it: `push`, `push release`. The first that
    /// fits counts. Default: those of an infrastructure pipeline.
    #[serde(deserialize_with = "ordered::read")]
    #[schemars(with = "Option<BTreeMap<String, EventRoute>>")]
    pub events: Option<Vec<(String, EventRoute)>>,
    /// Words after a slash that other programs answer to; they are no unknown commands: `cc`, `lgtm`.
    pub ignore: Vec<String>,
}

/// A command that people give by a comment.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct CommandRoute {
    /// Output `mode`. Default: run.
    pub mode: Option<String>,
    /// Output `command`. Default: the command's words joined with hyphens, without the slash.
    pub command: Option<String>,
    /// Output `layers`. Default: the command's arguments, else all.
    pub layers: Option<String>,
    /// Permission that the author needs. Default: the input `require`.
    pub require: Option<Level>,
    /// Word that must stand at the end of the command: `/apply PRODUCTION`.
    pub confirm: Option<String>,
    /// Whether it may work on a fork's head. Default: the input `allow_forks`.
    pub allow_forks: Option<bool>,
    /// Most words behind the command. Default: any number.
    pub arguments: Option<usize>,
    /// Other words for the same command.
    pub aliases: Vec<String>,
    /// What it does, for people.
    pub help: Option<String>,
    /// Answer with the list of commands instead of asking for work.
    pub answer: bool,
}

/// An event that asks for work.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct EventRoute {
    /// Output `mode`. Default: run.
    pub mode: Option<String>,
    /// Output `command`. Default: the event's name.
    pub command: Option<String>,
    /// Output `layers`. Default: all.
    pub layers: Option<String>,
    /// Actions of the event; for `repository_dispatch` its types. Default: any.
    pub actions: Vec<String>,
    /// Globs of branches: the pushed one, else the one that the work is meant for. Default: any.
    pub branches: Vec<String>,
    /// Globs of tags, for pushes and releases. Default: none for pushes, any for releases.
    pub tags: Vec<String>,
    /// Names of workflows, for `workflow_run`. Default: any.
    pub workflows: Vec<String>,
    /// Events that started the other run, for `workflow_run`. Default: any.
    pub triggered_by: Vec<String>,
    /// How the other run ended, for `workflow_run`. Default: success.
    pub conclusions: Vec<String>,
    /// Whether it may work on a fork's head. Default: the input `allow_forks`; `pull_request` always may, because GitHub
    /// gives it no secrets.
    pub allow_forks: Option<bool>,
}

/// Routes that contradict themselves. The message fits behind "routes …".
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum TableError {
    /// Words that nobody could give.
    #[error("has the command '{0}', which is not made of visible words")]
    NoWords(String),
    /// Two commands with the same words.
    #[error("has the command '{0}' twice")]
    Twice(String),
    /// An event that there is not.
    #[error("has the event '{0}', which is not one of {known}", known = EVENTS.join(", "))]
    UnknownEvent(String),
    /// A pattern that is none.
    #[error("has the pattern '{0}', which is not a glob")]
    NoGlob(String),
}

/// Events that can be routed.
pub(super) const EVENTS: [&str; 9] = [
    "pull_request",
    "pull_request_target",
    "push",
    "workflow_dispatch",
    "workflow_run",
    "repository_dispatch",
    "schedule",
    "merge_group",
    "release",
];

impl Routes {
    /// The commands, those of the config or the usual ones.
    #[must_use]
    pub fn commands(&self) -> Vec<(String, CommandRoute)> {
        self.commands.clone().unwrap_or_else(usual_commands)
    }

    /// The events, those of the config or the usual ones.
    #[must_use]
    pub fn events(&self) -> Vec<(String, EventRoute)> {
        self.events.clone().unwrap_or_else(usual_events)
    }

    /// Everything that is wrong.
    #[must_use]
    pub fn problems(&self) -> Vec<TableError> {
        let mut problems = Vec::new();
        let mut known: Vec<Vec<String>> = Vec::new();
        for (words, route) in self.commands() {
            for spelled in std::iter::once(&words).chain(&route.aliases) {
                let tokens = tokens(spelled);
                if tokens.is_empty() || !spelled.chars().all(|c| c.is_ascii_graphic() || c == ' ') {
                    problems.push(TableError::NoWords(spelled.clone()));
                } else if known.contains(&tokens) {
                    problems.push(TableError::Twice(spelled.clone()));
                }
                known.push(tokens);
            }
        }
        for (name, route) in self.events() {
            if !EVENTS.contains(&event_name(&name)) {
                problems.push(TableError::UnknownEvent(name.clone()));
            }
            let globs = route.branches.iter().chain(&route.tags);
            let wrong = globs.filter(|glob| glob.parse::<Globs>().is_err());
            problems.extend(wrong.map(|glob| TableError::NoGlob(glob.clone())));
        }
        problems
    }
}

impl CommandRoute {
    fn usual(mode: &str, command: &str, help: &str) -> Self {
        Self {
            mode: Some(mode.to_owned()),
            command: Some(command.to_owned()),
            help: Some(help.to_owned()),
            ..Self::default()
        }
    }
}

/// `push` of `push release`.
pub(super) fn event_name(key: &str) -> &str {
    key.split_whitespace().next().unwrap_or_default()
}

/// The words of a command, in lower case: phones begin lines with capitals.
pub(super) fn tokens(spelled: &str) -> Vec<String> {
    spelled.split_ascii_whitespace().map(str::to_ascii_lowercase).collect()
}

fn usual_commands() -> Vec<(String, CommandRoute)> {
    let alias = |alias: &str, route: CommandRoute| CommandRoute { aliases: vec![alias.to_owned()], ..route };
    [
        (
            "/plan",
            alias(
                "digger plan",
                CommandRoute::usual("digger", "plan", "Plan the changes; add layers to plan only those"),
            ),
        ),
        (
            "/apply",
            alias(
                "digger apply",
                CommandRoute::usual("digger", "apply", "Apply the changes; add layers to apply only those"),
            ),
        ),
        ("/bootstrap plan", CommandRoute::usual("python", "bootstrap-plan", "Plan the bootstrap layer")),
        ("/bootstrap apply", CommandRoute::usual("python", "bootstrap-apply", "Apply the bootstrap layer")),
        ("/e2e", CommandRoute::usual("python", "e2e", "Run the end-to-end tests")),
        ("/verify", CommandRoute::usual("python", "verify", "Verify what is deployed")),
        ("/review", CommandRoute::usual("python", "review", "Ask for a review")),
        ("/help", CommandRoute::usual("python", "help", "List the commands")),
    ]
    .map(|(words, route)| (words.to_owned(), route))
    .into()
}

fn usual_events() -> Vec<(String, EventRoute)> {
    let route = |mode: &str, command: &str| EventRoute {
        mode: Some(mode.to_owned()),
        command: Some(command.to_owned()),
        ..EventRoute::default()
    };
    vec![
        ("pull_request".to_owned(), route("digger", "plan")),
        ("push".to_owned(), EventRoute { branches: vec!["main".to_owned()], ..route("post-merge", "apply") }),
    ]
}
