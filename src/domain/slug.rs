//! Purpose: slugs, the form in which branch names become parts of image tags.

use std::fmt;
use std::str::FromStr;

/// Characters that tags allow beside letters, digits and the separator, so that `keep` may name them.
const KEEPABLE: &str = "._";

/// Which characters beside `a-z` and `0-9` a slug keeps as they are.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Keep(String);

/// A character that cannot be kept, because image tags do not allow it. The message fits behind "the setting …".
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("holds '{0}', which an image tag cannot hold; it may name '.' and '_' only")]
pub struct KeepError(pub char);

impl FromStr for Keep {
    type Err = KeepError;

    fn from_str(text: &str) -> Result<Self, KeepError> {
        match text.chars().find(|&c| !KEEPABLE.contains(c) && c != '-') {
            Some(wrong) => Err(KeepError(wrong)),
            None => Ok(Self(text.to_owned())),
        }
    }
}

/// A text has no letter or digit that a slug could keep.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("'{0}' has no letter a-z and no digit, so nothing of it can stand in an image tag")]
pub struct EmptySlug(pub String);

/// A text in the form that image tags allow: `a-z`, `0-9`, single `-` between them and what [`Keep`] keeps.
/// Never empty, and never with a separator at either end.
#[derive(Debug, Clone, PartialEq, Eq, Hash, serde::Serialize)]
#[serde(transparent)]
pub struct Slug(String);

impl Slug {
    /// The slug of a text, usually a branch name.
    ///
    /// # Errors
    /// [`EmptySlug`] when nothing of the text remains.
    pub fn of(text: &str, keep: &Keep) -> Result<Self, EmptySlug> {
        let mut slug = String::with_capacity(text.len());
        for c in text.chars().map(|c| c.to_ascii_lowercase()) {
            match c {
                'a'..='z' | '0'..='9' => slug.push(c),
                kept if kept != '-' && keep.0.contains(kept) => slug.push(kept),
                _ if slug.ends_with('-') => {}
                _ => slug.push('-'),
            }
        }
        let trimmed = slug.trim_matches(is_separator);
        if trimmed.is_empty() { Err(EmptySlug(text.to_owned())) } else { Ok(Self(trimmed.to_owned())) }
    }

    /// The slug's beginning, at most `length` characters (and at least one); never ends with a separator.
    #[must_use]
    pub fn cut(&self, length: usize) -> &str {
        let end = length.clamp(1, self.0.len());
        self.0[..end].trim_end_matches(is_separator)
    }

    /// The slug as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Slug {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

fn is_separator(c: char) -> bool {
    c == '-' || KEEPABLE.contains(c)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn slug(text: &str) -> String {
        Slug::of(text, &Keep::default()).unwrap().to_string()
    }

    #[test]
    fn follows_the_contracts_examples() {
        assert_eq!(slug("feature/Add_New-Feature"), "feature-add-new-feature");
        assert_eq!(slug("feature/fix-#123"), "feature-fix-123");
        assert_eq!(
            slug("dependabot/npm_and_yarn/frontend/vite-5.0.12"),
            "dependabot-npm-and-yarn-frontend-vite-5-0-12"
        );
    }

    #[test]
    fn keeps_what_it_is_told_to() {
        let keep: Keep = "._".parse().unwrap();
        let kept = |text| Slug::of(text, &keep).unwrap().to_string();
        assert_eq!(kept("Release/1.2_x"), "release-1.2_x");
        assert_eq!(kept("._a_."), "a");
        assert_eq!("./".parse::<Keep>(), Err(KeepError('/')));
    }

    #[test]
    fn nothing_left_is_an_error() {
        for text in ["", "---", "日本語", "🚀/…"] {
            assert_eq!(Slug::of(text, &Keep::default()), Err(EmptySlug(text.to_owned())));
        }
    }

    #[test]
    fn cuts_without_a_trailing_separator() {
        let slug = Slug::of("feature/x", &Keep::default()).unwrap();
        assert_eq!(slug.cut(8), "feature");
        assert_eq!(slug.cut(9), "feature-x");
        assert_eq!(slug.cut(0), "f");
        assert_eq!(slug.cut(99), "feature-x");
    }

    proptest! {
        #[test]
        fn is_idempotent_and_clean(text in any::<String>(), kept in "[._]{0,2}", length in 0usize..200) {
            let keep: Keep = kept.parse().unwrap();
            if let Ok(slug) = Slug::of(&text, &keep) {
                prop_assert_eq!(Slug::of(slug.as_str(), &keep).unwrap(), slug.clone());
                for part in [slug.as_str(), slug.cut(length)] {
                    prop_assert!(!part.is_empty() && !part.contains("--"));
                    prop_assert!(!part.starts_with(is_separator) && !part.ends_with(is_separator));
                    prop_assert!(part.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b"._-".contains(&b)));
                }
                prop_assert!(slug.cut(length).len() <= length.max(1));
            } else {
                prop_assert!(!text.bytes().any(|b| b.is_ascii_alphanumeric()));
            }
        }
    }
}
