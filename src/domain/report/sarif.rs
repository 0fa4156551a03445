//! Purpose: findings of scanners (SARIF 2.1.0, OASIS standard), streamed.

use std::collections::BTreeMap;
use std::fmt;
use std::io::{BufReader, Read};

use serde::de::{DeserializeSeed, Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};

use super::json::Each;
use super::{Bounded, ReadError, clean, shortened};

mod raw;

use raw::{RawInvocation, RawResult, RawRule, RawSuppression, RawTool};

/// Findings of each level that are kept.
const KEPT: usize = 200;
/// Rules of one run that are told apart.
const MOST_RULES: usize = 50_000;
/// Longest message and path, in characters.
const LONGEST_TEXT: usize = 400;

/// How serious a finding is (SARIF §3.27.10).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, serde::Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Level {
    /// A serious problem.
    Error,
    /// A problem.
    Warning,
    /// An opportunity.
    Note,
}

impl Level {
    /// Its name in the standard.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Error => "error",
            Self::Warning => "warning",
            Self::Note => "note",
        }
    }
}

/// One finding.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finding {
    /// The tool.
    pub tool: String,
    /// Identifier of the rule.
    pub rule: String,
    /// How serious.
    pub level: Level,
    /// Severity from 0 to 100 tenths, when the rule gives one (`security-severity`).
    pub severity: Option<u16>,
    /// What was found.
    pub message: String,
    /// File.
    pub file: Option<String>,
    /// Line in the file.
    pub line: Option<u32>,
}

/// What one or several files say.
#[derive(Debug, Clone)]
pub struct Findings {
    /// Counts by level: error, warning, note.
    pub counts: [u64; 3],
    /// Findings that somebody suppressed; they are in no other count.
    pub suppressed: u64,
    /// Findings, the serious ones first.
    pub kept: [Bounded<Finding>; 3],
    /// Tools that say that they did not succeed.
    pub failed_tools: Vec<String>,
    /// Tools that ran.
    pub tools: Vec<String>,
}

impl Default for Findings {
    fn default() -> Self {
        Self {
            counts: [0; 3],
            suppressed: 0,
            kept: [Bounded::new(KEPT), Bounded::new(KEPT), Bounded::new(KEPT)],
            failed_tools: Vec::new(),
            tools: Vec::new(),
        }
    }
}

impl Findings {
    /// All findings.
    #[must_use]
    pub fn total(&self) -> u64 {
        self.counts.iter().sum()
    }

    /// Findings of this level.
    #[must_use]
    pub fn count(&self, level: Level) -> u64 {
        self.counts[level as usize]
    }

    /// The kept findings, the serious ones first.
    pub fn iter(&self) -> impl Iterator<Item = &Finding> {
        self.kept.iter().flat_map(|level| &level.kept)
    }

    /// Adds what another file says.
    pub fn absorb(&mut self, other: Self) {
        for (mine, more) in self.counts.iter_mut().zip(other.counts) {
            *mine += more;
        }
        self.suppressed += other.suppressed;
        for (mine, more) in self.kept.iter_mut().zip(other.kept) {
            mine.absorb(more);
        }
        self.failed_tools.extend(other.failed_tools);
        for tool in other.tools {
            self.note_tool(tool);
        }
    }

    fn note_tool(&mut self, tool: String) {
        if !self.tools.contains(&tool) && self.tools.len() < 50 {
            self.tools.push(tool);
        }
    }

