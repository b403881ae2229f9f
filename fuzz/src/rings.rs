//! Rings in ordinary memory that check what a connection does with them.

use causeway_core::port::{RingError, StreamIo};
use causeway_core::wire::checksum;

use crate::content::{self, Way};

/// Rings that check what the stack does with them. The stream that goes out is [`Way::Out`]'s; the one that comes in is kept.
#[derive(Clone, Debug)]
pub struct CheckedRings {
    capacity: u64,
    /// One past the last byte that the application has written.
    pub written: u64,
    released: u64,
    /// One past the last byte that may be read.
    pub committed: u64,
    consumed: u64,
    /// All that was stored, by offset; bytes that were not are zero.
    pub stored: Vec<u8>,
}

impl CheckedRings {
    /// Empty rings of `capacity` bytes each.
    pub const fn new(capacity: u64) -> Self {
        Self { capacity, written: 0, released: 0, committed: 0, consumed: 0, stored: Vec::new() }
    }

    /// Command: the application writes up to `len` bytes.
    pub fn write(&mut self, len: u64) {
        self.written += len.min(self.capacity - (self.written - self.released));
    }

    /// Command: the application reads up to `len` bytes.
    pub fn read(&mut self, len: u64) {
        self.consumed += len.min(self.committed - self.consumed);
    }

    /// Getter: bytes that nobody has read.
    pub const fn unread(&self) -> u64 {
        self.committed - self.consumed
    }
}

impl StreamIo for CheckedRings {
    fn tx_end(&self) -> u64 {
        self.written
    }

    fn tx_copy_out_sum(&self, offset: u64, dst: &mut [u8]) -> u16 {
        assert!(offset >= self.released, "released bytes are sent again");
        assert!(offset + dst.len() as u64 <= self.written, "bytes are sent that nobody wrote");
        content::fill(Way::Out, offset, dst);
        checksum::sum(dst)
    }

    fn tx_release(&mut self, offset: u64) {
        assert!(
            offset >= self.released && offset <= self.written,
            "released what was never written"
        );
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
        assert!(
            offset >= self.committed,
            "bytes that the application may be reading are overwritten"
        );
        if end > self.rx_limit() {
            return Err(RingError::OutOfRange);
        }
        let (start, end) = (offset as usize, end as usize);
        if self.stored.len() < end {
            self.stored.resize(end, 0);
        }
        self.stored[start..end].copy_from_slice(src);
        Ok(())
    }

    fn rx_commit(&mut self, offset: u64) {
        assert!(offset >= self.committed && offset <= self.rx_limit(), "committed beyond the ring");
        assert!(offset <= self.stored.len() as u64, "committed what never came");
        self.committed = offset;
    }
}
