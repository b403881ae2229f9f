//! Which bytes beyond the in-order edge lie in the RX ring already: a bounded set of intervals.
//!
//! The bytes themselves go straight into the ring at their stream offset; this is bookkeeping only.

use alloc::vec::Vec;
use core::ops::RangeBounds;

use serde::{Deserialize, Serialize};

use super::seq::SeqNumber;
use crate::planted::{self, Bug};

/// The most intervals kept. A segment that would need one more is dropped and sent again by the peer
/// (CVE-2018-5390: the cost of a hostile order of arrival is bounded). As many as a sender's scoreboard keeps: what the one can tell,
/// the other can hold.
pub const INTERVALS_MAX: usize = 1024;
/// How many intervals room is made for at first.
const INTERVALS_FIRST: usize = 32;
/// How many recent arrivals are remembered for SACK (RFC 2018 §4).
const RECENT_MAX: usize = 4;

/// Half-open interval of stream offsets.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Interval {
    /// First offset.
    pub start: u64,
    /// One past the last offset.
    pub end: u64,
}

impl Interval {
    const fn len(&self) -> u64 {
        self.end - self.start
    }
}

/// No room for another interval; nothing was changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Full;

/// Disjoint, non-adjacent intervals in ascending order.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Assembler {
    intervals: Vec<Interval>,
    /// Bytes in all of them.
    bytes: u64,
    /// Start offsets of the latest arrivals, newest first.
    recent: [u64; RECENT_MAX],
    /// What arrived for the second time, to be reported once (RFC 2883 §4); empty: nothing did.
    pub(in crate::tcp) duplicate: (SeqNumber, SeqNumber),
}

impl Assembler {
    /// An empty set. Allocates nothing.
    pub const fn new() -> Self {
        Self {
            intervals: Vec::new(),
            bytes: 0,
            recent: [0; RECENT_MAX],
            duplicate: (SeqNumber(0), SeqNumber(0)),
        }
    }

    /// Getter: true when nothing lies beyond the in-order edge.
    pub fn is_empty(&self) -> bool {
        self.intervals.is_empty()
    }

    /// Getter: the intervals in ascending order.
    pub fn intervals(&self) -> &[Interval] {
        &self.intervals
    }

    /// Getter: the first part of `start .. end` that is not in the set; `None` when all of it is.
    pub fn first_gap(&self, start: u64, end: u64) -> Option<Interval> {
        let mut start = start;
        let first = self.intervals.partition_point(|i| i.end <= start);
        let mut following = self.intervals.get(first..).unwrap_or(&[]).iter();
        let mut next = following.next();
        if let Some(i) = next.filter(|i| i.start <= start) {
            // Neighbours never touch, so behind an interval there is always a gap.
            start = i.end;
            next = following.next();
        }
        let end = next.map_or(end, |i| end.min(i.start));
        (start < end).then_some(Interval { start, end })
    }

    /// Command: adds `start .. end`.
    ///
    /// # Errors
    /// [`Full`] when it touches no interval and [`INTERVALS_MAX`] are there.
    pub fn insert(&mut self, start: u64, end: u64) -> Result<(), Full> {
        self.insert_within(start, end, INTERVALS_MAX)
    }

    /// Command: adds `start .. end` to a set of at most `max` intervals.
    ///
    /// # Errors
    /// [`Full`] when it touches no interval and `max` are there.
    pub fn insert_within(&mut self, start: u64, end: u64, max: usize) -> Result<(), Full> {
        if start >= end {
            return Ok(());
        }
        // Everything that overlaps or touches `start .. end` becomes one interval.
        let apart = u64::from(planted::is(Bug::BlocksNeverMeet));
        let first = self.intervals.partition_point(|i| i.end < start + apart);
        let last = self.intervals.partition_point(|i| i.start <= end);
        if first == last {
            if self.intervals.len() >= max && !planted::is(Bug::EndlessGaps) {
                return Err(Full);
            }
            if self.intervals.capacity() == 0 {
                // At once, and not one after the other in the midst of trouble.
                self.intervals.reserve_exact(max.min(INTERVALS_FIRST));
            }
            self.intervals.insert(first, Interval { start, end });
            self.bytes += end - start;
        } else if let Some(touched) = self.intervals.get(first..last)
            && let (Some(head), Some(tail)) = (touched.first(), touched.last())
        {
            let merged = Interval { start: start.min(head.start), end: end.max(tail.end) };
            self.bytes -= touched.iter().map(Interval::len).sum::<u64>();
            self.bytes += merged.len();
            self.intervals.drain(first + 1..last);
            if let Some(slot) = self.intervals.get_mut(first) {
                *slot = merged;
            }
        }
        self.touch(start);
        Ok(())
    }

