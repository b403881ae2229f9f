//! What the peer holds beyond `snd_una`: the scoreboard of RFC 6675, by stream offset and bounded.

use serde::{Deserialize, Serialize};

use super::DUP_THRESHOLD;
use crate::tcp::assembler::{Assembler, Interval};

/// Selectively acknowledged ranges, and how far the holes between them were sent again.
///
/// At most [`crate::tcp::assembler::INTERVALS_MAX`] ranges (CVE-2019-11477): of more the latest are not
/// believed, which costs a retransmission and nothing else.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(in crate::tcp) struct Scoreboard {
    sacked: Assembler,
    /// Holes below this offset were sent again in this recovery (HighRxt of RFC 6675 §2).
    high_rxt: u64,
}

impl Scoreboard {
    /// Input: the peer holds `start .. end`. Returns whether that was news.
    pub(in crate::tcp) fn insert(&mut self, start: u64, end: u64) -> bool {
        self.sacked.first_gap(start, end).is_some() && self.sacked.insert(start, end).is_ok()
    }

    /// Input: everything below `una` is acknowledged.
    pub(in crate::tcp) fn advance(&mut self, una: u64) {
        self.sacked.advance(una);
    }

    /// Command: forget what the peer said; it may have dropped it again (RFC 2018 §8).
    pub(in crate::tcp) fn clear(&mut self) {
        self.sacked.advance(u64::MAX);
        self.high_rxt = 0;
    }

    /// Command: a recovery begins.
    pub(in crate::tcp) fn begin(&mut self, una: u64) {
        self.high_rxt = una;
    }

    pub(in crate::tcp) fn retransmitted(&mut self, end: u64) {
        self.high_rxt = self.high_rxt.max(end);
    }

    pub(in crate::tcp) fn is_empty(&self) -> bool {
        self.sacked.is_empty()
    }

    /// Getter: the first part of `from .. to` that the peer does not hold.
    pub(in crate::tcp) fn first_gap(&self, from: u64, to: u64) -> Option<Interval> {
        self.sacked.first_gap(from, to)
    }

    /// Getter: bytes of `from .. to` that the peer holds.
    fn held(&self, from: u64, to: u64) -> u64 {
        let overlap = |i: &Interval| i.end.min(to).saturating_sub(i.start.max(from));
        self.sacked.intervals().iter().map(overlap).sum()
    }

    /// Getter: holes below this offset are lost (IsLost of RFC 6675 §4): three ranges, or more than two
    /// segments' bytes, were received beyond.
    fn lost_edge(&self, mss: u32) -> u64 {
        let (mut ranges, mut bytes) = (0u16, 0u64);
        for interval in self.sacked.intervals().iter().rev() {
            ranges += 1;
            bytes += interval.end - interval.start;
            if ranges >= DUP_THRESHOLD || bytes > u64::from(mss) * u64::from(DUP_THRESHOLD - 1) {
                return interval.start;
            }
        }
        0
    }

    /// Getter: whether the bytes at `una` are lost.
    pub(in crate::tcp) fn is_lost(&self, una: u64, mss: u32) -> bool {
        una < self.lost_edge(mss)
    }

    /// Getter: the next lost hole that was not sent again (NextSeg (1) of RFC 6675 §4).
    pub(in crate::tcp) fn next_hole(&self, una: u64, mss: u32) -> Option<Interval> {
        self.first_gap(una.max(self.high_rxt), self.lost_edge(mss))
    }

    /// Getter: bytes of `una .. nxt` in the network (SetPipe of RFC 6675 §4): not held by the peer, and not
    /// both lost and not sent again.
    pub(in crate::tcp) fn pipe(&self, una: u64, nxt: u64, mss: u32) -> u64 {
        let edge = self.lost_edge(mss).min(nxt);
        let from = una.max(self.high_rxt).min(edge);
        let lost = (edge - from) - self.held(from, edge);
        nxt.saturating_sub(una).saturating_sub(self.held(una, nxt)).saturating_sub(lost)
    }

    pub(in crate::tcp) fn is_valid(&self, una: u64, max: u64) -> bool {
        let last = self.sacked.intervals().last();
        self.sacked.is_valid(una) && last.is_none_or(|i| i.end <= max) && self.high_rxt <= max
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_hole_is_lost_when_enough_was_received_beyond_it_and_is_sent_again_once() {
        let mut board = Scoreboard::default();
        assert!(board.insert(1_000, 2_000));
        assert!(!board.insert(1_200, 1_800), "no news");
        assert!(!board.is_lost(0, 1_000));
        assert!(board.insert(3_000, 4_000));
        assert!(board.insert(4_000, 4_001));
        // Beyond the second hole lie 1,001 bytes, beyond the first 2,001.
        assert!(board.is_lost(0, 1_000));
        assert!(!board.is_lost(2_000, 1_000));
        assert_eq!(board.next_hole(0, 1_000), Some(Interval { start: 0, end: 1_000 }));
        assert_eq!(board.pipe(0, 5_000, 1_000), 5_000 - 2_001 - 1_000);
        board.retransmitted(1_000);
        assert_eq!(board.next_hole(0, 1_000), None);
        assert_eq!(board.pipe(0, 5_000, 1_000), 5_000 - 2_001);
    }

    #[test]
    fn what_a_peer_said_before_a_timeout_is_not_believed_after_it() {
        let mut board = Scoreboard::default();
        board.insert(10, 20);
        board.clear();
        assert!(board.is_empty());
        assert_eq!(board.first_gap(0, 30), Some(Interval { start: 0, end: 30 }));
    }
}
