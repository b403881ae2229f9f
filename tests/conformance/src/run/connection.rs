//! A connection as a script sees it, and how its numbers become those of the wire.

use std::collections::BTreeMap;
use std::net::SocketAddr;

/// How far a script's connection is. Only what decides where the next packet belongs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Phase {
    /// After socket().
    New,
    /// After listen().
    Listening,
    /// A first packet came for the listener.
    PacketReceived,
    /// Our SYN,ACK was seen.
    SynAckSent,
    /// It was acknowledged.
    SynAckAcked,
    /// After connect().
    Connecting,
    /// Our SYN was seen.
    SynSent,
    /// It was acknowledged.
    SynAcked,
    /// Its descriptor was closed.
    Closed,
}

/// A connection, listener or datagram socket of a script.
#[derive(Clone, Debug)]
pub(super) struct Connection {
    pub(super) phase: Phase,
    pub(super) udp: bool,
    /// The descriptor that the script knows it by.
    pub(super) fd: Option<i64>,
    pub(super) local: SocketAddr,
    pub(super) remote: SocketAddr,
    /// The peer's initial sequence number: the script's is the wire's.
    pub(super) remote_isn: u32,
    /// Ours, in the script and on the wire.
    pub(super) script_isn: u32,
    pub(super) live_isn: u32,
    /// Outbound timestamp values: the script's and the wire's.
    timestamps: BTreeMap<u32, u32>,
    first_timestamp: Option<(u32, u32)>,
    /// The flow label last expected and the one that came.
    pub(super) flow_label: Option<(u32, u32)>,
    /// Bytes that the application has written and read.
    pub(super) written: u64,
    pub(super) read: u64,
    /// The application's or the peer's bytes are not the known pattern.
    pub(super) free_form: bool,
}

impl Connection {
    pub(super) fn new(phase: Phase, udp: bool, local: SocketAddr, remote: SocketAddr) -> Self {
        Self {
            phase,
            udp,
            fd: None,
            local,
            remote,
            remote_isn: 0,
            script_isn: 0,
            live_isn: 0,
            timestamps: BTreeMap::new(),
            first_timestamp: None,
            flow_label: None,
            written: 0,
            read: 0,
            free_form: false,
        }
    }

    /// What is added to our sequence numbers in the script to get the wire's: numbers of packets with SYN are absolute,
    /// all others count from the initial one.
    pub(super) const fn local_offset(&self, syn: bool) -> u32 {
        if syn { self.live_isn.wrapping_sub(self.script_isn) } else { self.live_isn }
    }

    /// The same for the peer's.
    pub(super) const fn remote_offset(&self, syn: bool) -> u32 {
        if syn { 0 } else { self.remote_isn }
    }

    /// Input: an outbound segment has the timestamp `live` where the script has `script`. Returns `live` in the script's
    /// numbers.
    pub(super) fn learn_timestamp(&mut self, script: u32, live: u32) -> u32 {
        self.timestamps.insert(script, live);
        let (first_script, first_live) = *self.first_timestamp.get_or_insert((script, live));
        first_script.wrapping_add(live.wrapping_sub(first_live))
    }

    /// Getter: what an echo of the script is on the wire.
    pub(super) fn live_echo(&self, script: u32, scaled: bool) -> Option<u32> {
        let exact = self.timestamps.get(&script).copied();
        let (first_script, first_live) = self.first_timestamp.unwrap_or_default();
        let guess = first_live.wrapping_add(script.wrapping_sub(first_script));
        exact.or_else(|| (scaled && self.first_timestamp.is_some()).then_some(guess))
    }
}

/// The byte at `index` of every stream.
pub(super) fn pattern(index: u64) -> u8 {
    ((index as u32).wrapping_mul(0x9e37_79b1) >> 24) as u8
}

/// `len` bytes of a stream from `index` on.
pub(super) fn patterned(index: u64, len: usize) -> Vec<u8> {
    (index..).take(len).map(pattern).collect()
}
