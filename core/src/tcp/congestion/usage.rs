//! Congestion window validation (RFC 7661, RFC 2861): was the window used?

use serde::{Deserialize, Serialize};

use super::sample::AckSample;
use super::window::Window;
use crate::planted::{self, Bug};
use crate::tcp::seq::SeqNumber;

/// The strongest sign within a window that it was used: it held data back, or how much of it was in flight.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Usage {
    /// It held data back.
    limited: bool,
    /// The most bytes in flight.
    flight_max: u32,
    /// The sign holds until this is acknowledged.
    until: SeqNumber,
}

impl Usage {
    pub(super) fn new(ack: &AckSample) -> Self {
        Self { limited: ack.cwnd_limited, flight_max: ack.in_flight_before, until: ack.snd_max }
    }

    /// Input: an acknowledgement, with what was in flight before it.
    pub(super) fn on_ack(&mut self, ack: &AckSample) {
        let before = SeqNumber(ack.snd_una.0.wrapping_sub(ack.acked_bytes));
        let stronger = !self.limited && ack.in_flight_before > self.flight_max;
        if ack.cwnd_limited || stronger || before >= self.until {
            *self = Self::new(ack);
        }
    }

    /// Getter: in congestion avoidance the window grows only where it was the limit; in slow start also where half
    /// of it was in flight, since it doubles in a round trip (RFC 7661 §4.3: pipeACK >= cwnd / 2).
    pub(super) fn may_grow(&self, window: &Window) -> bool {
        planted::is(Bug::UnusedWindowGrows)
            || self.limited
            || (window.in_slow_start() && window.cwnd < 2 * self.flight_max)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tcp::congestion::testing::{MSS, ack};

    fn sample(una: u32, in_flight_before: u32, cwnd_limited: bool) -> AckSample {
        AckSample {
            in_flight_before,
            cwnd_limited,
            snd_una: SeqNumber(una),
            snd_max: SeqNumber(una + 10 * MSS),
            ..ack(MSS)
        }
    }

    #[test]
    fn a_sign_of_use_holds_for_a_window_and_no_longer() {
        let mut usage = Usage::default();
        let avoiding = Window { ssthresh: MSS, ..Window::new(10 * MSS) };
        usage.on_ack(&sample(MSS, 10 * MSS, true));
        assert!(usage.may_grow(&avoiding));
        for una in 2..=11 {
            usage.on_ack(&sample(una * MSS, 10 * MSS, false));
            assert!(usage.may_grow(&avoiding), "{una}");
        }
        usage.on_ack(&sample(12 * MSS, 10 * MSS, false));
        assert!(!usage.may_grow(&avoiding));
    }

    #[test]
    fn slow_start_goes_on_to_twice_what_was_in_flight() {
        let mut usage = Usage::default();
        usage.on_ack(&sample(MSS, 9 * MSS, false));
        assert!(usage.may_grow(&Window::new(17 * MSS)));
        assert!(!usage.may_grow(&Window::new(18 * MSS)));
    }
}
