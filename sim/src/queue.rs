//! The event queue: time order, and among equal times the order in which events were scheduled.
//!
//! What is planned again and again, and happens once, has an alarm: it is moved, and leaves nothing behind.

use std::cmp::Reverse;
use std::collections::BinaryHeap;

use causeway_core::time::Instant;

/// When, and the how-manieth that was scheduled.
type Key = (Instant, u64);

/// Pending events of kind `K`.
#[derive(Debug)]
pub struct EventQueue<K> {
    heap: BinaryHeap<Reverse<Entry<K>>>,
    alarms: Alarms,
    sequence: u64,
}

/// What comes out of a queue.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Due<K> {
    /// The alarm with this number.
    Alarm(usize),
    /// An event.
    Event(K),
}

#[derive(Debug)]
struct Entry<K> {
    key: Key,
    kind: K,
}

impl<K> PartialEq for Entry<K> {
    fn eq(&self, other: &Self) -> bool {
        self.key == other.key
    }
}

impl<K> Eq for Entry<K> {}

impl<K> PartialOrd for Entry<K> {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl<K> Ord for Entry<K> {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        self.key.cmp(&other.key)
    }
}

impl<K> Default for EventQueue<K> {
    fn default() -> Self {
        Self { heap: BinaryHeap::new(), alarms: Alarms::default(), sequence: 0 }
    }
}

impl<K> EventQueue<K> {
    fn key(&mut self, at: Instant) -> Key {
        self.sequence += 1;
        (at, self.sequence)
    }

    /// Command: schedules an event.
    pub fn push(&mut self, at: Instant, kind: K) {
        let key = self.key(at);
        self.heap.push(Reverse(Entry { key, kind }));
    }

    /// Command: one more alarm, that is not set. Its number, counted from 0.
    pub fn add_alarm(&mut self) -> usize {
        self.alarms.places.push(NOWHERE);
        self.alarms.places.len() - 1
    }

    /// Command: the alarm goes off at `at`, whatever it was set to.
    pub fn set_alarm(&mut self, alarm: usize, at: Instant) {
        let key = self.key(at);
        self.alarms.set(alarm, key);
    }

    /// Command: the alarm does not go off.
    pub fn clear_alarm(&mut self, alarm: usize) {
        self.alarms.clear(alarm);
    }

    /// Getter: what the alarm is set to.
    pub fn alarm(&self, alarm: usize) -> Option<Instant> {
        self.alarms.key(alarm).map(|(at, _)| at)
    }

    /// Output: what is due first, with its time.
    pub fn pop(&mut self) -> Option<(Instant, Due<K>)> {
        let event = self.heap.peek().map(|Reverse(entry)| entry.key);
        let alarm = self.alarms.first();
        if let Some((key, number)) = alarm
            && event.is_none_or(|event| key < event)
        {
            self.alarms.clear(number);
            return Some((key.0, Due::Alarm(number)));
        }
        self.heap.pop().map(|Reverse(entry)| (entry.key.0, Due::Event(entry.kind)))
    }

    /// Getter: something is scheduled beside alarms.
    pub fn has_events(&self) -> bool {
        !self.heap.is_empty()
    }

    /// Getter: the time of what is due first.
    pub fn next_at(&self) -> Option<Instant> {
        let event = self.heap.peek().map(|Reverse(entry)| entry.key.0);
        let alarm = self.alarms.first().map(|(key, _)| key.0);
        match (event, alarm) {
            (Some(event), Some(alarm)) => Some(event.min(alarm)),
            (event, alarm) => event.or(alarm),
        }
    }
}

/// The place of an alarm that is not set.
const NOWHERE: usize = usize::MAX;

/// A binary heap of alarms that knows where each is.
#[derive(Debug, Default)]
struct Alarms {
    /// By number: where it is in `heap`, or [`NOWHERE`].
    places: Vec<usize>,
    /// Those that are set, each with its number; none is due before the one at half its place.
    heap: Vec<(Key, usize)>,
}

