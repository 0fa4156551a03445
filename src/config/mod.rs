//! Purpose: `landfall.yml` as types, with errors that name file, line, column and the nearest key.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use schemars::JsonSchema;
use serde::Deserialize;

use crate::contract::values::{Lines, List, Map};
use crate::domain::globs::Globs;
use crate::domain::ladder::Ladder;
use crate::domain::retention::PolicyBlock;
use crate::domain::route::Routes;
use crate::runner::nearest;

mod metrics;
mod settings;

pub use metrics::{ImageClasses, Metrics, StepNames, ThresholdSettings};
pub use settings::{EnvironmentSection, Opaque, Setting};

/// Where the config is looked for when the input `config` is not set, relative to the workspace.
pub const DEFAULT_PATH: &str = ".github/landfall.yml";

/// Settings of Landfall for one repository.
#[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Config {
    /// Settings by environment. A setting named like an input is that input's default in the environment.
    pub environments: BTreeMap<String, EnvironmentSection>,
    /// How images are named.
    pub tags: Tags,
    /// How the image of a companion repository is chosen.
    pub resolve: Resolve,
    /// What `prune` keeps and deletes, by policy name.
    pub retention: BTreeMap<String, PolicyBlock>,
    /// Which event and which comment asks for what.
    pub routes: Routes,
    /// How the dashboard comment looks.
    pub dashboard: Dashboard,
    /// What `metrics` measures, in which classes, against which limits.
    pub metrics: Metrics,
}

/// How images are named.
#[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Tags {
    /// Rules, one `<when>: <template>[, <template>…]` each.
    pub rules: Option<Lines>,
    /// Characters beside letters and digits that slugs keep, for example `._`.
    pub keep: Option<String>,
    /// File that holds the version.
    pub version_file: Option<String>,
}

/// How the dashboard comment looks.
#[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Dashboard {
    /// Name in the hidden line by which the comment is found again, and before the contexts of its statuses.
    pub marker: Option<String>,
    /// Words of the heading.
    pub title: Option<String>,
    /// Stages in the order of the table, key and title.
    pub stages: Option<Map>,
    /// Where the stages' states are kept: `auto`, `statuses` or `comment`.
    pub records: Option<String>,
}

/// How the image of a companion repository is chosen.
#[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Resolve {
    /// Ladders by name.
    pub ladders: BTreeMap<String, Ladder>,
}

/// The config file cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// A file that was asked for by name does not exist or cannot be read.
    #[error("the config file {} cannot be read", .path.display())]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// The cause.
        #[source]
        source: std::io::Error,
    },
    /// The file is not what a config file must be.
    #[error("{}:{line}:{column}: {message}", .path.display())]
    Invalid {
        /// The file.
        path: PathBuf,
        /// Line, starting at 1.
        line: usize,
        /// Column, starting at 1.
        column: usize,
        /// What is wrong, and the nearest key when one is unknown.
        message: String,
    },
}

impl Config {
    /// Reads the config: the named file must exist, the default one may be absent.
    ///
    /// # Errors
    /// [`ConfigError`].
    pub fn load(workspace: &Path, named: Option<&str>) -> Result<Self, ConfigError> {
        let path = workspace.join(named.unwrap_or(DEFAULT_PATH));
        let shown = PathBuf::from(named.unwrap_or(DEFAULT_PATH));
        match std::fs::read_to_string(&path) {
            Ok(text) => Self::parse(&text, &shown),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound && named.is_none() => Ok(Self::default()),
            Err(source) => Err(ConfigError::Unreadable { path: shown, source }),
        }
    }

    /// Parses a config; `path` is what errors show.
    ///
    /// # Errors
    /// [`ConfigError::Invalid`].
    pub fn parse(text: &str, path: &Path) -> Result<Self, ConfigError> {
        if text.lines().all(|line| line.trim().is_empty() || line.trim_start().starts_with('#')) {
            return Ok(Self::default());
        }
        serde_yaml::from_str(text).map_err(|error| invalid(&error, path))
    }

    /// Parses routes alone, as an input gives them.
    ///
    /// # Errors
    /// What is wrong and where, in words that fit behind the input's name.
    pub fn parse_routes(text: &str) -> Result<Routes, String> {
        serde_yaml::from_str(text).map_err(|error| {
            let (line, column) = error.location().map_or((1, 1), |place| (place.line(), place.column()));
            format!("cannot be used: line {line}, column {column}: {}", explained(&error.to_string()))
        })
    }

    /// The settings of one environment.
    ///
    /// # Errors
    /// The names there are, when this one is not among them.
    pub fn environment(&self, name: &str) -> Result<&EnvironmentSection, String> {
        self.environments.get(name).ok_or_else(|| {
            let names: Vec<&str> = self.environments.keys().map(String::as_str).collect();
            match names.as_slice() {
                [] => format!("is '{name}', but the config has no environments"),
                names => format!("is '{name}', which the config does not have; it has {}", names.join(", ")),
            }
        })
    }
}

