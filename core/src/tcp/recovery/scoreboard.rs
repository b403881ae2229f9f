//! Selective acknowledgements (RFC 2018, RFC 2883) marked on the records of what was sent.

use super::flight::{Delivery, Flight};
use super::sent::{Marks, RECORDS_MAX, Sent};
use crate::planted::{self, Bug};

/// Most ranges kept. Of more, the latest are not believed (CVE-2019-11477, CVE-2019-11478), which costs a retransmission.
const RANGES_MAX: usize = 1_024;

impl Flight {
    /// Input: the peer holds `left .. right`, which lies in `una .. max`. Costs a search, and each record once.
    pub(in crate::tcp) fn sack(
        &mut self,
        left: u64,
        right: u64,
        mss: u32,
        delivery: &mut Delivery,
    ) {
        let mut from = left;
        while let Some(gap) = self.sacked.first_gap(from, right) {
            self.sack_gap(gap.start, gap.end, mss, delivery);
            from = gap.end;
        }
    }

    /// Returns how many records it looked at.
    fn sack_gap(&mut self, left: u64, right: u64, mss: u32, delivery: &mut Delivery) -> usize {
        let mut index = self.sent.index_of(left);
        let mut looks = 0;
        while let Some(record) = self.sent.get(index).copied().filter(|r| r.start() < right) {
            index += 1;
            looks += 1;
            let (from, to) = whole_segments(&record, left, right, mss);
            if from >= to {
                continue;
            }
            let whole = from == record.start() && to == record.end;
            let ranges = if planted::is(Bug::EndlessRanges) { usize::MAX } else { RANGES_MAX };
            if !whole && self.sent.len() >= 2 * RECORDS_MAX {
                continue;
            }
            if self.sacked.insert_within(from, to, ranges).is_err() {
                // There is no room for another range: of the rest only the end touches one that is known.
                index = index.max(self.sent.index_of(right - 1));
                continue;
            }
            if from > record.start() {
                self.split(index - 1, from);
                index += 1;
            }
            if to < record.end {
                self.split(index - 1, to);
            }
            self.mark_sacked(index - 1, mss, delivery);
        }
        looks
    }

    fn mark_sacked(&mut self, index: usize, mss: u32, delivery: &mut Delivery) {
        let Some(record) = self.sent.get(index).copied() else { return };
        delivery.ascertain(&record, false);
        self.deliver(&record, record.segments(mss), delivery);
        if !record.marks.has(Marks::EVER) {
            let span = delivery.sacked.get_or_insert((record.xmit_time, record.xmit_time));
            span.1 = record.xmit_time;
        }
        self.sacked_bytes += record.len;
        self.sacked_segments += record.segments(mss);
        self.fack = self.fack.max(record.end);
        if let Some(record) = self.sent.get_mut(index) {
            record.marks.set(Marks::SACKED);
            record.marks.clear(Marks::LOST | Marks::RETRANS);
        }
    }

    /// Command: the peer took back what it said (RFC 2018 §8): nothing of it is believed any more.
    pub(in crate::tcp) fn forget_sacked(&mut self) {
        for record in self.sent.iter_mut() {
            record.marks.clear(Marks::SACKED);
        }
        self.sacked.discard_below(u64::MAX);
        self.sacked_bytes = 0;
        self.sacked_segments = 0;
        // What comes late now has overtaken nothing.
        if !planted::is(Bug::RenegedOvertaken) {
            self.fack = self.una;
        }
    }

    /// Getter: the peer holds what it does not acknowledge: it took something back.
    pub(in crate::tcp) fn is_reneged(&self) -> bool {
        let seen = !planted::is(Bug::RenegingUnseen);
        seen && self.sent.front().is_some_and(|r| r.marks.has(Marks::SACKED))
    }
}

/// The part of `record` that lies in `left .. right`, in whole segments: the peer never holds half of one.
fn whole_segments(record: &Sent, left: u64, right: u64, mss: u32) -> (u64, u64) {
    let (start, mss) = (record.start(), u64::from(mss));
    let from = start + left.saturating_sub(start).next_multiple_of(mss);
    let to =
        if right >= record.end { record.end } else { right - right.saturating_sub(start) % mss };
    (from, to)
}

#[cfg(test)]
mod tests {
    use std::vec::Vec;

    use proptest::prelude::*;

    use super::*;
    use crate::tcp::recovery::rack::Path;
    use crate::time::{Duration, Instant};

    const MSS: u32 = 10;

    fn at(ms: u64) -> Instant {
        Instant::from_nanos(ms * 1_000_000)
    }

