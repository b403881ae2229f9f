//! The kernel's network devices: what their names may be, and the ioctls of `netdevice(7)` that the backends need.

use std::io;
use std::os::fd::{AsRawFd, OwnedFd};

use causeway_core::nic::MacAddr;
use rustix::net::{AddressFamily, SocketFlags, SocketType, socket_with};

/// What [`is_device_name`] asks for, in words.
pub const DEVICE_NAME_RULE: &str = "1 to 15 of the characters a-z A-Z 0-9 _ . -";

/// Getter: `name` can be a device's: what `dev_valid_name` of the kernel accepts, without what would surprise a shell and
/// the `%d` that the kernel replaces by a number.
pub fn is_device_name(name: &str) -> bool {
    let fits = (1..libc::IFNAMSIZ).contains(&name.len());
    let plain = name.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'.' | b'-'));
    fits && plain && name != "." && name != ".."
}

/// One network device of the network namespace in which this value was made.
#[derive(Debug)]
pub(crate) struct Device {
    /// Any socket will do: it stands for the namespace.
    socket: OwnedFd,
    /// `ifr_name`, zero-terminated.
    name: [libc::c_char; libc::IFNAMSIZ],
}

impl Device {
    /// The device `name`, which must fit `IFNAMSIZ` with its terminating zero.
    pub(crate) fn new(name: &str) -> io::Result<Self> {
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
    pub(crate) fn mtu(&self) -> io::Result<i32> {
        let ifr = self.ioctl(libc::SIOCGIFMTU as _, self.request())?;
        // SAFETY: SIOCGIFMTU succeeded, so the kernel wrote ifru_mtu; every bit pattern is an i32.
        Ok(unsafe { ifr.ifr_ifru.ifru_mtu })
    }

    /// Getter: the number that it keeps for life, whatever it is called.
    pub(crate) fn index(&self) -> io::Result<i32> {
        let ifr = self.ioctl(libc::SIOCGIFINDEX as _, self.request())?;
        // SAFETY: SIOCGIFINDEX succeeded, so the kernel wrote ifru_ifindex; every bit pattern is an i32.
        Ok(unsafe { ifr.ifr_ifru.ifru_ifindex })
    }

    /// Getter: the hardware address of the kernel's end.
    pub(crate) fn mac(&self) -> io::Result<MacAddr> {
        self.hardware().map(|(_, mac)| mac)
    }

    /// Getter: the kind of device (`ARPHRD_*`) and the first bytes of its hardware address.
    pub(crate) fn hardware(&self) -> io::Result<(u16, MacAddr)> {
        let ifr = self.ioctl(libc::SIOCGIFHWADDR as _, self.request())?;
        // SAFETY: SIOCGIFHWADDR succeeded, so the kernel wrote ifru_hwaddr; it is plain bytes.
        let address = unsafe { ifr.ifr_ifru.ifru_hwaddr };
        Ok((address.sa_family, MacAddr(std::array::from_fn(|i| address.sa_data[i] as u8))))
    }

    /// Getter: the `IFF_*` flags of the device number `index`, which may have another name by now.
    pub(crate) fn flags_of(&self, index: i32) -> io::Result<i32> {
        let mut ifr = self.request();
        ifr.ifr_ifru.ifru_ifindex = index;
        let named = self.ioctl(libc::SIOCGIFNAME as _, ifr)?;
        let ifr = self.ioctl(libc::SIOCGIFFLAGS as _, named)?;
        // SAFETY: SIOCGIFFLAGS succeeded, so the kernel wrote ifru_flags; every bit pattern is a short.
        Ok(i32::from(unsafe { ifr.ifr_ifru.ifru_flags }))
    }

    /// Getter: the `IFF_*` flags.
    pub(crate) fn flags(&self) -> io::Result<i32> {
        let ifr = self.ioctl(libc::SIOCGIFFLAGS as _, self.request())?;
        // SAFETY: SIOCGIFFLAGS succeeded, so the kernel wrote ifru_flags; every bit pattern is a short.
        Ok(i32::from(unsafe { ifr.ifr_ifru.ifru_flags }))
    }

    /// Command: set the MTU in bytes.
    pub(crate) fn set_mtu(&self, mtu: u16) -> io::Result<()> {
        let mut ifr = self.request();
        ifr.ifr_ifru.ifru_mtu = i32::from(mtu);
        self.ioctl(libc::SIOCSIFMTU as _, ifr).map(drop)
    }

    /// Command: bring the device up.
    pub(crate) fn set_up(&self) -> io::Result<()> {
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
