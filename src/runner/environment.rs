//! Purpose: the process environment and arguments, read once.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::path::{Path, PathBuf};

/// Which of the step's runs this is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stage {
    /// The step itself.
    Main,
    /// The clean-up at the end of the job.
    Post,
}

/// A snapshot of environment, arguments and working directory.
#[derive(Debug, Clone, Default)]
pub struct Environment {
    variables: BTreeMap<String, String>,
    unreadable: Vec<String>,
    program: String,
    arguments: Vec<String>,
    directory: PathBuf,
    temporary: PathBuf,
}

impl Environment {
    /// Reads the process's own environment.
    #[must_use]
    #[expect(clippy::disallowed_methods, reason = "the one place where environment and arguments enter")]
    pub fn of_process() -> Self {
        let directory = std::env::current_dir().unwrap_or_else(|_| PathBuf::from("/"));
        Self::from_os(std::env::vars_os(), std::env::args_os(), directory, std::env::temp_dir())
    }

    /// Builds a snapshot from its parts; the first argument is the program's own name.
    pub fn from_os(
        variables: impl IntoIterator<Item = (OsString, OsString)>,
        arguments: impl IntoIterator<Item = OsString>,
        directory: PathBuf,
        temporary: PathBuf,
    ) -> Self {
        let mut snapshot = Self { directory, temporary, ..Self::default() };
        for (name, value) in variables {
            let name = name.to_string_lossy().into_owned();
            match value.into_string() {
                Ok(value) => drop(snapshot.variables.insert(name, value)),
                Err(_) => snapshot.unreadable.push(name),
            }
        }
        let mut arguments = arguments.into_iter().map(|argument| argument.to_string_lossy().into_owned());
        snapshot.program = arguments.next().unwrap_or_default();
        snapshot.arguments = arguments.collect();
        snapshot
    }

    /// A variable's value; an empty one counts as unset, as the runner passes unset inputs.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&str> {
        self.variables.get(name).map(String::as_str).filter(|value| !value.is_empty())
    }

    /// All variables that are valid UTF-8, by name.
    pub fn variables(&self) -> impl Iterator<Item = (&str, &str)> {
        self.variables.iter().map(|(name, value)| (name.as_str(), value.as_str()))
    }

    /// Names of variables whose value is not UTF-8; they count as unset everywhere.
    #[must_use]
    pub fn unreadable(&self) -> &[String] {
        &self.unreadable
    }

    /// Arguments after the program's name.
    #[must_use]
    pub fn arguments(&self) -> &[String] {
        &self.arguments
    }

    /// Whether an Actions runner started us.
    #[must_use]
    pub fn is_runner(&self) -> bool {
        self.get("GITHUB_ACTIONS") == Some("true")
    }

    /// The stage: the image holds a second name for the binary, `landfall-post`, which the post stage runs. The runner
    /// gives main and post the same arguments, and a marker in the state file would be missing when main died early.
    #[must_use]
    pub fn stage(&self) -> Stage {
        match Path::new(&self.program).file_name().and_then(|name| name.to_str()) {
            Some("landfall-post") => Stage::Post,
            _ => Stage::Main,
        }
    }

    /// The workspace: `GITHUB_WORKSPACE`, else the working directory.
    #[must_use]
    pub fn workspace(&self) -> PathBuf {
        self.get("GITHUB_WORKSPACE").map_or_else(|| self.directory.clone(), PathBuf::from)
    }

    /// Where temporary files belong: `RUNNER_TEMP`, else the system's own place.
    #[must_use]
    pub fn temporary(&self) -> PathBuf {
        self.get("RUNNER_TEMP").map_or_else(|| self.temporary.clone(), PathBuf::from)
    }
}
