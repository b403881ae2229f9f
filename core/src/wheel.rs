//! A hierarchical timer wheel (Varghese and Lauck, scheme 7): one entry per slot index.
//!
//! Eleven levels of 64 slots with a tick of one nanosecond, so that an entry fires at its very deadline. An
//! entry lies on the level of the highest group of six bits in which its deadline differs from the
//! wheel's time; hence everything on a lower level is due before everything on a higher one, and within a
//! level slots are in the order of time. A bitmap a level finds the first occupied slot in one
//! instruction, whatever the distance: an idle day costs as much as an idle microsecond. Lists are
//! intrusive, in an array by index: setting and cancelling allocate nothing.

use alloc::vec::Vec;

use crate::planted::{self, Bug};
use crate::reach::reach;
use crate::time::Instant;

const LEVELS: usize = 11;
const SLOTS: usize = 64;
/// Bits of a deadline that choose the slot on one level.
const SLOT_BITS: u32 = 6;
/// No entry; no slot.
const NONE: u32 = u32::MAX;
/// [`TimerWheel::next_deadline`] looks at so many entries of the first slot before it answers with
/// the slot's beginning.
const LOOK_MAX: usize = 8;

/// Deadlines by index, each index at most once.
#[derive(Clone, Debug)]
pub struct TimerWheel {
    /// The wheel's time: no entry is due before it, and it never runs backwards.
    elapsed: u64,
    /// No occupied slot begins before: nothing happens until then, and asking costs one comparison.
    quiet_until: u64,
    /// The answer of [`TimerWheel::next_deadline`], if there is an entry.
    next: u64,
    /// Bit `l` is set when level `l` has an entry.
    levels: u16,
    /// Bit `s` of word `l` is set when slot `s` of level `l` has an entry.
    occupied: [u64; LEVELS],
    /// First entry of each slot; its `prev` is the last one.
    heads: [[u32; SLOTS]; LEVELS],
    entries: Vec<Entry>,
    len: usize,
}

/// 20 bytes, because every socket has one: the deadline lies there in halves.
#[derive(Clone, Copy, Debug)]
struct Entry {
    at: Deadline,
    next: u32,
    /// The one before; the first entry of a list has the last one here.
    prev: u32,
    /// Level x 64 + slot, or [`NONE`] when not scheduled.
    place: u32,
}

/// A number of 64 bits that needs no more alignment than one of 32.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Deadline([u32; 2]);

impl Deadline {
    #[inline]
    const fn new(at: u64) -> Self {
        Self([at as u32, (at >> 32) as u32])
    }

    #[inline]
    const fn nanos(self) -> u64 {
        self.0[0] as u64 | (self.0[1] as u64) << 32
    }
}

impl Entry {
    const IDLE: Self = Self { at: Deadline::new(0), next: NONE, prev: NONE, place: NONE };
}

impl Default for TimerWheel {
    fn default() -> Self {
        Self::new()
    }
}

impl TimerWheel {
    /// An empty wheel at [`Instant::ZERO`].
    pub const fn new() -> Self {
        Self {
            elapsed: 0,
            quiet_until: u64::MAX,
            next: u64::MAX,
            levels: 0,
            occupied: [0; LEVELS],
            heads: [[NONE; SLOTS]; LEVELS],
            entries: Vec::new(),
            len: 0,
        }
    }

    /// Getter: how many indices have a deadline.
    pub const fn len(&self) -> usize {
        self.len
    }

    /// Getter: true when none has.
    pub const fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Command: takes the memory for all indices below `indices` now, so that `schedule` allocates nothing.
    pub fn reserve(&mut self, indices: usize) {
        if indices > self.entries.len() {
            self.entries.resize(indices, Entry::IDLE);
        }
    }

    /// Getter: the deadline of `index`. One that had passed when it was set reads as the wheel's time then.
    pub fn deadline(&self, index: u32) -> Option<Instant> {
        let entry = self.entries.get(index as usize).filter(|entry| entry.place != NONE)?;
        Some(Instant::from_nanos(entry.at.nanos()))
    }

    /// Command: `index` is due at `at`, instead of when it was due before. A time that has passed is due at
    /// once. O(1).
    pub fn schedule(&mut self, index: u32, at: Instant) {
        if index == NONE {
            return;
        }
        if index as usize >= self.entries.len() {
            self.reserve((index as usize + 1).next_power_of_two());
        }
        let at = at.as_nanos().max(self.elapsed);
        let entry = self.entries[index as usize];
        if entry.place != NONE {
            if entry.at.nanos() == at {
                return;
            }
            self.cancel(index);
        }
        let (level, slot) = self.link(index, at);
        self.quiet_until = self.quiet_until.min(self.slot_start(level, slot));
        self.next = self.next.min(at);
    }

