//! What the fuzz targets share: a reader of fuzz bytes, and rings in ordinary memory.

use causeway_core::port::{RingError, StreamIo};

/// Takes numbers off the front of the fuzzer's bytes; zeros once they are used up.
#[derive(Debug)]
pub struct Bytes<'a>(pub &'a [u8]);

impl<'a> Bytes<'a> {
    /// Output: true when nothing is left.
    pub const fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Output: the next byte.
    pub fn u8(&mut self) -> u8 {
        self.take(1).first().copied().unwrap_or(0)
    }

    /// Output: the next two bytes.
    pub fn u16(&mut self) -> u16 {
        u16::from(self.u8()) << 8 | u16::from(self.u8())
    }

    /// Output: the next four bytes.
    pub fn u32(&mut self) -> u32 {
        u32::from(self.u16()) << 16 | u32::from(self.u16())
    }

    /// Output: up to `len` bytes.
    pub fn take(&mut self, len: usize) -> &'a [u8] {
        let (head, tail) = self.0.split_at(len.min(self.0.len()));
        self.0 = tail;
        head
    }
}

/// Rings that check what the stack does with them.
#[derive(Debug)]
pub struct CheckedRings {
    capacity: u64,
    /// One past the last byte that the application has written.
    pub written: u64,
    released: u64,
    committed: u64,
    consumed: u64,
}

impl CheckedRings {
    /// Empty rings of `capacity` bytes each.
    pub const fn new(capacity: u64) -> Self {
        Self { capacity, written: 0, released: 0, committed: 0, consumed: 0 }
    }

    /// Command: the application writes up to `len` bytes.
    pub fn write(&mut self, len: u64) {
        self.written += len.min(self.capacity - (self.written - self.released));
    }

    /// Command: the application reads up to `len` bytes.
    pub fn read(&mut self, len: u64) {
        self.consumed += len.min(self.committed - self.consumed);
    }
}

impl StreamIo for CheckedRings {
    fn tx_end(&self) -> u64 {
        self.written
    }

    fn tx_copy_out_sum(&self, offset: u64, dst: &mut [u8]) -> u16 {
        dst.fill(0);
        assert!(offset >= self.released, "released bytes are sent again");
        0
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
        if end > self.rx_limit() { Err(RingError::OutOfRange) } else { Ok(()) }
    }

    fn rx_commit(&mut self, offset: u64) {
        assert!(offset >= self.committed && offset <= self.rx_limit(), "committed beyond the ring");
        self.committed = offset;
    }
}