    fn close(&mut self, run: Run) {
        let tool = run.tool.unwrap_or_else(|| "scanner".to_owned());
        for finding in run.findings {
            let rule = finding.rule_index.and_then(|index| run.rules.get(index)).or_else(|| {
                let position = run.by_id.get(&finding.rule)?;
                run.rules.get(*position)
            });
            let Some(level) = finding.level.or(rule.map_or(Some(Level::Warning), |rule| rule.level)) else {
                continue;
            };
            let rule_id = if finding.rule.is_empty() { rule.map(|rule| rule.id.clone()) } else { None };
            self.counts[level as usize] += 1;
            self.kept[level as usize].push(Finding {
                tool: tool.clone(),
                rule: rule_id.unwrap_or(finding.rule),
                level,
                severity: rule.and_then(|rule| rule.severity),
                message: if finding.message.is_empty() {
                    rule.map(|rule| rule.description.clone()).unwrap_or_default()
                } else {
                    finding.message
                },
                file: finding.file,
                line: finding.line,
            });
        }
        for (level, more) in run.counted {
            // Findings beyond those kept: their level is resolved, their words are gone.
            let rule = level.1.and_then(|index| run.rules.get(index));
            if let Some(level) = level.0.or(rule.map_or(Some(Level::Warning), |rule| rule.level)) {
                self.counts[level as usize] += more;
                self.kept[level as usize].left_out += more;
            }
        }
        self.suppressed += run.suppressed;
        if run.failed {
            self.failed_tools.push(tool.clone());
        }
        self.note_tool(tool);
        for kept in &mut self.kept {
            kept.kept.sort_by_key(|finding| std::cmp::Reverse(finding.severity));
        }
    }
}

/// Reads one file and adds what it says.
///
/// # Errors
/// [`ReadError`].
pub fn read(source: impl Read, findings: &mut Findings) -> Result<(), ReadError> {
    let mut json = serde_json::Deserializer::from_reader(BufReader::new(source));
    let wrong = |source: serde_json::Error| match source.is_io() {
        true => ReadError::Io(source.into()),
        false => ReadError::NotJson { expected: "a SARIF log", source },
    };
    let mut found = Findings::default();
    json.deserialize_map(Document(&mut found)).map_err(wrong)?;
    json.end().map_err(wrong)?;
    findings.absorb(found);
    Ok(())
}

struct Document<'a>(&'a mut Findings);

impl<'de> Visitor<'de> for Document<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a SARIF log")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        let mut has_runs = false;
        while let Some(key) = map.next_key::<String>()? {
            if key == "runs" {
                has_runs = true;
                map.next_value_seed(Runs(&mut *self.0))?;
            } else {
                map.next_value::<IgnoredAny>()?;
            }
        }
        if has_runs { Ok(()) } else { Err(serde::de::Error::custom("it holds no runs")) }
    }
}

struct Runs<'a>(&'a mut Findings);

impl<'de> DeserializeSeed<'de> for Runs<'_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_seq(self)
    }
}

impl<'de> Visitor<'de> for Runs<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a list of runs")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut runs: A) -> Result<(), A::Error> {
        while let Some(run) = runs.next_element_seed(RunSeed)? {
            self.0.close(run);
        }
        Ok(())
    }
}

/// One run. Rules may stand behind the results that need them, so that levels are resolved at its end.
#[derive(Default)]
struct Run {
    tool: Option<String>,
    rules: Vec<Rule>,
    by_id: BTreeMap<String, usize>,
    findings: Vec<Pending>,
    counted: BTreeMap<(Option<Level>, Option<usize>), u64>,
    suppressed: u64,
    failed: bool,
}

struct Rule {
    id: String,
    /// None: the rule's findings are no findings by default.
    level: Option<Level>,
    severity: Option<u16>,
    description: String,
}

struct Pending {
    rule: String,
    rule_index: Option<usize>,
    level: Option<Level>,
    message: String,
    file: Option<String>,
    line: Option<u32>,
}

struct RunSeed;

impl<'de> DeserializeSeed<'de> for RunSeed {
    type Value = Run;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Run, D::Error> {
        deserializer.deserialize_map(self)
    }
}

impl<'de> Visitor<'de> for RunSeed {
    type Value = Run;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a run")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Run, A::Error> {
        let mut run = Run::default();
        while let Some(key) = map.next_key::<String>()? {
            match key.as_str() {
                "tool" => {
                    let tool: RawTool = map.next_value()?;
                    run.tool = tool.driver.name.as_deref().map(|name| shortened(&clean(name), 100));
                    tool.driver.rules.unwrap_or_default().into_iter().take(MOST_RULES).for_each(|rule| run.rule(rule));
                }
                "results" => map.next_value_seed(Each::new(|result: RawResult| run.result(result)))?,
                "invocations" => map.next_value_seed(Each::new(|invocation: RawInvocation| {
                    run.failed |= invocation.execution_successful == Some(false);
                }))?,
                _ => drop(map.next_value::<IgnoredAny>()?),
            }
        }
        Ok(run)
    }
}

