//! The two figures that every algorithm governs, and where they begin.

use crate::planted::{self, Bug};
use serde::{Deserialize, Serialize};

/// The most a window may grow to, in bytes: half the sequence space would make comparisons ambiguous.
pub const CWND_MAX: u32 = 1 << 30;

/// The congestion window and the slow start threshold, in bytes (RFC 5681 §2).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Window {
    /// What may be in the network.
    pub cwnd: u32,
    /// Below it slow start, from it on congestion avoidance.
    pub ssthresh: u32,
    /// The window was used, so that what is delivered says something about the path: only then it may grow
    /// (RFC 7661 §4.3).
    pub validated: bool,
}

impl Window {
    /// A new connection's: the threshold is out of reach (RFC 5681 §3.1).
    pub const fn new(cwnd: u32) -> Self {
        Self { cwnd, ssthresh: CWND_MAX, validated: true }
    }

    /// Getter: RFC 5681 §3.1: which of the two regimes it is.
    pub const fn in_slow_start(&self) -> bool {
        self.cwnd < self.ssthresh
    }

    /// Getter: nothing was ever lost, and slow start was never left.
    pub const fn is_initial(&self) -> bool {
        self.ssthresh == CWND_MAX
    }

    /// Command: falls to the restart window (RFC 5681 §4.1); the threshold remembers three quarters of what the
    /// window was (RFC 7661 §4.4.2).
    pub fn restart_after_idle(&mut self, mss: u32) {
        self.ssthresh = self.ssthresh.max(self.cwnd / 4 * 3);
        if !planted::is(Bug::BurstAfterIdle) {
            self.cwnd = self.cwnd.min(initial_window(mss, false));
        }
    }

    /// Command: grows by `bytes`, within bounds.
    pub fn grow(&mut self, bytes: u32) {
        self.cwnd = self.cwnd.saturating_add(bytes).min(CWND_MAX);
    }

    /// Command: slow start by `acked` bytes, up to the threshold; returns what is left of them.
    ///
    /// By bytes, not by acknowledgements (RFC 3465): splitting them gains nothing. One may cover many
    /// segments (GRO, stretched ACKs), so the limit L is what was really delivered.
    pub fn slow_start(&mut self, acked: u32) -> u32 {
        let acked = if planted::is(Bug::AcksCounted) { acked.max(1_000) } else { acked };
        let acked = if planted::is(Bug::SlowStartCreeps) { acked / 2 } else { acked };
        let grown = acked.min(self.ssthresh.saturating_sub(self.cwnd));
        self.grow(grown);
        acked - grown
    }

    pub(super) const fn is_valid(&self) -> bool {
        self.cwnd > 0 && self.cwnd <= CWND_MAX && self.ssthresh > 0 && self.ssthresh <= CWND_MAX
    }
}

/// RFC 6928: min(10 MSS, max(2 MSS, 14600)); one segment when the SYN was lost (RFC 5681 §3.1).
pub fn initial_window(mss: u32, syn_lost: bool) -> u32 {
    if syn_lost && !planted::is(Bug::LostSynForgotten) {
        return mss;
    }
    if planted::is(Bug::InitialWindow20) {
        return 20 * mss;
    }
    let floor = if 2 * mss > 14_600 { 2 * mss } else { 14_600 };
    if 10 * mss < floor { 10 * mss } else { floor }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_initial_window_is_ten_segments_and_one_after_a_lost_syn() {
        assert_eq!(initial_window(1460, false), 14_600);
        assert_eq!(initial_window(536, false), 5_360);
        assert_eq!(initial_window(8_960, false), 17_920);
        assert_eq!(initial_window(1460, true), 1_460);
    }

    #[test]
    fn slow_start_grows_by_the_bytes_acknowledged_however_they_are_split_and_ends_at_the_threshold()
    {
        let mut whole = Window { ssthresh: 12_000, ..Window::new(10_000) };
        let whole_before = whole;
        assert_eq!(whole.slow_start(1_000), 0);
        let mut split = whole_before;
        for _ in 0..1_000 {
            assert_eq!(split.slow_start(1), 0);
        }
        assert_eq!((whole.cwnd, split), (11_000, whole));
        assert_eq!(whole.slow_start(3_000), 2_000, "left for congestion avoidance");
        assert_eq!(whole.cwnd, 12_000);
    }

    #[test]
    fn a_window_never_grows_beyond_its_maximum() {
        let mut window = Window::new(CWND_MAX - 5);
        window.grow(u32::MAX);
        assert_eq!(window.cwnd, CWND_MAX);
    }
}
