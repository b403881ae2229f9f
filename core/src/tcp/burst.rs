//! Full segments of new data that leave one after the other at one moment: bulk transfer. They are decided on together, and one
//! record stands for all of them, as for what a NIC cuts; it splits where an acknowledgement or a loss needs it to.

use alloc::boxed::Box;

use serde::{Deserialize, Serialize};

use super::connection::Connection;
use super::output::{SegmentOut, Sendable, TxLimits};
use super::recovery::{Flight, Phase};
use super::state::State;
use crate::port::StreamIo;
use crate::time::Instant;

/// Most bytes of a burst.
const BURST_MAX: u64 = 65_536;

/// The current burst: what Linux would hand to its NIC at once. It pushes the last segment of each that has more than one
/// (tcp_tso_autosize, __tcp_transmit_skb).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(in crate::tcp) struct Burst {
    /// Segments that left.
    sent: u16,
    /// Segments that it may have; 0: that is not known yet.
    max: u16,
    /// Segments of what was one burst that leave again, one behind the other.
    again: u16,
    /// Where they end so far, and when they leave.
    again_end: u64,
    again_at: Instant,
}

impl Burst {
    /// Input: `start .. end` leaves again. Which one of the burst that it is in it is.
    pub(in crate::tcp) fn resent(&mut self, now: Instant, start: u64, end: u64) -> u16 {
        let follows = self.again > 0 && self.again_end == start && self.again_at == now;
        self.again = if follows { self.again.saturating_add(1) } else { 1 };
        (self.again_end, self.again_at) = (end, now);
        self.again
    }

    /// Input: what leaves again from now on is another burst.
    pub(in crate::tcp) fn end_resent(&mut self) {
        self.again = 0;
    }
}

impl Connection {
    /// Segments of a burst of new data: half of the congestion window at most.
    fn burst_max(&self, mss: u32) -> u16 {
        let half = (self.congestion.cwnd() / mss / 2).max(1);
        u32::from(self.resent_max(mss)).min(half) as u16
    }

    /// Segments of a burst that leaves again: two at least, and what goes in about a millisecond (tcp_tso_autosize).
    pub(in crate::tcp) fn resent_max(&self, mss: u32) -> u16 {
        let (cwnd, ssthresh) = (self.congestion.cwnd(), self.congestion.ssthresh());
        // Twice the window in a round trip, or 1.2 times where it grows slowly (tcp_update_pacing_rate).
        let percent = if cwnd < ssthresh / 2 { 200 } else { 120 };
        let rate = u64::from(cwnd) * percent * 10_000 / self.rtt.srtt().as_micros().max(1);
        let near = BURST_MAX >> (self.rtt.min_rtt().as_micros() >> 9).min(63);
        let most = ((rate >> 10) + near).min(BURST_MAX) / u64::from(mss);
        most.max(self.config.burst_segments_min.into()).min(u64::from(u16::MAX)) as u16
    }

    /// Segments that the current burst still has room for.
    #[inline]
    fn burst_left(&mut self, mss: u32) -> u32 {
        let burst = self.recovery.flight.as_deref().map_or((0, 0), |f| (f.burst.sent, f.burst.max));
        if burst.1 > 0 {
            return u32::from(burst.1.saturating_sub(burst.0).max(1));
        }
        let max = self.burst_max(mss);
        if let Some(flight) = self.recovery.flight.as_deref_mut() {
            flight.burst.max = max;
        }
        max.into()
    }

    /// Input: nothing more leaves at present.
    #[inline]
    pub(in crate::tcp) fn end_burst(&mut self) {
        if let Some(flight) = self.recovery.flight.as_deref_mut() {
            (flight.burst.sent, flight.burst.max) = (0, 0);
        }
    }

    /// Input: `len` bytes leave that never did, and nothing after them if `last`. True if they are the end of a burst of two
    /// segments or more. Position `start` is where they begin.
    #[inline]
    pub(in crate::tcp) fn ends_burst(
        &mut self,
        len: u32,
        mss: u32,
        start: u64,
        last: bool,
    ) -> bool {
        let segments = if len <= mss { 1 } else { (len / mss) as u16 };
        let known = self.recovery.flight.as_deref().map_or(0, |f| f.burst.max);
        let max = if known > 0 || last { known } else { self.burst_max(mss) };
        let flight = self.recovery.flight.get_or_insert_with(|| Box::new(Flight::new(start)));
        let sent = flight.burst.sent.saturating_add(segments);
        let ends = last || sent >= max;
        (flight.burst.sent, flight.burst.max) = if ends { (0, 0) } else { (sent, max) };
        ends && sent > 1
    }

    /// Getter, called before [`Connection::transmit_burst`]: how many full segments may leave now, `most` at most. 0: nothing, or
    /// it is not that simple, and [`Connection::poll_transmit`] knows.
    ///
    /// The last segment that a window lets through is not among them: it is looked at closely, because it is pushed.
    #[inline]
    pub fn burst_len(&mut self, limits: &TxLimits, io: &impl StreamIo, most: u32) -> u32 {
        if self.seldom.mtu_search().is_some() || self.rcv.sack_len(&self.options) > 0 {
            // Segments are smaller than the way out allows, and one of them may be a probe, or bear SACK blocks.
            return 0;
        }
        self.options.mss_ip = limits.mss_ip;
        let in_flight = self.snd.outstanding();
        let Some(flight) = self.recovery.flight.as_deref() else { return 0 };
        if in_flight == 0
            || limits.gso_bytes_max > 0
            || !matches!(self.state, State::Established | State::CloseWait)
            || self.flags.rst_due
            || self.snd.is_shut()
            || self.recovery.phase != Phase::Open
            || !flight.is_plain()
            || !flight.lost.is_empty()
            || flight.tlp.due
            || flight.sent.is_full()
            || !flight.records.is_empty()
            || self.congestion.pacing().is_some()
            || self.is_cwr_due()
            || self.is_urgent()
        {
            return 0;
        }
        let mss = self.options.mss();
        let sent = self.snd.anchor.offset + u64::from(in_flight);
        let waiting = io.tx_end().saturating_sub(sent);
        let wnd = self.snd.snd_wnd.saturating_sub(in_flight);
        let cwnd = self.congestion.cwnd().saturating_sub(in_flight);
        let room = wnd.min(cwnd);
        if waiting < u64::from(mss) || room < 2 * mss {
            return 0;
        }
        self.snd.cwnd_limited = waiting > u64::from(cwnd) && cwnd <= wnd;
        let whole = u32::try_from(waiting).unwrap_or(u32::MAX) / mss;
        whole.min(room / mss - 1).min(most).min(self.burst_left(mss))
    }

    /// Output: `count` full segments, as many as [`Connection::burst_len`] said or fewer, but at least one. What is returned is to be
    /// cut into segments of `gso_size`: they differ in their numbers only, and PSH belongs to the last.
    #[inline]
    pub fn transmit_burst(
        &mut self,
        now: Instant,
        limits: &TxLimits,
        io: &impl StreamIo,
        count: u32,
    ) -> SegmentOut {
        let mss = self.options.mss();
        let sendable = Sendable::part(count * mss);
        let mut segment = self.transmit_new(now, sendable, limits, io);
        segment.gso_size = mss as u16;
        self.counters.count_sent(&segment);
        segment
    }
}