/// A level by its word; `none` is no finding.
fn level(word: &str) -> Option<Option<Level>> {
    match word {
        "error" => Some(Some(Level::Error)),
        "warning" => Some(Some(Level::Warning)),
        "note" => Some(Some(Level::Note)),
        "none" => Some(None),
        _ => None,
    }
}

impl Run {
    fn rule(&mut self, raw: RawRule) {
        let said = raw.default_configuration.and_then(|configuration| configuration.level);
        let severity = raw.properties.and_then(|properties| properties.severity).and_then(|severity| match severity {
            serde_json::Value::String(text) => text.trim().parse::<f64>().ok(),
            other => other.as_f64(),
        });
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "clamped to what fits")]
        let severity = severity.map(|severity| (severity.clamp(0.0, 10.0) * 10.0).round() as u16);
        let description = raw.short_description.and_then(|description| description.text).unwrap_or_default();
        let id = shortened(&clean(&raw.id), 200);
        self.by_id.entry(id.clone()).or_insert(self.rules.len());
        self.rules.push(Rule {
            id,
            level: said.as_deref().and_then(level).unwrap_or(Some(Level::Warning)),
            severity,
            description: line(&description),
        });
    }

    fn result(&mut self, raw: RawResult) {
        // Results of other kinds say what was checked, not what is wrong (§3.27.9); absent ones are of the past.
        let is_finding = raw.kind.as_deref().is_none_or(|kind| kind == "fail");
        if !is_finding || raw.baseline_state.as_deref() == Some("absent") {
            return;
        }
        // A suppression counts unless it waits for a decision or was refused (§3.35.2).
        let accepted = |entry: &RawSuppression| entry.status.as_deref().is_none_or(|status| status == "accepted");
        if raw.suppressions.unwrap_or_default().iter().any(accepted) {
            self.suppressed += 1;
            return;
        }
        let said = raw.level.as_deref().and_then(level);
        if said == Some(None) {
            return;
        }
        let reference = raw.rule.as_ref();
        let index =
            raw.rule_index.or(reference.and_then(|rule| rule.index)).and_then(|index| usize::try_from(index).ok());
        let id = raw.rule_id.or_else(|| reference.and_then(|rule| rule.id.clone())).unwrap_or_default();
        let rule = shortened(&clean(&id), 200);
        if self.findings.len() >= 3 * KEPT {
            let index = index.or_else(|| self.by_id.get(&rule).copied());
            *self.counted.entry((said.flatten(), index)).or_default() += 1;
            return;
        }
        let place = raw.locations.unwrap_or_default().into_iter().find_map(|location| location.physical_location);
        let (artifact, region) = place.map(|place| (place.artifact_location, place.region)).unwrap_or_default();
        self.findings.push(Pending {
            rule,
            rule_index: index,
            level: said.flatten(),
            message: line(&raw.message.and_then(|message| message.text).unwrap_or_default()),
            file: artifact.and_then(|artifact| artifact.uri).map(|uri| path(&uri)),
            line: region.and_then(|region| u32::try_from(region.start_line?).ok()).filter(|line| *line > 0),
        });
    }
}

fn line(text: &str) -> String {
    let clean = clean(text);
    let words: Vec<&str> = clean.split_whitespace().collect();
    shortened(&words.join(" "), LONGEST_TEXT)
}

/// A path out of a URI: without `file://`, with its escapes resolved.
fn path(uri: &str) -> String {
    let uri = uri.strip_prefix("file://").unwrap_or(uri);
    let decoded = percent_encoding::percent_decode_str(uri).decode_utf8_lossy();
    shortened(&clean(&decoded).replace('\n', " "), LONGEST_TEXT)
}

#[cfg(test)]
mod tests;
