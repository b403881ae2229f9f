//! Frames of the simulated NICs: pooled buffers, so that a run allocates none after warm-up.

use std::cell::{Cell, RefCell};
use std::rc::Rc;

use causeway_core::nic::{Frame, FrameMeta};

/// A pool of equally sized frame buffers with a limit on how many may exist at once.
#[derive(Clone, Debug)]
pub struct FramePool {
    inner: Rc<Inner>,
}

#[derive(Debug)]
struct Inner {
    free: RefCell<Vec<Vec<u8>>>,
    frame_bytes: usize,
    frames_max: usize,
    in_use: Cell<usize>,
}

impl FramePool {
    /// A pool of at most `frames_max` frames of at most `frame_bytes` bytes. Memory is taken when first needed.
    pub fn new(frame_bytes: usize, frames_max: usize) -> Self {
        Self {
            inner: Rc::new(Inner {
                free: RefCell::new(Vec::new()),
                frame_bytes,
                frames_max,
                in_use: Cell::new(0),
            }),
        }
    }

    /// Command: a frame of `len` bytes whose content is unspecified; `None` when the pool is
    /// exhausted or `len` is more than a buffer holds.
    pub fn alloc(&self, len: usize) -> Option<SimFrame> {
        let inner = &self.inner;
        if len > inner.frame_bytes || inner.in_use.get() >= inner.frames_max {
            return None;
        }
        inner.in_use.set(inner.in_use.get() + 1);
        let bytes = inner.free.borrow_mut().pop().unwrap_or_else(|| vec![0; inner.frame_bytes]);
        let meta = FrameMeta::default();
        Some(SimFrame { bytes, len, piece: usize::MAX, seal: 0, meta, pool: Rc::clone(inner) })
    }

    /// Getter: frames that exist at this moment.
    pub fn in_use(&self) -> usize {
        self.inner.in_use.get()
    }
}

/// One frame. Dropping it returns its buffer to the pool that made it.
#[derive(Debug)]
pub struct SimFrame {
    bytes: Vec<u8>,
    len: usize,
    /// Bytes of each segment but the last.
    piece: usize,
    /// What [`SimFrame::seal`] was told, and 0 once a byte may have changed.
    seal: u64,
    meta: FrameMeta,
    pool: Rc<Inner>,
}

impl SimFrame {
    /// Getter: the frame's bytes, Ethernet header first, without preamble and FCS.
    pub fn bytes(&self) -> &[u8] {
        &self.bytes[..self.len]
    }

    /// Command: change the frame's bytes.
    pub fn bytes_mut(&mut self) -> &mut [u8] {
        self.seal = 0;
        &mut self.bytes[..self.len]
    }

    /// Command: from here on [`SimFrame::is_sealed`] says whether its bytes are those of now.
    pub const fn seal(&mut self, number: u64) {
        self.seal = number;
    }

    /// Getter: it was sealed with `number`, which is not 0, and no byte has changed since.
    pub const fn is_sealed(&self, number: u64) -> bool {
        self.seal == number && number != 0
    }

    /// Command: from here on a chain of segments of `piece` bytes, which is at least 1, but for the last; shorter frames are one segment.
    pub fn chain(&mut self, piece: usize) {
        self.piece = piece.max(1);
    }

    /// Command: another length, new bytes being zero. False, and nothing is done, where the buffer is too small.
    pub fn set_len(&mut self, len: usize) -> bool {
        if len > self.bytes.len() {
            return false;
        }
        if len > self.len {
            self.bytes[self.len..len].fill(0);
        }
        self.seal = 0;
        self.len = len;
        true
    }

    /// Where segment `index` begins and ends.
    #[inline]
    fn segment_bounds(&self, index: usize) -> (usize, usize) {
        let from = index.saturating_mul(self.piece);
        assert!(from < self.len || index == 0, "the frame has fewer segments");
        (from, from.saturating_add(self.piece).min(self.len))
    }

    /// Command: a frame of these bytes from the same pool; `None` when that is exhausted or they do not fit.
    pub fn sibling(&self, bytes: &[u8]) -> Option<Self> {
        let pool = FramePool { inner: Rc::clone(&self.pool) };
        let mut frame = pool.alloc(bytes.len())?;
        frame.bytes_mut().copy_from_slice(bytes);
        Some(frame)
    }

    /// Command: a second frame with the same content, from the same pool.
    pub fn duplicate(&self) -> Option<Self> {
        let pool = FramePool { inner: Rc::clone(&self.pool) };
        let mut copy = pool.alloc(self.len)?;
        copy.bytes_mut().copy_from_slice(self.bytes());
        copy.meta = self.meta;
        Some(copy)
    }
}

impl Drop for SimFrame {
    fn drop(&mut self) {
        self.pool.in_use.set(self.pool.in_use.get() - 1);
        self.pool.free.borrow_mut().push(std::mem::take(&mut self.bytes));
    }
}

impl Frame for SimFrame {
    fn meta(&self) -> &FrameMeta {
        &self.meta
    }

    fn meta_mut(&mut self) -> &mut FrameMeta {
        &mut self.meta
    }

    #[inline]
    fn segment_count(&self) -> usize {
        if self.len <= self.piece { 1 } else { self.len.div_ceil(self.piece) }
    }

    #[inline]
    fn segment(&self, index: usize) -> &[u8] {
        let (from, end) = self.segment_bounds(index);
        &self.bytes[from..end]
    }

    #[inline]
    fn segment_mut(&mut self, index: usize) -> &mut [u8] {
        let (from, end) = self.segment_bounds(index);
        self.seal = 0;
        &mut self.bytes[from..end]
    }

    fn truncate(&mut self, len: usize) {
        self.seal = 0;
        self.len = self.len.min(len);
    }

    fn len(&self) -> usize {
        self.len
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_dropped_frame_is_the_next_one_handed_out() {
        let pool = FramePool::new(1_514, 2);
        let first = pool.alloc(60).expect("the pool is fresh");
        let buffer = first.bytes().as_ptr();
        drop(first);
        let second = pool.alloc(1_514).expect("the first one came back");
        assert_eq!(second.bytes().as_ptr(), buffer);
        assert_eq!(pool.in_use(), 1);
    }

    #[test]
    fn whoever_may_change_a_byte_breaks_the_seal() {
        let pool = FramePool::new(1_514, 8);
        let changes: [fn(&mut SimFrame); 4] = [
            |frame| frame.bytes_mut()[0] = 1,
            |frame| frame.segment_mut(0)[0] = 1,
            |frame| frame.truncate(59),
            |frame| assert!(frame.set_len(61)),
        ];
        for change in changes {
            let mut frame = pool.alloc(60).expect("one of eight");
            assert!(!frame.is_sealed(0) && !frame.is_sealed(7));
            frame.seal(7);
            let copy = frame.duplicate().expect("two of eight");
            assert!(frame.is_sealed(7) && !frame.is_sealed(8) && !copy.is_sealed(7));
            change(&mut frame);
            assert!(!frame.is_sealed(7));
        }
    }

    #[test]
    fn the_pool_refuses_beyond_its_limits() {
        let pool = FramePool::new(1_514, 2);
        assert!(pool.alloc(1_515).is_none());
        let a = pool.alloc(1).expect("one of two");
        let b = a.duplicate().expect("two of two");
        assert!(pool.alloc(1).is_none() && b.duplicate().is_none());
        drop(a);
        assert!(pool.alloc(1).is_some());
    }
}
