//! What an engine's own builder can do, is done by it; what it cannot do is refused when it alone may build.

use landfall::domain::builder::{CacheKind, Need};
use serde_json::Value;

use super::engine::{abilities, unique};
use super::support::{Landfall, Outcome};
use super::{ask, assert_absent, build, name};

/// A build by the engine's builder alone, of an image for any platform.
async fn by_engine(unique: &str) -> Landfall {
    build("FROM scratch\nCOPY unique /\n")
        .await
        .file("unique", unique)
        .inputs(&[("builder", "engine"), ("qemu", "never")])
}

/// The outcome, unless the engine's builder cannot do it: then it has said so before anything was built.
async fn if_able(need: Need, words: &str, outcome: Outcome) -> Option<Outcome> {
    if abilities().await.can(need) {
        outcome.succeeded();
        return Some(outcome);
    }
    outcome.failed(2, "builder-too-old");
    assert!(outcome.raw.contains(words), "{}", outcome.raw);
    None
}

async fn index(reference: &str) -> Value {
    let (host, path) = reference.split_once('/').unwrap();
    let (repository, tag) = path.rsplit_once(':').unwrap();
    ask(format!("http://{host}/v2/{repository}/manifests/{tag}")).await.2
}

#[tokio::test]
async fn several_platforms_are_one_index() {
    let name = name("platforms");
    let reference = format!("{name}:v1");
    let outcome = by_engine(&name)
        .await
        .inputs(&[
            ("platforms", "linux/amd64, linux/arm64"),
            ("tags", &reference),
            ("push", "true"),
            ("annotations", "index:com.acme.team=web\ncom.acme.part=app"),
        ])
        .run();
    let words = "cannot build several platforms into one image, or annotate manifests";
    let Some(outcome) = if_able(Need::Platforms, words, outcome).await else {
        return assert_absent(&reference).await;
    };
    let found = index(&reference).await;
    let architectures: Vec<&str> = found["manifests"]
        .as_array()
        .unwrap()
        .iter()
        .map(|part| part["platform"]["architecture"].as_str().unwrap())
        .collect();
    assert_eq!(architectures, ["amd64", "arm64"], "no attestation unless asked for: {found}");
    assert_eq!(found["annotations"]["com.acme.team"], "web");
    assert_eq!(outcome.output("platforms"), "linux/amd64\nlinux/arm64");
    assert!(outcome.summary.contains("linux/arm64` "), "{}", outcome.summary);
}

#[tokio::test]
async fn attestations_are_there_when_asked_for() {
    let name = name("attested");
    let reference = format!("{name}:v1");
    let inputs = [("tags", reference.as_str()), ("push", "true"), ("provenance", "max")];
    let outcome = by_engine(&name).await.inputs(&inputs).run();
    if if_able(Need::Attestations, "cannot attach provenance", outcome).await.is_none() {
        return assert_absent(&reference).await;
    }
    let found = index(&reference).await;
    let kinds: Vec<&Value> = found["manifests"]
        .as_array()
        .unwrap()
        .iter()
        .map(|part| &part["annotations"]["vnd.docker.reference.type"])
        .collect();
    assert_eq!(kinds, [&Value::Null, &Value::from("attestation-manifest")], "{found}");
}

#[tokio::test]
async fn a_digest_needs_no_tag() {
    let name = name("digest-only");
    let outcome = by_engine(&name).await.inputs(&[("tags", &name), ("digest_only", "true")]).run();
    let Some(outcome) = if_able(Need::DigestOnly, "cannot push without a tag", outcome).await else {
        return;
    };
    let digest = outcome.output("digest");
    assert_eq!(outcome.output("image_ref"), format!("{name}@{digest}"));
    assert!(!outcome.has_output("tags"));
    let (host, repository) = name.split_once('/').unwrap();
    assert_eq!(ask(format!("http://{host}/v2/{repository}/manifests/{digest}")).await.0, 200);
    assert_absent(&format!("{name}:latest")).await;
}

