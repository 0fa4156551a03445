//! Purpose: the text of a comment: a marker, then sections, never longer than GitHub takes.

use super::blocks::{balanced, blocks, cut};
use super::marker::Marker;

/// The longest comment, in UTF-16 units: GitHub takes 65,536 characters, and counting units is safe however they are
/// counted. The rest is left for what GitHub's own clients may add.
pub const LONGEST_UNITS: usize = 65_000;
/// The longest comment, in bytes: GitHub stores four for each character.
pub const LONGEST_BYTES: usize = 262_144;

/// The body of a comment under construction.
#[derive(Debug, Clone)]
pub struct Body {
    marker: Marker,
    sections: Vec<String>,
}

/// The text of a comment as it is sent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Cut {
    /// The text; begins with the marker.
    pub text: String,
    /// Sections that are missing or shortened.
    pub left_out: usize,
}

impl Body {
    /// A body without sections.
    #[must_use]
    pub fn new(marker: Marker) -> Self {
        Self { marker, sections: Vec::new() }
    }

    /// Adds a section of Markdown, the most important first. What it leaves open (a fence, a folded part, an HTML
    /// comment) is closed behind it.
    #[must_use]
    pub fn section(mut self, markdown: &str) -> Self {
        self.sections.push(balanced(markdown.trim_matches('\n')));
        self
    }

    /// The text. When it would be too long it ends after the last section, block or line that fits, and `note`, one
    /// paragraph of Markdown, says where the rest is.
    #[must_use]
    pub fn cut(&self, note: &str) -> Cut {
        let whole = self.whole();
        if whole.is_short() {
            return Cut { text: whole.text, left_out: 0 };
        }
        // What the note takes is kept free from the start.
        let reserve = note.len() + 2;
        let mut text = Text::new(&self.marker);
        for (position, section) in self.sections.iter().enumerate() {
            if text.fits(section, reserve) {
                text.push(section);
                continue;
            }
            text.push_part(section, reserve);
            text.push(note);
            return Cut { text: text.text, left_out: self.sections.len() - position };
        }
        Cut { text: text.text, left_out: 0 }
    }

    fn whole(&self) -> Text {
        let mut text = Text::new(&self.marker);
        self.sections.iter().for_each(|section| text.push(section));
        text
    }
}

/// A text and its length in UTF-16 units.
struct Text {
    text: String,
    units: usize,
}

impl Text {
    fn new(marker: &Marker) -> Self {
        let text = format!("{marker}\n");
        Self { units: units(&text), text }
    }

    fn is_short(&self) -> bool {
        self.text.len() <= LONGEST_BYTES && self.units <= LONGEST_UNITS
    }

    /// Whether it stays short with this section and `reserve` more bytes.
    fn fits(&self, section: &str, reserve: usize) -> bool {
        let section = section.trim_end_matches('\n');
        let more = 2 + reserve;
        self.text.len() + section.len() + more <= LONGEST_BYTES && self.units + units(section) + more <= LONGEST_UNITS
    }

    fn push(&mut self, section: &str) {
        let section = section.trim_end_matches('\n');
        self.text.push_str(section);
        self.text.push_str("\n\n");
        self.units += units(section) + 2;
    }

    /// The blocks of a section that fit, then the lines of the next one that fit.
    fn push_part(&mut self, section: &str, reserve: usize) {
        for block in blocks(section) {
            if self.fits(block, reserve) {
                self.push(block);
                continue;
            }
            if let Some(part) = cut(block, |part| self.fits(part, reserve)) {
                self.push(&part);
            }
            return;
        }
    }
}

fn units(text: &str) -> usize {
    text.encode_utf16().count()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn body(sections: &[String]) -> Body {
        let marker = Marker::of_key("report".parse().unwrap(), "a b");
        sections.iter().fold(Body::new(marker), |body, section| body.section(section))
    }

    #[test]
    fn a_short_comment_is_all_there() {
        let cut = body(&["## One".to_owned(), "two\n".to_owned()]).cut("gone");
        assert_eq!(cut.text, "<!-- report:a%20b -->\n## One\n\ntwo\n\n");
        assert_eq!(cut.left_out, 0);
    }

    #[test]
    fn a_long_log_is_cut_inside_and_closed() {
        let log = format!("```text\n{}```", "a line of a log\n".repeat(10_000));
        let cut = body(&["## One".to_owned(), log, "three".to_owned()]).cut("The rest is elsewhere.");
        assert!(cut.text.ends_with("a line of a log\n```\n\nThe rest is elsewhere.\n\n"));
        assert_eq!(cut.left_out, 2);
        assert!(cut.text.len() > LONGEST_UNITS - 100, "{}", cut.text.len());
    }

    #[test]
    fn a_line_without_end_is_left_out() {
        let cut = body(&["## One".to_owned(), "x".repeat(1_000_000)]).cut("Elsewhere.");
        assert_eq!(cut.text, "<!-- report:a%20b -->\n## One\n\nElsewhere.\n\n");
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(32))]
        #[test]
        fn it_is_never_too_long_and_never_open(
            sections in prop::collection::vec(("[a-z]{0,9}|```x|<details>|~~~", 0_usize..30_000, "(\n)?(\n)?"), 0..6),
        ) {
            let sections: Vec<String> =
                sections.into_iter().map(|(line, count, end)| format!("{line}{end}").repeat(count)).collect();
            let cut = body(&sections).cut("> The rest is elsewhere.");
            prop_assert!(cut.text.len() <= LONGEST_BYTES && cut.text.encode_utf16().count() <= LONGEST_UNITS);
            prop_assert_eq!(balanced(&cut.text), cut.text.clone());
        }
    }
}
