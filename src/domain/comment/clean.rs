//! Purpose: text from outside without what no reader can see: control sequences, invisible and direction-changing
//! characters, endless length.

/// One line of at most `longest` characters. Control sequences of terminals go as a whole, other control characters
/// become spaces, characters that hide or reorder text go; what is cut ends with `…`.
#[must_use]
pub fn clean(text: &str, longest: usize) -> String {
    let mut line = String::new();
    let mut count = 0;
    let mut rest = text.chars().peekable();
    while let Some(c) = rest.next() {
        let c = match c {
            '\u{1b}' => {
                skip_sequence(&mut rest);
                continue;
            }
            c if is_invisible(c) => continue,
            c if c.is_control() || c == '\u{2028}' || c == '\u{2029}' => ' ',
            c => c,
        };
        if c == ' ' && (line.is_empty() || line.ends_with(' ')) {
            continue;
        }
        if count == longest {
            line.pop();
            line.push('…');
            return line;
        }
        line.push(c);
        count += 1;
    }
    line.truncate(line.trim_end().len());
    line
}

/// Skips what follows an escape character: a control sequence up to its final byte, a command up to its terminator
/// (ECMA-48, sections 5.4 and 5.6), or one character.
fn skip_sequence(rest: &mut std::iter::Peekable<std::str::Chars<'_>>) {
    match rest.peek() {
        Some('[') => {
            rest.next();
            while let Some(c) = rest.next_if(|c| ('\u{20}'..='\u{7e}').contains(c)) {
                if ('\u{40}'..='\u{7e}').contains(&c) {
                    return;
                }
            }
        }
        Some(']' | 'P' | '^' | '_' | 'X') => {
            for c in rest.by_ref() {
                if c == '\u{7}' || c == '\\' || c == '\u{9c}' || c == '\n' {
                    return;
                }
            }
        }
        Some(c) if !c.is_control() => drop(rest.next()),
        _ => {}
    }
}

/// Zero-width and direction-changing characters (Unicode Standard Annex 9, "explicit formatting"; tag characters).
fn is_invisible(c: char) -> bool {
    matches!(c,
        '\u{ad}' | '\u{61c}' | '\u{180e}' | '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2060}'..='\u{206f}'
        | '\u{feff}' | '\u{fff9}'..='\u{fffb}' | '\u{e0000}'..='\u{e007f}')
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn what_nobody_can_see_goes() {
        assert_eq!(clean("a\u{1b}[31;1mred\u{1b}[0m b", 99), "ared b");
        assert_eq!(clean("\u{1b}]8;;https://evil.example\u{7}link\u{1b}]8;;\u{7}", 99), "link");
        assert_eq!(clean("  a\r\n\t\u{0}b \u{202e}c\u{200b} ", 99), "a b c");
        assert_eq!(clean("𝔘𝔫𝔦𝔠𝔬𝔡𝔢", 3), "𝔘𝔫…");
        assert_eq!(clean("abc", 3), "abc");
    }

    proptest! {
        #[test]
        fn it_is_one_bounded_line(text in any::<String>(), longest in 1_usize..50) {
            let line = clean(&text, longest);
            prop_assert!(line.chars().count() <= longest);
            prop_assert!(!line.chars().any(|c| c.is_control() || is_invisible(c)));
            prop_assert_eq!(clean(&line, longest), line.clone());
        }
    }
}
