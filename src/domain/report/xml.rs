//! Purpose: elements, attributes and texts of an XML report, one at a time.

use std::borrow::Cow;
use std::io::{BufReader, Read};

use quick_xml::Reader;
use quick_xml::events::{BytesStart, Event};

use super::ReadError;
use super::tame::Tame;

/// Deepest nesting of elements; reports of real tools have about ten levels.
const DEEPEST: usize = 200;

/// A stream of nodes.
pub(super) struct Xml<R: Read> {
    reader: Reader<BufReader<Tame<R>>>,
    buffer: Vec<u8>,
    open: Vec<String>,
    seen: bool,
}

/// One node.
pub(super) enum Node {
    /// An element begins.
    Start(Element),
    /// The innermost element ends.
    End(String),
    /// Text, or the content of a CDATA section.
    Text(String),
    /// The document ends.
    Eof,
}

/// The start of an element.
pub(super) struct Element {
    name: String,
    attributes: Vec<(String, String)>,
}

impl Element {
    /// The name, without namespace prefix.
    pub(super) fn name(&self) -> &str {
        &self.name
    }

    /// An attribute that is present and not empty.
    pub(super) fn get(&self, name: &str) -> Option<&str> {
        let found = self.attributes.iter().find(|(key, _)| key == name);
        found.map(|(_, value)| value.as_str()).filter(|value| !value.trim().is_empty())
    }

    /// A count in an attribute; one that is not a number counts as absent.
    pub(super) fn count(&self, name: &str) -> Option<u64> {
        self.get(name)?.trim().parse().ok()
    }
}

impl<R: Read> Xml<R> {
    pub(super) fn new(source: R) -> Self {
        let mut reader = Reader::from_reader(BufReader::new(Tame::new(source)));
        let config = reader.config_mut();
        config.expand_empty_elements = true;
        config.allow_dangling_amp = true;
        Self { reader, buffer: Vec::new(), open: Vec::new(), seen: false }
    }

    /// The root element.
    pub(super) fn root(&mut self) -> Result<Element, ReadError> {
        loop {
            match self.next()? {
                Node::Start(element) => return Ok(element),
                Node::Eof => return Err(ReadError::Empty),
                Node::Text(_) | Node::End(_) => {}
            }
        }
    }

    /// The next node.
    pub(super) fn next(&mut self) -> Result<Node, ReadError> {
        loop {
            self.buffer.clear();
            let event = match self.reader.read_event_into(&mut self.buffer) {
                Ok(event) => event,
                Err(error) => return Err(wrong(error, &self.open)),
            };
            match event {
                Event::Start(start) => {
                    let element = element(&start);
                    self.seen = true;
                    if self.open.len() >= DEEPEST {
                        return Err(ReadError::TooLarge { what: "elements nested too deeply", limit: "200 levels" });
                    }
                    self.open.push(element.name.clone());
                    return Ok(Node::Start(element));
                }
                Event::End(_) => return Ok(Node::End(self.open.pop().unwrap_or_default())),
                Event::Text(text) => {
                    // Text before the root is the sign of something that is not XML at all.
                    if !self.seen && !text.xml10_content().trim().is_empty() {
                        return Err(ReadError::Unknown("XML"));
                    }
                    return Ok(Node::Text(text.xml10_content().into_owned()));
                }
                Event::CData(text) => return Ok(Node::Text(text.xml10_content().into_owned())),
                Event::GeneralRef(name) => return Ok(Node::Text(reference(&name.into_inner()))),
                Event::Eof => return self.eof(),
                Event::Empty(_) | Event::Comment(_) | Event::Decl(_) | Event::PI(_) | Event::DocType(_) => {}
            }
        }
    }

    fn eof(&self) -> Result<Node, ReadError> {
        match self.open.last() {
            Some(element) => Err(ReadError::Unfinished { element: element.clone() }),
            None if self.seen => Ok(Node::Eof),
            None => Err(ReadError::Empty),
        }
    }
}

fn element(start: &BytesStart<'_>) -> Element {
    let local = |name: &str| name.rsplit(':').next().unwrap_or(name).to_owned();
    // Attributes that are not well-formed are passed over: a test's name with a stray quote must not lose the file.
    let mut attributes = start.html_attributes();
    let attributes = attributes.with_checks(false).filter_map(Result::ok);
    let attributes = attributes.map(|attribute| {
        let key: &str = attribute.key.as_ref();
        (local(key), unescaped(&attribute.value))
    });
    let attributes = attributes.collect();
    Element { name: local(start.name().as_ref()), attributes }
}

