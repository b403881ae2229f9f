//! What happened inside the stack, as typed values. `tracing` begins above: in the daemon and the simulator.

use core::net::{IpAddr, Ipv6Addr, SocketAddr};

use serde::{Deserialize, Serialize};

use crate::error::EndReason;
use crate::ip::AddressState;
use crate::nic::IfIndex;
use crate::port::{SocketId, Transport};
use crate::tcp::State;
use crate::time::{Duration, Instant};

/// Why a received frame was dropped.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum DropReason {
    /// Shorter than its headers say, or a header field is impossible.
    Malformed,
    /// A checksum does not match.
    Checksum,
    /// Addressed to somebody else.
    NotOurs,
    /// A source or destination that must not appear on the wire (RFC 1122 §3.2.1.3).
    Martian,
    /// A protocol that this stack does not speak.
    Protocol,
    /// No socket, and nothing may be answered.
    NoSocket,
    /// A limit (backlog, reassembly, ring memory) was reached.
    Limit,
    /// A fragment that overlaps another, cuts a TCP header, or contradicts the others of its datagram.
    Fragment,
    /// A packet of Machnet's extended profile from somebody who does not see the flow, or that is too old.
    Blind,
}

/// Why a segment or packet was sent again.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum RetransmitCause {
    /// The retransmission timer (RFC 6298).
    Timeout,
    /// Duplicate acknowledgements (RFC 5681) or selective ones.
    Fast,
}

/// One event.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Event {
    /// A connection or flow exists from now on.
    Opened {
        /// Which.
        socket: SocketId,
        /// Its transport.
        transport: Transport,
        /// Our end.
        local: SocketAddr,
        /// The peer.
        remote: SocketAddr,
    },
    /// A TCP connection changed its state.
    TcpState {
        /// Which.
        socket: SocketId,
        /// Before.
        from: State,
        /// After.
        to: State,
    },
    /// The congestion window or threshold changed.
    Congestion {
        /// Which.
        socket: SocketId,
        /// Congestion window in bytes.
        cwnd_bytes: u32,
        /// Slow-start threshold in bytes.
        ssthresh_bytes: u32,
        /// Bytes in flight.
        flight_bytes: u32,
        /// Smoothed round-trip time.
        srtt: Duration,
    },
    /// A segment or packet is sent again.
    Retransmit {
        /// Which.
        socket: SocketId,
        /// Its sequence number (byte for TCP, packet for Machnet).
        seq: u32,
        /// Payload bytes.
        len: u32,
        /// Why.
        cause: RetransmitCause,
    },
    /// A socket came to its end.
    Ended {
        /// Which.
        socket: SocketId,
        /// Why.
        reason: EndReason,
    },
    /// An address of ours has another state: of IPv6, or one of IPv4 that everybody is asked for before it is used.
    Address {
        /// Of which interface.
        interface: IfIndex,
        /// Which.
        address: IpAddr,
        /// Its state; `None` when it is none of ours any more.
        state: Option<AddressState>,
    },
    /// A router names a server for names (RFC 8106).
    Resolver {
        /// On which interface.
        interface: IfIndex,
        /// The server.
        server: Ipv6Addr,
        /// How long it serves, in seconds; all ones is for ever, 0 no longer.
        lifetime_s: u32,
    },
    /// A received frame was dropped.
    Dropped {
        /// Where it came from.
        interface: IfIndex,
        /// Why.
        reason: DropReason,
    },
}

/// An event and its time.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Stamped {
    /// When.
    pub at: Instant,
    /// What.
    pub event: Event,
}
