//! Purpose: ECR's own scanner, in every state that it has a word for.

use serde_json::{Value, json};

use super::support::Landfall;
use super::world::ecr::host;
use super::world::scans::Scan;
use super::world::{Fault, Skin, World};
use super::{done, error, failing};

fn finding(id: &str, severity: &str) -> Value {
    json!({ "name": id, "severity": severity, "uri": format!("https://example.com/{id}"),
        "attributes": [{ "key": "package_name", "value": "zlib" }, { "key": "package_version", "value": "1.2.11" }] })
}

/// A world with the image `web:v1` and what ECR knows of it.
fn world(scan: Scan) -> World {
    let world = World::start_blocking();
    world.state().images.image("web:v1");
    world.state().scans.insert("web:v1".into(), scan);
    world
}

fn scan(world: &World) -> Landfall {
    let image = format!("{}/web:v1", host(&world.state()));
    Landfall::new("scan").envs(world.aws_env()).inputs(&[
        ("provider", "ecr"),
        ("image", &image),
        ("poll_interval", "50ms"),
    ])
}

fn now(world: &World) -> f64 {
    world.state().clock.seconds()
}

fn complete(findings: Vec<Value>) -> Scan {
    Scan { statuses: vec!["COMPLETE".into()], findings, completed_at: 4_000_000_000.0, ..Scan::default() }
}

#[test]
fn a_scan_under_way_is_waited_for_and_all_pages_are_read() {
    let findings = (0..25).map(|number| finding(&format!("CVE-2024-{number}"), "MEDIUM"));
    let mut all: Vec<Value> = findings.collect();
    all.push(finding("CVE-2025-1", "CRITICAL"));
    let waiting = ["PENDING", "IN_PROGRESS", "COMPLETE"].map(str::to_owned).to_vec();
    let world = world(Scan { statuses: waiting, page: 10, ..complete(all) });
    let outcome = failing(scan(&world), 3, "findings");
    let counts = ["passed", "critical", "high", "medium", "low", "blocking"].map(|name| outcome.output(name));
    assert_eq!(counts, ["false", "1", "0", "25", "0", "1"]);
    assert!(error(&outcome).contains("CVE-2025-1 in zlib 1.2.11"), "{}", error(&outcome));
    world.finish();
}

#[test]
fn an_image_that_was_never_scanned_is_scanned() {
    let world = world(Scan::default());
    let outcome = done(scan(&world));
    assert_eq!([outcome.output("passed"), outcome.output("reason")], ["true", "clean"]);
    assert_eq!(world.take_writes(), ["ecr StartImageScan web:v1"]);
    insta::assert_snapshot!(outcome.report());
    world.finish();
}

#[test]
fn a_scan_that_is_too_old_is_done_anew_and_only_the_new_one_counts() {
    let old = Scan { completed_at: 1_000_000_000.0, ..complete(vec![]) };
    // ECR shows the old result once more before the new one begins.
    let lagging = Scan { after_start: ["IN_PROGRESS", "COMPLETE"].map(str::to_owned).to_vec(), ..old.clone() };
    let world = world(lagging);
    done(scan(&world));
    assert_eq!(world.take_writes(), ["ecr StartImageScan web:v1"]);
    done(scan(&world));
    assert!(world.take_writes().is_empty());
    world.state().scans.insert("web:v1".into(), Scan { refuses: Some("LimitExceededException".into()), ..old.clone() });
    done(scan(&world));
    world.state().scans.insert("web:v1".into(), old);
    done(scan(&world).input("max_age", "36500d"));
    assert!(now(&world) > 0.0 && world.take_writes().is_empty());
    world.finish();
}

#[test]
fn enhanced_findings_are_read() {
    let enhanced = json!({ "severity": "HIGH", "status": "ACTIVE", "fixAvailable": "YES",
        "packageVulnerabilityDetails": { "vulnerabilityId": "CVE-2024-9", "sourceUrl": "https://example.com/9",
            "vulnerablePackages": [{ "name": "lodash", "version": "4.17.0", "fixedInVersion": "4.17.21", "filePath": "app/package-lock.json" }] } });
    let world = world(Scan { statuses: vec!["ACTIVE".into()], enhanced: vec![enhanced], ..Scan::default() });
    let outcome = failing(scan(&world).input("report", "out/scan.json"), 3, "findings");
    let report: Value =
        serde_json::from_slice(&std::fs::read(outcome.workspace().join("out/scan.json")).unwrap()).unwrap();
    assert_eq!(report["findings"][0]["fixed"], "4.17.21");
    assert_eq!(report["passed"], false);
    done(scan(&world).input("severity", "critical"));
    world.finish();
}

