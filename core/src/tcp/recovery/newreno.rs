//! Recovery for peers without selective acknowledgements: RFC 5681 §3.2 and RFC 6582.

use super::flight::Flight;
use super::sent::Marks;
use crate::planted::{self, Bug};

/// Duplicate acknowledgements that mean a loss (RFC 5681 §3.2).
const DUP_THRESHOLD: u16 = 3;
/// Most records looked at for one duplicate.
const LOOKS_MAX: usize = 64;

impl Flight {
    /// Input: a duplicate acknowledgement (RFC 5681 §2): one more segment left the network. False: there is none that could have,
    /// so the network, or a peer that would have us send more, made it. Costs a look at a bounded number of records.
    pub(super) fn duplicate(&mut self, mss: u32) -> bool {
        let holes = self.lost_bytes.div_ceil(mss).max(1);
        let most = self.segments_out(mss).saturating_sub(holes);
        let counts = u32::from(self.dup_acks) < most || planted::is(Bug::EveryDuplicateCounts);
        if planted::is(Bug::DuplicatesOverflow) {
            assert!(self.dup_acks < 255, "attempt to add with overflow");
        }
        self.dup_acks = self.dup_acks.saturating_add(u16::from(counts));
        counts
    }

    /// Segments in flight: of more records than [`LOOKS_MAX`] no more than there are for certain.
    pub(super) fn segments_out(&self, mss: u32) -> u32 {
        let looked = || self.sent.iter().take(LOOKS_MAX);
        let segments: u32 = looked().map(|record| record.segments(mss)).sum();
        let bytes: u32 = looked().map(|record| record.len).sum();
        let records = self.sent.len().saturating_sub(LOOKS_MAX);
        let rest = (self.outstanding() - bytes).div_ceil(mss);
        segments + rest.max(u32::try_from(records).unwrap_or(u32::MAX))
    }

    /// Getter: whether the duplicates begin a recovery. Not for the window of a loss that was treated already: they have to
    /// acknowledge more than it (RFC 6582 §3.2 step 1). Those of what was sent again for nothing acknowledge all of it, and no more.
    pub(super) fn duplicates_mean_loss(&self) -> bool {
        let more = if planted::is(Bug::FiveDuplicates) { 2 } else { 0 };
        let fresh = !self.treated || self.una > self.recover || planted::is(Bug::TreatedAgain);
        self.dup_acks >= DUP_THRESHOLD + more && fresh
    }

    /// Input: all that was outstanding at the loss is acknowledged. Returns whether nothing beyond is: then without SACK it is not
    /// over yet, for duplicates of what was sent again for nothing acknowledge as much (RFC 6582 §3.2, the definition of `recover`).
    /// They count for nothing.
    pub(super) fn holds_recovery(&mut self, sack: bool) -> bool {
        let held = !sack && self.una == self.recover && !planted::is(Bug::OverTooSoon);
        self.dup_acks = if held { 0 } else { self.dup_acks };
        held
    }

    /// Command: the segment at `una` is lost, unless it is marked already.
    pub(super) fn mark_front_lost(&mut self, mss: u32) {
        let Some(front) = self.sent.front().copied() else { return };
        if front.marks.has(Marks::LOST | Marks::RETRANS) {
            return;
        }
        if front.len > mss {
            self.split(0, front.start() + u64::from(mss));
        }
        self.mark_lost(0);
    }

    /// Input: `acked` bytes were acknowledged. One segment was the hole before; the others were counted by duplicates, as far as
    /// these go. Returns how many.
    pub(super) fn forget_duplicates(&mut self, acked: u32, mss: u32) -> u16 {
        let others = u16::try_from(acked.div_ceil(mss).saturating_sub(1)).unwrap_or(u16::MAX);
        let counted = others.min(self.dup_acks);
        self.dup_acks -= counted;
        counted
    }

    /// Input: a partial acknowledgement of `acked` bytes in recovery (RFC 6582 §3.2 step 3): the next hole begins at `una`. Returns
    /// the bytes of it that no duplicate told before.
    pub(super) fn partial(&mut self, acked: u32, mss: u32) -> u32 {
        let counted = self.forget_duplicates(acked, mss);
        if !planted::is(Bug::PartialAckWaits) {
            self.mark_front_lost(mss);
        }
        acked.saturating_sub(u32::from(counted) * mss)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tcp::recovery::flight::Delivery;
    use crate::time::Instant;

    const MSS: u32 = 100;

    fn flight() -> Flight {
        let mut flight = Flight::new(0);
        flight.push(Instant::ZERO, 1_000, false);
        flight
    }

    #[test]
    fn the_third_duplicate_means_a_loss_and_not_in_a_window_that_was_treated() {
        let mut flight = flight();
        let means = [0; 4].map(|_| {
            flight.duplicate(MSS);
            flight.duplicates_mean_loss()
        });
        assert_eq!(means, [false, false, true, true]);
        assert_eq!(flight.pipe(MSS), 600);
        flight.treat();
        assert!(!flight.duplicates_mean_loss());
        flight.acknowledge(1_000, MSS, &mut Delivery::default());
        assert!(!flight.duplicates_mean_loss(), "all of the window, and no more");
        flight.push(Instant::ZERO, 1_100, false);
        flight.acknowledge(1_100, MSS, &mut Delivery::default());
        assert!(flight.duplicates_mean_loss());
    }

    #[test]
    fn no_more_duplicates_count_than_segments_can_have_left() {
        let mut flight = flight();
        assert_eq!((0..20).filter(|_| flight.duplicate(MSS)).count(), 9, "one of ten is the hole");
        flight.acknowledge(950, MSS, &mut Delivery::default());
        assert_eq!(flight.forget_duplicates(950, MSS), 9);
        // Small ones are segments as well, and beyond some records those are counted that there are for certain.
        (1..=200).for_each(|i| flight.push(Instant::ZERO, 1_000 + i * 10, false));
        assert_eq!((0..500).filter(|_| flight.duplicate(MSS)).count(), 200);
    }

    #[test]
    fn a_partial_acknowledgement_marks_the_next_hole_once() {
        let mut flight = flight();
        (0..5).for_each(|_| assert!(flight.duplicate(MSS)));
        flight.mark_front_lost(MSS);
        assert_eq!(flight.lost_bytes, 100, "of the burst one segment");
        let index = flight.next_lost().unwrap();
        flight.retransmitted(Instant::ZERO, index);
        flight.acknowledge(300, MSS, &mut Delivery::default());
        assert_eq!(flight.partial(300, MSS), 100, "two of three were counted");
        assert_eq!((flight.dup_acks, flight.lost_bytes), (3, 100));
        assert_eq!(flight.next_lost(), Some(0));
        flight.mark_front_lost(MSS);
        assert_eq!(flight.lost_bytes, 100);
    }
}
