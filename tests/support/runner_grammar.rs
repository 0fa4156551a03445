//! Purpose: how the Actions runner reads what a step writes: file commands and workflow commands.
//!
//! Written from the runner's own behaviour (`FileCommandManager`, `ActionCommand`, `ActionCommandManager`), not from
//! ours, so that what we write is held to what is read.

use std::collections::{BTreeMap, BTreeSet};

/// Reads `GITHUB_OUTPUT`, `GITHUB_ENV` or `GITHUB_STATE`: entries in order.
///
/// `name=value` or `name<<delimiter`, whichever sign comes first in the line. Only LF ends a line. An error here fails
/// the step.
pub fn file_command(text: &str) -> Result<Vec<(String, String)>, String> {
    let mut entries = Vec::new();
    let mut rest = text;
    while let Some((line, after)) = next_line(rest) {
        rest = after;
        if line.is_empty() {
            continue;
        }
        let (equals, heredoc) = (line.find('='), line.find("<<"));
        let entry = match (equals, heredoc) {
            (Some(equals), heredoc) if heredoc.is_none_or(|heredoc| equals < heredoc) => {
                (line[..equals].to_owned(), line[equals + 1..].to_owned())
            }
            (_, Some(heredoc)) => {
                let (name, delimiter) = (&line[..heredoc], &line[heredoc + 2..]);
                if name.is_empty() || delimiter.is_empty() {
                    return Err(format!("invalid format '{line}': name and delimiter must not be empty"));
                }
                let (value, after) = heredoc_value(rest, delimiter)?;
                rest = after;
                (name.to_owned(), value.to_owned())
            }
            _ => return Err(format!("invalid format '{line}'")),
        };
        if entry.0.is_empty() {
            return Err(format!("invalid format '{line}': name must not be empty"));
        }
        entries.push(entry);
    }
    Ok(entries)
}

/// The next line without its LF, and what follows; none at the end of the text.
fn next_line(text: &str) -> Option<(&str, &str)> {
    if text.is_empty() { None } else { Some(text.split_once('\n').unwrap_or((text, ""))) }
}

/// The lines up to the delimiter, without the LF before it.
fn heredoc_value<'a>(text: &'a str, delimiter: &str) -> Result<(&'a str, &'a str), String> {
    let (mut rest, mut end) = (text, 0);
    while let Some((line, after)) = next_line(rest) {
        if line == delimiter {
            return Ok((&text[..end], after));
        }
        // The LF that ends this line belongs to the value only when another line follows.
        end = text.len() - rest.len() + line.len();
        rest = after;
    }
    Err(format!("matching delimiter not found '{delimiter}'"))
}

/// Commands that the runner knows.
const REGISTERED: [&str; 15] = [
    "stop-commands",
    "set-env",
    "set-output",
    "save-state",
    "add-path",
    "add-mask",
    "add-matcher",
    "remove-matcher",
    "warning",
    "error",
    "notice",
    "debug",
    "group",
    "endgroup",
    "echo",
];

/// A workflow command.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Command {
    /// Lower case.
    pub name: String,
    /// By lower-case key.
    pub properties: BTreeMap<String, String>,
    pub data: String,
    /// Written as `##[name]`, which the runner finds anywhere in a line.
    pub legacy: bool,
}

/// An annotation as the runner stores it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Annotation {
    /// `error`, `warning` or `notice`.
    pub level: String,
    pub title: String,
    pub message: String,
    /// `file`, `line`, `endLine`, `col`, `endColumn`, as given, by lower-case key.
    pub place: BTreeMap<String, String>,
}

/// A step's log after the runner has read it.
#[derive(Debug, Clone, Default)]
pub struct Log {
    /// What a reader sees, masked. Groups are `▸ title`, annotations `level: title: message`.
    pub lines: Vec<String>,
    pub masks: BTreeSet<String>,
    pub annotations: Vec<Annotation>,
    /// Titles, in order.
    pub groups: Vec<String>,
    /// Every command that took effect.
    pub commands: Vec<Command>,
    /// Text shown while commands were stopped.
    pub foreign: Vec<String>,
    /// The token that would resume commands, when the log ends while they are stopped.
    pub stopped: Option<String>,
    depth: usize,
}

impl Log {
    /// Reads a whole log. Like the runner's, its lines end at LF, CR LF and a lone CR.
    pub fn read(text: &str) -> Self {
        let mut log = Self::default();
        let unified = text.replace("\r\n", "\n").replace('\r', "\n");
        let body = unified.strip_suffix('\n').unwrap_or(&unified);
        for line in body.split('\n') {
            log.line(line);
        }
        log
    }

