//! Purpose: the engine's REST side.

use std::sync::Mutex;

use landfall::domain::build_event::LogStream;
use landfall::services::buildkit::{Builder, Logins};
use landfall::services::engine::{Engine, EngineError, OneShot};
use landfall::services::{Classified as _, ErrorClass};

use crate::support::{
    base, build, closed_registry, context, dead_registry, engine, registry, request, unique, wrong_login,
};

/// A small image under that name.
async fn image(engine: &Engine, name: &str) -> String {
    let context = context(&[("Dockerfile", "FROM scratch\nCOPY content /\n"), ("content", name)]);
    let mut request = request(context.path());
    request.tags = vec![name.to_owned()];
    let (built, _) = build(&Builder::for_engine(engine), &request, &Logins::none()).await;
    built.unwrap().image_id.unwrap()
}

#[tokio::test]
async fn no_engine_is_an_error_that_names_the_endpoint() {
    let folder = tempfile::tempdir().unwrap();
    let endpoint = format!("unix://{}/none.sock", folder.path().display());
    let error = Engine::connect(&endpoint).await.unwrap_err();
    assert!(matches!(error, EngineError::NotAnswering { .. }));
    assert_eq!(error.to_string(), format!("no Docker Engine answers at {endpoint}"));
    assert_eq!(error.class(), ErrorClass::Unavailable);
    let error = Engine::connect(&format!("tcp://{}", dead_registry())).await.unwrap_err();
    assert!(matches!(error, EngineError::NotAnswering { .. }));
}

#[tokio::test]
async fn names_come_and_go() {
    let engine = engine().await;
    let (first, second) = (format!("{}:v1", unique("names")), format!("{}:v2", unique("names")));
    let id = image(&engine, &first).await;
    engine.tag(&id, &second).await.unwrap();
    let found = engine.image(&second).await.unwrap().unwrap();
    assert_eq!(found.id, id);
    assert!(found.tags.contains(&first) && found.tags.contains(&second));
    assert_eq!(found.platform.split('/').next(), Some("linux"));
    assert_eq!(found.layers.len(), 1);
    for name in [&first, &second, &second] {
        engine.untag(name).await.unwrap();
        assert_eq!(engine.image(name).await.unwrap(), None);
    }
    let error = engine.tag(&first, &second).await.unwrap_err();
    assert!(matches!(error, EngineError::NotFound { .. }), "{error}");
}

#[tokio::test]
async fn a_push_tells_the_digest_that_the_registry_has() {
    let engine = engine().await;
    let name = format!("{}/{}", registry(), unique("push"));
    let (reference, other) = (format!("{name}:v1"), format!("{name}:v2"));
    image(&engine, &reference).await;
    let steps = Mutex::new(0);
    let digest = engine.push(&reference, None, |_| *steps.lock().unwrap() += 1).await.unwrap();
    assert!(*steps.lock().unwrap() > 0);
    assert_eq!(engine.distribution(&reference, None).await.unwrap(), Some(digest.clone()));
    assert_eq!(engine.push(&reference, None, |_| ()).await.unwrap(), digest, "pushing again changes nothing");
    assert_eq!(engine.distribution(&other, None).await.unwrap(), None, "a tag that is not there");
    let absent = format!("{}/{}:v1", registry(), unique("absent"));
    assert_eq!(engine.distribution(&absent, None).await.unwrap(), None, "a repository that is not there");
    engine.untag(&reference).await.unwrap();
    let error = engine.push(&reference, None, |_| ()).await.unwrap_err();
    assert!(matches!(error, EngineError::NotFound { .. }), "{error}");
    engine.pull(&reference, None, None, |_| ()).await.unwrap();
    assert!(engine.image(&reference).await.unwrap().is_some());
    let error = engine.pull(&other, None, None, |_| ()).await.unwrap_err();
    assert!(matches!(error, EngineError::NotFound { .. }), "{error}");
    engine.untag(&reference).await.unwrap();
}

