//! The half of a NIC that faces the link: its rings, and what its hardware does between them and the wire.

use std::cell::{Cell, RefCell};
use std::collections::VecDeque;

use causeway_core::nic::{Frame as _, RxChecksum};
use causeway_core::time::Instant;

use super::faults::WireFaults;
use super::trouble::Troubles;
use super::{NicConfig, cut, judge};
use crate::fault::NicTrouble;
use crate::frame::{FramePool, SimFrame};
use crate::tap::Delivery;

/// See the module.
#[derive(Debug)]
pub struct NicPort {
    pub(super) rx: RefCell<VecDeque<SimFrame>>,
    pub(super) tx: RefCell<VecDeque<SimFrame>>,
    rx_ring: usize,
    tx_ring: usize,
    tx_on_link: Cell<usize>,
    pub(super) tx_refused: Cell<bool>,
    rx_overflows: Cell<u64>,
    pub(super) link_up: Cell<bool>,
    unplugged: Cell<bool>,
    judges_checksums: bool,
    computes_checksums: bool,
    /// What it cuts from super-segments: no memory of the host.
    pub(super) wire: FramePool,
    /// How much of the super-segment in front has left.
    cut: Cell<cut::Progress>,
    pub(super) faults: RefCell<WireFaults>,
    pub(super) troubles: RefCell<Troubles>,
    now: Cell<Instant>,
}

impl NicPort {
    /// Idle, with carrier.
    pub(super) fn new(config: &NicConfig) -> Self {
        Self {
            rx: RefCell::new(VecDeque::with_capacity(config.rx_ring)),
            tx: RefCell::new(VecDeque::with_capacity(config.tx_ring)),
            rx_ring: config.rx_ring,
            tx_ring: config.tx_ring,
            tx_on_link: Cell::new(0),
            tx_refused: Cell::new(false),
            rx_overflows: Cell::new(0),
            link_up: Cell::new(true),
            unplugged: Cell::new(false),
            judges_checksums: config.offloads.rx_checksum,
            computes_checksums: config.offloads.tx_checksum,
            wire: FramePool::new(config.frame_bytes(), usize::MAX),
            cut: Cell::default(),
            faults: RefCell::default(),
            troubles: RefCell::default(),
            now: Cell::new(Instant::ZERO),
        }
    }

    /// Command: what lay in the rings is gone.
    pub(super) fn clear(&self) {
        self.rx.borrow_mut().clear();
        self.tx.borrow_mut().clear();
        self.cut.set(cut::Progress::default());
        self.troubles.borrow_mut().clear();
    }

    /// Getter: slots of the transmit ring that nothing holds.
    pub(super) fn tx_room(&self) -> usize {
        let troubles = self.troubles.borrow();
        if troubles.is_stalled() {
            return 0;
        }
        let held = self.tx.borrow().len() + self.tx_on_link.get() + troubles.slots_held();
        self.tx_ring.saturating_sub(held)
    }

    /// Input: a frame arrives, and [`NicPort::deliver`] follows: what will become of it. What is found out is written beside it.
    pub fn inspect(&self, now: Instant, frame: &mut SimFrame) -> Delivery {
        self.set_now(now);
        if !self.has_rx_room() {
            return Delivery::RingFull;
        }
        if !self.judges_checksums {
            return Delivery::Received;
        }
        let truth = judge::checksum(frame.bytes());
        let said = self.faults.borrow_mut().says(truth);
        frame.meta_mut().rx_checksum = said;
        match (truth, said) {
            (RxChecksum::Verified, RxChecksum::Bad) => Delivery::Refused,
            (RxChecksum::Bad, RxChecksum::Verified) => Delivery::Believed,
            _ => Delivery::Received,
        }
    }

    /// Input: a frame arrived. `Err` gives it back when the receive ring is full or the link is down.
    pub fn deliver(&self, frame: SimFrame) -> Result<(), SimFrame> {
        if !self.has_rx_room() {
            self.rx_overflows.set(self.rx_overflows.get() + 1);
            return Err(frame);
        }
        self.rx.borrow_mut().push_back(frame);
        self.troubles.borrow_mut().arrived(self.now.get());
        Ok(())
    }

    /// Output: the next frame for the wire: what the engine handed over, complete, and cut where it is a super-segment.
    pub fn take_tx(&self) -> Option<SimFrame> {
        let mut tx = self.tx.borrow_mut();
        let front = tx.front()?;
        self.troubles.borrow_mut().left(self.now.get());
        if !cut::is_super(front) {
            let mut frame = tx.pop_front()?;
            cut::complete(&mut frame, self.computes_checksums);
            return Some(frame);
        }
        let mut progress = self.cut.get();
        if progress.is_new() {
            let shorter = self.faults.borrow_mut().odd_cut.roll().unwrap_or(0);
            progress = cut::Progress::of(front, shorter);
        }
        let piece = cut::next_piece(front, &mut progress, &self.wire);
        if progress.is_over {
            tx.pop_front();
            progress = cut::Progress::default();
        }
        self.cut.set(progress);
        piece
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
        let slots = self.troubles.borrow().rx_ring().unwrap_or(self.rx_ring);
        self.rx.borrow().len() < slots.min(self.rx_ring) && self.link_up.get()
    }

    /// Input: the time. It is told before the engine's iteration.
    pub fn set_now(&self, now: Instant) {
        self.now.set(now);
        self.troubles.borrow_mut().set_now(now);
    }

    /// Getter: when the host is told of the next received frames that it does not see yet.
    pub fn shows_at(&self) -> Option<Instant> {
        self.troubles.borrow().shows_at()
    }

    /// Getter: received frames that the engine may take.
    pub(super) fn rx_shown(&self) -> usize {
        self.rx.borrow().len() - self.troubles.borrow().frames_hidden()
    }

    /// Command: something is wrong with it from here on.
    pub fn begin(&self, trouble: NicTrouble) {
        self.troubles.borrow_mut().begin(trouble);
    }

    /// Command: that is over.
    pub fn end(&self, trouble: NicTrouble) {
        self.troubles.borrow_mut().end(trouble);
    }

    /// Getter: received frames that the engine has not taken yet.
    pub fn rx_waiting(&self) -> usize {
        self.rx.borrow().len()
    }

    /// Getter: slots of the receive ring.
    pub const fn rx_ring(&self) -> usize {
        self.rx_ring
    }

    /// Getter: transmit slots that are taken. What was cut from one super-segment may be more frames than there are slots.
    pub fn tx_held(&self) -> usize {
        self.tx.borrow().len() + self.tx_on_link.get().min(self.tx_ring)
    }

    /// Getter: slots of the transmit ring.
    pub const fn tx_ring(&self) -> usize {
        self.tx_ring
    }

    /// Getter: frames lost because the receive ring was full.
    pub fn rx_overflows(&self) -> u64 {
        self.rx_overflows.get()
    }

    /// Command: nothing is at its other end, and nothing ever will be: what is sent stays in its ring.
    pub fn unplug(&self) {
        self.unplugged.set(true);
    }

    /// Getter: frames in its ring that nobody will ever take.
    pub fn stuck(&self) -> usize {
        if self.unplugged.get() { self.tx.borrow().len() } else { 0 }
    }

    /// Command: carrier on or off.
    pub fn set_link_up(&self, up: bool) {
        self.link_up.set(up);
    }
}
