//! Purpose: a command line into words, as a POSIX shell would, without running one.

/// A command line cannot be split. The message fits behind "the command …".
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum ShellError {
    /// A quote is not closed.
    #[error("has an unclosed {0} quote")]
    Unclosed(char),
    /// The last character is a backslash.
    #[error("ends with a backslash")]
    Dangling,
}

/// Splits a command line at unquoted spaces. Quotes and backslashes mean what they mean in a POSIX shell (2.2,
/// "Quoting"); nothing is expanded.
///
/// # Errors
/// An unclosed quote, a backslash at the end.
pub fn words(line: &str) -> Result<Vec<String>, ShellError> {
    let mut words = Vec::new();
    let mut word: Option<String> = None;
    let mut rest = line.chars();
    while let Some(c) = rest.next() {
        match c {
            c if c.is_whitespace() => words.extend(word.take()),
            '\'' => single_quoted(&mut rest, word.get_or_insert_default())?,
            '"' => double_quoted(&mut rest, word.get_or_insert_default())?,
            '\\' => {
                let escaped = rest.next().ok_or(ShellError::Dangling)?;
                // A backslash before a line break joins the lines.
                if escaped != '\n' {
                    word.get_or_insert_default().push(escaped);
                }
            }
            c => word.get_or_insert_default().push(c),
        }
    }
    words.extend(word);
    Ok(words)
}

fn single_quoted(rest: &mut std::str::Chars<'_>, word: &mut String) -> Result<(), ShellError> {
    for c in rest {
        if c == '\'' {
            return Ok(());
        }
        word.push(c);
    }
    Err(ShellError::Unclosed('\''))
}

fn double_quoted(rest: &mut std::str::Chars<'_>, word: &mut String) -> Result<(), ShellError> {
    while let Some(c) = rest.next() {
        match c {
            '"' => return Ok(()),
            '\\' => match rest.next().ok_or(ShellError::Dangling)? {
                '\n' => {}
                escaped @ ('"' | '\\' | '$' | '`') => word.push(escaped),
                other => word.extend(['\\', other]),
            },
            c => word.push(c),
        }
    }
    Err(ShellError::Unclosed('"'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn splits_as_a_shell_does() {
        for (line, expected) in [
            ("pnpm db:migrate", &["pnpm", "db:migrate"][..]),
            ("  sh -c 'a && b  c'  ", &["sh", "-c", "a && b  c"]),
            (r#"echo "a \"b\" $HOME \n" x\ y"#, &["echo", "a \"b\" $HOME \\n", "x y"]),
            (r#"a'b'"c"d ''"#, &["abcd", ""]),
            ("", &[]),
        ] {
            assert_eq!(words(line).unwrap(), expected, "{line}");
        }
        assert_eq!(words("a 'b"), Err(ShellError::Unclosed('\'')));
        assert_eq!(words("a \"b"), Err(ShellError::Unclosed('"')));
        assert_eq!(words("a \\"), Err(ShellError::Dangling));
    }

    proptest::proptest! {
        #[test]
        fn single_quotes_carry_anything(list in proptest::collection::vec("[^'\0]{0,12}", 0..5)) {
            let line: Vec<String> = list.iter().map(|word| format!("'{word}'")).collect();
            proptest::prop_assert_eq!(words(&line.join(" ")).unwrap(), list);
        }
    }
}
