//! Purpose: the texts of a ladder: images and branches with placeholders.

use std::fmt;
use std::str::FromStr;

/// What stands for a value of the run or of the companion repository.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Placeholder {
    /// The commit under test.
    CommitSha,
    /// Its first seven digits.
    Sha7,
    /// The commit that merges the pull request for a test.
    MergeSha,
    /// The branch under test.
    HeadRef,
    /// Its slug.
    HeadSlug,
    /// The branch that the work is meant for.
    BaseRef,
    /// Its slug.
    BaseSlug,
    /// The companion's branch that is looked for: `use_branch`, else the branch under test.
    Branch,
    /// Its slug.
    BranchSlug,
    /// The companion's branch that was asked for.
    UseBranch,
    /// Number of the pull request.
    PullRequest,
    /// Number of the companion's own pull request for [`Placeholder::Branch`].
    CompanionPullRequest,
    /// The companion's default branch.
    DefaultBranch,
    /// The image that was given to be used as it is.
    ImageOverride,
}

const NAMES: [(&str, Placeholder); 14] = [
    ("commit_sha", Placeholder::CommitSha),
    ("sha7", Placeholder::Sha7),
    ("merge_sha", Placeholder::MergeSha),
    ("head_ref", Placeholder::HeadRef),
    ("head_slug", Placeholder::HeadSlug),
    ("base_ref", Placeholder::BaseRef),
    ("base_slug", Placeholder::BaseSlug),
    ("branch", Placeholder::Branch),
    ("branch_slug", Placeholder::BranchSlug),
    ("use_branch", Placeholder::UseBranch),
    ("pull_request", Placeholder::PullRequest),
    ("companion_pull_request", Placeholder::CompanionPullRequest),
    ("default_branch", Placeholder::DefaultBranch),
    ("image_override", Placeholder::ImageOverride),
];

impl fmt::Display for Placeholder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = NAMES.iter().find(|(_, placeholder)| placeholder == self);
        write!(f, "{{{}}}", name.map_or("", |(name, _)| name))
    }
}

/// Why a text cannot be read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum TextError {
    /// A name in braces that stands for nothing.
    #[error("unknown placeholder {{{name}}} in '{text}'; known are {}", known())]
    Unknown {
        /// The name as written.
        name: String,
        /// The text around it.
        text: String,
    },
    /// A brace without its partner.
    #[error("unmatched brace in '{0}'")]
    Brace(String),
}

fn known() -> String {
    NAMES.map(|(_, placeholder)| placeholder.to_string()).join(" ")
}

/// A part of a text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Part {
    Literal(String),
    Value(Placeholder),
}

/// A text with placeholders.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Text {
    written: String,
    parts: Vec<Part>,
}

impl Text {
    pub(super) fn parts(&self) -> &[Part] {
        &self.parts
    }

    /// A text of one literal and one placeholder behind it.
    pub(super) fn of(literal: &str, placeholder: Placeholder) -> Self {
        let parts = [Part::Literal(literal.to_owned()), Part::Value(placeholder)];
        let parts = parts.into_iter().filter(|part| *part != Part::Literal(String::new())).collect();
        Self { written: format!("{literal}{placeholder}"), parts }
    }
}

impl fmt::Display for Text {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.written)
    }
}

impl FromStr for Text {
    type Err = TextError;

    fn from_str(written: &str) -> Result<Self, TextError> {
        let brace = || TextError::Brace(written.to_owned());
        let literal = |text: &str| match text {
            "" => Ok(None),
            text if text.contains(['{', '}']) => Err(brace()),
            text => Ok(Some(Part::Literal(text.to_owned()))),
        };
        let mut parts = Vec::new();
        let mut rest = written;
        while let Some((before, after)) = rest.split_once('{') {
            parts.extend(literal(before)?);
            let (name, after) = after.split_once('}').ok_or_else(brace)?;
            let unknown = || TextError::Unknown { name: name.to_owned(), text: written.to_owned() };
            let found = NAMES.iter().find(|(known, _)| *known == name.trim());
            parts.push(Part::Value(found.ok_or_else(unknown)?.1));
            rest = after;
        }
        parts.extend(literal(rest)?);
        Ok(Self { written: written.to_owned(), parts })
    }
}
