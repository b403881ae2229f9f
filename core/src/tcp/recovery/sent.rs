//! What is in flight: one record a transmission, in the order of the stream.
//!
//! Records lie end to end from `snd_una` to `snd_max`, so one is found by a binary search. Positions are stream offsets; FIN
//! takes the one behind the last byte.

use alloc::collections::VecDeque;

use serde::{Deserialize, Serialize};

use crate::planted::{self, Bug};
use crate::time::Instant;

/// Most records that new data may fill; beyond, the window has to wait for an acknowledgement. Reached by peers or applications
/// whose segments are tiny (CVE-2019-11478), not by windows that are large.
pub(in crate::tcp) const RECORDS_MAX: usize = 16_384;

/// Facts about a record.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(in crate::tcp) struct Marks(u16);

impl Marks {
    /// The peer holds it.
    pub(in crate::tcp) const SACKED: u16 = 1;
    /// Its last transmission is believed lost, or was, before it was sent again.
    pub(in crate::tcp) const LOST: u16 = 2;
    /// A retransmission of it is under way.
    pub(in crate::tcp) const RETRANS: u16 = 4;
    /// It was sent more than once.
    pub(in crate::tcp) const EVER: u16 = 8;
    /// The application had no more to send when it left (draft-cheng-iccrg-delivery-rate-estimation §2.2).
    pub(in crate::tcp) const APP_LIMITED: u16 = 16;
    /// Its last position is FIN.
    pub(in crate::tcp) const FIN: u16 = 32;
    /// Its last byte ends what the application wrote: it is pushed whenever it leaves.
    pub(in crate::tcp) const PUSHED: u16 = 64;
    /// Its last transmission is lost, and congestion control does not know yet.
    pub(in crate::tcp) const UNTOLD: u16 = 128;
    /// It was the end of a burst of several segments.
    pub(in crate::tcp) const BURST: u16 = 256;
    /// What is under way of it is a tail loss probe, not a retransmission of what is believed lost.
    pub(in crate::tcp) const PROBE: u16 = 512;
    /// What follows goes into segments of its own (MSG_EOR).
    pub(in crate::tcp) const RECORD: u16 = 1_024;

    pub(in crate::tcp) const fn has(self, mark: u16) -> bool {
        self.0 & mark != 0
    }

    pub(in crate::tcp) const fn set(&mut self, mark: u16) {
        self.0 |= mark;
    }

    pub(in crate::tcp) const fn clear(&mut self, mark: u16) {
        self.0 &= !mark;
    }
}

/// One transmission: a segment, or a burst that the NIC cuts into segments.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(in crate::tcp) struct Sent {
    /// One past its last position.
    pub(in crate::tcp) end: u64,
    /// When it last left.
    pub(in crate::tcp) xmit_time: Instant,
    /// When the latest of those was delivered (P.delivered_time).
    pub(in crate::tcp) delivered_time: Instant,
    /// When the flight that it belongs to began to leave (P.first_sent_time).
    pub(in crate::tcp) first_sent_time: Instant,
    /// Bytes delivered when it left, modulo 2^32 (P.delivered).
    pub(in crate::tcp) delivered: u32,
    /// Positions that it takes.
    pub(in crate::tcp) len: u32,
    /// The number of the transmission, modulo 2^32: many leave at one moment.
    pub(in crate::tcp) serial: u32,
    pub(in crate::tcp) marks: Marks,
}

impl Sent {
    /// Getter: its first position.
    pub(in crate::tcp) const fn start(&self) -> u64 {
        self.end - self.len as u64
    }

    /// Getter: bytes of the stream, without FIN.
    pub(in crate::tcp) const fn data(&self) -> u32 {
        self.len - self.marks.has(Marks::FIN) as u32
    }

    /// Getter: how many segments of at most `mss` fewer the `left` bytes are that are left of the record of which it was the beginning;
    /// `None`: it is all of it. A part that ends in the midst of a segment delivers none of it.
    #[inline]
    pub(in crate::tcp) fn segments_before(&self, left: Option<u32>, mss: u32) -> u32 {
        match left {
            Some(left) if !planted::is(Bug::PartIsASegment) => {
                (self.len + left).div_ceil(mss) - left.div_ceil(mss).max(1)
            }
            Some(_) | None => self.segments(mss),
        }
    }

    /// Getter: segments of at most `mss` that it was sent as.
    pub(in crate::tcp) const fn segments(&self, mss: u32) -> u32 {
        if self.len <= mss || self.data() <= mss { 1 } else { self.data().div_ceil(mss) }
    }

    /// Getter: where the last of these segments begins.
    pub(in crate::tcp) const fn last_segment(&self, mss: u32) -> u64 {
        self.start() + ((self.segments(mss) - 1) * mss) as u64
    }

