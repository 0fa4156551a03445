//! Purpose: Markdown for summaries and comments, in which no value can become markup.

use std::fmt::Write as _;

/// A piece of Markdown under construction. Every method that takes a value escapes it; [`Markdown::raw`] does not.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Markdown(String);

impl Markdown {
    /// Nothing yet.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// A heading of the given level, 1 to 6.
    #[must_use]
    pub fn heading(mut self, level: usize, text: &str) -> Self {
        let _ = writeln!(self.0, "{} {}\n", "#".repeat(level.clamp(1, 6)), escaped(text));
        self
    }

    /// A paragraph of escaped text.
    #[must_use]
    pub fn paragraph(mut self, text: &str) -> Self {
        let _ = writeln!(self.0, "{}\n", escaped(text));
        self
    }

    /// Markdown as it is: for text of our own, built with [`code`] and [`escaped`].
    #[must_use]
    pub fn raw(mut self, markdown: &str) -> Self {
        let _ = writeln!(self.0, "{markdown}\n");
        self
    }

    /// A bullet list; entries are Markdown of our own.
    #[must_use]
    pub fn bullets<S: AsRef<str>>(mut self, entries: impl IntoIterator<Item = S>) -> Self {
        for entry in entries {
            let _ = writeln!(self.0, "- {}", entry.as_ref().replace('\n', " "));
        }
        self.0.push('\n');
        self
    }

    /// A table; cells are Markdown of our own (use [`code`] or [`escaped`] for values), line breaks become `<br>`.
    #[must_use]
    pub fn table(mut self, head: &[&str], rows: impl IntoIterator<Item = Vec<String>>) -> Self {
        let _ = writeln!(self.0, "| {} |", head.join(" | "));
        let _ = writeln!(self.0, "|{}", " --- |".repeat(head.len()));
        for row in rows {
            let cells: Vec<String> = row.iter().map(|cell| in_cell(cell)).collect();
            let _ = writeln!(self.0, "| {} |", cells.join(" | "));
        }
        self.0.push('\n');
        self
    }

    /// What is known, one name and value per line; both are Markdown of our own. A table would need a head, and has none.
    #[must_use]
    pub fn facts(self, rows: impl IntoIterator<Item = Vec<String>>) -> Self {
        self.bullets(rows.into_iter().map(|row| match row.as_slice() {
            [name, values @ ..] => format!("**{name}:** {}", values.join(" ").replace('\n', "<br>")),
            [] => String::new(),
        }))
    }

    /// A code block whose fence is longer than any run of backticks inside.
    #[must_use]
    pub fn code_block(mut self, language: &str, text: &str) -> Self {
        let fence = "`".repeat(longest_run(text, '`').max(2) + 1);
        let _ = writeln!(self.0, "{fence}{language}\n{}\n{fence}\n", text.trim_end_matches('\n'));
        self
    }

    /// A Mermaid diagram.
    #[must_use]
    pub fn mermaid(self, diagram: &str) -> Self {
        self.code_block("mermaid", diagram)
    }

    /// A part that opens on a click.
    #[must_use]
    pub fn details(mut self, title: &str, inside: &Self) -> Self {
        let _ = writeln!(
            self.0,
            "<details><summary>{}</summary>\n\n{}\n\n</details>\n",
            in_html(title),
            inside.0.trim_end()
        );
        self
    }

    /// The text.
    #[must_use]
    pub fn into_string(self) -> String {
        self.0
    }
}

/// A value as a code span; safe in tables, whatever it holds.
#[must_use]
pub fn code(value: &str) -> String {
    let value = value.replace(['\n', '\r'], " ");
    if value.trim().is_empty() {
        return String::new();
    }
    let fence = "`".repeat(longest_run(&value, '`') + 1);
    let pad = if value.starts_with('`') || value.ends_with('`') { " " } else { "" };
    format!("{fence}{pad}{value}{pad}{fence}")
}

/// A value as plain text: no markup, no HTML, no mention, no reference.
#[must_use]
pub fn escaped(value: &str) -> String {
    let mut text = String::with_capacity(value.len());
    for c in value.chars() {
        match c {
            '<' => text.push_str("&lt;"),
            '>' => text.push_str("&gt;"),
            '&' => text.push_str("&amp;"),
            '@' => text.push_str("&#64;"),
            '#' => text.push_str("&#35;"),
            '\\' | '`' | '*' | '_' | '[' | ']' | '|' | '~' | '!' => {
                text.push('\\');
                text.push(c);
            }
            '\n' | '\r' => text.push(' '),
            c if c.is_control() => {}
            c => text.push(c),
        }
    }
    text
}

/// A value inside of an HTML block, where Markdown's own escapes would show.
#[must_use]
pub fn in_html(value: &str) -> String {
    let mut text = String::with_capacity(value.len());
    for c in value.chars() {
        match c {
            '<' => text.push_str("&lt;"),
            '>' => text.push_str("&gt;"),
            '&' => text.push_str("&amp;"),
            '@' => text.push_str("&#64;"),
            '#' => text.push_str("&#35;"),
            '\n' | '\r' => text.push(' '),
            c if c.is_control() => {}
            c => text.push(c),
        }
    }
    text
}

/// A link; the address must be a web address, anything else becomes plain text.
#[must_use]
pub fn link(text: &str, address: &str) -> String {
    let web = address.starts_with("https://") || address.starts_with("http://");
    if !web || address.contains(|c: char| c.is_whitespace() || c.is_control() || "()<>\"|".contains(c)) {
        return escaped(text);
    }
    format!("[{}]({address})", escaped(text))
}

/// In a cell a bar would end it, even inside a code span.
fn in_cell(cell: &str) -> String {
    let mut text = String::with_capacity(cell.len());
    let mut before = '\0';
    for c in cell.trim().chars() {
        match c {
            '|' if before != '\\' => text.push_str("\\|"),
            '\n' => text.push_str("<br>"),
            c => text.push(c),
        }
        before = c;
    }
    text
}

fn longest_run(text: &str, wanted: char) -> usize {
    text.split(|c| c != wanted).map(str::len).max().unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_stay_values() {
        assert_eq!(escaped("a|b <i>@x #1 [y](z)\nc"), "a\\|b &lt;i&gt;&#64;x &#35;1 \\[y\\](z) c");
        assert_eq!(code("a`b"), "``a`b``");
        assert_eq!(code("`"), "`` ` ``");
        assert_eq!(link("x", "javascript:alert(1)"), "x");
        assert_eq!(link("x", "https://e.org/a)b"), "x");
    }

    #[test]
    fn a_fence_is_longer_than_what_is_inside() {
        let text = Markdown::new().code_block("", "```\ninside\n````").into_string();
        assert!(text.starts_with("`````\n"));
    }

    #[test]
    fn a_bar_does_not_end_a_cell() {
        let text = Markdown::new().table(&["A"], [vec![code("x|y")]]).into_string();
        assert_eq!(text, "| A |\n| --- |\n| `x\\|y` |\n\n");
    }
}
