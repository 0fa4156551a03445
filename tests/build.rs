//! `build` against a real engine and real registries, with the world's GitHub for sources.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test may end by panicking")]

#[path = "support/engine.rs"]
mod engine;
mod support;
mod world;

#[path = "build/abilities.rs"]
mod abilities;
#[path = "build/container.rs"]
mod container;
#[path = "build/flaky.rs"]
mod flaky;

use engine::{base, closed_registry, dead_registry, registry, unique, variable};
use landfall::domain::builder::{Need, Wish};
use regex::Regex;
use serde_json::{Value, json};
use support::{Landfall, Outcome, SHA};
use tokio::io::AsyncReadExt as _;
use world::World;
use world::artifacts::runtime_token;
use world::http::Door;

/// The commit's time in [`pushed`].
const COMMITTED: &str = "2025-03-01T08:00:00Z";

/// A push whose payload has the commit's time, so that GitHub need not be asked.
fn pushed() -> Value {
    json!({
        "ref": "refs/heads/main", "after": SHA, "deleted": false,
        "head_commit": { "id": SHA, "timestamp": "2025-03-01T10:00:00+02:00" },
        "repository": { "full_name": "acme/app", "default_branch": "main" },
    })
}

/// A run with this Dockerfile on the engine under test. The base image has a shell.
async fn build(dockerfile: &str) -> Landfall {
    base(&engine::engine().await).await;
    Landfall::new("build")
        .env("DOCKER_HOST", variable("DOCKER_HOST"))
        .event("push", &pushed())
        .file("Dockerfile", dockerfile)
}

/// A name in the open registry that is nobody else's.
fn name(stem: &str) -> String {
    format!("{}/{}", registry(), unique(stem))
}

/// A registry's answer: status, digest, body.
async fn ask(url: String) -> (u16, Option<String>, Value) {
    let accept = "application/vnd.oci.image.manifest.v1+json, application/vnd.oci.image.index.v1+json, \
                  application/vnd.docker.distribution.manifest.v2+json, \
                  application/vnd.docker.distribution.manifest.list.v2+json";
    let response = landfall::services::http::client().unwrap().get(&url).header("accept", accept).send().await.unwrap();
    let status = response.status().as_u16();
    let digest = response.headers().get("docker-content-digest").map(|digest| digest.to_str().unwrap().to_owned());
    (status, digest, response.json().await.unwrap())
}

/// What the open registry has under a tag: digest and the image's configuration.
async fn pushed_image(reference: &str) -> Option<(String, Value)> {
    let (host, path) = reference.split_once('/').unwrap();
    let (repository, tag) = path.rsplit_once(':').unwrap();
    let (status, digest, manifest) = ask(format!("http://{host}/v2/{repository}/manifests/{tag}")).await;
    if status == 404 {
        return None;
    }
    assert_eq!(status, 200, "{manifest}");
    let config = manifest["config"]["digest"].as_str().unwrap_or_else(|| panic!("no plain manifest: {manifest}"));
    let (status, _, config) = ask(format!("http://{host}/v2/{repository}/blobs/{config}")).await;
    assert_eq!(status, 200);
    Some((digest.unwrap(), config))
}

/// Everything that a registry keeps of an image: manifest, config, and the files of each layer.
async fn everything_of(reference: &str) -> Vec<u8> {
    let (host, path) = reference.split_once('/').unwrap();
    let (repository, tag) = path.rsplit_once(':').unwrap();
    let (_, _, manifest) = ask(format!("http://{host}/v2/{repository}/manifests/{tag}")).await;
    let (_, config) = pushed_image(reference).await.unwrap();
    let mut all = format!("{manifest}{config}").into_bytes();
    for layer in manifest["layers"].as_array().unwrap() {
        let url = format!("http://{host}/v2/{repository}/blobs/{}", layer["digest"].as_str().unwrap());
        let packed = landfall::services::http::client().unwrap().get(url).send().await.unwrap().bytes().await.unwrap();
        let mut layer = async_compression::tokio::bufread::GzipDecoder::new(packed.as_ref());
        layer.read_to_end(&mut all).await.unwrap();
    }
    all
}

/// Asserts that nothing was pushed.
async fn assert_absent(reference: &str) {
    assert_eq!(pushed_image(reference).await, None, "{reference} was pushed");
}

