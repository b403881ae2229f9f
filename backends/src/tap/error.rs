//! Why a TAP device cannot be had, and what to do about it.

use std::io;

use crate::device::DEVICE_NAME_RULE;

/// Why [`Tap::open`](super::Tap::open) failed. Each message ends with what to do.
#[derive(Debug, thiserror::Error)]
pub enum TapError {
    /// Not a name that the kernel takes.
    #[error("\"{name}\" cannot be the name of a network device: use {rule}",
        rule = DEVICE_NAME_RULE)]
    InvalidName {
        /// The name asked for.
        name: String,
    },
    /// The host, or this container, has no TUN/TAP driver.
    #[error(
        "there is no /dev/net/tun: load the driver (modprobe tun), or give the container the device \
         (--device /dev/net/tun)"
    )]
    NoDriver,
    /// The file may not be opened.
    #[error(
        "no permission to open /dev/net/tun: run as root, or let everybody open it, which is its usual \
         mode (chmod 0666 /dev/net/tun)"
    )]
    DriverNotPermitted,
    /// The device may not be created or used.
    #[error(
        "no permission to create or use the device {name}: run with CAP_NET_ADMIN, inside \
         `unshare -Urn`, or have it created for you (ip tuntap add {name} mode tap user NAME)"
    )]
    NotPermitted {
        /// The device.
        name: String,
    },
    /// Another process has it open.
    #[error("{name} is in use by another process: stop that process or choose another name")]
    Busy {
        /// The device.
        name: String,
    },
    /// A device of that name exists and is no TAP.
    #[error("a device {name} exists and is no TAP device: choose another name")]
    NotTap {
        /// The device.
        name: String,
    },
    /// The kernel's MTU is below the smallest that IPv4 allows (RFC 791: 68) or above what a NIC can say.
    #[error("the MTU of {name} is {mtu}: set one from 68 to 65535 (ip link set {name} mtu 1500)")]
    Mtu {
        /// The device.
        name: String,
        /// The MTU in bytes.
        mtu: i32,
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

impl TapError {
    /// The reason behind an error of creating the device.
    pub(super) fn from_create(name: &str, source: io::Error) -> Self {
        let name = name.to_owned();
        match source.raw_os_error() {
            Some(libc::ENOENT | libc::ENODEV | libc::ENXIO) => Self::NoDriver,
            // Opening /dev/net/tun says EACCES, TUNSETIFF says EPERM.
            Some(libc::EACCES) => Self::DriverNotPermitted,
            Some(libc::EPERM) => Self::NotPermitted { name },
            Some(libc::EBUSY) => Self::Busy { name },
            Some(libc::EINVAL) => Self::NotTap { name },
            _ => Self::Io { action: "creating", name, source },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_refusal_of_the_kernel_has_its_own_advice() {
        let says =
            |errno| TapError::from_create("tap9", io::Error::from_raw_os_error(errno)).to_string();
        assert!(says(libc::ENOENT).contains("modprobe tun"));
        assert!(says(libc::EACCES).contains("chmod 0666 /dev/net/tun"));
        assert!(says(libc::EPERM).contains("ip tuntap add tap9 mode tap"));
        assert!(says(libc::EBUSY).contains("in use by another process"));
        assert!(says(libc::EINVAL).contains("is no TAP"));
        assert!(says(libc::EMFILE).contains("creating tap9 failed"));
    }
}
