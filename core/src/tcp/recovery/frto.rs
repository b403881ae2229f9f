//! F-RTO (RFC 5682): whether a retransmission timeout was spurious, by what is acknowledged after it.

use super::flight::{Delivery, Flight};
use crate::planted::{self, Bug};

/// What an acknowledgement after a timeout says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    /// Nothing: F-RTO is off, or undecided.
    None,
    /// Something arrived that was sent once, and before the timeout (§3.1 step 3b): nothing was lost.
    Spurious,
    /// §3.1 step 2b: the retransmission was acknowledged, so new data goes out and the next acknowledgement decides.
    SendNew,
}

impl Flight {
    /// Input: an acknowledgement that `delivery` sums up; `advanced`: `snd_una` did; `duplicate`: it did not, and nothing else did.
    /// `may_send_new`: there is new data, and the peer's window takes it.
    pub(super) fn frto_on_ack(
        &mut self,
        delivery: &Delivery,
        advanced: bool,
        duplicate: bool,
        may_send_new: bool,
        sack: bool,
    ) -> Verdict {
        self.prefer_new = false;
        if !self.frto || planted::is(Bug::NoFRto) {
            return Verdict::None;
        }
        // Without SACK what lies behind the retransmission may have been there, held until it came (RFC 5682 §2.1).
        let certain = sack || !delivery.resent || planted::is(Bug::HeldTakenForOriginal);
        if delivery.original && certain {
            return Verdict::Spurious;
        }
        if self.max > self.recover {
            // New data was sent, and what comes back is about it: the loss was real (step 3a).
            if duplicate || (!advanced && delivery.bytes > 0) {
                self.frto = false;
            }
        } else if advanced && self.una < self.recover {
            self.recover = self.max;
            if may_send_new {
                self.prefer_new = true;
                return Verdict::SendNew;
            }
            self.frto = false;
        }
        Verdict::None
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::time::Instant;

    /// A flight of ten segments after a timeout; the first was sent again.
    fn after_timeout() -> Flight {
        let mut flight = Flight::new(0);
        for i in 1..=10 {
            flight.push(Instant::ZERO, i * 100, false);
        }
        for i in 0..10 {
            flight.mark_lost(i);
        }
        flight.recover = 1_000;
        flight.frto = true;
        flight.retransmitted(Instant::ZERO, 0);
        flight
    }

    fn acknowledge(flight: &mut Flight, una: u64) -> Delivery {
        let mut delivery = Delivery::default();
        flight.acknowledge(una, 100, &mut delivery);
        delivery
    }

    #[test]
    fn new_data_goes_out_after_the_first_acknowledgement_and_an_original_decides() {
        let mut flight = after_timeout();
        let delivery = acknowledge(&mut flight, 100);
        assert_eq!(flight.frto_on_ack(&delivery, true, false, true, true), Verdict::SendNew);
        assert!(flight.prefer_new);
        flight.push(Instant::ZERO, 1_100, false);
        let delivery = acknowledge(&mut flight, 200);
        assert_eq!(flight.frto_on_ack(&delivery, true, false, true, true), Verdict::Spurious);
    }

    #[test]
    fn a_duplicate_after_new_data_means_that_the_loss_was_real() {
        let mut flight = after_timeout();
        let delivery = acknowledge(&mut flight, 100);
        flight.frto_on_ack(&delivery, true, false, true, true);
        flight.push(Instant::ZERO, 1_100, false);
        let verdict = flight.frto_on_ack(&Delivery::default(), false, true, true, true);
        assert_eq!((verdict, flight.frto, flight.prefer_new), (Verdict::None, false, false));
    }

    #[test]
    fn without_new_data_it_gives_up() {
        let mut flight = after_timeout();
        let delivery = acknowledge(&mut flight, 100);
        assert_eq!(flight.frto_on_ack(&delivery, true, false, false, true), Verdict::None);
        assert!(!flight.frto);
    }
}
