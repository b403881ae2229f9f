//! How many packets may be in flight: additive increase, multiplicative decrease, in packets (RFC 5681 §3.1).

use serde::{Deserialize, Serialize};

use super::IN_FLIGHT_MAX;

/// The congestion window. Never above [`IN_FLIGHT_MAX`]: more would crash upstream.
///
/// The reduction is to half of the window and not of what is in flight: requests of one packet would otherwise bring a flow down to two
/// packets by the loss of one, and a burst of a whole window is what this profile begins with anyway.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Window {
    cwnd: u8,
    ssthresh: u8,
    /// Packets acknowledged towards the next increase in congestion avoidance.
    credit: u8,
    /// While some, a recovery is on: losses below this packet number belong to the reduction already made (RFC 6582 §3.2).
    recover: Option<u32>,
    /// `cwnd` and `ssthresh` before that reduction.
    prior: (u8, u8),
    /// Packets sent again in this recovery, less those for which that was needless.
    again: u8,
}

impl Window {
    pub(super) const fn new(initial: u8) -> Self {
        Self {
            cwnd: initial,
            ssthresh: IN_FLIGHT_MAX,
            credit: 0,
            recover: None,
            prior: (initial, IN_FLIGHT_MAX),
            again: 0,
        }
    }

    pub(super) const fn cwnd(&self) -> u8 {
        self.cwnd
    }

    pub(super) const fn ssthresh(&self) -> u8 {
        self.ssthresh
    }

    /// `acked` packets (at most 32) left the network in order; `snd_una` is the next one. True when a recovery is over by that.
    pub(super) fn on_ack(&mut self, acked: u8, snd_una: u32) -> bool {
        let over = self.recover.take_if(|end| end.wrapping_sub(snd_una).cast_signed() <= 0);
        if self.cwnd < self.ssthresh {
            self.cwnd = (self.cwnd + acked).min(self.ssthresh).min(IN_FLIGHT_MAX);
        } else {
            self.credit = self.credit.saturating_add(acked);
            if self.credit >= self.cwnd {
                self.credit -= self.cwnd;
                self.cwnd = (self.cwnd + 1).min(IN_FLIGHT_MAX);
            }
        }
        over.is_some()
    }

    /// A packet was found lost by acknowledgements: halves once per window (RFC 5681 §3.2).
    pub(super) fn on_loss(&mut self, snd_nxt: u32) {
        if self.recover.is_none() {
            self.begin(snd_nxt);
            self.cwnd = self.ssthresh;
        }
    }

    /// The retransmission timer expired: one packet (RFC 5681 (4)). `first` unless it expired for the same packet before.
    pub(super) fn on_timeout(&mut self, snd_nxt: u32, first: bool) {
        if self.recover.is_none() {
            self.begin(snd_nxt);
        } else if first {
            self.ssthresh = (self.cwnd / 2).max(2);
        }
        self.cwnd = 1;
        self.credit = 0;
        self.recover = Some(snd_nxt);
    }

    fn begin(&mut self, snd_nxt: u32) {
        self.prior = (self.cwnd, self.ssthresh);
        self.ssthresh = (self.cwnd / 2).max(2);
        self.credit = 0;
        self.recover = Some(snd_nxt);
        self.again = 0;
    }

    /// A packet was sent again.
    pub(super) const fn sent_again(&mut self) {
        self.again = self.again.saturating_add(1);
    }

    /// For so many packets that was needless. When it was for all, nothing was lost, and the reduction is undone.
    pub(super) fn on_needless(&mut self, packets: u8) {
        self.again = self.again.saturating_sub(packets);
        if self.again == 0 && self.recover.take().is_some() {
            let (cwnd, ssthresh) = self.prior;
            self.cwnd = self.cwnd.max(cwnd);
            self.ssthresh = self.ssthresh.max(ssthresh);
        }
    }

    /// Values that only a damaged state can hold.
    pub(super) fn is_valid(&self) -> bool {
        let Self { cwnd, ssthresh, credit, recover: _, prior, again: _ } = self;
        let range = 1..=IN_FLIGHT_MAX;
        [cwnd, ssthresh, &prior.0, &prior.1].into_iter().all(|n| range.contains(n))
            && *credit <= 2 * IN_FLIGHT_MAX
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_window_halves_once_per_flight_and_grows_back_to_32() {
        let mut window = Window::new(32);
        window.on_loss(100);
        window.on_loss(100);
        assert_eq!((window.cwnd(), window.ssthresh()), (16, 16));
        assert!(window.on_ack(32, 100), "the recovery is over");
        window.on_loss(200);
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
        window.on_timeout(7, true);
        assert_eq!((window.cwnd(), window.ssthresh()), (1, 16));
        window.on_timeout(7, false);
        assert_eq!((window.cwnd(), window.ssthresh()), (1, 16));
        window.on_ack(1, 1);
        assert_eq!(window.cwnd(), 2);
    }

    #[test]
    fn a_reduction_is_undone_when_every_repetition_was_needless() {
        let mut window = Window::new(32);
        window.on_loss(40);
        window.sent_again();
        window.sent_again();
        window.on_needless(1);
        assert_eq!(window.cwnd(), 16, "the other packet may have been lost");
        window.on_needless(1);
        assert_eq!((window.cwnd(), window.ssthresh()), (32, 32));
    }
}
