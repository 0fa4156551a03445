//! The packets that a builder sends during file sync.

use landfall::services::buildkit::wire::Packet;
use prost::Message as _;

/// What is understood is the same after it was sent on.
pub(crate) fn run(data: &[u8]) {
    if let Ok(packet) = Packet::decode(data) {
        let sent = packet.encode_to_vec();
        assert_eq!(Packet::decode(&sent[..]).unwrap(), packet);
    }
}