#[test]
fn what_is_no_result_is_never_clean() {
    for (status, reason) in [
        ("UNSUPPORTED_IMAGE", "scan-unsupported"),
        ("SCAN_ELIGIBILITY_EXPIRED", "scan-expired"),
        ("FAILED", "scan-failed"),
        ("FINDINGS_UNAVAILABLE", "scan-failed"),
        ("SOMETHING_NEW", "scan-failed"),
    ] {
        let world = world(Scan { statuses: vec![status.into()], description: "because".into(), ..Scan::default() });
        let outcome = failing(scan(&world), 1, reason);
        assert!(error(&outcome).contains(&format!("ECR says {status} (because)")), "{}", error(&outcome));
        assert!(!outcome.has_output("passed"));
        world.finish();
    }
}

/// The image for `linux/arm64` has a finding, the other one has none.
fn an_index(statuses: &[&str]) -> World {
    let world = World::start_blocking();
    {
        let mut state = world.state();
        let digest = state.images.index("web:v1");
        let index: Value = serde_json::from_str(&state.images.repositories["web"].manifests[&digest].text).unwrap();
        for image in index["manifests"].as_array().unwrap() {
            let findings = match image["platform"]["architecture"].as_str() {
                Some("arm64") => vec![finding("CVE-2026-1", "CRITICAL")],
                _ => Vec::new(),
            };
            state.scans.insert(format!("web:{}", image["digest"].as_str().unwrap()), complete(findings));
        }
        let statuses = statuses.iter().map(|status| (*status).to_owned()).collect();
        state.scans.insert("web:v1".into(), Scan { statuses, ..Scan::default() });
    }
    world.explain_writes();
    world
}

#[test]
fn of_an_index_the_image_for_a_platform_is_scanned() {
    // Basic scanning knows nothing of an index; enhanced scanning says that it is none of its business.
    for statuses in [&[][..], &["UNSUPPORTED_IMAGE"]] {
        let world = an_index(statuses);
        let outcome = done(scan(&world));
        assert!(outcome.raw.contains("is an index; its image sha256:"), "{}", outcome.raw);
        let outcome = failing(scan(&world).input("platform", "linux/arm64"), 3, "findings");
        assert_eq!(outcome.output("critical"), "1");
        let outcome = failing(scan(&world).input("platform", "windows/amd64"), 1, "scan-unsupported");
        assert!(error(&outcome).contains("only for linux/amd64, linux/arm64"), "{}", error(&outcome));
        world.finish();
    }
}

#[test]
fn a_scan_that_does_not_end_runs_out_of_time() {
    let world = world(Scan { statuses: vec!["IN_PROGRESS".into()], ..Scan::default() });
    let outcome = failing(scan(&world).input("timeout", "1s"), 1, "timeout");
    assert!(!outcome.has_output("passed"));
    // Whether a question was open at that moment differs from run to run.
    let asked =
        regex::Regex::new(r"; (it still waited for|the last that it asked was) ecr:\w+ on image \S+/web:v1").unwrap();
    let said = asked.replace(&error(&outcome), "").into_owned();
    insta::assert_snapshot!(said.replace(&host(&world.state()), "<host>"));
    world.finish();
}

#[test]
fn denials_and_absence_are_told_apart() {
    let world = world(complete(vec![]));
    world.fault(Fault::on(Skin::Ecr).target("DescribeImageScanFindings").nth(1).error("AccessDeniedException", "no"));
    failing(scan(&world), 5, "aws-forbidden");
    let image = format!("{}/web:v2", host(&world.state()));
    failing(scan(&world).input("image", &image), 1, "image-not-found");
    world.fault(Fault::on(Skin::Ecr).target("DescribeImageScanFindings").status(500));
    failing(scan(&world), 4, "aws-unavailable");
    world.finish();
}
