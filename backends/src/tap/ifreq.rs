//! The ioctls of `netdevice(7)` and the one of the TUN driver that the backend needs.

use std::io;
use std::os::fd::{AsRawFd, BorrowedFd, OwnedFd};

use causeway_core::nic::MacAddr;
use rustix::net::{AddressFamily, SocketFlags, SocketType, socket_with};

/// One network device of the network namespace in which this value was made.
#[derive(Debug)]
pub(super) struct Device {
    /// Any socket will do: it stands for the namespace.
    socket: OwnedFd,
    /// `ifr_name`, zero-terminated.
    name: [libc::c_char; libc::IFNAMSIZ],
}

impl Device {
    /// The device `name`, which must fit `IFNAMSIZ` with its terminating zero.
    pub(super) fn new(name: &str) -> io::Result<Self> {
        let bytes = name.as_bytes();
        if bytes.len() >= libc::IFNAMSIZ {
            return Err(io::Error::from_raw_os_error(libc::ENAMETOOLONG));
        }
        let flags = SocketFlags::CLOEXEC;
        let socket = socket_with(AddressFamily::INET, SocketType::DGRAM, flags, None)?;
        let mut ifr_name = [0; libc::IFNAMSIZ];
        for (to, &from) in ifr_name.iter_mut().zip(bytes) {
            *to = from as libc::c_char;
        }
        Ok(Self { socket, name: ifr_name })
    }

    /// Getter: the MTU in bytes.
    pub(super) fn mtu(&self) -> io::Result<i32> {
        let ifr = self.ioctl(libc::SIOCGIFMTU as _, self.request())?;
        // SAFETY: SIOCGIFMTU succeeded, so the kernel wrote ifru_mtu; every bit pattern is an i32.
        Ok(unsafe { ifr.ifr_ifru.ifru_mtu })
    }

    /// Getter: the hardware address of the kernel's end.
    pub(super) fn mac(&self) -> io::Result<MacAddr> {
        let ifr = self.ioctl(libc::SIOCGIFHWADDR as _, self.request())?;
        // SAFETY: SIOCGIFHWADDR succeeded, so the kernel wrote ifru_hwaddr; it is plain bytes.
        let data = unsafe { ifr.ifr_ifru.ifru_hwaddr.sa_data };
        Ok(MacAddr(std::array::from_fn(|i| data[i] as u8)))
    }

    /// Getter: the `IFF_*` flags.
    pub(super) fn flags(&self) -> io::Result<i32> {
        let ifr = self.ioctl(libc::SIOCGIFFLAGS as _, self.request())?;
        // SAFETY: SIOCGIFFLAGS succeeded, so the kernel wrote ifru_flags; every bit pattern is a short.
        Ok(i32::from(unsafe { ifr.ifr_ifru.ifru_flags }))
    }

    /// Command: set the MTU in bytes.
    pub(super) fn set_mtu(&self, mtu: u16) -> io::Result<()> {
        let mut ifr = self.request();
        ifr.ifr_ifru.ifru_mtu = i32::from(mtu);
        self.ioctl(libc::SIOCSIFMTU as _, ifr).map(drop)
    }

    /// Command: bring the device up.
    pub(super) fn set_up(&self) -> io::Result<()> {
        let flags = self.flags()?;
        let mut ifr = self.request();
        ifr.ifr_ifru.ifru_flags = (flags | libc::IFF_UP) as libc::c_short;
        self.ioctl(libc::SIOCSIFFLAGS as _, ifr).map(drop)
    }

    fn request(&self) -> libc::ifreq {
        libc::ifreq {
            ifr_name: self.name,
            // The widest member, so that no byte of the union is uninitialised.
            ifr_ifru: libc::__c_anonymous_ifr_ifru {
                ifru_map: libc::__c_anonymous_ifru_map {
                    mem_start: 0,
                    mem_end: 0,
                    base_addr: 0,
                    irq: 0,
                    dma: 0,
                    port: 0,
                },
            },
        }
    }

    fn ioctl(&self, request: libc::Ioctl, mut ifr: libc::ifreq) -> io::Result<libc::ifreq> {
        // SAFETY: the requests used here are those of netdevice(7), which read and write one struct ifreq
        // at the address given; `ifr` is one, is initialised and lives until the call is over.
        let result = unsafe { libc::ioctl(self.socket.as_raw_fd(), request, &raw mut ifr) };
        if result < 0 { Err(io::Error::last_os_error()) } else { Ok(ifr) }
    }
}

/// Command: the device behind `tun` offers no offloads. The mask belongs to the device and outlives who
/// set it; with one left behind, a frame without a virtio header could be longer than the MTU.
pub(super) fn clear_offloads(tun: BorrowedFd<'_>) -> io::Result<()> {
    let mask: libc::c_ulong = 0;
    // SAFETY: TUNSETOFFLOAD takes its argument by value and touches no memory of ours.
    let result = unsafe { libc::ioctl(tun.as_raw_fd(), libc::TUNSETOFFLOAD as _, mask) };
    if result < 0 { Err(io::Error::last_os_error()) } else { Ok(()) }
}
