//! Purpose: the words of a go.mod with their places in the text.

/// One word; a quoted one stands for what is inside the quotes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Token<'s> {
    /// What it says.
    pub value: &'s str,
    /// First byte in the text, quotes included.
    pub start: usize,
    /// Byte behind the last one.
    pub end: usize,
}

/// One line that says something.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Line<'s> {
    /// Number in the file, starting at 1.
    pub number: usize,
    /// The directive: the line's own first word, or that of the block around it.
    pub verb: &'s str,
    /// The words behind the directive.
    pub tokens: Vec<Token<'s>>,
}

/// The lines of a file; comments and blank lines are left out.
pub(super) fn lines(text: &str) -> Vec<Line<'_>> {
    let (mut found, mut block, mut start) = (Vec::new(), None, 0);
    for (index, line) in text.split_inclusive('\n').enumerate() {
        let mut tokens = words(line, start).into_iter();
        let number = index + 1;
        start += line.len();
        let first = tokens.next();
        match (block, first.as_ref().map(|token| token.value)) {
            (_, None) => {}
            (Some(_), Some(")")) => block = None,
            (Some(verb), Some(_)) => {
                found.push(Line { number, verb, tokens: first.into_iter().chain(tokens).collect() });
            }
            (None, Some(verb)) => {
                let tokens: Vec<Token<'_>> = tokens.collect();
                if matches!(tokens.as_slice(), [open] if open.value == "(") {
                    block = Some(verb);
                } else {
                    found.push(Line { number, verb, tokens });
                }
            }
        }
    }
    found
}

/// The words of one line, which begins at byte `offset` of the text.
fn words(line: &str, offset: usize) -> Vec<Token<'_>> {
    let mut tokens = Vec::new();
    let mut at = 0;
    while let Some(c) = line[at..].chars().next() {
        let rest = &line[at..];
        if c.is_whitespace() {
            at += c.len_utf8();
            continue;
        }
        if rest.starts_with("//") {
            break;
        }
        let (value, length) = word(rest, c);
        tokens.push(Token { value, start: offset + at, end: offset + at + length });
        at += length;
    }
    tokens
}

/// The word at the start of a text and how many bytes it takes.
fn word(text: &str, first: char) -> (&str, usize) {
    if matches!(first, '(' | ')' | ',') {
        return (&text[..1], 1);
    }
    if matches!(first, '"' | '`')
        && let Some(length) = text[1..].find(first)
    {
        return (&text[1..=length], length + 2);
    }
    let ends = |(at, c): (usize, char)| {
        let end = c.is_whitespace() || matches!(c, '(' | ')' | ',') || text[at..].starts_with("//");
        (at > 0 && end).then_some(at)
    };
    let length = text.char_indices().find_map(ends).unwrap_or(text.len());
    (&text[..length], length)
}
