//! Purpose: reports of both scanners, the gate, the ignore file and SARIF.

use jiff::civil::date;
use proptest::prelude::*;
use serde_json::json;

use super::*;

const TRIVY: &str = r#"{
  "SchemaVersion": 2, "ArtifactName": "app", "Novel": {"deep": [1]},
  "Metadata": {"OS": {"Family": "alpine", "Name": "3.15.0", "EOSL": true}},
  "Results": [
    {"Target": "app (alpine 3.15.0)", "Class": "os-pkgs", "Type": "alpine", "Vulnerabilities": [
      {"VulnerabilityID": "CVE-2022-1", "PkgName": "zlib", "InstalledVersion": "1.2.11", "FixedVersion": "1.2.12",
       "Severity": "CRITICAL", "Title": "overflow", "PrimaryURL": "https://x/1", "CVSS": {"nvd": {"V3Score": 9.8}}},
      {"VulnerabilityID": "CVE-2022-1", "PkgName": "zlib", "InstalledVersion": "1.2.11", "FixedVersion": "1.2.12",
       "Severity": "CRITICAL", "Title": "overflow", "PrimaryURL": "https://x/1"},
      {"VulnerabilityID": "CVE-2023-2", "PkgName": "busybox", "InstalledVersion": "1", "Severity": "HIGH"}]},
    {"Target": "", "Class": "lang-pkgs", "Type": "gobinary", "Vulnerabilities": [
      {"VulnerabilityID": "GHSA-a", "PkgName": "yaml", "PkgPath": "usr/bin/app", "InstalledVersion": "2", "FixedVersion": "3",
       "Severity": "terrible"}]},
    {"Target": "x", "Class": "secret", "Secrets": [{"RuleID": "aws"}]}
  ]}"#;

fn trivy() -> Scan {
    serde_json::from_str::<TrivyReport>(TRIVY).unwrap().scan()
}

fn gate(severities: &[Severity]) -> Gate {
    Gate {
        severities: severities.to_vec(),
        unfixed: Unfixed::Counts,
        ignore: IgnoreList::default(),
        today: date(2026, 11, 24),
    }
}

