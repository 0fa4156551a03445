//! Purpose: a gRPC connection to a BuildKit, over whatever way leads to it.

use std::pin::Pin;
use std::task::{Context, Poll};

use bollard_buildkit_proto::moby::buildkit::v1::InfoRequest;
use bollard_buildkit_proto::moby::buildkit::v1::control_client::ControlClient;
use hyper::client::conn::{http1, http2};
use hyper_util::rt::{TokioExecutor, TokioIo};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpStream, UnixStream};
use tokio_util::task::AbortOnDropHandle;
use tonic::body::Body;

use super::tls::Tls;
use super::{BuildError, Transport};
use crate::services::engine::{Endpoint, Engine};
use crate::services::http::CONNECT_TIMEOUT;

/// Longest gRPC message in either direction, as BuildKit itself limits it.
pub(super) const MESSAGE_LIMIT: usize = 16 * 1024 * 1024;
/// Bytes that may be under way to us before we take them.
const WINDOW: u32 = 1024 * 1024;

/// The first API version of an engine that takes gRPC on its socket (29.2); it means to drop the other way.
const GRPC_ON_SOCKET: (u32, u32) = (1, 53);

type BoxError = Box<dyn std::error::Error + Send + Sync>;

/// A stream of bytes in both directions.
trait Stream: AsyncRead + AsyncWrite + Send + Unpin + 'static {}
impl<S: AsyncRead + AsyncWrite + Send + Unpin + 'static> Stream for S {}

/// One HTTP/2 connection; its clones share it, and it closes when the last of them is gone.
#[derive(Clone)]
pub(super) struct Connection {
    requests: http2::SendRequest<Body>,
    _driver: std::sync::Arc<AbortOnDropHandle<()>>,
}

/// Connects by the first way that works.
pub(super) async fn connect(transport: &Transport) -> Result<Connection, BuildError> {
    let attempt = match transport {
        Transport::BuildKit(endpoint, None) => direct(endpoint).await,
        Transport::BuildKit(endpoint, Some(tls)) => encrypted(endpoint, tls).await,
        Transport::Container { engine, name, address } => inside(engine, name, address).await,
        Transport::Engine { endpoint, api, .. } if *api < GRPC_ON_SOCKET => upgraded(endpoint).await,
        Transport::Engine { endpoint, .. } => match direct(endpoint).await {
            Ok(connection) if answers(&connection).await => Ok(connection),
            // An engine that could, behind a proxy that cannot.
            _ => upgraded(endpoint).await,
        },
    };
    attempt.map_err(|source| BuildError::Unreachable { endpoint: transport.place(), what: "does not answer", source })
}

/// A client of the control service on a connection.
pub(super) fn control(connection: Connection) -> ControlClient<Connection> {
    let origin = http::Uri::from_static("http://localhost");
    ControlClient::with_origin(connection, origin)
        .max_decoding_message_size(MESSAGE_LIMIT)
        .max_encoding_message_size(MESSAGE_LIMIT)
}

/// Whether gRPC is really spoken at the other end: the handshake of HTTP/2 alone succeeds against anything.
async fn answers(connection: &Connection) -> bool {
    let mut control = control(connection.clone());
    let asked = control.info(InfoRequest {});
    match tokio::time::timeout(CONNECT_TIMEOUT, asked).await {
        Ok(Ok(_)) => true,
        // A refusal is an answer; a broken connection has a source.
        Ok(Err(status)) => std::error::Error::source(&status).is_none(),
        Err(_) => false,
    }
}

/// Speaks HTTP/2 from the first byte.
async fn direct(endpoint: &Endpoint) -> Result<Connection, BoxError> {
    handshake(dial(endpoint).await?).await
}

/// The same through TLS; a socket file needs none.
async fn encrypted(endpoint: &Endpoint, tls: &Tls) -> Result<Connection, BoxError> {
    let Endpoint::Tcp(address) = endpoint else {
        return direct(endpoint).await;
    };
    let connected = async {
        let stream = TcpStream::connect(address).await?;
        stream.set_nodelay(true)?;
        tls.wrap(address, stream).await
    };
    handshake(tokio::time::timeout(CONNECT_TIMEOUT, connected).await??).await
}

/// Through BuildKit's own client, which relays what it is given to the daemon beside it.
async fn inside(engine: &Engine, name: &str, address: &str) -> Result<Connection, BoxError> {
    let command = ["buildctl", "--addr", address, "dial-stdio"];
    handshake(tokio::time::timeout(CONNECT_TIMEOUT, engine.dial(name, &command)).await??).await
}

/// Turns an engine's HTTP/1.1 connection into one (`POST /grpc`, API 1.39 and newer).
async fn upgraded(endpoint: &Endpoint) -> Result<Connection, BoxError> {
    let (mut requests, driver) = http1::handshake(TokioIo::new(dial(endpoint).await?)).await?;
    let driver = AbortOnDropHandle::new(tokio::spawn(async move {
        // Its failure is that of the request below.
        let _ = driver.with_upgrades().await;
    }));
    let request = http::Request::post("/grpc")
        .header(http::header::HOST, "docker")
        .header(http::header::CONNECTION, "Upgrade")
        .header(http::header::UPGRADE, "h2c")
        .body(String::new())?;
    let response = tokio::time::timeout(CONNECT_TIMEOUT, requests.send_request(request)).await??;
    if response.status() != http::StatusCode::SWITCHING_PROTOCOLS {
        return Err(format!("the engine answered {} to the request for its builder", response.status()).into());
    }
    let stream = hyper::upgrade::on(response).await?;
    drop(driver);
    handshake(TokioIo::new(stream)).await
}

