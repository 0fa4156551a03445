//! Purpose: foreign text made fit to be shown: no control characters, no endless lines.

/// Text without control characters and terminal sequences; line breaks and tabs stay.
#[must_use]
pub fn clean(text: &str) -> String {
    let mut clean = String::with_capacity(text.len());
    let mut rest = text.chars().peekable();
    while let Some(c) = rest.next() {
        match c {
            '\u{1b}' if rest.peek() == Some(&'[') => {
                rest.next();
                // A control sequence ends at its first letter (ECMA-48); parameters are digits and punctuation.
                for c in rest.by_ref() {
                    if ('@'..='~').contains(&c) || c == '\n' {
                        break;
                    }
                }
            }
            '\r' if rest.peek() == Some(&'\n') => {}
            '\r' => clean.push('\n'),
            '\n' | '\t' => clean.push(c),
            // Characters that turn the direction of text could make it read as something else.
            '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}' => {}
            c if c.is_control() => {}
            c => clean.push(c),
        }
    }
    clean
}

/// The first `limit` characters, with an ellipsis when there were more.
#[must_use]
pub fn shortened(text: &str, limit: usize) -> String {
    match text.char_indices().nth(limit) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text.to_owned(),
    }
}

/// Appends to `text` until it holds `limit` bytes; the rest is dropped at a character.
pub(super) fn append(text: &mut String, more: &str, limit: usize) {
    let room = limit.saturating_sub(text.len());
    text.push_str(&more[..more.floor_char_boundary(room)]);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn controls_go_and_lines_stay() {
        assert_eq!(clean("\u{1b}[31mred\u{1b}[0m\r\nnext\rlast\u{7}\u{202e}x"), "red\nnext\nlastx");
        assert_eq!(clean("\u{1b}[1;31"), "");
        assert_eq!(shortened("äöü", 2), "äö…");
        assert_eq!(shortened("äö", 2), "äö");
    }

    #[test]
    fn appending_stops_at_a_character() {
        let mut text = String::from("a");
        append(&mut text, "ää", 4);
        assert_eq!(text, "aä");
    }
}
