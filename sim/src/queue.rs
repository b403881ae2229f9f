//! The event queue: time order, and among equal times the order in which events were scheduled.

use std::cmp::Reverse;
use std::collections::BinaryHeap;

use causeway_core::time::Instant;

/// Pending events of kind `K`.
#[derive(Debug)]
pub struct EventQueue<K> {
    heap: BinaryHeap<Reverse<Entry<K>>>,
    sequence: u64,
}

#[derive(Debug)]
struct Entry<K> {
    at: Instant,
    sequence: u64,
    kind: K,
}

impl<K> PartialEq for Entry<K> {
    fn eq(&self, other: &Self) -> bool {
        (self.at, self.sequence) == (other.at, other.sequence)
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
        (self.at, self.sequence).cmp(&(other.at, other.sequence))
    }
}

impl<K> Default for EventQueue<K> {
    fn default() -> Self {
        Self { heap: BinaryHeap::new(), sequence: 0 }
    }
}

impl<K> EventQueue<K> {
    /// Command: schedules an event and returns its sequence number, unique in this queue.
    pub fn push(&mut self, at: Instant, kind: K) -> u64 {
        let sequence = self.sequence;
        self.sequence += 1;
        self.heap.push(Reverse(Entry { at, sequence, kind }));
        sequence
    }

    /// Output: the earliest event with its time and sequence number.
    pub fn pop(&mut self) -> Option<(Instant, u64, K)> {
        self.heap.pop().map(|Reverse(entry)| (entry.at, entry.sequence, entry.kind))
    }

    /// Getter: the time of the earliest event.
    pub fn next_at(&self) -> Option<Instant> {
        self.heap.peek().map(|Reverse(entry)| entry.at)
    }

    /// Getter: how many events wait.
    pub fn len(&self) -> usize {
        self.heap.len()
    }

    /// Getter: true when nothing is scheduled.
    pub fn is_empty(&self) -> bool {
        self.heap.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn events_come_out_by_time_and_equal_times_in_the_order_they_went_in() {
        let mut queue = EventQueue::default();
        for (at, name) in [(5, 'a'), (3, 'b'), (5, 'c'), (3, 'd'), (4, 'e')] {
            queue.push(Instant::from_nanos(at), name);
        }
        let order: String = std::iter::from_fn(|| queue.pop().map(|(_, _, name)| name)).collect();
        assert_eq!(order, "bdeac");
        assert!(queue.is_empty());
    }
}