impl Alarms {
    fn first(&self) -> Option<(Key, usize)> {
        self.heap.first().copied()
    }

    fn key(&self, number: usize) -> Option<Key> {
        self.heap.get(self.places[number]).map(|(key, _)| *key)
    }

    fn set(&mut self, number: usize, key: Key) {
        let place = self.places[number];
        if place == NOWHERE {
            self.heap.push((key, number));
            self.rise(self.heap.len() - 1);
        } else {
            self.heap[place].0 = key;
            self.settle(place);
        }
    }

    fn clear(&mut self, number: usize) {
        let place = std::mem::replace(&mut self.places[number], NOWHERE);
        if place == NOWHERE {
            return;
        }
        self.heap.swap_remove(place);
        if place < self.heap.len() {
            self.settle(place);
        }
    }

    /// What is at `place` goes where it belongs.
    fn settle(&mut self, place: usize) {
        if place > 0 && self.heap[place].0 < self.heap[(place - 1) / 2].0 {
            self.rise(place);
        } else {
            self.sink(place);
        }
    }

    fn put(&mut self, place: usize, entry: (Key, usize)) {
        self.heap[place] = entry;
        self.places[entry.1] = place;
    }

    fn rise(&mut self, mut place: usize) {
        let entry = self.heap[place];
        while place > 0 {
            let above = (place - 1) / 2;
            if self.heap[above].0 <= entry.0 {
                break;
            }
            self.put(place, self.heap[above]);
            place = above;
        }
        self.put(place, entry);
    }

    fn sink(&mut self, mut place: usize) {
        let entry = self.heap[place];
        while let Some(&left) = self.heap.get(2 * place + 1) {
            let right = self.heap.get(2 * place + 2).filter(|right| right.0 < left.0);
            let (below, least) = match right {
                Some(&right) => (2 * place + 2, right),
                None => (2 * place + 1, left),
            };
            if entry.0 <= least.0 {
                break;
            }
            self.put(place, least);
            place = below;
        }
        self.put(place, entry);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn events_come_out_by_time_and_equal_times_in_the_order_they_went_in() {
        let mut queue = EventQueue::default();
        let alarm = queue.add_alarm();
        for (at, name) in [(5, 'a'), (3, 'b'), (5, 'c'), (3, 'd'), (4, 'e')] {
            queue.push(Instant::from_nanos(at), name);
            if name == 'b' {
                queue.set_alarm(alarm, Instant::from_nanos(3));
            }
        }
        let name = |due| match due {
            Due::Event(name) => name,
            Due::Alarm(_) => '!',
        };
        let order: String = std::iter::from_fn(|| queue.pop().map(|(_, due)| name(due))).collect();
        assert_eq!(order, "b!deac");
        assert!(queue.next_at().is_none());
    }

    proptest! {
        #[test]
        fn alarms_are_a_sorted_list(steps in prop::collection::vec((0_usize..6, 0_u64..40), 1..200)) {
            let mut queue = EventQueue::<()>::default();
            let mut model: [Option<(u64, usize)>; 4] = [None; 4];
            model.iter().for_each(|_| {
                queue.add_alarm();
            });
            for (step, (what, at)) in steps.into_iter().enumerate() {
                let number = (at % 4) as usize;
                match what {
                    0 => {
                        queue.clear_alarm(number);
                        model[number] = None;
                    }
                    1 => {
                        let first = (0..4).filter(|n| model[*n].is_some()).min_by_key(|n| model[*n]);
                        let due = first.and_then(|n| model[n].take().map(|(at, _)| {
                            (Instant::from_nanos(at), Due::Alarm(n))
                        }));
                        prop_assert_eq!(queue.pop(), due);
                    }
                    _ => {
                        queue.set_alarm(number, Instant::from_nanos(at));
                        model[number] = Some((at, step));
                    }
                }
                let next = model.iter().flatten().map(|(at, _)| Instant::from_nanos(*at)).min();
                prop_assert_eq!(queue.next_at(), next);
            }
        }
    }
}
