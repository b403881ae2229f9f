//! The RX chunks of one lane: which are free, and which part of which stream the others hold. Private to the
//! daemon: the application never says which chunks are free.

use causeway_core::planted::{self, Bug};

/// The pool and the tables. Streams are numbered from 0 within the lane. Never allocates after [`RxChunks::new`].
#[derive(Debug)]
pub(crate) struct RxChunks {
    /// Last in first out: the warm ones are used again first.
    free: Vec<u32>,
    /// For each stream its `table_slots` entries: chunk + 1, or 0. One zeroed allocation: pages of streams
    /// that were never used are never touched.
    table: Vec<u32>,
    chunk_bytes: u64,
    table_slots: u64,
}

impl RxChunks {
    /// The chunks `first .. first + count`, all free.
    pub(crate) fn new(
        streams: u32,
        (first, count): (u32, u32),
        chunk_bytes: u32,
        table_slots: u32,
    ) -> Self {
        Self {
            free: (first..first + count).rev().collect(),
            table: vec![0; streams as usize * table_slots as usize],
            chunk_bytes: chunk_bytes.into(),
            table_slots: table_slots.into(),
        }
    }

    /// Getter: the chunk that holds the byte at `at`.
    pub(crate) fn chunk(&self, stream: u32, at: u64) -> Option<u32> {
        self.table[self.index(stream, at / self.chunk_bytes)].checked_sub(1)
    }

    /// Getter: how many chunks the bytes `start .. end` lack.
    pub(crate) fn missing(&self, stream: u32, start: u64, end: u64) -> u32 {
        let lacks = |o: &u64| self.table[self.index(stream, *o)] == 0;
        // At most the table.
        self.ordinals(start, end).filter(lacks).count() as u32
    }

    /// Command: gives every part of `start .. end` a chunk, and hands each new one's table index and number to `name`. The caller has
    /// reserved what is [`missing`](Self::missing).
    pub(crate) fn attach(
        &mut self,
        stream: u32,
        start: u64,
        end: u64,
        mut name: impl FnMut(u32, u32),
    ) {
        for ordinal in self.ordinals(start, end) {
            let index = self.index(stream, ordinal);
            if self.table[index] == 0 {
                let chunk = self.free.pop().expect("no more is promised than there are chunks");
                self.table[index] = chunk + 1;
                name((ordinal % self.table_slots) as u32, chunk);
            }
        }
    }

    /// Command: the application has read up to `to`, before that up to `from`. Gives the chunks below back, and the last one too when
    /// nothing else was stored in it: `high` is one past the highest byte. Returns how many.
    pub(crate) fn recycle(&mut self, stream: u32, from: u64, to: u64, high: u64) -> u32 {
        let whole = from / self.chunk_bytes..to / self.chunk_bytes;
        let all = to == high || planted::is(Bug::ChunkFreedWithBytes);
        let last = (all && !to.is_multiple_of(self.chunk_bytes)).then_some(whole.end);
        whole.chain(last).map(|ordinal| self.free(stream, ordinal)).sum()
    }

    /// Command: gives every chunk of `from .. high` back. Returns how many.
    pub(crate) fn free_all(&mut self, stream: u32, from: u64, high: u64) -> u32 {
        self.ordinals(from, high).map(|ordinal| self.free(stream, ordinal)).sum()
    }

    fn free(&mut self, stream: u32, ordinal: u64) -> u32 {
        let index = self.index(stream, ordinal);
        let Some(chunk) = std::mem::take(&mut self.table[index]).checked_sub(1) else { return 0 };
        debug_assert!(self.free.len() < self.free.capacity());
        self.free.push(chunk);
        1
    }

    fn ordinals(&self, start: u64, end: u64) -> std::ops::Range<u64> {
        start / self.chunk_bytes..end.div_ceil(self.chunk_bytes)
    }

    fn index(&self, stream: u32, ordinal: u64) -> usize {
        (u64::from(stream) * self.table_slots + ordinal % self.table_slots) as usize
    }
}
