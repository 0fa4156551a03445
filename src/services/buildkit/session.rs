//! Purpose: the session, on which the builder calls us back for files, credentials and secrets.
//!
//! A session is a gRPC server of ours inside a byte stream that runs through `Control.Session`. What a build may ask for
//! is in [`Services`]; a further service (SSH agents, files sent to us) is one more field and one more arm of its router.

mod auth;
mod content;
mod files;
mod health;
mod keys;
mod packets;
mod secrets;
mod sink;
mod ssh;
mod stream;
mod tree;
mod wanted;

pub use packets::{Kind, Packet, Stat};

pub(super) use content::{latest, note_latest};
pub(super) use files::{FileFault, Files, Folder};

use std::convert::Infallible;
use std::sync::{Arc, Mutex, PoisonError};

use bollard_buildkit_proto::health::health_server::HealthServer;
use bollard_buildkit_proto::moby::buildkit::secrets::v1::secrets_server::SecretsServer;
use bollard_buildkit_proto::moby::buildkit::v1::control_client::ControlClient;
use bollard_buildkit_proto::moby::filesync::v1::auth_server::AuthServer;
use bollard_buildkit_proto::moby::filesync::v1::file_send_server::FileSendServer;
use bollard_buildkit_proto::moby::sshforward::v1::ssh_server::SshServer;
use hyper::body::Incoming;
use hyper::server::conn::http2;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use tokio::task::JoinSet;
use tonic::body::Body;
use tower_service::Service as _;

use self::stream::SessionStream;
use super::connection::{Connection, MESSAGE_LIMIT};
use super::{ArchiveSink, BuildRequest, Logins};

/// What the builder may ask us for during one build.
#[derive(Clone)]
pub(super) struct Services {
    files: Files,
    auth: AuthServer<auth::Auth>,
    secrets: SecretsServer<secrets::Secrets>,
    sink: FileSendServer<sink::Sink>,
    agents: SshServer<ssh::Agents>,
    stores: content::Stores,
    health: HealthServer<health::Serving>,
}

/// The methods that the builder is told of; it calls no others.
const METHODS: [&str; 15] = [
    "/grpc.health.v1.Health/Check",
    "/moby.filesync.v1.FileSync/DiffCopy",
    "/moby.filesync.v1.Auth/Credentials",
    "/moby.filesync.v1.Auth/FetchToken",
    "/moby.filesync.v1.Auth/GetTokenAuthority",
    "/moby.filesync.v1.Auth/VerifyTokenAuthority",
    "/moby.buildkit.secrets.v1.Secrets/GetSecret",
    "/moby.filesync.v1.FileSend/DiffCopy",
    "/moby.sshforward.v1.SSH/CheckAgent",
    "/moby.sshforward.v1.SSH/ForwardAgent",
    "/containerd.services.content.v1.Content/Info",
    "/containerd.services.content.v1.Content/Read",
    "/containerd.services.content.v1.Content/Status",
    "/containerd.services.content.v1.Content/Write",
    "/containerd.services.content.v1.Content/Abort",
];

impl Services {
    pub(super) fn new(files: Files, logins: &Logins, request: &BuildRequest, sink: Option<ArchiveSink>) -> Self {
        Self {
            files,
            auth: AuthServer::new(auth::Auth::new(logins.clone())),
            secrets: SecretsServer::new(secrets::Secrets::new(&request.secrets)),
            sink: FileSendServer::new(sink::Sink::new(sink)).max_decoding_message_size(MESSAGE_LIMIT),
            agents: SshServer::new(ssh::Agents::new(&request.ssh)),
            stores: content::Stores::new(request.cache_folders().map(|(folder, _)| folder)),
            health: HealthServer::new(health::Serving),
        }
    }

    async fn answer(mut self, request: http::Request<Incoming>) -> Result<http::Response<Body>, Infallible> {
        let service = request.uri().path().trim_start_matches('/').split('/').next().unwrap_or_default();
        match service {
            "moby.filesync.v1.FileSync" => Ok(self.files.answer(request).await),
            "moby.filesync.v1.Auth" => self.auth.call(request).await,
            "moby.buildkit.secrets.v1.Secrets" => self.secrets.call(request).await,
            "moby.filesync.v1.FileSend" => self.sink.call(request).await,
            "containerd.services.content.v1.Content" => Ok(self.stores.answer(request).await),
            "moby.sshforward.v1.SSH" => self.agents.call(request).await,
            "grpc.health.v1.Health" => self.health.call(request).await,
            other => Ok(tonic::Status::unimplemented(format!("no service {other} in this session")).into_http()),
        }
    }
}

/// A session that the builder knows; it ends when this is dropped.
pub(super) struct Session {
    id: String,
    _tasks: Tasks,
}

impl Session {
    /// Opens a session and starts to serve it.
    ///
    /// `shared_key` tells the builder which earlier transfer of the same folder it may build upon.
    pub(super) async fn open(
        mut control: ControlClient<Connection>,
        id: String,
        shared_key: &str,
        services: Services,
    ) -> Result<Self, tonic::Status> {
        let stream = SessionStream::open(&mut control, &id, shared_key, &METHODS).await?;
        let tasks = Tasks::default();
        let service = service_fn(move |request| services.clone().answer(request));
        let serving = http2::Builder::new(tasks.clone()).serve_connection(TokioIo::new(stream), service);
        tasks.spawn(async move {
            // The builder closes it at the end of the build; an early end shows in the build's own result.
            let _ = serving.await;
        });
        Ok(Self { id, _tasks: tasks })
    }

    pub(super) fn id(&self) -> &str {
        &self.id
    }
}

/// The tasks of a session; all are aborted when the session is dropped.
#[derive(Clone, Default)]
struct Tasks(Arc<Mutex<JoinSet<()>>>);

impl Tasks {
    fn spawn(&self, task: impl Future<Output = ()> + Send + 'static) {
        let mut tasks = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        while tasks.try_join_next().is_some() {}
        tasks.spawn(task);
    }
}

impl<F: Future + Send + 'static> hyper::rt::Executor<F> for Tasks {
    fn execute(&self, future: F) {
        self.spawn(async move {
            future.await;
        });
    }
}
