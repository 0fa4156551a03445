//! Purpose: pointing a go.mod at one commit of one module, touching nothing but the version.
//!
//! Grammar and rules: the Go modules reference ("Module paths", "Pseudo-versions", "go.mod files").

use std::fmt;
use std::str::FromStr;

use jiff::Timestamp;
use jiff::tz::TimeZone;

use super::names::CommitSha;

mod lexer;

use lexer::{Line, Token, lines};

/// A text is not a module path. The message fits behind "the module …".
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("'{path}' is not a Go module path: {reason}")]
pub struct ModulePathError {
    /// The text as given.
    pub path: String,
    /// What is wrong with it.
    pub reason: &'static str,
}

/// The path of a Go module, for example `github.com/acme/gateway/v5`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ModulePath {
    path: String,
    major: u64,
}

impl ModulePath {
    /// The path as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.path
    }

    /// The path without its major version suffix: what all major versions of the module share.
    fn stem(&self) -> &str {
        let suffix = format!("/v{}", self.major);
        self.path.strip_suffix(&suffix).unwrap_or(&self.path)
    }

    /// The version that Go gives to a commit without version tags: `v<major>.0.0-<commit time in UTC>-<sha>`.
    #[must_use]
    pub fn pseudo_version(&self, commit: &CommitSha, committed_at: Timestamp) -> String {
        let time = committed_at.to_zoned(TimeZone::UTC).strftime("%Y%m%d%H%M%S");
        format!("v{}.0.0-{time}-{}", self.major, &commit.as_str()[..12])
    }
}

impl fmt::Display for ModulePath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.path)
    }
}

impl serde::Serialize for ModulePath {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.path)
    }
}

impl FromStr for ModulePath {
    type Err = ModulePathError;

    fn from_str(path: &str) -> Result<Self, ModulePathError> {
        let wrong = |reason| ModulePathError { path: path.to_owned(), reason };
        let allowed = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~".contains(&byte);
        for element in path.split('/') {
            if element.is_empty() {
                return Err(wrong("it has an empty element"));
            }
            if !element.bytes().all(allowed) {
                return Err(wrong("an element may hold ASCII letters, digits and -._~ only"));
            }
            if element.starts_with('.') || element.ends_with('.') {
                return Err(wrong("an element may not begin or end with a dot"));
            }
        }
        let host = path.split('/').next().unwrap_or(path);
        let of_host = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || b"-.".contains(&byte);
        if !host.contains('.') || !host.bytes().all(of_host) || host.starts_with('-') {
            return Err(wrong("its first element must be a host name such as github.com"));
        }
        Ok(Self { path: path.to_owned(), major: major(path).map_err(wrong)? })
    }
}

/// The major version that a path stands for: its suffix `/v2` and above, on gopkg.in `.v0` and above; else 0.
fn major(path: &str) -> Result<u64, &'static str> {
    let number = |text: &str| text.parse().ok().filter(|_| text == "0" || !text.starts_with('0'));
    if path.starts_with("gopkg.in/") {
        let suffix = path.rsplit_once(".v").map(|(_, suffix)| suffix.trim_end_matches("-unstable"));
        return suffix.and_then(number).ok_or("on gopkg.in it must end with .v and a number");
    }
    let last = path.rsplit('/').next().unwrap_or(path);
    let Some(suffix) =
        last.strip_prefix('v').filter(|suffix| !suffix.is_empty() && suffix.bytes().all(|byte| byte.is_ascii_digit()))
    else {
        return Ok(0);
    };
    number(suffix).filter(|major| *major >= 2).ok_or("its major version suffix must be /v2 or above")
}

/// The directive that a change was made in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Directive {
    /// `require`.
    Require,
    /// `replace`.
    Replace,
}

impl fmt::Display for Directive {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Require => "require",
            Self::Replace => "replace",
        })
    }
}

/// One version that was exchanged.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct Change {
    /// Line in the file, starting at 1.
    pub line: usize,
    /// The directive.
    pub directive: Directive,
    /// The version before.
    pub from: String,
    /// The version now.
    pub to: String,
}

/// A go.mod that points at the commit.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Edited {
    /// The file's new text.
    pub text: String,
    /// What was exchanged, from the first line to the last.
    pub changes: Vec<Change>,
}

