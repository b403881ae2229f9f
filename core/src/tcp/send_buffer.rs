//! The send sequence space (RFC 9293 §3.3.1) over the TX ring: what is sent, acknowledged, allowed.

use serde::{Deserialize, Serialize};

use super::more::More;
use super::seq::{Anchor, SeqNumber, StreamEnd};
use crate::planted::{self, Bug};
use crate::port::StreamIo;

/// SND.* of RFC 9293 §3.3.1.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(in crate::tcp) struct SendBuffer {
    pub(in crate::tcp) iss: SeqNumber,
    pub(in crate::tcp) snd_una: SeqNumber,
    /// Next to send. Before `snd_max` only when the SYN has to be sent again.
    pub(in crate::tcp) snd_nxt: SeqNumber,
    /// One past the highest ever sent.
    pub(in crate::tcp) snd_max: SeqNumber,
    pub(in crate::tcp) snd_wnd: u32,
    /// MAX.SND.WND (RFC 5961 §5).
    pub(in crate::tcp) snd_wnd_max: u32,
    pub(in crate::tcp) snd_wl1: SeqNumber,
    pub(in crate::tcp) snd_wl2: SeqNumber,
    /// End of the last segment that was smaller than the MSS (Minshall's refinement of Nagle's algorithm).
    pub(in crate::tcp) snd_sml: SeqNumber,
    /// The first data byte that is not acknowledged.
    pub(in crate::tcp) anchor: Anchor,
    /// Where the stream ends; known once the application has said that it will write no more.
    pub(in crate::tcp) fin_offset: StreamEnd,
    /// Whether more was announced (MSG_MORE).
    pub(in crate::tcp) more: More,
    /// The congestion window, and nothing else, held back data when last asked (RFC 7661).
    pub(in crate::tcp) cwnd_limited: bool,
}

impl SendBuffer {
    pub(in crate::tcp) fn new(iss: SeqNumber) -> Self {
        Self {
            iss,
            snd_una: iss,
            snd_nxt: iss,
            snd_max: iss,
            snd_wnd: 0,
            snd_wnd_max: 0,
            snd_wl1: SeqNumber(0),
            snd_wl2: iss,
            snd_sml: iss,
            anchor: Anchor::after_syn(iss),
            fin_offset: StreamEnd::UNKNOWN,
            more: More::No,
            cwnd_limited: false,
        }
    }

    /// Getter: sequence numbers sent and not acknowledged.
    pub(in crate::tcp) fn outstanding(&self) -> u32 {
        self.snd_max.0.wrapping_sub(self.snd_una.0)
    }

    /// Getter: where the stream ends as far as is known: where the application shut it, or at what it wrote so far.
    pub(in crate::tcp) fn end(&self, io: &impl StreamIo) -> u64 {
        self.fin_offset.known().unwrap_or_else(|| io.tx_end().max(self.anchor.offset))
    }

    /// Getter: the stream offset of `seq`, which lies between `snd_una` and `snd_max`.
    pub(in crate::tcp) fn offset_of(&self, seq: SeqNumber) -> u64 {
        self.anchor.offset_of(seq).unwrap_or(self.anchor.offset)
    }

    /// Command: the stream ends with what was written until now, whatever is found in the ring later (RFC 9293 §3.10.4: the FIN
    /// follows what was queued before the CLOSE).
    pub(in crate::tcp) fn shut(&mut self, io: &impl StreamIo) {
        self.fin_offset = StreamEnd::at(self.end(io));
    }

    /// Getter: the application will write no more.
    pub(in crate::tcp) const fn is_shut(&self) -> bool {
        self.fin_offset.is_known()
    }

    /// Getter: our FIN was sent at some time.
    pub(in crate::tcp) fn fin_sent(&self) -> bool {
        self.fin_offset.known().is_some_and(|end| self.offset_of(self.snd_max) > end)
    }

    /// Getter: our FIN was sent and is acknowledged.
    pub(in crate::tcp) fn fin_acked(&self) -> bool {
        self.fin_sent() && self.outstanding() == 0
    }

    /// Input: everything below `ack` (`snd_una < ack <= snd_max`) is acknowledged. Returns the data bytes among it.
    #[inline]
    pub(in crate::tcp) fn acknowledge(&mut self, ack: SeqNumber, io: &mut impl StreamIo) -> u32 {
        self.snd_una = ack;
        self.snd_nxt = self.snd_nxt.max(ack);
        self.snd_sml = self.snd_sml.max(ack);
        let covered = self.offset_of(ack).min(self.fin_offset.known().unwrap_or(u64::MAX));
        let bytes = covered.saturating_sub(self.anchor.offset);
        if bytes > 0 {
            self.anchor.advance(bytes);
            io.tx_release(self.anchor.offset);
        }
        u32::try_from(bytes).unwrap_or(u32::MAX)
    }

    /// Input: RFC 9293 §3.10.7.4, fifth: the window of a segment that is newer than the one that set it. One that acknowledges more is,
    /// whatever its sequence number: it may be sent again, but not as it was. One that acknowledges less than is known is not: its
    /// window counts from there. To be called once the acknowledgement was taken. Returns whether the window changed.
    #[inline]
    pub(in crate::tcp) fn update_window(
        &mut self,
        seq: SeqNumber,
        ack: SeqNumber,
        wnd: u32,
    ) -> bool {
        let newer = self.snd_wl1 < seq
            || (self.snd_wl1 == seq && self.snd_wl2 <= ack)
            || (self.snd_wl2 < ack && !planted::is(Bug::WindowOfARepetitionUnheard))
            || planted::is(Bug::WindowFromOldSegments);
        let old = ack < self.snd_una && !planted::is(Bug::WindowFromOldSegments);
        if old || !newer {
            return false;
        }
        // Also where that is lower: what follows a repetition has its number, or a higher one.
        self.snd_wl1 = seq;
        self.snd_wl2 = ack;
        let changed = self.snd_wnd != wnd;
        self.snd_wnd = wnd;
        self.snd_wnd_max = self.snd_wnd_max.max(wnd);
        changed
    }

    pub(in crate::tcp) fn is_valid(&self) -> bool {
        let in_order = self.snd_una <= self.snd_nxt
            && self.snd_nxt <= self.snd_max
            && self.outstanding() <= 1 << 30;
        let fin_fits = self.fin_offset.known().is_none_or(|end| {
            end >= self.anchor.offset && end < 1 << 62 && self.offset_of(self.snd_max) <= end + 1
        });
        // The anchor is the first unacknowledged data byte: snd_una itself, but for SYN and FIN.
        let slack = self.anchor.seq.distance_from(self.snd_una);
        in_order
            && fin_fits
            && slack.unsigned_abs() <= 1
            && self.anchor.offset < 1 << 62
            && self.snd_wnd <= 1 << 30
            && self.snd_wnd_max <= 1 << 30
    }
}
