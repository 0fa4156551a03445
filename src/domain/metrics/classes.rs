//! Purpose: images and their bytes by class of their tags.

use std::collections::{BTreeMap, BTreeSet};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::patterns::NamePatterns;
use crate::domain::globs::GlobError;

/// The class of images without a tag.
const UNTAGGED: &str = "untagged";
/// The class of images whose tags no class names.
const OTHER: &str = "other";

/// Classes in order; an image belongs to the first that one of its tags is in, so that the most lasting come first.
#[derive(Debug, Clone)]
pub struct Classes(Vec<(String, NamePatterns)>);

impl Classes {
    /// The classes that the usual tag rules make.
    pub const USUAL: [(&'static str, &'static [&'static str]); 6] = [
        ("release", &["v[0-9]*", "[0-9]*.[0-9]*", "latest"]),
        ("branch", &["dev", "main", "master", "develop", "development", "staging"]),
        ("nightly", &["nightly", "nightly-*"]),
        ("feature", &["feature-*"]),
        ("pr", &["pr-*"]),
        ("sha", &["sha-*"]),
    ];

    /// Classes by name and patterns, in order.
    ///
    /// # Errors
    /// The first pattern that is none.
    pub fn read<N: Into<String>, P: AsRef<str>>(
        classes: impl IntoIterator<Item = (N, Vec<P>)>,
    ) -> Result<Self, GlobError> {
        let class = |(name, patterns): (N, Vec<P>)| Ok((name.into(), NamePatterns::read(patterns)?));
        classes.into_iter().map(class).collect::<Result<_, _>>().map(Self)
    }

    /// The class of an image with these tags.
    #[must_use]
    pub fn of<S: AsRef<str>>(&self, tags: &[S]) -> &str {
        if tags.is_empty() {
            return UNTAGGED;
        }
        let fits = |name: &str, patterns: &NamePatterns| {
            tags.iter().any(|tag| patterns.matches(tag.as_ref()) || name == "sha" && is_bare_sha(tag.as_ref()))
        };
        self.0.iter().find(|(name, patterns)| fits(name, patterns)).map_or(OTHER, |(name, _)| name)
    }
}

/// A tag that is a commit id and nothing else; no glob can say that.
fn is_bare_sha(tag: &str) -> bool {
    (7..=40).contains(&tag.len()) && tag.bytes().all(|byte| byte.is_ascii_hexdigit())
}

/// One stored image (a manifest) as a registry lists it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoredImage {
    /// Its digest.
    pub digest: String,
    /// Its tags.
    pub tags: Vec<String>,
    /// What it holds, when that is known.
    pub size: ImageSize,
}

/// What is known of an image's size.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ImageSize {
    /// Nothing.
    Unknown,
    /// A sum that the registry gave.
    Bytes(u64),
    /// Its blobs: one that several images share is stored once.
    Layers(Vec<Layer>),
}

/// A blob: the start of its digest, and its size in bytes.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[schemars(inline)]
pub struct Layer(pub String, pub u64);

/// Images of one repository.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub struct ImageFigures {
    /// The repository: `ghcr.io/owner/name`.
    pub image: String,
    /// Manifests stored, those without a tag included.
    pub total: u64,
    /// Bytes stored; blobs that several images share are counted once where the registry tells blobs.
    pub bytes: u64,
    /// Images whose size is not in `bytes`, because it was not asked for.
    pub unmeasured: u64,
    /// By class.
    pub classes: BTreeMap<String, ClassFigures>,
}

/// Images of one class.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub struct ClassFigures {
    /// How many.
    pub images: u64,
    /// Their bytes; a blob that classes share counts in the first of them.
    pub bytes: u64,
}

impl ImageFigures {
    /// Figures of a repository's images.
    #[must_use]
    pub fn of(image: &str, stored: &[StoredImage], classes: &Classes) -> Self {
        let mut figures = Self { image: image.to_owned(), ..Self::default() };
        // In order of classes, so that shared blobs belong to the most lasting one whatever the listing's order.
        let place = |stored: &StoredImage| {
            let class = classes.of(&stored.tags);
            (classes.0.iter().position(|(name, _)| name == class).unwrap_or(usize::MAX), stored.digest.clone())
        };
        let mut ordered: Vec<&StoredImage> = stored.iter().collect();
        ordered.sort_by_cached_key(|stored| place(stored));
        let mut seen = BTreeSet::new();
        for stored in ordered {
            let bytes = match &stored.size {
                ImageSize::Unknown => {
                    figures.unmeasured += 1;
                    0
                }
                ImageSize::Bytes(bytes) => *bytes,
                ImageSize::Layers(layers) => {
                    layers.iter().filter(|layer| seen.insert(layer.0.as_str())).map(|layer| layer.1).sum()
                }
            };
            figures.total += 1;
            figures.bytes += bytes;
            let class = figures.classes.entry(classes.of(&stored.tags).to_owned()).or_default();
            class.images += 1;
            class.bytes += bytes;
        }
        figures
    }

    /// Images of a class.
    #[must_use]
    pub fn count(&self, class: &str) -> u64 {
        self.classes.get(class).map_or(0, |class| class.images)
    }
}
