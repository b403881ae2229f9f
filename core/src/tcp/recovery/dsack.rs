//! Duplicates that the peer reports (RFC 2883): what was sent again without need.

use super::state::Trouble;
use crate::tcp::connection::Connection;
use crate::tcp::seq::SeqNumber;
use crate::wire::tcp::SackBlocks;

/// Getter: the range that the first of `blocks` reports as a duplicate: below the acknowledgement, or inside of the second block
/// (RFC 2883 §4).
pub(super) fn reported(ack: SeqNumber, blocks: &SackBlocks) -> Option<(SeqNumber, SeqNumber)> {
    let &(left, right) = blocks.as_slice().first()?;
    let below = left < ack;
    let inside = blocks.as_slice().get(1).is_some_and(|(l, r)| *l <= left && right <= *r);
    (left < right && (below || inside)).then_some((left, right))
}

impl Connection {
    /// Input: the peer reports a range as a duplicate. `una_before`: what was acknowledged before; `resent`: what is acknowledged
    /// now was sent again in part. Returns whether the duplicate is the tail loss probe.
    pub(super) fn take_dsack(
        &mut self,
        (left, right): (SeqNumber, SeqNumber),
        una_before: u64,
        resent: bool,
    ) -> bool {
        let mss = self.options.mss();
        let len = right.0.wrapping_sub(left.0);
        let Some(flight) = self.recovery.flight.as_deref_mut() else { return false };
        let Some(end) = self.snd.anchor.offset_of(right) else { return false };
        if len > self.snd.snd_wnd_max || right > self.snd.snd_max {
            return false;
        }
        let segments = len.div_ceil(mss);
        let trouble = Trouble::of(&mut self.recovery.trouble);
        trouble.dsack_dups = trouble.dsack_dups.saturating_add(segments);
        if trouble.dsack_dups > self.counters.retransmits {
            // The network made it.
            return false;
        }
        self.recovery.delivered = self.recovery.delivered.wrapping_add(segments);
        if end <= una_before || flight.may_be_resent(end, resent) {
            flight.undo.duplicate(end, segments);
            if flight.undo.take_earlier() {
                self.congestion.on_earlier_spurious();
            }
        }
        if segments == 1 && flight.tlp.retransmitted_end() == Some(end) {
            return true;
        }
        flight.rack.duplicate(flight.una, flight.max);
        false
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(ack: u32, blocks: &[(u32, u32)]) -> Option<(u32, u32)> {
        let mut sack = SackBlocks::default();
        for (left, right) in blocks {
            sack.push(SeqNumber(*left), SeqNumber(*right));
        }
        reported(SeqNumber(ack), &sack).map(|(left, right)| (left.0, right.0))
    }

    #[test]
    fn a_block_below_the_acknowledgement_or_inside_the_second_is_a_duplicate() {
        assert_eq!(told(100, &[(90, 100)]), Some((90, 100)));
        assert_eq!(told(5, &[(u32::MAX - 4, 5)]), Some((u32::MAX - 4, 5)));
        assert_eq!(told(100, &[(120, 130), (110, 150)]), Some((120, 130)));
        assert_eq!(told(100, &[(120, 160), (110, 150)]), None);
        assert_eq!(told(100, &[(120, 130)]), None);
        assert_eq!(told(100, &[(95, 90)]), None);
        assert_eq!(told(100, &[]), None);
    }
}
