//! Purpose: XML of any size and manners, made small and harmless before a parser sees it.
//!
//! quick-xml holds one event at a time, but an event is as large as the file wants: a test's whole output is one
//! text. This reader passes structure on and cuts long texts and attributes. Comments, processing instructions and
//! document types are dropped, so that there are no entities to expand and nothing to fetch.

use std::io::{self, Read};

use super::LARGEST_FILE;
use super::encoding::Decoder;

/// Longest text, CDATA section or attribute value that is passed on, in bytes.
const LONGEST_TEXT: usize = 32 * 1024;
/// Longest tag that is passed on, in bytes.
const LONGEST_TAG: usize = 1 << 20;
/// How much is read at a time, in bytes.
const PIECE: usize = 64 * 1024;
/// What begins a CDATA section.
const CDATA: &[u8] = b"<![CDATA[";

/// The tamed stream.
pub(super) struct Tame<R> {
    source: R,
    decoder: Option<Decoder>,
    piece: Box<[u8]>,
    text: String,
    scanner: Scanner,
    given: usize,
    total: u64,
    ended: bool,
}

impl<R: Read> Tame<R> {
    pub(super) fn new(source: R) -> Self {
        Self {
            source,
            decoder: None,
            piece: vec![0; PIECE].into_boxed_slice(),
            text: String::new(),
            scanner: Scanner::default(),
            given: 0,
            total: 0,
            ended: false,
        }
    }

    /// Reads on until there is something to give, or the end.
    fn fill(&mut self) -> io::Result<()> {
        self.scanner.out.clear();
        self.given = 0;
        while self.scanner.out.is_empty() && !self.ended {
            let length = self.read_piece()?;
            self.ended = length == 0;
            self.total += u64::try_from(length).unwrap_or(u64::MAX);
            if self.total > LARGEST_FILE {
                return Err(io::Error::new(io::ErrorKind::FileTooLarge, "larger than 1 GiB"));
            }
            self.text.clear();
            let mut piece = &self.piece[..length];
            let decoder = match &mut self.decoder {
                Some(decoder) => decoder,
                None => {
                    let (decoder, mark) = Decoder::of(piece);
                    piece = &piece[mark..];
                    self.decoder.insert(decoder)
                }
            };
            decoder.decode(piece, &mut self.text);
            if self.ended {
                decoder.finish(&mut self.text);
            }
            self.scanner.scan(self.text.as_bytes())?;
        }
        Ok(())
    }

    /// A full piece, unless the stream ends: the first one must hold the whole declaration.
    fn read_piece(&mut self) -> io::Result<usize> {
        let mut length = 0;
        while length < self.piece.len() {
            match self.source.read(&mut self.piece[length..]) {
                Ok(0) => break,
                Ok(more) => length += more,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        Ok(length)
    }
}

impl<R: Read> Read for Tame<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if self.given == self.scanner.out.len() {
            self.fill()?;
        }
        let rest = &self.scanner.out[self.given..];
        let length = rest.len().min(buffer.len());
        buffer[..length].copy_from_slice(&rest[..length]);
        self.given += length;
        Ok(length)
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    Text,
    /// After `<`, until it is clear what begins.
    Opening,
    Tag {
        quote: Option<u8>,
    },
    Cdata,
    Comment,
    Instruction,
    Doctype {
        quote: Option<u8>,
        subset: bool,
    },
    /// A comment inside a document type: its quotes mean nothing.
    DoctypeComment,
}

struct Scanner {
    state: State,
    out: Vec<u8>,
    /// The start of a markup that is not decided yet.
    opening: Vec<u8>,
    /// The last two bytes inside the present construct.
    last: [u8; 2],
    /// Bytes passed on of the present text or value, or seen of the present tag or document type.
    length: usize,
    tag: usize,
    cut: bool,
}

impl Default for Scanner {
    fn default() -> Self {
        Self { state: State::Text, out: Vec::new(), opening: Vec::new(), last: [0; 2], length: 0, tag: 0, cut: false }
    }
}

impl Scanner {
    fn scan(&mut self, text: &[u8]) -> io::Result<()> {
        let mut at = 0;
        while at < text.len() {
            // Runs of plain text are the bulk of a large file: they go in one step.
            if self.state == State::Text {
                let rest = &text[at..];
                let run = rest.iter().position(|byte| *byte == b'<').unwrap_or(rest.len());
                self.run(&rest[..run]);
                at += run;
                if at == text.len() {
                    break;
                }
            }
            self.byte(text[at])?;
            at += 1;
        }
        Ok(())
    }

