//! What a host has received of a sequence space.

/// Most ranges beyond a gap that are told apart; further ones are joined, which makes more of what was received than is true.
const RANGES_MAX: usize = 512;
/// Most repetitions that are remembered.
const TWICE_MAX: usize = 32;

/// A range beyond a gap.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Range {
    pub(super) start: i64,
    pub(super) end: i64,
    /// The number of the last arrival that touched it.
    pub(super) touched: u64,
    /// The number of the last arrival that brought something new to it.
    pub(super) grown: u64,
}

/// What an arrival did.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Arrival {
    /// The in-order edge moved.
    pub(super) advanced: bool,
    /// ... over something that lay beyond a gap.
    pub(super) filled: bool,
    /// Something new lies beyond a gap.
    pub(super) beyond: bool,
    /// Some of it had come before.
    pub(super) again: bool,
}

/// Received sequence numbers as offsets from the peer's SYN, which is 0.
#[derive(Debug, Default)]
pub(super) struct Received {
    /// Everything below was received.
    pub(super) edge: i64,
    /// In order, apart from each other.
    pub(super) ranges: Vec<Range>,
    twice: Vec<(i64, i64)>,
    twice_next: usize,
    /// What has fallen out of `twice` lies in here.
    twice_hull: Option<(i64, i64)>,
    /// How often something arrived.
    pub(super) arrivals: u64,
}

impl Received {
    /// Nothing but what lies below `edge`.
    pub(super) fn begin(edge: i64) -> Self {
        Self { edge, ..Self::default() }
    }

    /// Input: `start .. end` arrived.
    #[inline]
    pub(super) fn insert(&mut self, start: i64, end: i64) -> Arrival {
        if end <= start {
            return Arrival::default();
        }
        self.arrivals += 1;
        if start == self.edge && self.ranges.is_empty() {
            self.edge = end;
            return Arrival { advanced: true, ..Arrival::default() };
        }
        self.insert_apart(start, end)
    }

    #[inline(never)]
    fn insert_apart(&mut self, start: i64, end: i64) -> Arrival {
        let mut arrival = Arrival::default();
        if start < self.edge {
            arrival.again = true;
            self.came_twice(start, end.min(self.edge));
        }
        let (start, mut end) = (start.max(self.edge), end);
        if end <= start {
            return arrival;
        }
        let number = self.arrivals;
        let first = self.ranges.partition_point(|range| range.end < start);
        let after = self.ranges.partition_point(|range| range.start <= end);
        let (mut low, mut covered, mut grown) = (start, 0, 0);
        for at in first..after {
            let range = self.ranges[at];
            let (from, to) = (range.start.max(start), range.end.min(end));
            if from < to {
                arrival.again = true;
                self.came_twice(from, to);
                covered += to - from;
            }
            low = low.min(range.start);
            grown = grown.max(range.grown);
        }
        let fresh = covered < end - start;
        if first < after {
            end = end.max(self.ranges[after - 1].end);
        }
        grown = if fresh { number } else { grown };
        let joined = Range { start: low, end, touched: number, grown };
        if low <= self.edge {
            arrival.advanced = true;
            arrival.filled = first < after;
            self.ranges.drain(first..after);
            self.edge = end;
            return arrival;
        }
        arrival.beyond = fresh;
        self.ranges.splice(first..after, [joined]);
        if self.ranges.len() > RANGES_MAX {
            let next = self.ranges.remove(1);
            let kept = &mut self.ranges[0];
            *kept = Range {
                end: next.end,
                touched: kept.touched.max(next.touched),
                grown: kept.grown.max(next.grown),
                start: kept.start,
            };
        }
        arrival
    }

    fn came_twice(&mut self, start: i64, end: i64) {
        if self.twice.len() < TWICE_MAX {
            self.twice.push((start, end));
            return;
        }
        let old = std::mem::replace(&mut self.twice[self.twice_next], (start, end));
        self.twice_next = (self.twice_next + 1) % TWICE_MAX;
        let hull = self.twice_hull.get_or_insert(old);
        *hull = (hull.0.min(old.0), hull.1.max(old.1));
    }

    /// Getter: all of `start .. end` was received.
    pub(super) fn holds(&self, start: i64, end: i64) -> bool {
        end <= self.edge || self.range_of(start, end).is_some()
    }

    /// Getter: the range that `start .. end` lies in.
    pub(super) fn range_of(&self, start: i64, end: i64) -> Option<&Range> {
        let at = self.ranges.partition_point(|range| range.end < end);
        self.ranges.get(at).filter(|range| range.start <= start)
    }

    /// Getter: all of `start .. end` may have come twice.
    pub(super) fn may_be_twice(&self, start: i64, end: i64) -> bool {
        let mut at = start;
        // Each pass moves on by one remembered repetition, or ends.
        for _ in 0..=self.twice.len() + 1 {
            let hull = self.twice_hull.iter();
            let next = self.twice.iter().chain(hull).filter(|(from, to)| *from <= at && at < *to);
            match next.map(|(_, to)| *to).max() {
                _ if at >= end => return true,
                Some(to) => at = to,
                None => return false,
            }
        }
        at >= end
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_gap_is_filled_and_what_came_twice_is_known() {
        let mut received = Received::begin(1);
        assert!(received.insert(1, 11).advanced);
        assert!(received.insert(21, 31).beyond);
        assert!(received.insert(41, 51).beyond);
        assert!(!received.holds(11, 31) && received.holds(21, 31) && received.holds(1, 5));
        assert!(received.insert(15, 25).again);
        assert!(received.may_be_twice(21, 25) && !received.may_be_twice(15, 25));
        let filled = received.insert(11, 15);
        assert!(filled.advanced && filled.filled);
        assert_eq!((received.edge, received.ranges.len()), (31, 1));
    }

    proptest! {
        #[test]
        fn it_is_what_a_set_of_numbers_says(
            arrivals in prop::collection::vec((0_i64..60, 1_i64..12), 1..40)
        ) {
            let mut received = Received::begin(0);
            let mut model = [0_u32; 80];
            for (start, len) in arrivals {
                received.insert(start, start + len);
                for at in start..start + len {
                    model[at as usize] += 1;
                }
                let edge = model.iter().position(|times| *times == 0).expect("room");
                prop_assert_eq!(received.edge, edge as i64);
            }
            for (at, times) in model.iter().enumerate() {
                let at = at as i64;
                prop_assert_eq!(received.holds(at, at + 1), *times > 0);
                prop_assert!(*times < 2 || received.may_be_twice(at, at + 1));
                let all = received.twice.len() < TWICE_MAX;
                prop_assert!(!all || *times > 1 || !received.may_be_twice(at, at + 1));
            }
        }
    }
}
