//! Purpose: the verdict on a scan: outputs, files, table, and one annotation when it says no.

use std::collections::BTreeMap;
use std::io::Write as _;
use std::path::Path;

use serde_json::{Value, json};

use super::settings::Settings;
use super::{Outputs, Scanned, gate};
use crate::commands::framework::Verdict;
use crate::commands::run::Run;
use crate::contract::values::Flag;
use crate::domain::markdown::{Markdown, code, escaped, link};
use crate::domain::scan::{Judged, Severity, Verdict as Judgement, counts, sarif};
use crate::runner::{Failure, Kind};

/// Rows of the table of findings; the report has all of them.
const SHOWN: usize = 100;
/// Findings that the log names.
const LOGGED: usize = 25;

/// Judges, writes what was asked for, and says what came of it.
pub(super) fn judge(
    settings: &Settings,
    scanned: &Scanned,
    run: &Run,
    outputs: &mut Outputs,
) -> Result<Verdict, Failure> {
    let judged = gate(settings).judge_all(&scanned.scan.findings);
    let stops: Vec<&Judged> = judged.iter().filter(|judged| judged.verdict == Judgement::Stops).collect();
    let counted = counts(&scanned.scan.findings);
    let number = |severity| Some(counted.get(&severity).copied().unwrap_or_default());
    outputs.critical = number(Severity::Critical);
    outputs.high = number(Severity::High);
    outputs.medium = number(Severity::Medium);
    outputs.low = number(Severity::Low);
    outputs.blocking = Some(stops.len());
    let accepted = |judged: &&Judged| matches!(judged.verdict, Judgement::Accepted(_));
    outputs.ignored = Some(judged.iter().filter(accepted).count());
    remarks(settings, scanned, run);
    say(&stops, &judged, &counted, run);
    files(settings, scanned, &judged, outputs)?;
    // Only now: without the files that were asked for, nothing has passed.
    outputs.passed = Some(Flag(stops.is_empty()));
    run.summary.section(section(settings, scanned, &judged, &counted));
    if stops.is_empty() { Ok(Verdict::Success("clean")) } else { Err(refused(settings, &stops)) }
}

/// Entries of the ignore file that somebody has to look at.
fn remarks(settings: &Settings, scanned: &Scanned, run: &Run) {
    let (gate, file) = (gate(settings), settings.ignore_file.as_deref().unwrap_or("the ignore file"));
    for entry in gate.ignore.expired(&scanned.scan.findings, gate.today) {
        let until = entry.until.as_deref().unwrap_or("earlier");
        run.log
            .warn("Exception expired", format!("{} in {file} was accepted until {until} and counts again", entry.id));
    }
    for entry in gate.ignore.unused(&scanned.scan.findings) {
        run.log.info(format!("{} in {file} is not found any more; the entry can go", entry.id));
    }
}

fn say(stops: &[&Judged], judged: &[Judged], counted: &BTreeMap<Severity, usize>, run: &Run) {
    let group = run.log.group(format!("Findings: {}", in_words(counted)));
    for judged in stops.iter().take(LOGGED) {
        run.log.info(line(judged));
    }
    if stops.len() > LOGGED {
        run.log.info(format!("and {} more", stops.len() - LOGGED));
    }
    for judged in judged {
        if let Judgement::Accepted(reason) = &judged.verdict {
            run.log.info(format!("accepted: {} in {}: {reason}", judged.finding.id, judged.finding.package));
        }
    }
    drop(group);
}

fn line(judged: &Judged) -> String {
    let finding = &judged.finding;
    let fixed = finding.fixed.as_deref().map_or("no fix yet".to_owned(), |fixed| format!("fixed in {fixed}"));
    format!("{} {}: {} {}, {fixed}", finding.severity, finding.id, finding.package, finding.installed)
}

fn in_words(counted: &BTreeMap<Severity, usize>) -> String {
    let words: Vec<String> = counted
        .iter()
        .filter(|(_, count)| **count > 0)
        .map(|(severity, count)| format!("{count} {}", severity.word().to_lowercase()))
        .collect();
    if words.is_empty() { "none".to_owned() } else { words.join(", ") }
}

fn refused(settings: &Settings, stops: &[&Judged]) -> Failure {
    let owned: Vec<_> = stops.iter().map(|judged| judged.finding.clone()).collect();
    let worst: Vec<String> = owned
        .iter()
        .take(3)
        .map(|finding| format!("{} in {} {}", finding.id, finding.package, finding.installed))
        .collect();
    let more = if owned.len() > worst.len() { ", …" } else { "" };
    let message = format!(
        "{} has {} findings that stop it: {}{more}",
        settings.image,
        in_words(&counts(&owned)),
        worst.join(", ")
    );
    let fixable = owned.iter().filter(|finding| finding.fixed.is_some()).count();
    let failure = Failure::new(Kind::Gate, "findings", "Vulnerabilities found", message);
    let failure = if fixable > 0 {
        failure
            .hint(format!("{fixable} of {} can be fixed by an update; the summary says to which version.", owned.len()))
    } else {
        failure.hint("There is no fix for any of them yet; `ignore_unfixed: true` lets such findings pass.")
    };
    failure.hint("To accept a finding for a while, put `<id> exp:YYYY-MM-DD # reason` into the ignore file.")
}

