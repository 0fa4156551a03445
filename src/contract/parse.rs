//! Purpose: clean pairs to a typed struct, reporting every wrong value and not just the first.
//!
//! `envy` stops at its first error and quotes the value in its message. Each pair is therefore tried alone first; only
//! when all pass is the whole struct read.

use serde::de::DeserializeOwned;

use crate::runner::{InputPairs, Problem};

/// Reads a struct whose fields all have defaults.
///
/// # Errors
/// One problem for each wrong value.
pub fn parse<T: DeserializeOwned>(pairs: &InputPairs) -> Result<T, Vec<Problem>> {
    let problems: Vec<Problem> = pairs.iter().filter_map(|(name, value)| problem::<T>(name, value)).collect();
    if !problems.is_empty() {
        return Err(problems);
    }
    let owned = pairs.iter().map(|(name, value)| (name.clone(), value.clone()));
    envy::from_iter(owned).map_err(|error| vec![Problem::new("inputs", said(&error))])
}

fn problem<T: DeserializeOwned>(name: &str, value: &str) -> Option<Problem> {
    envy::from_iter::<_, T>([(name.to_owned(), value.to_owned())]).err().map(|error| Problem::new(name, said(&error)))
}

/// The error without envy's own suffix, which repeats name and value, and in our words where serde speaks of variants.
fn said(error: &envy::Error) -> String {
    let text = error.to_string();
    let own = match text.split_once(" while parsing value") {
        Some((own, _)) => own,
        None => &text,
    };
    let mut quoted = own.split('`').skip(1).step_by(2);
    match quoted.next().filter(|_| own.starts_with("unknown variant")) {
        Some(value) => {
            let known: Vec<&str> = quoted.collect();
            format!("is '{value}', which is not a choice here; use {}", known.join(", "))
        }
        None => own.to_owned(),
    }
}
