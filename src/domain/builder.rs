//! Purpose: what a builder can do, what a build needs, and so which builder does it.
//!
//! Nobody should have to know that the BuildKit inside an engine with graph drivers exports no index (we put it together),
//! or from which version on a timestamp can be set. Sources: moby's `vendor.mod` for the versions, `builder/builder-next` for the
//! exporters, BuildKit's release notes for the rest.

use std::fmt;

/// Major and minor of a BuildKit version; 0.8 is the oldest that is met (Docker Engine 20.10).
pub type Version = (u32, u32);

/// Where a BuildKit lives, which decides what it can export.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Home {
    /// Inside an engine that stores images with graph drivers.
    GraphEngine,
    /// Inside an engine that stores images with containerd.
    ContainerdEngine,
    /// A daemon of its own.
    Daemon,
}

/// A BuildKit, as far as its abilities go.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Abilities {
    /// Where it lives.
    pub home: Home,
    /// Its version.
    pub version: Version,
}

/// Kinds of places that a cache is exported to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CacheKind {
    /// Within the image itself.
    Inline,
    /// A registry.
    Registry,
    /// GitHub's cache service.
    Gha,
    /// A folder on this machine.
    Local,
    /// S3, Azure and whatever else BuildKit learns.
    Other,
}

/// Something that a build cannot do without.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Need {
    /// Several platforms.
    Platforms,
    /// Provenance or a bill of materials.
    Attestations,
    /// Annotations of manifests.
    Annotations,
    /// Images that are pushed without a tag.
    DigestOnly,
    /// The checks of a Dockerfile.
    Checks,
    /// Contexts beside the main one.
    NamedContexts,
    /// A folder of a git repository as the context.
    GitFolder,
    /// Export of a cache.
    CacheTo(CacheKind),
    /// Import of a cache.
    CacheFrom(CacheKind),
}

/// Something that a build is better with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Wish {
    /// The image's time is the commit's.
    Created,
    /// The size of `/dev/shm`.
    ShmSize,
}

impl Abilities {
    /// The BuildKit inside an engine, known by the engine's newest API version.
    #[must_use]
    pub fn of_engine(api: (u32, u32), home: Home) -> Self {
        let known: [((u32, u32), Version); 15] = [
            ((1, 55), (0, 31)),
            ((1, 54), (0, 28)),
            ((1, 53), (0, 27)),
            ((1, 52), (0, 25)),
            ((1, 51), (0, 23)),
            ((1, 50), (0, 22)),
            ((1, 49), (0, 21)),
            ((1, 48), (0, 20)),
            ((1, 47), (0, 15)),
            ((1, 46), (0, 14)),
            ((1, 45), (0, 13)),
            ((1, 44), (0, 12)),
            ((1, 43), (0, 11)),
            ((1, 42), (0, 10)),
            ((1, 41), (0, 8)),
        ];
        let version = known.iter().find(|(from, _)| api >= *from).map_or((0, 8), |(_, version)| *version);
        Self { home, version }
    }

    /// Whether it can do what a build cannot do without.
    #[must_use]
    pub fn can(&self, need: Need) -> bool {
        let graph = self.home == Home::GraphEngine;
        match need {
            // What a graph engine's builder does not do here is done around it: see `assembles`.
            Need::Platforms | Need::DigestOnly => true,
            Need::Annotations => graph || self.version >= (0, 11),
            Need::Attestations => !graph && self.version >= (0, 11),
            Need::Checks => self.version >= (0, 14),
            Need::NamedContexts | Need::GitFolder => self.version >= (0, 10),
            Need::CacheFrom(CacheKind::Registry | CacheKind::Inline | CacheKind::Local)
            | Need::CacheTo(CacheKind::Inline) => true,
            Need::CacheTo(CacheKind::Registry | CacheKind::Local) => !graph,
            // Service v2, the only one that is left, is known from 0.20 on.
            Need::CacheTo(CacheKind::Gha) | Need::CacheFrom(CacheKind::Gha) => !graph && self.version >= (0, 20),
            Need::CacheTo(CacheKind::Other) | Need::CacheFrom(CacheKind::Other) => self.home == Home::Daemon,
        }
    }

