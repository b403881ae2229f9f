//! Full segments of new data that leave one after the other at one moment: bulk transfer. They are decided on together, and one
//! record stands for all of them, as for what a NIC cuts; it splits where an acknowledgement or a loss needs it to.

use super::connection::Connection;
use super::output::{SegmentOut, Sendable, TxLimits};
use super::recovery::Phase;
use super::state::State;
use crate::port::StreamIo;
use crate::time::Instant;

impl Connection {
    /// Getter, called before [`Connection::transmit_burst`]: how many full segments may leave now, `most` at most. 0: nothing, or
    /// it is not that simple, and [`Connection::poll_transmit`] knows.
    ///
    /// The last segment that a window lets through is not among them: it is looked at closely, because it is pushed.
    #[inline]
    pub fn burst_len(&mut self, limits: &TxLimits, io: &impl StreamIo, most: u32) -> u32 {
        if self.seldom.mtu_search().is_some() {
            // Segments are smaller than the way out allows, and one of them may be a probe.
            return 0;
        }
        self.options.mss_ip = limits.mss_ip;
        let in_flight = self.snd.outstanding();
        let Some(flight) = self.recovery.flight.as_deref() else { return 0 };
        if in_flight == 0
            || limits.gso_bytes_max > 0
            || !matches!(self.state, State::Established | State::CloseWait)
            || self.flags.rst_due
            || self.snd.fin_queued
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
        whole.min(room / mss - 1).min(most)
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
        let sendable = Sendable { len: count * mss, fin: false, last: false };
        let mut segment = self.transmit_new(now, sendable, limits, io);
        segment.gso_size = mss as u16;
        self.counters.count_sent(&segment);
        segment
    }
}
