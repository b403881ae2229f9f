//! When to acknowledge: once for each DATA packet, at once, and never so that upstream crashes.
//!
//! Three acknowledgements that repeat `snd_una` while nothing is outstanding crash an upstream peer. We cannot see what it
//! has outstanding, but we know two things. While a packet at or above `rcv_nxt` has been seen and not acknowledged, there is
//! something outstanding: such acknowledgements are free. Otherwise a repetition answers an old packet that came again, because our
//! acknowledgement was lost, or because the network doubled it: [`SAME_MAX`] of one number are sent, and then one for each packet that
//! comes after [`REPEAT_PAUSE`] of silence, because a peer that sends again after so long did not hear the earlier ones. Two and
//! not three, so that the network may double one of ours.

use serde::{Deserialize, Serialize};

use crate::planted::{self, Bug};
use crate::time::{Duration, Instant};

/// Acknowledgements of one number while the peer may have nothing outstanding: the one that advanced to it and a repetition, or
/// the final one of the handshake, which advances nothing, and a repetition.
const SAME_MAX: u8 = 2;
/// Upstream repeats after 3 s.
const REPEAT_PAUSE: Duration = Duration::from_secs(1);
/// Most acknowledgements waiting to be sent; more packets than this share one.
const DUE_MAX: u8 = 64;

/// The acknowledgements that are due.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct AckState {
    /// For packets that advanced `rcv_nxt`: one each, with the number that it advanced to.
    advances: u8,
    /// For others: they repeat `rcv_nxt`.
    extras: u8,
    /// The highest number acknowledged so far.
    sent: u32,
    /// How often `sent` was acknowledged while the peer may have had nothing outstanding.
    repeats: u8,
    repeated_at: Instant,
    /// The next extra counts as a repetition.
    counted: bool,
}

/// An acknowledgement to be sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct AckOut {
    pub(super) ackno: u32,
    /// Bit `i`: packet ackno + i is here.
    pub(super) held: u64,
}

impl AckState {
    /// `rcv_nxt` is what SYN or SYN-ACK acknowledged.
    pub(super) const fn new(rcv_nxt: u32) -> Self {
        Self {
            advances: 0,
            extras: 0,
            sent: rcv_nxt,
            repeats: 0,
            repeated_at: Instant::ZERO,
            counted: false,
        }
    }

    /// A packet advanced `rcv_nxt`. What was to be repeated before is said by this too, and would be dangerous after it.
    pub(super) fn advance(&mut self) {
        self.advances = (self.advances + 1).min(DUE_MAX);
        self.extras = 0;
    }

    /// Answers a packet at or above `rcv_nxt`: the peer has something outstanding.
    pub(super) fn answer_ahead(&mut self) {
        self.extras = (self.extras + 1).min(DUE_MAX);
        self.counted = false;
    }

    /// Answers a packet below `rcv_nxt`, or a SYN-ACK that came again. `ahead`: a packet at or above `rcv_nxt` was seen.
    pub(super) fn answer_old(&mut self, now: Instant, ahead: bool) {
        if ahead || planted::is(Bug::MachnetEachDuplicateAnswered) {
            self.answer_ahead();
        } else if self.advances == 0
            && (self.repeats < SAME_MAX || now.saturating_since(self.repeated_at) >= REPEAT_PAUSE)
        {
            self.extras = 1;
            self.counted = true;
        }
    }

    /// Repeats `rcv_nxt` unasked, if the peer has something outstanding.
    pub(super) fn answer_old_if_ahead(&mut self, ahead: bool) {
        if ahead {
            self.answer_ahead();
        }
    }

    /// Repeats the final acknowledgement of the handshake without being asked: only within the budget.
    pub(super) fn repeat_unasked(&mut self) {
        if self.repeats < SAME_MAX && self.advances == 0 && self.extras == 0 {
            self.extras = 1;
            self.counted = true;
        }
    }