/// The report without what differs from run to run: names, digests, sizes, times, and which steps were slow.
fn report(outcome: &Outcome, name: &str) -> String {
    let text = outcome.report().replace(name, "<name>");
    let text = text.replace(name.split_once('/').unwrap().1, "<name>");
    let patterns = [
        (r"<host>/<name>", "<name>"),
        (r"sha256:[0-9a-f]{64}", "<digest>"),
        (r"\b[0-9a-f]{64}\b", "<hex>"),
        // Whether the base image is at hand, and who pushed its layers first, depends on the other tests.
        (r"(?m)^\[(\w+ )?\d+/\d+\] FROM .*\n", ""),
        (r"(?m)^\| `\[(\w+ )?\d+/\d+\] FROM .*\n", ""),
        // What old builders cannot do is asserted where it matters.
        (r"(?m)^`created` of the image will be .*\n", ""),
        (r"The engine's own words: .*", "The engine's own words: <words>"),
        (r"layers: \d+ pushed, \d+ already there", "layers: <pushed, there>"),
        (r"(?s)<details><summary>Slowest steps.*?</details>\n+", ""),
        (r"\b\d+(\.\d+)? (bytes|kB|MB)\b", "<size>"),
        (r"(?m)^(size|seconds) = \d+$", "$1 = <number>"),
        (r"(?m)^metadata = .*$", "metadata = <JSON>"),
        (r"\*\*Time:\*\* \d+ s", "**Time:** <duration>"),
        (r"linux/\w+(/v\d)?", "<platform>"),
        (r"\n{3,}", "\n\n"),
    ];
    patterns
        .iter()
        .fold(text, |text, (pattern, put)| Regex::new(pattern).unwrap().replace_all(&text, *put).into_owned())
}

#[tokio::test]
async fn every_tag_is_pushed_as_one_digest() {
    let name = name("tags");
    let (first, second) = (format!("{name}:v1"), format!("{name}:v2"));
    let outcome = build("FROM scratch\nCOPY content /\n")
        .await
        .file("content", &name)
        .inputs(&[
            ("tags", &format!("{first}\n{second}")),
            ("push", "true"),
            ("labels", "org.opencontainers.image.source=https://example.com/mine\ncom.acme.team=a=b"),
        ])
        .run();
    outcome.succeeded();
    assert_eq!(outcome.output("reason"), "pushed");
    let digest = outcome.output("digest");
    let (found, config) = pushed_image(&first).await.unwrap();
    assert_eq!(found, digest);
    assert_eq!(pushed_image(&second).await.unwrap().0, digest);
    assert_eq!(outcome.output("image_ref"), format!("{name}@{digest}"));
    for layers in ["layers: 1 pushed, 0 already there", "layers: 0 pushed, 1 already there"] {
        assert!(outcome.raw.contains(layers), "{}", outcome.raw);
    }
    let labels = &config["config"]["Labels"];
    assert_eq!(
        *labels,
        json!({
            "org.opencontainers.image.revision": SHA,
            "org.opencontainers.image.source": "https://example.com/mine",
            "org.opencontainers.image.created": COMMITTED,
            "org.opencontainers.image.url": "https://github.com/acme/app",
            "com.acme.team": "a=b",
        })
    );
    let told = outcome.raw.contains("`created` of the image will be the time of the build");
    match engine::abilities().await.grants(Wish::Created) {
        true => assert!(config["created"] == COMMITTED && !told, "the image is as old as its commit: {config}"),
        false => assert!(config["created"] != COMMITTED && told, "who cannot have this is told: {}", outcome.raw),
    }
    // `load` is off with `push`: the engine keeps no name.
    let engine = engine::engine().await;
    for tag in [&first, &second] {
        assert_eq!(engine.image(tag).await.unwrap(), None);
    }
    insta::assert_snapshot!(report(&outcome, &name));
}

#[tokio::test]
async fn one_commit_is_one_digest() {
    let mut digests = Vec::new();
    for job in ["one", "two"] {
        let name = name(job);
        // Each job has a checkout of its own, with file times of its own.
        let outcome = build("FROM landfall-test/base:1\nCOPY content /\nRUN echo built > /out\n")
            .await
            .file("content", "the same")
            .inputs(&[("tags", &format!("{name}:v1")), ("push", "true")])
            .run();
        outcome.succeeded();
        digests.push(outcome.output("digest").to_owned());
    }
    assert_eq!(digests[0], digests[1]);
}

