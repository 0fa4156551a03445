//! Purpose: the folders of a build: where they are, what the frontend calls them.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use sha2::{Digest as _, Sha256};

use super::session::Folder;
use super::{BuildError, BuildRequest, Dockerfile, LocalSource, Source};
use crate::domain::hex::hex;

/// What the builder may read, and how the frontend knows it.
pub(super) struct Sources {
    /// By the names that the frontend knows: `context`, `dockerfile`.
    pub(super) folders: BTreeMap<String, Folder>,
    /// The Dockerfile's name in its folder.
    pub(super) filename: String,
    /// The Dockerfile as the request names it.
    pub(super) shown: String,
    /// The same for the same content across builds, so that the builder need not be sent unchanged files again.
    pub(super) shared_key: String,
    /// What the frontend is told about them.
    pub(super) attributes: BTreeMap<String, String>,
}

impl Sources {
    /// The Dockerfile's text, empty when it cannot be read any more.
    pub(super) async fn dockerfile(&self) -> String {
        match self.folders.get("dockerfile") {
            Some(Folder::Disk(folder)) => {
                let text = tokio::fs::read(folder.join(&self.filename)).await.unwrap_or_default();
                String::from_utf8_lossy(&text).into_owned()
            }
            Some(Folder::Single { content, .. }) => String::from_utf8_lossy(content).into_owned(),
            None => String::new(),
        }
    }
}

impl Sources {
    pub(super) fn of(request: &BuildRequest) -> Result<Self, BuildError> {
        let mut sources = match &request.context {
            Source::Local(local) => Self::local(local, &request.dockerfile)?,
            Source::Remote(url) => Self::remote(url, &request.dockerfile)?,
        };
        for (name, source) in &request.contexts {
            let value = match source {
                Source::Local(local) => {
                    // A name of the session beside those of the frontend's own.
                    let known = format!("context:{name}");
                    sources.folders.insert(known.clone(), Folder::Disk(folder(&local.root)?));
                    format!("local:{known}")
                }
                Source::Remote(url) => url.clone(),
            };
            sources.attributes.insert(format!("context:{name}"), value);
        }
        Ok(sources)
    }

    fn local(context: &LocalSource, dockerfile: &Dockerfile) -> Result<Self, BuildError> {
        let root = folder(&context.root)?;
        let (dockerfile, filename, shown) = match dockerfile {
            Dockerfile::InContext(path) => {
                let (folder, name) = split(&root.join(path))?;
                (Folder::Disk(folder), name, path.display().to_string())
            }
            other => Self::elsewhere(other)?,
        };
        let identity = context.identity.as_deref().map_or_else(|| root.as_os_str().as_encoded_bytes(), str::as_bytes);
        let shared_key = hex(&Sha256::digest(identity));
        let folders = [("context".to_owned(), Folder::Disk(root)), ("dockerfile".to_owned(), dockerfile)];
        Ok(Self { folders: folders.into(), filename, shown, shared_key, attributes: BTreeMap::new() })
    }

    /// The builder fetches the context; without a Dockerfile of ours it takes that from there, too.
    fn remote(url: &str, dockerfile: &Dockerfile) -> Result<Self, BuildError> {
        let mut attributes = BTreeMap::from([("context".to_owned(), url.to_owned())]);
        let shared_key = hex(&Sha256::digest(url.as_bytes()));
        let (folders, filename, shown) = match dockerfile {
            Dockerfile::InContext(path) => (BTreeMap::new(), path.display().to_string(), path.display().to_string()),
            other => {
                attributes.insert("dockerfilekey".to_owned(), "dockerfile".to_owned());
                let (folder, filename, shown) = Self::elsewhere(other)?;
                (BTreeMap::from([("dockerfile".to_owned(), folder)]), filename, shown)
            }
        };
        Ok(Self { folders, filename, shown, shared_key, attributes })
    }

    fn elsewhere(dockerfile: &Dockerfile) -> Result<(Folder, String, String), BuildError> {
        match dockerfile {
            Dockerfile::InContext(path) | Dockerfile::At(path) => {
                let (folder, name) = split(path)?;
                Ok((Folder::Disk(folder), name, path.display().to_string()))
            }
            Dockerfile::Inline(text) => {
                let name = "Dockerfile".to_owned();
                Ok((Folder::Single { name: name.clone(), content: text.clone().into() }, name.clone(), name))
            }
        }
    }
}

/// The folder itself, whatever links lead to it.
fn folder(path: &Path) -> Result<PathBuf, BuildError> {
    let fault = |source| BuildError::Context { path: path.to_owned(), source };
    let path = path.canonicalize().map_err(fault)?;
    let kind = path.metadata().map_err(fault)?;
    if kind.is_dir() { Ok(path) } else { Err(fault(std::io::ErrorKind::NotADirectory.into())) }
}

/// The folder and the name of a Dockerfile that must exist.
fn split(path: &Path) -> Result<(PathBuf, String), BuildError> {
    let fault = |source| BuildError::Context { path: path.to_owned(), source };
    let kind = path.metadata().map_err(fault)?;
    if !kind.is_file() {
        return Err(fault(std::io::ErrorKind::IsADirectory.into()));
    }
    let name = path.file_name().and_then(|name| name.to_str());
    let name = name.ok_or_else(|| BuildError::Invalid(format!("{} has no usable name", path.display())))?;
    let parent = path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
    Ok((folder(parent)?, name.to_owned()))
}
