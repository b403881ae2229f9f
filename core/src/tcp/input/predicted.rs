//! Header prediction: the next segment in order, or an acknowledgement that makes progress, with nothing else to it.

use super::super::connection::{Connection, clock_s};
use super::super::disposition::Disposition;
use super::super::ecn::Ecn;
use super::super::event::Events;
use super::super::recovery::Phase;
use super::super::state::State;
use super::SegmentIn;
use crate::port::StreamIo;
use crate::tcp::SeqNumber;
use crate::time::Instant;
use crate::wire::tcp::{SackBlocks, TcpFlags, Timestamps};

/// The header of a segment without options, or with timestamps only.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PlainHeader {
    /// Sequence number of the first byte.
    pub seq: SeqNumber,
    /// Next sequence number expected.
    pub ack: SeqNumber,
    /// Control bits.
    pub flags: TcpFlags,
    /// The window field, unscaled.
    pub window: u16,
    /// Timestamps (RFC 7323 §3).
    pub timestamps: Option<Timestamps>,
}

impl PlainHeader {
    /// Getter: ACK and nothing else but PSH.
    pub const fn is_plain(&self) -> bool {
        self.flags.0 | TcpFlags::PSH.0 == TcpFlags::ACK.0 | TcpFlags::PSH.0
    }
}

impl Connection {
    /// The short way for a segment that was parsed in full. `None`: the long way.
    pub(super) fn predicted(
        &mut self,
        now: Instant,
        segment: &SegmentIn<'_>,
        io: &mut impl StreamIo,
    ) -> Option<Disposition> {
        let header = segment.header;
        if header.options.sack.len > 0 || segment.ecn == Ecn::Ce {
            return None;
        }
        let plain = PlainHeader {
            seq: header.seq,
            ack: header.ack,
            flags: header.flags,
            window: header.window,
            timestamps: header.options.timestamps,
        };
        if !self.is_predicted(&plain, segment.payload_len) {
            return None;
        }
        Some(self.handle_predicted(now, &plain, segment.payload, segment.payload_len, io))
    }

    /// Getter: the segment is what comes next in ESTABLISHED, and [`Connection::handle_predicted`] may take it. Asked before
    /// the checksum is known to be right.
    #[inline(always)]
    pub fn is_predicted(&self, header: &PlainHeader, payload_len: u32) -> bool {
        if !header.is_plain()
            || self.state != State::Established
            || header.seq != self.rcv.rcv_nxt
            || header.window == 0
            || self.snd.snd_wnd == 0
            || self.recovery.phase != Phase::Open
            || self.ecn.follows_every_mark()
        {
            return false;
        }
        if self.options.timestamps {
            let Some(Timestamps { value, .. }) = header.timestamps else { return false };
            if value.wrapping_sub(self.rcv.ts_recent).cast_signed() < 0 {
                return false;
            }
        }
        // Modulo 2^32, like every comparison of sequence numbers: how far the acknowledgement goes.
        let progress = header.ack.0.wrapping_sub(self.snd.snd_una.0);
        if progress > self.snd.outstanding() {
            return false;
        }
        if payload_len == 0 {
            return progress > 0;
        }
        !self.flags.orphan
            && !self.rcv.has_gap()
            && !self.rcv.fin_offset.is_known()
            && payload_len <= self.rcv.rcv_wnd()
    }

    /// Input: a segment of which [`Connection::is_predicted`] says that it is next, with its payload in `payload_len` bytes
    /// of slices; its checksum is right.
    #[inline(always)]
    pub fn handle_predicted(
        &mut self,
        now: Instant,
        header: &PlainHeader,
        payload: &[&[u8]],
        payload_len: u32,
        io: &mut impl StreamIo,
    ) -> Disposition {
        self.counters.count_received(payload_len);
        if header.ack != self.snd.snd_una && !self.take_plain_ack(now, header.ack, io) {
            self.take_ack(now, header.ack, header.timestamps, &SackBlocks::NONE, false, io);
        }
        self.update_send_window(header.seq, header.ack, header.window);
        self.counters.probes = 0;
        self.counters.last_rx = now;
        // RFC 7323 §4.3 (2): only by a segment that the last acknowledgement asked for.
        if let Some(timestamps) = header.timestamps.filter(|_| self.options.timestamps)
            && header.seq <= self.rcv.last_ack_sent
        {
            self.rcv.ts_recent = timestamps.value;
            self.rcv.ts_recent_s = clock_s(now);
        }
        if payload_len == 0 {
            return Disposition::Accept;
        }
        if self.rcv.store_next(payload, payload_len, io).is_err() {
            // Not acknowledged, so it comes again: see `store_text`.
            return Disposition::Ignore;
        }
        self.events.raise(Events::READABLE);
        self.rcv.acknowledge_in_order(payload_len, self.options.mss());
        self.delay_ack(now);
        Disposition::Accept
    }
}
