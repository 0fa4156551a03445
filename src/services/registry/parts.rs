//! Purpose: what an index is put together from: the descriptors of images that are in the registry already.

use serde_json::{Value, json};

use super::manifest::Parsed;
use super::request::Call;
use super::{RegistryClient, RegistryError};
use crate::domain::reference::ImageRef;

impl RegistryClient {
    /// The descriptors that an image contributes to an index: itself with its platform, or, when it is an index, its parts
    /// with their attestations, as they stand there. `None` when it is definitely absent.
    ///
    /// # Errors
    /// Everything that is not a definite answer.
    pub async fn descriptors(&self, image: &ImageRef) -> Result<Option<Vec<Value>>, RegistryError> {
        let call = Call::get(image.name(), String::new(), format!("the manifest of {image}"));
        let unreadable = || call.malformed("an image's manifest");
        let Some(manifest) = self.manifest(image).await? else {
            return Ok(None);
        };
        let single = match manifest.parse().map_err(|_| unreadable())? {
            Parsed::Index(_) => {
                let body: Value = serde_json::from_slice(&manifest.body).map_err(|_| unreadable())?;
                return Ok(Some(body["manifests"].as_array().cloned().unwrap_or_default()));
            }
            Parsed::Image(single) => single,
        };
        let config = self.configuration(image.name(), &single).await?;
        let mut platform = json!({"architecture": config.architecture().to_string(), "os": config.os().to_string()});
        if let Some(variant) = config.variant() {
            platform["variant"] = json!(variant);
        }
        if let Some(version) = config.os_version() {
            platform["os.version"] = json!(version);
        }
        Ok(Some(vec![json!({
            "mediaType": manifest.media_type,
            "digest": manifest.digest.as_str(),
            "size": manifest.body.len(),
            "platform": platform,
        })]))
    }
}
