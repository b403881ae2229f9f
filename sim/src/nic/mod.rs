//! The simulated NIC: bounded rings between an engine and the link, and what hardware does for a stack.

mod cut;
mod faults;
mod join;
mod judge;
mod port;
mod trouble;

use std::collections::VecDeque;
use std::rc::Rc;

use causeway_core::nic::{
    BURST_MAX, HEADER_CONTIGUOUS, MacAddr, Medium, Nic, NicCaps, SEGMENTS_MAX, SUPER_FRAME_MAX,
    WaitSource,
};

pub use self::faults::{NicFaults, WireFaults};
use self::join::Joiner;
pub use self::port::NicPort;
use crate::fault::{Counted, Event};
use crate::frame::{FramePool, SimFrame};

/// What a NIC does for its stack.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Offloads {
    /// It completes the checksums of TCP and UDP.
    pub tx_checksum: bool,
    /// It says what it found out about the checksums of TCP and UDP.
    pub rx_checksum: bool,
    /// Longest super-segment that it cuts, headers included; 0 for none. Needs `tx_checksum`.
    pub tso_bytes_max: u32,
    /// Frames to be sent are chains of up to so many segments.
    pub tx_segments: u8,
    /// It joins received segments. Needs `rx_checksum`.
    pub lro: bool,
    /// It inserts and strips VLAN tags.
    pub vlan: bool,
    /// Bytes of a receive buffer: longer frames are chains.
    pub rx_buffer: usize,
}

impl Offloads {
    /// A NIC that moves frames and does nothing else.
    pub const NONE: Self = Self {
        tx_checksum: false,
        rx_checksum: false,
        tso_bytes_max: 0,
        tx_segments: 1,
        lro: false,
        vlan: false,
        rx_buffer: SUPER_FRAME_MAX,
    };
}

/// What a simulated NIC looks like to its engine.
#[derive(Clone, Debug)]
pub struct NicConfig {
    /// Its Ethernet address.
    pub mac: MacAddr,
    /// Largest IP datagram in bytes.
    pub mtu: u16,
    /// Slots of the receive ring; a frame that arrives at a full ring is lost and counted.
    pub rx_ring: usize,
    /// Slots of the transmit ring; a full one pushes back on the engine.
    pub tx_ring: usize,
    /// Most frames one burst moves.
    pub burst: u16,
    /// Most frames of this NIC's memory that exist at once, those on the link included; and as many super-segments, sent and joined.
    pub frames_max: usize,
    /// What it does for the stack.
    pub offloads: Offloads,
}

impl NicConfig {
    /// 1500-byte MTU, rings of 1024, bursts of 32, 16,384 frames, no offloads.
    pub fn new(mac: MacAddr) -> Self {
        Self {
            mac,
            mtu: 1_500,
            rx_ring: 1_024,
            tx_ring: 1_024,
            burst: 32,
            frames_max: 16_384,
            offloads: Offloads::NONE,
        }
    }

    /// Getter: room for a frame on the wire: an Ethernet header with one VLAN tag, and a datagram.
    const fn frame_bytes(&self) -> usize {
        self.mtu as usize + 18
    }

    fn caps(&self) -> NicCaps {
        let Offloads { tx_checksum, rx_checksum, tso_bytes_max, tx_segments, lro, vlan, .. } =
            self.offloads;
        NicCaps {
            medium: Medium::Ethernet,
            mac: self.mac,
            mtu: self.mtu,
            burst: self.burst.min(BURST_MAX as u16),
            tx_segments,
            tx_checksum,
            rx_checksum,
            tso_bytes_max,
            lro,
            rss: false,
            vlan,
        }
    }
}

/// The NIC as the engine sees it. The other half, [`NicPort`], belongs to the world.
#[derive(Debug)]
pub struct SimNic {
    caps: NicCaps,
    /// Bytes of a receive buffer.
    rx_buffer: usize,
    pool: FramePool,
    /// For super-segments, sent and joined.
    supers: FramePool,
    joiner: Joiner,
    port: Rc<NicPort>,
    faults: NicFaults,
}

impl SimNic {
    /// A NIC and its link-facing half.
    pub fn new(config: &NicConfig) -> (Self, Rc<NicPort>) {
        let port = Rc::new(NicPort::new(config));
        let caps = config.caps();
        let frame_bytes = config.frame_bytes();
        let pool = FramePool::new(frame_bytes, config.frames_max);
        // Headers lie in one piece, and a chain has a longest length.
        let least = frame_bytes.div_ceil(SEGMENTS_MAX).max(HEADER_CONTIGUOUS);
        let rx_buffer = config.offloads.rx_buffer.max(least);
        let joined_max = rx_buffer.saturating_mul(SEGMENTS_MAX).min(SUPER_FRAME_MAX - 4);
        let super_bytes = (caps.tso_bytes_max as usize).max(if caps.lro { joined_max } else { 0 });
        let supers = FramePool::new(super_bytes, config.frames_max);
        let joiner = Joiner::new(supers.clone(), joined_max);
        let (faults, shared) = (NicFaults::default(), Rc::clone(&port));
        (Self { caps, rx_buffer, pool, supers, joiner, port: shared, faults }, port)
    }

