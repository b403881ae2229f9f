//! Rings of one connection in plain memory.

use causeway_core::port::{RingError, StreamIo};
use causeway_core::wire::checksum;

use crate::content;

/// Rings whose application writes what `content` says and keeps what it is given.
#[derive(Clone, Debug)]
pub struct Rings {
    side: usize,
    capacity: u64,
    written: u64,
    released: u64,
    stored: Vec<u8>,
    committed: u64,
    consumed: u64,
}

impl Rings {
    /// Empty rings of `capacity` bytes each, of the application on `side`.
    pub const fn new(side: usize, capacity: u64) -> Self {
        let stored = Vec::new();
        Self { side, capacity, written: 0, released: 0, stored, committed: 0, consumed: 0 }
    }

    /// Command: the application writes up to `len` bytes, as many as there is room for.
    pub fn write(&mut self, len: u64) {
        self.written += len.min(self.capacity - (self.written - self.released));
    }

    /// Command: the application reads up to `len` bytes.
    pub fn read(&mut self, len: u64) {
        self.consumed += len.min(self.committed - self.consumed);
    }

    /// Getter: bytes that were written.
    pub const fn written(&self) -> u64 {
        self.written
    }

    /// Getter: all bytes that came in order.
    pub fn received(&self) -> &[u8] {
        &self.stored[..self.committed as usize]
    }
}

impl StreamIo for Rings {
    fn tx_end(&self) -> u64 {
        self.written
    }

    fn tx_copy_out_sum(&self, offset: u64, dst: &mut [u8]) -> u16 {
        assert!(offset >= self.released && offset + dst.len() as u64 <= self.written);
        content::fill(self.side, offset, dst);
        checksum::sum(dst)
    }

    fn tx_release(&mut self, offset: u64) {
        assert!(offset >= self.released && offset <= self.written);
        self.released = offset;
    }

    fn rx_limit(&self) -> u64 {
        self.consumed + self.capacity
    }

    fn rx_consumed(&self) -> u64 {
        self.consumed
    }

    fn rx_copy_in(&mut self, offset: u64, src: &[u8]) -> Result<(), RingError> {
        let end = offset + src.len() as u64;
        assert!(offset >= self.committed, "in-order bytes are never written again");
        if end > self.rx_limit() {
            return Err(RingError::OutOfRange);
        }
        if self.stored.len() < end as usize {
            self.stored.resize(end as usize, 0);
        }
        self.stored[offset as usize..end as usize].copy_from_slice(src);
        Ok(())
    }

    fn rx_commit(&mut self, offset: u64) {
        assert!(offset >= self.committed && offset <= self.stored.len() as u64);
        self.committed = offset;
    }
}
