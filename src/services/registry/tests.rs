//! Purpose: the registry client against a small registry inside of the test.

use std::path::PathBuf;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use ::http::header;
use bytes::Bytes;
use secrecy::ExposeSecret as _;

use super::*;
use crate::domain::reference::ImageRef;
use crate::services::testing::{HASTY, Server};
use crate::services::{Classified as _, ErrorClass};

const INDEX: &str = r#"{"schemaVersion":2,"mediaType":"application/vnd.oci.image.index.v1+json","manifests":[]}"#;
const INDEX_TYPE: (&str, &str) = ("content-type", "application/vnd.oci.image.index.v1+json");
const UNKNOWN: &str = r#"{"errors":[{"code":"MANIFEST_UNKNOWN","message":"manifest unknown"}]}"#;

fn digest(content: &str) -> String {
    manifest::sha256(content.as_bytes()).unwrap().to_string()
}

fn sources() -> LoginSources {
    LoginSources { given: None, ghcr: None, aws: None, docker_config: None, secrets: Arc::new(|_| {}) }
}

fn client(logins: LoginSources) -> RegistryClient {
    let options = RegistryOptions { logins, insecure: Vec::new() };
    RegistryClient::with_policy(options, HASTY, Duration::from_secs(20)).unwrap()
}

fn with_login(server: &Server) -> LoginSources {
    let login = Login { username: "me".into(), password: "pa:ss".into() };
    LoginSources { given: Some((login, vec![server.host().to_owned()])), ..sources() }
}

fn image(server: &Server, rest: &str) -> ImageRef {
    format!("{}/{rest}", server.host()).parse().unwrap()
}

/// Offers a manifest under a path, to HEAD and GET.
fn offer(server: &Server, path: &str, content: &str) {
    let digest = digest(content);
    server.answer_with(path, 200, &[INDEX_TYPE, ("docker-content-digest", &digest)], content.as_bytes());
}

#[tokio::test]
async fn an_image_that_is_there_has_its_digest() {
    let server = Server::start().await;
    offer(&server, "/v2/acme/app/manifests/v1", INDEX);
    let found = client(sources()).manifest_digest(&image(&server, "acme/app:v1")).await.unwrap();
    assert_eq!(found.unwrap().as_str(), digest(INDEX));
    let seen = server.seen();
    assert_eq!(seen.len(), 1);
    let accepted: Vec<_> = seen[0].1.get_all(header::ACCEPT).iter().map(|value| value.to_str().unwrap()).collect();
    for kind in ["oci.image.index", "manifest.list.v2", "oci.image.manifest", "manifest.v2"] {
        assert!(accepted.iter().any(|accepted| accepted.contains(kind)), "{kind}");
    }
}

