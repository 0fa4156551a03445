//! Purpose: Trivy's part played by a script in an image, on the real engine.

use serde_json::Value;

use super::engine::{self, base, build, context, dead_registry, request, unique, variable};
use super::support::Landfall;
use super::{done, error, failing};
use landfall::services::buildkit::{Builder, Logins};
use landfall::services::toolbox::LABEL;

/// Plays what `$STUB` says, and tells what it was given.
const SCRIPT: &str = r#"#!/bin/sh
exec >&2 # as Trivy's log
for word in "$@"; do
  case "$word" in --output=*) out="${word#--output=}" ;; --input) tar=yes ;; esac
  last="$word"
done
echo "INFO [vulndb] Downloading vulnerability DB..."
echo "scanning $last"
[ -z "$tar" ] || tar -tf "$last" | grep -c manifest.json
[ -z "$TRIVY_USERNAME" ] || echo "as $TRIVY_USERNAME with ${#TRIVY_PASSWORD} characters"
case "$STUB" in
  crash) echo "FATAL panic: nil map" >&2; exit 2 ;;
  database) echo "FATAL Fatal error run error: init error: DB error: failed to download vulnerability DB" >&2; exit 1 ;;
  unsupported) echo "FATAL unable to open image.tar: unrecognized format" >&2; exit 1 ;;
  silent) exit 0 ;;
  garbage) echo '{"SchemaVersion": 2, "Results": [' > "$out" ;;
  old) echo '[]' > "$out" ;;
  hang) echo hanging; sleep 600 ;;
  *) cat "/reports/$STUB.json" > "$out" ;;
esac
"#;

const FINDINGS: &str = r#"{"SchemaVersion": 2, "Metadata": {"OS": {"Family": "alpine", "Name": "3.15.0", "EOSL": true}}, "Results": [
  {"Target": "web (alpine 3.15.0)", "Class": "os-pkgs", "Vulnerabilities": [
    {"VulnerabilityID": "CVE-2022-37434", "PkgName": "zlib", "InstalledVersion": "1.2.11-r3", "FixedVersion": "1.2.12-r2", "Severity": "CRITICAL",
     "Title": "zlib: heap-based buffer over-read | <b>here</b>", "PrimaryURL": "https://avd.aquasec.com/nvd/cve-2022-37434"},
    {"VulnerabilityID": "CVE-2023-0286", "PkgName": "libssl1.1", "InstalledVersion": "1.1.1", "Severity": "HIGH", "Title": "X.400"},
    {"VulnerabilityID": "CVE-2021-1", "PkgName": "busybox", "InstalledVersion": "1.34", "FixedVersion": "1.35", "Severity": "LOW"}]}]}"#;
const CLEAN: &str = r#"{"SchemaVersion": 2, "Metadata": {"OS": {"Family": "debian", "Name": "13"}}, "Results": [{"Target": "web", "Class": "os-pkgs"}]}"#;
const NOTHING: &str = r#"{"SchemaVersion": 2, "ArtifactName": "web"}"#;

struct Images {
    image: String,
    scanner: String,
}

/// An image to scan and the stand-in, both in the engine.
async fn images() -> Images {
    let engine = engine::engine().await;
    let base = base(&engine).await;
    let image = format!("{}:v1", unique("scanned"));
    engine.tag(base, &image).await.unwrap();
    let scanner = format!("{}:1", unique("scanner"));
    let dockerfile = format!(
        "FROM {base}\nCOPY scanner /scanner\nRUN chmod +x /scanner\nCOPY reports /reports\nENTRYPOINT [\"/scanner\"]\n"
    );
    let files = [
        ("Dockerfile", dockerfile.as_str()),
        ("scanner", SCRIPT),
        ("reports/findings.json", FINDINGS),
        ("reports/clean.json", CLEAN),
        ("reports/nothing.json", NOTHING),
    ];
    let context = context(&files);
    let mut request = request(context.path());
    request.tags = vec![scanner.clone()];
    build(&Builder::for_engine(&engine), &request, &Logins::none()).await.0.unwrap();
    Images { image, scanner }
}

fn scan(images: &Images, stub: &str) -> Landfall {
    Landfall::new("scan").env("DOCKER_HOST", variable("DOCKER_HOST")).inputs(&[
        ("image", images.image.as_str()),
        ("scanner_image", &images.scanner),
        ("scanner_env", &format!("STUB={stub}")),
    ])
}

/// Nothing of the tool is left in the engine.
async fn gone(images: &Images) {
    let engine = engine::engine().await;
    let left = engine.containers_with(&format!("{LABEL}={}", images.scanner)).await.unwrap();
    assert!(left.is_empty(), "{left:?}");
    for name in [&images.image, &images.scanner] {
        engine.untag(name).await.unwrap();
    }
}

