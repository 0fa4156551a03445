//! Purpose: JUnit files of real tools and of nobody's.

use proptest::prelude::*;

use super::*;

fn tests_of(text: &str) -> Tests {
    let mut tests = Tests::default();
    read(text.as_bytes(), &mut tests).unwrap();
    tests
}

fn counts(tests: &Tests) -> (u64, u64, u64, u64, u64) {
    let Totals { tests, failures, errors, skipped, flaky, .. } = tests.totals;
    (tests, failures, errors, skipped, flaky)
}

#[test]
fn pytest() {
    let tests = tests_of(
        r#"<?xml version="1.0" encoding="utf-8"?><testsuites name="pytest tests"><testsuite name="pytest" errors="1" failures="1" skipped="1" tests="4" time="0.062" timestamp="2025-10-08T09:00:00" hostname="runner">
<testcase classname="tests.unit.test_pool" name="test_claim" time="0.001" />
<testcase classname="tests.unit.test_pool" name="test_release" time="0.002"><failure message="AssertionError: assert 1 == 2&#10; +  where 1 = len([3])">def test_release():
&gt;       assert len([3]) == 2
E       assert 1 == 2

tests/unit/test_pool.py:12: AssertionError</failure><system-out>claimed &#27;[31mx&#27;[0m</system-out></testcase>
<testcase classname="tests.unit.test_pool" name="test_later" time="0.0"><skipped type="pytest.skip" message="not yet">x</skipped></testcase>
<testcase classname="" name="tests.unit.test_broken" time="0.0"><error message="collection failure">ImportError: no module named app</error></testcase>
</testsuite></testsuites>"#,
    );
    assert_eq!(counts(&tests), (4, 1, 1, 1, 0));
    assert_eq!(tests.totals.micros, 3000);
    assert_eq!(tests.slowest[0], ("tests.unit.test_pool › test_release".to_owned(), 2000));
    let failed = &tests.failed.kept[0];
    assert_eq!(failed.message, "AssertionError: assert 1 == 2 + where 1 = len([3])");
    assert!(failed.text.ends_with("tests/unit/test_pool.py:12: AssertionError"));
    assert_eq!(failed.output, "claimed x");
    assert_eq!(tests.failed.kept[1].title(), "pytest › tests.unit.test_broken");
}

#[test]
fn surefire_reruns_and_nested_suites() {
    let tests = tests_of(
        r#"<testsuites><testsuite name="outer" tests="3" failures="1"><testsuite name="inner" tests="2" failures="1">
<testcase classname="com.acme.AppTest" name="flaky" time="0.1"><flakyFailure message="once"><stackTrace>at x</stackTrace><system-out>o</system-out></flakyFailure></testcase>
<testcase classname="com.acme.AppTest" name="bad" time="1,000.5"><failure type="java.lang.AssertionError">at AppTest.java:7</failure><rerunFailure message="again"/><rerunFailure/></testcase>
</testsuite><testcase name="direct" classname="com.acme.B"/></testsuite></testsuites>"#,
    );
    assert_eq!(counts(&tests), (3, 1, 0, 0, 1));
    assert_eq!(tests.flaky.kept, ["com.acme.AppTest › flaky"]);
    let failed = &tests.failed.kept[0];
    assert_eq!((failed.message.as_str(), failed.reruns), ("java.lang.AssertionError", 2));
    assert_eq!(tests.totals.micros, 1_000_600_000);
}

#[test]
fn googletest_and_others_skip_by_attribute() {
    let tests = tests_of(
        r#"<testsuites><testsuite name="S"><testcase name="a" status="notrun" result="suppressed" classname="S"/>
<testcase name="b" status="run" result="completed" file="a_test.cc" line="9"><failure message="one">1</failure><failure message="two">2</failure></testcase></testsuite></testsuites>"#,
    );
    assert_eq!(counts(&tests), (2, 1, 0, 1, 0));
    let failed = &tests.failed.kept[0];
    assert_eq!((failed.message.as_str(), failed.text.as_str()), ("one", "1\n\n2"));
    assert_eq!((failed.file.as_deref(), failed.line), (Some("a_test.cc"), Some(9)));
    assert_eq!(failed.title(), "S › b");
}

