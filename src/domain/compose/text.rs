//! Purpose: variables in a compose file, and files of variables.

use std::collections::BTreeMap;
use std::time::Duration;

/// Fills `$NAME` and `${NAME}` in, with `:-default`, `:+replacement` and `:?message` behind the name, or the same without
/// the colon, for which an empty variable is a set one; what stands there is filled in, too. `$$` is a dollar sign
/// (Compose specification, "interpolation").
///
/// # Errors
/// A sentence: what is not set, or not closed.
pub fn interpolate(text: &str, lookup: &dyn Fn(&str) -> Option<String>) -> Result<String, String> {
    let mut filled = String::new();
    let mut rest = text;
    while let Some(at) = rest.find('$') {
        filled.push_str(&rest[..at]);
        rest = &rest[at + 1..];
        if let Some(after) = rest.strip_prefix('$') {
            filled.push('$');
            rest = after;
        } else if let Some(after) = rest.strip_prefix('{') {
            let end = closing(after).ok_or_else(|| format!("'{text}' has ${{ without its end"))?;
            let (inside, after) = (&after[..end], &after[end + 1..]);
            filled.push_str(&braced(inside, lookup)?);
            rest = after;
        } else {
            let end = rest.find(|c: char| !is_name(c)).unwrap_or(rest.len());
            if end == 0 || rest.starts_with(|c: char| c.is_ascii_digit()) {
                return Err(format!("'{text}' has a $ that begins no name; write $$ for the character itself"));
            }
            filled.push_str(&set(&rest[..end], lookup)?);
            rest = &rest[end..];
        }
    }
    filled.push_str(rest);
    Ok(filled)
}

fn is_name(c: char) -> bool {
    c.is_ascii_alphanumeric() || c == '_'
}

fn set(name: &str, lookup: &dyn Fn(&str) -> Option<String>) -> Result<String, String> {
    lookup(name).ok_or_else(|| {
        format!("the variable {name} is not set; set it in the step's env, or write ${{{name}:-default}}")
    })
}

fn braced(inside: &str, lookup: &dyn Fn(&str) -> Option<String>) -> Result<String, String> {
    let end = inside.find(|c: char| !is_name(c)).unwrap_or(inside.len());
    let (name, operator) = inside.split_at(end);
    if name.is_empty() {
        return Err(format!("'${{{inside}}}' names no variable"));
    }
    let value = lookup(name);
    let (value, rest) = match operator.strip_prefix(':') {
        Some(rest) => (value.filter(|value| !value.is_empty()), rest),
        None => (value, operator),
    };
    let mut after = rest.chars();
    match after.next() {
        None if operator.is_empty() => set(name, lookup),
        Some('-') => value.map_or_else(|| interpolate(after.as_str(), lookup), Ok),
        Some('+') => value.map_or_else(|| Ok(String::new()), |_| interpolate(after.as_str(), lookup)),
        Some('?') => value.ok_or_else(|| match after.as_str() {
            "" => format!("the variable {name} is not set"),
            message => format!("the variable {name} is not set: {message}"),
        }),
        _ => Err(format!("'${{{inside}}}' is a form that is not supported; use ${{{name}}} or ${{{name}:-default}}")),
    }
}

/// Where the brace ends that was opened before this text.
fn closing(text: &str) -> Option<usize> {
    let mut open = 1_usize;
    let mut before = ' ';
    for (index, c) in text.char_indices() {
        match c {
            '{' if before == '$' => open += 1,
            '}' => open -= 1,
            _ => {}
        }
        if open == 0 {
            return Some(index);
        }
        before = c;
    }
    None
}

/// `1h30m`, `90s`, `500ms` (Compose specification, "specifying durations").
pub(super) fn duration(text: &str) -> Option<Duration> {
    let mut rest = text.trim();
    let mut all = Duration::ZERO;
    if rest.is_empty() {
        return None;
    }
    while !rest.is_empty() {
        let digits = rest.find(|c: char| !c.is_ascii_digit())?;
        let number: u64 = rest[..digits].parse().ok()?;
        let unit = &rest[digits..];
        let end = unit.find(|c: char| c.is_ascii_digit()).unwrap_or(unit.len());
        let one = match &unit[..end] {
            "us" => Duration::from_micros(number),
            "ms" => Duration::from_millis(number),
            "s" => Duration::from_secs(number),
            "m" => Duration::from_secs(number.checked_mul(60)?),
            "h" => Duration::from_secs(number.checked_mul(3600)?),
            _ => return None,
        };
        all = all.checked_add(one)?;
        rest = &unit[end..];
    }
    Some(all)
}

