//! Purpose: figures against a second computation that shares nothing with the first.

use std::collections::{BTreeMap, BTreeSet};

use proptest::prelude::*;

use super::*;

const START: i64 = 1_750_000_000;

fn moment(seconds: i64) -> Moment {
    Moment::of(jiff::Timestamp::from_second(START + seconds).unwrap())
}

fn outcomes() -> impl Strategy<Value = Outcome> {
    prop_oneof![
        5 => Just(Outcome::Success),
        3 => Just(Outcome::Failure),
        1 => Just(Outcome::Cancelled),
        1 => Just(Outcome::Skipped)
    ]
}

fn facts() -> impl Strategy<Value = Option<JobFacts>> {
    let tally = || (0u64..3, 0u64..3).prop_map(|(success, failure)| Tally { success, failure });
    let facts = (0u64..4000, 0u64..3, tally(), tally())
        .prop_map(|(execution_seconds, builds, pull, cleanup)| JobFacts { execution_seconds, builds, pull, cleanup });
    proptest::option::of(facts)
}

prop_compose! {
    fn records()(all in proptest::collection::vec(
        (0u64..500, 1u64..4, 0usize..3, 0usize..6, outcomes(), 0i64..900_000, 0i64..4000, facts()), 0..60,
    )) -> Vec<Record> {
        let record = |(id, attempt, workflow, commit, outcome, start, length, jobs): (_, _, usize, usize, _, _, i64, Option<JobFacts>)| Record {
            id,
            attempt,
            workflow: format!("w{workflow}"),
            event: "push".into(),
            branch: Some("main".into()),
            commit: format!("{commit:040}"),
            outcome,
            started_at: moment(start),
            ended_at: moment(start + length),
            jobs: jobs.map(|facts| JobFacts { execution_seconds: facts.execution_seconds.min(length.unsigned_abs()), ..facts }),
        };
        all.into_iter().map(record).collect()
    }
}

/// The smallest value such that at least `share` of all are not larger: by trying each, not by rank.
fn percentile(values: &[u64], share: f64) -> u64 {
    let enough = |value: &&u64| {
        values.iter().filter(|other| other <= value).count() as f64 >= share * values.len() as f64 - 1e-9
    };
    *values.iter().filter(enough).min().unwrap()
}

fn close(a: f64, b: f64) -> bool {
    (a - b).abs() <= 1e-6 * a.abs().max(b.abs()).max(1.0)
}