fn invalid(error: &serde_yaml::Error, path: &Path) -> ConfigError {
    let (line, column) = error.location().map_or((1, 1), |place| (place.line(), place.column()));
    ConfigError::Invalid { path: path.to_owned(), line, column, message: explained(&error.to_string()) }
}

/// The parser's message without its own location, with the nearest key when one is unknown.
fn explained(message: &str) -> String {
    let message = match message.rsplit_once(" at line ") {
        Some((before, _)) => before,
        None => message,
    };
    // The parser names our types; a reader of YAML knows maps.
    let shape = message.split_once("expected struct ").map(|(before, _)| format!("{before}expected a map"));
    if let Some(message) = shape {
        return message;
    }
    let Some((before, rest)) = message.split_once("unknown field `") else {
        return message.to_owned();
    };
    let Some((key, expected)) = rest.split_once('`') else {
        return message.to_owned();
    };
    let known: Vec<&str> = expected.split('`').skip(1).step_by(2).collect();
    match nearest(key, known.iter().copied()) {
        Some(near) => format!("{before}unknown key '{key}'; did you mean '{near}'?"),
        None => format!("{before}unknown key '{key}'; known here: {}", known.join(", ")),
    }
}

/// The environment whose `branches` globs match a branch, when exactly one does. A tag is asked for as
/// `refs/tags/<name>`.
///
/// # Errors
/// The names of all that match, when several do, or the glob that is wrong.
pub fn environment_of_branch<'a>(config: &'a Config, branch: &str) -> Result<Option<&'a str>, String> {
    let mut matching = Vec::new();
    for (name, section) in &config.environments {
        let List(globs) = &section.branches;
        for glob in globs {
            let globs: Globs =
                glob.parse().map_err(|error| format!("environments.{name}.branches: the pattern {error}"))?;
            if globs.matches(branch) && !matching.contains(&name.as_str()) {
                matching.push(name.as_str());
            }
        }
    }
    match matching.as_slice() {
        [] => Ok(None),
        [one] => Ok(Some(one)),
        several => Err(format!("'{branch}' belongs to several environments of the config: {}", several.join(", "))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn error(text: &str) -> String {
        Config::parse(text, Path::new("landfall.yml")).unwrap_err().to_string()
    }

    #[test]
    fn unknown_keys_are_named_with_place_and_nearest() {
        assert_eq!(
            error("environments: {}\ntags:\n  rulez: []\n"),
            "landfall.yml:3:3: tags: unknown key 'rulez'; did you mean 'rules'?"
        );
        assert_eq!(
            error("enviroments: {}\n"),
            "landfall.yml:1:1: unknown key 'enviroments'; did you mean 'environments'?"
        );
        assert!(error("zzz: 1\n").contains("known here: environments, tags"));
    }

    #[test]
    fn ladders_are_checked_where_they_stand() {
        let ladder = |rule: &str| format!("resolve:\n  ladders:\n    dashboard:\n      rules:\n        - {rule}\n");
        assert!(Config::parse(&ladder("strategy: a"), Path::new("x")).is_ok());
        assert_eq!(
            error(&ladder("{ strategy: a, if: { bass: x } }")),
            "landfall.yml:5:32: resolve.ladders.dashboard.rules[0].if: unknown key 'bass'; did you mean 'base'?"
        );
    }

    #[test]
    fn wrong_yaml_says_where() {
        assert_eq!(error("tags: []\n"), "landfall.yml:1:7: tags: invalid type: sequence, expected a map");
        assert!(error("tags:\n  keep: 'x\n").starts_with("landfall.yml:3:1: "), "{}", error("tags:\n  keep: 'x\n"));
        assert!(error("- a\n").starts_with("landfall.yml:1:1: "));
    }

    #[test]
    fn an_empty_file_is_an_empty_config() {
        for text in ["", "# nothing\n\n"] {
            assert!(Config::parse(text, Path::new("x")).unwrap().environments.is_empty());
        }
    }

    #[test]
    fn environments_hold_any_key_and_choose_by_branch() {
        let config = Config::parse(
            "environments:\n  production:\n    branches: [main]\n    aws_account_id: \"123456789012\"\n    team: core\n  dev:\n    branches: ['feature/**', dev, 'refs/tags/v*']\n",
            Path::new("x"),
        )
        .unwrap();
        let production = config.environment("production").unwrap();
        assert_eq!(production.settings["aws_account_id"].as_str(), "123456789012");
        assert_eq!(environment_of_branch(&config, "feature/a/b"), Ok(Some("dev")));
        assert_eq!(environment_of_branch(&config, "refs/tags/v1"), Ok(Some("dev")));
        assert_eq!(environment_of_branch(&config, "other"), Ok(None));
        assert!(config.environment("prod").unwrap_err().contains("dev, production"));
    }
}