#[tokio::test]
async fn only_the_registrys_own_word_makes_an_image_absent() {
    let server = Server::start().await;
    let registry = client(sources());
    let said = |code: &str| format!(r#"{{"errors":[{{"code":"{code}","message":"x"}}]}}"#);
    for (tag, code) in [("a", "MANIFEST_UNKNOWN"), ("b", "NAME_UNKNOWN"), ("c", "NOT_FOUND")] {
        server.answer(&format!("/v2/acme/app/manifests/{tag}"), 404, &said(code));
        assert_eq!(
            registry.manifest_digest(&image(&server, &format!("acme/app:{tag}"))).await.unwrap(),
            None,
            "{code}"
        );
    }
    let refusals = [
        (404, "<html>proxy</html>".to_owned(), ErrorClass::Unavailable),
        (404, String::new(), ErrorClass::Unavailable),
        (401, said("UNAUTHORIZED"), ErrorClass::Unauthenticated),
        (403, said("DENIED"), ErrorClass::Forbidden),
        (500, "oops".into(), ErrorClass::Unavailable),
        (429, said("TOOMANYREQUESTS"), ErrorClass::RateLimited),
        (200, "<html>log in</html>".into(), ErrorClass::Unavailable),
    ];
    for (number, (status, body, class)) in refusals.into_iter().enumerate() {
        server.answer(&format!("/v2/acme/app/manifests/r{number}"), status, &body);
        let error = registry.manifest_digest(&image(&server, &format!("acme/app:r{number}"))).await.unwrap_err();
        assert_eq!(error.class(), class, "{status} {body}: {error}");
    }
}

#[tokio::test]
async fn failures_are_waited_out_and_refusals_are_not_repeated() {
    let server = Server::start().await;
    let registry = client(sources());
    let path = "/v2/acme/app/manifests/v1";
    let asked = ("retry-after", "0");
    server.answer(path, 503, "").answer_with(path, 429, &[asked], b"");
    offer(&server, path, INDEX);
    assert!(registry.manifest_digest(&image(&server, "acme/app:v1")).await.unwrap().is_some());
    assert_eq!(server.asked().len(), 3);
    server.answer("/v2/acme/app/manifests/v2", 403, "{}");
    registry.manifest_digest(&image(&server, "acme/app:v2")).await.unwrap_err();
    assert_eq!(server.asked().len(), 4);
}

#[tokio::test]
async fn content_must_have_its_digest() {
    let server = Server::start().await;
    let registry = client(sources());
    let other = digest("other");
    server.answer_with(&format!("/v2/a/b/manifests/{other}"), 200, &[INDEX_TYPE], INDEX.as_bytes());
    let by_digest = image(&server, &format!("a/b@{other}"));
    assert!(matches!(registry.manifest(&by_digest).await, Err(RegistryError::WrongDigest { .. })));
    let announced = [INDEX_TYPE, ("docker-content-digest", other.as_str())];
    server.answer_with("/v2/a/b/manifests/v1", 200, &announced, INDEX.as_bytes());
    assert!(matches!(registry.manifest(&image(&server, "a/b:v1")).await, Err(RegistryError::WrongDigest { .. })));
    // Without a word about it, the digest is computed.
    server.answer_with("/v2/a/b/manifests/v2", 200, &[INDEX_TYPE], INDEX.as_bytes());
    let computed = registry.manifest_digest(&image(&server, "a/b:v2")).await.unwrap();
    assert_eq!(computed.unwrap().as_str(), digest(INDEX));
}

/// The `Authorization` of every request, `-` for none.
fn authorizations(server: &Server) -> Vec<String> {
    let seen = server.seen().into_iter();
    seen.map(|(_, headers)| headers.get(header::AUTHORIZATION).map_or("-", |value| value.to_str().unwrap()).to_owned())
        .collect()
}

#[tokio::test]
async fn a_token_is_fetched_once_and_renewed_when_refused() {
    let server = Server::start().await;
    let told = Arc::new(Mutex::new(Vec::new()));
    let note = told.clone();
    let secrets: crate::services::SecretObserver = Arc::new(move |secret: &secrecy::SecretString| {
        note.lock().unwrap().push(secret.expose_secret().to_owned());
    });
    let registry = client(LoginSources { secrets, ..with_login(&server) });
    let challenge = format!(r#"Bearer realm="{}/token?x=1",service="reg",scope="repository:a/b:pull""#, server.address);
    let refused = [("www-authenticate", challenge.as_str())];
    let token_path = "/token?x=1&service=reg&scope=repository%3Aa%2Fb%3Apull";
    server.answer(token_path, 200, r#"{"token":"first"}"#).answer(token_path, 200, r#"{"access_token":"second"}"#);
    for tag in ["v1", "v2", "v3"] {
        let path = format!("/v2/a/b/manifests/{tag}");
        if tag != "v2" {
            server.answer_with(&path, 401, &refused, b"");
        }
        offer(&server, &path, INDEX);
        assert!(registry.manifest_digest(&image(&server, &format!("a/b:{tag}"))).await.unwrap().is_some());
    }
    let basic = "Basic bWU6cGE6c3M=";
    assert_eq!(
        authorizations(&server),
        ["-", basic, "Bearer first", "Bearer first", "Bearer first", basic, "Bearer second"]
    );
    for secret in ["pa:ss", "bWU6cGE6c3M=", "first", "second"] {
        assert!(told.lock().unwrap().iter().any(|told| told == secret), "{secret}");
    }
}

#[tokio::test]
async fn a_refused_token_says_whose_words_these_are() {
    let server = Server::start().await;
    let challenge = format!(r#"Bearer realm="{}/token""#, server.address);
    server.answer_with("/v2/a/b/manifests/v1", 401, &[("www-authenticate", &challenge)], b"");
    server.answer(
        "/token?scope=repository%3Aa%2Fb%3Apull",
        403,
        r#"{"errors":[{"code":"DENIED","message":"no package for you"}]}"#,
    );
    let error = client(sources()).manifest_digest(&image(&server, "a/b:v1")).await.unwrap_err();
    assert_eq!(error.class(), ErrorClass::Forbidden);
    let text = error.to_string();
    assert!(text.contains("a token for the manifest of") && text.contains("DENIED: no package for you"), "{text}");
}

#[tokio::test]
async fn logins_stay_with_the_registry_they_are_for() {
    let (server, other) = (Server::start().await, Server::start().await);
    let registry = client(with_login(&server));
    let basic = [("www-authenticate", "Basic realm=\"x\"")];
    other.answer_with("/v2/a/b/manifests/v1", 401, &basic, b"");
    let error = registry.manifest_digest(&image(&other, "a/b:v1")).await.unwrap_err();
    assert_eq!(error.class(), ErrorClass::Unauthenticated);
    // A blob on the registry's storage, at another address.
    let config = r#"{"architecture":"amd64","os":"linux","config":{"Labels":{"a":"b"}},"rootfs":{"type":"layers","diff_ids":[]}}"#;
    let manifest = format!(
        r#"{{"schemaVersion":2,"config":{{"mediaType":"application/vnd.docker.container.image.v1+json","digest":"{}","size":{}}},"layers":[]}}"#,
        digest(config),
        config.len()
    );
    let kind = ("content-type", "application/vnd.docker.distribution.manifest.v2+json; charset=utf-8");
    server.answer_with("/v2/a/b/manifests/v1", 401, &basic, b"");
    server.answer_with("/v2/a/b/manifests/v1", 200, &[kind], manifest.as_bytes());
    let storage = format!("{}/storage", other.address);
    server.answer_with(&format!("/v2/a/b/blobs/{}", digest(config)), 307, &[("location", &storage)], b"");
    other.answer("/storage", 200, config);
    let labels = registry.labels(&image(&server, "a/b:v1"), "linux/amd64").await.unwrap().unwrap();
    assert_eq!(labels.get("a").map(String::as_str), Some("b"));
    assert!(other.seen().iter().all(|(_, headers)| !headers.contains_key(header::AUTHORIZATION)));
    let sent = server.seen();
    assert!(sent.last().unwrap().1.contains_key(header::AUTHORIZATION));
}

#[tokio::test]
async fn puts_deletes_and_lists() {
    let server = Server::start().await;
    let registry = client(sources());
    let new = Manifest::new(INDEX_TYPE.1, Bytes::from(INDEX)).unwrap();
    assert_eq!(new.parse().unwrap(), Parsed::Index(Box::new(serde_json::from_str(INDEX).unwrap())));
    let digest = digest(INDEX);
    server.answer_with("PUT /v2/a/b/manifests/v1", 201, &[("docker-content-digest", &digest)], b"");
    registry.put_manifest(&image(&server, "a/b:v1"), &new).await.unwrap();
    let name = image(&server, "a/b:v1").name().clone();
    let path = format!("DELETE /v2/a/b/manifests/{digest}");
    server.answer(&path, 202, "").answer(&path, 404, UNKNOWN).answer(&path, 405, "{}");
    assert_eq!(registry.delete_manifest(&name, &new.digest).await.unwrap(), Deleted::Now);
    assert_eq!(registry.delete_manifest(&name, &new.digest).await.unwrap(), Deleted::Before);
    assert_eq!(registry.delete_manifest(&name, &new.digest).await.unwrap_err().class(), ErrorClass::Invalid);
    server.answer_with(
        "/v2/a/b/tags/list?n=100",
        200,
        &[("link", "</v2/a/b/tags/list?n=100&last=y>; rel=\"next\"")],
        br#"{"tags":["x","y"]}"#,
    );
    server.answer("/v2/a/b/tags/list?n=100&last=y", 200, r#"{"tags":["z"]}"#);
    let mut tags = registry.tags(&name);
    let mut all = Vec::new();
    while let Some(tag) = tags.next().await.unwrap() {
        all.push(tag);
    }
    assert_eq!(all, ["x", "y", "z"]);
}

#[tokio::test]
async fn silence_ends_in_a_timeout() {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let once = RetryPolicy { attempts: 1, ..HASTY };
    let options = RegistryOptions { logins: sources(), insecure: Vec::new() };
    let registry = RegistryClient::with_policy(options, once, Duration::from_millis(50)).unwrap();
    let image = format!("{}/a:v1", listener.local_addr().unwrap()).parse().unwrap();
    let error = registry.manifest_digest(&image).await.unwrap_err();
    assert!(matches!(error, RegistryError::TimedOut { .. }), "{error:?}");
}

#[test]
fn plain_http_is_for_loopback_and_listed_hosts_only() {
    let options = RegistryOptions { logins: sources(), insecure: vec!["a.example".into(), "b.example:5000".into()] };
    let registry = RegistryClient::new(options).unwrap();
    for (name, origin) in [
        ("localhost:5000/x", "http://localhost:5000"),
        ("a.example/x", "http://a.example"),
        ("a.example:81/x", "http://a.example:81"),
        ("b.example:5000/x", "http://b.example:5000"),
        ("b.example:5001/x", "https://b.example:5001"),
        ("ghcr.io/a/x", "https://ghcr.io"),
        ("x", "https://registry-1.docker.io"),
    ] {
        assert_eq!(registry.origin(&name.parse().unwrap()), origin);
    }
}

#[tokio::test]
async fn logins_are_found_by_host() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("config.json"), r#"{"auths":{"quay.io":{"username":"q","password":"p"}}}"#)
        .unwrap();
    let login = |name: &str| Login { username: name.into(), password: "x".into() };
    let registry = client(LoginSources {
        given: Some((login("given"), vec!["reg.example:5000".into()])),
        ghcr: Some(login("actor")),
        docker_config: Some(PathBuf::from(folder.path())),
        ..sources()
    });
    for (host, user) in [
        ("reg.example:5000", Some("given")),
        ("reg.example", None),
        ("ghcr.io", Some("actor")),
        ("quay.io", Some("q")),
        ("docker.io", None),
    ] {
        let found = registry.login(host).await.unwrap().map(|login| login.username);
        assert_eq!(found.as_deref(), user, "{host}");
    }
    let existence = Existence::new(registry, Provider::Auto, EngineAccess::Never);
    let logins = existence.logins(&["docker.io"]).await.unwrap();
    let user = |host: &str| logins.for_host(host).map(|login| login.username.as_str());
    assert_eq!(
        ["reg.example:5000", "ghcr.io", "quay.io", "docker.io"].map(user),
        [Some("given"), Some("actor"), Some("q"), None]
    );
}

/// A port of this machine at which nobody listens.
async fn unused() -> String {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    listener.local_addr().unwrap().to_string()
}

#[tokio::test]
async fn an_engine_is_asked_for_loopback_registries_that_refuse_us() {
    let engine = Server::start().await;
    let version = r#"{"Version":"28.0.0","ApiVersion":"1.48","Os":"linux","Arch":"amd64"}"#;
    let address = unused().await;
    for prefix in
        ["", "/v1.44", "/v1.45", "/v1.46", "/v1.47", "/v1.48", "/v1.49", "/v1.50", "/v1.51", "/v1.52", "/v1.53"]
    {
        engine.answer(&format!("{prefix}/version"), 200, version).answer(&format!("{prefix}/info"), 200, "{}");
        let path = |tag: &str| format!("{prefix}/distribution/{address}/a/b:{tag}/json");
        let found = format!(
            r#"{{"Descriptor":{{"mediaType":"{}","digest":"{}","size":2}},"Platforms":[]}}"#,
            INDEX_TYPE.1,
            digest(INDEX)
        );
        engine.answer(&path("v1"), 200, &found);
        engine.answer(&path("v2"), 404, r#"{"message":"manifest unknown: manifest unknown"}"#);
        engine.answer(&path("v3"), 401, r#"{"message":"unauthorized: authentication required"}"#);
    }
    let existence = Existence::new(client(sources()), Provider::Auto, EngineAccess::At(engine.address.clone()));
    let image = |tag: &str| format!("{address}/a/b:{tag}").parse::<ImageRef>().unwrap();
    let found = existence.find(&image("v1")).await.unwrap();
    assert_eq!((found.digest.unwrap().as_str(), found.way), (digest(INDEX).as_str(), Way::Engine));
    assert_eq!(existence.image_digest(&image("v2")).await.unwrap(), None);
    assert_eq!(existence.image_digest(&image("v3")).await.unwrap_err().class(), ErrorClass::Unauthenticated);
    // Without an engine the refusal stays what it is.
    let alone = Existence::new(client(sources()), Provider::Auto, EngineAccess::Never);
    let error = alone.image_digest(&image("v1")).await.unwrap_err();
    assert!(matches!(error, RegistryError::Unanswered { unconnected: true, .. }), "{error:?}");
}