async fn dial(endpoint: &Endpoint) -> Result<Box<dyn Stream>, BoxError> {
    let dialled = async {
        Ok::<Box<dyn Stream>, std::io::Error>(match endpoint {
            Endpoint::Unix(path) => Box::new(UnixStream::connect(path).await?),
            Endpoint::Tcp(address) => {
                let stream = TcpStream::connect(address).await?;
                stream.set_nodelay(true)?;
                Box::new(stream)
            }
        })
    };
    Ok(tokio::time::timeout(CONNECT_TIMEOUT, dialled).await??)
}

async fn handshake(stream: impl Stream) -> Result<Connection, BoxError> {
    let (requests, driver) = http2::Builder::new(TokioExecutor::new())
        .initial_stream_window_size(WINDOW)
        .initial_connection_window_size(2 * WINDOW)
        .handshake(TokioIo::new(stream))
        .await?;
    let driver = tokio::spawn(async move {
        // Its failure is that of the requests that it carries.
        let _ = driver.await;
    });
    Ok(Connection { requests, _driver: std::sync::Arc::new(AbortOnDropHandle::new(driver)) })
}

impl tower_service::Service<http::Request<Body>> for Connection {
    type Response = http::Response<hyper::body::Incoming>;
    type Error = hyper::Error;
    type Future = Pin<Box<dyn Future<Output = Result<Self::Response, Self::Error>> + Send>>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        self.requests.poll_ready(context)
    }

    fn call(&mut self, request: http::Request<Body>) -> Self::Future {
        Box::pin(self.requests.send_request(request))
    }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    use tokio::net::UnixListener;

    use super::*;
    use crate::services::engine::Store;

    /// How a listener treats connections.
    #[derive(Clone, Copy)]
    enum Way {
        Direct,
        Upgrade,
    }

    /// Answers every request as gRPC's "unimplemented", as BuildKit 0.8 does on `Info`.
    async fn serve(stream: UnixStream) {
        let service = hyper::service::service_fn(|_| async {
            let status = tonic::Status::unimplemented("no such method");
            Ok::<_, std::convert::Infallible>(status.into_http::<Body>())
        });
        let serving = hyper::server::conn::http2::Builder::new(TokioExecutor::new());
        let _ = serving.serve_connection(TokioIo::new(stream), service).await;
    }

    async fn head(stream: &mut UnixStream) -> Bytes {
        let mut head = Vec::new();
        while !head.ends_with(b"\r\n\r\n") {
            head.push(stream.read_u8().await.unwrap());
        }
        head.into()
    }

    async fn listen(way: Way) -> (tempfile::TempDir, Endpoint) {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("socket");
        let listener = UnixListener::bind(&path).unwrap();
        tokio::spawn(async move {
            while let Ok((mut stream, _)) = listener.accept().await {
                tokio::spawn(async move {
                    if matches!(way, Way::Direct) {
                        return serve(stream).await;
                    }
                    if head(&mut stream).await.starts_with(b"POST /grpc HTTP/1.1\r\n") {
                        let switch = b"HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: h2c\r\n\r\n";
                        stream.write_all(switch).await.unwrap();
                        serve(stream).await;
                    } else {
                        stream.write_all(b"HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n").await.unwrap();
                    }
                });
            }
        });
        (folder, Endpoint::Unix(path))
    }

    fn engine(endpoint: Endpoint, api: (u32, u32)) -> Transport {
        Transport::Engine { endpoint, api, store: Store::Containerd }
    }

    #[tokio::test]
    async fn every_way_leads_to_a_builder() {
        for (way, transport) in [
            (Way::Upgrade, (|endpoint| engine(endpoint, (1, 41))) as fn(Endpoint) -> Transport),
            (Way::Direct, |endpoint| engine(endpoint, (1, 53))),
            (Way::Upgrade, |endpoint| engine(endpoint, (1, 53))),
            (Way::Direct, |endpoint| Transport::BuildKit(endpoint, None)),
        ] {
            let (_folder, endpoint) = listen(way).await;
            let connection = connect(&transport(endpoint)).await.unwrap();
            assert!(answers(&connection).await);
        }
    }

    #[tokio::test]
    async fn an_engine_that_refuses_the_upgrade_is_told() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("socket");
        let listener = UnixListener::bind(&path).unwrap();
        let answer = async {
            let (mut stream, _) = listener.accept().await.unwrap();
            head(&mut stream).await;
            stream.write_all(b"HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\n\r\n").await.unwrap();
            stream
        };
        let transport = engine(Endpoint::Unix(path), (1, 41));
        let (connected, _stream) = tokio::join!(connect(&transport), answer);
        let Err(BuildError::Unreachable { source, .. }) = connected else { panic!("connected") };
        assert_eq!(source.to_string(), "the engine answered 403 Forbidden to the request for its builder");
    }
}
