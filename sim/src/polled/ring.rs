//! A byte ring by stream offset in ordinary memory, attached at the first byte.

use causeway_checksum::{Implementation, combine};

/// See the module. Its size is a power of two.
#[derive(Debug, Default)]
pub(super) struct Ring {
    bytes: Vec<u8>,
}

impl Ring {
    /// Command: memory from `spare`, or fresh, if there is none yet.
    pub(super) fn attach(&mut self, size: usize, spare: &mut Vec<Vec<u8>>) {
        if self.bytes.is_empty() {
            self.bytes = spare.pop().unwrap_or_else(|| vec![0; size]);
        }
    }

    /// Command: gives the memory back.
    pub(super) fn detach(&mut self, spare: &mut Vec<Vec<u8>>) {
        if !self.bytes.is_empty() {
            spare.push(std::mem::take(&mut self.bytes));
        }
    }

    /// The position of `offset`, and how many of `len` bytes lie before the memory's end.
    fn split(&self, offset: u64, len: usize) -> (usize, usize) {
        let at = (offset as usize) & (self.bytes.len() - 1);
        (at, len.min(self.bytes.len() - at))
    }

    /// Getter: the longest piece from `offset` on, at most `len` bytes, that lies in a row.
    pub(super) fn piece(&self, offset: u64, len: usize) -> &[u8] {
        let (at, first) = self.split(offset, len);
        &self.bytes[at..at + first]
    }

    /// Command: as [`Ring::piece`], to write to.
    pub(super) fn piece_mut(&mut self, offset: u64, len: usize) -> &mut [u8] {
        let (at, first) = self.split(offset, len);
        &mut self.bytes[at..at + first]
    }

    /// Input: stores `src` at `offset`.
    pub(super) fn put(&mut self, offset: u64, src: &[u8]) {
        if src.is_empty() {
            return;
        }
        let (at, first) = self.split(offset, src.len());
        self.bytes[at..at + first].copy_from_slice(&src[..first]);
        self.bytes[..src.len() - first].copy_from_slice(&src[first..]);
    }

    /// Input: as [`Ring::put`], and the partial checksum of `src`.
    pub(super) fn put_sum(&mut self, offset: u64, src: &[u8], checksum: Implementation) -> u16 {
        if src.is_empty() {
            return 0;
        }
        let (at, first) = self.split(offset, src.len());
        let sum = checksum.copy_sum(&src[..first], &mut self.bytes[at..at + first]);
        if first == src.len() {
            return sum;
        }
        let rest = checksum.copy_sum(&src[first..], &mut self.bytes[..src.len() - first]);
        combine(sum, rest, first % 2 == 1)
    }

    /// Output: copies from `offset` on.
    pub(super) fn take(&self, offset: u64, dst: &mut [u8]) {
        if dst.is_empty() {
            return;
        }
        let (at, first) = self.split(offset, dst.len());
        dst[..first].copy_from_slice(&self.bytes[at..at + first]);
        let rest = dst.len() - first;
        dst[first..].copy_from_slice(&self.bytes[..rest]);
    }

    /// Output: as [`Ring::take`], and the partial checksum of what was copied.
    pub(super) fn take_sum(&self, offset: u64, dst: &mut [u8], checksum: Implementation) -> u16 {
        if dst.is_empty() {
            return 0;
        }
        let (at, first) = self.split(offset, dst.len());
        let sum = checksum.copy_sum(&self.bytes[at..at + first], &mut dst[..first]);
        if first == dst.len() {
            return sum;
        }
        let rest = dst.len() - first;
        combine(sum, checksum.copy_sum(&self.bytes[..rest], &mut dst[first..]), first % 2 == 1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_put_is_taken_across_the_end_with_its_sum() {
        let checksum = Implementation::detect();
        let mut ring = Ring::default();
        ring.attach(16, &mut Vec::new());
        let src: Vec<u8> = (1..=11).collect();
        for offset in 0..40 {
            ring.put(offset, &[0xee; 11]);
            assert_eq!(ring.put_sum(offset, &src, checksum), checksum.sum(&src));
            let mut dst = [0; 11];
            assert_eq!(ring.take_sum(offset, &mut dst, checksum), checksum.sum(&src));
            assert_eq!(dst[..], src);
            ring.take(offset, &mut dst);
            assert_eq!(dst[..], src);
            let first = ring.piece(offset, 11).len();
            let rest = ring.piece(offset + first as u64, 11 - first);
            assert_eq!([ring.piece(offset, 11), rest].concat(), src);
        }
    }

    #[test]
    fn memory_goes_from_one_ring_to_the_next() {
        let (mut spare, mut first, mut second) = (Vec::new(), Ring::default(), Ring::default());
        first.attach(64, &mut spare);
        first.detach(&mut spare);
        assert_eq!(spare.len(), 1);
        second.attach(64, &mut spare);
        assert!(spare.is_empty() && second.piece(0, 64).len() == 64);
    }
}
