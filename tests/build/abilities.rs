//! What an engine's own builder can do, is done by it; what it cannot do is refused when it alone may build.

use landfall::domain::builder::{CacheKind, Need};
use serde_json::Value;

use super::engine::{abilities, engine, unique};
use super::support::{Landfall, Outcome};
use super::world::World;
use super::world::artifacts::runtime_token;
use super::world::http::Door;
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
    outcome.succeeded();
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
    outcome.succeeded();
    let digest = outcome.output("digest");
    assert_eq!(outcome.output("image_ref"), format!("{name}@{digest}"));
    assert!(!outcome.has_output("tags"));
    let (host, repository) = name.split_once('/').unwrap();
    assert_eq!(ask(format!("http://{host}/v2/{repository}/manifests/{digest}")).await.0, 200);
    assert_eq!(tags(&name).await, Value::Null, "no tag served the way there");
    assert_eq!(engine().await.image(outcome.output("image_id")).await.unwrap(), None, "the engine keeps nothing");
}

/// The tags of a repository, as the registry lists them; null when it never had one.
async fn tags(name: &str) -> Value {
    let (host, repository) = name.split_once('/').unwrap();
    let mut tags = ask(format!("http://{host}/v2/{repository}/tags/list")).await.2["tags"].take();
    tags.as_array_mut().into_iter().for_each(|tags| tags.sort_by_key(Value::to_string));
    tags
}

#[tokio::test]
async fn an_index_is_whole_under_each_of_its_tags_and_the_engine_keeps_its_own_platform() {
    let (name, other) = (name("whole"), name("whole-elsewhere"));
    let own = engine().await.info().platform.clone();
    let foreign = if own == "linux/amd64" { "linux/arm64" } else { "linux/amd64" };
    let reference = format!("{name}:v1");
    // Two layers that are the same are one blob, and an old engine's archive has the second as a link.
    let run = build("FROM scratch\nCOPY unique /\nCOPY unique /\nCOPY empty /\n").await;
    let outcome = run
        .file("unique", name.repeat(1000))
        .file("empty", "")
        .inputs(&[
            ("builder", "engine"),
            ("qemu", "never"),
            ("platforms", &format!("{foreign}, {own}")),
            ("tags", &format!("{reference}\n{name}:v2\n{other}:v1")),
            ("push", "true"),
            ("load", "true"),
            ("max_size", "1MB"),
        ])
        .run();
    outcome.succeeded();
    let digest = outcome.output("digest");
    for place in [&reference, &format!("{name}:v2"), &format!("{other}:v1")] {
        let (host, path) = place.split_once('/').unwrap();
        let (repository, tag) = path.rsplit_once(':').unwrap();
        let (_, found, index) = ask(format!("http://{host}/v2/{repository}/manifests/{tag}")).await;
        assert_eq!(found.as_deref(), Some(digest), "{place}");
        for part in index["manifests"].as_array().unwrap() {
            let part = part["digest"].as_str().unwrap();
            let (status, _, manifest) = ask(format!("http://{host}/v2/{repository}/manifests/{part}")).await;
            assert_eq!((status, manifest["layers"].as_array().map(Vec::len)), (200, Some(3)), "{manifest}");
            for layer in manifest["layers"].as_array().unwrap() {
                let url = format!("http://{host}/v2/{repository}/blobs/{}", layer["digest"].as_str().unwrap());
                let blob =
                    landfall::services::http::client().unwrap().get(url).send().await.unwrap().bytes().await.unwrap();
                assert_eq!(layer["size"], blob.len());
            }
        }
    }
    assert_eq!(tags(&name).await, serde_json::json!(["v1", "v2"]), "no tag served the way there");
    // The same in the engine, which takes it back from the registry.
    let engine = engine().await;
    let kept = engine.image(&reference).await.unwrap().unwrap();
    assert_eq!(kept.platform, own);
    assert_eq!(outcome.output("platforms"), format!("{foreign}\n{own}"));
    for reference in [&reference, &format!("{name}:v2"), &format!("{other}:v1")] {
        engine.untag(reference).await.unwrap();
    }
    for platform in [foreign, &own] {
        engine.pull(&reference, Some(platform), None, |_| ()).await.unwrap();
        assert_eq!(engine.image(&reference).await.unwrap().unwrap().layers, kept.layers);
        engine.untag(&reference).await.unwrap();
    }
}

