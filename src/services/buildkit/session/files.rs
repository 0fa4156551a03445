//! Purpose: the file sync service: the builder names a folder and what it wants of it, and asks for contents one by one.
//!
//! The protocol (`fsutil/receive.go`): we walk the folder and send a stat packet per entry, the last one empty; meanwhile
//! the builder requests files by the index of their stat packet, we answer with data packets, the last one empty; the
//! builder ends with an end packet, which we return. Nothing but requested content is read, 32 KiB at a time, by a
//! few threads, and the channel to the stream is short: memory does not grow with the context.

use std::collections::{BTreeMap, HashMap};
use std::io::{self, Read as _};
use std::os::unix::ffi::OsStringExt as _;
use std::os::unix::fs::FileTypeExt as _;
use std::path::{Path, PathBuf};
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, mpsc as blocking};

use bytes::Bytes;
use hyper::body::Incoming;
use tokio::sync::mpsc;
use tokio_stream::StreamExt as _;
use tokio_stream::wrappers::ReceiverStream;
use tonic::body::Body;
use tonic::{Request, Response, Status, Streaming};

use super::packets::{Kind, Packet, Packets, Stat};
use super::tree::{self, Gone, WalkError};
use super::wanted::Wanted;
use crate::domain::ignore::{Filter, follow};

/// Bytes per data packet, as fsutil sends them.
const CHUNK: usize = 32 * 1024;
/// Packets that may wait for the stream.
const WAITING: usize = 16;
/// Files that are read at the same time.
const READERS: usize = 4;

/// A file or folder that could not be read.
#[derive(Debug)]
pub(in super::super) struct FileFault {
    pub(in super::super) path: PathBuf,
    pub(in super::super) source: io::Error,
}

/// What a name of the session stands for.
#[derive(Debug, Clone)]
pub(in super::super) enum Folder {
    /// A folder on this machine.
    Disk(PathBuf),
    /// A folder that holds one file, made up here.
    Single {
        /// The file's name.
        name: String,
        /// Its content.
        content: Bytes,
    },
}

/// The folders that the builder may read, by the names that the frontend knows (`context`, `dockerfile`).
#[derive(Clone)]
pub(in super::super) struct Files {
    folders: Arc<BTreeMap<String, Folder>>,
    faults: Arc<Mutex<Faults>>,
}

/// What went wrong with files, the first of each kind.
#[derive(Default)]
struct Faults {
    unreadable: Option<FileFault>,
    /// A name that is not UTF-8: sent as it is, and refused by some builders (20.10's takes it, 28's does not).
    odd_name: Option<PathBuf>,
}

impl Files {
    pub(in super::super) fn new(folders: BTreeMap<String, Folder>) -> Self {
        Self { folders: Arc::new(folders), faults: Arc::default() }
    }

    /// What could not be read or taken; it says more than the builder's account of it.
    pub(in super::super) fn fault(&self, status: &Status) -> Option<FileFault> {
        let mut faults = self.faults();
        let odd_name = faults.odd_name.take().filter(|_| status.message().contains("invalid UTF-8"));
        faults.unreadable.take().or(odd_name.map(|path| FileFault {
            path,
            source: io::Error::new(io::ErrorKind::InvalidData, "the builder takes no file names that are not UTF-8"),
        }))
    }

    fn faults(&self) -> MutexGuard<'_, Faults> {
        self.faults.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn note(&self, fault: FileFault) -> Status {
        let status = Status::internal(format!("cannot read {}: {}", fault.path.display(), fault.source));
        self.faults().unreadable.get_or_insert(fault);
        status
    }

    /// Answers a request to the service.
    pub(super) async fn answer(self, request: http::Request<Incoming>) -> http::Response<Body> {
        if request.uri().path() != "/moby.filesync.v1.FileSync/DiffCopy" {
            return Status::unimplemented("only DiffCopy is offered").into_http();
        }
        tonic::server::Grpc::new(Packets).streaming(DiffCopy(self), request).await
    }

