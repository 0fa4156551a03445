//! Purpose: coverage of real tools, of several jobs, and of nobody.

use proptest::prelude::*;

use super::*;

fn coverage(texts: &[&str]) -> Result<Coverage, ReadError> {
    let mut coverage = Coverage::default();
    for text in texts {
        read(text.as_bytes(), &["/github/workspace/"], &mut coverage)?;
    }
    Ok(coverage)
}

fn ratio(covered: u64, all: u64) -> Ratio {
    Ratio { covered, all }
}

const COBERTURA: &str = r#"<?xml version="1.0" ?>
<!DOCTYPE coverage SYSTEM 'http://cobertura.sourceforge.net/xml/coverage-04.dtd'>
<coverage version="7.3.2" lines-valid="4" lines-covered="3" line-rate="0.75" branches-covered="1" branches-valid="2">
<sources><source>/home/runner/work/app/app</source></sources><packages><package name="app"><classes>
<class name="pool.py" filename="app/pool.py"><methods><method name="f"><lines><line number="1" hits="1"/></lines></method></methods>
<lines><line number="1" hits="1"/><line number="2" hits="99999999999999999999" branch="true" condition-coverage="50% (1/2)"/><line number="70" hits="0"/></lines></class>
<class name="b" filename="app/b.py"><lines><line number="3" hits="4"/></lines></class></classes></package></packages></coverage>"#;

#[test]
fn cobertura_counts_each_line_once() {
    let found = coverage(&[COBERTURA]).unwrap();
    assert_eq!((found.lines(), found.branches()), (ratio(3, 4), ratio(1, 2)));
    assert_eq!(percent(found.lines().basis_points().unwrap()), "75.00");
    assert_eq!(found.least_covered(9), [FileCoverage { path: "app/pool.py".into(), lines: ratio(2, 3) }]);
    let plain = coverage(&["<coverage lines-valid='10' lines-covered='7'/>"]).unwrap();
    assert_eq!(plain.lines(), ratio(7, 10));
}

#[test]
fn jacoco_takes_lines_and_else_counters() {
    let found = coverage(&[r#"<?xml version="1.0"?><!DOCTYPE report PUBLIC "-//JACOCO//DTD Report 1.1//EN" "report.dtd"><report name="app">
<package name="com/acme"><class name="com/acme/A" sourcefilename="A.java"><counter type="LINE" missed="9" covered="9"/></class>
<sourcefile name="A.java"><line nr="3" mi="0" ci="2" mb="1" cb="1"/><line nr="4" mi="2" ci="0" mb="0" cb="0"/><counter type="LINE" missed="1" covered="1"/></sourcefile>
<sourcefile name="B.kt"><counter type="INSTRUCTION" missed="6" covered="2"/></sourcefile></package><counter type="LINE" missed="1" covered="1"/></report>"#]).unwrap();
    assert_eq!((found.lines(), found.branches()), (ratio(1 + 2, 2 + 8), ratio(1, 2)));
    assert_eq!(found.least_covered(1)[0].path, "com/acme/B.kt");
}

#[test]
fn clover_and_lcov() {
    let found = coverage(&[r#"<coverage generated="1"><project><package name="p"><file name="a.ts" path="/github/workspace/src/a.ts">
<metrics statements="2"/><line num="1" count="1" type="stmt"/><line num="2" count="0" type="stmt"/><line num="3" type="cond" truecount="1" falsecount="0"/></file></package></project></coverage>"#]).unwrap();
    assert_eq!((found.lines(), found.branches()), (ratio(2, 3), ratio(1, 2)));
    assert_eq!(found.least_covered(1)[0].path, "src/a.ts");

    let found = coverage(&["TN:\nSF:/github/workspace/src/a.js\nFN:1,f\nDA:1,5\nDA:2,0,checksum\nBRDA:2,0,0,-\nBRDA:2,0,1,3\nLF:2\nLH:1\nend_of_record\nSF:b.js\nLF:4\nLH:9\nend_of_record\n"]).unwrap();
    assert_eq!((found.lines(), found.branches()), (ratio(5, 6), ratio(1, 2)));
}

#[test]
fn jobs_are_joined_line_by_line() {
    let first = "SF:a\nDA:1,1\nDA:2,0\nend_of_record\n";
    let second = "SF:./a\nDA:1,0\nDA:2,1\nDA:3,0\nend_of_record\n";
    assert_eq!(coverage(&[first, second]).unwrap().lines(), ratio(2, 3));
}

#[test]
fn what_measures_nothing_is_no_coverage() {
    let said = |text: &str| coverage(&[text]).unwrap_err().to_string();
    assert_eq!(said("  \n"), "is empty: the tool that writes it probably did not finish");
    assert_eq!(said("mode: set\na.go:1.2,3.4 1 1\n"), "is not Cobertura, JaCoCo, Clover or LCOV");
    assert_eq!(said("hello"), "is not Cobertura, JaCoCo, Clover or LCOV");
    assert!(said("<coverage/>").contains("nothing was measured"));
    assert!(said("SF:a\nDA:1,1\n").contains("ends inside"));
    assert!(said("<testsuites/>").starts_with("holds <testsuites>, not"));
    let absurd = (1..100).map(|number| format!("DA:{},1\n", number * 4_000_000_000_u64)).collect::<String>();
    assert!(said(&format!("SF:a\n{absurd}end_of_record\n")).contains("nothing was measured"));
}

#[test]
fn a_hundred_per_cent_means_all() {
    assert_eq!(ratio(99_999, 100_000).basis_points(), Some(9999));
    assert_eq!(ratio(0, 0).basis_points(), None);
}

proptest! {
    /// The union of reports is what a set of lines computes.
    #[test]
    fn joining_is_a_union(reports in proptest::collection::vec(proptest::collection::vec((0_u8..3, 1_u64..200, any::<bool>()), 1..30), 1..4)) {
        let mut expected: BTreeMap<(u8, u64), bool> = BTreeMap::new();
        let mut texts = Vec::new();
        for report in &reports {
            let mut text = String::new();
            for (file, line, hit) in report {
                *expected.entry((*file, *line)).or_default() |= hit;
                text.push_str(&format!("SF:f{file}\nDA:{line},{}\nend_of_record\n", u8::from(*hit)));
            }
            texts.push(text);
        }
        let texts: Vec<&str> = texts.iter().map(String::as_str).collect();
        let lines = coverage(&texts).unwrap().lines();
        let count = |covered: bool| u64::try_from(expected.values().filter(|hit| **hit || !covered).count()).unwrap();
        prop_assert_eq!(lines, ratio(count(true), count(false)));
    }

    #[test]
    fn any_text_ends(text in "(SF:|DA:|BRDA:|end_of_record|[0-9]|,|-|\n|x){0,60}") {
        let _ = coverage(&[&text]);
    }
}