    /// Getter: `next` left right behind it, in one burst, and of neither is anything known since.
    fn is_followed_by(&self, next: &Self) -> bool {
        let known = Marks::SACKED | Marks::LOST | Marks::RETRANS | Marks::EVER | Marks::UNTOLD;
        let ends = Marks::BURST | Marks::PUSHED | Marks::RECORD | Marks::FIN;
        self.xmit_time == next.xmit_time
            && !self.marks.has(known | ends)
            && !next.marks.has(known)
            && !planted::is(Bug::TooBigOneByOne)
    }

    /// Getter: when it last left.
    pub(in crate::tcp) const fn stamp(&self) -> Stamp {
        Stamp { xmit_time: self.xmit_time, serial: self.serial, end: self.end }
    }
}

/// A moment of transmission.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(in crate::tcp) struct Stamp {
    pub(in crate::tcp) xmit_time: Instant,
    serial: u32,
    end: u64,
}

impl Stamp {
    /// Getter: whether it is later than `other` (RACK_sent_after of RFC 8985 §6.2). What leaves at one moment is in the order in which it
    /// left, not in that of the stream, as the RFC has it: retransmissions and new data often leave together. The parts of one burst
    /// are in that of the stream.
    #[inline]
    pub(in crate::tcp) fn is_after(self, other: Self) -> bool {
        self.xmit_time > other.xmit_time
            || (self.xmit_time == other.xmit_time
                && match self.serial.wrapping_sub(other.serial).cast_signed() {
                    0 => self.end > other.end,
                    distance => distance > 0,
                })
    }
}

/// The records, ascending and without gaps.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(in crate::tcp) struct SentQueue {
    records: VecDeque<Sent>,
}

impl SentQueue {
    pub(in crate::tcp) fn len(&self) -> usize {
        self.records.len()
    }

    pub(in crate::tcp) fn capacity(&self) -> usize {
        self.records.capacity()
    }

    pub(in crate::tcp) fn is_full(&self) -> bool {
        self.records.len() >= RECORDS_MAX
    }

    pub(in crate::tcp) fn push(&mut self, record: Sent) {
        self.records.push_back(record);
    }

    pub(in crate::tcp) fn front(&self) -> Option<&Sent> {
        self.records.front()
    }

    pub(in crate::tcp) fn last(&self) -> Option<&Sent> {
        self.records.back()
    }

    pub(in crate::tcp) fn get(&self, index: usize) -> Option<&Sent> {
        self.records.get(index)
    }

    pub(in crate::tcp) fn get_mut(&mut self, index: usize) -> Option<&mut Sent> {
        self.records.get_mut(index)
    }

    pub(in crate::tcp) fn iter(&self) -> impl DoubleEndedIterator<Item = &Sent> {
        self.records.iter()
    }

    pub(in crate::tcp) fn iter_mut(&mut self) -> impl Iterator<Item = &mut Sent> {
        self.records.iter_mut()
    }

    /// Getter: the index of the record that holds `position`, or of the first one behind it.
    pub(in crate::tcp) fn index_of(&self, position: u64) -> usize {
        self.records.partition_point(|r| r.end <= position)
    }

    /// Output: takes out the first record if all of it lies below `una`; of one that `una` lies in, the part below. With it, the
    /// bytes that are left of that record.
    #[inline]
    pub(in crate::tcp) fn take_below(&mut self, una: u64) -> Option<(Sent, Option<u32>)> {
        let front = self.records.front_mut()?;
        if front.end <= una {
            return self.records.pop_front().map(|record| (record, None));
        }
        let start = front.start();
        if start >= una {
            return None;
        }
        let mut part = *front;
        part.end = una;
        part.len = (una - start) as u32;
        part.marks.clear(Marks::FIN);
        front.len -= part.len;
        Some((part, Some(front.data())))
    }

    /// Command: makes one record of those that left as one burst and of which nothing is known since.
    pub(in crate::tcp) fn join_bursts(&mut self) {
        let mut last = 0;
        for index in 1..self.records.len() {
            let record = self.records[index];
            if self.records[last].is_followed_by(&record) {
                let len = self.records[last].len + record.len;
                self.records[last] = Sent { len, ..record };
            } else {
                last += 1;
                self.records[last] = record;
            }
        }
        self.records.truncate(last + 1);
    }

    /// Command: makes one record of the one at `index` and the one behind it, which is returned.
    pub(in crate::tcp) fn join(&mut self, index: usize) -> Option<Sent> {
        let next = self.records.remove(index + 1)?;
        let record = self.records.get_mut(index)?;
        record.end = next.end;
        record.len += next.len;
        record.marks.set(next.marks.0);
        Some(next)
    }

    /// Command: makes two records of the one at `index`; the second begins at `at`, which lies inside.
    pub(in crate::tcp) fn split(&mut self, index: usize, at: u64) {
        let Some(record) = self.records.get_mut(index) else { return };
        if at <= record.start() || at >= record.end {
            return;
        }
        let mut second = *record;
        second.len = (record.end - at) as u32;
        record.len -= second.len;
        record.end = at;
        record.marks.clear(Marks::FIN | Marks::PUSHED | Marks::BURST | Marks::RECORD);
        self.records.insert(index + 1, second);
    }

