//! The real engine and registries, a context on disk, a build with its events.
#![allow(
    dead_code,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::disallowed_methods,
    reason = "test support: shared by several test binaries, each using a part of it, and free to panic"
)]

use std::path::Path;
use std::time::Duration;

use landfall::domain::build_event::BuildEvent;
use landfall::services::buildkit::{BuildError, BuildRequest, Builder, Built, CacheUse, LocalSource, Logins};
use landfall::services::engine::{Engine, Login};
use landfall::services::http::RetryPolicy;

/// A variable that `make test` sets.
pub(crate) fn variable(name: &str) -> String {
    std::env::var(name).unwrap_or_else(|_| {
        panic!("{name} is not set: `make test` starts the engine and the registries that these tests need")
    })
}

/// The engine under test.
pub(crate) async fn engine() -> Engine {
    let endpoint = variable("DOCKER_HOST");
    let patience =
        RetryPolicy { attempts: 2, first_wait: Duration::from_millis(50), longest_wait: Duration::from_secs(1) };
    match Engine::connect(&endpoint).await {
        Ok(engine) => engine.with_retry(patience),
        Err(error) => panic!("{error} ({:?}): `make test` starts one", std::error::Error::source(&error)),
    }
}

/// What the engine's own builder can do: what is expected of it is written down, never skipped.
pub(crate) async fn abilities() -> landfall::domain::builder::Abilities {
    Builder::for_engine(&engine().await).abilities().await.unwrap()
}

/// The registry that lets everybody in.
pub(crate) fn registry() -> String {
    variable("LANDFALL_TEST_REGISTRY")
}

/// The registry that wants a login, and the login.
pub(crate) fn closed_registry() -> (String, Login) {
    let username = variable("LANDFALL_TEST_AUTH_REGISTRY_USERNAME");
    let password = variable("LANDFALL_TEST_AUTH_REGISTRY_PASSWORD").into();
    (variable("LANDFALL_TEST_AUTH_REGISTRY"), Login { username, password })
}

/// A login that no registry knows. Its base64 has characters in which the two alphabets differ.
pub(crate) fn wrong_login() -> Login {
    Login { username: "nobody".into(), password: "~~~???>>>".to_owned().into() }
}

/// Where no registry listens: a port that was free a moment ago.
pub(crate) fn dead_registry() -> String {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    listener.local_addr().unwrap().to_string()
}

/// A name that no other test and no other run uses.
pub(crate) fn unique(stem: &str) -> String {
    use std::hash::{BuildHasher as _, Hasher as _};
    format!("landfall-test/{stem}-{:016x}", std::hash::RandomState::new().build_hasher().finish())
}

/// A context of these files, deleted with the value.
pub(crate) fn context(files: &[(&str, &str)]) -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    for (path, content) in files {
        write(folder.path(), path, content);
    }
    folder
}

/// Writes a file and the folders that it lies in.
pub(crate) fn write(root: &Path, path: &str, content: impl AsRef<[u8]>) {
    let path = root.join(path);
    std::fs::create_dir_all(path.parent().unwrap()).unwrap();
    std::fs::write(path, content).unwrap();
}

/// A request for the context's `Dockerfile`, in which every command really runs.
pub(crate) fn request(context: &Path) -> BuildRequest {
    BuildRequest { cache: CacheUse::Nothing, ..BuildRequest::new(LocalSource::new(context)) }
}

/// Builds and collects everything that happened.
pub(crate) async fn build(
    builder: &Builder,
    request: &BuildRequest,
    logins: &Logins,
) -> (Result<Built, BuildError>, Vec<BuildEvent>) {
    let (sender, mut receiver) = tokio::sync::mpsc::channel(64);
    let collect = async {
        let mut events = Vec::new();
        while let Some(event) = receiver.recv().await {
            events.push(event);
        }
        events
    };
    tokio::join!(builder.build(request, logins, sender), collect)
}

/// What the build's commands wrote.
pub(crate) fn written(events: &[BuildEvent]) -> String {
    let mut bytes = Vec::new();
    for event in events {
        if let BuildEvent::Log { data, .. } = event {
            bytes.extend_from_slice(data);
        }
    }
    String::from_utf8(bytes).unwrap().replace('\r', "")
}

/// An image with a shell, made once from the machine's static busybox.
pub(crate) async fn base(engine: &Engine) -> &'static str {
    static MADE: tokio::sync::OnceCell<()> = tokio::sync::OnceCell::const_new();
    const NAME: &str = "landfall-test/base:1";
    MADE.get_or_init(|| async {
        if engine.image(NAME).await.unwrap().is_some() {
            return;
        }
        let busybox = ["/bin/busybox", "/usr/bin/busybox"].iter().find(|path| Path::new(path).exists());
        let busybox = busybox.expect("no busybox on this machine: `make test` installs busybox-static");
        let context = context(&[("Dockerfile", "FROM scratch\nCOPY busybox /bin/busybox\nRUN [\"/bin/busybox\", \"--install\", \"-s\", \"/bin\"]\nENV PATH=/bin\n")]);
        std::fs::copy(busybox, context.path().join("busybox")).unwrap();
        // From the cache: test programs run side by side, and must not change the image under each other.
        let mut request = BuildRequest { cache: CacheUse::All, ..request(context.path()) };
        request.build_args = [("SOURCE_DATE_EPOCH".to_owned(), "0".to_owned())].into();
        request.tags = vec![NAME.into()];
        let (built, events) = build(&Builder::for_engine(engine), &request, &Logins::none()).await;
        built.unwrap_or_else(|error| panic!("{error}: is {busybox} a static busybox (package busybox-static)?\n{events:?}"));
    })
    .await;
    NAME
}
