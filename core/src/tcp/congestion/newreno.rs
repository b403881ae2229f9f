//! NewReno: slow start and congestion avoidance of RFC 5681, the window of RFC 6582's recovery.

use serde::{Deserialize, Serialize};

use super::{AckSample, CWND_MAX, CongestionControl, initial_window};
use crate::time::Instant;

/// The state of RFC 5681 §3.1.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct NewReno {
    cwnd: u32,
    ssthresh: u32,
    /// Bytes acknowledged in congestion avoidance since the window last grew (RFC 5681 §3.1, RFC 3465).
    bytes_acked: u32,
}

impl NewReno {
    /// A new connection's state with an initial window of `cwnd` bytes.
    pub const fn new(cwnd: u32) -> Self {
        Self { cwnd, ssthresh: CWND_MAX, bytes_acked: 0 }
    }

    /// RFC 5681 equation (4).
    fn halve(&mut self, flight: u32, mss: u32) {
        self.ssthresh = (flight / 2).max(2 * mss);
        self.bytes_acked = 0;
    }
}

impl CongestionControl for NewReno {
    fn cwnd(&self) -> u32 {
        self.cwnd
    }

    fn ssthresh(&self) -> u32 {
        self.ssthresh
    }

    fn on_ack(&mut self, ack: &AckSample) {
        // RFC 7661: a window that was not used says nothing about the path.
        if !ack.cwnd_limited {
            return;
        }
        let mut acked = ack.acked_bytes;
        if self.cwnd < self.ssthresh {
            // By bytes, not by acknowledgements (RFC 3465): splitting them gains nothing. One may
            // cover many segments (GRO, stretched ACKs), so the limit L is what was really delivered.
            let grown = acked.min(self.ssthresh - self.cwnd);
            self.cwnd = (self.cwnd + grown).min(CWND_MAX);
            acked -= grown;
        }
        if acked > 0 {
            self.bytes_acked = self.bytes_acked.saturating_add(acked);
            if self.bytes_acked >= self.cwnd {
                self.bytes_acked -= self.cwnd;
                self.cwnd = (self.cwnd + ack.mss).min(CWND_MAX);
            }
        }
    }

    fn on_loss(&mut self, _now: Instant, flight: u32, mss: u32) {
        self.halve(flight, mss);
        self.cwnd = self.ssthresh;
    }

    fn on_recovered(&mut self, _now: Instant, flight: u32, mss: u32) {
        // RFC 6582 §3.2 step 3, full acknowledgement, option (1): no burst.
        self.cwnd = self.ssthresh.min(flight.max(mss).saturating_add(mss)).max(mss);
    }

    fn on_timeout(&mut self, _now: Instant, flight: u32, mss: u32, again: bool) {
        if !again {
            self.halve(flight, mss);
        }
        self.cwnd = mss;
    }

    fn on_idle(&mut self, mss: u32) {
        self.cwnd = self.cwnd.min(initial_window(mss, false));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::time::Duration;

    const MSS: u32 = 1_000;

    fn ack(acked_bytes: u32) -> AckSample {
        AckSample {
            now: Instant::ZERO,
            acked_bytes,
            mss: MSS,
            srtt: Duration::ZERO,
            cwnd_limited: true,
        }
    }

    #[test]
    fn slow_start_grows_by_the_bytes_acknowledged_however_they_are_split() {
        let mut whole = NewReno::new(10 * MSS);
        whole.on_ack(&ack(MSS));
        let mut split = NewReno::new(10 * MSS);
        for _ in 0..MSS {
            split.on_ack(&ack(1));
        }
        assert_eq!(whole.cwnd(), 11 * MSS);
        assert_eq!(split.cwnd(), whole.cwnd());
    }

    #[test]
    fn congestion_avoidance_grows_by_one_segment_a_window() {
        let mut reno = NewReno::new(20 * MSS);
        reno.on_loss(Instant::ZERO, 20 * MSS, MSS);
        assert_eq!((reno.cwnd(), reno.ssthresh()), (10 * MSS, 10 * MSS));
        for _ in 0..10 {
            assert_eq!(reno.cwnd(), 10 * MSS);
            reno.on_ack(&ack(MSS));
        }
        assert_eq!(reno.cwnd(), 11 * MSS);
    }

    #[test]
    fn a_window_that_is_not_used_does_not_grow() {
        let mut reno = NewReno::new(10 * MSS);
        reno.on_ack(&AckSample { cwnd_limited: false, ..ack(MSS) });
        assert_eq!(reno.cwnd(), 10 * MSS);
    }

    #[test]
    fn a_timeout_leaves_one_segment_and_halves_the_threshold_once() {
        let mut reno = NewReno::new(20 * MSS);
        reno.on_timeout(Instant::ZERO, 20 * MSS, MSS, false);
        assert_eq!((reno.cwnd(), reno.ssthresh()), (MSS, 10 * MSS));
        reno.on_timeout(Instant::ZERO, MSS, MSS, true);
        assert_eq!((reno.cwnd(), reno.ssthresh()), (MSS, 10 * MSS));
    }

    #[test]
    fn the_threshold_never_falls_below_two_segments() {
        let mut reno = NewReno::new(2 * MSS);
        reno.on_loss(Instant::ZERO, MSS, MSS);
        assert_eq!(reno.ssthresh(), 2 * MSS);
    }
}