#[tokio::test]
async fn findings_stop_the_image_and_are_told_in_every_form() {
    let images = images().await;
    let outcome = failing(
        scan(&images, "findings").inputs(&[("sarif", "out/scan.sarif"), ("report", "out/scan.json")]),
        3,
        "findings",
    );
    let counts = ["passed", "critical", "high", "medium", "low", "blocking"].map(|name| outcome.output(name));
    assert_eq!(counts, ["false", "1", "1", "0", "1", "2"]);
    let read = |name: &str| -> Value {
        serde_json::from_slice(&std::fs::read(outcome.workspace().join(name)).unwrap()).unwrap()
    };
    assert_eq!(read("out/scan.sarif")["runs"][0]["results"].as_array().unwrap().len(), 3);
    assert_eq!(read("out/scan.json")["findings"][0]["verdict"], "stops");
    assert_eq!(outcome.annotations("error").len(), 1);
    let report = outcome.report().replace(&images.image, "<image>").replace(&images.scanner, "<scanner>");
    // Packed with the containerd store, unpacked with graph drivers.
    let size = regex::Regex::new(r"the engine, \d+ MB").unwrap();
    insta::assert_snapshot!(size.replace(&report, "the engine, <size>"));
    gone(&images).await;
}

#[tokio::test]
async fn a_clean_image_passes_and_so_does_what_is_accepted() {
    let images = images().await;
    let outcome = done(scan(&images, "clean"));
    assert_eq!(
        [outcome.output("passed"), outcome.output("critical"), outcome.output("reason")],
        ["true", "0", "clean"]
    );
    let accepted = "CVE-2022-37434 exp:2999-01-01 pkg:zlib # not reachable\nCVE-2023-0286 # because\nCVE-1 # gone\n";
    let outcome = done(scan(&images, "findings").file(".trivyignore", accepted));
    assert_eq!([outcome.output("passed"), outcome.output("ignored"), outcome.output("blocking")], ["true", "2", "0"]);
    assert!(outcome.report().contains("CVE-1 in .trivyignore is not found any more"), "{}", outcome.report());
    let expired = accepted.replace("2999", "2001");
    let outcome =
        failing(scan(&images, "findings").file("accepted", &expired).input("ignore_file", "accepted"), 3, "findings");
    assert_eq!(outcome.output("blocking"), "1");
    assert!(outcome.annotations("warning").iter().any(|note| note.title == "Exception expired"));
    let outcome = failing(scan(&images, "findings").input("ignore_unfixed", "true"), 3, "findings");
    assert_eq!(outcome.output("blocking"), "1");
    done(scan(&images, "findings").input("severity", "MEDIUM"));
    gone(&images).await;
}

#[tokio::test]
async fn no_result_is_never_clean() {
    let images = images().await;
    for (stub, reason, said) in [
        ("crash", "scanner-failed", "exit code 2"),
        ("database", "scanner-no-database", "no vulnerability database"),
        ("unsupported", "scan-unsupported", "cannot read such an image"),
        ("silent", "scan-no-result", "left no report"),
        ("garbage", "scan-no-result", "cannot be read"),
        ("old", "scan-no-result", "cannot be read"),
        ("nothing", "scan-unsupported", "knows neither its system nor any package"),
    ] {
        let outcome = failing(scan(&images, stub), 1, reason);
        assert!(error(&outcome).contains(said), "{stub}: {}", error(&outcome));
        assert!(!outcome.has_output("passed"), "{stub}");
    }
    let outcome = failing(scan(&images, "crash"), 1, "scanner-failed");
    assert!(error(&outcome).contains("FATAL panic: nil map"), "{}", error(&outcome));
    done(scan(&images, "nothing").input("allow_unexamined", "true"));
    failing(scan(&images, "hang").input("timeout", "2s"), 1, "timeout");
    let absent = format!("{}/acme/trivy@sha256:{}", dead_registry(), "ab".repeat(32));
    failing(scan(&images, "clean").input("scanner_image", &absent), 4, "tool-image-unavailable");
    gone(&images).await;
}

#[tokio::test]
async fn an_image_of_a_registry_is_read_by_the_scanner_with_the_login_in_its_environment() {
    let images = images().await;
    let step = scan(&images, "clean").inputs(&[
        ("image", "registry.example/acme/web:v1"),
        ("registry_username", "scanner"),
        ("registry_password", "pa55word-of-nobody"),
    ]);
    let outcome = done(step);
    let log = outcome.report();
    assert!(
        log.contains("scanning registry.example/acme/web:v1") && log.contains("as scanner with 18 characters"),
        "{log}"
    );
    outcome.keeps("pa55word-of-nobody");
    gone(&images).await;
}

#[tokio::test]
async fn a_cancelled_scan_leaves_no_container() {
    let images = images().await;
    let mut running = scan(&images, "hang").start();
    running.wait_for_log("hanging");
    running.signal("TERM");
    running.wait().failed(130, "cancelled");
    gone(&images).await;
}

#[test]
fn wrong_inputs_are_named_at_once() {
    let step = Landfall::new("scan")
        .inputs(&[("image", "Not/An Image"), ("severity", "CRITICAL,AWFUL"), ("scanner_image", "x:y:z")])
        .file(".trivyignore", "CVE-1 exp:soon\nCVE-2 because\n");
    insta::assert_snapshot!(failing(step, 2, "invalid-input").report());
    let step = Landfall::new("scan").inputs(&[("image", "ghcr.io/acme/web:v1"), ("provider", "ecr")]);
    assert!(error(&failing(step, 2, "invalid-input")).contains("does not lie in ECR"));
    let plan = Landfall::new("scan").inputs(&[("image", "ghcr.io/acme/web:v1"), ("dry_run", "true")]);
    insta::assert_snapshot!(done(plan).report());
}