#[tokio::test]
async fn arguments_stage_and_ignored_files_are_honoured() {
    let name = unique("stages");
    let dockerfile = "\
FROM landfall-test/base:1 AS wanted
ARG WORD
ARG FROM_JOB
COPY . /files/
RUN echo \"word=$WORD job=$FROM_JOB\"
FROM landfall-test/base:1 AS other
RUN exit 1
";
    let outcome = build(dockerfile)
        .await
        .env("FROM_JOB", "of the job")
        .file("unique", &name)
        .file("kept.txt", "kept")
        .file("local.txt", "not for images")
        .file(".dockerignore", "local.*\n")
        .inputs(&[
            ("tags", &format!("{name}:v1")),
            ("target", "wanted"),
            ("build_args", "WORD=a=b, c\nFROM_JOB"),
            ("smoke", "ls /files"),
        ])
        .run();
    outcome.succeeded();
    assert_eq!(outcome.output("reason"), "built");
    assert!(outcome.raw.contains("word=a=b, c job=of the job"), "{}", outcome.raw);
    assert!(outcome.raw.contains("kept.txt"), "{}", outcome.raw);
    assert!(!outcome.raw.contains("local.txt"), "{}", outcome.raw);
    let engine = engine::engine().await;
    let image = engine.image(&format!("{name}:v1")).await.unwrap().unwrap();
    assert_eq!(image.id, outcome.output("image_id"));
    engine.untag(&format!("{name}:v1")).await.unwrap();
}

const GO_MOD: &str = "\
module github.com/acme/service

go 1.24

require (
\tgithub.com/acme/gateway v0.0.0-20200101000000-000000000000 // pinned
\tgithub.com/acme/other v1.2.3
)
";

#[tokio::test]
async fn another_repository_is_built_with_a_module_at_a_commit() {
    let world = World::start().await;
    let name = name("source");
    let (commit, module) = {
        let github = &mut world.state().github;
        let files = [
            ("go.mod", GO_MOD),
            ("Dockerfile", "FROM landfall-test/base:1\nCOPY go.mod unique /\n"),
            ("unique", &name),
        ];
        (
            github.repository("acme/service").commit("main", &files),
            github.repository("acme/gateway").commit("feature/x", &[("go.mod", "module github.com/acme/gateway\n")]),
        )
    };
    let outcome = build("FROM nothing-of-the-workspace\n")
        .await
        .env("GITHUB_API_URL", world.github_url())
        .inputs(&[
            ("source", "acme/service@main"),
            ("update_reference", "go-module: github.com/acme/gateway@feature/x"),
            ("tags", &format!("{name}:v1")),
            ("push", "true"),
            ("smoke", "cat /go.mod"),
        ])
        .run();
    outcome.succeeded();
    // The world's first commit of a repository is of 1 700 000 060 seconds.
    let version = format!("v0.0.0-20231114221420-{}", &module[..12]);
    let line = format!("github.com/acme/gateway {version} // pinned");
    assert!(outcome.raw.contains(&line), "{}", outcome.raw);
    assert!(outcome.raw.contains("github.com/acme/other v1.2.3"));
    let (_, config) = pushed_image(&format!("{name}:v1")).await.unwrap();
    let labels = &config["config"]["Labels"];
    assert_eq!(labels["org.opencontainers.image.revision"], commit);
    assert_eq!(labels["org.opencontainers.image.source"], "https://github.com/acme/service");
    let text = report(&outcome, &name)
        .replace(&module[..12], "<module>")
        .replace(&module[..7], "<module>")
        .replace(&commit[..7], "<commit>");
    insta::assert_snapshot!(text);
    assert!(
        std::fs::read_dir(outcome.temp()).unwrap().all(|entry| {
            let name = entry.unwrap().file_name();
            !name.to_string_lossy().starts_with("landfall-")
        }),
        "the copy of the source is removed"
    );
    world.finish();
}

