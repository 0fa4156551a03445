//! Purpose: what people read, and what hostile names make of it.

use proptest::prelude::*;

use super::*;
use crate::domain::report::place::Place;
use crate::domain::report::{coverage, passage, plan, sarif};

const JUNIT: &str = r#"<testsuites><testsuite name="unit">
<testcase classname="tests.unit.test_pool" name="test_claim[a|b]" time="0.5"><failure message="AssertionError: assert 1 == 2">def test():
&gt;   assert 1 == 2

tests/unit/test_pool.py:12: AssertionError</failure><system-out>claimed 1 of 2</system-out></testcase>
<testcase classname="tests.unit.test_pool" name="test_broken"><error message="ImportError: no module named 'app'"/></testcase>
<testcase classname="tests.unit.test_pool" name="test_slow" time="71.2"/><testcase name="later"><skipped/></testcase>
<testcase classname="T" name="sometimes"><flakyFailure/></testcase></testsuite></testsuites>"#;

const PLAN: &str = r#"{"format_version":"1.2","terraform_version":"1.9.8","resource_changes":[
{"address":"aws_ecs_service.app","mode":"managed","change":{"actions":["update"],"before":{"desired_count":1},"after":{"desired_count":2},"before_sensitive":{},"after_sensitive":{}}},
{"address":"aws_db_instance.main[\"eu\"]","mode":"managed","action_reason":"replace_because_cannot_update","change":{"actions":["delete","create"],"before":{"engine":"postgres","password":"x"},"after":{"engine":"mysql","password":"y"},"after_unknown":{"arn":true},"before_sensitive":{},"after_sensitive":{},"replace_paths":[["engine"]]}},
{"address":"aws_s3_bucket.old","mode":"managed","action_reason":"delete_because_no_resource_config","change":{"actions":["delete"],"before":null,"after":null}}],
"output_changes":{"url":{"actions":["create"],"before":null,"after":"https://app.example","before_sensitive":false,"after_sensitive":false}},
"resource_drift":[{"address":"aws_ecs_service.app","mode":"managed","change":{"actions":["update"]}}]}"#;

const SARIF: &str = r#"{"runs":[{"tool":{"driver":{"name":"tfsec","rules":[{"id":"AWS018","properties":{"security-severity":"8.5"}}]}},"results":[
{"ruleId":"AWS018","level":"error","message":{"text":"Missing description for security group | rule"},"locations":[{"physicalLocation":{"artifactLocation":{"uri":"terraform/main.tf"},"region":{"startLine":7}}}]},
{"ruleId":"AWS002","level":"warning","message":{"text":"No logging"}}]}]}"#;

fn origin() -> Origin {
    Origin {
        run_url: Some("https://github.com/acme/app/actions/runs/1000".into()),
        blob_url: Some("https://github.com/acme/app/blob/0123456789abcdef0123456789abcdef01234567".into()),
        commit: Some("0123456".into()),
    }
}

fn all() -> Reports {
    let mut tests = junit::Tests::default();
    junit::read(JUNIT.as_bytes(), &mut tests).unwrap();
    tests.failed.kept[0].place = Some(Place { file: "tests/unit/test_pool.py".into(), line: 12 });
    let totals = tests.totals;
    let mut coverage = Coverage::default();
    coverage::read(&b"SF:app/pool.py\nDA:1,1\nDA:2,1\nDA:3,0\nend_of_record\n"[..], &[], &mut coverage).unwrap();
    let mut findings = Findings::default();
    sarif::read(SARIF.as_bytes(), &mut findings).unwrap();
    let file = |path: &str| FileTests { path: path.into(), totals };
    Reports {
        tests: Some(tests),
        test_files: vec![file("unit/junit.xml"), file("integration/junit.xml")],
        coverage: Some(coverage),
        min_coverage: Some(8000),
        plans: vec![("plan.json".into(), plan::read(PLAN.as_bytes()).unwrap())],
        findings: Some(findings),
        passages: vec![("notes.md".into(), passage::passage("Thanks, @octocat\n"))],
        problems: vec!["the report late.xml is empty".into()],
    }
}

#[test]
fn everything_at_once() {
    insta::assert_snapshot!(all().sections("Results", &origin()).concat());
}

#[test]
fn nothing_wrong_is_short() {
    let mut tests = junit::Tests::default();
    junit::read(&b"<testsuite><testcase name='a' time='0.06'/></testsuite>"[..], &mut tests).unwrap();
    let reports = Reports { tests: Some(tests), ..Reports::default() };
    insta::assert_snapshot!(reports.sections("Unit tests", &Origin::default()).concat(), @r"
    ### ✅ Unit tests

    - ✅ **Tests:** 1 passed in 0.06s
    ");
}

#[test]
fn times_are_short() {
    for (micros, said) in [(60_000, "0.06s"), (12_345_678, "12.3s"), (72_000_000, "1m 12s"), (7_500_000_000, "2h 5m")] {
        assert_eq!(duration(micros), said);
    }
}

proptest! {
    /// Whatever a test is called, no HTML comment, no mention and no heading of its own comes out.
    #[test]
    fn names_cannot_break_out(name in "(<!--|-->|`|@team|\\||</details>|\n# x|<b>|a|\u{1b}\\[1m){1,12}") {
        let mut tests = junit::Tests::default();
        let attribute = name.replace('&', "&amp;").replace('<', "&lt;").replace('"', "&quot;").replace('\n', "&#10;");
        let xml = format!("<testsuite><testcase classname=\"c\" name=\"{attribute}\"><failure message=\"{attribute}\"/></testcase></testsuite>");
        junit::read(xml.as_bytes(), &mut tests).unwrap();
        let reports = Reports { tests: Some(tests), ..Reports::default() };
        let text = reports.sections("T", &Origin::default()).concat();
        let outside: Vec<&str> = text.lines().filter(|line| line.starts_with("<details>")).collect();
        prop_assert_eq!(outside.len(), 1, "{}", &text);
        prop_assert!(!outside[0].contains("<!--") && !outside[0].contains('@') && !outside[0].contains("<b>"), "{}", outside[0]);
        // A fence ends at a line of the very ticks that opened it; shorter runs are part of the message.
        let mut fence = None;
        for line in text.lines() {
            match fence {
                Some(ticks) if line == ticks => fence = None,
                Some(_) => {}
                None if line.starts_with("```") => fence = Some(line.trim_end_matches("text")),
                None => prop_assert!(!line.starts_with("# "), "{}", &text),
            }
        }
        prop_assert_eq!(fence, None, "{}", &text);
    }
}
