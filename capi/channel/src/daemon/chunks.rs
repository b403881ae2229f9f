//! The pool of RX chunks of one lane. Private: the application never says which chunks are free.

/// Free chunks, last in first out: the warm ones are used again first.
#[derive(Debug)]
pub(super) struct ChunkPool {
    free: Vec<u32>,
}

impl ChunkPool {
    /// The chunks `first .. first + count`, all free.
    pub(super) fn new(first: u32, count: u32) -> Self {
        Self { free: (first..first + count).rev().collect() }
    }

    pub(super) fn available(&self) -> usize {
        self.free.len()
    }

    pub(super) fn take(&mut self) -> Option<u32> {
        self.free.pop()
    }

    /// Never allocates: what comes back was taken from here.
    pub(super) fn give(&mut self, chunk: u32) {
        debug_assert!(self.free.len() < self.free.capacity());
        self.free.push(chunk);
    }
}