proptest! {
    #[test]
    fn figures_equal_a_second_computation(records in records()) {
        let figures = Figures::of(&records);
        let durations: Vec<u64> = records.iter().filter(|r| r.outcome == Outcome::Success)
            .map(|r| (r.ended_at.seconds() - r.started_at.seconds()).unsigned_abs()).collect();
        prop_assert_eq!(figures.runs, figures.success + figures.failure + figures.cancelled + figures.skipped);
        match figures.duration {
            None => prop_assert!(durations.is_empty()),
            Some(spread) => {
                prop_assert_eq!(spread.p50, percentile(&durations, 0.5));
                prop_assert_eq!(spread.p95, percentile(&durations, 0.95));
                let mean = durations.iter().map(|d| *d as f64).sum::<f64>() / durations.len() as f64;
                prop_assert!(close(spread.mean, mean));
                prop_assert!(spread.min <= spread.p50 && spread.p50 <= spread.p95 && spread.p95 <= spread.max);
            }
        }
        let judged = records.iter().filter(|r| matches!(r.outcome, Outcome::Success | Outcome::Failure)).count();
        let failed = records.iter().filter(|r| r.outcome == Outcome::Failure).count();
        match figures.failure_rate {
            None => prop_assert_eq!(judged, 0),
            Some(rate) => prop_assert!(close(rate, failed as f64 / judged as f64 * 100.0)),
        }
        let days: u64 = figures.days.iter().map(|day| day.success + day.failure).sum();
        prop_assert_eq!(days, judged as u64);
        if let (Some(execution), Some(queue)) = (figures.execution, figures.queue) {
            let known: Vec<f64> = records.iter().filter(|r| r.outcome == Outcome::Success && r.jobs.is_some())
                .map(|r| r.duration() as f64).collect();
            prop_assert!(close(execution.mean + queue.mean, known.iter().sum::<f64>() / known.len() as f64));
        }
    }

    #[test]
    fn the_order_of_records_does_not_matter(mut records in records()) {
        let mut seen = BTreeSet::new();
        records.retain(|record| seen.insert(record.id));
        let reversed = records.iter().rev().cloned().collect();
        prop_assert_eq!(Report::of("a/b", moment(0), moment(0), records), Report::of("a/b", moment(0), moment(0), reversed));
    }

    #[test]
    fn builds_equal_a_second_computation(records in records()) {
        let found = builds_per_commit(&records);
        let any_step = records.iter().any(|r| r.jobs.is_some_and(|jobs| jobs.builds > 0));
        let mut counts: BTreeMap<&str, u64> = BTreeMap::new();
        for record in &records {
            let builds = if any_step {
                record.jobs.map_or(0, |jobs| jobs.builds)
            } else {
                u64::from(matches!(record.outcome, Outcome::Success | Outcome::Failure))
            };
            for _ in 0..builds { *counts.entry(&record.commit).or_default() += 1; }
        }
        prop_assert_eq!(found.builds, counts.values().sum::<u64>());
        prop_assert_eq!(found.redundant, counts.values().map(|n| n - 1).sum::<u64>());
        prop_assert_eq!(found.most_redundant, counts.values().map(|n| n - 1).max().unwrap_or(0));
    }

    #[test]
    fn seconds_covered_by_jobs_are_those_in_which_one_runs(spans in proptest::collection::vec((0i64..200, 0i64..60), 0..12)) {
        let jobs: Vec<JobSpan> = spans.iter().map(|(start, length)| JobSpan {
            name: "job".into(), started_at: Some(moment(*start)), ended_at: Some(moment(start + length)),
            outcome: Outcome::Success, steps: Vec::new(),
        }).collect();
        let one_by_one = (0..300).filter(|second| spans.iter().any(|(start, length)| (*start..start + length).contains(second))).count();
        prop_assert_eq!(job_facts(&jobs, &StepPatterns::default()).execution_seconds, one_by_one as u64);
    }

    #[test]
    fn every_image_has_one_class_and_every_blob_is_counted_once(
        images in proptest::collection::vec((proptest::collection::vec("(pr-|feature-|sha-|v|x)[0-9]{1,3}", 0..3),
            proptest::collection::vec((0u8..10, 1u64..9), 0..5), any::<bool>()), 0..30)
    ) {
        let sizes: BTreeMap<u8, u64> = images.iter().flat_map(|(_, layers, _)| layers.iter().copied()).collect();
        let stored: Vec<StoredImage> = images.iter().enumerate().map(|(index, (tags, layers, known))| StoredImage {
            digest: format!("sha256:{index}"),
            tags: tags.clone(),
            size: if *known { ImageSize::Layers(layers.iter().map(|(name, _)| Layer(name.to_string(), sizes[name])).collect()) } else { ImageSize::Unknown },
        }).collect();
        let figures = ImageFigures::of("x", &stored, &usual());
        prop_assert_eq!(figures.total, stored.len() as u64);
        prop_assert_eq!(figures.classes.values().map(|class| class.images).sum::<u64>(), figures.total);
        prop_assert_eq!(figures.classes.values().map(|class| class.bytes).sum::<u64>(), figures.bytes);
        let blobs: BTreeSet<u8> = images.iter().filter(|(.., known)| *known).flat_map(|(_, layers, _)| layers.iter().map(|l| l.0)).collect();
        prop_assert_eq!(figures.bytes, blobs.iter().map(|name| sizes[name]).sum::<u64>());
        prop_assert_eq!(figures.unmeasured, images.iter().filter(|(.., known)| !known).count() as u64);
    }

    #[test]
    fn a_report_survives_its_file(records in records()) {
        let report = Report::of("acme/app", moment(0), moment(-5), records);
        let text = serde_json::to_string(&report).unwrap();
        let read: Report = serde_json::from_str(&text).unwrap();
        prop_assert_eq!(&read.runs, &report.runs);
        // Figures may lose their last bit on the way through decimals; they follow from the runs.
        prop_assert_eq!(Report::of("acme/app", moment(0), moment(-5), read.runs), report);
    }

    #[test]
    fn a_report_compared_with_itself_is_the_same(records in records()) {
        let report = Report::of("acme/app", moment(0), moment(0), records);
        let comparison = compare(&report, &report, &Regressions::default());
        prop_assert!(comparison.changes.iter().all(|c| matches!(c.verdict, Verdict::Same | Verdict::Unknown)));
    }

    #[test]
    fn swapping_before_and_after_swaps_better_and_worse(before in records(), after in records()) {
        let report = |records| Report::of("acme/app", moment(0), moment(0), records);
        let (before, after) = (report(before), report(after));
        let there = compare(&before, &after, &Regressions::default());
        let back = compare(&after, &before, &Regressions::default());
        for (one, other) in there.changes.iter().zip(&back.changes) {
            let worse = |verdict| matches!(verdict, Verdict::Worse | Verdict::Regression);
            prop_assert_eq!(one.verdict == Verdict::Better, worse(other.verdict), "{:?} {:?}", one, other);
        }
    }
}

fn usual() -> Classes {
    Classes::read(Classes::USUAL.map(|(name, patterns)| (name, patterns.to_vec()))).unwrap()
}

