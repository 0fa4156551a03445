//! Purpose: filling a template in, within the length that registries accept.

use super::template::{Part, Placeholder, Template};
use super::{LONGEST_TAG, Occasion, TagContext, TagError};
use crate::domain::names::TagName;
use crate::domain::slug::Slug;

/// Fills a template in; slugs give way when the tag would be too long, nothing else does.
pub(super) fn fill(template: &Template, context: &TagContext) -> Result<TagName, TagError> {
    let mut values = Vec::new();
    for part in template.parts() {
        values.push(match part {
            Part::Literal(text) => Filled::Fixed(text.clone()),
            Part::Value(placeholder) => value(*placeholder, template, context)?,
        });
    }
    let fixed: usize = values.iter().map(Filled::fixed_length).sum();
    let slugs = values.iter().filter(|value| matches!(value, Filled::Slug(_))).count();
    let room = LONGEST_TAG.saturating_sub(fixed).checked_div(slugs).unwrap_or(0);
    let tag: String = values.iter().map(|value| value.within(room)).collect();
    let template = || template.as_str().to_owned();
    if tag.len() > LONGEST_TAG {
        return Err(TagError::TooLong { template: template(), tag });
    }
    tag.parse().map_err(|_| TagError::Invalid { template: template(), tag })
}

/// A part of a tag.
enum Filled {
    Fixed(String),
    Slug(Slug),
}

impl Filled {
    fn fixed_length(&self) -> usize {
        match self {
            Self::Fixed(text) => text.len(),
            Self::Slug(_) => 0,
        }
    }

    fn within(&self, room: usize) -> &str {
        match self {
            Self::Fixed(text) => text,
            Self::Slug(slug) => slug.cut(room),
        }
    }
}

fn value(placeholder: Placeholder, template: &Template, context: &TagContext) -> Result<Filled, TagError> {
    let template = || template.as_str().to_owned();
    let missing = |what| TagError::Missing { template: template(), what, occasion: context.occasion.to_string() };
    let slug = |name: Option<&str>, what| {
        let slug = Slug::of(name.ok_or_else(|| missing(what))?, &context.keep);
        slug.map(Filled::Slug).map_err(|source| TagError::Slug { template: template(), source })
    };
    let version = || context.version.as_ref().ok_or_else(|| missing("a version"));
    Ok(Filled::Fixed(match placeholder {
        Placeholder::Sha => context.sha.to_string(),
        Placeholder::Sha7 => context.sha.short().to_owned(),
        Placeholder::Branch => return slug(context.occasion.branch(), "a branch"),
        Placeholder::Tag => return slug(context.occasion.tag(), "a git tag"),
        Placeholder::Env => return slug(context.environment.as_deref(), "an environment"),
        Placeholder::Number => match context.occasion {
            Occasion::PullRequest { number, .. } => number.to_string(),
            _ => return Err(missing("a pull request")),
        },
        // A tag holds no `+`, `!` or the like; build metadata stays readable behind a hyphen.
        Placeholder::Version => version()?.as_str().replace(['+', '!'], "-"),
        Placeholder::Major => version()?.major().to_string(),
        Placeholder::Minor => version()?.minor().ok_or_else(|| missing("a second version number"))?.to_string(),
        Placeholder::Date => context.date.to_string(),
    }))
}
