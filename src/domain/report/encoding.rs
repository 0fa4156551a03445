//! Purpose: bytes of XML in any encoding that tools write, as valid UTF-8, piece by piece.
//!
//! UTF-8, UTF-16 and the Latin encodings are decoded. Of any other, ASCII stays and the rest becomes U+FFFD: names
//! may lose letters, numbers and structure do not.

/// Windows-1252 where it differs from Latin-1: 0x80 to 0x9f (WHATWG Encoding Standard, index windows-1252).
const WINDOWS: [char; 32] = [
    '€', '\u{81}', '‚', 'ƒ', '„', '…', '†', '‡', 'ˆ', '‰', 'Š', '‹', 'Œ', '\u{8d}', 'Ž', '\u{8f}', '\u{90}', '‘', '’',
    '“', '”', '•', '–', '—', '˜', '™', 'š', '›', 'œ', '\u{9d}', 'ž', 'Ÿ',
];

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Encoding {
    Utf8,
    Utf16(Order),
    Latin,
    Ascii,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Order {
    Little,
    Big,
}

/// Decodes a stream in pieces.
#[derive(Debug)]
pub(super) struct Decoder {
    encoding: Encoding,
    /// Bytes of a character that the next piece completes.
    rest: Vec<u8>,
}

impl Decoder {
    /// The decoder for a stream that starts with these bytes, and how many of them are a byte order mark.
    pub(super) fn of(start: &[u8]) -> (Self, usize) {
        let (encoding, mark) = match start {
            [0xef, 0xbb, 0xbf, ..] => (Encoding::Utf8, 3),
            [0xff, 0xfe, ..] => (Encoding::Utf16(Order::Little), 2),
            [0xfe, 0xff, ..] => (Encoding::Utf16(Order::Big), 2),
            [b'<', 0, ..] => (Encoding::Utf16(Order::Little), 0),
            [0, b'<', ..] => (Encoding::Utf16(Order::Big), 0),
            _ => (declared(start), 0),
        };
        (Self { encoding, rest: Vec::new() }, mark)
    }

    /// Decodes the next piece and appends it.
    pub(super) fn decode(&mut self, piece: &[u8], out: &mut String) {
        match self.encoding {
            Encoding::Utf8 => self.utf8(piece, out),
            Encoding::Utf16(order) => self.utf16(piece, order, out),
            Encoding::Latin => out.extend(piece.iter().map(|byte| latin(*byte))),
            Encoding::Ascii => out.extend(piece.iter().map(|byte| match byte {
                0..=0x7f => char::from(*byte),
                _ => char::REPLACEMENT_CHARACTER,
            })),
        }
    }

    /// What is left when the stream has ended.
    pub(super) fn finish(&mut self, out: &mut String) {
        if !std::mem::take(&mut self.rest).is_empty() {
            out.push(char::REPLACEMENT_CHARACTER);
        }
    }

    fn utf8(&mut self, piece: &[u8], out: &mut String) {
        let joined;
        let mut bytes = piece;
        if !self.rest.is_empty() {
            self.rest.extend_from_slice(piece);
            joined = std::mem::take(&mut self.rest);
            bytes = &joined;
        }
        let mut chunks = bytes.utf8_chunks().peekable();
        while let Some(chunk) = chunks.next() {
            out.push_str(chunk.valid());
            let is_last = chunks.peek().is_none();
            match chunk.invalid() {
                [] => {}
                // The start of a character at the very end: the next piece may complete it.
                open if is_last && is_open(open) => self.rest = open.to_vec(),
                _ => out.push(char::REPLACEMENT_CHARACTER),
            }
        }
    }

    fn utf16(&mut self, piece: &[u8], order: Order, out: &mut String) {
        self.rest.extend_from_slice(piece);
        let units: Vec<u16> = self
            .rest
            .chunks_exact(2)
            .map(|pair| match order {
                Order::Little => u16::from_le_bytes([pair[0], pair[1]]),
                Order::Big => u16::from_be_bytes([pair[0], pair[1]]),
            })
            .collect();
        // A high surrogate at the end waits for its other half.
        let open = units.last().is_some_and(|unit| (0xd800..0xdc00).contains(unit));
        let whole = units.len() - usize::from(open);
        out.extend(
            char::decode_utf16(units[..whole].iter().copied()).map(|c| c.unwrap_or(char::REPLACEMENT_CHARACTER)),
        );
        self.rest.drain(..whole * 2);
    }
}

/// Whether more bytes could make this one character: it is shorter than its first byte promises.
fn is_open(bytes: &[u8]) -> bool {
    let promised = match bytes[0] {
        0xc2..=0xdf => 2,
        0xe0..=0xef => 3,
        0xf0..=0xf4 => 4,
        _ => 0,
    };
    bytes.len() < promised
}

fn latin(byte: u8) -> char {
    match byte {
        0x80..=0x9f => WINDOWS[usize::from(byte - 0x80)],
        byte => char::from(byte),
    }
}

/// The encoding that the XML declaration names.
fn declared(start: &[u8]) -> Encoding {
    let head = &start[..start.len().min(200)];
    let head = String::from_utf8_lossy(head).to_ascii_lowercase();
    let name = head.strip_prefix("<?xml").and_then(|rest| rest.split("?>").next()).and_then(|declaration| {
        let value = declaration.split_once("encoding")?.1.trim_start().strip_prefix('=')?.trim_start();
        let quote = value.chars().next().filter(|c| matches!(c, '"' | '\''))?;
        value[1..].split(quote).next().map(str::to_owned)
    });
    match name.as_deref() {
        None | Some("utf-8" | "utf8" | "us-ascii" | "ascii") => Encoding::Utf8,
        // UTF-16 that starts with `<?xml` in single bytes is a wrong label.
        Some("utf-16" | "utf-16le" | "utf-16be") => Encoding::Utf8,
        Some("iso-8859-1" | "iso8859-1" | "latin1" | "latin-1" | "windows-1252" | "cp1252" | "iso-8859-15") => {
            Encoding::Latin
        }
        Some(_) => Encoding::Ascii,
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn decoded(bytes: &[u8], piece: usize) -> String {
        let (mut decoder, mark) = Decoder::of(bytes);
        let mut out = String::new();
        for piece in bytes[mark..].chunks(piece.max(1)) {
            decoder.decode(piece, &mut out);
        }
        decoder.finish(&mut out);
        out
    }

    proptest! {
        #[test]
        fn pieces_do_not_matter(text in "<\\PC*", piece in 1_usize..9) {
            prop_assert_eq!(&decoded(text.as_bytes(), piece), &text);
            let utf16: Vec<u8> = text.encode_utf16().flat_map(u16::to_be_bytes).collect();
            prop_assert_eq!(&decoded(&utf16, piece), &text);
            let utf16: Vec<u8> = [0xff, 0xfe].into_iter().chain(text.encode_utf16().flat_map(u16::to_le_bytes)).collect();
            prop_assert_eq!(&decoded(&utf16, piece), &text);
        }

        #[test]
        fn any_bytes_become_text(bytes in proptest::collection::vec(any::<u8>(), 0..200), piece in 1_usize..9) {
            // The library's own loss is the measure for UTF-8.
            let text = decoded(&bytes, piece);
            if let (Decoder { encoding: Encoding::Utf8, .. }, mark) = Decoder::of(&bytes) {
                prop_assert_eq!(text, String::from_utf8_lossy(&bytes[mark..]).into_owned());
            }
        }
    }

    #[test]
    fn latin_is_read_and_others_keep_their_ascii() {
        let latin = b"<?xml version='1.0' encoding='windows-1252'?><a n=\"\xfcber \x80\"/>";
        assert!(decoded(latin, 7).ends_with("<a n=\"über €\"/>"));
        let other = b"<?xml version=\"1.0\" encoding=\"GBK\"?><a n=\"\xc4\xe3\"/>";
        assert!(decoded(other, 7).ends_with("<a n=\"\u{fffd}\u{fffd}\"/>"));
    }
}
