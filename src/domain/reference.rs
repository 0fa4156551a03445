//! Purpose: image references, read without guessing.
//!
//! The grammar is the distribution reference's (distribution/reference, `reference.go`), read by hand: the usual
//! parser's one regular expression takes 60 ms to compile, several times what the rest of a whole run takes. Two of
//! its habits are refused here, because they turn a slip into another image: a missing tag does not become `latest`,
//! and a lone registry host does not become a repository of Docker Hub.

use std::fmt;
use std::hash::{Hash, Hasher};
use std::net::{Ipv4Addr, Ipv6Addr};
use std::str::FromStr;

use super::names::{Digest, TagName};

/// The longest repository that registries accept, in characters (distribution/reference, `RepositoryNameTotalLengthMax`).
const LONGEST_REPOSITORY: usize = 255;
/// The registry meant by a name without one.
const DOCKER_HUB: &str = "docker.io";

/// Why a text is not an image name or reference. The message fits behind "the input …".
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum ReferenceError {
    /// A URL where a name belongs.
    #[error("'{0}' is an address; write it without the scheme, for example ghcr.io/owner/name")]
    Address(String),
    /// A registry host alone: as a name it would silently become a repository of Docker Hub.
    #[error("'{0}' is a registry without a repository; write registry/repository")]
    OnlyRegistry(String),
    /// A registry other than ghcr.io accepts no upper-case letters, and lower-casing could name another repository.
    #[error("'{0}' has upper-case letters in the repository, which registries refuse")]
    UpperCase(String),
    /// A tag or digest where only a name belongs.
    #[error("'{0}' has a tag or digest; only the repository's name belongs here")]
    Tagged(String),
    /// Neither tag nor digest where an image belongs.
    #[error("'{0}' has neither tag nor digest; say which image of the repository is meant, for example '{0}:latest'")]
    Untagged(String),
    /// Not the grammar.
    #[error("'{text}' is not an image reference ([registry[:port]/]repository[:tag][@digest]): {reason}")]
    Grammar {
        /// The text as given.
        text: String,
        /// Which part is wrong.
        reason: &'static str,
    },
}

/// What kind of registry a host is, as far as authentication and existence questions differ.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum RegistryKind {
    /// Amazon ECR, private.
    Ecr {
        /// The AWS account, twelve digits.
        account: String,
        /// The AWS region.
        region: String,
    },
    /// GitHub's container registry.
    Ghcr,
    /// Any other registry of the OCI distribution specification.
    Other,
}

impl RegistryKind {
    /// The kind of a host, without port.
    #[must_use]
    pub fn of(host: &str) -> Self {
        match ecr(host) {
            Some((account, region)) => Self::Ecr { account: account.to_owned(), region: region.to_owned() },
            None if host == "ghcr.io" => Self::Ghcr,
            None => Self::Other,
        }
    }
}

/// A repository in a registry, without tag and digest. Two names are equal when they mean the same repository;
/// [`fmt::Display`] gives the name as it was written.
#[derive(Debug, Clone)]
pub struct ImageName {
    written: String,
    registry: String,
    repository: String,
}

impl ImageName {
    /// Host of the registry, with its port when it has one; `docker.io` when the name has none.
    #[must_use]
    pub fn registry(&self) -> &str {
        &self.registry
    }

    /// Path of the repository within the registry.
    #[must_use]
    pub fn repository(&self) -> &str {
        &self.repository
    }

    /// The registry's kind, by its host.
    #[must_use]
    pub fn kind(&self) -> RegistryKind {
        RegistryKind::of(self.host())
    }

    /// Whether the registry is on this machine; such a one is spoken to over plain HTTP.
    #[must_use]
    pub fn is_loopback(&self) -> bool {
        let host = self.host();
        host == "localhost" || host.parse::<Ipv4Addr>().is_ok_and(|address| address.is_loopback())
    }

    /// The image of this tag.
    #[must_use]
    pub fn with_tag(&self, tag: TagName) -> ImageRef {
        ImageRef { name: self.clone(), tag: Some(tag), digest: None }
    }

    /// The image of this digest.
    #[must_use]
    pub fn with_digest(&self, digest: Digest) -> ImageRef {
        ImageRef { name: self.clone(), tag: None, digest: Some(digest) }
    }

    fn host(&self) -> &str {
        self.registry.split_once(':').map_or(self.registry.as_str(), |(host, _)| host)
    }
}

impl FromStr for ImageName {
    type Err = ReferenceError;

