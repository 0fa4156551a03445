//! Purpose: the documented subset of a compose file: services of images, what they depend on, in which order they start.
//!
//! Names and meanings are those of the Compose specification. Whatever is not in the subset is an error that names the
//! key and its line: a key that is ignored would be a lie about what runs.

mod error;
mod file;
mod order;
mod read;
mod service;
mod shape;
#[cfg(test)]
mod tests;
mod text;

use std::collections::BTreeMap;

use serde::Serialize;

pub use error::ComposeError;
pub use order::{OrderError, start_order};
pub use read::read;
use text::duration;
pub use text::{EnvFileError, interpolate, read_env_file};

use super::container::{HealthCheck, Port};

/// What is started together.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Project {
    /// By name.
    pub services: BTreeMap<String, Service>,
    /// Named volumes that services use.
    pub volumes: Vec<String>,
    /// Networks by name in the file.
    pub networks: BTreeMap<String, ProjectNetwork>,
}

/// A network of the file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum ProjectNetwork {
    /// Made for this project, and removed with it.
    Own,
    /// There already, under this name.
    External(String),
}

/// One service.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Service {
    /// The image.
    pub image: String,
    /// Environment variables; those of `env_file` are read by whoever may read files.
    pub environment: BTreeMap<String, String>,
    /// Files with further variables, weaker than `environment`, the later ones stronger.
    pub env_files: Vec<EnvFile>,
    /// Ports.
    pub ports: Vec<Port>,
    /// Replaces the image's command.
    pub command: Option<Vec<String>>,
    /// Replaces the image's entry point.
    pub entrypoint: Option<Vec<String>>,
    /// What must be so before it starts.
    pub depends_on: BTreeMap<String, Condition>,
    /// Replaces the image's health check.
    pub health: Option<HealthCheck>,
    /// Named volumes.
    pub volumes: Vec<VolumeUse>,
    /// Networks, with the names by which it is found in them beside its own; empty is the project's default network.
    pub networks: BTreeMap<String, Vec<String>>,
}

/// A file of variables.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct EnvFile {
    /// Relative to the compose file.
    pub path: String,
    /// What it means when it is not there.
    pub presence: Presence,
}

/// What it means when a file is not there.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Presence {
    /// An error.
    Required,
    /// Nothing.
    Optional,
}

/// A volume in a service.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct VolumeUse {
    /// The volume.
    pub name: String,
    /// Where it is in the container.
    pub target: String,
    /// Whether the container may only read it.
    pub read_only: bool,
    /// Whether the file gives it no name: nobody else can use it.
    pub is_anonymous: bool,
}

/// What must be so of a service before another one starts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Condition {
    /// It was started.
    Started,
    /// Its health check succeeded.
    Healthy,
    /// It ended with exit code 0.
    Completed,
}

impl Project {
    /// Whether some service waits for this one's end, so that its end is what is wanted of it.
    #[must_use]
    pub fn is_to_complete(&self, service: &str) -> bool {
        self.services.values().any(|other| other.depends_on.get(service) == Some(&Condition::Completed))
    }
}