/// Text with its references resolved; those that name nothing stay as they are.
fn unescaped(text: &str) -> String {
    if !text.contains('&') {
        return text.to_owned();
    }
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find('&') {
        out.push_str(&rest[..at]);
        rest = &rest[at + 1..];
        match rest.find(';').filter(|end| *end <= 10) {
            Some(end) => {
                out.push_str(&reference(&rest[..end]));
                rest = &rest[end + 1..];
            }
            None => out.push('&'),
        }
    }
    out.push_str(rest);
    out
}

/// What `&name;` stands for.
fn reference(name: &str) -> String {
    let number = name.strip_prefix('#').and_then(|number| match number.strip_prefix(['x', 'X']) {
        Some(hex) => u32::from_str_radix(hex, 16).ok(),
        None => number.parse().ok(),
    });
    let character = number.and_then(char::from_u32).or(match name {
        "lt" => Some('<'),
        "gt" => Some('>'),
        "amp" => Some('&'),
        "quot" => Some('"'),
        "apos" => Some('\''),
        _ => None,
    });
    character.map_or_else(|| format!("&{name};"), String::from)
}

fn wrong(error: quick_xml::Error, open: &[String]) -> ReadError {
    let element = open.last().cloned().unwrap_or_default();
    match error {
        quick_xml::Error::Io(error) => match error.kind() {
            std::io::ErrorKind::FileTooLarge => ReadError::TooLarge { what: "more data", limit: "1 GiB" },
            std::io::ErrorKind::InvalidData => ReadError::TooLarge { what: "a tag", limit: "1 MiB" },
            kind => ReadError::Io(std::io::Error::new(kind, error)),
        },
        // A file that ends inside a tag or a section.
        quick_xml::Error::Syntax(said) => match element.is_empty() {
            true => ReadError::NotXml { element, message: said.to_string() },
            false => ReadError::Unfinished { element },
        },
        other => ReadError::NotXml { element, message: other.to_string() },
    }
}

/// A duration in seconds as tools write it: `0.5`, `1,234.56`; anything else is zero.
pub(super) fn micros(text: Option<&str>) -> u64 {
    let text: Cow<'_, str> = text.unwrap_or_default().replace(',', "").into();
    let seconds: f64 = text.trim().parse().unwrap_or(0.0);
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "clamped to what fits")]
    let micros = (seconds.clamp(0.0, 1e9) * 1e6).round() as u64;
    micros
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn nodes(text: &str) -> Result<Vec<String>, ReadError> {
        let mut xml = Xml::new(text.as_bytes());
        let mut said = Vec::new();
        loop {
            match xml.next()? {
                Node::Start(element) => said.push(format!("<{} {:?}>", element.name, element.attributes)),
                Node::End(name) => said.push(format!("</{name}>")),
                Node::Text(text) => said.push(text),
                Node::Eof => return Ok(said),
            }
        }
    }

    #[test]
    fn references_stand_for_characters_and_unknown_ones_for_themselves() {
        let read = nodes("<a b='&lt;&#10;&nope; &'>&amp;&evil;&#x1b; a & b</a>").unwrap().concat();
        assert_eq!(read, "<a [(\"b\", \"<\\n&nope; &\")]>&&evil;\u{1b} a & b</a>");
    }

    #[test]
    fn what_is_wrong_is_named() {
        let said = |text: &str| nodes(text).unwrap_err().to_string();
        assert_eq!(said(""), "is empty: the tool that writes it probably did not finish");
        assert_eq!(said("{\"a\": 1}"), "is not XML");
        assert_eq!(said("<a><b>"), "ends inside <b>: the tool that writes it was probably killed");
        assert_eq!(said("<a><b c='"), "ends inside <a>: the tool that writes it was probably killed");
        assert!(said("<a></b>").starts_with("is not well-formed XML (inside <a>)"), "{}", said("<a></b>"));
        assert!(said(&"<a>".repeat(300)).contains("nested"));
    }

    #[test]
    fn durations() {
        assert_eq!(micros(Some("1,234.5")), 1_234_500_000);
        for text in ["NaN", "-1", "", "x"] {
            assert_eq!(micros(Some(text)), 0, "{text}");
        }
    }

    proptest! {
        #[test]
        fn any_markup_ends(text in "(<|>|/|!|-|\\[|\\]|'|\"|a|=|&|;|#| ){0,60}") {
            let _ = nodes(&text);
        }
    }
}
