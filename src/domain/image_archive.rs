//! Purpose: what `docker save` writes, and the manifest by which a registry knows the same image.
//!
//! Layers lie in it unpacked (moby, `image/tarexport/save.go`): as `<id>/layer.tar` until Docker Engine 24, where one that
//! occurs twice is a symbolic link, and as `blobs/sha256/<hex>` since. A list, `manifest.json`, comes at the end.

use std::collections::BTreeMap;

use serde::Deserialize;
use serde_json::{Map, Value, json};

use super::names::Digest;

/// Media types of Docker's image manifest: manifest, configuration, layer.
const DOCKER: [&str; 3] = [
    "application/vnd.docker.distribution.manifest.v2+json",
    "application/vnd.docker.container.image.v1+json",
    "application/vnd.docker.image.rootfs.diff.tar.gzip",
];
/// The same of OCI's, whose manifests have room for annotations.
const OCI: [&str; 3] = [
    "application/vnd.oci.image.manifest.v1+json",
    "application/vnd.oci.image.config.v1+json",
    "application/vnd.oci.image.layer.v1.tar+gzip",
];

/// What an entry of an archive is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Entry {
    /// A layer, unpacked.
    Layer,
    /// Something that is small, and may be the list or the configuration.
    Small,
}

/// Why an archive is no image.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ArchiveError {
    /// The list is missing, or no list.
    #[error("the engine's archive of the image has no usable manifest.json")]
    NoList,
    /// The list names what is not there.
    #[error("the engine's archive of the image lacks {0}")]
    Lacks(String),
    /// The content of a layer is not what the configuration says.
    #[error("layer {number} of the engine's archive is {found}, but the image's configuration says {expected}")]
    WrongLayer {
        /// Which, counted from 1.
        number: usize,
        /// The digest of its content.
        found: String,
        /// The digest that it should have.
        expected: String,
    },
}

/// A layer as it lies in the archive, and as it was packed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PackedLayer {
    /// The digest of its unpacked content.
    pub content: Digest,
    /// The digest of its packed content, which is the blob's.
    pub packed: Digest,
    /// Bytes of the blob.
    pub size: u64,
}

/// Everything of an archive that a manifest is made of.
#[derive(Debug, Default)]
pub struct Archive {
    /// Layers by their path.
    pub layers: BTreeMap<String, PackedLayer>,
    /// Small files by their path.
    pub small: BTreeMap<String, Vec<u8>>,
    /// Links by their path; what they lead to is relative to their folder.
    pub links: BTreeMap<String, String>,
}

/// An image as a registry knows it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Image {
    /// Its manifest's media type.
    pub media_type: &'static str,
    /// Its manifest.
    pub manifest: Vec<u8>,
    /// Its configuration.
    pub config: Vec<u8>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Listed {
    config: String,
    #[serde(default)]
    layers: Option<Vec<String>>,
}

/// What an entry is, by its path; `contents` are the digests of the image's unpacked layers.
#[must_use]
pub fn entry(path: &str, contents: &[String]) -> Entry {
    let hex = path.strip_prefix("blobs/sha256/");
    let named = hex.is_some_and(|hex| contents.iter().any(|content| content.strip_prefix("sha256:") == Some(hex)));
    if named || path.ends_with("/layer.tar") { Entry::Layer } else { Entry::Small }
}

impl Archive {
    /// The image, with its layers in order. `digest_of` computes a digest.
    ///
    /// # Errors
    /// [`ArchiveError`].
    pub fn image(
        &self,
        annotations: &[(String, String)],
        digest_of: impl Fn(&[u8]) -> String,
    ) -> Result<Image, ArchiveError> {
        let list = self.small.get("manifest.json").ok_or(ArchiveError::NoList)?;
        let list: Vec<Listed> = serde_json::from_slice(list).map_err(|_| ArchiveError::NoList)?;
        let [listed] = list.as_slice() else { return Err(ArchiveError::NoList) };
        let config = self.small.get(&listed.config).ok_or_else(|| ArchiveError::Lacks(listed.config.clone()))?;
        let paths = listed.layers.as_deref().unwrap_or_default();
        let layers = paths.iter().map(|path| self.layer(path)).collect::<Result<Vec<_>, _>>()?;
        check(&layers, config)?;
        let [manifest_type, config_type, layer_type] = if annotations.is_empty() { DOCKER } else { OCI };
        let layers = layers
            .iter()
            .map(|layer| json!({"mediaType": layer_type, "size": layer.size, "digest": layer.packed.as_str()}));
        let mut manifest = Map::from_iter([
            ("schemaVersion".to_owned(), json!(2)),
            ("mediaType".to_owned(), json!(manifest_type)),
            ("config".to_owned(), json!({"mediaType": config_type, "size": config.len(), "digest": digest_of(config)})),
            ("layers".to_owned(), layers.collect()),
        ]);
        if !annotations.is_empty() {
            let annotations = annotations.iter().map(|(key, value)| (key.clone(), json!(value)));
            manifest.insert("annotations".to_owned(), Value::Object(annotations.collect()));
        }
        let manifest = Value::Object(manifest).to_string().into_bytes();
        Ok(Image { media_type: manifest_type, manifest, config: config.clone() })
    }

