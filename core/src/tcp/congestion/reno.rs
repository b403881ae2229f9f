//! Reno: slow start and congestion avoidance of RFC 5681, by bytes (RFC 3465).

use serde::{Deserialize, Serialize};

use super::control::CongestionControl;
use super::sample::{AckPhase, AckSample, LossEvent};
use super::window::Window;
use crate::planted::{self, Bug};

/// The state of RFC 5681 §3.1 beside the window.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Reno {
    /// Bytes acknowledged in congestion avoidance since the window last grew (RFC 3465 §2.1).
    bytes_acked: u32,
}

impl Reno {
    /// RFC 5681 equation (4). What limited transmit added to the flight does not count, so the window bounds it.
    fn halve(&mut self, window: &mut Window, event: &LossEvent) {
        window.ssthresh = (event.flight.min(window.cwnd) / 2).max(2 * event.mss);
        if planted::is(Bug::ThresholdOfNothing) {
            window.ssthresh = event.flight / 2;
        }
        self.bytes_acked = 0;
    }
}

impl CongestionControl for Reno {
    fn on_ack(&mut self, window: &mut Window, ack: &AckSample) {
        // RFC 7661: a window that was not used says nothing about the path.
        // RFC 3168 §6.1.2: nor does an acknowledgement with ECE make it grow.
        if !window.validated || ack.phase == AckPhase::Recovery || ack.ece {
            return;
        }
        let mut acked = ack.progress_bytes;
        if window.in_slow_start() {
            acked = window.slow_start(acked);
        }
        if planted::is(Bug::AlwaysSlowStart) {
            window.grow(acked);
        }
        if acked > 0 {
            self.bytes_acked = self.bytes_acked.saturating_add(acked);
            if self.bytes_acked >= window.cwnd {
                self.bytes_acked -= window.cwnd;
                window.grow(ack.mss);
            }
        }
    }

    fn on_loss(&mut self, window: &mut Window, event: &LossEvent) {
        self.halve(window, event);
        window.cwnd = window.ssthresh;
    }

    fn on_timeout(&mut self, window: &mut Window, event: &LossEvent, again: bool) {
        if !again {
            self.halve(window, event);
        }
        window.cwnd = event.mss;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tcp::congestion::testing::{MSS, ack, loss};

    #[test]
    fn congestion_avoidance_grows_by_one_segment_a_window() {
        let (mut reno, mut window) = (Reno::default(), Window::new(20 * MSS));
        reno.on_loss(&mut window, &loss(20 * MSS));
        assert_eq!((window.cwnd, window.ssthresh), (10 * MSS, 10 * MSS));
        for _ in 0..10 {
            assert_eq!(window.cwnd, 10 * MSS);
            reno.on_ack(&mut window, &ack(MSS));
        }
        assert_eq!(window.cwnd, 11 * MSS);
    }

    #[test]
    fn a_window_that_is_not_used_does_not_grow() {
        let (mut reno, mut window) = (Reno::default(), Window::new(10 * MSS));
        window.validated = false;
        reno.on_ack(&mut window, &ack(MSS));
        assert_eq!(window.cwnd, 10 * MSS);
    }

    #[test]
    fn a_timeout_leaves_one_segment_and_halves_the_threshold_once() {
        let (mut reno, mut window) = (Reno::default(), Window::new(20 * MSS));
        reno.on_timeout(&mut window, &loss(20 * MSS), false);
        assert_eq!((window.cwnd, window.ssthresh), (MSS, 10 * MSS));
        reno.on_timeout(&mut window, &loss(MSS), true);
        assert_eq!((window.cwnd, window.ssthresh), (MSS, 10 * MSS));
    }

    #[test]
    fn the_threshold_never_falls_below_two_segments() {
        let (mut reno, mut window) = (Reno::default(), Window::new(2 * MSS));
        reno.on_loss(&mut window, &loss(MSS));
        assert_eq!(window.ssthresh, 2 * MSS);
    }

    #[test]
    fn after_idle_the_window_is_the_initial_one_and_the_threshold_remembers_what_was() {
        let (mut reno, mut window) =
            (Reno::default(), Window { ssthresh: 20 * MSS, ..Window::new(40 * MSS) });
        reno.on_idle_restart(&mut window, MSS);
        assert_eq!((window.cwnd, window.ssthresh), (10 * MSS, 30 * MSS));
        reno.on_idle_restart(&mut window, MSS);
        assert_eq!((window.cwnd, window.ssthresh), (10 * MSS, 30 * MSS));
    }
}
