//! Purpose: build once, test many: the image, everything that tests it, retention, figures.

use std::time::Duration;

use crate::event::{Event, PullRequest, REPOSITORY, WorkflowRun};
use crate::hosts::{self, Done, Host, checkout, passes};
use crate::image::{base, tool};
use crate::stage::Stage;
use crate::walk::{Walk, Walked};
use crate::world::github::actions::Run;

const FOLDER: &str = "examples/charon/.github/workflows";
const IMAGE: &str = "acme/charon";
const DAY: i64 = 24 * 3600;

/// Stands in for Trivy: finds nothing, or what the image's name says.
const SCANNER: &str = r#"#!/bin/sh
for word in "$@"; do case "$word" in --output=*) out="${word#--output=}" ;; esac; done
if [ "$FINDS" = yes ]; then found='"Vulnerabilities": [{"VulnerabilityID": "CVE-2022-37434", "PkgName": "zlib", "InstalledVersion": "1.2.11", "FixedVersion": "1.2.12", "Severity": "CRITICAL", "Title": "zlib"}]'
else found='"Vulnerabilities": []'; fi
echo '{"SchemaVersion": 2, "Metadata": {"OS": {"Family": "debian", "Name": "13"}}, "Results": [{"Target": "charon", "Class": "os-pkgs", '"$found"'}]}' > "$out"
"#;

struct Charon {
    stage: Stage,
    main: String,
    head: String,
    merge: String,
}

impl Charon {
    fn new() -> Self {
        let stage = Stage::new();
        stage.registry("ghcr.io");
        stage.free_ports(&[8080, 2020, 2019]);
        stage.rename("name: charon-e2e", &format!("name: {}-e2e", stage.unique));
        stage.rename("name: charon\n", &format!("name: {}\n", stage.unique));
        let local = format!("{}:local", stage.unique);
        stage.rename("charon:local", &local).made(&local);
        let dockerfile = format!(
            "FROM {}\nRUN mkdir -p /www && echo ok > /www/health\nCMD [\"httpd\", \"-f\", \"-p\", \"8080\", \"-h\", \"/www\"]\n",
            base()
        );
        let files = [("Dockerfile", dockerfile.as_str())];
        let main = stage.commit("main", "examples/charon", &files);
        let head = stage.commit("feature/waf", "examples/charon", &[&files[..], &[("change", "1")]].concat());
        let merge = stage.pull(7, "feature/waf", &head, "main");
        Self { stage, main, head, merge }
    }

    fn pull(&self) -> PullRequest<'_> {
        PullRequest {
            number: 7,
            head: "feature/waf",
            head_sha: &self.head,
            head_repository: REPOSITORY,
            base: "main",
            merge_sha: &self.merge,
        }
    }

    fn build(&self, pull: &PullRequest<'_>, finds: &str) -> Walked {
        let scanner = format!("{}-trivy:1", self.stage.unique);
        tool(&scanner, SCANNER);
        self.stage.made(&scanner);
        self.stage
            .walk(&format!("{FOLDER}/docker-build.yml"), Event::pull_request(pull))
            .host("image", "actions/checkout", checkout)
            .given("scan", "scanner_image", &scanner)
            .given("scan", "scanner_env", &format!("FINDS={finds}"))
            // The builder of an old engine cannot use the cache service, and another one would have to be pulled.
            .given("build", "cache_from", "")
            .given("build", "cache_to", "")
            .go()
    }

    /// A workflow that listens to the build.
    fn after_build(&self, file: &str) -> Walk<'_> {
        let pull = self.pull();
        let run = WorkflowRun {
            id: self.stage.runs.get(),
            name: "Docker build",
            event: "pull_request",
            conclusion: "success",
            branch: "feature/waf",
            sha: &self.head,
            pull: Some(&pull),
        };
        self.stage.walk(&format!("{FOLDER}/{file}"), Event::after(&run, &self.main)).given("pull", "wait", "1ms")
    }
}

#[test]
fn charon_builds_once_and_tests_that_image_many_times() {
    let charon = Charon::new();
    let built = charon.build(&charon.pull(), "no");
    built.ended(&[("image", "success"), ("scan", "success")]);
    insta::assert_snapshot!("charon_builds", built.told());
    let build = charon.stage.runs.get();
    let digest = built.output("image", "build", "digest");
    let mut told = Vec::new();
    for name in ["cerberus", "crowdsec", "rate-limit", "waf"] {
        charon.stage.runs.set(build);
        let walk = charon.after_build(&format!("{name}-integration.yml"));
        let walked = walk.host("test", "actions/checkout", checkout).host("test", "./scripts/", answers).go();
        walked.ended(&[("test", "success")]);
        assert_eq!(
            (walked.output("test", "image", "digest"), walked.output("test", "image", "fresh")),
            (digest.clone(), "true".into())
        );
        told.push(walked);
    }
    insta::assert_snapshot!("charon_integration", told[0].told());
    charon.stage.world.explain_writes();
    charon.stage.finish();
}

/// The integration test's script: the image answers.
fn answers(host: &mut Host<'_>) -> Done {
    let port = host.stage.renamed("8080");
    std::net::TcpStream::connect(format!("127.0.0.1:{port}")).map_err(|error| error.to_string())?;
    Ok(())
}

#[test]
fn charon_runs_end_to_end_tests_in_a_matrix_and_without_the_registry() {
    let charon = Charon::new();
    charon.build(&charon.pull(), "no").ended(&[("image", "success")]);
    // The registry lost it: the artifact stands in.
    charon.stage.world.state().images.repositories.get_mut(IMAGE).unwrap().tags.clear();
    let walked = charon
        .after_build("e2e-tests.yml")
        .only("3 firefox")
        .host("e2e", "actions/checkout", checkout)
        .host("e2e", "Install Playwright", passes)
        .host("e2e", "Test", playwright)
        .go();
    walked.ended(&[("e2e", "success")]);
    assert_eq!(walked.output("e2e", "pull", "source"), "artifact");
    insta::assert_snapshot!(walked.told());
    charon.stage.world.explain_writes();
    charon.stage.finish();
}

