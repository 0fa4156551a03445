//! Purpose: findings as SARIF 2.1.0, for code scanning and everything else that reads it.
//!
//! GitHub wants for each result a rule with help and `security-severity`, a location with a relative path, and a
//! fingerprint that stays (GitHub documentation, "SARIF support for code scanning").

use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::{Judged, Severity, Verdict};

/// A log of one run. `tool` is who scanned; `image` the reference, whose repository stands for a file where a finding has
/// none. Findings that are accepted are in it as suppressed.
#[must_use]
pub fn sarif(tool: &str, version: &str, image: &str, findings: &[Judged]) -> Value {
    let mut rules: BTreeMap<&str, usize> = BTreeMap::new();
    let (mut described, mut results) = (Vec::new(), Vec::new());
    for judged in findings {
        let at = *rules.entry(&judged.finding.id).or_insert_with(|| {
            described.push(rule(judged));
            described.len() - 1
        });
        results.push(result(judged, at, image));
    }
    json!({
        "$schema": "https://json.schemastore.org/sarif-2.1.0.json",
        "version": "2.1.0",
        "runs": [{
            "tool": { "driver": { "name": tool, "version": version, "rules": described } },
            "results": results,
            "columnKind": "utf16CodeUnits",
            "properties": { "image": image },
        }],
    })
}

fn rule(judged: &Judged) -> Value {
    let finding = &judged.finding;
    let title = if finding.title.is_empty() { &finding.id } else { &finding.title };
    let mut rule = json!({
        "id": finding.id,
        "name": "VulnerablePackage",
        "shortDescription": { "text": title },
        "fullDescription": { "text": title },
        "help": { "text": help(judged) },
        "defaultConfiguration": { "level": level(finding.severity) },
        "properties": { "security-severity": score(finding.severity), "tags": ["vulnerability", "security", finding.severity.word()] },
    });
    if let Some(url) = &finding.url {
        rule["helpUri"] = json!(url);
    }
    rule
}

fn help(judged: &Judged) -> String {
    let finding = &judged.finding;
    let fixed = finding.fixed.as_deref().map_or("there is no fix yet".to_owned(), |fixed| format!("fixed in {fixed}"));
    format!("{} in {} {}: {fixed}", finding.id, finding.package, finding.installed)
}

fn result(judged: &Judged, rule: usize, image: &str) -> Value {
    let finding = &judged.finding;
    let mut result = json!({
        "ruleId": finding.id,
        "ruleIndex": rule,
        "level": level(finding.severity),
        "message": { "text": help(judged) },
        "locations": [{ "physicalLocation": {
            "artifactLocation": { "uri": uri(&finding.place, image) },
            "region": { "startLine": 1 },
        } }],
        "partialFingerprints": { "landfall/v1": format!("{}:{}:{}", finding.id, finding.package, finding.place) },
    });
    if let Verdict::Accepted(reason) = &judged.verdict {
        result["suppressions"] = json!([{ "kind": "external", "justification": reason }]);
    }
    result
}

/// A relative path: a file in the image, else the image's repository.
fn uri(place: &str, image: &str) -> String {
    let without_tag = image.split('@').next().unwrap_or(image);
    let path = if place.contains('/') && !place.contains(' ') { place } else { without_tag };
    let path = path.trim_start_matches('/');
    percent_encoding::utf8_percent_encode(path, UNSAFE).to_string()
}

/// Everything that a path of a URI may not hold as it is (RFC 3986, section 3.3), and the colon, which would make the
/// first segment a scheme.
const UNSAFE: &percent_encoding::AsciiSet = &percent_encoding::CONTROLS
    .add(b' ')
    .add(b'"')
    .add(b'#')
    .add(b'<')
    .add(b'>')
    .add(b'?')
    .add(b'`')
    .add(b'{')
    .add(b'}')
    .add(b'%')
    .add(b':')
    .add(b'[')
    .add(b']')
    .add(b'\\')
    .add(b'^')
    .add(b'|');

fn level(severity: Severity) -> &'static str {
    match severity {
        Severity::Critical | Severity::High => "error",
        Severity::Medium => "warning",
        Severity::Low | Severity::Unknown => "note",
    }
}

/// GitHub's bands: over 9.0 critical, 7.0 high, 4.0 medium, 0.1 low.
fn score(severity: Severity) -> &'static str {
    match severity {
        Severity::Critical => "9.5",
        Severity::High => "8.0",
        Severity::Medium => "5.5",
        Severity::Low => "2.0",
        Severity::Unknown => "0.0",
    }
}