    fn start(&self, request: Request<Streaming<Packet>>) -> Result<ReceiverStream<Result<Packet, Status>>, Status> {
        let wanted = Wanted::read(request.metadata());
        let folder = self.folders.get(&wanted.name);
        let folder = folder.ok_or_else(|| Status::not_found(format!("no access allowed to dir {:?}", wanted.name)))?;
        let (sender, receiver) = mpsc::channel(WAITING);
        let transfer = Transfer { files: self.clone(), folder: folder.clone(), offered: Arc::default(), sender };
        let walker = transfer.clone();
        tokio::task::spawn_blocking(move || walker.offer(&wanted));
        tokio::spawn(transfer.serve(request.into_inner()));
        Ok(ReceiverStream::new(receiver))
    }
}

/// The service's one method.
struct DiffCopy(Files);

impl tonic::server::StreamingService<Packet> for DiffCopy {
    type Response = Packet;
    type ResponseStream = ReceiverStream<Result<Packet, Status>>;
    type Future = Pin<Box<dyn Future<Output = Result<Response<Self::ResponseStream>, Status>> + Send>>;

    fn call(&mut self, request: Request<Streaming<Packet>>) -> Self::Future {
        let started = self.0.start(request);
        Box::pin(async move { Ok(Response::new(started?)) })
    }
}

/// One transfer: a walker that offers, a reader of requests, and threads that read files.
#[derive(Clone)]
struct Transfer {
    files: Files,
    folder: Folder,
    /// Entries with content that were offered and not asked for yet, by index.
    offered: Arc<Mutex<HashMap<u32, Vec<u8>>>>,
    sender: mpsc::Sender<Result<Packet, Status>>,
}

impl Transfer {
    /// Sends a stat packet per entry.
    fn offer(&self, wanted: &Wanted) {
        let mut index = 0;
        let mut sink = |stat: Stat| {
            if tree::has_content(stat.mode) {
                self.offered.lock().unwrap_or_else(PoisonError::into_inner).insert(index, stat.path.clone());
            }
            if std::str::from_utf8(&stat.path).is_err() {
                let path = PathBuf::from(std::ffi::OsString::from_vec(stat.path.clone()));
                self.files.faults().odd_name.get_or_insert(path);
            }
            index += 1;
            self.send(Packet::stat(Some(stat)))
        };
        let walked = match &self.folder {
            Folder::Disk(root) => offer_disk(root, wanted, &mut sink),
            Folder::Single { name, content } => offer_single(name, content, wanted, &mut sink),
        };
        match walked {
            Ok(()) => drop(self.send(Packet::stat(None))),
            Err(Refusal::Gone) => {}
            Err(Refusal::Fault(fault)) => self.fail(self.files.note(fault)),
            Err(Refusal::Pattern(status)) => self.fail(status),
        }
    }

    fn send(&self, packet: Packet) -> Result<(), Gone> {
        self.sender.blocking_send(Ok(packet)).map_err(|_| Gone)
    }

    /// Tells the builder in its own protocol, then ends the stream with the same words.
    fn fail(&self, status: Status) {
        let told = self.send(Packet::error(status.message().to_owned()));
        if told.is_ok() {
            // A full channel whose reader is gone needs no ending.
            let _ = self.sender.blocking_send(Err(status));
        }
    }

    /// Answers requests until the builder says that it has everything.
    async fn serve(self, mut requests: Streaming<Packet>) {
        let (queue, work) = blocking::channel();
        let work = Arc::new(Mutex::new(work));
        let mut readers = 0;
        while let Some(Ok(packet)) = requests.next().await {
            match Kind::try_from(packet.kind) {
                Ok(Kind::Request) => {
                    let offered = self.offered.lock().unwrap_or_else(PoisonError::into_inner).remove(&packet.id);
                    let Some(path) = offered else {
                        let status = Status::invalid_argument(format!("invalid file id {}", packet.id));
                        let _ = self.sender.send(Err(status)).await;
                        return;
                    };
                    if queue.send((packet.id, path)).is_ok() && readers < READERS {
                        readers += 1;
                        let (transfer, work) = (self.clone(), work.clone());
                        tokio::task::spawn_blocking(move || transfer.read_files(&work));
                    }
                }
                Ok(Kind::End) => {
                    let _ = self.sender.send(Ok(Packet::end())).await;
                    return;
                }
                // The builder gave up; its own result says why.
                _ => return,
            }
        }
    }

