//! Purpose: workflow artifacts: this run's through the artifact service, other runs' through GitHub's REST API.
//!
//! ```ignore
//! let artifacts = Artifacts::new(&ArtifactOptions { results_url, token, secrets })?;
//! // While the engine exports: blocks go up as they come, in bounded memory; the service checks the digest.
//! let uploaded = artifacts.upload(&name, engine.save(&["acme/app:v1"]), &Upload::default()).await?;
//!
//! let stored = artifacts.find(&name).await?;                             // this run
//! let stored = Stored::of_run(&github, &repository, run, &name).await?;  // another run
//! let content = stored.open().await?;                                    // a raw file, or the list of a zip's files
//! let file = content.one_matching("*.tar*")?;
//! let (sender, receiver) = tokio::sync::mpsc::channel(4);
//! let sent = tokio::join!(content.send(&file, Unpack::Image, limit, sender), engine.load(ReceiverStream::new(receiver)));
//! ```
//!
//! A download is resumed where it broke off. Its last mebibyte is held back until the digest is known to be right, so
//! that nobody gets to the end of something damaged.

mod blob;
mod error;
mod receive;
mod service;
mod upload;

pub use blob::{Content, FileInside, Stored};
pub use error::ArtifactError;
pub use receive::{Checked, Sent, Unpack};
pub use service::{ArtifactOptions, Artifacts};
pub use upload::{Existing, Upload, Uploaded};