    fn sack(flight: &mut Flight, left: u64, right: u64) -> Delivery {
        let mut delivery = Delivery::default();
        flight.sack(left, right, MSS, &mut delivery);
        delivery
    }

    #[test]
    fn of_a_burst_whole_segments_are_marked_and_parts_of_one_never() {
        let mut flight = Flight::new(0);
        flight.push(at(0), 100, false);
        assert_eq!(sack(&mut flight, 15, 19).bytes, 0);
        assert_eq!(sack(&mut flight, 15, 45).bytes, 20, "20 to 40");
        assert_eq!(sack(&mut flight, 15, 45).bytes, 0, "no news");
        assert_eq!(sack(&mut flight, 95, 100).bytes, 0);
        assert_eq!(sack(&mut flight, 90, 100).bytes, 10);
        assert_eq!((flight.sacked_bytes, flight.sacked_segments), (30, 3));
        assert!(flight.is_valid(0, 100));
    }

    #[test]
    fn a_block_that_is_not_believed_costs_no_walk_and_its_end_is_taken() {
        let mut flight = Flight::new(0);
        // A record a segment: no two left at one moment.
        let segments = 4 * RANGES_MAX as u64;
        (1..=segments).for_each(|i| flight.push(at(i), i * 10, false));
        let known = 2 * RANGES_MAX as u64 * 10;
        for i in (0..known).step_by(20) {
            sack(&mut flight, i + 10, i + 20);
        }
        // Beyond all of them, and touching nothing.
        let mut delivery = Delivery::default();
        let looks = flight.sack_gap(known + 10, segments * 10, MSS, &mut delivery);
        assert_eq!((looks, delivery.bytes), (2, 0));
        // Between two that are known.
        flight.sacked.discard_below(20);
        sack(&mut flight, segments * 10 - 10, segments * 10);
        let looks = flight.sack_gap(known + 10, segments * 10 - 10, MSS, &mut delivery);
        assert_eq!((looks, delivery.bytes), (2, 10));
        assert_eq!(flight.sacked.intervals().len(), RANGES_MAX);
    }

    #[test]
    fn hostile_blocks_are_bounded_and_the_latest_not_believed() {
        let mut flight = Flight::new(0);
        let segments = 4 * RANGES_MAX as u64;
        flight.push(at(0), segments * 10, false);
        for i in (1..segments).step_by(2) {
            sack(&mut flight, i * 10, i * 10 + 10);
        }
        assert_eq!(flight.sacked.intervals().len(), RANGES_MAX);
        assert_eq!(flight.sacked_segments as usize, RANGES_MAX);
        assert!(flight.is_valid(0, segments * 10));
    }

    #[test]
    fn a_peer_that_takes_back_what_it_said_is_found_out_when_the_front_is_held() {
        let mut flight = Flight::new(0);
        flight.push(at(0), 100, false);
        sack(&mut flight, 10, 30);
        assert!(!flight.is_reneged());
        flight.acknowledge(10, MSS, &mut Delivery::default());
        assert!(flight.is_reneged());
        flight.forget_sacked();
        assert!(!flight.is_reneged() && flight.is_valid(10, 100));
    }

    /// What is known of each position.
    #[derive(Clone, Copy, Debug, Default, PartialEq)]
    struct Position {
        sacked: bool,
        lost: bool,
        retrans: bool,
    }

    #[derive(Clone, Debug)]
    enum Step {
        Push(u64),
        Ack(u64),
        Sack(u64, u64),
        Lose(u64),
        Resend,
        Unmark,
        Forget,
        Detect,
    }

    fn steps() -> impl Strategy<Value = Vec<Step>> {
        let step = prop_oneof![
            3 => (1u64..8).prop_map(Step::Push),
            2 => (0u64..12).prop_map(Step::Ack),
            4 => (0u64..60, 1u64..40).prop_map(|(left, len)| Step::Sack(left, len)),
            2 => (0u64..60).prop_map(Step::Lose),
            3 => Just(Step::Resend),
            1 => Just(Step::Unmark),
            1 => Just(Step::Forget),
            2 => Just(Step::Detect),
        ];
        proptest::collection::vec(step, 1..120)
    }

    /// A flight and a map of its positions, which forget nothing and search everywhere.
    struct Model {
        flight: Flight,
        map: Vec<Position>,
        una: u64,
    }

