//! Purpose: long-running containers, networks, volumes, files, and image tars.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use bytes::Bytes;
use futures_util::{StreamExt as _, TryStreamExt as _};
use landfall::domain::build_event::LogStream;
use landfall::domain::container::{HealthCheck, HealthStatus, HealthTest, Status, read_ports};
use landfall::services::engine::{Access, ContainerSpec, Engine, EngineError, Exec, Mount, Network, StartCause};

use crate::support::{base, engine, unique};

fn name(stem: &str) -> String {
    unique(stem).replace('/', "-")
}

async fn spec(engine: &Engine, script: &str) -> ContainerSpec {
    ContainerSpec {
        command: Some(["sh", "-c", script].map(str::to_owned).to_vec()),
        stop_timeout: Some(Duration::from_secs(0)),
        ..ContainerSpec::new(base(engine).await)
    }
}

/// A started container.
async fn started(engine: &Engine, spec: &ContainerSpec) -> String {
    let id = engine.create(spec).await.unwrap();
    engine.start(&id).await.unwrap();
    id
}

/// Asks until the answer is as wanted; the engine's own events decide when that is.
async fn until<T, F: Future<Output = Option<T>>>(mut ask: impl FnMut() -> F) -> T {
    let asking = async {
        loop {
            if let Some(answer) = ask().await {
                return answer;
            }
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(Duration::from_secs(60), asking).await.expect("it never came to be")
}

#[tokio::test]
async fn a_container_lives_until_it_is_removed() {
    let engine = engine().await;
    let label = name("label");
    let mut wanted = spec(&engine, "echo one; echo two >&2; echo \"$WORD\"; exec sleep 3600").await;
    wanted.environment = [("WORD".to_owned(), "a b".to_owned())].into();
    wanted.labels = [(label.clone(), "yes".to_owned())].into();
    wanted.name = Some(name("lives"));
    let id = engine.create(&wanted).await.unwrap();
    let seen = engine.container(&id).await.unwrap().unwrap();
    assert_eq!((seen.state.status, seen.state.started_at), (Status::Created, None));
    assert_eq!((Some(&seen.name), seen.image.as_str()), (wanted.name.as_ref(), "landfall-test/base:1"));
    let error = engine.create(&wanted).await.unwrap_err();
    assert!(matches!(error, EngineError::Conflict { .. }), "{error}");
    engine.start(&id).await.unwrap();
    engine.start(&id).await.unwrap();
    // The engine reads the two streams apart, so that their order is its own.
    let lines = until(|| async {
        let lines = engine.last_logs(&id, 9).await.unwrap();
        (lines.len() == 3).then_some(lines)
    });
    let mut lines: Vec<(bool, String)> =
        lines.await.into_iter().map(|line| (line.stream == LogStream::Error, line.text)).collect();
    lines.sort();
    assert_eq!(lines, [(false, "a b".to_owned()), (false, "one".to_owned()), (true, "two".to_owned())]);
    assert_eq!(engine.last_logs(&id, 1).await.unwrap().len(), 1);
    assert_eq!(engine.containers_with(&label).await.unwrap(), std::slice::from_ref(&id));
    let exec = Exec {
        command: ["sh", "-c", "echo \"$PWD $X\"; echo err >&2; exit 3"].map(str::to_owned).to_vec(),
        environment: [("X".to_owned(), "y".to_owned())].into(),
        working_directory: Some("/bin".to_owned()),
        ..Exec::default()
    };
    let written = Mutex::new([String::new(), String::new()]);
    let note = |stream, data: &[u8]| {
        written.lock().unwrap()[usize::from(stream == LogStream::Error)].push_str(std::str::from_utf8(data).unwrap());
    };
    assert_eq!(engine.exec(&id, &exec, note).await.unwrap(), 3);
    assert_eq!(written.into_inner().unwrap(), ["/bin y\n", "err\n"]);
    engine.stop(&id, Duration::from_secs(0)).await.unwrap();
    engine.stop(&id, Duration::from_secs(0)).await.unwrap();
    assert_eq!(engine.wait(&id).await.unwrap(), 137);
    let state = engine.container(&id).await.unwrap().unwrap().state;
    assert_eq!((state.status, state.exit_code, state.out_of_memory), (Status::Exited, 137, false));
    let error = engine.exec(&id, &exec, |_, _| ()).await.unwrap_err();
    assert!(matches!(error, EngineError::Conflict { .. }), "{error}");
    engine.remove(&id).await.unwrap();
    engine.remove(&id).await.unwrap();
    assert_eq!(engine.container(&id).await.unwrap(), None);
}

#[tokio::test]
async fn health_comes_with_its_log() {
    let engine = engine().await;
    let mut wanted = spec(&engine, "exec sleep 3600").await;
    let check = HealthCheck {
        interval: Some(Duration::from_millis(100)),
        retries: Some(1),
        ..HealthCheck::new(HealthTest::Shell("echo not yet; exit 4".into()))
    };
    wanted.health = Some(check);
    let id = started(&engine, &wanted).await;
    let state = until(|| async {
        let state = engine.container(&id).await.unwrap().unwrap().state;
        (state.health == HealthStatus::Unhealthy).then_some(state)
    });
    let state = state.await;
    assert!(state.failing_streak >= 1);
    assert_eq!((state.probes[0].exit_code, state.probes[0].output.trim()), (4, "not yet"));
    engine.remove(&id).await.unwrap();
}

#[tokio::test]
async fn what_stands_in_the_way_of_a_start_is_told_apart() {
    let engine = engine().await;
    let listener = std::net::TcpListener::bind("0.0.0.0:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let mut taken = spec(&engine, "true").await;
    taken.ports = read_ports(&format!("{port}:80")).unwrap();
    let absent = ContainerSpec { command: Some(vec!["/no/such".into()]), ..ContainerSpec::new(base(&engine).await) };
    for (wanted, expected) in [(taken, StartCause::PortTaken), (absent, StartCause::Command)] {
        let id = engine.create(&wanted).await.unwrap();
        let error = engine.start(&id).await.unwrap_err();
        engine.remove(&id).await.unwrap();
        assert!(matches!(&error, EngineError::Start { cause, .. } if *cause == expected), "{error}");
    }
    let error = engine.create(&ContainerSpec::new(unique("none"))).await.unwrap_err();
    assert!(matches!(&error, EngineError::NotFound { object } if object.starts_with("image ")), "{error}");
}

#[tokio::test]
async fn containers_find_each_other_in_their_networks() {
    let engine = engine().await;
    let (one, two, volume) = (name("net-one"), name("net-two"), name("volume"));
    let labels: BTreeMap<String, String> = [(name("net-label"), String::new())].into();
    let label = labels.keys().next().unwrap();
    let ids =
        [engine.create_network(&one, &labels).await.unwrap(), engine.create_network(&two, &labels).await.unwrap()];
    let error = engine.create_network(&one, &labels).await.unwrap_err();
    assert!(matches!(error, EngineError::Conflict { .. }), "{error}");
    let mut listed = engine.networks_with(label).await.unwrap();
    let mut expected = ids.to_vec();
    listed.sort();
    expected.sort();
    assert_eq!(listed, expected);
    engine.create_volume(&volume, &labels).await.unwrap();
    assert_eq!(engine.volumes_with(label).await.unwrap(), std::slice::from_ref(&volume));
    let mut server = spec(&engine, "echo hello > /data/index.html; exec httpd -f -p 80 -h /data").await;
    server.network = Network::Joined(vec![(one.clone(), Vec::new()), (two.clone(), vec!["web".into()])]);
    server.mounts = vec![Mount { source: volume.clone(), target: "/data".into(), access: Access::Write }];
    server.ports = read_ports("127.0.0.1::80").unwrap();
    let server = started(&engine, &server).await;
    let seen = engine.container(&server).await.unwrap().unwrap();
    assert_eq!(seen.networks.keys().collect::<Vec<_>>(), [&one, &two]);
    assert!(seen.networks.values().all(|attached| attached.address.is_some()));
    assert!(seen.published[0].host.is_some_and(|port| port > 0) && seen.published[0].container == 80);
    let mut client =
        spec(&engine, "for i in 1 2 3 4 5 6 7 8 9; do wget -qO- http://web/ && exit; usleep 200000; done").await;
    client.network = Network::Joined(vec![(two.clone(), Vec::new())]);
    let client = started(&engine, &client).await;
    assert_eq!(engine.wait(&client).await.unwrap(), 0);
    assert_eq!(engine.last_logs(&client, 9).await.unwrap().last().unwrap().text, "hello");
    assert!(engine.remove_network(&one).await.is_err());
    engine.leave(&two, &client).await.unwrap();
    engine.leave(&two, &client).await.unwrap();
    for id in [&server, &client] {
        engine.remove(id).await.unwrap();
    }
    engine.remove_volume(&volume).await.unwrap();
    engine.remove_volume(&volume).await.unwrap();
    for network in [&one, &two, &one] {
        engine.remove_network(network).await.unwrap();
    }
}

#[tokio::test]
async fn files_go_in_before_the_start_and_come_out_after_the_end() {
    let engine = engine().await;
    let wanted = spec(&engine, "cat /bin/word > /out; echo more >> /out").await;
    let id = engine.create(&wanted).await.unwrap();
    let mut tar = tokio_tar::Builder::new(Vec::new());
    let mut header = tokio_tar::Header::new_gnu();
    header.set_size(5);
    header.set_mode(0o644);
    tar.append_data(&mut header, "word", &b"word\n"[..]).await.unwrap();
    let tar = Bytes::from(tar.into_inner().await.unwrap());
    let stream = |tar: Bytes| futures_util::stream::iter([Ok::<_, std::io::Error>(tar)]);
    engine.copy_in(&id, "/bin", stream(tar.clone())).await.unwrap();
    let error = engine.copy_in(&id, "/absent", stream(tar)).await.unwrap_err();
    assert!(matches!(error, EngineError::NotFound { .. }), "{error}");
    engine.start(&id).await.unwrap();
    assert_eq!(engine.wait(&id).await.unwrap(), 0);
    let out: Vec<Bytes> = engine.copy_out(&id, "/out").try_collect().await.unwrap();
    assert!(out.concat().windows(10).any(|bytes| bytes == b"word\nmore\n"));
    let error = engine.copy_out(&id, "/absent").next().await.unwrap().unwrap_err();
    assert!(matches!(error, EngineError::NotFound { .. }), "{error}");
    engine.remove(&id).await.unwrap();
}

#[tokio::test]
async fn an_image_goes_through_a_tar() {
    let engine = engine().await;
    let reference = format!("{}:v1", unique("saved"));
    engine.tag(base(&engine).await, &reference).await.unwrap();
    let id = engine.image(&reference).await.unwrap().unwrap().id;
    let tar: Vec<Bytes> = engine.save(&[&reference]).try_collect().await.unwrap();
    engine.untag(&reference).await.unwrap();
    let stream = futures_util::stream::iter(tar.clone().into_iter().map(Ok::<_, std::io::Error>));
    let loaded = engine.load(stream).await.unwrap();
    assert_eq!(loaded.references, std::slice::from_ref(&reference));
    assert_eq!(engine.image(&reference).await.unwrap().unwrap().id, id);
    engine.untag(&reference).await.unwrap();
    let garbage = futures_util::stream::iter([Ok::<_, std::io::Error>(Bytes::from_static(b"no tar at all"))]);
    engine.load(garbage).await.unwrap_err();
    // A source that breaks off must not become an image.
    let broken = Arc::new(Mutex::new(tar.into_iter().take(1).collect::<Vec<_>>()));
    let broken = futures_util::stream::iter(std::mem::take(&mut *broken.lock().unwrap()).into_iter().map(Ok));
    let broken = broken.chain(futures_util::stream::iter([Err(std::io::Error::other("cut"))]));
    engine.load(broken).await.unwrap_err();
    assert_eq!(engine.image(&reference).await.unwrap(), None);
    let error = engine.save(&["landfall-test/absent:1"]).next().await.unwrap().unwrap_err();
    assert!(matches!(error, EngineError::NotFound { .. }), "{error}");
}

#[tokio::test]
async fn a_process_outside_of_every_container_is_in_none() {
    assert_eq!(engine().await.own_container().await.unwrap(), None);
}
