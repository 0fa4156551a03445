//! Purpose: what a manifest says as far as retention depends on it: children, subject, mentions, blobs.

use std::fmt;

use serde::{Deserialize, Deserializer, Serialize, Serializer};
use serde_json::Value;

use crate::domain::names::Digest;

/// The facts of one manifest. They never change, since its digest names its content: they are remembered across runs.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Facts {
    /// Manifests of an index, in order.
    #[serde(rename = "c", skip_serializing_if = "Vec::is_empty")]
    pub children: Vec<Digest>,
    /// The manifest that this one is about.
    #[serde(rename = "s", skip_serializing_if = "Option::is_none")]
    pub subject: Option<Digest>,
    /// Digests that its annotations name: a base image, a bundle of another repository.
    #[serde(rename = "m", skip_serializing_if = "Vec::is_empty")]
    pub mentions: Vec<Digest>,
    /// Configuration and layers.
    #[serde(rename = "b", skip_serializing_if = "Vec::is_empty")]
    pub blobs: Vec<Blob>,
    /// Size of the manifest itself, in bytes.
    #[serde(rename = "z")]
    pub size: u64,
    /// Digest of the configuration, of an image.
    #[serde(rename = "g", skip_serializing_if = "Option::is_none")]
    pub config: Option<Digest>,
    /// When the image says it was created, in seconds; what a build wrote, not when it was pushed.
    #[serde(rename = "t", skip_serializing_if = "Option::is_none")]
    pub created: Option<i64>,
}

/// A blob and its size in bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Blob(pub Key, pub u64);

/// A blob's digest in 32 bytes: enough to tell blobs apart, a quarter of the memory of its text.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Key(pub [u8; 32]);

/// A manifest that cannot be understood.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Unreadable {
    /// Not JSON.
    #[error("it is not JSON")]
    NotJson,
    /// Of a form that nobody here knows, so that nobody knows what it refers to.
    #[error("it is of a form that is not known: {0}")]
    UnknownForm(String),
    /// A reference in it is none.
    #[error("it refers to something that is not a digest")]
    BadReference,
}

impl Facts {
    /// Reads a manifest or index.
    ///
    /// # Errors
    /// [`Unreadable`]: what is not understood could refer to anything.
    pub fn read(content: &[u8]) -> Result<Self, Unreadable> {
        let body: Value = serde_json::from_slice(content).map_err(|_| Unreadable::NotJson)?;
        let list = |name: &str| body.get(name).and_then(Value::as_array);
        if list("manifests").is_none() && body.get("config").is_none() && list("blobs").is_none() {
            let form = body.get("mediaType").and_then(Value::as_str).unwrap_or("no media type");
            return Err(Unreadable::UnknownForm(form.chars().take(100).collect()));
        }
        let children = list("manifests").into_iter().flatten().map(digest_of).collect::<Result<Vec<_>, _>>()?;
        let subject = body.get("subject").filter(|subject| !subject.is_null()).map(digest_of).transpose()?;
        let layers = list("layers").into_iter().chain(list("blobs")).flatten();
        let config = body.get("config").filter(|config| !config.is_null());
        let blobs = config.into_iter().chain(layers).map(blob_of).collect::<Result<Vec<_>, _>>()?;
        Ok(Self {
            children,
            subject,
            mentions: mentions(&body),
            blobs,
            size: content.len() as u64,
            config: config.and_then(|config| digest_of(config).ok()),
            created: None,
        })
    }

    /// What an index's or manifest's own annotation says about its creation, in RFC 3339.
    #[must_use]
    pub fn created_text(content: &[u8]) -> Option<String> {
        let body: Value = serde_json::from_slice(content).ok()?;
        let text = body.get("annotations")?.get("org.opencontainers.image.created")?.as_str()?;
        Some(text.to_owned())
    }

    /// Whether it is an index.
    #[must_use]
    pub fn is_index(&self) -> bool {
        self.config.is_none() && self.blobs.is_empty()
    }
}

fn digest_of(descriptor: &Value) -> Result<Digest, Unreadable> {
    let text = descriptor.get("digest").and_then(Value::as_str).ok_or(Unreadable::BadReference)?;
    text.parse().map_err(|_| Unreadable::BadReference)
}

fn blob_of(descriptor: &Value) -> Result<Blob, Unreadable> {
    let digest = digest_of(descriptor)?;
    Ok(Blob(Key::of(&digest), descriptor.get("size").and_then(Value::as_u64).unwrap_or(0)))
}

/// Digests in annotations: `sha256:` and 64 digits, wherever they stand.
fn mentions(body: &Value) -> Vec<Digest> {
    let annotations = body.get("annotations").and_then(Value::as_object).into_iter().flatten();
    let mut found = Vec::new();
    for text in annotations.filter_map(|(_, value)| value.as_str()) {
        for (at, _) in text.match_indices("sha256:") {
            if let Some(digest) = text.get(at..at + 71).and_then(|text| text.parse::<Digest>().ok())
                && !found.contains(&digest)
            {
                found.push(digest);
            }
        }
    }
    found
}

impl Key {
    /// The key of a digest; of the longer SHA-512 the first half.
    #[must_use]
    pub fn of(digest: &Digest) -> Self {
        let hex = digest.as_str().split_once(':').map_or("", |(_, hex)| hex).as_bytes();
        let mut key = [0; 32];
        for (byte, pair) in key.iter_mut().zip(hex.chunks_exact(2)) {
            *byte = value(pair[0]) << 4 | value(pair[1]);
        }
        Self(key)
    }
}

fn value(digit: u8) -> u8 {
    match digit {
        b'0'..=b'9' => digit - b'0',
        b'a'..=b'f' => digit - b'a' + 10,
        _ => 0,
    }
}

impl fmt::Display for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl fmt::Debug for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl Serialize for Key {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Key {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = <std::borrow::Cow<'de, str> as Deserialize>::deserialize(deserializer)?;
        let digest = format!("sha256:{text}").parse::<Digest>().map_err(serde::de::Error::custom)?;
        Ok(Self::of(&digest))
    }
}
