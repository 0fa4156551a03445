//! Purpose: the secrets of this run, so that none is ever printed.

use std::sync::{Arc, Mutex, PoisonError};

/// Shorter values are not replaced in our own text: they would tear every word apart and protect nothing.
const SHORTEST: usize = 4;

/// Secrets known so far; a clone knows the same ones.
#[derive(Debug, Clone, Default)]
pub struct Masks(Arc<Mutex<Vec<String>>>);

impl Masks {
    /// Registers a secret. Returns the values that are new, one for each line of it, for the runner's own list.
    pub(super) fn add(&self, secret: &str) -> Vec<String> {
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let mut new = Vec::new();
        for line in secret.lines().map(str::trim).filter(|line| !line.is_empty()) {
            if !known.iter().any(|value| value == line) {
                known.push(line.to_owned());
                new.push(line.to_owned());
            }
        }
        // Longest first, so that a secret inside another leaves no rest behind.
        known.sort_by_key(|value| std::cmp::Reverse(value.len()));
        new
    }

    /// The text with every known secret replaced by `***`.
    #[must_use]
    pub fn redact(&self, text: &str) -> String {
        let known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        known
            .iter()
            .filter(|secret| secret.len() >= SHORTEST && text.contains(secret.as_str()))
            .fold(text.to_owned(), |text, secret| text.replace(secret.as_str(), "***"))
    }
}

#[cfg(test)]
mod tests {
    use super::Masks;

    #[test]
    fn replaces_every_line_of_a_secret_longest_first() {
        let masks = Masks::default();
        assert_eq!(masks.add("hunter\nhunter-two\n\n"), ["hunter", "hunter-two"]);
        assert!(masks.add("hunter").is_empty());
        assert_eq!(masks.redact("a hunter-two b hunter c"), "a *** b *** c");
    }
}