#[test]
fn failures_that_no_test_shows_are_counted_once() {
    let tests = tests_of(
        r#"<testsuites tests="1" failures="0" errors="2"><testsuite name="crashed" tests="0" errors="1"/>
<testsuite name="outer" errors="1"><testsuite name="inner" errors="1"/><testcase name="fine"/></testsuite></testsuites>"#,
    );
    assert_eq!(counts(&tests), (3, 0, 2, 0, 0));
    let names: Vec<&str> = tests.failed.kept.iter().map(|failed| failed.name.as_str()).collect();
    assert_eq!(names, ["crashed", "inner"]);
}

#[test]
fn what_is_read_before_the_end_counts() {
    let mut tests = Tests::default();
    let error = read(&b"<testsuite><testcase name='a'/><testcase name='b'><failure>"[..], &mut tests).unwrap_err();
    assert!(matches!(error, ReadError::Unfinished { ref element } if element == "failure"));
    assert_eq!(tests.totals.tests, 1);
    let error = read(&b"<coverage/>"[..], &mut tests).unwrap_err();
    assert_eq!(error.to_string(), "holds <coverage>, not the <testsuites> or <testsuite> of a JUnit report");
}

#[test]
fn names_and_texts_are_bounded() {
    let long = "x".repeat(1_000_000);
    let case = format!(
        "<testcase name='{long}' classname='{long}'><failure message='{long}'>{long}</failure><system-out>{long}</system-out></testcase>"
    );
    let tests = tests_of(&format!("<testsuite>{}</testsuite>", case.repeat(3)));
    let failed = &tests.failed.kept[0];
    assert!(failed.name.len() < 400 && failed.text.len() <= LONGEST_TEXT && failed.output.len() <= LONGEST_OUTPUT);
    let many = "<testcase name='n'><failure/></testcase>".repeat(FAILED_KEPT + 5);
    let tests = tests_of(&format!("<testsuite>{many}</testsuite>"));
    assert_eq!((tests.failed.kept.len(), tests.failed.left_out), (FAILED_KEPT, 5));
    assert_eq!(tests.totals.failures, tests.failed.count());
}

proptest! {
    /// Every test is counted exactly once, whatever the nesting.
    #[test]
    fn counts_add_up(outcomes in proptest::collection::vec(0_u8..5, 0..40), depth in 1_usize..6) {
        let inner: Vec<String> = outcomes.iter().enumerate().map(|(number, outcome)| {
            let content = ["", "<failure/>", "<error message='e'/>", "<skipped/>", "<flakyError/>"][usize::from(*outcome)];
            let case = format!("<testcase name='t{number}'>{content}</testcase>");
            let nested = number % depth;
            format!("{}{case}{}", "<testsuite>".repeat(nested), "</testsuite>".repeat(nested))
        }).collect();
        let tests = tests_of(&format!("<testsuites>{}</testsuites>", inner.concat()));
        let of = |wanted| u64::try_from(outcomes.iter().filter(|outcome| **outcome == wanted).count()).unwrap();
        let all = u64::try_from(outcomes.len()).unwrap();
        prop_assert_eq!(counts(&tests), (all, of(1), of(2), of(3), of(4)));
        prop_assert_eq!(tests.totals.passed(), of(0) + of(4));
    }

    #[test]
    fn any_markup_ends(text in "(<testsuite>|</testsuite>|<testcase name='a'>|</testcase>|<failure>|</failure>|<skipped/>|&|x|]]>|<!\\[CDATA\\[){0,40}") {
        let _ = read(text.as_bytes(), &mut Tests::default());
    }
}
