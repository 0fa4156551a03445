//! Purpose: files into and out of a container, and whole images, as streams of tar.

use std::time::Duration;

use bollard::Docker;
use bollard::query_parameters::{DownloadFromContainerOptions, ImportImageOptions, UploadToContainerOptions};
use bytes::Bytes;
use futures_util::{Stream, StreamExt as _};

use super::answer::failed;
use super::{Engine, EngineError};

/// Seconds until an answer to a long transfer must have begun: the engine answers only when it has read a tar to its end,
/// or written a layer out. The command's own `timeout` is the real limit.
const TRANSFER_TIMEOUT: Duration = Duration::from_secs(6 * 3600);

/// What an engine took out of an image tar.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Loaded {
    /// Images with names, in the order of the tar.
    pub references: Vec<String>,
    /// Ids of images without a name.
    pub ids: Vec<String>,
}

impl Engine {
    /// Extracts a tar (plain, gzip, bzip2, xz) below a folder of a container, which need not run. The folder must exist.
    ///
    /// # Errors
    /// [`EngineError::NotFound`] when container or folder do not exist. When `tar` itself fails the transfer breaks off
    /// and the error is the engine's or the connection's: keep the cause on your side.
    pub async fn copy_in<S, E>(&self, id: &str, folder: &str, tar: S) -> Result<(), EngineError>
    where
        S: Stream<Item = Result<Bytes, E>> + Send + 'static,
        E: Into<Box<dyn std::error::Error + Send + Sync>> + 'static,
    {
        let options = UploadToContainerOptions { path: folder.to_owned(), ..UploadToContainerOptions::default() };
        let body = bollard::body_try_stream(tar.map(|piece| piece.map_err(std::io::Error::other)));
        let copied = self.patient().upload_to_container(id, Some(options), body).await;
        let object = format!("{folder} in the container {id}");
        copied.map_err(|error| failed(format!("copying files to {object}"), &object, error))
    }

    /// A file or folder of a container as a plain tar, whose entries begin with its last name.
    ///
    /// # Errors
    /// In the stream: [`EngineError::NotFound`] when container or path do not exist.
    pub fn copy_out(&self, id: &str, path: &str) -> impl Stream<Item = Result<Bytes, EngineError>> + Send + use<> {
        let object = format!("{path} in the container {id}");
        let options = DownloadFromContainerOptions { path: path.to_owned() };
        let tar = self.patient().download_from_container(id, Some(options));
        tar.map(move |piece| piece.map_err(|error| failed(format!("copying {object}"), &object, error)))
    }

    /// Loads an image tar (plain, gzip, bzip2, xz; zstd on engines that know it) as it comes, in constant memory.
    ///
    /// # Errors
    /// [`EngineError::Failed`] when it is no image. When `tar` itself fails the transfer breaks off and the error is the
    /// engine's or the connection's: keep the cause on your side.
    pub async fn load<S, E>(&self, tar: S) -> Result<Loaded, EngineError>
    where
        S: Stream<Item = Result<Bytes, E>> + Send + 'static,
        E: Into<Box<dyn std::error::Error + Send + Sync>> + 'static,
    {
        let options = ImportImageOptions { quiet: true, ..ImportImageOptions::default() };
        let docker = self.patient();
        let mut answers = std::pin::pin!(docker.import_image_stream(options, tar, None));
        let mut loaded = Loaded::default();
        while let Some(answer) = answers.next().await {
            let failed = |error| failed("loading an image".to_owned(), "image", error);
            let said = answer.map_err(failed)?.stream.unwrap_or_default();
            note_loaded(&mut loaded, &said);
        }
        Ok(loaded)
    }

    /// Images of the engine as one tar, as it comes.
    ///
    /// # Errors
    /// In the stream: [`EngineError::NotFound`] when the engine has no such image.
    pub fn save(&self, references: &[&str]) -> impl Stream<Item = Result<Bytes, EngineError>> + Send + use<> {
        let object = format!("image {}", references.join(", "));
        let tar = self.patient().export_images(references);
        tar.map(move |piece| piece.map_err(|error| failed(format!("saving the {object}"), &object, error)))
    }

    /// The same engine, which may take hours to begin its answer.
    pub(super) fn patient(&self) -> Docker {
        self.docker.clone().with_timeout(TRANSFER_TIMEOUT)
    }
}

/// `Loaded image: acme/app:v1` and `Loaded image ID: sha256:…` (moby, `image/tarexport/load.go`).
fn note_loaded(loaded: &mut Loaded, said: &str) {
    for line in said.lines() {
        if let Some(id) = line.strip_prefix("Loaded image ID: ") {
            loaded.ids.push(id.trim().to_owned());
        } else if let Some(reference) = line.strip_prefix("Loaded image: ") {
            loaded.references.push(reference.trim().to_owned());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_what_was_loaded() {
        let mut loaded = Loaded::default();
        note_loaded(&mut loaded, "Loaded image: acme/app:v1\n");
        note_loaded(&mut loaded, "Loaded image ID: sha256:ab\nother\n");
        assert_eq!(loaded, Loaded { references: vec!["acme/app:v1".into()], ids: vec!["sha256:ab".into()] });
    }
}