#[test]
fn trivys_report_becomes_ours() {
    let scan = trivy();
    assert_eq!((scan.system.as_deref(), scan.end_of_life, scan.examined), (Some("alpine 3.15.0"), true, true));
    let found: Vec<_> =
        scan.findings.iter().map(|found| (found.severity, found.id.as_str(), found.place.as_str())).collect();
    assert_eq!(
        found,
        [
            (Severity::Critical, "CVE-2022-1", "app (alpine 3.15.0)"),
            (Severity::High, "CVE-2023-2", "app (alpine 3.15.0)"),
            (Severity::Unknown, "GHSA-a", "usr/bin/app"),
        ]
    );
    assert_eq!(counts(&scan.findings)[&Severity::Critical], 1);
    let nothing: TrivyReport = serde_json::from_str(r#"{"SchemaVersion": 2, "Results": null}"#).unwrap();
    assert!(!nothing.scan().examined);
}

#[test]
fn ecrs_states_are_told_apart_and_what_is_new_is_no_result() {
    let state = |status: &str| {
        EcrScan::of(&json!({ "imageScanStatus": { "status": status, "description": "why" } })).unwrap().state
    };
    assert_eq!((state("COMPLETE"), state("ACTIVE")), (EcrState::Ready, EcrState::Ready));
    assert_eq!((state("PENDING"), state("IN_PROGRESS")), (EcrState::Pending, EcrState::Pending));
    for status in ["FAILED", "UNSUPPORTED_IMAGE", "SCAN_ELIGIBILITY_EXPIRED", "FINDINGS_UNAVAILABLE", "NOVEL"] {
        assert_eq!(state(status), EcrState::Never { status: status.into(), description: "why".into() });
    }
    assert_eq!(EcrScan::of(&json!({})), None);
}

#[test]
fn ecrs_findings_become_ours_page_by_page() {
    let basic = json!({ "imageScanStatus": { "status": "COMPLETE" }, "imageScanFindings": {
        "imageScanCompletedAt": 1_700_000_000.5,
        "findings": [{ "name": "CVE-1", "severity": "HIGH", "uri": "https://x", "description": "bad",
            "attributes": [{ "key": "package_name", "value": "zlib" }, { "key": "package_version", "value": "1" }] }] } });
    let enhanced = json!({ "imageScanFindings": { "enhancedFindings": [
        { "severity": "CRITICAL", "status": "ACTIVE", "title": "CVE-2 - a", "fixAvailable": "YES",
          "packageVulnerabilityDetails": { "vulnerabilityId": "CVE-2", "sourceUrl": "https://y",
            "vulnerablePackages": [{ "name": "a", "version": "1", "fixedInVersion": "2", "filePath": "app/a.jar" }] } },
        { "severity": "INFORMATIONAL", "status": "SUPPRESSED", "fixAvailable": "NO",
          "packageVulnerabilityDetails": { "vulnerabilityId": "CVE-3",
            "vulnerablePackages": [{ "name": "b", "version": "1", "fixedInVersion": "NotAvailable", "packageManager": "OS" }] } },
        { "severity": "HIGH", "status": "CLOSED", "packageVulnerabilityDetails": { "vulnerabilityId": "CVE-4" } }] } });
    let mut scan = EcrScan::of(&basic).unwrap();
    assert_eq!(scan.completed_at, Some(1_700_000_000));
    assert_eq!(scan.add(&enhanced), 3);
    let scan = scan.scan();
    let found: Vec<_> =
        scan.findings.iter().map(|f| (f.severity, f.id.as_str(), f.fixed.as_deref(), f.place.as_str())).collect();
    assert_eq!(
        found,
        [
            (Severity::Critical, "CVE-2", Some("2"), "app/a.jar"),
            (Severity::High, "CVE-1", None, "system packages"),
            (Severity::Unknown, "CVE-3", None, "OS"),
        ]
    );
}

#[test]
fn a_gate_counts_what_it_is_told_to() {
    let scan = trivy();
    let verdicts =
        |gate: &Gate| gate.judge_all(&scan.findings).into_iter().map(|judged| judged.verdict).collect::<Vec<_>>();
    let strict = gate(&[Severity::Critical, Severity::High]);
    assert_eq!(verdicts(&strict), [Verdict::Stops, Verdict::Stops, Verdict::Below]);
    let fixed_only = Gate { unfixed: Unfixed::Passes, ..strict.clone() };
    assert_eq!(verdicts(&fixed_only), [Verdict::Stops, Verdict::Unfixed, Verdict::Below]);
    let ignore =
        IgnoreList::lines("CVE-2022-1 exp:2026-11-24 # not reachable\nCVE-2023-2 exp:2026-11-23 # late\nCVE-9")
            .unwrap();
    assert_eq!(ignore.expired(&scan.findings, strict.today).len(), 1);
    assert_eq!(ignore.unused(&scan.findings)[0].id, "CVE-9");
    let lenient = Gate { ignore, ..strict };
    assert_eq!(
        verdicts(&lenient),
        [Verdict::Accepted("not reachable (until 2026-11-24)".into()), Verdict::Stops, Verdict::Below]
    );
}

#[test]
fn an_entry_may_be_narrow() {
    let scan = trivy();
    let accepts = |line: &str| {
        let list = IgnoreList::lines(line).unwrap();
        scan.findings.iter().filter(|finding| list.accepting(finding, date(2026, 1, 1)).is_some()).count()
    };
    for (line, expected) in [
        ("CVE-2022-1", 1),
        ("CVE-2022-1 pkg:zlib", 1),
        ("CVE-2022-1 pkg:other", 0),
        ("GHSA-a path:usr/bin/*", 1),
        ("GHSA-a path:opt/**", 0),
        ("cve-2022-1", 0),
        ("CVE-2022", 0),
    ] {
        assert_eq!(accepts(line), expected, "{line}");
    }
}

#[test]
fn ignore_files_say_what_is_wrong_line_by_line() {
    let errors = IgnoreList::lines("# all\nCVE-1 exp:soon\n\nCVE-2 because\n").unwrap_err();
    let said: Vec<String> = errors.iter().map(ToString::to_string).collect();
    assert_eq!(
        said,
        [
            "line 2: 'soon' is not a date; write YYYY-MM-DD",
            "line 4: 'because' is neither exp:YYYY-MM-DD, pkg:<name>, path:<glob> nor a # reason",
        ]
    );
    let yaml =
        "vulnerabilities:\n  - id: CVE-2022-1\n    expired_at: 2026-12-31\n    statement: why\n    paths: ['app*']\n";
    let list = IgnoreList::yaml(yaml).unwrap();
    assert!(list.accepting(&trivy().findings[0], date(2026, 12, 31)).is_some());
    assert!(IgnoreList::yaml("vulnerabilities: [{idd: x}]").is_err());
    assert!(IgnoreList::yaml("vulnerabilities: [{id: x, expired_at: soon}]").is_err());
}

#[test]
fn sarif_has_what_code_scanning_wants() {
    let mut gate = gate(&[Severity::Critical]);
    gate.ignore = IgnoreList::lines("CVE-2022-1 # known").unwrap();
    let log = sarif("Trivy", "1", "registry.example:5000/app:v1", &gate.judge_all(&trivy().findings));
    let run = &log["runs"][0];
    assert_eq!(log["version"], "2.1.0");
    assert_eq!(run["tool"]["driver"]["rules"].as_array().unwrap().len(), 3);
    let first = &run["results"][0];
    assert_eq!(run["tool"]["driver"]["rules"][0]["properties"]["security-severity"], "9.5");
    assert_eq!(first["suppressions"][0]["justification"], "known");
    assert_eq!(
        first["locations"][0]["physicalLocation"]["artifactLocation"]["uri"],
        "registry.example%3A5000/app%3Av1"
    );
    let of_binary = &run["results"][2]["locations"][0]["physicalLocation"]["artifactLocation"]["uri"];
    assert_eq!(of_binary, "usr/bin/app");
}

proptest! {
    /// Whatever the file says, only what it names is accepted, and an accepted finding never stops anything.
    #[test]
    fn nothing_is_accepted_by_accident(text in "(CVE-[0-9]{1,2}( exp:20[0-9]{2}-01-01)?\n){0,6}", number in 0u32..100) {
        let list = IgnoreList::lines(&text).unwrap();
        let finding = Finding { id: format!("CVE-{number}"), ..trivy().findings[0].clone() };
        let today = date(2026, 6, 1);
        let named = text.lines().any(|line| {
            let (id, until) = line.split_once(" exp:").unwrap_or((line, "2999-01-01"));
            id == finding.id && until >= "2026-06-01"
        });
        prop_assert_eq!(list.accepting(&finding, today).is_some(), named);
    }
}
