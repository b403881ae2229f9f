//! Why a device cannot be used, and what to do about it.

use std::io;

use causeway_core::nic::MacAddr;

use super::ring::{RING_BYTES_MAX, RING_BYTES_MIN};
use crate::device::DEVICE_NAME_RULE;

/// Why [`Packet::open`](super::Packet::open) failed. Each message ends with what to do.
#[derive(Debug, thiserror::Error)]
pub enum PacketError {
    /// Not a name that a device can have.
    #[error("\"{name}\" cannot be the name of a network device: use {rule}",
        rule = DEVICE_NAME_RULE)]
    InvalidName {
        /// The name asked for.
        name: String,
    },
    /// Nothing of that name in this network namespace.
    #[error(
        "there is no network device {name}: `ip link` lists those of this network namespace, and \
         `ip link add {name} type veth peer name {name}p` makes a pair"
    )]
    NoDevice {
        /// The device.
        name: String,
    },
    /// Packet sockets are for the privileged.
    #[error(
        "no permission for a packet socket on {name}: run as root or with CAP_NET_RAW \
         (setcap cap_net_raw+ep on the program), or inside `unshare -Urn`"
    )]
    NotPermitted {
        /// The device.
        name: String,
    },
    /// Frames on it are not Ethernet's: the loopback, a tunnel.
    #[error("{name} is no Ethernet device: choose one that `ip link` shows as link/ether")]
    NotEthernet {
        /// The device.
        name: String,
    },
    /// The device's MTU is below the smallest that IPv4 allows (RFC 791: 68) or above what a NIC can say.
    #[error("the MTU of {name} is {mtu}: set one from 68 to 65535 (ip link set {name} mtu 1500)")]
    Mtu {
        /// The device.
        name: String,
        /// Its MTU in bytes.
        mtu: i32,
    },
    /// The device carries less than was asked for.
    #[error(
        "the MTU of {name} is {mtu}, and {wanted} was asked for: ask for at most {mtu}, or raise the \
         device's (ip link set {name} mtu {wanted})"
    )]
    MtuBelow {
        /// The device.
        name: String,
        /// Its MTU in bytes.
        mtu: u16,
        /// The one asked for, in bytes.
        wanted: u16,
    },
    /// Not the address of one host.
    #[error(
        "{mac} cannot be the address of {name}: choose a unicast address, such as 02:00:00:00:00:01"
    )]
    Mac {
        /// The device.
        name: String,
        /// The address asked for.
        mac: MacAddr,
    },
    /// The ring's size is out of range.
    #[error(
        "a ring of {bytes} bytes is out of range: choose {min} to {max}",
        min = RING_BYTES_MIN,
        max = RING_BYTES_MAX
    )]
    RingSize {
        /// The size asked for, in bytes.
        bytes: usize,
    },
    /// The kernel has no memory for the ring.
    #[error("the kernel has no {bytes} bytes for the ring of {name}: choose a smaller one")]
    RingMemory {
        /// The device.
        name: String,
        /// The size asked for, in bytes.
        bytes: usize,
    },
    /// The kernel does not know an option that is needed.
    #[error("the kernel cannot do {what} on packet sockets: use Linux 4.20 or later")]
    TooOld {
        /// What it cannot do.
        what: &'static str,
    },
    /// Anything else that the kernel said.
    #[error("{action} {name} failed: {source}")]
    Io {
        /// What was being done.
        action: &'static str,
        /// The device.
        name: String,
        /// The kernel's answer.
        source: io::Error,
    },
}

impl PacketError {
    /// The reason behind an error of asking for the device or the socket while doing `action`.
    pub(super) fn from_system(action: &'static str, name: &str, source: io::Error) -> Self {
        let name = name.to_owned();
        match source.raw_os_error() {
            Some(libc::ENODEV | libc::ENXIO) => Self::NoDevice { name },
            Some(libc::EPERM | libc::EACCES) => Self::NotPermitted { name },
            _ => Self::Io { action, name, source },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_refusal_of_the_kernel_has_its_own_advice() {
        let says = |errno| {
            let source = io::Error::from_raw_os_error(errno);
            PacketError::from_system("opening", "eth9", source).to_string()
        };
        assert!(says(libc::ENODEV).contains("`ip link` lists"));
        assert!(says(libc::EPERM).contains("CAP_NET_RAW"));
        assert!(says(libc::EPERM).contains("unshare -Urn"));
        assert!(says(libc::EMFILE).contains("opening eth9 failed"));
        let ring = PacketError::RingSize { bytes: 7 }.to_string();
        assert!(ring.contains("1048576 to 1073741824"), "{ring}");
    }
}
