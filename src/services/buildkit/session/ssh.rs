//! Purpose: SSH agents of this machine, and one of our own for keys in files, for `RUN --mount=type=ssh`. Keys stay here;
//! only signatures travel.

use std::collections::BTreeMap;
use std::sync::Arc;

use bollard_buildkit_proto::moby::sshforward::v1::{BytesMessage, CheckAgentRequest, CheckAgentResponse, ssh_server};
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::net::UnixStream;
use tokio::sync::mpsc;
use tokio_stream::StreamExt as _;
use tokio_stream::wrappers::ReceiverStream;
use tonic::{Request, Response, Status, Streaming};

use super::super::{SshAgent, SshSource};
use super::keys;

/// Which agent a request is for (BuildKit, `session/sshforward`).
const ID: &str = "buildkit.ssh.id";
/// The id of a mount that names none.
const DEFAULT_ID: &str = "default";
/// Bytes of one message; the agents' own messages are shorter.
const PIECE: usize = 32 * 1024;

/// The agents that the build may use.
pub(super) struct Agents {
    sources: BTreeMap<String, Arc<SshSource>>,
}

impl Agents {
    pub(super) fn new(agents: &[SshAgent]) -> Self {
        Self { sources: agents.iter().map(|agent| (agent.id.clone(), Arc::new(agent.source.clone()))).collect() }
    }

    fn source(&self, id: &str) -> Result<&Arc<SshSource>, Status> {
        let id = if id.is_empty() { DEFAULT_ID } else { id };
        self.sources.get(id).ok_or_else(|| Status::not_found(format!("the build was given no SSH agent {id}")))
    }
}

#[tonic::async_trait]
impl ssh_server::Ssh for Agents {
    type ForwardAgentStream = ReceiverStream<Result<BytesMessage, Status>>;

    async fn check_agent(&self, request: Request<CheckAgentRequest>) -> Result<Response<CheckAgentResponse>, Status> {
        self.source(&request.get_ref().id)?;
        Ok(Response::new(CheckAgentResponse {}))
    }

    async fn forward_agent(
        &self,
        request: Request<Streaming<BytesMessage>>,
    ) -> Result<Response<Self::ForwardAgentStream>, Status> {
        let id = request.metadata().get(ID).and_then(|id| id.to_str().ok()).unwrap_or_default();
        let source = Arc::clone(self.source(id)?);
        let asked = request.into_inner();
        if let SshSource::Socket(socket) = source.as_ref() {
            let unreachable =
                |error| Status::unavailable(format!("the SSH agent at {} does not answer: {error}", socket.display()));
            let agent = UnixStream::connect(socket).await.map_err(unreachable)?;
            return Ok(Response::new(relay(agent, asked)));
        }
        let (near, far) = tokio::io::duplex(PIECE);
        tokio::spawn(async move {
            if let SshSource::Keys(found) = source.as_ref() {
                keys::serve(found, far).await;
            }
        });
        Ok(Response::new(relay(near, asked)))
    }
}

/// Carries what is asked to an agent, and its answers back.
fn relay(
    agent: impl AsyncRead + AsyncWrite + Send + 'static,
    mut asked: Streaming<BytesMessage>,
) -> ReceiverStream<Result<BytesMessage, Status>> {
    let (mut from_agent, mut to_agent) = tokio::io::split(agent);
    let (sender, receiver) = mpsc::channel(4);
    tokio::spawn(async move {
        while let Some(Ok(message)) = asked.next().await {
            if to_agent.write_all(&message.data).await.is_err() {
                return;
            }
        }
        // The agent sees that nothing more is asked.
        let _ = to_agent.shutdown().await;
    });
    tokio::spawn(async move {
        let mut piece = vec![0; PIECE];
        while let Ok(length @ 1..) = from_agent.read(&mut piece).await {
            let message = BytesMessage { data: piece[..length].to_vec() };
            if sender.send(Ok(message)).await.is_err() {
                return;
            }
        }
    });
    ReceiverStream::new(receiver)
}
