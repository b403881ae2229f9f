//! Connections side by side, without a stack around them: what one does the others must do.

use causeway_core::tcp::{
    Connection, ConnectionEvent, Disposition, Ecn, SegmentIn, SegmentOut, TxLimits,
};
use causeway_core::time::Instant;
use causeway_core::wire::tcp::{TcpFlags, TcpHeader};

use crate::peer::MSS_LEAST;
use crate::rings::CheckedRings;

/// Bytes of each ring.
pub const RING: u64 = 64 << 10;
const LIMITS: TxLimits = TxLimits { mss_ip: 1_460, mss_link: 1_460, gso_bytes_max: 0 };
/// What a segment of the least size still carries: behind timestamps (12 bytes) and three blocks of selective acknowledgements (28).
const PAYLOAD_LEAST: usize = MSS_LEAST as usize - 12 - 28;
/// Ends of records that a connection remembers: each may leave a segment that is not full.
const RECORDS_MAX: usize = 1_024;
/// No connection sends more at once: all that is in its ring, and what carries no payload.
pub const SEGMENTS_MAX: usize = RING as usize / PAYLOAD_LEAST + RECORDS_MAX + 64;

/// A connection and its application.
#[derive(Clone, Debug)]
pub struct Subject {
    /// The connection.
    pub tcp: Connection,
    /// Its rings.
    pub rings: CheckedRings,
}

/// What a connection did.
#[derive(Debug, Default, PartialEq)]
pub struct Reaction {
    /// What it sent.
    pub sent: Vec<SegmentOut>,
    /// What it told its application.
    pub events: Vec<ConnectionEvent>,
}

impl Subject {
    /// A connection with empty rings.
    pub const fn new(tcp: Connection) -> Self {
        Self { tcp, rings: CheckedRings::new(RING) }
    }

    /// Input: a segment, whole, its payload in two slices.
    pub fn take(
        &mut self,
        now: Instant,
        header: &TcpHeader,
        payload: &[u8],
        ecn: u8,
    ) -> Disposition {
        let (head, tail) = payload.split_at(payload.len() / 3);
        let segment = SegmentIn {
            header,
            payload: &[head, tail],
            payload_len: payload.len() as u32,
            gso_size: 0,
            ecn: Ecn::from_bits(ecn & 3),
        };
        self.tcp.handle_segment(now, &segment, &mut self.rings)
    }

    /// Input: the same segment as two, of which the first ends at `cut`. One with FIN says at once where the stream ends, before its
    /// text joins what somebody else may have sent, and the second half of one with SYN would be another SYN: they stay whole.
    pub fn take_cut(&mut self, now: Instant, header: &TcpHeader, payload: &[u8], cut: usize) {
        let (head, tail) = payload.split_at(cut.min(payload.len()));
        let stays_whole =
            [TcpFlags::SYN, TcpFlags::FIN].iter().any(|flag| header.flags.contains(*flag));
        if !head.is_empty() && !tail.is_empty() && !stays_whole {
            let mut first = *header;
            first.flags.0 &= !TcpFlags::PSH.0;
            self.take(now, &first, head, 0);
            let second = TcpHeader { seq: header.seq + head.len() as u32, ..*header };
            self.take(now, &second, tail, 0);
        } else {
            self.take(now, header, payload, 0);
        }
    }

    /// Input: the timers that are due.
    pub fn expire(&mut self, now: Instant) {
        self.tcp.handle_timeout(now, &mut self.rings);
        let next = self.tcp.poll_timeout();
        assert!(next.is_none_or(|(at, _)| at > now), "a timer that has passed: {next:?}");
    }

    /// Input: hot restart. What was written out is the same when it was read back.
    pub fn restart(&mut self) {
        let mut state = Vec::new();
        self.tcp.write_state(&mut state);
        let back = Connection::read_state(&state).expect("what was written out reads back");
        assert!(back == self.tcp, "it is not the same that was read back");
        self.tcp = back;
    }

    /// Output: everything that it has to send and to say.
    pub fn react(&mut self, now: Instant) -> Reaction {
        self.tcp.handle_app(now, &self.rings);
        let mut reaction = Reaction::default();
        for _ in 0..SEGMENTS_MAX {
            while let Some(event) = self.tcp.poll_event() {
                reaction.events.push(event);
            }
            let Some(out) = self.tcp.poll_transmit(now, &LIMITS, &self.rings) else {
                return reaction;
            };
            reaction.sent.push(out);
        }
        panic!("more than {SEGMENTS_MAX} segments at once in {:?}", self.tcp.state());
    }
}