#[tokio::test]
async fn text_is_replaced_in_a_copy_of_the_workspace() {
    let name = unique("replace");
    let run = build("FROM landfall-test/base:1\nCOPY version.txt unique /\n").await;
    // A self-hosted runner may keep its temporary folder inside the workspace.
    let inside = run.workspace().join("tmp/deep");
    std::fs::create_dir_all(&inside).unwrap();
    let outcome = run
        .env("RUNNER_TEMP", inside)
        .file("unique", &name)
        .file("version.txt", "version 1\nother 1\n")
        .inputs(&[
            ("tags", &format!("{name}:v1")),
            ("load", "false"),
            ("update_reference", "replace: version.txt:^version (\\d)$=version $1.2"),
            ("smoke", "cat /version.txt"),
        ])
        .run();
    outcome.succeeded();
    assert!(outcome.raw.contains("version 1.2"), "{}", outcome.raw);
    let own = std::fs::read_to_string(outcome.workspace().join("version.txt")).unwrap();
    assert_eq!(own, "version 1\nother 1\n", "the workspace stays as it is");
    // `load: false` leaves no name behind.
    let engine = engine::engine().await;
    assert_eq!(engine.image(&format!("{name}:v1")).await.unwrap(), None);
}

#[tokio::test]
async fn a_submodule_is_put_at_a_commit_and_a_tool_changes_the_rest() {
    let world = World::start().await;
    let library = {
        let github = &mut world.state().github;
        github.repository("acme/library").commit("main", &[("word", "old")]);
        github.repository("acme/library").commit("next", &[("word", "new"), ("deep/file", "x")])
    };
    let name = unique("submodule");
    let outcome = build("FROM landfall-test/base:1\nCOPY . /files/\n")
        .await
        .env("GITHUB_API_URL", world.github_url())
        .file(".gitmodules", "[submodule \"l\"]\n\tpath = libs/library\n\turl = ../library.git\n")
        .file("libs/library/word", "checked out")
        .file("unique", &name)
        .inputs(&[
            ("update_reference", "submodule: libs/library@next\ncommand: sh -c 'cat libs/library/word > made-by-tool'"),
            ("tool_image", "landfall-test/base:1"),
            ("load", "false"),
            ("smoke", "cat /files/libs/library/word /files/made-by-tool /files/unique"),
        ])
        .run();
    outcome.succeeded();
    assert!(outcome.raw.contains(&format!("newnew{name}")), "{}", outcome.raw);
    assert!(outcome.raw.contains(&format!("acme/library at {}", &library[..7])), "{}", outcome.raw);
    let own = std::fs::read_to_string(outcome.workspace().join("libs/library/word")).unwrap();
    assert_eq!(own, "checked out", "the workspace stays as it is");
    world.finish();
}

#[tokio::test]
async fn the_image_is_an_artifact_of_the_run_too() {
    let world = World::start().await;
    let name = unique("artifact");
    let reference = format!("{name}:v1");
    let outcome = build("FROM scratch\nCOPY unique /\n")
        .await
        .env("GITHUB_API_URL", world.github_url())
        .env("ACTIONS_RESULTS_URL", world.base(Door::Results))
        .env("ACTIONS_RUNTIME_TOKEN", runtime_token())
        .file("unique", &name)
        .inputs(&[("tags", &reference), ("artifact", "image.tar.zst")])
        .run();
    outcome.succeeded();
    assert_eq!(outcome.output("artifact"), "image.tar.zst");
    let packed = {
        let state = world.state();
        state.artifacts.of_run(1000, "image.tar.zst").unwrap().bytes()
    };
    assert_eq!(packed[..4], [0x28, 0xb5, 0x2f, 0xfd], "zstd");
    let engine = engine::engine().await;
    engine.untag(&reference).await.unwrap();
    world.explain_writes();
    world.finish();
}

#[tokio::test]
async fn what_is_pushed_and_not_kept_is_an_artifact_with_its_tags() {
    let world = World::start().await;
    let name = name("artifact-pushed");
    let reference = format!("{name}:v1");
    let outcome = build("FROM scratch\nCOPY unique /\n")
        .await
        .env("GITHUB_API_URL", world.github_url())
        .env("ACTIONS_RESULTS_URL", world.base(Door::Results))
        .env("ACTIONS_RUNTIME_TOKEN", runtime_token())
        .file("unique", &name)
        .inputs(&[("tags", &reference), ("push", "true"), ("artifact", "image")])
        .run();
    outcome.succeeded();
    let engine = engine::engine().await;
    assert!(engine.image(&reference).await.unwrap().is_none(), "it is not kept in the engine");
    let packed = world.state().artifacts.of_run(1000, "image").unwrap().bytes();
    let mut tar = Vec::new();
    async_compression::tokio::bufread::ZstdDecoder::new(&packed[..]).read_to_end(&mut tar).await.unwrap();
    let index = String::from_utf8_lossy(&tar).into_owned();
    assert!(index.contains(&format!("\"RepoTags\":[\"{reference}\"]")), "whoever loads it has its tags");
    world.explain_writes();
    world.finish();
}

