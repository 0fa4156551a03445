//! Purpose: builds: what they are asked to do, how they fail, how they end.

use std::time::Duration;

use landfall::domain::build_event::BuildEvent;
use landfall::domain::builder::Wish;
use landfall::services::buildkit::{
    BuildError, BuildSecret, Builder, CacheUse, Dockerfile, Logins, Output, RunNetwork, SecretValue,
};
use landfall::services::engine::Store;
use landfall::services::{Classified as _, ErrorClass};

use crate::support::{
    base, build, closed_registry, context, dead_registry, engine, registry, request, unique, write, written,
    wrong_login,
};

#[tokio::test]
async fn arguments_labels_and_target_shape_the_image() {
    let engine = engine().await;
    let base = base(&engine).await;
    let dockerfile = format!(
        "FROM {base} AS first\nARG WORD=none\nARG OTHER\nLABEL own=file\nRUN echo \"$WORD\" \"$OTHER\"\nFROM first AS second\nRUN exit 1\n"
    );
    let context = context(&[("sub/My.Dockerfile", &dockerfile)]);
    let name = unique("shape");
    let mut request = request(context.path());
    request.dockerfile = Dockerfile::InContext("sub/My.Dockerfile".into());
    request.target = Some("first".into());
    request.build_args = [("WORD".to_owned(), "a=b c\nd".to_owned()), ("OTHER".to_owned(), "é".to_owned())].into();
    request.labels =
        [("own".to_owned(), "request".to_owned()), ("org.example/x".to_owned(), "1,2=\"3\"".to_owned())].into();
    request.tags = vec![format!("{name}:v1"), format!("{name}:v2")];
    let (built, events) = build(&Builder::for_engine(&engine), &request, &Logins::none()).await;
    let built = built.unwrap();
    assert_eq!(written(&events), "a=b c\nd é\n");
    let image = engine.image(&format!("{name}:v2")).await.unwrap().unwrap();
    assert_eq!(Some(&image.id), built.image_id.as_ref());
    assert_eq!(image.labels["own"], "request");
    assert_eq!(image.labels["org.example/x"], "1,2=\"3\"");
    assert!(built.config_digest.is_some());
    assert_eq!(built.manifest_digest.is_some(), engine.info().store == Store::Containerd);
    for tag in ["v1", "v2"] {
        engine.untag(&format!("{name}:{tag}")).await.unwrap();
    }
}

#[tokio::test]
async fn an_image_without_a_name_is_there_by_its_id() {
    let engine = engine().await;
    let context = context(&[("Dockerfile", "FROM scratch\nCOPY word /\n"), ("word", &unique("nameless"))]);
    let (built, _) = build(&Builder::for_engine(&engine), &request(context.path()), &Logins::none()).await;
    let id = built.unwrap().image_id.unwrap();
    let name = format!("{}:v1", unique("named-later"));
    engine.tag(&id, &name).await.unwrap();
    assert_eq!(engine.image(&name).await.unwrap().unwrap().id, id);
    engine.untag(&name).await.unwrap();
}

#[tokio::test]
async fn what_would_be_understood_otherwise_is_refused() {
    let context = context(&[("Dockerfile", "FROM scratch\n")]);
    let builder = Builder::at("unix:///nowhere").unwrap();
    let mut asked = request(context.path());
    let (built, _) = build(&builder, &asked, &Logins::none()).await;
    assert!(matches!(built, Err(BuildError::Invalid(_))), "no engine, no store: {built:?}");
    asked.output = Output::Nothing;
    for (tags, hosts, cache) in [
        (vec!["a:v1,b:v1"], vec![], CacheUse::All),
        (vec![], vec![("a=b", "1.2.3.4")], CacheUse::All),
        (vec![], vec![("a", "1.2.3.4,b=5.6.7.8")], CacheUse::All),
        (vec![], vec![], CacheUse::NotForStages(vec![])),
    ] {
        asked.tags = tags.into_iter().map(str::to_owned).collect();
        asked.add_hosts = hosts.into_iter().map(|(name, address)| (name.to_owned(), address.to_owned())).collect();
        asked.cache = cache;
        let error = build(&builder, &asked, &Logins::none()).await.0.unwrap_err();
        assert_eq!(error.class(), ErrorClass::Invalid, "{error}");
    }
}