    /// Getter: whether what was read back covers `una .. max` and nothing else.
    pub(in crate::tcp) fn is_valid(&self, una: u64, max: u64) -> bool {
        let mut edge = una;
        let ordered = self.records.iter().all(|r| {
            let fits = r.len > 0 && r.end > edge && u64::from(r.len) == r.end - edge;
            edge = r.end;
            fits
        });
        ordered && edge == max
    }
}

#[cfg(test)]
mod tests {
    extern crate std;

    use super::*;

    fn queue(ends: &[u64]) -> SentQueue {
        let mut queue = SentQueue::default();
        let mut start = 0;
        for &end in ends {
            queue.push(Sent { end, len: (end - start) as u32, ..Sent::default() });
            start = end;
        }
        queue
    }

    #[test]
    fn a_record_is_found_by_each_of_its_positions_and_splits_anywhere_inside() {
        let mut queue = queue(&[10, 30, 35]);
        let at = |q: &SentQueue, position| q.get(q.index_of(position)).map(|r| (r.start(), r.end));
        assert_eq!(at(&queue, 9), Some((0, 10)));
        assert_eq!(at(&queue, 10), Some((10, 30)));
        assert_eq!(at(&queue, 35), None);
        queue.split(1, 10);
        queue.split(1, 30);
        assert_eq!(at(&queue, 29), Some((10, 30)), "the edges are not inside");
        queue.split(1, 12);
        assert_eq!(at(&queue, 11), Some((10, 12)));
        assert_eq!(at(&queue, 12), Some((12, 30)));
        assert!(queue.is_valid(0, 35) && !queue.is_valid(0, 36) && !queue.is_valid(1, 35));
    }

    #[test]
    fn what_lies_below_an_edge_is_taken_out_record_by_record_and_then_in_part() {
        let mut queue = queue(&[10, 30]);
        let part = |(r, left): (Sent, Option<u32>)| (r.start(), r.end, left);
        assert_eq!(queue.take_below(14).map(part), Some((0, 10, None)));
        assert_eq!(queue.take_below(14).map(part), Some((10, 14, Some(16))));
        assert_eq!(queue.take_below(14), None);
        assert!(queue.is_valid(14, 30));
    }

    #[test]
    fn each_segment_counts_once_however_it_is_acknowledged_in_parts() {
        let mut queue = queue(&[10, 35]);
        let mut below = |una| queue.take_below(una).map(|(r, left)| r.segments_before(left, 10));
        assert_eq!([below(4), below(10)], [Some(0), Some(1)]);
        assert_eq!([below(15), below(30), below(31), below(35)], [1, 1, 0, 1].map(Some));
        // A segment that bears a FIN is not delivered before the FIN is.
        let mut record = Sent { end: 11, len: 11, ..Sent::default() };
        record.marks.set(Marks::FIN);
        let mut queue = SentQueue::default();
        queue.push(record);
        let mut below = |una| queue.take_below(una).map(|(r, left)| r.segments_before(left, 10));
        assert_eq!([below(5), below(10), below(11)], [0, 0, 1].map(Some));
    }

    #[test]
    fn of_two_that_left_at_one_moment_the_later_transmission_is_later_also_when_the_count_wraps() {
        let at = |serial| Sent { serial, ..Sent::default() }.stamp();
        assert!(at(0).is_after(at(u32::MAX)) && !at(u32::MAX).is_after(at(0)));
        assert!(!at(7).is_after(at(7)));
    }

    #[test]
    fn of_the_parts_of_one_burst_the_one_that_lies_behind_is_later() {
        let mut queue = queue(&[30]);
        queue.split(0, 10);
        let stamp = |index| queue.get(index).unwrap().stamp();
        assert!(stamp(1).is_after(stamp(0)) && !stamp(0).is_after(stamp(1)));
    }

    #[test]
    fn what_left_as_one_burst_becomes_one_record() {
        let mut queue = queue(&[10, 20, 30, 40, 50]);
        queue.get_mut(1).unwrap().marks.set(Marks::BURST);
        queue.get_mut(3).unwrap().marks.set(Marks::SACKED);
        queue.join_bursts();
        let ends: std::vec::Vec<_> = queue.iter().map(|r| (r.start(), r.end)).collect();
        assert_eq!(ends, [(0, 20), (20, 30), (30, 40), (40, 50)]);
        assert!(queue.is_valid(0, 50));
        let mut empty = SentQueue::default();
        empty.join_bursts();
        assert!(empty.is_valid(0, 0));
    }

    #[test]
    fn a_record_takes_48_bytes() {
        assert_eq!(size_of::<Sent>(), 48);
    }
}