    /// Command: what lies at `offset` arrived just now, for the first time or again.
    pub fn touch(&mut self, offset: u64) {
        if planted::is(Bug::OldestBlockFirst) {
            return;
        }
        self.recent.rotate_right(1);
        self.recent[0] = offset;
    }

    /// Command: everything below `edge` is in order; returns the new edge, which lies behind the
    /// interval that `edge` reaches, if any.
    pub fn advance(&mut self, edge: u64) -> u64 {
        let reached = self.intervals.partition_point(|i| i.start <= edge);
        let edge =
            self.intervals.get(..reached).and_then(<[_]>::last).map_or(edge, |i| edge.max(i.end));
        self.forget(..reached);
        edge
    }

    /// Command: forgets what lies below `edge`, and nothing else.
    pub fn discard_below(&mut self, edge: u64) {
        let below = self.intervals.partition_point(|i| i.end <= edge);
        self.forget(..below);
        if let Some(first) = self.intervals.first_mut().filter(|i| i.start < edge) {
            self.bytes -= edge - first.start;
            first.start = edge;
        }
    }

    /// Getter: bytes in the set.
    pub const fn bytes(&self) -> u64 {
        self.bytes
    }

    /// Command: forgets the intervals that begin at `offset` or beyond.
    pub fn discard_from(&mut self, offset: u64) {
        let before = self.intervals.partition_point(|i| i.start < offset);
        self.forget(before..);
    }

    /// Command: forgets what lies at `offset` and beyond. Returns whether there was anything.
    pub fn cut_at(&mut self, offset: u64) -> bool {
        let before = self.bytes;
        self.discard_from(offset);
        if let Some(last) = self.intervals.last_mut().filter(|i| i.end > offset) {
            self.bytes -= last.end - offset;
            last.end = offset;
        }
        self.bytes < before
    }

    fn forget(&mut self, which: impl RangeBounds<usize>) {
        self.bytes -= self.intervals.drain(which).map(|i| i.len()).sum::<u64>();
    }

    /// Output: up to `max` intervals for the SACK option: first the one that holds the latest arrival,
    /// then those of the arrivals before it (RFC 2018 §4), then the remaining ones. `fin`: where the stream ends, beyond the edge;
    /// an empty interval stands for it where it touches no other.
    pub fn sack_blocks(&self, max: usize, fin: Option<u64>, mut each: impl FnMut(Interval)) {
        let mut told = [Interval { start: 0, end: 0 }; RECENT_MAX];
        let mut count = 0;
        let end = self.intervals.last().map(|i| i.end);
        let lone = fin.filter(|fin| end != Some(*fin)).map(|fin| Interval { start: fin, end: fin });
        let holding = |offset: u64| {
            if fin == Some(offset) {
                // FIN lies behind the last interval, or within it as its last number.
                return lone.or(self.intervals.last().copied());
            }
            let at = self.intervals.partition_point(|i| i.end <= offset);
            self.intervals.get(at).copied().filter(|i| i.start <= offset)
        };
        let recent = self.recent.iter().filter_map(|offset| holding(*offset));
        for interval in recent.chain(self.intervals.iter().copied()).chain(lone) {
            if count >= max.min(RECENT_MAX) {
                break;
            }
            if !told[..count].contains(&interval) {
                told[count] = interval;
                count += 1;
                each(interval);
            }
        }
    }

    /// Getter: true when what was read back is a set that this code could have made beyond `edge`.
    pub fn is_valid(&self, edge: u64) -> bool {
        let beyond = self.intervals.first().is_none_or(|i| i.start > edge);
        beyond && self.is_ordered() && self.intervals.len() <= INTERVALS_MAX
    }

