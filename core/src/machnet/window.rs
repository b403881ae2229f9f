//! How many packets may be in flight: additive increase, multiplicative decrease, in packets (RFC 5681 §3.1).

use serde::{Deserialize, Serialize};

use super::IN_FLIGHT_MAX;

/// The congestion window. Never above [`IN_FLIGHT_MAX`]: more would crash upstream.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Window {
    cwnd: u8,
    ssthresh: u8,
    /// Packets acknowledged towards the next increase in congestion avoidance.
    credit: u8,
    /// While some, losses below this packet number belong to the reduction already made (RFC 6582 §3.2).
    recover: Option<u32>,
}

impl Window {
    pub(super) const fn new(initial: u8) -> Self {
        Self { cwnd: initial, ssthresh: IN_FLIGHT_MAX, credit: 0, recover: None }
    }

    pub(super) const fn cwnd(&self) -> u8 {
        self.cwnd
    }

    pub(super) const fn ssthresh(&self) -> u8 {
        self.ssthresh
    }

    /// `acked` packets (at most 32) left the network in order; `snd_una` is the next one.
    pub(super) fn on_ack(&mut self, acked: u8, snd_una: u32) {
        if self.recover.is_some_and(|end| end.wrapping_sub(snd_una).cast_signed() <= 0) {
            self.recover = None;
        }
        if self.cwnd < self.ssthresh {
            self.cwnd = (self.cwnd + acked).min(self.ssthresh).min(IN_FLIGHT_MAX);
        } else {
            self.credit = self.credit.saturating_add(acked);
            if self.credit >= self.cwnd {
                self.credit -= self.cwnd;
                self.cwnd = (self.cwnd + 1).min(IN_FLIGHT_MAX);
            }
        }
    }

    /// A packet was found lost by acknowledgements: halves once per window (RFC 5681 §3.2).
    pub(super) fn on_loss(&mut self, flight: u8, snd_nxt: u32) {
        if self.recover.is_none() {
            self.ssthresh = (flight / 2).max(2);
            self.cwnd = self.ssthresh;
            self.credit = 0;
            self.recover = Some(snd_nxt);
        }
    }

    /// The retransmission timer expired: one packet (RFC 5681 (4)). `first` unless it expired for the same packet before.
    pub(super) fn on_timeout(&mut self, flight: u8, snd_nxt: u32, first: bool) {
        if first {
            self.ssthresh = (flight / 2).max(2);
        }
        self.cwnd = 1;
        self.credit = 0;
        self.recover = Some(snd_nxt);
    }

    /// Values that only a damaged state can hold.
    pub(super) fn is_valid(&self) -> bool {
        let Self { cwnd, ssthresh, credit, recover: _ } = self;
        let range = 1..=IN_FLIGHT_MAX;
        range.contains(cwnd) && range.contains(ssthresh) && *credit <= 2 * IN_FLIGHT_MAX
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_window_halves_once_per_flight_and_grows_back_to_32() {
        let mut window = Window::new(32);
        window.on_loss(32, 100);
        window.on_loss(30, 100);
        assert_eq!((window.cwnd(), window.ssthresh()), (16, 16));
        window.on_ack(32, 100);
        window.on_loss(16, 200);
        assert_eq!(window.cwnd(), 8);
        for n in 0..2_000 {
            window.on_ack(1, 200 + n);
            assert!(window.is_valid());
        }
        assert_eq!(window.cwnd(), IN_FLIGHT_MAX);
    }

    #[test]
    fn a_timeout_starts_again_from_one_packet() {
        let mut window = Window::new(32);
        window.on_timeout(20, 7, true);
        assert_eq!((window.cwnd(), window.ssthresh()), (1, 10));
        window.on_timeout(1, 7, false);
        assert_eq!((window.cwnd(), window.ssthresh()), (1, 10));
        window.on_ack(1, 1);
        assert_eq!(window.cwnd(), 2);
    }
}
