//! Purpose: the machinery under every skin: doors (listeners), requests, replies, and the faults of the wire.

use std::collections::BTreeMap;
use std::fmt;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc;
use std::task::{Context, Poll};

use ::http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode};
use axum::body::Body;
use axum::extract::ConnectInfo;
use axum::extract::connect_info::Connected;
use axum::response::Response;
use bytes::Bytes;
use percent_encoding::percent_decode_str;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpListener, TcpStream};

use super::faults::{Effect, shaped_error};
use super::record::Recorded;
use super::state::State;
use super::strays;
use super::{
    Shared, alarms, artifacts, aws, codeload, control, ecr, ecs, elb, faults, github, health, logs, oidc, registry,
    secrets, ssm, sts, webhook,
};

/// A listener; each has a port of its own, as the real hosts have names of their own.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Door {
    Github,
    Codeload,
    Oidc,
    Aws,
    Registry,
    Health,
    Webhook,
    /// The artifact service.
    Results,
    /// The storage behind it.
    Blobs,
    Control,
}

impl Door {
    /// All doors, in the order of their ports.
    pub const ALL: [Self; 10] = [
        Self::Github,
        Self::Codeload,
        Self::Oidc,
        Self::Aws,
        Self::Registry,
        Self::Health,
        Self::Control,
        Self::Webhook,
        Self::Results,
        Self::Blobs,
    ];
}

/// A protocol behind a door.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Skin {
    Github,
    Codeload,
    Oidc,
    Sts,
    Ecs,
    Ecr,
    Logs,
    Ssm,
    Secrets,
    Elb,
    Alarms,
    EcrPublic,
    /// An AWS request that belongs to no service known here.
    Aws,
    Registry,
    Health,
    Webhook,
    Results,
    Blobs,
    Control,
}

impl fmt::Display for Skin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&format!("{self:?}").to_lowercase())
    }
}

/// A request, read whole.
#[derive(Debug, Clone)]
pub struct Request {
    pub skin: Skin,
    pub method: Method,
    /// As sent, percent-encoded.
    pub path: String,
    /// Decoded, in order.
    pub query: Vec<(String, String)>,
    pub headers: HeaderMap,
    pub body: Bytes,
    /// The AWS operation.
    pub target: Option<String>,
}

impl Request {
    async fn read(door: Door, request: axum::extract::Request) -> Self {
        let (parts, body) = request.into_parts();
        let body = axum::body::to_bytes(body, 256 << 20).await.unwrap_or_default();
        let (skin, target) = aws::skin_and_target(door, &parts.headers, &body);
        Self {
            skin,
            method: parts.method,
            path: parts.uri.path().to_owned(),
            query: form_pairs(parts.uri.query().unwrap_or_default()),
            headers: parts.headers,
            body,
            target,
        }
    }

    /// The path's segments, each percent-decoded by itself.
    pub fn segments(&self) -> Vec<String> {
        self.path.split('/').skip(1).map(|part| percent_decode_str(part).decode_utf8_lossy().into_owned()).collect()
    }

    /// A header as text.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name)?.to_str().ok()
    }

    /// The first query parameter of a name.
    pub fn query(&self, name: &str) -> Option<&str> {
        self.query.iter().find(|(key, _)| key == name).map(|(_, value)| value.as_str())
    }

    /// The host the client named.
    pub fn host(&self) -> &str {
        self.header("host").unwrap_or("127.0.0.1")
    }

    /// The body as JSON; null when it is not.
    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or(Value::Null)
    }

    /// The body as a form.
    pub fn form(&self) -> BTreeMap<String, String> {
        form_pairs(&String::from_utf8_lossy(&self.body)).into_iter().collect()
    }

    /// The token of `Authorization: Bearer …` or `token …`.
    pub fn bearer(&self) -> Option<&str> {
        let (scheme, token) = self.header("authorization")?.split_once(' ')?;
        (scheme.eq_ignore_ascii_case("bearer") || scheme.eq_ignore_ascii_case("token")).then_some(token)
    }
}

/// Decodes `a=b&c=d`.
pub fn form_pairs(text: &str) -> Vec<(String, String)> {
    url::form_urlencoded::parse(text.as_bytes()).into_owned().collect()
}

/// An answer of a skin.
#[derive(Debug, Clone)]
pub struct Reply {
    pub status: u16,
    pub headers: Vec<(String, String)>,
    pub body: Bytes,
    /// No skin knew the request.
    pub unknown: bool,
}

impl Reply {
    /// An answer without body.
    pub fn empty(status: u16) -> Self {
        Self { status, headers: Vec::new(), body: Bytes::new(), unknown: false }
    }

    /// A JSON answer.
    pub fn json(status: u16, body: &Value) -> Self {
        Self::bytes(status, "application/json; charset=utf-8", body.to_string())
    }

    /// An answer of any type.
    pub fn bytes(status: u16, content_type: &str, body: impl Into<Bytes>) -> Self {
        Self { body: body.into(), ..Self::empty(status) }.header("content-type", content_type)
    }

