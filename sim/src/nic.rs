//! The simulated NIC: bounded rings between an engine and the link.

use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::rc::Rc;

use causeway_core::nic::{BURST_MAX, MacAddr, Medium, Nic, NicCaps, WaitSource};

use crate::fault::Dice;
use crate::frame::{FramePool, SimFrame};

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
    /// Most frames of this NIC's memory that exist at once, those on the link included.
    pub frames_max: usize,
}

impl NicConfig {
    /// 1500-byte MTU, rings of 1024, bursts of 32, 16,384 frames.
    pub fn new(mac: MacAddr) -> Self {
        Self { mac, mtu: 1_500, rx_ring: 1_024, tx_ring: 1_024, burst: 32, frames_max: 16_384 }
    }
}

/// What may go wrong in a NIC, each on its own dice.
#[derive(Clone, Debug, Default)]
pub struct NicFaults {
    /// A burst is taken in part only: the value is how many frames.
    pub short_burst: Dice,
    /// There is no buffer for a frame to send.
    pub no_buffer: Dice,
}

/// The NIC as the engine sees it. The other half, [`NicPort`], belongs to the world.
#[derive(Debug)]
pub struct SimNic {
    caps: NicCaps,
    pool: FramePool,
    port: Rc<NicPort>,
    faults: NicFaults,
}

/// The half of a NIC that faces the link.
#[derive(Debug)]
pub struct NicPort {
    rx: RefCell<VecDeque<SimFrame>>,
    tx: RefCell<VecDeque<SimFrame>>,
    rx_ring: usize,
    tx_ring: usize,
    tx_on_link: Cell<usize>,
    tx_refused: Cell<bool>,
    rx_overflows: Cell<u64>,
    link_up: Cell<bool>,
}

impl SimNic {
    /// A NIC and its link-facing half.
    pub fn new(config: &NicConfig) -> (Self, Rc<NicPort>) {
        let port = Rc::new(NicPort {
            rx: RefCell::new(VecDeque::with_capacity(config.rx_ring)),
            tx: RefCell::new(VecDeque::with_capacity(config.tx_ring)),
            rx_ring: config.rx_ring,
            tx_ring: config.tx_ring,
            tx_on_link: Cell::new(0),
            tx_refused: Cell::new(false),
            rx_overflows: Cell::new(0),
            link_up: Cell::new(true),
        });
        let caps = NicCaps {
            medium: Medium::Ethernet,
            mac: config.mac,
            mtu: config.mtu,
            burst: config.burst.min(BURST_MAX as u16),
            tx_segments: 1,
            tx_checksum: false,
            rx_checksum: false,
            tso_bytes_max: 0,
            lro: false,
            rss: false,
            vlan: false,
        };
        // Room for an Ethernet header with one VLAN tag.
        let pool = FramePool::new(usize::from(config.mtu) + 18, config.frames_max);
        (Self { caps, pool, port: Rc::clone(&port), faults: NicFaults::default() }, port)
    }

    /// Command: what may go wrong from here on.
    pub fn set_faults(&mut self, faults: NicFaults) {
        self.faults = faults;
    }

    /// Command: nothing goes wrong any more.
    pub fn heal(&mut self) {
        self.faults.short_burst.heal();
        self.faults.no_buffer.heal();
    }

    /// Getter: what may go wrong, and what did.
    pub const fn faults(&self) -> &NicFaults {
        &self.faults
    }

    /// Getter: frames of its memory that exist.
    pub fn frames_in_use(&self) -> usize {
        self.pool.in_use()
    }

    /// Getter: the half of it that faces the link.
    pub const fn port(&self) -> &Rc<NicPort> {
        &self.port
    }

    /// Command: a NIC like this one that has just been switched on, at the same link; frames under way to it are still under way.
    pub fn rebooted(&self) -> Self {
        self.port.rx.borrow_mut().clear();
        self.port.tx.borrow_mut().clear();
        let (caps, pool, faults) = (self.caps.clone(), self.pool.clone(), self.faults.clone());
        Self { caps, pool, port: Rc::clone(&self.port), faults }
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
        let mut rx = self.port.rx.borrow_mut();
        let count = max.min(usize::from(self.caps.burst)).min(rx.len());
        out.extend(rx.drain(..count));
        count
    }