    /// Groups that were begun and not ended.
    pub fn open_groups(&self) -> usize {
        self.depth
    }

    /// Commands that ended badly or are no longer allowed: none of ours may be here.
    pub fn improper(&self) -> Vec<&Command> {
        let banned = ["set-env", "set-output", "save-state", "add-path"];
        self.commands.iter().filter(|command| command.legacy || banned.contains(&command.name.as_str())).collect()
    }

    fn line(&mut self, line: &str) {
        if let Some(token) = self.stopped.clone() {
            if command_of(line, &[&token]).is_some() {
                self.stopped = None;
            } else {
                self.foreign.push(line.to_owned());
                self.show(line);
            }
            return;
        }
        match command_of(line, &REGISTERED) {
            None => self.show(line),
            Some(command) => self.obey(command),
        }
    }

    fn obey(&mut self, command: Command) {
        match command.name.as_str() {
            "stop-commands" => {
                if command.data.len() > 6 {
                    self.masks.insert(command.data.clone());
                }
                self.stopped = Some(command.data.clone());
            }
            "add-mask" => {
                let parts = command.data.split(['\n', '\r']).filter(|part| !part.trim().is_empty());
                self.masks.extend(parts.map(str::to_owned));
            }
            "group" => {
                self.groups.push(command.data.clone());
                self.depth += 1;
                self.show(&format!("▸ {}", command.data));
            }
            "endgroup" => self.depth = self.depth.saturating_sub(1),
            "error" | "warning" | "notice" => self.annotate(&command),
            "debug" => self.show(&format!("debug: {}", command.data)),
            _ => {}
        }
        self.commands.push(command);
    }

    fn annotate(&mut self, command: &Command) {
        let mut place = command.properties.clone();
        let title = place.remove("title").unwrap_or_default();
        let shown = if title.is_empty() { String::new() } else { format!("{title}: ") };
        self.show(&format!("{}: {shown}{}", command.name, command.data));
        let message = command.data.clone();
        self.annotations.push(Annotation { level: command.name.clone(), title, message, place });
    }

    fn show(&mut self, text: &str) {
        let mut text = text.to_owned();
        let mut masks: Vec<&String> = self.masks.iter().collect();
        masks.sort_by_key(|mask| std::cmp::Reverse(mask.len()));
        for mask in masks {
            text = text.replace(mask.as_str(), "***");
        }
        self.lines.push(text);
    }
}

/// The command in a line, if it is one of `known`: `::name key=value,…::data` after leading blanks, else
/// `##[name key=value;…]data` anywhere.
pub fn command_of(line: &str, known: &[&str]) -> Option<Command> {
    modern(line, known).or_else(|| legacy(line, known))
}

fn modern(line: &str, known: &[&str]) -> Option<Command> {
    let inner = line.trim_start().strip_prefix("::")?;
    let (info, data) = inner.split_once("::")?;
    let (name, properties) = known_name(info, known)?;
    let codes = [("%0D", "\r"), ("%0A", "\n"), ("%3A", ":"), ("%2C", ","), ("%25", "%")];
    let data = unescape(data, &[codes[0], codes[1], codes[4]]);
    Some(Command { name, properties: pairs(properties.trim(), ',', &codes), data, legacy: false })
}

fn legacy(line: &str, known: &[&str]) -> Option<Command> {
    let (info, data) = line.split_once("##[")?.1.split_once(']')?;
    let (name, properties) = known_name(info, known)?;
    let codes = [("%3B", ";"), ("%0D", "\r"), ("%0A", "\n"), ("%5D", "]"), ("%25", "%")];
    let data = unescape(data, &codes);
    Some(Command { name, properties: pairs(properties, ';', &codes), data, legacy: true })
}

fn known_name<'a>(info: &'a str, known: &[&str]) -> Option<(String, &'a str)> {
    let (name, properties) = info.split_once(' ').unwrap_or((info, ""));
    let is_known = known.iter().any(|known| known.eq_ignore_ascii_case(name));
    is_known.then(|| (name.to_ascii_lowercase(), properties))
}

fn pairs(text: &str, separator: char, codes: &[(&str, &str)]) -> BTreeMap<String, String> {
    let split = text.split(separator).filter_map(|pair| pair.split_once('='));
    let whole = split.filter(|(key, value)| !key.is_empty() && !value.is_empty());
    whole.map(|(key, value)| (key.to_ascii_lowercase(), unescape(value, codes))).collect()
}

fn unescape(text: &str, codes: &[(&str, &str)]) -> String {
    codes.iter().fold(text.to_owned(), |text, (code, character)| text.replace(code, character))
}
