//! What smoltcp sees of the simulated NIC.

use std::collections::VecDeque;

use causeway_core::nic::{Frame as _, Nic as _};
use smoltcp::phy::{self, DeviceCapabilities, Medium};

use crate::frame::SimFrame;
use crate::nic::SimNic;

/// Frames that wait for the transmit ring; with more than these it has to wait itself.
const WAITING_MAX: usize = 64;
/// Ethernet's header.
const LINK_HEADER: usize = 14;

/// The NIC, with what was taken from its rings and what is to be handed to them.
#[derive(Debug)]
pub(super) struct Device {
    nic: SimNic,
    /// The largest IP packet that it sends.
    mtu: usize,
    rx: VecDeque<SimFrame>,
    tx: VecDeque<SimFrame>,
    taken: Vec<SimFrame>,
}

impl Device {
    pub(super) const fn new(nic: SimNic, mtu: usize) -> Self {
        Self { nic, mtu, rx: VecDeque::new(), tx: VecDeque::new(), taken: Vec::new() }
    }

    /// Input: everything that has arrived.
    pub(super) fn take(&mut self) {
        while self.nic.rx_burst(&mut self.taken, usize::MAX) > 0 {
            self.rx.extend(self.taken.drain(..));
        }
    }

    /// Output: as much as the transmit ring takes.
    pub(super) fn hand_over(&mut self) {
        while self.nic.tx_burst(&mut self.tx) > 0 {}
    }

    /// Getter: something waits for the transmit ring, or could not be answered for lack of room in it.
    pub(super) fn is_held_up(&self) -> bool {
        !self.tx.is_empty() || !self.rx.is_empty()
    }

    /// Getter: frames of its memory that exist, without those that nobody will ever take.
    pub(super) fn frames_in_use(&self) -> usize {
        self.nic.frames_in_use().saturating_sub(self.nic.port().stuck())
    }

    /// Command: as after the power came back.
    pub(super) fn reboot(&mut self) {
        *self = Self::new(self.nic.rebooted(), self.mtu);
    }

    /// A frame for whatever is to be sent; `None` without room for it.
    fn room(&mut self) -> Option<SimFrame> {
        if self.tx.len() >= WAITING_MAX {
            return None;
        }
        self.nic.alloc(self.mtu + LINK_HEADER)
    }
}

/// A frame that arrived.
pub(super) struct Rx(SimFrame);

/// Room for one that is to be sent.
pub(super) struct Tx<'a> {
    frame: SimFrame,
    out: &'a mut VecDeque<SimFrame>,
}

impl phy::RxToken for Rx {
    fn consume<R, F: FnOnce(&[u8]) -> R>(self, f: F) -> R {
        f(self.0.bytes())
    }
}

impl phy::TxToken for Tx<'_> {
    fn consume<R, F: FnOnce(&mut [u8]) -> R>(mut self, len: usize, f: F) -> R {
        self.frame.truncate(len);
        // What another frame left there is nobody's to send.
        self.frame.bytes_mut().fill(0);
        let result = f(self.frame.bytes_mut());
        self.out.push_back(self.frame);
        result
    }
}

impl phy::Device for Device {
    type RxToken<'a> = Rx;
    type TxToken<'a> = Tx<'a>;

    fn receive(&mut self, _: smoltcp::time::Instant) -> Option<(Rx, Tx<'_>)> {
        if self.rx.is_empty() {
            return None;
        }
        let frame = self.room()?;
        let arrived = self.rx.pop_front()?;
        Some((Rx(arrived), Tx { frame, out: &mut self.tx }))
    }

    fn transmit(&mut self, _: smoltcp::time::Instant) -> Option<Tx<'_>> {
        let frame = self.room()?;
        Some(Tx { frame, out: &mut self.tx })
    }

    fn capabilities(&self) -> DeviceCapabilities {
        let mut capabilities = DeviceCapabilities::default();
        capabilities.medium = Medium::Ethernet;
        capabilities.max_transmission_unit = self.mtu + LINK_HEADER;
        capabilities
    }
}
