//! Builds by a BuildKit of our own in a container. They need an image of it, which `make test-builder` gives: no image can
//! be pulled where the other tests run.

use std::os::unix::fs::PermissionsExt as _;

use super::engine::{engine, unique, variable};
use super::support::Landfall;
use super::{ask, build, name, pushed_image};

/// A build in a builder container.
async fn in_container(dockerfile: &str, unique: &str) -> Landfall {
    build(dockerfile).await.file("unique", unique).inputs(&[
        ("builder", "container"),
        ("builder_image", &variable("LANDFALL_TEST_BUILDER_IMAGE")),
        ("qemu", "never"),
    ])
}

/// The same with a shell of the machine's in it.
fn with_busybox(run: Landfall) -> Landfall {
    let run = run.file("busybox", std::fs::read("/bin/busybox").unwrap());
    std::fs::set_permissions(run.workspace().join("busybox"), std::fs::Permissions::from_mode(0o755)).unwrap();
    run
}

/// What is left of a builder on the engine.
pub(super) async fn leftovers(name: &str) -> Vec<String> {
    let engine = engine().await;
    let label = format!("com.github.landfall.builder={name}");
    let mut found = engine.containers_with(&label).await.unwrap();
    let docker = bollard::Docker::connect_with_host(&variable("DOCKER_HOST")).unwrap();
    let volume = docker.inspect_volume(&format!("{name}_state")).await;
    found.extend(volume.ok().map(|volume| volume.name));
    found
}

fn builder_of(state: &[(String, String)]) -> String {
    state.iter().find(|(key, _)| key == "builder").unwrap().1.clone()
}

#[tokio::test]
#[ignore = "needs LANDFALL_TEST_BUILDER_IMAGE; `make test-builder` sets it"]
async fn one_build_is_loaded_tested_pushed_and_leaves_nothing() {
    let name = name("contained");
    let reference = format!("{name}:v1");
    let run = in_container("FROM scratch\nCOPY unique busybox /bin/\nUSER 7\n", &name).await;
    let outcome = with_busybox(run)
        .inputs(&[
            ("tags", &reference),
            ("push", "true"),
            ("load", "true"),
            ("smoke", "/bin/busybox id -u"),
            ("max_size", "20MB"),
            ("annotations", "com.acme.team=web"),
        ])
        .run();
    outcome.succeeded();
    let (digest, config) = pushed_image(&reference).await.unwrap();
    assert_eq!(digest, outcome.output("digest"));
    assert_eq!(config["config"]["User"], "7");
    assert!(outcome.raw.contains("\n7\n"), "the smoke test ran: {}", outcome.raw);
    let engine = engine().await;
    let loaded = engine.image(&reference).await.unwrap().unwrap();
    assert_eq!(loaded.id, outcome.output("image_id"));
    engine.untag(&reference).await.unwrap();
    let builder = builder_of(&outcome.state);
    assert_eq!(leftovers(&builder).await.len(), 2, "it waits for the job's next build");
    assert_eq!(outcome.post().run().code, Some(0));
    assert_eq!(leftovers(&builder).await, Vec::<String>::new());
}

#[tokio::test]
#[ignore = "needs LANDFALL_TEST_BUILDER_IMAGE; `make test-builder` sets it"]
async fn platforms_become_one_index_and_a_refused_image_goes_nowhere() {
    let name = name("contained-index");
    let reference = format!("{name}:v1");
    let run = async |size: &str| {
        in_container("FROM scratch\nCOPY unique /\n", &name)
            .await
            .inputs(&[
                ("platforms", "linux/amd64,linux/arm64"),
                ("tags", &reference),
                ("push", "true"),
                ("provenance", "min"),
                ("max_size", size),
            ])
            .file("unique", name.repeat(100))
            .run()
    };
    let refused = run("1kB").await;
    refused.failed(3, "image-too-large");
    super::assert_absent(&reference).await;
    refused.post().run();
    let outcome = run("1MB").await;
    outcome.succeeded();
    let (host, path) = reference.split_once('/').unwrap();
    let (repository, tag) = path.rsplit_once(':').unwrap();
    let index = ask(format!("http://{host}/v2/{repository}/manifests/{tag}")).await.2;
    assert_eq!(index["manifests"].as_array().unwrap().len(), 4, "two images, two attestations: {index}");
    outcome.post().run();
}