#[tokio::test]
async fn another_machine_takes_steps_from_the_registry() {
    let name = name("cache");
    let cache = format!("type=registry,ref={name}:cache,mode=max");
    let run = async |tag: &str, no_cache: &str| {
        build("FROM landfall-test/base:1\nCOPY unique /\nRUN cat /unique > /out\n")
            .await
            .file("unique", &name)
            .inputs(&[
                ("builder", "engine"),
                ("tags", &format!("{name}:{tag}")),
                ("push", "true"),
                ("cache_to", &cache),
                ("cache_from", &format!("{name}:cache")),
                ("no_cache", no_cache),
            ])
            .run()
    };
    let words = "cannot export its cache to a registry";
    let Some(_) = if_able(Need::CacheTo(CacheKind::Registry), words, run("v1", "true").await).await else {
        return;
    };
    assert!(pushed_cache(&name).await, "the cache is in the registry");
    let second = run("v2", "false").await;
    second.succeeded();
    assert!(second.raw.contains("RUN cat /unique > /out CACHED"), "{}", second.raw);
}

async fn pushed_cache(name: &str) -> bool {
    let (host, repository) = name.split_once('/').unwrap();
    ask(format!("http://{host}/v2/{repository}/manifests/cache")).await.0 == 200
}

#[tokio::test]
async fn the_cache_of_actions_is_left_out_where_there_is_none() {
    let outcome = by_engine(&unique("gha")).await.inputs(&[("cache_to", "type=gha,mode=max"), ("load", "false")]).run();
    outcome.succeeded();
    let warnings = outcome.annotations("warning");
    assert!(warnings.iter().any(|warning| warning.title == "Cache left out"), "{}", outcome.report());
}

#[tokio::test]
async fn further_contexts_are_read_by_their_names() {
    let run = build("FROM landfall-test/base:1\nCOPY --from=shared word /word\nRUN cat /word\n").await;
    let outcome = run
        .file("libs/shared/word", unique("context"))
        .inputs(&[("builder", "engine"), ("build_contexts", "Shared=libs/shared"), ("load", "false")])
        .run();
    if let Some(outcome) = if_able(Need::NamedContexts, "cannot use named contexts", outcome).await {
        assert!(outcome.raw.contains("landfall-test/context-"), "{}", outcome.raw);
    }
}

#[tokio::test]
async fn an_ssh_agent_is_at_hand_for_the_steps_that_ask() {
    let run = build("FROM landfall-test/base:1\nRUN --mount=type=ssh,required=true test -S \"$SSH_AUTH_SOCK\" && echo agent at hand\n").await;
    let socket = run.temp().join("agent.sock");
    let _agent = std::os::unix::net::UnixListener::bind(&socket).unwrap();
    let outcome = run
        .env("SSH_AUTH_SOCK", &socket)
        .inputs(&[("builder", "engine"), ("ssh", "default"), ("no_cache", "true"), ("load", "false")])
        .run();
    outcome.succeeded();
    assert!(outcome.raw.contains("\nagent at hand"), "{}", outcome.raw);
}

#[tokio::test]
async fn with_lint_no_step_runs_in_vain() {
    if !abilities().await.can(Need::Checks) {
        return; // Refused by name, as another test sees.
    }
    let outcome = build("FROM landfall-test/base:1 as app\nRUN echo this ran\n")
        .await
        .inputs(&[("builder", "engine"), ("lint", "true"), ("no_cache", "true"), ("load", "false")])
        .run();
    outcome.failed(3, "lint");
    assert!(!outcome.raw.contains("\nthis ran"), "{}", outcome.raw);
}

#[tokio::test]
async fn a_builder_that_cannot_be_had_leaves_nothing() {
    let dead = super::engine::dead_registry();
    let outcome = by_engine(&unique("no-builder"))
        .await
        .inputs(&[("builder", "container"), ("builder_image", &format!("{dead}/buildkit:v1")), ("load", "false")])
        .run();
    outcome.failed(4, "builder-unavailable");
    assert!(outcome.raw.contains("cannot be pulled"), "{}", outcome.raw);
    let name = outcome.state.iter().find(|(key, _)| key == "builder").unwrap().1.clone();
    assert_eq!(super::container::leftovers(&name).await, Vec::<String>::new());
    outcome.post().run();
}