    /// Command: `index` is due at `at` or earlier. An earlier deadline stays: whoever moves deadlines on often lets the
    /// entry expire and looks then, which is cheaper than moving the entry each time.
    #[inline]
    pub fn schedule_no_later(&mut self, index: u32, at: Instant) {
        let entry = self.entries.get(index as usize);
        let earlier = |entry: &Entry| {
            entry.at.nanos() > at.as_nanos() && !planted::is(Bug::LaterDeadlineStays)
        };
        if entry.is_none_or(|entry| entry.place == NONE || earlier(entry)) {
            self.schedule(index, at);
        }
    }

    /// Command: `index` is not due any more. Returns whether it had a deadline. O(1).
    pub fn cancel(&mut self, index: u32) -> bool {
        let Some(at) = self.deadline(index) else { return false };
        self.unlink(index);
        if at.as_nanos() == self.next {
            self.next = self.earliest();
        }
        true
    }

    /// Output: an index whose deadline is not after `now`, in the order of deadlines; among equals in a
    /// fixed order. It has no deadline any more. Call until `None`; then nothing more is due at `now`.
    #[inline]
    pub fn poll_expired(&mut self, now: Instant) -> Option<u32> {
        let now = now.as_nanos();
        if now < self.quiet_until {
            // Nothing begins before `now`: every entry lies where it belongs.
            self.elapsed = self.elapsed.max(now);
            return None;
        }
        let expired = self.take_expired(now);
        let first = self.first_slot();
        self.quiet_until = first.map_or(u64::MAX, |(level, slot)| self.slot_start(level, slot));
        self.next = self.earliest();
        expired
    }

    fn take_expired(&mut self, now: u64) -> Option<u32> {
        while let Some((level, slot)) = self.first_slot() {
            let start = self.slot_start(level, slot);
            if start > now {
                self.elapsed = self.elapsed.max(now);
                return None;
            }
            let head = self.heads[level][slot];
            let Entry { at, prev, .. } = self.entries[head as usize];
            let at = at.nanos();
            // Alone in its slot, or in one of a single nanosecond: nothing is due before it.
            if level == 0 || prev == head {
                if at > now {
                    break;
                }
                self.elapsed = self.elapsed.max(at);
                self.unlink(head);
                return Some(head);
            }
            self.cascade(level, slot, start);
        }
        // Nothing is due, and no occupied slot with more than one entry begins before `now`.
        self.advance(now);
        None
    }

    /// Getter: a time at which to call [`TimerWheel::poll_expired`]: never after the earliest deadline.
    /// Mostly it is the deadline itself; where many entries share the first slot it may be the beginning of
    /// that slot. After a call of `poll_expired(t)` that returned `None` it is later than `t`, so that
    /// jumping from one answer to the next always gets on, in at most eleven jumps a deadline.
    #[inline]
    pub fn next_deadline(&self) -> Option<Instant> {
        (self.levels != 0).then(|| Instant::from_nanos(self.next))
    }

    /// Looks for the earliest deadline; see [`TimerWheel::next_deadline`].
    fn earliest(&self) -> u64 {
        let Some((level, slot)) = self.first_slot() else { return u64::MAX };
        let mut earliest = u64::MAX;
        let mut index = self.heads[level][slot];
        for _ in 0..LOOK_MAX {
            let entry = self.entries[index as usize];
            earliest = earliest.min(entry.at.nanos());
            if entry.next == NONE {
                return earliest;
            }
            index = entry.next;
        }
        self.slot_start(level, slot).max(self.elapsed)
    }

    /// The occupied slot whose time comes first.
    const fn first_slot(&self) -> Option<(usize, usize)> {
        if self.levels == 0 {
            return None;
        }
        let level = self.levels.trailing_zeros() as usize;
        Some((level, self.occupied[level].trailing_zeros() as usize))
    }

    /// When the span of a slot begins, seen from the wheel's time.
    const fn slot_start(&self, level: usize, slot: usize) -> u64 {
        let shift = SLOT_BITS * level as u32;
        let above = match self.elapsed.checked_shr(shift + SLOT_BITS) {
            Some(above) => above << (shift + SLOT_BITS),
            None => 0,
        };
        above | (slot as u64) << shift
    }

