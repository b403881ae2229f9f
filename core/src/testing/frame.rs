//! Frames in ordinary memory, pooled, cut into as many segments as a test wants.

use alloc::rc::Rc;
use alloc::vec;
use alloc::vec::Vec;
use core::cell::RefCell;

use crate::nic::{Frame, FrameMeta, SEGMENTS_MAX, SUPER_FRAME_MAX};

/// Frames up to this long have a buffer of this size; all others one of [`SUPER_FRAME_MAX`].
const SMALL_BYTES: usize = 2_048;

#[derive(Debug, Default)]
struct Buffers {
    small: Vec<Vec<u8>>,
    large: Vec<Vec<u8>>,
    outstanding: usize,
}

/// Where frames come from and go back to when they are dropped. Clones are the same pool.
#[derive(Clone, Debug, Default)]
pub struct FramePool(Rc<RefCell<Buffers>>);

impl FramePool {
    /// Command: a frame of one segment with `len` bytes of no particular value; `None` above [`SUPER_FRAME_MAX`].
    pub fn alloc(&self, len: usize) -> Option<MemFrame> {
        if len > SUPER_FRAME_MAX {
            return None;
        }
        let mut buffers = self.0.borrow_mut();
        buffers.outstanding += 1;
        let buffer = if len <= SMALL_BYTES {
            buffers.small.pop().unwrap_or_else(|| vec![0xa5; SMALL_BYTES])
        } else {
            buffers.large.pop().unwrap_or_else(|| vec![0xa5; SUPER_FRAME_MAX])
        };
        drop(buffers);
        let mut ends = [0; SEGMENTS_MAX];
        ends[0] = len;
        Some(MemFrame { pool: self.clone(), buffer, ends, count: 1, meta: FrameMeta::default() })
    }

    /// Command: a frame with these bytes.
    ///
    /// # Panics
    /// When `bytes` is longer than [`SUPER_FRAME_MAX`].
    pub fn frame(&self, bytes: &[u8]) -> MemFrame {
        let mut frame = self.alloc(bytes.len()).expect("no longer than SUPER_FRAME_MAX");
        frame.segment_mut(0).copy_from_slice(bytes);
        frame
    }

    /// Command: makes buffers for `count` frames of ordinary length now, as a NIC does at its start.
    pub fn reserve(&self, count: usize) {
        let mut buffers = self.0.borrow_mut();
        let missing = count.saturating_sub(buffers.small.len());
        buffers.small.extend((0..missing).map(|_| vec![0xa5; SMALL_BYTES]));
    }

    /// Getter: frames that exist at present. Zero after a test means that nobody leaks one.
    pub fn outstanding(&self) -> usize {
        self.0.borrow().outstanding
    }
}

/// A frame over one pooled buffer. Its segments lie one behind the other, but nobody may rely on that.
#[derive(Debug)]
pub struct MemFrame {
    pool: FramePool,
    buffer: Vec<u8>,
    /// One past the last byte of each segment.
    ends: [usize; SEGMENTS_MAX],
    count: usize,
    meta: FrameMeta,
}

impl MemFrame {
    /// Command: cuts the frame into segments of `first` bytes and then of `rest` bytes each (the last one takes
    /// what remains), as a NIC with small buffers would deliver it.
    pub fn chain(&mut self, first: usize, rest: usize) {
        let len = Frame::len(self);
        let mut end = first.min(len);
        self.count = 0;
        loop {
            let last = self.count + 1 == SEGMENTS_MAX;
            self.ends[self.count] = if last { len } else { end };
            self.count += 1;
            if last || end >= len {
                return;
            }
            end = (end + rest.max(1)).min(len);
        }
    }

    /// Getter: all bytes in one piece.
    pub fn bytes(&self) -> &[u8] {
        &self.buffer[..Frame::len(self)]
    }

    fn range(&self, index: usize) -> core::ops::Range<usize> {
        assert!(index < self.count, "segment {index} of {}", self.count);
        let start = if index == 0 { 0 } else { self.ends[index - 1] };
        start..self.ends[index]
    }
}

impl Frame for MemFrame {
    fn meta(&self) -> &FrameMeta {
        &self.meta
    }

    fn meta_mut(&mut self) -> &mut FrameMeta {
        &mut self.meta
    }

    fn segment_count(&self) -> usize {
        self.count
    }

    fn segment(&self, index: usize) -> &[u8] {
        &self.buffer[self.range(index)]
    }

    fn segment_mut(&mut self, index: usize) -> &mut [u8] {
        let range = self.range(index);
        &mut self.buffer[range]
    }

    fn truncate(&mut self, len: usize) {
        for end in &mut self.ends[..self.count] {
            *end = (*end).min(len);
        }
        while self.count > 1 && self.ends[self.count - 1] == self.ends[self.count - 2] {
            self.count -= 1;
        }
    }

    fn len(&self) -> usize {
        self.ends[self.count - 1]
    }
}

impl Drop for MemFrame {
    fn drop(&mut self) {
        let buffer = core::mem::take(&mut self.buffer);
        let mut buffers = self.pool.0.borrow_mut();
        buffers.outstanding -= 1;
        let pool =
            if buffer.len() <= SMALL_BYTES { &mut buffers.small } else { &mut buffers.large };
        pool.push(buffer);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_chain_holds_the_same_bytes_and_truncates_across_segments() {
        let pool = FramePool::default();
        let bytes: Vec<u8> = (0..100).collect();
        let mut frame = pool.frame(&bytes);
        frame.chain(64, 10);
        assert_eq!(frame.segment_count(), 5);
        assert_eq!(frame.segment(1), &bytes[64..74]);
        assert_eq!(Frame::len(&frame), 100);
        frame.truncate(70);
        assert_eq!((frame.segment_count(), Frame::len(&frame)), (2, 70));
        drop(frame);
        assert_eq!(pool.outstanding(), 0);
    }

    #[test]
    fn a_chain_never_has_more_segments_than_allowed() {
        let mut frame = FramePool::default().frame(&[7; 1_000]);
        frame.chain(1, 1);
        assert_eq!(frame.segment_count(), SEGMENTS_MAX);
        assert_eq!(Frame::len(&frame), 1_000);
    }
}