#[tokio::test]
async fn a_tool_that_fails_stops_the_build() {
    let name = name("tool-fails");
    let reference = format!("{name}:v1");
    let outcome = build("FROM scratch\nCOPY . /\n")
        .await
        .inputs(&[
            ("update_reference", "command: sh -c 'echo no such module; exit 4'"),
            ("tool_image", "landfall-test/base:1"),
            ("tags", &reference),
            ("push", "true"),
        ])
        .run();
    outcome.failed(1, "reference-not-updated");
    assert!(outcome.raw.contains("exit code 4") && outcome.raw.contains("no such module"), "{}", outcome.raw);
    assert_absent(&reference).await;
    let missing = build("FROM scratch\n").await.input("update_reference", "command: true").run();
    missing.failed(2, "invalid-input");
}

#[tokio::test]
async fn an_update_that_changes_nothing_is_a_failure() {
    let name = name("no-update");
    let reference = format!("{name}:v1");
    let outcome = build("FROM scratch\nCOPY version.txt /\n")
        .await
        .file("version.txt", "none\n")
        .inputs(&[("tags", &reference), ("push", "true"), ("update_reference", "replace: version.txt:^v\\d$=v2")])
        .run();
    outcome.failed(1, "reference-not-updated");
    assert_absent(&reference).await;
    insta::assert_snapshot!(report(&outcome, &name));
}

#[tokio::test]
async fn a_failing_step_is_shown_where_it_stands() {
    let name = name("failing");
    let reference = format!("{name}:v1");
    let run = build("FROM scratch\n").await;
    let dockerfile = "\
FROM landfall-test/base:1
COPY unique /
RUN echo one && echo '::error::two' && exit 7
";
    let outcome = run
        .file("app/Dockerfile", dockerfile)
        .file("app/unique", &name)
        .inputs(&[("context", "app"), ("tags", &reference), ("push", "true")])
        .run();
    outcome.failed(1, "build-failed");
    let annotation = outcome.annotations("error")[0];
    assert!(outcome.raw.contains("::error file=app/Dockerfile,line=3"), "{annotation:?}");
    assert!(outcome.summary.contains("one\n::error::two"), "{}", outcome.summary);
    assert_absent(&reference).await;
    insta::assert_snapshot!(report(&outcome, &name));
}

#[tokio::test]
async fn gates_let_nothing_through() {
    let name = name("gates");
    let reference = format!("{name}:v1");
    let run = async || {
        build("FROM landfall-test/base:1\nCOPY unique /\n")
            .await
            // Whether a refused image may be taken from the cache differs from engine to engine.
            .file("unique", unique("gates"))
            .inputs(&[("tags", &reference), ("push", "true")])
    };
    let smoke = run().await.input("smoke", "sh -c 'echo not well; exit 3'").run();
    smoke.failed(3, "smoke-failed");
    assert_absent(&reference).await;
    let size = run().await.input("max_size", "1kB").run();
    size.failed(3, "image-too-large");
    assert_absent(&reference).await;
    let shown = [smoke, size].map(|outcome| report(&outcome, &name));
    insta::assert_snapshot!(shown.join("\n\n"));
}