    /// Distributes a slot over the levels below, the wheel's time being its beginning now.
    fn cascade(&mut self, level: usize, slot: usize, start: u64) {
        self.elapsed = self.elapsed.max(start);
        let first = core::mem::replace(&mut self.heads[level][slot], NONE);
        let mut index = first;
        self.clear(level, slot);
        reach!(Cascade);
        while index != NONE {
            let Entry { at, next, .. } = self.entries[index as usize];
            self.len -= 1;
            if planted::is(Bug::CascadeLosesOthers) && index != first {
                self.entries[index as usize] = Entry::IDLE;
            } else {
                self.link(index, at.nanos());
            }
            index = next;
        }
    }

    /// Moves the wheel's time on to `now`, as far as entries stay where they belong: an entry that is alone
    /// in a slot which has begun has to move to a lower level.
    fn advance(&mut self, now: u64) {
        while let Some((level, slot)) = self.first_slot() {
            let start = self.slot_start(level, slot);
            if level == 0 || start > now {
                break;
            }
            self.cascade(level, slot, start);
        }
        self.elapsed = self.elapsed.max(now);
    }

    /// Appends `index` to the slot of `at`, which is not before the wheel's time. Returns level and slot.
    fn link(&mut self, index: u32, at: u64) -> (usize, usize) {
        let differing = at ^ self.elapsed;
        let level =
            ((u64::BITS - 1).saturating_sub(differing.leading_zeros()) / SLOT_BITS) as usize;
        let slot = (at >> (SLOT_BITS * level as u32)) as usize % SLOTS;
        let head = self.heads[level][slot];
        let place = (level * SLOTS + slot) as u32;
        let last = if head == NONE {
            self.heads[level][slot] = index;
            self.occupied[level] |= 1 << slot;
            self.levels |= 1 << level;
            index
        } else {
            let last = core::mem::replace(&mut self.entries[head as usize].prev, index);
            self.entries[last as usize].next = index;
            last
        };
        self.entries[index as usize] =
            Entry { at: Deadline::new(at), next: NONE, prev: last, place };
        self.len += 1;
        (level, slot)
    }

    /// Takes a scheduled `index` out of its list.
    fn unlink(&mut self, index: u32) {
        let Entry { next, prev, place, .. } = self.entries[index as usize];
        let (level, slot) = (place as usize / SLOTS, place as usize % SLOTS);
        let head = self.heads[level][slot];
        if head == index {
            self.heads[level][slot] = next;
        } else {
            self.entries[prev as usize].next = next;
        }
        if next != NONE {
            self.entries[next as usize].prev = prev;
        } else if head != index {
            // The last one goes: the first one names the new last.
            self.entries[head as usize].prev = prev;
        }
        if self.heads[level][slot] == NONE {
            self.clear(level, slot);
        }
        self.entries[index as usize] = Entry::IDLE;
        self.len -= 1;
    }

