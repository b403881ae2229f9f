//! The device as a [`Nic`].

use std::cell::Cell;
use std::collections::VecDeque;
use std::io;
use std::os::fd::{AsRawFd, BorrowedFd};

use causeway_core::nic::{BURST_MAX, Frame, MacAddr, Medium, Nic, NicCaps, WaitSource};
use rustix::io::Errno;
use tun_tap::{Iface, Mode};

use super::error::TapError;
use crate::buf::{Buf, Pool};
use crate::device::{Device, is_device_name};

/// Bytes of an Ethernet header with one VLAN tag.
const ETHERNET_HEADER_MAX: usize = 18;

/// Settings of a [`Tap`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TapConfig {
    /// Name of the device, 1 to 15 characters.
    pub name: String,
    /// Our hardware address; default: made from the kernel's.
    pub mac: Option<MacAddr>,
    /// MTU in bytes to give the device; default: leave it as it is (1500 for a new one).
    pub mtu: Option<u16>,
    /// Bring the device up; default true. Where that is not permitted (a device made for us by another
    /// user) it stays as it is.
    pub up: bool,
    /// Frames that its memory holds; default 1024.
    pub pool_frames: usize,
}

impl TapConfig {
    /// The default settings for the device `name`.
    pub fn new(name: impl Into<String>) -> Self {
        Self { name: name.into(), mac: None, mtu: None, up: true, pool_frames: 1_024 }
    }
}

/// Frames that did not get through, since the device was opened.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct TapStats {
    /// Sent frames that the kernel refused for good: the device was down or the frame impossible.
    pub tx_dropped: u64,
    /// Received frames longer than the MTU allows (somebody raised it after the device was opened).
    pub rx_too_long: u64,
}

/// One TAP device, open. Closing it removes the device unless it is a persistent one.
#[derive(Debug)]
pub struct Tap {
    iface: Iface,
    device: Device,
    caps: NicCaps,
    /// Its buffers are one byte longer than the longest frame, to tell a full frame from a cut one.
    pool: Pool,
    frame_bytes_max: usize,
    link: Cell<Link>,
    stats: TapStats,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Link {
    /// The last call worked.
    Up,
    /// The last write said that it is down; ask the kernel before believing it still is.
    Down,
    /// The device was deleted under us. Nothing will come of this file descriptor.
    Gone,
}

impl Tap {
    /// Creates the device, or attaches to it where it exists.
    pub fn open(config: &TapConfig) -> Result<Self, TapError> {
        let name = config.name.as_str();
        if !is_device_name(name) {
            return Err(TapError::InvalidName { name: name.to_owned() });
        }
        let io = |action: &'static str| {
            move |source: io::Error| TapError::Io { action, name: name.to_owned(), source }
        };
        let iface = Iface::without_packet_info(name, Mode::Tap)
            .map_err(|source| TapError::from_create(name, source))?;
        iface.set_non_blocking().map_err(io("making non-blocking"))?;
        clear_offloads(file(&iface)).map_err(io("clearing the offloads of"))?;
        let device = Device::new(name).map_err(io("opening a socket for"))?;
        if let Some(mtu) = config.mtu {
            device.set_mtu(mtu).map_err(io("setting the MTU of"))?;
        }
        let mtu = device.mtu().map_err(io("reading the MTU of"))?;
        let mtu = match u16::try_from(mtu) {
            Ok(bytes) if bytes >= 68 => bytes,
            _ => return Err(TapError::Mtu { name: name.to_owned(), mtu }),
        };
        if config.up {
            match device.set_up() {
                Err(e) if e.raw_os_error() == Some(libc::EPERM) => {
                    tracing::warn!(device = name, "may not bring the device up");
                }
                other => other.map_err(io("bringing up"))?,
            }
        }
        let mac = match config.mac {
            Some(mac) => mac,
            None => peer_of(device.mac().map_err(io("reading the address of"))?),
        };
        let frame_bytes_max = usize::from(mtu) + ETHERNET_HEADER_MAX;
        let pool = Pool::new(config.pool_frames, frame_bytes_max + 1);
        let (link, stats) = (Cell::new(Link::Down), TapStats::default());
        Ok(Self { iface, device, caps: caps(mac, mtu), pool, frame_bytes_max, link, stats })
    }

    /// Getter: the device's name.
    pub fn name(&self) -> &str {
        self.iface.name()
    }

    /// Getter: frames that did not get through.
    pub const fn stats(&self) -> TapStats {
        self.stats
    }

    /// Getter: the descriptor that becomes readable when a frame has arrived; none once the device is gone,
    /// when it would be readable for ever.
    pub fn wait_fd(&self) -> Option<BorrowedFd<'_>> {
        match self.link.get() {
            Link::Up | Link::Down => Some(file(&self.iface)),
            Link::Gone => None,
        }
    }

    /// What an error of reading or writing says about the link.
    fn note_error(&self, errno: Errno) {
        match errno {
            Errno::BADFD => self.link.set(Link::Gone),
            Errno::IO => self.link.set(Link::Down),
            _ => {}
        }
    }
}

