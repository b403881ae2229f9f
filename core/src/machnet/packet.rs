//! What goes in and out of a flow, as plain values.

use serde::{Deserialize, Serialize};

use crate::error::EndReason;
use crate::event::RetransmitCause;
use crate::wire::machnet::MachnetHeader;

/// A received packet. Ports, addresses and the UDP checksum are the stack's business.
#[derive(Clone, Copy, Debug)]
pub struct PacketIn<'a> {
    /// The parsed header.
    pub header: &'a MachnetHeader,
    /// The payload, in the pieces that the frame's segments cut it into.
    pub payload: &'a [&'a [u8]],
}

impl PacketIn<'_> {
    /// Getter: bytes of payload.
    pub fn payload_len(&self) -> usize {
        self.payload.iter().map(|part| part.len()).sum()
    }
}

/// A packet to be sent: this header, then the `payload_len` bytes of the TX ring from `payload_offset`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PacketOut {
    /// The header, complete.
    pub header: MachnetHeader,
    /// Where the payload begins in the TX stream.
    pub payload_offset: u64,
    /// Bytes of payload; 0 unless DATA.
    pub payload_len: u16,
    /// Bytes of [`super::Flow::prefix`] in front of the payload; 0 in the upstream profile.
    pub prefix_len: u8,
    /// What stands behind the payload.
    pub trailer: Trailer,
}

impl PacketOut {
    /// A packet that is a header.
    pub(super) const fn bare(header: MachnetHeader) -> Self {
        Self { header, payload_offset: 0, payload_len: 0, prefix_len: 0, trailer: Trailer::None }
    }
}

/// What stands behind the payload of a packet that is sent: nothing in the upstream profile. A CRC is CRC-32C, computed best as the payload
/// is copied, and big-endian.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Trailer {
    /// Nothing.
    None,
    /// Nothing, but the message goes on: [`super::Flow::note_written`] is to be told this CRC, continued over the payload.
    Continues(u32),
    /// This CRC, continued over the payload; [`super::Flow::note_written`] is to be told.
    Ends(u32),
    /// This CRC.
    Known(u32),
}

/// What a flow did with a packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Disposition {
    /// It was in order or inside the windows, and changed the flow.
    Accept,
    /// It was seen before.
    Duplicate,
    /// A DATA packet for which the receive ring has no room; not acknowledged, so the peer sends it again.
    NoRoom,
    /// Outside the windows, stale, or without meaning in this state.
    Ignore,
    /// Impossible fields: too much payload, or both or neither of the more and last flags.
    Malformed,
    /// The peer broke the framing of messages or exceeded `msg_max`; the flow has ended.
    Violation,
    /// Extended profile: from somebody who does not see the flow, or too old.
    Blind,
    /// Extended profile: of a flow under the same ports that was before this one. To be answered as a packet for nobody
    /// ([`super::answer_nobody`]).
    Forgotten,
}

/// Where a flow is in its life.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum FlowState {
    /// A SYN is due or was sent.
    SynSent,
    /// A SYN was received; a SYN-ACK is due or was sent.
    SynReceived,
    /// Messages go both ways.
    Established,
    /// The application closed it; queued messages are delivered first, then RST is sent, or FIN in the extended profile.
    Closing,
    /// At its end.
    Closed,
}

/// How the two ends speak, settled by the handshake.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Profile {
    /// Wire-compatible with the upstream project.
    #[default]
    Upstream,
    /// Between two Causeways (docs/machnet.md).
    Extended,
}

/// News of a flow.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum FlowEvent {
    /// The handshake is done.
    Established,
    /// A whole message lies in the RX ring, committed.
    Message {
        /// Where it begins in the RX stream.
        offset: u64,
        /// Its length in bytes, at least 1.
        len: u32,
    },
    /// Room in the TX ring was released.
    Writable,
    /// A packet goes out again. Reported when it is due; diagnostics only.
    Retransmit {
        /// Its packet number.
        seqno: u32,
        /// Its payload in bytes.
        len: u16,
        /// Why.
        cause: RetransmitCause,
    },
    /// The flow is at its end; the last event.
    Ended(EndReason),
}

/// Which of the flow's timers is next.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum FlowTimer {
    /// A SYN or SYN-ACK was not answered.
    Handshake,
    /// The oldest packet was not acknowledged.
    Retransmission,
    /// A closed flow gives up delivering.
    Linger,
    /// A message does not fit into the receive ring.
    Stall,
    /// Packets that later ones overtook did not arrive either.
    Reordering,
    /// Nothing came or went for long: what is needed for packets under way is given back.
    Idle,
    /// Extended profile: an acknowledgement waited for company.
    Ack,
    /// Extended profile: packets leave apart.
    Pacing,
    /// Extended profile: the tail of what was sent is not acknowledged, or the peer's window stays closed.
    Probe,
    /// Extended profile: nothing came from the peer.
    Keepalive,
}

/// Why a message was not taken for sending.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum SendError {
    /// Empty, or longer than `msg_max`.
    Length,
    /// It does not begin where the message before it ended.
    NotContiguous,
    /// It reaches beyond what the application has written.
    BeyondRing,
    /// `messages_queued_max` wait already; the same message may be tried again later.
    QueueFull,
    /// The flow is closing or at its end.
    Closed,
}

/// Why bytes are not the state of a flow.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum StateError {
    /// Written by another version of the format.
    Version,
    /// Cut short, or not this format.
    Malformed,
    /// A value that no flow can have.
    Invalid,
}