    /// Whether it can do what a build is better with.
    #[must_use]
    pub fn grants(&self, wish: Wish) -> bool {
        match wish {
            Wish::Created => self.version >= (0, 11),
            Wish::ShmSize => self.version >= (0, 10),
        }
    }

    /// Whether the index, or what is pushed by digest or with annotations, is put together around this builder: inside an
    /// engine with graph drivers it makes one image at a time, and the engine pushes tags alone.
    #[must_use]
    pub fn assembles(&self, needs: &[Need]) -> bool {
        let around = [Need::Platforms, Need::DigestOnly, Need::Annotations];
        self.home == Home::GraphEngine && needs.iter().any(|need| around.contains(need))
    }

    /// What is needed and it cannot do.
    #[must_use]
    pub fn lacks(&self, needs: &[Need]) -> Vec<Need> {
        needs.iter().copied().filter(|need| !self.can(*need)).collect()
    }
}

/// Which builder the user wants.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Wanted {
    /// Whichever can do it.
    Auto,
    /// The engine's own.
    Engine,
    /// One of our own, in a container.
    Container,
    /// The one at an address.
    At(String),
}

/// Which builder does it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Choice {
    /// The engine's own.
    Engine,
    /// One of our own, because the engine's lacks this; empty when it was asked for.
    Container(Vec<Need>),
    /// The one at an address.
    At(String),
}

/// Chooses. With a builder that the user names, what it lacks is told before anything is built.
///
/// # Errors
/// What the wanted builder lacks.
pub fn choose(wanted: &Wanted, engine: Abilities, needs: &[Need]) -> Result<Choice, Vec<Need>> {
    let lacks = engine.lacks(needs);
    match wanted {
        Wanted::At(address) => Ok(Choice::At(address.clone())),
        Wanted::Container => Ok(Choice::Container(Vec::new())),
        Wanted::Auto if !lacks.is_empty() => Ok(Choice::Container(lacks)),
        Wanted::Engine if !lacks.is_empty() => Err(lacks),
        Wanted::Auto | Wanted::Engine => Ok(Choice::Engine),
    }
}

impl fmt::Display for Need {
    /// As the object of "cannot".
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Platforms => "build several platforms into one image",
            Self::Attestations => "attach provenance or a bill of materials",
            Self::Annotations => "annotate manifests",
            Self::DigestOnly => "push without a tag",
            Self::Checks => "check a Dockerfile",
            Self::NamedContexts => "use named contexts",
            Self::GitFolder => "fetch a folder of a git repository",
            Self::CacheTo(CacheKind::Gha) | Self::CacheFrom(CacheKind::Gha) => "use GitHub's cache service",
            Self::CacheTo(CacheKind::Registry) => "export its cache to a registry",
            Self::CacheTo(CacheKind::Local) => "export its cache to a folder",
            Self::CacheTo(CacheKind::Inline) => "export its cache within the image",
            Self::CacheFrom(CacheKind::Registry | CacheKind::Inline) => "import a cache from a registry",
            Self::CacheFrom(CacheKind::Local) => "import a cache from a folder",
            Self::CacheTo(CacheKind::Other) => "export a cache of this type",
            Self::CacheFrom(CacheKind::Other) => "import a cache of this type",
        })
    }
}

impl fmt::Display for Abilities {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (major, minor) = self.version;
        match self.home {
            Home::GraphEngine => write!(f, "the engine's builder (BuildKit {major}.{minor}, graph drivers)"),
            Home::ContainerdEngine => write!(f, "the engine's builder (BuildKit {major}.{minor}, containerd store)"),
            Home::Daemon => write!(f, "the builder (BuildKit {major}.{minor})"),
        }
    }
}

