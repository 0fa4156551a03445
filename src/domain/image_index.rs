//! Purpose: one index out of the images of several platforms, with what belongs to them.

use serde_json::{Map, Value, json};

/// Media types of an index: OCI's, and Docker's older one.
pub const OCI_INDEX: &str = "application/vnd.oci.image.index.v1+json";
/// Docker's name for an index, which has no room for annotations.
pub const DOCKER_LIST: &str = "application/vnd.docker.distribution.manifest.list.v2+json";
/// Marks the parts of an index that are no images but attestations about them (BuildKit, "attestation storage").
const ATTESTATION: &str = "vnd.docker.reference.type";

/// An index, ready to be put into a registry.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Index {
    /// Its media type.
    pub media_type: &'static str,
    /// Its content.
    pub body: Vec<u8>,
    /// The platforms of its images, in order.
    pub platforms: Vec<String>,
    /// How many attestations it carries.
    pub attestations: usize,
}

/// Why parts are no index.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum IndexError {
    /// Nothing to put together.
    #[error("no image is among the parts")]
    Empty,
    /// Two images of one platform: a pull would take either.
    #[error("both {first} and {second} are for {platform}")]
    SamePlatform {
        /// The platform.
        platform: String,
        /// The digest of the one.
        first: String,
        /// The digest of the other.
        second: String,
    },
}

/// Puts descriptors together: images first, in the order given, then attestations; each once. What a descriptor says beside
/// its digest is kept as it is.
///
/// # Errors
/// [`IndexError`].
pub fn assemble(descriptors: &[Value], annotations: &[(String, String)]) -> Result<Index, IndexError> {
    let mut images: Vec<&Value> = Vec::new();
    let mut attestations: Vec<&Value> = Vec::new();
    for descriptor in descriptors {
        let into = if is_attestation(descriptor) { &mut attestations } else { &mut images };
        if !into.iter().any(|known| known["digest"] == descriptor["digest"]) {
            into.push(descriptor);
        }
    }
    if images.is_empty() {
        return Err(IndexError::Empty);
    }
    let mut platforms: Vec<String> = Vec::new();
    for (at, image) in images.iter().enumerate() {
        let platform = platform_of(image);
        if let Some(same) = platforms.iter().position(|known| *known == platform) {
            let digest = |image: &Value| image["digest"].as_str().unwrap_or_default().to_owned();
            return Err(IndexError::SamePlatform { platform, first: digest(images[same]), second: digest(images[at]) });
        }
        platforms.push(platform);
    }
    let all: Vec<&Value> = images.iter().chain(&attestations).copied().collect();
    let plain = annotations.is_empty() && all.iter().all(|descriptor| is_dockers(descriptor));
    let media_type = if plain { DOCKER_LIST } else { OCI_INDEX };
    let mut index = Map::from_iter([
        ("schemaVersion".to_owned(), json!(2)),
        ("mediaType".to_owned(), json!(media_type)),
        ("manifests".to_owned(), json!(all)),
    ]);
    if !annotations.is_empty() {
        let annotations = annotations.iter().map(|(key, value)| (key.clone(), json!(value)));
        index.insert("annotations".to_owned(), Value::Object(annotations.collect()));
    }
    let body = Value::Object(index).to_string().into_bytes();
    Ok(Index { media_type, body, platforms, attestations: attestations.len() })
}

/// The digest of an index's image for a platform; `linux/arm64` is every variant of it. Without a wish it is the only
/// image, else the one for `linux/amd64`.
///
/// # Errors
/// The platforms that there are.
pub fn image_for(index: &Value, wish: Option<&str>) -> Result<String, Vec<String>> {
    let all = index["manifests"].as_array().into_iter().flatten();
    let images: Vec<(String, &str)> = all
        .filter(|descriptor| !is_attestation(descriptor))
        .filter_map(|descriptor| Some((platform_of(descriptor), descriptor["digest"].as_str()?)))
        .collect();
    if let ([(_, only)], None) = (images.as_slice(), wish) {
        return Ok((*only).to_owned());
    }
    let wish = wish.unwrap_or("linux/amd64");
    let is_it =
        |platform: &str| platform == wish || platform.strip_prefix(wish).is_some_and(|rest| rest.starts_with('/'));
    let found = images.iter().find(|(platform, _)| is_it(platform)).map(|(_, digest)| (*digest).to_owned());
    found.ok_or_else(|| images.into_iter().map(|(platform, _)| platform).collect())
}

/// Whether a manifest is an index.
#[must_use]
pub fn is_index(manifest: &Value) -> bool {
    manifest["manifests"].is_array()
}

fn is_attestation(descriptor: &Value) -> bool {
    descriptor["annotations"].get(ATTESTATION).is_some()
}

fn is_dockers(descriptor: &Value) -> bool {
    let media_type = descriptor["mediaType"].as_str().unwrap_or_default();
    media_type.starts_with("application/vnd.docker.") && descriptor.get("annotations").is_none()
}

