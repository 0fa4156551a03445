//! Purpose: the runner's file commands for outputs, state and variables.
//!
//! Grammar (actions/runner, `FileCommandManager`): `name<<delimiter`, the value's lines, `delimiter`. Only LF ends a
//! line. The delimiter is drawn anew for each value, so that no value can end itself.

use std::fs::OpenOptions;
use std::io::Write as _;
use std::path::{Path, PathBuf};

use super::clock::Random;
use super::environment::Environment;

/// A file command that could not be written.
#[derive(Debug, thiserror::Error)]
pub enum FileCommandError {
    /// The file could not be opened or written.
    #[error("the runner's file {} cannot be written", .path.display())]
    Write {
        /// The file.
        path: PathBuf,
        /// The cause.
        #[source]
        source: std::io::Error,
    },
    /// A name that the grammar cannot carry.
    #[error("'{0}' cannot be the name of an output")]
    Name(String),
}

/// Where outputs go.
#[derive(Debug, Clone)]
pub struct Outputs {
    path: Option<PathBuf>,
    random: Random,
}

impl Outputs {
    /// The file named by `GITHUB_OUTPUT`; outside a runner there is none.
    #[must_use]
    pub fn of(environment: &Environment, random: Random) -> Self {
        Self { path: environment.get("GITHUB_OUTPUT").map(PathBuf::from), random }
    }

    /// Whether a runner reads them.
    #[must_use]
    pub fn has_reader(&self) -> bool {
        self.path.is_some()
    }

    /// Writes outputs in order.
    ///
    /// # Errors
    /// [`FileCommandError`].
    pub fn write<'a>(&self, values: impl IntoIterator<Item = (&'a str, &'a str)>) -> Result<(), FileCommandError> {
        self.path.as_deref().map_or(Ok(()), |path| append(path, values, &self.random))
    }
}

/// Variables for the later steps of the job.
#[derive(Debug, Clone)]
pub struct Exports {
    path: Option<PathBuf>,
    random: Random,
}

impl Exports {
    /// The file named by `GITHUB_ENV`; outside a runner there is none.
    #[must_use]
    pub fn of(environment: &Environment, random: Random) -> Self {
        Self { path: environment.get("GITHUB_ENV").map(PathBuf::from), random }
    }

    /// Whether a runner reads them.
    #[must_use]
    pub fn has_reader(&self) -> bool {
        self.path.is_some()
    }

    /// Sets variables for the steps that follow; an empty value takes one away, as far as the runner can.
    ///
    /// # Errors
    /// [`FileCommandError`].
    pub fn write<'a>(&self, values: impl IntoIterator<Item = (&'a str, &'a str)>) -> Result<(), FileCommandError> {
        self.path.as_deref().map_or(Ok(()), |path| append(path, values, &self.random))
    }
}

/// What the main stage leaves for the post stage of the same step.
#[derive(Debug, Clone)]
pub struct State {
    path: Option<PathBuf>,
    random: Random,
    saved: Vec<(String, String)>,
}

impl State {
    /// The file named by `GITHUB_STATE`, and the `STATE_*` variables that an earlier stage left.
    #[must_use]
    pub fn of(environment: &Environment, random: Random) -> Self {
        let saved = environment
            .variables()
            .filter_map(|(name, value)| Some((name.strip_prefix("STATE_")?.to_owned(), value.to_owned())))
            .collect();
        Self { path: environment.get("GITHUB_STATE").map(PathBuf::from), random, saved }
    }

    /// What an earlier stage left under this key.
    #[must_use]
    pub fn get(&self, key: &str) -> Option<&str> {
        self.saved.iter().find(|(name, _)| name == key).map(|(_, value)| value.as_str())
    }

    /// Leaves a value for the post stage. Written at once: the run may be killed at any time.
    ///
    /// # Errors
    /// [`FileCommandError`].
    pub fn save(&self, key: &str, value: &str) -> Result<(), FileCommandError> {
        self.path.as_deref().map_or(Ok(()), |path| append(path, [(key, value)], &self.random))
    }
}

fn append<'a>(
    path: &Path,
    values: impl IntoIterator<Item = (&'a str, &'a str)>,
    random: &Random,
) -> Result<(), FileCommandError> {
    let mut text = String::new();
    for (name, value) in values {
        text.push_str(&entry(name, value, random)?);
    }
    let mut file =
        OpenOptions::new().create(true).append(true).open(path).map_err(|source| write_error(path, source))?;
    file.write_all(text.as_bytes()).map_err(|source| write_error(path, source))
}

fn write_error(path: &Path, source: std::io::Error) -> FileCommandError {
    FileCommandError::Write { path: path.to_owned(), source }
}

/// One entry of the grammar.
fn entry(name: &str, value: &str, random: &Random) -> Result<String, FileCommandError> {
    if name.is_empty() || name.contains(['=', '\n', '\r']) || name.contains("<<") {
        return Err(FileCommandError::Name(name.to_owned()));
    }
    let value = value.replace('\0', "\u{fffd}");
    let delimiter = loop {
        let delimiter = format!("landfall_{}", random.token());
        if !value.contains(&delimiter) && !name.contains(&delimiter) {
            break delimiter;
        }
    };
    Ok(format!("{name}<<{delimiter}\n{value}\n{delimiter}\n"))
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use proptest::prelude::*;

    use super::*;

    /// A parser of the runner's grammar, written from its description alone.
    fn parse(text: &str) -> Vec<(String, String)> {
        let mut values = Vec::new();
        let mut lines = text.split_inclusive('\n');
        while let Some(line) = lines.next() {
            let line = line.strip_suffix('\n').unwrap_or(line);
            if line.is_empty() {
                continue;
            }
            let (name, delimiter) = line.split_once("<<").expect("heredoc form");
            let mut value = String::new();
            loop {
                let line = lines.next().expect("delimiter before the end");
                if line.strip_suffix('\n').unwrap_or(line) == delimiter {
                    break;
                }
                value.push_str(line);
            }
            let value = value.strip_suffix('\n').unwrap_or(&value).to_owned();
            values.push((name.to_owned(), value));
        }
        values
    }

    fn counter() -> Random {
        Random::Counter(Arc::default())
    }

    proptest! {
        #[test]
        fn any_value_survives_the_round_trip(values in proptest::collection::vec(("[a-z_]{1,9}", any::<String>()), 0..6)) {
            let random = counter();
            let text: String = values.iter().map(|(name, value)| entry(name, value, &random).unwrap()).collect();
            let expected: Vec<_> =
                values.into_iter().map(|(name, value)| (name, value.replace('\0', "\u{fffd}"))).collect();
            prop_assert_eq!(parse(&text), expected);
        }
    }

    #[test]
    fn a_value_cannot_end_itself() {
        let random = counter();
        let next = "landfall_00000000000000000000000000000000";
        let text = entry("image", &format!("x\n{next}\nevil=1"), &random).unwrap();
        assert_eq!(parse(&text), [("image".to_owned(), format!("x\n{next}\nevil=1"))]);
    }

    #[test]
    fn refuses_names_that_the_grammar_cannot_carry() {
        for name in ["", "a=b", "a<<b", "a\nb"] {
            assert!(entry(name, "x", &counter()).is_err(), "{name:?}");
        }
    }
}
