//! One end of the link: a device of the kernel and, behind it, the simulated NIC that the link knows.

use std::collections::VecDeque;
use std::os::fd::BorrowedFd;
use std::rc::Rc;

use anyhow::Result;
use causeway_backends::Buf;
use causeway_backends::tap::{Tap, TapConfig};
use causeway_core::nic::{MacAddr, Nic};
use causeway_sim::frame::SimFrame;
use causeway_sim::nic::{NicConfig, NicPort, SimNic};

/// Frames that are moved at once.
const BURST: usize = 64;

/// A TAP device and a NIC.
#[derive(Debug)]
pub struct Side {
    tap: Tap,
    nic: SimNic,
    port: Rc<NicPort>,
    from_kernel: Vec<Buf>,
    to_link: VecDeque<SimFrame>,
    from_link: Vec<SimFrame>,
    to_kernel: VecDeque<Buf>,
    /// Frames that the device did not take.
    refused: u64,
}

impl Side {
    /// Creates the device `name`.
    pub fn open(name: &str, mtu: u16) -> Result<Self> {
        let tap = Tap::open(&TapConfig { mtu: Some(mtu), up: false, ..TapConfig::new(name) })?;
        // The address is nobody's: the kernels at the ends have theirs.
        let mac = MacAddr([2, 0, 0, 0, 0, 0]);
        let (nic, port) = SimNic::new(&NicConfig { mtu, ..NicConfig::new(mac) });
        let (from_kernel, from_link) = (Vec::with_capacity(BURST), Vec::with_capacity(BURST));
        let (to_link, to_kernel) = (VecDeque::new(), VecDeque::new());
        Ok(Self { tap, nic, port, from_kernel, to_link, from_link, to_kernel, refused: 0 })
    }

    /// Getter: the half of the NIC that faces the link.
    pub const fn port(&self) -> &Rc<NicPort> {
        &self.port
    }

    /// Getter: readable when the kernel has sent something.
    pub fn fd(&self) -> Option<BorrowedFd<'_>> {
        self.tap.wait_fd()
    }

    /// Input: takes what the kernel has sent, at most a burst, to where the link finds it; `look` sees each frame. True when there may
    /// be more.
    pub fn read(&mut self, mut look: impl FnMut(&[u8])) -> bool {
        let count = self.tap.rx_burst(&mut self.from_kernel, BURST);
        for buf in self.from_kernel.drain(..) {
            look(buf.bytes());
            if let Some(mut frame) = self.nic.alloc(buf.bytes().len()) {
                frame.bytes_mut().copy_from_slice(buf.bytes());
                self.to_link.push_back(frame);
            } else {
                self.refused += 1;
            }
        }
        while !self.to_link.is_empty() && self.nic.tx_burst(&mut self.to_link) > 0 {}
        count > 0
    }

    /// Output: gives the kernel what has arrived; `look` sees each frame before.
    pub fn write(&mut self, mut look: impl FnMut(&[u8])) {
        while self.nic.rx_burst(&mut self.from_link, BURST) > 0 {
            for frame in self.from_link.drain(..) {
                let Some(mut buf) = self.tap.alloc(frame.bytes().len()) else {
                    self.refused += 1;
                    continue;
                };
                look(frame.bytes());
                buf.bytes_mut().copy_from_slice(frame.bytes());
                self.to_kernel.push_back(buf);
            }
            while !self.to_kernel.is_empty() && self.tap.tx_burst(&mut self.to_kernel) > 0 {}
            self.refused += self.to_kernel.len() as u64;
            self.to_kernel.clear();
        }
    }

    /// Getter: frames that found no room here, which is no fault of the plan's.
    pub fn lost(&self) -> u64 {
        self.refused + self.tap.stats().tx_dropped
    }
}