#[tokio::test]
async fn a_builder_that_does_not_answer_is_named() {
    let address = format!("tcp://{}", super::engine::dead_registry());
    let outcome = by_engine(&unique("away")).await.inputs(&[("builder", address.as_str()), ("load", "false")]).run();
    outcome.failed(4, "builder-unavailable");
    assert!(outcome.raw.contains(&address), "{}", outcome.raw);
}

#[tokio::test]
async fn steps_are_kept_in_a_folder_and_taken_from_there() {
    let name = unique("folder-cache");
    let first = build("FROM landfall-test/base:1\nCOPY unique /\nRUN cat /unique > /out\n").await.file("unique", &name);
    let folder = first.temp().join("cache");
    let (to, from) =
        (format!("type=local,dest={},mode=max", folder.display()), format!("type=local,src={}", folder.display()));
    let inputs = [("builder", "engine"), ("cache_to", to.as_str()), ("cache_from", from.as_str()), ("load", "false")];
    let outcome = first.inputs(&inputs).input("no_cache", "true").run();
    let Some(_first) = if_able(Need::CacheTo(CacheKind::Local), "cannot export its cache to a folder", outcome).await
    else {
        return;
    };
    let index: Value = serde_json::from_slice(&std::fs::read(folder.join("index.json")).unwrap()).unwrap();
    assert_eq!(index["manifests"][0]["annotations"]["org.opencontainers.image.ref.name"], "latest");
    assert_eq!(std::fs::read_dir(folder.join("ingest")).unwrap().count(), 0);
    let second =
        build("FROM landfall-test/base:1\nCOPY unique /\nRUN cat /unique > /out\n").await.file("unique", &name);
    let second = second.inputs(&inputs[..3]).input("load", "false").run();
    second.succeeded();
    assert!(
        second.raw.contains("importing cache manifest from local") || second.raw.contains("CACHED"),
        "{}",
        second.raw
    );
}

#[tokio::test]
async fn a_git_repository_is_fetched_by_the_builder() {
    let run = build("nothing of the workspace is read\n").await;
    let repository = run.temp().join("served/app.git");
    std::fs::create_dir_all(&repository).unwrap();
    let git = |arguments: &[&str]| {
        let done = std::process::Command::new("git").current_dir(&repository).args(arguments).output().unwrap();
        assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
    };
    git(&["init", "--quiet", "--initial-branch=main"]);
    std::fs::create_dir_all(repository.join("sub")).unwrap();
    let dockerfile = format!("FROM landfall-test/base:1\nRUN echo fetched {}\n", unique("git"));
    std::fs::write(repository.join("sub/Dockerfile"), dockerfile).unwrap();
    git(&["add", "."]);
    git(&["-c", "user.name=a", "-c", "user.email=a@example.com", "commit", "--quiet", "--message", "x"]);
    let port = super::engine::dead_registry().rsplit_once(':').unwrap().1.to_owned();
    let served = repository.parent().unwrap().to_owned();
    // Not through `git`, which would leave the daemon behind when it is ended.
    let folder = std::process::Command::new("git").arg("--exec-path").output().unwrap().stdout;
    let program = std::path::Path::new(std::str::from_utf8(&folder).unwrap().trim()).join("git-daemon");
    let mut daemon = std::process::Command::new(program)
        .args(["--export-all", "--reuseaddr", "--listen=127.0.0.1"])
        .args([format!("--port={port}"), format!("--base-path={}", served.display())])
        .stderr(std::process::Stdio::null())
        .spawn()
        .unwrap();
    while std::net::TcpStream::connect(format!("127.0.0.1:{port}")).is_err() {
        assert!(daemon.try_wait().unwrap().is_none(), "git daemon ended");
    }
    let context = format!("git://127.0.0.1:{port}/app.git/.git#main:sub");
    let outcome = run.inputs(&[("builder", "engine"), ("context", &context), ("load", "false")]).run();
    daemon.kill().unwrap();
    daemon.wait().unwrap();
    if let Some(outcome) = if_able(Need::GitFolder, "cannot fetch a folder of a git repository", outcome).await {
        assert!(outcome.raw.contains("fetched landfall-test/git-"), "{}", outcome.raw);
    }
}