/// Why a go.mod cannot be pointed at the commit.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum GoModuleError {
    /// The file does not require the module.
    #[error("go.mod does not require {module}{}", .other.as_ref().map(|other| format!(", but {other}")).unwrap_or_default())]
    NotRequired {
        /// The module.
        module: String,
        /// Another major version of the module that is required.
        other: Option<String>,
    },
    /// A replace directive puts a folder in the module's place, so that no version of it is used.
    #[error(
        "line {line} of go.mod replaces {module} with the folder {folder}, so that no version of the module is used"
    )]
    LocalReplace {
        /// The module.
        module: String,
        /// The folder.
        folder: String,
        /// Line in the file, starting at 1.
        line: usize,
    },
    /// A replace directive puts something in the module's place that is neither a folder nor a module path.
    #[error("line {line} of go.mod replaces {module} with something that cannot be read")]
    Replacement {
        /// The module.
        module: String,
        /// Line in the file, starting at 1.
        line: usize,
        /// What is wrong with it.
        #[source]
        source: ModulePathError,
    },
}

/// Points a go.mod at a commit of a module: every `require` of the module, and every `replace` that stands for all of
/// its versions. Comments, layout and all other lines stay as they are.
///
/// # Errors
/// [`GoModuleError`] when the module is not required or a folder stands in its place.
pub fn point_at(
    text: &str,
    module: &ModulePath,
    commit: &CommitSha,
    committed_at: Timestamp,
) -> Result<Edited, GoModuleError> {
    let lines = lines(text);
    let mut edits: Vec<(usize, Directive, &Token<'_>, String)> = Vec::new();
    let mut required = false;
    for line in &lines {
        match line.verb {
            "require" => {
                if let Some(version) = required_version(line, module.as_str()) {
                    required = true;
                    let wanted = module.pseudo_version(commit, committed_at);
                    edits.push((line.number, Directive::Require, version, wanted));
                }
            }
            "replace" => {
                if let Some((target, version)) = replacement(line, module)? {
                    edits.push((line.number, Directive::Replace, version, target.pseudo_version(commit, committed_at)));
                }
            }
            _ => {}
        }
    }
    if !required {
        let other = lines.iter().find_map(|line| other_major(line, module));
        return Err(GoModuleError::NotRequired { module: module.to_string(), other });
    }
    Ok(apply(text, edits))
}

fn apply(text: &str, edits: Vec<(usize, Directive, &Token<'_>, String)>) -> Edited {
    let (mut new, mut end, mut changes) = (String::with_capacity(text.len() + 64), 0, Vec::new());
    for (line, directive, version, to) in edits {
        new.push_str(&text[end..version.start]);
        new.push_str(&to);
        end = version.end;
        changes.push(Change { line, directive, from: version.value.to_owned(), to });
    }
    new.push_str(&text[end..]);
    Edited { text: new, changes }
}

/// The version token of `<module> <version>`.
fn required_version<'t, 's>(line: &'t Line<'s>, module: &str) -> Option<&'t Token<'s>> {
    match line.tokens.as_slice() {
        [path, version] if path.value == module => Some(version),
        _ => None,
    }
}

/// Target and version token of `<module> => <target> <version>`. A directive for one version of the module
/// (`<module> <version> => …`) does not speak of the commit and is left alone.
fn replacement<'t, 's>(
    line: &'t Line<'s>,
    module: &ModulePath,
) -> Result<Option<(ModulePath, &'t Token<'s>)>, GoModuleError> {
    let of_module = |path: &Token<'_>, arrow: &Token<'_>| path.value == module.as_str() && arrow.value == "=>";
    match line.tokens.as_slice() {
        [path, arrow, folder] if of_module(path, arrow) => Err(GoModuleError::LocalReplace {
            module: module.to_string(),
            folder: folder.value.to_owned(),
            line: line.number,
        }),
        [path, arrow, target, version] if of_module(path, arrow) => {
            let target = target.value.parse().map_err(|source| GoModuleError::Replacement {
                module: module.to_string(),
                line: line.number,
                source,
            })?;
            Ok(Some((target, version)))
        }
        _ => Ok(None),
    }
}

/// A required path that differs from the module's in its major version only.
fn other_major(line: &Line<'_>, module: &ModulePath) -> Option<String> {
    let path = line.tokens.first().filter(|_| line.verb == "require")?;
    let other: ModulePath = path.value.parse().ok()?;
    (other.stem() == module.stem()).then_some(other.path)
}

#[cfg(test)]
mod tests;
