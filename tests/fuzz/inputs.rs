//! What a workflow writes below `with:`, for every command.

use landfall::commands;
use landfall::runner::{Environment, input_pairs};

/// Lines of `NAME=value`: every input of every command is taken or refused by name, never more than once.
pub(crate) fn run(data: &[u8]) {
    let text = String::from_utf8_lossy(data);
    let variables = text.split('\u{1}').filter_map(|line| line.split_once('='));
    let variables = variables.map(|(name, value)| (format!("INPUT_{name}").into(), value.into()));
    let environment = Environment::from_os(variables, [], "/".into(), "/tmp".into());
    let (pairs, _) = input_pairs(&environment);
    for command in commands::all() {
        for problem in command.problems(&pairs) {
            assert!(!problem.subject.is_empty() && !problem.message.is_empty(), "{problem:?}");
        }
    }
}
