//! Purpose: character classes as Go's regular expressions know them.

/// A set of code points; an undecodable byte counts as U+FFFD, as in Go.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(super) struct Class {
    negated: bool,
    ranges: Vec<(u32, u32)>,
}

impl Class {
    pub(super) fn contains(&self, point: u32) -> bool {
        self.ranges.iter().any(|(low, high)| (*low..=*high).contains(&point)) != self.negated
    }

    /// Every code point.
    pub(super) fn any() -> Self {
        Self { negated: true, ranges: Vec::new() }
    }

    /// Reads a class from behind its `[` and returns what follows its `]`.
    pub(super) fn parse(text: &[char]) -> Option<(Self, &[char])> {
        let mut class = Self::default();
        let mut rest = text;
        if let ['^', tail @ ..] = rest {
            class.negated = true;
            rest = tail;
        }
        let mut first = true;
        while first || rest.first() != Some(&']') {
            first = false;
            if let Some((ranges, tail)) = named(rest)? {
                class.ranges.extend(ranges);
                rest = tail;
                continue;
            }
            if let ['\\', letter, tail @ ..] = rest
                && let Some(ranges) = perl(*letter)
            {
                class.ranges.extend(ranges);
                rest = tail;
                continue;
            }
            let (low, tail) = one(rest)?;
            rest = tail;
            let mut high = low;
            if let ['-', tail @ ..] = rest
                && tail.first().is_some_and(|next| *next != ']')
            {
                (high, rest) = one(tail)?;
            }
            if high < low {
                return None;
            }
            class.ranges.push((low, high));
        }
        Some((class, &rest[1..]))
    }
}

/// One member of a class, escaped or not.
fn one(text: &[char]) -> Option<(u32, &[char])> {
    match text {
        ['\\', escaped, rest @ ..] => Some((escape(*escaped)?, rest)),
        ['\\'] | [] => None,
        [plain, rest @ ..] => Some((u32::from(*plain), rest)),
    }
}

/// What `\x` stands for when it stands for one character. `None`: nothing that Go accepts, or nothing that we do.
pub(super) fn escape(letter: char) -> Option<u32> {
    match letter {
        'a' => Some(7),
        'f' => Some(12),
        'n' => Some(10),
        'r' => Some(13),
        't' => Some(9),
        'v' => Some(11),
        other => (other.is_ascii() && !other.is_ascii_alphanumeric()).then(|| u32::from(other)),
    }
}

/// The ranges of `\d`, `\s`, `\w` and their opposites.
pub(super) fn perl(letter: char) -> Option<Vec<(u32, u32)>> {
    let ranges = match letter.to_ascii_lowercase() {
        'd' => points(&[('0', '9')]),
        's' => points(&[('\t', '\n'), ('\x0C', '\r'), (' ', ' ')]),
        'w' => points(&[('0', '9'), ('A', 'Z'), ('_', '_'), ('a', 'z')]),
        _ => return None,
    };
    Some(if letter.is_ascii_uppercase() { complement(&ranges) } else { ranges })
}

pub(super) fn class_of(ranges: Vec<(u32, u32)>) -> Class {
    Class { negated: false, ranges }
}

/// Ranges and what follows them.
type Named<'a> = (Vec<(u32, u32)>, &'a [char]);

/// A POSIX class such as `[:alpha:]`, standing inside a class. `None`: a class of that form that does not exist.
fn named(text: &[char]) -> Option<Option<Named<'_>>> {
    let ['[', ':', inner @ ..] = text else {
        return Some(None);
    };
    let Some(end) = inner.windows(2).position(|pair| pair == [':', ']']) else {
        return Some(None);
    };
    let name: String = inner[..end].iter().collect();
    let (negated, name) = name.strip_prefix('^').map_or((false, name.as_str()), |name| (true, name));
    let ranges = match name {
        "alnum" => points(&[('0', '9'), ('A', 'Z'), ('a', 'z')]),
        "alpha" => points(&[('A', 'Z'), ('a', 'z')]),
        "ascii" => points(&[('\0', '\x7F')]),
        "blank" => points(&[('\t', '\t'), (' ', ' ')]),
        "cntrl" => points(&[('\0', '\x1F'), ('\x7F', '\x7F')]),
        "digit" => points(&[('0', '9')]),
        "graph" => points(&[('!', '~')]),
        "lower" => points(&[('a', 'z')]),
        "print" => points(&[(' ', '~')]),
        "punct" => points(&[('!', '/'), (':', '@'), ('[', '`'), ('{', '~')]),
        "space" => points(&[('\t', '\r'), (' ', ' ')]),
        "upper" => points(&[('A', 'Z')]),
        "word" => points(&[('0', '9'), ('A', 'Z'), ('_', '_'), ('a', 'z')]),
        "xdigit" => points(&[('0', '9'), ('A', 'F'), ('a', 'f')]),
        _ => return None,
    };
    Some(Some((if negated { complement(&ranges) } else { ranges }, &inner[end + 2..])))
}

fn points(ranges: &[(char, char)]) -> Vec<(u32, u32)> {
    ranges.iter().map(|(low, high)| (u32::from(*low), u32::from(*high))).collect()
}

/// All other code points; the ranges must be in order.
fn complement(ranges: &[(u32, u32)]) -> Vec<(u32, u32)> {
    let mut from = 0;
    let mut others = Vec::new();
    for (low, high) in ranges {
        if *low > from {
            others.push((from, low - 1));
        }
        from = high + 1;
    }
    others.push((from, 0x0010_FFFF));
    others
}
