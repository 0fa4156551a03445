//! Purpose: one pattern, compiled as Docker compiles it and matched in time linear in the path.
//!
//! Docker writes a Go regular expression for every pattern that is not a plain path, a `dir/**` or a `**/name`. The same
//! expression is written here, then read into a small program whose states are simulated side by side, so that no
//! pattern can make matching explode.

use super::class::{self, Class};
use super::name;

/// How a pattern is matched; the cheap ways are Docker's own.
#[derive(Debug, Clone)]
enum Way {
    /// The path itself.
    Exact,
    /// The path begins with the pattern without its trailing `**`.
    Prefix,
    /// The path ends with the pattern without its leading `**`.
    Suffix,
    /// A program.
    Program(Program),
}

/// One pattern without its `!`.
#[derive(Debug, Clone)]
pub(super) struct Glob {
    text: Vec<u8>,
    way: Way,
}

impl Glob {
    /// Compiles a cleaned pattern; `None` when it is malformed.
    pub(super) fn new(text: Vec<u8>) -> Option<Self> {
        name::matches(&text, b".").ok()?;
        let chars = decode(&text);
        let (kind, expression) = expression(&chars);
        let way = match kind {
            Kind::Exact => Way::Exact,
            Kind::Prefix => Way::Prefix,
            Kind::Suffix => Way::Suffix,
            Kind::Expression => Way::Program(Program::compile(&expression)?),
        };
        Some(Self { text, way })
    }

    pub(super) fn text(&self) -> &[u8] {
        &self.text
    }

    pub(super) fn matches(&self, path: &[u8]) -> bool {
        match &self.way {
            Way::Exact => path == self.text,
            Way::Prefix => path.starts_with(&self.text[..self.text.len() - 2]),
            Way::Suffix => {
                let suffix = &self.text[2..];
                path.ends_with(suffix) || suffix.strip_prefix(b"/").is_some_and(|name| name == path)
            }
            Way::Program(program) => program.matches(path),
        }
    }
}

/// Characters of a text; each undecodable byte becomes U+FFFD.
fn decode(text: &[u8]) -> Vec<char> {
    let mut chars = Vec::with_capacity(text.len());
    let mut rest = text;
    while !rest.is_empty() {
        let (point, width) = next_point(rest);
        chars.push(char::from_u32(point).unwrap_or(char::REPLACEMENT_CHARACTER));
        rest = &rest[width..];
    }
    chars
}

/// The first code point of a non-empty text and its width in bytes; U+FFFD and 1 when the bytes are none (as in Go).
pub(super) fn next_point(text: &[u8]) -> (u32, usize) {
    let first = text[0];
    if first.is_ascii() {
        return (u32::from(first), 1);
    }
    let width = match first {
        0xC2..=0xDF => 2,
        0xE0..=0xEF => 3,
        0xF0..=0xF4 => 4,
        _ => 1,
    };
    let point =
        text.get(..width).and_then(|bytes| std::str::from_utf8(bytes).ok()).and_then(|text| text.chars().next());
    point.map_or((0xFFFD, 1), |point| (u32::from(point), width))
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Exact,
    Prefix,
    Suffix,
    Expression,
}

/// Docker's translation (`Pattern.compile`), step by step; the expression is anchored at both ends.
fn expression(pattern: &[char]) -> (Kind, Vec<char>) {
    let mut kind = Kind::Exact;
    let mut out: Vec<char> = Vec::new();
    let mut rest = pattern;
    let mut first = true;
    while let [c, tail @ ..] = rest {
        rest = tail;
        match c {
            '*' if rest.first() == Some(&'*') => {
                rest = &rest[1..];
                rest = rest.strip_prefix(&['/']).unwrap_or(rest);
                if !rest.is_empty() {
                    out.extend(ANY_FOLDERS);
                    kind = Kind::Expression;
                } else if kind == Kind::Exact {
                    kind = Kind::Prefix;
                } else {
                    out.extend(['.', '*']);
                    kind = Kind::Expression;
                }
                if first {
                    kind = Kind::Suffix;
                }
            }
            '*' => {
                out.extend(['[', '^', '/', ']', '*']);
                kind = Kind::Expression;
            }
            '?' => {
                out.extend(['[', '^', '/', ']']);
                kind = Kind::Expression;
            }
            '.' | '+' | '(' | ')' | '|' | '{' | '}' | '$' => out.extend(['\\', *c]),
            '\\' => {
                out.push('\\');
                if let [escaped, tail @ ..] = rest {
                    out.push(*escaped);
                    rest = tail;
                    kind = Kind::Expression;
                }
            }
            '[' | ']' => {
                out.push(*c);
                kind = Kind::Expression;
            }
            _ => out.push(*c),
        }
        first = false;
    }
    (kind, out)
}

/// `(.*/)?`: any number of folders, or none.
const ANY_FOLDERS: [char; 6] = ['(', '.', '*', '/', ')', '?'];

/// One state of a program.
#[derive(Debug, Clone)]
enum State {
    /// Takes that character and goes on.
    Char(u32),
    /// Takes a character of the class and goes on.
    One(Class),
    /// Takes characters of the class as long as it likes.
    Many(Class),
    /// Takes anything but a line end as long as it likes.
    Rest,
    /// Takes folders as long as it likes; may take none. The next state is its `InFolder`.
    Folders,
    /// Within a folder's name: goes on behind a `/` only.
    InFolder,
    /// Passes at the start of the path only (a `^` in a pattern).
    Start,
}

