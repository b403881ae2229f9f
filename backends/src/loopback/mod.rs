//! A NIC without a network: what is sent comes back, or arrives at the other end of a pair.

use std::cell::RefCell;
use std::collections::VecDeque;
use std::rc::Rc;

use causeway_core::nic::{BURST_MAX, MacAddr, Medium, Nic, NicCaps, WaitSource};

use crate::buf::{Buf, Pool};

/// Bytes of an Ethernet header with one VLAN tag.
const ETHERNET_HEADER_MAX: usize = 18;

/// Settings of a [`Loopback`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LoopbackConfig {
    /// Largest IP datagram in bytes; default 1500.
    pub mtu: u16,
    /// Frames that wait to be received before further ones are refused; default 1024.
    pub queue_frames_max: u16,
}

impl Default for LoopbackConfig {
    fn default() -> Self {
        Self { mtu: 1_500, queue_frames_max: 1_024 }
    }
}

/// Frames on their way in one direction, at most `frames_max`.
#[derive(Debug)]
struct Wire {
    frames: RefCell<VecDeque<Buf>>,
    frames_max: usize,
}

impl Wire {
    fn new(config: &LoopbackConfig) -> Rc<Self> {
        let frames_max = usize::from(config.queue_frames_max);
        Rc::new(Self { frames: RefCell::new(VecDeque::with_capacity(frames_max)), frames_max })
    }
}

/// One end of a wire in memory. A full wire refuses frames; none is lost.
#[derive(Debug)]
pub struct Loopback {
    caps: NicCaps,
    pool: Pool,
    rx: Rc<Wire>,
    tx: Rc<Wire>,
}

impl Loopback {
    /// A NIC that receives what it sends.
    pub fn new(config: &LoopbackConfig) -> Self {
        let wire = Wire::new(config);
        Self::on(config, 1, Rc::clone(&wire), wire)
    }

    /// Two NICs, each of which receives what the other sends.
    pub fn pair(config: &LoopbackConfig) -> (Self, Self) {
        let (there, back) = (Wire::new(config), Wire::new(config));
        (Self::on(config, 1, Rc::clone(&back), Rc::clone(&there)), Self::on(config, 2, there, back))
    }

    fn on(config: &LoopbackConfig, host: u8, rx: Rc<Wire>, tx: Rc<Wire>) -> Self {
        let caps = NicCaps {
            medium: Medium::Ethernet,
            mac: MacAddr([0x02, 0, 0, 0, 0, host]),
            mtu: config.mtu,
            burst: BURST_MAX as u16,
            tx_segments: 1,
            tx_checksum: false,
            rx_checksum: false,
            tso_bytes_max: 0,
            lro: false,
            rss: false,
            vlan: false,
        };
        // A full wire, a burst being written and a burst being read never starve each other.
        let frames = usize::from(config.queue_frames_max) + 4 * BURST_MAX;
        let pool = Pool::new(frames, usize::from(config.mtu) + ETHERNET_HEADER_MAX);
        Self { caps, pool, rx, tx }
    }
}

impl Nic for Loopback {
    type Frame = Buf;

    fn caps(&self) -> &NicCaps {
        &self.caps
    }

    fn link_up(&self) -> bool {
        true
    }

    fn rx_burst(&mut self, out: &mut Vec<Buf>, max: usize) -> usize {
        let mut wire = self.rx.frames.borrow_mut();
        let count = wire.len().min(max).min(BURST_MAX);
        out.extend(wire.drain(..count));
        count
    }

    fn alloc(&mut self, len: usize) -> Option<Buf> {
        self.pool.alloc(len)
    }

    fn tx_burst(&mut self, frames: &mut VecDeque<Buf>) -> usize {
        let mut wire = self.tx.frames.borrow_mut();
        let room = self.tx.frames_max - wire.len();
        let count = frames.len().min(room).min(BURST_MAX);
        wire.extend(frames.drain(..count));
        count
    }

    fn wait_source(&self) -> WaitSource {
        WaitSource::Driver
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use causeway_core::nic::Frame;

    #[test]
    fn what_is_sent_comes_back() {
        let mut nic = Loopback::new(&LoopbackConfig::default());
        let mut frame = nic.alloc(60).unwrap();
        frame.segment_mut(0).fill(9);
        assert_eq!(nic.tx_burst(&mut VecDeque::from([frame])), 1);
        let mut got = Vec::new();
        assert_eq!(nic.rx_burst(&mut got, 8), 1);
        assert_eq!(got[0].segment(0), [9; 60]);
    }

    #[test]
    fn a_full_wire_accepts_a_prefix_and_leaves_the_rest_with_the_caller() {
        let config = LoopbackConfig { queue_frames_max: 3, ..LoopbackConfig::default() };
        let (mut a, mut b) = Loopback::pair(&config);
        let mut frames: VecDeque<_> = (0..5)
            .map(|n| {
                let mut frame = a.alloc(60).unwrap();
                frame.segment_mut(0)[0] = n;
                frame
            })
            .collect();
        assert_eq!(a.tx_burst(&mut frames), 3);
        assert_eq!(frames.len(), 2);
        assert_eq!(frames[0].segment(0)[0], 3, "the first refused frame is the next to be sent");
        let mut got = Vec::new();
        assert_eq!(b.rx_burst(&mut got, 2), 2);
        assert_eq!(a.tx_burst(&mut frames), 2);
    }
}