#[tokio::test]
async fn the_checks_of_a_dockerfile_are_warnings_or_with_lint_a_gate() {
    let name = name("lint");
    let reference = format!("{name}:v1");
    let run = async |lint| {
        build("FROM scratch\n")
            .await
            .file("app/unique", &name)
            .file("app/Dockerfile", "FROM scratch as app\nCOPY unique /\n")
            .inputs(&[
                ("context", "app"),
                ("tags", &reference),
                ("push", "true"),
                ("lint", lint),
                ("builder", "engine"),
            ])
            .run()
    };
    let strict = run("true").await;
    if !engine::abilities().await.can(Need::Checks) {
        strict.failed(2, "builder-too-old");
        assert!(strict.raw.contains("cannot check a Dockerfile"), "{}", strict.raw);
        assert_absent(&reference).await;
        return;
    }
    strict.failed(3, "lint");
    assert_absent(&reference).await;
    insta::assert_snapshot!(report(&strict, &name));
    let lax = run("false").await;
    lax.succeeded();
    for outcome in [&strict, &lax] {
        let place = "::warning file=app/Dockerfile,line=1,title=Dockerfile::";
        assert!(outcome.raw.contains(place), "{}", outcome.raw);
    }
}

#[tokio::test]
async fn what_exists_is_not_built_again() {
    let name = name("exists");
    let tags = format!("{name}:v1, {name}:v2");
    let run = async || {
        build("FROM scratch\nCOPY unique /\n").await.file("unique", &name).inputs(&[
            ("tags", &tags),
            ("push", "true"),
            ("skip_if_exists", "true"),
        ])
    };
    let first = run().await.run();
    first.succeeded();
    assert_eq!(first.output("skipped"), "false");
    let second = run().await.run();
    assert_eq!(
        (second.code, second.output("result"), second.output("reason")),
        (Some(0), "skipped", "image-exists"),
        "{}",
        second.report()
    );
    assert_eq!(second.output("digest"), first.output("digest"));
    assert_eq!(second.output("image_ref"), first.output("image_ref"));
    insta::assert_snapshot!(report(&second, &name));
    // One that is missing is reason enough.
    let third = run().await.input("tags", format!("{tags}, {name}:v3")).run();
    third.succeeded();
    assert_eq!(pushed_image(&format!("{name}:v3")).await.unwrap().0, first.output("digest"));
}

#[tokio::test]
async fn a_closed_registry_wants_the_right_password() {
    use secrecy::ExposeSecret as _;
    let (host, login) = closed_registry();
    let name = format!("{host}/{}", unique("closed"));
    let reference = format!("{name}:v1");
    let run = async |password: &str| {
        build("FROM scratch\nCOPY unique /\n")
            .await
            .file("unique", &name)
            .inputs(&[
                ("tags", &reference),
                ("push", "true"),
                ("registry_username", &login.username),
                ("registry_password", password),
            ])
            .run()
    };
    let wrong = run("~~~wrong???").await;
    wrong.failed(5, "registry-unauthenticated").keeps("~~~wrong???");
    let engine = engine::engine().await;
    assert_eq!(engine.image(&reference).await.unwrap(), None, "no name is left behind");
    insta::assert_snapshot!(report(&wrong, &name));
    let password = login.password.expose_secret();
    let right = run(password).await;
    right.succeeded().keeps(password);
}

#[tokio::test]
async fn a_registry_that_is_down_is_an_upstream_that_is_away() {
    let name = format!("{}/{}", dead_registry(), unique("down"));
    let outcome = build("FROM scratch\nCOPY unique /\n")
        .await
        .file("unique", &name)
        .inputs(&[("tags", &format!("{name}:v1")), ("push", "true")])
        .run();
    outcome.failed(4, "registry-unavailable");
    insta::assert_snapshot!(report(&outcome, &name));
}

#[tokio::test]
async fn an_interrupted_push_leaves_no_name() {
    // A registry that takes connections and says nothing.
    let silent = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let engine = engine::engine().await;
    for signal in ["TERM", "KILL"] {
        let reference = format!("{}/{}:v1", silent.local_addr().unwrap(), unique("interrupted"));
        let mut running = build("FROM scratch\nCOPY unique /\n")
            .await
            .file("unique", &reference)
            .inputs(&[("tags", reference.as_str()), ("push", "true"), ("builder", "engine")])
            .start();
        running.wait_for_log("::group::Push");
        running.signal(signal);
        let outcome = running.wait();
        if signal == "TERM" {
            outcome.failed(130, "cancelled");
            assert_eq!(engine.image(&reference).await.unwrap(), None, "{}", outcome.report());
        } else {
            assert!(engine.image(&reference).await.unwrap().is_some(), "it was killed in the middle");
            assert_eq!(outcome.post().run().code, Some(0));
            assert_eq!(engine.image(&reference).await.unwrap(), None);
        }
    }
}