#[tokio::test]
#[ignore = "needs LANDFALL_TEST_BUILDER_IMAGE; `make test-builder` sets it"]
async fn who_is_cancelled_takes_the_builder_along_and_who_is_killed_leaves_it_to_the_post_stage() {
    for signal in ["TERM", "KILL"] {
        let name = name("interrupted");
        let reference = format!("{name}:v1");
        let dockerfile = "FROM scratch\nCOPY busybox /bin/\nCOPY unique /\nRUN [\"/bin/busybox\", \"sh\", \"-c\", \"echo begun; exec /bin/busybox sleep 600\"]\n";
        let mut running = with_busybox(in_container(dockerfile, &unique(signal)).await)
            .inputs(&[("tags", &reference), ("push", "true")])
            .start();
        running.wait_for_log("begun");
        running.signal(signal);
        let outcome = running.wait();
        let builder = builder_of(&outcome.state);
        if signal == "TERM" {
            outcome.failed(130, "cancelled");
            assert_eq!(leftovers(&builder).await, Vec::<String>::new());
        } else {
            assert_eq!(outcome.code, None);
        }
        super::assert_absent(&reference).await;
        outcome.post().run();
        assert_eq!(leftovers(&builder).await, Vec::<String>::new());
    }
}

/// Steps that another builder has done are taken from where it left them; each builder is new and has nothing of its own.
#[tokio::test]
#[ignore = "needs LANDFALL_TEST_BUILDER_IMAGE; `make test-builder` sets it"]
async fn caches_outlive_their_builder_wherever_they_are() {
    let name = name("contained-cache");
    let folder = tempfile::tempdir().unwrap();
    let local = folder.path().display();
    let caches = [
        (format!("type=registry,ref={name}:cache,mode=max"), format!("{name}:cache")),
        (format!("type=local,dest={local},mode=max"), format!("type=local,src={local}")),
        ("type=inline".to_owned(), format!("type=registry,ref={name}:v1")),
    ];
    let dockerfile = "FROM scratch\nCOPY busybox /bin/\nCOPY unique /\nRUN [\"/bin/busybox\", \"sh\", \"-c\", \"/bin/busybox cp /unique /out; echo it ran\"]\n";
    for (number, (to, from)) in caches.iter().enumerate() {
        let content = format!("{name} {number}");
        for (input, cache) in [("cache_to", to), ("cache_from", from)] {
            let run = with_busybox(in_container(dockerfile, &content).await);
            let outcome = run.inputs(&[("tags", &format!("{name}:v1")), ("push", "true"), (input, cache)]).run();
            outcome.succeeded();
            let ran = outcome.raw.contains("\nit ran");
            assert_eq!(ran, input == "cache_to", "{cache}: {}", outcome.raw);
            let builder = builder_of(&outcome.state);
            outcome.post().run();
            assert_eq!(leftovers(&builder).await, Vec::<String>::new());
        }
    }
}

/// Where no socket can be shared, as with an engine on another machine, the engine runs a program beside the builder.
#[tokio::test]
#[ignore = "needs LANDFALL_TEST_BUILDER_IMAGE; `make test-builder` sets it"]
async fn without_a_shared_socket_the_builder_is_reached_through_the_engine() {
    let name = name("contained-far");
    let reference = format!("{name}:v1");
    let run = in_container("FROM scratch\nCOPY unique large /\n", &name).await.file("large", vec![7; 3_000_000]);
    // Longer than the name of a socket may be.
    let far = run.temp().join("x".repeat(100));
    std::fs::create_dir_all(&far).unwrap();
    let outcome = run
        .env("RUNNER_TEMP", &far)
        .inputs(&[
            ("platforms", "linux/amd64,linux/arm64"),
            ("tags", &reference),
            ("push", "true"),
            ("load", "true"),
            ("provenance", "max"),
        ])
        .run();
    outcome.succeeded();
    let (host, path) = reference.split_once('/').unwrap();
    let (repository, tag) = path.rsplit_once(':').unwrap();
    let (_, digest, index) = ask(format!("http://{host}/v2/{repository}/manifests/{tag}")).await;
    assert_eq!(digest.as_deref(), Some(outcome.output("digest")));
    assert_eq!(index["manifests"].as_array().unwrap().len(), 4, "{index}");
    engine().await.untag(&reference).await.unwrap();
    let builder = builder_of(&outcome.state);
    outcome.post().run();
    assert_eq!(leftovers(&builder).await, Vec::<String>::new());
}
