//! Purpose: the first line of a comment as a command: whole words, no guessing.

use super::table::{CommandRoute, tokens};
use crate::domain::comment::clean;
use crate::domain::shell;

/// The most words that are read behind a command.
const MOST_ARGUMENTS: usize = 50;
/// The longest word, in characters.
const LONGEST_WORD: usize = 200;
/// The longest line that is read, in bytes.
const LONGEST_LINE: usize = 4096;

/// A line that is a command or looks like one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum CommandLine {
    /// One of the routes.
    Known {
        /// The words of the route.
        words: String,
        /// The route.
        route: Box<CommandRoute>,
        /// The words behind it.
        arguments: Vec<String>,
    },
    /// A word with a slash that is no route.
    Unknown {
        /// The word, safe to show.
        word: String,
    },
    /// Nothing of the kind.
    None,
}

/// The line of a comment that can be a command: the first that is not empty. Quoted text and code are no commands.
#[must_use]
pub fn first_line(body: &str) -> Option<&str> {
    let line = body.lines().find(|line| !line.trim().is_empty())?;
    let is_code = line.starts_with("    ") || line.starts_with('\t');
    let line = line.trim();
    let is_marked = line.starts_with(['>', '`', '~', '<', '|']);
    (!is_code && !is_marked && line.len() <= LONGEST_LINE).then_some(line)
}

impl CommandLine {
    /// Reads a comment. Of several routes the one with the most words wins.
    #[must_use]
    pub fn of(body: &str, routes: &[(String, CommandRoute)], ignored: &[String]) -> Self {
        let Some(line) = first_line(body) else {
            return Self::None;
        };
        let said: Vec<&str> = line.split_ascii_whitespace().collect();
        let mut best: Option<(usize, &String, &CommandRoute)> = None;
        for (words, route) in routes {
            for spelled in std::iter::once(words).chain(&route.aliases) {
                let tokens = tokens(spelled);
                let begins = tokens.len() <= said.len()
                    && tokens.iter().zip(&said).all(|(token, said)| token.eq_ignore_ascii_case(said));
                if begins && !tokens.is_empty() && best.is_none_or(|(count, ..)| tokens.len() > count) {
                    best = Some((tokens.len(), words, route));
                }
            }
        }
        match best {
            Some((count, words, route)) => {
                let arguments = arguments(line, count);
                if route.arguments.is_some_and(|most| arguments.len() > most) {
                    return Self::Unknown { word: clean(line, 60) };
                }
                Self::Known { words: words.clone(), route: Box::new(route.clone()), arguments }
            }
            None => match said.first().filter(|word| looks_like_a_command(word)) {
                Some(word)
                    if !ignored.iter().any(|known| known.trim_start_matches('/').eq_ignore_ascii_case(&word[1..])) =>
                {
                    Self::Unknown { word: clean(&said[..said.len().min(2)].join(" "), 60) }
                }
                _ => Self::None,
            },
        }
    }
}

/// The words behind the first `count`; quotes hold words together, as in a shell.
fn arguments(line: &str, count: usize) -> Vec<String> {
    let mut rest = line;
    for _ in 0..count {
        rest = rest.trim_start();
        rest = &rest[rest.find(|c: char| c.is_ascii_whitespace()).unwrap_or(rest.len())..];
    }
    let plain = || rest.split_whitespace().map(str::to_owned).collect();
    let words = shell::words(rest).unwrap_or_else(|_| plain());
    let words = words.iter().map(|word| clean(word, LONGEST_WORD)).filter(|word| !word.is_empty());
    words.take(MOST_ARGUMENTS).collect()
}

/// `/word`, unlike `/etc/passwd`.
fn looks_like_a_command(word: &str) -> bool {
    let Some(name) = word.strip_prefix('/') else {
        return false;
    };
    name.len() <= 40
        && name.starts_with(|c: char| c.is_ascii_alphabetic())
        && name.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '-' | '_'))
}
