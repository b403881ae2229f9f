//! The frame type of every backend in this crate, and the pool that its memory comes from.

use std::cell::RefCell;
use std::rc::Rc;

use causeway_core::nic::{Frame, FrameMeta};

/// Bytes kept free in front of each frame, for the header that some devices want there
/// (`struct virtio_net_hdr_v1`).
pub const HEADROOM: usize = 12;

/// The frame memory of one NIC: a fixed number of buffers of one size, allocated at the start.
///
/// Cloning gives another handle to the same pool. Not for more than one thread.
#[derive(Clone, Debug)]
pub struct Pool {
    shared: Rc<Shared>,
}

#[derive(Debug)]
struct Shared {
    /// Never grows beyond the capacity it was made with: only buffers of this pool come back.
    free: RefCell<Vec<Box<[u8]>>>,
    frame_bytes_max: usize,
}

impl Pool {
    /// A pool of `frames` buffers for frames of up to `frame_bytes_max` bytes.
    pub fn new(frames: usize, frame_bytes_max: usize) -> Self {
        let one = || vec![0; HEADROOM + frame_bytes_max].into_boxed_slice();
        let free = RefCell::new((0..frames).map(|_| one()).collect());
        Self { shared: Rc::new(Shared { free, frame_bytes_max }) }
    }

    /// Output: a frame of `len` bytes with default metadata, or `None` when no buffer is free or `len`
    /// exceeds the buffers. The bytes are what the last user left there.
    pub fn alloc(&self, len: usize) -> Option<Buf> {
        if len > self.shared.frame_bytes_max {
            return None;
        }
        let memory = self.shared.free.borrow_mut().pop()?;
        Some(Buf { memory, len, meta: FrameMeta::default(), pool: self.clone() })
    }

    /// Output: a frame over a whole buffer, to be filled and then truncated to what was filled.
    pub fn alloc_max(&self) -> Option<Buf> {
        self.alloc(self.shared.frame_bytes_max)
    }

    /// Getter: buffers that are free now.
    pub fn available(&self) -> usize {
        self.shared.free.borrow().len()
    }

    /// Getter: the longest frame in bytes.
    pub fn frame_bytes_max(&self) -> usize {
        self.shared.frame_bytes_max
    }
}

/// One frame in one buffer of a [`Pool`]; dropping it gives the buffer back.
///
/// It may travel to another NIC of the same thread (a loopback pair does that); the memory returns to the
/// pool it came from.
#[derive(Debug)]
pub struct Buf {
    memory: Box<[u8]>,
    len: usize,
    meta: FrameMeta,
    pool: Pool,
}

impl Buf {
    /// Getter: the frame's bytes.
    pub fn bytes(&self) -> &[u8] {
        &self.memory[HEADROOM..HEADROOM + self.len]
    }

    /// Command: write the frame's bytes.
    pub fn bytes_mut(&mut self) -> &mut [u8] {
        &mut self.memory[HEADROOM..HEADROOM + self.len]
    }

    /// Getter: the frame's bytes with `header` in front of them, which needs no copy.
    pub(crate) fn bytes_behind<const N: usize>(&mut self, header: [u8; N]) -> &[u8] {
        const { assert!(N <= HEADROOM) };
        self.memory[HEADROOM - N..HEADROOM].copy_from_slice(&header);
        &self.memory[HEADROOM - N..HEADROOM + self.len]
    }
}

impl Drop for Buf {
    fn drop(&mut self) {
        // An empty boxed slice has no allocation: taking costs nothing.
        self.pool.shared.free.borrow_mut().push(std::mem::take(&mut self.memory));
    }
}

impl Frame for Buf {
    fn meta(&self) -> &FrameMeta {
        &self.meta
    }

    fn meta_mut(&mut self) -> &mut FrameMeta {
        &mut self.meta
    }

    fn segment_count(&self) -> usize {
        1
    }

    fn segment(&self, index: usize) -> &[u8] {
        assert_eq!(index, 0, "a Buf has one segment");
        self.bytes()
    }

    fn segment_mut(&mut self, index: usize) -> &mut [u8] {
        assert_eq!(index, 0, "a Buf has one segment");
        self.bytes_mut()
    }

    fn truncate(&mut self, len: usize) {
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
    fn a_pool_gives_what_it_has_and_takes_it_back() {
        let pool = Pool::new(2, 100);
        let first = pool.alloc(100).unwrap();
        let second = pool.alloc(1).unwrap();
        assert!(pool.alloc(1).is_none(), "the pool is bounded");
        assert_eq!((first.len(), second.len()), (100, 1));
        drop(first);
        assert_eq!(pool.available(), 1);
        assert!(pool.alloc(101).is_none(), "longer than its buffers");
        assert_eq!(pool.available(), 1, "a refusal costs no buffer");
    }

    #[test]
    fn a_used_buffer_comes_back_with_fresh_metadata() {
        let pool = Pool::new(1, 64);
        let mut frame = pool.alloc(64).unwrap();
        frame.meta_mut().vlan_tci = Some(7);
        frame.truncate(10);
        drop(frame);
        let again = pool.alloc(64).unwrap();
        assert_eq!(*again.meta(), FrameMeta::default());
        assert_eq!(again.len(), 64);
    }

    #[test]
    fn truncating_to_more_than_the_length_changes_nothing() {
        let pool = Pool::new(1, 64);
        let mut frame = pool.alloc(20).unwrap();
        frame.truncate(40);
        assert_eq!(frame.len(), 20);
        frame.truncate(5);
        assert_eq!((frame.len(), frame.segment(0).len()), (5, 5));
    }

    #[test]
    fn a_frame_may_outlive_its_nic() {
        let pool = Pool::new(1, 64);
        let frame = pool.alloc(3).unwrap();
        drop(pool);
        assert_eq!(frame.len(), 3);
    }
}