    /// Command: what may go wrong from here on.
    pub fn set_faults(&mut self, faults: NicFaults) {
        *self.port.faults.borrow_mut() = faults.wire.clone();
        self.faults = faults;
    }

    /// Command: nothing goes wrong any more.
    pub fn heal(&mut self) {
        self.faults.heal();
        self.port.faults.borrow_mut().heal();
    }

    /// Output: what went wrong, by event: (number, value).
    pub fn decided(&self) -> impl Iterator<Item = (Event, Counted)> + use<> {
        self.faults.decided().into_iter().chain(self.port.faults.borrow().decided())
    }

    /// Getter: frames of its memory that exist, super-segments and what was cut from them included.
    pub fn frames_in_use(&self) -> usize {
        self.pool.in_use() + self.supers.in_use() + self.port.wire.in_use()
    }

    /// Getter: the half of it that faces the link.
    pub const fn port(&self) -> &Rc<NicPort> {
        &self.port
    }

    /// Command: a NIC like this one that has just been switched on, at the same link; frames under way to it are still under way.
    pub fn rebooted(&self) -> Self {
        self.port.clear();
        Self {
            caps: self.caps.clone(),
            rx_buffer: self.rx_buffer,
            pool: self.pool.clone(),
            supers: self.supers.clone(),
            joiner: self.joiner.clone(),
            port: Rc::clone(&self.port),
            faults: self.faults.clone(),
        }
    }

    /// Received frames as they lie in the ring: nothing is done for the stack that changes them.
    fn hands_over_as_is(&self) -> bool {
        !self.caps.lro && !self.caps.vlan && self.rx_buffer >= usize::from(self.caps.mtu) + 18
    }
}

impl Nic for SimNic {
    type Frame = SimFrame;

    fn caps(&self) -> &NicCaps {
        &self.caps
    }

    fn link_up(&self) -> bool {
        self.port.link_up.get()
    }

    fn rx_burst(&mut self, out: &mut Vec<SimFrame>, max: usize) -> usize {
        let max = max.min(usize::from(self.caps.burst));
        let port = Rc::clone(&self.port);
        let mut shown = port.rx_shown();
        let mut rx = port.rx.borrow_mut();
        if self.hands_over_as_is() {
            let count = max.min(shown);
            out.extend(rx.drain(..count));
            return count;
        }
        let before = out.len();
        self.joiner.begin();
        while out.len() - before < max
            && shown > 0
            && let Some(mut frame) = rx.pop_front()
        {
            shown -= 1;
            if self.caps.vlan {
                judge::strip_tag(&mut frame);
            }
            if self.caps.lro {
                self.joiner.take(frame, out, &mut self.faults.greedy_join);
            } else {
                out.push(frame);
            }
        }
        for frame in &mut out[before..] {
            frame.chain(self.rx_buffer);
        }
        out.len() - before
    }

    fn alloc(&mut self, len: usize) -> Option<SimFrame> {
        if self.faults.no_buffer.roll().is_some() || self.port.troubles.borrow().is_exhausted() {
            return None;
        }
        let is_super = len > usize::from(self.caps.mtu) + 18;
        if is_super && len > self.caps.tso_bytes_max as usize {
            return None;
        }
        let mut frame = if is_super { self.supers.alloc(len) } else { self.pool.alloc(len) }?;
        if self.caps.tx_segments > 1 {
            // Pieces of odd lengths: whoever sums them has to know where each begins.
            let piece = len.div_ceil(usize::from(self.caps.tx_segments));
            frame.chain(piece.max(HEADER_CONTIGUOUS) | 1);
        }
        Some(frame)
    }

    fn tx_burst(&mut self, frames: &mut VecDeque<SimFrame>) -> usize {
        let port = &self.port;
        let mut room = port.tx_room();
        if let Some(takes) = self.faults.short_burst.roll() {
            room = room.min(usize::try_from(takes).unwrap_or(usize::MAX));
        }
        let count = frames.len().min(usize::from(self.caps.burst)).min(room);
        port.tx.borrow_mut().extend(frames.drain(..count));
        if !frames.is_empty() {
            port.tx_refused.set(true);
        }
        count
    }

    fn wait_source(&self) -> WaitSource {
        WaitSource::Driver
    }
}

#[cfg(test)]
mod tests;
