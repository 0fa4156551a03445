//! Purpose: what `update_reference` asks for: point a source at another commit before it is built.

use std::fmt;
use std::str::FromStr;

/// One change of the source.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Update {
    /// Require a Go module at a commit.
    GoModule {
        /// Module path, `github.com/acme/gateway`.
        module: String,
        /// Branch, tag or commit of the module's repository.
        commit: String,
    },
    /// Replace what a regular expression matches in a file.
    Replace {
        /// Path relative to the source's root.
        file: String,
        /// The expression; `^` and `$` match at lines.
        pattern: String,
        /// The text, in which `$1` or `${name}` stand for groups.
        text: String,
    },
}

/// Why an entry of `update_reference` cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum UpdateError {
    /// Not the form of an entry.
    #[error("has '{0}', which is not <kind>: <value>; kinds are go-module and replace")]
    Form(String),
    /// A kind that does not exist or is not supported.
    #[error("has the kind '{0}', which this version does not support; kinds are go-module and replace")]
    Kind(String),
    /// The value is not what its kind needs.
    #[error("{kind} has '{value}', which is not {expected}")]
    Value {
        /// The kind.
        kind: &'static str,
        /// Its value.
        value: String,
        /// What would be right.
        expected: &'static str,
    },
    /// A regular expression that does not compile.
    #[error("replace has a regular expression that cannot be used: {0}")]
    Pattern(String),
}

impl FromStr for Update {
    type Err = UpdateError;

    /// Reads `<kind>: <value>`; a map of the config arrives as `<kind>=<value>`.
    fn from_str(line: &str) -> Result<Self, UpdateError> {
        let (kind, value) = line.split_once([':', '=']).ok_or_else(|| UpdateError::Form(line.to_owned()))?;
        let value = value.trim();
        match kind.trim() {
            "go-module" | "go_module" => go_module(value),
            "replace" => replace(value),
            other => Err(UpdateError::Kind(other.to_owned())),
        }
    }
}

fn go_module(value: &str) -> Result<Update, UpdateError> {
    let parts = value.split_once('@').filter(|(module, commit)| !module.is_empty() && !commit.is_empty());
    let (module, commit) = parts.ok_or_else(|| UpdateError::Value {
        kind: "go-module",
        value: value.to_owned(),
        expected: "<module>@<commit>",
    })?;
    Ok(Update::GoModule { module: module.to_owned(), commit: commit.to_owned() })
}

fn replace(value: &str) -> Result<Update, UpdateError> {
    let wrong = || UpdateError::Value { kind: "replace", value: value.to_owned(), expected: "<file>:<regex>=<text>" };
    let (file, rest) = value.split_once(':').ok_or_else(wrong)?;
    let (pattern, text) = split_at_bare_equals(rest).ok_or_else(wrong)?;
    let leaves = file.starts_with('/') || file.split('/').any(|part| part == "..");
    if file.is_empty() || pattern.is_empty() || leaves {
        return Err(wrong());
    }
    compile(pattern)?;
    Ok(Update::Replace { file: file.to_owned(), pattern: pattern.to_owned(), text: text.to_owned() })
}

/// An equals sign inside the expression is written `\\=`, which regular expressions read as the sign itself.
fn split_at_bare_equals(text: &str) -> Option<(&str, &str)> {
    let at = text.match_indices('=').map(|(at, _)| at).find(|at| !text[..*at].ends_with('\\'))?;
    Some((&text[..at], &text[at + 1..]))
}

fn compile(pattern: &str) -> Result<regex::Regex, UpdateError> {
    let compiled = regex::RegexBuilder::new(pattern).multi_line(true).build();
    compiled.map_err(|error| UpdateError::Pattern(error.to_string().lines().last().unwrap_or_default().to_owned()))
}

/// Applies a replacement. Returns the new text and how often the expression matched.
///
/// # Errors
/// [`UpdateError::Pattern`].
pub fn replaced(source: &str, pattern: &str, text: &str) -> Result<(String, usize), UpdateError> {
    let pattern = compile(pattern)?;
    let count = pattern.find_iter(source).count();
    Ok((pattern.replace_all(source, text).into_owned(), count))
}

impl fmt::Display for Update {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::GoModule { module, commit } => write!(f, "go-module {module}@{commit}"),
            Self::Replace { file, pattern, text } => write!(f, "replace /{pattern}/ in {file} by '{text}'"),
        }
    }
}

/// The repository on a GitHub server that a module path belongs to: host, then `owner/name`.
#[must_use]
pub fn repository_of_module(module: &str) -> Option<(&str, &str)> {
    let (host, path) = module.split_once('/')?;
    let end = path.match_indices('/').nth(1).map_or(path.len(), |(at, _)| at);
    path.contains('/').then_some((host, &path[..end]))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_both_forms() {
        let expected = Update::GoModule { module: "github.com/acme/gateway/v5".into(), commit: "abc".into() };
        assert_eq!("go-module: github.com/acme/gateway/v5@abc".parse(), Ok(expected.clone()));
        assert_eq!("go_module=github.com/acme/gateway/v5@abc".parse(), Ok(expected));
        let replace: Update = r"replace: conf/app.env:^VERSION\=.*$=VERSION=2".parse().unwrap();
        assert_eq!(
            replace,
            Update::Replace { file: "conf/app.env".into(), pattern: r"^VERSION\=.*$".into(), text: "VERSION=2".into() }
        );
        assert_eq!(replaced("A=1\nVERSION=1\n", r"^VERSION\=.*$", "VERSION=2").unwrap().0, "A=1\nVERSION=2\n");
    }

    #[test]
    fn refuses_what_it_cannot_do() {
        for line in [
            "x",
            "submodule: a@b",
            "go-module: a",
            "replace: a",
            "replace: ../a:b=c",
            "replace: /a:b=c",
            "replace: a:(=c",
        ] {
            assert!(line.parse::<Update>().is_err(), "{line}");
        }
    }

    #[test]
    fn replaces_at_lines_with_groups() {
        let (text, count) = replaced("a=1\nb=2\n", r"^(\w)=\d$", "${1}=9").unwrap();
        assert_eq!((text.as_str(), count), ("a=9\nb=9\n", 2));
    }

    #[test]
    fn a_module_belongs_to_a_repository() {
        assert_eq!(repository_of_module("github.com/acme/gateway/v5"), Some(("github.com", "acme/gateway")));
        assert_eq!(repository_of_module("github.com/acme/mono/lib/a"), Some(("github.com", "acme/mono")));
        assert_eq!(repository_of_module("gopkg.in/yaml.v3"), None);
    }
}