    fn layer(&self, path: &str) -> Result<&PackedLayer, ArchiveError> {
        let linked = self.links.get(path).map(|target| joined(path, target));
        let found = self.layers.get(path).or_else(|| self.layers.get(&linked?));
        found.ok_or_else(|| ArchiveError::Lacks(path.to_owned()))
    }
}

/// Where a link leads: `../b/layer.tar` in `a/layer.tar` is `b/layer.tar`.
fn joined(path: &str, target: &str) -> String {
    let mut parts: Vec<&str> = path.split('/').collect();
    parts.pop();
    for part in target.split('/') {
        match part {
            ".." => drop(parts.pop()),
            "." | "" => {}
            part => parts.push(part),
        }
    }
    parts.join("/")
}

/// Whether the layers are those that the configuration names, in its order.
fn check(layers: &[&PackedLayer], config: &[u8]) -> Result<(), ArchiveError> {
    let config: Value = serde_json::from_slice(config).map_err(|_| ArchiveError::NoList)?;
    let expected = config["rootfs"]["diff_ids"].as_array().map(Vec::as_slice).unwrap_or_default();
    if expected.len() != layers.len() {
        return Err(ArchiveError::Lacks(format!(
            "{} of {} layers",
            expected.len().abs_diff(layers.len()),
            expected.len()
        )));
    }
    for (at, (layer, expected)) in layers.iter().zip(expected).enumerate() {
        let expected = expected.as_str().unwrap_or_default();
        if layer.content.as_str() != expected {
            let found = layer.content.to_string();
            return Err(ArchiveError::WrongLayer { number: at + 1, found, expected: expected.to_owned() });
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn digest(letter: &str) -> Digest {
        format!("sha256:{}", letter.repeat(64)).parse().unwrap()
    }

    fn layer(content: &str, packed: &str) -> PackedLayer {
        PackedLayer { content: digest(content), packed: digest(packed), size: 7 }
    }

    /// An archive with two different layers and one of them again, as an old engine writes it.
    fn archive() -> Archive {
        let contents = ["a", "b", "a"].map(|letter| digest(letter).to_string());
        let config = json!({"rootfs": {"diff_ids": contents}});
        let list =
            json!([{"Config": "c.json", "RepoTags": null, "Layers": ["1/layer.tar", "2/layer.tar", "3/layer.tar"]}]);
        Archive {
            layers: [("1/layer.tar".into(), layer("a", "d")), ("2/layer.tar".into(), layer("b", "e"))].into(),
            small: [("manifest.json".into(), list.to_string().into()), ("c.json".into(), config.to_string().into())]
                .into(),
            links: [("3/layer.tar".into(), "../1/layer.tar".into())].into(),
        }
    }

    #[test]
    fn a_manifest_names_packed_layers_in_order() {
        let image = archive().image(&[], |_| "sha256:c".into()).unwrap();
        let manifest: Value = serde_json::from_slice(&image.manifest).unwrap();
        assert_eq!(image.media_type, DOCKER[0]);
        assert_eq!(manifest["config"]["digest"], "sha256:c");
        assert_eq!(manifest["config"]["size"], image.config.len());
        let digests: Vec<_> =
            manifest["layers"].as_array().unwrap().iter().map(|layer| layer["digest"].clone()).collect();
        assert_eq!(digests, [digest("d"), digest("e"), digest("d")].map(|digest| json!(digest.as_str())));
        assert_eq!(manifest.get("annotations"), None);
    }

    #[test]
    fn annotations_take_the_type_that_has_room_for_them() {
        let image = archive().image(&[("k".into(), "v".into())], |_| String::new()).unwrap();
        let manifest: Value = serde_json::from_slice(&image.manifest).unwrap();
        assert_eq!((image.media_type, &manifest["annotations"]["k"]), (OCI[0], &json!("v")));
    }

    #[test]
    fn what_is_missing_or_damaged_is_named() {
        let mut lacking = archive();
        lacking.layers.remove("2/layer.tar");
        assert_eq!(lacking.image(&[], |_| String::new()), Err(ArchiveError::Lacks("2/layer.tar".into())));
        let mut damaged = archive();
        damaged.layers.insert("2/layer.tar".into(), layer("f", "e"));
        let error = damaged.image(&[], |_| String::new()).unwrap_err();
        assert!(matches!(error, ArchiveError::WrongLayer { number: 2, .. }), "{error}");
        assert_eq!(Archive::default().image(&[], |_| String::new()), Err(ArchiveError::NoList));
        let mut short = archive();
        short.small.insert("manifest.json".into(), br#"[{"Config": "c.json", "Layers": ["1/layer.tar"]}]"#.to_vec());
        assert_eq!(short.image(&[], |_| String::new()), Err(ArchiveError::Lacks("2 of 3 layers".into())));
    }

    #[test]
    fn layers_are_known_by_their_path() {
        let contents = [digest("a").to_string()];
        for (path, expected) in [
            ("1/layer.tar".to_owned(), Entry::Layer),
            (format!("blobs/sha256/{}", "a".repeat(64)), Entry::Layer),
            (format!("blobs/sha256/{}", "b".repeat(64)), Entry::Small),
            ("manifest.json".to_owned(), Entry::Small),
        ] {
            assert_eq!(entry(&path, &contents), expected, "{path}");
        }
    }

    proptest::proptest! {
        #[test]
        fn links_never_panic(path in "[a./]{0,12}", target in "[a./]{0,12}") {
            let _ = joined(&path, &target);
        }
    }
}