    fn from_str(text: &str) -> Result<Self, ReferenceError> {
        let parts = parse(text)?;
        if parts.tag.is_some() || parts.digest.is_some() {
            return Err(ReferenceError::Tagged(text.to_owned()));
        }
        Ok(parts.name)
    }
}

impl fmt::Display for ImageName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.written)
    }
}

impl PartialEq for ImageName {
    fn eq(&self, other: &Self) -> bool {
        (&self.registry, &self.repository) == (&other.registry, &other.repository)
    }
}

impl Eq for ImageName {}

impl Hash for ImageName {
    fn hash<H: Hasher>(&self, state: &mut H) {
        (&self.registry, &self.repository).hash(state);
    }
}

/// One image of a repository: by tag, by digest, or by a tag that must have this digest.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct ImageRef {
    name: ImageName,
    tag: Option<TagName>,
    digest: Option<Digest>,
}

impl ImageRef {
    /// The repository.
    #[must_use]
    pub fn name(&self) -> &ImageName {
        &self.name
    }

    /// Host of the registry, with its port when it has one.
    #[must_use]
    pub fn registry(&self) -> &str {
        self.name.registry()
    }

    /// Path of the repository within the registry.
    #[must_use]
    pub fn repository(&self) -> &str {
        self.name.repository()
    }

    /// The tag, when the reference has one.
    #[must_use]
    pub fn tag(&self) -> Option<&TagName> {
        self.tag.as_ref()
    }

    /// The digest, when the reference has one.
    #[must_use]
    pub fn digest(&self) -> Option<&Digest> {
        self.digest.as_ref()
    }

    /// What a registry is asked for: the digest when there is one, else the tag.
    #[must_use]
    pub fn manifest(&self) -> &str {
        match (&self.digest, &self.tag) {
            (Some(digest), _) => digest.as_str(),
            (None, Some(tag)) => tag.as_str(),
            (None, None) => "",
        }
    }

    /// The same image, fixed to a digest: the tag stays for people to read.
    #[must_use]
    pub fn with_digest(&self, digest: Digest) -> Self {
        Self { digest: Some(digest), ..self.clone() }
    }

    /// Another tag of the same repository.
    #[must_use]
    pub fn with_tag(&self, tag: TagName) -> Self {
        self.name.with_tag(tag)
    }

    /// The registry's kind, by its host.
    #[must_use]
    pub fn kind(&self) -> RegistryKind {
        self.name.kind()
    }

    /// Whether the registry is on this machine.
    #[must_use]
    pub fn is_loopback(&self) -> bool {
        self.name.is_loopback()
    }
}

impl FromStr for ImageRef {
    type Err = ReferenceError;

    fn from_str(text: &str) -> Result<Self, ReferenceError> {
        let parts = parse(text)?;
        if parts.tag.is_none() && parts.digest.is_none() {
            return Err(ReferenceError::Untagged(text.to_owned()));
        }
        Ok(parts)
    }
}

impl fmt::Display for ImageRef {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.name)?;
        if let Some(tag) = &self.tag {
            write!(f, ":{tag}")?;
        }
        if let Some(digest) = &self.digest {
            write!(f, "@{digest}")?;
        }
        Ok(())
    }
}

/// Text serde for both types: they are texts to everyone outside.
macro_rules! as_text {
    ($type:ty) => {
        impl serde::Serialize for $type {
            fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.collect_str(self)
            }
        }

        impl<'de> serde::Deserialize<'de> for $type {
            fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                let text = <std::borrow::Cow<'de, str> as serde::Deserialize>::deserialize(deserializer)?;
                text.parse().map_err(serde::de::Error::custom)
            }
        }
    };
}

as_text!(ImageName);
as_text!(ImageRef);

/// Reads a reference that may lack tag and digest.
fn parse(text: &str) -> Result<ImageRef, ReferenceError> {
    if text.contains("://") {
        return Err(ReferenceError::Address(text.to_owned()));
    }
    let grammar = |reason| ReferenceError::Grammar { text: text.to_owned(), reason };
    let (written, suffix) = split_suffix(text);
    let written = lower_cased(written).ok_or_else(|| ReferenceError::UpperCase(text.to_owned()))?;
    let (registry, repository) = registry_and_repository(&written).map_err(grammar)?;
    if !written.contains('/') && (written.contains('.') || written == "localhost") {
        return Err(ReferenceError::OnlyRegistry(text.to_owned()));
    }
    let (tag, digest) = match suffix.split_once('@') {
        Some((tag, digest)) => (tag, Some(digest)),
        None => (suffix, None),
    };
    let tag = tag.strip_prefix(':').map(str::parse).transpose();
    let digest = digest.map(str::parse).transpose();
    Ok(ImageRef {
        name: ImageName { written, registry, repository },
        tag: tag.map_err(|_| grammar("the tag is not one"))?,
        digest: digest.map_err(|_| grammar("the digest is not one"))?,
    })
}

