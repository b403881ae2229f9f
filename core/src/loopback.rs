//! The network interface that every engine owns: what is sent comes back, without leaving memory.

use alloc::collections::VecDeque;
use alloc::vec;
use alloc::vec::Vec;

use crate::nic::{
    BURST_MAX, Frame, FrameMeta, MacAddr, Medium, Nic, NicCaps, RxChecksum, WaitSource,
};

/// The largest datagram on the loopback: as Linux's `lo`, what a 16-bit IP length can say.
pub const LOOPBACK_MTU: u16 = 65_535;
/// Frames that may wait in the loopback at once. More are refused by [`Nic::alloc`], as a NIC's ring would.
pub const LOOPBACK_FRAMES_MAX: usize = 256;
/// Frames up to this long come from the pool of small buffers.
const SMALL_BYTES: usize = 2_048;
/// Every other frame has a buffer of this many bytes.
const LARGE_BYTES: usize = LOOPBACK_MTU as usize + 1;

/// A frame of the loopback: one segment in a pooled buffer.
#[derive(Debug)]
pub struct LoopbackFrame {
    buffer: Vec<u8>,
    len: usize,
    meta: FrameMeta,
}

impl Frame for LoopbackFrame {
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
        debug_assert_eq!(index, 0);
        &self.buffer[..self.len]
    }

    fn segment_mut(&mut self, index: usize) -> &mut [u8] {
        debug_assert_eq!(index, 0);
        &mut self.buffer[..self.len]
    }

    fn truncate(&mut self, len: usize) {
        self.len = self.len.min(len);
    }

    fn len(&self) -> usize {
        self.len
    }
}

/// The built-in loopback: bare IP datagrams, no checksums to compute, no link to fail.
#[derive(Debug)]
pub struct Loopback {
    caps: NicCaps,
    queue: VecDeque<LoopbackFrame>,
    small: Vec<Vec<u8>>,
    large: Vec<Vec<u8>>,
}

impl Loopback {
    /// A loopback with nothing in it. Buffers are allocated when first needed and kept from then on.
    pub fn new() -> Self {
        Self {
            caps: NicCaps {
                medium: Medium::Ip,
                mac: MacAddr::default(),
                mtu: LOOPBACK_MTU,
                burst: BURST_MAX as u16,
                tx_segments: 1,
                tx_checksum: true,
                rx_checksum: true,
                tso_bytes_max: 0,
                lro: false,
                rss: false,
                vlan: false,
            },
            queue: VecDeque::new(),
            small: Vec::new(),
            large: Vec::new(),
        }
    }

    /// Getter: true when a frame waits to be received.
    pub fn has_frames(&self) -> bool {
        !self.queue.is_empty()
    }

    /// Command: returns the buffer of a frame that was received, or allocated and not used. Frames that are
    /// dropped instead cost one allocation later.
    pub fn recycle(&mut self, frame: LoopbackFrame) {
        let pool =
            if frame.buffer.len() <= SMALL_BYTES { &mut self.small } else { &mut self.large };
        if pool.len() < LOOPBACK_FRAMES_MAX {
            pool.push(frame.buffer);
        }
    }
}

impl Default for Loopback {
    fn default() -> Self {
        Self::new()
    }
}

impl Nic for Loopback {
    type Frame = LoopbackFrame;

    fn caps(&self) -> &NicCaps {
        &self.caps
    }

    fn link_up(&self) -> bool {
        true
    }

    fn rx_burst(&mut self, out: &mut Vec<LoopbackFrame>, max: usize) -> usize {
        let count = self.queue.len().min(max);
        out.extend(self.queue.drain(..count));
        count
    }

    fn alloc(&mut self, len: usize) -> Option<LoopbackFrame> {
        if len > LARGE_BYTES || self.queue.len() >= LOOPBACK_FRAMES_MAX {
            return None;
        }
        let buffer = if len <= SMALL_BYTES {
            self.small.pop().unwrap_or_else(|| vec![0; SMALL_BYTES])
        } else {
            self.large.pop().unwrap_or_else(|| vec![0; LARGE_BYTES])
        };
        Some(LoopbackFrame { buffer, len, meta: FrameMeta::default() })
    }

    fn tx_burst(&mut self, frames: &mut VecDeque<LoopbackFrame>) -> usize {
        let count = frames.len().min(LOOPBACK_FRAMES_MAX.saturating_sub(self.queue.len()));
        for mut frame in frames.drain(..count) {
            // The bytes never left memory: nothing could have changed them (RxChecksum::Verified).
            frame.meta = FrameMeta { rx_checksum: RxChecksum::Verified, ..FrameMeta::default() };
            self.queue.push_back(frame);
        }
        count
    }

    fn wait_source(&self) -> WaitSource {
        WaitSource::Driver
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_sent_comes_back_in_order_and_counts_as_verified() {
        let mut lo = Loopback::new();
        let mut tx = VecDeque::new();
        for byte in [1_u8, 2] {
            let mut frame = lo.alloc(3).unwrap();
            frame.segment_mut(0).fill(byte);
            tx.push_back(frame);
        }
        assert_eq!(lo.tx_burst(&mut tx), 2);
        let mut rx = Vec::new();
        assert_eq!(lo.rx_burst(&mut rx, 64), 2);
        assert_eq!(rx[0].segment(0), [1, 1, 1]);
        assert_eq!(rx[1].segment(0), [2, 2, 2]);
        assert_eq!(rx[0].meta().rx_checksum, RxChecksum::Verified);
        assert!(!lo.has_frames());
    }

    #[test]
    fn a_full_loopback_refuses_frames_instead_of_growing() {
        let mut lo = Loopback::new();
        let mut tx: VecDeque<_> =
            (0..LOOPBACK_FRAMES_MAX + 3).map(|_| lo.alloc(10).unwrap()).collect();
        assert_eq!(lo.tx_burst(&mut tx), LOOPBACK_FRAMES_MAX);
        assert_eq!(tx.len(), 3);
        assert!(lo.alloc(10).is_none());
        assert!(Loopback::new().alloc(LARGE_BYTES + 1).is_none());
    }

    #[test]
    fn a_recycled_buffer_is_used_again() {
        let mut lo = Loopback::new();
        let frame = lo.alloc(9_000).unwrap();
        let address = frame.buffer.as_ptr();
        lo.recycle(frame);
        assert_eq!(lo.alloc(60_000).unwrap().buffer.as_ptr(), address);
    }
}