/// A line of a file of variables cannot be read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("line {line} is not NAME=value")]
pub struct EnvFileError {
    /// The line, counted from 1.
    pub line: usize,
}

/// Reads lines `NAME=value`; blank lines and lines that begin with `#` are skipped, `export ` is dropped, quotes around
/// a whole value are taken off. `NAME` alone takes the value of the surroundings, if they have one.
///
/// # Errors
/// [`EnvFileError`]. It does not quote the line, which may hold a secret.
pub fn read_env_file(
    text: &str,
    lookup: &dyn Fn(&str) -> Option<String>,
) -> Result<BTreeMap<String, String>, EnvFileError> {
    let mut variables = BTreeMap::new();
    for (index, line) in text.trim_start_matches('\u{feff}').lines().enumerate() {
        let line = line.trim();
        if line.is_empty() || line.starts_with('#') {
            continue;
        }
        let line = line.strip_prefix("export ").map_or(line, str::trim_start);
        let (name, value) = match line.split_once('=') {
            Some((name, value)) => (name.trim(), Some(unquoted(value.trim()))),
            None => (line, lookup(line)),
        };
        if name.is_empty() || name.contains(char::is_whitespace) {
            return Err(EnvFileError { line: index + 1 });
        }
        if let Some(value) = value {
            variables.insert(name.to_owned(), value);
        }
    }
    Ok(variables)
}

fn unquoted(value: &str) -> String {
    let inside = |quote: char| {
        let inner = value.strip_prefix(quote)?.strip_suffix(quote)?;
        (value.len() > 1).then_some(inner)
    };
    if let Some(inner) = inside('\'') {
        return inner.to_owned();
    }
    if let Some(inner) = inside('"') {
        return inner.replace("\\n", "\n").replace("\\\"", "\"").replace("\\\\", "\\");
    }
    // A comment needs a space before it.
    value.split(" #").next().unwrap_or_default().trim_end().to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn world(name: &str) -> Option<String> {
        match name {
            "A" => Some("one".to_owned()),
            "EMPTY" => Some(String::new()),
            _ => None,
        }
    }

    #[test]
    fn variables_are_filled_in() {
        for (text, expected) in [
            ("plain", "plain"),
            ("$A-${A}", "one-one"),
            ("${B:-two}${EMPTY:-three}${EMPTY-four}", "twothree"),
            ("$$A costs 5$$", "$A costs 5$"),
            ("${A+x}${B+x}${EMPTY+y}${EMPTY:+z}", "xy"),
            ("${B:-${A}${C:-two}}!", "onetwo!"),
            ("${A?needed}${EMPTY?needed}", "one"),
        ] {
            assert_eq!(interpolate(text, &world).unwrap(), expected, "{text}");
        }
        for wrong in
            ["$B", "${B}", "${A", "${}", "$1", "a $", "${EMPTY:?needed}", "${B?}", "${A:}", "${A%x}", "${B:-${C}}"]
        {
            assert!(interpolate(wrong, &world).is_err(), "{wrong}");
        }
    }

    #[test]
    fn files_of_variables() {
        let text = "# comment\nexport X=1\nY = \"a b\"\nZ='a # b'\nQ=a # b\nA\nB\nEQ=a=b\n";
        let expected = [("X", "1"), ("Y", "a b"), ("Z", "a # b"), ("Q", "a"), ("A", "one"), ("EQ", "a=b")];
        let expected = expected.map(|(name, value)| (name.to_owned(), value.to_owned()));
        assert_eq!(read_env_file(text, &world).unwrap(), BTreeMap::from(expected));
        assert_eq!(read_env_file("A=1\n=x\n", &world), Err(EnvFileError { line: 2 }));
    }

    proptest::proptest! {
        #[test]
        fn no_text_breaks_it(text in ".{0,60}") {
            let _ = interpolate(&text, &world);
            let _ = read_env_file(&text, &world);
        }

        #[test]
        fn without_a_dollar_nothing_changes(text in "[^$]{0,60}") {
            proptest::prop_assert_eq!(interpolate(&text, &world).unwrap(), text);
        }
    }
}