/// Whether a builder that knows these platforms runs programs of `wanted`: `linux/arm64` is known as `linux/arm64/v8`, too.
#[must_use]
pub fn runs(known: &[String], wanted: &str) -> bool {
    let general = |platform: &str| match platform {
        "linux/arm64/v8" => "linux/arm64".to_owned(),
        "linux/arm" => "linux/arm/v7".to_owned(),
        other => other.to_owned(),
    };
    known.iter().any(|platform| general(platform) == general(wanted))
}

/// Needs as one phrase: "build several platforms into one image, or annotate manifests".
#[must_use]
pub fn phrase(needs: &[Need]) -> String {
    let mut texts: Vec<String> = needs.iter().map(ToString::to_string).collect();
    texts.dedup();
    match texts.pop() {
        Some(last) if texts.is_empty() => last,
        Some(last) => format!("{}, or {last}", texts.join(", ")),
        None => String::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const OLD: Abilities = Abilities { home: Home::GraphEngine, version: (0, 8) };
    const HOSTED: Abilities = Abilities { home: Home::GraphEngine, version: (0, 20) };
    const FRESH: Abilities = Abilities { home: Home::ContainerdEngine, version: (0, 25) };

    #[test]
    fn an_api_version_tells_the_builders_version() {
        for (api, version) in
            [((1, 41), (0, 8)), ((1, 43), (0, 11)), ((1, 48), (0, 20)), ((1, 51), (0, 23)), ((1, 99), (0, 31))]
        {
            assert_eq!(Abilities::of_engine(api, Home::GraphEngine).version, version);
        }
    }

    #[test]
    fn the_engine_builds_what_it_can_and_a_container_the_rest() {
        let gha = Need::CacheTo(CacheKind::Gha);
        for (engine, needs, expected) in [
            (OLD, vec![], Choice::Engine),
            (OLD, vec![Need::Checks], Choice::Container(vec![Need::Checks])),
            (HOSTED, vec![Need::Checks, Need::NamedContexts], Choice::Engine),
            (HOSTED, vec![Need::Platforms, Need::DigestOnly, Need::Annotations], Choice::Engine),
            (HOSTED, vec![Need::Platforms, gha], Choice::Container(vec![gha])),
            (FRESH, vec![Need::Platforms, gha, Need::Attestations], Choice::Engine),
        ] {
            assert_eq!(choose(&Wanted::Auto, engine, &needs), Ok(expected));
        }
    }

    #[test]
    fn a_graph_engines_platforms_are_put_together_around_its_builder() {
        assert!(HOSTED.assembles(&[Need::Checks, Need::Platforms]) && OLD.assembles(&[Need::DigestOnly]));
        assert!(!HOSTED.assembles(&[Need::Checks]) && !FRESH.assembles(&[Need::Platforms]));
    }

    #[test]
    fn a_builder_that_was_asked_for_is_taken_or_refused() {
        assert_eq!(choose(&Wanted::Engine, HOSTED, &[Need::Attestations]), Err(vec![Need::Attestations]));
        assert_eq!(choose(&Wanted::Container, FRESH, &[]), Ok(Choice::Container(Vec::new())));
        let at = "tcp://builder:1234".to_owned();
        assert_eq!(choose(&Wanted::At(at.clone()), OLD, &[Need::Platforms]), Ok(Choice::At(at)));
    }

    #[test]
    fn a_platform_is_known_by_its_general_name() {
        let known = ["linux/amd64".to_owned(), "linux/arm64".to_owned(), "linux/arm/v7".to_owned()];
        for (platform, expected) in [
            ("linux/arm64/v8", true),
            ("linux/arm", true),
            ("linux/amd64", true),
            ("linux/arm/v6", false),
            ("linux/s390x", false),
        ] {
            assert_eq!(runs(&known, platform), expected, "{platform}");
        }
    }

    #[test]
    fn needs_read_as_a_phrase() {
        assert_eq!(phrase(&[Need::Checks]), "check a Dockerfile");
        assert_eq!(phrase(&[Need::Checks, Need::DigestOnly]), "check a Dockerfile, or push without a tag");
    }
}
