//! Purpose: logs of real scanners, levels that come from rules, and lists without end.

use proptest::prelude::*;
use serde_json::{Value, json};

use super::*;

fn findings(document: &Value) -> Findings {
    let mut findings = Findings::default();
    read(document.to_string().as_bytes(), &mut findings).unwrap();
    findings
}

fn log(rules: &Value, results: &Value) -> Value {
    json!({ "version": "2.1.0", "runs": [{ "results": results, "tool": { "driver": { "name": "Trivy", "rules": rules } } }] })
}

#[test]
fn levels_come_from_the_result_then_the_rule_then_the_standard() {
    let found = findings(&log(
        &json!([
            { "id": "CVE-1", "defaultConfiguration": { "level": "error" }, "properties": { "security-severity": "9.8" }, "shortDescription": { "text": "bad" } },
            { "id": "CVE-2", "defaultConfiguration": { "level": "none" } },
            { "id": "CVE-3", "defaultConfiguration": { "level": "error" }, "properties": { "security-severity": 9.9 } },
        ]),
        &json!([
            { "ruleId": "CVE-1", "ruleIndex": 0, "message": { "text": "" }, "locations": [{ "physicalLocation": { "artifactLocation": { "uri": "file:///src/a%20b.tf" }, "region": { "startLine": 3 } } }] },
            { "ruleId": "CVE-1", "level": "note", "message": { "text": "x\ny" } },
            { "ruleId": "CVE-2", "message": { "text": "off" } },
            { "rule": { "id": "CVE-3", "index": 2 }, "message": { "text": "worse" } },
            { "ruleId": "unheard", "message": { "text": "default" } },
            { "ruleId": "CVE-1", "level": "none" },
            { "ruleId": "CVE-1", "kind": "pass" },
            { "ruleId": "CVE-1", "baselineState": "absent" },
            { "ruleId": "CVE-1", "suppressions": [{ "kind": "inSource" }] },
            { "ruleId": "CVE-1", "suppressions": [{ "kind": "external", "status": "rejected" }], "message": { "text": "still" } },
        ]),
    ));
    let said: Vec<String> = found
        .iter()
        .map(|f| format!("{} {} {:?} {} {:?}:{:?}", f.level.word(), f.rule, f.severity, f.message, f.file, f.line))
        .collect();
    insta::assert_snapshot!(said.join("\n"), @r#"
    error CVE-3 Some(99) worse None:None
    error CVE-1 Some(98) bad Some("/src/a b.tf"):Some(3)
    error CVE-1 Some(98) still None:None
    warning unheard None default None:None
    note CVE-1 Some(98) x y None:None
    "#);
    assert_eq!((found.counts, found.suppressed), ([3, 1, 1], 1));
}

#[test]
fn a_tool_that_failed_says_so_and_an_empty_log_is_clean() {
    let found = findings(
        &json!({ "runs": [{ "tool": { "driver": { "name": "tfsec" } }, "invocations": [{ "executionSuccessful": false }] }] }),
    );
    assert_eq!((found.total(), found.failed_tools), (0, vec!["tfsec".to_owned()]));
    let mut none = Findings::default();
    assert!(read(&b"{}"[..], &mut none).is_err());
    assert!(read(&b"{\"runs\": []} x"[..], &mut none).is_err());
    assert!(read(&b""[..], &mut none).is_err());
}

#[test]
fn lists_without_end_are_counted() {
    let results: Vec<Value> =
        (0..2000).map(|number| json!({ "ruleId": format!("r{}", number % 2), "message": { "text": "m" } })).collect();
    let found = findings(&log(&json!([{ "id": "r0", "defaultConfiguration": { "level": "error" } }]), &json!(results)));
    // The rules stand behind the results here; only those that are kept can be resolved by name.
    assert_eq!(found.total(), 2000);
    assert!(found.iter().count() <= 3 * KEPT);
    assert_eq!(found.kept.iter().map(Bounded::count).sum::<u64>(), 2000);
}

proptest! {
    #[test]
    fn any_json_ends(text in "(\\{|\\}|\\[|\\]|\"runs\"|\"results\"|\"tool\"|:|,|1|\"a\"){0,40}") {
        let _ = read(text.as_bytes(), &mut Findings::default());
    }
}
