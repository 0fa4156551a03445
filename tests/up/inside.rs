//! `up` from inside a container of the same engine, as on GitHub's runners: "localhost" is somebody else there.

use std::path::Path;
use std::time::Duration;

use landfall::services::engine::{Access, ContainerSpec, Mount, Network};

use super::{BASE, SERVER};
use crate::engine::{base, unique, variable};

/// The binary under test with the machine's libraries, in a container with the engine's socket.
fn container(inputs: &[(&str, &str)], network: Network) -> ContainerSpec {
    let socket = variable("DOCKER_HOST").trim_start_matches("unix://").to_owned();
    let binary = env!("CARGO_BIN_EXE_landfall").to_owned();
    let mut mounts: Vec<(String, &str)> = vec![(socket, "/var/run/docker.sock"), (binary, "/landfall")];
    for folder in ["/lib", "/lib64", "/usr/lib", "/etc/ssl"] {
        if Path::new(folder).exists() {
            let real = std::fs::canonicalize(folder).unwrap().to_string_lossy().into_owned();
            mounts.push((real, folder));
        }
    }
    let mount = |(source, target): (String, &str)| Mount { source, target: target.to_owned(), access: Access::Read };
    ContainerSpec {
        entrypoint: Some(vec!["/landfall".to_owned()]),
        command: Some(vec!["up".to_owned()]),
        environment: inputs
            .iter()
            .map(|(name, value)| (format!("INPUT_{}", name.to_uppercase()), (*value).to_owned()))
            .collect(),
        mounts: mounts.into_iter().map(mount).collect(),
        network,
        stop_timeout: Some(Duration::ZERO),
        ..ContainerSpec::new(BASE)
    }
}

/// Its exit code and log.
async fn run(spec: &ContainerSpec) -> (i64, String) {
    let engine = crate::engine::engine().await;
    base(&engine).await;
    let id = engine.create(spec).await.unwrap();
    engine.start(&id).await.unwrap();
    let code = engine.wait(&id).await.unwrap();
    let lines = engine.last_logs(&id, 200).await.unwrap();
    engine.remove(&id).await.unwrap();
    (code, lines.into_iter().map(|line| line.text).collect::<Vec<_>>().join("\n"))
}

#[tokio::test]
async fn localhost_is_the_engines_host_from_inside_too() {
    let inputs = [
        ("image", BASE),
        ("command", SERVER),
        ("ports", "127.0.0.1::80"),
        ("health_url", "http://localhost:80/index.html"),
        ("keep", "false"),
    ];
    let (code, log) = run(&container(&inputs, Network::Default)).await;
    assert_eq!(code, 0, "{log}");
    assert!(log.contains("from here"), "the address was not translated:\n{log}");
}

#[tokio::test]
async fn a_job_with_services_has_its_containers_in_the_same_network() {
    let engine = crate::engine::engine().await;
    let network = unique("job").replace('/', "-");
    engine.create_network(&network, &std::collections::BTreeMap::new()).await.unwrap();
    let joined = || Network::Joined(vec![(network.clone(), vec!["peer".to_owned()])]);
    base(&engine).await;
    let command = ["sh", "-c", "echo peer > /index.html; exec httpd -f -p 80 -h /"].map(str::to_owned).to_vec();
    let peer = ContainerSpec { command: Some(command), network: joined(), ..ContainerSpec::new(BASE) };
    let peer = engine.create(&peer).await.unwrap();
    engine.start(&peer).await.unwrap();
    let inputs = [
        ("image", BASE),
        ("command", SERVER),
        ("health_command", "wget -qO- http://peer/index.html"),
        ("health_url", "http://localhost:80/index.html"),
        ("keep", "false"),
    ];
    let (code, log) = run(&container(&inputs, Network::Joined(vec![(network.clone(), Vec::new())]))).await;
    engine.remove(&peer).await.unwrap();
    engine.remove_network(&network).await.unwrap();
    assert_eq!(code, 0, "{log}");
}

#[tokio::test]
async fn a_compose_projects_own_network_is_joined_for_the_check_and_left_again() {
    // The file must be inside: it comes through a folder of the host.
    let folder = tempfile::tempdir().unwrap();
    let file = "services:\n  web:\n    image: landfall-test/base:1\n    command: sh -c 'echo ok > /index.html; exec httpd -f -p 80 -h /'\n";
    std::fs::write(folder.path().join("compose.yml"), file).unwrap();
    let inputs = [("compose_file", "compose.yml"), ("health_url", "http://web/index.html"), ("keep", "false")];
    let mut spec = container(&inputs, Network::Default);
    let source = folder.path().to_string_lossy().into_owned();
    spec.mounts.push(Mount { source, target: "/work".into(), access: Access::Read });
    spec.working_directory = Some("/work".into());
    // It removes the network at its end, which it can only when it has left it.
    let (code, log) = run(&spec).await;
    assert_eq!(code, 0, "{log}");
    assert!(log.contains("network"), "{log}");
}
