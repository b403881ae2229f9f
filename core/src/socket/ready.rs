//! A queue of slot indices that have work to do, each at most once.

use alloc::collections::VecDeque;
use alloc::vec::Vec;

/// First in, first out; a bit per slot says what is queued, so that pushing twice costs nothing.
///
/// It allocates only when a higher index than ever before comes. An index may outlive its socket: who
/// pops it looks whether there is still something to do.
#[derive(Clone, Debug, Default)]
pub struct ReadyQueue {
    queue: VecDeque<u32>,
    queued: Vec<u64>,
}

impl ReadyQueue {
    /// An empty queue.
    pub const fn new() -> Self {
        Self { queue: VecDeque::new(), queued: Vec::new() }
    }

    /// Getter: how many indices wait.
    pub fn len(&self) -> usize {
        self.queue.len()
    }

    /// Getter: true when none waits.
    pub fn is_empty(&self) -> bool {
        self.queue.is_empty()
    }

    /// Getter: true when `index` waits.
    pub fn contains(&self, index: u32) -> bool {
        let (word, bit) = split(index);
        self.queued.get(word).is_some_and(|word| word & bit != 0)
    }

    /// Command: takes the memory for all indices below `slots` now, so that no push allocates.
    pub fn reserve(&mut self, slots: usize) {
        let words = slots.div_ceil(64);
        if words > self.queued.len() {
            self.queued.resize(words, 0);
            self.queue.reserve((words * 64).saturating_sub(self.queue.len()));
        }
    }

    /// Input: `index` has work. Returns false when it waits already.
    #[inline(always)]
    pub fn push(&mut self, index: u32) -> bool {
        let (word, bit) = split(index);
        if word >= self.queued.len() {
            // Twice the slots, so that growing costs O(1) a slot.
            self.reserve((index as usize + 1).next_power_of_two());
        }
        let queued = &mut self.queued[word];
        if *queued & bit != 0 {
            return false;
        }
        *queued |= bit;
        self.queue.push_back(index);
        true
    }

    /// Output: the index that has waited longest. It may be pushed again at once.
    #[inline]
    pub fn pop(&mut self) -> Option<u32> {
        let index = self.queue.pop_front()?;
        let (word, bit) = split(index);
        self.queued[word] &= !bit;
        Some(index)
    }
}

const fn split(index: u32) -> (usize, u64) {
    (index as usize / 64, 1 << (index % 64))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn an_index_waits_at_most_once_and_in_order() {
        let mut ready = ReadyQueue::new();
        assert!(ready.push(7) && ready.push(900) && !ready.push(7));
        assert!(ready.contains(900) && !ready.contains(8));
        assert_eq!((ready.pop(), ready.len()), (Some(7), 1));
        assert!(ready.push(7));
        assert_eq!((ready.pop(), ready.pop(), ready.pop()), (Some(900), Some(7), None));
    }

    #[test]
    fn after_growth_pushing_every_index_takes_no_memory() {
        let mut ready = ReadyQueue::new();
        ready.reserve(1_000);
        let before = (ready.queue.capacity(), ready.queued.capacity());
        for turn in 0..3 {
            (0..1_000).for_each(|index| assert!(ready.push(index), "turn {turn}"));
            while ready.pop().is_some() {}
        }
        assert_eq!((ready.queue.capacity(), ready.queued.capacity()), before);
    }

    proptest! {
        #[test]
        fn it_behaves_like_a_list_without_duplicates(
            steps in proptest::collection::vec(proptest::option::of(0u32..300), 0..300),
        ) {
            let mut ready = ReadyQueue::new();
            let mut model = std::vec![];
            for step in steps {
                if let Some(index) = step {
                    let new = !model.contains(&index);
                    prop_assert_eq!(ready.push(index), new);
                    if new { model.push(index) }
                } else {
                    let expected = (!model.is_empty()).then(|| model.remove(0));
                    prop_assert_eq!(ready.pop(), expected);
                }
                prop_assert_eq!(ready.len(), model.len());
            }
        }
    }
}
