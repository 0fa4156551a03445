//! Purpose: folders of this machine as content stores, in which a builder keeps its cache and finds it again.
//!
//! The service is containerd's (`api/services/content/v1/content.proto`), which BuildKit calls for caches of type `local`.
//! A folder is an OCI layout: blobs below `blobs/<algorithm>/`, and an `index.json` that names the cache's manifest.

mod messages;
mod store;

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::task::{Context, Poll};

use hyper::body::Incoming;
use tokio::sync::mpsc;
use tokio_stream::StreamExt as _;
use tokio_stream::wrappers::ReceiverStream;
use tonic::body::Body;
use tonic::server::Grpc;
use tonic::{Request, Response, Status, Streaming};
use tonic_prost::ProstCodec;

use self::messages::{
    AbortRequest, Empty, Info, InfoRequest, InfoResponse, ReadRequest, ReadResponse, StatusRequest, StatusResponse,
    WriteRequest, WriteResponse,
};
use self::store::{Ingest, Store};
pub(in super::super) use self::store::{latest, note_latest};

/// Which store a request means (BuildKit, `session/content`).
const STORE_ID: &str = "buildkit-attachable-store-id";
/// Bytes of one answer to a read.
const PIECE: usize = 1024 * 1024;

/// The stores of one session, by their ids.
#[derive(Clone)]
pub(super) struct Stores(Arc<BTreeMap<String, Store>>);

impl Stores {
    /// Stores in these folders, under the ids that the builder makes of their paths.
    pub(super) fn new(folders: impl IntoIterator<Item = PathBuf>) -> Self {
        let store = |folder: PathBuf| (format!("local:{}", folder.display()), Store::new(folder));
        Self(Arc::new(folders.into_iter().map(store).collect()))
    }

    /// Answers a request to the service.
    pub(super) async fn answer(self, request: http::Request<Incoming>) -> http::Response<Body> {
        let method = request.uri().path().rsplit('/').next().unwrap_or_default().to_owned();
        match method.as_str() {
            "Info" => {
                let call = Call(async move |request: Request<InfoRequest>| {
                    let store = self.chosen(request.metadata())?;
                    let size = store.size(&request.get_ref().digest).await?;
                    let info = Info { digest: request.get_ref().digest.clone(), size, ..Info::default() };
                    Ok(Response::new(InfoResponse { info: Some(info) }))
                });
                Grpc::new(ProstCodec::default()).unary(call.boxed(), request).await
            }
            "Read" => {
                let call = Call(async move |request: Request<ReadRequest>| self.read(&request).await);
                Grpc::new(ProstCodec::default()).server_streaming(call.boxed(), request).await
            }
            "Write" => {
                let call = Call(async move |request: Request<Streaming<WriteRequest>>| self.write(request));
                Grpc::new(ProstCodec::default()).streaming(call.boxed(), request).await
            }
            "Status" => {
                // Nothing is taken up again: an ingest lives as long as its stream.
                let call = Call(async |request: Request<StatusRequest>| {
                    let reference = &request.get_ref().reference;
                    Err::<Response<StatusResponse>, _>(Status::not_found(format!("no ingest {reference}")))
                });
                Grpc::new(ProstCodec::default()).unary(call.boxed(), request).await
            }
            "Abort" => {
                let call = Call(async |_: Request<AbortRequest>| Ok(Response::new(Empty {})));
                Grpc::new(ProstCodec::default()).unary(call.boxed(), request).await
            }
            other => Status::unimplemented(format!("the content store has no {other}")).into_http(),
        }
    }

    fn chosen(&self, metadata: &tonic::metadata::MetadataMap) -> Result<&Store, Status> {
        let id = metadata.get(STORE_ID).and_then(|id| id.to_str().ok()).unwrap_or_default();
        self.0.get(id).ok_or_else(|| Status::not_found(format!("no content store {id:?}")))
    }

    async fn read(
        &self,
        request: &Request<ReadRequest>,
    ) -> Result<Response<ReceiverStream<Result<ReadResponse, Status>>>, Status> {
        let wanted = request.get_ref();
        let mut blob = self.chosen(request.metadata())?.open(&wanted.digest, wanted.offset, wanted.size).await?;
        let (sender, receiver) = mpsc::channel(2);
        let mut offset = wanted.offset;
        tokio::spawn(async move {
            loop {
                let answer = match blob.piece(PIECE).await {
                    Ok(data) if data.is_empty() => return,
                    Ok(data) => Ok(ReadResponse { offset, data }),
                    Err(status) => Err(status),
                };
                let length = answer.as_ref().map_or(0, |answer| answer.data.len());
                let failed = answer.is_err();
                if sender.send(answer).await.is_err() || failed {
                    return;
                }
                offset += i64::try_from(length).unwrap_or_default();
            }
        });
        Ok(Response::new(ReceiverStream::new(receiver)))
    }

    fn write(
        &self,
        request: Request<Streaming<WriteRequest>>,
    ) -> Result<Response<ReceiverStream<Result<WriteResponse, Status>>>, Status> {
        let store = self.chosen(request.metadata())?.clone();
        let mut steps = request.into_inner();
        let (sender, receiver) = mpsc::channel(2);
        tokio::spawn(async move {
            let mut ingest: Option<Ingest> = None;
            while let Some(Ok(step)) = steps.next().await {
                let answer = store.step(&mut ingest, step).await;
                let failed = answer.is_err();
                if sender.send(answer).await.is_err() || failed {
                    return;
                }
            }
        });
        Ok(Response::new(ReceiverStream::new(receiver)))
    }
}

/// A method of the service as tonic takes it.
struct Call<F>(F);

type Boxed<T> = std::pin::Pin<Box<dyn Future<Output = Result<T, Status>> + Send>>;

impl<F> Call<F> {
    /// The method with a future that can be named.
    fn boxed<Req, Res: Send + 'static, Fut>(self) -> Call<impl FnMut(Request<Req>) -> Boxed<Response<Res>>>
    where
        F: FnOnce(Request<Req>) -> Fut,
        Fut: Future<Output = Result<Response<Res>, Status>> + Send + 'static,
    {
        let mut once = Some(self.0);
        Call(move |request| -> Boxed<Response<Res>> {
            match once.take() {
                Some(method) => Box::pin(method(request)),
                None => Box::pin(std::future::ready(Err(Status::internal("a method was called twice")))),
            }
        })
    }
}

impl<F, Req, Res> tower_service::Service<Request<Req>> for Call<F>
where
    F: FnMut(Request<Req>) -> Boxed<Response<Res>>,
{
    type Response = Response<Res>;
    type Error = Status;
    type Future = Boxed<Response<Res>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Status>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<Req>) -> Self::Future {
        (self.0)(request)
    }
}
