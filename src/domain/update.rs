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
    /// Put a commit of a submodule's repository in the submodule's place.
    Submodule {
        /// Path relative to the source's root, as `.gitmodules` has it.
        path: String,
        /// Branch, tag or commit of the submodule's repository.
        commit: String,
    },
    /// Run a command on the source, in a tool container.
    Command {
        /// Its words.
        words: Vec<String>,
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
    #[error("has '{0}', which is not <kind>: <value>; kinds are go-module, submodule, replace and command")]
    Form(String),
    /// A kind that does not exist.
    #[error("has the kind '{0}'; kinds are go-module, submodule, replace and command")]
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
            "submodule" => submodule(value),
            "replace" => replace(value),
            "command" => command(value),
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

fn submodule(value: &str) -> Result<Update, UpdateError> {
    let wrong = || UpdateError::Value { kind: "submodule", value: value.to_owned(), expected: "<path>@<commit>" };
    let (path, commit) = value.rsplit_once('@').ok_or_else(wrong)?;
    let path = path.trim_end_matches('/');
    if path.is_empty() || commit.is_empty() || leaves(path) {
        return Err(wrong());
    }
    Ok(Update::Submodule { path: path.to_owned(), commit: commit.to_owned() })
}

fn command(value: &str) -> Result<Update, UpdateError> {
    let wrong = || UpdateError::Value { kind: "command", value: value.to_owned(), expected: "a command line" };
    let words = super::shell::words(value).map_err(|_| wrong())?;
    if words.is_empty() { Err(wrong()) } else { Ok(Update::Command { words }) }
}

/// Whether a path leads out of the folder that it is relative to.
fn leaves(path: &str) -> bool {
    path.starts_with('/') || path.split('/').any(|part| part == "..")
}

fn replace(value: &str) -> Result<Update, UpdateError> {
    let wrong = || UpdateError::Value { kind: "replace", value: value.to_owned(), expected: "<file>:<regex>=<text>" };
    let (file, rest) = value.split_once(':').ok_or_else(wrong)?;
    let (pattern, text) = split_at_bare_equals(rest).ok_or_else(wrong)?;
    if file.is_empty() || pattern.is_empty() || leaves(file) {
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
            Self::Submodule { path, commit } => write!(f, "submodule {path}@{commit}"),
            Self::Command { words } => write!(f, "command {}", words.join(" ")),
            Self::Replace { file, pattern, text } => write!(f, "replace /{pattern}/ in {file} by '{text}'"),
        }
    }
}

/// The address of the submodule at `path`, as a `.gitmodules` file has it (git documentation, "gitmodules").
#[must_use]
pub fn submodule_address(gitmodules: &str, path: &str) -> Option<String> {
    let mut address = None;
    let mut found = false;
    for line in gitmodules.lines().map(str::trim).chain(["["]) {
        if line.starts_with('[') {
            if found && address.is_some() {
                return address;
            }
            (found, address) = (false, None);
        } else if let Some((key, value)) = line.split_once('=') {
            let value = value.trim().trim_matches('"');
            match key.trim() {
                "path" => found = value.trim_end_matches('/') == path,
                "url" => address = Some(value.to_owned()),
                _ => {}
            }
        }
    }
    None
}

/// `owner/name` on the server `host`, of an address as git takes it; one that begins with `..` is relative to `own`
/// (`owner/name`). `None` for another server.
#[must_use]
pub fn repository_of_address(address: &str, host: &str, own: &str) -> Option<String> {
    let path = if address.starts_with("../") {
        let mut parts: Vec<&str> = own.split('/').collect();
        let mut rest = address;
        while let Some(shorter) = rest.strip_prefix("../") {
            parts.pop()?;
            rest = shorter;
        }
        parts.extend(rest.split('/'));
        parts.join("/")
    } else {
        let after = ["https://", "http://", "ssh://", "git://"].iter().find_map(|scheme| address.strip_prefix(scheme));
        let (place, path) = match after {
            Some(rest) => rest.split_once('/')?,
            None => address.split_once(':')?,
        };
        let server = place.rsplit_once('@').map_or(place, |(_, server)| server);
        if server != host {
            return None;
        }
        path.to_owned()
    };
    let path = path.trim_matches('/').trim_end_matches(".git");
    (path.split('/').count() == 2).then(|| path.to_owned())
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
            "submodule: a",
            "submodule: ../a@b",
            "command: 'a",
            "command:",
            "merge: a@b",
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
    fn a_submodule_is_found_by_its_path() {
        let text = "[submodule \"one\"]\n\tpath = libs/one\n\turl = https://github.com/acme/one.git\n[submodule \"two\"]\n\turl = ../two\n\tpath = libs/two\n";
        assert_eq!(submodule_address(text, "libs/one").as_deref(), Some("https://github.com/acme/one.git"));
        assert_eq!(submodule_address(text, "libs/two").as_deref(), Some("../two"));
        assert_eq!(submodule_address(text, "libs"), None);
        let submodule: Update = "submodule: libs/two/@v1".parse().unwrap();
        assert_eq!(submodule, Update::Submodule { path: "libs/two".into(), commit: "v1".into() });
    }

    #[test]
    fn an_address_names_a_repository_of_its_server() {
        for (address, expected) in [
            ("https://github.com/acme/one.git", Some("acme/one")),
            ("git@github.com:acme/one", Some("acme/one")),
            ("ssh://git@github.com/acme/one.git", Some("acme/one")),
            ("../two.git", Some("acme/two")),
            ("../../other/two", Some("other/two")),
            ("../../../two", None),
            ("https://gitlab.example/acme/one.git", None),
            ("https://github.com/acme/group/one.git", None),
        ] {
            assert_eq!(repository_of_address(address, "github.com", "acme/app").as_deref(), expected, "{address}");
        }
    }

    #[test]
    fn a_module_belongs_to_a_repository() {
        assert_eq!(repository_of_module("github.com/acme/gateway/v5"), Some(("github.com", "acme/gateway")));
        assert_eq!(repository_of_module("github.com/acme/mono/lib/a"), Some(("github.com", "acme/mono")));
        assert_eq!(repository_of_module("gopkg.in/yaml.v3"), None);
    }
}