/// A sequence of states with the literal text at its ends, by which most paths are refused quickly.
#[derive(Debug, Clone)]
struct Program {
    states: Vec<State>,
    prefix: Vec<u8>,
    suffix: Vec<u8>,
}

impl Program {
    /// Reads an expression as [`expression`] writes it.
    fn compile(expression: &[char]) -> Option<Self> {
        let mut states = Vec::new();
        let mut rest = expression;
        while let [c, tail @ ..] = rest {
            rest = tail;
            match c {
                '(' => {
                    rest = &rest[ANY_FOLDERS.len() - 1..];
                    states.extend([State::Folders, State::InFolder]);
                }
                '.' => {
                    rest = &rest[1..];
                    states.push(State::Rest);
                }
                '^' => states.push(State::Start),
                '[' => {
                    let (class, tail) = Class::parse(rest)?;
                    rest = tail;
                    if let ['*', tail @ ..] = rest {
                        rest = tail;
                        states.push(State::Many(class));
                    } else {
                        states.push(State::One(class));
                    }
                }
                // A backslash at the very end swallows the anchor that Docker appends: a `$`, then anything.
                '\\' if rest.is_empty() => {
                    states.extend([State::Char(u32::from('$')), State::Many(Class::any())]);
                }
                '\\' => {
                    let (letter, tail) = rest.split_first()?;
                    rest = tail;
                    states.push(match class::perl(*letter) {
                        Some(ranges) => State::One(class::class_of(ranges)),
                        None => State::Char(class::escape(*letter)?),
                    });
                }
                plain => states.push(State::Char(u32::from(*plain))),
            }
        }
        let prefix = literal(states.iter());
        let mut suffix = literal(states.iter().rev());
        suffix.reverse();
        Some(Self { states, prefix, suffix })
    }

    fn matches(&self, path: &[u8]) -> bool {
        if !path.starts_with(&self.prefix) || !path.ends_with(&self.suffix) {
            return false;
        }
        let words = self.states.len() / 64 + 1;
        let mut now = vec![0_u64; words];
        let mut next = vec![0_u64; words];
        self.enter(&mut now, 0, true);
        let mut rest = path;
        while !rest.is_empty() {
            let (point, width) = next_point(rest);
            rest = &rest[width..];
            self.step(&now, point, &mut next);
            if next.iter().all(|word| *word == 0) {
                return false;
            }
            std::mem::swap(&mut now, &mut next);
            next.fill(0);
        }
        now[self.states.len() / 64] & (1 << (self.states.len() % 64)) != 0
    }

    /// All states after one more character.
    fn step(&self, now: &[u64], point: u32, next: &mut [u64]) {
        for (index, word) in now.iter().enumerate() {
            let mut word = *word;
            while word != 0 {
                let at = index * 64 + word.trailing_zeros() as usize;
                word &= word - 1;
                match self.states.get(at) {
                    Some(State::Char(wanted)) if *wanted == point => {
                        self.enter(next, at + 1, false);
                    }
                    Some(State::One(class)) if class.contains(point) => {
                        self.enter(next, at + 1, false);
                    }
                    Some(State::Many(class)) if class.contains(point) => {
                        self.enter(next, at, false);
                    }
                    Some(State::Rest) if point != NEW_LINE => self.enter(next, at, false),
                    Some(State::Folders) if point != NEW_LINE => self.folder(next, at + 1, point),
                    Some(State::InFolder) if point != NEW_LINE => self.folder(next, at, point),
                    _ => {}
                }
            }
        }
    }

    /// Within a folder's name, or behind it.
    fn folder(&self, next: &mut [u64], inside: usize, point: u32) {
        next[inside / 64] |= 1 << (inside % 64);
        if point == u32::from('/') {
            self.enter(next, inside + 1, false);
        }
    }

    /// Adds a state and all that can be reached from it without taking a character.
    fn enter(&self, set: &mut [u64], state: usize, at_start: bool) {
        let mut at = state;
        loop {
            set[at / 64] |= 1 << (at % 64);
            at = match self.states.get(at) {
                Some(State::Many(_) | State::Rest) => at + 1,
                Some(State::Folders) => at + 2,
                Some(State::Start) if at_start => at + 1,
                _ => return,
            };
        }
    }
}

const NEW_LINE: u32 = 10;

/// The ASCII text that a run of states spells, up to the first that spells none.
fn literal<'a>(states: impl Iterator<Item = &'a State>) -> Vec<u8> {
    states
        .map_while(|state| match state {
            State::Char(point) => u8::try_from(*point).ok().filter(u8::is_ascii),
            _ => None,
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn long_patterns_cross_word_boundaries() {
        let text = format!("**/{}*{}?", "a".repeat(70), "b".repeat(70));
        let glob = Glob::new(text.into_bytes()).unwrap();
        let path = |tail: &str| format!("x/y/{}/{}zz{}{tail}", "q", "a".repeat(70), "b".repeat(70)).into_bytes();
        assert!(glob.matches(&path("!")));
        assert!(!glob.matches(&path("")));
        assert!(!glob.matches(&path("!!")));
    }
}
