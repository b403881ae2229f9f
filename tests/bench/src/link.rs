//! The link of a measured Causeway pair: a NIC queue whose frames are buffers from a pool, handed on by pointer, as a
//! driver's are.

use std::cell::RefCell;
use std::collections::VecDeque;
use std::rc::Rc;

use causeway_core::nic::{Frame, FrameMeta, Nic, NicCaps, WaitSource};

/// Room in every buffer: the longest frame of any case.
const BUFFER_BYTES: usize = 9_216;

/// One buffer with what is in it.
struct Packet {
    meta: FrameMeta,
    len: usize,
    bytes: [u8; BUFFER_BYTES],
}

/// Buffers that no frame uses.
#[derive(Clone, Default)]
pub struct Pool(Rc<RefCell<Vec<Box<Packet>>>>);

/// A frame; its buffer goes back to the pool with it.
pub struct LinkFrame {
    packet: Option<Box<Packet>>,
    pool: Pool,
}

impl LinkFrame {
    fn packet(&self) -> &Packet {
        self.packet.as_ref().expect("a frame has its buffer until it is dropped")
    }

    fn packet_mut(&mut self) -> &mut Packet {
        self.packet.as_mut().expect("a frame has its buffer until it is dropped")
    }
}

impl Frame for LinkFrame {
    fn meta(&self) -> &FrameMeta {
        &self.packet().meta
    }

    fn meta_mut(&mut self) -> &mut FrameMeta {
        &mut self.packet_mut().meta
    }

    fn segment_count(&self) -> usize {
        1
    }

    #[inline]
    fn segment(&self, _: usize) -> &[u8] {
        let packet = self.packet();
        &packet.bytes[..packet.len]
    }

    fn segment_mut(&mut self, _: usize) -> &mut [u8] {
        let packet = self.packet_mut();
        &mut packet.bytes[..packet.len]
    }

    fn truncate(&mut self, len: usize) {
        let packet = self.packet_mut();
        packet.len = packet.len.min(len);
    }

    fn len(&self) -> usize {
        self.packet().len
    }
}

impl Drop for LinkFrame {
    fn drop(&mut self) {
        if let Some(packet) = self.packet.take() {
            self.pool.0.borrow_mut().push(packet);
        }
    }
}

/// One end of the link.
pub struct LinkNic {
    caps: NicCaps,
    pool: Pool,
    rx_burst_max: usize,
    data_frames: u64,
    /// Frames that the stack will receive.
    pub inbound: VecDeque<LinkFrame>,
    /// Frames that the stack has sent.
    pub outbound: VecDeque<LinkFrame>,
}

impl LinkNic {
    /// An end that hands at most `rx_burst_max` frames to its stack at a time.
    pub fn new(caps: NicCaps, pool: Pool, rx_burst_max: usize) -> Self {
        let (inbound, outbound) = (VecDeque::new(), VecDeque::new());
        Self { caps, pool, rx_burst_max, data_frames: 0, inbound, outbound }
    }

    /// Getter: frames longer than 200 bytes that were sent.
    pub fn data_frames(&self) -> u64 {
        self.data_frames
    }
}

impl Nic for LinkNic {
    type Frame = LinkFrame;

    fn caps(&self) -> &NicCaps {
        &self.caps
    }

    fn link_up(&self) -> bool {
        true
    }

    fn rx_burst(&mut self, out: &mut Vec<LinkFrame>, max: usize) -> usize {
        let count = self.inbound.len().min(max).min(self.rx_burst_max);
        for _ in 0..count {
            if let Some(frame) = self.inbound.pop_front() {
                out.push(frame);
            }
        }
        count
    }

    fn alloc(&mut self, len: usize) -> Option<LinkFrame> {
        if len > BUFFER_BYTES {
            return None;
        }
        let fresh =
            || Box::new(Packet { meta: FrameMeta::default(), len, bytes: [0; BUFFER_BYTES] });
        let mut packet = self.pool.0.borrow_mut().pop().unwrap_or_else(fresh);
        packet.meta = FrameMeta::default();
        packet.len = len;
        Some(LinkFrame { packet: Some(packet), pool: self.pool.clone() })
    }

    fn tx_burst(&mut self, frames: &mut VecDeque<LinkFrame>) -> usize {
        let count = frames.len();
        while let Some(frame) = frames.pop_front() {
            self.data_frames += u64::from(frame.len() > 200);
            self.outbound.push_back(frame);
        }
        count
    }

    fn wait_source(&self) -> WaitSource {
        WaitSource::Driver
    }
}