    /// The answer to a request that no skin knows; `finish` will report it.
    pub fn unknown(request: &Request) -> Self {
        let message = format!("the world knows no {} {}", request.method, request.path);
        Self { unknown: true, ..Self::json(501, &serde_json::json!({ "message": message })) }
    }

    /// Adds or replaces a header.
    #[must_use]
    pub fn header(mut self, name: &str, value: impl Into<String>) -> Self {
        self.headers.retain(|(known, _)| !known.eq_ignore_ascii_case(name));
        self.headers.push((name.to_owned(), value.into()));
        self
    }
}

/// Hands a request to its skin.
fn dispatch(state: &mut State, request: &Request) -> Reply {
    match request.skin {
        Skin::Github => github::handle(state, request),
        Skin::Codeload => codeload::handle(state, request),
        Skin::Oidc => oidc::handle(state, request),
        Skin::Sts => sts::handle(state, request),
        Skin::Ecs => aws::json(state, request, ecs::handle),
        Skin::Ecr => aws::json(state, request, ecr::handle),
        Skin::Logs => aws::json(state, request, logs::handle),
        Skin::Ssm => aws::json(state, request, ssm::handle),
        Skin::Secrets => aws::json(state, request, secrets::handle),
        Skin::Elb => elb::handle(state, request),
        Skin::Alarms => alarms::handle(state, request),
        Skin::EcrPublic => aws::json(state, request, ecr::handle_public),
        Skin::Aws => Reply::unknown(request),
        Skin::Registry => registry::handle(state, request),
        Skin::Health => health::handle(state, request),
        Skin::Webhook => webhook::handle(state, request),
        Skin::Results => artifacts::handle(state, request),
        Skin::Blobs => artifacts::handle_blobs(state, request),
        Skin::Control => control::handle(state, request),
    }
}

/// Opens the doors, reports their addresses, serves until the world closes.
///
/// Each door has the same port on every address; the first one is reported.
pub fn run(shared: &Arc<Shared>, ips: &[IpAddr], port: u16, ready: &mpsc::Sender<BTreeMap<Door, SocketAddr>>) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime for the world");
    runtime.block_on(async {
        let mut addresses = BTreeMap::new();
        for (offset, door) in (0u16..).zip(Door::ALL) {
            let port = if port == 0 { 0 } else { port + offset };
            let listeners = bound(ips, port).await;
            addresses.insert(door, listeners[0].local_addr().expect("a listener has an address"));
            for listener in listeners {
                tokio::spawn(serve(door, listener, Arc::clone(shared)));
            }
        }
        ready.send(addresses).expect("somebody waits for the world");
        let mut closing = shared.closing.subscribe();
        let _ = closing.wait_for(|closing| *closing).await;
    });
    runtime.shutdown_background();
}

/// One listener per address, all on one port: the given one, or one that is free everywhere.
async fn bound(ips: &[IpAddr], port: u16) -> Vec<TcpListener> {
    'tries: for _ in 0..20 {
        let mut listeners: Vec<TcpListener> = Vec::new();
        for ip in ips {
            let port = listeners.first().map_or(port, |first| first.local_addr().map_or(port, |at| at.port()));
            match TcpListener::bind((*ip, port)).await {
                Ok(listener) => listeners.push(listener),
                Err(_) if !listeners.is_empty() => continue 'tries,
                Err(error) => panic!("the world cannot listen on {ip}:{port}: {error}"),
            }
        }
        return listeners;
    }
    panic!("no port is free on all of {ips:?}")
}

async fn serve(door: Door, listener: TcpListener, shared: Arc<Shared>) {
    let handler = move |ConnectInfo(wire): ConnectInfo<Wire>, request: axum::extract::Request| {
        let shared = Arc::clone(&shared);
        async move { answer(door, &shared, &wire, request).await }
    };
    let app = axum::Router::new().fallback(handler).into_make_service_with_connect_info::<Wire>();
    let _ = axum::serve(CuttableListener(listener), app).await;
}

async fn answer(door: Door, shared: &Arc<Shared>, wire: &Wire, request: axum::extract::Request) -> Response {
    let request = Request::read(door, request).await;
    let (index, effect) = {
        let mut state = shared.lock();
        state.requests.push(Recorded::of(&request));
        if let Some(stray) = strays::find(&state, &request) {
            state.violation(stray);
        }
        (state.requests.len() - 1, faults::strike(&mut state, &request))
    };
    let effect = effect.unwrap_or_default();
    if let Some(gate) = &effect.hold {
        pass(shared, gate).await;
    }
    let one_way = github::comments::one_way(&shared.lock(), &request);
    travel(one_way).await;
    let reply = {
        let mut state = shared.lock();
        let reply = reply(&mut state, &request, &effect);
        state.requests[index].status = if effect.reset { 0 } else { reply.status };
        state.requests[index].answered = reply.body.len();
        reply
    };
    travel(one_way).await;
    send(shared, wire, &effect, reply).await
}

async fn travel(one_way: std::time::Duration) {
    if !one_way.is_zero() {
        tokio::time::sleep(one_way).await;
    }
}

