//! Purpose: what is told to a workflow that is started elsewhere, and what is seen of its run.

use std::collections::BTreeMap;

/// The words in braces that a dispatch's inputs may hold.
pub const PLACEHOLDERS: [&str; 6] = ["image", "tag", "branch", "commit_sha", "pull_request", "nonce"];

/// Fills in what is known by name. Every other brace stays as it is: inputs often hold JSON.
#[must_use]
pub fn fill(template: &str, values: &BTreeMap<&'static str, String>) -> String {
    let mut filled = String::new();
    let mut rest = template;
    while let Some((before, after)) = rest.split_once('{') {
        filled.push_str(before);
        let known = after.split_once('}').and_then(|(name, after)| Some((values.get(name)?, after)));
        match known {
            Some((value, after)) => {
                filled.push_str(value);
                rest = after;
            }
            None => {
                filled.push('{');
                rest = after;
            }
        }
    }
    filled.push_str(rest);
    filled
}

/// A job of a watched run: its state in a few words, and the step that it is at.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Seen {
    /// The job.
    pub job: String,
    /// `in progress`, `success`, `failure` …
    pub state: String,
    /// The step that runs, or that failed.
    pub step: Option<String>,
}

impl Seen {
    fn line(&self) -> String {
        match &self.step {
            Some(step) => format!("{}: {}, at '{step}'", self.job, self.state),
            None => format!("{}: {}", self.job, self.state),
        }
    }
}

/// What is new between two looks at a run's jobs, as lines.
#[must_use]
pub fn news(before: &[Seen], now: &[Seen]) -> Vec<String> {
    now.iter().filter(|seen| !before.contains(seen)).map(Seen::line).collect()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn values() -> BTreeMap<&'static str, String> {
        BTreeMap::from([("image", "a/b:{tag}".to_owned()), ("tag", "v1".to_owned())])
    }

    #[test]
    fn known_names_are_filled_in_once_and_the_rest_stays() {
        assert_eq!(fill("{tag} of {image}", &values()), "v1 of a/b:{tag}");
        assert_eq!(fill(r#"{"tag": "{tag}", "x": {}}"#, &values()), r#"{"tag": "v1", "x": {}}"#);
        assert_eq!(fill("{{tag}} {nonce} {tag", &values()), "{v1} {nonce} {tag");
    }

    proptest! {
        #[test]
        fn text_without_known_names_stays_as_it_is(text in "[a-z{} \"é]{0,40}") {
            prop_assert_eq!(fill(&text, &BTreeMap::new()), text);
        }
    }

    #[test]
    fn only_what_changed_is_news() {
        let seen = |job: &str, state: &str, step: Option<&str>| Seen {
            job: job.into(),
            state: state.into(),
            step: step.map(str::to_owned),
        };
        let before = [seen("build", "in progress", Some("Set up")), seen("lint", "queued", None)];
        let now = [seen("build", "in progress", Some("Push")), seen("lint", "queued", None)];
        assert_eq!(news(&before, &now), ["build: in progress, at 'Push'"]);
        assert!(news(&now, &now).is_empty());
    }
}
