//! Purpose: the file send service: the builder sends us the image as one archive, which is handed on as it comes.

use bollard_buildkit_proto::moby::filesync::v1::{BytesMessage, file_send_server};
use bytes::Bytes;
use tokio_stream::StreamExt as _;
use tonic::{Request, Response, Status, Streaming};

use super::super::ArchiveSink;

/// Takes what the builder sends.
pub(super) struct Sink {
    to: Option<ArchiveSink>,
}

impl Sink {
    pub(super) fn new(to: Option<ArchiveSink>) -> Self {
        Self { to }
    }
}

#[tonic::async_trait]
impl file_send_server::FileSend for Sink {
    type DiffCopyStream = tokio_stream::Empty<Result<BytesMessage, Status>>;

    /// Answers only when everything has been taken: the builder counts the answer as the end of the export.
    async fn diff_copy(
        &self,
        request: Request<Streaming<BytesMessage>>,
    ) -> Result<Response<Self::DiffCopyStream>, Status> {
        let Some(to) = &self.to else {
            return Err(Status::failed_precondition("this build sends no archive"));
        };
        let mut pieces = request.into_inner();
        while let Some(piece) = pieces.next().await {
            let gone = |_| Status::cancelled("nobody takes the archive any more");
            let data = Bytes::from(piece?.data);
            // An empty one would say that this is the end.
            if !data.is_empty() {
                to.0.send(Ok(data)).await.map_err(gone)?;
            }
        }
        to.end().await;
        Ok(Response::new(tokio_stream::empty()))
    }
}
