//! Purpose: coverage in XML: Cobertura, JaCoCo and Clover.

use std::io::Read;

use super::super::xml::{Element, Node, Xml};
use super::super::{ReadError, shortened};
use super::{Builder, Ratio};

const EXPECTED: &str = "the <coverage> of Cobertura or Clover, or the <report> of JaCoCo";

pub(super) fn read(source: impl Read, into: &mut Builder<'_>) -> Result<(), ReadError> {
    let mut xml = Xml::new(source);
    let root = xml.root()?;
    match root.name() {
        "coverage" => cobertura(&mut xml, &root, into),
        "report" => jacoco(&mut xml, into),
        other => Err(ReadError::Kind { found: shortened(other, 60), expected: EXPECTED }),
    }
}

/// Cobertura names a class's lines twice, in its methods and in itself: joining by line makes them one. Clover's root
/// has the same name; its lines have other attributes.
fn cobertura<R: Read>(xml: &mut Xml<R>, root: &Element, into: &mut Builder<'_>) -> Result<(), ReadError> {
    let mut has_lines = false;
    loop {
        match xml.next()? {
            Node::Start(element) => match element.name() {
                "class" => into.enter(element.get("filename").or(element.get("name")).unwrap_or("(unknown)")),
                "file" => into.enter(element.get("path").or(element.get("name")).unwrap_or("(unknown)")),
                "line" => {
                    has_lines = true;
                    match element.count("num") {
                        Some(number) => clover_line(&element, number, into)?,
                        None => cobertura_line(&element, into)?,
                    }
                }
                _ => {}
            },
            Node::Eof => break,
            Node::End(_) | Node::Text(_) => {}
        }
    }
    if !has_lines && let (Some(covered), Some(all)) = (root.count("lines-covered"), root.count("lines-valid")) {
        into.coverage.plain = Ratio { covered: covered.min(all), all };
    }
    Ok(())
}

fn cobertura_line(element: &Element, into: &mut Builder<'_>) -> Result<(), ReadError> {
    let number = element.count("number").unwrap_or(0);
    // Counts of hits may be larger than any integer; zero is what matters.
    let hit = element.get("hits").is_some_and(|hits| hits.trim().parse::<f64>().is_ok_and(|hits| hits > 0.0));
    into.line(number, hit)?;
    match element.get("condition-coverage").and_then(condition) {
        Some(ratio) => into.branches(number, ratio),
        None => Ok(()),
    }
}

/// `50% (1/2)`.
fn condition(text: &str) -> Option<Ratio> {
    let (covered, all) = text.split_once('(')?.1.split_once(')')?.0.split_once('/')?;
    let (covered, all) = (covered.trim().parse::<u64>().ok()?, all.trim().parse().ok()?);
    Some(Ratio { covered: covered.min(all), all })
}

fn clover_line(element: &Element, number: u64, into: &mut Builder<'_>) -> Result<(), ReadError> {
    if element.get("type") == Some("cond") {
        let hit = |name: &str| u64::from(element.count(name).unwrap_or(0) > 0);
        let (taken, not) = (hit("truecount"), hit("falsecount"));
        into.line(number, taken + not > 0)?;
        return into.branches(number, Ratio { covered: taken + not, all: 2 });
    }
    into.line(number, element.count("count").unwrap_or(0) > 0)
}

/// JaCoCo names a source file's lines; for classes without line numbers only counters are known.
fn jacoco<R: Read>(xml: &mut Xml<R>, into: &mut Builder<'_>) -> Result<(), ReadError> {
    let mut package = String::new();
    let mut file = SourceFile::default();
    loop {
        match xml.next()? {
            Node::Start(element) => match element.name() {
                "package" => element.get("name").unwrap_or_default().clone_into(&mut package),
                "sourcefile" => {
                    let name = element.get("name").unwrap_or("(unknown)");
                    into.enter(&if package.is_empty() { name.to_owned() } else { format!("{package}/{name}") });
                    file = SourceFile { open: true, ..SourceFile::default() };
                }
                "line" if file.open => {
                    file.has_lines = true;
                    jacoco_line(&element, into)?;
                }
                "counter" if file.open => file.counter(&element),
                _ => {}
            },
            Node::End(name) if name == "sourcefile" => {
                let file = std::mem::take(&mut file);
                if let (false, Some(ratio)) = (file.has_lines, file.lines.or(file.instructions)) {
                    into.said(ratio)?;
                }
            }
            Node::Eof => return Ok(()),
            Node::End(_) | Node::Text(_) => {}
        }
    }
}

#[derive(Default)]
struct SourceFile {
    open: bool,
    has_lines: bool,
    lines: Option<Ratio>,
    instructions: Option<Ratio>,
}

impl SourceFile {
    fn counter(&mut self, element: &Element) {
        let (missed, covered) = (element.count("missed").unwrap_or(0), element.count("covered").unwrap_or(0));
        let ratio = Some(Ratio { covered, all: covered.saturating_add(missed) });
        match element.get("type") {
            Some("LINE") => self.lines = ratio,
            Some("INSTRUCTION") => self.instructions = ratio,
            _ => {}
        }
    }
}

fn jacoco_line(element: &Element, into: &mut Builder<'_>) -> Result<(), ReadError> {
    let number = element.count("nr").unwrap_or(0);
    let count = |name: &str| element.count(name).unwrap_or(0);
    into.line(number, count("ci") > 0)?;
    into.branches(number, Ratio { covered: count("cb"), all: count("cb").saturating_add(count("mb")) })
}
