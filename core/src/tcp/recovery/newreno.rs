//! Recovery without selective acknowledgements: RFC 6582.

use super::{DUP_THRESHOLD, Phase, Progress, Recovery};
use crate::tcp::seq::SeqNumber;

impl Recovery {
    pub(in crate::tcp) fn new(iss: SeqNumber) -> Self {
        Self {
            phase: Phase::Open,
            retransmit_due: false,
            retries: 0,
            dup_acks: 0,
            recover: iss,
            scoreboard: None,
        }
    }

    /// Input: a duplicate acknowledgement (RFC 5681 §2). `lost`: selective acknowledgements say that what
    /// is at `snd_una` is lost (RFC 6675 §5). True when fast retransmit begins.
    pub(in crate::tcp) fn on_duplicate_ack(
        &mut self,
        snd_una: SeqNumber,
        snd_max: SeqNumber,
        lost: bool,
    ) -> bool {
        self.dup_acks = self.dup_acks.saturating_add(1);
        // RFC 6582 §3.2 step 1: not again for the window of a loss that was treated already.
        let begins = self.phase == Phase::Open
            && (lost || self.dup_acks >= DUP_THRESHOLD)
            && snd_una > self.recover;
        if begins {
            self.phase = Phase::Fast;
            self.recover = snd_max - 1;
            self.retransmit_due = true;
        }
        begins
    }

    /// Input: `acked` bytes up to `snd_una` were newly acknowledged.
    pub(in crate::tcp) fn on_progress(
        &mut self,
        snd_una: SeqNumber,
        acked: u32,
        mss: u32,
    ) -> Progress {
        self.retries = 0;
        match self.phase {
            Phase::Open => {
                self.dup_acks = 0;
                // `recover` follows at a distance of one: left where the last loss was, it would be
                // "after" `snd_una` again once 2^31 bytes went without one.
                if snd_una > self.recover {
                    self.recover = snd_una - 1;
                }
                Progress::Open
            }
            Phase::Loss => {
                self.dup_acks = 0;
                self.retransmit_due = false;
                if snd_una > self.recover {
                    self.phase = Phase::Open;
                }
                Progress::Loss
            }
            Phase::Fast if snd_una > self.recover => {
                self.phase = Phase::Open;
                self.dup_acks = 0;
                self.retransmit_due = false;
                Progress::Recovered
            }
            Phase::Fast => {
                // RFC 6582 §3.2 step 3: the next hole begins at `snd_una`. Of the segments acknowledged
                // one was the hole before; the others were counted by duplicate acknowledgements.
                let segments = acked.div_ceil(mss.max(1)).saturating_sub(1);
                let counted = u16::try_from(segments).unwrap_or(u16::MAX);
                self.dup_acks = self.dup_acks.saturating_sub(counted);
                // With selective acknowledgements the scoreboard knows the holes (RFC 6675 §5 step B): while
                // it is empty nothing says that what is at `snd_una` is missing.
                self.retransmit_due = self.scoreboard.is_none();
                Progress::Partial
            }
        }
    }

    /// Input: the retransmission timer expired.
    pub(in crate::tcp) fn on_timeout(&mut self, snd_max: SeqNumber) {
        self.phase = Phase::Loss;
        self.dup_acks = 0;
        // RFC 6582 §4: duplicate acknowledgements of what is now sent again begin no recovery.
        self.recover = snd_max - 1;
        self.retransmit_due = true;
        if let Some(board) = self.scoreboard.as_mut() {
            board.clear();
        }
    }

    /// Input: everything in flight is sent again in smaller segments, of no fault of the network's. What the peer holds
    /// it holds still.
    pub(in crate::tcp) fn on_packet_too_big(&mut self, snd_max: SeqNumber) {
        self.phase = Phase::Loss;
        self.dup_acks = 0;
        self.recover = snd_max - 1;
        self.retransmit_due = false;
    }

    /// Getter: bytes of `in_flight` that are still in the network, as far as duplicate acknowledgements tell.
    pub(in crate::tcp) fn pipe(&self, in_flight: u32, mss: u32) -> u32 {
        in_flight.saturating_sub(u32::from(self.dup_acks).saturating_mul(mss))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MSS: u32 = 100;

    fn seq(n: u32) -> SeqNumber {
        SeqNumber(n)
    }

    #[test]
    fn the_third_duplicate_begins_recovery_and_only_the_third() {
        let mut r = Recovery::new(seq(0));
        let begins = [0; 6].map(|_| r.on_duplicate_ack(seq(1), seq(1001), false));
        assert_eq!(begins, [false, false, true, false, false, false]);
        assert_eq!(r.pipe(1000, MSS), 400);
    }

    #[test]
    fn the_third_duplicate_begins_recovery_after_any_number_of_bytes_without_a_loss() {
        let mut r = Recovery::new(seq(0));
        let mut snd_una = seq(1);
        for _ in 0..5 {
            snd_una += 1 << 29;
            assert_eq!(r.on_progress(snd_una, 1 << 29, MSS), Progress::Open);
        }
        let begins = [0; 3].map(|_| r.on_duplicate_ack(snd_una, snd_una + 1000, false));
        assert_eq!(begins, [false, false, true]);
    }

    #[test]
    fn a_partial_acknowledgement_asks_for_the_next_hole_and_a_full_one_ends_recovery() {
        let mut r = Recovery::new(seq(0));
        for _ in 0..5 {
            r.on_duplicate_ack(seq(1), seq(1001), false);
        }
        r.retransmit_due = false;
        assert_eq!(r.on_progress(seq(301), 300, MSS), Progress::Partial);
        assert!(r.retransmit_due);
        assert_eq!(r.dup_acks, 3);
        assert_eq!(r.on_progress(seq(1000), 699, MSS), Progress::Partial, "one byte is missing");
        assert_eq!(r.on_progress(seq(1001), 1, MSS), Progress::Recovered);
        assert_eq!(r.phase, Phase::Open);
    }

    #[test]
    fn duplicates_of_what_a_timeout_sent_again_begin_no_recovery() {
        let mut r = Recovery::new(seq(0));
        r.on_timeout(seq(1001));
        assert!(!(0..9).any(|_| r.on_duplicate_ack(seq(1), seq(1001), false)));
        assert_eq!(r.on_progress(seq(501), 500, MSS), Progress::Loss);
        assert_eq!(r.phase, Phase::Loss);
        assert_eq!(r.on_progress(seq(1001), 500, MSS), Progress::Loss);
        assert_eq!(r.phase, Phase::Open);
        assert!((0..3).any(|_| r.on_duplicate_ack(seq(1001), seq(2001), false)));
    }
}