fn reply(state: &mut State, request: &Request, effect: &Effect) -> Reply {
    let untouched = effect.replaces() && !effect.after;
    let mut reply = if untouched { Reply::empty(200) } else { dispatch(state, request) };
    if reply.unknown {
        state.violation(format!("unknown route: {} {}", request.skin, Recorded::of(request).call()));
    }
    if effect.replaces() {
        reply = shaped_error(request, effect);
    }
    effect.deform(reply)
}

/// Waits until a gate opens or the world ends.
async fn pass(shared: &Shared, gate: &str) {
    let mut gates = shared.gates.subscribe();
    let mut closing = shared.closing.subscribe();
    tokio::select! {
        _ = gates.wait_for(|open| open.contains(gate)) => {}
        _ = closing.wait_for(|closing| *closing) => {}
    }
}

async fn send(shared: &Arc<Shared>, wire: &Wire, effect: &Effect, reply: Reply) -> Response {
    if effect.reset {
        wire.cut();
    }
    if let Some(gate) = &effect.hold_body {
        pass(shared, gate).await;
    }
    let length = reply.body.len();
    let body = match (&effect.stall, effect.keep_bytes) {
        (Some((keep, gate)), _) => stalling_body(shared, reply.body, *keep, gate),
        (None, Some(keep)) => cut_body(reply.body.slice(..keep.min(length))),
        (None, None) => Body::from(reply.body),
    };
    let mut response = Response::new(body);
    *response.status_mut() = StatusCode::from_u16(reply.status).expect("a status");
    for (name, value) in reply.headers {
        let name = HeaderName::from_bytes(name.as_bytes()).expect("a header name");
        response.headers_mut().append(name, HeaderValue::from_str(&value).expect("a header value"));
    }
    if !response.headers().contains_key("content-length") && reply.status != 204 {
        response.headers_mut().insert("content-length", HeaderValue::from(length));
    }
    response
}

/// A body whose rest waits for a gate.
fn stalling_body(shared: &Arc<Shared>, body: Bytes, keep: usize, gate: &str) -> Body {
    let keep = keep.min(body.len());
    let (first, rest) = (body.slice(..keep), body.slice(keep..));
    let (shared, gate) = (Arc::clone(shared), gate.to_owned());
    let first = futures_util::stream::iter((!first.is_empty()).then_some(Ok(first)));
    let then = futures_util::stream::once(async move {
        pass(&shared, &gate).await;
        Ok::<Bytes, io::Error>(rest)
    });
    Body::from_stream(futures_util::StreamExt::chain(first, then))
}

/// A body that promises more than it gives: the first bytes, then a broken connection.
fn cut_body(kept: Bytes) -> Body {
    let first = futures_util::stream::iter((!kept.is_empty()).then_some(Ok(kept)));
    // Without a pause in between, the error would overtake head and first bytes.
    let then = futures_util::stream::once(async {
        tokio::task::yield_now().await;
        Err(io::Error::new(io::ErrorKind::ConnectionReset, "cut by the world"))
    });
    Body::from_stream(futures_util::StreamExt::chain(first, then))
}

/// A handle on a connection by which it can be cut.
#[derive(Debug, Clone)]
pub struct Wire(Arc<AtomicBool>);

impl Wire {
    fn cut(&self) {
        self.0.store(true, Ordering::SeqCst);
    }
}

impl Connected<axum::serve::IncomingStream<'_, CuttableListener>> for Wire {
    fn connect_info(stream: axum::serve::IncomingStream<'_, CuttableListener>) -> Self {
        Self(Arc::clone(&stream.io().cut))
    }
}

struct CuttableListener(TcpListener);

struct CuttableStream {
    inner: TcpStream,
    cut: Arc<AtomicBool>,
}

impl axum::serve::Listener for CuttableListener {
    type Io = CuttableStream;
    type Addr = SocketAddr;

    async fn accept(&mut self) -> (CuttableStream, SocketAddr) {
        let (inner, address) = axum::serve::Listener::accept(&mut self.0).await;
        let _ = inner.set_nodelay(true);
        (CuttableStream { inner, cut: Arc::new(AtomicBool::new(false)) }, address)
    }

    fn local_addr(&self) -> io::Result<SocketAddr> {
        self.0.local_addr()
    }
}

impl CuttableStream {
    /// An error once the connection was cut; dropping the stream then sends a reset, not an orderly end.
    fn whole(&self) -> io::Result<()> {
        if self.cut.load(Ordering::SeqCst) {
            let _ = self.inner.set_zero_linger();
            return Err(io::Error::new(io::ErrorKind::ConnectionReset, "cut by the world"));
        }
        Ok(())
    }
}

impl AsyncRead for CuttableStream {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        self.whole()?;
        Pin::new(&mut self.inner).poll_read(cx, buf)
    }
}

impl AsyncWrite for CuttableStream {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, data: &[u8]) -> Poll<io::Result<usize>> {
        self.whole()?;
        Pin::new(&mut self.inner).poll_write(cx, data)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.whole()?;
        Pin::new(&mut self.inner).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_shutdown(cx)
    }
}
