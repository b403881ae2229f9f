//! What a connection has to tell: flags and latest values, never a growing queue.

use serde::{Deserialize, Serialize};

use super::seq::SeqNumber;
use crate::error::EndReason;
use crate::event::RetransmitCause;

/// News of a connection. Several of a kind between two polls become one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ConnectionEvent {
    /// The handshake is done.
    Established,
    /// Bytes arrived in order.
    Readable,
    /// Bytes were acknowledged: their room in the TX ring is free.
    Writable,
    /// The peer sent FIN; everything before it is in the RX ring.
    PeerClosed,
    /// The peer says that something is urgent (RFC 9293 §3.8.5); of several since the last poll, the latest.
    Urgent {
        /// Where the urgent byte lies, or will lie, in the RX stream.
        offset: u64,
        /// The byte, if it has come; told also where those in front of it have not.
        byte: Option<u8>,
    },
    /// The congestion window or the threshold changed.
    CongestionChanged,
    /// A segment was sent again; of several since the last poll, the latest.
    Retransmit {
        /// Its first sequence number.
        seq: SeqNumber,
        /// Its payload bytes.
        len: u32,
        /// Why.
        cause: RetransmitCause,
    },
    /// The connection is over; told once, last.
    Ended(EndReason),
}

/// The events not yet polled.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(in crate::tcp) struct Events {
    flags: u8,
    ended: Option<EndReason>,
    /// What ICMP said since the last progress: the reason to tell, if the connection times out.
    pub(in crate::tcp) soft_error: Option<EndReason>,
    /// Of the segment that [`Events::RETRANSMITTED`] tells of.
    timeout: bool,
    seq: SeqNumber,
    len: u32,
}

impl Events {
    pub(in crate::tcp) const ESTABLISHED: u8 = 1;
    pub(in crate::tcp) const READABLE: u8 = 2;
    pub(in crate::tcp) const WRITABLE: u8 = 4;
    pub(in crate::tcp) const PEER_CLOSED: u8 = 8;
    pub(in crate::tcp) const CONGESTION: u8 = 16;
    pub(in crate::tcp) const URGENT: u8 = 32;
    /// What the connection holds, or has use for, of the memory for received data is to be settled.
    pub(in crate::tcp) const MEMORY: u8 = 64;
    /// A segment was sent again.
    const RETRANSMITTED: u8 = 128;

    pub(in crate::tcp) fn raise(&mut self, flag: u8) {
        self.flags |= flag;
    }

    pub(in crate::tcp) fn retransmitted(
        &mut self,
        seq: SeqNumber,
        len: u32,
        cause: RetransmitCause,
    ) {
        self.raise(Self::RETRANSMITTED);
        self.timeout = cause == RetransmitCause::Timeout;
        (self.seq, self.len) = (seq, len);
    }

    pub(in crate::tcp) fn ended(&mut self, reason: EndReason) {
        self.ended = Some(reason);
    }

    #[inline]
    pub(in crate::tcp) const fn take_readiness(&mut self, keep_congestion: bool) -> Option<bool> {
        let readiness = Self::READABLE | Self::WRITABLE;
        let plain = readiness | if keep_congestion { 0 } else { Self::CONGESTION };
        if self.flags & !plain != 0 || self.ended.is_some() {
            return None;
        }
        let ready = self.flags & readiness != 0;
        self.flags = 0;
        Some(ready)
    }

    pub(in crate::tcp) fn take(&mut self, flag: u8) -> bool {
        let set = self.flags & flag != 0;
        self.flags &= !flag;
        set
    }

    /// Output: there is news of urgent data. Not before the connection itself was told of.
    pub(in crate::tcp) fn take_urgent(&mut self) -> bool {
        self.flags & Self::ESTABLISHED == 0 && self.take(Self::URGENT)
    }

    pub(in crate::tcp) fn poll(&mut self) -> Option<ConnectionEvent> {
        if self.flags & !Self::RETRANSMITTED != 0 {
            for (flag, event) in [
                (Self::ESTABLISHED, ConnectionEvent::Established),
                (Self::READABLE, ConnectionEvent::Readable),
                (Self::WRITABLE, ConnectionEvent::Writable),
                (Self::PEER_CLOSED, ConnectionEvent::PeerClosed),
                (Self::CONGESTION, ConnectionEvent::CongestionChanged),
            ] {
                if self.take(flag) {
                    return Some(event);
                }
            }
            self.flags &= Self::RETRANSMITTED;
        }
        if self.take(Self::RETRANSMITTED) {
            let timeout = self.timeout;
            let cause = if timeout { RetransmitCause::Timeout } else { RetransmitCause::Fast };
            return Some(ConnectionEvent::Retransmit { seq: self.seq, len: self.len, cause });
        }
        self.ended.take().map(ConnectionEvent::Ended)
    }
}
