//! A large artifact in constant memory: the bytes are made as they are sent, by a server of its own.

use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::extract::{Request, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse as _, Response};
use bytes::Bytes;
use serde_json::json;
use sha2::{Digest as _, Sha256};

use crate::engine::{unique, variable};
use crate::images::{config, header, present, remove, sha256};
use crate::support::Landfall;

/// The most memory that a pull may take, in kilobytes.
const MOST: u64 = 64 * 1024;
const ZEROS: usize = 64 * 1024;

/// An image tar whose layer holds one file of zeros: a head, zeros, a foot.
struct Big {
    head: Vec<u8>,
    zeros: u64,
    foot: Vec<u8>,
}

impl Big {
    fn new(name: &str, size: u64) -> Self {
        let inner = header("zeros", size);
        let mut hasher = Sha256::new();
        hasher.update(inner);
        each(size + 1024, |zeros| hasher.update(zeros));
        let layer: String = hasher.finalize().iter().map(|byte| format!("{byte:02x}")).collect();
        let config = config(&layer, None);
        let config_name = format!("{}.json", sha256(config.as_bytes()));
        let manifest = json!([{ "Config": config_name, "RepoTags": [name], "Layers": ["layer.tar"] }]).to_string();
        let mut head = Vec::new();
        for (name, content) in [(config_name.as_str(), &config), ("manifest.json", &manifest)] {
            head.extend(header(name, content.len() as u64));
            head.extend(content.as_bytes());
            head.resize(head.len().next_multiple_of(512), 0);
        }
        head.extend(header("layer.tar", 512 + size + 1024));
        head.extend(inner);
        Self { head, zeros: size + 1024, foot: vec![0; 1024] }
    }

    fn size(&self) -> u64 {
        self.head.len() as u64 + self.zeros + self.foot.len() as u64
    }

    fn digest(&self) -> String {
        let mut hasher = Sha256::new();
        hasher.update(&self.head);
        each(self.zeros, |zeros| hasher.update(zeros));
        hasher.update(&self.foot);
        let hex: String = hasher.finalize().iter().map(|byte| format!("{byte:02x}")).collect();
        format!("sha256:{hex}")
    }

    /// All of it, piece by piece.
    fn body(&self) -> Body {
        let piece = Bytes::from(vec![0; ZEROS]);
        let whole = self.zeros / ZEROS as u64;
        let rest = usize::try_from(self.zeros % ZEROS as u64).unwrap();
        let zeros = (0..whole).map({
            let piece = piece.clone();
            move |_| piece.clone()
        });
        let pieces = std::iter::once(Bytes::from(self.head.clone()))
            .chain(zeros)
            .chain([piece.slice(..rest), Bytes::from(self.foot.clone())]);
        Body::from_stream(futures_util::stream::iter(pieces.map(Ok::<_, std::io::Error>)))
    }
}

fn each(size: u64, mut what: impl FnMut(&[u8])) {
    let piece = vec![0; ZEROS];
    let mut left = size;
    while left > 0 {
        let now = usize::try_from(left.min(ZEROS as u64)).unwrap();
        what(&piece[..now]);
        left -= now as u64;
    }
}

struct Server {
    big: Big,
    digest: String,
}

async fn answer(State(server): State<Arc<Server>>, request: Request) -> Response {
    let path = request.uri().path();
    let size = server.big.size();
    if path.ends_with("/actions/runs/7/artifacts") {
        let artifact = json!({
            "id": 1, "name": "big.tar", "size_in_bytes": size, "expired": false, "digest": server.digest,
        });
        return axum::Json(json!({ "total_count": 1, "artifacts": [artifact] })).into_response();
    }
    if path.ends_with("/actions/artifacts/1/zip") {
        let host = request.headers()["host"].to_str().unwrap();
        return (StatusCode::FOUND, [("location", format!("http://{host}/blob"))]).into_response();
    }
    let range = request.headers()["range"].to_str().unwrap().to_owned();
    if let Some(last) = range.strip_prefix("bytes=-") {
        let last: usize = last.parse().unwrap();
        let first = size - last as u64;
        let range = format!("bytes {first}-{}/{size}", size - 1);
        let headers = [("content-range", range), ("content-type", "application/x-tar".to_owned())];
        return (StatusCode::PARTIAL_CONTENT, headers, vec![0_u8; last]).into_response();
    }
    assert_eq!(range, "bytes=0-", "the download broke off");
    (StatusCode::PARTIAL_CONTENT, [("content-length", size.to_string())], server.big.body()).into_response()
}

/// `LANDFALL_TEST_BIG` (in MiB) makes it larger than it is every day, which is more than the memory that it may take.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_large_image_passes_in_constant_memory() {
    #[expect(clippy::disallowed_methods, reason = "a test reads its own environment")]
    let mebibytes: u64 = std::env::var("LANDFALL_TEST_BIG").ok().and_then(|size| size.parse().ok()).unwrap_or(96);
    let name = format!("{}:v1", unique("big"));
    let big = Big::new(&name, mebibytes << 20);
    let server = Arc::new(Server { digest: big.digest(), big });
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let router = Router::new().fallback(answer).with_state(server);
    let serving = tokio::spawn(async move { axum::serve(listener, router).await.unwrap() });
    let step = Landfall::new("pull")
        .token("token")
        .env("DOCKER_HOST", variable("DOCKER_HOST"))
        .env("GITHUB_API_URL", format!("http://{address}"))
        .patience(Duration::from_secs(120 + mebibytes * 2))
        .inputs(&[("artifact", "big.tar"), ("run_id", "7"), ("timeout", "2h")]);
    let outcome = tokio::task::spawn_blocking(|| step.run()).await.unwrap();
    outcome.succeeded();
    assert_eq!((outcome.output("source"), outcome.output("image")), ("artifact", name.as_str()));
    assert!(present(&name).await);
    remove(&[&name]).await;
    assert!(
        outcome.peak_kilobytes > 0 && outcome.peak_kilobytes < MOST,
        "{mebibytes} MiB took {} kB",
        outcome.peak_kilobytes
    );
    serving.abort();
}
