//! A registry that stumbles: builds and pushes go through a proxy that refuses the first request of each kind.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex};

use axum::Router;
use axum::body::Body;
use axum::extract::{Request, State};
use axum::response::{IntoResponse as _, Response};

use super::engine::{engine, registry, unique};
use super::{ask, build, pushed_image};

/// What a request is, as far as stumbling goes.
fn kind(method: &str, path: &str) -> Option<&'static str> {
    match method {
        "GET" | "HEAD" if path.contains("/base-") && path.contains("/manifests/") => Some("base image"),
        "POST" if path.contains("/blobs/uploads/") => Some("upload"),
        "PUT" if path.contains("/manifests/") => Some("manifest"),
        _ => None,
    }
}

/// The proxy.
#[derive(Clone)]
struct Flaky {
    stumbled: Arc<Mutex<BTreeSet<&'static str>>>,
    client: reqwest::Client,
}

impl Flaky {
    /// Starts one; its address.
    async fn start() -> (Self, String) {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let (flaky, address) = (
            Self { stumbled: Arc::default(), client: landfall::services::http::client().unwrap() },
            listener.local_addr().unwrap().to_string(),
        );
        let router = Router::new().fallback(pass).with_state(flaky.clone());
        tokio::spawn(async move { axum::serve(listener, router).await.unwrap() });
        (flaky, address)
    }

    fn stumbled(&self) -> Vec<&'static str> {
        self.stumbled.lock().unwrap().iter().copied().collect()
    }
}

async fn pass(State(flaky): State<Flaky>, request: Request) -> Response {
    let path = request.uri().path_and_query().unwrap().to_string();
    if let Some(kind) = kind(request.method().as_str(), &path)
        && flaky.stumbled.lock().unwrap().insert(kind)
    {
        return (http::StatusCode::SERVICE_UNAVAILABLE, "busy").into_response();
    }
    let (parts, body) = request.into_parts();
    let asked = flaky.client.request(parts.method, format!("http://{}{path}", registry())).headers(parts.headers);
    let answer = asked.body(reqwest::Body::wrap_stream(body.into_data_stream())).send().await.unwrap();
    let mut response = Response::builder().status(answer.status());
    *response.headers_mut().unwrap() = answer.headers().clone();
    response.body(Body::from_stream(answer.bytes_stream())).unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_registry_that_stumbles_is_asked_again_and_no_step_runs_twice() {
    let (flaky, address) = Flaky::start().await;
    let (base, name) = (unique("base"), unique("stumbles"));
    let build = build(&format!("FROM {address}/{base}:1\nCOPY unique /\nRUN cat /unique\n")).await;
    let engine = engine().await;
    let here = format!("{}/{base}:1", registry());
    engine.tag("landfall-test/base:1", &here).await.unwrap();
    engine.push(&here, None, |_| ()).await.unwrap();
    engine.untag(&here).await.unwrap();
    let outcome = build
        .file("unique", &name)
        .inputs(&[("builder", "engine"), ("tags", &format!("{address}/{name}:v1")), ("push", "true"), ("pull", "true")])
        .run();
    outcome.succeeded();
    assert_eq!(flaky.stumbled(), ["base image", "manifest", "upload"]);
    assert_eq!(outcome.raw.matches(&format!("\n{name}")).count(), 1, "the step ran once: {}", outcome.raw);
    let (digest, _) = pushed_image(&format!("{}/{name}:v1", registry())).await.unwrap();
    assert_eq!(digest, outcome.output("digest"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_index_is_whole_behind_a_registry_that_stumbles() {
    let (flaky, address) = Flaky::start().await;
    let name = unique("stumbling-index");
    let outcome = build("FROM scratch\nCOPY unique /\n")
        .await
        .file("unique", &name)
        .inputs(&[
            ("builder", "engine"),
            ("qemu", "never"),
            ("platforms", "linux/amd64, linux/arm64"),
            ("tags", &format!("{address}/{name}:v1")),
            ("push", "true"),
        ])
        .run();
    outcome.succeeded();
    assert_eq!(flaky.stumbled(), ["manifest", "upload"]);
    let (_, digest, index) = ask(format!("http://{}/v2/{name}/manifests/v1", registry())).await;
    assert_eq!(digest.as_deref(), Some(outcome.output("digest")));
    assert_eq!(index["manifests"].as_array().map(Vec::len), Some(2));
}
