//! Purpose: the packets of fsutil's file transfer, and their codec.
//!
//! The generated types are not used: they copy every chunk once more, and hold paths as text, while a file name is bytes.
//! The encoding on the wire is the same (`github.com/tonistiigi/fsutil/types/wire.proto`, `stat.proto`).

use bytes::Bytes;
use prost::Message;
use tonic::Status;
use tonic::codec::{BufferSettings, Codec, DecodeBuf, Decoder, EncodeBuf, Encoder};

/// What is known about one entry of a tree.
#[derive(Clone, PartialEq, Message)]
pub struct Stat {
    /// Relative to the root, with `/`.
    #[prost(bytes = "vec", tag = "1")]
    pub path: Vec<u8>,
    /// Go's `os.FileMode`, see [`super::tree`].
    #[prost(uint32, tag = "2")]
    pub mode: u32,
    /// Owner.
    #[prost(uint32, tag = "3")]
    pub uid: u32,
    /// Group.
    #[prost(uint32, tag = "4")]
    pub gid: u32,
    /// Bytes.
    #[prost(int64, tag = "5")]
    pub size: i64,
    /// Nanoseconds since 1970.
    #[prost(int64, tag = "6")]
    pub modified: i64,
    /// Target of a symbolic link, or the path of an entry sent before that is the same file.
    #[prost(bytes = "vec", tag = "7")]
    pub link: Vec<u8>,
    /// Of a device.
    #[prost(int64, tag = "8")]
    pub device_major: i64,
    /// Of a device.
    #[prost(int64, tag = "9")]
    pub device_minor: i64,
}

/// One packet. A stat packet without a stat ends the list, a data packet without data ends a file.
#[derive(Clone, PartialEq, Message)]
pub struct Packet {
    /// What it is for, a [`Kind`].
    #[prost(enumeration = "Kind", tag = "1")]
    pub kind: i32,
    /// The entry, in a stat packet.
    #[prost(message, optional, tag = "2")]
    pub stat: Option<Stat>,
    /// Which file: the index of its stat packet.
    #[prost(uint32, tag = "3")]
    pub id: u32,
    /// Content, or the words of an error.
    #[prost(bytes = "bytes", tag = "4")]
    pub data: Bytes,
}

/// What a packet is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, prost::Enumeration)]
#[repr(i32)]
pub enum Kind {
    /// An entry of the tree.
    Stat = 0,
    /// Asks for a file's content.
    Request = 1,
    /// A piece of a file.
    Data = 2,
    /// Everything is there.
    End = 3,
    /// It cannot go on.
    Error = 4,
}

impl Packet {
    pub(super) fn stat(stat: Option<Stat>) -> Self {
        Self { kind: Kind::Stat.into(), stat, ..Self::default() }
    }

    pub(super) fn data(id: u32, data: Bytes) -> Self {
        Self { kind: Kind::Data.into(), id, data, ..Self::default() }
    }

    pub(super) fn end() -> Self {
        Self { kind: Kind::End.into(), ..Self::default() }
    }

    pub(super) fn error(message: String) -> Self {
        Self { kind: Kind::Error.into(), data: message.into(), ..Self::default() }
    }
}

/// Packets in both directions.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Packets;

/// Room for one packet of data and its frame.
const BUFFER: usize = 33 * 1024;

impl Codec for Packets {
    type Encode = Packet;
    type Decode = Packet;
    type Encoder = Self;
    type Decoder = Self;

    fn encoder(&mut self) -> Self {
        *self
    }

    fn decoder(&mut self) -> Self {
        *self
    }
}

impl Encoder for Packets {
    type Item = Packet;
    type Error = Status;

    fn encode(&mut self, packet: Packet, out: &mut EncodeBuf<'_>) -> Result<(), Status> {
        packet.encode(out).map_err(|error| Status::internal(error.to_string()))
    }

    fn buffer_settings(&self) -> BufferSettings {
        BufferSettings::new(BUFFER, BUFFER)
    }
}

impl Decoder for Packets {
    type Item = Packet;
    type Error = Status;

    fn decode(&mut self, data: &mut DecodeBuf<'_>) -> Result<Option<Packet>, Status> {
        Packet::decode(data).map(Some).map_err(|error| Status::internal(error.to_string()))
    }
}
