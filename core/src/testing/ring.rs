//! A byte ring addressed by stream offset.

use alloc::vec;
use alloc::vec::Vec;

/// Bytes of a stream, kept for the last `capacity` offsets.
#[derive(Debug)]
pub(super) struct Ring {
    bytes: Vec<u8>,
}

impl Ring {
    pub(super) fn new(capacity: usize) -> Self {
        Self { bytes: vec![0; capacity] }
    }

    pub(super) fn capacity(&self) -> usize {
        self.bytes.len()
    }

    /// The two pieces that hold `offset .. offset + len`; the second is empty unless the range wraps.
    fn split(&self, offset: u64, len: usize) -> (usize, usize) {
        assert!(len <= self.bytes.len());
        let start = (offset % self.bytes.len() as u64) as usize;
        (start, len.min(self.bytes.len() - start))
    }

    pub(super) fn write(&mut self, offset: u64, src: &[u8]) {
        let (start, first) = self.split(offset, src.len());
        self.bytes[start..start + first].copy_from_slice(&src[..first]);
        self.bytes[..src.len() - first].copy_from_slice(&src[first..]);
    }

    pub(super) fn read(&self, offset: u64, dst: &mut [u8]) {
        let (start, first) = self.split(offset, dst.len());
        let (head, tail) = dst.split_at_mut(first);
        head.copy_from_slice(&self.bytes[start..start + first]);
        tail.copy_from_slice(&self.bytes[..tail.len()]);
    }
}