#[tokio::test]
async fn an_interrupted_push_of_several_platforms_leaves_no_image() {
    let silent = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let engine = engine::engine().await;
    for signal in ["TERM", "KILL"] {
        let reference = format!("{}/{}:v1", silent.local_addr().unwrap(), unique("interrupted"));
        let mut running = build("FROM scratch\nCOPY unique /\n")
            .await
            .file("unique", &reference)
            .inputs(&[
                ("tags", reference.as_str()),
                ("platforms", "linux/amd64,linux/arm64"),
                ("push", "true"),
                ("builder", "engine"),
                ("qemu", "never"),
            ])
            .start();
        running.wait_for_log("::group::Push");
        running.signal(signal);
        let outcome = running.wait();
        assert_eq!(outcome.code, if signal == "TERM" { Some(130) } else { None }, "{}", outcome.report());
        let noted = outcome.state.iter().rfind(|(key, _)| key == "images").unwrap().1.clone();
        let ids: Vec<&str> = noted.lines().collect();
        let present = engine.image(ids[0]).await.unwrap().is_some();
        assert!(present || signal == "TERM", "it was killed in the middle");
        assert_eq!(outcome.post().run().code, Some(0));
        for id in ids {
            assert_eq!(engine.image(id).await.unwrap(), None);
        }
        assert_eq!(engine.image(&reference).await.unwrap(), None);
    }
}

#[tokio::test]
async fn a_build_secret_is_nowhere_to_be_read() {
    let name = name("secret");
    let dockerfile = "\
FROM landfall-test/base:1
COPY unique /
RUN --mount=type=secret,id=token --mount=type=secret,id=file --mount=type=secret,id=variable \\
    cat /run/secrets/token /run/secrets/file /run/secrets/variable && echo && echo read
";
    let outcome = build(dockerfile)
        .await
        .env("NPM_TOKEN", "secret-of-variable")
        .file("unique", &name)
        .file(".npmrc", "secret-of-file")
        .file(".dockerignore", ".npmrc")
        .inputs(&[
            ("tags", &format!("{name}:v1")),
            ("push", "true"),
            ("secrets", "token=secret-as-value\nfile=@.npmrc\nvariable=$NPM_TOKEN"),
        ])
        .run();
    outcome.succeeded();
    assert!(outcome.raw.contains("*********"), "the step read all three:\n{}", outcome.raw);
    let everything = everything_of(&format!("{name}:v1")).await;
    let holds = |text: &str| everything.windows(text.len()).any(|window| window == text.as_bytes());
    assert!(holds(&name), "the file of the context is in a layer, so layers are looked into");
    for secret in ["secret-of-variable", "secret-of-file", "secret-as-value"] {
        outcome.keeps(secret);
        assert!(!holds(secret), "the image holds {secret}");
    }
}

#[tokio::test]
async fn everything_that_is_wrong_is_said_at_once() {
    let outcome = Landfall::new("build")
        .event("push", &pushed())
        .file("Dockerfile", "FROM scratch\n")
        .inputs(&[
            ("push", "true"),
            ("platforms", "linux/amd64, arm64"),
            ("cache_to", "type=registry,mode=max"),
            ("cache_from", "mode=max"),
            ("annotations", "layer:a=b\nindex:a=b"),
            ("builder", "kubernetes"),
            ("builder_certs", "certs"),
            ("build_contexts", "base=no-such-folder"),
            ("ssh", "default"),
            ("source", "acme"),
            ("context", "../other"),
        ])
        .run();
    outcome.failed(2, "invalid-input");
    insta::assert_snapshot!(outcome.report());
}

#[tokio::test]
async fn a_commit_that_github_does_not_know_costs_a_label_and_no_build() {
    let world = World::start().await;
    let outcome = build("FROM scratch\nCOPY unique /\n")
        .await
        .event("workflow_dispatch", &json!({}))
        .env("GITHUB_API_URL", world.github_url())
        .file("unique", unique("no-commit"))
        .run();
    outcome.succeeded();
    let warnings = outcome.annotations("warning");
    let [warning] = warnings[..] else {
        panic!("not exactly one warning:\n{}", outcome.report());
    };
    insta::assert_snapshot!(warning.message);
    world.finish();
}