    impl Model {
        fn apply(&mut self, now: u64, step: &Step) {
            let max = self.flight.max;
            match *step {
                Step::Push(segments) => {
                    let end = max + segments * 10;
                    self.flight.push(at(now), end, false);
                    self.map.resize((end - self.una) as usize, Position::default());
                }
                Step::Ack(some) => {
                    let una = (self.una + some * 7).min(max);
                    self.flight.acknowledge(una, MSS, &mut Delivery::default());
                    self.map.drain(..(una - self.una) as usize);
                    self.una = una;
                }
                Step::Sack(left, len) => {
                    let (left, right) = (self.una + left, (self.una + left + len).min(max));
                    if left < right {
                        self.sack(left, right, now);
                    }
                }
                Step::Lose(from) => {
                    let index = self.flight.sent.index_of(self.una + from);
                    let sacked = |r: &Sent| r.marks.has(Marks::SACKED);
                    if let Some(record) = self.flight.sent.get(index).filter(|r| !sacked(r)) {
                        let range = self.range(record);
                        self.flight.mark_lost(index);
                        self.map[range].fill(Position { lost: true, ..Position::default() });
                    }
                }
                Step::Resend => {
                    let first = self.map.iter().position(|p| p.lost && !p.retrans);
                    let index = self.flight.next_lost();
                    assert_eq!(
                        index.and_then(|i| self.flight.sent.get(i)).map(|r| r.start()),
                        first.map(|at| self.una + at as u64)
                    );
                    if let Some(index) = index {
                        let range = self.range(self.flight.sent.get(index).unwrap());
                        self.flight.retransmitted(at(now), index);
                        self.map[range].iter_mut().for_each(|p| p.retrans = true);
                    }
                }
                Step::Unmark => {
                    self.flight.unmark_lost();
                    self.map.iter_mut().for_each(|p| p.lost = false);
                }
                Step::Forget => {
                    self.flight.forget_sacked();
                    self.map.iter_mut().for_each(|p| p.sacked = false);
                }
                Step::Detect => self.detect(now),
            }
        }

        fn range(&self, record: &Sent) -> std::ops::Range<usize> {
            (record.start() - self.una) as usize..(record.end - self.una) as usize
        }

        fn sack(&mut self, left: u64, right: u64, now: u64) {
            for record in self.flight.sent.iter() {
                let (from, to) = whole_segments(record, left, right, MSS);
                if from < to && to > left {
                    let range = (from - self.una) as usize..(to - self.una) as usize;
                    let held = Position { sacked: true, ..Position::default() };
                    self.map[range].fill(held);
                }
            }
            let mut delivery = Delivery::default();
            self.flight.sack(left, right, MSS, &mut delivery);
            if delivery.bytes > 0 {
                let last = delivery.newest.xmit_time;
                self.flight.rack.delivered(at(now), &delivery.newest, last, false);
            }
        }

        /// Whatever RACK finds lost was in flight, and left before something that was delivered.
        fn detect(&mut self, now: u64) {
            let path = Path {
                now: at(now),
                min_rtt: Duration::from_millis(4),
                srtt: Duration::from_millis(4),
                reorders: true,
                recovering: false,
            };
            let before: Vec<Sent> = self.flight.sent.iter().copied().collect();
            self.flight.detect_loss(&path);
            for (was, is) in before.iter().zip(self.flight.sent.iter()) {
                let newly = is.marks != was.marks;
                if newly {
                    assert!(!was.marks.has(Marks::SACKED));
                    let range = self.range(is);
                    self.map[range].fill(Position { lost: true, ..Position::default() });
                }
            }
        }
    }

    proptest! {
        #[test]
        fn records_say_what_a_map_of_every_position_says(
            una in prop_oneof![Just(0u64), Just((1 << 32) - 55), any::<u32>().prop_map(u64::from)],
            steps in steps(),
        ) {
            let mut model = Model { flight: Flight::new(una), map: Vec::new(), una };
            for (now, step) in steps.iter().enumerate() {
                model.apply(now as u64, step);
                let count = |f: fn(&Position) -> bool| model.map.iter().filter(|p| f(p)).count() as u32;
                let Flight { sacked_bytes, lost_bytes, retrans_bytes, max, .. } = model.flight;
                prop_assert_eq!(sacked_bytes, count(|p| p.sacked), "sacked after {:?}", step);
                prop_assert_eq!(lost_bytes, count(|p| p.lost), "lost after {:?}", step);
                prop_assert_eq!(retrans_bytes, count(|p| p.retrans), "again after {:?}", step);
                prop_assert!(model.flight.is_valid(model.una, max), "after {:?}", step);
            }
        }
    }
}
