//! Purpose: the reactions that GitHub has.

use crate::domain::names::NameError;

/// A reaction on a comment.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize)]
#[serde(into = "&'static str")]
#[allow(missing_docs, reason = "named as GitHub names them")]
pub enum Reaction {
    ThumbsUp,
    ThumbsDown,
    Laugh,
    Confused,
    Heart,
    Hooray,
    Rocket,
    Eyes,
}

const NAMES: [(Reaction, &str); 8] = [
    (Reaction::ThumbsUp, "+1"),
    (Reaction::ThumbsDown, "-1"),
    (Reaction::Laugh, "laugh"),
    (Reaction::Confused, "confused"),
    (Reaction::Heart, "heart"),
    (Reaction::Hooray, "hooray"),
    (Reaction::Rocket, "rocket"),
    (Reaction::Eyes, "eyes"),
];

impl Reaction {
    /// The name in GitHub's API.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        NAMES.iter().find(|(reaction, _)| *reaction == self).map_or("eyes", |(_, name)| name)
    }
}

impl From<Reaction> for &'static str {
    fn from(reaction: Reaction) -> Self {
        reaction.as_str()
    }
}

impl std::str::FromStr for Reaction {
    type Err = NameError;

    fn from_str(value: &str) -> Result<Self, NameError> {
        let expected = "a reaction (+1, -1, laugh, confused, heart, hooray, rocket or eyes)";
        let found = NAMES.iter().find(|(_, name)| *name == value);
        found.map(|(reaction, _)| *reaction).ok_or_else(|| NameError { value: value.to_owned(), expected })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_reaction_reads_back() {
        for (reaction, name) in NAMES {
            assert_eq!((name.parse(), reaction.as_str()), (Ok(reaction), name));
        }
        assert!("thumbsup".parse::<Reaction>().is_err());
    }
}
