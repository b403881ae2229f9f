//! A byte ring by stream offset in ordinary memory, attached at the first byte.
//!
//! Memory is zeroed where it is first written, and a ring in which nothing is stored begins at its beginning again: what little is under
//! way stays in the caches, however large the ring is.

use causeway_checksum::{Implementation, combine};

/// Bytes that are zeroed at a time.
const GRAIN: usize = 4_096;

/// See the module. Its size is a power of two.
#[derive(Debug, Default)]
pub(super) struct Ring {
    /// What was ever written to: what lies behind it reads as zeros.
    bytes: Vec<u8>,
    /// 0: there is no memory.
    size: usize,
    /// The offset that lies at the beginning of the memory.
    base: u64,
    /// One past the last byte that was stored.
    end: u64,
}

impl Ring {
    /// Command: memory from `spare`, or fresh, if there is none yet.
    pub(super) fn attach(&mut self, size: usize, spare: &mut Vec<Vec<u8>>) {
        if self.size == 0 {
            self.bytes = spare.pop().unwrap_or_else(|| Vec::with_capacity(size));
            self.size = size;
        }
    }

    /// Command: gives the memory back.
    pub(super) fn detach(&mut self, spare: &mut Vec<Vec<u8>>) {
        if self.size > 0 {
            spare.push(std::mem::take(self).bytes);
        }
    }

    /// The position of `offset`, and how many of `len` bytes lie before the memory's end.
    #[inline]
    fn split(&self, offset: u64, len: usize) -> (usize, usize) {
        let at = (offset.wrapping_sub(self.base) as usize) & (self.size - 1);
        (at, len.min(self.size - at))
    }

    /// There is memory up to the position `end`.
    #[inline]
    fn cover(&mut self, end: usize) {
        if self.bytes.len() < end {
            self.grow(end);
        }
    }

    #[cold]
    fn grow(&mut self, end: usize) {
        self.bytes.resize(end.next_multiple_of(GRAIN).min(self.size), 0);
    }

    /// Command: what lies before `offset` is not asked for any more. If nothing lies behind it, that is where the memory begins.
    #[inline]
    pub(super) fn forget_before(&mut self, offset: u64) {
        if self.end <= offset {
            self.base = offset;
        }
    }

    /// Output: the longest piece from `offset` on, at most `len` bytes, that lies in a row.
    pub(super) fn piece(&mut self, offset: u64, len: usize) -> &[u8] {
        let (at, first) = self.split(offset, len);
        self.cover(at + first);
        &self.bytes[at..at + first]
    }

    /// Input: as [`Ring::piece`], to be written to.
    pub(super) fn piece_mut(&mut self, offset: u64, len: usize) -> &mut [u8] {
        let (at, first) = self.store(offset, len);
        &mut self.bytes[at..at + first]
    }

    /// `len` bytes are about to be stored at `offset`, or the first of them: as [`Ring::split`].
    #[inline]
    fn store(&mut self, offset: u64, len: usize) -> (usize, usize) {
        let (at, first) = self.split(offset, len);
        self.cover(at + first);
        self.end = self.end.max(offset + len as u64);
        (at, first)
    }

    /// Input: stores `src` at `offset`.
    pub(super) fn put(&mut self, offset: u64, src: &[u8]) {
        if src.is_empty() {
            return;
        }
        let (at, first) = self.store(offset, src.len());
        self.bytes[at..at + first].copy_from_slice(&src[..first]);
        self.bytes[..src.len() - first].copy_from_slice(&src[first..]);
    }

    /// Input: as [`Ring::put`], and the partial checksum of `src`.
    pub(super) fn put_sum(&mut self, offset: u64, src: &[u8], checksum: Implementation) -> u16 {
        if src.is_empty() {
            return 0;
        }
        let (at, first) = self.store(offset, src.len());
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
        let (head, rest) = dst.split_at_mut(first);
        for (from, dst) in [(at, head), (0, rest)] {
            let there = self.bytes.get(from..).unwrap_or_default();
            let (known, unwritten) = dst.split_at_mut(there.len().min(dst.len()));
            known.copy_from_slice(&there[..known.len()]);
            unwritten.fill(0);
        }
    }

    /// Output: as [`Ring::take`], and the partial checksum of what was copied.
    pub(super) fn take_sum(&self, offset: u64, dst: &mut [u8], checksum: Implementation) -> u16 {
        if dst.is_empty() {
            return 0;
        }
        let (at, first) = self.split(offset, dst.len());
        if first < dst.len() || at + first > self.bytes.len() {
            self.take(offset, dst);
            return checksum.sum(dst);
        }
        checksum.copy_sum(&self.bytes[at..at + first], dst)
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
            let mut pieces = ring.piece(offset, 11).to_vec();
            pieces.extend_from_slice(ring.piece(offset + pieces.len() as u64, 11 - pieces.len()));
            assert_eq!(pieces, src);
        }
    }

    #[test]
    fn what_nobody_wrote_reads_as_zeros() {
        let checksum = Implementation::detect();
        let mut ring = Ring::default();
        ring.attach(4 * GRAIN, &mut Vec::new());
        ring.put(3, &[7; 2]);
        let mut dst = vec![0xee; 2 * GRAIN];
        ring.take(3, &mut dst);
        assert!(dst[..2] == [7; 2] && dst[2..].iter().all(|byte| *byte == 0));
        dst.fill(0xee);
        assert_eq!(ring.take_sum(3, &mut dst, checksum), checksum.sum(&[7; 2]));
        assert!(ring.piece(2 * GRAIN as u64, GRAIN).iter().all(|byte| *byte == 0));
    }

    #[test]
    fn an_empty_ring_begins_again_and_one_with_something_in_it_does_not() {
        let mut ring = Ring::default();
        ring.attach(16, &mut Vec::new());
        ring.put(0, &[1; 10]);
        ring.put(12, &[2; 2]);
        ring.forget_before(10);
        assert_eq!(ring.piece(12, 2), [2; 2], "what lies beyond a gap stays");
        ring.put(10, &[3; 2]);
        ring.forget_before(14);
        assert_eq!(
            ring.piece(14, 16).len(),
            16,
            "nothing is stored, so that all of it lies in a row"
        );
        ring.put(14, &[4; 16]);
        assert_eq!(ring.piece(14, 16), [4; 16]);
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