/// Writes the files that were asked for.
fn files(settings: &Settings, scanned: &Scanned, judged: &[Judged], outputs: &mut Outputs) -> Result<(), Failure> {
    let image = settings.image.to_string();
    if let Some(target) = &settings.sarif {
        write(&target.path, &sarif(scanned.tool, &scanned.version, &image, judged))?;
        outputs.sarif = Some(target.given.clone());
    }
    if let Some(target) = &settings.report {
        write(&target.path, &whole(settings, scanned, judged))?;
        outputs.report = Some(target.given.clone());
    }
    Ok(())
}

/// The whole report in our own form, the same for every scanner.
fn whole(settings: &Settings, scanned: &Scanned, judged: &[Judged]) -> Value {
    let words = |counted: BTreeMap<Severity, usize>| {
        counted.into_iter().map(|(severity, count)| (severity.word().to_lowercase(), count)).collect::<BTreeMap<_, _>>()
    };
    let stops = judged.iter().filter(|judged| judged.verdict == Judgement::Stops);
    json!({
        "schema": 1,
        "image": settings.image.to_string(),
        "scanner": { "name": scanned.tool, "version": scanned.version },
        "system": scanned.scan.system,
        "end_of_life": scanned.scan.end_of_life,
        "gate": settings.gate.severities,
        "passed": stops.clone().next().is_none(),
        "counts": words(counts(&scanned.scan.findings)),
        "blocking": words(counts(stops.map(|judged| &judged.finding))),
        "findings": judged,
    })
}

fn write(path: &Path, content: &Value) -> Result<(), Failure> {
    let written = || -> std::io::Result<()> {
        if let Some(parent) = path.parent() {
            std::fs::create_dir_all(parent)?;
        }
        let mut file = std::io::BufWriter::new(std::fs::File::create(path)?);
        serde_json::to_writer_pretty(&mut file, content)?;
        file.write_all(b"\n")?;
        file.flush()
    };
    written().map_err(|error| {
        Failure::new(Kind::Work, "disk", "Report not written", format!("{} cannot be written", path.display()))
            .hint("Check the path, and the free space of the runner.")
            .caused_by(error)
    })
}

/// The section of the job summary.
fn section(settings: &Settings, scanned: &Scanned, judged: &[Judged], counted: &BTreeMap<Severity, usize>) -> String {
    let stops: Vec<&Judged> = judged.iter().filter(|judged| judged.verdict == Judgement::Stops).collect();
    let title = if stops.is_empty() { "Image scan: passed" } else { "Image scan: stopped" };
    let system = scanned.scan.system.as_deref().map(|system| format!(", {}", escaped(system))).unwrap_or_default();
    let about = format!("{} by {}{system}", code(&settings.image.to_string()), scanned.tool);
    let blocking: Vec<_> = stops.iter().map(|judged| judged.finding.clone()).collect();
    let blocking = counts(&blocking);
    let rows = counted.iter().map(|(severity, count)| {
        vec![
            severity.word().to_owned(),
            count.to_string(),
            blocking.get(severity).copied().unwrap_or_default().to_string(),
        ]
    });
    let mut section = Markdown::new().heading(3, title).raw(&about).table(&["Severity", "Found", "Stop it"], rows);
    if !stops.is_empty() {
        section = section.table(&COLUMNS, stops.iter().take(SHOWN).map(|judged| row(judged)));
        if stops.len() > SHOWN {
            section = section.paragraph(&format!("And {} more; the report has all of them.", stops.len() - SHOWN));
        }
    }
    let accepted = judged.iter().filter_map(|judged| match &judged.verdict {
        Judgement::Accepted(reason) => {
            Some(vec![code(&judged.finding.id), code(&judged.finding.package), escaped(reason)])
        }
        _ => None,
    });
    let accepted: Vec<_> = accepted.take(SHOWN).collect();
    if !accepted.is_empty() {
        let inside = Markdown::new().table(&["Finding", "Package", "Reason"], accepted);
        section = section.details("Accepted", &inside);
    }
    section.into_string()
}

const COLUMNS: [&str; 6] = ["Severity", "Finding", "Package", "Installed", "Fixed in", "Where"];

fn row(judged: &Judged) -> Vec<String> {
    let finding = &judged.finding;
    let id = finding.url.as_ref().map_or_else(|| code(&finding.id), |url| link(&finding.id, url));
    let fixed = finding.fixed.as_deref().map_or_else(|| "no fix yet".to_owned(), code);
    vec![
        finding.severity.word().to_owned(),
        id,
        code(&finding.package),
        code(&finding.installed),
        fixed,
        escaped(&finding.place),
    ]
}

/// The section when there is no result.
pub(super) fn no_result(settings: &Settings, failure: &Failure) -> String {
    Markdown::new()
        .heading(3, "Image scan: no result")
        .raw(&format!("{} does not pass without one.", code(&settings.image.to_string())))
        .paragraph(&failure.explained())
        .into_string()
}
