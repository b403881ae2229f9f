//! Somebody who looks at the frames of an engine.

use core::fmt;

use crate::nic::{Frame, IfIndex};
use crate::time::Instant;

/// Which way a frame goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Direction {
    /// It was received.
    In,
    /// It is about to be sent.
    Out,
}

/// The bytes of a frame, whatever its NIC is.
pub trait FrameBytes {
    /// Getter: bytes in all.
    fn total(&self) -> usize;
    /// Getter: how many pieces they are in.
    fn pieces(&self) -> usize;
    /// Getter: one of the pieces.
    fn piece(&self, index: usize) -> &[u8];
}

impl<F: Frame> FrameBytes for F {
    fn total(&self) -> usize {
        self.len()
    }
    fn pieces(&self) -> usize {
        self.segment_count()
    }
    fn piece(&self, index: usize) -> &[u8] {
        self.segment(index)
    }
}

/// Looks at each frame that an engine receives or makes ([`crate::engine::Engine::set_tap`]). Super-segments are seen whole, and
/// checksums that the NIC completes are not complete yet. What goes over the loopback is seen once, as received.
pub trait FrameTap: fmt::Debug + Send {
    /// Input: a frame.
    fn frame(&mut self, now: Instant, interface: IfIndex, way: Direction, frame: &dyn FrameBytes);
}