/// `linux/arm64/v8`; an image without a platform is "unknown".
fn platform_of(descriptor: &Value) -> String {
    let platform = &descriptor["platform"];
    let parts = ["os", "architecture", "variant", "os.version"].map(|key| platform[key].as_str().unwrap_or_default());
    let text = parts.into_iter().filter(|part| !part.is_empty()).collect::<Vec<_>>().join("/");
    if text.is_empty() { "unknown".to_owned() } else { text }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn one_image_of_an_index_is_chosen() {
        let image = |platform: &str, digest: &str| {
            let mut parts = platform.split('/');
            let platform = json!({ "os": parts.next(), "architecture": parts.next(), "variant": parts.next() });
            json!({ "digest": digest, "platform": platform })
        };
        let attestation = json!({ "digest": "sha256:x", "annotations": { ATTESTATION: "attestation-manifest" },
            "platform": { "os": "unknown", "architecture": "unknown" } });
        let both = json!({ "manifests": [image("linux/arm64/v8", "sha256:a"), image("linux/amd64", "sha256:b"), attestation] });
        assert!(is_index(&both));
        assert_eq!(image_for(&both, None).unwrap(), "sha256:b");
        assert_eq!(image_for(&both, Some("linux/arm64")).unwrap(), "sha256:a");
        assert_eq!(image_for(&both, Some("linux/arm")).unwrap_err(), ["linux/arm64/v8", "linux/amd64"]);
        let one = json!({ "manifests": [image("linux/arm64", "sha256:a"), attestation] });
        assert_eq!(image_for(&one, None).unwrap(), "sha256:a");
        assert!(image_for(&one, Some("linux/amd64")).is_err());
    }

    const DOCKER_IMAGE: &str = "application/vnd.docker.distribution.manifest.v2+json";
    const OCI_IMAGE: &str = "application/vnd.oci.image.manifest.v1+json";

    fn image(media_type: &str, digest: &str, architecture: &str) -> Value {
        json!({"mediaType": media_type, "digest": digest, "size": 1, "platform": {"os": "linux", "architecture": architecture}})
    }

    fn attestation(digest: &str, of: &str) -> Value {
        json!({
            "mediaType": OCI_IMAGE, "digest": digest, "size": 1,
            "platform": {"os": "unknown", "architecture": "unknown"},
            "annotations": {ATTESTATION: "attestation-manifest", "vnd.docker.reference.digest": of},
        })
    }

    #[test]
    fn attestations_come_along_behind_the_images() {
        let parts = [
            image(OCI_IMAGE, "a", "amd64"),
            attestation("x", "a"),
            image(OCI_IMAGE, "b", "arm64"),
            attestation("y", "b"),
        ];
        let index = assemble(&parts, &[("k".into(), "v".into())]).unwrap();
        assert_eq!(
            (index.platforms, index.attestations),
            (vec!["linux/amd64".to_owned(), "linux/arm64".to_owned()], 2)
        );
        let body: Value = serde_json::from_slice(&index.body).unwrap();
        let digests: Vec<&str> =
            body["manifests"].as_array().unwrap().iter().map(|part| part["digest"].as_str().unwrap()).collect();
        assert_eq!(digests, ["a", "b", "x", "y"]);
        assert_eq!(body["manifests"][2], attestation("x", "a"), "kept as it is");
        assert_eq!((&body["mediaType"], &body["annotations"]["k"]), (&json!(OCI_INDEX), &json!("v")));
    }

    #[test]
    fn dockers_images_make_dockers_list_unless_it_has_no_room() {
        let parts = [image(DOCKER_IMAGE, "a", "amd64"), image(DOCKER_IMAGE, "b", "arm64")];
        assert_eq!(assemble(&parts, &[]).unwrap().media_type, DOCKER_LIST);
        assert_eq!(assemble(&parts, &[("k".into(), "v".into())]).unwrap().media_type, OCI_INDEX);
        let mixed = [image(DOCKER_IMAGE, "a", "amd64"), image(OCI_IMAGE, "b", "arm64")];
        assert_eq!(assemble(&mixed, &[]).unwrap().media_type, OCI_INDEX);
    }

    #[test]
    fn what_a_pull_could_not_tell_apart_is_refused() {
        let parts = [image(OCI_IMAGE, "a", "amd64"), image(OCI_IMAGE, "b", "amd64")];
        let expected =
            IndexError::SamePlatform { platform: "linux/amd64".into(), first: "a".into(), second: "b".into() };
        assert_eq!(assemble(&parts, &[]), Err(expected));
        assert_eq!(assemble(&[attestation("x", "a")], &[]), Err(IndexError::Empty));
    }

    proptest! {
        #[test]
        fn naming_a_part_twice_changes_nothing(order in Just(vec![0, 1, 2, 0, 1, 2]).prop_shuffle()) {
            let parts = [image(OCI_IMAGE, "a", "amd64"), image(OCI_IMAGE, "b", "arm64"), attestation("x", "a")];
            let picked: Vec<Value> = order.iter().map(|at| parts[*at].clone()).collect();
            let index = assemble(&picked, &[]).unwrap();
            prop_assert_eq!((index.platforms.len(), index.attestations), (2, 1));
        }
    }
}
