//! A NIC whose wire is two vectors that the test moves frames between.

use alloc::collections::VecDeque;
use alloc::vec::Vec;

use super::frame::{FramePool, MemFrame};
use crate::nic::{BURST_MAX, Frame, MacAddr, Medium, Nic, NicCaps, RxChecksum, WaitSource};

/// Capabilities of the plainest Ethernet card: MTU 1500, one segment a frame, no offload.
pub fn default_caps(mac: MacAddr) -> NicCaps {
    NicCaps {
        medium: Medium::Ethernet,
        mac,
        mtu: 1_500,
        burst: BURST_MAX as u16,
        tx_segments: 1,
        tx_checksum: false,
        rx_checksum: false,
        tso_bytes_max: 0,
        lro: false,
        rss: false,
        vlan: false,
    }
}

/// An in-memory NIC. The stack's side is [`Nic`]; the wire's side are the public fields.
#[derive(Debug)]
pub struct MemNic {
    /// What it says it can do. Set before the engine is built.
    pub caps: NicCaps,
    /// Where its frames live; give both ends of a link the same pool.
    pub pool: FramePool,
    /// Frames that the stack will receive.
    pub inbound: VecDeque<MemFrame>,
    /// Frames that the stack has sent.
    pub outbound: VecDeque<MemFrame>,
    /// `alloc` fails while this is false.
    pub memory: bool,
    /// Most frames that `tx_burst` accepts until the test raises it again.
    pub tx_room: usize,
    /// Each allocated frame is cut into segments of this many bytes (needs `caps.tx_segments`); 0 for one segment.
    pub segment_bytes: usize,
}

impl MemNic {
    /// A NIC with these capabilities, frames from `pool`, and room without end.
    pub fn new(caps: NicCaps, pool: FramePool) -> Self {
        Self {
            caps,
            pool,
            inbound: VecDeque::new(),
            outbound: VecDeque::new(),
            memory: true,
            tx_room: usize::MAX,
            segment_bytes: 0,
        }
    }

    /// Command: a frame with these bytes arrives.
    pub fn inject(&mut self, bytes: &[u8]) {
        let frame = self.pool.frame(bytes);
        self.inbound.push_back(frame);
    }

    /// Command: carries everything that either end has sent to the other, in order. Returns how many frames.
    pub fn exchange(a: &mut Self, b: &mut Self) -> usize {
        let moved = a.outbound.len() + b.outbound.len();
        b.inbound.append(&mut a.outbound);
        a.inbound.append(&mut b.outbound);
        moved
    }
}

impl Nic for MemNic {
    type Frame = MemFrame;

    fn caps(&self) -> &NicCaps {
        &self.caps
    }

    fn link_up(&self) -> bool {
        true
    }

    fn rx_burst(&mut self, out: &mut Vec<MemFrame>, max: usize) -> usize {
        let count = self.inbound.len().min(max);
        out.extend(self.inbound.drain(..count));
        count
    }

    fn alloc(&mut self, len: usize) -> Option<MemFrame> {
        let link = if self.caps.medium == Medium::Ethernet { 18 } else { 0 };
        let len_max = (usize::from(self.caps.mtu) + link).max(self.caps.tso_bytes_max as usize);
        if !self.memory || len > len_max {
            return None;
        }
        let mut frame = self.pool.alloc(len)?;
        if self.segment_bytes > 0 {
            frame.chain(self.segment_bytes, self.segment_bytes);
            assert!(frame.segment_count() <= usize::from(self.caps.tx_segments));
        }
        Some(frame)
    }

    fn tx_burst(&mut self, frames: &mut VecDeque<MemFrame>) -> usize {
        let count = frames.len().min(self.tx_room).min(usize::from(self.caps.burst));
        self.tx_room -= count;
        for mut frame in frames.drain(..count) {
            // A partial checksum from a local peer never leaves memory: virtio delivers it as verified.
            let offload = frame.meta().offload;
            if offload.needs_csum {
                frame.meta_mut().rx_checksum = RxChecksum::Verified;
            }
            self.outbound.push_back(frame);
        }
        count
    }

    fn wait_source(&self) -> WaitSource {
        WaitSource::Driver
    }
}
