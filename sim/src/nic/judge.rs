//! What a NIC finds out about a frame that arrives: whether its checksum is right, and its VLAN.

use causeway_core::nic::{Frame as _, RxChecksum};

use super::cut::{TAG_AT, TAG_LEN, TAG_TYPE};
use crate::fault::IP;
use crate::frame::SimFrame;
use crate::packet::{Network, Packet, Transport, Verdict};

/// Getter: what hardware says of the checksum of TCP or UDP; of everything else it knows nothing.
pub(super) fn checksum(frame: &[u8]) -> RxChecksum {
    let Ok(packet) = Packet::parse(frame) else { return RxChecksum::Unknown };
    let Network::Ip(_, Transport::Tcp(_) | Transport::Udp(_)) = &packet.network else {
        return RxChecksum::Unknown;
    };
    let checksums = packet.checksums();
    match checksums.transport {
        // The stack looks at the header's own.
        _ if checksums.ip == Verdict::Wrong => RxChecksum::Unknown,
        Verdict::Absent | Verdict::Omitted => RxChecksum::Unknown,
        Verdict::Right => RxChecksum::Verified,
        Verdict::Wrong => RxChecksum::Bad,
    }
}

/// Command: takes the tag out, and says beside the frame what it was.
pub(super) fn strip_tag(frame: &mut SimFrame) {
    let bytes = frame.bytes_mut();
    let len = bytes.len();
    if len < IP + TAG_LEN || bytes[TAG_AT..TAG_AT + 2] != TAG_TYPE {
        return;
    }
    let tci = u16::from_be_bytes([bytes[TAG_AT + 2], bytes[TAG_AT + 3]]);
    bytes.copy_within(TAG_AT + TAG_LEN.., TAG_AT);
    frame.set_len(len - TAG_LEN);
    frame.meta_mut().vlan_tci = Some(tci);
}