    fn alloc(&mut self, len: usize) -> Option<SimFrame> {
        if self.faults.no_buffer.roll().is_some() {
            return None;
        }
        self.pool.alloc(len)
    }

    fn tx_burst(&mut self, frames: &mut VecDeque<SimFrame>) -> usize {
        let port = &self.port;
        let mut tx = port.tx.borrow_mut();
        let mut room = port.tx_ring.saturating_sub(tx.len() + port.tx_on_link.get());
        if let Some(takes) = self.faults.short_burst.roll() {
            room = room.min(usize::try_from(takes).unwrap_or(usize::MAX));
        }
        let count = frames.len().min(usize::from(self.caps.burst)).min(room);
        tx.extend(frames.drain(..count));
        if !frames.is_empty() {
            port.tx_refused.set(true);
        }
        count
    }

    fn wait_source(&self) -> WaitSource {
        WaitSource::Driver
    }
}

impl NicPort {
    /// Input: a frame arrived. `Err` gives it back when the receive ring is full or the link is down.
    pub fn deliver(&self, frame: SimFrame) -> Result<(), SimFrame> {
        if !self.has_rx_room() {
            self.rx_overflows.set(self.rx_overflows.get() + 1);
            return Err(frame);
        }
        self.rx.borrow_mut().push_back(frame);
        Ok(())
    }

    /// Output: the next frame that the engine handed over.
    pub fn take_tx(&self) -> Option<SimFrame> {
        self.tx.borrow_mut().pop_front()
    }

    /// Command: how many transmit slots are held by frames that still wait for the wire.
    pub fn occupy_tx(&self, slots: usize) {
        self.tx_on_link.set(slots);
    }

    /// Output: true once if the engine was refused transmit slots since the last call.
    pub fn take_tx_refused(&self) -> bool {
        self.tx_refused.replace(false)
    }

    /// Getter: true when [`NicPort::deliver`] would take a frame.
    pub fn has_rx_room(&self) -> bool {
        self.rx.borrow().len() < self.rx_ring && self.link_up.get()
    }

    /// Getter: received frames that the engine has not taken yet.
    pub fn rx_waiting(&self) -> usize {
        self.rx.borrow().len()
    }

    /// Getter: slots of the receive ring.
    pub const fn rx_ring(&self) -> usize {
        self.rx_ring
    }

    /// Getter: transmit slots that are taken.
    pub fn tx_held(&self) -> usize {
        self.tx.borrow().len() + self.tx_on_link.get()
    }

    /// Getter: slots of the transmit ring.
    pub const fn tx_ring(&self) -> usize {
        self.tx_ring
    }

    /// Getter: frames lost because the receive ring was full.
    pub fn rx_overflows(&self) -> u64 {
        self.rx_overflows.get()
    }

    /// Command: carrier on or off.
    pub fn set_link_up(&self, up: bool) {
        self.link_up.set(up);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn nic(rx_ring: usize, tx_ring: usize) -> (SimNic, Rc<NicPort>) {
        let config = NicConfig { rx_ring, tx_ring, burst: 4, ..NicConfig::new(MacAddr([2; 6])) };
        SimNic::new(&config)
    }

    fn frames(nic: &mut SimNic, count: usize) -> VecDeque<SimFrame> {
        (0..count).map(|_| nic.alloc(60).expect("the pool holds more")).collect()
    }

    #[test]
    fn a_full_transmit_ring_takes_a_prefix_and_says_so_once() {
        let (mut nic, port) = nic(8, 6);
        let mut queue = frames(&mut nic, 9);
        assert_eq!(nic.tx_burst(&mut queue), 4, "one burst");
        assert_eq!(nic.tx_burst(&mut queue), 2, "the ring's rest");
        assert_eq!(queue.len(), 3);
        assert!(port.take_tx_refused() && !port.take_tx_refused());
        while port.take_tx().is_some() {}
        port.occupy_tx(5);
        assert_eq!(nic.tx_burst(&mut queue), 1, "frames that wait for the wire hold their slots");
    }

    #[test]
    fn a_full_receive_ring_loses_the_frame_and_counts_it() {
        let (mut nic, port) = nic(2, 8);
        for frame in frames(&mut nic, 3) {
            let _ = port.deliver(frame);
        }
        assert_eq!((port.rx_waiting(), port.rx_overflows()), (2, 1));
        let mut out = Vec::new();
        assert_eq!(nic.rx_burst(&mut out, 64), 2);
    }
}