    fn run(&mut self, run: &[u8]) {
        if !self.cut {
            let room = LONGEST_TEXT.saturating_sub(self.length);
            let mut end = run.len().min(room);
            while end < run.len() && end > 0 && is_continuation(run[end]) {
                end -= 1;
            }
            self.out.extend_from_slice(&run[..end]);
            self.length += end;
            self.cut = end < run.len();
        }
    }

    fn byte(&mut self, byte: u8) -> io::Result<()> {
        match self.state {
            State::Text => {
                self.opening.clear();
                self.opening.push(byte);
                self.state = State::Opening;
            }
            State::Opening => self.opening(byte)?,
            State::Tag { quote } => self.tag(byte, quote)?,
            State::Cdata => self.cdata(byte),
            State::Comment | State::Instruction | State::DoctypeComment => self.dropped(byte),
            State::Doctype { quote, subset } => self.doctype(byte, quote, subset)?,
        }
        self.last = [self.last[1], byte];
        Ok(())
    }

    fn opening(&mut self, byte: u8) -> io::Result<()> {
        self.opening.push(byte);
        let opening = self.opening.as_slice();
        match opening {
            b"<?" => self.enter(State::Instruction),
            b"<!--" => self.enter(State::Comment),
            CDATA => {
                self.out.extend_from_slice(CDATA);
                self.enter(State::Cdata);
            }
            _ if CDATA.starts_with(opening) || b"<!--".starts_with(opening) => {}
            _ if opening.starts_with(b"<!") => self.enter(State::Doctype { quote: None, subset: false }),
            _ => {
                // The second byte belongs to the tag, and may already be its end.
                self.out.push(b'<');
                self.enter(State::Tag { quote: None });
                return self.tag(byte, None);
            }
        }
        Ok(())
    }

    fn enter(&mut self, state: State) {
        self.state = state;
        self.length = 0;
        self.tag = 0;
        self.cut = false;
        self.last = [0; 2];
    }

    fn tag(&mut self, byte: u8, quote: Option<u8>) -> io::Result<()> {
        match (quote, byte) {
            (None, b'>') => {
                self.out.push(byte);
                self.enter(State::Text);
                return Ok(());
            }
            (None, b'"' | b'\'') => {
                self.state = State::Tag { quote: Some(byte) };
                self.length = 0;
                self.cut = false;
                self.out.push(byte);
            }
            (Some(quote), byte) if quote == byte => {
                self.state = State::Tag { quote: None };
                self.out.push(byte);
            }
            (Some(_), byte) => self.passed(byte),
            (None, byte) => self.out.push(byte),
        }
        self.tag += usize::from(!self.cut);
        if self.tag > LONGEST_TAG {
            return Err(io::Error::new(io::ErrorKind::InvalidData, "a tag of more than 1 MiB"));
        }
        Ok(())
    }

    /// One byte of a text that may be cut, at a character.
    fn passed(&mut self, byte: u8) {
        self.cut = self.cut || self.length >= LONGEST_TEXT && !is_continuation(byte);
        if !self.cut {
            self.out.push(byte);
            self.length += 1;
        }
    }

    fn cdata(&mut self, byte: u8) {
        if self.last == *b"]]" && byte == b'>' {
            // Unless it was cut, the two brackets are passed on already.
            if self.cut {
                self.out.extend_from_slice(b"]]");
            }
            self.out.push(b'>');
            self.enter(State::Text);
            return;
        }
        self.passed(byte);
    }

    fn dropped(&mut self, byte: u8) {
        let ended = match self.state {
            State::Instruction => self.last[1] == b'?' && byte == b'>',
            _ => self.last == *b"--" && byte == b'>',
        };
        match self.state {
            State::DoctypeComment if ended => self.state = State::Doctype { quote: None, subset: true },
            _ if ended => self.enter(State::Text),
            _ => {}
        }
    }