    fn read_files(&self, work: &Mutex<blocking::Receiver<(u32, Vec<u8>)>>) {
        loop {
            let next = work.lock().unwrap_or_else(PoisonError::into_inner).recv();
            let Ok((id, path)) = next else { return };
            let sent = match &self.folder {
                Folder::Single { content, .. } => self.send_chunks(id, &content[..]).map_err(Refusal::from),
                Folder::Disk(root) => self.send_file(id, &tree::full(root, &path)),
            };
            match sent {
                Ok(()) => {}
                Err(Refusal::Fault(fault)) => return self.fail(self.files.note(fault)),
                Err(_) => return,
            }
        }
    }

    fn send_file(&self, id: u32, path: &Path) -> Result<(), Refusal> {
        let fault = |source| Refusal::Fault(FileFault { path: path.to_owned(), source });
        // A socket has been offered as an empty file (as fsutil does) and cannot be opened.
        let kind = std::fs::symlink_metadata(path).map_err(fault)?.file_type();
        if kind.is_socket() {
            return Ok(self.send_chunks(id, io::empty())?);
        }
        let file = std::fs::File::open(path).map_err(fault)?;
        self.send_chunks(id, file).map_err(|error| match error {
            ChunkError::Gone => Refusal::Gone,
            ChunkError::Read(source) => fault(source),
        })
    }

    fn send_chunks(&self, id: u32, mut content: impl io::Read) -> Result<(), ChunkError> {
        loop {
            let mut chunk = Vec::with_capacity(CHUNK);
            let length = content.by_ref().take(CHUNK as u64).read_to_end(&mut chunk).map_err(ChunkError::Read)?;
            if length > 0 {
                self.send(Packet::data(id, chunk.into())).map_err(|Gone| ChunkError::Gone)?;
            }
            if length < CHUNK {
                return self.send(Packet::data(id, Bytes::new())).map_err(|Gone| ChunkError::Gone);
            }
        }
    }
}

enum ChunkError {
    Gone,
    Read(io::Error),
}

/// Why a transfer stops.
enum Refusal {
    Gone,
    Fault(FileFault),
    Pattern(Status),
}

impl From<ChunkError> for Refusal {
    fn from(error: ChunkError) -> Self {
        match error {
            ChunkError::Gone => Self::Gone,
            ChunkError::Read(source) => Self::Fault(FileFault { path: PathBuf::new(), source }),
        }
    }
}

impl From<WalkError> for Refusal {
    fn from(error: WalkError) -> Self {
        match error {
            WalkError::Gone => Self::Gone,
            WalkError::Unreadable(fault) => Self::Fault(fault),
        }
    }
}

fn offer_disk(root: &Path, wanted: &Wanted, sink: tree::Sink<'_>) -> Result<(), Refusal> {
    let includes =
        follow::includes(&tree::Disk(root), wanted.includes.clone(), &wanted.follow).map_err(Refusal::Fault)?;
    let filter = Filter::new(includes, wanted.excludes.clone());
    let filter = filter.map_err(|error| Refusal::Pattern(Status::invalid_argument(error.to_string())))?;
    Ok(tree::walk(root, &filter, sink)?)
}

fn offer_single(name: &str, content: &Bytes, wanted: &Wanted, sink: tree::Sink<'_>) -> Result<(), Refusal> {
    let includes: Vec<Vec<u8>> = wanted.includes.iter().chain(&wanted.follow).cloned().collect();
    let filter = Filter::new(includes, wanted.excludes.clone());
    let filter = filter.map_err(|error| Refusal::Pattern(Status::invalid_argument(error.to_string())))?;
    if !filter.file(name.as_bytes(), None) {
        return Ok(());
    }
    let size = i64::try_from(content.len()).unwrap_or(i64::MAX);
    let stat = Stat { path: name.as_bytes().to_vec(), mode: 0o644, size, ..Stat::default() };
    sink(stat).map_err(|Gone| Refusal::Gone)
}
