//! Purpose: the grammar of tag rules: `<when>: <template>[, <template>…]`.

use std::fmt;
use std::str::FromStr;

use super::template::{Template, TemplateError};
use crate::domain::globs::{GlobError, Globs};

/// When a rule applies, from the most to the least specific class.
#[derive(Debug, Clone)]
pub enum When {
    /// A pull request.
    PullRequest,
    /// A scheduled run.
    Schedule,
    /// A git tag.
    Tag,
    /// The repository's default branch.
    DefaultBranch,
    /// Branches whose whole name matches one of the globs; `*` stops at `/`, `**` does not.
    BranchLike(Globs),
    /// Any branch.
    Branch,
    /// Every run, beside whatever else applies.
    Always,
}

/// Why a line is not a rule. The message fits behind "the rule '…' ".
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum RuleError {
    /// No colon.
    #[error("has no colon; write <when>: <template>[, <template>…]")]
    NoColon,
    /// An unknown class before the colon.
    #[error(
        "begins with '{0}'; known are pull_request, schedule, tag, default_branch, branch, branch(<glob>) and always"
    )]
    When(String),
    /// A pattern in `branch(…)` that is not a glob.
    #[error("has a branch pattern, but {0}")]
    Glob(#[from] GlobError),
    /// Nothing behind the colon.
    #[error("names no tag")]
    NoTemplate,
    /// A template that cannot give a tag.
    #[error("has the template '{template}', which {source}")]
    Template {
        /// The template as written.
        template: String,
        /// What is wrong with it.
        source: TemplateError,
    },
}

impl FromStr for When {
    type Err = RuleError;

    fn from_str(text: &str) -> Result<Self, RuleError> {
        let pattern = text.strip_prefix("branch(").and_then(|rest| rest.strip_suffix(')'));
        match (text, pattern) {
            ("pull_request", _) => Ok(Self::PullRequest),
            ("schedule", _) => Ok(Self::Schedule),
            ("tag", _) => Ok(Self::Tag),
            ("default_branch", _) => Ok(Self::DefaultBranch),
            ("branch", _) => Ok(Self::Branch),
            ("always", _) => Ok(Self::Always),
            (_, Some(pattern)) => Ok(Self::BranchLike(pattern.parse()?)),
            (unknown, None) => Err(RuleError::When(unknown.to_owned())),
        }
    }
}

impl fmt::Display for When {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::PullRequest => f.write_str("pull_request"),
            Self::Schedule => f.write_str("schedule"),
            Self::Tag => f.write_str("tag"),
            Self::DefaultBranch => f.write_str("default_branch"),
            Self::BranchLike(globs) => write!(f, "branch({globs})"),
            Self::Branch => f.write_str("branch"),
            Self::Always => f.write_str("always"),
        }
    }
}

/// One rule.
#[derive(Debug, Clone)]
pub struct Rule {
    /// When it applies.
    pub when: When,
    /// The tags it gives, in the order written.
    pub templates: Vec<Template>,
}

impl FromStr for Rule {
    type Err = RuleError;

    fn from_str(line: &str) -> Result<Self, RuleError> {
        // Neither a branch name nor a tag can hold a colon, so the first one ends the class.
        let (when, templates) = line.split_once(':').ok_or(RuleError::NoColon)?;
        let when = when.trim().parse()?;
        let template =
            |text: &str| text.parse().map_err(|source| RuleError::Template { template: text.to_owned(), source });
        let texts = templates.split(',').map(str::trim).filter(|text| !text.is_empty());
        let templates: Vec<Template> = texts.map(template).collect::<Result<_, _>>()?;
        if templates.is_empty() { Err(RuleError::NoTemplate) } else { Ok(Self { when, templates }) }
    }
}

impl fmt::Display for Rule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let templates: Vec<&str> = self.templates.iter().map(Template::as_str).collect();
        write!(f, "{}: {}", self.when, templates.join(", "))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn error(line: &str) -> String {
        line.parse::<Rule>().unwrap_err().to_string()
    }

    #[test]
    fn reads_every_class() {
        for line in [
            "pull_request: pr-{number}-{sha7}",
            "schedule: nightly-{date}",
            "tag: v{version}, {major}.{minor}",
            "default_branch: latest, sha-{sha}",
            "branch: {branch}-{sha7}",
            "branch(release/*|hotfix/**): {branch}",
            "always: {env}-{sha7}",
        ] {
            assert_eq!(line.parse::<Rule>().unwrap().to_string(), line);
        }
    }

    #[test]
    fn says_what_is_wrong() {
        let errors: Vec<String> = [
            "latest",
            "push: latest",
            "branch(: x",
            "branch([): x",
            "branch(): x",
            "tag:",
            "tag: v{versoin}",
            "tag: v{version",
            "tag: a/b",
            "tag: -x",
            "tag: v}",
        ]
        .iter()
        .map(|line| format!("{line}  →  {}", error(line)))
        .collect();
        insta::assert_snapshot!(errors.join("\n"));
    }
}