/// The registry's host and the full repository of a name; what has no host belongs to Docker Hub, whose own images
/// live in `library`.
fn registry_and_repository(name: &str) -> Result<(String, String), &'static str> {
    let (registry, repository) = match name.split_once('/') {
        Some((host, path)) if host.contains(['.', ':']) || host == "localhost" => (host, path.to_owned()),
        Some(_) => (DOCKER_HUB, name.to_owned()),
        None => (DOCKER_HUB, format!("library/{name}")),
    };
    if !is_host(registry) {
        return Err("the registry is not a host name with an optional port");
    }
    if !repository.split('/').all(is_component) {
        return Err("the repository may have lower-case letters, digits, and single separators between them");
    }
    if repository.len() > LONGEST_REPOSITORY {
        return Err("the repository is longer than 255 characters");
    }
    Ok((registry.to_owned(), repository))
}

/// A host name or bracketed IPv6 address, with an optional port.
fn is_host(text: &str) -> bool {
    let (host, port) = match text.rsplit_once(':') {
        Some((host, port)) if !port.ends_with(']') => (host, Some(port)),
        _ => (text, None),
    };
    let label = |label: &str| {
        let word = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-';
        !label.is_empty() && label.bytes().all(word) && !label.starts_with('-') && !label.ends_with('-')
    };
    let address = host.strip_prefix('[').and_then(|rest| rest.strip_suffix(']'));
    let named = match address {
        Some(address) => address.parse::<Ipv6Addr>().is_ok(),
        None => host.split('.').all(label),
    };
    named && port.is_none_or(|port| port.parse::<u16>().is_ok())
}

/// `[a-z0-9]+` parts joined by one dot, one or two underscores, or any number of hyphens.
fn is_component(text: &str) -> bool {
    let alphanumeric = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit();
    let inner = text.trim_matches(alphanumeric);
    let ends = text.starts_with(alphanumeric) && text.ends_with(alphanumeric);
    let separator = |text: &str| matches!(text, "" | "." | "_" | "__") || text.bytes().all(|byte| byte == b'-');
    ends && inner.split(alphanumeric).all(separator)
}

/// Splits the name from `:tag` and `@digest`. A colon before the last slash belongs to the registry's port.
fn split_suffix(text: &str) -> (&str, &str) {
    let before_digest = text.find('@').unwrap_or(text.len());
    let path = text[..before_digest].rfind('/').map_or(0, |slash| slash + 1);
    let end = text[path..before_digest].find(':').map_or(before_digest, |colon| path + colon);
    text.split_at(end)
}

/// The name with its host in lower case, and for ghcr.io its path too: owners on GitHub may have upper-case letters,
/// while the registry knows them in lower case only. Nothing when another registry would refuse the path.
fn lower_cased(name: &str) -> Option<String> {
    let (host, path) = match name.split_once('/') {
        Some((host, path)) if host.contains(['.', ':']) || host.eq_ignore_ascii_case("localhost") => (host, path),
        _ => (DOCKER_HUB, name),
    };
    let upper = path.bytes().any(|byte| byte.is_ascii_uppercase());
    (!upper || host.eq_ignore_ascii_case("ghcr.io")).then(|| name.to_ascii_lowercase())
}

/// Account and region of an ECR host: `<account>.dkr.ecr[-fips].<region>.amazonaws.com[.cn]` or the dual-stack form
/// `<account>.dkr-ecr[-fips].<region>.on.aws` (Amazon ECR user guide, "endpoints").
fn ecr(host: &str) -> Option<(&str, &str)> {
    let (account, rest) = host.split_once('.')?;
    let single = ["dkr.ecr.", "dkr.ecr-fips."].iter().find_map(|prefix| rest.strip_prefix(prefix));
    let dual = ["dkr-ecr.", "dkr-ecr-fips."].iter().find_map(|prefix| rest.strip_prefix(prefix));
    let region = match (single, dual) {
        (Some(rest), _) => rest.strip_suffix(".amazonaws.com").or_else(|| rest.strip_suffix(".amazonaws.com.cn"))?,
        (None, Some(rest)) => rest.strip_suffix(".on.aws")?,
        (None, None) => return None,
    };
    let valid = account.len() == 12
        && account.bytes().all(|byte| byte.is_ascii_digit())
        && !region.is_empty()
        && region.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-');
    valid.then_some((account, region))
}

#[cfg(test)]
mod tests;
