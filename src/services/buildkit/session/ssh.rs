//! Purpose: SSH agents of this machine, for `RUN --mount=type=ssh`. Keys stay here; only signatures travel.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use bollard_buildkit_proto::moby::sshforward::v1::{BytesMessage, CheckAgentRequest, CheckAgentResponse, ssh_server};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::UnixStream;
use tokio::sync::mpsc;
use tokio_stream::StreamExt as _;
use tokio_stream::wrappers::ReceiverStream;
use tonic::{Request, Response, Status, Streaming};

use super::super::SshAgent;

/// Which agent a request is for (BuildKit, `session/sshforward`).
const ID: &str = "buildkit.ssh.id";
/// The id of a mount that names none.
const DEFAULT_ID: &str = "default";
/// Bytes of one message; the agents' own messages are shorter.
const PIECE: usize = 32 * 1024;

/// The agents that the build may use.
pub(super) struct Agents {
    sockets: BTreeMap<String, PathBuf>,
}

impl Agents {
    pub(super) fn new(agents: &[SshAgent]) -> Self {
        Self { sockets: agents.iter().map(|agent| (agent.id.clone(), agent.socket.clone())).collect() }
    }

    fn socket(&self, id: &str) -> Result<&Path, Status> {
        let id = if id.is_empty() { DEFAULT_ID } else { id };
        let found = self.sockets.get(id).map(PathBuf::as_path);
        found.ok_or_else(|| Status::not_found(format!("the build was given no SSH agent {id}")))
    }
}

#[tonic::async_trait]
impl ssh_server::Ssh for Agents {
    type ForwardAgentStream = ReceiverStream<Result<BytesMessage, Status>>;

    async fn check_agent(&self, request: Request<CheckAgentRequest>) -> Result<Response<CheckAgentResponse>, Status> {
        self.socket(&request.get_ref().id)?;
        Ok(Response::new(CheckAgentResponse {}))
    }

    async fn forward_agent(
        &self,
        request: Request<Streaming<BytesMessage>>,
    ) -> Result<Response<Self::ForwardAgentStream>, Status> {
        let id = request.metadata().get(ID).and_then(|id| id.to_str().ok()).unwrap_or_default();
        let socket = self.socket(id)?;
        let unreachable =
            |error| Status::unavailable(format!("the SSH agent at {} does not answer: {error}", socket.display()));
        let (mut from_agent, mut to_agent) = UnixStream::connect(socket).await.map_err(unreachable)?.into_split();
        let mut asked = request.into_inner();
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
        Ok(Response::new(ReceiverStream::new(receiver)))
    }
}
