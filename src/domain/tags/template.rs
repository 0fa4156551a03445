//! Purpose: tag templates: literal text and placeholders.

use std::str::FromStr;

/// What stands for a value of the run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Placeholder {
    /// The whole commit id.
    Sha,
    /// Its first seven digits.
    Sha7,
    /// Slug of the branch; of a pull request's head branch.
    Branch,
    /// Slug of the git tag.
    Tag,
    /// Number of the pull request.
    Number,
    /// The version without `v`.
    Version,
    /// Its first number.
    Major,
    /// Its second number.
    Minor,
    /// Day of the run in UTC, `YYYY-MM-DD`.
    Date,
    /// Slug of the environment.
    Env,
}

const NAMES: [(&str, Placeholder); 10] = [
    ("sha", Placeholder::Sha),
    ("sha7", Placeholder::Sha7),
    ("branch", Placeholder::Branch),
    ("tag", Placeholder::Tag),
    ("number", Placeholder::Number),
    ("version", Placeholder::Version),
    ("major", Placeholder::Major),
    ("minor", Placeholder::Minor),
    ("date", Placeholder::Date),
    ("env", Placeholder::Env),
];

/// Why a text is not a template. The message fits behind "the template '…', which ".
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum TemplateError {
    /// A name in braces that stands for nothing.
    #[error("has the unknown placeholder {{{name}}}; known are {}", known())]
    Unknown {
        /// The name as written.
        name: String,
    },
    /// A brace without its partner.
    #[error("has an unmatched brace")]
    Brace,
    /// A character that no tag can hold.
    #[error("has the character '{0}', which an image tag cannot hold")]
    Character(char),
    /// A tag begins with a letter, digit or underscore.
    #[error("begins with '{0}', which an image tag cannot")]
    Start(char),
}

fn known() -> String {
    NAMES.map(|(name, _)| format!("{{{name}}}")).join(" ")
}

/// A part of a template.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Part {
    /// Text as it stands.
    Literal(String),
    /// A value of the run.
    Value(Placeholder),
}

/// A tag with placeholders.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Template {
    written: String,
    parts: Vec<Part>,
}

impl Template {
    /// The template as written.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.written
    }

    /// Its parts in order.
    #[must_use]
    pub fn parts(&self) -> &[Part] {
        &self.parts
    }

    /// Whether it has this placeholder.
    #[must_use]
    pub fn has(&self, wanted: Placeholder) -> bool {
        self.placeholders().any(|placeholder| placeholder == wanted)
    }

    /// Its placeholders in order.
    pub fn placeholders(&self) -> impl Iterator<Item = Placeholder> {
        self.parts.iter().filter_map(|part| match part {
            Part::Value(placeholder) => Some(*placeholder),
            Part::Literal(_) => None,
        })
    }
}

impl FromStr for Template {
    type Err = TemplateError;

    fn from_str(written: &str) -> Result<Self, TemplateError> {
        let mut parts = Vec::new();
        let mut rest = written;
        while let Some(open) = rest.find('{') {
            let (literal, after) = rest.split_at(open);
            let (name, after) = after[1..].split_once('}').ok_or(TemplateError::Brace)?;
            parts.extend(self::literal(literal, parts.is_empty())?);
            parts.push(Part::Value(placeholder(name)?));
            rest = after;
        }
        parts.extend(literal(rest, parts.is_empty())?);
        Ok(Self { written: written.to_owned(), parts })
    }
}

fn placeholder(name: &str) -> Result<Placeholder, TemplateError> {
    let found = NAMES.iter().find(|(known, _)| *known == name.trim());
    found.map(|(_, placeholder)| *placeholder).ok_or_else(|| TemplateError::Unknown { name: name.to_owned() })
}

fn literal(text: &str, first: bool) -> Result<Option<Part>, TemplateError> {
    let Some(start) = text.chars().next() else {
        return Ok(None);
    };
    if first && matches!(start, '.' | '-') {
        return Err(TemplateError::Start(start));
    }
    match text.chars().find(|&c| !c.is_ascii_alphanumeric() && !"._-".contains(c)) {
        Some('{' | '}') => Err(TemplateError::Brace),
        Some(wrong) => Err(TemplateError::Character(wrong)),
        None => Ok(Some(Part::Literal(text.to_owned()))),
    }
}