#[tokio::test]
async fn a_dockerfile_may_lie_elsewhere_or_nowhere() {
    let engine = engine().await;
    let base = base(&engine).await;
    let builder = Builder::for_engine(&engine);
    let context = context(&[("word", "from the context\n")]);
    let elsewhere = crate::support::context(&[("Other", &format!("FROM {base}\nCOPY word /\nRUN cat /word\n"))]);
    let mut request = request(context.path());
    request.output = Output::Nothing;
    request.dockerfile = Dockerfile::At(elsewhere.path().join("Other"));
    let (built, events) = build(&builder, &request, &Logins::none()).await;
    built.unwrap();
    assert_eq!(written(&events), "from the context\n");
    request.dockerfile = Dockerfile::Inline(format!("FROM {base}\nCOPY word /inline\nRUN cat /inline\n"));
    let (built, events) = build(&builder, &request, &Logins::none()).await;
    built.unwrap();
    assert_eq!(written(&events), "from the context\n");
}

#[tokio::test]
async fn run_options_reach_the_commands() {
    let engine = engine().await;
    let base = base(&engine).await;
    let script = "grep -F registry.test /etc/hosts; df -k /dev/shm | tail -n 1 | awk '{print $2}'; ls /sys/class/net";
    let context = context(&[("Dockerfile", &format!("FROM {base}\nRUN {script}\n"))]);
    let mut request = request(context.path());
    request.output = Output::Nothing;
    request.network = RunNetwork::None;
    request.add_hosts = vec![("registry.test".into(), "192.0.2.7".into())];
    request.shm_size = Some(128 * 1024 * 1024);
    let (built, events) = build(&Builder::for_engine(&engine), &request, &Logins::none()).await;
    built.unwrap();
    let text = written(&events);
    // 20.10's builder cannot.
    let size = if crate::support::abilities().await.grants(Wish::ShmSize) { "131072" } else { "65536" };
    let words: Vec<&str> = text.split_whitespace().collect();
    assert_eq!(words, ["192.0.2.7", "registry.test", size, "lo"]);
}

#[tokio::test]
async fn a_second_build_comes_from_the_cache_unless_told_otherwise() {
    let engine = engine().await;
    let base = base(&engine).await;
    let context = context(&[("Dockerfile", &format!("FROM {base}\nRUN echo {}\n", unique("cache")))]);
    let builder = Builder::for_engine(&engine);
    let mut request = request(context.path());
    request.output = Output::Nothing;
    request.cache = CacheUse::All;
    let cached = |events: &[BuildEvent]| {
        let run = |event: &&BuildEvent| matches!(event, BuildEvent::Cached { name, .. } if name.contains("] RUN"));
        events.iter().filter(run).count()
    };
    let (_, first) = build(&builder, &request, &Logins::none()).await;
    let (_, second) = build(&builder, &request, &Logins::none()).await;
    request.cache = CacheUse::Nothing;
    let (_, third) = build(&builder, &request, &Logins::none()).await;
    assert_eq!([cached(&first), cached(&second), cached(&third)], [0, 1, 0]);
}

#[tokio::test]
async fn secrets_are_read_and_leave_no_trace() {
    let engine = engine().await;
    let base = base(&engine).await;
    let secret = unique("secret");
    let run =
        "RUN --mount=type=secret,id=text --mount=type=secret,id=file sha256sum /run/secrets/text /run/secrets/file";
    let context = context(&[("Dockerfile", &format!("FROM {base}\n{run}\n"))]);
    let aside = crate::support::context(&[("value", &secret)]);
    let name = format!("{}:v1", unique("secrets"));
    let mut request = request(context.path());
    request.tags = vec![name.clone()];
    request.secrets = vec![
        BuildSecret { id: "text".into(), value: SecretValue::Text(secret.clone().into()) },
        BuildSecret { id: "file".into(), value: SecretValue::File(aside.path().join("value")) },
    ];
    assert!(!format!("{request:?}").contains(&secret));
    let (built, events) = build(&Builder::for_engine(&engine), &request, &Logins::none()).await;
    built.unwrap();
    let text = written(&events);
    let digests: Vec<&str> = text.lines().map(|line| line.split(' ').next().unwrap()).collect();
    assert_eq!((digests.len(), digests[0]), (2, digests[1]), "{text}");
    let docker = bollard::Docker::connect_with_host(&crate::support::variable("DOCKER_HOST")).unwrap();
    let history = docker.image_history(&name).await.unwrap();
    let whole = format!("{history:?} {:?} {events:?}", docker.inspect_image(&name).await.unwrap());
    assert!(whole.contains("sha256sum") && !whole.contains(&secret));
    engine.untag(&name).await.unwrap();

    write(context.path(), "Dockerfile", format!("FROM {base}\nRUN --mount=type=secret,id=absent,required=true true\n"));
    let (built, _) = build(&Builder::for_engine(&engine), &request, &Logins::none()).await;
    let error = built.unwrap_err();
    assert_eq!(error.class(), ErrorClass::Failed);
    assert!(error.to_string().contains("absent"), "{error}");
}