#[test]
fn an_image_belongs_to_its_most_lasting_tag() {
    let classes = usual();
    for (tags, class) in [
        (&[][..], "untagged"),
        (&["pr-12-abc1234"], "pr"),
        (&["pr-12-abc1234", "feature-x-abc1234"], "feature"),
        (&["sha-abc1234", "latest"], "release"),
        (&["abc1234"], "sha"),
        (&["0123456789abcdef0123456789abcdef01234567"], "sha"),
        (&["nightly-2026-01-01"], "nightly"),
        (&["1.2.3"], "release"),
        (&["v1.2"], "release"),
        (&["vendor"], "other"),
    ] {
        assert_eq!(classes.of(tags), class, "{tags:?}");
    }
}

#[test]
fn steps_are_known_by_their_names_and_jobs_only_without_such_a_step() {
    let step = |name: &str, outcome| StepFact { name: name.into(), outcome };
    let job = |name: &str, outcome, steps| JobSpan {
        name: name.into(),
        started_at: Some(moment(0)),
        ended_at: Some(moment(60)),
        outcome,
        steps,
    };
    let patterns = StepPatterns {
        build: NamePatterns::read(StepPatterns::BUILD).unwrap(),
        pull: NamePatterns::read(StepPatterns::PULL).unwrap(),
        cleanup: NamePatterns::read(StepPatterns::CLEANUP).unwrap(),
    };
    let jobs = [
        job(
            "build",
            Outcome::Failure,
            vec![
                step("Build Docker image", Outcome::Success),
                step("Post Run landfall-ci/landfall/actions/build@v1", Outcome::Success),
                step("Run landfall-ci/landfall/actions/pull@v1", Outcome::Failure),
                step("Pull image again", Outcome::Skipped),
            ],
        ),
        job("Prune old images", Outcome::Success, Vec::new()),
        job("Cleanup", Outcome::Skipped, Vec::new()),
    ];
    let facts = job_facts(&jobs, &patterns);
    assert_eq!(facts.builds, 1);
    assert_eq!(facts.pull, Tally { success: 0, failure: 1 });
    assert_eq!(facts.cleanup, Tally { success: 1, failure: 0 });
}

#[test]
fn a_value_at_its_limit_breaks_nothing() {
    let record = |id, outcome, minutes: i64| Record {
        id,
        attempt: 1,
        workflow: "CI".into(),
        event: "push".into(),
        branch: None,
        commit: "a".repeat(40),
        outcome,
        started_at: moment(0),
        ended_at: moment(minutes * 60),
        jobs: None,
    };
    let mut runs: Vec<Record> = (0..19).map(|id| record(id, Outcome::Success, 20)).collect();
    runs.push(record(19, Outcome::Failure, 1));
    let limits = Thresholds { max_build_time: Some(1200), max_failure_rate: Some(5.0), ..Thresholds::default() };
    let report = Report::of("a/b", moment(0), moment(0), runs.clone());
    assert_eq!(limits.breaches(&report), []);
    runs.push(record(20, Outcome::Failure, 1));
    runs.push(record(21, Outcome::Success, 90));
    let breaches = limits.breaches(&Report::of("a/b", moment(0), moment(0), runs));
    let named: Vec<(&str, &str)> = breaches.iter().map(|b| (b.threshold.as_str(), b.subject.as_str())).collect();
    assert_eq!(named, [("max_build_time", "CI"), ("max_failure_rate", "CI")]);
}

#[test]
fn a_trend_needs_enough_runs_and_compares_halves() {
    let runs = |lengths: &[i64]| {
        let run = |(id, length): (usize, &i64)| Record {
            id: id as u64,
            attempt: 1,
            workflow: "CI".into(),
            event: "push".into(),
            branch: None,
            commit: "a".repeat(40),
            outcome: Outcome::Success,
            started_at: moment(id as i64 * 86_400),
            ended_at: moment(id as i64 * 86_400 + length),
            jobs: None,
        };
        Figures::of(&lengths.iter().enumerate().map(run).collect::<Vec<_>>()).trend
    };
    assert_eq!(runs(&[100; 7]), None);
    assert_eq!(runs(&[100, 100, 100, 100, 150, 150, 150, 150]), Some(50.0));
    assert_eq!(runs(&[200, 200, 200, 200, 9999, 100, 100, 100, 100]), Some(-50.0));
}

#[test]
fn charts_hold_no_markup_of_others() {
    let day = |date: &str, p50| Day { date: date.into(), success: 1, failure: 2, p50 };
    let days = [day("2026-01-01", Some(600)), day("2026-01-02", None), day("2026-01-03", Some(300))];
    insta::assert_snapshot!(duration_chart(&days).unwrap());
    insta::assert_snapshot!(durations_svg("acme/app <script>", &days));
    assert!(duration_chart(&days[..2]).is_none());
    let mut images = ImageFigures::default();
    images.classes.insert("x\"]\n  bar [1".into(), ClassFigures { images: 3, bytes: 0 });
    // Colours, kind, title, two axes, bars.
    assert_eq!(image_chart(&[images]).unwrap().lines().count(), 6);
}
