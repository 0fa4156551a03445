//! Purpose: where Markdown may be cut: between blocks, never inside a code fence or a folded part.

/// What is open at a place in a Markdown text.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
struct Open {
    /// Character and length of the fence.
    fence: Option<(char, usize)>,
    /// Depth of `<details>`.
    details: usize,
    /// Inside of an HTML comment.
    comment: bool,
}

impl Open {
    fn is_nothing(&self) -> bool {
        *self == Self::default()
    }

    /// Reads one line (CommonMark 0.31, "fenced code blocks"; details as GitHub writes them, tags in lower case or not).
    fn read(&mut self, line: &str) {
        if let Some((mark, length)) = self.fence {
            let run = run_of(line.trim_start(), mark);
            if run >= length && indent(line) <= 3 && line.trim_start()[run..].trim().is_empty() {
                self.fence = None;
            }
            return;
        }
        if !self.comment
            && indent(line) <= 3
            && let Some(fence) = fence_of(line.trim())
        {
            self.fence = Some(fence);
            return;
        }
        self.read_tags(&line.to_ascii_lowercase());
    }

    fn read_tags(&mut self, line: &str) {
        let mut rest = line;
        loop {
            if self.comment {
                let Some((_, after)) = rest.split_once("-->") else {
                    return;
                };
                self.comment = false;
                rest = after;
            }
            let Some(at) = rest.find('<') else {
                return;
            };
            rest = &rest[at..];
            if rest.starts_with("<!--") {
                self.comment = true;
                rest = &rest[4..];
                continue;
            }
            if rest.starts_with("</details") {
                self.details = self.details.saturating_sub(1);
            } else if rest.starts_with("<details") {
                self.details += 1;
            }
            rest = &rest[1..];
        }
    }

    /// What closes everything that is open.
    fn closers(&self) -> String {
        let mut text = String::new();
        if let Some((mark, length)) = self.fence {
            text.extend(std::iter::repeat_n(mark, length));
            text.push('\n');
        }
        if self.comment {
            text.push_str("-->\n");
        }
        for _ in 0..self.details {
            text.push_str("\n</details>\n");
        }
        text
    }
}

fn indent(line: &str) -> usize {
    line.len() - line.trim_start_matches(' ').len()
}

fn run_of(text: &str, mark: char) -> usize {
    text.chars().take_while(|c| *c == mark).count()
}

/// The fence that a line opens.
fn fence_of(line: &str) -> Option<(char, usize)> {
    let mark = line.chars().next().filter(|c| matches!(c, '`' | '~'))?;
    let length = run_of(line, mark);
    let info = &line[length..];
    (length >= 3 && !(mark == '`' && info.contains('`'))).then_some((mark, length))
}

/// The blocks of a text, each with the blank lines behind it; together they are the text.
pub(super) fn blocks(text: &str) -> Vec<&str> {
    let mut blocks = Vec::new();
    let mut open = Open::default();
    let (mut start, mut at, mut blank) = (0, 0, false);
    for line in text.split_inclusive('\n') {
        let is_blank = line.trim().is_empty();
        if blank && !is_blank && at > start {
            blocks.push(&text[start..at]);
            start = at;
        }
        open.read(line.trim_end_matches(['\n', '\r']));
        at += line.len();
        blank = is_blank && open.is_nothing();
    }
    if at > start {
        blocks.push(&text[start..at]);
    }
    blocks
}

/// The text with everything closed that it leaves open, so that nothing behind it is swallowed.
pub(super) fn balanced(text: &str) -> String {
    let mut open = Open::default();
    text.lines().for_each(|line| open.read(line));
    let closers = open.closers();
    if closers.is_empty() {
        return text.to_owned();
    }
    format!("{}\n{closers}", text.trim_end_matches('\n'))
}

/// As many whole lines of a block as `fits` allows, with everything closed; `None` when not even one does.
pub(super) fn cut(block: &str, fits: impl Fn(&str) -> bool) -> Option<String> {
    let ends: Vec<usize> = block.match_indices('\n').map(|(at, _)| at + 1).collect();
    // The more lines, the longer: the last cut that fits is found by halving.
    let longest = ends.partition_point(|end| fits(&balanced(&block[..*end])));
    let end = *ends.get(longest.checked_sub(1)?)?;
    Some(balanced(&block[..end]))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_block_ends_at_a_blank_line_outside_of_everything() {
        let text = "# a\n\n```\nx\n\ny\n```\n\n<details><summary>s</summary>\n\nin\n\n</details>\n\nend";
        let found = blocks(text);
        assert_eq!(
            found,
            ["# a\n\n", "```\nx\n\ny\n```\n\n", "<details><summary>s</summary>\n\nin\n\n</details>\n\n", "end"]
        );
    }

    #[test]
    fn a_fence_ends_only_with_one_as_long() {
        for (text, count) in [
            ("````\n```\n\nx\n````\n\ny", 2),
            ("~~~\n```\n\n~~~\n\ny", 2),
            ("``` a`b\n\ny", 2),
            ("    ```\n\ny", 2),
            ("```\n    ```\n\ny", 1),
            ("<!-- a\n\nb -->\n\nc", 2),
        ] {
            assert_eq!(blocks(text).len(), count, "{text}");
        }
    }

    #[test]
    fn what_is_cut_is_closed() {
        let block = "<details>\n\n````rust\none\ntwo\nthree\n````\n</details>\n";
        let text = cut(block, |text| text.len() < 60).unwrap();
        assert_eq!(text, block);
        let text = cut(block, |text| text.len() < 50).unwrap();
        assert_eq!(text, "<details>\n\n````rust\none\ntwo\n````\n\n</details>\n");
        assert_eq!(cut("one line only", |_| true), None);
        assert_eq!(cut("one\n", |_| false), None);
    }

    fn markdown() -> impl Strategy<Value = String> {
        let line = prop_oneof![
            Just("```".to_owned()),
            Just("````x".to_owned()),
            Just("~~~".to_owned()),
            Just("<details><summary>a</summary>".to_owned()),
            Just("</details>".to_owned()),
            Just("<!--".to_owned()),
            Just("-->".to_owned()),
            Just(String::new()),
            "[a-z `<>~-]{0,12}",
        ];
        prop::collection::vec(line, 0..30).prop_map(|lines| lines.join("\n"))
    }

    proptest! {
        #[test]
        fn blocks_are_the_text_and_each_stands_alone(text in markdown()) {
            let found = blocks(&text);
            prop_assert_eq!(found.concat(), text.as_str());
            for block in found.iter().rev().skip(1) {
                prop_assert_eq!(balanced(block), *block);
            }
        }

        #[test]
        fn a_balanced_text_leaves_nothing_open(text in markdown()) {
            let mut open = Open::default();
            balanced(&text).lines().for_each(|line| open.read(line));
            prop_assert!(open.is_nothing());
        }
    }
}
