//! Purpose: LCOV trace files (geninfo(1), "FILES").

use std::io::BufRead;

use super::super::ReadError;
use super::{Builder, Ratio};

/// Longest line that is read; the rest of a longer one is passed over. Paths are the longest content.
const LONGEST_LINE: usize = 16 * 1024;

pub(super) fn read(mut source: impl BufRead, into: &mut Builder<'_>) -> Result<(), ReadError> {
    let mut line = Vec::new();
    let mut section = Section::default();
    let mut known = false;
    while read_line(&mut source, &mut line)? {
        let text = String::from_utf8_lossy(&line);
        let text = text.trim();
        if text == "end_of_record" {
            section.close(into)?;
            continue;
        }
        let Some((key, value)) = text.split_once(':') else {
            if !known && !text.is_empty() && !text.starts_with('#') {
                return Err(ReadError::Unknown("Cobertura, JaCoCo, Clover or LCOV"));
            }
            continue;
        };
        match key {
            "SF" => {
                section.close(into)?;
                into.enter(value);
                section.open = true;
                known = true;
            }
            "TN" | "VER" => known = true,
            _ if !known => return Err(ReadError::Unknown("Cobertura, JaCoCo, Clover or LCOV")),
            _ if section.open => section.entry(key, value, into)?,
            _ => {}
        }
    }
    if section.open {
        return Err(ReadError::Unfinished { element: "SF".to_owned() });
    }
    Ok(())
}

/// What is known of the present file.
#[derive(Default)]
struct Section {
    open: bool,
    has_lines: bool,
    said: Ratio,
    /// Branches of the present line; LCOV lists those of one line together.
    branches: Option<(u64, Ratio)>,
}

impl Section {
    fn entry(&mut self, key: &str, value: &str, into: &mut Builder<'_>) -> Result<(), ReadError> {
        let mut fields = value.split(',').map(str::trim);
        let mut number = || fields.next().and_then(|field| field.parse::<i64>().ok());
        match key {
            "DA" => {
                if let (Some(line), Some(hits)) = (number(), number()) {
                    self.has_lines = true;
                    into.line(u64::try_from(line).unwrap_or(0), hits > 0)?;
                }
            }
            "BRDA" => {
                let line = number().and_then(|line| u64::try_from(line).ok()).unwrap_or(0);
                let taken = value.rsplit(',').next().unwrap_or("-").trim().parse::<u64>().unwrap_or(0);
                self.branch(line, taken > 0, into)?;
            }
            "LF" => self.said.all = number().and_then(|all| u64::try_from(all).ok()).unwrap_or(0),
            "LH" => self.said.covered = number().and_then(|hit| u64::try_from(hit).ok()).unwrap_or(0),
            _ => {}
        }
        Ok(())
    }

    fn branch(&mut self, line: u64, taken: bool, into: &mut Builder<'_>) -> Result<(), ReadError> {
        let more = Ratio { covered: u64::from(taken), all: 1 };
        match &mut self.branches {
            Some((present, ratio)) if *present == line => ratio.add(more),
            before => {
                if let Some((line, ratio)) = before.replace((line, more)) {
                    into.branches(line, ratio)?;
                }
            }
        }
        Ok(())
    }

    fn close(&mut self, into: &mut Builder<'_>) -> Result<(), ReadError> {
        let section = std::mem::take(self);
        if let Some((line, ratio)) = section.branches {
            into.branches(line, ratio)?;
        }
        if section.open && !section.has_lines && section.said.all > 0 {
            let covered = section.said.covered.min(section.said.all);
            into.said(Ratio { covered, all: section.said.all })?;
        }
        Ok(())
    }
}

/// One line without its end, cut at [`LONGEST_LINE`]; false at the end of the file.
fn read_line(source: &mut impl BufRead, line: &mut Vec<u8>) -> Result<bool, ReadError> {
    line.clear();
    let mut any = false;
    loop {
        let buffer = source.fill_buf().map_err(ReadError::Io)?;
        if buffer.is_empty() {
            return Ok(any);
        }
        any = true;
        let end = buffer.iter().position(|byte| *byte == b'\n');
        let part = &buffer[..end.unwrap_or(buffer.len())];
        let room = LONGEST_LINE.saturating_sub(line.len());
        line.extend_from_slice(&part[..part.len().min(room)]);
        let used = end.map_or(buffer.len(), |end| end + 1);
        source.consume(used);
        if end.is_some() {
            return Ok(true);
        }
    }
}