    fn doctype(&mut self, byte: u8, quote: Option<u8>, subset: bool) -> io::Result<()> {
        self.tag += 1;
        if self.tag > LONGEST_TAG {
            return Err(io::Error::new(io::ErrorKind::InvalidData, "a document type of more than 1 MiB"));
        }
        let comment = subset && self.last == *b"!-" && byte == b'-';
        self.state = match (quote, byte) {
            (Some(quote), byte) if quote == byte => State::Doctype { quote: None, subset },
            (Some(_), _) => self.state,
            (None, _) if comment => State::DoctypeComment,
            (None, b'"' | b'\'') => State::Doctype { quote: Some(byte), subset },
            (None, b'[') => State::Doctype { quote, subset: true },
            (None, b']') => State::Doctype { quote, subset: false },
            (None, b'>') if !subset => {
                self.enter(State::Text);
                return Ok(());
            }
            (None, _) => self.state,
        };
        Ok(())
    }
}

fn is_continuation(byte: u8) -> bool {
    byte & 0xc0 == 0x80
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// Gives its bytes in small portions, as a pipe may.
    struct Drip<'a>(&'a [u8]);

    impl Read for Drip<'_> {
        fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
            let length = self.0.len().min(buffer.len()).min(3);
            buffer[..length].copy_from_slice(&self.0[..length]);
            self.0 = &self.0[length..];
            Ok(length)
        }
    }

    fn tamed(text: &[u8]) -> io::Result<String> {
        let mut out = Vec::new();
        Tame::new(Drip(text)).read_to_end(&mut out)?;
        Ok(String::from_utf8(out).unwrap())
    }

    #[test]
    fn structure_passes_and_the_rest_is_dropped() {
        let text = r#"<?xml version="1.0"?><!DOCTYPE a [<!ENTITY x "'>"><!-- it's ] > --><!ENTITY y SYSTEM "file:///etc/passwd">]><!-- <b> -->
<a t="x>y" u='"'>text<![CDATA[<not> a ]] tag]]>&x;</a>"#;
        assert_eq!(tamed(text.as_bytes()).unwrap(), "\n<a t=\"x>y\" u='\"'>text<![CDATA[<not> a ]] tag]]>&x;</a>");
    }

    #[test]
    fn long_texts_values_and_sections_are_cut_at_a_character() {
        let long = "ä".repeat(LONGEST_TEXT);
        for (before, after) in [("<a>", "</a>"), ("<a b=\"", "\"/>"), ("<a><![CDATA[", "]]></a>")] {
            let out = tamed(format!("{before}{long}{after}").as_bytes()).unwrap();
            assert!(out.starts_with(before) && out.ends_with(after), "{before}");
            assert!(out.len() <= LONGEST_TEXT + 40, "{} {before}", out.len());
        }
    }

    #[test]
    fn a_cut_section_still_ends() {
        let text = format!("<a><![CDATA[{}]]]]></a>", "]".repeat(LONGEST_TEXT + 7));
        assert!(tamed(text.as_bytes()).unwrap().ends_with("]]></a>"));
        assert_eq!(tamed(b"<a><![CDATA[]]]]></a>").unwrap(), "<a><![CDATA[]]]]></a>");
        assert_eq!(tamed(b"<a><![CDATA[]]></a>").unwrap(), "<a><![CDATA[]]></a>");
    }

    #[test]
    fn an_endless_tag_is_an_error() {
        let attributes: String = (0..200_000).map(|number| format!(" a{number}=''")).collect();
        assert!(tamed(format!("<a{attributes}/>").as_bytes()).is_err());
        assert!(tamed(format!("<!DOCTYPE {}", "x".repeat(LONGEST_TAG + 1)).as_bytes()).is_err());
    }

    proptest! {
        #[test]
        fn any_bytes_are_read_to_the_end(bytes in proptest::collection::vec(any::<u8>(), 0..400)) {
            let _ = tamed(&bytes);
        }

        #[test]
        fn any_markup_is_read_to_the_end(text in "(<|>|!|-|\\[|\\]|CDATA|\\?|'|\"|a|ä| |DOCTYPE){0,60}") {
            prop_assert!(tamed(text.as_bytes()).unwrap().len() <= text.len() + 2);
        }
    }
}