impl Nic for Tap {
    type Frame = Buf;

    fn caps(&self) -> &NicCaps {
        &self.caps
    }

    /// Costs a system call only while the link is down.
    fn link_up(&self) -> bool {
        if self.link.get() == Link::Down {
            let running = libc::IFF_UP | libc::IFF_RUNNING;
            match self.device.flags() {
                Ok(flags) if flags & running == running => self.link.set(Link::Up),
                Ok(_) => {}
                Err(_) => self.link.set(Link::Gone),
            }
        }
        self.link.get() == Link::Up
    }

    fn rx_burst(&mut self, out: &mut Vec<Buf>, max: usize) -> usize {
        let mut received = 0;
        // A frame that is too long counts too: the work of one call is bounded.
        for _ in 0..max.min(BURST_MAX) {
            let Some(mut frame) = self.pool.alloc_max() else { break };
            match rustix::io::read(file(&self.iface), frame.bytes_mut()) {
                Ok(len) if len > self.frame_bytes_max => self.stats.rx_too_long += 1,
                Ok(len) => {
                    frame.truncate(len);
                    out.push(frame);
                    received += 1;
                }
                Err(errno) => {
                    self.note_error(errno);
                    break;
                }
            }
        }
        received
    }

    fn alloc(&mut self, len: usize) -> Option<Buf> {
        if len > self.frame_bytes_max { None } else { self.pool.alloc(len) }
    }

    fn tx_burst(&mut self, frames: &mut VecDeque<Buf>) -> usize {
        let mut accepted = 0;
        while accepted < BURST_MAX {
            let Some(frame) = frames.front() else { break };
            match rustix::io::write(file(&self.iface), frame.bytes()) {
                Ok(_) => {}
                // No room at present, or a signal came first: the frame stays with the caller.
                Err(Errno::AGAIN | Errno::INTR | Errno::NOBUFS | Errno::NOMEM) => break,
                Err(errno) => {
                    self.note_error(errno);
                    self.stats.tx_dropped += 1;
                }
            }
            frames.pop_front();
            accepted += 1;
        }
        accepted
    }

    fn wait_source(&self) -> WaitSource {
        self.wait_fd().map_or(WaitSource::Driver, |fd| WaitSource::Fd(fd.as_raw_fd()))
    }
}

fn caps(mac: MacAddr, mtu: u16) -> NicCaps {
    NicCaps {
        medium: Medium::Ethernet,
        mac,
        mtu,
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

/// Command: the device behind `tun` offers no offloads. The mask belongs to the device and outlives who
/// set it; with one left behind, a frame without a virtio header could be longer than the MTU.
fn clear_offloads(tun: BorrowedFd<'_>) -> io::Result<()> {
    let mask: libc::c_ulong = 0;
    // SAFETY: TUNSETOFFLOAD takes its argument by value and touches no memory of ours.
    let result = unsafe { libc::ioctl(tun.as_raw_fd(), libc::TUNSETOFFLOAD as _, mask) };
    if result < 0 { Err(io::Error::last_os_error()) } else { Ok(()) }
}

fn file(iface: &Iface) -> BorrowedFd<'_> {
    // SAFETY: the descriptor is open as long as `iface` lives, which the result's lifetime borrows.
    unsafe { BorrowedFd::borrow_raw(iface.as_raw_fd()) }
}

/// An address for our end: locally administered, and unlike the kernel's by one high bit, so that two devices
/// with neighbouring addresses do not end up with each other's.
fn peer_of(kernel: MacAddr) -> MacAddr {
    let [first, rest @ ..] = kernel.0;
    let [b, c, d, e, f] = rest;
    MacAddr([(first ^ 0x40) & !0x01 | 0x02, b, c, d, e, f])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn our_address_is_local_and_differs_from_the_kernels() {
        for first in 0..=255 {
            let kernel = MacAddr([first, 1, 2, 3, 4, 5]);
            let ours = peer_of(kernel);
            assert_ne!(ours, kernel);
            assert!(!ours.is_multicast());
            assert_eq!(ours.0[0] & 0x02, 0x02, "locally administered");
        }
    }

    #[test]
    fn names_that_the_kernel_would_refuse_or_cut_are_refused_before_it_sees_them() {
        for bad in ["", "tap/0", "tap 0", ".", "..", "sixteen-letters-", "tap%d", "tàp"] {
            let error = Tap::open(&TapConfig::new(bad)).unwrap_err();
            assert!(matches!(error, TapError::InvalidName { .. }), "{bad}: {error}");
        }
        assert!(is_device_name("fifteen-letters"));
    }
}