    /// Getter: true when the intervals are what they are said to be: disjoint, not adjacent, ascending, and of so many bytes.
    pub fn is_ordered(&self) -> bool {
        self.intervals.iter().all(|i| i.start < i.end)
            && self.intervals.windows(2).all(|w| w[0].end < w[1].start)
            // Disjoint, so that the sum fits.
            && self.intervals.iter().map(Interval::len).sum::<u64>() == self.bytes
    }
}

#[cfg(test)]
mod tests {
    use alloc::collections::BTreeSet;

    use proptest::prelude::*;

    use super::*;

    #[test]
    fn what_lies_beyond_a_cut_is_gone() {
        let mut set = Assembler::new();
        for start in [10, 30, 50] {
            set.insert(start, start + 10).unwrap();
        }
        assert!(!set.cut_at(60), "nothing lies there");
        assert!(set.cut_at(35));
        assert_eq!(
            set.intervals(),
            [Interval { start: 10, end: 20 }, Interval { start: 30, end: 35 }]
        );
        assert_eq!(set.bytes(), 15);
        assert!(set.cut_at(30) && set.cut_at(0) && set.is_empty() && set.bytes() == 0);
    }

    #[test]
    fn the_newest_arrival_is_the_first_sack_block() {
        let mut set = Assembler::new();
        for start in [30, 10, 50, 70, 90] {
            set.insert(start, start + 5).unwrap();
        }
        set.insert(35, 36).unwrap();
        let mut blocks = Vec::new();
        set.sack_blocks(4, None, |i| blocks.push((i.start, i.end)));
        assert_eq!(blocks, [(30, 36), (90, 95), (70, 75), (50, 55)]);
    }

    #[test]
    fn the_end_of_the_stream_is_told_first_when_it_arrives_last() {
        let told = |fin: u64| {
            let mut set = Assembler::new();
            set.insert(30, 40).unwrap();
            set.insert(10, 20).unwrap();
            set.touch(fin);
            let mut blocks = Vec::new();
            set.sack_blocks(3, Some(fin), |i| blocks.push((i.start, i.end)));
            blocks
        };
        assert_eq!(told(40), [(30, 40), (10, 20)], "it touches the last interval");
        assert_eq!(told(50), [(50, 50), (10, 20), (30, 40)], "it lies alone");
    }

    #[test]
    fn a_hostile_order_of_arrival_is_bounded() {
        let mut set = Assembler::new();
        for i in 0..INTERVALS_MAX as u64 {
            assert_eq!(set.insert(i * 10 + 1, i * 10 + 2), Ok(()));
        }
        let before = set.clone();
        let beyond = INTERVALS_MAX as u64 * 10 + 1;
        assert_eq!(set.insert(beyond, beyond + 1), Err(Full));
        assert_eq!(set, before);
        assert_eq!(set.insert(2, 3), Ok(()), "what touches an interval needs no room");
    }

    proptest! {
        /// The model: a set of single offsets.
        #[test]
        fn intervals_are_what_a_byte_map_says(
            steps in proptest::collection::vec((0u64..120, 0u64..20, any::<bool>()), 1..60),
        ) {
            let mut set = Assembler::new();
            let mut model = BTreeSet::new();
            let mut edge = 0;
            for (start, len, advance) in steps {
                if advance && start / 4 > edge {
                    edge = start / 4;
                    model.retain(|o| *o >= edge);
                    let new = set.advance(edge);
                    while model.remove(&edge) {
                        edge += 1;
                    }
                    prop_assert_eq!(new, edge);
                } else if start > edge {
                    let gap = (start..start + len).find(|o| !model.contains(o)).map(|from| {
                        let until = (from..start + len).find(|o| model.contains(o));
                        Interval { start: from, end: until.unwrap_or(start + len) }
                    });
                    prop_assert_eq!(set.first_gap(start, start + len), gap);
                    prop_assert_eq!(set.insert(start, start + len), Ok(()));
                    model.extend(start..start + len);
                }
                prop_assert!(set.is_valid(edge));
                let held: BTreeSet<u64> =
                    set.intervals().iter().flat_map(|i| i.start..i.end).collect();
                prop_assert_eq!(&held, &model);
                prop_assert_eq!(set.bytes(), model.len() as u64);
            }
        }
    }
}
