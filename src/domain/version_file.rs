//! Purpose: the version that a project's own file states.

use serde_json::Value;

use super::version::{Version, VersionError};

/// Where a project's version is looked for when no file is named, in this order.
pub const DEFAULT_FILES: [&str; 4] = ["package.json", "Cargo.toml", "pyproject.toml", "VERSION"];

/// Why a file gives no version. The message fits behind "the version file … ".
#[derive(Debug, thiserror::Error)]
pub enum VersionFileError {
    /// The file is not JSON.
    #[error("is not JSON")]
    Json(#[source] serde_json::Error),
    /// The file is not TOML.
    #[error("is not TOML")]
    Toml(#[source] toml::de::Error),
    /// The file states no version.
    #[error("states no version; looked for {0}")]
    Absent(&'static str),
    /// The file says that its version is found elsewhere.
    #[error("takes its version from {0}")]
    Elsewhere(&'static str),
    /// What stands in the version's place is none.
    #[error("states a version that cannot be used")]
    Version(#[from] VersionError),
}

/// Reads the version from a file's text; how is decided by its name: `.json` like package.json, `.toml` like Cargo.toml
/// and pyproject.toml, anything else by its first line that is no comment.
///
/// # Errors
/// [`VersionFileError`].
pub fn read(name: &str, text: &str) -> Result<Version, VersionFileError> {
    let lower = name.to_ascii_lowercase();
    let version = if lower.ends_with(".json") {
        json(text)?
    } else if lower.ends_with(".toml") {
        toml(text)?
    } else {
        let said = text.lines().map(str::trim).find(|line| !line.is_empty() && !line.starts_with('#'));
        said.ok_or(VersionFileError::Absent("a line that is no comment"))?.to_owned()
    };
    Ok(version.parse::<Version>()?)
}

fn json(text: &str) -> Result<String, VersionFileError> {
    // Editors on Windows put a byte order mark in front, which JSON does not know.
    let text = text.trim_start_matches('\u{feff}');
    let package: Value = serde_json::from_str(text).map_err(VersionFileError::Json)?;
    let version = package.get("version").and_then(Value::as_str);
    version.map(str::to_owned).ok_or(VersionFileError::Absent("\"version\""))
}

fn toml(text: &str) -> Result<String, VersionFileError> {
    let file: toml::Table = text.trim_start_matches('\u{feff}').parse().map_err(VersionFileError::Toml)?;
    let at = |path: &[&str]| {
        let (first, rest) = path.split_first()?;
        rest.iter().try_fold(file.get(*first)?, |value, key| value.get(key))
    };
    let places: [&[&str]; 4] = [
        &["package", "version"],
        &["workspace", "package", "version"],
        &["project", "version"],
        &["tool", "poetry", "version"],
    ];
    if let Some(version) = places.iter().find_map(|place| at(place)?.as_str()) {
        return Ok(version.to_owned());
    }
    if at(&["package", "version", "workspace"]).is_some() {
        return Err(VersionFileError::Elsewhere("its workspace; name the workspace's Cargo.toml"));
    }
    let dynamic = at(&["project", "dynamic"]).and_then(toml::Value::as_array);
    if dynamic.is_some_and(|names| names.iter().any(|name| name.as_str() == Some("version"))) {
        return Err(VersionFileError::Elsewhere("its build (project.dynamic)"));
    }
    Err(VersionFileError::Absent("package.version, workspace.package.version, project.version and tool.poetry.version"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn version(name: &str, text: &str) -> String {
        read(name, text).unwrap().to_string()
    }

    #[test]
    fn reads_every_kind_of_file() {
        assert_eq!(version("web/package.json", "\u{feff}{\"name\": \"x\", \"version\": \"1.2.3\"}"), "1.2.3");
        assert_eq!(version("Cargo.toml", "package = { name = \"x\", version = '1.2.3' } # 9.9.9"), "1.2.3");
        assert_eq!(version("Cargo.toml", "[workspace.package]\nversion = \"1.2.3\""), "1.2.3");
        let inherited = "[package]\nversion.workspace = true\n[workspace.package]\nversion = \"2.0.0\"\n";
        assert_eq!(version("Cargo.toml", inherited), "2.0.0");
        assert_eq!(version("pyproject.toml", "[project]\nname = \"x\"\nversion = \"1.2.3rc1\""), "1.2.3rc1");
        assert_eq!(version("pyproject.toml", "[tool.poetry]\nversion = \"1.2.3\""), "1.2.3");
        assert_eq!(version("VERSION", "# ours\n\nv1.2.3\n"), "1.2.3");
    }

    #[test]
    fn does_not_take_a_dependencys_version() {
        let text = "description = '''\n[package]\nversion = \"9.9.9\"\n'''\n[dependencies.x]\nversion = \"8.8.8\"\n";
        assert!(matches!(read("Cargo.toml", text), Err(VersionFileError::Absent(_))));
    }

    #[test]
    fn says_why_there_is_none() {
        let cases = [
            ("package.json", "{\"name\": \"x\"}"),
            ("package.json", "{"),
            ("Cargo.toml", "[package"),
            ("Cargo.toml", "[package]\nname = \"x\""),
            ("Cargo.toml", "[package]\nversion.workspace = true"),
            ("pyproject.toml", "[project]\ndynamic = [\"version\"]"),
            ("VERSION", "\n# nothing\n"),
            ("VERSION", "latest"),
        ];
        let errors = cases.map(|(name, text)| format!("{name} {}", read(name, text).unwrap_err()));
        insta::assert_snapshot!(errors.join("\n"));
    }
}
