//! Every backend behind one type, so that which one is used is a run-time choice that costs one `match`
//! a burst.

use std::collections::VecDeque;
use std::os::fd::BorrowedFd;

use causeway_core::nic::{Nic, NicCaps, WaitSource};

use crate::adapt::fault::{Fault, FaultProfile};
use crate::packet::{PacketError, PacketStats};
use crate::tap::{TapError, TapStats};
use crate::{Buf, Loopback, Packet, Tap};

/// Why a device cannot be opened, whatever kind of backend it is for.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// A TAP device.
    #[error(transparent)]
    Tap(#[from] TapError),
    /// An Ethernet device of the kernel.
    #[error(transparent)]
    Packet(#[from] PacketError),
}

/// Frames that a NIC lost since it was opened, for whatever reason; each backend's own statistics tell them apart.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Losses {
    /// Frames that came and were not delivered.
    pub rx: u64,
    /// Frames that were accepted and did not leave.
    pub tx: u64,
}

/// Any of the backends.
#[derive(Debug)]
pub enum AnyNic {
    /// A Linux TAP device.
    Tap(Tap),
    /// An Ethernet device of the kernel.
    Packet(Packet),
    /// Itself, or the other end of a pair.
    Loopback(Loopback),
    /// Another backend with faults.
    Fault(Box<Fault<AnyNic>>),
}

impl AnyNic {
    /// This NIC with faults by `seed` on what it receives and sends. Without any fault, itself.
    #[must_use]
    pub fn with_faults(self, seed: u64, rx: FaultProfile, tx: FaultProfile) -> Self {
        if rx.is_none() && tx.is_none() {
            return self;
        }
        Self::Fault(Box::new(Fault::new(self, seed, rx, tx)))
    }

    /// Getter: frames that did not get through. May cost a system call.
    pub fn losses(&self) -> Losses {
        match self {
            Self::Tap(nic) => {
                let TapStats { tx_dropped, rx_too_long } = nic.stats();
                Losses { rx: rx_too_long, tx: tx_dropped }
            }
            Self::Packet(nic) => {
                let PacketStats {
                    tx_dropped,
                    rx_overruns,
                    rx_truncated,
                    rx_too_long,
                    rx_malformed,
                } = nic.stats();
                Losses {
                    rx: rx_overruns + rx_truncated + rx_too_long + rx_malformed,
                    tx: tx_dropped,
                }
            }
            Self::Loopback(_) => Losses::default(),
            // What it loses itself it loses on purpose.
            Self::Fault(nic) => nic.inner().losses(),
        }
    }

    /// Getter: the descriptor to sleep on, where there is one at present; what [`Nic::wait_source`] names as
    /// [`WaitSource::Fd`], as something that cannot outlive the NIC.
    pub fn wait_fd(&self) -> Option<BorrowedFd<'_>> {
        match self {
            Self::Tap(nic) => nic.wait_fd(),
            Self::Packet(nic) => nic.wait_fd(),
            Self::Loopback(_) => None,
            // It holds frames back: it must be polled.
            Self::Fault(nic) if nic.wait_source() == WaitSource::Poll => None,
            Self::Fault(nic) => nic.inner().wait_fd(),
        }
    }
}

impl From<Tap> for AnyNic {
    fn from(nic: Tap) -> Self {
        Self::Tap(nic)
    }
}

impl From<Packet> for AnyNic {
    fn from(nic: Packet) -> Self {
        Self::Packet(nic)
    }
}

impl From<Loopback> for AnyNic {
    fn from(nic: Loopback) -> Self {
        Self::Loopback(nic)
    }
}

impl Nic for AnyNic {
    type Frame = Buf;

    fn caps(&self) -> &NicCaps {
        match self {
            Self::Tap(nic) => nic.caps(),
            Self::Packet(nic) => nic.caps(),
            Self::Loopback(nic) => nic.caps(),
            Self::Fault(nic) => nic.caps(),
        }
    }

    fn link_up(&self) -> bool {
        match self {
            Self::Tap(nic) => nic.link_up(),
            Self::Packet(nic) => nic.link_up(),
            Self::Loopback(nic) => nic.link_up(),
            Self::Fault(nic) => nic.link_up(),
        }
    }

    fn rx_burst(&mut self, out: &mut Vec<Buf>, max: usize) -> usize {
        match self {
            Self::Tap(nic) => nic.rx_burst(out, max),
            Self::Packet(nic) => nic.rx_burst(out, max),
            Self::Loopback(nic) => nic.rx_burst(out, max),
            Self::Fault(nic) => nic.rx_burst(out, max),
        }
    }

    fn alloc(&mut self, len: usize) -> Option<Buf> {
        match self {
            Self::Tap(nic) => nic.alloc(len),
            Self::Packet(nic) => nic.alloc(len),
            Self::Loopback(nic) => nic.alloc(len),
            Self::Fault(nic) => nic.alloc(len),
        }
    }

    fn tx_burst(&mut self, frames: &mut VecDeque<Buf>) -> usize {
        match self {
            Self::Tap(nic) => nic.tx_burst(frames),
            Self::Packet(nic) => nic.tx_burst(frames),
            Self::Loopback(nic) => nic.tx_burst(frames),
            Self::Fault(nic) => nic.tx_burst(frames),
        }
    }

    fn wait_source(&self) -> WaitSource {
        match self {
            Self::Tap(nic) => nic.wait_source(),
            Self::Packet(nic) => nic.wait_source(),
            Self::Loopback(nic) => nic.wait_source(),
            Self::Fault(nic) => nic.wait_source(),
        }
    }
}