#[tokio::test]
async fn a_closed_registry_wants_the_right_password() {
    let engine = engine().await;
    let (host, login) = closed_registry();
    let reference = format!("{host}/{}:v1", unique("closed"));
    image(&engine, &reference).await;
    for wrong in [None, Some(wrong_login())] {
        let error = engine.push(&reference, wrong.as_ref(), |_| ()).await.unwrap_err();
        assert_eq!(error.class(), ErrorClass::Unauthenticated, "push: {error}");
        let error = engine.distribution(&reference, wrong.as_ref()).await.unwrap_err();
        assert_eq!(error.class(), ErrorClass::Unauthenticated, "distribution: {error}");
        let error = engine.pull(&reference, None, wrong.as_ref(), |_| ()).await.unwrap_err();
        assert_eq!(error.class(), ErrorClass::Unauthenticated, "pull: {error}");
    }
    let digest = engine.push(&reference, Some(&login), |_| ()).await.unwrap();
    assert_eq!(engine.distribution(&reference, Some(&login)).await.unwrap(), Some(digest));
    engine.pull(&reference, None, Some(&login), |_| ()).await.unwrap();
    engine.untag(&reference).await.unwrap();
}

#[tokio::test]
async fn a_registry_that_is_down_is_never_an_absence() {
    let engine = engine().await;
    let reference = format!("{}/{}:v1", dead_registry(), unique("down"));
    image(&engine, &reference).await;
    let error = engine.distribution(&reference, None).await.unwrap_err();
    assert_eq!(error.class(), ErrorClass::Unavailable, "distribution: {error}");
    let error = engine.push(&reference, None, |_| ()).await.unwrap_err();
    assert_eq!(error.class(), ErrorClass::Unavailable, "push: {error}");
    let error = engine.pull(&reference, None, None, |_| ()).await.unwrap_err();
    assert_eq!(error.class(), ErrorClass::Unavailable, "pull: {error}");
    engine.untag(&reference).await.unwrap();
}

#[tokio::test]
async fn a_container_runs_once_and_is_gone() {
    let engine = engine().await;
    let image = base(&engine).await;
    let script = "echo out; echo err >&2; echo \"$WORD\"; echo \"$HOSTNAME\"; exit 7";
    let container = OneShot {
        image: image.to_owned(),
        command: ["sh", "-c", script].map(str::to_owned).to_vec(),
        environment: [("WORD".to_owned(), "a b".to_owned())].into(),
        ..OneShot::default()
    };
    let written = Mutex::new([String::new(), String::new()]);
    let note = |stream, data: &[u8]| {
        written.lock().unwrap()[usize::from(stream == LogStream::Error)].push_str(std::str::from_utf8(data).unwrap());
    };
    let exit = engine.run(&container, note).await.unwrap();
    assert_eq!((exit.code, exit.out_of_memory), (7, false));
    let [output, error] = written.into_inner().unwrap();
    let lines: Vec<&str> = output.lines().collect();
    assert_eq!((&lines[..2], error.as_str()), (&["out", "a b"][..], "err\n"));
    // The host name of a container is its id.
    assert!(!exists(lines[2]).await);
    let absent = OneShot { image: unique("none"), ..OneShot::default() };
    let error = engine.run(&absent, |_, _| ()).await.unwrap_err();
    assert!(matches!(error, EngineError::NotFound { .. }), "{error}");
}

#[tokio::test]
async fn a_container_is_removed_when_nobody_waits_for_it() {
    let engine = engine().await;
    let image = base(&engine).await;
    let command = ["sh", "-c", "echo \"$HOSTNAME\"; sleep 3600"].map(str::to_owned).to_vec();
    let container = OneShot { image: image.to_owned(), command, ..OneShot::default() };
    let (sender, mut receiver) = tokio::sync::mpsc::unbounded_channel();
    let id = {
        let run = engine.run(&container, |_, data| {
            sender.send(String::from_utf8(data.to_vec()).unwrap()).unwrap();
        });
        tokio::pin!(run);
        tokio::select! {
            ended = &mut run => panic!("ended: {ended:?}"),
            id = receiver.recv() => id.unwrap().trim().to_owned(),
        }
    };
    let gone = async {
        while exists(&id).await {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(std::time::Duration::from_secs(60), gone).await.expect("the container is still there");
}

async fn exists(container: &str) -> bool {
    let docker = bollard::Docker::connect_with_host(&crate::support::variable("DOCKER_HOST")).unwrap();
    docker.inspect_container(container, None::<bollard::query_parameters::InspectContainerOptions>).await.is_ok()
}