    pub(super) const fn is_due(&self) -> bool {
        self.advances > 0 || self.extras > 0
    }

    /// The next acknowledgement. Bit `i` of `held`: packet rcv_nxt + i is here.
    pub(super) fn next(&mut self, now: Instant, rcv_nxt: u32, held: u64) -> Option<AckOut> {
        if self.advances > 0 {
            self.advances -= 1;
            let unsaid = rcv_nxt.wrapping_sub(self.sent);
            let behind = u32::from(self.advances).min(unsaid.saturating_sub(1));
            let ackno = rcv_nxt.wrapping_sub(behind);
            // With `behind` packets in between that are here too.
            let exact = behind == 0 || planted::is(Bug::MachnetBitmapUnmoved);
            let held = if exact { held } else { held << behind | ((1 << behind) - 1) };
            if ackno != self.sent {
                self.repeats = 1;
                self.repeated_at = now;
            }
            self.sent = ackno;
            return Some(AckOut { ackno, held });
        }
        if self.extras == 0 {
            return None;
        }
        self.extras -= 1;
        if core::mem::take(&mut self.counted) {
            self.repeats = (self.repeats + 1).min(SAME_MAX);
            self.repeated_at = now;
        }
        self.sent = rcv_nxt;
        let beyond = u32::from(held > 1 && planted::is(Bug::MachnetAheadAcknowledged));
        Some(AckOut { ackno: rcv_nxt.wrapping_add(beyond), held })
    }

    /// Consistency of a state read back.
    pub(super) fn is_valid(&self, rcv_nxt: u32) -> bool {
        let Self { advances, extras, sent, repeats, repeated_at: _, counted: _ } = self;
        *advances <= DUE_MAX
            && *extras <= DUE_MAX
            && *repeats <= SAME_MAX
            && rcv_nxt.wrapping_sub(*sent).cast_signed() >= 0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const T0: Instant = Instant::from_nanos(0);

    #[test]
    fn each_packet_of_a_burst_is_acknowledged_by_its_own_number() {
        let mut ack = AckState::new(1);
        for _ in 0..4 {
            ack.advance();
        }
        let sent: std::vec::Vec<_> =
            core::iter::from_fn(|| ack.next(T0, 5, 0)).map(|a| a.ackno).collect();
        assert_eq!(sent, [2, 3, 4, 5]);
        assert!(!ack.is_due());
    }

    #[test]
    fn repetitions_with_nothing_outstanding_stop_at_one() {
        let mut ack = AckState::new(1);
        ack.advance();
        assert_eq!(ack.next(T0, 2, 0).map(|a| a.ackno), Some(2));
        let mut repeated = 0;
        for _ in 0..50 {
            ack.answer_old(T0, false);
            repeated += usize::from(ack.next(T0, 2, 0).is_some());
        }
        assert_eq!(repeated, 1);
        let later = T0 + Duration::from_secs(3);
        ack.answer_old(later, false);
        assert!(ack.next(later, 2, 0).is_some(), "a repetition after 3 s is answered");
        ack.answer_old(later, false);
        assert!(ack.next(later, 2, 0).is_none());
    }

    #[test]
    fn what_was_due_for_a_hole_is_not_repeated_after_it_is_filled() {
        let mut ack = AckState::new(1);
        for _ in 0..5 {
            ack.answer_ahead();
        }
        ack.advance();
        assert_eq!(ack.next(T0, 7, 0).map(|a| a.ackno), Some(7));
        assert_eq!(ack.next(T0, 7, 0), None);
    }

    #[test]
    fn the_final_acknowledgement_is_repeated_once_unasked() {
        let mut ack = AckState::new(1);
        ack.answer_old(T0, false);
        assert!(ack.next(T0, 1, 0).is_some());
        for _ in 0..9 {
            ack.repeat_unasked();
        }
        assert!(ack.next(T0, 1, 0).is_some());
        ack.repeat_unasked();
        assert_eq!(ack.next(T0, 1, 0), None);
    }
}
