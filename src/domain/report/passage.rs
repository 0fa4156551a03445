//! Purpose: somebody's own Markdown inside of ours: it cannot forge our marker, mention people, or stay open.

use super::clean;

/// Longest passage, in bytes.
pub const LONGEST: usize = 48 * 1024;

/// A passage that may be placed anywhere.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Passage {
    /// The Markdown.
    pub text: String,
    /// Whether its end is missing.
    pub cut: bool,
}

/// Makes Markdown safe to place: HTML comments become visible (a marker is one), mentions outside of code become plain
/// text, control characters go, a fence or `<details>` that is left open is closed, the end is cut at a line.
#[must_use]
pub fn passage(markdown: &str) -> Passage {
    let text = clean(markdown);
    let cut = text.len() > LONGEST;
    let text = if cut {
        let end = text.floor_char_boundary(LONGEST);
        text[..end].rsplit_once('\n').map_or(&text[..end], |(whole, _)| whole)
    } else {
        text.trim_end()
    };
    let mut out = String::with_capacity(text.len() + 16);
    let mut fence: Option<(char, usize)> = None;
    let mut details = 0_usize;
    for line in text.lines() {
        let mark = fence_mark(line);
        match (fence, mark) {
            (None, Some(mark)) => fence = Some(mark),
            (Some(open), Some(mark)) if mark.0 == open.0 && mark.1 >= open.1 && is_bare(line, mark.0) => fence = None,
            _ => {}
        }
        if fence.is_none() && mark.is_none() {
            let lower = line.to_ascii_lowercase();
            details += lower.matches("<details").count();
            details = details.saturating_sub(lower.matches("</details").count());
            out.push_str(&harmless(line));
        } else {
            // In a fence only the marker matters: whoever reads comments by machine does not see fences.
            out.push_str(&line.replace("<!--", "<!\u{200b}--"));
        }
        out.push('\n');
    }
    if let Some((mark, length)) = fence {
        out.push_str(&mark.to_string().repeat(length));
        out.push('\n');
    }
    out.push_str(&"\n</details>\n".repeat(details));
    Passage { text: out, cut }
}

/// The character and length of a fence that this line could open or close (CommonMark §4.5).
fn fence_mark(line: &str) -> Option<(char, usize)> {
    // Quotes and list items may hold fences, too.
    let line = line.trim_start_matches([' ', '>', '-', '*', '+', '\t']);
    let mark = line.chars().next().filter(|c| matches!(c, '`' | '~'))?;
    let length = line.chars().take_while(|c| *c == mark).count();
    let rest = &line[length..];
    (length >= 3 && !(mark == '`' && rest.contains('`'))).then_some((mark, length))
}

fn is_bare(line: &str, mark: char) -> bool {
    line.trim_start_matches([' ', '>', '-', '*', '+', '\t']).trim_start_matches(mark).trim().is_empty()
}

/// A line without comments and mentions; what stands in code spans keeps its `@`.
fn harmless(line: &str) -> String {
    let line = line.replace("<!--", "&lt;!--");
    let mut out = String::with_capacity(line.len());
    for (number, part) in line.split('`').enumerate() {
        if number > 0 {
            out.push('`');
        }
        // Odd parts lie between backticks. A stray one turns this around, which only shows an entity as it is written.
        if number % 2 == 0 { out.push_str(&part.replace('@', "&#64;")) } else { out.push_str(part) }
    }
    out
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn text(markdown: &str) -> String {
        passage(markdown).text
    }

    #[test]
    fn what_is_open_is_closed() {
        assert_eq!(text("```js\nx"), "```js\nx\n```\n");
        assert_eq!(text("~~~~\n```\n~~~"), "~~~~\n```\n~~~\n~~~~\n");
        assert_eq!(text("<details>\nx"), "<details>\nx\n\n</details>\n");
        assert_eq!(text("> ```\n> a"), "> ```\n> a\n```\n");
        assert_eq!(text("``` a `x`\nb"), "``` a `x`\nb\n");
    }

    #[test]
    fn markers_and_mentions_are_text() {
        assert_eq!(text("<!-- landfall:x -->\n@team `@scope/pkg`"), "&lt;!-- landfall:x -->\n&#64;team `@scope/pkg`\n");
        assert!(!text("```\n<!-- landfall:x -->\n```").contains("<!--"));
    }

    #[test]
    fn the_end_is_cut_at_a_line() {
        let long = passage(&format!("```\n{}", "line\n".repeat(20_000)));
        assert!(long.cut && long.text.len() <= LONGEST + 10 && long.text.ends_with("line\n```\n"));
    }

    proptest! {
        #[test]
        fn nothing_forges_a_comment(markdown in "(<!--|-->|`|~|@|\n|a| |<details>|</details>|\u{1b}\\[1m|```|~~~|<|!|-){0,80}") {
            let out = text(&markdown);
            prop_assert!(!out.contains("<!--"), "{:?} → {:?}", markdown, out);
        }
    }
}