#[tokio::test]
async fn a_failing_command_is_told_with_its_last_words_and_its_line() {
    let engine = engine().await;
    let base = base(&engine).await;
    let dockerfile = format!(
        "FROM {base}\n\n# comment\nRUN for i in $(seq 100); do echo line $i; done && \\\n    echo last words && \\\n    exit 7\n"
    );
    let context = context(&[("docker/Dockerfile", &dockerfile)]);
    let mut request = request(context.path());
    request.dockerfile = Dockerfile::InContext("docker/Dockerfile".into());
    let (built, events) = build(&Builder::for_engine(&engine), &request, &Logins::none()).await;
    let error = built.unwrap_err();
    let vertex = error.vertex().unwrap();
    let command = vertex.command.as_deref().unwrap();
    assert!(command.starts_with("for i in $(seq 100)") && command.ends_with("exit 7"), "{command}");
    assert_eq!(vertex.exit_code, Some(7));
    assert_eq!(vertex.last_lines.len(), 40);
    assert_eq!(vertex.last_lines[39], "last words");
    assert_eq!(vertex.last_lines[38], "line 100");
    let location = error.location().unwrap();
    assert_eq!((location.file.as_str(), location.first_line, location.last_line), ("docker/Dockerfile", 4, 6));
    assert_eq!(error.class(), ErrorClass::Failed);
    let failed = |event: &&BuildEvent| matches!(event, BuildEvent::Failed { given_up: false, .. });
    assert_eq!(events.iter().filter(failed).count(), 1);
}

#[tokio::test]
async fn a_wrong_dockerfile_is_told_with_its_line() {
    let engine = engine().await;
    let builder = Builder::for_engine(&engine);
    let context = context(&[("Dockerfile", "FROM scratch\n\nRUNN true\n")]);
    let (built, _) = build(&builder, &request(context.path()), &Logins::none()).await;
    let error = built.unwrap_err();
    assert!(error.vertex().is_none());
    assert!(error.to_string().contains("unknown instruction: RUNN"), "{error}");
    assert_eq!(error.location().map(|location| (location.file.as_str(), location.first_line)), Some(("Dockerfile", 3)));

    write(context.path(), "Dockerfile", "FROM scratch\nCOPY absent /\n");
    let (built, _) = build(&builder, &request(context.path()), &Logins::none()).await;
    let error = built.unwrap_err();
    assert!(error.to_string().contains("absent"), "{error}");
    assert_eq!(error.location().map(|location| location.first_line), Some(2));

    let mut elsewhere = request(context.path());
    elsewhere.dockerfile = Dockerfile::InContext("no/Dockerfile".into());
    let (built, _) = build(&builder, &elsewhere, &Logins::none()).await;
    assert!(matches!(built, Err(BuildError::Context { ref path, .. }) if path.ends_with("no/Dockerfile")), "{built:?}");
}

#[tokio::test]
async fn base_images_are_pulled_with_the_login_of_their_registry() {
    let engine = engine().await;
    let builder = Builder::for_engine(&engine);
    let (host, login) = closed_registry();
    let reference = format!("{host}/{}:v1", unique("base"));
    let context = context(&[("Dockerfile", "FROM scratch\nCOPY Dockerfile /\n")]);
    let mut request = request(context.path());
    request.tags = vec![reference.clone()];
    build(&builder, &request, &Logins::none()).await.0.unwrap();
    engine.push(&reference, Some(&login), |_| ()).await.unwrap();
    engine.untag(&reference).await.unwrap();

    write(context.path(), "Dockerfile", format!("FROM {reference}\nCOPY Dockerfile /again\n"));
    request.tags.clear();
    request.output = Output::Nothing;
    for wrong in [Logins::none(), Logins::none().with(&host, wrong_login())] {
        let error = build(&builder, &request, &wrong).await.0.unwrap_err();
        assert_eq!(error.class(), ErrorClass::Unauthenticated, "{error}");
    }
    build(&builder, &request, &Logins::none().with(&host, login)).await.0.unwrap();

    write(context.path(), "Dockerfile", format!("FROM {}/none:v1\n", dead_registry()));
    let error = build(&builder, &request, &Logins::none()).await.0.unwrap_err();
    assert_eq!(error.class(), ErrorClass::Unavailable, "{error}");
    write(context.path(), "Dockerfile", format!("FROM {}/{}:v1\n", registry(), unique("none")));
    let error = build(&builder, &request, &Logins::none()).await.0.unwrap_err();
    assert_eq!(error.class(), ErrorClass::Failed, "{error}");
}