    const fn clear(&mut self, level: usize, slot: usize) {
        self.occupied[level] &= !(1 << slot);
        if self.occupied[level] == 0 {
            self.levels &= !(1 << level);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::time::Duration;
    use proptest::prelude::*;
    use std::collections::{BTreeMap, BTreeSet};

    const fn at(nanos: u64) -> Instant {
        Instant::from_nanos(nanos)
    }

    #[test]
    fn it_fires_at_the_deadline_and_not_a_nanosecond_before() {
        let mut wheel = TimerWheel::new();
        for deadline in [1, 63, 64, 65, 4_096, 200_000_000, u64::MAX - 1] {
            wheel.schedule(3, at(deadline));
            assert_eq!(wheel.poll_expired(at(deadline - 1)), None, "{deadline}");
            assert_eq!(wheel.next_deadline(), Some(at(deadline)));
            assert_eq!(wheel.poll_expired(at(deadline)), Some(3));
            assert_eq!((wheel.next_deadline(), wheel.len()), (None, 0));
        }
    }

    #[test]
    fn an_earlier_deadline_is_kept_and_a_later_one_is_moved() {
        let mut wheel = TimerWheel::new();
        wheel.schedule_no_later(9, at(100));
        wheel.schedule_no_later(9, at(200));
        assert_eq!(wheel.deadline(9), Some(at(100)));
        wheel.schedule_no_later(9, at(50));
        assert_eq!(wheel.deadline(9), Some(at(50)));
    }

    #[test]
    fn what_is_overdue_is_due_at_once() {
        let mut wheel = TimerWheel::new();
        assert_eq!(wheel.poll_expired(at(1_000_000)), None);
        wheel.schedule(0, at(5));
        assert_eq!(wheel.next_deadline(), Some(at(1_000_000)));
        assert_eq!(wheel.poll_expired(at(1_000_000)), Some(0));
    }

    #[test]
    fn a_clock_that_stands_still_or_runs_backwards_does_no_harm() {
        let mut wheel = TimerWheel::new();
        wheel.schedule(0, at(100));
        assert_eq!(wheel.poll_expired(at(50)), None);
        assert_eq!(wheel.poll_expired(at(20)), None);
        wheel.schedule(1, at(30));
        assert_eq!(wheel.poll_expired(at(40)), None);
        assert_eq!(wheel.poll_expired(at(50)), Some(1));
        assert_eq!(wheel.poll_expired(at(100)), Some(0));
    }

    #[test]
    fn an_idle_century_takes_few_jumps_however_many_wait() {
        let mut wheel = TimerWheel::new();
        let century = 3_155_760_000 * 1_000_000_000;
        for index in 0..1_000 {
            wheel.schedule(index, at(century + u64::from(index)));
        }
        let (mut jumps, mut fired) = (0, 0);
        while let Some(next) = wheel.next_deadline() {
            jumps += 1;
            while wheel.poll_expired(next).is_some() {
                fired += 1;
            }
        }
        assert_eq!(fired, 1_000);
        assert!(jumps <= 1_000 + LEVELS, "{jumps} jumps");
    }

    #[test]
    fn setting_and_cancelling_take_no_memory_after_growth() {
        let mut wheel = TimerWheel::new();
        wheel.reserve(100);
        let before = wheel.entries.capacity();
        for turn in 0..50 {
            (0..100).for_each(|index| wheel.schedule(index, at(turn * 7_919 + u64::from(index))));
            (0..100).step_by(3).for_each(|index| assert!(wheel.cancel(index)));
        }
        assert_eq!(wheel.entries.capacity(), before);
        assert_eq!(wheel.len(), 66);
    }

    #[derive(Clone, Debug)]
    enum Step {
        Schedule(u32, u64),
        Cancel(u32),
        Poll(u64),
        Jump,
    }

    fn span() -> impl Strategy<Value = u64> {
        (0u32..40, any::<u64>()).prop_map(|(bits, x)| x & ((1 << bits) - 1))
    }

    fn steps() -> impl Strategy<Value = std::vec::Vec<Step>> {
        let step = prop_oneof![
            4 => (0u32..40, span()).prop_map(|(index, span)| Step::Schedule(index, span)),
            1 => (0u32..40).prop_map(Step::Cancel),
            1 => span().prop_map(Step::Poll),
            1 => Just(Step::Jump),
        ];
        proptest::collection::vec(step, 0..300)
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(512))]
        #[test]
        fn it_behaves_like_a_sorted_list(steps in steps()) {
            let mut wheel = TimerWheel::new();
            let mut deadlines: BTreeMap<u32, Instant> = BTreeMap::new();
            let mut sorted: BTreeSet<(Instant, u32)> = BTreeSet::new();
            let mut now = Instant::ZERO;
            for step in steps {
                match step {
                    Step::Schedule(index, span) => {
                        let deadline = now + Duration::from_nanos(span);
                        wheel.schedule(index, deadline);
                        if let Some(old) = deadlines.insert(index, deadline) {
                            sorted.remove(&(old, index));
                        }
                        sorted.insert((deadline, index));
                    }
                    Step::Cancel(index) => {
                        let old = deadlines.remove(&index);
                        prop_assert_eq!(wheel.cancel(index), old.is_some());
                        old.map(|old| sorted.remove(&(old, index)));
                    }
                    Step::Poll(span) => now += Duration::from_nanos(span),
                    Step::Jump => if let Some(next) = wheel.next_deadline() {
                        prop_assert!(next >= now);
                        now = next;
                    },
                }
                let earliest = sorted.first().map(|&(deadline, _)| deadline);
                prop_assert_eq!(wheel.next_deadline().is_some(), earliest.is_some());
                if let (Some(next), Some(earliest)) = (wheel.next_deadline(), earliest) {
                    prop_assert!(next <= earliest, "{next} is after {earliest}");
                }
                if matches!(step, Step::Poll(_) | Step::Jump) {
                    while let Some(index) = wheel.poll_expired(now) {
                        let deadline = deadlines.remove(&index).expect("scheduled");
                        prop_assert_eq!(Some(deadline), sorted.first().map(|&(d, _)| d), "in order");
                        prop_assert!(deadline <= now, "early");
                        sorted.remove(&(deadline, index));
                    }
                    prop_assert!(sorted.first().is_none_or(|&(deadline, _)| deadline > now), "late");
                    prop_assert!(wheel.next_deadline().is_none_or(|next| next > now), "progress");
                }
                prop_assert_eq!(wheel.len(), deadlines.len());
            }
            for index in 0..40 {
                prop_assert_eq!(wheel.deadline(index), deadlines.get(&index).copied());
            }
        }
    }
}