fn playwright(host: &mut Host<'_>) -> Done {
    answers(host)?;
    host.write(
        "test-results/junit.xml",
        "<testsuites><testsuite name=\"e2e\" tests=\"1\"><testcase name=\"proxies\"/></testsuite></testsuites>",
    );
    host.says = format!("{} {}/4", host.env("BROWSER"), host.env("SHARD"));
    Ok(())
}

#[test]
fn charon_stops_at_vulnerabilities_and_leaves_forks_alone() {
    let charon = Charon::new();
    let found = charon.build(&charon.pull(), "yes");
    found.ended(&[("image", "success"), ("scan", "failure")]);
    insta::assert_snapshot!(found.told());
    let fork = PullRequest { head_repository: "mallory/app", ..charon.pull() };
    charon.stage.world.explain_writes();
    charon.build(&fork, "no").ended(&[("image", "skipped"), ("scan", "skipped")]);
    charon.stage.finish();
}

/// A package with something of every kind.
fn package(charon: &Charon) {
    let mut state = charon.stage.world.state();
    state.images.repository(REPOSITORY);
    state.images.no_delete = true;
    state.images.no_referrers = true;
    for (tag, days) in [
        ("latest", 40),
        ("v1.2.3", 90),
        ("dev", 40),
        ("pr-5-aaaaaaa", 3),
        ("pr-6-bbbbbbb", 1),
        ("feature-x-ccccccc", 8),
        ("sha-eeeeeee", 31),
        ("mine", 400),
        ("pr-7-0000000", 9),
    ] {
        let digest = state.images.image(&format!("{REPOSITORY}:{tag}"));
        state.age(REPOSITORY, &digest, days * DAY);
    }
}

fn prune<'a>(charon: &'a Charon, event: Event) -> Walk<'a> {
    charon
        .stage
        .walk(&format!("{FOLDER}/container-prune.yml"), event)
        .given("prune", "provider", "ghcr") // a registry on the loopback does not look like GitHub's
        .given("prune", "points_per_minute", "1000000")
        .on_host_network()
        .host("prune", "actions/checkout", checkout)
}

#[test]
fn charon_prunes_at_night_and_can_undo_it() {
    let charon = Charon::new();
    package(&charon);
    let all = charon.stage.tags(REPOSITORY);
    let planned = prune(&charon, Event::pull_request(&charon.pull()))
        .host("prune", "actions/cache/restore", hosts::restore_cache)
        .go();
    planned.ended(&[("prune", "success")]);
    assert_eq!(charon.stage.tags(REPOSITORY), all, "a plan changes nothing");
    let night = Event::schedule(&charon.main);
    let applied = prune(&charon, night)
        .host("prune", "actions/cache/restore", hosts::restore_cache)
        .host("prune", "actions/cache/save", hosts::save_cache)
        .host("prune", "actions/upload-artifact", hosts::upload_artifact)
        .go();
    applied.ended(&[("prune", "success")]);
    // The open pull request's image stays whatever its age.
    assert_eq!(charon.stage.tags(REPOSITORY), ["dev", "latest", "mine", "pr-6-bbbbbbb", "pr-7-0000000", "v1.2.3"]);
    let undo = Event::dispatch(&charon.main, &[("operation", "restore"), ("restore_run", "1002")]);
    let restored = prune(&charon, undo).host("prune", "actions/download-artifact", hosts::download_artifact).go();
    restored.ended(&[("prune", "success")]);
    assert_eq!(charon.stage.tags(REPOSITORY), all);
    insta::assert_snapshot!([&planned, &applied, &restored].map(Walked::told).join("\n"));
    charon.stage.world.explain_writes();
    charon.stage.finish();
}

/// Runs of the build, some of which failed or took long.
fn history(charon: &Charon, minutes: u64, failures: usize) {
    let mut state = charon.stage.world.state();
    let now = state.clock.now();
    let actions = state.github.actions(REPOSITORY);
    actions.workflow("docker-build.yml").name = "Docker build".into();
    for number in 0..10 {
        let started = crate::world::clock::Moment::from_second(now.as_second() - DAY * (number + 1));
        let conclusion = if usize::try_from(number).unwrap() < failures { "failure" } else { "success" };
        let mut run = Run::ended("push", "main", &charon.main, conclusion, started, Duration::from_secs(60 * minutes));
        run.workflow = "docker-build.yml".into();
        actions.add(run);
    }
}

#[test]
fn charon_measures_ci_and_says_what_is_beyond_its_limits() {
    for (minutes, failures, alert) in [(8, 0, "skipped"), (30, 4, "success")] {
        let charon = Charon::new();
        history(&charon, minutes, failures);
        let walked = charon
            .stage
            .walk(&format!("{FOLDER}/ci-metrics.yml"), Event::schedule(&charon.main))
            .on_host_network()
            .host("collect", "actions/checkout", checkout)
            .host("collect", "actions/upload-artifact", hosts::upload_artifact)
            .host("alert", "Say what is beyond", |host: &mut Host<'_>| {
                host.says = host.env("BREACHES").to_owned();
                Ok(())
            })
            .go();
        walked.ended(&[("collect", "success"), ("alert", alert)]);
        insta::assert_snapshot!(format!("charon_measures_{alert}"), walked.told());
        charon.stage.finish();
    }
}
