//! Purpose: why a compose file cannot be used: where, and what to do instead.

use super::OrderError;

/// Why a compose file cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ComposeError {
    /// YAML that is none, a key outside of the subset, a value of the wrong kind.
    #[error("line {line}: {message}")]
    Place {
        /// The line, counted from 1.
        line: usize,
        /// What is wrong.
        message: String,
    },
    /// A value that means nothing.
    #[error("{}{path}: {message}", .line.map(|line| format!("line {line}: ")).unwrap_or_default())]
    Value {
        /// `services.web.ports`.
        path: String,
        /// What is wrong.
        message: String,
        /// The line where it begins, counted from 1, as far as it can be told.
        line: Option<usize>,
    },
    /// Dependencies that cannot be met.
    #[error(transparent)]
    Order(#[from] OrderError),
}

impl ComposeError {
    /// A value that means nothing.
    pub(super) fn value(path: &str, message: impl Into<String>) -> Self {
        Self::Value { path: path.to_owned(), message: message.into(), line: None }
    }

    /// The line, counted from 1, as far as it can be told.
    #[must_use]
    pub fn line(&self) -> Option<usize> {
        match self {
            Self::Place { line, .. } => Some(*line),
            Self::Value { line, .. } => *line,
            Self::Order(_) => None,
        }
    }

    /// The same with its line in this text.
    pub(super) fn located(self, text: &str) -> Self {
        match self {
            Self::Value { path, message, line: None } => Self::Value { line: line_of(text, &path), path, message },
            other => other,
        }
    }

    /// The parser's error without its own place and its words for our types.
    pub(super) fn of_parser(error: &serde_yaml::Error) -> Self {
        let line = error.location().map_or(1, |place| place.line());
        let said = error.to_string();
        let said = said.rsplit_once(" at line ").map_or(said.as_str(), |(before, _)| before);
        let unknown = said.split_once("unknown field `").and_then(|(before, rest)| {
            let (key, known) = rest.split_once('`')?;
            let known: Vec<&str> = known.split('`').skip(1).step_by(2).collect();
            let instead = remedy(key).map(|remedy| format!(". {remedy}")).unwrap_or_default();
            Some(format!("{before}the key '{key}' is not supported; supported here: {}{instead}", known.join(", ")))
        });
        Self::Place { line, message: unknown.unwrap_or_else(|| said.to_owned()) }
    }
}

/// What to do instead of a key that users often have.
fn remedy(key: &str) -> Option<&'static str> {
    Some(match key {
        "build" => "Nothing is built here: build the image in an earlier step, and name it in `images`",
        "restart" | "deploy" => "Leave it out: a container that ends is reported at once",
        "container_name" | "hostname" | "links" => "Leave it out: services find each other by their names",
        "extends" | "include" => "Use an anchor and a merge key: `<<: *base`",
        "profiles" => "Give the tests a compose file of their own, with the services that they need",
        "secrets" | "configs" => "Use `environment`, `env_file` or a named volume",
        "labels" | "logging" | "tty" | "stdin_open" => "Leave it out: nothing here reads it",
        "expose" => "Leave it out: in a network every port can be reached",
        "network_mode" => "Use `networks`, or the input `network`",
        "external" | "driver_opts" => "Everything that is used here is made here, and removed with the job",
        _ => return None,
    })
}

/// The line on which the last part of a path is found that stands on a line of its own. What came by an anchor or stands
/// in braces is found at what holds it.
fn line_of(text: &str, path: &str) -> Option<usize> {
    let lines: Vec<&str> = text.lines().collect();
    let (mut at, mut parent, mut rest, mut found) = (0, None, path, None);
    while let Some((index, indent, after)) = child(&lines, at, parent, rest) {
        (at, parent, rest, found) = (index + 1, Some(indent), after, Some(index + 1));
    }
    found
}

/// Of the keys that stand on lines below `parent` the longest that begins the path: where, how far in, and what is left.
fn child<'a>(lines: &[&str], at: usize, parent: Option<usize>, path: &'a str) -> Option<(usize, usize, &'a str)> {
    let (mut level, mut best) = (None, None::<(usize, usize, &str)>);
    for (index, line) in lines.iter().enumerate().skip(at) {
        let trimmed = line.trim_start();
        let indent = line.len() - trimmed.len();
        if trimmed.is_empty() || trimmed.starts_with('#') {
            continue;
        }
        if parent.is_some_and(|parent| indent <= parent) {
            break;
        }
        if *level.get_or_insert(indent) != indent {
            continue;
        }
        let key = trimmed.split_once(':').map_or("", |(key, _)| key).trim_matches(['"', '\'', ' ']);
        let after = path.strip_prefix(key).filter(|after| !key.is_empty() && is_end(after));
        if let Some(after) = after.map(|after| after.trim_start_matches('.'))
            && best.is_none_or(|(_, _, longest)| after.len() < longest.len())
        {
            best = Some((index, indent, after));
        }
    }
    best
}

fn is_end(rest: &str) -> bool {
    rest.is_empty() || rest.starts_with('.')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_is_found_as_far_as_it_stands_on_lines() {
        let text = "services:\n  # ports: none\n  web:\n    image: a\n    ports:\n      - x\n  \"web.2\": { ports: [x] }\nvolumes:\n  web:\n";
        assert_eq!(line_of(text, "services.web.ports"), Some(5));
        assert_eq!(line_of(text, "services.web.2.ports"), Some(7));
        assert_eq!(line_of(text, "services.web.volumes"), Some(3));
        assert_eq!(line_of(text, "volumes.web"), Some(9));
        assert_eq!(line_of(text, "images"), None);
    }

    proptest::proptest! {
        #[test]
        fn a_line_is_always_one_of_the_text(text in "[a-c:. \n\"]{0,60}", path in "[a-c.]{0,10}") {
            if let Some(line) = line_of(&text, &path) {
                proptest::prop_assert!((1..=text.lines().count()).contains(&line));
            }
        }
    }
}
