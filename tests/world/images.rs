//! Purpose: images: repositories, manifests, tags and blobs behind both the ECR skin and the OCI registry skin.

use std::collections::BTreeMap;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::{Deserialize, Serialize};
use serde_json::json;

use super::archive::digest;
use super::clock::Moment;

/// Type of an image manifest.
pub const MANIFEST: &str = "application/vnd.oci.image.manifest.v1+json";
/// Type of an index.
pub const INDEX: &str = "application/vnd.oci.image.index.v1+json";

/// All images.
#[derive(Debug, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Images {
    /// By name, without host.
    pub repositories: BTreeMap<String, ImageRepository>,
    /// How the OCI registry skin asks who one is.
    pub auth: Auth,
    /// Tokens given out, with their scopes.
    pub tokens: BTreeMap<String, Vec<String>>,
    /// Globs of repositories that nobody may touch.
    pub denied: Vec<String>,
    /// Manifests cannot be deleted through the registry (405), as on GHCR.
    pub no_delete: bool,
    /// The registry has no referrers API, as GHCR.
    pub no_referrers: bool,
    /// Tags per page of a listing that does not say.
    pub page_size: usize,
    /// Seeds only: `name:tag` to make.
    pub seeds: Vec<String>,
}

impl Default for Images {
    fn default() -> Self {
        Self {
            repositories: BTreeMap::new(),
            auth: Auth::Open,
            tokens: BTreeMap::new(),
            denied: Vec::new(),
            no_delete: false,
            no_referrers: false,
            page_size: 100,
            seeds: Vec::new(),
        }
    }
}

/// How the registry skin asks who one is.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Auth {
    /// Everybody may do everything.
    #[default]
    Open,
    /// `Basic`, as a plain registry or ECR asks.
    Basic { username: String, password: String },
    /// `Bearer` with a token endpoint, as GHCR asks. Anonymous tokens may pull public repositories.
    Bearer { username: String, password: String },
}

/// One repository.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct ImageRepository {
    pub private: bool,
    /// By digest.
    pub manifests: BTreeMap<String, Manifest>,
    /// Tag to digest.
    pub tags: BTreeMap<String, String>,
    /// By digest, base64.
    pub blobs: BTreeMap<String, String>,
    /// ECR's lifecycle policy.
    pub lifecycle: Option<String>,
    /// Uploads under way, by id.
    #[serde(skip)]
    pub uploads: BTreeMap<String, Vec<u8>>,
}

/// One manifest or index.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Manifest {
    pub media_type: String,
    pub text: String,
    pub pushed_at: Option<Moment>,
}

impl Images {
    /// A repository, made when it is new.
    pub fn repository(&mut self, name: &str) -> &mut ImageRepository {
        self.repositories.entry(name.to_owned()).or_default()
    }

    /// Makes an image `name:tag` with content derived from the reference. Gives its digest.
    pub fn image(&mut self, reference: &str) -> String {
        self.image_with_labels(reference, &[])
    }

    /// The same with labels in its configuration.
    pub fn image_with_labels(&mut self, reference: &str, labels: &[(&str, &str)]) -> String {
        let (name, tag) = reference.rsplit_once(':').expect("name:tag");
        let labels: BTreeMap<&str, &str> = labels.iter().copied().collect();
        let config = json!({
            "architecture": "amd64", "os": "linux", "config": { "Labels": labels },
            "rootfs": { "type": "layers", "diff_ids": [digest(reference.as_bytes())] }, "made_for": reference,
        });
        let (config, layer) = (config.to_string().into_bytes(), format!("layer of {reference}").into_bytes());
        let repository = self.repository(name);
        let descriptor =
            |media: &str, data: &[u8]| json!({ "mediaType": media, "digest": digest(data), "size": data.len() });
        let manifest = json!({
            "schemaVersion": 2,
            "mediaType": MANIFEST,
            "config": descriptor("application/vnd.oci.image.config.v1+json", &config),
            "layers": [descriptor("application/vnd.oci.image.layer.v1.tar+gzip", &layer)],
        });
        for data in [&config, &layer] {
            repository.blobs.insert(digest(data), STANDARD.encode(data));
        }
        repository.push(MANIFEST, &manifest.to_string(), Some(tag))
    }

    /// Makes an index `name:tag` of `linux/amd64` and `linux/arm64` images. Gives its digest.
    pub fn index(&mut self, reference: &str) -> String {
        let (name, tag) = reference.rsplit_once(':').expect("name:tag");
        let parts: Vec<_> = ["amd64", "arm64"]
            .map(|architecture| {
                let part = format!("{tag}-{architecture}-part");
                let digest = self.image(&format!("{name}:{part}"));
                let repository = self.repository(name);
                repository.tags.remove(&part);
                let size = repository.manifests[&digest].text.len();
                json!({ "mediaType": MANIFEST, "digest": digest, "size": size,
                    "platform": { "os": "linux", "architecture": architecture } })
            })
            .into();
        let index = json!({ "schemaVersion": 2, "mediaType": INDEX, "manifests": parts });
        self.repository(name).push(INDEX, &index.to_string(), Some(tag))
    }

    /// The digest an image reference (`[host/]name[:tag][@digest]`) stands for; made up when the image is not here.
    pub fn digest_of_reference(&self, reference: &str) -> String {
        if let Some((_, digest)) = reference.split_once('@') {
            return digest.to_owned();
        }
        let last = reference.rsplit('/').next().unwrap_or(reference);
        let (name, tag) =
            if last.contains(':') { reference.rsplit_once(':').expect("a colon") } else { (reference, "latest") };
        let mut candidates = vec![name];
        candidates.extend(name.split_once('/').map(|(_, rest)| rest));
        let found = candidates.iter().find_map(|name| self.repositories.get(*name)?.tags.get(tag));
        found.cloned().unwrap_or_else(|| digest(reference.as_bytes()))
    }

    /// Makes what the seed names.
    pub fn plant(&mut self) {
        for reference in std::mem::take(&mut self.seeds) {
            self.image(&reference);
        }
    }
}

impl ImageRepository {
    /// Stores a manifest, and points a tag at it. Gives its digest.
    pub fn push(&mut self, media_type: &str, text: &str, tag: Option<&str>) -> String {
        let digest = digest(text.as_bytes());
        let manifest = Manifest { media_type: media_type.to_owned(), text: text.to_owned(), pushed_at: None };
        self.manifests.insert(digest.clone(), manifest);
        if let Some(tag) = tag {
            self.tags.insert(tag.to_owned(), digest.clone());
        }
        digest
    }

    /// The manifest of a tag or digest.
    pub fn find(&self, reference: &str) -> Option<(String, &Manifest)> {
        let digest = self.tags.get(reference).map_or(reference, String::as_str);
        Some((digest.to_owned(), self.manifests.get(digest)?))
    }

    /// The tags of a digest.
    pub fn tags_of(&self, digest: &str) -> Vec<String> {
        self.tags.iter().filter(|(_, target)| *target == digest).map(|(tag, _)| tag.clone()).collect()
    }
}
