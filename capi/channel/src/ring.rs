//! The single-producer single-consumer ring of fixed 64-byte entries, over memory that the peer can write.
//!
//! Indices are free-running `u32`: `tail` is written by the producer only, `head` by the consumer
//! only, and `tail - head` (wrapping) is the number of entries in the ring. Each side keeps its own
//! index in private memory and never reads it back from the shared memory; what it reads of the
//! *peer's* index it validates: the index may only advance, and only as far as the ring allows.
//! An index that breaks the rule is [`RingPoisoned`]; the channel is then killed, nothing panics.
//!
//! ## Orderings
//!
//! * Producer: entry words `Relaxed`, then `tail` `Release`. Consumer: `tail` `Acquire`, then the entry words. The
//!   release/acquire pair on `tail` makes the words of every entry below `tail` visible.
//! * Consumer: entry words copied to private memory, then `head` `Release`. Producer: `head` `Acquire` before it
//!   writes the slot again: the consumer's reads happen before the producer's overwriting.
//! * The words are atomics as well, because a hostile peer may write them at any time: the copy
//!   may then be garbage, but it is one private copy, validated after it was made.

use crate::sync::{AtomicU32, Ordering};

/// Words in an entry. Two are enough for loom to see an entry torn, and spare it most of its work.
pub const ENTRY_WORDS: usize = if cfg!(loom) { 2 } else { 8 };

/// One ring entry in private memory: 64 bytes (outside of loom's models).
pub type Entry = [u64; ENTRY_WORDS];

/// Where a ring lies. Implemented by the mapping and by loom's models.
pub trait RingMemory {
    /// The consumer's index.
    fn head(&self) -> &AtomicU32;
    /// The producer's index.
    fn tail(&self) -> &AtomicU32;
    /// Writes one word of one slot, atomically without ordering; `slot` is below the capacity, `word`
    /// below [`ENTRY_WORDS`].
    fn store_word(&self, slot: u32, word: usize, value: u64);
    /// Reads one word of one slot, likewise.
    fn load_word(&self, slot: u32, word: usize) -> u64;
}

/// The peer wrote an index that no correct peer writes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the peer wrote an impossible ring index")]
pub struct RingPoisoned;

/// The producing side.
#[derive(Debug)]
pub struct Producer<M> {
    memory: M,
    capacity: u32,
    /// Ours: entries written, published or not.
    tail: u32,
    /// Ours: what `tail` in shared memory says.
    published: u32,
    /// The peer's index as last validated.
    head_seen: u32,
}

impl<M: RingMemory> Producer<M> {
    /// A producer at the beginning of a zeroed ring. `capacity` is a power of two.
    pub fn new(memory: M, capacity: u32) -> Self {
        debug_assert!(capacity.is_power_of_two());
        Self { memory, capacity, tail: 0, published: 0, head_seen: 0 }
    }

    /// Command: writes an entry; it becomes visible with [`Producer::publish`]. `Ok(false)`: the ring is full.
    pub fn push(&mut self, entry: &Entry) -> Result<bool, RingPoisoned> {
        if self.tail.wrapping_sub(self.head_seen) == self.capacity && !self.refresh()? {
            return Ok(false);
        }
        let slot = self.tail & (self.capacity - 1);
        for (word, value) in entry.iter().enumerate() {
            self.memory.store_word(slot, word, *value);
        }
        self.tail = self.tail.wrapping_add(1);
        Ok(true)
    }

    /// Command: makes everything pushed visible. Returns whether there was anything.
    pub fn publish(&mut self) -> bool {
        if self.published == self.tail {
            return false;
        }
        // Release: the words of the entries come before the index that covers them.
        self.memory.tail().store(self.tail, Ordering::Release);
        self.published = self.tail;
        true
    }

    /// Getter: whether an entry can be pushed, by a fresh look at the peer's index.
    pub fn has_room(&mut self) -> Result<bool, RingPoisoned> {
        Ok(self.tail.wrapping_sub(self.head_seen) < self.capacity || self.refresh()?)
    }

    /// Reads the peer's index; true when there is room.
    fn refresh(&mut self) -> Result<bool, RingPoisoned> {
        // Acquire: the consumer's copying of a slot comes before our overwriting it.
        let head = self.memory.head().load(Ordering::Acquire);
        let advanced = head.wrapping_sub(self.head_seen);
        // The consumer can only have consumed what was published to it.
        if advanced > self.published.wrapping_sub(self.head_seen) {
            return Err(RingPoisoned);
        }
        self.head_seen = head;
        Ok(self.tail.wrapping_sub(head) < self.capacity)
    }
}

