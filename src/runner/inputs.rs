//! Purpose: the step's inputs as clean pairs, whatever spelling they arrived in.
//!
//! The runner upper-cases input names, turns spaces into underscores and leaves hyphens and everything else; an input
//! that is not given arrives as an empty string.

use std::collections::BTreeMap;

use super::environment::Environment;
use super::failure::Problem;

/// Inputs by their canonical name, in snake case.
pub type InputPairs = BTreeMap<String, String>;

/// The canonical form of an input's name.
#[must_use]
pub fn normalised(name: &str) -> String {
    name.trim().to_lowercase().replace(['-', ' '], "_")
}

/// All `INPUT_*` variables that are not empty. Two spellings of one input must agree.
#[must_use]
pub fn input_pairs(environment: &Environment) -> (InputPairs, Vec<Problem>) {
    let mut pairs = InputPairs::new();
    let mut problems: Vec<Problem> = environment
        .unreadable()
        .iter()
        .filter_map(|name| name.strip_prefix("INPUT_"))
        .map(|name| Problem::new(normalised(name), "is not valid UTF-8; give it as UTF-8 text"))
        .collect();
    for (name, value) in environment.variables() {
        // Once only: an input may itself be called `input_path`.
        let Some(name) = name.strip_prefix("INPUT_").map(normalised) else {
            continue;
        };
        let value = value.trim();
        if value.is_empty() {
            continue;
        }
        match pairs.insert(name.clone(), value.to_owned()) {
            Some(other) if other != value => problems.push(Problem::new(
                name,
                "is given twice, with a hyphen and with an underscore, and the two differ; give it once",
            )),
            _ => {}
        }
    }
    (pairs, problems)
}

#[cfg(test)]
mod tests {
    use std::ffi::OsString;
    use std::os::unix::ffi::OsStringExt as _;

    use super::*;

    fn environment(variables: &[(&str, &[u8])]) -> Environment {
        let variables =
            variables.iter().map(|(name, value)| (OsString::from(name), OsString::from_vec(value.to_vec())));
        Environment::from_os(variables, [], "/".into(), "/tmp".into())
    }

    #[test]
    fn one_input_whatever_its_spelling() {
        let (pairs, problems) = input_pairs(&environment(&[
            ("INPUT_BUILD-ARGS", b" A=1 "),
            ("INPUT_BUILD_ARGS", b"A=1"),
            ("INPUT_INPUT_PATH", b"x"),
            ("INPUT_EMPTY", b""),
            ("INPUT_BLANK", b"  "),
            ("OTHER", b"y"),
        ]));
        assert!(problems.is_empty());
        assert_eq!(
            pairs.into_iter().collect::<Vec<_>>(),
            [("build_args".to_owned(), "A=1".to_owned()), ("input_path".to_owned(), "x".to_owned()),]
        );
    }

    #[test]
    fn contradiction_and_broken_text_are_problems() {
        let (_, problems) = input_pairs(&environment(&[
            ("INPUT_A-B", b"1"),
            ("INPUT_A_B", b"2"),
            ("INPUT_TAG", b"\xff"),
            ("PATH", b"\xff"),
        ]));
        let subjects: Vec<_> = problems.iter().map(|problem| problem.subject.as_str()).collect();
        assert_eq!(subjects, ["tag", "a_b"]);
    }
}
