//! The TX chunks of one stream, as the application keeps them: attached when bytes come, taken back when all that is in
//! them was released.

use std::collections::VecDeque;

/// The chunks that hold a stream's unreleased bytes, in order.
#[derive(Debug, Default)]
pub(crate) struct TxChunks {
    chunks: VecDeque<u32>,
    /// Which part of the stream the first one holds.
    first: u64,
}

impl TxChunks {
    /// Getter: it holds none.
    pub(crate) fn is_empty(&self) -> bool {
        self.chunks.is_empty()
    }

    /// Getter: one past the last byte that the chunks have room for. Only while there are any.
    pub(crate) fn end(&self, chunk_bytes: u64) -> u64 {
        (self.first + self.chunks.len() as u64) * chunk_bytes
    }

    /// Command: the chunk that the byte at `staged`, the next one, goes to. A new one comes from `free`, and its part of the stream and
    /// number go to `name`. `None`: there is none.
    pub(crate) fn hold(
        &mut self,
        staged: u64,
        chunk_bytes: u64,
        free: &mut Vec<u32>,
        name: impl FnOnce(u64, u32),
    ) -> Option<u32> {
        let ordinal = staged / chunk_bytes;
        if self.chunks.is_empty() {
            self.first = ordinal;
        }
        let index = (ordinal - self.first) as usize;
        if let Some(chunk) = self.chunks.get(index) {
            return Some(*chunk);
        }
        let chunk = free.pop()?;
        self.chunks.push_back(chunk);
        name(ordinal, chunk);
        Some(chunk)
    }

    /// Command: gives the chunks to `free` of which every byte was released.
    pub(crate) fn reap(
        &mut self,
        released: u64,
        staged: u64,
        chunk_bytes: u64,
        free: &mut Vec<u32>,
    ) {
        while let Some(chunk) = self.chunks.front() {
            let end = (self.first + 1) * chunk_bytes;
            // The last chunk is free as well when everything that is in it was released.
            if end > released && staged != released {
                break;
            }
            free.push(*chunk);
            self.chunks.pop_front();
            self.first += 1;
        }
    }

    /// Command: gives the chunks to `free` that hold nothing of the stream from `released` to `staged`, the next byte to be staged.
    pub(crate) fn trim(
        &mut self,
        (released, staged): (u64, u64),
        chunk_bytes: u64,
        free: &mut Vec<u32>,
    ) {
        while let Some(chunk) = self.chunks.back() {
            let last = self.first + self.chunks.len() as u64 - 1;
            if last * chunk_bytes < staged && released != staged {
                break;
            }
            free.push(*chunk);
            self.chunks.pop_back();
        }
    }

    /// Command: gives them all to `free`.
    pub(crate) fn free_all(self, free: &mut Vec<u32>) {
        free.extend(self.chunks);
    }
}