/// The consuming side.
#[derive(Debug)]
pub struct Consumer<M> {
    memory: M,
    capacity: u32,
    /// Ours.
    head: u32,
    /// The peer's index as last validated.
    tail_seen: u32,
}

impl<M: RingMemory> Consumer<M> {
    /// A consumer at the beginning of a zeroed ring. `capacity` is a power of two.
    pub fn new(memory: M, capacity: u32) -> Self {
        debug_assert!(capacity.is_power_of_two());
        Self { memory, capacity, head: 0, tail_seen: 0 }
    }

    /// Output: a private copy of the next entry; its slot is free again at once.
    pub fn pop(&mut self) -> Result<Option<Entry>, RingPoisoned> {
        if self.head == self.tail_seen && !self.refresh()? {
            return Ok(None);
        }
        let slot = self.head & (self.capacity - 1);
        let entry = core::array::from_fn(|word| self.memory.load_word(slot, word));
        self.head = self.head.wrapping_add(1);
        // Release: the loads above come before the index that gives the slot away.
        self.memory.head().store(self.head, Ordering::Release);
        Ok(Some(entry))
    }

    /// Getter: whether nothing can be popped, by a fresh look at the peer's index.
    pub fn is_empty(&mut self) -> Result<bool, RingPoisoned> {
        Ok(self.head == self.tail_seen && !self.refresh()?)
    }

    /// Reads the peer's index; true when there is something to pop.
    fn refresh(&mut self) -> Result<bool, RingPoisoned> {
        // Acquire: pairs with the producer's Release, so the words below `tail` are there.
        let tail = self.memory.tail().load(Ordering::Acquire);
        // Called with head == tail_seen, so the peer's advance is also the fill level.
        if tail.wrapping_sub(self.head) > self.capacity {
            return Err(RingPoisoned);
        }
        self.tail_seen = tail;
        Ok(tail != self.head)
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;
    use crate::sync::AtomicU64;

    const CAPACITY: u32 = 4;

    #[derive(Default)]
    struct Plain {
        head: AtomicU32,
        tail: AtomicU32,
        words: [[AtomicU64; ENTRY_WORDS]; CAPACITY as usize],
    }

    impl RingMemory for &Plain {
        fn head(&self) -> &AtomicU32 {
            &self.head
        }

        fn tail(&self) -> &AtomicU32 {
            &self.tail
        }

        fn store_word(&self, slot: u32, word: usize, value: u64) {
            self.words[slot as usize][word].store(value, Ordering::Relaxed);
        }

        fn load_word(&self, slot: u32, word: usize) -> u64 {
            self.words[slot as usize][word].load(Ordering::Relaxed)
        }
    }

    fn full(memory: &Plain) -> Producer<&Plain> {
        let mut producer = Producer::new(memory, CAPACITY);
        for value in 0..u64::from(CAPACITY) {
            assert_eq!(producer.push(&[value; ENTRY_WORDS]), Ok(true));
        }
        producer
    }

    #[test]
    fn a_consumer_that_took_what_was_not_published_has_lied() {
        let memory = Plain::default();
        let mut producer = full(&memory);
        memory.head.store(1, Ordering::Relaxed);
        assert_eq!(producer.has_room(), Err(RingPoisoned), "nothing was published");
        assert_eq!(producer.push(&[9; ENTRY_WORDS]), Err(RingPoisoned));
        producer.publish();
        assert_eq!(producer.has_room(), Ok(true));
        for head in [CAPACITY + 1, u32::MAX] {
            let memory = Plain::default();
            let mut producer = full(&memory);
            producer.publish();
            memory.head.store(head, Ordering::Relaxed);
            assert_eq!(producer.has_room(), Err(RingPoisoned), "{head}");
        }
    }

    #[test]
    fn a_consumer_that_gives_an_entry_back_has_lied() {
        let memory = Plain::default();
        let mut producer = full(&memory);
        producer.publish();
        memory.head.store(2, Ordering::Relaxed);
        assert_eq!(producer.has_room(), Ok(true));
        producer.push(&[9; ENTRY_WORDS]).unwrap();
        producer.push(&[9; ENTRY_WORDS]).unwrap();
        producer.publish();
        memory.head.store(1, Ordering::Relaxed);
        assert_eq!(producer.has_room(), Err(RingPoisoned));
    }

    #[test]
    fn a_producer_that_filled_more_than_there_is_has_lied() {
        let memory = Plain::default();
        let mut consumer = Consumer::new(&memory, CAPACITY);
        memory.tail.store(CAPACITY + 1, Ordering::Relaxed);
        assert_eq!(consumer.pop(), Err(RingPoisoned));
        memory.tail.store(CAPACITY, Ordering::Relaxed);
        assert!(consumer.pop().unwrap().is_some());
    }
}
