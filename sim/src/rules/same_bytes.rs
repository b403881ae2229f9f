//! A sequence number is the same byte whenever it is sent.
//!
//! Kept are sums of the stream up to places where segments begin or end, among what is not acknowledged. A retransmission between two
//! such places has to have their difference. One with a place of its own adds that place, so that the next one is judged by it. What is
//! missed: bytes that change places at distances of a multiple of four, and a retransmission neither end of which is known.

use std::collections::VecDeque;

use super::connection::{End, Segment};
use super::registry::TCP_SAME_BYTES;
use super::report::{Report, Scene};
use crate::packet::PayloadSum;

/// Most places that are kept.
const MARKS_MAX: usize = 16_384;

/// The sums.
#[derive(Debug, Default)]
pub(super) struct Sums {
    /// Place, and sum of all before it.
    marks: VecDeque<(i64, PayloadSum)>,
}

impl Sums {
    /// Input: `from .. to` is sent with the sum `sum`, which counts places from 0. False: other bytes than before.
    #[inline]
    pub(super) fn sent(&mut self, from: i64, to: i64, sum: PayloadSum) -> bool {
        let sum = sum.at(from);
        match self.marks.back() {
            Some(&(last, before)) if last == from => {
                if self.marks.len() >= MARKS_MAX {
                    self.marks.pop_front();
                }
                self.marks.push_back((to, before.and(sum)));
                true
            }
            Some(&(last, _)) if from < last => self.again(from, to, sum),
            Some(_) | None => {
                self.marks.clear();
                self.marks.push_back((from, PayloadSum::default()));
                self.marks.push_back((to, sum));
                true
            }
        }
    }

    #[inline(never)]
    fn again(&mut self, from: i64, to: i64, sum: PayloadSum) -> bool {
        let find = |marks: &VecDeque<(i64, PayloadSum)>, place: i64| {
            marks.binary_search_by_key(&place, |&(place, _)| place)
        };
        match (find(&self.marks, from), find(&self.marks, to)) {
            (Ok(left), Ok(right)) => {
                let (_, before) = self.marks[left];
                before.and(sum).same(self.marks[right].1)
            }
            (Ok(left), Err(place)) => {
                let all = self.marks[left].1.and(sum);
                self.add(place, to, all);
                true
            }
            (Err(place), Ok(right)) if place > 0 => {
                let all = self.marks[right].1.less(sum);
                self.add(place, from, all);
                true
            }
            (Err(_), _) => true,
        }
    }

    fn add(&mut self, place: usize, at: i64, sum: PayloadSum) {
        if self.marks.len() < MARKS_MAX {
            self.marks.insert(place, (at, sum));
        }
    }

    /// Input: all before `una` is acknowledged.
    #[inline]
    pub(super) fn acknowledged(&mut self, una: i64) {
        while let Some(&(second, _)) = self.marks.get(1)
            && second <= una
        {
            self.marks.pop_front();
        }
    }
}

/// Input: the host sends `segment`.
#[inline]
pub(super) fn sent(end: &mut End, segment: &Segment<'_>, scene: &Scene, out: &mut Report) {
    if segment.payload == 0 {
        return;
    }
    let (from, to) = (segment.from, segment.from + segment.payload);
    if !end.sums.sent(from, to, segment.sum) {
        out.broken(TCP_SAME_BYTES, scene, format!("other bytes at {from} .. {to} than before"));
    }
}
