//! Purpose: the byte stream that `Control.Session` carries in its messages.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bollard_buildkit_proto::moby::buildkit::v1::BytesMessage;
use bollard_buildkit_proto::moby::buildkit::v1::control_client::ControlClient;
use bytes::{Buf as _, Bytes};
use futures_util::Stream as _;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio_stream::wrappers::ReceiverStream;
use tokio_util::sync::PollSender;
use tonic::metadata::{AsciiMetadataValue, MetadataValue};
use tonic::{Request, Status, Streaming};

use super::super::connection::{Connection, MESSAGE_LIMIT};

/// Messages that may wait to be sent; each is at most [`LARGEST`] long.
const WAITING: usize = 8;
/// Bytes per message.
const LARGEST: usize = 64 * 1024;

/// Both directions of one session.
pub(super) struct SessionStream {
    incoming: Streaming<BytesMessage>,
    unread: Bytes,
    outgoing: PollSender<BytesMessage>,
}

impl SessionStream {
    /// Asks the builder to call us back through this stream.
    pub(super) async fn open(
        control: &mut ControlClient<Connection>,
        id: &str,
        shared_key: &str,
        methods: &[&'static str],
    ) -> Result<Self, Status> {
        let (sender, receiver) = tokio::sync::mpsc::channel(WAITING);
        let mut request = Request::new(ReceiverStream::new(receiver));
        let metadata = request.metadata_mut();
        metadata.insert("x-docker-expose-session-uuid", ascii(id)?);
        metadata.insert("x-docker-expose-session-name", AsciiMetadataValue::from_static("landfall"));
        metadata.insert("x-docker-expose-session-sharedkey", ascii(shared_key)?);
        for method in methods {
            metadata.append("x-docker-expose-session-grpc-method", MetadataValue::from_static(method));
        }
        let incoming = control.session(request).await?.into_inner();
        Ok(Self { incoming, unread: Bytes::new(), outgoing: PollSender::new(sender) })
    }
}

fn ascii(text: &str) -> Result<AsciiMetadataValue, Status> {
    text.parse().map_err(|_| Status::invalid_argument("a session's metadata must be ASCII"))
}

impl AsyncRead for SessionStream {
    fn poll_read(mut self: Pin<&mut Self>, context: &mut Context<'_>, out: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        while self.unread.is_empty() {
            match ready!(Pin::new(&mut self.incoming).poll_next(context)) {
                Some(Ok(message)) => self.unread = message.data.into(),
                Some(Err(status)) => {
                    return Poll::Ready(Err(io::Error::new(io::ErrorKind::BrokenPipe, status)));
                }
                None => return Poll::Ready(Ok(())),
            }
        }
        let length = self.unread.len().min(out.remaining());
        out.put_slice(&self.unread[..length]);
        self.unread.advance(length);
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for SessionStream {
    fn poll_write(mut self: Pin<&mut Self>, context: &mut Context<'_>, data: &[u8]) -> Poll<io::Result<usize>> {
        self.send(context, data.len().min(LARGEST), |length| data[..length].to_vec())
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let length = slices.iter().map(|slice| slice.len()).sum::<usize>().min(LARGEST);
        self.send(context, length, |length| {
            let mut data = Vec::with_capacity(length);
            for slice in slices {
                let room = length - data.len();
                data.extend_from_slice(&slice[..slice.len().min(room)]);
            }
            data
        })
    }

    fn is_write_vectored(&self) -> bool {
        true
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.outgoing.close();
        Poll::Ready(Ok(()))
    }
}

impl SessionStream {
    fn send(
        &mut self,
        context: &mut Context<'_>,
        length: usize,
        data: impl FnOnce(usize) -> Vec<u8>,
    ) -> Poll<io::Result<usize>> {
        let closed = || io::Error::from(io::ErrorKind::BrokenPipe);
        ready!(self.outgoing.poll_reserve(context)).map_err(|_| closed())?;
        self.outgoing.send_item(BytesMessage { data: data(length) }).map_err(|_| closed())?;
        Poll::Ready(Ok(length))
    }
}

// Reading and writing use fields that are `Unpin`; nothing is pinned in place.
const _: () = {
    const fn unpin<T: Unpin>() {}
    unpin::<SessionStream>();
    assert!(LARGEST < MESSAGE_LIMIT);
};
