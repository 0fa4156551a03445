//! Purpose: a server of a few lines for the tests of services: answers by method and path, notes what it was asked.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::Router;
use axum::extract::{Request, State};
use axum::response::{IntoResponse as _, Response};
use http::{HeaderMap, StatusCode};

use super::http::RetryPolicy;

/// As many tries as in earnest, without the waits.
pub(super) const HASTY: RetryPolicy =
    RetryPolicy { attempts: 5, first_wait: Duration::from_millis(1), longest_wait: Duration::from_millis(4) };

type Answer = (u16, Vec<(&'static str, String)>, Vec<u8>);
type Asked = (String, HeaderMap);

/// The server. Clones are the same one.
#[derive(Clone, Default)]
pub(super) struct Server {
    answers: Arc<Mutex<BTreeMap<String, Vec<Answer>>>>,
    seen: Arc<Mutex<Vec<Asked>>>,
    /// Scheme, host and port.
    pub(super) address: String,
}

impl Server {
    pub(super) async fn start() -> Self {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let server = Self { address: format!("http://{}", listener.local_addr().unwrap()), ..Self::default() };
        let router = Router::new().fallback(respond).with_state(server.clone());
        tokio::spawn(async move { axum::serve(listener, router).await.unwrap() });
        server
    }

    /// Host and port.
    pub(super) fn host(&self) -> &str {
        self.address.trim_start_matches("http://")
    }

    /// The next answer for a path, or for `METHOD path`; the last one stays.
    pub(super) fn answer(&self, path: &str, status: u16, body: &str) -> &Self {
        self.answer_with(path, status, &[], body.as_bytes())
    }

    pub(super) fn answer_with(&self, path: &str, status: u16, headers: &[(&'static str, &str)], body: &[u8]) -> &Self {
        let headers = headers.iter().map(|(name, value)| (*name, (*value).to_owned())).collect();
        let mut answers = self.answers.lock().unwrap();
        answers.entry(path.to_owned()).or_default().push((status, headers, body.to_owned()));
        self
    }

    /// Forgets the answers for a path.
    pub(super) fn forget(&self, path: &str) {
        self.answers.lock().unwrap().remove(path);
    }

    /// Path and headers of every request.
    pub(super) fn seen(&self) -> Vec<Asked> {
        self.seen.lock().unwrap().clone()
    }

    /// Path of every request.
    pub(super) fn asked(&self) -> Vec<String> {
        self.seen().into_iter().map(|(path, _)| path).collect()
    }
}

async fn respond(State(server): State<Server>, request: Request) -> Response {
    let path = request.uri().path_and_query().unwrap().to_string();
    server.seen.lock().unwrap().push((path.clone(), request.headers().clone()));
    let mut answers = server.answers.lock().unwrap();
    let by_method = format!("{} {path}", request.method());
    let key = if answers.contains_key(&by_method) { by_method } else { path };
    let Some(answers) = answers.get_mut(&key) else {
        return (StatusCode::NOT_FOUND, r#"{"message":"Not Found"}"#).into_response();
    };
    let (status, headers, body) = if answers.len() > 1 { answers.remove(0) } else { answers[0].clone() };
    let mut response = (StatusCode::from_u16(status).unwrap(), body).into_response();
    for (name, value) in headers {
        response.headers_mut().insert(name, value.parse().unwrap());
    }
    response
}