#[tokio::test]
async fn jobs_hand_their_digests_over_in_artifacts() {
    let world = World::start().await;
    let name = name("handed");
    let in_run = |run: Landfall| {
        run.env("GITHUB_API_URL", world.github_url())
            .env("ACTIONS_RESULTS_URL", world.base(Door::Results))
            .env("ACTIONS_RUNTIME_TOKEN", runtime_token())
    };
    for architecture in ["amd64", "arm64"] {
        let outcome = in_run(by_engine(&name).await)
            .inputs(&[
                ("platforms", &format!("linux/{architecture}")),
                ("tags", &name),
                ("digest_only", "true"),
                ("digest_artifact", &format!("digest-{architecture}")),
            ])
            .run();
        outcome.succeeded();
    }
    let tag = format!("{name}:v1");
    let merged = in_run(Landfall::new("merge")).inputs(&[("artifact", "digest-*"), ("tags", &tag)]).run();
    merged.succeeded();
    assert_eq!(merged.output("platforms"), "linux/amd64\nlinux/arm64");
    assert_eq!(index(&tag).await["manifests"].as_array().unwrap().len(), 2);
    world.explain_writes();
    world.finish();
}

#[tokio::test]
async fn one_platform_that_fails_is_named_and_nothing_is_pushed() {
    let name = name("half");
    let reference = format!("{name}:v1");
    let run = build("FROM scratch\nARG TARGETARCH\nCOPY for-$TARGETARCH /\n").await;
    let outcome = run
        .file("for-amd64", &name)
        .inputs(&[
            ("builder", "engine"),
            ("qemu", "never"),
            ("platforms", "linux/amd64, linux/arm64"),
            ("tags", &reference),
            ("push", "true"),
        ])
        .run();
    outcome.failed(1, "build-failed");
    assert!(outcome.raw.contains("for-arm64"), "{}", outcome.raw);
    assert_absent(&reference).await;
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
async fn a_private_key_is_an_agent_for_the_steps_that_ask() {
    let run = build("FROM landfall-test/base:1\nRUN --mount=type=ssh,required=true test -S \"$SSH_AUTH_SOCK\" && echo agent at hand\n").await;
    let made = std::process::Command::new("ssh-keygen")
        .args(["-q", "-t", "ed25519", "-N", "", "-f"])
        .arg(run.workspace().join("deploy_key"))
        .status();
    assert!(made.unwrap().success());
    let key = std::fs::read_to_string(run.workspace().join("deploy_key")).unwrap();
    let outcome = run
        .file(".dockerignore", "deploy_key*\n")
        .inputs(&[("builder", "engine"), ("ssh", "default=deploy_key"), ("no_cache", "true"), ("load", "false")])
        .run();
    outcome.succeeded();
    assert!(outcome.raw.contains("\nagent at hand"), "{}", outcome.raw);
    for line in key.lines().filter(|line| !line.starts_with("-----")) {
        outcome.keeps(line);
    }
    let wrong = build("FROM scratch\n").await.file("key", "no key").input("ssh", "default=key").run();
    wrong.failed(2, "invalid-input");
    assert!(wrong.raw.contains("ssh-keygen -p -f"), "{}", wrong.raw);
}

#[tokio::test]
async fn a_stage_can_be_kept_out_of_the_cache() {
    let name = unique("filter");
    let dockerfile = "FROM landfall-test/base:1 AS kept\nCOPY unique /\nRUN echo kept > /k\nFROM landfall-test/base:1 AS fresh\nCOPY --from=kept /k /\nRUN echo made anew\n";
    let run = async |filters: &str| {
        let run = build(dockerfile).await.file("unique", &name);
        run.inputs(&[("builder", "engine"), ("load", "false"), ("no_cache_filters", filters)]).run()
    };
    run("").await.succeeded();
    let outcome = run("fresh").await;
    outcome.succeeded();
    assert!(outcome.raw.contains("RUN echo kept > /k CACHED"), "{}", outcome.raw);
    assert!(outcome.raw.contains("\nmade anew"), "{}", outcome.raw);
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
