//! Purpose: patterns on names that people write, of workflows, jobs and steps: `*` matches anything, case does not matter.

use globset::{GlobBuilder, GlobMatcher};

use crate::domain::globs::GlobError;

/// Several patterns; one that matches is enough.
#[derive(Debug, Clone, Default)]
pub struct NamePatterns(Vec<GlobMatcher>);

impl NamePatterns {
    /// Reads patterns.
    ///
    /// # Errors
    /// The first that is none.
    pub fn read<S: AsRef<str>>(patterns: impl IntoIterator<Item = S>) -> Result<Self, GlobError> {
        let matcher = |pattern: &str| {
            let glob = GlobBuilder::new(pattern).literal_separator(false).case_insensitive(true).build();
            glob.map(|glob| glob.compile_matcher()).map_err(|_| GlobError(pattern.to_owned()))
        };
        patterns.into_iter().map(|pattern| matcher(pattern.as_ref())).collect::<Result<_, _>>().map(Self)
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Whether the whole name matches one of the patterns.
    #[must_use]
    pub fn matches(&self, name: &str) -> bool {
        self.0.iter().any(|matcher| matcher.is_match(name))
    }
}

/// Which steps build, pull and clean up images. A step is known by its name, or by that of its job when the job alone
/// says it.
#[derive(Debug, Clone, Default)]
pub struct StepPatterns {
    /// Steps that build an image.
    pub build: NamePatterns,
    /// Steps that pull one.
    pub pull: NamePatterns,
    /// Steps that delete old ones.
    pub cleanup: NamePatterns,
}

impl StepPatterns {
    /// The usual names of steps that build an image; `Run …` is GitHub's own name for a step without one.
    pub const BUILD: [&'static str; 5] = [
        "*build*image*",
        "*docker*build*",
        "Run docker/build-push-action@*",
        "Run landfall-ci/landfall/actions/build@*",
        "Run docker build*",
    ];
    /// The usual names of steps that pull one.
    pub const PULL: [&'static str; 3] = ["*pull*image*", "*docker pull*", "Run landfall-ci/landfall/actions/pull@*"];
    /// The usual names of steps that clean up.
    pub const CLEANUP: [&'static str; 4] =
        ["*prune*", "*clean*up*", "*delete*old*", "Run landfall-ci/landfall/actions/prune@*"];
}
