//! `struct sockaddr` in both directions.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use causeway_conformance::host::Errno;

use crate::memory::{copy_in, copy_out};

/// Bytes of `struct sockaddr_in`, of `struct sockaddr_in6` as RFC 2133 had it (without a scope), and the most of any address.
const SOCKADDR_IN: usize = 16;
pub(crate) const SIN6_LEN_RFC2133: usize = 24;
const SOCKADDR_MAX: usize = 128;

/// Reads an address; `None` for AF_UNSPEC.
///
/// # Safety
/// `address` is null or points to `len` readable bytes.
pub(crate) unsafe fn read(
    address: *const libc::sockaddr,
    len: libc::socklen_t,
) -> Result<Option<SocketAddr>, Errno> {
    // SAFETY: the caller's promise.
    parsed(&unsafe { copied(address, len) }?)
}

/// Reads what a socket is bound to. A socket of IPv4 takes no family for its own, where the address is none, too (__inet_bind).
///
/// # Safety
/// As [`read`].
pub(crate) unsafe fn read_to_bind(
    address: *const libc::sockaddr,
    len: libc::socklen_t,
    ipv6: bool,
) -> Result<SocketAddr, Errno> {
    // SAFETY: the caller's promise.
    let bytes = unsafe { copied(address, len) }?;
    if bytes.len() < if ipv6 { SIN6_LEN_RFC2133 } else { SOCKADDR_IN } {
        return Err(Errno::EINVAL);
    }
    match (parsed(&bytes)?, bytes.as_slice()) {
        (Some(address), _) => Ok(address),
        (None, [_, _, high, low, 0, 0, 0, 0, ..]) if !ipv6 => {
            Ok((Ipv4Addr::UNSPECIFIED, u16::from_be_bytes([*high, *low])).into())
        }
        (None, _) => Err(Errno::EAFNOSUPPORT),
    }
}

/// # Safety
/// As [`read`].
unsafe fn copied(address: *const libc::sockaddr, len: libc::socklen_t) -> Result<Vec<u8>, Errno> {
    if len as usize > SOCKADDR_MAX {
        return Err(Errno::EINVAL);
    }
    // SAFETY: the caller's promise.
    unsafe { copy_in(address.cast::<u8>(), len as usize) }.ok_or(Errno::EFAULT)
}

fn parsed(bytes: &[u8]) -> Result<Option<SocketAddr>, Errno> {
    let half = |at: usize| bytes.get(at..)?.first_chunk::<2>().copied();
    let family = half(0).map(u16::from_ne_bytes).ok_or(Errno::EINVAL)?;
    let port = half(2).map(u16::from_be_bytes).unwrap_or(0);
    match i32::from(family) {
        libc::AF_UNSPEC => Ok(None),
        libc::AF_INET => {
            let octets = bytes.get(4..8).filter(|_| bytes.len() >= SOCKADDR_IN);
            let octets = octets.and_then(|b| b.first_chunk::<4>()).ok_or(Errno::EINVAL)?;
            Ok(Some(SocketAddr::new(Ipv4Addr::from(*octets).into(), port)))
        }
        libc::AF_INET6 => {
            let octets = bytes.get(8..).and_then(|b| b.first_chunk::<16>()).ok_or(Errno::EINVAL)?;
            Ok(Some(SocketAddr::new(Ipv6Addr::from(*octets).into(), port)))
        }
        _ => Err(Errno::EAFNOSUPPORT),
    }
}

/// The bytes of an address.
pub(crate) fn bytes(address: SocketAddr) -> Vec<u8> {
    let family = if address.is_ipv4() { libc::AF_INET } else { libc::AF_INET6 };
    let mut out = (family as u16).to_ne_bytes().to_vec();
    out.extend(address.port().to_be_bytes());
    match address.ip() {
        IpAddr::V4(v4) => {
            out.extend(v4.octets());
            out.extend([0; 8]);
        }
        IpAddr::V6(v6) => {
            out.extend([0; 4]);
            out.extend(v6.octets());
            out.extend([0; 4]);
        }
    }
    out
}

/// Writes an address where the caller of accept or recvfrom wants it; it may want none.
///
/// # Safety
/// `len` is null or points to a length, and `out` to that many writable bytes then.
pub(crate) unsafe fn write(
    address: Option<SocketAddr>,
    out: *mut libc::sockaddr,
    len: *mut libc::socklen_t,
) {
    if len.is_null() || out.is_null() {
        return;
    }
    let bytes = address.map_or_else(Vec::new, bytes);
    // SAFETY: `len` points to a length, and `out` to as many bytes: the caller's promise.
    unsafe {
        // An address that leads nowhere is the caller's loss: the call itself is done.
        let _ = copy_out(&bytes, out.cast::<u8>(), *len as usize);
        *len = bytes.len() as libc::socklen_t;
    }
}