#[tokio::test]
async fn dropping_a_build_ends_it_on_the_engine() {
    let engine = engine().await;
    let base = base(&engine).await;
    let builder = Builder::for_engine(&engine);
    // Whoever holds the lock keeps the next one out.
    let lock = format!("--mount=type=cache,sharing=locked,id={},target=/lock", unique("lock").replace('/', "-"));
    let context = context(&[("Dockerfile", &format!("FROM {base}\nRUN {lock} echo begun; sleep 3600\n"))]);
    let mut request = request(context.path());
    request.output = Output::Nothing;
    {
        let (sender, mut receiver) = tokio::sync::mpsc::channel(64);
        let logins = Logins::none();
        let build = builder.build(&request, &logins, sender);
        tokio::pin!(build);
        loop {
            tokio::select! {
                ended = &mut build => panic!("ended: {ended:?}"),
                event = receiver.recv() => if matches!(event, Some(BuildEvent::Log { .. })) { break },
            }
        }
    }
    write(context.path(), "Dockerfile", format!("FROM {base}\nRUN {lock} echo free\n"));
    let next = tokio::time::timeout(Duration::from_secs(60), build(&builder, &request, &Logins::none())).await;
    let (built, events) = next.expect("the dropped build still holds the lock");
    built.unwrap();
    assert_eq!(written(&events), "free\n");
}

#[tokio::test]
async fn nobody_needs_to_listen() {
    let engine = engine().await;
    let base = base(&engine).await;
    let context =
        context(&[("Dockerfile", &format!("FROM {base}\nRUN for i in $(seq 2000); do echo line $i; done\n"))]);
    let (sender, receiver) = tokio::sync::mpsc::channel(1);
    drop(receiver);
    let mut request = request(context.path());
    request.output = Output::Nothing;
    Builder::for_engine(&engine).build(&request, &Logins::none(), sender).await.unwrap();
}

#[tokio::test]
async fn no_builder_is_an_error_that_names_the_endpoint() {
    let context = context(&[("Dockerfile", "FROM scratch\n")]);
    let address = dead_registry();
    let builder = Builder::at(&format!("tcp://{address}")).unwrap();
    let mut request = request(context.path());
    request.output = Output::Nothing;
    let (built, events) = build(&builder, &request, &Logins::none()).await;
    let error = built.unwrap_err();
    assert_eq!(error.to_string(), format!("the builder at tcp://{address} does not answer"));
    assert_eq!(error.class(), ErrorClass::Unavailable);
    assert!(events.is_empty());
}

/// An engine's own BuildKit, offered the way a daemon of its own is: gRPC from the first byte on a unix socket.
async fn relay(endpoint: &str) -> (tempfile::TempDir, String) {
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("buildkit.sock");
    let listener = tokio::net::UnixListener::bind(&path).unwrap();
    let engine = endpoint.trim_start_matches("unix://").to_owned();
    tokio::spawn(async move {
        while let Ok((mut near, _)) = listener.accept().await {
            let mut far = tokio::net::UnixStream::connect(&engine).await.unwrap();
            far.write_all(b"POST /grpc HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: h2c\r\n\r\n")
                .await
                .unwrap();
            let mut head = Vec::new();
            while !head.ends_with(b"\r\n\r\n") {
                head.push(far.read_u8().await.unwrap());
            }
            assert!(head.starts_with(b"HTTP/1.1 101"));
            tokio::spawn(async move { tokio::io::copy_bidirectional(&mut near, &mut far).await });
        }
    });
    let endpoint = format!("unix://{}", path.display());
    (folder, endpoint)
}

#[tokio::test]
async fn a_buildkit_of_its_own_is_spoken_to_directly() {
    let endpoint = crate::support::variable("DOCKER_HOST");
    if !endpoint.starts_with("unix://") {
        panic!("this test needs the engine on a unix socket, as `make test` starts it");
    }
    let (_folder, endpoint) = relay(&endpoint).await;
    let base = base(&engine().await).await;
    let builder = Builder::at(&endpoint).unwrap();
    let context =
        context(&[("Dockerfile", &format!("FROM {base}\nCOPY word /\nRUN cat /word\n")), ("word", "direct\n")]);
    let mut request = request(context.path());
    request.output = Output::Nothing;
    let (built, events) = build(&builder, &request, &Logins::none()).await;
    assert_eq!(built.unwrap().image_id, None);
    assert_eq!(written(&events), "direct\n");
}
